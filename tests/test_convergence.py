"""Autocorrelation time and R-hat against processes and models whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import norm, rankdata
from torch import Tensor

import oracle
from harmonium import RBM, Purpose, SamplingSchedule, Stream, diagnostics
from harmonium.diagnostics import autocorrelation, r_hat
from harmonium.sampling import ChainState
from unit_types import BY_NAME, PAIRS, UnitType, columns_by_unit, every_pair, random_rbm

Array = NDArray[np.float64]


def autoregressive(phi: float, shape: tuple[int, int], seed: int) -> Array:
    """Stationary chains x_t = phi x_{t-1} + noise of variance 1; rho_t is phi^t."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    noise[:, 1:] *= math.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=1))


def time_of(phi: float) -> float:
    """1 + 2 sum of phi^t."""
    return (1 + phi) / (1 - phi)


# Autocorrelation


@pytest.mark.parametrize(
    ("phi", "shape"),
    [
        (0.0, (100, 500)),
        (0.5, (100, 500)),
        (0.9, (100, 1000)),
        (0.98, (100, 3000)),
        (0.98, (1, 100_000)),
        (0.9, (4, 5000)),
    ],
)
def test_autocorrelation_time_of_an_autoregressive_process(
    phi: float, shape: tuple[int, int]
) -> None:
    """Over repetitions: each within 5 of its standard errors, and their mean without much bias."""
    z = []
    for seed in range(20):
        found = autocorrelation(torch.from_numpy(autoregressive(phi, shape, seed)))
        assert found.is_resolved
        z.append((found.time - time_of(phi)) / found.std_error)
    assert max(map(abs, z)) < 5
    # the initial sequence ends where noise crosses zero, and so leans upwards by less than one
    assert -4 / math.sqrt(len(z)) < np.mean(z) < 1 + 4 / math.sqrt(len(z))


def test_autocorrelation_function_is_that_of_the_process() -> None:
    phi, shape = 0.8, (200, 2000)
    found = autocorrelation(torch.from_numpy(autoregressive(phi, shape, 0)))
    lags = np.arange(30)
    # Bartlett: the variance of each rho_t is at most the time over the number of records
    tolerance = 4 * math.sqrt(time_of(phi) / (shape[0] * shape[1]))
    assert found.function[0] == 1
    assert np.abs(found.function[:30].numpy() - phi**lags).max() < tolerance
    assert len(found.function) == shape[1] // 2


def test_a_slow_part_of_little_variance_is_not_missed() -> None:
    """Most of the variance fades at once, 5 % of it within a hundred records."""
    fast, slow, share = 0.3, 0.98, 0.05
    shape = (100, 4000)
    x = math.sqrt(1 - share) * autoregressive(fast, shape, 0)
    x += math.sqrt(share) * autoregressive(slow, shape, 1)
    exact = (1 - share) * time_of(fast) + share * time_of(slow)
    found = autocorrelation(torch.from_numpy(x))
    assert found.is_resolved
    assert abs(found.time - exact) < 5 * found.std_error
    # Sokal's window would have closed at five times its own sum, and have seen less than this
    rho = found.function.numpy()
    sums = 2 * np.cumsum(rho) - 1
    window = int(np.argmax(np.arange(len(sums)) >= 5 * sums))
    assert exact - sums[window] > 2 * found.std_error


def test_the_standard_error_is_the_spread_of_the_estimate() -> None:
    phi, shape = 0.9, (50, 1000)
    found = [
        autocorrelation(torch.from_numpy(autoregressive(phi, shape, seed))) for seed in range(100)
    ]
    spread = np.std([one.time for one in found], ddof=1)
    said = np.mean([one.std_error for one in found])
    # of the standard deviation of 100 numbers, relative; what is said is an approximation besides
    assert 0.5 < said / spread < 2


def test_chains_that_stay_apart_are_not_resolved() -> None:
    """Each chain by itself looks independent; about the mean of all, nothing ever fades."""
    x = np.random.default_rng(0).standard_normal((10, 1000)) + 3 * np.arange(10)[:, None]
    found = autocorrelation(torch.from_numpy(x))
    assert not found.is_resolved
    assert found.time > 400
    assert found.effective_sample_size < 10 * 1000 / 400


