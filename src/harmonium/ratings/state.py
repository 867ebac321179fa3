"""Training an RBM of ratings: its state between two updates, and one update."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_number, check_type
from harmonium.autograd import without_autograd
from harmonium.datasets import Minibatches
from harmonium.kernels import Rated
from harmonium.optimization import check_learning_rate, check_optimizer, make_schedule
from harmonium.ratings.data import Ratings
from harmonium.ratings.model import RatingRBM, exposure_scale
from harmonium.ratings.rows import RatedRows
from harmonium.ratings.watching import Watch
from harmonium.rng import Lane, Stream
from harmonium.training import Best, Learner, Patience
from harmonium.training.learner import finish_, not_finite


@dataclass
class RatingState(Learner):
    """The complete state of such a training; resuming from a saved copy changes no bit.

    Chains start at the ratings in each update, with the columns of their rows: contrastive
    divergence (Hinton, 2002). No chain draws a rating that is not there.

    Attributes
    ----------
    rbm
        The model that is trained.
    sweeps
        Gibbs sweeps of an update: the k of CD-k.
    phases
        Sweeps, each with the number of updates after which it holds, the first with 0.
    patience
        When training stops early; None trains to the end.
    best
        The best model so far by held-out ratings; None until some have been looked at.
    optimizer, schedule, stream, seed, update
        As in `training.Learner`.
    """

    called = "model"

    rbm: RatingRBM
    optimizer: Optimizer
    stream: Stream
    seed: int
    schedule: LRScheduler | None = None
    sweeps: int = 1
    phases: tuple[tuple[int, int], ...] = ()
    patience: Patience | None = None
    best: Best[RatingRBM] | None = None
    update: int = 0
    _rows: RatedRows | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        rbm: RatingRBM,
        *,
        learning_rate: float = defaults.RATING_LEARNING_RATE,
        l2: float = defaults.RATING_L2,
        optimizer: Optimizer | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        sweeps: int = 1,
        phases: Mapping[int, int] | None = None,
        patience: Patience | None = None,
        seed: int = defaults.SEED,
    ) -> RatingState:
        """Start a training.

        Parameters
        ----------
        rbm
            A model whose weights have been drawn (`RatingRBM.init_from_data_`).
        learning_rate, l2
            Of Adam; not used if an optimiser is given. ``l2 / 2 * w^2`` is added to the loss for
            each of `RatingRBM.weights`; biases and exposures do not decay.
        optimizer
            Any `torch.optim` optimiser over ``rbm.parameters()`` that needs no closure.
        schedule
            Makes a scheduler that is stepped after each update.
        sweeps
            Gibbs sweeps of an update: the k of CD-k.
        phases
            Other numbers of sweeps, each by the number of updates after which it holds, such as
            `growing`.
        patience
            Early stopping, which needs held-out ratings.
        seed
            Seed of everything random.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range.
        """
        check_type("rbm", rbm, RatingRBM, "RatingRBM(scale, n_columns)")
        check_number("l2", l2, "0 or a positive number")
        if l2 < 0:
            raise ValueError(f"l2 is {l2}; pass 0 or a positive number")
        check_count("sweeps", sweeps)
        if patience is not None:
            check_type("patience", patience, Patience, "Patience(updates), or None")
        if optimizer is None:
            check_learning_rate(learning_rate)
            groups: list[dict[str, Any]] = [
                {"params": [p for p in rbm.parameters() if p is not rbm.weights]},
                {"params": [rbm.weights], "weight_decay": l2},
            ]
            optimizer = torch.optim.Adam(groups, lr=learning_rate, fused=True)
        else:
            check_optimizer(
                optimizer,
                rbm,
                called="model",
                why_no_lbfgs="LBFGS compares losses, but log Z of a row is not computed",
            )
        state = cls(
            rbm=rbm,
            optimizer=optimizer,
            stream=Lane.CHAINS.stream(seed),
            seed=seed,
            schedule=make_schedule(optimizer, schedule),
            sweeps=sweeps,
            patience=patience,
        )
        state.take_phases_({0: sweeps, **(phases or {})})
        return state

    def take_phases_(self, phases: Mapping[int, int]) -> None:
        """Let each number of sweeps hold from its number of updates on, of which one is 0."""
        for begins, sweeps in phases.items():
            check_count("the first update of a phase", begins, 0)
            check_count("the sweeps of a phase", sweeps)
        self.phases = tuple(sorted(phases.items()))
        for begins, sweeps in self.phases:
            if begins <= self.update:
                self.sweeps = sweeps

    @property
    def model(self) -> RatingRBM:
        """The model to use and to save: the best by held-out ratings, if there were any."""
        return self.rbm if self.best is None else self.best.network

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        if self.patience is None:
            return False
        return self.update >= self.patience.until(0 if self.best is None else self.best.improved)

    def targets(self, batches: Minibatches) -> None:
        """Check that the rows are ratings of this model."""
        rows = batches.data
        check_type("batches.data", rows, RatedRows, "RatedRows(ratings, orientation)")
        assert isinstance(rows, RatedRows)
        rows.check(self.rbm)
        if self.update == 0:
            _check_start(self.rbm)
        self._rows = rows

    def learn_(  # noqa: D102
        self, batch: Tensor, targets: Tensor | None, batch_size: int, weights: Tensor | None
    ) -> None:
        assert self._rows is not None
        update(self, *self._rows.of(batch), batch_size)

    def watch(  # noqa: D102
        self,
        batches: Minibatches,
        last: int,
        every: int | None = None,
        held_out: Ratings | None = None,
        monitor: None = None,
    ) -> Watch:
        if held_out is not None:
            check_type("held_out", held_out, Ratings, "Ratings, such as Ratings.split makes")
        if monitor is not None:
            raise ValueError("a model of ratings has its own numbers; leave monitor out")
        return Watch(self, batches, held_out, every or len(batches), last)

    def judge_(self, score: float) -> None:
        """Keep the model if its held-out error is the least so far."""
        if self.best is None:
            model = copy.deepcopy(self.rbm)
            self.best = Best(model, math.inf, self.update, self.update)
        self.best.look_(self.rbm, score, self.update, self.patience)


def growing(first: int, last: int, n_updates: int) -> dict[int, int]:
    """Phases in which sweeps grow from the first to the last number, each for as many updates.

    Salakhutdinov, Mnih and Hinton (2007) let k of CD-k grow along the training.
    """
    steps = range(first, last + 1) if last >= first else range(first, last - 1, -1)
    return {round(n_updates * i / len(steps)): k for i, k in enumerate(steps)}


@without_autograd
def update(state: RatingState, rated: Rated, pairs: Rated, batch_size: int | None = None) -> None:
    """Learn from some rows of ratings.

    Parameters
    ----------
    state
        Changed in place.
    rated
        Rows of ratings.
    pairs
        Which columns of these rows are known to have been rated; all levels are 0.
    batch_size
        Rows of a full batch. A shorter batch then counts for less, so that every row of an epoch
        has the same weight. None treats this batch as full.

    Raises
    ------
    ValueError
        If there are no rows, or, before the first update, if all hidden units are identical.
    FloatingPointError
        If the gradient is not finite; names the update. The parameters are as before it.
    """
    if rated.n_rows == 0 or pairs.n_rows != rated.n_rows:
        raise ValueError(
            f"there are {rated.n_rows} rows of ratings and {pairs.n_rows} of pairs; pass as many "
            "of each, and one or more"
        )
    if state.update == 0:
        _check_start(state.rbm)
    write_gradient(state, rated, pairs, 1 / (batch_size or rated.n_rows))
    rbm = state.rbm
    # a product with a state that is not finite is not finite either
    assert rbm.hidden_bias.grad is not None
    if not math.isfinite(rbm.hidden_bias.grad.sum().item()):
        raise not_finite(state, state.update + 1)
    state.optimizer.step()
    for begins, sweeps in state.phases:
        if begins == state.update + 1:
            state.sweeps = sweeps
    finish_(state)


def write_gradient(state: RatingState, rated: Rated, pairs: Rated, scale: float) -> None:
    """Write ``scale`` times the gradient of the rows' loss into the parameters' ``.grad``.

    The loss is minus the log-likelihood of the ratings of each row, given which there are. The
    negative phase are chains that start at the rows.
    """
    rbm, stream = state.rbm, state.stream
    exposure = rbm.exposure(pairs)
    observed = torch.sigmoid(rbm.inputs_h_from_v(rated, exposure))
    chains, hidden = rated, observed
    for _ in range(state.sweeps):
        u = kernels.uniform((rated.n_rows, rbm.n_hidden), stream, device=rbm.device)
        chains, inputs = rbm.sweep((u < hidden).to(hidden.dtype), chains, exposure, stream)
        hidden = torch.sigmoid(inputs)
    contrast_(rbm, (rated, observed), (chains, hidden), pairs, scale)


def contrast_(
    rbm: RatingRBM,
    data: tuple[Rated, Tensor],
    chains: tuple[Rated, Tensor],
    pairs: Rated,
    scale: float,
) -> None:
    """Write ``scale`` times the moments of chains minus those of data into ``.grad``.

    Each phase has rows of ratings and the mean hidden units given them, shape (n_rows, n_hidden).
    """
    for parameter in rbm.parameters():
        parameter.grad = _zeros(parameter)
    (rated, observed), (drawn, hidden) = data, chains
    levels = (drawn.levels, rated.levels)
    both = (hidden * scale, observed * scale)
    assert rbm.weights.grad is not None and rbm.bias.grad is not None
    kernels.add_rating_moments_(rbm.weights.grad, rated, levels, both, rbm.factors)
    rbm.bias.grad.copy_(rbm.counts(drawn) - rbm.counts(rated)).mul_(scale)
    change = both[0] - both[1]
    assert rbm.hidden_bias.grad is not None
    torch.sum(change, 0, out=rbm.hidden_bias.grad)
    if rbm.exposures is None:
        return
    assert rbm.exposures.grad is not None
    if rbm.exposure_weights is not None:
        assert rbm.exposure_weights.grad is not None
        kernels.mm(rbm.exposed(pairs).T, change, out=rbm.exposure_weights.grad)
        change = kernels.mm(change, rbm.exposure_weights.T)
    shared = change * exposure_scale(pairs).to(change)[:, None]
    one, levels = rbm.factors.new_ones(1), (pairs.levels, pairs.levels)
    kernels.add_rating_moments_(
        rbm.exposures.grad, pairs, levels, (shared, torch.zeros_like(shared)), one
    )


def _zeros(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.zero_()


def _check_start(rbm: RatingRBM) -> None:
    weights = rbm.weights
    if rbm.n_hidden > 1 and bool((weights == weights[:, :1]).all()):
        raise ValueError(
            f"all {rbm.n_hidden} hidden units are alike, so that every update would change them "
            "alike; draw the weights first: rbm.init_from_data_(rated, seed=0)"
        )
