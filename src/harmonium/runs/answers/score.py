"""Scores of mutants: how much less probable than the wild type a model finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium import plots, sequences
from harmonium.datasets.alphabets import GAP
from harmonium.run_directory import REPORT_MARK, refuse_foreign
from harmonium.runs.answers.aligned import (
    frequencies_in,
    need_letters,
    wild_type_of,
)
from harmonium.runs.answers.archives import TABLE, target_of, write_table
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options import ScoringOptions
from harmonium.runs.answers.trained import open_trained
from harmonium.runs.following import write_page
from harmonium.sequences import MutantTable, WildType
from harmonium.sequences.files import read_mutants


@dataclass(frozen=True, repr=False)
class Scores(Answer):
    """Scores of mutants, differences of log-probability to the wild type, nats.

    Attributes
    ----------
    mutants
        The mutants, as they were written.
    scores
        Of each mutant, NaN where it is not covered, shape (n_mutants,).
    independent
        The same under independent sites with the frequencies of the run's training rows.
    effects
        Of every single mutant, shape (n_sites, n_letters).
    letters
        The letters of its columns.
    wild_type
        Its letters and positions on the model's sites.
    measured
        What was measured; None without measurements.
    rank_correlation, rank_correlation_of_independent
        Spearman's correlation of the measurements with both scores; None without measurements.
    outside
        Why mutants are not covered, with how many there are.
    path, picture
        The ``.csv`` of the mutants, and the picture of all single mutants.
    page
        The page of the run, which shows the picture if it is in the run.
    """

    mutants: tuple[str, ...]
    scores: NDArray[np.float64]
    independent: NDArray[np.float64]
    effects: NDArray[np.float64]
    letters: str
    wild_type: WildType
    path: Path
    picture: Path
    page: Path
    measured: NDArray[np.float64] | None = None
    rank_correlation: float | None = None
    rank_correlation_of_independent: float | None = None
    outside: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_covered(self) -> int:
        """Mutants that have a score."""
        return int(np.isfinite(self.scores).sum())

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, what is covered, and the correlations."""
        places = [position for position in self.wild_type.positions if position]
        found: dict[str, Any] = {
            "scores": str(self.path),
            "picture": str(self.picture),
            "report": str(self.page),
            "wild_type": self.wild_type.name,
            "first_position": min(places),
            "last_position": max(places),
            "positions": len(places),
            "mutants": len(self.mutants),
            "covered": self.n_covered,
            "outside": dict(self.outside),
        }
        if self.measured is None:
            return found
        return found | {
            "rank_correlation": self.rank_correlation,
            "rank_correlation_of_independent": self.rank_correlation_of_independent,
        }


def score(asked: Asked, options: ScoringOptions) -> Scores:
    """Score mutants by the model of a run; writes a ``.csv`` and a picture, and updates its page.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model, sequence, file, column or place, or mutants do not fit the
        wild type; before anything is written.
    """
    trained = open_trained(asked)
    refuse_foreign(trained.run.report_path, REPORT_MARK)
    path = target_of(options.out, trained.run, "mutants.csv", TABLE)
    letters = need_letters(trained)
    given = None
    if options.mutants is not None:
        given = read_mutants(options.mutants, column=options.column, measured=options.measured)
    train, held_out = trained.train_and_held_out()
    parts = [train] if held_out is None else [train, held_out]
    assert options.wild_type is not None  # the options have been checked
    wild_type = wild_type_of(trained, parts, options.wild_type, options.first)
    table = _all_single(wild_type, letters) if given is None else given
    placed = sequences.place_mutants(table.names, wild_type, letters)
    numbers = wild_type.numbers(letters)
    effects = sequences.single_mutants(trained.rbm, numbers)
    shares = frequencies_in(train, len(letters))
    both = np.full((2, len(table.names)), np.nan)
    both[0, placed.covered] = sequences.mutants(trained.rbm, numbers, placed.changes)
    both[1, placed.covered] = sequences.independent_mutants(shares, numbers, placed.changes)
    correlations: list[float | None] = [None, None]
    if table.measured is not None:
        found = (sequences.rank_correlation(each, table.measured) for each in both)
        correlations = [None if np.isnan(each) else each for each in found]
    _write(path, table, both, options.measured)
    picture = _draw(
        path.with_suffix(".png"), effects, letters, wild_type, both[0], table, correlations[0]
    )
    return Scores(
        mutants=table.names,
        scores=both[0],
        independent=both[1],
        effects=effects,
        letters=letters,
        wild_type=wild_type,
        path=path,
        picture=picture,
        page=write_page(trained.run, asked.reporter),
        measured=table.measured,
        rank_correlation=correlations[0],
        rank_correlation_of_independent=correlations[1],
        outside=placed.outside,
    )


def _all_single(wild_type: WildType, letters: str) -> MutantTable:
    names = [
        f"{own}{position}{letter}"
        for own, position in zip(wild_type.letters, wild_type.positions, strict=True)
        if position
        for letter in letters
        if letter not in (own, GAP)
    ]
    return MutantTable(tuple(names), "mutant")


def _write(path: Path, table: MutantTable, both: NDArray[np.float64], measured: str | None) -> None:
    columns = {table.column: np.array(table.names), "score": both[0], "independent": both[1]}
    if table.measured is not None:
        columns[f"{measured}"] = table.measured
    write_table(path, columns, columns.values(), {})


def _draw(
    path: Path,
    effects: NDArray[np.float64],
    letters: str,
    wild_type: WildType,
    scores: NDArray[np.float64],
    table: MutantTable,
    correlation: float | None,
) -> Path:
    said = f"log-probability of each mutant of {wild_type.name} minus the wild type's"
    figure = plots.mutants(
        effects,
        letters,
        wild_type.letters,
        wild_type.positions,
        None if table.measured is None else (scores, table.measured),
        subtitle=said,
        measured_subtitle="" if correlation is None else f"Spearman {correlation:.3f}",
    )
    caption = f"The {said}, nats."
    if correlation is not None:
        caption += f" Spearman's correlation with the measurements is {correlation:.3f}."
    return plots.save(figure, path, title="Effects of mutations", caption=caption)
