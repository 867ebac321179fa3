"""Sparse rows of ratings: sums of the lines that they name, draws of them, and their moments.

The work and the memory grow with the ratings that are there, not with rows times columns. The torch
code in `reference_ratings` defines what comes out; the compiled kernels draw the same levels, and
differ only where a uniform number lies within rounding of a probability.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from harmonium.kernels import backends, draws, reference, reference_ratings
from harmonium.rng import Stream


@dataclass(frozen=True)
class Rated:
    """Rows of ratings, in compressed sparse form.

    Attributes
    ----------
    starts
        Where each row begins and the last one ends, int64, shape (n_rows + 1,).
    columns
        The column of each rating, int64, shape (n_ratings,).
    levels
        The number of its level, from 0, int64, shape (n_ratings,).
    n_columns
        Number of columns, those without ratings included.
    """

    starts: Tensor
    columns: Tensor
    levels: Tensor
    n_columns: int

    def __post_init__(self) -> None:
        """Refuse what a compiled loop would read out of bounds."""
        n = len(self.columns)
        if len(self.levels) != n or int(self.starts[-1]) != n:
            raise ValueError(
                f"rows end at {int(self.starts[-1])}, and there are {n} columns and "
                f"{len(self.levels)} levels; pass one of each a rating"
            )
        if n and not 0 <= int(self.columns.min()) <= int(self.columns.max()) < self.n_columns:
            raise ValueError(
                f"columns go from {int(self.columns.min())} to {int(self.columns.max())}; pass 0 "
                f"to {self.n_columns - 1}"
            )

    @property
    def n_rows(self) -> int:
        """Rows, those without ratings included."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> Tensor:
        """Ratings of each row, int64, shape (n_rows,)."""
        return self.starts.diff()

    @property
    def rows(self) -> Tensor:
        """The row of each rating, int64, shape (n_ratings,)."""
        numbers = torch.arange(self.n_rows, device=self.starts.device)
        return numbers.repeat_interleave(self.lengths, output_size=len(self.columns))

    def take(self, index: Tensor) -> Self:
        """These rows, in this order, in new memory."""
        first, lengths = self.starts[index], self.lengths[index]
        starts = torch.zeros(len(index) + 1, dtype=torch.int64, device=index.device)
        torch.cumsum(lengths, 0, out=starts[1:])
        at = torch.arange(int(starts[-1]), device=index.device)
        at += (first - starts[:-1]).repeat_interleave(lengths, output_size=len(at))
        return type(self)(starts, self.columns[at], self.levels[at], self.n_columns)


def add_rating_inputs_(out: Tensor, rated: Rated, weights: Tensor, factors: Tensor) -> Tensor:
    """Add to each row of ``out`` the lines of the weights that its ratings name.

    Parameters
    ----------
    out
        Changed in place, shape (n_rows, n).
    rated
        The ratings of as many rows.
    weights
        Shape (n_columns, n), of which a rating names the line of its column; or (n_columns *
        n_levels, n), of which it names the line of its level in its column.
    factors
        What a line counts at each level, shape (n_levels,).
    """
    stride = _stride(rated, weights, factors)
    if out.shape != (rated.n_rows, weights.shape[1]):
        raise ValueError(
            f"sums of {rated.n_rows} rows of ratings over {weights.shape[1]} columns do not fit "
            f"into shape {tuple(out.shape)}"
        )
    _backend(out, weights).add_rating_inputs_(out, rated, weights, factors, stride)
    return out


