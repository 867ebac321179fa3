"""The annealing path: linear interpolation from independent units to a model.

The energy is linear in the natural parameters of every unit type, so the intermediate distributions
between a base model and a target are models as well. The energy at inverse temperature t is ``(1-t)
E_base + t E_target``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from harmonium import defaults, kernels, ranks
from harmonium.arguments import check_count
from harmonium.gauge import Gauge
from harmonium.likelihood.checks import check_finite, is_straight
from harmonium.likelihood.exact import check_normalisable
from harmonium.likelihood.rates import base_rates
from harmonium.likelihood.temperatures import placed
from harmonium.rbm import RBM, HasMoments, check_rbm
from harmonium.rng import Lane, Stream
from harmonium.sampling.path import TemperaturePath
from harmonium.units import Units

if TYPE_CHECKING:
    from harmonium.kernels.cpu import Followed

# Pilot runs that place the temperatures: chains, rounds, and temperatures per round.
_PILOT_CHAINS = 100
_PILOT_ROUNDS = 2
_PILOT_SHARE, _PILOT_LEAST, _PILOT_MOST = 1 / 4, 40, 1000

# Weights of more numbers than this (32 MB) are not copied to float64 as a whole.
_LARGE = 2**23

# With fewer chains times temperatures, rounding the weights to follow flips is not worthwhile.
_FEW_STEPS = 4_000


@dataclass(frozen=True, eq=False)
class AnnealingPath:
    """Inverse temperatures from a base model (0) to a target model (1).

    Parameters
    ----------
    base
        A model with zero weights and the target's unit types and sizes; see `base_rates`.
    target
        The model whose log Z or log-likelihood is wanted.
    inverse_temperatures
        2 or more, rising from 0 to 1. Estimates are good if there are many, closely spaced where
        the distribution changes fast; `adaptive` places them that way.

    Raises
    ------
    ValueError
        If the models do not fit together, if one of them has non-finite parameters or cannot be
        normalised, if the base has weights, or if the inverse temperatures do not rise from 0 to 1.
    """

    base: RBM
    target: RBM
    inverse_temperatures: Tensor | Sequence[float]

    def __post_init__(self) -> None:
        given = self.inverse_temperatures
        t = torch.as_tensor(given, dtype=torch.float64, device="cpu").flatten()
        for model in (self.base, self.target):
            check_finite(model)
            check_normalisable(model)
        TemperaturePath(t, self.base.visible, self.base.hidden).check(self.target)
        if not is_straight(self.base.visible, self.target.visible):
            raise ValueError(
                f"from the base's {self.base.visible!r} to the target's, energies do not change "
                "linearly, and annealing needs that; pass a base whose parameters other than the "
                "bias are the target's, as `base_rates` does, or make `Units.interpolate_` of "
                "this type interpolate natural parameters linearly"
            )
        if self.base.weights.any():
            raise ValueError("the base has weights; pass one without, such as `base_rates` makes")
        object.__setattr__(self, "inverse_temperatures", t)
        if self.target.weights.dtype != self.base.weights.dtype:
            # the base of a model that is far from zero wherever it is moved is in float64
            wide = copy.deepcopy(self.target).requires_grad_(False).to(self.base.weights.dtype)
            object.__setattr__(self, "target", wide)

    @classmethod
    def adaptive(
        cls,
        rbm: RBM,
        data: Tensor | HasMoments,
        n_temperatures: int,
        seed: int = defaults.SEED,
    ) -> AnnealingPath:
        """A path from the data's base rates, with temperatures placed by pilot runs.

        Temperatures are densest where the weights spread most and the chains move slowly, which
        pilot runs measure (`temperatures.placed`). The pilot's chains are independent of those of
        the estimate, so this causes no bias.

        Parameters
        ----------
        rbm
            The target.
        data
            Training rows, shape (n, visible.n_columns), or an object that knows their moments.
        n_temperatures
            Total number of inverse temperatures, 2 or more.
        seed
            Seed of the pilot.

        Raises
        ------
        ValueError
            If there are fewer than 2 temperatures, or the data or the model are not usable.
        """
        check_rbm("rbm", rbm)
        check_count("n_temperatures", n_temperatures, 2)
        n_pilot = round(n_temperatures * _PILOT_SHARE)
        n_pilot = max(_PILOT_LEAST, min(_PILOT_MOST, n_pilot))
        path = cls(base_rates(rbm, data), rbm, torch.linspace(0, 1, n_pilot, dtype=torch.float64))
        for pilot in range(_PILOT_ROUNDS):
            n = n_temperatures if pilot == _PILOT_ROUNDS - 1 else n_pilot
            stream = Lane.PILOT.stream(seed, rank=pilot)
            t = torch.as_tensor(path.inverse_temperatures).numpy()
            path = cls(path.base, rbm, torch.from_numpy(placed(t, _pilot(path, stream), n)))
        return path

    def near_zero(self) -> tuple[AnnealingPath, Gauge]:
        """The same path in the coordinates of a `Gauge`, and the target's gauge.

        Energies still change linearly from base to target, so the distributions and the steps
        between them are unchanged.
        """
        gauge = Gauge.of(self.target)
        if gauge.is_identity:
            return self, gauge
        base = gauge.move(self.base)[0].to(gauge.rbm.weights)
        return AnnealingPath(base, gauge.rbm, self.inverse_temperatures), gauge

    def of_length(self, n_temperatures: int) -> AnnealingPath:
        """The same path with more or fewer temperatures, of the same relative density.

        This needs no pilot: both paths take the same fraction of their steps in any interval.

        Parameters
        ----------
        n_temperatures
            Total number of inverse temperatures, 2 or more.
        """
        check_count("n_temperatures", n_temperatures, 2)
        here = torch.as_tensor(self.inverse_temperatures).numpy()
        at = np.linspace(0, len(here) - 1, n_temperatures)
        t = torch.from_numpy(np.interp(at, np.arange(len(here)), here))
        t[0], t[-1] = 0.0, 1.0
        return AnnealingPath(self.base, self.target, t)

    @property
    def n_temperatures(self) -> int:
        """Number of inverse temperatures, including 0 and 1."""
        return len(self.inverse_temperatures)

    @property
    def base_log_z(self) -> float:
        """Log Z of the base, nats; exact, because its units are independent."""
        total = 0.0
        for units in (self.base.visible, self.base.hidden):
            units = copy.deepcopy(units).double()
            total += units.cgf(torch.zeros_like(units.bias)).sum().item()
        return total


@torch.no_grad()
def anneal_(
    path: AnnealingPath, v: Tensor, inverse_temperatures: Tensor, stream: Stream, out: Tensor
) -> Iterator[int]:
    """Anneal chains along inverse temperatures, up or down, and accumulate importance weights.

    Each step adds to the chain's log weight the log ratio of the unnormalised probabilities of v at
    the new and the old temperature, with hidden units summed out. Then follows one sweep v -> h ->
    v at the new temperature, except at the last. Chains of two-valued units update inputs by the
    units that flip, if that is faster.

    Parameters
    ----------
    path
        The base and target models.
    v
        Visible states, shape (chains, visible.n_columns); overwritten with the final states.
    inverse_temperatures
        The inverse temperatures to visit, including the start.
    stream
        Random numbers, two draws per step.
    out
        Log weights, nats, float64 of shape (chains,); added to.

    Yields
    ------
    int
        Number of steps made.
    """
    t = inverse_temperatures.tolist()
    model = _Interpolated(path)
    low_v, low_h = path.target.visible.low_state, path.target.hidden.low_state
    chains = None
    if ranks.whole(len(v)) * len(t) >= _FEW_STEPS and low_v is not None and low_h is not None:
        chains = kernels.followed(v, path.target.weights, (low_v, low_h))
    if chains is None:
        yield from _by_products(model, v, t, stream, out)
    else:
        yield from _by_flips(model, chains, v, t, stream, out)


def _by_products(
    model: _Interpolated, v: Tensor, t: list[float], stream: Stream, out: Tensor
) -> Iterator[int]:
    """Anneal by matrix products; this defines the result."""
    weights = model.target.weights
    h = v.new_empty(len(v), model.target.hidden.n_columns)
    last, hidden = model.hidden(t[0]), None
    for step, (before, now) in enumerate(pairwise(t), start=1):
        hidden = model.hidden(now)
        kernels.product(v, weights, out=h)
        if now != before:
            slope = model.target.visible.energy(v) - model.base.visible.energy(v)
            out += (before - now) * slope
        goes_on = stream if step < len(t) - 1 else None
        _weigh_and_draw_(h, (last, before), (hidden, now), out, goes_on)
        if goes_on is not None:
            kernels.mm(h, weights.T, out=v)
            model.visible(now).sample_(v.mul_(now), stream)
        last = hidden
        yield step


def _by_flips(
    model: _Interpolated,
    chains: Followed,
    v: Tensor,
    t: list[float],
    stream: Stream,
    out: Tensor,
) -> Iterator[int]:
    """Anneal a model with rounded weights, replaced by the target at both ends.

    The interior of a path is arbitrary: with another model's weights in between, the mean weight
    still estimates the ratio of the ends, as long as both ends are the target's.
    """
    out += model.log_ratio(v, chains.weights, t[0])
    last = model.hidden(t[0])
    slope = model.target.visible.bias - model.base.visible.bias
    for step, (before, now) in enumerate(pairwise(t), start=1):
        hidden = model.hidden(now)
        goes_on = stream if step < len(t) - 1 else None
        layers = (before, last.bias), (now, hidden.bias)
        chains.weigh_and_draw_hidden_(*layers, (now - before) * slope, out, goes_on)
        if goes_on is not None:
            chains.draw_visible_((now, model.visible(now).bias), stream)
        else:
            v.copy_(chains.visible)
            out -= model.log_ratio(v, chains.weights, now)
        last = hidden
        yield step


def _weigh_and_draw_(
    inputs: Tensor,
    before: tuple[Units, float],
    now: tuple[Units, float],
    out: Tensor,
    stream: Stream | None,
) -> None:
    """Add the change of the units' log-normaliser; draw the units if there is a stream."""
    (units_before, t_before), (units, t) = before, now
    if units.low_state == 0:
        layers = (t_before, units_before.bias), (t, units.bias)
        kernels.reweigh_binary_(inputs, *layers, out, stream)
        return
    change = units.cgf(inputs * t).sub_(units_before.cgf(inputs * t_before))
    out += change.sum(-1, dtype=torch.float64)
    if stream is not None:
        units.sample_(inputs.mul_(t), stream)


