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
from unit_types import BY_NAME, UNIT_TYPES, UnitType, columns_by_unit, every_pair, random_rbm

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


@every_pair
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
        if units.is_discrete:
            flips = sum(
                bool((x[row, columns] != y[row, columns]).any())
                for row in range(20)
                for columns in columns_by_unit(units)
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


# Duplicates, singular values, and what tells training rows from others


def test_duplicates_are_alike_in_weights_and_in_what_they_do() -> None:
    generator = torch.Generator().manual_seed(70)
    rbm = RBM(Binary(30), Binary(7)).double()
    w = torch.randn(30, 7, generator=generator, dtype=torch.float64)
    w[:, 3] = w[:, 1]  # a copy
    w[:, 4] = 1.1 * w[:, 1] + 0.02  # as good as one
    w[:, 5] = -w[:, 1]  # the mirror does the opposite
    w[:, 6] = w[:, 1]  # the same weights, but always off
    v = (torch.rand(200, 30, generator=generator) < 0.5).double()
    with torch.no_grad():
        rbm.weights.copy_(w)
        rbm.hidden.bias[6] = -1e3
    assert diagnostics.duplicates(rbm, v).tolist() == [[1, 3], [1, 4], [3, 4]]
    found = diagnostics.hidden_units(rbm, v)
    assert found == diagnostics.HiddenUnits(n=7, n_dead=1, n_saturated=0, n_duplicates=2)
    assert found.idle_share == pytest.approx(1 / 7)


def test_duplicates_among_many_units_are_those_of_numpy() -> None:
    import numpy as np

    generator = torch.Generator().manual_seed(71)
    rbm = RBM(Binary(4), Binary(2100))
    with torch.no_grad():
        rbm.weights.copy_(torch.randn(4, 2100, generator=generator))
    v = (torch.rand(20, 4, generator=generator) < 0.5).float()
    w, activity = rbm.weights.detach().numpy(), rbm.mean_h_from_v(v).detach().numpy()
    alike = (np.corrcoef(w.T) > 0.99) & (np.corrcoef(activity.T) > 0.99)
    expected = np.argwhere(np.triu(alike, 1))
    assert len(expected) > 100
    assert np.array_equal(diagnostics.duplicates(rbm, v), expected)


@every_pair
def test_hidden_units_of_every_type_are_counted(visible: UnitType, hidden: UnitType) -> None:
    rbm, _ = random_rbm(visible, hidden, sizes=(4, 3), seed=72)
    v = rbm.visible.sample_(
        rbm.weights.new_zeros(30, rbm.visible.n_columns), Stream(0, Purpose.MONITOR)
    )
    found = diagnostics.hidden_units(rbm, v)
    activity = diagnostics.hidden_activity(rbm, v)
    if activity is None:
        assert found is None
    else:
        assert found is not None and found.n == rbm.hidden.n_columns == len(activity)
        assert found.n_dead / found.n == diagnostics.dead_share(activity)
        assert found.n_saturated / found.n == diagnostics.saturated_share(activity)


def test_units_without_weights_or_without_rows_are_no_duplicates() -> None:
    rbm = RBM(Binary(4), Binary(3))
    assert diagnostics.duplicates(rbm, torch.eye(4)).shape == (0, 2)
    with pytest.raises(ValueError, match="v has 1 rows, over which no activity varies"):
        diagnostics.duplicates(rbm, torch.ones(1, 4))


def test_singular_values_of_known_weights() -> None:
    q, _ = torch.linalg.qr(torch.randn(6, 3, generator=torch.Generator().manual_seed(73)))
    found = diagnostics.spectrum(q * torch.tensor([3.0, 1.0, 2.0]), update=7)
    torch.testing.assert_close(
        found.values, torch.tensor([3.0, 2.0, 1.0]).double(), atol=1e-6, rtol=0
    )
    assert found.update == 7
    assert found.effective_rank == pytest.approx(14**2 / (81 + 16 + 1), rel=1e-5)
    assert diagnostics.spectrum(torch.eye(5)).effective_rank == pytest.approx(5)
    assert diagnostics.spectrum(torch.zeros(5, 2)).effective_rank == 0


@pytest.mark.parametrize("shape", [(70, 12), (12, 70), (13, 12)])
def test_singular_values_of_large_weights_are_found_block_by_block(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    whole = diagnostics.spectrum(weights).values
    monkeypatch.setattr("harmonium.diagnostics.weights._LARGE", 0)
    torch.testing.assert_close(diagnostics.spectrum(weights).values, whole, rtol=0, atol=1e-12)


@every_pair
def test_free_energy_gap_by_the_definitions(visible: UnitType, hidden: UnitType) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=74)
    stream = Stream(0, Purpose.MONITOR)
    train, held_out = (
        rbm.visible.sample_(rbm.weights.new_zeros(n, rbm.visible.n_columns), stream)
        for n in (30, 20)
    )
    found = diagnostics.free_energy_gap(rbm, train, held_out)
    a, b = rbm.free_energy(train).detach(), rbm.free_energy(held_out).detach()
    assert found.gap == pytest.approx((a.mean() - b.mean()).item())
    assert found.std_error == pytest.approx(math.sqrt(a.var() / 30 + b.var() / 20))
    wins = (a[:, None] < b).double() + 0.5 * (a[:, None] == b).double()
    assert found.told_apart == pytest.approx(wins.mean().item())
    assert found.told_apart_std_error == pytest.approx(math.sqrt(51 / (12 * 30 * 20)))


def test_the_gap_is_the_difference_of_log_likelihoods() -> None:
    """Whatever the normaliser is: here it is known by enumeration."""
    rbm, model = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(4, 3), seed=75)
    states = model.visible.points()[0]
    log_p = -model.free_energy(states)
    log_p -= math.log(sum(math.exp(x) for x in log_p))
    found = diagnostics.free_energy_gap(
        rbm, torch.from_numpy(states[:5]), torch.from_numpy(states[5:])
    )
    assert found.gap == pytest.approx(log_p[5:].mean() - log_p[:5].mean())


def test_the_chance_to_tell_rows_apart_has_the_error_that_it_says() -> None:
    """Rows of one kind, 400 times: of the standardised chances, mean 0 and variance 1."""
    rbm, _ = random_rbm(BY_NAME["gaussian"], BY_NAME["binary"], seed=76)
    generator = torch.Generator().manual_seed(77)
    z = []
    for _ in range(400):
        rows = torch.randn(50, 3, generator=generator, dtype=torch.float64)
        found = diagnostics.free_energy_gap(rbm, rows[:30], rows[30:])
        z.append((found.told_apart - 0.5) / found.told_apart_std_error)
    assert abs(sum(z)) / len(z) < 4 / math.sqrt(len(z))
    assert abs(sum(x * x for x in z) / len(z) - 1) < 4 * math.sqrt(2 / len(z))


def test_a_gap_that_cannot_be_measured() -> None:
    rbm = RBM(Binary(3), Binary(2))
    rows = torch.ones(4, 3)
    assert math.isnan(diagnostics.free_energy_gap(rbm, rows[:1], rows).std_error)
    with pytest.raises(ValueError, match="held_out has no rows; pass 1 or more"):
        diagnostics.free_energy_gap(rbm, rows, rows[:0])
    with pytest.raises(ValueError, match="2 free energies of train are not finite"):
        bad = rows.clone()
        bad[:2, 1] = math.nan
        diagnostics.free_energy_gap(rbm, bad, rows)
