"""Moments of chains beside the data's: formulas, and noise that is what it is said to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import oracle
from harmonium.diagnostics import Distance, Moments, moment_distance, moments
from unit_types import UnitType, every_pair, has_half_lines, random_rbm

close = {"rtol": 1e-10, "atol": 1e-12}


def normal(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_moments_of_independent_rows_are_numpys() -> None:
    rows = normal((2300, 5), 0) @ normal((5, 5), 1)
    found = moments(rows)
    x = rows.numpy()
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.mean_error, x.std(0, ddof=1) / math.sqrt(2300), rtol=1e-10)
    np.testing.assert_allclose(found.covariance, np.cov(x.T, ddof=0), rtol=1e-10, atol=1e-12)
    centred = x - x.mean(0)
    products = centred[:, :, None] * centred[:, None]
    expected = products.std(0, ddof=1) / math.sqrt(2300)
    np.testing.assert_allclose(found.covariance_error, expected, rtol=1e-8)


def test_rows_of_a_group_count_as_one() -> None:
    """Repeating every row makes nothing surer, and one row a group is independent rows."""
    rows = normal((50, 3), 0)
    once, often, single = moments(rows), moments(rows[:, None].repeat(1, 7, 1)), rows[:, None]
    for name in ("mean", "mean_error", "covariance", "covariance_error"):
        torch.testing.assert_close(getattr(often, name), getattr(once, name), **close)
        torch.testing.assert_close(getattr(moments(single), name), getattr(once, name), **close)


def test_many_columns_are_thinned_for_covariances_alone() -> None:
    rows = normal((20, 2500), 0)
    found = moments(rows)
    assert found.mean.shape == (2500,)
    assert torch.equal(found.columns, torch.arange(0, 2500, 3))
    few = moments(rows[:, ::3])
    torch.testing.assert_close(found.covariance, few.covariance, **close)
    torch.testing.assert_close(found.covariance_error, few.covariance_error, **close)


@every_pair
def test_draws_of_one_model_differ_by_noise(visible: UnitType, hidden: UnitType) -> None:
    """Over repetitions, the mean of (rms / noise)^2 is 1, for any unit types."""
    scale = 0.4 if has_half_lines(visible, hidden) else 0.7  # a model there is
    _, model = random_rbm(visible, hidden, sizes=(4, 2), seed=3, scale=scale)
    ratios = []
    repeats = 60
    for seed in range(repeats):
        data, chains = (
            torch.from_numpy(oracle.draw(model, n, 2 * seed + i)[0])
            for i, n in ((0, 400), (1, 300))
        )
        found = moment_distance(moments(data), moments(chains))
        assert found.covariances is not None
        ratios.append([(x.rms / x.noise) ** 2 for x in (found.means, found.covariances)])
    of_means, of_covariances = np.mean(ratios, axis=0)
    # a mean of squares of correlated normal numbers: at worst those of a single one, variance 2
    tolerance = 4 * math.sqrt(2 / repeats)
    assert abs(of_means - 1) < tolerance
    assert abs(of_covariances - 1) < tolerance


def test_noise_of_autocorrelated_chains_is_right_too() -> None:
    """A record that remembers says less than a new one, and the groups' spread knows it."""
    n_chains, n, phi, repeats = 40, 25, 0.9, 60
    none = torch.zeros(6, 6, dtype=torch.float64)
    exact = Moments(none[0], none[0], none + torch.eye(6), none, torch.arange(6))
    ratios = []
    for seed in range(repeats):
        noise = np.random.default_rng(seed).standard_normal((n_chains, n, 6))
        x = noise.copy()
        for t in range(1, n):
            x[:, t] = phi * x[:, t - 1] + math.sqrt(1 - phi**2) * noise[:, t]
        found = moment_distance(exact, moments(torch.from_numpy(x)))
        assert found.covariances is not None
        ratios.append([(d.rms / d.noise) ** 2 for d in (found.means, found.covariances)])
    # 6 columns, or 15 pairs, are independent here
    for column, n_numbers in ((0, 6), (1, 15)):
        tolerance = 4 * math.sqrt(2 / (repeats * n_numbers))
        assert abs(np.mean(ratios, axis=0)[column] - 1) < tolerance


def test_a_difference_is_measured_beyond_noise() -> None:
    data = normal((20_000, 8), 0)
    mixed = data.clone()
    mixed[:, 1::2] = data[:, 0::2]  # four pairs of columns that are the same
    apart = moment_distance(moments(data), moments(normal((20_000, 8), 1) + 0.5))
    # of a few times the noise squared over twice the difference
    assert apart.means.excess == pytest.approx(0.5, abs=4 * apart.means.noise)
    assert apart.means.scale == pytest.approx(1, abs=0.02)
    lost = moment_distance(moments(mixed), moments(data))
    assert lost.covariances is not None
    assert lost.covariances.excess == pytest.approx(1, abs=0.05)
    assert lost.means.excess < 0.05


def test_without_a_scale_nothing_is_large() -> None:
    assert math.isnan(Distance(rms=0.1, noise=0.0, scale=0.0).excess)
    assert Distance(rms=0.1, noise=0.2, scale=1.0).excess == 0
    constant = moments(torch.ones(10, 3))
    assert math.isnan(moment_distance(constant, moments(normal((10, 3), 0))).means.excess)
    column = normal((10, 1), 0)
    assert moment_distance(moments(column), moments(column)).covariances is None


def test_moments_that_cannot_be_compared() -> None:
    rows = normal((10, 3), 0)
    with pytest.raises(ValueError, match=r"shape \(0, 3\); pass \(n_rows, n_columns\)"):
        moments(rows[:0])
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        moments(rows[0])
    with pytest.raises(ValueError, match="the data have 3 columns and the chains 2"):
        moment_distance(moments(rows), moments(rows[:, :2]))
    with pytest.raises(ValueError, match="the chains are a single independent row or chain"):
        moment_distance(moments(rows), moments(rows[None]))
    with pytest.raises(ValueError, match="the data are a single independent row or chain"):
        moment_distance(moments(rows[:1]), moments(rows))