def test_effective_sample_size_is_what_the_mean_is_worth() -> None:
    phi, shape, repeats = 0.8, (10, 500), 400
    means = [autoregressive(phi, shape, seed).mean() for seed in range(repeats)]
    found = autocorrelation(torch.from_numpy(autoregressive(phi, (100, 5000), 0)))
    expected = found.time / (shape[0] * shape[1])  # of a mean of records of variance 1
    assert np.var(means) / expected == pytest.approx(1, abs=4 * math.sqrt(2 / repeats))
    assert found.effective_sample_size == found.n_records / found.time


def test_affine_changes_and_the_dtype_make_no_difference() -> None:
    x = torch.from_numpy(autoregressive(0.9, (10, 500), 0))
    found = autocorrelation(x)
    assert autocorrelation(5 - 1e3 * x).time == pytest.approx(found.time, rel=1e-9)
    assert autocorrelation(x.float()).time == pytest.approx(found.time, rel=1e-5)
    assert r_hat(1e3 * x + 7) == pytest.approx(r_hat(x), rel=1e-9)


# R-hat


def reference_r_hat(x: Array) -> float:
    """Vehtari et al. (2021) once more, by SciPy's ranks and quantiles."""
    half = x.shape[1] // 2
    x = np.concatenate([x[:, :half], x[:, -half:]])
    worst = 0.0
    for values in (x, np.abs(x - np.median(x))):
        z = norm.ppf((rankdata(values).reshape(values.shape) - 0.375) / (values.size + 0.25))
        within, between = z.var(axis=1, ddof=1).mean(), half * z.mean(axis=1).var(ddof=1)
        worst = max(worst, math.sqrt(((half - 1) / half * within + between / half) / within))
    return worst


@pytest.mark.parametrize("shape", [(1, 100), (4, 101), (50, 40)])
@pytest.mark.parametrize("digits", [9, 0], ids=["", "ties"])
def test_r_hat_is_that_of_the_paper(shape: tuple[int, int], digits: int) -> None:
    x = (2 * autoregressive(0.7, shape, 3) + 0.3 * np.arange(shape[0])[:, None]).round(digits)
    assert r_hat(torch.from_numpy(x)) == pytest.approx(reference_r_hat(x), rel=1e-10)


def test_r_hat_of_chains_that_agree_is_1() -> None:
    n_chains, n = 100, 1000
    for seed in range(10):
        x = np.random.default_rng(seed).standard_normal((n_chains, n))
        # (n - 1) / n + B / (n W), with n B / W a mean of 2 n_chains chi-squares, over half chains
        tolerance = 4 * math.sqrt(2 / (2 * n_chains)) / (n / 2) / 2
        assert abs(r_hat(torch.from_numpy(x)) - 1) < tolerance


def test_r_hat_follows_the_autocorrelation_time() -> None:
    """For stationary chains it is sqrt(1 + T / n), over halves of chains, as its limit has it."""
    phi, n = 0.99, 2000
    x = torch.from_numpy(autoregressive(phi, (400, n), 0))
    expected = math.sqrt(1 + time_of(phi) / (n / 2))
    assert r_hat(x) - 1 == pytest.approx(expected - 1, rel=0.25)


def test_r_hat_sees_chains_in_other_places_drifting_or_wider() -> None:
    noise = np.random.default_rng(0).standard_normal((10, 400))
    places = noise + 2 * (np.arange(10) % 2)[:, None]
    drift = noise + np.linspace(0, 4, 400)
    wider = noise * np.where(np.arange(10) % 2, 1, 5)[:, None]
    for x in (places, drift, wider):
        assert r_hat(torch.from_numpy(x)) > 1.2
    assert r_hat(torch.from_numpy(noise)) < 1.01


def test_r_hat_of_chains_that_do_not_move_is_infinite() -> None:
    x = torch.arange(4.0)[:, None].expand(4, 100)
    assert r_hat(x) == math.inf
    assert not autocorrelation(x).is_resolved


# Both refuse what they cannot judge


