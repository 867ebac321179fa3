"""What a look at a model reports, and that looking leaves everything as it was."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from harmonium import RBM, Binary, Gaussian, Monitor, Purpose, Stream, diagnostics
from harmonium.datasets import Data, OneHot, Stochastic, Threshold
from harmonium.likelihood import (
    Population,
    exact_log_likelihood,
    exact_log_z,
    log_likelihood,
    pseudo_log_likelihood,
)
from harmonium.metrics import WARNING
from harmonium.monitor import Following
from harmonium.sampling import start_random
from unit_types import BY_NAME, UNIT_TYPES, UnitType, randomise_

COMMON = {"reconstruction_error", "held_out_reconstruction_error", "free_energy_gap"}
PSEUDO = {
    f"{prefix}pseudo_log_likelihood{suffix}"
    for prefix in ("", "held_out_")
    for suffix in ("", "_std_error")
}
ACTIVITY = {"dead_hidden", "saturated_hidden"}


def data(visible: str, n: int = 40, seed: int = 0, columns: int = 5) -> Data:
    values = torch.rand((n, columns), generator=torch.Generator().manual_seed(seed))
    match visible:
        case "binary":
            return Data("rows", values, Threshold(0.5))
        case "spin":
            return Data("rows", values, Threshold(0.5, low_state=-1.0))
        case "categorical":
            return Data("rows", (3 * values).to(torch.uint8), OneHot(3))
        case "mixed":
            units = BY_NAME["mixed"].make(columns)
            nothing = torch.zeros(n, units.n_columns)
            return Data("rows", units.sample(nothing, Stream(seed, Purpose.SAMPLE)))
    return Data("rows", values)


def model(visible: UnitType, hidden: UnitType, columns: int = 5) -> RBM:
    rbm = RBM(visible.make(columns), hidden.make(4))
    randomise_(rbm, seed=70, scale=0.3)
    return rbm


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
@pytest.mark.parametrize("hidden", UNIT_TYPES, ids=str)
def test_a_look_is_one_flat_row_of_finite_numbers(
    visible: UnitType, hidden: UnitType, persistent: bool
) -> None:
    rbm = model(visible, hidden)
    monitor = Monitor(data(visible.name), data(visible.name, n=10, seed=1), n_rows=20)
    chains = start_random(rbm, 30, Stream(71, Purpose.CHAINS)) if persistent else None
    row = monitor(rbm, chains, update=7)
    expected = set(COMMON)
    if rbm.visible.is_discrete:
        expected |= PSEUDO | {"visible_flip_rate"}
    if rbm.hidden.is_discrete:
        expected |= ACTIVITY | {"hidden_flip_rate"}
    assert row.keys() == expected
    assert all(isinstance(value, float) and math.isfinite(value) for value in row.values())


def test_without_held_out_rows_nothing_is_said_of_them() -> None:
    row = Monitor(data("binary"))(model(BY_NAME["binary"], BY_NAME["binary"]), None, 1)
    assert row.keys().isdisjoint(name for name in (*COMMON, *PSEUDO) if "held_out" in name)
    assert "free_energy_gap" not in row


def test_the_numbers_are_means_over_all_rows_where_those_are_few() -> None:
    rbm, train, held_out = (
        model(BY_NAME["binary"], BY_NAME["binary"]),
        data("binary"),
        data("binary", 9, 1),
    )
    row = Monitor(train, held_out, n_rows=1000)(rbm, None, update=1)
    v, w = (x.rows(torch.arange(len(x))) for x in (train, held_out))
    error = diagnostics.reconstruction_error
    gap = (rbm.free_energy(v).mean() - rbm.free_energy(w).mean()).item()
    assert row["reconstruction_error"] == pytest.approx(error(rbm, v).mean().item(), rel=1e-5)
    assert row["held_out_reconstruction_error"] == pytest.approx(
        error(rbm, w).mean().item(), rel=1e-5
    )
    assert row["free_energy_gap"] == pytest.approx(gap, rel=1e-4, abs=1e-5)
    activity = diagnostics.hidden_activity(rbm, v)
    assert activity is not None
    exact = pseudo_log_likelihood(rbm, v, Stream(0, Purpose.MONITOR), rbm.visible.n)
    assert row["pseudo_log_likelihood"] == pytest.approx(exact.mean().item(), rel=1e-5)
    std_error = exact.std().item() / len(v) ** 0.5
    assert row["pseudo_log_likelihood_std_error"] == pytest.approx(std_error, rel=1e-5)
    assert row["dead_hidden"] == diagnostics.dead_share(activity)
    assert row["saturated_hidden"] == diagnostics.saturated_share(activity)


def test_the_pseudo_log_likelihood_is_that_of_the_rows() -> None:
    # few units are all looked at, which leaves nothing to chance
    rbm = RBM(Binary(5), Binary(4))
    with torch.no_grad():
        rbm.visible.bias.fill_(0.7)
    rows = Data("same", torch.tensor([[1.0, 1, 0, 1, 1]]).repeat(30, 1))
    row = Monitor(rows)(rbm, None, update=1)
    up, down = (-math.log1p(math.exp(sign * 0.7)) for sign in (-1, 1))
    assert row["pseudo_log_likelihood"] == pytest.approx(4 * up + down, rel=1e-5)
    assert row["pseudo_log_likelihood_std_error"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gap_is_negative_where_the_model_prefers_the_training_rows(sign: float) -> None:
    rbm = RBM(Binary(3), Binary(2))
    with torch.no_grad():
        rbm.visible.bias.fill_(sign)
    ones, zeros = Data("ones", torch.ones(4, 3)), Data("zeros", torch.zeros(4, 3))
    row = Monitor(ones, zeros)(rbm, None, update=1)
    assert row["free_energy_gap"] == pytest.approx(-3 * sign)


def test_a_look_is_a_function_of_seed_and_update() -> None:
    rbm = model(BY_NAME["binary"], BY_NAME["binary"], columns=30)
    looks = [
        Monitor(data("binary", columns=30), n_rows=15, seed=seed)(rbm, None, update)
        for seed, update in ((3, 5), (3, 5), (3, 6), (4, 5))
    ]
    assert looks[0] == looks[1]
    assert looks[2]["reconstruction_error"] == looks[0]["reconstruction_error"]
    assert looks[2]["pseudo_log_likelihood"] != looks[0]["pseudo_log_likelihood"]
    assert looks[3]["reconstruction_error"] != looks[0]["reconstruction_error"]


def test_stochastic_rows_are_drawn_once() -> None:
    grey = Data("grey", torch.full((40, 5), 128, dtype=torch.uint8), Stochastic(0, 255))
    monitor = Monitor(grey)
    rbm = model(BY_NAME["binary"], BY_NAME["binary"])
    first, second = (monitor(rbm, None, update) for update in (1, 2))
    assert first["reconstruction_error"] == second["reconstruction_error"]


def test_looking_leaves_model_and_chains_alone() -> None:
    rbm = model(BY_NAME["binary"], BY_NAME["spin"])
    chains = start_random(rbm, 30, Stream(72, Purpose.CHAINS))
    before = chains.clone(), [p.clone() for p in rbm.parameters()]
    Monitor(data("binary"))(rbm, chains, update=1)
    assert torch.equal(chains.visible, before[0].visible)
    assert torch.equal(chains.hidden, before[0].hidden)
    assert all(torch.equal(p, q) for p, q in zip(rbm.parameters(), before[1], strict=True))
    assert all(p.grad is None for p in rbm.parameters())


def test_what_is_not_finite_is_left_out() -> None:
    rbm = RBM(Gaussian(2), Binary(2))
    with torch.no_grad():
        rbm.weights.fill_(1e30)
    row = Monitor(Data("rows", torch.full((3, 2), 1e30)))(rbm, None, update=1)
    assert "reconstruction_error" not in row
    assert "dead_hidden" in row


def test_a_float64_model_can_be_looked_at() -> None:
    rbm = model(BY_NAME["binary"], BY_NAME["binary"]).double()
    row = Monitor(data("binary"), data("binary", 9, 1))(rbm, None, update=1)
    assert row.keys() > PSEUDO


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="n_rows is 0; pass 1 or more"):
        Monitor(data("binary"), n_rows=0)
    with pytest.raises(ValueError, match=r"rows has 6 columns, but the training data rows have 5"):
        Monitor(data("binary"), data("binary", columns=6))


# The log-likelihood


FOLLOWING = Following(n_particles=50, n_temperatures=20, n_steps=3)
LIKELIHOODS = {f"{key}{end}" for key in ("log_z", "log_likelihood") for end in ("", "_std_error")}
HELD_OUT_LIKELIHOODS = {"held_out_log_likelihood", "held_out_log_likelihood_std_error"}


def test_small_models_have_exact_log_likelihoods() -> None:
    rbm = model(BY_NAME["binary"], BY_NAME["binary"])
    train, held_out = data("binary"), data("binary", 9, 1)
    row, population = Monitor(train, held_out, following=FOLLOWING).log_likelihood(rbm, None)
    assert population is None
    assert row.keys() == LIKELIHOODS | HELD_OUT_LIKELIHOODS
    assert row["log_z"] == pytest.approx(exact_log_z(rbm).value) and row["log_z_std_error"] == 0
    for prefix, rows in (("", train), ("held_out_", held_out)):
        exact = exact_log_likelihood(rbm, rows.rows(torch.arange(len(rows))))
        assert row[f"{prefix}log_likelihood"] == pytest.approx(exact.mean().item(), rel=1e-5)
        error = exact.std().item() / math.sqrt(len(rows))
        assert row[f"{prefix}log_likelihood_std_error"] == pytest.approx(error, rel=1e-5)


def test_larger_models_are_followed() -> None:
    rbm = RBM(Binary(20), Binary(16)).requires_grad_(False)
    train = data("binary", n=100, columns=20)
    monitor = Monitor(train, following=FOLLOWING)
    population = None
    for look in range(3):
        randomise_(rbm, seed=1, scale=0.1 * look)
        row, population = monitor.log_likelihood(rbm, population)
        assert population is not None
        assert row.keys() == LIKELIHOODS | {"log_z_effective_particles"}
        assert row["log_z_effective_particles"] > 20
        assert abs(row["log_z"] - exact_log_z(rbm).value) < 4.5 * row["log_z_std_error"]
        of_rows = log_likelihood(rbm, train.rows(torch.arange(100)), population.log_z)
        assert row["log_likelihood"] == pytest.approx(of_rows.mean().item())
        both = math.hypot(of_rows.std().item() / 10, row["log_z_std_error"])
        assert row["log_likelihood_std_error"] == pytest.approx(both)


def test_nobody_follows_who_was_not_asked_to() -> None:
    rbm = model(BY_NAME["binary"], BY_NAME["binary"])
    assert Monitor(data("binary")).log_likelihood(rbm, None) == ({}, None)


def test_grey_values_have_no_likelihood() -> None:
    rbm = model(BY_NAME["binary"], BY_NAME["binary"])
    grey = Data("rows", torch.rand(9, 5))
    assert Monitor(grey, following=FOLLOWING).log_likelihood(rbm, None) == ({}, None)


def test_the_same_rows_are_states_of_some_units_and_none_of_others() -> None:
    binary = model(BY_NAME["binary"], BY_NAME["binary"])
    gaussian = RBM(Gaussian(5), Binary(4)).requires_grad_(False)
    monitor = Monitor(Data("rows", torch.rand(9, 5)), following=FOLLOWING)
    for _ in range(2):
        assert monitor.log_likelihood(binary, None) == ({}, None)
        assert monitor.log_likelihood(gaussian, None)[0].keys() == LIKELIHOODS
    assert monitor.log_likelihood(binary, None) == ({}, None)


def test_a_model_that_cannot_be_normalised_has_no_likelihood_for_now() -> None:
    rbm = RBM(Gaussian(5), Gaussian(4)).requires_grad_(False)
    monitor = Monitor(data("gaussian"), following=FOLLOWING)
    assert monitor.log_likelihood(rbm, None)[0].keys() == LIKELIHOODS
    rbm.weights.fill_(1.0)
    assert monitor.log_likelihood(rbm, None) == ({}, None)


def test_a_population_that_lost_its_model_begins_anew() -> None:
    rbm = RBM(Gaussian(20), Binary(16)).requires_grad_(False)
    monitor = Monitor(data("gaussian", columns=20), following=FOLLOWING)
    row, population = monitor.log_likelihood(rbm, None)
    assert population is not None
    rbm.weights.fill_(1e30)
    assert monitor.log_likelihood(rbm, population) == ({}, None)
    rbm.weights.fill_(0.0)
    again, _ = monitor.log_likelihood(rbm, None)
    assert again == row


# What must not be trusted


def looked_at(rows: int = 100) -> tuple[RBM, Monitor, Population]:
    """A model without weights, and what follows it; enumeration is possible, but not done."""
    rbm = RBM(Binary(20), Binary(16)).requires_grad_(False)
    monitor = Monitor(data("binary", n=rows, columns=20), following=FOLLOWING)
    row, population = monitor.log_likelihood(rbm, None)
    assert population is not None and WARNING not in row
    return rbm, monitor, population


def test_particles_that_cannot_follow_are_told_of_in_words() -> None:
    rbm, monitor, population = looked_at()
    randomise_(rbm, seed=1, scale=12.0)
    row, _ = monitor.log_likelihood(rbm, population)
    assert "lost the model: between two looks it changed so much that" in row[WARNING]
    # for as long as they go on
    row, _ = monitor.log_likelihood(rbm, population)
    assert WARNING in row and row["log_z_effective_particles"] < 20
    assert row.keys() == LIKELIHOODS | {"log_z_effective_particles", WARNING}


def test_particles_that_all_descend_from_a_few_are_told_of_in_words() -> None:
    rbm, monitor, population = looked_at()
    population.families.remainder_(3)
    row, _ = monitor.log_likelihood(rbm, population)
    assert "degenerated: nearly all descend from 3.0 of the first 50" in row[WARNING]
    assert row["log_z_effective_particles"] == pytest.approx(3, abs=0.1)


def test_rows_alone_put_a_bound_on_log_z() -> None:
    """Z is a sum over all states: a log-likelihood of rows that exceeds it is known to be wrong."""
    rbm, monitor, population = looked_at()
    population.base_log_z -= 30
    row, _ = monitor.log_likelihood(rbm, population)
    rows = monitor._rows[""].states.unique(dim=0)
    assert row["log_z"] == pytest.approx((-rbm.free_energy(rows)).logsumexp(0).item(), rel=1e-6)
    assert "the rows alone show that it is" in row[WARNING]
    # and it stays lost where the rows no longer show it
    population.base_log_z += 30
    again, _ = monitor.log_likelihood(rbm, population)
    assert again[WARNING].endswith("modes that they have missed are missing from log Z")
    # rows that are there twice count once
    assert len(rows) < 100 or row["log_likelihood"] <= -math.log(100)


def test_the_last_look_anneals_anew_and_says_what_it_has_found() -> None:
    rbm, monitor, population = looked_at()
    randomise_(rbm, seed=1, scale=0.3)
    population.base_log_z -= 5
    row, _ = monitor.log_likelihood(rbm, population, True)
    assert abs(row["log_z"] - exact_log_z(rbm).value) < 4.5 * row["log_z_std_error"]
    assert row["log_z_raised"] == pytest.approx(5, abs=1)
    # where both agree, there is nothing to say
    rbm, monitor, population = looked_at()
    randomise_(rbm, seed=1, scale=0.3)
    row, _ = monitor.log_likelihood(rbm, population, True)
    assert abs(row["log_z"] - exact_log_z(rbm).value) < 4.5 * row["log_z_std_error"]
    assert row.keys() == LIKELIHOODS | {"log_z_effective_particles"}


def test_particles_that_are_lost_are_annealed_anew_after_some_looks() -> None:
    rbm, monitor, first = looked_at()
    population: Population | None = first
    monitor.following = dataclasses.replace(FOLLOWING, n_looks=3, n_temperatures=200)
    randomise_(rbm, seed=1, scale=0.3)
    first.least = 1.0
    words = []
    for _ in range(4):
        row, population = monitor.log_likelihood(rbm, population)
        assert population is not None
        words.append(WARNING in row)
    assert words == [True, True, False, False]
    assert abs(row["log_z"] - exact_log_z(rbm).value) < 4.5 * row["log_z_std_error"]


def test_an_annealing_that_agrees_is_enough_and_one_that_does_not_stands_alone() -> None:
    rbm, monitor, population = looked_at()
    few = dataclasses.replace(FOLLOWING, n_looks=1, n_temperatures=200)
    monitor.following = few
    randomise_(rbm, seed=1, scale=0.3)
    population.needed = 51.0  # of 50 particles: nothing that the population itself does helps
    agreeing = copy.deepcopy(population)
    row, agreeing = monitor.log_likelihood(rbm, agreeing)
    assert WARNING not in row and agreeing.needed == 4
    # the same particles, which miss most of the model
    population.base_log_z -= 5
    row, population = monitor.log_likelihood(rbm, population)
    assert population.needed == 20
    assert abs(row["log_z"] - exact_log_z(rbm).value) < 4.5 * row["log_z_std_error"]


def test_a_lost_population_that_annealing_does_not_confirm_stays_lost() -> None:
    rbm, monitor, population = looked_at()
    monitor.following = dataclasses.replace(FOLLOWING, n_looks=1, n_temperatures=200)
    randomise_(rbm, seed=1, scale=0.3)
    population.base_log_z += 5  # above what annealing finds, so that these particles are kept
    population.lose_()
    row, population = monitor.log_likelihood(rbm, population)
    assert WARNING in row and row["log_z"] > exact_log_z(rbm).value + 4
    # also after it was stored and read
    assert Population(**vars(population)).warning == row[WARNING]


def test_a_gain_does_not_rest_on_what_cannot_be_trusted() -> None:
    rbm, monitor, _ = looked_at()
    row = {"log_z": 1e3, "log_z_std_error": 0.1}
    trusted = monitor.over_independent_columns(rbm, row)
    assert trusted["gain"] < -100
    doubtful = monitor.over_independent_columns(rbm, {**row, WARNING: "lost"})
    assert doubtful == monitor.over_independent_columns(rbm, {})
