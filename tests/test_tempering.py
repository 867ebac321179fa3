"""Parallel tempering: all levels keep their distributions, and broken exchanges are noticed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Spin, TrainingState, sampling, training
from harmonium.sampling import (
    ChainState,
    Clamp,
    Replicas,
    SamplingSchedule,
    TemperaturePath,
    Tempering,
    exchange,
    start_random,
    temper,
    tune_ladder,
)
from harmonium.sampling.levels import Ladder, TemperatureLadder
from ladders import exact_replicas, p_values, pair_p_values, straight, stream
from test_no_drift import LEAST_P, every_pair, small_model
from unit_types import BY_NAME, array, random_rbm, twin_of_layer

N_CHAINS = 40_000
SWEEPS = 12
FEW = (0.0, 0.5, 1.0)
BETAS = (0.0, 0.3, 0.55, 0.8, 1.0)


def base_of(rbm: RBM, seed: int = 9) -> RBM:
    """Independent units that differ from the model's in every parameter."""
    base = sampling.independent_units(rbm)
    generator = torch.Generator().manual_seed(seed)
    for layer in (base.visible, base.hidden):
        for parameter in layer.parameters():
            change = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) - 0.5
            parameter.add_(change.to(parameter))
    return base


def twin_of(model: oracle.Model, base: RBM) -> oracle.Model:
    """The base in the oracle."""
    return oracle.Model(twin_of_layer(base.visible), twin_of_layer(base.hidden), 0 * model.weights)


def tempered(
    rbm: RBM, model: oracle.Model, betas: tuple[float, ...] = BETAS
) -> tuple[ChainState, list[oracle.Joint]]:
    """Replicas that follow their levels exactly."""
    base = base_of(rbm)
    joints = [oracle.Joint(straight(twin_of(model, base), model, beta)) for beta in betas]
    path = TemperaturePath(torch.tensor(betas, dtype=torch.float64), base.visible, base.hidden)
    return exact_replicas(rbm, joints, N_CHAINS, path), joints


def least_p(rbm: RBM, model: oracle.Model, sweeps: int, betas: tuple[float, ...] = BETAS) -> float:
    """How probable it is that replicas that follow their levels still do after some sweeps."""
    chains, joints = tempered(rbm, model, betas)
    Tempering(sweeps=sweeps)(rbm, chains, stream())
    return min(*p_values(chains, joints), *pair_p_values(chains, model.visible, joints))


def strong_model() -> tuple[RBM, oracle.Model]:
    """Coupled so strongly that its chains forget slowly: mistakes add up."""
    return random_rbm(BY_NAME["binary"], BY_NAME["spin"], sizes=(3, 3), scale=2.0)


@every_pair
@pytest.mark.parametrize("sweeps", [1, 6])
def test_no_level_drifts(visible: str, hidden: str, sweeps: int, device: torch.device) -> None:
    rbm, model = small_model(visible, hidden, device=device)
    assert least_p(rbm, model, sweeps) > LEAST_P


@every_pair
def test_no_level_drifts_in_float32(visible: str, hidden: str, device: torch.device) -> None:
    rbm, model = small_model(visible, hidden, torch.float32, device)
    assert least_p(rbm, model, 5) > LEAST_P


# --- exchanges that are wrong on purpose ------------------------------------------------------

