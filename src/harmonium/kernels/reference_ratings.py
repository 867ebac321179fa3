"""The definition of what kernels for rows of ratings compute, in plain torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from harmonium.kernels.ratings import Rated

_NUMBERS_AT_ONCE = 2**22


def _lines(rated: Rated, levels: Tensor, stride: int) -> Tensor:
    """The line of the weights that each rating names."""
    return rated.columns * stride + (levels if stride > 1 else 0)


@torch.no_grad()
def add_rating_inputs_(
    out: Tensor, rated: Rated, weights: Tensor, factors: Tensor, stride: int
) -> None:
    """A gather and a scatter."""
    lines = weights[_lines(rated, rated.levels, stride)] * factors[rated.levels, None]
    out.index_add_(0, rated.rows, lines)


@torch.no_grad()
def draw_ratings(
    hidden: Tensor,
    rated: Rated,
    weights: Tensor,
    bias: Tensor,
    factors: Tensor,
    stride: int,
    uniform: Tensor,
    inputs: Tensor,
) -> Tensor:
    """The first level whose cumulative weight exceeds the uniform number times the total."""
    lines = weights.view(rated.n_columns, stride, -1)[rated.columns]
    products = (lines * hidden[rated.rows, None]).sum(-1)
    logits = bias[rated.columns] + factors * products
    cumulative = (logits - logits.amax(1, keepdim=True)).exp().cumsum(1)
    below = uniform[:, None] * cumulative[:, -1:] >= cumulative
    levels = below.sum(1).clamp_max(len(factors) - 1)
    own = weights[_lines(rated, levels, stride)] * factors[levels, None]
    inputs.index_add_(0, rated.rows, own)
    return levels


@torch.no_grad()
def add_rating_moments_(
    out: Tensor,
    rated: Rated,
    levels: tuple[Tensor, Tensor],
    hidden: tuple[Tensor, Tensor],
    factors: Tensor,
    stride: int,
) -> None:
    """A gather and a scatter for each phase."""
    rows = rated.rows
    for sign, phase, states in zip((1, -1), levels, hidden, strict=True):
        moments = states[rows] * (sign * factors[phase, None])
        out.index_add_(0, _lines(rated, phase, stride), moments)


@torch.no_grad()
def rating_logits(
    inputs: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: Tensor,
    bias: Tensor,
    factors: Tensor,
    stride: int,
    own: Tensor | None,
) -> Tensor:
    """Some cells at a time; sums of log(1 + exp) in float64."""
    lines = weights.double().view(len(bias), stride, -1)
    by_level = factors.double()[:, None]
    at_once = max(1, _NUMBERS_AT_ONCE // (len(factors) * weights.shape[1]))
    found = []
    for first in range(0, len(rows), at_once):
        some = slice(first, first + at_once)
        steps = by_level * lines[columns[some]]
        base = inputs[rows[some]].double()
        if own is not None:
            base = base - steps[torch.arange(len(base)), own[some]]
        sums = functional.softplus(base[:, None] + steps, threshold=40).sum(-1)
        found.append(bias[columns[some]].double() + sums)
    return torch.cat(found) if found else bias.new_empty(0, len(factors), dtype=torch.float64)
