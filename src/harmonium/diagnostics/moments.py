"""Compare first and second moments of chains and data, with the noise of sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.datasets import WeightedRows
from harmonium.datasets.weighing import bessel

# With more columns than this, covariances use a subset of this many, evenly spaced: memory and time
# grow with the square.
_MOST_COLUMNS = 1000

_ROWS = 1000  # at a time


@dataclass(frozen=True)
class Moments:
    """Means and covariances of columns, with the squares of their standard errors.

    Attributes
    ----------
    mean, mean_error : Tensor, shape (n_columns,)
        The error is NaN if there is only one independent group.
    covariance, covariance_error : Tensor, shape (n_chosen, n_chosen)
        For the columns in ``columns``.
    columns : Tensor, shape (n_chosen,)
        All, or 1000 evenly spaced ones.
    """

    mean: Tensor
    mean_error: Tensor
    covariance: Tensor
    covariance_error: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Distance:
    """How far numbers are from those of the data, and how much of it is noise.

    Attributes
    ----------
    rms
        Root mean square of the differences.
    noise
        What ``rms`` would be from sampling noise alone.
    scale
        Reference size of a difference. For means: the root mean square of the columns' standard
        deviations in the data. For covariances: their own root mean square in the data, after
        subtracting noise.
    """

    rms: float
    noise: float
    scale: float

    @property
    def excess(self) -> float:
        """The difference beyond noise, as a fraction of the scale; NaN if there is no scale."""
        if self.scale == 0:
            return math.nan
        return math.sqrt(max(0.0, self.rms**2 - self.noise**2)) / self.scale


@dataclass(frozen=True)
class MomentDistance:
    """`Distance` of first and second moments.

    Attributes
    ----------
    means
        Distance of the columns' means.
    covariances
        Distance of the covariances of pairs of different columns; None if there is one column.
    """

    means: Distance
    covariances: Distance | None


@torch.no_grad()
def moments(rows: Tensor | WeightedRows) -> Moments:
    """Means and covariances of states of any unit type, with their errors.

    Groups of rows are assumed to be independent; rows within a group are not, because a group is
    one chain at several times. The errors come from the spread of the group means. They are correct
    for any autocorrelation, provided that chains have forgotten where they started.

    Parameters
    ----------
    rows
        Shape (n_rows, n_columns) if rows are independent, which may have weights, else (n_groups,
        n_rows, n_columns).

    Raises
    ------
    ValueError
        If there are no rows, or ``rows`` has another number of dimensions.
    """
    if isinstance(rows, WeightedRows):
        if rows.weights is not None:
            return _weighted(rows, rows.weights)
        rows = rows.states
    if rows.dim() not in (2, 3) or rows.numel() == 0:
        raise ValueError(
            f"rows have shape {tuple(rows.shape)}; pass (n_rows, n_columns) or "
            "(n_groups, n_rows, n_columns), with one or more of each"
        )
    groups = rows if rows.dim() == 3 else rows[:, None]
    n_groups, n = groups.shape[:2]
    of_groups = torch.stack([group.double().mean(0) for group in groups])
    mean = of_groups.mean(0)
    mean_error = (of_groups - mean).square().sum(0).div(n_groups * (n_groups - 1)).sqrt()
    columns = _chosen(rows)
    total = rows.new_zeros(len(columns), len(columns), dtype=torch.float64)
    squares = torch.zeros_like(total)
    if n == 1:
        for block in groups[:, 0].split(_ROWS):
            x = block[:, columns].double() - mean[columns]
            total += kernels.mm(x.T, x)
            x.square_()
            squares += kernels.mm(x.T, x)
    else:
        for group in groups:
            x = group[:, columns].double() - mean[columns]
            product = kernels.mm(x.T, x).div_(n)
            total += product
            squares += product.square_()
    covariance = total / n_groups
    spread = (squares / n_groups - covariance.square()).clamp_min(0)
    covariance_error = spread.div(n_groups - 1).sqrt() if n_groups > 1 else spread * math.nan
    return Moments(mean, mean_error, covariance, covariance_error, columns)


def _weighted(rows: WeightedRows, weights: Tensor) -> Moments:
    """Moments of independent rows with weights."""
    share, columns = weights / weights.sum(), _chosen(rows.states)
    blocks = list(zip(share[:, None].split(_ROWS), rows.states.split(_ROWS), strict=True))
    mean = torch.stack([part[:, 0] @ block.double() for part, block in blocks]).sum(0)
    error, total = torch.zeros_like(mean), mean.new_zeros(len(columns), len(columns))
    squares, cross = torch.zeros_like(total), torch.zeros_like(total)
    for part, block in blocks:
        difference = block.double() - mean
        error += (part * difference).square().sum(0)
        x = difference[:, columns]
        total += kernels.mm(x.T, part * x)
        cross += kernels.mm(x.T, part.square() * x)
        squares += kernels.mm(x.square().T, (part * x).square())
    # sum of w^2 (x x - covariance)^2
    spread = squares - 2 * total * cross + share.square().sum() * total.square()
    rest = bessel(share)
    return Moments(mean, (error / rest).sqrt(), total, (spread.clamp_min(0) / rest).sqrt(), columns)


def _chosen(rows: Tensor) -> Tensor:
    """The columns whose covariances are taken."""
    step = max(1, -(-rows.shape[-1] // _MOST_COLUMNS))
    return torch.arange(0, rows.shape[-1], step, device=rows.device)


def moment_distance(data: Moments, chains: Moments) -> MomentDistance:
    """How far the chains' moments are from the data's.

    Raises
    ------
    ValueError
        If their numbers of columns differ, or if one of them has a single independent group of
        rows, so that its noise is unknown.
    """
    if data.mean.shape != chains.mean.shape:
        raise ValueError(
            f"the data have {len(data.mean)} columns and the chains {len(chains.mean)}; pass "
            "moments of the same columns"
        )
    for name, of in (("data", data), ("chains", chains)):
        if of.mean_error.isnan().any():
            raise ValueError(
                f"the {name} are a single independent row or chain, so that the noise of their "
                "moments is not known; pass 2 or more"
            )
    means = Distance(
        rms=_rms(chains.mean - data.mean),
        noise=_rms(data.mean_error, chains.mean_error),
        scale=_rms(data.covariance.diagonal().sqrt()),
    )
    if len(data.columns) < 2:
        return MomentDistance(means, None)
    ours, theirs, our_error, their_error = (
        _pairs(matrix)
        for matrix in (
            data.covariance,
            chains.covariance,
            data.covariance_error,
            chains.covariance_error,
        )
    )
    covariances = Distance(
        rms=_rms(theirs - ours),
        noise=_rms(our_error, their_error),
        scale=math.sqrt(max(0.0, _rms(ours) ** 2 - _rms(our_error) ** 2)),
    )
    return MomentDistance(means, covariances)


def _rms(*parts: Tensor) -> float:
    """Root mean square of a sum of independent parts."""
    return math.sqrt(sum(part.square().mean().item() for part in parts))


def _pairs(matrix: Tensor) -> Tensor:
    """The entries above the diagonal."""
    n = len(matrix)
    upper = torch.ones(n, n, dtype=torch.bool, device=matrix.device).triu(1)
    return matrix[upper]
