"""The gradient of the log-likelihood in closed form, written into ``.grad``, and what is added.

Everything here is the gradient of a *loss*, minus the log-likelihood in nats a row, so that any
`torch.optim` optimiser descends it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.arguments import check_number
from harmonium.autograd import without_autograd
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.units import Binary, Gaussian, Units


@dataclass(frozen=True)
class Phase:
    """Sufficient statistics of rows: of the data (positive) or of the chains (negative phase).

    Attributes
    ----------
    visible
        Statistics of the visible states by parameter name, each of shape (rows, ...).
    hidden
        Expected statistics of the hidden units given those visible states.
    unweighed
        What `weigh` made this of: another phase, and the weights of its rows. None elsewhere.
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
        """Visible states and expected hidden states, whose products the weights' gradient is of."""
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
    """The phase of rows that do not all count alike: its means are weighted means of this one.

    That holds for the statistics of both layers and for their products. What else a gradient makes
    of rows, it has to make of `Phase.unweighed`. Visible rows are multiplied by their weight; one
    more row, whose visible statistics are zero, brings the means of the hidden units right.

    Parameters
    ----------
    phase
        Statistics of rows.
    weights
        Weight of each row, shape (rows,), at least one of them above zero; only ratios matter.
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
    """A way from the two phases to a gradient."""

    @property
    @abstractmethod
    def uses_chains(self) -> bool:
        """Whether the chains' phase is read; where it is not, training moves no chains."""

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

        What was there is overwritten. Weights and biases always get theirs: which of them move
        is the optimiser's business. Training passes the ``stream`` of its chains, for gradients
        that draw.
        """

    @abstractmethod
    def telling(self, rbm: RBM) -> list[Tensor]:
        """Gradients of which one is not finite whenever any gradient is not."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint has to keep, live, by attribute name."""


