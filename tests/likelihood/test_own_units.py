"""Unit types of one's own, with further learned parameters, have the log Z that enumeration gives.

Along a training, by annealing, and along ladders: nobody told these of the parameters.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from harmonium import (
    RBM,
    Binary,
    Data,
    Gaussian,
    Minibatches,
    Mixed,
    Purpose,
    Stream,
    TrainingState,
    sampling,
    training,
)
from harmonium.likelihood import (
    AnnealingPath,
    Population,
    annealed_importance_sampling,
    base_rates,
    exact_log_likelihood,
    exact_log_z,
    ladder_log_z,
    raise_log_likelihood,
    reverse_annealed_importance_sampling,
)
from harmonium.monitor import Following, Monitor
from harmonium.sampling import ChainState, Tempering, TrajectoryTempering
from harmonium.units import Units
from own_units import OWN_TYPES, Cubic, LogCubic
from phases import one_thread  # noqa: F401
from unit_types import randomise_

every_type = pytest.mark.parametrize("own", OWN_TYPES)


def layers(own: type[Cubic]) -> dict[str, RBM]:
    """Such units in each place, small."""
    return {
        "visible": RBM(own(4), Binary(3)),
        "hidden": RBM(Binary(4), own(3)),
        "beside others": RBM(Mixed(own(2), Binary(2)), Mixed(Binary(1), own(2))),
        "beside Gaussian ones": RBM(Mixed(Gaussian(2, learn_precision=True), own(2)), Binary(3)),
    }


PLACES = layers(Cubic).keys()
every_place = pytest.mark.parametrize("place", PLACES)


def model(own: type[Cubic], place: str, seed: int = 0) -> RBM:
    rbm = layers(own)[place].double()
    randomise_(rbm, seed)
    return rbm.requires_grad_(False)


def draws(rbm: RBM, n: int) -> Tensor:
    """Of independent units, as many rows as are wanted."""
    return rbm.visible.sample(rbm.weights.new_zeros(n, rbm.visible.n_columns), Stream(0, 6))


@every_type
@pytest.mark.parametrize("place", ["visible", "hidden"])
def test_a_learning_curve_agrees_with_enumeration(own: type[Cubic], place: str) -> None:
    """Trained for real, with every parameter of the units, at every row of numbers."""
    rbm = RBM(own(8), Binary(13)) if place == "visible" else RBM(Binary(13), own(8))
    values = draws(RBM(copy.deepcopy(rbm.visible), Binary(1)), 200)
    values[:, 1] = values[:, 0]  # something to learn
    data = Data("rows", values)
    rbm.init_from_data_(data, seed=0, weight_std=0.5)
    state = TrainingState.create(rbm, learning_rate=0.1, n_chains=50)
    monitor = Monitor(data, following=Following(n_particles=100, n_temperatures=50, n_steps=5))
    layer = rbm.visible if place == "visible" else rbm.hidden
    before = {name: p.clone() for name, p in layer.named_parameters()}
    rows = training.run(state, Minibatches(data, 20), epochs=6, monitor=monitor, every=20)
    for row in rows:
        of_rows = exact_log_likelihood(rbm, values)
        off = row["log_likelihood"] - of_rows.mean().item()
        assert abs(off) < 4 * row["log_z_std_error"]
    assert 0 < row["log_z_std_error"] < 0.3
    for name, parameter in layer.named_parameters():
        assert (parameter - before[name]).abs().max() > 0.05  # or nothing would have been shown


@every_type
@every_place
def test_a_population_follows_them(own: type[Cubic], place: str) -> None:
    rbm = model(own, place)
    population = Population.begin(rbm, draws(rbm, 50), 200, n_temperatures=30, seed=1)
    for seed in range(1, 4):
        rbm = model(own, place, seed)
        population.follow_(rbm, 10)
        log_z = population.log_z
        assert 0 < log_z.std_error < 0.5
        assert abs(log_z.value - exact_log_z(rbm).value) < 4 * log_z.std_error


def test_what_nobody_says_is_followed_all_the_same() -> None:
    """A type may keep what its energy depends on wherever it likes."""

    class Hidden(Cubic):
        power = 1.0

        def by_square(self) -> Tensor:
            return self.square * self.power

    rbm = RBM(Hidden(4), Binary(3)).double()
    randomise_(rbm, 0)
    rbm.requires_grad_(False)
    population = Population.begin(rbm, draws(rbm, 50), 200, n_temperatures=30, seed=1)
    rbm.visible.power = 2.0  # type: ignore[assignment]
    population.follow_(rbm, 10)
    off = population.log_z.value - exact_log_z(rbm).value
    assert abs(off) < 4 * population.log_z.std_error < 1.0


@every_type
@every_place
def test_annealing_bounds_them_from_both_sides(own: type[Cubic], place: str) -> None:
    rbm = model(own, place)
    path = AnnealingPath.adaptive(rbm, draws(rbm, 50), 60, seed=1)
    exact = exact_log_z(rbm).value
    below = annealed_importance_sampling(path, 200, seed=1).result()
    assert abs(below.value - exact) < 4 * below.std_error < 0.3
    chains = sampling.start_random(rbm, 200, Stream(0, Purpose.SAMPLE))
    sampler = sampling.Gibbs(sweeps=100)
    sampler(rbm, chains, Stream(1, Purpose.SAMPLE))
    above = reverse_annealed_importance_sampling(path, chains.visible, seed=1).result()
    assert abs(above.value - exact) < 4 * above.std_error < 0.3
    rows = raise_log_likelihood(path, chains.visible[:50], 20, seed=1).result()
    off = rows.log_likelihood - exact_log_likelihood(rbm, chains.visible[:50])
    assert abs(off.mean()) < 4 * off.std() / 50**0.5 + 0.05


def test_a_base_that_leads_nowhere_straight_is_refused() -> None:
    rbm = model(LogCubic, "visible")
    base = base_rates(rbm, draws(rbm, 50))
    AnnealingPath(base, rbm, [0.0, 1.0])
    base.visible.get_parameter("square").add_(1.0)
    with pytest.raises(ValueError, match=r"energies do not change linearly.*`Units\.interpolate_`"):
        AnnealingPath(base, rbm, [0.0, 1.0])
    natural = model(Cubic, "visible")
    base = base_rates(natural, draws(natural, 50))
    base.visible.get_parameter("square").add_(1.0)
    AnnealingPath(base, natural, [0.0, 1.0])


@every_type
@every_place
def test_a_ladder_of_temperatures_knows_log_z(own: type[Cubic], place: str) -> None:
    """Also from independent units that were kept while the model's parameters moved."""
    base = sampling.independent_units(model(own, place, seed=5))
    rbm = model(own, place)
    stream = Stream(2, Purpose.SAMPLE)
    chains = sampling.start_random(rbm, 100, stream)
    sampling.temper(rbm, chains, stream, 4, base=base)
    assert_ladder(rbm, chains, Tempering(sweeps=50), [rbm])


