"""Contacts predicted by a model of sequences: a table, a map, and precision against a structure."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium import plots
from harmonium.datasets.alphabets import GAP
from harmonium.run_directory import REPORT_MARK, RunDirectory, refuse_foreign
from harmonium.runs.answers.aligned import frequencies_in, numbers_of, positions_of
from harmonium.runs.answers.archives import TABLE, target_of, write_table
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options import ContactOptions
from harmonium.runs.answers.trained import Trained, open_trained
from harmonium.runs.following import write_page
from harmonium.sequences import Contacts, Precision, contacts, couplings, precision, read_distances

_LARGEST_COUNT = 500


@dataclass(frozen=True, repr=False)
class FoundContacts(Answer):
    """Predicted contacts.

    Attributes
    ----------
    contacts
        Scores of pairs of sites, and the pairs by rank; sites are counted from 0.
    norms
        Frobenius norms of the couplings, without the gap, shape (n_sites, n_sites).
    positions
        The number of each site in the alignment, from 1.
    distances
        Å, shape (n_sites, n_sites), NaN where unknown; None without a file of distances.
    precision
        Which of the best pairs are contacts; None without distances.
    shares
        The share of contacts by the number of best pairs: as many as there are sites, two and three
        times as many, and 500.
    path, picture
        The ``.csv`` of all pairs, and the map with the precision curve.
    page
        The page of the run, which shows the picture if it is in the run.
    """

    contacts: Contacts
    norms: NDArray[np.float64]
    positions: tuple[int, ...]
    distances: NDArray[np.float64] | None
    precision: Precision | None
    shares: Mapping[int, float]
    path: Path
    picture: Path
    page: Path

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, and the precision."""
        found: dict[str, Any] = {
            "contacts": str(self.path),
            "picture": str(self.picture),
            "report": str(self.page),
            "pairs": len(self.contacts.pairs),
        }
        if self.precision is None:
            return found
        return found | {
            "pairs_of_known_distance": len(self.precision.pairs),
            "cut_off": self.precision.cut_off,
            "precision": {str(n): share for n, share in self.shares.items()},
            "area": None if np.isnan(self.precision.area) else self.precision.area,
        }


def predict(asked: Asked, options: ContactOptions) -> FoundContacts:
    """Predict contacts from couplings; writes a ``.csv`` and a picture, and updates the page.

    Couplings of other runs are averaged with the run's own, all of them over the run's rows.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model, file or place, or the distances do not fit; before anything
        is written.
    """
    trained = open_trained(asked)
    refuse_foreign(trained.run.report_path, REPORT_MARK)
    table = target_of(options.out, trained.run, "contacts.csv", TABLE)
    positions = positions_of(trained)
    distances = None
    if options.distances is not None:
        n_columns = len(positions) + len(trained.left_out)
        distances = read_distances(options.distances, positions, n_columns)
    letters = trained.alphabet
    gap = [] if letters is None or options.gaps or GAP not in letters else [letters.index(GAP)]
    data = _averaged_over(trained, options)
    rbms = [trained.rbm, *(one.rbm for one in _others(asked, trained, options.others))]
    found = couplings(rbms, method=options.method, leave_out=gap, **data)
    ranked = contacts(found.norms, separation=options.separation, positions=positions)
    judged = None
    if distances is not None:
        judged = precision(ranked.pairs, distances, cut_off=options.cut_off)
    n = len(positions)
    counts = sorted({n, 2 * n, 3 * n, _LARGEST_COUNT})
    shares = {} if judged is None else {k: judged.at(k) for k in counts}
    _write(table, ranked, found.norms, positions, distances, options.cut_off)
    picture = _draw(table.with_suffix(".png"), ranked, distances, judged, options)
    return FoundContacts(
        contacts=ranked,
        norms=found.norms,
        positions=tuple(positions),
        distances=distances,
        precision=judged,
        shares={k: share for k, share in shares.items() if not np.isnan(share)},
        path=table,
        picture=picture,
        page=write_page(trained.run, asked.reporter),
    )


def _others(asked: Asked, trained: Trained, paths: str | None) -> list[Trained]:
    """The models of other runs, whose sites and letters are those of the run itself."""
    found = []
    for path in next(csv.reader([paths])) if paths else ():
        other = open_trained(replace(asked, run=RunDirectory.open(path)))
        if positions_of(other) != positions_of(trained) or other.alphabet != trained.alphabet:
            raise ValueError(
                f"`others` names {path}, whose sites and letters are not those of "
                f"{trained.run.path}; pass runs of the same alignment"
            )
        found.append(other)
    return found


def _averaged_over(trained: Trained, options: ContactOptions) -> dict[str, Any]:
    """What couplings are averaged over, of the run's training rows, as `couplings` takes it."""
    if options.method != "second-order" and options.background == "uniform":
        return {}
    train, _ = trained.train_and_held_out()
    if options.method == "second-order":
        return {"rows": numbers_of(train), "weights": train.weights}
    n_states = trained.rbm.visible.n_columns // trained.rbm.visible.n
    return {"background": torch.from_numpy(frequencies_in(train, n_states))}


def _write(
    path: Path,
    ranked: Contacts,
    norms: NDArray[np.float64],
    positions: list[int],
    distances: NDArray[np.float64] | None,
    cut_off: float,
) -> None:
    i, j = ranked.pairs.T
    places = np.array(positions)
    columns = {"i": places[i], "j": places[j], "score": ranked.ranked, "norm": norms[i, j]}
    if distances is not None:
        apart = distances[i, j]
        near = np.where(apart < cut_off, "1", "0")
        columns |= {"distance": apart, "contact": np.where(np.isnan(apart), "", near)}
    write_table(path, columns, columns.values(), {})


def _draw(
    path: Path,
    ranked: Contacts,
    distances: NDArray[np.float64] | None,
    judged: Precision | None,
    options: ContactOptions,
) -> Path:
    n = len(ranked.scores)
    shown = ranked.pairs[: 2 * n]
    subtitle = f"the {len(shown):,} best pairs more than {options.separation} sites apart"
    curve = None if judged is None else judged.curve
    figure = plots.contacts(shown, n, distances, curve, cut_off=options.cut_off, subtitle=subtitle)
    caption = f"Predicted contacts: {subtitle}."
    if judged is not None and n <= len(judged.pairs):
        near = f"nearer than {judged.cut_off:g} Å"
        caption += f" Of the best {n:,}, {judged.at(n):.1%} are {near}."
    return plots.save(figure, path, title="Contacts", caption=caption)
