"""Scores of a network on rows, evaluated during a run, and the choice of the best network."""

from __future__ import annotations

import copy
import math
import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium.datasets import Data, Minibatches
from harmonium.datasets.weighing import weights_of
from harmonium.deep.network import Network
from harmonium.training import Best, Progress, Row, settle
from harmonium.training.learner import diverged

if TYPE_CHECKING:
    from harmonium.deep.finetuning.state import FinetuningState


@torch.no_grad()
def evaluate(network: Network, data: Data) -> dict[str, float]:
    """Evaluate a network on rows of data: the weighted means of its `Network.scores`.

    Raises
    ------
    ValueError
        For rows that do not fit the network, or that lack the required labels or targets.
    """
    network.check(data)
    return _mean_scores(network, data, network.targets(data))


@torch.no_grad()
def _mean_scores(network: Network, data: Data, targets: Tensor | None) -> dict[str, float]:
    sums: dict[str, Tensor] = {}
    start, weights = 0, weights_of(data)
    for v in network.blocks(data):
        wanted = v if targets is None else targets[start : start + len(v)].to(v.device)
        for name, scores in network.scores(network.inputs(v), wanted).items():
            if weights is not None:
                scores = weights[start : start + len(v)].to(v.device) * scores
            total = scores.sum(dtype=torch.float64)
            sums[name] = sums[name] + total if name in sums else total
        start += len(v)
    n = len(data) if weights is None else weights.sum().item()
    return {name: total.item() / n for name, total in sums.items()}


def judge(state: FinetuningState, held_out: Data) -> Row:
    """Evaluate held-out rows, and keep the network if it is the best so far.

    Returns
    -------
    dict
        Means of `Network.scores` over the rows, as ``held_out_...``, and ``best_update``.

    Raises
    ------
    ValueError
        For rows or targets that do not fit the network.
    FloatingPointError
        If their scores are not finite.
    """
    return _judge(state, held_out, state.network.targets(held_out))


def _judge(state: FinetuningState, held_out: Data, targets: Tensor | None) -> Row:
    settle(state)
    scores = _mean_scores(state.network, held_out, targets)
    if not all(math.isfinite(score) for score in scores.values()):
        raise diverged(state, f"what held-out rows score after update {state.update} is not finite")
    score, update = scores[state.network.criterion], state.update
    if state.best is None:
        state.best = Best(copy.deepcopy(state.network), score, update, update)
    else:
        state.best.look_(state.network, score, update, state.patience)
    named: Row = {f"held_out_{name}": value for name, value in scores.items()}
    return named | {"best_update": state.best.update}


class Watch(Progress):
    """Produces a row of numbers whenever one is due, with scores of the network.

    Parameters
    ----------
    batches
        The training data.
    held_out
        Held-out rows to evaluate; None for none.
    every
        Updates between two rows.
    last
        Number of the run's last update, which always gets a row.

    Raises
    ------
    ValueError
        If ``every`` is not a valid number, or the held-out rows do not fit the network.
    """

    def __init__(
        self,
        state: FinetuningState,
        batches: Minibatches,
        held_out: Data | None,
        every: int,
        last: int,
    ) -> None:
        super().__init__(every, batches, last)
        if held_out is None and state.patience is not None:
            raise ValueError(
                "patience looks at rows that are not trained on, and there are none; pass held_out,"
                " or leave patience out"
            )
        self._targets = None
        if held_out is not None:
            state.network.check(held_out)
            self._targets = state.network.targets(held_out)
        self._held_out = held_out
        self._since = (time.perf_counter(), state.update)

    def numbers(self, state: FinetuningState) -> Row:  # noqa: D102
        row: Row = {"loss": state.take_mean_loss()} if state.loss_rows else {}
        if self._held_out is not None:
            row |= _judge(state, self._held_out, self._targets)
        return row
