"""Small models and rows of ratings, whose states can be enumerated."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor

from harmonium.kernels import Rated
from harmonium.ratings import RatingRBM
from harmonium.ratings.rows import unrated

KINDS: list[dict[str, Any]] = [
    {"level_weights": "linear", "conditional": False},
    {"level_weights": "free", "conditional": False},
    {"level_weights": "linear", "conditional": True},
    {"level_weights": "free", "conditional": True},
    {"level_weights": "linear", "conditional": True, "rank": 2},
    {"level_weights": "free", "conditional": True, "rank": 1},
]
"""Arguments of models of every kind."""

SCALE = (1.0, 2.0, 5.0)


def rated(rows: list[dict[int, int]], n_columns: int = 4) -> Rated:
    """Rows that say the level of each rated column."""
    starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    cells = [cell for row in rows for cell in sorted(row.items())]
    columns, levels = torch.tensor(cells, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return Rated(starts, columns.clone(), levels.clone(), n_columns)


ROWS = rated([{0: 2, 3: 0}, {1: 1}, {0: 0, 1: 2, 2: 1}, {}, {3: 2, 2: 0}])
PAIRS = unrated(rated([{0: 0, 3: 0}, {1: 0, 2: 0}, {0: 0, 1: 0, 2: 0}, {1: 0}, {3: 0, 2: 0}]))
"""Rows, and what is known to have been rated: more than the ratings of the second and fourth."""


def model(seed: int = 0, n_columns: int = 4, n_hidden: int = 3, **kind: Any) -> RatingRBM:
    """A model with random parameters of a size that matters."""
    rbm = RatingRBM(SCALE, n_columns, n_hidden, **kind)
    draw = torch.Generator().manual_seed(seed)
    for parameter in rbm.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return rbm


def states(n: int) -> Tensor:
    """All levels of so many ratings, shape (n_states, n)."""
    return torch.tensor(list(product(range(len(SCALE)), repeat=n)), dtype=torch.int64)


def log_p(
    rbm: RatingRBM, parts: dict[str, Tensor], row: dict[int, int], pairs: list[int]
) -> Tensor:
    """Log-probability of a row by its definition: a sum over hidden and visible states, float64."""
    columns = sorted(row)
    hidden = torch.tensor(list(product((0.0, 1.0), repeat=rbm.n_hidden)), dtype=torch.float64)
    exposure = parts["hidden_bias"]
    if rbm.is_conditional and pairs:
        found = parts["exposures"][pairs].sum(0) / len(pairs) ** 0.5
        exposure = exposure + (found @ parts["exposure_weights"] if rbm.rank else found)
    own, others = None, []
    for levels in states(len(columns)).tolist():
        energy = -(hidden @ exposure)
        for column, level in zip(columns, levels, strict=True):
            if rbm.level_weights == "free":
                line = parts["weights"][column * len(SCALE) + level]
            else:
                position = 2 * (SCALE[level] - SCALE[0]) / (SCALE[-1] - SCALE[0]) - 1
                line = position * parts["weights"][column]
            energy = energy - parts["bias"][column, level] - hidden @ line
        others.append((-energy).logsumexp(0))
        if levels == [row[column] for column in columns]:
            own = others[-1]
    assert own is not None
    return own - torch.stack(others).logsumexp(0)


def rows_of(some: Rated) -> list[dict[int, int]]:
    """The inverse of `rated`."""
    ends = some.starts.tolist()
    cells = list(zip(some.columns.tolist(), some.levels.tolist(), strict=True))
    return [dict(cells[a:b]) for a, b in pairwise(ends)]
