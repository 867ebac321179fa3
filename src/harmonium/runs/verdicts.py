"""Warnings about a finished training run, with their cause and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harmonium.datasets import Data, Stochastic, WeightedRows, masked_rows
from harmonium.datasets.moments import moments
from harmonium.datasets.states import suit_binary_units
from harmonium.deep import (
    Autoencoder,
    Classifier,
    FinetuningState,
    Network,
    Regressor,
    finetuning,
)
from harmonium.metrics import WARNING, is_trusted
from harmonium.missing_states import completed_rows
from harmonium.report import HeldOut
from harmonium.report.pieces import sentence
from harmonium.rng import Lane
from harmonium.run_directory import RunDirectory, Warned
from harmonium.runs.reporting import Reporter
from harmonium.training import TrainingState

# Number of standard errors from which a difference counts.
_SURE = 2.0

# For a unit with values between 0 and 1: below this variation, it carries no information.
_CONSTANT = 1e-3

# Below this number of updates, little can have been learned from weights of 0.01.
_FEW_UPDATES = 500

# Fraction of the variance.
_LEAST_EXPLAINED = 0.01

# Fraction of a log-likelihood: on columns of pure noise, the apparent gain is below this.
_LEAST_GAIN = 0.01

_ROWS = 1_000  # most rows to evaluate
_FEW_ROWS = 100


_SAME_HIDDEN = "The hidden units are the same for every row"
_NO_BETTER_THAN_COLUMNS = "The model describes rows no better than independent columns"
_NOT_TRUSTED = "The log-likelihood of this training cannot be trusted"
_FLATTERED = "The log-likelihoods along this training flatter the model"
_BY_HEART = "It has learned training rows by heart"
_SAME_CODE = "All rows have the same code"
_NO_BETTER_THAN = {
    Classifier: "The network is no better than the most frequent class",
    Regressor: "The network is no better than the mean of the targets",
    Autoencoder: "The network is no better than the mean row",
}
_TITLES = {
    _SAME_HIDDEN,
    _NO_BETTER_THAN_COLUMNS,
    _NOT_TRUSTED,
    _FLATTERED,
    _BY_HEART,
    _SAME_CODE,
    *_NO_BETTER_THAN.values(),
}


def tell(reporter: Reporter, run: RunDirectory, warnings: Iterable[Warned]) -> None:
    """Store the warnings of a finished training run for the top of its page, and print them.

    Earlier ones are replaced, except those stored at the start of the run.
    """
    new = [Warned(one.title, reporter.words(one.text)) for one in warnings]
    run.write_warnings([*(old for old in run.warnings() if old.title not in _TITLES), *new])
    for warning in new:
        said = f"{warning.title}. {warning.text}".replace("`", "")
        reporter.say(f"warning   {said}")


# One RBM


def of_rbm(
    path: str,
    rows: Sequence[Mapping[str, float]],
    gains: Mapping[str, float],
    state: TrainingState,
    data: Data,
) -> Iterator[Warned]:
    """Warnings about one RBM.

    Parameters
    ----------
    path
        Path of its run, as typed.
    rows
        Its rows of numbers.
    gains
        Its gain in log-likelihood over independent columns (`Monitor.over_independent_columns`).
    state, data
        The training state, and its data.
    """
    yield from _likelihood(path, rows)
    gain, error = gains.get("gain", math.inf), gains.get("gain_std_error", 0.0)
    learned = gain > max(_SURE * error, _LEAST_GAIN * _likelihood_of(rows))
    constant = _features_are_constant(state, data)
    if constant or not learned:
        yield _nothing_learned(state, data, constant)
    elif (found := HeldOut.of(rows)) is not None and found.train is not None:
        yield from _overfitting(path, found, gains)


def _likelihood(path: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Warned]:
    """Reasons in the last row against its log-likelihood, or against those of earlier rows."""
    last = rows[-1] if rows else {}
    asked = f"`harmonium evaluate {path}` takes more time and gives more information."
    if WARNING in last:
        yield Warned(_NOT_TRUSTED, f"{sentence(last[WARNING])} {asked}")
    elif "log_z_raised" in last:
        yield Warned(
            _FLATTERED,
            f"A new annealing run at the end puts log Z {last['log_z_raised']:.1f} nats higher "
            "than the chains that tracked it during training, which do not mix. The last number "
            f"is right within its error, but earlier ones may be too high by as much. {asked}",
        )


def _likelihood_of(rows: Sequence[Mapping[str, float]]) -> float:
    """Size of the quantity by which a gain is measured."""
    last = rows[-1] if rows else {}
    keys = ("log_likelihood", "pseudo_log_likelihood")
    return abs(next((last[key] for key in keys if key in last and is_trusted(last, key)), 0.0))


def _features_are_constant(state: TrainingState, data: Data) -> bool:
    """Whether hidden units are the same for all rows."""
    if len(data) < 2:
        return False
    numbers = torch.arange(min(_ROWS, len(data)), device=data.device)
    stream = Lane.VERDICT.stream(0)  # which one some encodings draw from does not matter
    hidden = completed_rows(state.model, data, numbers, stream).to(state.model.weights)
    with torch.no_grad():
        hidden = state.model.mean_h_from_v(hidden)
    return hidden.std(0).max().item() < _CONSTANT


def _first_states(data: Data, like: Tensor) -> Tensor:
    """The states of the first rows; which stream some encodings draw from does not matter."""
    stream = Lane.VERDICT.stream(0)
    return next(data.blocks(_ROWS, stream)).to(like)


def _nothing_learned(state: TrainingState, data: Data, constant: bool) -> Warned:
    title = _SAME_HIDDEN if constant else _NO_BETTER_THAN_COLUMNS
    if _begins_at_zero(state):
        return Warned(title, "The learning rate is 0: take a larger `learning_rate`.")
    if state.penalties.group_lasso and not state.rbm.weights.any():
        return Warned(
            title,
            "All weights are exactly 0, where `group_lasso` holds them: take a smaller "
            "`group_lasso`, or begin with a larger `weight_std`.",
        )
    if state.update < _FEW_UPDATES:
        return Warned(
            title,
            f"It has made {state.update:,} update{'s' * (state.update != 1)}, and weights start "
            "near 0: use more `epochs`, or a smaller `batch_size`, which gives more updates per "
            "epoch.",
        )
    if state.rbm.visible.low_state == 0 and not _look_like_states(data):
        return Warned(
            title,
            "The columns vary much less than the states that they are treated as, so training "
            "drives the weights to 0: real numbers need `visible='gaussian'`.",
        )
    return Warned(
        title,
        "The columns may be independent of each other. If they are not, a larger "
        "`learning_rate`, more `epochs` or less `l2` would let weights grow.",
    )


def _begins_at_zero(state: TrainingState | FinetuningState) -> bool:
    """Whether the learning rate was 0 from the first update on."""
    first = state.optimizer.param_groups[0]
    return not first.get("initial_lr", first["lr"])


def _look_like_states(data: Data) -> bool:
    """Whether columns vary about as much as states with the same means."""
    if isinstance(data.encoding, Stochastic):
        return True
    numbers = torch.arange(min(_ROWS, len(data)), device=data.device)
    values = masked_rows(data, numbers).states.double()
    low, high = values.aminmax(dim=0)
    return suit_binary_units(values.mean(0), values.var(0, correction=0), low, high)


def _overfitting(path: str, found: HeldOut, gains: Mapping[str, float]) -> Iterator[Warned]:
    """One warning about the gap between training and held-out rows, if it exceeds the noise."""
    gain, held = gains.get("gain", math.nan), gains.get("held_out_gain", math.nan)
    error = gains.get("held_out_gain_std_error", math.nan)
    is_worse = held < -_SURE * error
    # the part of the gap that is beyond the noise of either
    is_narrow = held + _SURE * error < gain / 2
    if not (found.has_lost or is_worse or is_narrow):
        return
    panel, train_key, held_key = found.panel, found.train, found.held
    assert train_key is not None
    unit = " nats" if panel.unit.startswith("nats") else ""
    told = [
        f"Training rows have a {panel.name} of {_plain(found.last[train_key])}{unit}, and held-out "
        f"rows {_plain(found.last[held_key])}."
    ]
    if found.has_lost:
        told.append(
            f"Held-out rows were described best after epoch {found.best['epoch']:g}, by "
            f"{_plain(found.best[held_key])}{unit}."
        )
    if is_worse:
        told.append(
            f"Independent columns describe them better than the model, by "
            f"{_plain(-held)} ± {error:.1f} nats."
        )
    elif is_narrow:
        told.append(
            f"Of the {gain:.1f} nats that the model gains over independent columns on training "
            f"rows, {_plain(held)} ± {error:.1f} are left on held-out rows."
        )
    fewer = f" (about {found.best['epoch']:g})" if found.has_lost else ""
    told.append(
        f"Fewer `epochs`{fewer}, more `l2`, fewer `hidden` units or more rows would help; "
        f"`harmonium diagnose {path}` looks closer."
    )
    yield Warned(_BY_HEART, " ".join(told))


def _plain(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


# A network that was fine-tuned


def of_network(
    state: FinetuningState, scores: Mapping[str, float], train: Data, judged: Data
) -> Iterator[Warned]:
    """Warnings about a fine-tuned network, from its scores on the rows that test it.

    Parameters
    ----------
    state
        The training state.
    scores
        Means of `Network.scores` over the test rows.
    train, judged
        The training rows, and the rows that test it.
    """
    network = state.model
    codes = network.codes(judged) if isinstance(network, Autoencoder) else None
    if codes is not None and len(codes) > 1 and codes.std(0).max() < _CONSTANT * _size(codes):
        yield Warned(_SAME_CODE, _why(state, train))
        return
    failed = _is_no_better(network, scores, train, judged)
    if failed and judged is not train and len(judged) < _FEW_ROWS:
        # few rows carry little information
        failed = _is_no_better(network, finetuning.evaluate(network, train), train, train)
    if failed:
        yield Warned(_NO_BETTER_THAN[type(network)], _why(state, train))


def _is_no_better(network: Network, scores: Mapping[str, float], train: Data, judged: Data) -> bool:
    """Whether a constant, which needs no network, does as well on the test rows."""
    off = _off_by_constant(network, train, judged)
    criterion = "error" if isinstance(network, Classifier) else "squared_error"
    explained = 0.0 if criterion == "error" else _LEAST_EXPLAINED
    # if there is nothing to distinguish, a constant is right
    return scores[criterion] >= (1 - explained) * off > 0


def _size(codes: Tensor) -> float:
    return max(1.0, codes.abs().max().item())


def _off_by_constant(network: Network, train: Data, judged: Data) -> float:
    """The error on the test rows of the constant that is best on the training rows."""
    if isinstance(network, Classifier):
        most = network.targets(train).bincount(train.unequal_weights).argmax()
        wrong = (network.targets(judged) != most).double()
        rows = WeightedRows(wrong, judged.unequal_weights)
        return rows.mean(rows.states)[0]
    if isinstance(network, Regressor):
        assert train.targets is not None and judged.targets is not None
        constant, _ = moments([train.targets], train.unequal_weights)
        errors = (judged.targets.double() - constant.to(judged.targets.device)).square().sum(1)
        rows = WeightedRows(errors, judged.unequal_weights)
        return rows.mean(rows.states)[0]
    mean, _ = train.moments()
    own_mean, own_var = judged.moments()
    return (own_var + (own_mean - mean).square()).sum().item()


def _why(state: FinetuningState, train: Data) -> str:
    """The likely cause, and the remedy."""
    network = state.network
    if _begins_at_zero(state):
        return "The learning rate is 0: take a larger `learning_rate`."
    layers = network.all_layers
    with torch.no_grad():
        x = _first_states(train, network.last.weights)
        for number, layer in enumerate(layers[:-1], start=1):
            x = layer(x)
            if len(x) > 1 and x.std(0).max().item() < _CONSTANT:
                return (
                    f"The units of layer {number} are the same for every row, so the pretrained "
                    "features carry no information. If the columns are real numbers, pretrain "
                    "with `visible='gaussian'`; or start again with `from_scratch=True`."
                )
    best = state.best
    if state.is_over and best is not None:
        return (
            f"Training was stopped after {state.update:,} updates, because held-out rows had not "
            f"improved since update {best.update:,}: more `patience`, or another "
            "`learning_rate`."
        )
    if state.update < _FEW_UPDATES:
        return (
            f"It has made {state.update:,} updates: use more `epochs`, or a smaller "
            "`batch_size`, which gives more updates per epoch."
        )
    return (
        "The columns may carry no information about it. If they do, `optimizer='adam'`, another "
        "`learning_rate`, or real numbers as `visible='gaussian'` would help."
    )
