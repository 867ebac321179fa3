"""One update: the gradient of a mini-batch, and the optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium import ranks
from harmonium.arguments import described, no_tensor
from harmonium.autograd import without_autograd
from harmonium.datasets import MaskedRows
from harmonium.gradient import (
    CenteredGradient,
    GradientCheck,
    Incomplete,
    MissingUnit,
    Penalties,
    Phase,
    PlainGradient,
    observe,
    weigh,
)
from harmonium.graphs import CudaGraph, Recorder, memory
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Clamp, Gibbs, sharing
from harmonium.training.learner import (
    Contrastive,
    check_hidden_differ,
    finish_,
    not_finite,
    settle,
)
from harmonium.training.missing import check_missing, check_vanishing
from harmonium.units import UNIT_TYPES

if TYPE_CHECKING:
    from harmonium.training.state import TrainingState


@dataclass
class Ahead:
    """Objects that let the host run ahead of a CUDA device."""

    check: GradientCheck
    recorder: Recorder


@without_autograd
def update(
    state: TrainingState,
    batch: Tensor | MaskedRows | Incomplete,
    batch_size: int | None = None,
    weights: Tensor | None = None,
) -> None:
    """Learn from one mini-batch.

    Parameters
    ----------
    state
        The run; changed in place.
    batch
        Visible states, shape (rows, visible.n_columns). With `MaskedRows`, each row is one of the
        model of its own observed columns: its chain, which starts at it, has no others. With
        `Incomplete`, a categorical unit that is missing in a row, such as its class, is summed out
        exactly.
    batch_size
        Rows of a full batch. A shorter batch then counts for less, so that every row of an epoch
        has the same weight. None treats this batch as full.
    weights
        Weights of the rows, shape (rows,): a row of weight 2 counts as two rows. The gradient is
        that of the weighted mean. With ``batch_size`` it scales with the sum of the weights instead
        of the number of rows. None gives every row weight 1.

    Raises
    ------
    TypeError
        If the batch is neither a tensor nor `MaskedRows`.
    ValueError
        If the width of the batch is not that of the visible layer; if there is not one weight per
        row, or weights are negative, not finite, or all zero; or, before the first update, if all
        hidden units are identical because the model's weights were never drawn. For `MaskedRows`,
        if chains persist, or units held at zero are not gone.
    FloatingPointError
        If the gradient is not finite. The message names the update (the first is 1, as in the rows
        of `run`), and the parameters are as they were before it. On CUDA, where waiting for the
        gradient would take longer than computing it, `settle` raises this error.
    """
    if not isinstance(state, Contrastive) or not hasattr(state, "rbm"):
        raise TypeError(f"state is {described(state)}; pass TrainingState.create(rbm)")
    clamp: Clamp | None = None
    missing: tuple[MissingUnit, ...] = ()
    if isinstance(batch, MaskedRows):
        clamp, batch = without_missing(state, batch)
    elif isinstance(batch, Incomplete):
        missing, batch = batch.missing, batch.states
    state.rbm.visible.check_width(batch, "visible")
    if batch.dim() != 2 or len(batch) == 0:
        raise ValueError(
            f"a batch has shape {tuple(batch.shape)}; pass (rows, {batch.shape[-1]}), with rows"
        )
    if state.update == 0:
        check_start(state)
    batch = batch.to(state.rbm.weights.dtype)
    n_rows = float(batch.shape[0])
    if weights is not None:
        if not isinstance(weights, Tensor):
            raise no_tensor("weights", weights)
        weights = weights.to(batch)
        n_rows = total_weight(weights, batch)
    scale = n_rows / batch_size if batch_size else 1.0
    ahead = _ahead(state)
    if ahead is None or ranks.size() > 1:
        with ranks.together():
            write_gradient(
                state, state.rbm, scale, weights, batch, state.stream, False, clamp, missing
            )
        _refuse_non_finite(state)
    else:
        compute = partial(
            _write_checked_gradient, state, ahead.check, scale, weights, clamp, missing
        )
        is_plain = scale == 1 and weights is None and clamp is None and not missing
        if is_plain and _can_be_recorded(state):
            ahead.recorder(compute, batch, state.stream, _baked(state))
        else:
            compute(batch, state.stream)
    state.optimizer.step()
    state.penalties.shrink_(state.rbm, state.optimizer, scale, state.gradient.shares)
    done = state.update + 1
    if state.average is not None and state.average_decay is not None:
        # a short memory at first, so that the initial parameters are soon forgotten
        decay = min(state.average_decay, done / (done + 9))
        for average, parameter in zip(
            state.average.parameters(), state.rbm.parameters(), strict=True
        ):
            average.lerp_(parameter, 1 - decay)
    for begins, sampler in state.phases:
        if begins == done:
            state.sampler = sampler
    finish_(state)


def check_start(state: TrainingState) -> None:
    """Refuse a model that cannot be trained.

    Raises
    ------
    ValueError
        If all hidden units are identical.
    """
    rbm = state.rbm
    check_hidden_differ(rbm.weights, rbm.hidden, "rbm.init_from_data_(data, seed=0)")


def without_missing(state: TrainingState, rows: MaskedRows) -> tuple[Clamp, Tensor]:
    """Rows whose missing units are gone, at zero, and what keeps those of their chains there.

    At zero, a unit adds nothing to the inputs of hidden units, nor to any statistic. The mask of a
    row is therefore all that tells the model of its observed columns from that of all columns.
    """
    check_missing("observed", None if state.chains is None else len(state.chains))
    check_vanishing(state.rbm.visible)
    zero = torch.zeros_like(state.rbm.visible.bias)
    return Clamp(~rows.observed, zero), rows.where_observed()


def total_weight(weights: Tensor, batch: Tensor) -> float:
    """Sum of the weights of a batch; refuses weights that are none."""
    total, least = weights.sum().item(), weights.min().item() if len(weights) else 0.0
    if weights.shape != batch.shape[:1] or not (math.isfinite(total) and total > 0 and least >= 0):
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}, the least {least:g} and a sum of "
            f"{total:g}; pass shape ({len(batch)},), none below 0 and at least one above"
        )
    return float(total)


def write_gradient(
    state: Contrastive,
    rbm: RBM,
    scale: float,
    weights: Tensor | None,
    batch: Tensor,
    stream: Stream,
    dreams: bool = False,
    clamp: Clamp | None = None,
    missing: Sequence[MissingUnit] = (),
) -> ChainState:
    """Do all of an update of an RBM before the optimiser's step; on CUDA this is recorded.

    It therefore works in place on the state's tensors and reads none of their values on the host.
    Returns the chains; with ``dreams`` they move even if the gradient does without them. ``clamp``
    holds some columns of theirs. Units that are ``missing`` in rows are summed out.
    """
    chains, visible = state.chains, rbm.visible
    drawn = None
    if chains is None:
        drawn = batch.new_empty(len(batch), rbm.hidden.n_columns)
        chains = ChainState(torch.empty_like(batch), drawn)
    draws = None if drawn is None else stream
    if missing:
        data = fantasies = observe(rbm, batch, missing, weights, drawn, draws)
    else:
        if ranks.are_together():
            observed = sharing.observe(rbm, batch, drawn, draws, state.sampler)
        else:
            observed = rbm.observe_h_from_v(batch, drawn, draws)
        data = fantasies = Phase(visible.statistics(batch), observed)
    if dreams or state.gradient.uses_chains:
        move = partial(sharing.move, state.sampler) if ranks.are_together() else state.sampler
        chains, info = move(rbm, chains, stream, clamp, ends=state.chains is None)
        fantasies = Phase(visible.statistics(chains.visible), info.hidden)
    if weights is not None:
        if state.chains is None:  # a chain has the weight of the row that it started at
            fantasies = weigh(fantasies, weights)
        data = weigh(data, weights)
    state.gradient.write_(rbm, data, fantasies, scale, stream)
    state.penalties.add_(rbm, data, scale)
    state.gradient.divide_(rbm, data)
    return chains


def _refuse_non_finite(state: TrainingState) -> None:
    """Check the sums of gradients: one non-finite number makes its sum non-finite."""
    sums = (gradient.sum().item() for gradient in state.gradient.telling(state.rbm))
    if not math.isfinite(sum(sums)):
        raise not_finite(state, state.update + 1)


# The host runs ahead of a CUDA device and checks its results now and then


def _ahead(state: TrainingState) -> Ahead | None:
    """What an update on CUDA needs, rebuilt if the parameters were replaced; None on CPU."""
    if state.ahead is None and not state.rbm.weights.is_cuda:
        return None
    parameters = list(state.rbm.parameters())
    if state.ahead is not None and not state.ahead.check.is_of(parameters):
        settle(state)
        state.ahead = None
    if state.ahead is None and state.rbm.weights.is_cuda:
        state.ahead = Ahead(
            GradientCheck(parameters), Recorder(partial(CudaGraph, parameters[0].device))
        )
    return state.ahead


def _write_checked_gradient(
    state: TrainingState,
    check: GradientCheck,
    scale: float,
    weights: Tensor | None,
    clamp: Clamp | None,
    missing: Sequence[MissingUnit],
    batch: Tensor,
    stream: Stream,
) -> None:
    write_gradient(state, state.rbm, scale, weights, batch, stream, False, clamp, missing)
    check()


def _can_be_recorded(state: TrainingState) -> bool:
    """Whether all components are the library's; other code may read values or keep counters."""
    layers = (state.rbm.visible, state.rbm.hidden)
    units = [kind for layer in layers for kind in (type(layer), *(of for of, *_ in layer.kinds))]
    return (
        type(state.sampler) is Gibbs
        and type(state.gradient) in (PlainGradient, CenteredGradient)
        and type(state.penalties) is Penalties
        and all(kind in UNIT_TYPES.values() and kind.has_fixed_draws for kind in units)
    )


def _baked(state: TrainingState) -> tuple[object, ...]:
    """What a recorded update assumes to be unchanged: addresses of tensors, and options."""
    chains = state.chains
    return (
        [(memory(p), memory(p.grad), p.requires_grad) for p in state.rbm.parameters()],
        None if chains is None else (memory(chains.visible), memory(chains.hidden)),
        state.sampler,
        *(
            {name: memory(x) if isinstance(x, Tensor) else x for name, x in vars(part).items()}
            for part in (state.gradient, state.penalties)
        ),
        type(state.gradient),
    )
