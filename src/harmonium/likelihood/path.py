"""The path of annealing: from independent units to a model, by one linear interpolation.

The energy is linear in the natural parameters of every unit type, so the distributions between a
base model and a target are models as well: that at inverse temperature t has the energy
(1 - t) E_base + t E_target.
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

from harmonium import defaults, kernels
from harmonium.arguments import check_count
from harmonium.gauge import Gauge, Moments
from harmonium.likelihood.checks import check_finite, is_straight
from harmonium.likelihood.exact import check_normalisable
from harmonium.likelihood.temperatures import placed
from harmonium.rbm import RBM, HasMoments, check_rbm
from harmonium.rng import Purpose, Stream
from harmonium.units import Binary, Gaussian, Spin, Units

if TYPE_CHECKING:
    from harmonium.kernels.cpu import Followed

# Of the pilot runs that place temperatures: chains, rounds, and temperatures of each round.
_PILOT_CHAINS = 100
_PILOT_ROUNDS = 2
_PILOT_SHARE, _PILOT_LEAST, _PILOT_MOST = 1 / 4, 40, 1000

# Of the units whose upper state is 1 and whose energy is the bias's alone.
_LOWER_STATE: dict[type[Units], int] = {Binary: 0, Spin: -1}

# On shorter ways nothing is followed: rounding the weights would not pay.
_FEW_STEPS = 10

# Of the model's own variance of a Gaussian column, which the data's has to be above.
_LEAST_SHARE_OF_NOISE = 1e-4

# Parts of the stream that annealing draws from; ranks number the blocks of chains.
FORWARD, REVERSE, PILOT, ROWS, FOLLOW, TEMPERED = (part << 36 for part in range(6))


@dataclass(frozen=True, eq=False)
class AnnealingPath:
    """Inverse temperatures from a base model (0) to a target model (1).

    Parameters
    ----------
    base
        A model without weights, of the target's unit types and sizes, see `base_rates`.
    target
        The model whose log Z or log-likelihood is wanted.
    inverse_temperatures
        From 0 to 1, rising; 2 or more. Many, and close where the distribution changes fast, make
        good estimates: `adaptive` places them.

    Raises
    ------
    ValueError
        If the models do not fit together, if either has parameters that are not finite or cannot
        be normalised, if the base has weights, or if the inverse temperatures do not rise from 0
        to 1.
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
        if any(
            a.kinds != b.kinds
            for a, b in (
                (self.base.visible, self.target.visible),
                (self.base.hidden, self.target.hidden),
            )
        ):
            raise ValueError(
                f"the base is {self.base!r} and the target {self.target!r}; pass a base of the "
                "same unit types and sizes, such as `base_rates` makes"
            )
        if not is_straight(self.base.visible, self.target.visible):
            raise ValueError(
                f"from the base's {self.base.visible!r} to the target's, energies do not change "
                "linearly, and annealing needs that; pass a base whose parameters other than the "
                "bias are the target's, as `base_rates` does, or let `Units.interpolate_` of this "
                "type take natural parameters along a line"
            )
        if self.base.weights.any():
            raise ValueError("the base has weights; pass a model without, as `base_rates` makes")
        if len(t) < 2 or t[0] != 0 or t[-1] != 1 or not (t.diff() > 0).all():
            raise ValueError(
                f"{len(t)} inverse temperatures were given, which do not rise from 0 to 1; pass 2 "
                "or more, such as torch.linspace(0, 1, 1001)"
            )
        object.__setattr__(self, "inverse_temperatures", t)

    @classmethod
    def adaptive(
        cls,
        rbm: RBM,
        data: Tensor | HasMoments,
        n_temperatures: int,
        seed: int = defaults.SEED,
    ) -> AnnealingPath:
        """A path from the data's base rates, with temperatures where a pilot run needs them.

        Most where the weights spread and the chains move slowly, see `temperatures.placed`: pilot
        runs measure both. The pilot's chains are not those of the estimate, so that this biases
        nothing.

        Parameters
        ----------
        rbm
            The target.
        data
            Training rows, shape (n, visible.n_columns), or what knows their moments.
        n_temperatures
            Inverse temperatures in all, 2 or more.
        seed
            Of the pilot.

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
            stream = Stream(seed, Purpose.LIKELIHOOD, rank=pilot, position=PILOT)
            t = torch.as_tensor(path.inverse_temperatures).numpy()
            path = cls(path.base, rbm, torch.from_numpy(placed(t, _pilot(path, stream), n)))
        return path

    def near_zero(self) -> tuple[AnnealingPath, Gauge]:
        """The same path in the coordinates of a `Gauge`, and that of the target.

        Energies along the way change linearly, from that of the base to that of the target; so
        distributions and steps between them stay as they are.
        """
        gauge = Gauge.of(self.target)
        if gauge.is_identity:
            return self, gauge
        base = gauge.move(self.base)[0].to(gauge.rbm.weights)
        return AnnealingPath(base, gauge.rbm, self.inverse_temperatures), gauge

    def of_length(self, n_temperatures: int) -> AnnealingPath:
        """The same path with more temperatures, or with fewer, as densely placed as these.

        Needs no pilot: where this path takes two thirds of its steps, so does the other.

        Parameters
        ----------
        n_temperatures
            Inverse temperatures in all, 2 or more.
        """
        check_count("n_temperatures", n_temperatures, 2)
        here = torch.as_tensor(self.inverse_temperatures).numpy()
        at = np.linspace(0, len(here) - 1, n_temperatures)
        t = torch.from_numpy(np.interp(at, np.arange(len(here)), here))
        t[0], t[-1] = 0.0, 1.0
        return AnnealingPath(self.base, self.target, t)

    @property
    def n_temperatures(self) -> int:
        """Inverse temperatures, 0 and 1 included."""
        return len(self.inverse_temperatures)

    @property
    def base_log_z(self) -> float:
        """Log Z of the base, nats, whose units are independent."""
        total = 0.0
        for units in (self.base.visible, self.base.hidden):
            units = copy.deepcopy(units).double()
            total += units.cgf(torch.zeros_like(units.bias)).sum().item()
        return total


@torch.no_grad()
def base_rates(rbm: RBM, data: Tensor | HasMoments) -> RBM:
    """A model of the same units without weights, whose visible units have the data's moments.

    Its hidden units have zero biases, or where they are Gaussian and far from zero are near those
    of ``rbm``. Gaussian visible units get the data's variance also where their precision is fixed
    in ``rbm``; columns that do not vary get the model's own.

    Parameters
    ----------
    rbm
        Says which units.
    data
        Rows of visible states, shape (n, visible.n_columns), or what knows their moments.

    Raises
    ------
    ValueError
        If data have no rows, the wrong width, or are no states of the visible units.

    Returns
    -------
    RBM
        In float64 where the model is far from zero, so that its means are as exact as the data's.
    """
    check_rbm("rbm", rbm)
    gauge = Gauge.of(rbm)
    base = copy.deepcopy(gauge.rbm).requires_grad_(False)
    data = gauge.enter_data(data)
    if not isinstance(data, Tensor) and hasattr(data, "moments"):
        data = Moments(*data.moments())  # once: there may be many rows
    for _, units in base.visible.groups:
        if isinstance(units, Gaussian):
            units.log_precision.requires_grad_(True)
    base.init_from_data_(data, seed=0, weight_std=0.0).requires_grad_(False)
    if isinstance(data, Tensor):
        rows = data.reshape(-1, data.shape[-1]).double()
        data = Moments(rows.mean(0), rows.var(0, correction=0))
    mean, var = (moment.to(base.weights) for moment in data.moments())
    for columns, units in base.visible.groups:
        precision = gauge.rbm.visible.precision
        if isinstance(units, Gaussian) and not units.has_origin and precision is not None:
            own = 1 / precision[columns]
            # what hardly varies, against the model's own noise, says nothing of a variance
            own = torch.where(var[columns] > _LEAST_SHARE_OF_NOISE * own, var[columns], own)
            units.log_precision.copy_(-own.log())
            base.visible.bias[columns] = units.precision * mean[columns]
    if not is_straight(base.visible, gauge.rbm.visible):
        # a unit type of one's own, with parameters that are not natural: these stay as they are
        for name, parameter in gauge.rbm.visible.named_parameters():
            if name != "bias":
                base.visible.get_parameter(name).copy_(parameter)
    return gauge.move_back(base)


@torch.no_grad()
def anneal_(
    path: AnnealingPath, v: Tensor, inverse_temperatures: Tensor, stream: Stream, out: Tensor
) -> Iterator[int]:
    """Move chains along inverse temperatures, up or down, and weigh their steps.

    From one to the next, the log of the ratio of both unnormalised probabilities of v is added to
    the chain's log weight, hidden units summed out; then one sweep v -> h -> v follows at the new
    one, but for the last.

    Parameters
    ----------
    path
        Between which models.
    v
        Visible states, shape (chains, visible.n_columns), overwritten.
    inverse_temperatures
        Where to go, the start included.
    stream
        Random numbers, two draws a step.
    out
        Log weights, nats, float64 of shape (chains,), added to.

    Yields
    ------
    int
        Steps made.
    """
    t = inverse_temperatures.tolist()
    model = _Interpolated(path)
    follows = len(t) > _FEW_STEPS and model.can_be_followed
    chains = kernels.followed(v, path.target.weights, model.lows) if follows else None
    if chains is None:
        yield from _by_products(model, v, t, stream, out)
    else:
        yield from _by_flips(model, chains, v, t, stream, out)


def _by_products(
    model: _Interpolated, v: Tensor, t: list[float], stream: Stream, out: Tensor
) -> Iterator[int]:
    """The definition of annealing."""
    weights = model.target.weights
    h = v.new_empty(len(v), model.target.hidden.n_columns)
    last, hidden = model.hidden(t[0]), None
    for step, (before, now) in enumerate(pairwise(t), start=1):
        hidden = model.hidden(now)
        kernels.product(v, weights, out=h)
        if now != before:
            out += (before - now) * model.slope_of_energy(v)
        goes_on = stream if step < len(t) - 1 else None
        _weigh_and_draw_(h, (last, before), (hidden, now), out, goes_on)
        if goes_on is not None:
            torch.mm(h, weights.T, out=v)
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
    """The same for the model of rounded weights, which is exchanged for the target at both ends.

    What lies between the ends of a path is free: weights of another model in between leave the
    mean weight at the ratio of the ends, as long as each end is the target's.
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
    """Add the change of the units' log-normaliser, and draw them if there is a stream."""
    (units_before, t_before), (units, t) = before, now
    if type(units) is Binary:
        layers = (t_before, units_before.bias), (t, units.bias)
        kernels.reweigh_binary_(inputs, *layers, out, stream)
        return
    change = units.cgf(inputs * t).sub_(units_before.cgf(inputs * t_before))
    out += change.sum(-1, dtype=torch.float64)
    if stream is not None:
        units.sample_(inputs.mul_(t), stream)


