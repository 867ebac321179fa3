"""Layers of a network, shared with a stack of RBMs: units, the weights below them, dropout."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.deep.stacks import check_stack
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.units import Units

Drop = Callable[[Tensor, int], Tensor]
"""Sets some of a layer's states to zero; layer 0 is the input rows."""


@dataclass(frozen=True)
class Dropout:
    """Dropout probabilities: the fractions of states set to zero in training (Hinton et al., 2012).

    Remaining states are divided by the keep probability, so means are the same as without dropout,
    and nothing has to be rescaled afterwards.

    Parameters
    ----------
    inputs
        For the columns of the rows.
    hidden
        For the units of each hidden layer.

    Raises
    ------
    ValueError
        For a value below 0, or of 1 or more.
    """

    inputs: float = 0.0
    hidden: float = 0.0

    def __post_init__(self) -> None:
        for name, share in (("inputs", self.inputs), ("hidden", self.hidden)):
            if not 0 <= share < 1:
                raise ValueError(
                    f"dropout of {name} is {share}; pass a share from 0 to below 1, such as 0.5"
                )

    def draws(self, stream: Stream) -> Drop | None:
        """Returns a function that draws dropout masks from ``stream``; None without dropout."""
        return partial(self._drop, stream) if self.inputs or self.hidden else None

    def _drop(self, stream: Stream, x: Tensor, layer: int) -> Tensor:
        share = self.hidden if layer else self.inputs
        if not share:
            return x
        shape = (x.shape[0], x.shape[1])
        mask = kernels.uniform(shape, stream, device=x.device, dtype=x.dtype)
        # a comparison written to floating-point memory gives 0 and 1
        return x * mask.lt_(1 - share).div_(1 - share)


@final
class Layer(nn.Module):
    """Weights and the units above them.

    Parameters
    ----------
    weights
        Shape (n_columns below, units.n_columns).
    units
        Of any type.
    """

    def __init__(self, weights: nn.Parameter, units: Units) -> None:
        super().__init__()
        self.weights = weights
        self.units = units

    def inputs(self, x: Tensor) -> Tensor:
        """Inputs of the units without their bias: ``x weights``."""
        return kernels.matmul(x, self.weights)

    def forward(self, x: Tensor) -> Tensor:
        """Mean of the units given the layer below."""
        return self.units.mean(self.inputs(x))

    @torch.no_grad()
    def to_linear(self) -> nn.Linear:
        """A copy as ``torch.nn.Linear``: inputs with the bias, divided by a precision."""
        units, weights = self.units, self.weights
        below, above = weights.shape
        linear = nn.Linear(below, above, device=weights.device, dtype=weights.dtype)
        scale = 1.0 if units.precision is None else units.precision
        linear.weight.copy_((weights / scale).T)
        linear.bias.copy_(units.bias / scale)
        return linear

    def to_modules(self) -> list[nn.Module]:
        """Copies as equivalent modules of ``torch.nn``.

        Raises
        ------
        ValueError
            For units whose mean is not a module of ``torch.nn``.
        """
        activation = self.units.activation()
        if activation is None:
            raise ValueError(
                f"{type(self.units).__name__} units are no module of torch.nn; use the network "
                "itself"
            )
        return [self.to_linear(), *activation]


@torch.no_grad()
def init_randomly_(rbms: Sequence[RBM], seed: int = defaults.SEED) -> None:
    """Draw weights of a stack for training without pretraining; biases are zero.

    Uniform between ±sqrt(6 / (n_columns below + above)), and four times as wide below binary units,
    because the slope of their mean at zero is a quarter (Glorot and Bengio, 2010, equation 16).

    Raises
    ------
    ValueError
        If the layers do not fit together.
    """
    check_stack(rbms)
    for number, rbm in enumerate(rbms):
        rows, columns = rbm.weights.shape
        bound = (6 / (rows + columns)) ** 0.5 * rbm.hidden.input_scale
        like = rbm.weights
        drawn = kernels.uniform(
            (rows, columns), Lane.WEIGHTS.stream(seed, rank=number), dtype=like.dtype
        )
        like.copy_(drawn.mul_(2 * bound).sub_(bound))
        rbm.hidden.bias.zero_()


def with_outputs(
    rbms: Sequence[RBM], visible: Units | None, top: Units
) -> tuple[Units, Iterator[Layer]]:
    """The visible units, and the stack's own layers below outputs with zero weights."""
    check_upwards(rbms)
    if rbms:
        if visible is not None:
            raise ValueError("the stack says what the rows are; leave visible out")
        like, below, visible = rbms[-1].weights, rbms[-1].hidden.n_columns, rbms[0].visible
    elif visible is not None:
        like, below = visible.bias, visible.n_columns
    else:
        raise ValueError(
            "the stack is empty, so that nothing says what the rows are; pass visible, such as "
            "Gaussian(n_columns) for any finite numbers"
        )
    # few columns: products take half the time if each output's weights are contiguous in memory
    weights = nn.Parameter(like.new_zeros(top.n_columns, below).T)
    outputs = Layer(weights, top.to(like.device, like.dtype))
    return visible, iter([*(Layer(rbm.weights, rbm.hidden) for rbm in rbms), outputs])


def check_upwards(rbms: Sequence[RBM]) -> None:
    """Reject a stack through which rows cannot be passed upwards.

    Raises
    ------
    ValueError
        If the layers do not fit together, or the top RBM has label units next to the layer below.
    """
    check_stack(rbms)
    if len(rbms) > 1 and rbms[-1].visible.kinds != rbms[-2].hidden.kinds:
        raise ValueError(
            f"the top RBM of the stack has label units beside the layer below ({rbms[-1].visible!r}"
            "), and rows alone do not reach it; pass without_labels(rbms), or the RBMs below it"
        )


@torch.no_grad()
def without_labels(rbms: Sequence[RBM]) -> list[RBM]:
    """The stack without label units; the weights of its top RBM are then copies.

    The same stack if there are none.
    """
    if len(rbms) < 2 or rbms[-1].visible.kinds == rbms[-2].hidden.kinds:
        return list(rbms)
    below, top = rbms[-2].hidden, rbms[-1]
    bare = RBM(copy.deepcopy(below), copy.deepcopy(top.hidden))
    bare.visible.bias.copy_(top.visible.bias[: below.n_columns])
    bare.weights = nn.Parameter(top.weights[: below.n_columns].clone())
    return [*rbms[:-1], bare]


def to_modules(layers: Iterable[Layer]) -> Iterator[nn.Module]:
    """Copies of layers as equivalent modules of ``torch.nn``."""
    return (module for layer in layers for module in layer.to_modules())
