"""How many rows of categories are alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harmonium.kernels import backends, reference

MOST_CATEGORIES = 254
"""Numbers of categories that `neighbours` can compare; two more stand for what is never equal."""


def neighbours(values: Tensor, needs: Tensor, ignored: int | None = None) -> Tensor:
    """For each row, the number of other rows that equal it in enough columns.

    Parameters
    ----------
    values
        Numbers of categories, uint8, below `MOST_CATEGORIES`, shape (n_rows, n_columns).
    needs
        Equal columns that make another row a neighbour of this one, int64, shape (n_rows,).
    ignored
        A category that equals nothing, not even itself; None for none.

    Returns
    -------
    Tensor
        int64, shape (n_rows,).
    """
    if values.dtype != torch.uint8 or values.dim() != 2 or needs.shape != values.shape[:1]:
        raise ValueError(
            f"values are {values.dtype} of shape {tuple(values.shape)}, and needs have shape "
            f"{tuple(needs.shape)}; pass uint8 of shape (n_rows, n_columns), and one need a row"
        )
    if values.numel() and int(values.max()) >= MOST_CATEGORIES:
        raise ValueError(
            f"values go up to {int(values.max())}; pass numbers below {MOST_CATEGORIES}"
        )
    backend: Any = backends.of(torch.empty(0, 1)) if values.is_cpu else reference
    counts: Tensor = backend.neighbours(values, needs, ignored)
    return counts
