"""The same model written in another way: shifted, rescaled, flipped, in another order, as spins.

Imports the package's models alone, and none of what they are judged by: the algebra is here in
full, in float64. With ``x[order] = scale * x' + offset`` in both layers, E(v, h) = E'(v', h') + K.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import RBM
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Spin, Units


@dataclass(frozen=True)
class Change:
    """Of one layer: how its old states are made of new ones, and the new units."""

    units: Units
    order: Tensor
    scale: Tensor
    offset: Tensor

    def enter(self, x: Tensor) -> Tensor:
        """New states of old ones, in their type."""
        return ((x.double()[..., self.order] - self.offset) / self.scale).to(x.dtype)

    def leave(self, x: Tensor) -> Tensor:
        """Old states, or means, of new ones, float64."""
        old = torch.empty_like(x, dtype=torch.float64)
        old[..., self.order] = self.scale * x.double() + self.offset
        return old


@dataclass(frozen=True)
class Rewritten:
    """A model, the same written in another way, and what lies between both."""

    old: RBM
    rbm: RBM
    visible: Change
    hidden: Change
    energy: float
    """What the old model's energies are more, K, nats."""
    log_volume: float
    """Log of what a volume of the new visible states is of the old ones."""
    log_volume_of_both: float
    """The same of visible and hidden states."""


def rewrite(rbm: RBM, visible: Change, hidden: Change) -> Rewritten:
    """Write a model anew, exactly; then round it to its type."""
    wide = copy.deepcopy(rbm).double()
    o, p = visible.offset, hidden.offset
    weights = wide.weights.detach()[visible.order][:, hidden.order]
    new = RBM(copy.deepcopy(visible.units), copy.deepcopy(hidden.units)).double()
    energy = -(o @ weights @ p).item()
    with torch.no_grad():
        new.weights.copy_(visible.scale[:, None] * weights * hidden.scale)
        for layer, units, change, received in (
            (new.visible, wide.visible, visible, weights @ p),
            (new.hidden, wide.hidden, hidden, o @ weights),
        ):
            bias = units.bias[change.order]
            precision = torch.zeros_like(bias)
            if units.precision is not None:
                precision = units.precision[change.order]
            slope = precision * change.offset
            energy += (change.offset * (0.5 * slope - bias)).sum().item()
            for columns, group in layer.groups:
                for name in group.further:  # of units with one column each
                    parameter = group.get_parameter(name)
                    parameter.copy_(parameter[change.order[columns] - columns.start])
            has_precision = layer.precision is not None
            layer.set_natural_(
                change.scale * (bias - slope + received),
                precision * change.scale.square() if has_precision else None,
            )
    volumes = [
        change.scale.abs().log()[_gaussian_columns(change.units)].sum().item()
        for change in (visible, hidden)
    ]
    return Rewritten(
        rbm, new.to(rbm.weights.dtype), visible, hidden, energy, volumes[0], sum(volumes)
    )


def _gaussian_columns(units: Units) -> Tensor:
    is_gaussian = torch.zeros(units.n_columns, dtype=torch.bool)
    for columns, group in units.groups:
        is_gaussian[columns] = isinstance(group, Gaussian)
    return is_gaussian


def nothing(units: Units) -> Change:
    """Leave a layer as it is."""
    n = units.n_columns
    ones = torch.ones(n, dtype=torch.float64)
    return Change(units, torch.arange(n), ones, torch.zeros_like(ones))


def shifted(by: float) -> Callable[[Units], Change]:
    """Gaussian units so much farther up, and every other one as much farther down."""

    def change(units: Units) -> Change:
        same = nothing(units)
        at = _gaussian_columns(units)
        same.offset[at] = -by * (1 - 2 * (torch.arange(len(at))[at] % 2)).double()
        return same

    return change


def rescaled(by: float) -> Callable[[Units], Change]:
    """Gaussian units in smaller units of measurement, so that their numbers are larger."""

    def change(units: Units) -> Change:
        same = nothing(units)
        same.scale[_gaussian_columns(units)] = 1 / by
        return same

    return change


