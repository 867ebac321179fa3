"""Variational lower bound of the log-likelihood of data under a deep belief network, in nats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.arguments import check_type
from harmonium.datasets import WeightedRows
from harmonium.deep.coordinates import near_zero
from harmonium.deep.dbn import DBN
from harmonium.likelihood import LogZ
from harmonium.likelihood.checks import check_states
from harmonium.rng import Stream
from harmonium.units import Units

_BLOCK = 1000  # draws passed up at a time


@dataclass(frozen=True, eq=False)
class VariationalBound:
    """A lower bound of the log-likelihood of rows, nats, with standard errors.

    Attributes
    ----------
    values : Tensor, float64 of shape (rows,)
        Estimates of each row's bound.
    std_errors : Tensor, float64 of shape (rows,)
        Standard error of each row's estimate, from its draws. It does not include the error of log
        Z, which all rows share.
    log_z
        Estimate of log Z of the top RBM, with its error and the side to which it errs.
    weights
        Weights of the rows, shape (rows,); None for rows that count alike.
    """

    values: Tensor
    std_errors: Tensor
    log_z: LogZ
    weights: Tensor | None = None

    @property
    def mean(self) -> float:
        """Bound of the mean log-likelihood of these rows, nats per row."""
        return WeightedRows(self.values, self.weights).mean(self.values)[0]

    @property
    def std_error(self) -> float:
        """Standard error of the mean for these rows: from the draws and from log Z."""
        errors, n = self.std_errors, float(len(self.values))
        if self.weights is not None:
            errors, n = self.weights.to(errors) * errors, self.weights.sum().item()
        from_draws = errors.square().sum().sqrt().item() / n
        return math.hypot(from_draws, self.log_z.std_error)

    @property
    def rows_std_error(self) -> float:
        """Standard error of the mean for the distribution of the rows; includes the draws."""
        if len(self.values) < 2:
            return math.inf
        return WeightedRows(self.values, self.weights).mean(self.values)[1]

    @property
    def is_below(self) -> bool:
        """Whether the expected value is below the log-likelihood.

        It is, unless log Z is too low on average, as with annealed importance sampling; then the
        bound is too high by the same amount.
        """
        return self.log_z.errs != "below"

    def __str__(self) -> str:
        side = "" if self.is_below else ", log Z errs below"
        return f"at least {self.mean:.2f} ± {self.std_error:.2f} nats{side}"


@torch.no_grad()
def variational_bound(
    dbn: DBN, v: Tensor | WeightedRows, log_z: LogZ, stream: Stream, n_draws: int = 100
) -> VariationalBound:
    """The variational lower bound of each row's log-likelihood.

    ``log p(v) >= E_q[log p(v, h1, ..., h(L-1)) - log q(h1, ..., h(L-1) | v)]``, where q draws
    hidden states upwards, layer by layer (Hinton, Osindero and Teh, 2006, section 4.1;
    Salakhutdinov and Murray, 2008, section 4). The hidden units and the label units of the top RBM
    are summed out. The expectation is estimated without bias by a mean over draws. For a network of
    one RBM, the bound equals the log-likelihood.

    Parameters
    ----------
    dbn
        The network, tied or not.
    v
        States of the visible units, shape (rows, visible.n_columns), which count by their weights.
    log_z
        Log Z of the top RBM: `likelihood.exact_log_z`, or annealed from either side
        (`likelihood.annealed_importance_sampling` errs below,
        `likelihood.reverse_annealed_importance_sampling` above).
    stream
        Random numbers.
    n_draws
        Draws of the hidden states per row, 2 or more.

    Raises
    ------
    ValueError
        If the rows are not valid states of the visible units, or there are fewer than 2 draws.
    """
    check_type("dbn", dbn, DBN, "a DBN, such as DBN([rbm])")
    check_type("stream", stream, Stream, "Stream(seed, Purpose.LIKELIHOOD)")
    if n_draws < 2:
        raise ValueError(f"n_draws is {n_draws}; pass 2 or more: a standard error needs them")
    weights, v = (v.weights, v.states) if isinstance(v, WeightedRows) else (None, v)
    check_states(dbn.stack[0], v)
    dbn, gauge = near_zero(dbn)
    v = gauge.enter(v).to(dbn.top.weights.dtype)
    values, std_errors = [], []
    for rows in v.split(max(1, _BLOCK // n_draws)):
        draws = _draws(dbn, rows.repeat_interleave(n_draws, 0), stream).view(len(rows), n_draws)
        values.append(draws.mean(1) - log_z.value)
        std_errors.append(draws.std(1) / math.sqrt(n_draws))
    return VariationalBound(torch.cat(values), torch.cat(std_errors), log_z, weights)


def _draws(dbn: DBN, v: Tensor, stream: Stream) -> Tensor:
    """One draw of log p(v, h) - log q(h | v) for each row, without log Z, float64, shape (rows,).

    Each layer's draw enters both terms, so much of its noise cancels; all of it does if a layer is
    the mirror image of the one below.
    """
    total = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    for down, up in zip(dbn.stack[:-1], dbn.recognition[:-1], strict=True):
        inputs = up.inputs_h_from_v(v)
        h = up.hidden.sample(inputs, stream)
        total += log_p(down.visible, v, down.inputs_v_from_h(h))
        total -= log_p(up.hidden, h, inputs)
        v = h
    return total - dbn.free_energy_below_top(v).double()


def log_p(units: Units, x: Tensor, inputs: Tensor) -> Tensor:
    """Log-probability (density) of states of units given inputs, float64, shape (...,)."""
    log_weight = (x * inputs).sum(-1) - units.energy(x)
    return (log_weight - units.cgf(inputs).sum(-1)).double()
