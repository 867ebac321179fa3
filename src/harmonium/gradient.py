"""The closed-form gradient of the log-likelihood, written into ``.grad``, and its penalties.

Everything here is the gradient of a *loss*, minus the log-likelihood in nats per row, so that any
`torch.optim` optimiser can descend it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.arguments import check_number
from harmonium.autograd import without_autograd
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.units import Units


@dataclass(frozen=True)
class Phase:
    """Sufficient statistics of rows: of data (positive phase) or of chains (negative phase).

    Attributes
    ----------
    visible
        Statistics of the visible states by parameter name, each of shape (rows, ...).
    hidden
        Expected statistics of the hidden units given those visible states.
    unweighed
        The arguments of `weigh`, if this is its result: another phase, and the weights of its rows.
        None otherwise.
    """

    visible: dict[str, Tensor]
    hidden: dict[str, Tensor]
    unweighed: tuple[Phase, Tensor] | None = field(default=None, repr=False)

    @property
    def n_rows(self) -> int:
        """Rows that were observed."""
        return self.visible["bias"].shape[0]

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """Visible states and expected hidden states; their products give the weights' gradient."""
        return self.visible["bias"], self.hidden["bias"]

    @cached_property
    def means(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Mean statistics of the visible and of the hidden units."""
        visible, hidden = (
            {name: statistic.mean(0) for name, statistic in layer.items()}
            for layer in (self.visible, self.hidden)
        )
        return visible, hidden


def weigh(phase: Phase, weights: Tensor) -> Phase:
    """Return a phase whose means are the weighted means of this one.

    That holds for the statistics of both layers and for their products. A gradient that computes
    anything else from rows must use `Phase.unweighed`. Visible rows are multiplied by their
    weights; one extra row, whose visible statistics are zero, corrects the means of the hidden
    units.

    Parameters
    ----------
    phase
        Statistics of rows.
    weights
        Weight of each row, shape (rows,), at least one of them positive; only ratios matter.
    """
    n = phase.n_rows + 1
    share = n * weights / weights.sum()
    visible, hidden = {}, {}
    for name, x in phase.visible.items():
        visible[name] = torch.cat([share.unsqueeze(1) * x, torch.zeros_like(x[:1])])
    for name, x in phase.hidden.items():
        rest = share @ x - x.sum(0)
        hidden[name] = torch.cat([x, rest.unsqueeze(0)])
    return Phase(visible, hidden, (phase, weights))


class Gradient(ABC):
    """Computes a gradient from the two phases."""

    @property
    @abstractmethod
    def uses_chains(self) -> bool:
        """Whether the negative phase is used; if not, training moves no chains."""

    @abstractmethod
    def write_(
        self,
        rbm: RBM,
        data: Phase,
        chains: Phase,
        scale: float = 1.0,
        stream: Stream | None = None,
    ) -> None:
        """Write ``scale`` times the gradient of the loss into the parameters' ``.grad``.

        Existing values are overwritten. Weights and biases always receive a gradient; the optimiser
        decides which of them move. Training passes the ``stream`` of its chains, for gradients that
        draw random numbers.
        """

    @abstractmethod
    def telling(self, rbm: RBM) -> list[Tensor]:
        """Gradients to check: if any gradient is not finite, one of these is not."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint has to keep, live, by attribute name."""


@dataclass
class PlainGradient(Gradient):
    """The gradient of the loss: moments under the model minus moments under the data."""

    @property
    def uses_chains(self) -> bool:  # noqa: D102
        return True

    @without_autograd
    def write_(  # noqa: D102
        self,
        rbm: RBM,
        data: Phase,
        chains: Phase,
        scale: float = 1.0,
        stream: Stream | None = None,
    ) -> None:
        _write_means(rbm, data, chains, scale, biases=True)
        kernels.moments_(
            grad_buffer(rbm.weights),
            data.pair,
            chains.pair,
            scale,
            n_categories=rbm.visible.n_one_hot,
        )

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        return [p.grad for p in rbm.parameters() if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        return {}


@dataclass
class CenteredGradient(Gradient):
    """The centred gradient: by weights and biases of units from which offsets are subtracted.

    The offsets follow the means of both layers under the data. The parameters mean the same as
    under the plain gradient; only the direction of the update differs. It is the plain gradient
    after a linear change of parameters, so it is zero exactly where the plain one is. It is also
    invariant when the states 0 and 1 of data or hidden units are swapped. Both hold if the two
    biases are trained together with the weights.

    Parameters
    ----------
    rate
        Weight of the newest mini-batch in the moving averages of the offsets, 0 to 1.

    References
    ----------
    .. [1] J. Melchior, A. Fischer and L. Wiskott (2016), "How to center deep Boltzmann machines",
       JMLR 17(99), algorithm 1 and the centred gradient, equations 9 to 11.
    """

    rate: float = defaults.OFFSET_RATE
    visible_offset: Tensor | None = field(default=None, repr=False)
    hidden_offset: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a rate outside 0 to 1."""
        check_number("the offsets' rate", self.rate, "a number from 0 to 1")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"the offsets' rate is {self.rate}; pass a number from 0 to 1")

    @property
    def uses_chains(self) -> bool:  # noqa: D102
        return True

    @without_autograd
    def write_(  # noqa: D102
        self,
        rbm: RBM,
        data: Phase,
        chains: Phase,
        scale: float = 1.0,
        stream: Stream | None = None,
    ) -> None:
        if self.visible_offset is None or self.hidden_offset is None:
            visible, hidden = data.means
            self.visible_offset = visible["bias"].clone()
            self.hidden_offset = hidden["bias"].clone()
        if len(data.visible) + len(data.hidden) > 2:  # there are parameters other than the biases
            _write_means(rbm, data, chains, scale, biases=False)
        # <(v - mu)(h - lam)> differs from <v h> by two outer products
        kernels.centred_gradient_(
            grad_buffer(rbm.weights),
            data.pair,
            chains.pair,
            (grad_buffer(rbm.visible.bias), grad_buffer(rbm.hidden.bias)),
            (self.visible_offset, self.hidden_offset),
            self.rate,
            scale,
            n_categories=rbm.visible.n_one_hot,
        )

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        # centring spreads non-finite values from visible biases to weights to hidden biases
        own = [rbm.hidden.bias]
        for layer in (rbm.visible, rbm.hidden):
            own += [log for log, _ in _log_precisions(layer)]
        return [p.grad for p in own if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        offsets = {"visible_offset": self.visible_offset, "hidden_offset": self.hidden_offset}
        return {name: offset for name, offset in offsets.items() if offset is not None}


@dataclass
class Penalties:
    """Terms added to the likelihood gradient: weight decay, sparsity, limits on precisions.

    Parameters
    ----------
    l1, l2
        Weight decay: ``l1 * |w|`` and ``l2 / 2 * w^2`` are added to the loss for each weight w,
        none for biases.
    sparsity_target
        Target for the mean activity of binary hidden units, between 0 and 1; None for no target.
    sparsity_cost
        Strength of the pull to the target: ``cost * (activity - target)`` is added to the gradient
        by each hidden unit's input (Hinton, 2010, section 11).
    sparsity_rate
        Weight of the newest mini-batch in the moving average of the activity.
    variance_floor
        If visible units learn their precision, ``variance_floor / 2 * precision`` is added to the
        loss for each, as if every value carried noise of that variance. Without it the precision of
        a constant column grows until it overflows.
    precision_limit
        If visible units learn their precision, the gradient by its logarithm is clipped to plus or
        minus this. Without it a single outlier, common in rarely used pixels, makes a precision
        fall by orders of magnitude in one update. Mini-batches of Gaussian columns come nowhere
        near 1.
    """

    l1: float = defaults.L1
    l2: float = defaults.L2
    sparsity_target: float | None = defaults.SPARSITY_TARGET
    sparsity_cost: float = defaults.SPARSITY_COST
    sparsity_rate: float = defaults.SPARSITY_RATE
    variance_floor: float = defaults.VARIANCE_FLOOR
    precision_limit: float = defaults.PRECISION_LIMIT
    activity: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse arguments that are out of range."""
        for name in ("l1", "l2", "sparsity_cost", "variance_floor", "precision_limit"):
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
        if self.sparsity_target is not None:
            visible, hidden = data.means
            self.activity = _follow(self.activity, hidden["bias"], self.sparsity_rate)
            pull = (scale * self.sparsity_cost) * (self.activity - self.sparsity_target)
            grad_buffer(rbm.hidden.bias).add_(pull)
            grad_buffer(rbm.weights).addr_(visible["bias"], pull)
        for log, precision in _log_precisions(rbm.visible):
            if log.requires_grad:
                half, limit = 0.5 * scale * self.variance_floor, scale * self.precision_limit
                grad_buffer(log).add_(precision, alpha=half).clamp_(-limit, limit)

    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint has to keep, live, by attribute name."""
        return {} if self.activity is None else {"activity": self.activity}


class GradientCheck:
    """Tracks on the device whether all gradients were finite so far, without synchronising.

    After the first non-finite gradient, all gradients are set to zero.

    Parameters
    ----------
    parameters
        The parameters whose gradients are checked.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._before = [parameter.detach().clone() for parameter in self._parameters]
        device = self._before[0].device
        self._is_bad = torch.zeros((), dtype=torch.bool, device=device)
        self._n_bad = torch.zeros((), dtype=torch.int64, device=device)

    def is_of(self, parameters: Iterable[nn.Parameter]) -> bool:
        """Whether these are the same parameters, with unchanged shape, dtype and device."""
        now = list(parameters)
        return len(now) == len(self._parameters) and all(
            a is b and (a.device, a.dtype, a.shape) == (c.device, c.dtype, c.shape)
            for a, b, c in zip(now, self._parameters, self._before, strict=True)
        )

    @torch.no_grad()
    def __call__(self) -> None:
        """Check the gradients of an update, before the optimiser's step."""
        for parameter, before in zip(self._parameters, self._before, strict=True):
            torch.where(self._is_bad, before, parameter, out=before)
        grads = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        # one non-finite number makes the sum non-finite
        total = torch.stack([grad.sum() for grad in grads]).sum()
        self._is_bad.logical_or_(total.isfinite().logical_not())
        self._n_bad.add_(self._is_bad)
        for grad in grads:
            grad.masked_fill_(self._is_bad, 0)

    @torch.no_grad()
    def undo(self) -> int:
        """Ask the device how many updates ago the first bad one was: 1 for the last, 0 for none.

        This restores the parameters from before that update (an optimiser with momentum would have
        moved them on) and resets the check.
        """
        n_bad = int(self._n_bad)
        if n_bad:
            for parameter, before in zip(self._parameters, self._before, strict=True):
                parameter.copy_(before)
            self._is_bad.zero_()
            self._n_bad.zero_()
        return n_bad


def grad_buffer(parameter: nn.Parameter) -> Tensor:
    """The parameter's ``.grad``, allocated as zeros on first use."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _write_means(rbm: RBM, data: Phase, chains: Phase, scale: float, *, biases: bool) -> None:
    """Write the gradient by the units' own parameters: means of chains minus means of data."""
    phases = (data.visible, chains.visible), (data.hidden, chains.hidden)
    for layer, (of_data, of_chains) in zip((rbm.visible, rbm.hidden), phases, strict=True):
        for name, statistic in of_data.items():
            if name != "bias" or biases:
                grad = grad_buffer(layer.get_parameter(name))
                torch.sub(of_chains[name].mean(0), statistic.mean(0), out=grad).mul_(scale)


def _log_precisions(layer: Units) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """The parameters that hold logarithms of precisions, and the precisions."""
    for _, units in layer.groups:
        if units.stored_log_precision is not None and units.precision is not None:
            yield units.stored_log_precision, units.precision


def _follow(average: Tensor | None, newest: Tensor, rate: float) -> Tensor:
    """Update a moving average in place; the first value starts it."""
    return newest.clone() if average is None else average.lerp_(newest, rate)
