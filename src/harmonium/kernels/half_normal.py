"""The half of a normal distribution above zero: normaliser, moments and their limits far away.

A quantity with density proportional to exp(t y - y^2 / 2) for y >= 0 is a normal one of mean t and
variance 1, given that it is positive. All formulas go through Mills' ratio, in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Below this, the plain formulas lose digits, and a continued fraction takes their place; with so
# many terms it is exact to the last bits of float64.
_FAR_BELOW = -5.0
_TERMS = 40

# Below this, draws solve for their tail probability's logarithm: the probability itself would lose
# digits. Newton's steps converge quadratically from above; four give the last bit.
TAIL_BELOW = -3.0
NEWTON_STEPS = 4

# Above this, the probability of a negative value is below float64's smallest number.
_NO_HAZARD = 37.0


def log_normaliser(t: Tensor) -> Tensor:
    """Log of the integral of exp(t y - y^2 / 2) over y >= 0, nats, without cancellation.

    Parameters
    ----------
    t
        Any shape, any float dtype; the result has the same.
    """
    x = t.double()
    # each branch sees only arguments at which it is finite, and so has a finite gradient
    above, below = x.clamp(min=0), x.clamp(max=0)
    of_above = 0.5 * above.square() + torch.special.log_ndtr(above) + 0.5 * math.log(2 * math.pi)
    of_below = torch.special.erfcx(-below / math.sqrt(2)).log() + 0.5 * math.log(math.pi / 2)
    return torch.where(x > 0, of_above, of_below).to(t.dtype)


def moments(t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance, shaped as ``t``, in its dtype."""
    x = t.double()
    near, far = x.clamp(min=_FAR_BELOW), x.clamp(max=_FAR_BELOW)
    # normal density over the probability of being positive: Mills' ratio, inverted; 0 from 37 on
    bounded = near.clamp(max=_NO_HAZARD)
    hazard = math.sqrt(2 / math.pi) / torch.special.erfcx(-bounded / math.sqrt(2))
    mean_near = near + hazard
    var_near = 1 - hazard * mean_near
    # Laplace's continued fraction: 1 / (a + 2 / (a + 3 / (a + ...))) for a = -t
    rest = -far
    for k in range(_TERMS, 2, -1):
        rest = k / rest - far
    slope = 2 / rest
    mean_far = 1 / (slope - far)
    var_far = mean_far * (slope - mean_far)
    is_near = x >= _FAR_BELOW
    mean = torch.where(is_near, mean_near, mean_far)
    return mean.to(t.dtype), torch.where(is_near, var_near, var_far).to(t.dtype)


def sides(
    inputs: Tensor, bias: Tensor, precision: Tensor, bias_below: Tensor, precision_below: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Centre t, shaped as ``inputs``, and standard deviation of each half of a double unit.

    The positive half-line comes first. A centre is the mean before the cut, counted away from zero
    in standard deviations.
    """
    spread, spread_below = precision.rsqrt(), precision_below.rsqrt()
    above = (inputs + bias) * spread, spread
    return above, (-(inputs + bias_below) * spread_below, spread_below)


def log_mass(t: Tensor, spread: Tensor) -> Tensor:
    """Log of the integral over a half-line with this centre and standard deviation, nats."""
    return log_normaliser(t) + spread.log()


def draw(t: Tensor, u: Tensor) -> Tensor:
    """Numbers of this distribution by inverse CDF, float64: the chance of more than each is ``u``.

    Parameters
    ----------
    t
        Any shape, float64.
    u
        Uniform numbers in the open interval (0, 1), of the same shape.
    """
    near = t.clamp(min=TAIL_BELOW)
    of_near = near - torch.special.ndtri(u * torch.special.ndtr(near))
    a = -t.clamp(max=TAIL_BELOW)
    wanted = -torch.log(u)
    start = mills(a)
    y = 2 * wanted / (a + torch.sqrt(a.square() + 2 * wanted))  # too large, as the ratio falls
    for _ in range(NEWTON_STEPS):
        ratio = mills(a + y)
        y = y - ratio * (y * (a + 0.5 * y) + torch.log(start / ratio) - wanted)
    return torch.where(t >= TAIL_BELOW, of_near, y).clamp_(min=0)


def mills(a: Tensor) -> Tensor:
    """Mills' ratio: the chance of a normal number above ``a``, over the density there, float64."""
    ratio: Tensor = math.sqrt(math.pi / 2) * torch.special.erfcx(a / math.sqrt(2))
    return ratio
