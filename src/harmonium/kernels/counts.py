"""Exact draws of counts, binomial and Poisson, in a time that does not grow with the count.

Where few are expected, a uniform number is compared with the distribution function, from 0 upwards.
Elsewhere candidates are accepted or rejected: a number from a density that lies above the
distribution takes two uniform numbers, and one candidate in 1.1 to 1.4 is accepted [1]_ [2]_.
A draw is made of blocks of uniform numbers, one number for each unit: block 0 is what is compared
with the distribution function, blocks 2 t and 2 t + 1 are those of candidate t.

References
----------
.. [1] W. Hörmann (1993), "The generation of binomial random variates", Journal of Statistical
   Computation and Simulation 46: BTRS.
.. [2] W. Hörmann (1993), "The transformed rejection method for generating Poisson random
   variables", Insurance: Mathematics and Economics 12: PTRS.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Blocks = Callable[[int], Tensor]
"""Uniform numbers in (0, 1), float64, by the number of their block."""

FEW = 10.0
"""Expected counts below which one number is compared with the distribution function."""

MOST_FEW = 64
"""More than this has a chance below 1e-27 where fewer than `FEW` are expected."""

MOST_CANDIDATES = 64
"""All of so many are rejected with a chance below 1e-30."""

LARGEST_MEAN = 2.0**24
"""Largest mean of a Poisson count: float32 holds no larger whole numbers one by one."""


def binomial(x: Tensor, trials: Tensor, block: Blocks) -> Tensor:
    """Successes of ``trials``, each with probability sigmoid(x), float64, shaped as ``x``."""
    rare = torch.sigmoid(-x.abs())  # the chance of the rarer outcome, of which successes are few
    expected = trials * rare
    is_few = ~(expected >= FEW)
    p = rare.minimum(FEW / trials)
    odds = p / (1 - p)
    start = (trials * torch.log1p(-p)).exp()
    few = _compared(block(0), start, lambda k: odds * ((trials - k) / (k + 1)), is_few)
    p = rare.maximum(FEW / trials).clamp(max=0.5)
    n = trials.clamp(min=2 * FEW).expand_as(x)
    spread = (n * p * (1 - p)).sqrt()
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    mode, log_odds = ((n + 1) * p).floor(), torch.log(p / (1 - p))
    of_mode = (mode + 1).lgamma() + (n - mode + 1).lgamma()

    def log_ratio(k: Tensor) -> Tensor:
        return of_mode - (k + 1).lgamma() - (n - k + 1).lgamma() + (k - mode) * log_odds

    hat = n * p + 0.5, b, a, 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread
    many = _accepted(block, hat, log_ratio, n, ~is_few)
    count = torch.where(is_few, few, many)
    return torch.where(x > 0, trials - count, count)


def poisson(log_mean: Tensor, block: Blocks) -> Tensor:
    """Counts of these means, float64, shaped as ``log_mean``; NaN above `LARGEST_MEAN`."""
    mean = log_mean.exp()
    is_few = mean < FEW
    low, high = mean.clamp(max=FEW), mean.clamp(FEW, LARGEST_MEAN)
    few = _compared(block(0), (-low).exp(), lambda k: low / (k + 1), is_few)
    b = 0.931 + 2.53 * high.sqrt()
    a = -0.059 + 0.02483 * b
    log_high = high.log()

    def log_p(k: Tensor) -> Tensor:
        return k * log_high - high - (k + 1).lgamma()

    hat = high + 0.43, b, a, 0.9277 - 3.6224 / (b - 2), 1.1239 + 1.1328 / (b - 3.4)
    is_many = (mean >= FEW) & (mean <= LARGEST_MEAN)
    many = _accepted(block, hat, log_p, torch.full_like(mean, torch.inf), is_many)
    return torch.where(is_few, few, torch.where(is_many, many, torch.nan))


def _compared(u: Tensor, p: Tensor, ratio: Callable[[int], Tensor], asked: Tensor) -> Tensor:
    """How many values of the distribution function are at most ``u``.

    Parameters
    ----------
    u
        Uniform numbers.
    p
        The chance of 0.
    ratio
        The chance of k + 1 over that of k.
    asked
        Where the result matters.
    """
    count, cumulative = torch.zeros_like(u), p
    for k in range(MOST_FEW):
        is_above = asked & (u >= cumulative)
        if not is_above.any():
            break
        count += is_above
        p = p * ratio(k)
        cumulative = cumulative + p
    return count


def _accepted(
    block: Blocks,
    hat: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    log_p: Callable[[Tensor], Tensor],
    highest: Tensor,
    asked: Tensor,
) -> Tensor:
    """The first candidate that is accepted, where ``asked``.

    Parameters
    ----------
    block
        Uniform numbers.
    hat
        Centre, slope, curvature, the square inside which all is accepted, and a scale.
    log_p
        Log of the chance of a count, over what the scale is in units of.
    highest
        Largest possible count.
    asked
        Where the result matters.
    """
    centre, b, a, within, scale = hat
    count, pending = centre.floor(), asked.clone()
    for candidate in range(MOST_CANDIDATES):
        if not pending.any():
            break
        u, v = block(2 * candidate) - 0.5, block(2 * candidate + 1)
        room = 0.5 - u.abs()
        k = ((2 * a / room + b) * u + centre).floor()
        is_possible = (k >= 0) & (k <= highest)
        bound = (v * scale / (a / room.square() + b)).log() <= log_p(k)
        accepted = ((room >= 0.07) & (v <= within)) | (is_possible & bound)
        count = torch.where(pending & accepted, k, count)
        pending &= ~accepted
    return count