Gains = Callable[[Ladder, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def right(gains: Gains) -> Gains:
    return gains


def with_the_wrong_sign(gains: Gains) -> Gains:
    def broken(*arguments: Any) -> tuple[Tensor, Tensor]:
        gain, inputs = gains(*arguments)
        return -gain, inputs

    return broken


def always_accepted(gains: Gains) -> Gains:
    def broken(*arguments: Any) -> tuple[Tensor, Tensor]:
        gain, inputs = gains(*arguments)
        return gain.new_full(gain.shape, torch.inf), inputs

    return broken


def of_half_the_pair(gains: Gains) -> Gains:
    """As if the state that comes back needed no acceptance."""

    def broken(*arguments: Any) -> tuple[Tensor, Tensor]:
        gain, inputs = gains(*arguments)
        return torch.stack((gain[:, 0], 0 * gain[:, 1]), 1), inputs

    return broken


def at_other_betas(change: Callable[[Tensor], Tensor]) -> Callable[[Gains], Gains]:
    """Free energies on a ladder of other temperatures than those that are drawn from."""

    def fault(gains: Gains) -> Gains:
        def broken(ladder: Ladder, *arguments: Any) -> tuple[Tensor, Tensor]:
            rbm, path = MADE_OF[ladder]
            other = replace(path, betas=change(path.betas))
            return gains(TemperatureLadder(rbm, other), *arguments)

        return broken

    return fault


def with_the_untempered_energy(gains: Gains) -> Gains:
    """The well-known one: free energies of the model, times the difference of the betas."""

    def broken(ladder: Ladder, v: Tensor, inputs: Tensor, first: int) -> tuple[Tensor, Tensor]:
        _, there = gains(ladder, v, inputs, first)
        rbm, path = MADE_OF[ladder]
        here = path.betas[first : first + len(v)]
        change = here.view(-1, 2).flip(1).flatten() - here
        return (-change.unsqueeze(1) * rbm.free_energy(v)).view(-1, 2, v.shape[1]), there

    return broken


def without_the_bases_energy(gains: Gains) -> Gains:
    """As if the energy at beta were beta times that of the model."""

    def broken(ladder: Ladder, *arguments: Any) -> tuple[Tensor, Tensor]:
        rbm, path = MADE_OF[ladder]
        none = sampling.independent_units(rbm)
        for layer in (none.visible, none.hidden):
            layer.set_natural_(0 * layer.bias, layer.precision)
        return gains(TemperatureLadder(rbm, replace(path, visible=none.visible)), *arguments)

    return broken


MADE_OF: dict[Ladder, tuple[RBM, TemperaturePath]] = {}


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ladders that know what they were made of."""
    made = TemperatureLadder.__init__

    def make(self: TemperatureLadder, rbm: RBM, path: TemperaturePath) -> None:
        made(self, rbm, path)
        MADE_OF[self] = rbm, path

    monkeypatch.setattr(TemperatureLadder, "__init__", make)
    yield
    MADE_OF.clear()


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize(
    "fault",
    [
        with_the_wrong_sign,
        always_accepted,
        of_half_the_pair,
        pytest.param(at_other_betas(lambda betas: 0.9 * betas), id="too_warm"),
        pytest.param(at_other_betas(lambda betas: 1.1 * betas), id="too_cold"),
        pytest.param(at_other_betas(lambda betas: betas.square()), id="other_spacing"),
        with_the_untempered_energy,
        without_the_bases_energy,
    ],
)
def test_a_broken_acceptance_is_noticed(
    fault: Callable[[Gains], Gains], monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, model = strong_model()
    assert least_p(rbm, model, SWEEPS, FEW) > LEAST_P
    monkeypatch.setattr(exchange, "_gains", fault(exchange._gains))
    assert least_p(rbm, model, SWEEPS, FEW) < LEAST_P


Swap = Callable[[Replicas, slice, Tensor, Tensor, Tensor], None]


def stale_hidden(swap: Swap) -> Swap:
    """Hidden states are drawn given what was there before the exchange."""

    def broken(
        replicas: Replicas, pairs: slice, accept: Tensor, inputs: Tensor, there: Tensor
    ) -> None:
        swap(replicas, pairs, accept, inputs.clone(), there)

    return broken


def copied(swap: Swap) -> Swap:
    """The upper state is not swapped with the lower one but written over it."""

    def broken(replicas: Replicas, pairs: slice, accept: Tensor, *rest: Tensor) -> None:
        before = replicas.by_level[0].clone()
        inputs = rest[0].clone()
        swap(replicas, pairs, accept, *rest)
        upper = slice(pairs.start + 1, pairs.stop, 2)
        replicas.by_level[0][upper] = before[upper]
        rest[0][upper] = inputs[upper]

    return broken


def of_another_chain(swap: Swap) -> Swap:
    """The acceptance of one column is used for the next."""

    def broken(replicas: Replicas, pairs: slice, accept: Tensor, *rest: Tensor) -> None:
        swap(replicas, pairs, accept.roll(1, 1), *rest)

    return broken


@pytest.mark.parametrize("fault", [stale_hidden, copied, of_another_chain])
def test_a_broken_swap_is_noticed(
    fault: Callable[[Swap], Swap], monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, model = strong_model()
    monkeypatch.setattr(exchange, "_swap_", fault(exchange._swap_))
    assert least_p(rbm, model, SWEEPS, FEW) < LEAST_P


def test_a_sweep_at_other_temperatures_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws at betas 10 % off those that the ladder says."""
    rbm, model = strong_model()
    chains, joints = tempered(rbm, model)
    path = chains.replicas.path
    warm = TemperatureLadder(rbm, replace(path, betas=0.9 * path.betas))
    for _ in range(SWEEPS):
        exchange.sweep_(warm, chains.replicas, stream())
    assert min(p_values(chains, joints)) < LEAST_P


# --- what is accepted -------------------------------------------------------------------------


def mean_acceptance(log_p: oracle.Array, log_q: oracle.Array) -> float:
    """Of a swap between two distributions, from their definitions."""
    log_ratio = (log_p - log_q)[None, :] - (log_p - log_q)[:, None]
    accepted = np.exp(np.minimum(log_ratio, 0))
    return float(np.exp(log_p) @ accepted @ np.exp(log_q))


def test_visible_states_are_swapped_as_often_as_can_be_and_more_often_than_both_layers() -> None:
    """The mean acceptance of every pair, against enumeration; that of joint swaps is lower."""
    rbm, model = strong_model()
    chains, joints = tempered(rbm, model)
    Tempering(sweeps=10)(rbm, chains, stream())
    n_visible = len(model.visible.points()[0])
    marginals = [logsumexp(joint.log_p.reshape(n_visible, -1), axis=1) for joint in joints]
    for pair, found in enumerate(chains.replicas.acceptance.tolist()):
        expected = mean_acceptance(marginals[pair], marginals[pair + 1])
        # each of five exchanges is a mean of independent numbers from 0 to 1
        assert abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / N_CHAINS)
        assert mean_acceptance(joints[pair].log_p, joints[pair + 1].log_p) < expected - 0.01


# --- the ladder -------------------------------------------------------------------------------


def large_model() -> RBM:
    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(60, 40), scale=1.0)
    return rbm


