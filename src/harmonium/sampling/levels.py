"""Ladders: models of the same shape, one per level, whose chains move together.

One tensor of shape (n_levels, n_chains, columns) holds the rows of all levels. There are two kinds
of ladder: one model at several inverse temperatures, and several models.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.gauge import Gauge
from harmonium.rbm import RBM
from harmonium.sampling.layers import Levels
from harmonium.sampling.path import TemperaturePath


class Ladder(ABC):
    """Models of the same shape, one per level; the last one is the model to sample.

    Attributes
    ----------
    visible, hidden : Levels
        The layers.
    gauge
        The coordinates of the layers; states must be in them while they move.
    energies : Tensor, shape (n_levels,), float64
        What these coordinates subtract from the energies of each level, nats.
    """

    visible: Levels
    hidden: Levels
    gauge: Gauge
    energies: Tensor

    @abstractmethod
    def __len__(self) -> int:
        """Number of levels."""

    def part(self, levels: slice) -> Ladder:
        """The ladder of some neighbouring levels; it shares their parameters."""
        part = copy.copy(self)
        part.visible, part.hidden = self.visible[levels], self.hidden[levels]
        return part

    @abstractmethod
    def inputs_v_from_h(self, h: Tensor, out: Tensor) -> Tensor:
        """Write the visible inputs, not yet scaled by the inverse temperature, into ``out``."""

    @abstractmethod
    def inputs_h_from_v(self, v: Tensor, out: Tensor) -> Tensor:
        """Write the hidden inputs, not yet scaled by the inverse temperature, into ``out``."""

    @abstractmethod
    def inputs_elsewhere(self, v: Tensor, inputs: Tensor, first: int) -> Tensor:
        """Hidden inputs that pairs of neighbours would have at the other's level.

        Parameters
        ----------
        v, inputs
            Visible states, and their hidden inputs at their own level, for an even number of
            levels.
        first
            The first of these levels.
        """


class TemperatureLadder(Ladder):
    """One model at several inverse temperatures; the levels share the weights up to a scale.

    Parameters
    ----------
    rbm
        The model at inverse temperature 1.
    path
        The ladder's base and temperatures.
    """

    def __init__(self, rbm: RBM, path: TemperaturePath) -> None:
        betas = path.betas.to(rbm.weights)
        self.gauge, base_energy = Gauge.of(rbm), 0.0
        visible, hidden = path.visible, path.hidden
        if not self.gauge.is_identity:
            base = RBM(copy.deepcopy(visible), copy.deepcopy(hidden)).to(rbm.weights)
            base, base_energy = self.gauge.move(base)
            visible, hidden = base.visible, base.hidden
        self.energies = torch.lerp(
            torch.full_like(path.betas, base_energy),
            torch.full_like(path.betas, self.gauge.energy),
            path.betas,
        )
        rbm = self.gauge.rbm
        self._n, self._weights = len(betas), rbm.weights
        self.visible = Levels.between(visible, rbm.visible, betas)
        self.hidden = Levels.between(hidden, rbm.hidden, betas)

    def __len__(self) -> int:
        return self._n

    def inputs_v_from_h(self, h: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        kernels.mm(h.flatten(0, 1), self._weights.T, out=out.view(-1, out.shape[-1]))
        return out

    def inputs_h_from_v(self, v: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        kernels.product(v.flatten(0, 1), self._weights, out=out.view(-1, out.shape[-1]))
        return out

    def inputs_elsewhere(self, v: Tensor, inputs: Tensor, first: int) -> Tensor:  # noqa: D102
        return inputs  # the weights are the same


class ModelLadder(Ladder):
    """Several models; each level has its own weights, and products are batched.

    Parameters
    ----------
    models
        One model per level, of the same shape; their parameters are copied.
    """

    def __init__(self, models: Sequence[RBM]) -> None:
        self.gauge = Gauge.of(models[-1])
        moved = [self.gauge.move(rbm) for rbm in models]
        models = [rbm for rbm, _ in moved]
        self.energies = torch.tensor([energy for _, energy in moved], dtype=torch.float64)
        self._weights = torch.stack([rbm.weights.detach() for rbm in models])
        self.visible = Levels.side_by_side([rbm.visible for rbm in models])
        self.hidden = Levels.side_by_side([rbm.hidden for rbm in models])

    def __len__(self) -> int:
        return len(self._weights)

    def inputs_v_from_h(self, h: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        return kernels.bmm(h, self._weights.mT, out=out)

    def inputs_h_from_v(self, v: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        return kernels.bmm(v, self._weights, out=out)

    def inputs_elsewhere(self, v: Tensor, inputs: Tensor, first: int) -> Tensor:  # noqa: D102
        out = torch.empty_like(inputs)
        weights = self._weights[first : first + len(v)]
        lower, upper = slice(0, None, 2), slice(1, None, 2)
        for here, there in ((lower, upper), (upper, lower)):
            kernels.bmm(v[here], weights[there], out=out[here])
        return out
