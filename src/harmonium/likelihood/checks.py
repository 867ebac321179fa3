"""Checks that a likelihood is defined, and that an estimate is possible."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from harmonium.arguments import check_count, no_tensor
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Lane
from harmonium.units import Units

_ROWS_AT_ONCE = 1000

# States to test of each of two layers; and the relative rounding error of a float64 energy.
_STATES_ASKED, _ROUNDING = 20, 1e-9


def check_finite(rbm: RBM) -> None:
    """Refuse a model with parameters that are infinite or NaN.

    Raises
    ------
    ValueError
        Says which parameter, and how many of its values.
    """
    check_rbm("rbm", rbm)
    for name, parameter in rbm.named_parameters():
        n = int(parameter.isfinite().logical_not().sum())
        if n:
            raise ValueError(
                f"{n} of {parameter.numel()} values of {name} are infinite or NaN, and such a "
                "model has no likelihood; take an earlier checkpoint"
            )


def check_states(rbm: RBM, v: Tensor) -> None:
    """Refuse rows that have the wrong width or are not states of the visible units.

    Raises
    ------
    ValueError
        Says what was passed, and that values between states must be binarised.
    """
    check_rbm("rbm", rbm)
    if not isinstance(v, Tensor):
        raise no_tensor("visible", v)
    if v.dim() != 2 or len(v) == 0:
        raise ValueError(
            f"visible has shape {tuple(v.shape)}; pass (rows, {rbm.visible.n_columns}), of one row "
            "or more"
        )
    rbm.visible.check_width(v, "visible")
    rbm.visible.check(v, "visible")
    n_between = _between_states(rbm.visible, v)
    if n_between:
        raise ValueError(
            f"visible: {n_between} of {len(v) * rbm.visible.n} units are between their states, "
            "for which no likelihood is defined; binarise the data first (`Data.binarize`, "
            "`Data.binarize_stochastically`), or round counts"
        )


def are_states(units: Units, v: Tensor) -> bool:
    """Whether all discrete units are in one of their states; grey values lie in between."""
    return _between_states(units, v) == 0


@torch.no_grad()
def is_straight(a: Units, b: Units) -> bool:
    """Whether energies are linear along `Units.interpolate_` from one layer to the other.

    Tested on some states of both layers. True if layers have no parameters but bias and precision.
    """
    if b.has_standard_form:
        return True
    a, b, middle = (copy.deepcopy(units).double() for units in (a, b, b))
    middle.interpolate_(a, b, 0.5)
    stream = Lane.ENERGIES.stream(0)
    x = torch.cat([units.sample_alone(_STATES_ASKED, stream) for units in (a, b)])
    of_ends = torch.stack([units.energy(x) for units in (a, b)])
    off = middle.energy(x) - of_ends.mean(0)
    return bool((off.abs() <= _ROUNDING * (1 + of_ends.abs().sum(0))).all())


def check_n_chains(n_chains: int) -> None:
    """Refuse too few chains for a standard error.

    Raises
    ------
    ValueError
        If there are fewer than 2.
    """
    check_count("n_chains", n_chains, 0)
    if n_chains < 2:
        raise ValueError(f"n_chains is {n_chains}; pass 2 or more: a standard error needs them")


def _between_states(layer: Units, v: Tensor) -> int:
    """Number of units with separate states that are not in one of them."""
    n = 0
    for columns, units in layer.groups:
        if units.states is None:
            own = v[:, columns]
            n += int((own != own.round()).sum()) if units.is_count else 0
            continue
        for rows in v.split(_ROWS_AT_ONCE):
            own = rows[:, columns].to(units.states)
            nearest = units.states[nearest_states(units, own)].flatten(-2)
            n += int((own != nearest).unflatten(-1, (units.n, units.width)).any(-1).sum())
    return n


def nearest_states(units: Units, x: Tensor) -> Tensor:
    """Index of the state nearest to each unit's value, shape (..., n), for one discrete kind."""
    assert units.states is not None
    states = units.states.to(x)
    if units.width == 1 and len(states) == 2:
        return (x > states.mean()).long()
    by_unit = x.unflatten(-1, (units.n, units.width))
    nearest: Tensor = (by_unit @ states.T - states.square().sum(-1) / 2).argmax(-1)
    return nearest
