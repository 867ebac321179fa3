"""When estimates of log Z agree, what they say together, and what is said where they do not."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import oracle
from harmonium import RBM, Binary
from harmonium.likelihood import AnnealingPath, LogZ, exact_log_z
from harmonium.likelihood.agreement import Estimates
from harmonium.likelihood.evaluation import _needed
from harmonium.likelihood.tempered import STARTS, Tempered, TemperedLogZ
from phases import one_thread  # noqa: F401
from unit_types import BY_NAME, random_rbm

EVEN = torch.zeros(60, dtype=torch.float64)  # log weights of chains that carry alike
CARRIED_BY_FEW = torch.cat([torch.zeros(2), torch.full((58,), -9.0)]).double()


def tempered(value: float = 10.0, error: float = 0.05, **starts: float) -> TemperedLogZ:
    by_start = {name: (starts.get(name.split()[0], value), error) for name in STARTS}
    return TemperedLogZ(value, error, by_start, 1.0, 60, 5, 300, torch.zeros(1, 60, 2))


def annealed(value: float = 10.0, error: float = 0.05) -> LogZ:
    return LogZ(value, error, "below", EVEN)


def reverse(value: float = 10.0, error: float = 0.05) -> LogZ:
    return LogZ(value, error, "above", EVEN)


ALL_WELL = Estimates(annealed(), reverse(), tempered(), 1000)


def test_three_estimates_that_agree_are_one_number() -> None:
    found = replace(ALL_WELL, annealed=annealed(9.96), tempered=tempered(10.04))
    assert found.reasons() == ()
    low, high = found.ends()
    assert low is high and 9.96 < low.value < 10.04
    # two errors reach from any of the estimates to any other
    assert 2 * low.std_error > 0.04
    assert "0.08 nats apart with 1,000 temperatures" in found.words()


def test_annealing_that_errs_to_both_sides_says_nothing_against_tempering() -> None:
    found = replace(ALL_WELL, annealed=annealed(9.5), reverse=reverse(10.5))
    assert any(found.against_each_other())
    assert _needed(found, 0.1, can_anneal=True) == (False, True)
    # unless no longer annealing is to be had, or the tempered chains lie outside
    assert _needed(found, 0.1, can_anneal=False) == (True, True)
    outside = replace(found, tempered=tempered(9.0))
    assert _needed(outside, 0.1, can_anneal=True) == (True, True)


def test_a_gap_that_errors_do_not_explain_stays_a_gap() -> None:
    low, high = replace(ALL_WELL, annealed=annealed(9.8), reverse=reverse(10.2)).ends()
    assert low.value == 9.8 and high.value == 10.2


@pytest.mark.parametrize(
    ("found", "reason", "remedy"),
    [
        (
            replace(ALL_WELL, annealed=annealed(8.7)),
            "the annealed chain and the tempered one differ by 1.3 nats in log Z: the model has",
            "train a model that mixes",
        ),
        (
            replace(ALL_WELL, reverse=reverse(11.0)),
            "the reverse annealed chain and the tempered one differ by 1.0 nats",
            "train a model that mixes",
        ),
        (
            replace(ALL_WELL, tempered=tempered(rows=12.0)),
            "started at rows and at the base rates differ by 2.0 nats in log Z",
            "`sampler='tempering'`",
        ),
        (
            replace(ALL_WELL, tempered=replace(tempered(), renewed=0.4)),
            "60% of the tempered chains are still in modes where they started",
            "`method='pcd'`",
        ),
        (
            replace(ALL_WELL, annealed=replace(annealed(), log_weights=CARRIED_BY_FEW)),
            "only 2.0 of 60 annealed chains carry the estimate of log Z, and it takes 20",
            "pass more `n_temperatures`",
        ),
    ],
    ids=["annealed", "reverse", "starts", "stuck", "few"],
)
def test_whatever_speaks_against_a_lower_bound_is_said(
    found: Estimates, reason: str, remedy: str
) -> None:
    assert reason in " ".join(found.reasons()) and remedy in found.reasons()[-1]


def test_fast_annealing_is_no_fault_of_the_model() -> None:
    found = replace(ALL_WELL, annealed=replace(annealed(), log_weights=CARRIED_BY_FEW))
    assert "train" not in found.reasons()[-1]


def test_small_differences_widen_the_error_and_take_no_bound_away() -> None:
    found = replace(ALL_WELL, annealed=annealed(9.9, 0.001), tempered=tempered(10.0, 0.001))
    assert found.reasons() == ()
    assert found.ends()[0].std_error >= 0.05


# Tempered chains


def run(rbm: RBM, rows: torch.Tensor, n_sweeps: int) -> TemperedLogZ:
    path = AnnealingPath.adaptive(rbm, rows, 100)
    chains = Tempered(path, rows, 60)
    for steps in (chains.tune_(), chains.look(n_sweeps, 3)):
        done = list(steps)
        assert all(a < b for a, b in pairwise(done))
    return chains.found


@pytest.mark.parametrize("visible", ["binary", "gaussian-learned", "partly-gaussian"])
def test_tempered_chains_know_log_z_wherever_they_start(visible: str) -> None:
    rbm, model = random_rbm(BY_NAME[visible], BY_NAME["binary"], sizes=(5, 4), seed=3, scale=1.5)
    rows = torch.from_numpy(oracle.Joint(model).draw(100, 0)[0])
    found = run(rbm, rows, 200)
    exact = exact_log_z(rbm).value
    assert found.renewed > 0.99 and found.samples.shape == (3, 60, rbm.visible.n_columns)
    for value, error in [(found.value, found.std_error), *found.by_start.values()]:
        assert 0 < error < 0.2 and abs(value - exact) < 4 * error
    assert math.isinf(found.log_z.effective_chains) and found.log_z.errs == "either"


def test_chains_that_never_leave_their_start_are_counted() -> None:
    rbm = RBM(Binary(40), Binary(16))
    with torch.no_grad():
        rbm.weights.fill_(1.0)
        rbm.visible.bias.fill_(-8.0)
        rbm.hidden.bias.fill_(-20.0)
    found = run(rbm, torch.zeros(10, 40), 50)  # rows of the mode of all units off
    all_on = found.samples.mean(-1) > 0.9
    assert 0.1 < all_on.double().mean().item() < 0.5
    assert found.renewed < 0.8
    assert abs(found.spread()[2]) > 1 and "random hidden states" in found.spread()[:2]