class _Interpolated:
    """The layers of the models along a path."""

    def __init__(self, path: AnnealingPath) -> None:
        self.base, self.target = path.base, path.target
        self._visible = copy.deepcopy(path.target.visible)
        self._hidden = [copy.deepcopy(path.target.hidden) for _ in range(2)]

    def visible(self, t: float) -> Units:
        """The visible layer at t from 0, the base, to 1, the target."""
        self._visible.interpolate_(self.base.visible, self.target.visible, t)
        return self._visible

    def hidden(self, t: float) -> Units:
        """The hidden layer at t; the one that was asked for before stays as it is."""
        self._hidden.reverse()
        self._hidden[0].interpolate_(self.base.hidden, self.target.hidden, t)
        return self._hidden[0]

    def slope_of_energy(self, v: Tensor) -> Tensor:
        """Change of the visible layer's energy from the base to the target, for each row."""
        return self.target.visible.energy(v) - self.base.visible.energy(v)

    @property
    def can_be_followed(self) -> bool:
        """Whether both layers are of two-valued units whose upper state is 1."""
        return all(type(units) in _LOWER_STATE for units in self._layers)

    @property
    def lows(self) -> tuple[int, int]:
        """Lower states of such layers."""
        visible, hidden = (_LOWER_STATE[type(units)] for units in self._layers)
        return visible, hidden

    @property
    def _layers(self) -> tuple[Units, Units]:
        return self.target.visible, self.target.hidden

    def log_ratio(self, v: Tensor, weights: Tensor, t: float) -> Tensor:
        """Log of what other weights multiply the probability of visible states by, at t."""
        if t == 0:
            return torch.zeros(len(v), dtype=torch.float64)
        hidden, v = copy.deepcopy(self.hidden(t)).double(), v.double()
        own, others = (t * (v @ w.double()) for w in (self.target.weights, weights))
        return hidden.cgf(others).sub_(hidden.cgf(own)).sum(-1)


@torch.no_grad()
def _pilot(path: AnnealingPath, stream: Stream) -> np.ndarray[Any, Any]:
    """Log weights of a few chains at each temperature, shape (n_temperatures, chains)."""
    path, _ = path.near_zero()
    t = torch.as_tensor(path.inverse_temperatures)
    zeros = path.target.weights.new_zeros(_PILOT_CHAINS, path.target.visible.n_columns)
    v = path.base.visible.sample_(zeros, stream)
    log_weights = torch.zeros(_PILOT_CHAINS, dtype=torch.float64, device=v.device)
    seen = [log_weights.clone()]
    for _ in anneal_(path, v, t, stream, log_weights):
        seen.append(log_weights.clone())
    found: np.ndarray[Any, Any] = torch.stack(seen).cpu().numpy()
    return found
