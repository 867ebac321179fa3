"""Log Z along a training against exact values: unbiased, with an error that can be trusted."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from harmonium import RBM, Purpose, Stream
from harmonium.likelihood import Population, exact_log_z
from phases import log_z_of, one_thread  # noqa: F401
from unit_types import (
    BY_NAME,
    UNIT_TYPES,
    UnitType,
    every_pair,
    has_half_lines,
    random_rbm,
    randomise_,
)

REPETITIONS = 200
PARTICLES = 100
LOOKS = 6


def trajectory(visible: UnitType, hidden: UnitType, looks: int = LOOKS) -> list[RBM]:
    """Models of a training: weights that grow from nothing, and wander."""
    both_continuous = visible.is_continuous and hidden.is_continuous
    scale = 0.4 if both_continuous else 1.0
    sizes = (2, 3) if has_half_lines(visible, hidden) else (4, 3)  # what quadrature can do
    last, _ = random_rbm(visible, hidden, sizes=sizes, seed=0, scale=scale)
    models = []
    for look in range(looks):
        rbm = copy.deepcopy(last).requires_grad_(False)
        generator = torch.Generator().manual_seed(look)
        wander = 0.1 * scale * torch.randn(rbm.weights.shape, generator=generator).double()
        rbm.weights.mul_(look / (looks - 1)).add_(wander if look else 0.0)
        models.append(rbm)
    return models


def exact_population(rbm: RBM, seed: int) -> Population:
    """Of a model without weights, whose units are independent."""
    assert not rbm.weights.any()
    stream = Stream(seed, Purpose.LIKELIHOOD)
    visible = rbm.visible.sample_(rbm.weights.new_zeros(PARTICLES, rbm.visible.n_columns), stream)
    weights = torch.zeros(PARTICLES, dtype=torch.float64)
    log_z = rbm.visible.cgf(rbm.visible.bias * 0).sum() + rbm.hidden.cgf(0 * rbm.hidden.bias).sum()
    return Population(rbm, visible, weights, log_z.item(), 0.0, stream)


def follow(models: list[RBM], seed: int, n_steps: int = 2) -> Population:
    population = exact_population(models[0], seed)
    for rbm in models[1:]:
        population.follow_(rbm, n_steps)
    return population


@every_pair
def test_it_knows_the_last_model(visible: UnitType, hidden: UnitType) -> None:
    models = trajectory(visible, hidden)
    log_z = follow(models, seed=1, n_steps=10).log_z
    assert log_z.errs == "below" and log_z.n_chains == PARTICLES
    assert 0 < log_z.std_error < 0.2
    assert abs(log_z.value - log_z_of(models[-1], visible, hidden)) < 4 * log_z.std_error


@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
def test_it_begins_at_any_model(visible: UnitType) -> None:
    rbm = trajectory(visible, BY_NAME["binary"])[-1]
    rows = rbm.visible.sample(rbm.weights.new_zeros(50, rbm.visible.n_columns), Stream(0, 6))
    log_z = Population.begin(rbm, rows, PARTICLES, n_temperatures=20, seed=4).log_z
    assert 0 < log_z.std_error < 0.2
    assert abs(log_z.value - exact_log_z(rbm).value) < 4 * log_z.std_error


@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
def test_the_estimate_of_z_is_unbiased(visible: UnitType) -> None:
    """However few the steps, and whether particles were drawn anew or not."""
    models = trajectory(visible, BY_NAME["binary"])
    exact = exact_log_z(models[-1]).value
    estimates = [follow(models, seed) for seed in range(REPETITIONS)]
    ratios = np.exp([population.log_z.value - exact for population in estimates])
    assert abs(ratios.mean() - 1) < 4.5 * ratios.std() / math.sqrt(REPETITIONS)
    assert ratios.std() > 0.01  # there is something to average over


def test_standard_errors_cover() -> None:
    models = trajectory(BY_NAME["binary"], BY_NAME["binary"])
    exact = exact_log_z(models[-1]).value
    covered = 0
    for seed in range(REPETITIONS):
        log_z = follow(models, seed).log_z
        covered += abs(log_z.value - exact) < 2 * log_z.std_error
    assert covered >= 0.9 * REPETITIONS
    # nor are they too large: of a normal estimate 95.4 % are within two, and this many seldom
    assert covered <= binom.isf(1e-6, REPETITIONS, 0.9545)


def far(scale: float = 3.0) -> list[RBM]:
    """Two models so different that few particles of the first count in the second."""
    first, last = trajectory(BY_NAME["binary"], BY_NAME["binary"], looks=2)
    return [first, randomised(last, scale)]


def randomised(rbm: RBM, scale: float) -> RBM:
    changed = copy.deepcopy(rbm).double()
    changed.requires_grad_(True)
    randomise_(changed, seed=3, scale=scale)
    return changed.requires_grad_(False)


def test_particles_are_drawn_anew_where_few_carry_the_weight() -> None:
    first, last = far(12.0)
    population = follow([first], seed=1)
    before = population.log_z
    assert before.effective_chains == pytest.approx(PARTICLES)
    population.follow_(last, 1)
    assert not population.log_weights.any()  # all alike again
    assert population.log_z.value == pytest.approx(population.base_log_z) != before.value
    # but their families are not
    log_z = population.log_z
    n_each = population.families.bincount(minlength=PARTICLES).double()
    assert log_z.effective_chains == pytest.approx(PARTICLES**2 / (n_each**2).sum().item())
    assert log_z.std_error == pytest.approx(n_each.std().item() / math.sqrt(PARTICLES))
    # and in proportion to their weights: they are particles of the model now
    settled = copy.deepcopy(population)
    for _ in range(20):
        settled.follow_(last, 1)
    energies = [last.free_energy(p.visible).mean().item() for p in (population, settled)]
    spread = last.free_energy(settled.visible).std().item() / math.sqrt(PARTICLES)
    assert abs(energies[0] - energies[1]) < 6 * spread


def test_more_steps_are_made_where_the_model_has_changed_by_much() -> None:
    first, last = far()
    population = exact_population(first, seed=0)
    moved = copy.deepcopy(population)
    before = moved.stream.position
    moved.follow_(first, 3)
    usual = moved.stream.position - before
    population.follow_(last, 3)
    assert usual < population.stream.position - before <= 10 * usual + 1


def test_a_wrong_weight_is_noticed() -> None:
    """The test of the bias has the power to see a tenth of a step's weight missing."""

    class Light(Population):
        def follow_(self, rbm: RBM, n_steps: int) -> None:
            before = self.log_weights.clone()
            super().follow_(rbm, n_steps)
            self.log_weights = 0.9 * self.log_weights + 0.1 * before

    models = trajectory(BY_NAME["binary"], BY_NAME["binary"])
    exact = exact_log_z(models[-1]).value
    ratios = []
    for seed in range(50):
        light = Light(**vars(exact_population(models[0], seed)))
        for rbm in models[1:]:
            light.follow_(rbm, 2)
        ratios.append(math.exp(light.log_z.value - exact))
    off = np.array(ratios)
    assert abs(off.mean() - 1) > 4.5 * off.std() / math.sqrt(len(off))


def test_it_is_the_seed_s_and_leaves_the_model_alone() -> None:
    models = trajectory(BY_NAME["binary"], BY_NAME["binary"])
    before = copy.deepcopy(models[-1].state_dict())
    first, again, other = (follow(models, seed).log_z.value for seed in (1, 1, 2))
    assert first == again != other
    for name, value in models[-1].state_dict().items():
        assert torch.equal(value, before[name])


def test_bad_input_is_named() -> None:
    first, last = far()
    rows = torch.zeros(3, first.visible.n_columns).double()
    with pytest.raises(ValueError, match="n_particles is 9; pass 10 or more"):
        Population.begin(first, rows, n_particles=9)
    with pytest.raises(ValueError, match="n_temperatures is 1; pass 2 or more"):
        Population.begin(first, rows, n_temperatures=1)
    population = follow([first], seed=1)
    with pytest.raises(ValueError, match="n_steps is 0; pass 1 or more"):
        population.follow_(last, 0)
    with torch.no_grad():
        last.weights.fill_(1e308)
    with pytest.raises(FloatingPointError, match="the parameters are too large"):
        population.follow_(last, 1)
