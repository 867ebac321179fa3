"""Training of classification RBMs, with early stopping by held-out error.

The model is an RBM over rows and their classes (`harmonium.classification`). The loop of
`harmonium.training` trains it with a `HybridGradient`, or generatively with any other gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from harmonium import checkpoint, defaults, training
from harmonium.classification import class_columns, class_log_probabilities
from harmonium.datasets import Data, Labelled, Minibatches
from harmonium.datasets.weighing import some_rows, weights_of
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.sampling import ChainState
from harmonium.training import EarlyStopping, Row, TrainingState

_BLOCK = 1000

# Entries of early stopping in a checkpoint, besides the patience and the model.
_NUMBERS = ("error", "log_loss", "epoch", "last_epoch")


@dataclass(frozen=True)
class Judgement:
    """Classification scores of a model.

    Attributes
    ----------
    error
        Fraction of misclassified rows, by most probable class.
    log_loss
        Mean of minus log p(class | x), nats per row.
    n_rows
        Number of rows evaluated.
    effective_rows
        Their effective number, if they have weights: ``error`` and ``log_loss`` are then weighted
        means. None for rows that count alike.
    """

    error: float
    log_loss: float
    n_rows: int
    effective_rows: float | None = None

    @property
    def std_error(self) -> float:
        """Standard error of ``error``, from the (effective) number of rows."""
        n = self.n_rows if self.effective_rows is None else self.effective_rows
        return math.sqrt(self.error * (1 - self.error) / n)


@torch.no_grad()
def judge(rbm: RBM, data: Data, seed: int = defaults.SEED) -> Judgement:
    """Evaluate a classifier on labelled rows, in bounded memory.

    Parameters
    ----------
    rbm
        With visible units ``Mixed(x_units, Categorical(1, n_classes))``.
    data
        Rows that end with their label (`Data.join_labels`); those without one are left out.
    seed
        For encodings that draw states; others ignore it.

    Raises
    ------
    ValueError
        If the model has no class unit, or the rows have the wrong width.
    """
    columns = class_columns(rbm)
    _check_labelled(data, rbm)
    data = _with_label(data)
    stream = Lane.WATCHED.stream(seed)
    wrong, loss, start = 0.0, 0.0, 0
    weights = weights_of(data)
    for rows in data.blocks(_BLOCK, stream):
        v = rows.to(rbm.weights)
        label = v[:, columns].argmax(1, keepdim=True)
        log_p = class_log_probabilities(rbm, v[:, : columns.start])
        missed, of_label = log_p.argmax(1, keepdim=True) != label, log_p.gather(1, label)
        if weights is not None:
            own = weights[start : start + len(v), None].to(v.device)
            missed, of_label = own * missed, own * of_label
        wrong += float(missed.sum())
        loss -= float(of_label.sum(dtype=torch.float64))
        start += len(v)
    if weights is None:
        return Judgement(wrong / len(data), loss / len(data), len(data))
    total = weights.sum().item()
    n_rows = int((weights > 0).sum())
    return Judgement(wrong / total, loss / total, n_rows, data.effective_rows)


class ErrorMonitor:
    """Evaluates a classifier on held-out rows, and on as many rows of the training data.

    Parameters
    ----------
    train, held_out
        Rows that end with their label (`Data.join_labels`).
    seed
        For encodings that draw states.

    Raises
    ------
    ValueError
        If either has no label columns, or their widths differ.
    """

    def __init__(self, train: Data, held_out: Data, seed: int = defaults.SEED) -> None:
        for data in (train, held_out):
            _check_labelled(data)
        train, held_out = _with_label(train), _with_label(held_out)
        if held_out.n_columns != train.n_columns:
            raise ValueError(
                f"{held_out.name} has {held_out.n_columns} columns, but the training data "
                f"{train.name} have {train.n_columns}; pass held-out rows of the same columns "
                "and classes"
            )
        self._held_out, self._seed = held_out, seed
        self._train = train.take(some_rows(train, len(held_out), Lane.WATCHED_ROWS.stream(seed)))

    def __call__(self, rbm: RBM, chains: ChainState | None, update: int) -> Row:
        """``error`` and ``log_loss`` (nats per row), each also as ``held_out_...``."""
        row: Row = {}
        for prefix, data in (("", self._train), ("held_out_", self._held_out)):
            found = judge(rbm, data, self._seed)
            row |= {f"{prefix}error": found.error, f"{prefix}log_loss": found.log_loss}
        return row


def train(
    state: TrainingState,
    batches: Minibatches,
    epochs: int,
    held_out: Data,
    stopping: EarlyStopping,
) -> Iterator[Row]:
    """Train a classifier with early stopping, yielding a row of numbers per epoch.

    `training.run` with `ErrorMonitor` and `EarlyStopping`, whose ``model`` is the one to keep.

    Parameters
    ----------
    state
        Trained in place; a state that has seen some epochs continues from there.
    batches
        Rows that end with their label (`Data.join_labels`), which may be missing in some.
    epochs
        Maximum total number of epochs, including those that ``state`` has seen.
    held_out
        Rows for early stopping, which also end with their label.
    stopping
        Also continues from where it was.

    Raises
    ------
    ValueError
        If the model has no class unit, if rows have no label columns or do not fit the model, or if
        all training rows belong to one class.
    """
    class_columns(state.rbm)
    data = batches.data
    assert isinstance(data, Data), "labels are kept in Data"
    _check_labelled(data, state.rbm)
    labels = _with_label(data).values[:, -1]
    if bool((labels == labels[0]).all()):
        raise ValueError(
            f"all {len(labels)} rows of {data.name} are of class {int(labels[0])}; to tell "
            "classes apart takes rows of two or more"
        )
    monitor = ErrorMonitor(data, held_out, state.seed)
    return _train(state, batches, epochs, monitor, stopping)


def _train(
    state: TrainingState,
    batches: Minibatches,
    epochs: int,
    monitor: ErrorMonitor,
    stopping: EarlyStopping,
) -> Iterator[Row]:
    """The generator part of `train`."""
    if stopping.is_over and state.update:
        return
    for row in training.run(state, batches, epochs, every=len(batches), monitor=monitor):
        stopping.look(state.model, row)
        yield row
        if stopping.is_over:
            return


def save(state: TrainingState, stopping: EarlyStopping, path: str | Path) -> None:
    """Write a checkpoint with the best model, from which `load` and `train` resume bit for bit."""
    numbers = {name: getattr(stopping, name) for name in _NUMBERS if stopping.model is not None}
    models = {} if stopping.model is None else {"best": stopping.model}
    extra = {"early_stopping": {"patience": stopping.patience, **numbers}}
    checkpoint.save(state, path, extra, models)


def load(
    path: str | Path, *, device: torch.device | str = "cpu"
) -> tuple[TrainingState, EarlyStopping]:
    """Read what `save` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or `save` did not write it.
    """
    state = checkpoint.load(path, device=device)
    extra = checkpoint.read_extra(path)
    if "early_stopping" not in extra:
        raise ValueError(
            f"{path} is a checkpoint of another training; load it with checkpoint.load"
        )
    best = checkpoint.read_models(path, device=device).get("best")
    return state, EarlyStopping(**extra["early_stopping"], model=best)


def _with_label(data: Data) -> Data:
    """The rows whose label, the last value, is observed."""
    if data.mask is None:
        return data
    rows = data.mask.observed()[:, -1].nonzero()[:, 0]
    return data.take(rows) if len(rows) < len(data) else data


def _check_labelled(data: Data, rbm: RBM | None = None) -> None:
    """Reject rows without a label, and rows that do not fit a model."""
    if not isinstance(data.encoding, Labelled):
        raise ValueError(
            f"the rows of {data.name} do not end with their label; pass data.join_labels()"
        )
    if rbm is None:
        return
    columns = class_columns(rbm)
    n_classes = columns.stop - columns.start
    if data.encoding.n_classes != n_classes:
        raise ValueError(
            f"{data.name} has {data.encoding.n_classes} classes, but this RBM has {n_classes}; "
            f"pass data.join_labels(n_classes={n_classes})"
        )
    rbm.visible.check_width(torch.empty(0, data.n_columns), "visible")