@pytest.mark.parametrize(
    ("acceptance", "wanted", "expected"),
    [
        ([0.5, 0.5], 0.5, [0, 0.5, 1]),
        ([0.5], 0.75, [0, 0.5, 1]),
        ([0.9, 0.1], 0.5, [0, 13 / 18, 1]),
        ([1.0, 1.0], 0.5, [0, 1]),
        ([0.5, torch.nan], 0.5, [0, 0.5, 1]),
        ([torch.nan, torch.nan], 0.5, [0, 1]),
        ([0.2, 0.2], 0.6, [0, 0.25, 0.5, 0.75, 1]),
        ([0.0, 0.0], 0.01, [0, 1 / 3, 2 / 3, 1]),
    ],
)
def test_temperatures_are_placed_where_pairs_accept_alike(
    acceptance: list[float], wanted: float, expected: list[float]
) -> None:
    betas = torch.linspace(0, 1, len(acceptance) + 1, dtype=torch.float64)
    seen = torch.tensor(acceptance, dtype=torch.float64)
    found = sampling.place_temperatures(betas, seen, wanted, 2, 50)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    few = sampling.place_temperatures(betas, seen, wanted, 3, 3)
    assert len(few) == 3 and few[0] == 0 and few[-1] == 1


@pytest.mark.parametrize("wanted", [0.3, 0.5])
def test_a_ladder_is_found_that_accepts_as_wanted(wanted: float) -> None:
    rbm = large_model()
    chains = start_random(rbm, 200, stream())
    tune_ladder(rbm, chains, stream(10), acceptance=wanted)
    Tempering(sweeps=100)(rbm, chains, stream(10_000))
    found = chains.replicas.acceptance
    assert len(found) > 3
    # a pair fewer would accept less than wanted: on the mean there is less than one to spare
    assert wanted - 0.03 < found.mean() < wanted + (1 - wanted) / (len(found) - 1) + 0.03
    assert found.max() - found.min() < 0.1


def test_a_number_that_is_asked_for_is_kept_and_spaced() -> None:
    rbm = large_model()
    chains = start_random(rbm, 200, stream())
    tune_ladder(rbm, chains, stream(10), least_temperatures=6, most_temperatures=6)
    Tempering(sweeps=100)(rbm, chains, stream(10_000))
    found = chains.replicas.acceptance
    assert len(found) == 5
    assert found.max() - found.min() < 0.1


def test_a_ladder_follows_a_model_that_grows() -> None:
    rbm = large_model()
    weights = rbm.weights.detach().clone()
    sampler = Tempering(n_temperatures=2, adapt_every=20)
    chains = start_random(rbm, 100, stream())
    sizes = []
    with torch.no_grad():
        for call in range(200):
            rbm.weights.copy_(weights * min(1, call / 150))
            sampler(rbm, chains, stream(100 * call))
            sizes.append(chains.replicas.n_levels)
            assert len(chains) == 100
    assert sizes[0] == 2 and sizes[-1] > 4
    changes = [i for i in range(1, 200) if sizes[i] != sizes[i - 1]]
    assert changes and all(i % 20 == 0 for i in changes)
    assert chains.replicas.row().keys() == {
        *("temperatures", "swap_acceptance", "least_swap_acceptance", "round_trips")
    }


