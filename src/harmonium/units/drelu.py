"""Double rectified linear units: a half-line of states on each side of zero."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium import kernels
from harmonium.autograd import without_autograd
from harmonium.kernels import half_normal
from harmonium.rng import Stream
from harmonium.units.base import Units
from harmonium.units.far import FAR
from harmonium.units.quadratic import QuadraticUnits


class DReLU(QuadraticUnits):
    """Units with real states and a quadratic energy of its own on each side of zero.

    With x = x+ + x-, where x+ = max(x, 0), the energy is
    ``precision+ x+^2 / 2 + precision- x-^2 / 2 - bias x - gap |x|``
    (Tubiana, Cocco and Monasson, 2019, eLife 8:e39397). Gaussian and, in the limit,
    rectified and bimodal units are special cases: training finds how sparse a unit should be.

    The precisions are stored as a common scale and a ratio: the variances ``1 / precision+`` and
    ``1 / precision-`` have the mean ``exp(-log_precision)`` and the ratio ``exp(asymmetry)``. So no
    step of training makes a precision negative, and none makes a variance more than twice the
    mean. `gap` moves the halves apart, without moving the mean of a symmetric unit.

    Parameters
    ----------
    n
        Number of units.
    precision
        Inverse of the mean variance of both halves; the initial value if it is learned.
    learn_precision
        Whether training changes it (each unit has its own). For hidden units it is best fixed: the
        scale of the weights has the same effect.

    Attributes
    ----------
    log_precision : Tensor, shape (n,)
        Minus the log of the mean variance of both halves.
    asymmetry : Tensor, shape (n,)
        Log of the ratio of the variances of the positive and the negative half.
    gap : Tensor, shape (n,)
        Slope away from zero: positive values make two modes, negative ones a sharp peak at zero.
    """

    has_half_lines = True
    logarithms = ("log_precision", "asymmetry")

    def __init__(self, n: int, precision: float = 1.0, learn_precision: bool = False) -> None:
        super().__init__(n, precision, learn_precision)
        self.asymmetry = nn.Parameter(torch.zeros(n))
        self.gap = nn.Parameter(torch.zeros(n))

    @property
    def precision(self) -> Tensor:
        """Mean of the precisions of both halves: the coefficient of x^2 / 2, shape (n,)."""
        above, below = self.precisions
        return 0.5 * (above + below)

    @property
    def precisions(self) -> tuple[Tensor, Tensor]:
        """Precisions of the positive and of the negative half, each of shape (n,)."""
        # 1 / (2 sigmoid(asymmetry)) and 1 / (2 sigmoid(-asymmetry)), without a sigmoid of 0
        scale = self.log_precision - math.log(2)
        above = (scale + functional.softplus(-self.asymmetry, threshold=40)).exp()
        return above, (scale + functional.softplus(self.asymmetry, threshold=40)).exp()

    @property
    def least_precision(self) -> Tensor:  # noqa: D102
        return torch.minimum(*self.precisions)

    @property
    def stored_log_precision(self) -> None:  # noqa: D102
        return None  # what is stored is minus the log of the mean variance

    def is_far_with(self, bias: Tensor) -> bool:  # noqa: D102
        (above, _), (below, _) = self._sides(bias - self.bias)
        return bool(torch.maximum(above, below).max() > FAR)

    @torch.no_grad()
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:  # noqa: D102
        assert precision is not None
        self.bias.copy_(bias)
        self.log_precision.add_((precision / self.precision).log())

    @without_autograd
    def interpolate_(self, a: Units, b: Units, t: float) -> None:  # noqa: D102
        assert isinstance(a, DReLU) and isinstance(b, DReLU)
        above, below = (
            torch.lerp(*pair, t) for pair in zip(a.precisions, b.precisions, strict=True)
        )
        self.log_precision.copy_((2 / (1 / above + 1 / below)).log())
        self.asymmetry.copy_((below / above).log())
        self.gap.copy_(torch.lerp(a.gap, b.gap, t))
        self.bias.copy_(torch.lerp(a.bias, b.bias, t))

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        if not isinstance(x, Tensor):
            self.check_energy_of(x)
        above, below = self.precisions
        try:
            precision = torch.where(x > 0, above, below)
            return (x * (0.5 * precision * x - self.bias) - self.gap * x.abs()).sum(-1)
        except (TypeError, RuntimeError):
            self.check_energy_of(x)
            raise

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return torch.logaddexp(*(half_normal.log_mass(*side) for side in self._sides(inputs)))

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._moments(inputs)[0]

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        (up, spread), (down, spread_below) = self._sides(inputs)
        log_odds = half_normal.log_mass(up, spread) - half_normal.log_mass(down, spread_below)
        p, q = torch.sigmoid(log_odds), torch.sigmoid(-log_odds)
        mean, var = half_normal.moments(up)
        mean_below, var_below = half_normal.moments(down)
        between = mean * spread + mean_below * spread_below  # the means of the two halves
        within = p * var * spread.square() + q * var_below * spread_below.square()
        return within + p * q * between.square()

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        (above, spread), (below, spread_below) = self._sides(inputs)
        above, below = above.clamp(min=0), below.clamp(min=0)
        # the depth of each half's minimum is the square of its centre, halved
        return torch.where(above >= below, above * spread, -below * spread_below)

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.drelu_(inputs, *self._half_lines, stream)

    def statistics(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        above, below = self.precisions
        return {"bias": x} | self._further_statistics(
            above * x.clamp(min=0).square(), below * x.clamp(max=0).square(), x.abs()
        )

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:  # noqa: D102
        mean, *others = self._moments(inputs)
        return {"bias": mean} | self._further_statistics(*others)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        # a normal distribution: both halves alike
        self.asymmetry.zero_()
        self.gap.zero_()
        super().init_from_moments_(mean, var)

    def _further_statistics(self, above: Tensor, below: Tensor, size: Tensor) -> dict[str, Tensor]:
        """Statistics beside the bias's, from ``precision x^2`` of each half, and |x|."""
        share = torch.sigmoid(self.asymmetry)  # of the positive half's variance in the sum of both
        found = {"log_precision": -0.5 * (above + below)}
        if not self.log_precision.requires_grad:
            found = {}
        return found | {"asymmetry": 0.5 * ((1 - share) * above - share * below), "gap": size}

    @property
    def _half_lines(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Bias and precision of the positive half-line, and of the negative one."""
        above, below = self.precisions
        return self.bias + self.gap, above, self.bias - self.gap, below

    def _moments(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means of the state, of ``precision x^2`` above and below zero, and of |x|."""
        self.check_rows(inputs, "inputs")
        return kernels.drelu_moments(inputs, *self._half_lines)

    def _sides(self, inputs: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Centre and standard deviation of each half; see `half_normal.sides`."""
        self.with_bias(inputs)  # explains inputs that do not fit
        return half_normal.sides(inputs, *self._half_lines)
