"""The contract of a unit type: what a layer of units knows of itself under inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from harmonium.rng import Stream


class Units(nn.Module, ABC):
    """A layer of units that are independent of each other, given their inputs.

    A unit type speaks of itself alone: under ``inputs``, which are added to its bias, it has a
    log-normaliser, a mean, a variance, a mode and a draw. It knows nothing of the RBM around it.

    States are rows of ``n_columns`` numbers, so that a table of data, a minibatch and a set of
    chains look alike and inputs are one matrix product; most unit types have one column a unit.
    All methods take any batch shape: ``(..., n_columns)``.

    Parameters
    ----------
    n
        Number of units.
    width
        Columns that one unit's state takes.

    Attributes
    ----------
    bias : Tensor, shape (n_columns,)
        Natural parameter that is linear in the state: every energy here holds ``-bias x``.
    """

    bias: nn.Parameter

    def __init__(self, n: int, width: int = 1) -> None:
        super().__init__()
        if n < 1:
            raise ValueError(f"a layer of {n} units was asked for; pass 1 or more")
        self.n = n
        self.width = width
        self.bias = nn.Parameter(torch.zeros(n * width))

    @property
    def n_columns(self) -> int:
        """Columns of one row of states."""
        return self.n * self.width

    @property
    @abstractmethod
    def states(self) -> Tensor | None:
        """All states of one unit, shape (n_states, width); None if there is a continuum."""

    @property
    @abstractmethod
    def precision(self) -> Tensor | None:
        """Natural parameter that is quadratic in the state, shape (n_columns,).

        Every energy here is ``precision x^2 / 2 - bias x``; None where the first term is missing.
        So layers of a kind can be interpolated, whatever the kind, by `set_natural_`.
        """

    @abstractmethod
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:
        """Overwrite the natural parameters; ``precision`` is None for units that have none."""

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Energy of rows of states, nats, shape (...,)."""

    @abstractmethod
    def cgf(self, inputs: Tensor) -> Tensor:
        """Log-normaliser (cumulant generating function) of each unit, nats, shape (..., n)."""

    @abstractmethod
    def mean(self, inputs: Tensor) -> Tensor:
        """Mean state, shape (..., n_columns); the derivative of `cgf` by the inputs."""

    @abstractmethod
    def var(self, inputs: Tensor) -> Tensor:
        """Variance of each column of the state, shape (..., n_columns)."""

    @abstractmethod
    def mode(self, inputs: Tensor) -> Tensor:
        """Most probable state, shape (..., n_columns)."""

    @abstractmethod
    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        """Overwrite ``inputs``, shape (rows, n_columns), with a draw; returns it."""

    @torch.no_grad()
    def sample(self, inputs: Tensor, stream: Stream) -> Tensor:
        """A draw for each row of ``inputs``, shape (..., n_columns); it has no gradient."""
        rows = inputs.reshape(-1, inputs.shape[-1]).clone(memory_format=torch.contiguous_format)
        return self.sample_(rows, stream).reshape(inputs.shape)

    @abstractmethod
    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Minus the derivative of each row's energy by each parameter, by parameter name.

        The statistic of ``bias`` is the state itself, for every unit type.
        """

    @abstractmethod
    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:
        """Expected `statistics` of the units under ``inputs``."""

    @abstractmethod
    def check(self, x: Tensor, name: str) -> None:
        """Refuse rows that no mixture of states could give; ``name`` says whose they are.

        Raises
        ------
        ValueError
            Says how many values are outside, the first of them, and what would work.
        """

    @abstractmethod
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:
        """Set the parameters so that units without inputs have these moments, as far as they can.

        Moments at the edge of what is possible (a constant column) are drawn inwards, so that
        every parameter stays finite.
        """

    @abstractmethod
    def config(self) -> dict[str, int | float | bool]:
        """The arguments that make another layer like this one, without its parameters."""

    def check_width(self, x: Tensor, layer: str) -> None:
        """Refuse rows of the wrong width; ``layer`` is "visible" or "hidden"."""
        if x.dim() < 1 or x.shape[-1] != self.n_columns:
            came = f"{x.shape[-1]} columns" if x.dim() else "no columns"
            raise ValueError(
                f"{layer} has {came}, but this RBM has {self.n_columns} {layer} "
                f"{'units' if self.width == 1 else 'columns'}; pass shape (n, {self.n_columns})"
            )

    def extra_repr(self) -> str:
        """Arguments as they were given."""
        return ", ".join(f"{name}={value}" for name, value in self.config().items())


def refuse(x: Tensor, outside: Tensor, name: str, expected: str, remedy: str) -> None:
    """Raise a ValueError if any value is ``outside``, naming how many and the first of them."""
    n = int(outside.sum())
    if n:
        place = ", ".join(str(int(i)) for i in outside.nonzero()[0])
        first = x[outside][0].item()
        raise ValueError(
            f"{name}: {n} of {x.numel()} values are not {expected} "
            f"(the first is {first:g}, at [{place}]); {remedy}"
        )
