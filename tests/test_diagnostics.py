"""Diagnostics against formulas written out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harmonium import (
    RBM,
    Binary,
    Categorical,
    ChainState,
    Gaussian,
    Gibbs,
    Purpose,
    Spin,
    Stream,
    diagnostics,
)
from harmonium.diagnostics import reconstruction_error
from unit_types import BY_NAME, UNIT_TYPES, UnitType, random_rbm

close = {"rtol": 1e-12, "atol": 1e-12}


def grey(columns: int, seed: int) -> Tensor:
    """Rows of numbers between 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((6, columns), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("hidden", UNIT_TYPES, ids=str)
def test_binary_reconstruction_error_is_cross_entropy(hidden: UnitType) -> None:
    rbm, _ = random_rbm(BY_NAME["binary"], hidden, sizes=(4, 2), seed=60)
    v = grey(4, 61)
    p = torch.sigmoid(rbm.mean_h_from_v(v) @ rbm.weights.T + rbm.visible.bias).detach()
    expected = -(v * p.log() + (1 - v) * (1 - p).log()).sum(1)
    torch.testing.assert_close(reconstruction_error(rbm, v), expected, **close)


def test_spin_reconstruction_error_is_cross_entropy() -> None:
    rbm, _ = random_rbm(BY_NAME["spin"], BY_NAME["binary"], sizes=(4, 2), seed=62)
    up = grey(4, 63)
    p = torch.sigmoid(2 * (rbm.mean_h_from_v(2 * up - 1) @ rbm.weights.T + rbm.visible.bias))
    expected = -(up * p.log() + (1 - up) * (1 - p).log()).sum(1).detach()
    torch.testing.assert_close(reconstruction_error(rbm, 2 * up - 1), expected, **close)


def test_categorical_reconstruction_error_is_cross_entropy() -> None:
    rbm, _ = random_rbm(BY_NAME["categorical"], BY_NAME["spin"], sizes=(4, 2), seed=64)
    v = grey(12, 65).unflatten(1, (4, 3))
    v = (v / v.sum(-1, keepdim=True)).flatten(1)
    inputs = (rbm.mean_h_from_v(v) @ rbm.weights.T + rbm.visible.bias).detach()
    p = inputs.unflatten(1, (4, 3)).softmax(-1).flatten(1)
    torch.testing.assert_close(reconstruction_error(rbm, v), -(v * p.log()).sum(1), **close)


@pytest.mark.parametrize("visible", ["gaussian", "gaussian-learned"])
def test_gaussian_reconstruction_error_is_squared(visible: str) -> None:
    rbm, _ = random_rbm(BY_NAME[visible], BY_NAME["binary"], sizes=(4, 2), seed=66)
    assert isinstance(rbm.visible, Gaussian)
    v = grey(4, 67)
    mean = (rbm.mean_h_from_v(v) @ rbm.weights.T + rbm.visible.bias) / rbm.visible.precision
    expected = (v - mean).square().sum(1).detach()
    torch.testing.assert_close(reconstruction_error(rbm, v), expected, **close)


def with_hidden_means(hidden: Binary | Spin, means: list[float]) -> RBM:
    """An RBM whose hidden units have these means whatever the visible ones are."""
    rbm = RBM(Binary(2), hidden)
    with torch.no_grad():
        mean = torch.tensor(means)
        rbm.hidden.bias.copy_(mean.logit() if isinstance(hidden, Binary) else mean.atanh())
    return rbm


def test_dead_and_saturated_units_are_counted() -> None:
    rbm = with_hidden_means(Binary(5), [0.001, 0.02, 0.5, 0.995, 0.98])
    activity = diagnostics.hidden_activity(rbm, torch.ones(3, 2))
    assert activity is not None
    torch.testing.assert_close(activity, torch.tensor([0.001, 0.02, 0.5, 0.995, 0.98]))
    assert diagnostics.dead_share(activity) == pytest.approx(1 / 5)
    assert diagnostics.saturated_share(activity) == pytest.approx(1 / 5)


def test_activity_is_the_mean_over_rows_and_from_0_to_1_for_spins() -> None:
    rbm = with_hidden_means(Spin(2), [-0.999, 0.0])
    activity = diagnostics.hidden_activity(rbm, torch.ones(3, 2))
    assert activity is not None
    torch.testing.assert_close(activity, torch.tensor([0.0005, 0.5]), rtol=1e-4, atol=0)
    rbm = RBM(Binary(1), Binary(1))
    with torch.no_grad():
        rbm.weights.fill_(50.0)
    activity = diagnostics.hidden_activity(rbm, torch.tensor([[0.0], [1.0]]))
    torch.testing.assert_close(activity, torch.tensor([0.75]))


def test_activity_of_categories_is_theirs_and_a_continuum_has_none() -> None:
    rbm = RBM(Binary(2), Categorical(2, 4))
    activity = diagnostics.hidden_activity(rbm, torch.ones(3, 2))
    torch.testing.assert_close(activity, torch.full((8,), 0.25))
    assert diagnostics.hidden_activity(RBM(Binary(2), Gaussian(3)), torch.ones(3, 2)) is None


@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
@pytest.mark.parametrize("hidden", UNIT_TYPES, ids=str)
def test_flip_rates_count_units_that_one_sweep_changes(visible: UnitType, hidden: UnitType) -> None:
    rbm, _ = random_rbm(visible, hidden, sizes=(3, 2), seed=68, scale=0.3)
    stream = Stream(69, Purpose.MONITOR)
    chains = ChainState(
        rbm.visible.sample_(rbm.weights.new_zeros(20, rbm.visible.n_columns), stream),
        rbm.hidden.sample_(rbm.weights.new_zeros(20, rbm.hidden.n_columns), stream),
    )
    before = chains.clone()
    rates = diagnostics.flip_rates(rbm, chains, stream.at(10))
    assert torch.equal(chains.visible, before.visible)
    assert torch.equal(chains.hidden, before.hidden)
    after, _ = Gibbs(1)(rbm, before.clone(), stream.at(10))
    expected = {}
    for name, units, x, y in (
        ("visible", rbm.visible, before.visible, after.visible),
        ("hidden", rbm.hidden, before.hidden, after.hidden),
    ):
        if units.states is not None:
            flips = sum(
                bool(
                    (
                        x[row, i * units.width : (i + 1) * units.width]
                        != y[row, i * units.width : (i + 1) * units.width]
                    ).any()
                )
                for row in range(20)
                for i in range(units.n)
            )
            expected[name] = flips / (20 * units.n)
    assert rates == pytest.approx(expected)
    assert all(0 < rate < 1 for rate in rates.values())


def test_update_ratio() -> None:
    before = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    step = torch.tensor([[0.1, 0.1], [-0.1, 0.3]])
    assert diagnostics.update_ratio(before, before + step) == pytest.approx(0.6 / 6)
    assert diagnostics.update_ratio(before, before) == 0
    zero = torch.zeros(2)
    assert diagnostics.update_ratio(zero, zero) == 0
    assert diagnostics.update_ratio(zero, zero + 1) == math.inf
