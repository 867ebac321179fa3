"""Trajectory tempering while a model is trained: levels keep their distributions as they grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import harmonium
import oracle
from harmonium import RBM, Binary, Gibbs, Minibatches, TrainingState, checkpoint, datasets, training
from harmonium.sampling import (
    ChainState,
    GrowingTrajectory,
    Tempering,
    exchange,
    start_random,
)
from ladders import exact_replicas, p_values, stream
from test_no_drift import LEAST_P
from test_trajectory import (
    trajectory,
    with_half_the_free_energies,
    with_stale_inputs,
    with_the_wrong_sign,
)
from unit_types import BY_NAME, UnitType

N_CHAINS = 10_000
ALL = 1e9  # work that moves all levels in every call


def least_p(
    sampler: GrowingTrajectory, calls: int, visible: UnitType, hidden: UnitType
) -> tuple[float, int]:
    """How probable it is that all levels still follow their models after some calls.

    Returns that and the number of levels in the end.
    """
    weak = (0.1, 0.2, 0.3, 0.4) if visible.is_continuous and hidden.is_continuous else ()
    models, twins = trajectory(visible, hidden, *filter(None, [weak]))
    joints = [oracle.Joint(twin) for twin in twins]
    chains = exact_replicas(models[-1], joints, N_CHAINS, None)
    assert chains.replicas is not None
    chains.replicas.models = tuple(models[:-1])
    draws, by_model = stream(), dict(zip(map(id, models), joints, strict=True))
    for _ in range(calls):
        sampler(models[-1], chains, draws)
    kept = [by_model.get(id(model), joints[-1]) for model in chains.replicas.models]
    return min(p_values(chains, [*kept, joints[-1]])), chains.replicas.n_levels


# exchanges of every pair of types are tested with `TrajectoryTempering`
@pytest.mark.parametrize(
    ("visible", "hidden"),
    [("binary", "spin"), ("categorical", "relu"), ("gaussian", "binary"), ("mixed", "drelu")],
)
def test_no_level_drifts_and_a_new_one_is_a_copy_of_the_model(visible: str, hidden: str) -> None:
    pair = BY_NAME[visible], BY_NAME[hidden]
    p, n_levels = least_p(GrowingTrajectory(acceptance=1e-6, work=ALL), 5, *pair)
    assert p > LEAST_P
    assert n_levels == 4  # exchanges are accepted often enough
    # the model and the newest copy exchange too rarely; a copy of the model itself is near enough
    p, n_levels = least_p(GrowingTrajectory(acceptance=1 - 1e-9, work=ALL), 5, *pair)
    assert p > LEAST_P
    assert n_levels == 5


def test_no_level_drifts_where_levels_are_left_out_or_wait() -> None:
    pair = BY_NAME["binary"], BY_NAME["spin"]
    p, n_levels = least_p(GrowingTrajectory(1, 1 - 1e-9, 4, ALL), 60, *pair)
    assert p > LEAST_P
    assert n_levels == 4
    p, _ = least_p(GrowingTrajectory(2, 0.3, 9, 0.5), 13, *pair)
    assert p > LEAST_P


@pytest.mark.parametrize("most_models", [3, 4])
def test_a_ladder_has_no_more_models_than_it_may(most_models: int) -> None:
    rbm = RBM(Binary(100), Binary(4)).init_from_data_(CLUSTERS, 0)
    chains, draws = start_random(rbm, 3, stream()), stream(50)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for _ in range(20):
        with torch.no_grad():
            rbm.weights.normal_(0, 0.3, generator=generator)
        GrowingTrajectory(1, 0.9, most_models, ALL)(rbm, chains, draws)
        assert chains.replicas is not None
        seen.append(chains.replicas.n_levels)
    assert max(seen) == seen[-1] == most_models
    GrowingTrajectory(2, 1e-9, most_models, ALL)(rbm, chains, draws)
    replicas = chains.replicas
    assert replicas is not None and replicas.round_trips > 0
    # all 22 sweeps count, although pairs of new models have been tried in few of them
    assert replicas.row()["round_trips"] == 100 * replicas.round_trips.item() / (22 * 3)


@pytest.mark.parametrize(
    "fault", [with_the_wrong_sign, with_half_the_free_energies, with_stale_inputs]
)
def test_a_broken_exchange_is_noticed(
    fault: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_gains", fault(exchange._gains))
    pair = BY_NAME["binary"], BY_NAME["spin"]
    p, _ = least_p(GrowingTrajectory(acceptance=1e-6, work=ALL), 12, *pair)
    assert p < LEAST_P


# --- what it is for ---------------------------------------------------------------------------

PROTOTYPES = np.random.default_rng(4).integers(0, 2, (6, 100))
MASSES = np.arange(1, 7) / 21
ROWS = np.random.default_rng(0).choice(6, 1_000, p=MASSES)
FLIPS = np.random.default_rng(1).random((1_000, 100)) < 0.02
CLUSTERS = datasets.from_array((PROTOTYPES[ROWS] ^ FLIPS).astype(np.uint8))


def masses(rbm: RBM) -> np.ndarray:
    """The probability of each cluster under the model, by enumeration of its hidden units."""
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * rbm.hidden.n_columns)
    log_p = states @ rbm.hidden.bias + rbm.visible.cgf(rbm.inputs_v_from_h(states)).sum(1)
    mean = rbm.mean_v_from_h(states)
    nearest = torch.cdist(mean, torch.from_numpy(PROTOTYPES).to(mean), p=1).argmin(1)
    found: np.ndarray = torch.zeros(6).index_add_(0, nearest, log_p.softmax(0)).numpy()
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_the_mass_of_clusters_is_learned_where_gibbs_chains_cannot_follow(seed: int) -> None:
    found = []
    for sampler in (Gibbs(), GrowingTrajectory()):
        rbm = RBM(Binary(100), Binary(10)).init_from_data_(CLUSTERS, seed)
        batches = Minibatches(CLUSTERS, 100)
        state = TrainingState.create(
            rbm,
            sampler=sampler,
            learning_rate=0.1,
            schedule=lambda optimizer: training.linear_to_zero(optimizer, 1_000),
            seed=seed,
        )
        for _ in training.updates(state, batches, 100):
            pass
        with torch.no_grad():
            found.append(0.5 * np.abs(masses(rbm) - MASSES).sum())
    by_gibbs, along_the_trajectory = found
    # 1,000 rows have the masses within 0.03, the total variation distance
    assert along_the_trajectory < 0.1
    assert by_gibbs > 0.4


# --- doors ------------------------------------------------------------------------------------


def test_a_run_keeps_its_models_and_samples_along_them(tmp_path: Path, own_folder: None) -> None:
    values, plain = CLUSTERS.values.numpy(), {"figures": False, "log_likelihood": False}
    run = harmonium.train(
        values, hidden=8, sampler="trajectory", epochs=20, learning_rate=0.1,
        out=tmp_path / "run", **plain,
    )  # fmt: skip
    replicas = checkpoint.load(run.directory.latest_checkpoint()).chains.replicas
    assert replicas is not None
    last = run.metrics[-1]
    assert last["models"] == replicas.n_levels == len(replicas.models) + 1 > 2
    assert 0 < last["least_swap_acceptance"] <= last["swap_acceptance"] <= 1
    for options in ({}, {"start": "chains"}, {"start": "tempered", "temperatures": 3}):
        samples = run.sample(sampler="trajectory", chains=5, samples=2, warmup=20, **options)
        assert samples.ladder["models"] == replicas.n_levels
        assert samples.ladder["swap_acceptance"] > 0
    # tempering looks for a ladder of its own; Gibbs moves the chains alone
    tempered = run.sample(sampler="tempering", start="chains", chains=5, samples=1, warmup=1)
    assert tempered.ladder["temperatures"] >= 2
    assert not run.sample(start="chains", chains=5, samples=1).ladder
    other = harmonium.train(values, hidden=4, epochs=1, out=tmp_path / "other", **plain)
    with pytest.raises(ValueError, match=r"has kept no models of its training; take `sampler='te"):
        other.sample(sampler="trajectory")


def test_what_cannot_be_is_refused() -> None:
    rbm = RBM(Binary(100), Binary(4)).init_from_data_(CLUSTERS, 0)
    for options, message in (
        ({"acceptance": 1.0}, "acceptance is 1.0; pass a number between 0 and 1"),
        ({"most_models": 2}, "most_models is 2; pass 3 or more"),
        ({"work": 0.0}, "work is 0.0; pass a number above 0"),
        ({"sweeps": 0}, "sweeps is 0; pass 1 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            GrowingTrajectory(**options)
    sampler = GrowingTrajectory(2, 0.4, 9, 3.0)
    assert GrowingTrajectory(**sampler.config()) == sampler
    chains = start_random(rbm, 3, stream())
    with pytest.raises(ValueError, match="these chains end; take persistent chains"):
        sampler(rbm, chains, stream(), ends=True)
    with pytest.raises(ValueError, match="pass n_chains, or take Gibbs"):
        TrainingState.create(rbm, sampler=sampler, n_chains=None)
    Tempering(n_temperatures=3)(rbm, chains, stream())
    with pytest.raises(ValueError, match="replicas of another ladder, such as at temperatures"):
        sampler(rbm, chains, stream())


def test_chains_that_are_cloned_move_alike() -> None:
    rbm = RBM(Binary(100), Binary(4)).init_from_data_(CLUSTERS, 0)
    chains, sampler = start_random(rbm, 3, stream()), GrowingTrajectory(work=ALL)
    sampler(rbm, chains, stream())
    twin: ChainState = chains.clone()
    for each in (chains, twin):
        sampler(rbm, each, stream(50))
    assert torch.equal(chains.visible, twin.visible)
    assert chains.replicas is not None and twin.replicas is not None
    assert torch.equal(chains.replicas.visible, twin.replicas.visible)
