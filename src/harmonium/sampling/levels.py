"""Ladders: models of the same shape, one a level, whose chains are moved all at once.

The rows of all levels lie in one tensor of shape (n_levels, n_chains, columns). Two ladders are
known: one model at several inverse temperatures, and several models.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.gauge import Gauge
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.units import Units


class Levels:
    """A layer's units with natural parameters of their own in every level.

    Every unit type is a family of location and scale: units of some precision under inputs are
    ``precision^-1/2`` times units of precision 1 whose inputs and bias were scaled alike. So the
    draws and log-normalisers of all levels are those of one layer of standard units.

    Parameters
    ----------
    units
        Gives the unit type; its parameters are not read.
    bias
        Shape (n_levels, n_columns).
    precision
        The same, or None for units without one.
    factor
        Inverse temperatures, by which the inputs from the other layer count, shape (n_levels,).
    """

    def __init__(
        self, units: Units, bias: Tensor, precision: Tensor | None, factor: Tensor
    ) -> None:
        standard = copy.deepcopy(units).requires_grad_(False)
        one = None if precision is None else torch.ones_like(standard.bias)
        standard.set_natural_(torch.zeros_like(standard.bias), one)
        self._set(standard, bias, precision, factor)

    def _set(self, standard: Units, bias: Tensor, precision: Tensor | None, factor: Tensor) -> None:
        self._standard = standard
        self._bias, self._precision, self._factor = bias, precision, factor
        if precision is None:
            self._scale = None
            self._offset, self._slope = bias.unsqueeze(1), factor[:, None, None]
        else:
            # among units of several kinds, some have no precision, and none to scale by
            scale = torch.where(precision == 0, 1, precision).rsqrt()
            self._scale = scale.unsqueeze(1)
            self._offset = (bias * scale).unsqueeze(1)
            self._slope = (factor.unsqueeze(1) * scale).unsqueeze(1)

    def __getitem__(self, levels: Tensor) -> Levels:
        """Some of the levels, in any order."""
        precision = None if self._precision is None else self._precision[levels]
        some = Levels.__new__(Levels)
        some._set(self._standard, self._bias[levels], precision, self._factor[levels])
        return some

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        """Overwrite inputs, shape (n_levels, n_chains, columns), with a draw; returns it."""
        torch.addcmul(self._offset, inputs, self._slope, out=inputs)
        self._standard.sample_(inputs.view(-1, inputs.shape[-1]), stream)
        return inputs if self._scale is None else inputs.mul_(self._scale)

    def cgf(self, inputs: Tensor) -> Tensor:
        """Log-normaliser of the whole layer, nats, shape (n_levels, n_chains)."""
        cgf = self._standard.cgf(torch.addcmul(self._offset, inputs, self._slope)).sum(-1)
        return cgf if self._scale is None else cgf + self._scale.log().sum(-1)

    def log_z(self) -> Tensor:
        """Log-normaliser of the layer without inputs, nats, shape (n_levels,)."""
        return self.cgf(torch.zeros_like(self._bias).unsqueeze(1)).squeeze(1)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of the layer's states, nats, shape (n_levels, n_chains)."""
        energy = -torch.bmm(x, self._bias.unsqueeze(-1)).squeeze(-1)
        if self._precision is None:
            return energy
        return energy + 0.5 * torch.bmm(x.square(), self._precision.unsqueeze(-1)).squeeze(-1)


class Ladder(ABC):
    """Models of the same shape, one a level; the last one is what is sampled.

    Attributes
    ----------
    visible, hidden : Levels
        The layers.
    gauge
        The coordinates in which the layers are kept, and states have to be while they move.
    energies : Tensor, shape (n_levels,), float64
        What these coordinates take from the energies of each level, nats.
    """

    visible: Levels
    hidden: Levels
    gauge: Gauge
    energies: Tensor

    @abstractmethod
    def __len__(self) -> int:
        """Number of levels."""

    @abstractmethod
    def inputs_v_from_h(self, h: Tensor, out: Tensor) -> Tensor:
        """What the visible units receive, before its inverse temperature, into ``out``."""

    @abstractmethod
    def inputs_h_from_v(self, v: Tensor, out: Tensor) -> Tensor:
        """What the hidden units receive, before its inverse temperature, into ``out``."""

    @abstractmethod
    def inputs_elsewhere(self, v: Tensor, inputs: Tensor, first: int) -> Tensor:
        """What the hidden units of pairs of neighbours would receive in the other's level.

        Parameters
        ----------
        v, inputs
            Visible states, and what the hidden units receive where they are, of an even number
            of levels.
        first
            The first of these levels.
        """


@dataclass
class TemperaturePath:
    """The straight line, in all natural parameters, from independent units to a model.

    At inverse temperature beta the energy is (1 - beta) times that of the independent units plus
    beta times that of the model.

    Attributes
    ----------
    betas : Tensor, shape (n_levels,)
        Inverse temperatures, rising from 0 to 1; float64, on the CPU.
    visible, hidden : Units
        The independent units.
    """

    betas: Tensor
    visible: Units
    hidden: Units

    def __len__(self) -> int:
        return len(self.betas)

    def check(self, rbm: RBM) -> None:
        """Refuse a path that does not lead to this model.

        Raises
        ------
        ValueError
            Says which layer is another, or what is wrong with the temperatures.
        """
        for layer, own, of_model in (
            ("visible", self.visible, rbm.visible),
            ("hidden", self.hidden, rbm.hidden),
        ):
            if own.kinds != of_model.kinds:
                raise ValueError(
                    f"the base's {layer} units are {own!r}, but the model's are {of_model!r}; "
                    "pass independent units of the same type and number"
                )
        check_betas(self.betas)


