"""The command ``harmonium diagnose``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking, lines_of
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import DiagnosisOptions


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
        yield from lines_of(table)
    for one in found.advice:
        yield f"\n{one.severity}: {one}"
    if not found.advice:
        yield f"\n{report.diagnosis.ALL_WELL}"
    yield f"\npage      {found.page}"
    yield f"numbers   {found.path}"
    return found.as_dict()
