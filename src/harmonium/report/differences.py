"""Differences between runs in the log-likelihood of the same rows, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from harmonium.metrics import interval
from harmonium.report import likelihood
from harmonium.report.facts import Facts


@dataclass(frozen=True)
class RunDifference:
    """The log-likelihood of rows under run ``a`` minus that under run ``b``, nats per row.

    Attributes
    ----------
    data
        Name of the rows.
    a, b
        Names of the runs.
    lower, upper
        Bounds for these rows; None if a log-likelihood has no lower bound.
    lower_std_error, upper_std_error
        Their standard errors, from both log Z; None if there is no bound.
    rows_std_error
        Standard error of the difference for other rows of the same kind; most of the rows' noise
        cancels in it. None if the runs were evaluated before this was stored.
    n_rows
        Number of rows in the mean.
    """

    data: str
    a: str
    b: str
    lower: float | None
    upper: float | None
    lower_std_error: float | None
    upper_std_error: float | None
    rows_std_error: float | None
    n_rows: int

    def __str__(self) -> str:
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        return interval(lower, self.lower_std_error or 0.0, upper, self.upper_std_error or 0.0)


def differences(named: Mapping[str, Facts]) -> Iterator[RunDifference]:
    """The differences of all pairs of runs, on all rows on which both were evaluated."""
    for a, b in combinations(named, 2):
        found = [likelihood.results(named[name]) for name in (a, b)]
        unknown = [likelihood.without_lower_bound(named[name]) for name in (a, b)]
        of_a, of_b = (known | others for known, others in zip(found, unknown, strict=True))
        for data in of_a:
            if data in of_b and likelihood.same_rows(of_a[data], of_b[data]):
                yield _difference(data, (a, of_a[data]), (b, of_b[data]), named)


def rows_std_error(a: Facts, b: Facts, data: str) -> float | None:
    """Standard error of the mean difference of two runs due to the choice of rows."""
    by_row = likelihood.row_differences(a, b, data)
    if by_row is None or len(by_row[0]) < 2:
        return None
    differences, weights = by_row
    if weights is None:
        return float(differences.std(ddof=1) / math.sqrt(len(differences)))
    import torch

    from harmonium.datasets import WeightedRows

    rows = WeightedRows(torch.from_numpy(differences), torch.from_numpy(weights))
    return rows.mean(rows.states)[1]


def _difference(
    data: str,
    a: tuple[str, Mapping[str, Any]],
    b: tuple[str, Mapping[str, Any]],
    named: Mapping[str, Facts],
) -> RunDifference:
    (name_a, of_a), (name_b, of_b) = a, b
    lower, lower_error = _between(of_a, "lower", of_b, "upper")
    upper, upper_error = _between(of_a, "upper", of_b, "lower")
    return RunDifference(
        data=data,
        a=name_a,
        b=name_b,
        lower=lower,
        upper=upper,
        lower_std_error=lower_error,
        upper_std_error=upper_error,
        rows_std_error=rows_std_error(named[name_a], named[name_b], data),
        n_rows=int(of_a["rows"]),
    )


def _between(
    a: Mapping[str, Any], side: str, b: Mapping[str, Any], other: str
) -> tuple[float | None, float | None]:
    """One end of a difference, and its standard error."""
    if a.get(side) is None or b.get(other) is None:
        return None, None
    errors = (a.get(f"{side}_std_error") or 0.0, b.get(f"{other}_std_error") or 0.0)
    return a[side] - b[other], math.hypot(*errors)
