"""Trajectory tempering: every model keeps its distribution, broken exchanges are noticed; log Z."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Spin, TrainingState, sampling, training
from harmonium.likelihood import LogZ, ladder_log_z
from harmonium.likelihood.ladder import bennett
from harmonium.rng import Purpose, Stream
from harmonium.sampling import (
    ChainState,
    Tempering,
    Trajectory,
    TrajectoryTempering,
    choose_models,
    exchange,
    start_random,
)
from harmonium.sampling.levels import ModelLadder
from ladders import exact_replicas, p_values, pair_p_values, stream
from test_no_drift import LEAST_P, every_pair
from unit_types import BY_NAME, UnitType, array, random_rbm

N_CHAINS = 40_000


def trajectory(
    visible: UnitType,
    hidden: UnitType,
    scales: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9),
    sizes: tuple[int, int] = (3, 2),
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> tuple[list[RBM], list[oracle.Model]]:
    """Models whose weights and biases all differ, and grow; the first has no weights."""
    if "poisson" in (visible.name, hidden.name):
        sizes = (2, 2)  # the oracle's states are 71 to the power of its units
    models, twins = [], []
    for number, scale in enumerate(scales):
        rbm, _ = random_rbm(
            visible, hidden, sizes=sizes, seed=number // 2, scale=scale, dtype=dtype, device=device
        )
        if number == 0:
            rbm = sampling.independent_units(rbm)
        models.append(rbm)
        twins.append(
            oracle.Model(visible.twin(rbm.visible), hidden.twin(rbm.hidden), array(rbm.weights))
        )
    return models, twins


def least_p(models: list[RBM], twins: list[oracle.Model], sweeps: int) -> float:
    """How probable it is that replicas that follow their models still do after some sweeps."""
    joints = [oracle.Joint(twin) for twin in twins]
    chains = exact_replicas(models[-1], joints, N_CHAINS, None)
    TrajectoryTempering(models, sweeps)(models[-1], chains, stream())
    return min(*p_values(chains, joints), *pair_p_values(chains, twins[0].visible, joints))


@every_pair
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_no_model_drifts(
    visible: str, hidden: str, dtype: torch.dtype, device: torch.device
) -> None:
    pair = BY_NAME[visible], BY_NAME[hidden]
    both_continuous = all(units.is_continuous for units in pair)
    weak = (0.1, 0.2, 0.3, 0.4) if both_continuous else ()
    models, twins = trajectory(*pair, *filter(None, [weak]), dtype=dtype, device=device)
    assert least_p(models, twins, 7) > LEAST_P


Gains = Callable[[ModelLadder, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def with_the_wrong_sign(gains: Gains) -> Gains:
    def broken(*arguments: object) -> tuple[Tensor, Tensor]:
        gain, inputs = gains(*arguments)
        return -gain, inputs

    return broken


def with_half_the_free_energies(gains: Gains) -> Gains:
    """As if the two states that change places were counted once."""

    def broken(ladder: ModelLadder, v: Tensor, inputs: Tensor, first: int) -> tuple[Tensor, Tensor]:
        gain, there = gains(ladder, v, inputs, first)
        return gain / 2, there

    return broken


def with_stale_inputs(gains: Gains) -> Gains:
    """What hidden units receive after a swap is what the other model's would have."""

    def broken(ladder: ModelLadder, v: Tensor, inputs: Tensor, first: int) -> tuple[Tensor, Tensor]:
        gain, _ = gains(ladder, v, inputs, first)
        return gain, inputs

    return broken


