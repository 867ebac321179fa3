"""`Network`: layers from rows to outputs; the base class of all networks."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from harmonium import defaults
from harmonium.arguments import no_tensor
from harmonium.datasets import Data
from harmonium.deep.layers import Drop, Layer
from harmonium.rng import Lane
from harmonium.units import Gaussian, Units


class Network(nn.Module, ABC):
    """Layers from rows to outputs, trained by fine-tuning.

    The layers of a stack are shared, not copied: fine-tuning changes the stack itself, so a DBN
    remains one model with one set of weights, stored once. To keep the pretrained stack unchanged,
    pass ``copy.deepcopy(rbms)``.

    Parameters
    ----------
    visible
        Units whose states the rows are; they are not shared.
    layers
        From the rows upwards.
    """

    criterion: ClassVar[str]
    """The entry of `scores` by which models are compared; lower is better."""

    def __init__(self, visible: Units, layers: Iterable[Layer]) -> None:
        super().__init__()
        # in a tuple, so that it is no submodule: its parameters do not belong to the network
        self._visible = (copy.deepcopy(visible),)
        self.layers = nn.ModuleList(layers)

    @abstractmethod
    def forward(self, v: Tensor) -> Tensor:
        """Outputs of rows of shape (rows, n_columns)."""

    @abstractmethod
    def targets(self, data: Data) -> Tensor | None:
        """The targets of each row, checked, in the form that `losses` takes.

        Returns
        -------
        Tensor or None
            One per row, shape (n_rows, ...), on the device of the data; None if the rows themselves
            are the targets.
        """

    @abstractmethod
    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The training loss, shape (rows,), from the last layer's inputs."""

    @abstractmethod
    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The scores of rows, each of shape (rows,), including ``loss`` and `criterion`."""

    @abstractmethod
    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules, with the same outputs as this network."""

    @property
    def visible(self) -> Units:
        """Units whose states the rows are."""
        return self._visible[0]

    @property
    def all_layers(self) -> list[Layer]:
        """The layers, from the rows upwards."""
        return [cast(Layer, layer) for layer in self.layers]

    @property
    def last(self) -> Layer:
        """The layer whose units are the outputs."""
        return self.all_layers[-1]

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.last.weights.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.last.weights.dtype

    def inputs(self, v: Tensor, drop: Drop | None = None, first_to_learn: int = 0) -> Tensor:
        """Inputs of the last layer's units, without their bias, shape (rows, n_outputs).

        Parameters
        ----------
        v
            Rows of states, shape (rows, n_columns).
        drop
            Dropout for the rows (layer 0) and for the hidden layers (1, 2, ...).
        first_to_learn
            The lowest layer, from 0, that receives a gradient; negative numbers count from the
            last.

        Raises
        ------
        ValueError
            For rows of the wrong width.
        """
        self.check_rows(v)
        x, learns = v, torch.is_grad_enabled()
        for number, layer in enumerate(self.all_layers):
            if drop is not None:
                x = drop(x, number)
            with torch.set_grad_enabled(learns and number >= first_to_learn % len(self.layers)):
                x = layer.inputs(x) if layer is self.last else layer(x)
        return x

    def check_width(self, v: Tensor) -> None:
        """Reject rows of the wrong width.

        Raises
        ------
        ValueError
            Says what was passed and what would work.
        """
        n = self.visible.n_columns
        if not isinstance(v, Tensor):
            raise no_tensor("rows", v)
        if v.dim() < 1 or v.shape[-1] != n:
            came = f"{v.shape[-1]} columns" if v.dim() else "no columns"
            raise ValueError(f"rows have {came}, but this network takes {n}; pass shape (n, {n})")

    def check_rows(self, v: Tensor) -> None:
        """Reject rows whose width or type differs from the network's.

        Raises
        ------
        TypeError, ValueError
            Says what was passed and what would work.
        """
        self.check_width(v)
        if v.dtype != self.dtype:
            raise TypeError(
                f"rows are {v.dtype}, but this network's weights are {self.dtype}; pass "
                f"x.to({self.dtype})"
            )

    def check(self, data: Data) -> None:
        """Reject rows of the wrong width, or that are not valid states of the visible units.

        Raises
        ------
        ValueError
            Says what was passed and what would work.
        """
        n = self.visible.n_columns
        if data.n_columns != n:
            raise ValueError(
                f"{data.name} has {data.n_columns} columns, but this network takes {n}; pass rows "
                f"of the same {n} columns"
            )
        try:
            for block in _blocks(data):
                self.visible.check(block, data.name)
        except ValueError:
            # check all rows at once, so that the message gives the right count and row number
            self.visible.check(torch.cat(list(_blocks(data))), data.name)
            raise

    @torch.no_grad()
    def outputs(self, data: Data) -> Tensor:
        """Outputs for all rows, computed in blocks, on the network's device."""
        self.check(data)
        return torch.cat([self(block) for block in self.blocks(data)])

    def blocks(self, data: Data) -> Iterator[Tensor]:
        """The states of all rows in order, block by block, as inputs of the network.

        Stochastic binarisation always draws the same states here.
        """
        for block in _blocks(data):
            yield block.to(self.device, self.dtype)


def _blocks(data: Data) -> Iterator[Tensor]:
    return data.blocks(stream=Lane.USED.stream(defaults.SEED))


def any_numbers(data: Data) -> Units:
    """Visible units for rows of real numbers, if there are no RBMs to determine them."""
    return Gaussian(data.n_columns).to(data.values.device)