@dataclass
class PlainGradient(Gradient):
    """Minus the log-likelihood gradient: moments under the model minus moments under the data."""

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
        kernels.moments_(grad_buffer(rbm.weights), data.pair, chains.pair, scale)

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        return [p.grad for p in rbm.parameters() if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        return {}


@dataclass
class CenteredGradient(Gradient):
    """The gradient by weights and biases of units from which offsets are subtracted.

    The offsets follow the data's means of both layers. The parameters mean the same as under the
    plain gradient, only the direction of the update differs: it is the plain gradient after a
    linear change of parameters, so it is zero exactly where that is zero, and it does not change
    when the states 0 and 1 of data or hidden units are swapped. That holds where both biases are
    trained together with the weights.

    Parameters
    ----------
    rate
        Weight of the newest minibatch in the moving averages of the offsets, 0 to 1.

    References
    ----------
    .. [1] J. Melchior, A. Fischer and L. Wiskott (2016), "How to center deep Boltzmann machines",
       JMLR 17(99), algorithm 1 and the centred gradient, equations 9 to 11.
    """

    rate: float = defaults.OFFSET_RATE
    visible_offset: Tensor | None = field(default=None, repr=False)
    hidden_offset: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a rate that is no average."""
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
        if len(data.visible) + len(data.hidden) > 2:  # there are parameters beside the biases
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
        )

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        # centring passes on what is not finite, from visible biases to weights to hidden biases
        own = [rbm.hidden.bias]
        for layer in (rbm.visible, rbm.hidden):
            own += [units.log_precision for units in _gaussians(layer)]
        return [p.grad for p in own if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        offsets = {"visible_offset": self.visible_offset, "hidden_offset": self.hidden_offset}
        return {name: offset for name, offset in offsets.items() if offset is not None}


@dataclass
class Penalties:
    """What is done to the gradient beyond the likelihood: decay, sparsity, tamed precisions.

    Parameters
    ----------
    l1, l2
        ``l1 * |w|`` and ``l2 / 2 * w^2`` are added for each weight w; biases are left alone.
    sparsity_target
        Mean activity that binary hidden units are drawn to, between 0 and 1; None for no target.
    sparsity_cost
        Strength of that pull: ``cost * (activity - target)`` is added to the gradient by each
        hidden unit's input (Hinton, 2010, section 11).
    sparsity_rate
        Weight of the newest minibatch in the moving average of the activity.
    variance_floor
        Where visible units learn their precision, ``variance_floor / 2 * precision`` is added for
        each, as if every value carried noise of that variance. Without it the precision of a
        constant column grows until it overflows.
    precision_limit
        Where visible units learn their precision, the gradient by its logarithm is held between
        plus and minus this. Without it one row that is far out, as rarely used pixels have them,
        makes a precision fall by orders of magnitude in one update. Batches of Gaussian columns
        come nowhere near 1.
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
        """Refuse what would not be a penalty."""
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
        """Refuse a sparsity target for hidden units that have no activity between 0 and 1."""
        if self.sparsity_target is not None and not isinstance(rbm.hidden, Binary):
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
        for units in _gaussians(rbm.visible):
            if units.log_precision.requires_grad:
                half, limit = 0.5 * scale * self.variance_floor, scale * self.precision_limit
                by_log_precision = grad_buffer(units.log_precision)
                by_log_precision.add_(units.precision, alpha=half).clamp_(-limit, limit)

    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint has to keep, live, by attribute name."""
        return {} if self.activity is None else {"activity": self.activity}


class GradientCheck:
    """Whether all gradients were finite so far, which the device alone knows until it is asked.

    From the first update on whose gradient is not, all gradients are zero.

    Parameters
    ----------
    parameters
        Whose gradients are looked at.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._before = [parameter.detach().clone() for parameter in self._parameters]
        device = self._before[0].device
        self._is_bad = torch.zeros((), dtype=torch.bool, device=device)
        self._n_bad = torch.zeros((), dtype=torch.int64, device=device)

    def is_of(self, parameters: Iterable[nn.Parameter]) -> bool:
        """Whether these are the parameters, of the same kind and place."""
        now = list(parameters)
        return len(now) == len(self._parameters) and all(
            a is b and (a.device, a.dtype, a.shape) == (c.device, c.dtype, c.shape)
            for a, b, c in zip(now, self._parameters, self._before, strict=True)
        )

    @torch.no_grad()
    def __call__(self) -> None:
        """Look at the gradients of an update, before the optimiser's step."""
        for parameter, before in zip(self._parameters, self._before, strict=True):
            torch.where(self._is_bad, before, parameter, out=before)
        grads = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        # one bad number makes its sum bad
        total = torch.stack([grad.sum() for grad in grads]).sum()
        self._is_bad.logical_or_(total.isfinite().logical_not())
        self._n_bad.add_(self._is_bad)
        for grad in grads:
            grad.masked_fill_(self._is_bad, 0)

    @torch.no_grad()
    def undo(self) -> int:
        """Ask the device how many updates ago the first bad one was: 1 for the last, 0 for none.

        The parameters are then as they were before it (an optimiser with momentum would have
        moved them on), and the next update is judged anew.
        """
        n_bad = int(self._n_bad)
        if n_bad:
            for parameter, before in zip(self._parameters, self._before, strict=True):
                parameter.copy_(before)
            self._is_bad.zero_()
            self._n_bad.zero_()
        return n_bad


def grad_buffer(parameter: nn.Parameter) -> Tensor:
    """The parameter's ``.grad``, made of zeros at first use and kept."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _write_means(rbm: RBM, data: Phase, chains: Phase, scale: float, *, biases: bool) -> None:
    """The plain gradient by the units' own parameters: means of the chains minus the data's."""
    phases = (data.visible, chains.visible), (data.hidden, chains.hidden)
    for layer, (of_data, of_chains) in zip((rbm.visible, rbm.hidden), phases, strict=True):
        for name, statistic in of_data.items():
            if name != "bias" or biases:
                grad = grad_buffer(layer.get_parameter(name))
                torch.sub(of_chains[name].mean(0), statistic.mean(0), out=grad).mul_(scale)


def _gaussians(layer: Units) -> list[Gaussian]:
    """The Gaussian units of a layer, alone or among others."""
    return [units for _, units in layer.groups if isinstance(units, Gaussian)]


def _follow(average: Tensor | None, newest: Tensor, rate: float) -> Tensor:
    """Move an average in place towards the newest value; the first value starts it."""
    return newest.clone() if average is None else average.lerp_(newest, rate)
