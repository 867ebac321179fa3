"""`loss_curve_`: how far rows are from what the model makes of them, after each epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harmonium.datasets import Rows
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream

# Of the rows of an epoch, so that looking takes some per cent of the time of training
_SHARE = 1 / 40
_FEWEST, _MOST = 10, 500


class LossCurve:
    """Mean loss of the same few rows, whenever it is asked for.

    Parameters
    ----------
    rows
        The training rows, of which some are looked at, evenly spread.
    losses
        Losses of rows, shape (rows,), by a model.
    """

    def __init__(self, rows: Rows, losses: Callable[[RBM, Tensor], Tensor]) -> None:
        n = min(len(rows), _MOST, max(_FEWEST, int(_SHARE * len(rows))))
        index = torch.linspace(0, len(rows) - 1, n, dtype=torch.float64).round().long()
        # features of layers below are drawn, here once for all looks
        stream = Stream(0, Purpose.MONITOR)
        self._rows, self._losses = rows.rows(index.to(rows.device), stream), losses
        self.values: list[float] = []

    @torch.no_grad()
    def look(self, model: RBM) -> None:
        """Append what the model makes of the rows now."""
        rows = self._rows.to(model.weights.dtype)
        self.values.append(float(self._losses(model, rows).mean()))
