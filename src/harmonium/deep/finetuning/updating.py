"""One update: the gradient of a mini-batch by backpropagation, and the optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harmonium.deep.finetuning.state import FinetuningState
from harmonium.deep.layers import Layer
from harmonium.gradient import GradientCheck
from harmonium.training.state import check_hidden_differ

# On CUDA, a non-finite loss is reported by then at the latest, even without rows or epochs.
_SETTLE_EVERY = 1_000


def update(
    state: FinetuningState,
    v: Tensor,
    targets: Tensor | None = None,
    batch_size: int | None = None,
    weights: Tensor | None = None,
) -> None:
    """Make one update from a mini-batch.

    Parameters
    ----------
    state
        Changed in place.
    v
        Visible states, shape (rows, n_columns).
    targets
        The entries of `Network.targets` for these rows; None if rows are their own targets.
    batch_size
        Rows of a full batch. A shorter batch then counts for less, so that every row of an epoch
        has the same weight; None treats this batch as full.
    weights
        Weight of each row, shape (rows,); a row of weight 2 counts as two rows. None gives every
        row weight 1.

    Raises
    ------
    TypeError
        If the rows are not a tensor.
    ValueError
        If they have the wrong width; or, before the first update, if all units of a hidden layer
        are identical because their weights were neither drawn nor learned.
    FloatingPointError
        If the loss or a gradient is not finite; names the update (the first is 1). The parameters
        are then as before that update. On CUDA, `settle` raises this.
    """
    network = state.network
    first_to_learn = -1 if state.update < state.head_updates else 0
    network.check_width(v)
    if state.update == 0:
        for layer in network.all_layers[:-1]:
            remedy = "pretrain the network, or deep.init_randomly_"
            check_hidden_differ(layer.weights, layer.units, remedy)
    v = v.to(network.dtype)
    state.optimizer.zero_grad()
    with torch.enable_grad():
        inputs = network.inputs(v, state.dropout.draws(state.stream), first_to_learn)
        losses = network.losses(inputs, v if targets is None else targets)
        if weights is not None:
            weights = weights.to(losses)
            losses = weights * losses
        loss = losses.sum()
        (loss / (batch_size or (len(v) if weights is None else weights.sum()))).backward()
    if state.check is None and loss.is_cuda:
        state.check = GradientCheck(p for p in network.parameters() if p.requires_grad)
    if state.check is None:
        _refuse_non_finite(state, loss)
    else:
        state.check()
    state.optimizer.step()
    if state.max_norm is not None:
        _shorten_(network.all_layers[first_to_learn:], state.max_norm)
    if state.schedule is not None:
        state.schedule.step()
    state.update += 1
    state.loss_sum += loss.detach()
    state.loss_rows += len(v)
    if state.update % _SETTLE_EVERY == 0:
        settle(state)


def _refuse_non_finite(state: FinetuningState, loss: Tensor) -> None:
    """Check the loss and sums of the biases' gradients.

    A non-finite gradient of a layer makes the gradient of its bias non-finite, which is cheap to
    check.
    """
    grads = (layer.units.bias.grad for layer in state.network.all_layers)
    sums = (grad.sum().item() for grad in grads if grad is not None)
    if not math.isfinite(loss.item() + sum(sums)):
        raise _not_finite(state, state.update + 1)


def _not_finite(state: FinetuningState, update: int) -> FloatingPointError:
    return FloatingPointError(
        f"the gradient of update {update} is not finite; the network is as it was before it. The "
        f"learning rate, {state.learning_rate:g}, is probably too large: go on from the last "
        "checkpoint or start again with a smaller one"
    )


@torch.no_grad()
def _shorten_(layers: Sequence[Layer], longest: float) -> None:
    for layer in layers:
        lengths = torch.linalg.vector_norm(layer.weights, dim=0)
        layer.weights.mul_((longest / lengths).clamp_(max=1))


def settle(state: FinetuningState) -> None:
    """Wait for the device's checks of the updates so far; on the CPU there is nothing to wait for.

    Raises
    ------
    FloatingPointError
        If the gradient of an update was not finite; names the first. The parameters are then as
        before that update, but ``state`` has counted the updates since.
    """
    n_bad = 0 if state.check is None else state.check.undo()
    if n_bad:
        raise _not_finite(state, state.update - n_bad + 1)
