"""`AskingOfHoles`: what a run says of missing values, as methods of `Run`."""

from __future__ import annotations

from typing import Any

from harmonium.runs import said
from harmonium.runs.answers import impute, predict_column
from harmonium.runs.answers.impute import Imputed
from harmonium.runs.answers.imputing_options import ColumnOptions, ImputationOptions
from harmonium.runs.answers.predict_column import ColumnPredictions
from harmonium.runs.asking_of_sequences import AskingOfSequences
from harmonium.runs.rows import ReadingOptions


class AskingOfHoles(AskingOfSequences):
    """The questions about what is missing of rows; see `Asking`."""

    def impute(
        self, data: Any = None, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> Imputed:
        """Fill in the missing values of rows with an RBM; same as ``harmonium impute``.

        Parameters
        ----------
        data
            The rows; by default the run's held-out rows.
        device, threads
            As for every question (`Asking`).
        options
            ``draws``, ``sweeps``, ``seed`` and ``out``
            (`runs.answers.imputing_options.ImputationOptions`), and how to read the rows.

        Returns
        -------
        Imputed
            Completed rows in the user's own columns, and the path of a table of them.

        Raises
        ------
        FileExistsError, FileNotFoundError, TypeError, ValueError
            As for every question.
        """
        of_it = (ImputationOptions, ReadingOptions)
        chosen = said.of_answer("impute", of_it, {"data": data, **options})
        return impute.impute(self._asked(device, threads), *chosen)

    def _predict_column(
        self, data: Any, device: str, threads: int | None, options: dict[str, Any]
    ) -> ColumnPredictions:
        of_it = (ColumnOptions, ReadingOptions)
        chosen = said.of_answer("predict", of_it, {"data": data, **options})
        return predict_column.predict_column(self._asked(device, threads), *chosen)
