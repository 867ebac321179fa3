"""`AskingOfData`: what a run says of values, sites, ratings and words, as methods of `Run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from harmonium.kernels.threads import give
from harmonium.run_directory import RunDirectory
from harmonium.runs import said
from harmonium.runs.answers import (
    contacts,
    impute,
    predict,
    predict_column,
    recommend,
    score,
    topics,
)
from harmonium.runs.answers import options as tables
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.contacts import FoundContacts
from harmonium.runs.answers.impute import Imputed
from harmonium.runs.answers.options_of_data import (
    ColumnOptions,
    ImputationOptions,
    RecommendingOptions,
    TopicOptions,
)
from harmonium.runs.answers.predict import Predictions
from harmonium.runs.answers.predict_column import ColumnPredictions
from harmonium.runs.answers.recommend import Recommended
from harmonium.runs.answers.score import Scores
from harmonium.runs.answers.topics import Topics
from harmonium.runs.rows import ReadingOptions
from harmonium.runs.voices import voice


class AskingOfData:
    """The questions whose answers are in the user's own terms; see `Asking`."""

    directory: RunDirectory

    @overload
    def predict(
        self, data: Any = None, *, column: str | int, device: str = "cpu", **options: Any
    ) -> ColumnPredictions: ...

    @overload
    def predict(self, data: Any, *, device: str = "cpu", **options: Any) -> Predictions: ...

    def predict(
        self, data: Any = None, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> Predictions | ColumnPredictions:
        """Predict classes, targets or a column; same as ``harmonium dbn predict`` and ``predict``.

        A network predicts the classes or targets that it was fine-tuned for. An RBM predicts any
        ``column`` from the others that are known.

        Parameters
        ----------
        data
            The rows; of a column by default the run's held-out rows. Predictions of what the rows
            have themselves are scored.
        options
            Of a network ``split`` and ``out`` (`runs.answers.options.PredictionOptions`), of an RBM
            ``column``, ``chains``, ``seed`` and ``out``
            (`runs.answers.options_of_data.ColumnOptions`), and how to read the rows.

        Returns
        -------
        Predictions or ColumnPredictions
            Predictions, probabilities or intervals, scores, and the paths of files.
        """
        if "column" in options:
            of_it = (ColumnOptions, ReadingOptions)
            chosen = said.of_answer("predict", of_it, {"data": data, **options})
            return predict_column.predict_column(self._asked(device, threads), *chosen)
        if data is None:
            raise TypeError(
                "predict lacks the rows; pass them, or the `column` that an RBM predicts"
            )
        chosen = said.of_answer("predict", (tables.PredictionOptions, ReadingOptions), options)
        return predict.predict(self._asked(device, threads), data, *chosen)

    def impute(
        self, data: Any = None, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> Imputed:
        """Fill in the missing values of rows with an RBM; same as ``harmonium impute``.

        Parameters
        ----------
        data
            The rows; by default the run's held-out rows.
        options
            ``draws``, ``sweeps``, ``seed`` and ``out``
            (`runs.answers.options_of_data.ImputationOptions`), and how to read the rows.

        Returns
        -------
        Imputed
            Completed rows in the user's own columns, and the path of a table of them.
        """
        of_it = (ImputationOptions, ReadingOptions)
        chosen = said.of_answer("impute", of_it, {"data": data, **options})
        return impute.impute(self._asked(device, threads), *chosen)

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
        options
            ``others``, ``cut_off``, ``separation``, ``method``, ``background``, ``gaps`` and
            ``out`` (`runs.answers.options.ContactOptions`).

        Returns
        -------
        FoundContacts
            Ranked pairs, their precision, and the paths of a ``.csv`` and a picture.
        """
        chosen = said.of_answer(
            "contacts", (tables.ContactOptions,), {"distances": distances, **options}
        )
        return contacts.predict(self._asked(device, threads), *chosen)

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
        options
            ``wild_type``, which must be given, ``column``, ``measured``, ``first`` and ``out``
            (`runs.answers.options.ScoringOptions`).

        Returns
        -------
        Scores
            A score for each mutant, all single mutants, the rank correlation with measurements, and
            the paths of a ``.csv`` and a picture.
        """
        chosen = said.of_answer("score", (tables.ScoringOptions,), {"mutants": mutants, **options})
        return score.score(self._asked(device, threads), *chosen)

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
        options
            ``top``, ``min_ratings`` and ``out``
            (`runs.answers.options_of_data.RecommendingOptions`).

        Returns
        -------
        Recommended
            Items with expected ratings and probabilities, or predictions and their scores.
        """
        is_file = isinstance(test, str | Path)
        chosen = {"user": user, "test": str(test) if is_file else None, **options}
        [table] = said.of_answer("recommend", (RecommendingOptions,), chosen)
        asked = self._asked(device, threads)
        return recommend.recommend(asked, table, None if is_file else test)

    def topics(
        self,
        words: str | Path | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> Topics:
        """List the topics learned from counts of words; same as ``harmonium topics``.

        Parameters
        ----------
        words
            A file of the words of the columns, one a line; by default the names of the columns, or
            their numbers.
        options
            ``n_words``, ``n_documents`` and ``out`` (`runs.answers.options_of_data.TopicOptions`).

        Returns
        -------
        Topics
            Words, coherence and nearest documents of each topic, and the path of a ``.csv``.
        """
        chosen = said.of_answer("topics", (TopicOptions,), {"words": words, **options})
        return topics.find(self._asked(device, threads), *chosen)

    def _asked(self, device: str, threads: int | None, progress: bool = False) -> Asked:
        give(threads)
        return Asked(self.directory, device, voice(False, progress))