def check_betas(betas: Tensor) -> None:
    """Refuse inverse temperatures that do not rise from 0 to 1.

    Raises
    ------
    ValueError
        Says what they are.
    """
    if (
        betas.dim() != 1
        or len(betas) < 2
        or betas[0] != 0
        or betas[-1] != 1
        or not (betas.diff() > 0).all()
    ):
        raise ValueError(
            f"the inverse temperatures are {[round(beta, 6) for beta in betas.flatten().tolist()]};"
            " pass 2 or more that rise from 0 to 1, such as torch.linspace(0, 1, 10)"
        )


@torch.no_grad()
def independent_units(rbm: RBM, mean: Tensor | None = None, var: Tensor | None = None) -> RBM:
    """A model of the same shape without weights: where a path to ``rbm`` starts.

    Hidden units get no bias (and keep their precision, where they have one). Visible units get
    the moments that are passed, such as those of the data (`Data.moments`): paths that start
    there are the shortest (Salakhutdinov and Murray, 2008). Without moments they keep the
    model's own visible parameters, as `start_random` does, which after `RBM.init_from_data_`
    are the data's.

    Parameters
    ----------
    rbm
        The model.
    mean, var
        Of each visible column, shape (visible.n_columns,) each; both or neither.

    Raises
    ------
    ValueError
        If one of the moments is missing, or they are none of these units'.
    """
    check_rbm("rbm", rbm)
    if (mean is None) != (var is None):
        raise ValueError("one of mean and var is missing; pass both, or neither")
    gauge = Gauge.of(rbm)
    base = copy.deepcopy(gauge.rbm).requires_grad_(False)
    base.weights.zero_()
    base.hidden.bias.zero_()
    base = gauge.move_back(base).to(rbm.weights)
    if mean is not None and var is not None:
        base.visible.check_width(mean, "visible")
        base.visible.check(mean, "the mean")
        base.visible.init_from_moments_(mean.to(base.weights), var.to(base.weights))
    return base


class TemperatureLadder(Ladder):
    """One model at several inverse temperatures: the weights are shared, and only scaled.

    Parameters
    ----------
    rbm
        The model at inverse temperature 1.
    path
        Where the ladder leads from, and its temperatures.
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
        self.visible = _between(visible, rbm.visible, betas)
        self.hidden = _between(hidden, rbm.hidden, betas)

    def __len__(self) -> int:
        return self._n

    def inputs_v_from_h(self, h: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        torch.mm(h.flatten(0, 1), self._weights.T, out=out.view(-1, out.shape[-1]))
        return out

    def inputs_h_from_v(self, v: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        kernels.product(v.flatten(0, 1), self._weights, out=out.view(-1, out.shape[-1]))
        return out

    def inputs_elsewhere(self, v: Tensor, inputs: Tensor, first: int) -> Tensor:  # noqa: D102
        return inputs  # the weights are the same


def _between(base: Units, units: Units, betas: Tensor) -> Levels:
    """The units on the straight line from ``base`` to ``units``."""
    to = betas.unsqueeze(1)
    # exact at both ends, which torch.lerp is too
    bias = (1 - to) * base.bias.to(betas) + to * units.bias
    precision = None
    if base.precision is not None and units.precision is not None:
        precision = (1 - to) * base.precision.to(betas) + to * units.precision
    return Levels(units, bias, precision, betas)


class ModelLadder(Ladder):
    """Several models: each level has its own weights, and products are made in one batch.

    Parameters
    ----------
    models
        One a level, of the same shape; their parameters are copied.
    """

    def __init__(self, models: Sequence[RBM]) -> None:
        self.gauge = Gauge.of(models[-1])
        moved = [self.gauge.move(rbm) for rbm in models]
        models = [rbm for rbm, _ in moved]
        self.energies = torch.tensor([energy for _, energy in moved], dtype=torch.float64)
        self._weights = torch.stack([rbm.weights.detach() for rbm in models])
        ones = self._weights.new_ones(len(models))
        self.visible = _side_by_side([rbm.visible for rbm in models], ones)
        self.hidden = _side_by_side([rbm.hidden for rbm in models], ones)

    def __len__(self) -> int:
        return len(self._weights)

    def inputs_v_from_h(self, h: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        return torch.bmm(h, self._weights.mT, out=out)

    def inputs_h_from_v(self, v: Tensor, out: Tensor) -> Tensor:  # noqa: D102
        return torch.bmm(v, self._weights, out=out)

    def inputs_elsewhere(self, v: Tensor, inputs: Tensor, first: int) -> Tensor:  # noqa: D102
        out = torch.empty_like(inputs)
        weights = self._weights[first : first + len(v)]
        lower, upper = slice(0, None, 2), slice(1, None, 2)
        for here, there in ((lower, upper), (upper, lower)):
            torch.bmm(v[here], weights[there], out=out[here])
        return out


def _side_by_side(layers: Sequence[Units], factor: Tensor) -> Levels:
    bias = torch.stack([units.bias.detach() for units in layers])
    precisions = [units.precision.detach() for units in layers if units.precision is not None]
    return Levels(layers[0], bias, torch.stack(precisions) if precisions else None, factor)
