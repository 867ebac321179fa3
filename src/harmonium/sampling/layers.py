"""One layer's units at all levels of a ladder, processed together."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from harmonium.rng import Stream
from harmonium.units import Units


class Levels(ABC):
    """A layer's units with separate parameters at every level."""

    @classmethod
    def between(cls, a: Units, b: Units, betas: Tensor) -> Levels:
        """The units on the path from ``a`` to ``b``; inputs are scaled by the inverse temperature.

        Parameters
        ----------
        a, b
            Layers of the same kinds.
        betas
            Inverse temperatures from 0, which is ``a``, to 1, which is ``b``; shape (n_levels,).
        """
        if not b.has_standard_form:
            a = copy.deepcopy(a).to(betas)
            layers = [copy.deepcopy(b).requires_grad_(False) for _ in betas]
            for units, beta in zip(layers, betas.tolist(), strict=True):
                units.interpolate_(a, b, beta)
            return _Layers(layers, betas)
        to = betas.unsqueeze(1)
        # exact at both ends, as torch.lerp is
        bias = (1 - to) * a.bias.to(betas) + to * b.bias
        precision = None
        if a.precision is not None and b.precision is not None:
            precision = (1 - to) * a.precision.to(betas) + to * b.precision
        return _Scaled.of(b, bias, precision, betas)

    @classmethod
    def side_by_side(cls, layers: Sequence[Units]) -> Levels:
        """Copies of layers of the same kinds, one per level."""
        ones = layers[0].bias.new_ones(len(layers))
        if not layers[0].has_standard_form:
            return _Layers([copy.deepcopy(units).requires_grad_(False) for units in layers], ones)
        bias = torch.stack([units.bias.detach() for units in layers])
        precisions = [units.precision.detach() for units in layers if units.precision is not None]
        return _Scaled.of(layers[0], bias, torch.stack(precisions) if precisions else None, ones)

    is_one_draw = False
    """Whether the states of all levels are a single draw."""

    @abstractmethod
    def __getitem__(self, levels: Tensor | slice) -> Levels:
        """Select some of the levels, in any order."""

    @abstractmethod
    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        """Overwrite inputs, shape (n_levels, n_chains, columns), with a draw; returns it."""

    @abstractmethod
    def cgf(self, inputs: Tensor) -> Tensor:
        """Log-normaliser of the whole layer, nats, shape (n_levels, n_chains)."""

    @abstractmethod
    def log_z(self) -> Tensor:
        """Log-normaliser of the layer without inputs, nats, shape (n_levels,)."""

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Energy of the layer's states, nats, shape (n_levels, n_chains).

        Up to a function of the states alone, the same at all levels, such as log x! of a count.
        """


class _Scaled(Levels):
    """Levels that differ only by a shift and a scale, so that one call draws all of them.

    Units with any precision are ``precision^-1/2`` times units of precision 1 whose inputs and bias
    are scaled by the same factor. The draws and log-normalisers of all levels are therefore those
    of a single layer of standard units (`Units.has_standard_form`).

    Parameters
    ----------
    standard
        Units without bias, of precision 1.
    bias
        Shape (n_levels, n_columns).
    precision
        The same, or None for units without one.
    factor
        Inverse temperatures, shape (n_levels,): they scale the inputs from the other layer.
    """

    is_one_draw = True

    def __init__(
        self, standard: Units, bias: Tensor, precision: Tensor | None, factor: Tensor
    ) -> None:
        self._standard = standard
        self._bias, self._precision, self._factor = bias, precision, factor
        if precision is None:
            self._scale = None
            self._offset, self._slope = bias.unsqueeze(1), factor[:, None, None]
        else:
            # in a mixed layer, some units have no precision, and so no scale
            scale = torch.where(precision == 0, 1, precision).rsqrt()
            self._scale = scale.unsqueeze(1)
            self._offset = (bias * scale).unsqueeze(1)
            self._slope = (factor.unsqueeze(1) * scale).unsqueeze(1)

    @classmethod
    def of(cls, units: Units, bias: Tensor, precision: Tensor | None, factor: Tensor) -> _Scaled:
        """Levels of such units; the parameters of ``units`` itself are not read."""
        standard = copy.deepcopy(units).requires_grad_(False)
        one = None if precision is None else torch.ones_like(standard.bias)
        standard.set_natural_(torch.zeros_like(standard.bias), one)
        return cls(standard, bias, precision, factor)

    def __getitem__(self, levels: Tensor | slice) -> Levels:
        precision = None if self._precision is None else self._precision[levels]
        return _Scaled(self._standard, self._bias[levels], precision, self._factor[levels])

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        torch.addcmul(self._offset, inputs, self._slope, out=inputs)
        self._standard.sample_(inputs.view(-1, inputs.shape[-1]), stream)
        return inputs if self._scale is None else inputs.mul_(self._scale)

    def cgf(self, inputs: Tensor) -> Tensor:
        cgf = self._standard.cgf(torch.addcmul(self._offset, inputs, self._slope)).sum(-1)
        return cgf if self._scale is None else cgf + self._scale.log().sum(-1)

    def log_z(self) -> Tensor:
        return self.cgf(torch.zeros_like(self._bias).unsqueeze(1)).squeeze(1)

    def energy(self, x: Tensor) -> Tensor:
        energy = -torch.bmm(x, self._bias.unsqueeze(-1)).squeeze(-1)
        if self._precision is None:
            return energy
        return energy + 0.5 * torch.bmm(x.square(), self._precision.unsqueeze(-1)).squeeze(-1)


class _Layers(Levels):
    """Levels of any units, one layer each: exact, but the time grows with the number of levels.

    Parameters
    ----------
    layers
        Units of each level.
    factor
        Inverse temperatures, shape (n_levels,): they scale the inputs from the other layer.
    """

    def __init__(self, layers: Sequence[Units], factor: Tensor) -> None:
        self._layers, self._factor = layers, factor

    def __getitem__(self, levels: Tensor | slice) -> Levels:
        numbers = torch.arange(len(self._layers))[levels].tolist()
        return _Layers([self._layers[level] for level in numbers], self._factor[levels])

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        inputs.mul_(self._factor[:, None, None])
        for units, of_level in zip(self._layers, inputs, strict=True):
            units.sample_(of_level, stream)
        return inputs

    def cgf(self, inputs: Tensor) -> Tensor:
        cgf = inputs.new_empty(inputs.shape[:-1])  # of no levels, where a turn has no pair
        received = inputs * self._factor[:, None, None]
        for units, of_level, out in zip(self._layers, received, cgf, strict=True):
            out.copy_(units.cgf(of_level).sum(-1))
        return cgf

    def log_z(self) -> Tensor:
        of_each = [units.cgf(torch.zeros_like(units.bias)).sum(-1) for units in self._layers]
        return torch.stack(of_each)

    def energy(self, x: Tensor) -> Tensor:
        energy = x.new_empty(x.shape[:-1])
        for units, of_level, out in zip(self._layers, x, energy, strict=True):
            out.copy_(units.energy(of_level))
        return energy
