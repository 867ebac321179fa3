"""Frequencies and correlations of samples beside those of data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.datasets.weighing import checked_weights
from harmonium.fidelity.rows import checked
from harmonium.rng import Lane

# Pairs of columns held at a time: 32 MB of float64.
_BLOCK = 1 << 22

# What a figure can show; statistics are of all.
MOST_POINTS = 5000


@dataclass(frozen=True)
class Agreement:
    """How well numbers of samples agree with the same numbers of the data.

    Attributes
    ----------
    correlation
        Pearson's; NaN if one side does not vary.
    slope
        Of the least-squares line of the samples' numbers over the data's: below 1, samples have
        less of it.
    rmse
        Root mean square of the differences.
    n
        How many numbers were compared.
    data, samples : Tensor, shape (n_points,)
        All of them, or 5,000 evenly spaced ones.
    """

    correlation: float
    slope: float
    rmse: float
    n: int
    data: Tensor
    samples: Tensor

    @classmethod
    def of(cls, data: Tensor, samples: Tensor) -> Agreement:
        """The agreement of two lists of numbers, shape (n,) each."""
        sums = _Sums()
        sums.add(data, samples)
        return sums.agreement(len(data))


class _Sums:
    """Sums over pairs of numbers that come in blocks, and an even selection of them."""

    def __init__(self) -> None:
        self._n, self._sums = 0, torch.zeros(6, dtype=torch.float64)
        self._kept: list[tuple[Tensor, Tensor]] = []

    def add(self, x: Tensor, y: Tensor, step: int = 1, first: int = 0) -> None:
        """Add a block; every ``step``-th of its numbers is kept, from ``first``."""
        x, y = x.double(), y.double()
        self._n += len(x)
        gap = x - y
        self._sums += torch.stack([x.sum(), y.sum(), x @ x, y @ y, x @ y, gap @ gap]).cpu()
        self._kept.append((x[first::step].cpu(), y[first::step].cpu()))

    def agreement(self, n_all: int) -> Agreement:
        """Of all that was added; ``n_all`` numbers."""
        x, y, xx, yy, xy, gap = (self._sums / max(1, self._n)).tolist()
        var_x, var_y, both = xx - x * x, yy - y * y, xy - x * y
        tiny_x, tiny_y = 1e-12 * xx, 1e-12 * yy
        varies = var_x > tiny_x and var_y > tiny_y
        points = [torch.cat(side) for side in zip(*self._kept, strict=True)]
        step = max(1, -(-len(points[0]) // MOST_POINTS))
        return Agreement(
            correlation=both / math.sqrt(var_x * var_y) if varies else math.nan,
            slope=both / var_x if var_x > tiny_x else math.nan,
            rmse=math.sqrt(gap),
            n=n_all,
            data=points[0][::step],
            samples=points[1][::step],
        )


@torch.no_grad()
def frequencies(rows: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of each column, float64, shape (n_columns,).

    For states 0 and 1 it is the frequency of the 1, such as an allele's; of one-hot columns, each
    category's at each site.

    Parameters
    ----------
    rows
        Shape (n_rows, n_columns).
    weights
        Weight of each row, shape (n_rows,); None weights all rows equally.

    Raises
    ------
    TypeError, ValueError
        If these are no rows.
    """
    checked(rows, "rows")
    total = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    share = shares(rows, weights)
    for block, w in zip(rows.split(1000), share.split(1000), strict=True):
        total += w @ block.double()
    return total


@torch.no_grad()
def frequency_agreement(samples: Tensor, data: Tensor, weights: Tensor | None = None) -> Agreement:
    """Means of columns, samples against data; ``weights`` are those of the data's rows.

    Raises
    ------
    TypeError, ValueError
        If they are no rows of the same columns.
    """
    checked(samples, "samples", checked(data, "data").shape[1])
    return Agreement.of(frequencies(data, weights), frequencies(samples))


