"""Calibration: shares that are known, draws that are exchangeable, and figures of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harmonium import plots
from harmonium.imputation import coverage, reliability, transforms_of_draws


def test_shares_of_each_bin() -> None:
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.95, 0.05]]).double()
    found = reliability(p, torch.tensor([0, 1, 1, 0]), n_bins=2)
    # below one half: 0.1 did not come, 0.1 came, 0.4 did not, 0.05 did not; above: the others
    assert found.counts.tolist() == [4, 4]
    assert found.promised.tolist() == pytest.approx([0.1625, 0.8375])
    assert found.found.tolist() == pytest.approx([0.25, 0.75])
    assert found.error == pytest.approx(0.0875)


def test_outcomes_of_their_own_probabilities_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    p = torch.from_numpy(generator.dirichlet([1, 1, 1], 20_000))
    outcomes = torch.multinomial(p, 1, generator=torch.Generator().manual_seed(0))[:, 0]
    found = reliability(p, outcomes)
    error = (found.promised * (1 - found.promised) / found.counts).sqrt()
    assert bool(((found.found - found.promised).abs() < 4.5 * error).all())
    # sharpened probabilities promise too much
    sharp = (p.log() * 2).softmax(1)
    assert reliability(sharp, outcomes).error > 5 * found.error


@pytest.mark.parametrize("kind", ["normal", "counts", "two-valued"])
def test_exchangeable_draws_hold_what_they_promise(kind: str) -> None:
    n, generator = 20_000, np.random.default_rng(1)
    rate = generator.uniform(0.5, 3, n)[:, None]
    drawn = {
        "normal": lambda: rate * generator.standard_normal((n, 20)),
        "counts": lambda: generator.poisson(rate, (n, 20)).astype(float),
        "two-valued": lambda: (generator.random((n, 20)) < rate / 4).astype(float),
    }[kind]
    draws, truth = torch.from_numpy(drawn()), torch.from_numpy(drawn()[:, 0])
    found = coverage(*transforms_of_draws(draws, truth))
    error = (found.promised * (1 - found.promised) / n).sqrt()
    assert bool(((found.found - found.promised).abs() < 4.5 * error).all())
    # draws that are too narrow hold less
    if kind == "normal":
        narrow = coverage(*transforms_of_draws(0.5 * draws, truth), levels=(0.9,))
        assert float(narrow.found[0]) < 0.7


def test_points_and_intervals_of_transforms() -> None:
    low, high = torch.tensor([0.5, 0.97, 0.0, 0.9]), torch.tensor([0.5, 0.97, 1.0, 1.0])
    found = coverage(low, high, levels=(0.9,))
    # inside, outside, nine tenths, half
    assert float(found.found[0]) == pytest.approx((1 + 0 + 0.9 + 0.5) / 4, abs=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="of one row or more"):
        reliability(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="one for each row"):
        reliability(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="one of each"):
        coverage(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="one of each"):
        plots.calibration([0.5], [0.5, 0.6], [1])
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.calibration([], [], [])
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        plots.calibration([0.5], [1.5], [3])


def test_the_figure_shows_points_and_errors() -> None:
    ax = plots.calibration([0.1, 0.9], [0.2, 0.8], [100, 400])
    points = ax.collections[1].get_offsets()
    assert points.tolist() == [[0.1, 0.2], [0.9, 0.8]]
    lengths = [path.vertices[1, 1] - path.vertices[0, 1] for path in ax.collections[0].get_paths()]
    assert lengths == pytest.approx([4 * math.sqrt(0.16 / 100), 4 * math.sqrt(0.16 / 400)])
