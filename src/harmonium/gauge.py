"""The same model written in other coordinates, in which Gaussian units are near zero.

Adding c to the states of Gaussian visible units is another way to write an RBM: with ``v = u + c``
and ``h = g + d``,

    E(v, h) = E'(u, g) + K,    b' = b - P c + W d,    a' = a - Q d + W^T c,    K = E(c, d),

where P and Q are the precisions; weights and precisions stay. In float32 the terms of E cancel
where units are far from zero, by 6e-8 of ``P c^2 / 2``. So whatever estimates something of a model
goes through here first: it moves model and rows to where nothing cancels, in float64, and adds K
back at the end. Models that are near zero come back as they are, bit for bit.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.rbm import RBM, HasMoments
from harmonium.units import Units

# Offsets are multiples of a power of two, of half of so many standard deviations or more. So
# subtracting them rounds nothing, and models that differ by such multiples move to one place.
_GRID = 8.0

# Means of discrete units and positions of continuous ones depend on each other.
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Gauge:
    """A model moved to where its continuous units are near zero, and the way there and back.

    Attributes
    ----------
    rbm
        The moved model; the given one where nothing has to be moved.
    visible_offset, hidden_offset : Tensor or None, float64, shape (n_columns,)
        What is subtracted from the states; None where nothing is.
    energy
        What the move takes from every energy and free energy, and adds to log Z, nats.
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
            Any model; it stays as it is.
        dtype
            Of the moved model; that of the given one if None.
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
        """Move a model by these offsets, which are zero where `Units.has_origin`."""
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
        """Move another model of the same units along, and the energy that this takes from it."""
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
        """What `move` makes this of, in float64; the very same where nothing is moved."""
        if self.visible_offset is None or self.hidden_offset is None:
            return rbm
        there = Gauge(rbm, -self.visible_offset, -self.hidden_offset)
        return there.move(copy.deepcopy(rbm).double())[0]

    def enter(self, v: Tensor) -> Tensor:
        """Visible states, or their first columns, as they are in the moved model, in its type."""
        return self._without(v, self.visible_offset)

    def enter_hidden(self, h: Tensor) -> Tensor:
        """Hidden states as they are in the moved model, in its type."""
        return self._without(h, self.hidden_offset)

    def leave(self, v: Tensor) -> Tensor:
        """Visible states of the moved model as they are in the given one."""
        return v if self.visible_offset is None else (v + self.visible_offset).to(v.dtype)

    def leave_hidden(self, h: Tensor) -> Tensor:
        """Hidden states of the moved model as they are in the given one."""
        return h if self.hidden_offset is None else (h + self.hidden_offset).to(h.dtype)

    def enter_data(self, data: Tensor | HasMoments) -> Tensor | HasMoments:
        """Rows, or what knows their moments, in the coordinates of the moved model."""
        if isinstance(data, Tensor):
            return self.enter(data)
        if self.is_identity or not hasattr(data, "moments"):  # what is no data is refused later
            return data
        return Moments(*self.moved(*data.moments()))

    def moved(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of rows, in the coordinates of the moved model."""
        if self.visible_offset is None:
            return mean, var
        return mean - self.visible_offset.to(mean.device), var

    def _without(self, x: Tensor, offset: Tensor | None) -> Tensor:
        return x if offset is None else (x - offset[: x.shape[-1]]).to(self.rbm.weights.dtype)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of the columns of rows, each of shape (n_columns,): they are all known."""

    mean: Tensor
    var: Tensor

    def moments(self) -> tuple[Tensor, Tensor]:
        """Both, as `RBM.init_from_data_` asks for them."""
        return self.mean, self.var


def _offsets(rbm: RBM) -> tuple[Tensor, Tensor] | None:
    """Near the means of the continuous units of a float64 model; None if all are near zero."""
    v, h, weights = rbm.visible, rbm.hidden, rbm.weights
    (at_v, precision_v), (at_h, precision_h) = _without_origin(v), _without_origin(h)
    between = weights[at_v][:, at_h]
    mean_v, mean_h = (units.mean(torch.zeros_like(units.bias)) for units in (v, h))
    for _ in range(_ROUNDS):
        # the others' means take part like biases; then two layers' minima depend on each other
        b = (v.bias + weights[:, ~at_h] @ mean_h[~at_h])[at_v]
        a = (h.bias + mean_v[~at_v] @ weights[~at_v])[at_h]
        curvature = torch.diag(precision_h) - between.T @ (between / precision_v[:, None])
        mean_h[at_h] = torch.linalg.solve_ex(curvature, a + (b / precision_v) @ between)[0]
        mean_v[at_v] = (b + between @ mean_h[at_h]) / precision_v
        mean_h = torch.where(at_h, mean_h, h.mean(mean_v @ weights))
        mean_v = torch.where(at_v, mean_v, v.mean(weights @ mean_h))
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
