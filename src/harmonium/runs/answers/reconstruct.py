"""Rows reconstructed by an RBM: the mean visible units given the mean hidden units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets import Data, WeightedRows
from harmonium.diagnostics import reconstruction_error
from harmonium.rng import Lane
from harmonium.runs.answers.archives import (
    column_names,
    names_of_rows,
    target_of,
    write_archive,
)
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options import ReconstructionOptions
from harmonium.runs.answers.trained import Trained, open_trained
from harmonium.runs.pictures import figures
from harmonium.runs.rows import ReadingOptions

_BLOCK = 1000


@dataclass(frozen=True, repr=False)
class Reconstructions(Answer):
    """Rows as a model reconstructs them, in the units of the data.

    Attributes
    ----------
    reconstructions
        Shape (n_rows, n_columns).
    errors
        The error of each row in ``unit``, shape (n_rows,).
    mean_error, mean_error_of_mean_row
        Their mean, and what it would be with the mean row in place of every reconstruction.
    unit
        ``cross-entropy, nats`` or ``squared error``.
    data
        The name of the rows.
    path, picture
        The ``.npz`` with all arrays, and the picture of the first rows.
    columns
        Names of the columns, if they have names.
    """

    reconstructions: NDArray[Any]
    errors: NDArray[Any]
    mean_error: float
    mean_error_of_mean_row: float
    unit: str
    data: str
    path: Path
    picture: Path
    columns: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, and the errors."""
        return {
            "reconstructions": str(self.path),
            "picture": str(self.picture),
            "mean_error": self.mean_error,
            "mean_error_of_mean_row": self.mean_error_of_mean_row,
        }


def _mean(errors: Tensor, data: Data) -> float:
    """Mean over the rows, which count by weight."""
    rows = WeightedRows(errors.double(), data.unequal_weights)
    return rows.mean(rows.states)[0]


def _rows(trained: Trained, data: Data, begin: int) -> tuple[Tensor, Tensor | None]:
    """A block of states, of which missing ones are drawn or gone; and which are observed."""
    if data.mask is None:
        return trained.states(data, begin, begin + _BLOCK), None
    index = torch.arange(begin, min(begin + _BLOCK, len(data)), device=trained.device)
    if trained.options.missing == "observed":
        rows = data.masked_rows(index, Lane.STARTS.stream(trained.options.seed, begin))
        return rows.where_observed().to(trained.rbm.weights), rows.observed
    return trained.states(data, begin, begin + _BLOCK), data.observed(index)


def reconstruct(
    asked: Asked, options: ReconstructionOptions, reading: ReadingOptions
) -> Reconstructions:
    """Reconstruct rows; writes an ``.npz`` and a picture in the same folder.

    Where values are missing, the errors are those of the observed ones.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model, row or place, before anything is written.
    """
    trained = open_trained(asked)
    archive = target_of(options.out, trained.run, "reconstructions.npz")
    data = trained.data(options.data, reading)
    rbm, view = trained.rbm, trained.view
    base = trained.base_of(data)
    reconstructed, errors, errors_of_mean = [], [], []
    with torch.no_grad():
        for begin in range(0, len(data), _BLOCK):
            rows, observed = _rows(trained, data, begin)
            reconstructed.append(rbm.mean_v_from_h(rbm.mean_h_from_v(rows)).cpu())
            errors.append(reconstruction_error(rbm, rows, observed).cpu())
            errors_of_mean.append(reconstruction_error(base, rows, observed).cpu())
    means, error = torch.cat(reconstructed), torch.cat(errors)
    values = view.values(means)
    arrays = {"reconstructions": values, "errors": error.numpy(), **column_names(view)}
    arrays |= names_of_rows(data.row_names)
    write_archive(archive, arrays)
    shown = options.shown
    states = trained.states(data, 0, shown).cpu()
    return Reconstructions(
        reconstructions=values,
        errors=error.numpy(),
        mean_error=_mean(error, data),
        mean_error_of_mean_row=_mean(torch.cat(errors_of_mean), data),
        unit="cross-entropy, nats" if rbm.visible.is_discrete else "squared error",
        data=data.name,
        path=archive,
        picture=figures.save_reconstructions(
            archive.with_suffix(".png"), states, means[:shown], view
        ),
        columns=view.columns,
    )
