"""The pictures of a run, drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import PlottingOptions
from harmonium.runs.answers.trained import open_network, open_trained
from harmonium.runs.pictures import figures, network_figures


def plot(asked: Asked, options: PlottingOptions) -> Iterator[Path]:
    """Draw the pictures of a run one by one, and yield where each is.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such run or model.
    """
    if asked.run.holds_a_network:
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