def flipped(units: Units) -> Change:
    """Every other two-valued unit with its states exchanged, categories in another order."""
    same = nothing(units)
    for columns, group in units.groups:
        some = torch.arange(columns.start, columns.stop, 2)
        if isinstance(group, Binary | Spin):
            same.scale[some] = -1
            same.offset[some] = 1 if isinstance(group, Binary) else 0
        elif isinstance(group, Categorical):
            by_unit = same.order[columns].view(group.n, -1).flip(1)
            same.order[columns] = by_unit.flatten()
    return same


def reordered(units: Units) -> Change:
    """The units of each kind from the last to the first."""
    same = nothing(units)
    for columns, group in units.groups:
        precision = group.precision
        same.order[columns] = same.order[columns].view(group.n, -1).flip(0).flatten()
        assert precision is None or len(precision) == group.n
    return same


def as_spins(units: Units) -> Change:
    """Binary units as spins, x = (s + 1) / 2, and spins as binary units."""
    same = nothing(units)
    parts: list[Units] = []
    for columns, group in units.groups:
        if isinstance(group, Binary):
            parts.append(Spin(group.n))
            same.scale[columns], same.offset[columns] = 0.5, 0.5
        elif isinstance(group, Spin):
            parts.append(Binary(group.n))
            same.scale[columns], same.offset[columns] = 2.0, -1.0
        else:
            parts.append(copy.deepcopy(group))
    made = Mixed(*parts) if isinstance(units, Mixed) else parts[0]
    return Change(made, same.order, same.scale, same.offset)


def with_idle_units(rbm: RBM, hidden: Units) -> RBM:
    """The model with further hidden units that see nothing; ``hidden`` gives them."""
    groups = [group for layer in (rbm.hidden, hidden) for _, group in layer.groups]
    made = Mixed(*groups).to(rbm.weights)
    new = RBM(copy.deepcopy(rbm.visible), made).to(rbm.weights)
    with torch.no_grad():
        new.hidden.bias.copy_(torch.cat([rbm.hidden.bias, hidden.bias.to(rbm.weights)]))
        new.weights[:, : rbm.hidden.n_columns].copy_(rbm.weights)
    return new


def with_constants(rbm: RBM) -> RBM:
    """The model whose visible categories have constants added to biases and weights.

    A categorical unit is in exactly one state: what is added to all of them counts once, and is
    taken from the hidden units' biases. Its states stay, and so do its energies but for a constant.
    """
    new = copy.deepcopy(rbm)
    with torch.no_grad():
        for columns, group in new.visible.groups:
            if isinstance(group, Categorical):
                new.visible.bias[columns] += 8.0
                new.weights[columns] += 4.0
                new.hidden.bias -= 4.0 * group.n
    return new


def on_a_grid_(rbm: RBM, seed: int) -> RBM:
    """Parameters that are multiples of 1/64, so that float32 rounds no shift; precisions are 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in rbm.named_parameters():
            if name.endswith("log_precision"):
                p.zero_()
            else:
                size = 0.7 if name != "weights" else 0.7 / math.sqrt(len(rbm.weights))
                drawn = torch.rand(p.shape, generator=generator, dtype=torch.float64)
                p.copy_((64 * size * (2 * drawn - 1)).round() / 64)
    return rbm


def some_rows(units: Units, n: int, seed: int, dtype: torch.dtype) -> Tensor:
    """States; those of continuous units are multiples of 1/64."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.empty(n, units.n_columns, dtype=torch.float64)
    for columns, group in units.groups:
        if group.states is None:
            drawn = torch.randn(n, group.n, generator=generator, dtype=torch.float64)
            drawn = drawn.abs() if group.is_positive else drawn
            step = 1 if group.is_count else 64
            rows[:, columns] = (step * drawn).round() / step
        else:
            states = group.states.double()
            drawn = torch.randint(len(states), (n, group.n), generator=generator)
            rows[:, columns] = states[drawn].flatten(1)
    return rows.to(dtype)
