"""Predictions of one column of rows from the others that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import plots
from harmonium.datasets import Data, TableEncoding, WeightedRows
from harmonium.datasets.encodings.table_columns import Bins
from harmonium.imputation import Calibration, UnitDistributions, coverage, reliability
from harmonium.imputation import unit_distributions as distributions
from harmonium.rng import Lane
from harmonium.runs.answers import holes
from harmonium.runs.answers.archives import TABLE_OR_ARCHIVE, target_of, write_table
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options_of_data import ColumnOptions
from harmonium.runs.answers.trained import Trained, open_trained
from harmonium.runs.rows import ReadingOptions
from harmonium.units import Units

_TAILS = 0.05, 0.95


@dataclass(frozen=True, repr=False)
class ColumnPredictions(Answer):
    """What a model says of one column, given the others of each row that are known.

    Attributes
    ----------
    column
        The name of the column.
    predictions
        The likeliest value of each row, or the mean of numbers, shape (n_rows,).
    probabilities, values
        The probability of each value, shape (n_rows, n_values), and the values; None for numbers.
    std, low, high
        Of numbers, the standard deviation and the ends of the central 90 %, shape (n_rows,); None
        for categories.
    truth
        What the rows have in this column; None if no row has anything.
    scores
        Means over the rows with a known truth, which count by weight: ``loss`` (nats) and
        ``error`` of categories; ``rmse`` and ``coverage_90`` of numbers. Empty without such rows.
    n_judged
        The number of these rows.
    n_exact
        Rows for which everything else that is missing was summed out exactly.
    data
        The name of the rows.
    path
        The table or archive.
    picture
        Calibration, if there is a truth.
    """

    column: str
    predictions: NDArray[Any]
    probabilities: NDArray[Any] | None
    values: NDArray[Any] | None
    std: NDArray[Any] | None
    low: NDArray[Any] | None
    high: NDArray[Any] | None
    truth: NDArray[Any] | None
    scores: Mapping[str, float]
    n_judged: int
    n_exact: int
    data: str
    path: Path
    picture: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, and the scores."""
        return {
            "predictions": str(self.path),
            "picture": None if self.picture is None else str(self.picture),
            "column": self.column,
            "n_rows": len(self.predictions),
            "n_judged": self.n_judged,
            "n_exact": self.n_exact,
            **self.scores,
        }


def predict_column(
    asked: Asked, options: ColumnOptions, reading: ReadingOptions
) -> ColumnPredictions:
    """Predict a column of rows; writes a table or an archive, and a picture of the calibration.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model, column, row or place, before anything is written.
    """
    trained = open_trained(asked)
    target = target_of(
        options.out, trained.run, "predictions.csv", TABLE_OR_ARCHIVE, ("-calibration.png",)
    )
    data = trained.data(options.data, reading, lacks_columns=True)
    assert options.column is not None
    column = holes.column_number(trained, data, options.column)
    at, unit = _unit_of(trained, data, column)
    found = distributions(
        trained.rbm, holes.masked_states(trained, data, options.seed), unit,
        n_chains=options.chains, stream=Lane.IMPUTED.stream(options.seed),
    )  # fmt: skip
    told = _Told(trained, data, column, at, found)
    judged = told.judged
    units = _group_of(trained.rbm.visible, at)
    is_named = units.is_one_hot or (units.states is not None and len(units.states) == 2)
    if is_named and not told.is_binned:
        kinds, scores, calibration = told.categories()
        promise, outcome = "predicted probability", "share that came true"
    else:
        kinds, scores, calibration = told.numbers()
        promise, outcome = "level of central interval", "share of rows inside"
    picture = None
    if calibration is not None:
        picture = plots.save(
            plots.calibration(*calibration.arrays(), promise=promise, outcome=outcome),
            target.with_name(f"{target.stem}-calibration.png"),
            title="Calibration",
            caption=f"Predictions of {told.name}: what was promised beside what came true.",
        )
    header, table, arrays = told.table(kinds)
    write_table(target, header, table, arrays, data.row_names)
    return ColumnPredictions(
        column=told.name,
        truth=told.truth,
        scores=scores,
        n_judged=int(judged.sum()),
        n_exact=int(found.is_exact.sum()),
        data=data.name,
        path=target,
        picture=picture,
        predictions=kinds["predictions"],
        probabilities=kinds.get("probabilities"),
        values=kinds.get("values"),
        std=kinds.get("std"),
        low=kinds.get("low"),
        high=kinds.get("high"),
    )


