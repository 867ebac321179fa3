"""One page of HTML for a run, or for several beside each other, that stands alone.

A page is made of what lies in the run directory and of nothing else: no model is loaded, nothing
is computed, and torch is not needed but for advice. It asks no network for anything, and says so
to the browser. Writing one takes some tens of milliseconds, so that it is renewed at every
checkpoint.

The modules give facts, and Jinja2's templates in ``templates`` make HTML of them. The curves are
drawn by uPlot (https://github.com/leeoniya/uPlot, MIT), which lies in ``assets`` as it was
published, with its licence; the rest of the script and the style are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harmonium.files import write_whole
from harmonium.report import comparison, diagnosis
from harmonium.report.comparison import check, comparison_of
from harmonium.report.differences import RunDifference
from harmonium.report.facts import Facts, Stage, data_name
from harmonium.report.likelihood import row_values
from harmonium.report.overfitting import HeldOut
from harmonium.report.pages import page_of
from harmonium.report.pieces import Page, Table
from harmonium.run_directory import REPORT_MARK, RunDirectory, refuse_foreign

__all__ = [
    "Facts",
    "HeldOut",
    "RunDifference",
    "Stage",
    "Table",
    "data_name",
    "diagnosis",
    "differences_of",
    "row_values",
    "verdict_of",
    "write",
    "write_comparison",
]


def write(
    run: RunDirectory,
    command: str,
    stage: Stage = "unknown",
    words: Callable[[str], str] = str,
) -> Path:
    """Write the page of a run, ``report.html``, whole or not at all; a former one is replaced.

    Parameters
    ----------
    run
        What to show: of one RBM, of a network, or of a fine-tuning, finished or not.
    command
        What begins it again, as it is typed; empty for a layer of a network.
    stage
        What the training does now, where that is known: a page says it of a run that is not
        finished.
    words
        Makes the door's own words of what the library says of options; by default they stay as
        they are in Python.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    FileExistsError
        If there is a file of this name that harmonium did not write.
    OSError
        As the file system says it.
    """
    return _write(run.report_path, page_of(Facts(run, stage, command, words)))


def write_comparison(runs: Sequence[RunDirectory], path: Path) -> Path:
    """Write a page with several runs beside each other, whole or not at all.

    Parameters
    ----------
    runs
        Two to eight, of any kinds.
    path
        Of the page; a former one is replaced.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    ValueError
        If the runs cannot be compared: too few or too many, one twice, or one without numbers.
    FileExistsError
        If there is a file of this name that harmonium did not write.
    OSError
        As the file system says it.
    """
    facts = [Facts(run, "unknown", "") for run in runs]
    check(facts)
    return _write(path, comparison_of(facts))


def verdict_of(runs: Sequence[RunDirectory]) -> str:
    """Which of several runs is better and by how much beyond its error, in one sentence.

    Parameters
    ----------
    runs
        Those of `write_comparison`, which has checked them.
    """
    return comparison.verdict_of([Facts(run, "unknown", "") for run in runs])


def differences_of(runs: Sequence[RunDirectory]) -> list[RunDifference]:
    """By how much runs differ in the log-likelihood of rows that they were evaluated on.

    Parameters
    ----------
    runs
        Those of `write_comparison`, which has checked them.
    """
    return comparison.differences_of([Facts(run, "unknown", "") for run in runs])


def _write(path: Path, page: Page) -> Path:
    from harmonium.report.rendering import render

    refuse_foreign(path, REPORT_MARK)
    write_whole(path, render(page.template, **page.facts).encode())
    return path
