"""Temperatures are placed where log weights spread, and where chains move slowly."""

from __future__ import annotations

import numpy as np
import pytest

from harmonium.likelihood.temperatures import placed

STEPS, CHAINS = 400, 300


def log_weights(increments: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((1, increments.shape[1])), increments.cumsum(0)])


def share_above(increments: np.ndarray, t: np.ndarray, middle: float = 0.5) -> float:
    return float((placed(t, log_weights(increments), 1000) > middle).mean())


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(STEPS, CHAINS))


def test_even_noise_places_them_evenly(noise: np.ndarray) -> None:
    t = np.linspace(0, 1, STEPS + 1)
    found = placed(t, log_weights(noise), 101)
    assert found[0] == 0 and found[-1] == 1 and (np.diff(found) > 0).all()
    # a window's variance over its steps' is 1, give or take a tenth
    np.testing.assert_allclose(found, np.linspace(0, 1, 101), atol=0.02)


def test_more_stand_where_weights_spread(noise: np.ndarray) -> None:
    t = np.linspace(0, 1, STEPS + 1)
    noise[STEPS // 2 :] *= 3
    # a tenth of them evenly, the others in proportion to the spread: 3 to 1
    assert share_above(noise, t) == pytest.approx(0.1 * 0.5 + 0.9 * 0.75, abs=0.03)


def test_more_stand_where_chains_remember(noise: np.ndarray) -> None:
    """The error of ten equal increments is that of one of ten times the variance."""
    t = np.linspace(0, 1, STEPS + 1)
    noise[STEPS // 2 :] = np.repeat(noise[: STEPS // 20], 10, 0)
    share = np.sqrt(10) / (1 + np.sqrt(10))
    # windows that reach across the middle blur the step
    assert share_above(noise, t) == pytest.approx(0.1 * 0.5 + 0.9 * share, abs=0.06)


def test_it_does_not_matter_how_dense_the_pilot_s_are(noise: np.ndarray) -> None:
    """Variances of steps half as wide are half as large: the same placement."""
    even = np.linspace(0, 1, STEPS + 1)
    bent = np.concatenate([np.linspace(0, 0.5, 101), np.linspace(0.5, 1, 301)[1:]])
    widths = np.diff(bent)[:, None] * STEPS
    found = placed(bent, log_weights(noise * widths), 101)
    np.testing.assert_allclose(found, placed(even, log_weights(noise), 101), atol=0.03)


@pytest.mark.parametrize("n_steps", [1, 2, 7])
def test_short_pilots_and_still_chains_are_no_trouble(n_steps: int, noise: np.ndarray) -> None:
    t = np.linspace(0, 1, n_steps + 1)
    for increments in (np.zeros((n_steps, CHAINS)), noise[:n_steps]):
        found = placed(t, log_weights(increments), 20)
        assert found[0] == 0 and found[-1] == 1 and (np.diff(found) > 0).all()
    np.testing.assert_array_equal(
        placed(t, np.zeros((n_steps + 1, CHAINS)), 20), np.linspace(0, 1, 20)
    )
