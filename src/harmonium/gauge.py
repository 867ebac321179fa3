"""Rewrite a model in coordinates in which its Gaussian units are near zero.

Shifting the states of Gaussian units gives an equivalent RBM: with ``v = u + c`` and ``h = g + d``,

    E(v, h) = E'(u, g) + K,    b' = b - P c + W d,    a' = a - Q d + W^T c,    K = E(c, d),

where P and Q are the precisions; weights and precisions are unchanged. Where units are far from
zero, the terms of E cancel in float32, which costs about 6e-8 of ``P c^2 / 2``. Every estimator of
a model's properties therefore starts here: it moves model and rows, in float64, to where nothing
cancels, and adds K back at the end. A model near zero is returned unchanged, bit for bit.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.rbm import RBM, HasMoments
from harmonium.units import Units

# Offsets are multiples of a power of two that is at least half of this many standard deviations.
# Subtracting them rounds nothing, and models that differ by such multiples move to the same place.
_GRID = 8.0

# Iterations: means of discrete units and positions of continuous ones depend on each other. Means
# of half-lines have no bound: they are followed until no position moves by this many deviations.
_ROUNDS, _MOST_ROUNDS = 3, 1000
_SETTLED = 1e-3


@dataclass(frozen=True, eq=False)
class Gauge:
    """A model moved so that its continuous units are near zero, and the maps there and back.

    Attributes
    ----------
    rbm
        The moved model, or the given one if nothing had to be moved.
    visible_offset, hidden_offset : Tensor or None, float64, shape (n_columns,)
        What is subtracted from the states; None if nothing is.
    energy
        What the move subtracts from every energy and free energy, and adds to log Z, nats.
    """

    rbm: RBM
    visible_offset: Tensor | None = None
    hidden_offset: Tensor | None = None
    energy: float = 0.0

    @classmethod
    @torch.no_grad()
    def of(cls, rbm: RBM, dtype: torch.dtype | None = None) -> Gauge:
        """Move a model.

        Parameters
        ----------
        rbm
            Any model; it is not changed.
        dtype
            Type of the moved model; None keeps the given model's.
        """
        dtype = rbm.weights.dtype if dtype is None else dtype
        if rbm.visible.is_far or rbm.hidden.is_far:
            offsets = _offsets(copy.deepcopy(rbm).double())
            if offsets is not None:
                return cls.by(rbm, *offsets, dtype)
        return cls(rbm if rbm.weights.dtype == dtype else copy.deepcopy(rbm).to(dtype))

    @classmethod
    @torch.no_grad()
    def by(
        cls,
        rbm: RBM,
        visible_offset: Tensor,
        hidden_offset: Tensor,
        dtype: torch.dtype | None = None,
    ) -> Gauge:
        """Move a model by these offsets, which must be zero for units with `Units.has_origin`."""
        wide = copy.deepcopy(rbm).double()
        moved, energy = cls(wide, visible_offset, hidden_offset).move(wide)
        dtype = rbm.weights.dtype if dtype is None else dtype
        return cls(moved.to(dtype), visible_offset, hidden_offset, energy)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is moved."""
        return self.visible_offset is None or self.hidden_offset is None

    @torch.no_grad()
    def move(self, rbm: RBM) -> tuple[RBM, float]:
        """Move another model of the same units; also return the energy that this subtracts."""
        c, d = self.visible_offset, self.hidden_offset
        if c is None or d is None:
            return rbm, 0.0
        moved = copy.deepcopy(rbm).double()
        energy = -(c @ moved.weights @ d).item()
        inputs = moved.weights @ d, c @ moved.weights
        for units, offset, received in zip(
            (moved.visible, moved.hidden), (c, d), inputs, strict=True
        ):
            slope = (
                torch.zeros_like(offset) if units.precision is None else units.precision * offset
            )
            energy += (offset * (0.5 * slope - units.bias)).sum().item()
            units.bias.add_(received - slope)
        return moved.to(rbm.weights.dtype), energy

    def move_back(self, rbm: RBM) -> RBM:
        """Invert `move`, in float64; returns the same object if nothing is moved."""
        if self.visible_offset is None or self.hidden_offset is None:
            return rbm
        there = Gauge(rbm, -self.visible_offset, -self.hidden_offset)
        return there.move(copy.deepcopy(rbm).double())[0]

    def enter(self, v: Tensor) -> Tensor:
        """Convert visible states, or their first columns, to the moved model's, in its dtype."""
        return self._without(v, self.visible_offset)

    def enter_hidden(self, h: Tensor) -> Tensor:
        """Convert hidden states to the moved model's, in its dtype."""
        return self._without(h, self.hidden_offset)

    def leave(self, v: Tensor) -> Tensor:
        """Convert visible states of the moved model back to the given model's."""
        return v if self.visible_offset is None else (v + self.visible_offset).to(v.dtype)

    def leave_hidden(self, h: Tensor) -> Tensor:
        """Convert hidden states of the moved model back to the given model's."""
        return h if self.hidden_offset is None else (h + self.hidden_offset).to(h.dtype)

    def enter_data(self, data: Tensor | HasMoments) -> Tensor | HasMoments:
        """Convert rows, or an object that knows their moments, to the moved coordinates."""
        if isinstance(data, Tensor):
            return self.enter(data)
        if self.is_identity or not hasattr(data, "moments"):  # other types are refused later
            return data
        return Moments(*self.moved(*data.moments()))

    def moved(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Convert mean and variance of rows to the coordinates of the moved model."""
        if self.visible_offset is None:
            return mean, var
        return mean - self.visible_offset.to(mean.device), var

    def _without(self, x: Tensor, offset: Tensor | None) -> Tensor:
        return x if offset is None else (x - offset[: x.shape[-1]]).to(self.rbm.weights.dtype)


@dataclass(frozen=True, eq=False)
class Moments:
    """Known mean and variance of the columns of rows, each of shape (n_columns,)."""

    mean: Tensor
    var: Tensor

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return both, as `RBM.init_from_data_` expects them."""
        return self.mean, self.var


def _offsets(rbm: RBM) -> tuple[Tensor, Tensor] | None:
    """Offsets near the means of a float64 model's continuous units; None if all are near zero."""
    v, h, weights = rbm.visible, rbm.hidden, rbm.weights
    (at_v, precision_v), (at_h, precision_h) = _without_origin(v), _without_origin(h)
    between = weights[at_v][:, at_h]
    mean_v, mean_h = (units.mean(torch.zeros_like(units.bias)) for units in (v, h))
    half_lines = any(
        units.states is None and units.has_origin for layer in (v, h) for _, units in layer.groups
    )
    for n in range(_MOST_ROUNDS if half_lines else _ROUNDS):
        before_v, before_h = mean_v.clone(), mean_h.clone()
        # means of the other units act like biases; then the minima of the two layers are coupled
        b = (v.bias + weights[:, ~at_h] @ mean_h[~at_h])[at_v]
        a = (h.bias + mean_v[~at_v] @ weights[~at_v])[at_h]
        curvature = torch.diag(precision_h) - between.T @ (between / precision_v[:, None])
        mean_h[at_h] = torch.linalg.solve_ex(curvature, a + (b / precision_v) @ between)[0]
        mean_v[at_v] = (b + between @ mean_h[at_h]) / precision_v
        mean_h = torch.where(at_h, mean_h, h.mean(mean_v @ weights))
        mean_v = torch.where(at_v, mean_v, v.mean(weights @ mean_h))
        moved_v = (mean_v - before_v)[at_v].square() * precision_v
        moved_h = (mean_h - before_h)[at_h].square() * precision_h
        if n + 1 >= _ROUNDS and (torch.cat([moved_v, moved_h]) < _SETTLED**2).all():
            break
    offsets = [torch.zeros_like(mean_v), torch.zeros_like(mean_h)]
    for offset, mean, at, precision in zip(
        offsets, (mean_v, mean_h), (at_v, at_h), (precision_v, precision_h), strict=True
    ):
        grid = (_GRID * precision.rsqrt()).log2().floor().exp2()
        offset[at] = (mean[at] / grid).round() * grid
    is_anywhere = any(offset.any() for offset in offsets)
    is_finite = all(offset.isfinite().all() for offset in offsets)
    return (offsets[0], offsets[1]) if is_anywhere and is_finite else None


def _without_origin(units: Units) -> tuple[Tensor, Tensor]:
    """Which columns can be moved, bool of shape (n_columns,), and the precisions of these."""
    at = torch.zeros_like(units.bias, dtype=torch.bool)
    for columns, group in units.groups:
        at[columns] = not group.has_origin
    precision = units.precision
    return at, (units.bias if precision is None else precision)[at]
