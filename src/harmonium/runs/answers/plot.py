"""The pictures of a run, drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harmonium import plots, sequences
from harmonium.datasets import mapped
from harmonium.datasets.weighing import order_of
from harmonium.rng import Lane
from harmonium.run_directory import kinds
from harmonium.runs.answers.aligned import need_letters, positions_of
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import PlottingOptions
from harmonium.runs.answers.trained import open_network, open_trained
from harmonium.runs.pictures import figures, network_figures

# Enough for the shape of a distribution.
_LOGO_ROWS = 10_000


def plot(asked: Asked, options: PlottingOptions) -> Iterator[Path]:
    """Draw the pictures of a run one by one, and yield where each is.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such run or model.
    """
    if options.logos is not None:
        return _logos(asked, options.logos)
    if asked.run.kind is kinds.DBN:
        return _of_network(asked, options)
    return _of_rbm(asked, options)


def _of_rbm(asked: Asked, options: PlottingOptions) -> Iterator[Path]:
    trained = open_trained(asked)
    train, held_out = trained.train_and_held_out()
    return figures.draw_all(
        trained.run,
        trained.rbm,
        trained.chains,
        train if held_out is None else held_out,
        trained.options.seed,
        train,
        n_filters=options.filters,
    )


def _of_network(asked: Asked, options: PlottingOptions) -> Iterator[Path]:
    trained = open_network(asked)
    seed = trained.bottom.options.seed
    shown = network_figures.Shown.of(*trained.bottom.train_and_held_out(), seed)
    chains = trained.open_top().chains
    return network_figures.draw(trained.network, trained.dbn, chains, shown, seed, options.filters)


def _logos(asked: Asked, n: int) -> Iterator[Path]:
    """Draw what hidden units of a model of sequences read."""
    trained = open_trained(asked)
    letters = need_letters(trained)
    train, _ = trained.train_and_held_out()
    stream = Lane.DIAGNOSED_ROWS.stream(trained.options.seed)
    chosen = order_of(train, len(train), _LOGO_ROWS, stream).to(train.device)
    rows = mapped.take(train.values, chosen).long()
    units = sequences.logos(trained.rbm, n, rows)
    names = [
        f"unit {unit.unit}: weights of size {unit.norm:.2f}, about {unit.n_sites:.0f} sites"
        for unit in units
    ]
    figure = plots.sequence_logos(
        [unit.weights for unit in units],
        letters,
        names,
        [unit.inputs for unit in units if unit.inputs is not None],
        positions_of(trained),
    )
    trained.run.figures.mkdir(exist_ok=True)
    caption = (
        "A letter is as high as its weight in the zero-sum gauge. The hidden units with the "
        "largest weights come first; beside each is how its input is distributed over rows."
    )
    path = trained.run.figures / "logos.png"
    yield plots.save(figure, path, title="Logos of hidden units", caption=caption)