@torch.no_grad()
def pair_agreement(
    samples: Tensor, data: Tensor, sites: Tensor | None = None, weights: Tensor | None = None
) -> Agreement:
    """Covariances of all pairs of columns of different units, samples against data.

    Covariances are computed in blocks of columns, so that memory stays bounded.

    Parameters
    ----------
    samples, data
        Shapes (n_samples, n_columns) and (n_rows, n_columns).
    sites
        The unit that each column belongs to, ascending, shape (n_columns,): pairs within a unit,
        such as two categories of a site, are left out. By default every column is a unit.
    weights
        Weights of the data's rows.

    Raises
    ------
    TypeError, ValueError
        If they are no rows of the same columns, or there is no such pair.
    """
    n = checked(data, "data").shape[1]
    checked(samples, "samples", n)
    sites = _checked_sites(sites, n, 2, "pair").to(data.device)
    (of_data, data_share), (of_samples, sample_share) = (
        (_centred(rows, share), share)
        for rows, share in (
            (data, shares(data, weights)),
            (samples, shares(samples, None)),
        )
    )
    of_data = data_share.sqrt().float()[:, None] * of_data
    of_samples = sample_share.sqrt().float()[:, None] * of_samples
    width = max(1, _BLOCK // n)
    n_pairs = _count(sites)
    step = max(1, -(-n_pairs // MOST_POINTS))
    sums, seen = _Sums(), 0
    for start in range(0, n, width):
        columns = slice(start, start + width)
        apart = sites[columns, None] < sites[None, start:]
        x = (of_data[:, columns].T @ of_data[:, start:])[apart]
        y = (of_samples[:, columns].T @ of_samples[:, start:])[apart]
        sums.add(x, y, step, -seen % step)
        seen += len(x)
    return sums.agreement(n_pairs)


@torch.no_grad()
def triple_agreement(
    samples: Tensor,
    data: Tensor,
    sites: Tensor | None = None,
    weights: Tensor | None = None,
    *,
    n_triples: int = MOST_POINTS,
    seed: int = defaults.SEED,
) -> Agreement:
    """Third central moments of random triples of columns of three units, samples against data.

    The parameters and errors are those of `pair_agreement`.

    Parameters
    ----------
    n_triples
        How many triples are drawn; those of fewer than three units are left out.
    seed
        Of the triples.
    """
    n = checked(data, "data").shape[1]
    checked(samples, "samples", n)
    sites = _checked_sites(sites, n, 3, "triple")
    drawn = kernels.uniform((n_triples, 3), Lane.TRIPLES.stream(seed)).double()
    columns = drawn.mul_(n).long().clamp_(max=n - 1)
    of = sites[columns]
    apart = (of[:, 0] != of[:, 1]) & (of[:, 0] != of[:, 2]) & (of[:, 1] != of[:, 2])
    columns = columns[apart].to(data.device)
    moments = [
        _third_moments(rows, share, columns)
        for rows, share in ((data, shares(data, weights)), (samples, shares(samples, None)))
    ]
    return Agreement.of(*moments)


def _third_moments(rows: Tensor, share: Tensor, columns: Tensor) -> Tensor:
    centred = _centred(rows, share)
    total = torch.zeros(len(columns), dtype=torch.float64, device=rows.device)
    for x, w in zip(centred.split(500), share.split(500), strict=True):
        product = x[:, columns[:, 0]] * x[:, columns[:, 1]] * x[:, columns[:, 2]]
        total += w @ product.double()
    return total


def _centred(rows: Tensor, share: Tensor) -> Tensor:
    mean = frequencies(rows, share)
    return torch.cat([(block.double() - mean).float() for block in rows.split(1000)])


def shares(rows: Tensor, weights: Tensor | None) -> Tensor:
    """The share of each row in a mean, float64, shape (n_rows,)."""
    if weights is None:
        return torch.full((len(rows),), 1 / len(rows), dtype=torch.float64, device=rows.device)
    weights = checked_weights(weights, len(rows), rows.device)
    return weights / weights.sum()


def _checked_sites(sites: Tensor | None, n: int, least: int, what: str) -> Tensor:
    sites = torch.arange(n) if sites is None else sites
    if sites.shape != (n,) or bool((sites.diff() < 0).any()):
        raise ValueError(f"sites have shape {tuple(sites.shape)}; pass one a column, ascending")
    if len(sites.unique()) < least:
        raise ValueError(f"there is no {what} of columns of different units to compare")
    return sites


def _count(sites: Tensor) -> int:
    """Pairs of columns of different units."""
    sizes = sites.unique(return_counts=True)[1].double()
    return int((sizes.sum() ** 2 - sizes.square().sum()).item()) // 2