def draw_ratings(
    hidden: Tensor,
    rated: Rated,
    weights: Tensor,
    bias: Tensor,
    factors: Tensor,
    stream: Stream,
    inputs: Tensor,
) -> Rated:
    """The same rows and columns, with levels drawn given hidden states; one draw.

    The first level whose cumulative weight exceeds a uniform number times the total. What
    `add_rating_inputs_` would add for the new levels is added to ``inputs`` meanwhile, because
    their lines are at hand.

    Parameters
    ----------
    hidden
        Hidden states, shape (n_rows, n_hidden).
    rated, weights, factors
        As in `add_rating_inputs_`.
    bias
        Of each level of each column, shape (n_columns, n_levels).
    stream
        One row of as many uniform numbers as there are ratings is drawn from it.
    inputs
        Changed in place, shape (n_rows, n_hidden).
    """
    stride = _stride(rated, weights, factors)
    if inputs.shape != hidden.shape or len(hidden) != rated.n_rows:
        raise ValueError(
            f"hidden states have shape {tuple(hidden.shape)}, and inputs {tuple(inputs.shape)}; "
            f"pass {rated.n_rows} rows of each"
        )
    shape = (1, len(rated.columns))
    uniform = draws.uniform(shape, stream, device=hidden.device, dtype=hidden.dtype)[0]
    backend = _backend(hidden, weights, inputs)
    parts = (weights, bias, factors, stride)
    return replace(rated, levels=backend.draw_ratings(hidden, rated, *parts, uniform, inputs))


def add_rating_moments_(
    out: Tensor,
    rated: Rated,
    levels: tuple[Tensor, Tensor],
    hidden: tuple[Tensor, Tensor],
    factors: Tensor,
) -> Tensor:
    """Add the moments of one phase, and take away those of another, at the lines they name.

    Parameters
    ----------
    out
        Changed in place; it has the shape of the weights.
    rated
        Rows and columns of both phases.
    levels
        Levels of the phase that is added and of the one that is taken away, each of shape
        (n_ratings,).
    hidden
        What their ratings add: hidden states of their rows, each of shape (n_rows, n_hidden).
    factors
        As in `add_rating_inputs_`.
    """
    for phase in levels:
        stride = _stride(replace(rated, levels=phase), out, factors)
    _backend(*hidden, out).add_rating_moments_(out, rated, levels, hidden, factors, stride)
    return out


def rating_logits(
    inputs: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: Tensor,
    bias: Tensor,
    factors: Tensor,
    own: Tensor | None = None,
) -> Tensor:
    """Minus the free energies of every level of some cells, up to a constant of each; nats.

    Binary hidden units are summed out exactly.

    Parameters
    ----------
    inputs
        Inputs of the hidden units, bias included, from the ratings of each row, shape (n_rows,
        n_hidden).
    rows, columns
        The cells, int64, shape (n,).
    weights, bias, factors
        As in `draw_ratings`.
    own
        The levels of these cells, if they are among the ratings that the inputs are of; they are
        then taken out, so that each cell is predicted from the others of its row.

    Returns
    -------
    Tensor
        Float64, shape (n, n_levels).
    """
    stride = len(weights) // len(bias)
    backend = _backend(inputs, weights)
    logits: Tensor = backend.rating_logits(
        inputs, rows, columns, weights, bias, factors, stride, own
    )
    return logits


def _backend(*tensors: Tensor) -> Any:
    if any(not tensor.is_contiguous() for tensor in tensors):
        return reference_ratings
    found = backends.of(torch.empty(0, 1, dtype=tensors[0].dtype, device=tensors[0].device))
    return reference_ratings if found is reference else found


def _stride(rated: Rated, weights: Tensor, factors: Tensor) -> int:
    """Lines of each column: one, or one for each level."""
    stride, rest = divmod(len(weights), rated.n_columns)
    if rest or stride not in (1, len(factors)):
        raise ValueError(
            f"weights have {len(weights)} lines; pass {rated.n_columns}, one a column, or "
            f"{rated.n_columns * len(factors)}, one a level of each"
        )
    if len(rated.levels):
        least, most = int(rated.levels.min()), int(rated.levels.max())
        if least < 0 or most >= len(factors):
            raise ValueError(f"levels go from {least} to {most}; pass 0 to {len(factors) - 1}")
    return stride
