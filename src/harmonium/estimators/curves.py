"""`loss_curve_`: mean loss of some training rows after each epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harmonium.datasets import Rows, WeightedRows
from harmonium.rbm import RBM
from harmonium.rng import Lane

# Fraction of an epoch's rows, so that evaluation takes a few per cent of training time
_SHARE = 1 / 40
_FEWEST, _MOST = 10, 500


class LossCurve:
    """Mean loss of a fixed sample of rows.

    Parameters
    ----------
    rows
        The training rows, of which an evenly spread sample is used.
    losses
        Function for the losses of rows, shape (rows,).
    weights
        Weight of each of the training rows, shape (n_rows,); None if they count alike.
    """

    def __init__(
        self, rows: Rows, losses: Callable[[RBM, Tensor], Tensor], weights: Tensor | None = None
    ) -> None:
        n = min(len(rows), _MOST, max(_FEWEST, int(_SHARE * len(rows))))
        index = torch.linspace(0, len(rows) - 1, n, dtype=torch.float64).round().long()
        # features of lower layers are random; draw them once for all evaluations
        stream = Lane.CURVE.stream(0)
        index = index.to(rows.device)
        own = None if weights is None else weights.to(rows.device)[index]
        self._rows, self._losses = WeightedRows(rows.rows(index, stream), own), losses
        self.values: list[float] = []

    @torch.no_grad()
    def look(self, model: RBM) -> None:
        """Append the current mean loss."""
        losses = self._losses(model, self._rows.states.to(model.weights.dtype))
        self.values.append(float(self._rows.average(losses)))