class _Interpolated:
    """Layers of the intermediate models along a path."""

    def __init__(self, path: AnnealingPath) -> None:
        self.base, self.target = path.base, path.target
        self._visible = copy.deepcopy(path.target.visible)
        self._hidden = [copy.deepcopy(path.target.hidden) for _ in range(2)]

    def visible(self, t: float) -> Units:
        """The visible layer at t from 0, the base, to 1, the target."""
        self._visible.interpolate_(self.base.visible, self.target.visible, t)
        return self._visible

    def hidden(self, t: float) -> Units:
        """The hidden layer at t; the previously returned layer stays valid."""
        self._hidden.reverse()
        self._hidden[0].interpolate_(self.base.hidden, self.target.hidden, t)
        return self._hidden[0]

    def log_ratio(self, v: Tensor, weights: Tensor, t: float) -> Tensor:
        """Log of the factor by which other weights change the probability of v at t."""
        if t == 0:
            return torch.zeros(len(v), dtype=torch.float64)
        hidden, v = copy.deepcopy(self.hidden(t)).double(), v.double()
        own, others = (t * _wide_product(v, w) for w in (self.target.weights, weights))
        return hidden.cgf(others).sub_(hidden.cgf(own)).sum(-1)


def _wide_product(v: Tensor, weights: Tensor) -> Tensor:
    """Product with weights in float64, of which large ones are converted block by block."""
    if weights.numel() <= _LARGE:
        return kernels.mm(v, weights.double())
    n = max(1, _LARGE // len(weights))
    return torch.cat([kernels.mm(v, block.double()) for block in weights.split(n, dim=1)], dim=1)


@torch.no_grad()
def _pilot(path: AnnealingPath, stream: Stream) -> np.ndarray[Any, Any]:
    """Log weights of a few chains at each temperature, shape (n_temperatures, chains)."""
    path, _ = path.near_zero()
    t = torch.as_tensor(path.inverse_temperatures)
    v = path.base.visible.sample_alone(_PILOT_CHAINS, stream)
    log_weights = torch.zeros(_PILOT_CHAINS, dtype=torch.float64, device=v.device)
    seen = [log_weights.clone()]
    for _ in anneal_(path, v, t, stream, log_weights):
        seen.append(log_weights.clone())
    found: np.ndarray[Any, Any] = torch.stack(seen).cpu().numpy()
    return found
