"""The pictures of a table: its columns in the data and in samples of the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import plots
from harmonium.datasets import Data
from harmonium.datasets.weighing import rows_by_weight
from harmonium.missing_states import completed_rows
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.run_directory import RunDirectory
from harmonium.runs.pictures.views import View, paced
from harmonium.sampling import ChainState, SamplingSchedule, sample, start_random

FIRST_COLUMNS = 12
"""Columns in the first picture: those in which samples differ most from the data."""

MORE_COLUMNS = 36
_MOST_SHARES = 30
_MOST_CORRELATED = 20
_MOST_CHOSEN_FROM = 1000
_MOST_NOMINAL = 60
_MOST_ROWS, _LEAST_ROWS, _MOST_VALUES = 2000, 200, 2 * 10**7
_CHAINS = 100
_SCHEDULE = SamplingSchedule(n_warmup=100, n_samples=5, sweeps_per_sample=20)


@torch.no_grad()
def draw(
    run: RunDirectory, rbm: RBM, chains: ChainState, data: Data, view: View, stream: Stream
) -> Iterator[Path]:
    """Draw the columns of a table and of samples, yielding the path of each picture.

    Parameters
    ----------
    run
        Where they go.
    rbm, chains
        The model, and chains from which sampling continues; these are not changed.
    data
        Rows to compare with: the training rows. The model draws what is missing of them.
    view
        How to show a row.
    stream
        Of the samples.
    """
    compared = Lane.COMPARED.stream(stream.seed)
    n_rows = max(_LEAST_ROWS, min(_MOST_ROWS, _MOST_VALUES // data.n_columns))
    rows = completed_rows(rbm, data, rows_by_weight(data, n_rows, compared), compared)
    if len(chains) < _CHAINS:
        begun = start_random(rbm, _CHAINS, stream)
    else:
        begun = ChainState(chains.visible[:_CHAINS].clone(), chains.hidden[:_CHAINS].clone())
    use_means = takes_shares(rbm, rows)
    drawn = [
        rbm.mean_v_from_h(now.hidden) if use_means else now.visible.clone()
        for now in sample(rbm, begun, paced(_SCHEDULE, rbm), stream)
    ]
    yield from compare(run.columns, rows, torch.cat(drawn), view, is_nominal(rbm))


def some_rows(data: Data, stream: Stream) -> Tensor:
    """States of at most this many rows, drawn at random in proportion to their weights."""
    return data.rows(rows_by_weight(data, _MOST_ROWS, stream), stream)


def takes_shares(rbm: RBM, rows: Tensor) -> bool:
    """Whether rows hold probabilities, from which states of two-valued units are drawn."""
    states = rbm.visible.states if len(rbm.visible.groups) == 1 else None
    if states is None or states.shape[1] > 1:
        return False
    return not torch.isin(rows, states.flatten()).all()


def is_nominal(rbm: RBM) -> bool:
    """Whether the columns hold names without an order (nominal values)."""
    return rbm.visible.is_one_hot


def compare(
    folder: Path, rows: Tensor, samples: Tensor, view: View, nominal: bool
) -> Iterator[Path]:
    """Draw the distributions of columns and their associations, in data and in samples.

    Parameters
    ----------
    folder
        Where the pictures go.
    rows, samples
        States, shape (n_rows, n_columns) each.
    view
        How to show a row.
    nominal
        Whether the values are nominal: names without an order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    of_data, of_samples = view.values(rows), view.values(samples)
    names = np.array(view.labels(of_data.shape[1]), dtype=object)
    far = plots.distances(of_data, of_samples, nominal=nominal)
    order = np.argsort(-far, kind="stable")
    if len(names) > FIRST_COLUMNS and bool(((of_data == 0) | (of_data == 1)).all()):
        yield _shares(folder, of_data, of_samples, names, order)
    else:
        yield from _distributions(folder, of_data, of_samples, names, order, far, nominal, view)
    if len(names) > 1:
        yield _correlations(folder, of_data, of_samples, names, nominal)


