"""The contract of a unit type: distribution and energy of a layer given its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from harmonium.arguments import check_type, described, is_whole, no_tensor
from harmonium.autograd import without_autograd
from harmonium.rng import Stream
from harmonium.units.far import FAR
from harmonium.units.numbers import of_other_dtype


class Units(nn.Module, ABC):
    """A layer of units that are independent given their inputs.

    A unit type describes only itself. Given ``inputs``, which are added to its bias, it has a
    log-normaliser, a mean, a variance, a mode and a draw. It knows nothing of the RBM around it.

    States are rows of ``n_columns`` numbers, mostly one per unit, in data, mini-batches and chains
    alike. Batches may have any shape, ``(..., n_columns)``.

    Parameters
    ----------
    n
        Number of units.
    n_columns
        Columns of a row of states; by default one per unit.

    Attributes
    ----------
    bias : Tensor, shape (n_columns,)
        Natural parameter of the linear term: every energy contains ``-bias x``.
    """

    bias: nn.Parameter
    n: int
    n_columns: int
    _groups: tuple[tuple[slice, Units], ...] | None = None

    low_state: int | None = None
    """The lower state, 0 or -1, of units whose upper one is 1 and energy exactly ``-bias x``.

    None for all others. Such units have kernels, and can be drawn from their means. A subclass has
    to say it anew, because its energy may be another.
    """

    has_origin: bool = True
    """Whether the location of zero matters; defined for a group, not for mixed layers.

    False if states cover the whole real line and the energy is exactly ``precision x^2 / 2 - bias
    x``: then adding a constant to all states of a column, and ``precision`` times it to the bias,
    gives an equivalent layer. A subclass has to say it anew.
    """

    is_positive: bool = False
    """Whether no state is below zero, though a continuum of states goes up without end."""

    is_count: bool = False
    """Whether states are 0, 1, 2, ... without end, and ``cgf`` is exp(bias + inputs).

    Defined for a group, not for mixed layers. A subclass has to say it anew.
    """

    has_fixed_draws: bool = True
    """Whether any draw makes the same operations, so that a CUDA graph can record it."""

    fixed: tuple[int, ...] = ()
    """Numbers that say which states units have, beside those of units and columns."""

    is_one_hot: bool = False
    """Whether a unit's states are names without an order, each a column of its own."""

    n_one_hot: int | None = None
    """Columns of each unit if all units of the layer are one-hot, else None."""

    input_scale: float = 1.0
    """How large inputs move the mean as far as those of 1 do of spins; random weights grow too."""

    has_half_lines: bool = False
    """Whether states are half-lines, so that their spread grows with the inputs without end."""

    logarithms: tuple[str, ...] = ()  # names of such parameters; see `Penalties.precision_limit`

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in ("low_state", "has_origin", "is_count"):
            if name not in vars(cls):
                setattr(cls, name, getattr(Units, name))

    def __init__(self, n: int, n_columns: int | None = None) -> None:
        super().__init__()
        if not is_whole(n):
            raise TypeError(f"n, the number of units, is {described(n)}; pass a whole number")
        if n < 1:
            raise ValueError(f"a layer of {n} units was asked for; pass 1 or more")
        self.n = int(n)
        self.n_columns = self.n if n_columns is None else n_columns
        self.bias = nn.Parameter(torch.zeros(self.n_columns))

    @property
    def groups(self) -> tuple[tuple[slice, Units], ...]:
        """Columns and units of each kind, in order; layers that are not mixed have one group.

        A group holds the type and number of its units. Their bias is the layer's ``bias[columns]``,
        not the group's. A draw takes one position of the stream for each group.
        """
        return self._groups or ((slice(0, self.n_columns), self),)

    @property
    def kinds(self) -> tuple[tuple[type[Units], int, int, tuple[int, ...]], ...]:
        """Type, units, columns and `fixed` of each group; layers of equal kinds interpolate."""
        return tuple((type(of), of.n, of.n_columns, of.fixed) for _, of in self.groups)

    @property
    def is_discrete(self) -> bool:
        """Whether all units have finitely many states."""
        return all(units.states is not None for _, units in self.groups)

    @property
    def width(self) -> int:
        """Columns of one unit's state, if all units are of the same kind."""
        if len(self.groups) > 1:
            raise TypeError(f"the units of {self!r} are of several kinds; take its `groups`")
        return self.n_columns // self.n

    @property
    def is_far(self) -> bool:
        """Whether a unit without inputs is so far from zero that float32 is too imprecise."""
        return any(units.is_far_with(self.bias[columns]) for columns, units in self.groups)

    @torch.no_grad()
    def is_far_with(self, bias: Tensor) -> bool:
        """Whether units of these precisions would be far from zero with this bias."""
        precision = self.precision
        return precision is not None and bool((bias.abs() * precision.rsqrt()).max() > FAR)

    def activation(self) -> list[nn.Module] | None:
        """Modules of ``torch.nn`` that make means of inputs with the bias, over any precision.

        None where there are no such modules.
        """
        return None

    @property
    def stored_log_precision(self) -> nn.Parameter | None:
        """The parameter that holds the logarithm of `precision`, if one does."""
        return None

    @property
    def is_linear(self) -> bool:
        """Whether the energy is exactly ``-bias x``."""
        return False

    @property
    @abstractmethod
    def states(self) -> Tensor | None:
        """All states of one unit, shape (n_states, width).

        None for continuous units, for counts without end, and for mixed layers, whose groups have
        the states of each kind. States that some of the units lack have infinite energy there.
        """

    @property
    def states_each(self) -> list[int]:
        """How many of `states`, from the first on, each unit has."""
        return [0 if self.states is None else len(self.states)] * self.n

    @property
    def highest_state(self) -> Tensor | None:
        """Highest state of each column, or of all; None where `states` is."""
        return None if self.states is None else self.states.max()

    @property
    @abstractmethod
    def precision(self) -> Tensor | None:
        """Natural parameter of the quadratic term, shape (n_columns,).

        Every energy contains ``precision x^2 / 2 - bias x``; None if there is no quadratic term.
        `named_parameters` lists any other parameters that a type learns.
        """

    @property
    def least_precision(self) -> Tensor | None:
        """As `precision`, but the lowest curvature of the energy anywhere on the line."""
        return self.precision

    @abstractmethod
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:
        """Overwrite bias and precision; the precision is None for units that have none."""

    @without_autograd
    def interpolate_(self, a: Units, b: Units, t: float) -> None:
        """Become the layer at ``t`` on the path from ``a``, at 0, to ``b``, at 1.

        Annealing, tempering and the population that tracks log Z use this path, for every unit
        type. Bias and precision change linearly, and so do further parameters, in the form in which
        they are stored. If the energy is linear in these, as it is in natural parameters, the
        energy of each state is ``(1 - t) E_a + t E_b``. A type that stores a parameter in another
        form, such as its logarithm, overrides this method.

        Parameters
        ----------
        a, b
            Layers of the same kinds as this one.
        t
            Position on the path, 0 to 1.
        """
        for name in self.further:
            of_a, of_b = a.get_parameter(name), b.get_parameter(name)
            self.get_parameter(name).copy_(torch.lerp(of_a, of_b, t))
        precision = None
        if a.precision is not None and b.precision is not None:
            precision = torch.lerp(a.precision, b.precision, t)
        self.set_natural_(torch.lerp(a.bias, b.bias, t), precision)

    @cached_property
    def further(self) -> tuple[str, ...]:
        """Names of the parameters other than those of `bias` and `precision`."""
        return tuple(name for name, _ in self.named_parameters() if name != "bias")

    @property
    def has_standard_form(self) -> bool:
        """Whether layers of this kind differ only by a shift (bias) and a scale (precision).

        If so, the draws of any layer are those of a layer with bias 0 and precision 1, given
        shifted and scaled inputs.
        """
        return self.precision is None and not self.further

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
        """Draw a state for each row of ``inputs``, shape (..., n_columns); it has no gradient."""
        check_type("stream", stream, Stream, "Stream(seed, Purpose.SAMPLE)")
        self.check_rows(inputs, "inputs")
        rows = inputs.reshape(-1, inputs.shape[-1]).clone(memory_format=torch.contiguous_format)
        return self.sample_(rows, stream).reshape(inputs.shape)

    @torch.no_grad()
    def sample_alone(self, n: int, stream: Stream) -> Tensor:
        """Draw ``n`` rows of states without inputs, from the bias alone, shape (n, n_columns)."""
        return self.sample_(self.bias.new_zeros(n, self.n_columns), stream)

    @abstractmethod
    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Minus the derivative of each row's energy by each parameter, by parameter name.

        The statistic of ``bias`` is the state itself, for every unit type.
        """

    @abstractmethod
    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:
        """Expected `statistics` of the units given ``inputs``."""

    @abstractmethod
    def check(self, x: Tensor, name: str) -> None:
        """Refuse rows outside the convex hull of the states; ``name`` names them in the message.

        Raises
        ------
        ValueError
            Says how many values are outside, which is the first, and what would work.
        """

    @abstractmethod
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:
        """Set the parameters so that units without inputs have these moments, as far as possible.

        Moments at the limit, of a constant column, are moved inwards: parameters stay finite.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Constructor arguments of this layer, without its parameters, as JSON values.

        Keys are argument names; for mixed layers see `harmonium.units.from_config`.
        """

    def check_width(self, x: Tensor, layer: str) -> None:
        """Refuse rows of the wrong width; ``layer`` is "visible" or "hidden"."""
        if not isinstance(x, Tensor):
            raise no_tensor(layer, x)
        if x.dim() < 1 or x.shape[-1] != self.n_columns:
            came = f"{x.shape[-1]} columns" if x.dim() else "no columns"
            raise ValueError(
                f"{layer} has {came}, but this RBM has {self.n_columns} {layer} "
                f"{'units' if self.n_columns == self.n else 'columns'}; "
                f"pass shape (n, {self.n_columns})"
            )

    def check_rows(self, x: Tensor, name: str) -> None:
        """Refuse anything but rows of this layer's columns; ``name`` is a plural, for the message.

        Raises
        ------
        TypeError
            If they are not a tensor.
        ValueError
            If they have the wrong width, or are on another device.
        """
        if not isinstance(x, Tensor):
            raise no_tensor(name, x)
        if x.dim() < 1 or x.shape[-1] != self.n_columns:
            came = f"{x.shape[-1]} columns" if x.dim() else "no columns"
            raise ValueError(
                f"{name} have {came}, but this layer has {self.n_columns}; "
                f"pass shape (..., {self.n_columns})"
            )
        if x.device != self.bias.device:
            raise ValueError(
                f"{name} are on {x.device}, but this layer is on {self.bias.device}; move one of "
                "them"
            )

    def check_energy_of(self, x: Tensor) -> None:
        """Explain why `energy` failed for these states: as `check_rows`, and also their dtype.

        Raises
        ------
        TypeError, ValueError
            If they are not a tensor with this layer's width and device and its parameters' dtype.
        """
        self.check_rows(x, "states")
        if x.dtype != self.bias.dtype:
            raise TypeError(of_other_dtype("states", x, self.bias, "layer"))

    def with_bias(self, inputs: Tensor) -> Tensor:
        """Inputs plus the bias, which is what units see; explains what is wrong if they do not fit.

        The check runs only after the sum has failed, so that valid inputs cost nothing.

        Raises
        ------
        TypeError, ValueError
            As `check_rows`.
        """
        try:
            return inputs + self.bias
        except (TypeError, RuntimeError):
            self.check_rows(inputs, "inputs")
            raise

    def check_states(self, x: Tensor, layer: str) -> None:
        """Refuse states that cannot be multiplied by the weights.

        Parameters
        ----------
        x
            States, shape (..., n_columns).
        layer
            "visible" or "hidden".

        Raises
        ------
        TypeError
            If it is not a tensor, or its dtype is not that of the parameters.
        ValueError
            If it has the wrong width, or is on another device.
        """
        self.check_width(x, layer)
        bias = self.bias
        if x.dtype != bias.dtype and not torch.is_autocast_enabled(bias.device.type):
            raise TypeError(of_other_dtype(f"{layer} states", x, bias, "RBM"))
        if x.device != bias.device:
            there = f"{layer} states are on {x.device}, but this RBM is on {bias.device}"
            to = f"x.to({str(bias.device)!r}), or rbm.to({str(x.device)!r})"
            raise ValueError(f"{there}; move one of them: {to}")

    def extra_repr(self) -> str:
        """Constructor arguments, for `repr`."""
        return ", ".join(f"{name}={value}" for name, value in self.config().items())
