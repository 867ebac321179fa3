"""Results of ``harmonium fidelity``, from its newest folder in the run: tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harmonium.metrics import MEASURES
from harmonium.report.facts import Facts
from harmonium.report.pictures import picture
from harmonium.report.pieces import Section, Table, minus
from harmonium.run_directory import FIDELITY_MARK

_WHOLE = ("rows", "copies")

Content = Mapping[str, Any]


def section(facts: Facts) -> Section | None:
    """Samples beside data; None if nothing was measured."""
    found = facts.run.path.glob("fidelity*/fidelity.json")
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        content = facts.json(path)
        if content is not None and content.get("kind") == FIDELITY_MARK:
            shown = {
                "facts": facts,
                "folder": path.parent.name,
                "measured": content,
                "tables": [_indented(table) for table in tables(content)],
                "pictures": [picture(each) for each in sorted(path.parent.glob("*.png"))],
            }
            return Section("fidelity", "Samples beside data", "fidelity", shown)
    return None


def tables(content: Content) -> Iterator[Table]:
    """All measures, for the terminal and for a page."""
    measures, likelihoods = content["measures"], content.get("log_likelihood")
    rows = [
        [what, *(_cell(key, of) for of in measures.values())]
        for key, what in MEASURES.items()
        if any(key in of for of in measures.values())
    ]
    yield Table("Beside the training rows", ["", *measures], rows)
    if likelihoods:
        whose = "held-out" if "held-out" in measures else "training"
        of_rows = f"{likelihoods['independent']['rows']:,} {whose} rows"
        bounds = [[name, _interval(of)] for name, of in likelihoods.items()]
        yield Table("Mean log-likelihood, nats a row", ["", of_rows], bounds)


def _indented(table: Table) -> Table:
    """With wide spaces in front of names, which browsers keep, and minus signs."""
    rows = [[name.replace("  ", "\u2003"), *map(minus, cells)] for name, *cells in table.rows]
    return replace(table, rows=rows)


def _cell(key: str, of: Mapping[str, float | None]) -> str:
    value = of.get(key)
    if value is None:  # not measured, or not a number
        return "unknown" if key in of else ""
    return f"{value:,.0f}" if key in _WHOLE else f"{value:.4g}"


def _interval(of: Mapping[str, float | None]) -> str:
    """From the lower bound to the upper one; where they agree, with the error of log Z."""
    lower, upper, error = of["lower"], of["upper"], of.get("upper_std_error")
    if lower is None:
        return f"at most {upper:.3f}"
    if lower != upper:
        return f"{lower:.3f} … {upper:.3f}"
    return f"{upper:.3f} ± {error:.3f}" if error else f"{upper:.3f}"
