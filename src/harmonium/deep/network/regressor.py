"""`Regressor`: a linear layer on a stack, and its targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self, final

import torch
from torch import Tensor, nn

from harmonium.arguments import check_type, no_tensor
from harmonium.datasets import Data
from harmonium.datasets.moments import moments
from harmonium.deep.layers import to_modules, with_outputs
from harmonium.deep.network.base import Network, any_numbers
from harmonium.rbm import RBM
from harmonium.units import Gaussian, Units

_LEAST_ROUNDING = 1e-4  # fraction of a standard deviation; no prediction is that accurate


@final
class Regressor(Network):
    """A linear layer on a stack, for one or more targets.

    Targets are standardised for training, so that the learning rate has the same meaning for
    targets of any size. Predictions are in the targets' own units.

    Parameters
    ----------
    rbms
        From the rows upwards; their weights are shared (`Network`). May be empty.
    mean, std
        Moments of the targets, shape (n_targets,) each; a standard deviation of 0 becomes 1. They
        have the type of the weights. If this would round away the differences between targets, such
        as 1e8 ± 1, they and the predictions are float64.
    visible
        The visible units, if there are no RBMs to determine them.

    Raises
    ------
    ValueError
        If the layers of the stack do not fit together, or the moments are invalid.
    """

    criterion = "loss"
    mean: Tensor
    std: Tensor

    def __init__(
        self, rbms: Sequence[RBM], mean: Tensor, std: Tensor, visible: Units | None = None
    ) -> None:
        for name, given in (("mean", mean), ("std", std)):
            if not isinstance(given, Tensor):
                raise no_tensor(name, given)
        if mean.ndim != 1 or not len(mean) or mean.shape != std.shape:
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and std {tuple(std.shape)}; pass both with "
                "shape (n_targets,)"
            )
        if not (mean.isfinite() & std.isfinite() & (std >= 0)).all():
            raise ValueError("mean or std is not finite, or a std is negative; pass finite numbers")
        super().__init__(*with_outputs(rbms, visible, Gaussian(len(mean))))
        # the units are the outputs in standard units; their precision is not learned
        like = self.last.weights
        std = torch.where(std == 0, torch.ones_like(std), std).detach()
        kept = _type_of_moments(mean, std, like.dtype)
        self.register_buffer("mean", mean.detach().to(like.device, kept, copy=True))
        self.register_buffer("std", std.to(like.device, kept))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # moving or converting a module also converts its buffers
        mean, std = self.mean, self.std
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        kept = _type_of_moments(mean, std, self.dtype)
        self.mean, self.std = mean.to(self.mean.device, kept), std.to(self.std.device, kept)
        return self

    @classmethod
    def for_data(cls, rbms: Sequence[RBM], data: Data) -> Self:
        """A regressor for the targets of the training data ``data``.

        Raises
        ------
        ValueError
            If rows have no targets; or as for the class.
        """
        check_type("data", data, Data, "Data with targets, as datasets.from_array makes")
        targets, weights = _targets(data).double(), data.unequal_weights
        visible = None if rbms else any_numbers(data)
        mean, std = targets.mean(0), targets.std(0, correction=0)
        if weights is not None:
            mean, var = moments([targets], weights)
            std = var.sqrt()
        return cls(rbms, mean, std, visible)

    def forward(self, v: Tensor) -> Tensor:
        """Predictions in the targets' own units, shape (rows, n_targets)."""
        return self.mean + self.std * self.last.units.mean(self.inputs(v))

    def targets(self, data: Data) -> Tensor:
        """Targets in standard units, shape (n_rows, n_targets).

        Raises
        ------
        ValueError
            If rows have no targets, or the wrong number of them.
        """
        targets = _targets(data)
        if targets.shape[1] != len(self.mean):
            raise ValueError(
                f"{data.name} has {targets.shape[1]} targets a row, but this regressor predicts "
                f"{len(self.mean)}"
            )
        mean, std = (moment.to(targets.device) for moment in (self.mean, self.std))
        return ((targets - mean) / std).to(self.dtype)

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Squared error in standard units, the mean over targets.

        Predicting the mean gives a loss of 1, so 1 minus the mean loss of the training rows is the
        fraction of explained variance.
        """
        return (self.last.units.mean(inputs) - targets).square().mean(-1)

    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """``loss``, and ``squared_error`` in the targets' own units, summed over targets."""
        errors = self.std * (self.last.units.mean(inputs) - targets)
        return {
            "loss": self.losses(inputs, targets),
            "squared_error": errors.square().sum(-1),
        }

    @torch.no_grad()
    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules that predicts in the targets' own units.

        Without dropout, which belongs to training. Its predictions have the type of the weights,
        which rounds targets such as 1e8 ± 1.
        """
        linear = self.last.to_linear()
        linear.weight.mul_(self.std.unsqueeze(1))
        linear.bias.mul_(self.std).add_(self.mean)
        return nn.Sequential(*to_modules(self.all_layers[:-1]), linear)


def _type_of_moments(mean: Tensor, std: Tensor, dtype: torch.dtype) -> torch.dtype:
    """The type of the weights, or float64 if that would round away differences between targets."""
    rounding = torch.finfo(dtype).eps * mean.detach().abs()
    # constant targets get a standard deviation of 1
    return torch.float64 if (rounding > _LEAST_ROUNDING * std).any() else dtype


def _targets(data: Data) -> Tensor:
    if data.targets is None:
        raise ValueError(
            f"{data.name} has no targets, and a regressor needs them for each row; say which "
            "columns hold them (`target=COLUMN`), or `from_array(..., targets=...)`"
        )
    return data.targets
