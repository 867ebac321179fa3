"""The film of a run: chains of its finished model, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import plots
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.run_directory import RunDirectory
from harmonium.sampling import ChainState, SamplingSchedule, sample

CHAINS = 20
COLUMNS = 5
SCHEDULE = SamplingSchedule(n_warmup=0, n_samples=40, sweeps_per_sample=5)


def shades(values: NDArray[Any]) -> tuple[float, float]:
    """The values drawn as black and white, the same in all pictures of a run."""
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1


@torch.no_grad()
def of_chains(rbm: RBM, chains: ChainState, stream: Stream) -> Iterator[Tensor]:
    """Mean visible units of chains along `SCHEDULE`, shape (n_chains, n_columns) each."""
    for now in sample(rbm, chains, SCHEDULE, stream, copies=False):
        yield rbm.mean_v_from_h(now.hidden)


def save(
    run: RunDirectory,
    frames: Iterable[NDArray[Any]],
    image_shape: tuple[int, int],
    limits: tuple[float, float],
) -> Path:
    """Write a frame for each sample of `SCHEDULE`, in the user's units; returns the folder."""
    run.film.mkdir(parents=True, exist_ok=True)
    for number, values in enumerate(frames):
        sweeps = SCHEDULE.n_warmup + number * SCHEDULE.sweeps_per_sample
        path = run.film / f"sweep-{sweeps:06d}.png"
        plots.save_frame(path, values, image_shape, COLUMNS, limits)
    return run.film
