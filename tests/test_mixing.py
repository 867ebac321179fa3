"""Where Gibbs sampling is stuck in one mode, tempering and its starts find every mode's share.

The models are small enough to enumerate, so that each mode's probability is known; chains that
end independent of each other are in a mode as often as a binomial variable says.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import oracle
from harmonium import RBM, Binary, Gibbs, Spin, sampling
from harmonium.likelihood import ladder_log_z
from harmonium.sampling import (
    ChainState,
    Tempering,
    TrajectoryTempering,
    start_annealed,
    start_at,
    start_tempered,
    temper,
    tune_ladder,
)
from ladders import stream
from test_no_drift import LEAST_P
from unit_types import BY_NAME, array, random_rbm

N_CHAINS = 400
N_SWEEPS = 300


def two_wells(coupling: float) -> tuple[RBM, float]:
    """Spins that want to point the same way, a little rather up; the share of those that do.

    From one well to the other, chains have to turn all hidden units against all visible ones.
    """
    rbm = RBM(Spin(12), Spin(4)).double()
    with torch.no_grad():
        rbm.weights.fill_(coupling)
        rbm.visible.bias.fill_(0.03)
        rbm.hidden.bias.fill_(0.01)
    return rbm, share_up(rbm)


def share_up(rbm: RBM) -> float:
    """Probability of the well in which most visible spins point up, half of ties counted."""
    model = oracle.Model(
        oracle.spin(array(rbm.visible.bias)),
        oracle.spin(array(rbm.hidden.bias)),
        array(rbm.weights),
    )
    v = model.visible.points()[0]
    log_p = -model.free_energy(v)
    p = np.exp(log_p - log_p.max())
    return float((p @ is_up(v)) / p.sum())


def is_up(v: oracle.Array) -> oracle.Array:
    return 0.5 + 0.5 * np.sign(v.sum(-1))


def strayed(chains: ChainState, share: float) -> float:
    """By how many standard errors the share of chains in the upper well is off."""
    found = is_up(array(chains.visible)).mean()
    return float(abs(found - share) / np.sqrt(share * (1 - share) / len(chains)))


def all_down(rbm: RBM) -> ChainState:
    """Every chain at the bottom of the less probable well."""
    return start_at(rbm, -torch.ones(N_CHAINS, rbm.visible.n_columns).double(), stream())


DEEP = [0.4, 1.5]


def test_the_wells_are_two_and_deep() -> None:
    for coupling in DEEP:
        rbm, share = two_wells(coupling)
        assert 0.6 < share < 0.8
    # the deepest is left by Gibbs sampling less than once in 10^12 sweeps
    down = -torch.ones(1, 12, dtype=torch.float64)
    turning = torch.sigmoid(2 * (rbm.inputs_h_from_v(down) + rbm.hidden.bias))
    assert 4 * turning.max() < 1e-12


@pytest.mark.parametrize("coupling", DEEP)
def test_gibbs_is_stuck_and_tempering_is_not(coupling: float) -> None:
    rbm, share = two_wells(coupling)
    chains = all_down(rbm)
    Gibbs(N_SWEEPS)(rbm, chains, stream())
    assert strayed(chains, share) > 10
    chains = all_down(rbm)
    temper(rbm, chains, stream())
    tune_ladder(rbm, chains, stream(100))
    Tempering(sweeps=N_SWEEPS)(rbm, chains, stream(100_000))
    assert strayed(chains, share) < 4
    assert chains.replicas.round_trips > N_CHAINS


@pytest.mark.parametrize("coupling", DEEP)
def test_a_trajectory_brings_chains_from_well_to_well(coupling: float) -> None:
    models = [two_wells(share * coupling)[0] for share in np.linspace(0, 1, 12)]
    rbm, share = two_wells(coupling)
    chains = all_down(rbm)
    TrajectoryTempering(models, N_SWEEPS)(rbm, chains, stream())
    assert strayed(chains, share) < 4


@pytest.mark.parametrize("coupling", DEEP)
def test_starts_find_the_wells_as_they_are(coupling: float) -> None:
    rbm, share = two_wells(coupling)
    assert strayed(start_tempered(rbm, N_CHAINS, stream()), share) < 4


def test_log_z_counts_both_wells() -> None:
    rbm, _ = two_wells(1.5)
    chains = start_tempered(rbm, 100, stream())
    found = ladder_log_z(rbm, chains, stream(100_000), Tempering(), 300)
    model = oracle.Model(
        oracle.spin(array(rbm.visible.bias)),
        oracle.spin(array(rbm.hidden.bias)),
        array(rbm.weights),
    )
    joint = oracle.Joint(model)
    up = np.ones((1, 12)), np.ones((1, 4))
    log_p = joint.log_p[oracle.state_index(np.concatenate(up, 1), joint.states)[0]]
    expected = -model.energy(*up)[0] - log_p
    assert abs(found.value - expected) < 4 * found.std_error < 0.2


# --- annealed starts --------------------------------------------------------------------------


def p_value(start: Callable[[RBM], ChainState], visible: str, hidden: str) -> float:
    rbm, model = random_rbm(BY_NAME[visible], BY_NAME[hidden], sizes=(3, 2), scale=1.2)
    chains = start(rbm)
    return oracle.Joint(model).p_value(array(chains.visible), array(chains.hidden))


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [("binary", "binary"), ("spin", "categorical"), ("gaussian", "binary")],
)
def test_slow_annealing_ends_in_the_model_and_a_jump_does_not(visible: str, hidden: str) -> None:
    n = 10_000
    slow = p_value(lambda rbm: start_annealed(rbm, n, stream(), 200), visible, hidden)
    jump = p_value(lambda rbm: start_annealed(rbm, n, stream(), 2), visible, hidden)
    assert jump < LEAST_P < slow


def test_annealing_starts_at_the_base() -> None:
    rbm = RBM(Binary(3), Binary(2)).double()
    base = sampling.independent_units(
        rbm, torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0.09, 0.25, 0.09])
    )
    assert torch.allclose(base.visible.bias.sigmoid(), torch.tensor([0.9, 0.5, 0.1]).double())
    assert not base.weights.any() and not base.hidden.bias.any()
    with torch.no_grad():
        rbm.visible.bias.fill_(30.0)  # an end that no noise moves
    ends = start_annealed(rbm, 50, stream(), 30, base=base).visible
    assert (ends == 1).all()


def test_starts_that_are_none_are_refused() -> None:
    rbm, s = RBM(Binary(3), Binary(2)), stream()
    other = sampling.independent_units(RBM(Binary(4), Binary(2)))
    for call, message in (
        (lambda: start_annealed(rbm, 5, s, 1), "n_temperatures is 1; pass 2 or more"),
        (lambda: start_annealed(rbm, 0, s), "n_chains is 0; pass 1 or more"),
        (lambda: start_annealed(rbm, 5, s, base=other), "the base's visible units are Binary"),
        (lambda: start_tempered(rbm, 0, s), "n_chains is 0; pass 1 or more"),
        (lambda: start_tempered(rbm, 5, s, 0), "n_sweeps is 0; pass 1 or more"),
        (lambda: start_tempered(rbm, 5, s, base=other), "the base's visible units are Binary"),
        (
            lambda: start_tempered(rbm, 5, s, most_temperatures=1),
            "least_temperatures is 2 and most_temperatures 1",
        ),
        (
            lambda: sampling.independent_units(rbm, torch.zeros(3)),
            "one of mean and var is missing",
        ),
    ):
        with pytest.raises(ValueError, match=rf"^{message}"):
            call()
    assert s.position == 0
