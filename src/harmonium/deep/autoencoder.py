"""The deep autoencoder: a stack of RBMs unrolled into an encoder and a decoder."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from harmonium.datasets import Data
from harmonium.deep.layers import Layer, check_upwards, to_modules
from harmonium.deep.network import Network
from harmonium.diagnostics import error_given_inputs
from harmonium.rbm import RBM
from harmonium.units import Units


@final
class Autoencoder(Network):
    """A stack unrolled into an encoder and a decoder (Hinton and Salakhutdinov, 2006).

    An encoder layer outputs the means of the RBM's hidden units, a decoder layer the means of its
    visible units. Encoder and decoder start with equal weights and are trained separately. All
    weights are copies, so the stack does not change. Gaussian hidden units at the top give linear
    codes.

    Parameters
    ----------
    rbms
        One or more, from the rows upwards.

    Raises
    ------
    ValueError
        If there are no RBMs, or their layers do not fit together.
    """

    criterion = "squared_error"

    def __init__(self, rbms: Sequence[RBM]) -> None:
        if not rbms:
            raise ValueError("an autoencoder needs a stack of one RBM or more, and it is empty")
        check_upwards(rbms)
        upwards = [_layer(rbm.weights, rbm.hidden) for rbm in rbms]
        downwards = [_layer(rbm.weights.T, rbm.visible) for rbm in reversed(rbms)]
        super().__init__(rbms[0].visible, [*upwards, *downwards])

    @property
    def encoder(self) -> list[Layer]:
        """The layers from rows to codes."""
        return self.all_layers[: len(self.layers) // 2]

    @property
    def decoder(self) -> list[Layer]:
        """The layers from codes to rows."""
        return self.all_layers[len(self.layers) // 2 :]

    def encode(self, v: Tensor) -> Tensor:
        """Codes of rows, shape (rows, n_codes): the means of the top hidden units.

        Raises
        ------
        ValueError
            For rows of another width.
        """
        self.check_rows(v)
        return _through(self.encoder, v)

    def decode(self, codes: Tensor) -> Tensor:
        """Mean rows given codes, shape (rows, n_columns).

        Raises
        ------
        ValueError
            For codes of another width.
        """
        n = self.decoder[0].weights.shape[0]
        if codes.dim() < 1 or codes.shape[-1] != n:
            came = f"{codes.shape[-1]} columns" if codes.dim() else "no columns"
            raise ValueError(
                f"codes have {came}, but this autoencoder's have {n}; pass shape (n, {n})"
            )
        return _through(self.decoder, codes)

    def forward(self, v: Tensor) -> Tensor:
        """Reconstructions of rows: ``decode(encode(v))``."""
        return self.decode(self.encode(v))

    @torch.no_grad()
    def codes(self, data: Data) -> Tensor:
        """Codes of all rows of data, computed in blocks, on the autoencoder's device."""
        self.check(data)
        return torch.cat([self.encode(block) for block in self.blocks(data)])

    def targets(self, data: Data) -> None:
        """None: the rows are their own targets."""

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Reconstruction errors of rows, by `diagnostics.error_given_inputs`.

        For discrete visible units, the cross-entropy in nats (grey values count as probabilities);
        for continuous units, the squared error summed over columns.
        """
        return error_given_inputs(self.last.units, inputs, targets)

    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """``loss``, and ``squared_error`` summed over columns, that is, per image."""
        errors = self.last.units.mean(inputs) - targets
        return {"loss": self.losses(inputs, targets), "squared_error": errors.square().sum(-1)}

    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules: an encoder and a decoder, each an `nn.Sequential`.

        Without dropout, which belongs to training.
        """
        return nn.Sequential(
            *(nn.Sequential(*to_modules(layers)) for layers in (self.encoder, self.decoder))
        )


def _layer(weights: Tensor, units: Units) -> Layer:
    """A layer with copied parameters."""
    return Layer(nn.Parameter(weights.detach().clone()), copy.deepcopy(units))


def _through(layers: Sequence[Layer], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
