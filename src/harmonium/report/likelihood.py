"""The log-likelihood that ``harmonium evaluate`` has found: an interval, and what it means."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.metrics import with_error
from harmonium.report.facts import Facts
from harmonium.report.markup import Note, Section, Table, minus, sentence, text

FloatArray = NDArray[np.float64]


def results(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """Intervals by the name of the rows; what else a file of that name holds is left alone."""
    return {name: of for name, of in _all(facts).items() if _is_number(of.get("lower"))}


def without_lower_bound(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """Results whose estimates did not agree, by the name of the rows: there is an upper bound."""
    return {name: of for name, of in _all(facts).items() if of.get("trusted") is False}


def row_values(path: Path) -> dict[str, FloatArray]:
    """Minus the free energies of rows by digest of the rows; none where a file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def row_differences(a: Facts, b: Facts, data: str) -> FloatArray | None:
    """Of each row, by how much its log-likelihood is higher by a, but for both log Z.

    None where the two were not evaluated on the same rows.
    """
    digests = {str(_all(facts).get(data, {}).get("rows_digest")) for facts in (a, b)}
    digest = digests.pop()
    values = [row_values(facts.run.row_values_path).get(digest) for facts in (a, b)]
    of_a, of_b = values
    if digests or of_a is None or of_b is None:
        return None
    return of_a - of_b if of_a.shape == of_b.shape else None


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
    """Lower and upper bound, nats a row; one number if it is exact or the two look the same.

    Bounds that an earlier harmonium found may have changed sides, for each has a standard error.
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
    """What is known of the likelihood, or the command that finds it."""
    found, unknown = results(facts), without_lower_bound(facts)
    every = found | unknown
    if not every:
        return Section(
            "likelihood",
            "Log-likelihood",
            "Not measured yet. How probable the model makes rows that it has never seen, in nats, "
            f"is found by `harmonium evaluate {facts.typed_path}`: exactly where a layer is small, "
            "else as an interval.",
            "",
        )
    body = ""
    if found:
        low, high = scale(list(found.values()))
        body += "".join(bar(name, of, low, high, "var(--accent)") for name, of in found.items())
    header = ("rows", "number", "log-likelihood, nats a row", "± lower", "± upper", "update")
    rows = [
        (
            name,
            _count(of.get("rows")),
            interval(of),
            _error(of.get("lower_std_error")),
            _error(of.get("upper_std_error")),
            _count(of.get("update")),
        )
        for name, of in every.items()
    ]
    body += Table("", header, rows).html()
    for name, of in every.items():
        title = f"{name}: a warning" if name in found else f"{name}: no lower bound"
        for warning in of.get("warnings") or []:
            body += Note(title, sentence(warning), "worth a look").html()
        if of.get("update") not in (None, facts.done):
            body += Note(
                f"{name}: of an earlier model",
                f"Measured after update {of['update']:,}; the run has gone on to update "
                f"{facts.done:,}.",
            ).html()
    return Section("likelihood", "Log-likelihood", _meaning(found or every), body)


def _meaning(found: Mapping[str, Mapping[str, Any]]) -> str:
    name, of = next(iter(found.items()))
    if of.get("lower") is None:
        most = minus(f"{of['upper']:.1f}")
        return (
            f"By this model a row of {name} has at most the probability exp({most}), in the "
            "geometric mean. How much less, the estimates do not say, because they do not agree."
        )
    middle = (of["lower"] + of["upper"]) / 2
    return (
        f"By this model a row of {name} has the probability exp({minus(f'{middle:.1f}')}), in the "
        f"geometric mean: to tell which row it is takes {-middle / math.log(2):.1f} bits. "
        f"{_certainty(of)}"
    )


def _certainty(of: Mapping[str, Any]) -> str:
    if of.get("exact"):
        return "The number is exact: one layer is small enough to sum over all of its states."
    if not of.get("rests_on"):
        return (
            "The true mean lies between both bounds as far as the annealing was slow enough, which "
            "an earlier harmonium did not check: evaluate the run anew."
        )
    return (
        "The truth lies within two standard errors 19 times out of 20, as far as independent "
        f"estimates show, which agree. It rests on {of['rests_on']}."
    )


def scale(intervals: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Whole nats around all of some intervals, so that each has its place on one line."""
    lowest = min(of["lower"] for of in intervals)
    highest = max(of["upper"] for of in intervals)
    pad = max(0.25 * (highest - lowest), 0.5)
    return math.floor(lowest - pad), math.ceil(highest + pad)


def bar(name: str, of: Mapping[str, Any], low: int, high: int, colour: str) -> str:
    """An interval on a line from ``low`` to ``high`` nats a row."""
    left = 100 * (of["lower"] - low) / (high - low)
    # what is exact has to be seen, too
    width = max(0.8, 100 * (of["upper"] - of["lower"]) / (high - low))
    ends = minus(f"<span>{low}</span><span>{high} nats a row</span>")
    return (
        f'<div class="interval"><p><span>{text(name)}</span><b>{interval(of)}</b></p>'
        f'<div class="scale" role="img" aria-label="on a line from {low} to {high} nats a row">'
        f'<i style="left:{left:.2f}%;width:{width:.2f}%;background:{colour}"></i></div>'
        f'<p class="ends">{ends}</p></div>'
    )


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _error(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"
