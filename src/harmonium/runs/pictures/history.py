"""Small pictures over the course of training: filters, chains and reconstructions."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from harmonium import plots
from harmonium.datasets import Data
from harmonium.missing_states import completed_rows
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.run_directory import RunDirectory
from harmonium.runs.pictures import figures, film
from harmonium.sampling import Gibbs, start_at
from harmonium.training import TrainingState

MOST_SHEETS = 32
"""Sheets of each kind after the first; fewer than half as many only if rows are fewer."""

KINDS = ("filters", "chains", "reconstructions")
SHOWN = 20
COLUMNS = 5
FILTER_COLUMNS = 10
SWEEPS_FROM_ROWS = 20
"""Sweeps that start at rows and are shown as chains, if training has no persistent chains."""

# More draws than 20 sweeps take, so that each sheet has its own random numbers.
_DRAWS_A_SHEET = 2**10


class History:
    """Draws sheets of a model during training, each from the state at a row of numbers.

    Sheets do not use the random numbers of training. The sheets of one update take about 15 ms for
    784 × 500 units, and there are at most `MOST_SHEETS` of them, whatever the length of the run.

    Parameters
    ----------
    run
        Where they go.
    rbm
        The model as it is now, which draws what is missing of the rows.
    data
        The first of these rows are reconstructed: held-out rows if there are any.
    image_shape
        ``(height, width)`` of rows that are pictures.
    seed
        Of the run.
    every, total
        Updates between two rows of numbers, and of the whole run.
    """

    def __init__(
        self,
        run: RunDirectory,
        rbm: RBM,
        data: Data,
        image_shape: tuple[int, int],
        seed: int,
        every: int,
        total: int,
    ) -> None:
        self._run = run
        self._image_shape = image_shape
        self._seed = seed
        self._spacing, self._last = spacing(every, total), total
        first = torch.arange(min(len(data), SHOWN), device=data.values.device)
        self._rows = completed_rows(rbm, data, first, Lane.WATCHED.stream(seed))
        self._encoding = data.encoding
        self._limits = film.shades(figures.in_users_units(self._rows, data.encoding))

    def begin(self, state: TrainingState) -> None:
        """Call before the first update; removes sheets of updates that will be made again."""
        self._run.drop_history_after(state.update)
        for what in KINDS:
            kept = -self._spacing
            for update, path in self._run.history(what).items():
                # an extended run has more time to show
                if update - kept >= self._spacing or update == self._last:
                    kept = update
                else:
                    path.unlink()
        if state.update == 0:
            self._draw(state)

    def look(self, state: TrainingState) -> None:
        """Call after each row of numbers; draws a sheet if one is due."""
        if state.update % self._spacing == 0 or state.update == self._last:
            self._draw(state)

    @torch.no_grad()
    def _draw(self, state: TrainingState) -> None:
        rbm = state.model
        weights = rbm.weights.detach()[:, : figures.SHEET_FILTERS].cpu()
        scaled = plots.scale_each(weights.T)
        self._save(state, "filters", scaled, FILTER_COLUMNS, (-1.0, 1.0))
        shown = {"chains": self._chains(state), "reconstructions": rbm.mean_h_from_v(self._rows)}
        for what, hidden in shown.items():
            means = figures.in_users_units(rbm.mean_v_from_h(hidden), self._encoding)
            self._save(state, what, means, COLUMNS, self._limits)

    def _chains(self, state: TrainingState) -> Tensor:
        """Hidden states of some chains, shape (at most `SHOWN`, n_hidden)."""
        if state.chains is not None:
            return state.chains.hidden[:SHOWN]
        position = _DRAWS_A_SHEET * state.update
        stream = Lane.HISTORY.stream(self._seed, position)
        chains = start_at(state.model, self._rows, stream)
        Gibbs(SWEEPS_FROM_ROWS)(state.model, chains, stream)
        return chains.hidden

    def _save(
        self,
        state: TrainingState,
        what: str,
        images: ArrayLike,
        n_columns: int,
        shades: tuple[float, float],
    ) -> None:
        path = self._run.history_path(what, state.update)
        path.parent.mkdir(parents=True, exist_ok=True)
        plots.save_frame(path, images, self._image_shape, n_columns, shades)


def spacing(every: int, total: int) -> int:
    """Updates between two sheets.

    A power of two times the updates per row, so that an extended run can reuse some of its sheets.
    """
    updates = every
    while total > MOST_SHEETS * updates:
        updates *= 2
    return updates
