"""Terms added to the likelihood gradient: weight decay, sparsity, limits on precisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from harmonium import defaults
from harmonium.arguments import check_number
from harmonium.autograd import without_autograd
from harmonium.gradient.closed_form import Phase, grad_buffer, logarithms
from harmonium.rbm import RBM
from harmonium.units import Units


@dataclass
class Penalties:
    """Terms added to the likelihood gradient: weight decay, sparsity, limits on precisions.

    Parameters
    ----------
    l1, l2
        Weight decay: ``l1 * |w|`` and ``l2 / 2 * w^2`` are added to the loss for each weight w,
        none for biases.
    l1b
        Makes hidden units with many large weights pay more for each: ``l1b / (2 n) * s^2`` is added
        to the loss for each hidden column, where s is the sum of its |w| and n the number of
        visible columns, that is sites times categories (the ``lambda_1^2`` of Tubiana, Cocco and
        Monasson, 2019, eLife 8:e39397, equation 8, who took 0.25 for proteins).
    group_lasso
        ``group_lasso * |w|`` is added to the loss for each site and hidden unit, where ``|w|`` is
        the Euclidean norm of the weights between them: those of all categories of a categorical
        unit, and a single weight between units of one column. It is no part of the gradient, but
        a step of its own (`shrink_`), which makes groups exactly zero.
    sparsity_target
        Target for the mean activity of binary hidden units, between 0 and 1; None for no target.
    sparsity_cost
        Strength of the pull to the target: ``cost * (activity - target)`` is added to the gradient
        by each hidden unit's input (Hinton, 2010, section 11).
    sparsity_rate
        Weight of the newest mini-batch in the moving average of the activity.
    variance_floor
        If visible units learn their precision, ``variance_floor / 2`` times the precision (of
        `DReLU`, the inverse of its mean variance) is added to the loss for each, as if every value
        carried noise of that variance. Without it the precision of a constant column grows until it
        overflows.
    precision_limit
        The gradient by a parameter that is a logarithm (`Units.logarithms`: of a precision, or of
        the ratio of two) is clipped to plus or minus this. Without it a single outlier, common in
        rarely used pixels, makes a precision fall by orders of magnitude in one update.
        Mini-batches of Gaussian columns come nowhere near 1.
    """

    l1: float = defaults.L1
    l2: float = defaults.L2
    l1b: float = defaults.L1B
    group_lasso: float = defaults.GROUP_LASSO
    sparsity_target: float | None = defaults.SPARSITY_TARGET
    sparsity_cost: float = defaults.SPARSITY_COST
    sparsity_rate: float = defaults.SPARSITY_RATE
    variance_floor: float = defaults.VARIANCE_FLOOR
    precision_limit: float = defaults.PRECISION_LIMIT
    activity: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse arguments that are out of range."""
        decay = ("l1", "l2", "l1b", "group_lasso")
        for name in (*decay, "sparsity_cost", "variance_floor", "precision_limit"):
            check_number(name, getattr(self, name), "0 or a positive number")
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; pass 0 or a positive number")
        if self.sparsity_target is not None:
            check_number("sparsity_target", self.sparsity_target, "a mean activity, or None")
        check_number("sparsity_rate", self.sparsity_rate, "a number in (0, 1]")
        if self.sparsity_target is not None and not 0 < self.sparsity_target < 1:
            raise ValueError(
                f"sparsity_target is {self.sparsity_target}; pass a mean activity between 0 and 1"
            )
        if (self.sparsity_target is None) != (self.sparsity_cost == 0):
            raise ValueError(
                f"sparsity_target is {self.sparsity_target} and sparsity_cost "
                f"{self.sparsity_cost}; pass both, or neither"
            )
        if not 0 < self.sparsity_rate <= 1:
            raise ValueError(f"sparsity_rate is {self.sparsity_rate}; pass a number in (0, 1]")

    def check(self, rbm: RBM) -> None:
        """Refuse a sparsity target if hidden units are not binary."""
        if self.sparsity_target is not None and rbm.hidden.low_state != 0:
            raise ValueError(
                f"a sparsity target needs binary hidden units, but these are "
                f"{type(rbm.hidden).__name__}; leave sparsity_target out"
            )

    @without_autograd
    def add_(self, rbm: RBM, data: Phase, scale: float = 1.0) -> None:
        """Add ``scale`` times the penalties' gradient to the parameters' ``.grad``."""
        if self.l2:
            grad_buffer(rbm.weights).add_(rbm.weights, alpha=scale * self.l2)
        if self.l1:
            grad_buffer(rbm.weights).add_(rbm.weights.sign(), alpha=scale * self.l1)
        if self.l1b:
            mean_size = rbm.weights.abs().mean(0)
            grad_buffer(rbm.weights).addcmul_(rbm.weights.sign(), mean_size, value=scale * self.l1b)
        if self.sparsity_target is not None:
            visible, hidden = data.means
            self.activity = _follow(self.activity, hidden["bias"], self.sparsity_rate)
            pull = (scale * self.sparsity_cost) * (self.activity - self.sparsity_target)
            grad_buffer(rbm.hidden.bias).add_(pull)
            grad_buffer(rbm.weights).addr_(visible["bias"], pull)
        for _, units in rbm.visible.groups:
            if "log_precision" in units.logarithms:
                log = units.get_parameter("log_precision")
                if log.requires_grad:
                    grad_buffer(log).add_(log.exp(), alpha=0.5 * scale * self.variance_floor)
        limit = scale * self.precision_limit
        for log in (*logarithms(rbm.visible), *logarithms(rbm.hidden)):
            if log.requires_grad:
                grad_buffer(log).clamp_(-limit, limit)

    @without_autograd
    def shrink_(
        self, rbm: RBM, optimizer: Optimizer, scale: float = 1.0, shares: Tensor | None = None
    ) -> None:
        """Make the group lasso's step, after the optimiser's; does nothing without the penalty.

        This is the proximal map of the penalty times the learning rate: the norm of each group
        falls by ``learning_rate * scale * group_lasso``, and is exactly 0 where it was less (Yuan
        and Lin, 2006). After plain gradient descent it is the proximal gradient method, whose fixed
        points are the minima of loss and penalty. Momentum makes steps ``1 / (1 - momentum)`` times
        as long, and this one with them, so that the fixed points stay. Optimisers that scale each
        gradient, such as Adam, do not scale this step: then it is a decay beside the loss, as AdamW
        has one, stronger than the same number means with SGD. Where the steps of hidden columns
        have been shortened, ``shares`` says to which share (`Gradient.shares`).
        """
        if not self.group_lasso:
            return
        for group in optimizer.param_groups:
            gain = (1 - group.get("dampening", 0)) / (1 - group.get("momentum", 0))
            step = float(group["lr"]) * gain * scale * self.group_lasso
            if step and any(parameter is rbm.weights for parameter in group["params"]):
                steps = rbm.weights.new_full((rbm.hidden.n,), step)
                if shares is not None:
                    steps.mul_(_of_units(rbm.hidden, shares))
                for _, units, block in _blocks(rbm):
                    norms = torch.linalg.vector_norm(block, dim=(1, 3), keepdim=True)
                    own = steps[units, None]
                    block.mul_(1 - own / norms.maximum(own))

    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint has to keep, live, by attribute name."""
        return {} if self.activity is None else {"activity": self.activity}


@without_autograd
def weight_norms(rbm: RBM) -> Tensor:
    """Euclidean norm of the weights between each visible and each hidden unit.

    Returns
    -------
    Tensor, shape (visible.n, hidden.n)
        For categorical units, over all their categories. It depends on the gauge: that of
        `sequences.zero_sum` makes these norms smallest.
    """
    norms = rbm.weights.new_empty(rbm.visible.n, rbm.hidden.n)
    for rows, columns, block in _blocks(rbm):
        norms[rows, columns] = torch.linalg.vector_norm(block, dim=(1, 3))
    return norms


def _blocks(rbm: RBM) -> Iterator[tuple[slice, slice, Tensor]]:
    """The weights between two groups of units, (visible units, width, hidden units, width).

    Before them stand the places of the visible and of the hidden units. They are views.
    """
    for rows, (above, of_above) in _units_of(rbm.visible):
        for columns, (left, of_left) in _units_of(rbm.hidden):
            block = rbm.weights[above, left].unflatten(1, (-1, of_left))
            yield rows, columns, block.unflatten(0, (-1, of_above))


def _units_of(layer: Units) -> Iterator[tuple[slice, tuple[slice, int]]]:
    """The places of the units of each group, then their columns and how many each has."""
    first = 0
    for columns, units in layer.groups:
        yield slice(first, first + units.n), (columns, units.width)
        first += units.n


def _of_units(layer: Units, by_column: Tensor) -> Tensor:
    """The number of each unit, where it has one for all its columns."""
    return torch.cat([by_column[columns][:: units.width] for columns, units in layer.groups])


def _follow(average: Tensor | None, newest: Tensor, rate: float) -> Tensor:
    """Update a moving average in place; the first value starts it."""
    return newest.clone() if average is None else average.lerp_(newest, rate)
