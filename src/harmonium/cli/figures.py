"""The pictures of a run: which ones there are, and what is drawn in each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from harmonium import plots
from harmonium.cli import film
from harmonium.datasets import Data, Encoding
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.runs import RunDirectory
from harmonium.sampling import ChainState, SamplingSchedule, sample, start_random

SHEET_FILTERS = 100
SHOWN_ROWS = 20
_ACTIVITY_ROWS = 200
FINAL_CHAINS = 10
FINAL_SCHEDULE = SamplingSchedule(n_warmup=100, n_samples=10, sweeps_per_sample=100)

ImageShape = tuple[int, int] | None


def draw_all(
    run: RunDirectory,
    rbm: RBM,
    chains: ChainState | None,
    data: Data,
    seed: int,
    *,
    n_filters: int = SHEET_FILTERS,
) -> Iterator[Path]:
    """Draw a run's pictures anew, yielding the path of each.

    Parameters
    ----------
    run
        Where they go, and whose numbers make the learning curves.
    rbm
        The model to look at.
    chains
        Chains to sample on from; None starts them at random.
    data
        Rows to reconstruct and to measure activity on: held-out ones where there are any.
    seed
        Of the samples.
    n_filters
        Filters in their sheet, at most.
    """
    run.figures.mkdir(exist_ok=True)
    image_shape = picture_shape(rbm, data.image_shape)
    weights = rbm.weights.detach().cpu()
    filters = plots.filters(weights, image_shape, n=n_filters)
    yield plots.save(filters, run.figures / "filters.png")

    stream = Stream(seed, Purpose.SAMPLE)
    if chains is None:
        chains = start_random(rbm, film.CHAINS, stream)
    few = a_few(chains, FINAL_CHAINS)
    means = [
        rbm.mean_v_from_h(now.hidden).detach()
        for now in sample(rbm, few, FINAL_SCHEDULE, stream, copies=False)
    ]
    yield save_samples(
        run.figures / "samples.png",
        torch.stack(means, 1),
        data.encoding,
        image_shape,
        FINAL_SCHEDULE.sweeps_per_sample,
    )

    first = torch.arange(min(len(data), _ACTIVITY_ROWS), device=data.values.device)
    rows = data.rows(first, Stream(seed, Purpose.ENCODE, rank=1))
    yield save_reconstructions(
        run.figures / "reconstructions.png",
        rows[:SHOWN_ROWS],
        rbm.mean_v_from_h(rbm.mean_h_from_v(rows[:SHOWN_ROWS])).detach(),
        data.encoding,
        image_shape,
    )

    if image_shape is not None:
        stream = Stream(seed, Purpose.SAMPLE, rank=2)
        frames = film.of_chains(rbm, a_few(chains, film.CHAINS), stream)
        yield film.save(
            run,
            (in_users_units(frame, data.encoding) for frame in frames),
            image_shape,
            film.shades(in_users_units(rows[:SHOWN_ROWS], data.encoding)),
        )

    if run.rows():
        yield plots.save(plots.learning_curves(run.rows()), run.figures / "learning-curves.png")
    yield plots.save(
        plots.weight_histogram(
            weights,
            visible_bias=rbm.visible.bias.detach().cpu(),
            hidden_bias=rbm.hidden.bias.detach().cpu(),
        ),
        run.figures / "weights.png",
    )
    yield plots.save(
        plots.hidden_activity(rbm.mean_h_from_v(rows).detach().cpu()),
        run.figures / "hidden-activity.png",
    )


def a_few(chains: ChainState, n: int) -> ChainState:
    """Copies of the first chains, at most ``n``."""
    return ChainState(chains.visible[:n].clone(), chains.hidden[:n].clone())


def picture_shape(rbm: RBM, image_shape: ImageShape) -> ImageShape:
    """(height, width) where a row of visible states is a picture, one unit a pixel."""
    return image_shape if rbm.visible.n == rbm.visible.n_columns else None


def save_samples(
    path: Path,
    samples: torch.Tensor,
    encoding: Encoding,
    image_shape: ImageShape,
    sweeps_per_sample: int,
) -> Path:
    """Draw samples of shape (n_chains, n_samples, n_columns) in the user's own units."""
    ax = plots.samples(
        in_users_units(samples, encoding), image_shape, sweeps_per_sample=sweeps_per_sample
    )
    return plots.save(ax, path)


def save_reconstructions(
    path: Path,
    originals: torch.Tensor,
    reconstructed: torch.Tensor,
    encoding: Encoding,
    image_shape: ImageShape,
) -> Path:
    """Draw rows above their reconstructions, in the user's own units."""
    above, below = (in_users_units(rows, encoding) for rows in (originals, reconstructed))
    n_columns = max(10, round((2 * len(above)) ** 0.5))  # a sheet of many is about a square
    sheet = plots.reconstructions(above, below, image_shape, n_columns=n_columns)
    return plots.save(sheet, path)


def in_users_units(states: torch.Tensor, encoding: Encoding) -> NDArray[Any]:
    """States or mean states as values such as the data hold; any leading shape."""
    flat = states.reshape(-1, states.shape[-1])
    values = encoding.decode(flat)
    return values.reshape(*states.shape[:-1], -1).cpu().numpy()
