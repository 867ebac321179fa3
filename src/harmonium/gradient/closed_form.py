"""The closed-form gradient of the log-likelihood, written into ``.grad``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
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


@dataclass(frozen=True, eq=False)
class SummedOut:
    """A missing visible unit that was summed out exactly in some rows (`gradient.observe`).

    Attributes
    ----------
    rows
        Numbers of these rows in the phase, int64.
    columns
        Columns of the unit.
    covariance
        Mean over all rows of its covariance with the hidden units, shape (columns of the unit,
        hidden.n_columns). It is what the mean of their products exceeds the product of means by.
    """

    rows: Tensor
    columns: slice
    covariance: Tensor


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
    summed_out
        Missing units that were summed out, at most one in a row. Their covariances with the hidden
        units belong to the means of products.
    """

    visible: dict[str, Tensor]
    hidden: dict[str, Tensor]
    unweighed: tuple[Phase, Tensor] | None = field(default=None, repr=False)
    summed_out: tuple[SummedOut, ...] = field(default=(), repr=False)

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
        Statistics of rows. Covariances of missing units have been weighted already.
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
    return Phase(visible, hidden, (phase, weights), phase.summed_out)


class Gradient(ABC):
    """Computes a gradient from the two phases."""

    @property
    @abstractmethod
    def uses_chains(self) -> bool:
        """Whether the negative phase is used; if not, training moves no chains."""

    @abstractmethod
    def write_(
        self, rbm: RBM, data: Phase, chains: Phase, scale: float = 1.0, stream: Stream | None = None
    ) -> None:
        """Write ``scale`` times the gradient of the loss into the parameters' ``.grad``.

        Existing values are overwritten. Weights and biases always receive a gradient; the optimiser
        decides which of them move. Training passes the ``stream`` of its chains, for gradients that
        draw random numbers.
        """

    shares: Tensor | None = None
    """What `divide_` multiplied the steps of each hidden column by; None if it left them alone."""

    def divide_(self, rbm: RBM, data: Phase) -> None:
        """Shorten steps, after penalties have been added to ``.grad``; by default none."""
        return

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
        self, rbm: RBM, data: Phase, chains: Phase, scale: float = 1.0, stream: Stream | None = None
    ) -> None:
        _write_means(rbm, data, chains, scale, biases=True)
        kernels.moments_(
            grad_buffer(rbm.weights),
            data.pair,
            chains.pair,
            scale,
            n_categories=rbm.visible.n_one_hot,
        )
        for missing in data.summed_out:
            grad_buffer(rbm.weights)[missing.columns].sub_(missing.covariance, alpha=scale)

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
    by_variance
        Divide what moves a hidden unit whose states are half-lines, `ReLU` or `DReLU`, by 1 plus
        the variance of its mean among the rows. The states of such units, and with them the
        curvature of the loss, grow with the weights, until a learning rate that was good is too
        large and parameters run away. Penalties are divided alike, so that trainings end where they
        would end without it.

    References
    ----------
    .. [1] J. Melchior, A. Fischer and L. Wiskott (2016), "How to center deep Boltzmann machines",
       JMLR 17(99), algorithm 1 and the centred gradient, equations 9 to 11.
    """

    rate: float = defaults.OFFSET_RATE
    by_variance: bool = False
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
        self, rbm: RBM, data: Phase, chains: Phase, scale: float = 1.0, stream: Stream | None = None
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
        for missing in data.summed_out:
            # covariances are the same about any offsets; the biases are centred by the weights
            covariance = missing.covariance * scale
            grad_buffer(rbm.weights)[missing.columns].sub_(covariance)
            of_unit = grad_buffer(rbm.visible.bias)[missing.columns]
            of_unit.addmv_(covariance, self.hidden_offset)
            grad_buffer(rbm.hidden.bias).addmv_(covariance.T, self.visible_offset[missing.columns])

    @without_autograd
    def divide_(self, rbm: RBM, data: Phase) -> None:  # noqa: D102
        of_half_lines = any(units.has_half_lines for _, units in rbm.hidden.groups)
        if not self.by_variance or not of_half_lines or self.hidden_offset is None:
            return
        self.shares = share = 1 / (1 + _variance(data))
        for columns, units in rbm.hidden.groups:
            if not units.has_half_lines:
                share[columns] = 1
                continue
            for name, parameter in units.named_parameters():
                if name != "bias" and parameter.requires_grad:
                    grad_buffer(parameter).mul_(share[columns])
        weights = grad_buffer(rbm.weights)
        # the visible biases are centred by the steps of the weights, which become shorter
        grad_buffer(rbm.visible.bias).addmv_(weights * (1 - share), self.hidden_offset)
        weights.mul_(share)
        grad_buffer(rbm.hidden.bias).mul_(share)

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        # centring spreads non-finite values from visible biases to weights to hidden biases
        own = [rbm.hidden.bias]
        for layer in (rbm.visible, rbm.hidden):
            own += logarithms(layer)
        return [p.grad for p in own if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        offsets = {"visible_offset": self.visible_offset, "hidden_offset": self.hidden_offset}
        return {name: offset for name, offset in offsets.items() if offset is not None}


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


def _variance(phase: Phase) -> Tensor:
    """Variance of the mean of each hidden column among the rows, which may count by weight."""
    rows, weights = phase.unweighed or (phase, None)
    mean = rows.hidden["bias"]
    if weights is None:
        return mean.var(0, correction=0)
    share = weights / weights.sum()
    return share @ (mean - share @ mean).square()


def logarithms(layer: Units) -> Iterator[nn.Parameter]:
    """The parameters of a layer that are logarithms."""
    for _, units in layer.groups:
        yield from map(units.get_parameter, units.logarithms)
