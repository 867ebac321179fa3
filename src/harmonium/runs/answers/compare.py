"""Runs side by side on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harmonium import report
from harmonium.report import RunDifference
from harmonium.run_directory import RunDirectory
from harmonium.runs.answers.asked import Answer


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """Several runs, compared.

    Attributes
    ----------
    page
        The page that shows them side by side.
    verdict
        Which of them is best, in words.
    differences
        Differences of mean log-likelihoods of each pair, on the rows that both were evaluated on.
    """

    page: Path
    verdict: str
    differences: Sequence[RunDifference]

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        told = [asdict(one) for one in self.differences]
        return {
            "page": str(self.page),
            "verdict": self.verdict,
            **({"differences": told} if told else {}),
        }


def compare(runs: Sequence[RunDirectory], out: Path) -> Comparison:
    """Compare runs, and write the page.

    Raises
    ------
    FileExistsError, ValueError
        If the file is not ours, or there are too few or too many runs.
    """
    page = report.write_comparison(list(runs), out)
    return Comparison(page, report.verdict_of(runs), report.differences_of(runs))
