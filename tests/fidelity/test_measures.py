"""Moments, linkage, active units, components, and what is measured of which units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium import fidelity
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Spin


def some_rows(n: int, n_columns: int, seed: int) -> Tensor:
    """Binary rows of correlated columns."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 1))
    return torch.from_numpy(common + rng.normal(size=(n, n_columns)) > 0.3).float()


def test_agreement_is_numpys_regression() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    found = fidelity.Agreement.of(torch.from_numpy(x), torch.from_numpy(y))
    assert found.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert found.rmse == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
    assert (found.n, found.data.tolist()) == (50, x.tolist())
    flat = fidelity.Agreement.of(torch.ones(5), torch.arange(5.0))
    assert math.isnan(flat.correlation) and math.isnan(flat.slope)


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_numpys(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity.moments, "_BLOCK", 30)  # several blocks of columns
    data, samples = some_rows(2300, 12, 0), some_rows(700, 12, 1)
    weights = torch.rand(2300, generator=torch.Generator().manual_seed(2)) if weighted else None
    w = None if weights is None else weights.numpy()
    means = np.average(data, 0, w), samples.numpy().mean(0)
    found = fidelity.frequency_agreement(samples, data, weights)
    assert np.allclose(found.data, means[0]) and np.allclose(found.samples, means[1])
    cov = [np.cov(data.T, bias=True, aweights=w), np.cov(samples.T, bias=True)]
    upper = np.triu_indices(12, 1)
    pairs = fidelity.pair_agreement(samples, data, weights=weights)
    assert pairs.n == 66 == len(pairs.data)
    assert np.allclose(pairs.data.sort().values, np.sort(cov[0][upper]), atol=1e-6)
    assert pairs.correlation == pytest.approx(
        np.corrcoef(cov[0][upper], cov[1][upper])[0, 1], abs=1e-4
    )
    assert pairs.rmse == pytest.approx(np.sqrt(((cov[0] - cov[1])[upper] ** 2).mean()), rel=1e-4)


def test_pairs_within_a_unit_are_left_out() -> None:
    units = Categorical(4, 3)
    sites = fidelity.sites_of(units)
    assert sites.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    letters = torch.randint(3, (500, 4), generator=torch.Generator().manual_seed(0))
    rows = torch.nn.functional.one_hot(letters, 3).flatten(1).float()
    found = fidelity.pair_agreement(rows[:200], rows[200:], sites)
    cov = np.cov(rows[200:].T, bias=True)
    expected = [cov[i, j] for i in range(12) for j in range(i + 1, 12) if i // 3 != j // 3]
    assert found.n == 54 and np.allclose(found.data.sort().values, np.sort(expected), atol=1e-6)


def test_only_points_are_thinned() -> None:
    data, samples = some_rows(300, 150, 0), some_rows(300, 150, 1)
    found = fidelity.pair_agreement(samples, data)
    assert found.n == 11_175 and 3000 < len(found.data) == len(found.samples) <= 5000
    upper = np.triu_indices(150, 1)
    cov = [np.cov(x.T, bias=True)[upper] for x in (data, samples)]
    assert found.correlation == pytest.approx(np.corrcoef(cov[0], cov[1])[0, 1], abs=1e-4)


def test_triples_are_third_central_moments() -> None:
    data, samples = some_rows(1200, 3, 0), some_rows(900, 3, 1)
    found = fidelity.triple_agreement(samples, data, n_triples=200)
    x = data.numpy() - data.numpy().mean(0)
    # of three columns there is one triple of different ones
    assert np.allclose(found.data, (x[:, 0] * x[:, 1] * x[:, 2]).mean(), atol=1e-6)
    assert 200 * 2 / 9 * 0.5 < found.n < 200 * 2 / 9 * 1.6
    again = fidelity.triple_agreement(samples, data, n_triples=200)
    assert torch.equal(again.samples, found.samples)


def test_linkage_is_the_squared_correlation() -> None:
    rows = some_rows(400, 9, 0)
    rows[:, 4] = 1  # has no correlation
    r2 = np.square(np.corrcoef(np.delete(rows.numpy(), 4, 1).T))
    at = [0, 1, 2, 3, 5, 6, 7, 8]
    found = fidelity.linkage(rows)
    assert found.n_pairs.sum() == 28
    for low, high, n, value in zip(
        found.edges[:-1], found.edges[1:], found.n_pairs, found.r2, strict=True
    ):
        inside = [
            r2[i, j] for i in range(8) for j in range(i + 1, 8) if low <= at[j] - at[i] < high
        ]
        assert n == len(inside) and value == pytest.approx(np.mean(inside), abs=1e-5)


def test_linkage_by_positions() -> None:
    rows, positions = some_rows(300, 4, 0), torch.tensor([100, 200, 1200, 91_200])
    found = fidelity.linkage(rows, positions, n_bins=5)
    assert found.n_pairs.sum() == 6 and found.edges[[0, -1]].tolist() == [1, 91_101]
    again = fidelity.linkage(rows[:150], positions, edges=found.edges)
    assert torch.equal(again.n_pairs, found.n_pairs)
    assert (found.distances[1:] > found.distances[:-1]).all()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["1:100", "1:250"], [100, 250]),
        (["chr15_27379578_A_G", "chr15_27379999_C_T"], [27379578, 27379999]),
        (["15:7:A:AC", "15:9:G:T"], [7, 9]),
        (["7", "12"], [7, 12]),
        (["1:300", "1:250"], None),
        (["age", "income"], None),
        (["x1", "x2"], None),
        (None, None),
    ],
)
def test_positions_in_names(names: list[str] | None, found: list[int] | None) -> None:
    positions = fidelity.positions_in(names)
    assert (None if positions is None else positions.tolist()) == found


