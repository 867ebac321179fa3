"""Annealing in both directions against exact values, for every pair of unit types."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Gaussian, Purpose, Stream
from harmonium.likelihood import (
    AnnealingPath,
    LogZ,
    annealed_importance_sampling,
    annealing,
    base_rates,
    exact_log_likelihood,
    exact_log_z,
    raise_log_likelihood,
    reverse_annealed_importance_sampling,
)
from harmonium.likelihood.path import anneal_
from phases import log_z_of, one_thread  # noqa: F401
from unit_types import BY_NAME, UnitType, every_pair, has_half_lines, random_rbm, randomise_

ROWS = 300


def model_and_samples(
    visible: UnitType, hidden: UnitType, seed: int = 0, n: int = ROWS, **options: object
) -> tuple[RBM, Tensor]:
    """A model far from its base rates, and exact samples of it."""
    both_continuous = visible.is_continuous and hidden.is_continuous
    scale = 0.45 if both_continuous else 1.3
    sizes = (2, 3) if has_half_lines(visible, hidden) else (4, 3)  # what quadrature can do
    rbm, model = random_rbm(visible, hidden, sizes=sizes, seed=seed, scale=scale, **options)
    return rbm, torch.from_numpy(oracle.draw(model, n, seed)[0])


def binary_model(seed: int = 0, n: int = ROWS) -> tuple[RBM, Tensor]:
    return model_and_samples(BY_NAME["binary"], BY_NAME["binary"], seed, n)


def even_path(rbm: RBM, data: Tensor, n: int) -> AnnealingPath:
    return AnnealingPath(base_rates(rbm, data), rbm, torch.linspace(0, 1, n))


@every_pair
def test_both_directions_are_within_their_errors_of_the_exact_value(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, samples = model_and_samples(visible, hidden)
    exact = log_z_of(rbm, visible, hidden)
    path = AnnealingPath.adaptive(rbm, samples, 60, seed=1)
    forward = annealed_importance_sampling(path, ROWS, seed=2).result()
    reverse = reverse_annealed_importance_sampling(path, samples, seed=2).result()
    assert (forward.errs, reverse.errs) == ("below", "above")
    for estimate in (forward, reverse):
        assert 0 < estimate.std_error < 0.1
        assert abs(estimate.value - exact) < 4 * estimate.std_error
        assert estimate.warning is None


@every_pair
def test_rows_are_bounded_from_below(visible: UnitType, hidden: UnitType) -> None:
    rbm, samples = model_and_samples(visible, hidden)
    exact = -rbm.free_energy(samples).detach() - log_z_of(rbm, visible, hidden)
    path = AnnealingPath.adaptive(rbm, samples, 60, seed=1)
    estimate = raise_log_likelihood(path, samples, chains_per_row=4, seed=3).result()
    error = estimate.log_likelihood - exact
    assert estimate.log_weights.shape == (ROWS, 4) and estimate.std_errors.shape == (ROWS,)
    noise = (error.std() / math.sqrt(ROWS)).item()
    assert error.mean().item() < 4 * noise  # below, on average over rows of the model
    assert error.mean().item() > -0.05 - 4 * noise  # and close


def test_lower_bound_exact_value_and_upper_bound_stand_in_this_order() -> None:
    """On paths so short that the bounds are far apart."""
    for seed in range(5):
        rbm, samples = binary_model(seed)
        randomise_(rbm, seed, scale=2.5)
        v = torch.from_numpy(oracle.binary(np.zeros(4)).points()[0])
        p = exact_log_likelihood(rbm, v).exp()
        generator = torch.Generator().manual_seed(seed)
        samples = v[torch.multinomial(p, 4000, replacement=True, generator=generator)]
        exact = exact_log_z(rbm).value
        path = even_path(rbm, samples, 4)
        # means over many estimates by few chains, which are biased the most
        below = [annealed_importance_sampling(path, 2, seed=s).result().value for s in range(100)]
        above = [
            reverse_annealed_importance_sampling(path, pair, seed=s).result().value
            for s, pair in enumerate(samples[:200].split(2))
        ]
        for values, sign in ((np.array(below), 1), (np.array(above), -1)):
            noise = values.std() / math.sqrt(len(values))
            assert sign * (exact - values.mean()) > -4 * noise
        rows = raise_log_likelihood(path, samples, 1, seed=5).result().log_likelihood
        error = rows - exact_log_likelihood(rbm, samples)
        noise = (error.std() / math.sqrt(len(error))).item()
        assert error.mean().item() < 4 * noise


def test_raise_is_unbiased_for_the_distribution_of_the_annealed_chain() -> None:
    """The mean weight of a row is the chance that the forward chain ends there."""
    rbm, samples = binary_model(seed=4)
    randomise_(rbm, 4, scale=2.5)
    path = even_path(rbm, samples, 3)
    v = torch.from_numpy(oracle.binary(np.zeros(4)).points()[0])
    estimate = raise_log_likelihood(path, v, chains_per_row=4000, seed=6).result()
    # the forward chain's distribution, by its transition matrices
    p = exact_log_likelihood(path.base, v).exp()
    for t in (0.5, 1.0):
        between = copy.deepcopy(rbm)
        with torch.no_grad():
            for now, base in zip(between.parameters(), path.base.parameters(), strict=True):
                now.lerp_(base, 1 - t)
        h = torch.from_numpy(oracle.binary(np.zeros(3)).points()[0])
        v_from_h = v @ between.weights @ h.T - between.visible.energy(v)[:, None]
        p = p @ (between_h(between, v, h) @ v_from_h.softmax(0).T)
    off = (estimate.log_likelihood - p.log()) / estimate.std_errors
    assert off.abs().max() < 4.5  # 16 rows
    assert (p.log() - exact_log_likelihood(rbm, v)).abs().max() > 0.1  # and that is not the target


def between_h(rbm: RBM, v: Tensor, h: Tensor) -> Tensor:
    """Probabilities of hidden states given visible ones."""
    return (v @ rbm.weights @ h.T - rbm.hidden.energy(h)).softmax(1).detach()


def test_standard_errors_cover() -> None:
    rbm, samples = binary_model(seed=1)
    exact = exact_log_z(rbm).value
    path = AnnealingPath.adaptive(rbm, samples, 10, seed=1)
    n = 200
    covered = 0
    for seed in range(n):
        estimate = annealed_importance_sampling(path, 100, seed=seed).result()
        covered += abs(estimate.value - exact) < 2 * estimate.std_error
    assert covered >= 0.9 * n
    # nor are they too large: of a normal estimate 95.4 % are within two, and this many seldom
    assert covered <= binom.isf(1e-6, n, 0.9545)


def test_a_path_that_ends_elsewhere_is_noticed() -> None:
    """The test above has the power to see a temperature that is off by 10 %."""
    rbm, samples = binary_model(seed=1)
    path = AnnealingPath.adaptive(rbm, samples, 60, seed=1)
    object.__setattr__(
        path, "inverse_temperatures", 0.9 * torch.as_tensor(path.inverse_temperatures)
    )
    estimate = annealed_importance_sampling(path, ROWS, seed=2).result()
    assert abs(estimate.value - exact_log_z(rbm).value) > 4 * estimate.std_error


# Temperatures


def test_temperatures_are_placed_where_the_weights_spread() -> None:
    rbm = RBM(Gaussian(4, precision=4.0), Binary(3)).double()
    with torch.no_grad():
        rbm.weights.fill_(1.0)
    samples = 5 * torch.randn(500, 4, generator=torch.Generator().manual_seed(2)).double()
    n, n_chains = 60, 4000

    def spreads(path: AnnealingPath) -> Tensor:
        t = torch.as_tensor(path.inverse_temperatures)
        v = path.base.visible.sample(torch.zeros(n_chains, 4).double(), stream := Stream(9, 7))
        log_weights, before = torch.zeros(n_chains).double(), torch.zeros(n_chains).double()
        found = []
        for _ in anneal_(path, v, t, stream, log_weights):
            found.append((log_weights - before).std())
            before.copy_(log_weights)
        return torch.stack(found)

    placed = spreads(AnnealingPath.adaptive(rbm, samples, n))
    even = spreads(even_path(rbm, samples, n))
    assert placed.std() / placed.mean() < 0.5 < 2 < even.std() / even.mean()
    assert placed.square().sum() < even.square().sum() / 5


def test_temperatures_are_the_seed_s() -> None:
    rbm, samples = binary_model()
    paths = [AnnealingPath.adaptive(rbm, samples, 20, seed=seed) for seed in (1, 1, 2)]
    t = [torch.as_tensor(path.inverse_temperatures) for path in paths]
    assert torch.equal(t[0], t[1]) and not torch.equal(t[0], t[2])
    assert paths[0].n_temperatures == 20


@pytest.mark.parametrize("n", [2, 3, 20, 39, 77])
def test_another_length_places_temperatures_as_densely(n: int) -> None:
    rbm, samples = binary_model()
    path = AnnealingPath.adaptive(rbm, samples, 20)
    other = path.of_length(n)
    assert other.n_temperatures == n and other.base is path.base and other.target is rbm
    t, placed = (torch.as_tensor(p.inverse_temperatures).numpy() for p in (path, other))
    # of both, the same share of temperatures lies below each
    passed = np.interp(placed, t, np.linspace(0, 1, 20))
    np.testing.assert_allclose(passed, np.linspace(0, 1, n), atol=1e-12)
    if n == 20:
        np.testing.assert_array_equal(placed, t)
    with pytest.raises(ValueError, match="n_temperatures is 1; pass 2 or more"):
        path.of_length(1)


def test_a_model_without_weights_is_known_at_once() -> None:
    rbm = RBM(Binary(5), Binary(3)).double()
    data = torch.tensor([[0.0, 1, 1, 0, 1], [0, 0, 1, 1, 1]]).double()
    rbm.init_from_data_(data, seed=0, weight_std=0.0)
    path = AnnealingPath.adaptive(rbm, data, 5)
    assert torch.equal(torch.as_tensor(path.inverse_temperatures), torch.linspace(0, 1, 5).double())
    estimate = annealed_importance_sampling(path, 4).result()
    assert estimate.value == pytest.approx(exact_log_z(rbm).value, abs=1e-12)
    assert estimate.std_error < 1e-12 and estimate.effective_chains == pytest.approx(4)


def test_a_constant_column_has_finite_base_rates() -> None:
    for visible in (Binary(3), Gaussian(3), Gaussian(3, learn_precision=True)):
        rbm = RBM(visible, Binary(2)).double()
        randomise_(rbm, 3)
        data = torch.tensor([[0.0, 1, 0], [0, 1, 1]]).double()
        path = AnnealingPath.adaptive(rbm, data, 200, seed=1)
        estimate = annealed_importance_sampling(path, 500, seed=1).result()
        assert abs(estimate.value - exact_log_z(rbm).value) < 4 * estimate.std_error


def test_base_rates_are_the_data_s_moments() -> None:
    rbm = RBM(Gaussian(2), Binary(2)).double()
    randomise_(rbm, 3)
    data = torch.tensor([[0.0, 4], [2, -2], [1, 1]]).double()
    base = base_rates(rbm, data)
    zeros = torch.zeros(1, 2).double()
    torch.testing.assert_close(base.visible.mean(zeros)[0], data.mean(0))
    torch.testing.assert_close(base.visible.var(zeros)[0], data.var(0, correction=0))
    assert not base.weights.any() and not base.hidden.bias.any()
    assert rbm.weights.all() and not rbm.visible.log_precision.requires_grad


# More chains, blocks, bits


def test_more_chains_go_on_where_fewer_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm, samples = binary_model()
    path = even_path(rbm, samples, 8)
    monkeypatch.setattr(annealing, "CHAINS_AT_ONCE", 10)
    whole = annealed_importance_sampling(path, 47, seed=3).result()
    for n in (5, 20, 33, 47):
        few = annealed_importance_sampling(path, n, seed=3).result()
        going_on = annealed_importance_sampling(path, 47, seed=3, so_far=few)
        assert going_on.n_steps == (47 - n // 10 * 10) * 7
        more = going_on.result()
        assert whole.log_weights is not None and more.log_weights is not None
        assert torch.equal(more.log_weights, whole.log_weights)
        assert (more.value, more.std_error) == (whole.value, whole.std_error)


def test_a_computation_says_how_far_it_is() -> None:
    rbm, samples = binary_model()
    path = even_path(rbm, samples, 5)
    for computation in (
        annealed_importance_sampling(path, 30),
        reverse_annealed_importance_sampling(path, samples[:30]),
        raise_log_likelihood(path, samples[:15], chains_per_row=2),
    ):
        seen = list(computation)
        assert seen == sorted(seen) and seen[-1] == computation.n_steps
        assert computation.result() is computation.result()


def test_rows_samples_and_parameters_are_left_alone() -> None:
    rbm, samples = binary_model()
    before = samples.clone(), copy.deepcopy(rbm.state_dict())
    path = AnnealingPath.adaptive(rbm, samples, 5)
    annealed_importance_sampling(path, 5).result()
    reverse_annealed_importance_sampling(path, samples[:5]).result()
    raise_log_likelihood(path, samples[:5]).result()
    assert torch.equal(samples, before[0])
    assert all(torch.equal(value, before[1][name]) for name, value in rbm.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in rbm.parameters())


@every_pair
def test_float32_is_as_good(visible: UnitType, hidden: UnitType) -> None:
    rbm, samples = model_and_samples(visible, hidden, n=60)
    path = even_path(rbm, samples, 40)
    double = annealed_importance_sampling(path, 60, seed=1).result()
    single = annealed_importance_sampling(
        AnnealingPath(
            copy.deepcopy(path.base).float(), copy.deepcopy(rbm).float(), path.inverse_temperatures
        ),
        60,
        seed=1,
    ).result()
    assert double.log_weights is not None and single.log_weights is not None
    # the same draws, but for the few that rounding decides
    off = (double.log_weights - single.log_weights).abs()
    assert off.median() < 1e-4


# LogZ


def test_log_z_of_weights() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0, 6.0]).double()
    below, above = (LogZ.from_log_weights(weights.log(), side) for side in ("below", "above"))
    assert below.value == pytest.approx(math.log(3)) and above.value == pytest.approx(-math.log(3))
    assert below.std_error == pytest.approx(weights.std().item() / 2 / 3)
    assert below.effective_chains == pytest.approx(144 / 50)
    assert below.n_chains == 4
    assert below.warning is not None and "only 2.9 of 4 chains" in below.warning
    assert "errs below; 3 effective of 4 chains" in str(below)
    assert "exact" in str(LogZ.exact(1.0)) and math.isinf(LogZ.exact(1.0).effective_chains)
    huge = LogZ.from_log_weights(torch.tensor([1e5, 1e5 + 1]), "below")
    assert math.isfinite(huge.value) and math.isfinite(huge.std_error)


@pytest.mark.parametrize("bad", [[1.0], [[1.0, 2.0]]])
def test_log_z_needs_two_chains(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="pass those of 2 chains or more"):
        LogZ.from_log_weights(torch.tensor(bad), "below")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_log_z_refuses_weights_that_are_no_numbers(bad: float) -> None:
    with pytest.raises(ValueError, match="infinite or NaN"):
        LogZ.from_log_weights(torch.tensor([1.0, bad]), "below")


def test_few_temperatures_are_warned_of() -> None:
    rbm, samples = binary_model()
    randomise_(rbm, 1, scale=8.0)
    estimate = annealed_importance_sampling(even_path(rbm, samples, 2), 100).result()
    assert estimate.warning is not None and "take more temperatures" in estimate.warning


# Bad input


def test_paths_that_are_none_are_refused() -> None:
    rbm, samples = binary_model()
    base = base_rates(rbm, samples)
    for bad in ([0.0], [0.0, 0.5], [0.1, 1.0], [0.0, 0.6, 0.5, 1.0], [0.0, math.nan, 1.0]):
        with pytest.raises(ValueError, match=r"pass 2 or more that rise from 0 to 1"):
            AnnealingPath(base, rbm, bad)
    with pytest.raises(ValueError, match=r"the base has weights"):
        AnnealingPath(rbm, rbm, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"the base's hidden units are Binary"):
        AnnealingPath(RBM(Binary(4), Binary(2)), rbm, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"n_temperatures is 1; pass 2 or more"):
        AnnealingPath.adaptive(rbm, samples, 1)
    with pytest.raises(ValueError, match=r"visible has 3 columns, but this RBM has 4"):
        AnnealingPath.adaptive(rbm, samples[:, :3], 10)
    with pytest.raises(ValueError, match=r"data has no rows"):
        AnnealingPath.adaptive(rbm, samples[:0], 10)


def test_models_that_have_no_likelihood_are_refused() -> None:
    rbm, samples = binary_model()
    with torch.no_grad():
        rbm.weights[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"1 of 12 values of weights are infinite or NaN"):
        AnnealingPath.adaptive(rbm, samples, 10)
    unbounded = RBM(Gaussian(2), Gaussian(2))
    with torch.no_grad():
        unbounded.weights.fill_(0.6)
    with pytest.raises(ValueError, match=r"cannot be normalised"):
        AnnealingPath.adaptive(unbounded, torch.randn(9, 2), 10)


def test_too_few_chains_and_rows_are_refused() -> None:
    rbm, samples = binary_model()
    path = even_path(rbm, samples, 5)
    with pytest.raises(ValueError, match=r"n_chains is 1; pass 2 or more"):
        annealed_importance_sampling(path, 1)
    with pytest.raises(ValueError, match=r"samples have 1 row; pass 2 or more"):
        reverse_annealed_importance_sampling(path, samples[:1])
    with pytest.raises(ValueError, match=r"chains_per_row is 0; pass 1 or more"):
        raise_log_likelihood(path, samples, 0)
    with pytest.raises(ValueError, match=r"visible has 3 columns, but this RBM has 4"):
        raise_log_likelihood(path, samples[:, :3])
    with pytest.raises(ValueError, match=r"are between their states"):
        raise_log_likelihood(path, torch.full((2, 4), 0.5))
    few = annealed_importance_sampling(path, 5).result()
    for bad in (few, LogZ.exact(1.0)):
        with pytest.raises(ValueError, match=r"so_far is .* at most n_chains = 4 chains"):
            annealed_importance_sampling(path, 4, so_far=bad)


def test_one_row_has_an_estimate() -> None:
    rbm, samples = binary_model()
    estimate = raise_log_likelihood(even_path(rbm, samples, 50), samples[:1], 50).result()
    exact = exact_log_likelihood(rbm, samples[:1])
    assert abs(estimate.log_likelihood - exact) < 4 * estimate.std_errors


def test_the_stream_is_annealing_s_own() -> None:
    assert Purpose.LIKELIHOOD == 7
