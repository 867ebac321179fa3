"""The command ``harmonium diagnose``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import DiagnosisOptions

if TYPE_CHECKING:
    from harmonium.report import Table


@asking(DiagnosisOptions, WHERE)
def diagnose(asked: Asked, options: DiagnosisOptions) -> Lines:
    """Diagnose a run and suggest remedies: a table, advice, and a section of RUN/report.html.

    Measures how fast chains mix and whether they agree, how their moments differ from those of the
    data, idle hidden units, and overfitting. Replaces an earlier diagnosis.
    """
    from harmonium import report
    from harmonium.runs.answers import diagnose

    found = diagnose.diagnose(asked, options)
    for table in report.diagnosis.tables(found.content):
        yield from _lines(table)
    for one in found.advice:
        yield f"\n{one.severity}: {one}"
    if not found.advice:
        yield f"\n{report.diagnosis.ALL_WELL}"
    yield f"\npage      {found.page}"
    yield f"numbers   {found.path}"
    return found.as_dict()


def _lines(table: Table) -> Iterator[str]:
    cells = [row for row in (table.header, *table.rows) if any(row)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    yield f"\n{table.title}"
    for row in cells:
        yield "  " + "  ".join(f"{cell:{n}}" for cell, n in zip(row, widths, strict=True)).rstrip()