def test_a_fixed_ladder_stays() -> None:
    rbm = large_model()
    chains = start_random(rbm, 10, stream())
    Tempering(n_temperatures=4)(rbm, chains, stream())
    assert chains.replicas.path.betas.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert chains.replicas.row() == {
        "temperatures": 4.0,
        "swap_acceptance": pytest.approx(chains.replicas.acceptance[::2].mean().item()),
        "least_swap_acceptance": pytest.approx(chains.replicas.acceptance[::2].min().item()),
        "round_trips": 0.0,
    }


# --- chains and their replicas ----------------------------------------------------------------


def test_chains_are_the_last_level_and_move_in_place() -> None:
    rbm = large_model()
    chains = start_random(rbm, 7, stream())
    after, info = Tempering(sweeps=2, n_temperatures=3)(rbm, chains, stream())
    assert after is chains
    replicas = chains.replicas
    for states, all_states in zip(
        (chains.visible, chains.hidden), (replicas.visible, replicas.hidden), strict=True
    ):
        assert len(all_states) == 21
        assert states.data_ptr() == all_states[14:].data_ptr()
    expected = rbm.hidden.mean_statistics(rbm.inputs_h_from_v(chains.visible))["bias"]
    torch.testing.assert_close(info.hidden["bias"], expected)
    assert info.swap_acceptance.shape == (2,) and info.swap_acceptance.isfinite().all()
    copied = chains.clone()
    before = copied.visible.clone()
    Tempering()(rbm, chains, stream(50))
    assert torch.equal(copied.visible, before)
    assert copied.visible.data_ptr() == copied.replicas.visible[14:].data_ptr()
    first = replicas.first(2)
    assert torch.equal(first.by_level[0], replicas.by_level[0][:, :2])


def test_one_call_of_many_sweeps_is_many_calls_of_one() -> None:
    rbm = large_model()
    a = temper(rbm, start_random(rbm, 7, stream()), stream(5), 4)
    b, s = a.clone(), stream(20)
    Tempering(sweeps=4)(rbm, a, stream(20))
    for _ in range(4):
        Tempering()(rbm, b, s)
    assert torch.equal(a.replicas.visible, b.replicas.visible)
    assert torch.equal(a.replicas.hidden, b.replicas.hidden)
    assert s.position == 20 + 3 * 4


def test_round_trips_are_counted() -> None:
    """Where everything is accepted, replicas climb a level a sweep, in turns."""
    rbm = RBM(Binary(4), Binary(3))
    chains = start_random(rbm, 5, stream())
    _, info = Tempering(sweeps=40, n_temperatures=4)(rbm, chains, stream())
    assert torch.equal(info.swap_acceptance, torch.ones(3, dtype=torch.float64))
    # one replica in two goes up, at every second exchange one arrives
    assert abs(info.round_trips.item() - 5 * 40 / 2) <= 5 * 2


def test_held_columns_are_sampled_given_them_at_every_level() -> None:
    rbm, model = small_model("binary", "spin")
    base = base_of(rbm)
    held = np.array([1.0, np.nan, np.nan])
    joints = [oracle.Joint(straight(twin_of(model, base), model, beta), held) for beta in BETAS]
    path = TemperaturePath(torch.tensor(BETAS, dtype=torch.float64), base.visible, base.hidden)
    chains = exact_replicas(rbm, joints, N_CHAINS, path)
    clamp = Clamp(torch.tensor([True, False, False]), torch.from_numpy(held))
    Tempering(sweeps=5)(rbm, chains, stream(), clamp)
    assert min(p_values(chains, joints)) > LEAST_P


