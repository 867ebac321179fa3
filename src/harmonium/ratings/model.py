"""`RatingRBM`: an RBM of rows of ratings, whose hidden units see only what was rated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_number
from harmonium.autograd import without_autograd
from harmonium.kernels import Rated
from harmonium.ratings.data import check_scale
from harmonium.rng import Lane, Stream

LevelWeights = Literal["linear", "free"]
"""How the weights of a column depend on the level of its rating."""


class RatingRBM(nn.Module):
    """A restricted Boltzmann machine for ratings (Salakhutdinov, Mnih and Hinton, 2007).

    A row has a rating in some of the columns. A rating is a categorical unit of ``n_levels``
    states. The model of a row has the units of its own ratings alone: what was not rated does not
    exist, so that nothing has to be filled in. All rows share weights and biases.

    ``E(v, h) = − Σ_i bias[i, v_i] − Σ_i W[i, v_i]·h − (hidden_bias + exposure(row))·h``, where i
    runs over the rated columns, and h are binary.

    In a *conditional* model, the inputs of the hidden units depend on *which* columns were rated:
    ``exposure(row) = Σ_i exposures[i] / √n`` over the n columns that are known to have been rated,
    whether or not the ratings themselves are known. The square root, as in SVD++ (Koren, 2008),
    keeps long and short rows comparable.

    Parameters
    ----------
    scale
        The values that a rating can have, ascending, such as ``(1, 2, 3, 4, 5)``.
    n_columns
        Items if rows are users, users if rows are items.
    n_hidden
        Number of binary hidden units.
    level_weights
        With ``"linear"``, ``W[i, k] = x_k weights[i]``, where x runs from −1 to 1 over the scale:
        one weight for each column and hidden unit. With ``"free"``, each level has its own, as in
        the paper.
    conditional
        Whether inputs depend on which columns were rated.
    rank
        If given, ``exposures`` are the product of two matrices with so many columns and rows, as in
        section 5 of the paper.

    Attributes
    ----------
    weights
        Shape (n_columns, n_hidden), or with free weights (n_columns * n_levels, n_hidden).
    bias
        Shape (n_columns, n_levels).
    hidden_bias
        Shape (n_hidden,).
    exposures
        Shape (n_columns, n_hidden), or (n_columns, rank); None unless conditional.
    exposure_weights
        Shape (rank, n_hidden); None without a rank.
    factors
        What the weights count at each level, shape (n_levels,).

    Raises
    ------
    TypeError, ValueError
        For a scale that is not ascending, or sizes out of range.
    """

    weights: nn.Parameter
    bias: nn.Parameter
    hidden_bias: nn.Parameter
    exposures: nn.Parameter | None
    exposure_weights: nn.Parameter | None
    factors: Tensor

    def __init__(
        self,
        scale: Sequence[float],
        n_columns: int,
        n_hidden: int = defaults.N_HIDDEN,
        *,
        level_weights: LevelWeights = "linear",
        conditional: bool = True,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("n_columns", n_columns), ("n_hidden", n_hidden)):
            check_count(name, size)
        if rank is not None:
            check_count("rank", rank)
            if not conditional:
                raise ValueError(f"rank is {rank}, and conditional is False; leave one of them out")
        if level_weights not in ("linear", "free"):
            raise ValueError(f"level_weights is {level_weights!r}; pass 'linear' or 'free'")
        self.scale = check_scale(scale)
        self.level_weights, self.rank = level_weights, rank
        values = torch.tensor(self.scale, dtype=torch.float64)
        linear = 2 * (values - values[0]) / (values[-1] - values[0]) - 1
        is_free = level_weights == "free"
        self.register_buffer("factors", (torch.ones_like(linear) if is_free else linear).float())
        n_lines = n_columns * (len(self.scale) if is_free else 1)
        self.weights = nn.Parameter(torch.zeros(n_lines, n_hidden), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(n_columns, len(self.scale)), requires_grad=False)
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden), requires_grad=False)
        shapes: list[tuple[int, int] | None] = [None, None]
        if conditional:
            shapes = [(n_columns, rank or n_hidden), None if rank is None else (rank, n_hidden)]
        for name, shape in zip(("exposures", "exposure_weights"), shapes, strict=True):
            zeros = None if shape is None else torch.zeros(shape)
            made = None if zeros is None else nn.Parameter(zeros, requires_grad=False)
            self.register_parameter(name, made)

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.bias)

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return len(self.hidden_bias)

    @property
    def is_conditional(self) -> bool:
        """Whether inputs depend on which columns were rated."""
        return self.exposures is not None

    @property
    def device(self) -> torch.device:
        """Of all parameters."""
        return self.weights.device

    def config(self) -> dict[str, object]:
        """The arguments that make such a model, as JSON values."""
        return {
            "scale": list(self.scale),
            "n_columns": self.n_columns,
            "n_hidden": self.n_hidden,
            "level_weights": self.level_weights,
            "conditional": self.is_conditional,
            "rank": self.rank,
        }

    @without_autograd
    def init_from_data_(
        self,
        rated: Rated,
        seed: int = defaults.SEED,
        weight_std: float = defaults.RATING_WEIGHT_STD,
    ) -> RatingRBM:
        """Draw the weights, and set the biases to the frequencies of levels; returns the model.

        Each column counts as having five more ratings with the frequencies of all ratings.

        Parameters
        ----------
        rated
            The training rows.
        seed
            Random seed.
        weight_std
            Standard deviation of the weights, and of `exposure_weights`.
        """
        check_number("weight_std", weight_std, "0 or a positive number")
        stream = Lane.WEIGHTS.stream(seed)
        drawn = kernels.normal(tuple(self.weights.shape), stream)  # type: ignore[arg-type]
        self.weights.copy_(weight_std * drawn)
        if self.exposure_weights is not None:
            shape = tuple(self.exposure_weights.shape)
            drawn = kernels.normal(shape, stream)  # type: ignore[arg-type]
            self.exposure_weights.copy_(weight_std * drawn)
        counts = self.counts(rated).double()
        share = (counts.sum(0) + 1 / len(self.scale)) / (counts.sum() + 1)
        log_p = torch.log((counts + 5 * share) / (counts.sum(1, keepdim=True) + 5))
        self.bias.copy_(log_p)
        for parameter in (self.hidden_bias, self.exposures):
            if parameter is not None:
                parameter.zero_()
        return self

    def counts(self, rated: Rated) -> Tensor:
        """How often each level of each column occurs, int64, shape (n_columns, n_levels)."""
        n_levels = len(self.scale)
        cells = rated.columns * n_levels + rated.levels
        found: Tensor = cells.bincount(minlength=self.n_columns * n_levels)
        return found.view(self.n_columns, n_levels)

    def exposure(self, pairs: Rated) -> Tensor:
        """What the hidden units receive because these columns were rated.

        Parameters
        ----------
        pairs
            Which columns of each row are known to have been rated; all levels are 0.

        Returns
        -------
        Tensor
            Shape (n_rows, n_hidden), bias included.
        """
        rows = self.hidden_bias.expand(pairs.n_rows, -1)
        if self.exposures is None:
            return rows.clone()
        sums = self.exposed(pairs)
        if self.exposure_weights is not None:
            sums = kernels.mm(sums, self.exposure_weights)
        return sums.add_(rows)

    def exposed(self, pairs: Rated) -> Tensor:
        """``Σ_i exposures[i] / √n`` of each row, shape (n_rows, n_hidden) or (n_rows, rank)."""
        assert self.exposures is not None
        sums = self.exposures.new_zeros(pairs.n_rows, self.exposures.shape[1])
        kernels.add_rating_inputs_(sums, pairs, self.exposures, self.factors.new_ones(1))
        return sums.mul_(exposure_scale(pairs).to(sums)[:, None])

    def inputs_h_from_v(self, rated: Rated, exposure: Tensor) -> Tensor:
        """Inputs of the hidden units, bias included, shape (n_rows, n_hidden).

        ``exposure`` is `exposure` of the same rows.
        """
        return kernels.add_rating_inputs_(exposure.clone(), rated, self.weights, self.factors)

    def sweep(
        self, hidden: Tensor, rated: Rated, exposure: Tensor, stream: Stream
    ) -> tuple[Rated, Tensor]:
        """Draw the levels of all ratings given hidden states; with the inputs that they then give.

        Parameters
        ----------
        hidden
            Hidden states, shape (n_rows, n_hidden).
        rated
            Rows and columns of the ratings.
        exposure
            `exposure` of the same rows.
        stream
            Random numbers; one draw.

        Returns
        -------
        tuple
            The same rows and columns with other levels, and `inputs_h_from_v` of them.
        """
        inputs = exposure.clone()
        parts = (self.weights, self.bias, self.factors)
        return kernels.draw_ratings(hidden, rated, *parts, stream, inputs), inputs

    def free_energy(self, rated: Rated, exposure: Tensor) -> Tensor:
        """−log Σ_h exp(−E) of each row, nats, float64, shape (n_rows,)."""
        inputs = self.inputs_h_from_v(rated, exposure).double()
        energy = -functional.softplus(inputs, threshold=40).sum(1)
        own = self.bias[rated.columns, rated.levels].double()
        return energy.index_add_(0, rated.rows, -own)

    def probabilities(
        self, inputs: Tensor, rows: Tensor, columns: Tensor, own: Tensor | None = None
    ) -> Tensor:
        """p(rating | the row's ratings), exactly: hidden units are summed out.

        Parameters
        ----------
        inputs
            `inputs_h_from_v` of the rows, shape (n_rows, n_hidden).
        rows, columns
            The ratings asked for, int64, shape (n,).
        own
            Their levels, if the rows hold them. Each is then predicted from the others of its row.

        Returns
        -------
        Tensor
            Float64, shape (n, n_levels).
        """
        parts = (self.weights, self.bias, self.factors)
        return kernels.rating_logits(inputs, rows, columns, *parts, own).softmax(1)

    def expected(self, probabilities: Tensor) -> Tensor:
        """The mean rating under each row of probabilities, which minimises the squared error."""
        return probabilities @ torch.tensor(self.scale, dtype=probabilities.dtype)

    def extra_repr(self) -> str:
        """Sizes, for ``repr``."""
        scale = f"{self.scale[0]:g} to {self.scale[-1]:g} in {len(self.scale)} levels"
        return f"{self.n_columns} columns of ratings {scale}, {self.n_hidden} hidden units"


def exposure_scale(pairs: Rated) -> Tensor:
    """1 / √n of each row, float64; rows without pairs have 1."""
    return pairs.lengths.clamp_min(1).double().rsqrt()