def _shares(
    folder: Path,
    of_data: NDArray[np.float32],
    of_samples: NDArray[np.float32],
    names: NDArray[np.object_],
    order: NDArray[np.intp],
) -> Path:
    shown = order[:_MOST_SHARES]
    subtitle = "how often each is 1, the largest difference at the top"
    ax = plots.shares(
        of_data[:, shown].mean(0),
        of_samples[:, shown].mean(0),
        names[shown].tolist(),
        title=f"{_of(len(shown), len(names))} in data and samples",
        subtitle=subtitle,
    )
    caption = "How often each column is 1, in the data and in samples of the model."
    if len(shown) < len(names):
        caption += f" {len(names) - len(shown):,} columns that differ less are left out."
    return plots.save(ax, folder / "distributions.png", title="Columns", caption=caption)


def _distributions(
    folder: Path,
    of_data: NDArray[np.float32],
    of_samples: NDArray[np.float32],
    names: NDArray[np.object_],
    order: NDArray[np.intp],
    far: NDArray[np.float64],
    nominal: bool,
    view: View,
) -> Iterator[Path]:
    n_first = len(names) if len(names) <= FIRST_COLUMNS + 3 else FIRST_COLUMNS
    parts = (
        ("distributions", order[:n_first], 3),
        ("more-distributions", order[n_first : n_first + MORE_COLUMNS], 4),
    )
    for name, part, n_beside in parts:
        shown = np.sort(part)
        if not len(shown):
            continue
        figure = plots.distributions(
            of_data[:, shown],
            of_samples[:, shown],
            names[shown].tolist(),
            n_beside=n_beside,
            nominal=nominal,
            letters=view.letters(shown.tolist()),
            title=f"{_of(len(shown), len(names))}",
        )
        worst = shown[np.argmax(far[shown])]
        caption = (
            "How the values of each column are distributed, in the data and in samples of the "
            f"model. They differ most in {names[worst]!r}."
        )
        left_out = len(names) - len(shown)
        if name == "distributions" and left_out:
            caption += f" {left_out:,} columns that differ less are not shown here."
        elif left_out > FIRST_COLUMNS:
            caption += f" {left_out - FIRST_COLUMNS:,} columns that differ less are left out."
        title = "Columns" if name == "distributions" else "More columns"
        yield plots.save(figure, folder / f"{name}.png", title=title, caption=caption)


def _correlations(
    folder: Path,
    of_data: NDArray[np.float32],
    of_samples: NDArray[np.float32],
    names: NDArray[np.object_],
    nominal: bool,
) -> Path:
    find = plots.nominal_associations if nominal else plots.associations
    measure = "association" if nominal else "correlation"
    # choosing among very many columns must be fast
    most = _MOST_NOMINAL if nominal else _MOST_CHOSEN_FROM
    some = np.linspace(0, len(names) - 1, min(len(names), most)).round().astype(int)
    with_data = find(of_data[:, some])
    off = np.abs(np.where(np.eye(len(some), dtype=bool), np.nan, with_data))
    strength = np.nan_to_num(np.nanmax(np.nan_to_num(off, nan=0.0), axis=1))
    shown = np.sort(np.argsort(-strength, kind="stable")[:_MOST_CORRELATED])
    a = with_data[np.ix_(shown, shown)]
    b = find(of_samples[:, some[shown]])
    pairs = ~np.isnan(a) & ~np.isnan(b) & ~np.eye(len(shown), dtype=bool)
    apart = (
        f"they differ by {np.sqrt(((a - b)[pairs] ** 2).mean()):.2f} (rms)" if pairs.any() else ""
    )
    figure = plots.correlations(a, b, names[some[shown]].tolist(), measure=measure, subtitle=apart)
    what = "Cramér's V, from 0 to 1" if nominal else "from −1 to 1"
    caption = f"How strongly columns are associated ({what}): left in the data, right in samples."
    if len(shown) < len(names):
        among = "" if len(some) == len(names) else f", among {len(some):,}"
        caption += (
            f" Shown are the {len(shown)} columns with the strongest {measure}s in the "
            f"data{among}; {len(names) - len(shown):,} are left out."
        )
    title = f"{measure.capitalize()}s"
    return plots.save(figure, folder / "correlations.png", title=title, caption=caption)


def _of(shown: int, n: int) -> str:
    return f"{n:,} columns" if shown == n else f"{shown:,} of {n:,} columns"