def test_samples_are_taken_by_the_sampler_that_is_passed() -> None:
    rbm = large_model()
    schedule = SamplingSchedule(3, 2, 2)
    chains, s = start_random(rbm, 4, stream()), stream(7)
    expected = chains.clone()
    sampler = Tempering(n_temperatures=3)
    for _ in sampling.sample(rbm, chains, schedule, s, sampler=sampler):
        pass
    again = stream(7)
    for _ in range(schedule.n_sweeps):
        sampler(rbm, expected, again)
    assert torch.equal(chains.visible, expected.visible) and s == again


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sweeps": 0}, "sweeps is 0; pass 1 or more"),
        ({"n_temperatures": 1}, "n_temperatures is 1; pass 2 or more"),
        ({"adapt_every": -1}, "adapt_every is -1; pass 0 or more"),
        ({"acceptance": 1.0}, "acceptance is 1.0; pass a number between 0 and 1"),
        ({"n_temperatures": 9, "most_temperatures": 8}, "most_temperatures is 8 and n_temperat"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{message}"):
        Tempering(**options)
    sampler = Tempering(3, 4, 0.3, 50, 60)
    assert Tempering(**sampler.config()) == sampler


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    rbm, s = large_model(), stream(3)
    chains = start_random(rbm, 4, stream())
    before = chains.clone()
    linear = torch.linspace(0, 1, 4, dtype=torch.float64)
    other = RBM(Binary(60), Spin(40)).double()
    for call, message in (
        (lambda: Tempering()(rbm, chains, s, ends=True), "tempering moves replicas that have to"),
        (lambda: Tempering()(small_model("binary", "binary")[0], chains, s), "visible has 60 col"),
        (lambda: temper(rbm, chains, s, 1), "n_temperatures is 1; pass 2 or more"),
        (lambda: temper(rbm, chains, s, base=rbm), "the base has weights; pass independent units"),
        (lambda: temper(rbm, chains, s, base=other), "the base's hidden units are Spin(n=40), but"),
        (lambda: temper(rbm, chains, s, betas=linear[1:]), "the inverse temperatures are [0.33333"),
        (lambda: temper(rbm, chains, s, betas=linear.flip(0)), "the inverse temperatures are [1"),
        (lambda: temper(rbm, chains, s, betas=linear[:1]), "the inverse temperatures are [0.0]"),
        (lambda: tune_ladder(rbm, chains, s, rounds=0), "rounds is 0; pass 1 or more"),
        (lambda: tune_ladder(rbm, chains, s, least_temperatures=1), "least_temperatures is 1 and"),
        (lambda: tune_ladder(rbm, chains, s, acceptance=0), "acceptance is 0; pass a number"),
        (lambda: Tempering().ladder(rbm, chains), "these chains have no replicas at other temp"),
        (
            lambda: TrainingState.create(rbm, sampler=Tempering(), n_chains=None),
            "tempering moves replicas that have to persist, and CD starts chains anew",
        ),
    ):
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            call()
    assert chains.replicas is None and s.position == 3
    assert torch.equal(chains.visible, before.visible)
    assert torch.equal(chains.hidden, before.hidden)


def test_replicas_of_another_model_are_refused() -> None:
    rbm, s = large_model(), stream()
    chains = temper(rbm, start_random(rbm, 4, stream()), stream(), 3)
    other = RBM(Spin(60), Binary(40)).double()
    with pytest.raises(ValueError, match=r"^the base's visible units are Binary\(n=60\), but the"):
        Tempering()(other, chains, s)
    assert s.position == 0


def test_chains_that_left_their_replicas_are_refused() -> None:
    rbm = large_model()
    chains = temper(rbm, start_random(rbm, 4, stream()), stream(), 3)
    chains.visible = chains.visible.clone()
    with pytest.raises(ValueError, match=r"^the chains have been replaced, and are no longer the"):
        Tempering()(rbm, chains, stream())


# --- training ---------------------------------------------------------------------------------


def test_a_tempered_run_learns_the_moments_of_two_far_modes() -> None:
    """PCD on two opposite patterns: the chains keep both modes in their shares."""
    generator = torch.Generator().manual_seed(0)
    mode = (torch.rand(600, 1, generator=generator) < 0.7).double()
    flips = (torch.rand(600, 12, generator=generator) < 0.05).double()
    rows = (mode - flips).abs()
    rbm = RBM(Binary(12), Binary(4)).double().init_from_data_(rows, 1, weight_std=0.1)
    state = TrainingState.create(
        rbm,
        sampler=Tempering(n_temperatures=2, adapt_every=20),
        n_chains=200,
        learning_rate=0.2,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 300),
    )
    for _ in range(300):
        training.update(state, rows)
    v = oracle.binary(np.zeros(12)).points()[0]
    log_p = -array(rbm.free_energy(torch.from_numpy(v)))
    p = np.exp(log_p - logsumexp(log_p))
    up = v.mean(1) > 0.5
    share, of_data = p @ up, (rows.mean(1) > 0.5).double().mean().item()
    # what the chains of an update know of the share
    error = np.sqrt(share * (1 - share) / len(state.chains))
    assert abs(share - of_data) < 4 * error
    chains_up = (array(state.chains.visible).mean(1) > 0.5).mean()
    assert abs(chains_up - share) < 4 * error
