"""The log-likelihood that ``harmonium evaluate`` has found: an interval, and what it means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harmonium.report.facts import Facts
from harmonium.report.markup import Note, Section, Table, text


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
    """Lower and upper bound, or the exact value, nats a row."""
    lower, upper = of["lower"], of["upper"]
    if of.get("exact"):
        return f"{lower:.2f}"
    return f"{lower:.2f} … {upper:.2f}"


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
    body = "".join(_bar(name, of, found) for name, of in found.items())
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
            body += Note(f"{name}: a warning", f"{warning}.", "worth a look").html()
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
        f"A row of {name} has, by this model, the probability exp({middle:.1f}) in the geometric "
        f"mean: it takes {-middle / math.log(2):.1f} bits to tell which row it is. {bounds}"
    )


def _bar(name: str, of: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> str:
    """The interval on a line that is the same for all rows of this run."""
    lowest = min(each["lower"] for each in found.values())
    highest = max(each["upper"] for each in found.values())
    pad = max(0.25 * (highest - lowest), 0.5)
    low, high = math.floor(lowest - pad), math.ceil(highest + pad)
    left = 100 * (of["lower"] - low) / (high - low)
    width = max(0.6, 100 * (of["upper"] - of["lower"]) / (high - low))
    return (
        f'<div class="interval"><p><span>{text(name)}</span><b>{interval(of)}</b></p>'
        f'<div class="scale" role="img" aria-label="between {low} and {high} nats a row">'
        f'<i style="left:{left:.2f}%;width:{width:.2f}%"></i></div>'
        f'<p class="ends"><span>{low}</span><span>{high} nats a row</span></p></div>'
    )


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _error(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"
