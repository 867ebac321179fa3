"""The pictures of a network: filters of its layers, reconstructions and samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harmonium.datasets import Data
from harmonium.deep import DBN, Dream
from harmonium.rng import Lane, Stream
from harmonium.run_directory import Network
from harmonium.runs.pictures import figures, film, table_figures
from harmonium.runs.pictures.views import View, paced
from harmonium.sampling import ChainState, SamplingSchedule, start_random

# Chains of a class start at random states, so they need a longer burn-in.
_CLASS_SCHEDULE = SamplingSchedule(n_warmup=1000, n_samples=10, sweeps_per_sample=100)
_DREAMS_OF_COLUMNS = 100
_COLUMNS_SCHEDULE = SamplingSchedule(n_warmup=200, n_samples=5, sweeps_per_sample=20)


@dataclass(frozen=True)
class Shown:
    """Rows to show, as states, and how to show them."""

    rows: Tensor
    learned: Tensor
    """Training rows, whose columns are compared with those of samples."""

    data: Data

    @classmethod
    def of(cls, train_data: Data, held_out: Data | None, seed: int) -> Shown:
        """The first rows, of held-out data if there are any."""
        data = train_data if held_out is None else held_out
        first = torch.arange(min(len(data), figures.SHOWN_ROWS), device=data.values.device)
        rows = data.rows(first, Lane.WATCHED.stream(seed))
        stream = Lane.COMPARED.stream(seed)
        learned = rows if data.image_shape else table_figures.some_rows(train_data, stream)
        return cls(rows, learned, train_data)


@torch.no_grad()
def draw(
    network: Network,
    dbn: DBN,
    chains: ChainState | None,
    shown: Shown,
    seed: int,
    n_filters: int = figures.SHEET_FILTERS,
) -> Iterator[Path]:
    """Redraw the pictures of a network, yielding the path of each.

    Parameters
    ----------
    network
        Where they go.
    dbn
        The whole network.
    chains
        Chains of the top RBM from which sampling continues; None starts at random states.
    shown
        Rows to reconstruct.
    seed
        Of the samples.
    n_filters
        Maximum number of filters per layer.
    """
    folder = network.run.figures
    folder.mkdir(exist_ok=True)
    view = View.of(dbn.stack[0], shown.data)
    for number, filters in enumerate(projected_filters(dbn), start=1):
        path = folder / f"filters-{number}.png"
        yield figures.save_filters(path, filters.cpu(), view, n_filters)
    yield figures.save_reconstructions(
        folder / "reconstructions.png",
        shown.rows,
        dbn.mean_down(dbn.mean_up(shown.rows)),
        view,
    )
    stream = Lane.DREAM.stream(seed)
    few = _begin(dbn, chains, figures.FINAL_CHAINS, stream)
    schedule = paced(figures.FINAL_SCHEDULE, dbn.top)
    yield _save_dreams(folder / "samples.png", dbn.sample(few, schedule, stream), schedule, view)
    if view.image_shape is None:
        yield from _draw_columns(
            network.run.columns, dbn, shown, view, Lane.COMPARED_DREAM.stream(seed)
        )
    else:
        of_film = Lane.DREAM_FILM.stream(seed)
        few = _begin(dbn, chains, film.CHAINS, of_film)
        dreams = dbn.sample(few, film.SCHEDULE, of_film, copies=False)
        yield film.save(
            network.run,
            (view.values(dream.means) for dream in dreams),
            view.image_shape,
            film.shades(view.values(shown.rows)),
        )
    if dbn.n_classes is not None:
        few = start_random(dbn.top, dbn.n_classes, stream)
        clamp = dbn.clamp_classes(torch.arange(dbn.n_classes))
        dreams = dbn.sample(few, _CLASS_SCHEDULE, stream, clamp)
        names = class_names(dbn, shown.data.classes)
        yield _save_dreams(folder / "classes.png", dreams, _CLASS_SCHEDULE, view, names)


def _begin(dbn: DBN, chains: ChainState | None, n: int, stream: Stream) -> ChainState:
    """Copies of chains of the top RBM from which sampling continues."""
    return start_random(dbn.top, n, stream) if chains is None else figures.a_few(chains, n)


def class_names(dbn: DBN, known: Sequence[str] | None) -> list[str]:
    """The names of the classes of a network's label units, or their numbers."""
    numbers = [str(k) for k in range(dbn.n_classes or 0)]
    return numbers if known is None else [*known[: len(numbers)], *numbers[len(known) :]]


def _draw_columns(
    folder: Path, dbn: DBN, shown: Shown, view: View, stream: Stream
) -> Iterator[Path]:
    """Draw the columns of a table and of samples."""
    bottom = dbn.stack[0]
    few = start_random(dbn.top, _DREAMS_OF_COLUMNS, stream)
    use_means = table_figures.takes_shares(bottom, shown.learned)
    dreams = [
        dream.means if use_means else dream.visible
        for dream in dbn.sample(few, paced(_COLUMNS_SCHEDULE, dbn.top), stream)
    ]
    samples, nominal = torch.cat(dreams), table_figures.is_nominal(bottom)
    yield from table_figures.compare(folder, shown.learned, samples, view, nominal)


def _save_dreams(
    path: Path,
    dreams: Iterable[Dream],
    schedule: SamplingSchedule,
    view: View,
    classes: Sequence[str] | None = None,
) -> Path:
    return figures.save_samples(
        path,
        torch.stack([dream.means for dream in dreams], 1),
        view,
        schedule.sweeps_per_sample,
        chain_names=classes,
        title="Samples" if classes is None else "Samples of each class",
    )


def projected_filters(dbn: DBN) -> Iterator[Tensor]:
    """The filters of each layer's hidden units on the data, shape (n_visible, n_hidden).

    A filter of an upper layer is the sum of the filters below, weighted by the unit's weights (Lee,
    Ekanadham and Ng, 2008).
    """
    filters: Tensor = dbn.stack[0].weights
    yield filters
    for rbm in dbn.stack[1:]:
        # the rows of weights after these belong to labels
        filters = filters @ rbm.weights[: filters.shape[1]]
        yield filters
