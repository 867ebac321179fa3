"""Pseudo-log-likelihood: each unit given all the others; needs no partition function."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import check_count, check_type
from harmonium.gauge import Gauge
from harmonium.likelihood.checks import nearest_states
from harmonium.likelihood.factors import state_energies
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream

_ROWS_AT_ONCE = 250

# Weights of the sampled units that are processed at a time.
_NUMBERS_AT_ONCE = 2**20


@torch.no_grad()
def pseudo_log_likelihood(
    rbm: RBM, v: Tensor, stream: Stream, units_per_row: int = 1, observed: Tensor | None = None
) -> Tensor:
    """Stochastic pseudo-log-likelihood of each row, nats, shape (rows,).

    An unbiased estimate of the sum over units i of log p(v_i | the other visible units), from some
    units per row. The layer is divided into parts of equal size, up to rounding, and one unit drawn
    from each part represents it. (Units at equal distances could all lie in a single column of a
    picture, if its width were a multiple of the distance.) Rows of probabilities are rounded to the
    nearest states first, as in the classic tutorials. The pseudo-likelihood overrates models with
    well-separated modes. It is not a likelihood, and only compares models on the same data.

    Parameters
    ----------
    rbm
        A model with discrete visible units.
    v
        Visible states, shape (rows, visible.n_columns).
    stream
        Draws the units; the same stream position gives the same units.
    units_per_row
        Units evaluated in each row. More units take more time and reduce the noise; with all of
        them the result is exact.
    observed
        Whether each column of each row is observed, bool, shape (rows, visible.n_columns). The sum
        is then over the units that are; those of the others are given as ``v`` says: in a state
        that completes the row, or at zero, where they are gone. None for all.

    Raises
    ------
    ValueError
        If the visible units are continuous, or there are fewer of them than ``units_per_row``.

    References
    ----------
    .. [1] J. Besag (1975), "Statistical analysis of non-lattice data", The Statistician 24.
    """
    v = _rows(rbm, v)
    check_type("stream", stream, Stream, "Stream(seed, Purpose.LIKELIHOOD)")
    check_count("units_per_row", units_per_row, 0)
    visible = rbm.visible
    _as_states(rbm, v[:0])
    rbm = Gauge.of(rbm).rbm
    if not 1 <= units_per_row <= visible.n:
        raise ValueError(
            f"units_per_row is {units_per_row}; pass 1 to {visible.n}, the number of visible units"
        )
    shape = (units_per_row, len(v))
    places = kernels.uniform(shape, stream, device=v.device, dtype=torch.float64).T
    parts = torch.arange(units_per_row, device=v.device)
    first = parts * visible.n // units_per_row
    sizes = (parts + 1) * visible.n // units_per_row - first
    units = first + (places * sizes).long().minimum(sizes - 1)
    widest = max(of.width for _, of in visible.groups)
    at_once = max(1, _NUMBERS_AT_ONCE // (units_per_row * widest * rbm.hidden.n_columns))
    seen = torch.ones_like(v, dtype=torch.bool) if observed is None else observed
    blocks = zip(v.split(at_once), units.split(at_once), seen.split(at_once), strict=True)
    return torch.cat([_of_units(rbm, *block, sizes) for block in blocks])


def _rows(rbm: RBM, v: Tensor) -> Tensor:
    """Visible rows in the dtype of the parameters."""
    check_rbm("rbm", rbm)
    rbm.visible.check_width(v, "visible")
    if v.dim() != 2:
        raise ValueError(
            f"visible has shape {tuple(v.shape)}; pass shape (rows, {rbm.visible.n_columns})"
        )
    return v.to(rbm.weights)


def _of_units(rbm: RBM, v: Tensor, units: Tensor, observed: Tensor, counts: Tensor) -> Tensor:
    """Sum of log p(v_i | the rest) over some units i of each row, times their counts, (rows,)."""
    states, groups = _as_states(rbm, v)
    v = torch.where(observed, states, v)
    inputs = rbm.inputs_h_from_v(v)
    log_rest = _log_rest(rbm, inputs)
    total = torch.zeros_like(log_rest)
    for group in groups:
        states = group.states
        own = units - group.first_unit
        row, place = ((own >= 0) & (own < group.nearest.shape[1])).nonzero(as_tuple=True)
        unit = own[row, place]
        columns = group.columns[unit]
        weights, bias = rbm.weights[columns], rbm.visible.bias[columns]
        now, energies = group.nearest[row, unit], group.energies
        log_ratios = [log_rest.new_zeros(len(row))]
        for turn in range(1, len(states)):
            to = (now + turn) % len(states)
            change = states[to] - states[now]
            shifted = torch.einsum("pc,pch->ph", change, weights).add_(inputs[row])
            changed = rbm.hidden.cgf(shifted).sum(-1)
            if energies is not None:
                changed += energies[unit, now] - energies[unit, to]
            log_ratios.append((change * bias).sum(-1) + changed - log_rest[row])
        seen = observed[row, columns[:, 0]]
        found = torch.stack(log_ratios).logsumexp(0) * (counts[place] * seen)
        total.index_add_(0, row, found, alpha=-1)
    return total.to(v.dtype)


@torch.no_grad()
def exact_pseudo_log_likelihood(rbm: RBM, v: Tensor) -> Tensor:
    """Pseudo-log-likelihood of each row, nats, shape (rows,): the sum over all visible units.

    `pseudo_log_likelihood` estimates this from some of the units. Changing a unit's state changes
    the hidden inputs only by that unit's weights, so the time is that of one free energy per
    visible column, without matrix products.

    Parameters
    ----------
    rbm
        A model with discrete visible units.
    v
        Visible states, shape (rows, visible.n_columns), rounded to the nearest states.

    Raises
    ------
    ValueError
        If the visible units are continuous, or rows have the wrong width.
    """
    v = _rows(rbm, v)
    _as_states(rbm, v[:0])
    rbm = Gauge.of(rbm).rbm
    return torch.cat([_of_rows(rbm, rows) for rows in v.split(_ROWS_AT_ONCE)])


def _of_rows(rbm: RBM, v: Tensor) -> Tensor:
    """The pseudo-log-likelihood of a block of rows, whose inputs stay in the cache."""
    v, groups = _as_states(rbm, v)
    inputs = rbm.inputs_h_from_v(v)
    log_rest = _log_rest(rbm, inputs)
    total = torch.zeros_like(log_rest)
    for group in groups:
        states, energies = group.states, group.energies
        of_units = zip(group.columns, group.nearest.T, strict=True)
        for unit, (columns, nearest) in enumerate(of_units):
            here = slice(int(columns[0]), int(columns[-1]) + 1)
            weights, bias = rbm.weights[here], rbm.visible.bias[here]
            now = states[nearest]
            log_ratios = [torch.zeros_like(total)]
            for turn in range(1, len(states)):
                to = (nearest + turn) % len(states)
                change = states[to] - now
                changed = rbm.hidden.cgf(torch.addmm(inputs, change, weights)).sum(-1)
                if energies is not None:
                    changed += energies[unit, nearest] - energies[unit, to]
                log_ratios.append(change @ bias + changed - log_rest)
            total -= torch.stack(log_ratios).logsumexp(0)
    return total.to(v.dtype)


def _log_rest(rbm: RBM, inputs: Tensor) -> Tensor:
    """The common reference of all units' changes; float64, because its rounding enters them all."""
    return rbm.hidden.cgf(inputs).sum(-1, dtype=torch.float64)


