"""What a run of ratings can be asked, as methods of `Run`; see `Asking`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from harmonium.runs import said
from harmonium.runs.answers import recommend as recommending
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.recommend import Recommended
from harmonium.runs.answers.recommending_options import RecommendingOptions


class AskingOfRatings(ABC):
    """The questions about users and items, a part of `Asking`."""

    def recommend(
        self,
        user: int | str | None = None,
        *,
        test: Any = None,
        device: str = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> Recommended:
        """Recommend items to a user, or score predictions; same as ``harmonium recommend``.

        Parameters
        ----------
        user
            The user's name.
        test
            Test ratings instead of a user: a file, a frame or a matrix like that of the training
            ratings, or `ratings.Ratings`.
        device, threads
            As for every question (`Asking`).
        options
            ``top``, ``min_ratings`` and ``out``
            (`runs.answers.recommending_options.RecommendingOptions`).

        Returns
        -------
        Recommended
            Items with expected ratings and probabilities, or predictions and their scores.

        Raises
        ------
        FileExistsError, FileNotFoundError, TypeError, ValueError
            As for every question.
        """
        is_file = isinstance(test, str | Path)
        chosen = {"user": user, "test": str(test) if is_file else None, **options}
        [table] = said.of_answer("recommend", (RecommendingOptions,), chosen)
        asked = self._asked(device, threads)
        return recommending.recommend(asked, table, None if is_file else test)

    @abstractmethod
    def _asked(self, device: str, threads: int | None, progress: bool = False) -> Asked: ...