@pytest.mark.parametrize("judge", [autocorrelation, r_hat])
def test_series_that_cannot_be_judged(judge: object) -> None:
    assert callable(judge)
    with pytest.raises(ValueError, match=r"shape \(4, 7\); pass \(n_chains, n_records\), with 8"):
        judge(torch.zeros(4, 7))
    with pytest.raises(ValueError, match=r"shape \(20,\)"):
        judge(torch.zeros(20))
    with pytest.raises(ValueError, match="series is 3 throughout"):
        judge(torch.full((4, 20), 3.0))
    x = torch.randn(4, 20, generator=torch.Generator().manual_seed(0))
    x[1, 2], x[3, 4] = math.nan, math.inf
    with pytest.raises(ValueError, match="2 values of 80 that are not finite"):
        judge(x)


# RBMs whose transition matrix can be written down


def exact_times(series: Array, transition: Array, p: Array) -> Array:
    """Integrated autocorrelation times of functions of the visible states, (n_states, k).

    With f less its mean and Z = (1 - P + 1 p)^-1, the sum of P^t f over t >= 0 is Z f.
    """
    f = series - p @ series
    n = len(p)
    summed = np.linalg.solve(np.eye(n) - transition + np.ones((n, 1)) * p, f)
    variance = p @ f**2
    return 2 * (p @ (f * summed)) / variance - 1


def transition_matrix(model: oracle.Model) -> tuple[Array, Array, Array]:
    """Visible states, the probability of each, and of each from each in one sweep."""
    v, h = model.visible.points()[0], model.hidden.points()[0]
    log_joint = -model.energy(v[:, None], h[None])
    joint = np.exp(log_joint - log_joint.max())
    joint /= joint.sum()
    h_given_v = joint / joint.sum(1, keepdims=True)
    v_given_h = joint / joint.sum(0)
    return v, joint.sum(1), h_given_v @ v_given_h.T


DISCRETE = [(v, h) for v, h in PAIRS if v.make(1).is_discrete and h.make(1).is_discrete]


@pytest.mark.parametrize(("visible", "hidden"), DISCRETE)
def test_times_of_an_rbm_are_those_of_its_transition_matrix(
    visible: UnitType, hidden: UnitType
) -> None:
    """Within 5 standard errors over the lags that were summed; what is left of it is little."""
    rbm, model = random_rbm(visible, hidden, sizes=(4, 3), seed=5, scale=1.5)
    states, p, transition = transition_matrix(model)
    names, values = observables(rbm, torch.from_numpy(states))
    exact = exact_times(np.stack(values, 1), transition, p)
    chains = exact_chains(rbm, model, 200)
    recording = diagnostics.record(
        rbm, chains, SamplingSchedule(1, 500, 1), Stream(6, Purpose.DIAGNOSE)
    )
    curves = diagnostics.autocorrelations(recording)
    mixing = diagnostics.mixing(recording, curves)
    assert curves.keys() == mixing.observables.keys() == set(names)
    for name, value, time in zip(names, values, exact, strict=True):
        found = mixing.observables[name]
        assert found.is_resolved
        seen = exact_sum(value, transition, p, curves[name].window)
        assert abs(found.autocorrelation_time - seen) < 5 * found.std_error, name
        assert seen > 0.9 * time
        assert found.effective_sample_size == 200 * 500 / found.autocorrelation_time


def exact_sum(f: Array, transition: Array, p: Array, window: int) -> float:
    """1 + 2 sum of rho_t over the lags 1 to window - 1."""
    f = f - p @ f
    covariance, moved = [], f
    for _ in range(window):
        covariance.append(p @ (f * moved))
        moved = transition @ moved
    return float(2 * sum(covariance) / covariance[0] - 1)


def observables(rbm: RBM, v: Tensor) -> tuple[list[str], list[Array]]:
    """What `Recording.series` is of, from the definitions."""
    names = ["energy", "visible magnetisation", "hidden magnetisation"]
    with torch.no_grad():
        first_v, first_h = (
            [columns.start for columns in columns_by_unit(units)]
            for units in (rbm.visible, rbm.hidden)
        )
        mean_hidden = rbm.mean_h_from_v(v)[:, first_h].mean(1)
        left = torch.linalg.svd(rbm.weights, full_matrices=False)[0]
        values = [rbm.free_energy(v), v[:, first_v].mean(1), mean_hidden]
        values += list((v @ left).T)
    names += [f"direction {i + 1}" for i in range(left.shape[1])]
    return names, [value.numpy() for value in values]


