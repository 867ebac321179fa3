"""Pseudo-log-likelihood: each unit given all the others, which needs no partition function."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.likelihood.checks import nearest_states
from harmonium.rbm import RBM
from harmonium.rng import Stream

_ROWS_AT_ONCE = 250

# Weights of the looked-at units that are worked on at a time.
_NUMBERS_AT_ONCE = 2**20


@torch.no_grad()
def pseudo_log_likelihood(rbm: RBM, v: Tensor, stream: Stream, units_per_row: int = 1) -> Tensor:
    """Stochastic pseudo-log-likelihood of each row, nats, shape (rows,).

    The sum over units i of log p(v_i | the other visible units), estimated without bias from some
    units a row: n times the mean of log p(v_i | the rest) over units that start at a random one
    and are equally far apart. Rows that hold probabilities are rounded to the nearest states
    first, as the classic tutorials do. It flatters models whose modes are far apart; it is no
    likelihood, and compares models of the same data only.

    Parameters
    ----------
    rbm
        A model with discrete visible units.
    v
        Visible states, shape (rows, visible.n_columns).
    stream
        Draws the units; the same stream position gives the same units.
    units_per_row
        Units looked at in each row: more cost time and make the estimate less noisy. With all of
        them it is exact.

    Raises
    ------
    ValueError
        If the visible units have a continuum of states, or there are fewer of them than
        ``units_per_row``.

    References
    ----------
    .. [1] J. Besag (1975), "Statistical analysis of non-lattice data", The Statistician 24.
    """
    visible = rbm.visible
    v, nearest, states = _as_states(rbm, v)
    if not 1 <= units_per_row <= visible.n:
        raise ValueError(
            f"units_per_row is {units_per_row}; pass 1 to {visible.n}, the number of visible units"
        )
    first = kernels.uniform((1, len(v)), stream, device=v.device, dtype=torch.float64)[0]
    steps = torch.arange(units_per_row, device=v.device)
    units = ((first.unsqueeze(1) + steps) / units_per_row * visible.n).long()
    units = units.clamp_max(visible.n - 1)
    at_once = max(1, _NUMBERS_AT_ONCE // (units_per_row * visible.width * rbm.hidden.n_columns))
    blocks = zip(v.split(at_once), nearest.split(at_once), units.split(at_once), strict=True)
    total = torch.cat([_of_units(rbm, states, *block) for block in blocks])
    return total * (visible.n / units_per_row)


def _of_units(rbm: RBM, states: Tensor, v: Tensor, nearest: Tensor, units: Tensor) -> Tensor:
    """Sum of log p(v_i | the rest) over some units i of each row, shape (rows,)."""
    visible = rbm.visible
    inputs = rbm.inputs_h_from_v(v)
    log_rest = rbm.hidden.cgf(inputs).sum(-1, keepdim=True)
    columns = units.unsqueeze(2) * visible.width + torch.arange(visible.width, device=v.device)
    weights, bias = rbm.weights[columns], visible.bias[columns]
    now = nearest.gather(1, units)
    log_ratios = [log_rest.new_zeros(units.shape)]
    for turn in range(1, len(states)):
        change = states[(now + turn) % len(states)] - states[now]
        shifted = torch.einsum("ruc,ruch->ruh", change, weights).add_(inputs.unsqueeze(1))
        changed = rbm.hidden.cgf(shifted).sum(-1)
        log_ratios.append((change * bias).sum(-1) + changed - log_rest)
    return -torch.stack(log_ratios).logsumexp(0).sum(-1)


@torch.no_grad()
def exact_pseudo_log_likelihood(rbm: RBM, v: Tensor) -> Tensor:
    """Pseudo-log-likelihood of each row, nats, shape (rows,): the sum over all visible units.

    What `pseudo_log_likelihood` estimates from some units. A unit's other states change the inputs
    of the hidden units by its own weights alone, so that the time is that of as many free energies
    as there are visible columns, without their products.

    Parameters
    ----------
    rbm
        A model with discrete visible units.
    v
        Visible states, shape (rows, visible.n_columns), rounded to the nearest states.

    Raises
    ------
    ValueError
        If the visible units have a continuum of states, or rows have another width.
    """
    _as_states(rbm, v[:0])
    return torch.cat([_of_rows(rbm, rows) for rows in v.split(_ROWS_AT_ONCE)])


def _of_rows(rbm: RBM, v: Tensor) -> Tensor:
    """Of a block of rows, whose inputs stay in the cache."""
    visible = rbm.visible
    v, nearest, states = _as_states(rbm, v)
    inputs = rbm.inputs_h_from_v(v)
    log_rest = rbm.hidden.cgf(inputs).sum(-1)
    total = torch.zeros_like(log_rest)
    for unit in range(visible.n):
        columns = slice(unit * visible.width, (unit + 1) * visible.width)
        weights, bias = rbm.weights[columns], visible.bias[columns]
        now = states[nearest[:, unit]]
        log_ratios = [torch.zeros_like(total)]
        for turn in range(1, len(states)):
            change = states[(nearest[:, unit] + turn) % len(states)] - now
            changed = rbm.hidden.cgf(torch.addmm(inputs, change, weights)).sum(-1)
            log_ratios.append(change @ bias + changed - log_rest)
        total -= torch.stack(log_ratios).logsumexp(0)
    return total


def _as_states(rbm: RBM, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows rounded to states, which state each unit is in, and all states of a unit."""
    visible = rbm.visible
    states = visible.states
    if states is None:
        raise ValueError(
            f"the pseudo-likelihood sums over the states of a visible unit, and "
            f"{type(visible).__name__} units have a continuum of them; look at the "
            "reconstruction error instead"
        )
    visible.check_width(v, "visible")
    nearest = nearest_states(visible, v)
    return states[nearest].flatten(1), nearest, states