@dataclass(frozen=True)
class _Group:
    """Units of one kind.

    Attributes
    ----------
    first_unit
        Index of the first unit of this kind in the layer.
    columns
        Columns of each unit, shape (n, width).
    states
        States of one unit, shape (n_states, width).
    nearest
        Index of the state that each unit is in, or nearest to, shape (rows, n).
    energies
        Energy of each unit's states without the term of the bias, shape (n, n_states); None if
        there is nothing but that term.
    """

    first_unit: int
    columns: Tensor
    states: Tensor
    nearest: Tensor
    energies: Tensor | None


def _as_states(rbm: RBM, v: Tensor) -> tuple[Tensor, list[_Group]]:
    """Rows rounded to states, and the units of each kind."""
    rbm.visible.check_width(v, "visible")
    groups, rounded, first_unit = [], [], 0
    for columns, units in rbm.visible.groups:
        if units.states is None:
            how_many = "infinitely many" if units.is_count else "a continuum of them"
            raise ValueError(
                f"the pseudo-likelihood sums over the states of a visible unit, and "
                f"{type(units).__name__} units have {how_many}; use the "
                "reconstruction error instead"
            )
        states = units.states
        nearest = nearest_states(units, v[:, columns])
        numbers = torch.arange(columns.start, columns.stop, device=v.device)
        by_unit = numbers.view(units.n, units.width)
        energies = None if units.is_linear else state_energies(units)
        groups.append(_Group(first_unit, by_unit, states, nearest, energies))
        rounded.append(states[nearest].flatten(1))
        first_unit += units.n
    return torch.cat(rounded, 1), groups