def test_active_units() -> None:
    rows = torch.tensor([[0.0, 0, 0], [1, 0, 1], [1, 0, 0], [0, 0, 0]])
    found = fidelity.activity(rows)
    assert found.shares.tolist() == [0.5, 0.25, 0.25, 0]
    assert (found.silent, found.mean) == (0.5, 0.75)
    spins = fidelity.activity(2 * rows - 1)
    assert spins.distance(found) == 0
    full = fidelity.activity(torch.ones(2, 3))
    assert full.distance(found) == 1
    with pytest.raises(ValueError, match="one is of 3 units and the other of 2"):
        found.distance(fidelity.activity(rows[:, :2]))


def test_components_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(500, 30)) @ np.diag(0.8 ** np.arange(30.0)) + 5)
    found = fidelity.principal_components(rows, 3)
    values, vectors = np.linalg.eigh(np.cov(rows.numpy().T, bias=True))
    assert np.allclose(found.variances, values[:-4:-1], rtol=1e-6)
    assert np.allclose(
        np.abs(np.diag(found.directions.numpy().T @ vectors[:, :-4:-1])), 1, atol=1e-5
    )
    assert found.explained.sum() == pytest.approx(values[-3:].sum() / values.sum())
    assert np.allclose(found.project(rows).var(0, correction=0), values[:-4:-1], rtol=1e-6)
    largest = found.directions.gather(0, found.directions.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()
    few = fidelity.principal_components(rows[:3], 2)  # fewer rows than further directions
    assert few.explained.sum() == pytest.approx(1)


# What is measured follows from the units


def test_binary_sites_have_everything() -> None:
    train, held_out, samples = (some_rows(300, 12, seed) for seed in range(3))
    reference = fidelity.Reference.of(train, Binary(12), held_out, n_rows=200)
    found = reference.measure(samples)
    assert {*found.numbers} == {*fidelity.MEASURES}
    direct = fidelity.adversarial_accuracy(samples[:200], train[:200])
    assert found.numbers["adversarial_accuracy"] == direct.value
    assert found.numbers["variance_1"] == pytest.approx(1, abs=0.3)
    own = reference.measure(held_out)
    assert "privacy_loss" not in own.numbers  # which is against the held-out rows
    assert own.numbers["nearest_share_below"] <= 0.05
    copied = reference.measure(train)
    assert copied.numbers["copies"] == 300 and copied.numbers["linkage_rmse"] == 0
    assert copied.numbers["pairs_correlation"] == pytest.approx(1)
    assert copied.numbers["active_distance"] == 0


LINE = {"linkage_rmse", "active_mean", "active_distance", "silent"}
OF_HELD_OUT = {"privacy_loss", "nearest_share_below"}


def test_pixels_are_no_line_and_without_held_out_rows_there_is_no_yardstick() -> None:
    reference = fidelity.Reference.of(some_rows(100, 9, 0), Binary(9), is_line=False)
    found = reference.measure(some_rows(100, 9, 1))
    assert {*fidelity.MEASURES} - {*found.numbers} == LINE | OF_HELD_OUT


@pytest.mark.parametrize(
    ("units", "gap", "is_two_valued"),
    [
        (Binary(8), 1, True),
        (Spin(8), 4, True),
        (Categorical(4, 2), 2, False),
        (Gaussian(8), 0, False),
        (Mixed(Binary(5), Categorical(1, 3)), 0, False),
    ],
)
def test_other_units(units, gap: float, is_two_valued: bool) -> None:
    from harmonium.rng import Lane

    assert fidelity.gap_of(units) == gap
    train, samples = (units.sample_alone(60, Lane.SAMPLES.stream(s)) for s in range(2))
    found = fidelity.Reference.of(train, units).measure(samples)
    missing = OF_HELD_OUT if is_two_valued else OF_HELD_OUT | LINE
    assert {*fidelity.MEASURES} - {*found.numbers} == missing
    if gap:
        assert torch.equal(found.nearest.distances, found.nearest.distances.round())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: fidelity.pair_agreement(x[:, :1], x[:, :1]), "no pair of columns of different"),
        (lambda x: fidelity.triple_agreement(x, x, torch.tensor([0, 0, 1])), "no triple"),
        (lambda x: fidelity.pair_agreement(x, x, torch.tensor([1, 0, 2])), "ascending"),
        (lambda x: fidelity.frequencies(x, -x[:, 0]), r"weights have shape \(5,\)"),
        (lambda x: fidelity.linkage(x[:, :1]), "rows have one column"),
        (lambda x: fidelity.linkage(x, torch.tensor([1, 2])), r"shape \(3,\), ascending"),
        (lambda x: fidelity.principal_components(x), "all rows are equal"),
        (lambda x: fidelity.principal_components(x, 4), "n_components is 4, and 5 rows of 3"),
        (lambda x: fidelity.Reference.of(x, Binary(4)), "the training rows have 3 columns"),
        (lambda x: fidelity.Reference.of(x, Binary(3)).measure(x[:1]), "rows have 1 rows; pass 2"),
    ],
)
def test_bad_input(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call(torch.ones(5, 3))


# Rows with weights


def weighted_rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of two kinds in equal numbers, of which the sparse one counts a tenth."""
    rng = np.random.default_rng(seed)
    sparse = torch.from_numpy(rng.random(n) < 0.5)
    rate = torch.where(sparse, 0.2, 0.7)[:, None]
    rows = (torch.from_numpy(rng.random((n, 20))) < rate).float()
    return rows, torch.where(sparse, 0.1, 1.0)


def test_rows_are_kept_in_proportion_to_their_weights() -> None:
    rows = torch.arange(20_000.0)[:, None]
    weights = torch.tensor([0.5, 0.1, 0.0, 1.0]).repeat(5000)
    kept = fidelity.thinned(rows, weights * 7, seed=1)[:, 0].long()
    assert len(kept.unique()) == len(kept)
    for place, share in enumerate((0.5, 0.1, 0.0, 1.0)):
        n = int((kept % 4 == place).sum())
        assert abs(n - 5000 * share) <= 4 * math.sqrt(5000 * share * (1 - share))
    assert torch.equal(kept, fidelity.thinned(rows, weights, seed=1)[:, 0].long())
    assert fidelity.thinned(rows, None) is rows
    few = fidelity.thinned(rows[:4], torch.tensor([1.0, 1e-9, 0.0, 0.0]))
    assert few[:, 0].tolist() == [0, 1]


def test_samples_of_the_weighted_distribution_are_not_told_apart() -> None:
    train, weights = weighted_rows(1500, 0)
    samples = fidelity.thinned(*weighted_rows(1500, 1), seed=5)
    reference = fidelity.Reference.of(train, Binary(20), weights=weights)
    found = reference.measure(samples).numbers
    error = found["adversarial_accuracy_std_error"]
    assert abs(found["adversarial_accuracy"] - 0.5) < 4 * error
    assert found["active_distance"] < 0.1 and found["variance_1"] == pytest.approx(1, abs=0.15)
    plain = fidelity.Reference.of(train, Binary(20)).measure(samples).numbers
    assert abs(plain["adversarial_accuracy"] - 0.5) > 4 * error or plain["active_distance"] > 0.2