def exact_chains(rbm: RBM, model: oracle.Model, n_chains: int) -> ChainState:
    v, h = oracle.Joint(model).draw(n_chains, seed=7)
    return ChainState(torch.from_numpy(v).to(rbm.weights), torch.from_numpy(h).to(rbm.weights))


def test_records_further_apart_give_the_same_time() -> None:
    """In sweeps, up to what the spacing hides: rho at multiples of it, each counted so often."""
    rbm, model = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(4, 3), seed=5, scale=3.0)
    states, p, transition = transition_matrix(model)
    every = 5
    names, values = observables(rbm, torch.from_numpy(states))
    thinned = np.linalg.matrix_power(transition, every)
    exact = every * exact_times(np.stack(values, 1), thinned, p)
    schedule = SamplingSchedule(every, 300, every)
    stream = Stream(6, Purpose.DIAGNOSE)
    recording = diagnostics.record(rbm, exact_chains(rbm, model, 200), schedule, stream)
    mixing = diagnostics.mixing(recording, diagnostics.autocorrelations(recording), n_warmup=5)
    for name, time in zip(names, exact, strict=True):
        found = mixing.observables[name]
        assert abs(found.autocorrelation_time - time) < 5 * found.std_error
    assert (mixing.n_chains, mixing.n_warmup, mixing.n_sweeps) == (200, 5, 299 * every)
    assert mixing.sweeps_per_record == every


# Recording


@every_pair
def test_series_are_of_the_states_that_sampling_visits(visible: UnitType, hidden: UnitType) -> None:
    from harmonium.sampling import sample, start_random

    rbm, _ = random_rbm(visible, hidden, seed=8, scale=0.3)
    schedule = SamplingSchedule(3, 10, 2)
    chains = start_random(rbm, 6, Stream(9, Purpose.DIAGNOSE))
    recording = diagnostics.record(rbm, chains.clone(), schedule, Stream(10, Purpose.DIAGNOSE))
    seen = sample(rbm, chains, schedule, Stream(10, Purpose.DIAGNOSE))
    states = torch.stack([now.visible.clone() for now in seen], 1)
    torch.testing.assert_close(recording.states, states)
    for name, values in zip(*observables(rbm, states.flatten(0, 1)), strict=True):
        expected = torch.from_numpy(values).reshape(6, 10)
        torch.testing.assert_close(recording.series[name], expected)


def test_chains_start_apart() -> None:
    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(6, 2), seed=11)
    rows = torch.eye(6, dtype=torch.float64)[:2]
    stream = Stream(12, Purpose.DIAGNOSE)
    chains = diagnostics.start_apart(rbm, rows, 7, stream)
    assert torch.equal(chains.visible[:3], rows[[0, 1, 0]])
    assert len(chains) == 7
    chains.check(rbm)
    assert len(diagnostics.start_apart(rbm, rows, 1, stream)) == 1
    with pytest.raises(ValueError, match="n_chains is 0; pass 1 or more"):
        diagnostics.start_apart(rbm, rows, 0, stream)
    with pytest.raises(ValueError, match="no rows for chains to start at"):
        diagnostics.start_apart(rbm, rows[:0], 2, stream)


def test_half_of_the_sweeps_are_warm_up() -> None:
    for n_sweeps in (16, 17, 100, 1999, 10_000, 123_457):
        schedule = diagnostics.schedule_of(n_sweeps, most_records=1000)
        assert 8 <= schedule.n_samples <= 1000
        assert schedule.n_warmup >= n_sweeps // 2
        assert 0.9 * n_sweeps <= schedule.n_sweeps <= n_sweeps
    with pytest.raises(ValueError, match="n_sweeps is 14; pass 16 or more"):
        diagnostics.schedule_of(14, most_records=1000)
