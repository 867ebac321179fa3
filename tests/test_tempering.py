"""Parallel tempering: all levels keep their distributions, and broken exchanges are noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

import oracle
from harmonium import RBM, sampling
from harmonium.sampling import ChainState, Path, Replicas, Tempering, exchange
from harmonium.sampling.levels import Ladder, TemperatureLadder
from ladders import exact_replicas, p_values, pair_p_values, straight, stream
from test_no_drift import LEAST_P, every_pair, small_model
from unit_types import BY_NAME, array, random_rbm

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


def twin_of(rbm: RBM, model: oracle.Model, base: RBM) -> oracle.Model:
    """The base in the oracle."""

    def layer(units: torch.nn.Module, like: oracle.Layer) -> oracle.Layer:
        precision = None if like.precision is None else array(units.precision)
        return oracle.Layer(array(units.bias), like.unit_states, precision)

    return oracle.Model(
        layer(base.visible, model.visible), layer(base.hidden, model.hidden), 0 * model.weights
    )


def tempered(
    rbm: RBM, model: oracle.Model, betas: tuple[float, ...] = BETAS
) -> tuple[ChainState, list[oracle.Joint]]:
    """Replicas that follow their levels exactly."""
    base = base_of(rbm)
    joints = [oracle.Joint(straight(twin_of(rbm, model, base), model, beta)) for beta in betas]
    path = Path(torch.tensor(betas, dtype=torch.float64), base.visible, base.hidden)
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
@pytest.mark.parametrize("sweeps", [1, 2, 11])
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


MADE_OF: dict[Ladder, tuple[RBM, Path]] = {}


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ladders that know what they were made of."""
    made = TemperatureLadder.__init__

    def make(self: TemperatureLadder, rbm: RBM, path: Path) -> None:
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
