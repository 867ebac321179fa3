"""All measures of sets of rows beside data, by one reference, so that all of them compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from harmonium import defaults
from harmonium.fidelity.activity import Activity, activity
from harmonium.fidelity.components import Components, principal_components
from harmonium.fidelity.linkage import Linkage, linkage
from harmonium.fidelity.moments import (
    Agreement,
    frequency_agreement,
    pair_agreement,
    triple_agreement,
)
from harmonium.fidelity.neighbours import (
    ClosestRecords,
    adversarial_accuracy,
    closest_records,
    privacy_loss,
)
from harmonium.fidelity.rows import checked, gap_of, sites_of, thinned
from harmonium.metrics import MEASURES
from harmonium.units import Units

_NEAR = 0.05  # the share of held-out rows that counts as near


@dataclass(frozen=True)
class Measured:
    """One set of rows, measured against a `Reference`.

    Attributes
    ----------
    numbers
        By the names in `MEASURES`; what cannot be measured is missing.
    frequencies, pairs
        Means of columns and covariances of pairs; no pairs of a single unit.
    nearest
        Distances to the nearest training rows.
    linked, active
        Of two-valued units in a line; else None.
    coordinates : Tensor, shape (n_rows, 2)
        On the principal components of the training rows; None if these do not vary.
    """

    numbers: Mapping[str, float]
    frequencies: Agreement
    pairs: Agreement | None
    nearest: ClosestRecords
    linked: Linkage | None
    active: Activity | None
    coordinates: Tensor | None


@dataclass(frozen=True)
class Reference:
    """Rows that others are measured against, and what is found of them once.

    Attributes
    ----------
    train : Tensor, shape (n_rows, n_columns)
        Training rows, in a random order.
    weights : Tensor, shape (n_rows,)
        Their weights in frequencies and covariances; None weights all equally.
    alike : Tensor, shape (n_alike, n_columns)
        Training rows that count alike (`thinned`): what neighbours, linkage, active units and
        components are compared with. Without weights, all of them.

    held_out : Tensor, shape (n_held_out, n_columns)
        The yardstick: rows of the same source; None if there are none.
    n_rows
        Most rows of each set whose neighbours are counted.
    sites, gap
        The unit of each column, and the squared distance of two of its states (`sites_of`,
        `gap_of`).
    high
        The state of an active unit, if units are two-valued; else None.
    positions
        Where columns stand in a line, shape (n_columns,); by default, their numbers.
    near
        Distance to the nearest training row that 5 % of the held-out rows do not exceed.
    linked, active, components
        Of the training rows.
    """

    train: Tensor
    weights: Tensor | None
    alike: Tensor
    held_out: Tensor | None
    n_rows: int
    sites: Tensor
    gap: float
    high: float | None
    positions: Tensor | None
    near: float | None
    linked: Linkage | None
    active: Activity | None
    components: Components | None

    @classmethod
    def of(
        cls,
        train: Tensor,
        visible: Units,
        held_out: Tensor | None = None,
        *,
        weights: Tensor | None = None,
        n_rows: int = defaults.FIDELITY_ROWS,
        is_line: bool = True,
        positions: Tensor | None = None,
        seed: int = defaults.SEED,
    ) -> Self:
        """The reference of states of these units.

        Parameters
        ----------
        train, held_out
            States, shape (n_rows, visible.n_columns). Where only the first ``n_rows`` are taken,
            they should be in a random order. Held-out rows count alike (`thinned`).
        visible
            The units: their states decide what is measured.
        weights
            Of the training rows.
        n_rows
            Most rows whose neighbours are counted.
        is_line
            Whether columns stand in a line, as sites of a genome or neurons do and pixels of a
            picture do not: then two-valued ones have linkage, and a number of active units.
        positions
            Where columns stand in the line.
        seed
            Of the training rows that are kept as ``alike``.

        Raises
        ------
        TypeError, ValueError
            If these are no such rows.
        """
        checked(train, "the training rows", visible.n_columns, 2)
        gap, states = gap_of(visible), visible.groups[0][1].states
        two = is_line and states is not None and states.shape == (2, 1) and gap > 0
        high = float(states.max()) if two and states is not None else None
        near = None
        if held_out is not None:
            checked(held_out, "the held-out rows", visible.n_columns)
            near = closest_records(held_out, train, gap=gap).quantile(_NEAR)
        n, alike = train.shape[1], thinned(train, weights, seed)
        varies = n > 1 and len(alike) > 2 and bool((alike != alike[0]).any())
        return cls(
            train=train,
            weights=weights,
            alike=alike,
            held_out=held_out,
            n_rows=n_rows,
            sites=sites_of(visible),
            gap=gap,
            high=high,
            positions=positions,
            near=near,
            linked=linkage(alike, positions) if high is not None and n > 1 else None,
            active=None if high is None else activity(alike, high),
            components=principal_components(alike) if varies else None,
        )

    def measure(self, rows: Tensor, seed: int = defaults.SEED) -> Measured:
        """Measure rows of the same columns; ``seed`` draws the triples.

        Held-out rows, measured like samples, show what noise alone does.

        Raises
        ------
        TypeError, ValueError
            If these are no such rows, or fewer than two.
        """
        train, weights = self.train, self.weights
        checked(rows, "rows", train.shape[1], 2)
        n = min(len(rows), len(self.alike), self.n_rows)
        told = adversarial_accuracy(rows[:n], self.alike[:n])
        nearest = closest_records(rows, train, gap=self.gap)
        frequencies = frequency_agreement(rows, train, weights)
        numbers = {
            "rows": float(len(rows)),
            "adversarial_accuracy": told.value,
            "adversarial_accuracy_std_error": told.std_error,
            "adversarial_accuracy_truth": told.truth,
            "adversarial_accuracy_synthetic": told.synthetic,
            "nearest_median": nearest.median,
            "copies": float(nearest.copies),
            "frequencies_correlation": frequencies.correlation,
            "frequencies_rmse": frequencies.rmse,
        }
        held_out = self.held_out
        if held_out is not None and held_out is not rows and len(held_out) > 1:
            n = min(n, len(held_out))
            numbers["privacy_loss"] = privacy_loss(rows[:n], self.alike[:n], held_out[:n])
        if self.near is not None:
            numbers["nearest_share_below"] = nearest.share_below(self.near)
        n_units = int(self.sites[-1]) + 1
        pairs = None
        if n_units > 1:
            pairs = pair_agreement(rows, train, self.sites, weights)
            numbers["pairs_correlation"] = pairs.correlation
            numbers["pairs_slope"], numbers["pairs_rmse"] = pairs.slope, pairs.rmse
        if n_units > 2:
            triples = triple_agreement(rows, train, self.sites, weights, seed=seed)
            numbers["triples_correlation"] = triples.correlation
        linked = active = coordinates = None
        if self.linked is not None:
            linked = linkage(rows, self.positions, edges=self.linked.edges)
            gaps = (linked.r2 - self.linked.r2).square()
            numbers["linkage_rmse"] = gaps.nanmean().sqrt().item()
        if self.active is not None and self.high is not None:
            active = activity(rows, self.high)
            numbers["active_mean"], numbers["silent"] = active.mean, active.silent
            numbers["active_distance"] = active.distance(self.active)
        if self.components is not None:
            coordinates = self.components.project(rows)
            spread = coordinates.var(0, correction=0) / self.components.variances
            numbers |= {f"variance_{i}": x for i, x in enumerate(spread.tolist(), 1)}
        ordered = {key: numbers[key] for key in MEASURES if key in numbers}
        return Measured(ordered, frequencies, pairs, nearest, linked, active, coordinates)
