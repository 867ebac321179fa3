"""Nearest neighbours: whether samples are told apart from data, and whether they copy them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.fidelity.rows import checked

# Distances held at a time: 16 MB of float32.
_BLOCK = 1 << 22

# Sums of products of whole numbers are exact in float32 up to here.
_EXACT = 1 << 24


@dataclass(frozen=True)
class AdversarialAccuracy:
    """How well a nearest-neighbour classifier tells samples from data; 0.5 is not at all.

    Attributes
    ----------
    truth
        Share of the data's rows that are nearer to another row of the data than to any sample.
        Below 0.5, samples lie closer to the data than the data to each other.
    synthetic
        Share of the samples that are nearer to another sample than to any row of the data. Above
        0.5, samples are more alike than data are.
    std_error
        Of ``value``, as if rows were independent; neighbours shared by rows make it a little
        larger.
    n_rows
        Rows of each set.
    """

    truth: float
    synthetic: float
    std_error: float
    n_rows: int

    @property
    def value(self) -> float:
        """The mean of both parts."""
        return (self.truth + self.synthetic) / 2


@dataclass(frozen=True)
class ClosestRecords:
    """How close rows are to the nearest of the training rows.

    Attributes
    ----------
    distances : Tensor, shape (n_rows,)
        Distance of each row to the nearest training row: the number of units whose state differs,
        if units are discrete, else Euclidean.
    median
        Of the distances.
    copies
        Number of rows that are equal to a training row.
    """

    distances: Tensor
    median: float
    copies: int

    def share_below(self, distance: float) -> float:
        """Share of the rows that are closer than a distance."""
        return (self.distances < distance).double().mean().item()

    def quantile(self, share: float) -> float:
        """The distance that this share of the rows does not exceed."""
        return self.distances.double().quantile(share, interpolation="higher").item()


@torch.no_grad()
def nearest(rows: Tensor, others: Tensor, *, same: bool = False) -> Tensor:
    """Squared Euclidean distance of each row to the nearest of other rows, shape (n_rows,).

    For states that are whole numbers, as those of discrete units, products in float32 are exact,
    so that ties are ties; other states are compared in float64. Memory is bounded: distances are
    computed in blocks of rows.

    Parameters
    ----------
    rows
        Shape (n_rows, n_columns).
    others
        Shape (n_others, n_columns).
    same
        Whether ``others`` are the same rows, in the same order: then no row is its own neighbour.

    Raises
    ------
    TypeError, ValueError
        If they are no rows of the same columns, or if ``same``, and they differ in number or are
        fewer than two.
    """
    checked(rows, "rows")
    checked(others, "others", rows.shape[1], 2 if same else 1)
    if same and len(rows) != len(others):
        raise ValueError(
            f"rows are {len(rows)} and others {len(others)}, but `same` says that they are the "
            "same rows"
        )
    dtype = torch.float32 if _are_exact(rows) and _are_exact(others) else torch.float64
    others = others.to(dtype)
    sizes = others.square().sum(1)
    found = []
    n_rows = max(1, _BLOCK // len(others))
    for start in range(0, len(rows), n_rows):
        block = rows[start : start + n_rows].to(dtype)
        apart = torch.addmm(sizes, block, others.T, alpha=-2)
        if same:
            own = torch.arange(len(block), device=block.device)
            apart[own, start + own] = math.inf
        found.append(apart.min(1).values.add_(block.square().sum(1)).clamp_min_(0))
    return torch.cat(found)


def adversarial_accuracy(samples: Tensor, data: Tensor) -> AdversarialAccuracy:
    """Nearest-neighbour adversarial accuracy (AATS; Yale et al. 2020), with ties shared.

    For each row of the data, is the nearest other row of the data nearer than the nearest sample?
    And for each sample, is the nearest other sample nearer than the nearest row of the data? Where
    both are equally near, a row counts half: discrete rows have many ties, and counted for the
    other set, as a plain ``>`` does, they put two samples of one distribution far below 0.5.

    Parameters
    ----------
    samples, data
        Rows, shape (n_rows, n_columns) both: with unequal numbers of rows, the larger set would
        be the nearer one.

    Raises
    ------
    TypeError, ValueError
        If they are no rows of the same shape, or fewer than two.

    References
    ----------
    .. [1] A. Yale et al. (2020), "Generation and evaluation of privacy preserving synthetic health
       data", Neurocomputing 416, equation 1.
    """
    checked(data, "data", least=2)
    checked(samples, "samples", data.shape[1], 2)
    if len(samples) != len(data):
        raise ValueError(
            f"samples are {len(samples)} rows and data {len(data)}; pass as many of both, such as "
            f"the first {min(len(samples), len(data))}"
        )
    truth = _wins(nearest(data, data, same=True), nearest(data, samples))
    synthetic = _wins(nearest(samples, samples, same=True), nearest(samples, data))
    spread = truth.var(correction=0) + synthetic.var(correction=0)
    return AdversarialAccuracy(
        truth=truth.mean().item(),
        synthetic=synthetic.mean().item(),
        std_error=(spread / len(data)).sqrt().item() / 2,
        n_rows=len(data),
    )


def _wins(own: Tensor, other: Tensor) -> Tensor:
    """1 where a row's own set is nearer, ½ where both are equally near."""
    return (own < other).double().add_((own == other).double(), alpha=0.5)


def privacy_loss(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Adversarial accuracy against held-out rows, minus that against training rows.

    Samples that copy training rows are told apart from these less easily than from rows that the
    model has not seen: the difference is positive. All three have the same number of rows, and
    parameters and errors are those of `adversarial_accuracy`.
    """
    seen, unseen = (adversarial_accuracy(samples, data) for data in (train, held_out))
    return unseen.value - seen.value


def closest_records(rows: Tensor, train: Tensor, *, gap: float = 0.0) -> ClosestRecords:
    """The distance of each row to the nearest training row.

    Parameters
    ----------
    rows, train
        Shapes (n_rows, n_columns) and (n_train, n_columns).
    gap
        The squared distance between two different states of one unit (`gap_of`): distances are
        then numbers of units. By default, 0, distances are Euclidean.

    Raises
    ------
    TypeError, ValueError
        If they are no rows of the same columns.
    """
    squared = nearest(rows, train)
    distances = squared / gap if gap else squared.double().sqrt()
    middle = distances.double().quantile(0.5).item()
    return ClosestRecords(distances, middle, int((squared == 0).sum()))


def _are_exact(rows: Tensor) -> bool:
    """Whether all values are whole numbers so small that float32 adds up their products exactly."""
    if not rows.numel() or not rows.is_floating_point():
        rows = rows.float()
    most = rows.abs().max().item()
    if most * most * rows.shape[1] * 4 >= _EXACT:
        return False
    return all(bool((block == block.round()).all()) for block in rows.split(1000))
