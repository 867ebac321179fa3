"""`WeightedRows`: means over rows that count by weight, with right errors, and rows by weight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from harmonium import RBM, Data, diagnostics, likelihood
from harmonium.datasets import WeightedRows
from harmonium.datasets.weighing import rows_by_weight
from harmonium.rng import Lane
from harmonium.units import Binary

N = 30
WEIGHTS = torch.from_numpy(np.random.default_rng(7).integers(0, 5, N))
STATES = torch.from_numpy(np.random.default_rng(8).integers(0, 2, (N, 6))).float()


def test_it_is_data_to_begin_with() -> None:
    """Its moments are those of repeated rows, wherever data are asked for theirs."""
    rows, repeated = WeightedRows(STATES, WEIGHTS), STATES.repeat_interleave(WEIGHTS, 0)
    for one, other in zip(rows.moments(), WeightedRows(repeated).moments(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    models = [RBM(Binary(6), Binary(3)).init_from_data_(x, seed=0) for x in (rows, repeated)]
    torch.testing.assert_close(models[0].visible.bias, models[1].visible.bias)
    long: Any = {"n_temperatures": 200, "n_chains": 20}
    found = likelihood.estimate(models[0], rows, rows, **long).result()
    assert found.covers(likelihood.evaluate(models[0], rows, rows).result().lower, 5)


def test_weighted_rows_leave_out_those_of_weight_0() -> None:
    rows = WeightedRows(STATES, WEIGHTS)
    assert torch.equal(rows.states, STATES[WEIGHTS > 0])
    assert WeightedRows(rows.states, torch.full((len(rows),), 0.1)).weights is None
    assert len(WeightedRows(rows.states[:0])) == 0
    assert WeightedRows.of(rows) is rows


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (torch.ones(3), ValueError),
        (torch.zeros(N), ValueError),
        (-torch.ones(N), ValueError),
        (torch.full((N,), math.inf), ValueError),
        ([1.0] * N, TypeError),
    ],
    ids=["too few", "0", "negative", "infinite", "no tensor"],
)
def test_weighted_rows_refuse_weights_that_are_none(weights: Any, error: type) -> None:
    with pytest.raises(error, match="weights"):
        WeightedRows(STATES, weights)


def test_rows_that_are_no_tensor_are_refused() -> None:
    with pytest.raises(TypeError, match="states"):
        WeightedRows([[1.0]])  # type: ignore[arg-type]


def test_the_error_of_a_weighted_mean_is_right_on_average() -> None:
    """If weights say nothing about values, the estimated variance of the mean has no bias."""
    weights = torch.tensor([5.0, 1.0, 1.0, 0.2, 3.0]).double()
    share = weights / weights.sum()
    n = 40_000
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(0)).double()
    estimates = torch.tensor(
        [WeightedRows(row, weights).variance_of_mean(row) for row in x[:4000]], dtype=torch.float64
    )
    truth = share.square().sum().item()
    error = estimates.std().item() / math.sqrt(len(estimates))
    assert abs(estimates.mean().item() - truth) < 4 * error
    assert error < 0.03 * truth
    assert (x @ share).var().item() == pytest.approx(truth, rel=4 * math.sqrt(2 / n))
    assert math.isnan(WeightedRows(x[0, :1], torch.ones(1)).mean(x[0, :1])[1])


def test_the_error_of_importance_weights_covers_the_truth() -> None:
    """Rows of N(0, 1) with the weights of N(1/2, 1) have the mean 1/2, and errors as stated."""
    generator, n_times, covered = torch.Generator().manual_seed(0), 1000, 0
    for _ in range(n_times):
        x = torch.randn(400, generator=generator).double()
        mean, error = WeightedRows(x, (0.5 * x).exp()).mean(x)
        covered += abs(mean - 0.5) < 1.96 * error
    # four standard errors of the number of times, and a little for weights that are few
    assert abs(covered / n_times - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_times) + 0.01


def test_errors_of_weighted_moments_are_those_of_other_rows() -> None:
    weights = torch.rand(300, generator=torch.Generator().manual_seed(1)).double() + 0.1
    mixed = torch.tensor([[1.0, 0.5], [0.0, 1.0]]).double()
    generator, found = torch.Generator().manual_seed(2), []
    for _ in range(1500):
        rows = torch.randn(300, 2, generator=generator).double() @ mixed
        found.append(diagnostics.moments(WeightedRows(rows, weights)))
    for name in ("mean", "covariance"):
        values = torch.stack([getattr(one, name) for one in found])
        squares = torch.stack([getattr(one, f"{name}_error") for one in found]).square().mean(0)
        # the variance of 1500 values is known to 4 x sqrt(2 / 1500), more with heavy tails
        torch.testing.assert_close(squares, values.var(0), rtol=0.2, atol=0)


def test_rows_by_weight_come_as_often_as_they_count() -> None:
    weights = torch.tensor([0.0, 1.0, 2.0, 7.0]).double()
    data = Data("four", torch.eye(4), weights=weights)
    drawn = rows_by_weight(data, 3, Lane.COMPARED.stream(0))
    assert 0 not in drawn.tolist() and drawn.tolist().count(3) in (2, 3)
    many = Data("many", torch.eye(4).repeat(500, 1), weights=weights.repeat(500))
    counts = (rows_by_weight(many, 1000, Lane.COMPARED.stream(0)) % 4).bincount(minlength=4)
    assert counts.tolist() == pytest.approx([0, 100, 200, 700], abs=40)
    plain = Data("plain", torch.eye(4))
    assert sorted(rows_by_weight(plain, 9, Lane.COMPARED.stream(0)).tolist()) == [0, 1, 2, 3]