_KINDS = ("predictions", "probabilities", "values", "std", "low", "high")
_Kinds = dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Told:
    """The distributions of a column, in the user's own values."""

    trained: Trained
    data: Data
    column: int
    at: slice
    found: UnitDistributions

    @property
    def name(self) -> str:
        return holes.names_of(self.trained, self.data)[self.column]

    def _decoded(self, states: Tensor) -> Tensor:
        """Values of states of this unit, (..., width) → (...)."""
        full = torch.zeros(*states.shape[:-1], self.trained.rbm.visible.n_columns)
        full[..., self.at] = states.to(full)
        return holes.as_values(self.trained, full)[..., self.column]

    def _cells(self, values: Tensor) -> NDArray[Any]:
        """Values of this column in the user's own type, any shape."""
        full = torch.zeros(values.numel(), self.data.values.shape[1], dtype=values.dtype)
        full[:, self.column] = values.flatten()
        return holes.cells(self.trained, self.data, full)[self.name].reshape(values.shape)

    @property
    def judged(self) -> Tensor:
        return holes.observed_values(self.data)[:, self.column].cpu()

    @property
    def _true_values(self) -> Tensor:
        return self.data.values[:, self.column].cpu()

    @property
    def truth(self) -> NDArray[Any] | None:
        return self._cells(self._true_values) if bool(self.judged.any()) else None

    def _mean(self, of_rows: Tensor) -> float:
        """Mean over the judged rows, which count by weight."""
        weights = self.data.unequal_weights
        own = None if weights is None else weights.cpu()[self.judged]
        rows = WeightedRows(of_rows.double(), own)
        return rows.mean(rows.states)[0]

    @property
    def is_binned(self) -> bool:
        """Whether the states are bins of numbers."""
        encoding = self.trained.view.encoding
        return isinstance(encoding, TableEncoding) and isinstance(
            encoding.columns[self.column], Bins
        )

    def _outcomes(self) -> Tensor:
        """The number of the state that each row has itself, int64, shape (n_rows,)."""
        rows = torch.arange(len(self.data), device=self.data.device)
        stream = Lane.USED.stream(self.trained.options.seed)
        shown = self.data.masked_rows(rows, stream).states[:, self.at].cpu()
        return torch.cdist(shown.double(), self.found.states.cpu().double()).argmin(1)

    def categories(self) -> tuple[_Kinds, dict[str, float], Calibration | None]:
        """The likeliest category, and the probability of each."""
        p = self.found.probabilities.cpu()
        values = self._cells(self._decoded(self.found.states.cpu()))
        kinds = {"predictions": values[p.argmax(1).numpy()], "probabilities": p.numpy()}
        kinds["values"] = values
        judged = self.judged
        if not judged.any():
            return kinds, {}, None
        outcome, own = self._outcomes()[judged], p[judged]
        chance = own.gather(1, outcome.unsqueeze(1))[:, 0]
        scores = {
            "loss": self._mean(-chance.clamp(min=torch.finfo(torch.float64).tiny).log()),
            "error": self._mean((own.argmax(1) != outcome).double()),
        }
        return kinds, scores, reliability(own, outcome)

    def numbers(self) -> tuple[_Kinds, dict[str, float], Calibration | None]:
        """The mean, the standard deviation, and the central 90 %."""
        values = self._decoded(self.found.states.cpu()).double()
        found = UnitDistributions(
            self.found.states.cpu(),
            self.found.probabilities.cpu(),
            self.found.is_exact.cpu(),
            self.found.std_errors.cpu(),
            self.found.is_grid,
        )
        mean, deviation = found.moments_of(values)
        low, high = (found.quantiles_of(values, share).numpy() for share in _TAILS)
        kinds = {"predictions": mean.numpy(), "std": deviation.numpy(), "low": low, "high": high}
        judged = self.judged
        if not judged.any():
            return kinds, {}, None
        truth = self._true_values.double()
        # a number within a bin counts as the bin, of whose numbers the model says nothing more
        own = values[self._outcomes()] if self.is_binned else truth
        below, up_to = found.transforms_of(values, own)
        calibration = coverage(below[judged], up_to[judged])
        of_90 = coverage(below[judged], up_to[judged], (_TAILS[1] - _TAILS[0],))
        scores = {
            "rmse": self._mean((mean - truth)[judged].square()) ** 0.5,
            "coverage_90": float(of_90.found[0]),
        }
        return kinds, scores, calibration

    def table(self, kinds: _Kinds) -> tuple[list[str], list[NDArray[Any]], dict[str, NDArray[Any]]]:
        """Header and columns of a table, and the arrays of an archive."""
        arrays = {name: np.asarray(kinds[name]) for name in _KINDS if name in kinds}
        if self.truth is not None:
            arrays["truth"] = self.truth
        arrays = {k: a.astype(np.str_) if a.dtype.kind == "O" else a for k, a in arrays.items()}
        if "probabilities" in kinds:
            header = [self.name, *(f"p_{value}" for value in kinds["values"])]
            return header, [kinds["predictions"], *kinds["probabilities"].T], arrays
        return (
            [self.name, "std", "low", "high"],
            [kinds[name] for name in ("predictions", "std", "low", "high")],
            arrays,
        )


def _unit_of(trained: Trained, data: Data, column: int) -> tuple[slice, int]:
    """The state columns of a column of values, and the number of their unit."""
    one = torch.zeros(1, data.values.shape[1], dtype=torch.bool)
    one[0, column] = True
    at = trained.view.encoding.spread(one)[0].nonzero()[:, 0].tolist()
    unit = 0
    for columns, units in trained.rbm.visible.groups:
        if at[0] < columns.stop:
            unit += (at[0] - columns.start) // units.width
            return slice(at[0], at[-1] + 1), unit
        unit += units.n
    raise AssertionError("no unit has these columns")


def _group_of(visible: Units, at: slice) -> Units:
    return next(units for columns, units in visible.groups if at.start < columns.stop)