@pytest.mark.parametrize(
    "fault", [with_the_wrong_sign, with_half_the_free_energies, with_stale_inputs]
)
def test_a_broken_exchange_is_noticed(
    fault: Callable[[Gains], Gains], monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = (0.5, 1.2, 2.0)
    models, twins = trajectory(BY_NAME["binary"], BY_NAME["spin"], scales, sizes=(3, 3))
    assert least_p(models, twins, 12) > LEAST_P
    monkeypatch.setattr(exchange, "_gains", fault(exchange._gains))
    assert least_p(models, twins, 12) < LEAST_P


# --- log Z ------------------------------------------------------------------------------------


def log_z(model: oracle.Model) -> float:
    """By summing over all visible states, Gaussian ones by quadrature, and hidden ones by unit."""
    v, log_volume = model.visible.points()
    hidden = sum(
        unit.log_normaliser(of_unit) for unit, of_unit in model.hidden.by_unit(v @ model.weights)
    )
    return float(logsumexp(hidden + log_volume - model.visible.energy(v)))


PAIRS = [
    ("binary", "binary"),
    ("spin", "categorical"),
    ("gaussian", "binary"),
    ("categorical", "gaussian"),
    ("poisson", "binomial"),
]


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_log_z_of_every_model_is_the_enumerated_one(visible: str, hidden: str) -> None:
    # quadrature over two Gaussian visible units, or none
    models, twins = trajectory(BY_NAME[visible], BY_NAME[hidden], sizes=(2, 3))
    sampler = TrajectoryTempering(models)
    chains = start_random(models[-1], 200, stream())
    for _ in range(50):
        sampler(models[-1], chains, stream(50))
    found = ladder_log_z(models[-1], chains, stream(1000), sampler, n_sweeps=200)
    expected = np.array([log_z(twin) for twin in twins])
    assert abs(found.values[0] - expected[0]) < 1e-9 and found.std_errors[0] == 0
    error = np.abs(array(found.values) - expected)[1:]
    assert (error < 4 * array(found.std_errors)[1:]).all()
    assert found.std_error < 0.05
    assert (found.value, found.std_error) == (found.values[-1], found.std_errors[-1])


def test_the_standard_error_is_what_it_says() -> None:
    """Over many repetitions, chains that remember their past and all."""
    models, twins = trajectory(BY_NAME["binary"], BY_NAME["binary"], (0.5, 1.0, 2.0), sizes=(4, 3))
    expected, n = log_z(twins[-1]), 200
    joints = [oracle.Joint(twin) for twin in twins]
    sampler = TrajectoryTempering(models)
    all_chains = exact_replicas(models[-1], joints, 20 * n, None).replicas.by_level
    within, scaled = 0, []
    for number in range(n):
        v, h = (x[:, 20 * number : 20 * (number + 1)].flatten(0, 1) for x in all_chains)
        chains = ChainState.of_replicas(sampling.Replicas.of(v, h, len(models), None))
        found = ladder_log_z(models[-1], chains, stream(1000 * number), sampler, n_sweeps=20)
        scaled.append((found.value - expected) / found.std_error)
        within += abs(scaled[-1]) < 2
    # of Student's t with 19 degrees of freedom 94.0 % are within two
    assert within >= 0.9 * n
    assert abs(np.mean(scaled)) < 4 / np.sqrt(n)


def test_log_z_along_temperatures() -> None:
    rbm, model = random_rbm(BY_NAME["binary"], BY_NAME["spin"], sizes=(5, 4), scale=1.5)
    chains = start_random(rbm, 300, stream())
    sampler = Tempering(n_temperatures=5)
    for _ in range(50):
        sampler(rbm, chains, stream(50))
    found = ladder_log_z(rbm, chains, stream(1000), sampler, n_sweeps=200)
    assert abs(found.value - log_z(model)) < 4 * found.std_error
    assert found.std_error < 0.05
    assert found.n_chains == 300 and found.n_sweeps == 200
    assert isinstance(found, LogZ) and found.errs == "either"
    assert str(found).endswith("nats (errs either)")
    assert found.round_trips > 0
    assert len(found.swap_acceptance) == 4


def test_bennetts_ratio_of_two_normal_distributions_is_known() -> None:
    """Of a = N(0, 1) and b = N(1, 1), with log Z 0 and 3."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 400, generator=generator, dtype=torch.float64)
    y = 1 + torch.randn(100, 400, generator=generator, dtype=torch.float64)

    def log_ratio(z: Tensor) -> Tensor:
        return 3 + (z.square() - (z - 1).square()) / 2

    found, influence = bennett(log_ratio(x), -log_ratio(y))
    std_error = influence.std() / 20
    assert abs(found - 3) < 4 * std_error
    # what a chain's influence is, against leaving it out
    without, _ = bennett(log_ratio(x[:, 1:]), -log_ratio(y[:, 1:]))
    assert abs((found - without) * 399 - influence[0]) < 0.05 * influence.std()


# --- which models -----------------------------------------------------------------------------


def straight_models(n: int) -> list[RBM]:
    """Models from no weights to strong ones, in small steps."""
    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(30, 20), scale=0.7)
    models = []
    for share in torch.linspace(0, 1, n).tolist():
        model = copy.deepcopy(rbm)
        with torch.no_grad():
            model.weights.mul_(share)
        models.append(model)
    return models


def test_models_are_chosen_by_what_they_accept() -> None:
    models = straight_models(40)
    chosen = choose_models(models, 100, stream(), acceptance=0.4, n_sweeps=100)
    assert 3 < len(chosen) < 20
    assert chosen[0] is models[0] and chosen[-1] is models[-1]
    places = [models.index(rbm) for rbm in chosen]
    assert places == sorted(set(places))
    sampler = TrajectoryTempering(chosen, sweeps=100)
    chains = start_random(models[-1], 100, stream(1))
    sampler(models[-1], chains, stream(100))
    _, info = sampler(models[-1], chains, stream(1000))
    assert info.swap_acceptance.min() > 0.3
    fewer = choose_models(models, 100, stream(), acceptance=0.2, n_sweeps=100)
    assert len(fewer) < len(chosen)


def test_independent_units_are_put_in_front() -> None:
    models = straight_models(4)
    assert TrajectoryTempering(models).models[0] is models[0]
    put = TrajectoryTempering(models[1:]).models
    assert len(put) == 4 and not put[0].weights.any() and put[1] is models[1]
    mean = put[0].mean_v_from_h(torch.zeros(20, dtype=torch.float64))
    near = sampling.start_random(models[1], 20_000, stream())
    sampling.Gibbs(100)(models[1], near, stream(9))
    assert (mean - near.visible.mean(0)).abs().max() < 0.05


def test_models_are_kept_along_a_training_before_exchanges_become_rare() -> None:
    generator = torch.Generator().manual_seed(0)
    modes = (torch.rand(4, 30, generator=generator) < 0.5).double()
    rows = modes[torch.arange(200) % 4]
    rows = (rows - (torch.rand(200, 30, generator=generator) < 0.1).double()).abs()
    rbm = RBM(Binary(30), Binary(10)).double().init_from_data_(rows, 1, weight_std=0.1)
    state = TrainingState.create(rbm, n_chains=200, learning_rate=1.0)
    kept, own = Trajectory(acceptance=0.4), Stream(5, Purpose.MONITOR)
    kept(rbm, state.chains, own)
    before = state.chains.clone()
    for _ in range(100):
        training.update(state, rows)
        expected = kept(rbm, state.chains, own)
        assert 0 < expected <= 1
    assert 4 < len(kept.models) < 50
    assert len(state.chains) == 200 and not torch.equal(before.visible, state.chains.visible)
    last = kept.models[-1]
    assert torch.equal(last.weights, rbm.weights) and last is not rbm
    sampler = TrajectoryTempering(kept.models, sweeps=200)
    chains = start_random(last, 200, stream(1))
    sampler(last, chains, stream(100))
    _, info = sampler(last, chains, stream(1000))
    # the acceptance was estimated from 200 chains, of numbers between 0 and 1
    assert info.swap_acceptance.min() > 0.4 - 4 * 0.5 / np.sqrt(200)
    assert info.round_trips > 200


def test_looking_leaves_chains_and_model_alone() -> None:
    (rbm, *_), s = straight_models(3), stream()
    chains = start_random(rbm, 10, stream())
    before, kept = chains.clone(), Trajectory()
    assert kept.models == []
    assert kept(rbm, chains, s) == 1.0
    assert kept(rbm, chains, s) == pytest.approx(1.0)
    assert torch.equal(chains.visible, before.visible)
    assert torch.equal(chains.hidden, before.hidden)
    assert len(kept.models) == 2


# --- what is refused --------------------------------------------------------------------------


def test_models_that_are_no_trajectory_are_refused() -> None:
    models = straight_models(3)
    for wrong, message in (
        ([], "there are no models; pass 1 or more"),
        ([models[0]], "the only model has no weights"),
        ([RBM(Binary(30), Binary(19)), models[1]], "model 0 is RBM(Binary(n=30), Binary(n=19))"),
        ([models[0], RBM(Spin(30), Binary(20)), models[1]], "model 1 is RBM(Spin(n=30)"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            TrajectoryTempering(wrong)
    with pytest.raises(ValueError, match=r"^sweeps is 0; pass 1 or more$"):
        TrajectoryTempering(models, sweeps=0)


def test_chains_of_another_ladder_are_refused_and_stay() -> None:
    models, s = straight_models(3), stream()
    sampler = TrajectoryTempering(models)
    chains = start_random(models[-1], 5, stream())
    with pytest.raises(ValueError, match=r"^the model that is sampled is not the last one"):
        sampler(models[1], chains, s)
    with pytest.raises(ValueError, match=r"these chains end; take persistent chains"):
        sampler(models[-1], chains, s, ends=True)
    assert chains.replicas is None
    sampler(copy.deepcopy(models[-1]), chains, s)  # equal is enough
    with pytest.raises(ValueError, match=r"replicas of another ladder, of 3 levels"):
        TrajectoryTempering(models[1:-1] + models[-1:] * 2)(models[-1], chains, s)
    with pytest.raises(ValueError, match=r"these chains have no replicas at other temperatures"):
        Tempering()(models[-1], chains, s)


def test_an_estimate_from_too_little_is_refused() -> None:
    models, s = straight_models(3), stream()
    sampler = TrajectoryTempering(models)
    few = start_random(models[-1], 9, stream())
    with pytest.raises(ValueError, match=r"^there are 9 chains, .* pass 10 or more$"):
        ladder_log_z(models[-1], few, s, sampler)
    chains = start_random(models[-1], 10, stream())
    with pytest.raises(ValueError, match=r"^n_sweeps is 1; pass 2 or more"):
        ladder_log_z(models[-1], chains, s, sampler, n_sweeps=1)
    with pytest.raises(ValueError, match=r"have no replicas yet; warm them up"):
        ladder_log_z(models[-1], chains, s, sampler)
    for options, message in (
        ({"acceptance": 1}, "acceptance is 1; pass a number between 0 and 1"),
        ({"n_sweeps": 3}, "n_sweeps is 3; pass 4 or more, half of them a warm-up"),
    ):
        with pytest.raises(ValueError, match=message):
            choose_models(models, 5, s, **options)
    with pytest.raises(ValueError, match=r"^acceptance is 0; pass a number between 0 and 1$"):
        Trajectory(acceptance=0)
    with pytest.raises(ValueError, match=r"^sweeps is 0; pass 1 or more$"):
        Trajectory(sweeps=0)
    assert s.position == 0
