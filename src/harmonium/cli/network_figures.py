"""The pictures of a network: what its layers look for, rebuild and dream of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harmonium import plots
from harmonium.cli import figures, film
from harmonium.datasets import Data, Encoding
from harmonium.deep import DBN
from harmonium.rng import Purpose, Stream
from harmonium.runs import Network
from harmonium.sampling import ChainState, Clamp, SamplingSchedule, start_random

# Chains of a class start at random, so that they need a longer way.
_CLASS_SCHEDULE = SamplingSchedule(n_warmup=1000, n_samples=10, sweeps_per_sample=100)


@dataclass(frozen=True)
class Shown:
    """Rows that pictures show, as states, and what makes pictures of them."""

    rows: Tensor
    encoding: Encoding
    image_shape: figures.ImageShape

    @classmethod
    def of(cls, train_data: Data, held_out: Data | None, seed: int) -> Shown:
        """The first rows, of held-out data where there are any."""
        data = train_data if held_out is None else held_out
        first = torch.arange(min(len(data), figures.SHOWN_ROWS), device=data.values.device)
        rows = data.rows(first, Stream(seed, Purpose.ENCODE, rank=1))
        return cls(rows, data.encoding, data.image_shape)


@torch.no_grad()
def draw(
    network: Network,
    dbn: DBN,
    chains: ChainState | None,
    shown: Shown,
    seed: int,
    n_filters: int = figures.SHEET_FILTERS,
) -> Iterator[Path]:
    """Draw a network's pictures anew, yielding the path of each.

    Parameters
    ----------
    network
        Where they go.
    dbn
        The whole network.
    chains
        Of the top RBM, to dream on from; None starts them at random.
    shown
        Rows to rebuild.
    seed
        Of the dreams.
    n_filters
        Of each layer, at most.
    """
    folder = network.run.figures
    folder.mkdir(exist_ok=True)
    image_shape = figures.picture_shape(dbn.stack[0], shown.image_shape)
    for number, filters in enumerate(projected_filters(dbn), start=1):
        sheet = plots.filters(filters.cpu(), image_shape, n=n_filters)
        yield plots.save(sheet, folder / f"filters-{number}.png")
    yield figures.save_reconstructions(
        folder / "reconstructions.png",
        shown.rows,
        dbn.mean_down(dbn.mean_up(shown.rows)),
        shown.encoding,
        image_shape,
    )
    stream = Stream(seed, Purpose.DREAM)
    few = _begin(dbn, chains, figures.FINAL_CHAINS, stream)
    yield _save_dreams(folder / "samples.png", dbn, few, figures.FINAL_SCHEDULE, stream, shown)
    if image_shape is not None:
        of_film = Stream(seed, Purpose.DREAM, rank=1)
        few = _begin(dbn, chains, film.CHAINS, of_film)
        dreams = dbn.sample(few, film.SCHEDULE, of_film, copies=False)
        yield film.save(
            network.run,
            (figures.in_users_units(dream.means, shown.encoding) for dream in dreams),
            image_shape,
            film.shades(figures.in_users_units(shown.rows, shown.encoding)),
        )
    if dbn.n_classes is not None:
        few = start_random(dbn.top, dbn.n_classes, stream)
        clamp = dbn.clamp_classes(torch.arange(dbn.n_classes))
        path = folder / "classes.png"
        yield _save_dreams(path, dbn, few, _CLASS_SCHEDULE, stream, shown, clamp)


def _begin(dbn: DBN, chains: ChainState | None, n: int, stream: Stream) -> ChainState:
    """Chains of the top RBM to dream on from, in memory of their own."""
    return start_random(dbn.top, n, stream) if chains is None else figures.a_few(chains, n)


def _save_dreams(
    path: Path,
    dbn: DBN,
    chains: ChainState,
    schedule: SamplingSchedule,
    stream: Stream,
    shown: Shown,
    clamp: Clamp | None = None,
) -> Path:
    dreams = dbn.sample(chains, schedule, stream, clamp, copies=False)
    return figures.save_samples(
        path,
        torch.stack([dream.means for dream in dreams], 1),
        shown.encoding,
        figures.picture_shape(dbn.stack[0], shown.image_shape),
        schedule.sweeps_per_sample,
    )


def projected_filters(dbn: DBN) -> Iterator[Tensor]:
    """What the hidden units of each layer look for in the data, shape (n_visible, n_hidden).

    Those of upper layers are the filters below them, weighted by their own weights (Lee, Ekanadham
    and Ng, 2008).
    """
    filters: Tensor = dbn.stack[0].weights
    yield filters
    for rbm in dbn.stack[1:]:
        filters = filters @ rbm.weights[: filters.shape[1]]  # what lies behind belongs to labels
        yield filters