@every_type
@every_place
def test_two_levels_are_a_ladder(own: type[Cubic], place: str) -> None:
    """Every second turn has no pair."""
    rbm, stream = model(own, place), Stream(2, Purpose.SAMPLE)
    chains = sampling.start_random(rbm, 10, stream)
    Tempering(sweeps=3, n_temperatures=2)(rbm, chains, stream)
    assert chains.replicas is not None and chains.replicas.tried.tolist() == [2]


@every_type
@every_place
def test_a_ladder_of_models_knows_log_z(own: type[Cubic], place: str) -> None:
    models = [model(own, place, seed) for seed in range(3)]
    rbm = models[-1]
    sampler = TrajectoryTempering(models, sweeps=50)
    chains = sampling.start_random(rbm, 100, Stream(2, Purpose.SAMPLE))
    assert_ladder(rbm, chains, sampler, models)


def assert_ladder(
    rbm: RBM,
    chains: ChainState,
    sampler: Tempering | TrajectoryTempering,
    last: list[RBM],
) -> None:
    stream = Stream(3, Purpose.SAMPLE)
    sampler(rbm, chains, stream)
    found = ladder_log_z(rbm, chains, stream, sampler, n_sweeps=100)
    for at, of_level in enumerate(reversed(last), start=1):
        off = found.values[-at].item() - exact_log_z(of_level).value
        assert abs(off) < 4 * found.std_errors[-at].item() < 0.4
    states = chains.visible, chains.hidden
    for units, x in zip((rbm.visible, rbm.hidden), states, strict=True):
        units.check(x, "states")
        assert torch.equal(nearest(units, x), x)


def nearest(units: Units, x: Tensor) -> Tensor:
    """States as whole numbers, where units are discrete."""
    x = x.clone()
    for columns, kind in units.groups:
        if kind.states is not None:
            x[:, columns] = x[:, columns].round()
    return x


@every_type
def test_a_mixed_layer_has_the_energy_of_all_its_units(own: type[Cubic]) -> None:
    parts = [own(3), Binary(2), Gaussian(2, precision=2.0)]
    for seed, part in enumerate(parts):
        randomise_(part, seed)
    mixed = Mixed(*parts)
    x = torch.cat([part.sample(torch.zeros(20, part.n), Stream(0, 6)) for part in parts], 1)
    split = x.split([3, 2, 2], 1)
    energies = [part.energy(of_part) for part, of_part in zip(parts, split, strict=True)]
    torch.testing.assert_close(mixed.energy(x), torch.stack(energies).sum(0))
