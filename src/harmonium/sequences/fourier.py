"""Means of log-normalisers over independent sites, by Fourier series.

A hidden unit's input is ``M + u_1(v_1) + ... + u_n(v_n)``: what each site adds beyond its mean, and
the sum of the means. Let ``f(x)`` be the unit's log-normaliser at ``M + x``. Its second derivative
is the unit's variance, which is multiplied by a window that is 1 wherever the input can be (up to a
probability of 1e-12) and falls to 0 smoothly, and becomes a Fourier series of some period. Divided
twice by the frequency, that is ``f`` up to a linear function, which no coupling depends on:

    f(x) = c_0 x^2 / 2 + sum over t of -c_t / t^2 exp(i t x) + a linear function

The mean of exp(i t x) over independent sites is a product of characteristic functions
``phi_k(t)``, and the sums over states and their means that make a coupling zero-sum turn
``exp(i t u_i(a))`` into ``psi_i(a, t)``, itself minus its mean over a. So a coupling is

    J_ij(a, b) = sum over units and t of C_t  psi_i(a, t) / phi_i(t)  psi_j(b, t) / phi_j(t)

with ``C_t = -c_t / t^2`` times the product of all ``phi_k(t)``, plus ``c_0`` times the product of
what the two states add: a product of matrices, whose inner side are units and frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harmonium.units import Units

# What is left out of a coupling, as a part of the largest.
_TOLERANCE = 1e-11

# Minus the log of the probability that an input lies beyond the window.
_TAIL = 28.0

# A normal variable is less often so many standard deviations away.
_NORMAL_TAIL = 7.0

# The window falls by an error function, whose argument runs from -5 to 5; its width is a part of
# the reach of the inputs.
_FALL, _SOFTNESS = 5.0, 1 / 8

_FEWEST_POINTS, _MOST_POINTS = 512, 1 << 15

# Characteristic functions can be zero, and are divided by.
_SMALLEST = 1e-30

# Numbers of one block of exponential functions: 64 MiB.
_BLOCK = 1 << 22


class Factors(NamedTuple):
    """Functions of states, and how much the product of each with itself counts.

    ``pairs`` has shape (n_sites n_states, n_functions), ``coefficients`` (n_functions,).
    """

    pairs: Tensor
    coefficients: Tensor


@dataclass(frozen=True, eq=False)
class Expansion:
    """The Fourier series of a layer's log-normalisers, with means over independent sites.

    Attributes
    ----------
    inputs : Tensor, shape (n_sites, n_states, n_hidden)
        What states add to inputs, beyond the site's mean over the background.
    probabilities : Tensor, shape (n_sites, n_states)
        The background.
    curvatures : Tensor, shape (n_hidden,)
        Coefficients c_0.
    units, frequencies, coefficients : Tensor, shape (n_terms,)
        Hidden unit, positive frequency t, and complex coefficient 2 C_t of each term; the real
        part is meant.
    gaussian
        Whether sums of sites count as normal variables.
    """

    inputs: Tensor
    probabilities: Tensor
    curvatures: Tensor
    units: Tensor
    frequencies: Tensor
    coefficients: Tensor
    gaussian: bool

    @classmethod
    def of(
        cls, hidden: Units, inputs: Tensor, probabilities: Tensor, *, gaussian: bool
    ) -> Expansion:
        """Expand a layer of units that have one column each.

        Parameters
        ----------
        hidden
            The units, in float64.
        inputs
            What states add to inputs, float64, shape (n_sites, n_states, n_hidden).
        probabilities
            Of the states, shape (n_sites, n_states).
        gaussian
            Whether sums of sites count as normal variables.
        """
        means = torch.einsum("ia,iam->im", probabilities, inputs)
        own = inputs - means[:, None]
        reach = _reach(own, probabilities, gaussian)
        series = _series(hidden, means.sum(0), reach)
        harmonics = torch.arange(series.shape[1], device=own.device, dtype=own.dtype)
        frequencies = harmonics * (math.pi / _half_period(reach))[:, None]
        # no difference of two exponentials exceeds 2, or frequency times the difference of inputs
        spread = (own.amax(1) - own.amin(1)).amax(0)
        steps = (frequencies * spread[:, None]).clamp(max=2).square()
        sizes = 2 * series.abs() * steps / frequencies.square()
        sizes[:, 0] = 0
        least = _TOLERANCE * torch.maximum(
            sizes.max(), (series[:, 0].abs() * spread.square()).max()
        )
        unit, harmonic = (sizes > least).nonzero(as_tuple=True)
        t = frequencies[unit, harmonic]
        whole = cls(
            own, probabilities, series[:, 0].real, unit, t, -2 * series[unit, harmonic] / t**2,
            gaussian,
        )  # fmt: skip
        return whole._averaged(sizes[unit, harmonic], least)

    @classmethod
    def quadratic(cls, inputs: Tensor, curvatures: Tensor) -> Expansion:
        """Log-normalisers ``c x^2 / 2`` with given coefficients c, shape (n_hidden,)."""
        none = torch.zeros(0, dtype=torch.int64, device=inputs.device)
        alike = torch.full_like(inputs[..., 0], 1 / inputs.shape[1])
        empty = none.to(inputs.dtype)
        return cls(
            inputs, alike, curvatures, none, empty, empty.to(torch.complex128), gaussian=True
        )

    def blocks(self, n_functions: int) -> Iterator[Factors]:
        """Factors of all pairs' couplings, about so many functions at a time."""
        n_sites, n_states, _ = self.inputs.shape
        centred = self.inputs - self.inputs.mean(1, keepdim=True)
        yield Factors(centred.flatten(0, 1), self.curvatures)
        size = max(1, n_functions // 2)
        for start in range(0, len(self.units), size):
            some = slice(start, start + size)
            # each of the two gets half of the coefficient's phase
            sizes = self.coefficients[some].abs()
            phase = torch.polar(torch.ones_like(sizes), self.coefficients[some].angle() / 2)
            states = (self._states(some) * phase).reshape(n_sites * n_states, -1)
            yield Factors(torch.cat([states.real, states.imag], 1), torch.cat([sizes, -sizes]))

    def triple(self, i: int, j: int, k: int) -> Tensor:
        """Three-body couplings of three sites, shape (n_states, n_states, n_states)."""
        n_states = self.inputs.shape[1]
        found = self.inputs.new_zeros(n_states, n_states, n_states)
        size = max(1, _BLOCK // n_states**2)
        for start in range(0, len(self.units), size):
            some = slice(start, start + size)
            a, b, c = self._states(some, torch.tensor([i, j, k]))
            pairs = a[:, None] * b * self.coefficients[some]
            found += torch.einsum("abt,ct->abc", pairs, c).real
        return found

    def _averaged(self, sizes: Tensor, least: Tensor) -> Expansion:
        """Multiply the terms by characteristic functions, and drop those that get too small."""
        logs, rests = [], []
        n_sites, n_states, _ = self.inputs.shape
        few = min(3, n_sites)
        for start in range(0, len(self.units), max(1, _BLOCK // (n_sites * n_states))):
            some = slice(start, start + max(1, _BLOCK // (n_sites * n_states)))
            log = self._characteristic(some, self._waves(some)).log()
            logs.append(log.sum(0))
            # a coupling leaves out the characteristic functions of up to three sites
            rests.append(logs[-1].real - log.real.topk(few, 0, largest=False).values.sum(0))
        if not logs:
            return self
        kept = sizes * torch.cat(rests).exp() > least
        products = torch.cat(logs)[kept].exp()
        return Expansion(
            self.inputs,
            self.probabilities,
            self.curvatures,
            self.units[kept],
            self.frequencies[kept],
            self.coefficients[kept] * products,
            self.gaussian,
        )

    def _states(self, some: slice, sites: Tensor | None = None) -> Tensor:
        """Functions psi / phi of states, shape (n_sites, n_states, n_terms)."""
        waves = self._waves(some, sites)
        of_sites = self._characteristic(some, waves, sites)
        return (waves - waves.mean(1, keepdim=True)) / of_sites[:, None]

    def _waves(self, some: slice, sites: Tensor | None = None) -> Tensor:
        inputs = self.inputs if sites is None else self.inputs[sites]
        angles = inputs[:, :, self.units[some]] * self.frequencies[some]
        return torch.polar(torch.ones_like(angles), angles)

    def _characteristic(self, some: slice, waves: Tensor, sites: Tensor | None = None) -> Tensor:
        """Characteristic function of each site, shape (n_sites, n_terms), never quite zero."""
        chances = self.probabilities if sites is None else self.probabilities[sites]
        if self.gaussian:
            inputs = self.inputs if sites is None else self.inputs[sites]
            variances = torch.einsum("ia,iam->im", chances, inputs.square())[:, self.units[some]]
            found = (-0.5 * variances * self.frequencies[some].square()).exp().to(waves.dtype)
        else:
            found = torch.einsum("ia,iat->it", chances.to(waves.dtype), waves)
        return torch.where(found.abs() < _SMALLEST, _SMALLEST, found)


def _half_period(reach: Tensor) -> Tensor:
    return reach * (1 + 2 * _FALL * _SOFTNESS)


def _reach(inputs: Tensor, probabilities: Tensor, gaussian: bool) -> Tensor:
    """How far inputs get from their mean, shape (n_hidden,): three sites anyhow, others rarely."""
    largest = inputs.abs().amax(1)
    fixed = largest.topk(min(3, len(largest)), 0).values.sum(0)
    std = torch.einsum("ia,iam->m", probabilities, inputs.square()).sqrt()
    tiny = torch.finfo(inputs.dtype).tiny ** 0.25
    if gaussian:
        return (fixed + _NORMAL_TAIL * std).clamp(min=tiny)
    # Chernoff's bound: P(sum > s) < exp(K(r) - r s) for every r > 0, K being the sum of the sites'
    # cumulant generating functions
    log_chances = probabilities.log()[:, :, None]
    above, below = (torch.full_like(std, math.inf) for _ in range(2))
    for power in torch.linspace(-5, 5, 21).tolist():
        rate = math.sqrt(2 * _TAIL) * 2**power / std.clamp(min=tiny)
        for side, bound in ((1, above), (-1, below)):
            cumulants = (log_chances + side * rate * inputs).logsumexp(1).sum(0)
            torch.minimum(bound, (cumulants + _TAIL) / rate, out=bound)
    return torch.minimum(largest.sum(0), fixed + torch.maximum(above, below)).clamp(min=tiny)


def _series(hidden: Units, centre: Tensor, reach: Tensor) -> Tensor:
    """Fourier coefficients c_t of each unit's variance within its reach, complex.

    Shape (n_hidden, n_frequencies), of frequencies 0, 1, 2, ... times pi over half of the period.
    """
    half = _half_period(reach)
    n_points = _FEWEST_POINTS
    while True:
        # from 0 up and, behind half of the period, from below 0 up to it
        places = torch.fft.fftfreq(n_points, 1 / n_points, dtype=reach.dtype, device=reach.device)
        x = places[:, None] * (2 * half / n_points)
        var = hidden.var(centre + x)
        edge, fall = reach + _FALL * _SOFTNESS * reach, _SOFTNESS * reach
        window = 0.5 * (torch.erf((x + edge) / fall) - torch.erf((x - edge) / fall))
        series: Tensor = torch.fft.rfft(var * window, dim=0).T / n_points
        sizes = series.abs()
        ends = sizes[:, -n_points // 16 :].amax(1)
        if n_points >= _MOST_POINTS or bool((ends <= _TOLERANCE * sizes.amax(1)).all()):
            return series
        n_points *= 2
