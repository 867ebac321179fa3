"""Which numbers a training run reports, on which rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harmonium import defaults, diagnostics, kernels
from harmonium.datasets import Rows
from harmonium.likelihood import pseudo_log_likelihood
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, start_at

_FLIP_CHAINS = 100
_UNITS_PER_ROW = 8

# Of one look: layers of several kinds of units take a draw for each kind.
_MOST_DRAWS = 64


class Monitor:
    """Looks at a model on fixed rows of the training data and of held-out data.

    Nothing that it draws touches the training's random numbers, so a run learns the same
    however often somebody looks.

    Parameters
    ----------
    train
        The training data; ``n_rows`` rows of it are looked at, the same ones each time.
    held_out
        Rows that are not trained on, looked at in the same way; None for none.
    n_rows
        Rows of each that are looked at.
    seed
        Chooses the rows and draws the units of the pseudo-likelihood.
    """

    def __init__(
        self,
        train: Rows,
        held_out: Rows | None = None,
        n_rows: int = defaults.MONITOR_ROWS,
        seed: int = defaults.SEED,
    ) -> None:
        if n_rows < 1:
            raise ValueError(f"n_rows is {n_rows}; pass 1 or more")
        self.seed = seed
        if held_out is not None and held_out.n_columns != train.n_columns:
            raise ValueError(
                f"{held_out.name} has {held_out.n_columns} columns, but the training data "
                f"{train.name} have {train.n_columns}; pass held-out rows of the same columns"
            )
        self._rows: dict[str, Tensor] = {}
        for position, (prefix, data) in enumerate((("", train), ("held_out_", held_out))):
            if data is not None and len(data):
                chosen = kernels.permutation(
                    len(data), Stream(seed, Purpose.MONITOR, position=position)
                )[:n_rows].to(data.device)
                encoding = Stream(seed, Purpose.ENCODE, rank=1, position=position)
                self._rows[prefix] = data.rows(chosen, encoding)

    @torch.no_grad()
    def __call__(self, rbm: RBM, chains: ChainState | None, update: int) -> dict[str, float]:
        """One flat row of numbers.

        Parameters
        ----------
        rbm
            The model to look at.
        chains
            Persistent chains, whose flip rates are measured on copies; None measures those of
            chains that start at the training rows.
        update
            Number of the update, the position of this look's random numbers.

        Returns
        -------
        dict
            ``pseudo_log_likelihood`` and its standard error, ``..._std_error`` (nats a row,
            discrete visible units), ``reconstruction_error`` (nats a row, or squared error a row
            for continuous units), each also for the held-out rows as ``held_out_...``;
            ``free_energy_gap`` (nats, training minus held-out: it falls below zero as the model
            comes to prefer the rows it was trained on); ``dead_hidden`` and ``saturated_hidden``
            (shares of hidden columns); ``visible_flip_rate`` and ``hidden_flip_rate`` (shares of
            units that one sweep changes).
        """
        row: dict[str, float] = {}
        free_energy = {}
        stream = Stream(self.seed, Purpose.MONITOR, rank=1, position=_MOST_DRAWS * update)
        for prefix, rows in self._rows.items():
            v = rows.to(rbm.weights.dtype)
            if rbm.visible.is_discrete:
                n_units = min(_UNITS_PER_ROW, rbm.visible.n)
                estimate = pseudo_log_likelihood(rbm, v, stream, n_units).double()
                row[f"{prefix}pseudo_log_likelihood"] = estimate.mean().item()
                if len(estimate) > 1:
                    std_error = estimate.std().item() / math.sqrt(len(estimate))
                    row[f"{prefix}pseudo_log_likelihood_std_error"] = std_error
            error = diagnostics.reconstruction_error(rbm, v)
            row[f"{prefix}reconstruction_error"] = error.mean().item()
            free_energy[prefix] = rbm.free_energy(v).mean().item()
        if len(free_energy) == 2:
            row["free_energy_gap"] = free_energy[""] - free_energy["held_out_"]
        train = self._rows[""].to(rbm.weights.dtype)
        activity = diagnostics.hidden_activity(rbm, train)
        if activity is not None:
            row["dead_hidden"] = diagnostics.dead_share(activity)
            row["saturated_hidden"] = diagnostics.saturated_share(activity)
        few = (
            start_at(rbm, train[:_FLIP_CHAINS], stream)
            if chains is None
            else ChainState(chains.visible[:_FLIP_CHAINS], chains.hidden[:_FLIP_CHAINS])
        )
        rates = diagnostics.flip_rates(rbm, few, stream)
        row.update((f"{layer}_flip_rate", rate) for layer, rate in rates.items())
        return {name: value for name, value in row.items() if math.isfinite(value)}
