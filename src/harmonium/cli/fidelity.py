"""The command ``harmonium fidelity``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking, lines_of
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import FidelityOptions
from harmonium.runs.rows import ReadingOptions


@asking(FidelityOptions, WHERE, ReadingOptions)
def fidelity(asked: Asked, options: FidelityOptions, reading: ReadingOptions) -> Lines:
    """Measure samples beside data: nearest neighbours, frequencies, correlations.

    Draws samples of the model and compares them with training rows: are they told apart, do they
    copy, do correlations agree, and what else suits the units. Held-out rows are measured in the
    same way, and show what noise alone does; so are files of samples of other models.
    """
    from harmonium import report
    from harmonium.runs.answers import fidelity

    found = fidelity.measure(asked, options, reading)
    for table in report.fidelity.tables(found.content):
        yield from lines_of(table)
    yield f"\nfolder    {found.folder} (tables and {len(found.pictures)} pictures)"
    yield f"page      {found.page}"
    return found.as_dict()
