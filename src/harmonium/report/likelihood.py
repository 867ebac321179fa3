"""The log-likelihood that ``harmonium evaluate`` has found: an interval, and what it means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harmonium.report.facts import Facts
from harmonium.report.markup import Note, Section, Table, minus, sentence, text


def results(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """Intervals by the name of the rows; what else a file of that name holds is left alone."""
    content = facts.json(facts.run.likelihood_path) or {}
    found = content.get("results")
    if not isinstance(found, dict):
        return {}
    return {
        name: of
        for name, of in found.items()
        if isinstance(of, dict)
        and all(isinstance(of.get(side), int | float) for side in ("lower", "upper"))
    }


def interval(of: Mapping[str, Any]) -> str:
    """Lower and upper bound, nats a row; one number if it is exact or the two look the same.

    Bounds that are close may have changed sides, for each has a standard error.
    """
    lower, upper = sorted((of["lower"], of["upper"]))
    if of.get("exact") or f"{lower:.2f}" == f"{upper:.2f}":
        return minus(f"{lower:.2f}")
    return minus(f"{lower:.2f} … {upper:.2f}")


def section(facts: Facts) -> Section:
    """What is known of the likelihood, or the command that finds it."""
    found = results(facts)
    if not found:
        return Section(
            "likelihood",
            "Log-likelihood",
            "Not measured yet. How probable the model makes rows that it has never seen, in nats, "
            f"is found by `harmonium evaluate {facts.typed_path}`: exactly where a layer is small, "
            "else between two bounds.",
            "",
        )
    low, high = scale(list(found.values()))
    body = "".join(bar(name, of, low, high, "var(--accent)") for name, of in found.items())
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
        for name, of in found.items()
    ]
    body += Table("", header, rows).html()
    for name, of in found.items():
        for warning in of.get("warnings") or []:
            body += Note(f"{name}: a warning", sentence(warning), "worth a look").html()
        if of.get("update") not in (None, facts.done):
            body += Note(
                f"{name}: of an earlier model",
                f"Measured after update {of['update']:,}; the run has gone on to update "
                f"{facts.done:,}.",
            ).html()
    return Section("likelihood", "Log-likelihood", _meaning(found), body)


def _meaning(found: Mapping[str, Mapping[str, Any]]) -> str:
    name, of = next(iter(found.items()))
    middle = (of["lower"] + of["upper"]) / 2
    exact = of.get("exact")
    bounds = (
        "The number is exact: one layer is small enough to sum over all of its states."
        if exact
        else "The true mean lies between both bounds, but for their standard errors: the lower one "
        "is found by RAISE, the upper one by annealed importance sampling. The narrower the "
        "interval, the better it was measured; the further to the right, the better the model."
    )
    return (
        f"By this model a row of {name} has the probability exp({minus(f'{middle:.1f}')}), in the "
        f"geometric mean: to tell which row it is takes {-middle / math.log(2):.1f} bits. {bounds}"
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
