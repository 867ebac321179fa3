"""What a run of aligned sequences can be asked, as methods of `Run`; see `Asking`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from harmonium.runs import said
from harmonium.runs.answers import contacts as predicting
from harmonium.runs.answers import options as tables
from harmonium.runs.answers import score as scoring
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.contacts import FoundContacts
from harmonium.runs.answers.score import Scores


class AskingOfSequences(ABC):
    """The questions about sites and letters, a part of `Asking`."""

    def contacts(
        self,
        distances: str | Path | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> FoundContacts:
        """Predict contacts of sites of aligned sequences; same as ``harmonium contacts``.

        Parameters
        ----------
        distances
            A file of distances in a structure, which the prediction is compared with.
        device, threads
            As for every question (`Asking`).
        options
            ``others``, ``cut_off``, ``separation``, ``method``, ``background``, ``gaps`` and
            ``out`` (`runs.answers.options.ContactOptions`).

        Returns
        -------
        FoundContacts
            Ranked pairs, their precision, and the paths of a ``.csv`` and a picture.

        Raises
        ------
        FileExistsError, FileNotFoundError, TypeError, ValueError
            As for every question.
        """
        said_of_it = {"distances": distances, **options}
        chosen = said.of_answer("contacts", (tables.ContactOptions,), said_of_it)
        return predicting.predict(self._asked(device, threads), *chosen)

    def score(
        self,
        mutants: str | Path | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> Scores:
        """Score mutants of a sequence of the family; same as ``harmonium score``.

        Parameters
        ----------
        mutants
            A ``.csv`` file of mutants such as ``A24C``; by default all single mutants.
        device, threads
            As for every question (`Asking`).
        options
            ``wild_type``, which must be given, ``column``, ``measured``, ``first`` and ``out``
            (`runs.answers.options.ScoringOptions`).

        Returns
        -------
        Scores
            A score for each mutant, all single mutants, the rank correlation with measurements, and
            the paths of a ``.csv`` and a picture.

        Raises
        ------
        FileExistsError, FileNotFoundError, TypeError, ValueError
            As for every question.
        """
        said_of_it = {"mutants": mutants, **options}
        chosen = said.of_answer("score", (tables.ScoringOptions,), said_of_it)
        return scoring.score(self._asked(device, threads), *chosen)

    @abstractmethod
    def _asked(self, device: str, threads: int | None, progress: bool = False) -> Asked:
        """The run, where to compute, and who is told."""
