"""`Network`: layers from rows to outputs; what the kinds of networks share."""

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
from harmonium.rng import Purpose, Stream
from harmonium.units import Gaussian, Units


class Network(nn.Module, ABC):
    """Layers from rows to outputs, which fine-tuning trains.

    The layers of a stack are shared with it and not copied: fine-tuning moves the stack itself,
    so that a DBN stays one model with one set of weights, in memory once. To keep the stack as
    pretraining left it, pass ``copy.deepcopy(rbms)``.

    Parameters
    ----------
    visible
        Units whose states the rows are; nothing is shared with them.
    layers
        From the rows upwards.
    """

    criterion: ClassVar[str]
    """The one of `scores` that says which of two models is better; lower is better."""

    def __init__(self, visible: Units, layers: Iterable[Layer]) -> None:
        super().__init__()
        # in a tuple: no module, because its parameters are none of the network's
        self._visible = (copy.deepcopy(visible),)
        self.layers = nn.ModuleList(layers)

    @abstractmethod
    def forward(self, v: Tensor) -> Tensor:
        """Outputs of rows of shape (rows, n_columns)."""

    @abstractmethod
    def targets(self, data: Data) -> Tensor | None:
        """What each row's outputs should be, in the form that `losses` takes, checked.

        Returns
        -------
        Tensor or None
            One a row, shape (n_rows, ...), on the device of the data; None where the rows
            themselves are the targets.
        """

    @abstractmethod
    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """What training lowers, shape (rows,), of the last layer's inputs."""

    @abstractmethod
    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """What rows are judged by, each of shape (rows,); ``loss`` and `criterion` among it."""

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
        """Where the network is."""
        return self.last.weights.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.last.weights.dtype

    def inputs(self, v: Tensor, drop: Drop | None = None, first_to_learn: int = 0) -> Tensor:
        """What the last layer's units receive, without their bias, shape (rows, n_outputs).

        Parameters
        ----------
        v
            Rows of states, shape (rows, n_columns).
        drop
            Drops states of the rows (layer 0) and of the hidden layers (1, 2, ...).
        first_to_learn
            The lowest layer, from 0, that a gradient of the result reaches; negative ones count
            from the last.

        Raises
        ------
        ValueError
            For rows of another width.
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
        """Refuse rows of another width.

        Raises
        ------
        ValueError
            Says what came and what would work.
        """
        n = self.visible.n_columns
        if not isinstance(v, Tensor):
            raise no_tensor("rows", v)
        if v.dim() < 1 or v.shape[-1] != n:
            came = f"{v.shape[-1]} columns" if v.dim() else "no columns"
            raise ValueError(f"rows have {came}, but this network takes {n}; pass shape (n, {n})")

    def check_rows(self, v: Tensor) -> None:
        """Refuse rows of another width or type than the network computes with.

        Raises
        ------
        TypeError, ValueError
            Says what came and what would work.
        """
        self.check_width(v)
        if v.dtype != self.dtype:
            raise TypeError(
                f"rows are {v.dtype}, but this network's weights are {self.dtype}; pass "
                f"x.to({self.dtype})"
            )

    def check(self, data: Data) -> None:
        """Refuse rows of another width, or that are no states of the visible units.

        Raises
        ------
        ValueError
            Says what came and what would work.
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
            # all rows at once, so that the message counts them all and names the right row
            self.visible.check(torch.cat(list(_blocks(data))), data.name)
            raise

    @torch.no_grad()
    def outputs(self, data: Data) -> Tensor:
        """Outputs of all rows, worked on in blocks, on the network's device."""
        self.check(data)
        return torch.cat([self(block) for block in self.blocks(data)])

    def blocks(self, data: Data) -> Iterator[Tensor]:
        """The states of all rows in order, block by block, as the network takes them.

        Stochastic binarisation always draws the same states here.
        """
        for block in _blocks(data):
            yield block.to(self.device, self.dtype)


def _blocks(data: Data) -> Iterator[Tensor]:
    return data.blocks(stream=Stream(defaults.SEED, Purpose.ENCODE, rank=3))


def any_numbers(data: Data) -> Units:
    """Visible units for rows of any numbers, where there are no RBMs to say what rows are."""
    return Gaussian(data.n_columns).to(data.values.device)
