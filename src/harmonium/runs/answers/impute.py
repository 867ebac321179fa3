"""Rows with their missing values filled in: once as well as can be, or several times at random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.imputation import complete_rows
from harmonium.rng import Lane
from harmonium.runs.answers import holes
from harmonium.runs.answers.archives import TABLE_OR_ARCHIVE, target_of
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options_of_data import ImputationOptions
from harmonium.runs.answers.trained import open_trained
from harmonium.runs.rows import ReadingOptions


@dataclass(frozen=True, repr=False)
class Imputed(Answer):
    """Completed rows, in the user's own columns.

    Attributes
    ----------
    best
        One best completion: the likeliest category or state, the mean of numbers, by column name,
        shape (n_rows,) each. Observed cells are as they were.
    draws
        Random completions, by column name, shape (n_draws, n_rows) each; empty if none were asked
        for.
    observed
        Which values were observed, bool, shape (n_rows, n_columns).
    n_exact
        Rows that were completed exactly; the others by chains.
    unmixed
        Numbers of the rows, from 0, whose chains disagree, so that draws may miss some modes.
    sweeps
        Most sweeps of a chain; 0 if all rows were completed exactly.
    data
        The name of the rows.
    path
        The table or archive.
    """

    best: dict[str, NDArray[Any]]
    draws: dict[str, NDArray[Any]]
    observed: NDArray[np.bool_]
    n_exact: int
    unmixed: tuple[int, ...]
    sweeps: int
    data: str
    path: Path

    @property
    def n_missing(self) -> int:
        """Values that were filled in."""
        return int((~self.observed).sum())

    @property
    def n_draws(self) -> int:
        """Random completions of each row."""
        return len(next(iter(self.draws.values()))) if self.draws else 0

    def as_dict(self) -> dict[str, Any]:
        """Where the file is, and how much was filled in."""
        return {
            "imputed": str(self.path),
            "n_rows": len(self.observed),
            "n_missing": self.n_missing,
            "n_draws": self.n_draws,
            "n_exact": self.n_exact,
            "n_unmixed": len(self.unmixed),
            "sweeps": self.sweeps,
        }


def impute(asked: Asked, options: ImputationOptions, reading: ReadingOptions) -> Imputed:
    """Fill in the missing values of rows; writes a table or an archive.

    A table with draws has all rows of the first draw, then all rows of the second, and a column
    that numbers the draws from 1.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model, row or place, before anything is written.
    """
    trained = open_trained(asked)
    target = target_of(options.out, trained.run, "imputed.csv", TABLE_OR_ARCHIVE, ())
    data = trained.data(options.data, reading, lacks_columns=True)
    rows = holes.masked_states(trained, data, options.seed)
    stream = Lane.IMPUTED.stream(options.seed)
    n_draws = options.draws or _CHAINS
    found = complete_rows(trained.rbm, rows, n_draws, options.sweeps, stream)
    observed = holes.observed_values(data).cpu()
    known = data.values.cpu()

    def filled(states: torch.Tensor, drawn: bool) -> dict[str, NDArray[Any]]:
        values = holes.as_values(trained, states, stream if drawn else None)
        wide = torch.promote_types(values.dtype, known.dtype)
        return holes.cells(trained, data, torch.where(observed, known.to(wide), values.to(wide)))

    best = filled(found.best.to(trained.rbm.weights.dtype), False)
    draws = [filled(found.draws[:, draw], True) for draw in range(options.draws)]
    named = holes.row_names_of(data)
    last = holes.labels_of(data, trained)
    stacked = {name: np.stack([draw[name] for draw in draws]) for name in best} if draws else {}
    if draws:
        number = holes.unused("draw", best)
        numbers = np.arange(1, len(draws) + 1).repeat(len(data))
        again = [(name, list(own) * len(draws)) for name, own in named]
        first: holes.Columns = [(number, numbers.tolist()), *again]
        behind: holes.Columns = [(name, list(own) * len(draws)) for name, own in last]
        columns = {name: own.reshape(-1) for name, own in stacked.items()}
        holes.write_columns(target, columns, first, behind)
    else:
        holes.write_columns(target, best, named, last)
    return Imputed(
        best=best,
        draws=stacked,
        observed=observed.numpy(),
        n_exact=int(found.is_exact.sum()),
        unmixed=tuple(found.unmixed.tolist()),
        sweeps=found.sweeps,
        data=data.name,
        path=target,
    )


_CHAINS = 20  # of each row, where no draws are asked for
