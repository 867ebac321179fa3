"""The log-likelihood from ``harmonium evaluate``: an interval, and its meaning."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.metrics import with_error
from harmonium.report.facts import Facts
from harmonium.report.pieces import Section, Table, minus

FloatArray = NDArray[np.float64]


def results(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """Intervals by the name of the rows; other content of the file is ignored."""
    return {name: of for name, of in _all(facts).items() if _is_number(of.get("lower"))}


def without_lower_bound(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """Results whose estimates disagreed, by the name of the rows; they have only an upper bound."""
    return {name: of for name, of in _all(facts).items() if of.get("trusted") is False}


def row_values(path: Path) -> dict[str, FloatArray]:
    """Minus the free energies of rows by digest of the rows; empty if the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def weights_name(digest: str) -> str:
    """Under which name the weights of rows are stored, if they have some."""
    return f"{digest}.weights"


def row_differences(a: Facts, b: Facts, data: str) -> tuple[FloatArray, FloatArray | None] | None:
    """For each row, its log-likelihood under a minus that under b, without both log Z.

    With it come the weights of the rows, or None for rows that count alike; None alone if the two
    were not evaluated on the same rows.
    """
    digests = {str(_all(facts).get(data, {}).get("rows_digest")) for facts in (a, b)}
    digest = digests.pop()
    both = [row_values(facts.run.row_values_path) for facts in (a, b)]
    of_a, of_b = (values.get(digest) for values in both)
    if digests or of_a is None or of_b is None:
        return None
    return (of_a - of_b, both[0].get(weights_name(digest))) if of_a.shape == of_b.shape else None


def _all(facts: Facts) -> dict[str, Mapping[str, Any]]:
    content = facts.json(facts.run.likelihood_path) or {}
    found = content.get("results")
    if not isinstance(found, dict):
        return {}
    return {
        name: of
        for name, of in found.items()
        if isinstance(of, dict)
        and _is_number(of.get("upper"))
        and (_is_number(of.get("lower")) or of.get("trusted") is False)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def interval(of: Mapping[str, Any]) -> str:
    """Lower and upper bound, nats per row; one number if exact, or if both print the same.

    Bounds from an earlier harmonium may be in reverse order, because each has a standard error.
    """
    if of.get("lower") is None:
        return minus(f"at most {of['upper']:.2f}")
    lower, upper = sorted((of["lower"], of["upper"]))
    error = of.get("upper_std_error")
    if lower == upper and error and not of.get("exact"):
        return minus(with_error(upper, error))
    if of.get("exact") or f"{lower:.2f}" == f"{upper:.2f}":
        return minus(f"{lower:.2f}")
    return minus(f"{lower:.2f} … {upper:.2f}")


def section(facts: Facts) -> Section:
    """The known likelihoods, or the command that computes them."""
    found = results(facts)
    every = found | without_lower_bound(facts)
    header = ("rows", "number", "log-likelihood, nats a row", "± lower", "± upper", "update")
    rows = [
        (
            name,
            _rows(of),
            interval(of),
            _error(of.get("lower_std_error")),
            _error(of.get("upper_std_error")),
            _count(of.get("update")),
        )
        for name, of in every.items()
    ]
    shown = {"facts": facts, "found": found, "every": every, "table": Table("", header, rows)}
    return Section("likelihood", "Log-likelihood", "likelihood", shown)


def scale(intervals: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Whole nats that enclose all intervals, as the ends of a common scale."""
    every = list(intervals)
    lowest, highest = min(of["lower"] for of in every), max(of["upper"] for of in every)
    pad = max(0.25 * (highest - lowest), 0.5)
    return math.floor(lowest - pad), math.ceil(highest + pad)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _rows(of: Mapping[str, Any]) -> str:
    """How many rows, of how many, and how many of equal weight they count as."""
    n, effective = _count(of.get("rows")), of.get("effective_rows")
    if isinstance(there := of.get("drawn_from"), int):
        n += f" of {there:,}"
    return f"{n} (as {effective:,.1f} of equal weight)" if _is_number(effective) else n


def same_rows(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two results are of as many rows, which count as many of equal weight."""
    return all(a.get(key) == b.get(key) for key in ("rows", "effective_rows"))


def _error(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"
