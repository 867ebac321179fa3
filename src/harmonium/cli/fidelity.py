"""The command ``harmonium fidelity``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmonium.cli.asking import Lines, asking, lines_of
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import FidelityOptions
from harmonium.runs.rows import ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harmonium.report import Table
    from harmonium.runs.answers.fidelity import Fidelity

_WHOLE = ("rows", "copies")


@asking(FidelityOptions, WHERE, ReadingOptions)
def fidelity(asked: Asked, options: FidelityOptions, reading: ReadingOptions) -> Lines:
    """Measure samples beside data: nearest neighbours, frequencies, correlations.

    Draws samples of the model and compares them with training rows: are they told apart, do they
    copy, do correlations agree, and what else suits the units. Held-out rows are measured in the
    same way, and show what noise alone does; so are files of samples of other models.
    """
    from harmonium.runs.answers import fidelity

    found = fidelity.measure(asked, options, reading)
    for table in _tables(found):
        yield from lines_of(table)
    yield f"\nfolder    {found.folder} (tables and {len(found.pictures)} pictures)"
    return found.as_dict()


def _tables(found: Fidelity) -> list[Table]:
    from harmonium.fidelity import MEASURES
    from harmonium.report import Table

    names = list(found.measures)
    rows = [
        [what, *(_cell(key, of) for of in found.measures.values())]
        for key, what in MEASURES.items()
        if any(key in of for of in found.measures.values())
    ]
    tables = [Table("Beside the training rows", ["", *names], rows)]
    if found.log_likelihood:
        whose = "held-out" if "held-out" in names else "training"
        of_rows = f"{found.log_likelihood['independent']['rows']:,} {whose} rows"
        bounds = [[name, _interval(of)] for name, of in found.log_likelihood.items()]
        tables.append(Table("Mean log-likelihood, nats a row", ["", of_rows], bounds))
    return tables


def _cell(key: str, of: Mapping[str, float]) -> str:
    if key not in of:
        return ""
    return f"{of[key]:,.0f}" if key in _WHOLE else f"{of[key]:.4g}"


def _interval(of: Mapping[str, float | None]) -> str:
    """From the lower bound to the upper one; where they agree, with the error of log Z."""
    lower, upper, error = of["lower"], of["upper"], of.get("upper_std_error")
    if lower is None:
        return f"at most {upper:.3f}"
    if lower != upper:
        return f"{lower:.3f} … {upper:.3f}"
    return f"{upper:.3f} ± {error:.3f}" if error else f"{upper:.3f}"
