"""One self-contained HTML page for a run, or for a comparison of several runs.

A page is made only from files in the run directory: no model is loaded, nothing is computed, and
torch is needed only for advice. The page makes no network requests, and tells the browser to allow
none. Writing it takes some tens of milliseconds, so it is updated at every checkpoint.

The modules collect facts, and the Jinja2 templates in ``templates`` render them as HTML. Curves are
drawn by uPlot (https://github.com/leeoniya/uPlot, MIT), which is included unchanged in ``assets``
with its licence; the rest of the script and the style are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harmonium.files import write_whole
from harmonium.report import comparison, diagnosis, fidelity
from harmonium.report.comparison import check, comparison_of
from harmonium.report.differences import RunDifference
from harmonium.report.facts import Facts, Stage, data_name
from harmonium.report.likelihood import row_values, weights_name
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
    "fidelity",
    "row_values",
    "verdict_of",
    "weights_name",
    "write",
    "write_comparison",
]


def write(
    run: RunDirectory,
    command: str,
    stage: Stage = "unknown",
    words: Callable[[str], str] = str,
) -> Path:
    """Write the page of a run, ``report.html``, atomically, replacing an existing one.

    Parameters
    ----------
    run
        The run to show: of one RBM, of a network, or of fine-tuning, finished or not.
    command
        The command that starts such a run again; empty for a layer of a network.
    stage
        The current state of training, if known, to show for an unfinished run.
    words
        Translates the spelling of options in messages of the library; by default, they stay as in
        Python.

    Returns
    -------
    Path
        Path of the page.

    Raises
    ------
    FileExistsError
        If there is a file with this name that harmonium did not write.
    OSError
        From the file system.
    """
    return _write(run.report_path, page_of(Facts(run, stage, command, words)))


def write_comparison(runs: Sequence[RunDirectory], path: Path) -> Path:
    """Write a page that compares several runs side by side, atomically.

    Parameters
    ----------
    runs
        Two to eight runs, of any kinds.
    path
        Of the page; an existing one is replaced.

    Returns
    -------
    Path
        Path of the page.

    Raises
    ------
    ValueError
        If the runs cannot be compared: too few or too many, one given twice, or one without
        numbers.
    FileExistsError
        If there is a file with this name that harmonium did not write.
    OSError
        From the file system.
    """
    facts = [Facts(run, "unknown", "") for run in runs]
    check(facts)
    return _write(path, comparison_of(facts))


def verdict_of(runs: Sequence[RunDirectory]) -> str:
    """Which of several runs is better, by how much and with what error, in one sentence.

    Parameters
    ----------
    runs
        As for `write_comparison`, which has checked them.
    """
    return comparison.verdict_of([Facts(run, "unknown", "") for run in runs])


def differences_of(runs: Sequence[RunDirectory]) -> list[RunDifference]:
    """Differences between runs in log-likelihood, on rows on which both were evaluated.

    Parameters
    ----------
    runs
        As for `write_comparison`, which has checked them.
    """
    return comparison.differences_of([Facts(run, "unknown", "") for run in runs])


def _write(path: Path, page: Page) -> Path:
    from harmonium.report.rendering import render

    refuse_foreign(path, REPORT_MARK)
    write_whole(path, render(page.template, **page.facts).encode())
    return path
