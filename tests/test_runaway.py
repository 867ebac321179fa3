"""Trainings whose parameters run away: bounded where that helps, stopped with the unit's name."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import harmonium
from harmonium import (
    RBM,
    Binary,
    Minibatches,
    Penalties,
    PlainGradient,
    checkpoint,
    datasets,
    training,
)
from harmonium.datasets import Data
from harmonium.gradient import CenteredGradient, Gradient, Phase
from harmonium.training import TrainingState
from harmonium.training.runaway import ran_away
from harmonium.units import Categorical, DReLU, Gaussian, Mixed, ReLU, Units

DIGITS = datasets.load("digits").binarize().join("train", "validation")


def trained(
    visible: Units,
    hidden: Units,
    rate: float,
    epochs: int,
    rows: Data = DIGITS,
    gradient: Gradient | None = None,
) -> RBM:
    rbm = RBM(visible, hidden).init_from_data_(rows, 0)
    state = TrainingState.create(rbm, n_chains=100, learning_rate=rate, gradient=gradient)
    for _ in training.updates(state, Minibatches(rows, 100), epochs):
        pass
    return rbm


@pytest.mark.parametrize(
    ("hidden", "rate"),
    [(DReLU(20), 2.0), (DReLU(20, learn_precision=True), 5.0), (ReLU(20), 2.0)],
    ids=["drelu", "drelu-learned", "relu"],
)
def test_too_large_a_rate_is_told_with_the_unit_that_ran_away(hidden: Units, rate: float) -> None:
    named = r"(the \w+|a weight) of hidden unit \d+ \(counted from 0\) ran away, to -?\d"
    with pytest.raises(FloatingPointError, match=named) as caught:
        trained(Binary(64), hidden, rate, 40, gradient=CenteredGradient())
    assert f"The learning rate, {rate:g}, is probably too large" in str(caught.value)


@pytest.mark.parametrize("rate", [0.1, 2.0])
def test_steps_divided_by_the_variance_run_to_the_end(rate: float) -> None:
    rbm = trained(Binary(64), DReLU(20), rate, 15)  # as trainings do unless told otherwise
    assert ran_away(rbm) is None
    assert all(bool(parameter.isfinite().all()) for parameter in rbm.parameters())


def test_a_run_keeps_the_last_checkpoint_from_before(tmp_path: Path) -> None:
    short: dict[str, Any] = {"out": tmp_path / "run", "epochs": 40, "figures": False}
    short |= {"tensorboard": False, "log_likelihood": False, "checkpoint_every": 0.0}
    model: dict[str, Any] = {"hidden": 20, "hidden_units": "drelu", "rows": 1000}
    model |= {"gradient": "plain"}
    with pytest.raises(FloatingPointError, match=r"hidden unit \d+ .*last good checkpoint is") as e:
        harmonium.train(**short, **model, learning_rate=2.0)
    found = re.search(r"checkpoint is (\S+?);", str(e.value))
    assert found is not None
    state = checkpoint.load(found[1])
    assert state.update > 0 and ran_away(state.rbm) is None


def test_no_checkpoint_is_made_of_what_ran_away() -> None:
    hidden = DReLU(3)
    rbm = RBM(Binary(64), hidden).init_from_data_(DIGITS, 0)
    state = TrainingState.create(rbm, n_chains=5)
    with torch.no_grad():
        hidden.gap[1] = 2e6
    with pytest.raises(FloatingPointError, match=r"gap of hidden unit 1 .*, to 2e\+06 by update 0"):
        checkpoint.dumps(state)


@pytest.mark.parametrize(
    ("name", "at", "value", "told"),
    [
        ("weights", (1, 5), -2e7, "a weight of hidden unit 3 (counted from 0) ran away, to -2e+07"),
        ("weights", (0, 8), 2e8, "a weight of hidden unit 5 (counted from 0) ran away, to 2e+08"),
        ("hidden.bias", (7,), 3e6, "the bias of hidden unit 4 (counted from 0)"),
        ("hidden.2.asymmetry", (1,), -61.0, "the asymmetry of hidden unit 5 (counted from 0)"),
        ("visible.log_precision", (1,), 70.0, "the log_precision of visible unit 1"),
        ("weights", (0, 8), math.nan, None),  # which files refuse
        ("visible.bias", (0,), 1e9, None),  # as large as data may be
        ("hidden.2.log_precision", (0,), 99.0, None),  # is not learned
    ],
)
def test_the_unit_and_the_parameter_are_named(
    name: str, at: tuple[int, ...], value: float, told: str | None
) -> None:
    hidden = Mixed(Binary(1), Categorical(3, 2), DReLU(2))
    rbm = RBM(Gaussian(2, learn_precision=True), hidden)
    assert ran_away(rbm) is None
    with torch.no_grad():
        rbm.get_parameter(name)[at] = value
    found = ran_away(rbm)
    assert found is None if told is None else found is not None and found.startswith(told)


@pytest.mark.parametrize("layer", ["visible", "hidden"])
def test_gradients_by_logarithms_are_bounded_in_both_layers(layer: str) -> None:
    units = DReLU(2, learn_precision=True)
    rbm = RBM(units, Gaussian(3)) if layer == "visible" else RBM(Gaussian(3), units)
    with torch.no_grad():
        rbm.weights.normal_(generator=torch.Generator().manual_seed(0))
    v = torch.full((2, rbm.visible.n), 100.0)
    outlier = Phase(rbm.visible.statistics(v), rbm.observe_h_from_v(v))
    none = Phase(rbm.visible.statistics(0 * v), rbm.observe_h_from_v(0 * v))
    PlainGradient().write_(rbm, outlier, none)
    logs = units.log_precision, units.asymmetry
    assert all(log.grad is not None and log.grad.abs().max() > 10 for log in logs)
    assert units.gap.grad is not None
    before = units.gap.grad.clone()
    Penalties(precision_limit=0.5).add_(rbm, outlier, scale=0.5)
    assert all(log.grad is not None and log.grad.abs().max() == 0.25 for log in logs)
    assert torch.equal(units.gap.grad, before)


def test_constant_columns_do_not_drive_a_precision_away() -> None:
    grey = datasets.load("digits").join("train", "validation").standardize()
    visible = DReLU(64, learn_precision=True)
    trained(visible, Binary(20), 1.0, 30, grey)
    most = math.log(1e4) + 0.1  # the inverse of the floor under the variance
    assert float(visible.log_precision.detach().max()) < most
