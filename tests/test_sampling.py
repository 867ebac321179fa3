"""Sampling: where chains start, when samples are taken, and that a clamp gives the conditional."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Categorical, Gaussian, deep
from harmonium.rng import Purpose, Stream
from harmonium.sampling import (
    ChainState,
    Clamp,
    Gibbs,
    SamplingSchedule,
    draw,
    sample,
    start_at,
    start_random,
)
from unit_types import BY_NAME, UnitType, array, every_unit_type, random_rbm

N_CHAINS = 40_000
LEAST_P = 1e-6


def stream(position: int = 0) -> Stream:
    return Stream(2, Purpose.SAMPLE, position=position)


def small_rbm() -> RBM:
    return random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(4, 3))[0]


def equal(a: ChainState, b: ChainState) -> bool:
    return torch.equal(a.visible, b.visible) and torch.equal(a.hidden, b.hidden)


# --- starts -----------------------------------------------------------------------------------


def test_chains_start_at_copies_of_the_rows() -> None:
    rbm, rows = small_rbm(), torch.eye(4, dtype=torch.float64)
    chains = start_at(rbm, rows, stream())
    assert len(chains) == 4
    assert torch.equal(chains.visible, rows)
    assert torch.equal(chains.hidden, rbm.sample_h_from_v(rows, stream()))
    Gibbs()(rbm, chains, stream())
    assert torch.equal(rows, torch.eye(4, dtype=torch.float64))


def test_chains_of_a_view_are_contiguous() -> None:
    rbm, rows = small_rbm(), torch.eye(4, dtype=torch.float64)[:, [1, 2, 3, 0]].T
    chains = start_at(rbm, rows, stream())
    assert chains.visible.is_contiguous() and chains.hidden.is_contiguous()
    assert torch.equal(chains.visible, rows)


@every_unit_type
def test_random_chains_follow_the_visible_biases(unit_type: UnitType, device: torch.device) -> None:
    """The joint of visible units without weights, and hidden ones given these."""
    rbm, model = random_rbm(unit_type, BY_NAME["binary"], device=device)
    chains = start_random(rbm, N_CHAINS, stream())
    nothing = np.zeros_like(model.weights)
    alone = oracle.Joint(oracle.Model(model.visible, model.hidden, nothing))
    v, h = array(chains.visible), array(chains.hidden)
    ignored = alone.draw(N_CHAINS, seed=0)[1]
    assert alone.p_value(v, ignored) > LEAST_P
    given = array(rbm.mean_h_from_v(chains.visible))
    error = np.sqrt((given * (1 - given)).sum(0)) / N_CHAINS
    assert (np.abs((h - given).mean(0)) < 5 * error).all()
    assert chains.visible.dtype == rbm.weights.dtype


def test_starts_that_are_none_are_refused() -> None:
    rbm, s = small_rbm(), stream()
    with pytest.raises(ValueError, match=r"^n_chains is 0; pass 1 or more$"):
        start_random(rbm, 0, s)
    with pytest.raises(ValueError, match=r"^visible has 3 columns, but this RBM has 4 visible"):
        start_at(rbm, torch.zeros(2, 3, dtype=torch.float64), s)
    with pytest.raises(ValueError, match=r"^visible has shape \(4,\); pass \(n_chains, 4\)"):
        start_at(rbm, torch.zeros(4, dtype=torch.float64), s)
    assert s.position == 0


# --- Gibbs ------------------------------------------------------------------------------------


def test_gibbs_moves_the_chains_in_place() -> None:
    rbm = small_rbm()
    chains = start_random(rbm, 50, stream())
    visible, hidden = chains.visible, chains.hidden
    before = chains.clone()
    after, _ = Gibbs(sweeps=3)(rbm, chains, stream(5))
    assert after is chains
    assert after.visible is visible and after.hidden is hidden
    assert not equal(after, before)


def test_one_call_of_many_sweeps_is_many_calls_of_one() -> None:
    rbm = small_rbm()
    a = start_random(rbm, 50, stream())
    b, c = a.clone(), a.clone()
    Gibbs(sweeps=3)(rbm, a, stream(5))
    s = stream(5)
    for _ in range(3):
        Gibbs(sweeps=1)(rbm, b, s)
    assert equal(a, b)
    assert s.position == 5 + 2 * 3
    s = stream(5)
    for _ in range(3):  # by hand, with the grid
        c.visible = rbm.sample_v_from_h(c.hidden, s)
        c.hidden = rbm.sample_h_from_v(c.visible, s)
    assert equal(a, c)


@every_unit_type
def test_what_a_sampler_saw_are_the_hidden_units_expectations(unit_type: UnitType) -> None:
    rbm, _ = random_rbm(BY_NAME["binary"], unit_type)
    chains, info = Gibbs(sweeps=2)(rbm, start_random(rbm, 9, stream()), stream())
    expected = rbm.hidden.mean_statistics(rbm.inputs_h_from_v(chains.visible))
    assert info.hidden.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(info.hidden[name], value)
        assert not info.hidden[name].requires_grad


def test_chains_that_end_are_the_same_but_for_their_last_hidden_states() -> None:
    rbm, going_on, ending = small_rbm(), stream(5), stream(5)
    a = start_random(rbm, 50, stream())
    b = a.clone()
    _, seen = Gibbs(sweeps=2)(rbm, a, going_on)
    _, seen_at_the_end = Gibbs(sweeps=2)(rbm, b, ending, ends=True)
    assert torch.equal(a.visible, b.visible)
    assert torch.equal(seen.hidden["bias"], seen_at_the_end.hidden["bias"])
    assert going_on == ending


def test_a_sampler_that_would_not_move_is_refused() -> None:
    for sweeps in (0, -1):
        with pytest.raises(ValueError, match=rf"^sweeps is {sweeps}; pass 1 or more$"):
            Gibbs(sweeps)
    assert Gibbs(**Gibbs(7).config()) == Gibbs(7)


def test_chains_of_another_model_are_refused() -> None:
    rbm, s = small_rbm(), stream()
    for visible, hidden, message in (
        ((5, 3), (5, 3), "visible has 3 columns, but this RBM has 4 visible units"),
        ((5, 4), (5, 4), "hidden has 4 columns, but this RBM has 3 hidden units"),
        ((5, 4), (6, 3), "have shape (5, 4) and the hidden ones (6, 3); pass (n_chains, columns)"),
        ((4,), (3,), "have shape (4,) and the hidden ones (3,)"),
    ):
        chains = ChainState(torch.zeros(visible).double(), torch.zeros(hidden).double())
        for call in (
            lambda chains=chains: Gibbs()(rbm, chains, s),
            lambda chains=chains: sample(rbm, chains, SamplingSchedule(0, 1, 1), s),
        ):
            with pytest.raises(ValueError, match=re.escape(message)):
                call()
    assert s.position == 0


# --- the schedule -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_warmup", [0, 1, 4])
@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("sweeps_per_sample", [1, 5])
def test_a_schedule_counts_sweeps(n_warmup: int, n_samples: int, sweeps_per_sample: int) -> None:
    schedule = SamplingSchedule(n_warmup, n_samples, sweeps_per_sample)
    rbm = small_rbm()
    start = start_random(rbm, 20, stream())
    s = stream(7)
    seen = [chains.clone() for chains in sample(rbm, start.clone(), schedule, s)]
    assert len(seen) == n_samples
    assert s.position == 7 + 2 * schedule.n_sweeps
    for i, chains in enumerate(seen):
        expected = start.clone()
        n_sweeps = n_warmup + i * sweeps_per_sample
        if n_sweeps:
            Gibbs(n_sweeps)(rbm, expected, stream(7))
        assert equal(chains, expected)


def test_samples_are_taken_when_asked_for() -> None:
    rbm, s = small_rbm(), stream(7)
    chains = start_random(rbm, 20, stream())
    samples = sample(rbm, chains, SamplingSchedule(2, 3, 4), s, copies=False)
    assert s.position == 7
    assert next(samples) is chains
    assert s.position == 7 + 2 * 2
    assert next(samples) is chains
    assert s.position == 7 + 2 * (2 + 4)


def test_a_list_of_samples_holds_each_of_them() -> None:
    rbm, schedule = small_rbm(), SamplingSchedule(2, 3, 4)
    chains = start_random(rbm, 20, stream())
    samples = list(sample(rbm, chains.clone(), schedule, stream(7)))
    in_place = sample(rbm, chains.clone(), schedule, stream(7), copies=False)
    for kept, now in zip(samples, in_place, strict=True):
        assert equal(kept, now)
    assert not torch.equal(samples[0].visible, samples[1].visible)
    # the last one goes on as the chains themselves do
    sample_after = sample(rbm, samples[-1], SamplingSchedule(3, 1, 1), stream(9))
    assert equal(next(sample_after), next(sample(rbm, now, SamplingSchedule(3, 1, 1), stream(9))))


def test_samples_are_drawn_as_one_array() -> None:
    rbm, schedule = small_rbm(), SamplingSchedule(2, 3, 4)
    start = start_random(rbm, 20, stream())
    drawn = draw(rbm, start.clone(), schedule, stream(7))
    assert drawn.shape == (3, 20, 4)
    one_by_one = [now.visible for now in sample(rbm, start, schedule, stream(7))]
    assert torch.equal(drawn, torch.stack(one_by_one))


def test_an_rbm_samples_by_itself_what_its_chains_would() -> None:
    rbm = small_rbm()
    s = Stream(3, Purpose.SAMPLE)
    expected = draw(rbm, start_random(rbm, 20, s), SamplingSchedule(30, 1, 1), s)[0]
    assert torch.equal(rbm.sample(20, sweeps=30, seed=3), expected)
    assert not torch.equal(rbm.sample(20, sweeps=30, seed=4), expected)


def test_what_is_no_chain_or_stream_is_refused_in_words() -> None:
    rbm, schedule, chains = (
        small_rbm(),
        SamplingSchedule(2, 3, 4),
        start_random(small_rbm(), 5, stream()),
    )
    dbn = deep.DBN([rbm])
    for call, message in (
        (lambda: sample(rbm, 10, schedule, stream()), "chains is 10; pass sampling.start_random"),
        (lambda: sample(rbm, chains, 10, stream()), "schedule is 10; pass SamplingSchedule"),
        (lambda: sample(rbm, chains, schedule, 0), "stream is 0; pass Stream"),
        (lambda: sample(dbn, chains, schedule, stream()), r"rbm is .*; pass an RBM, .*dbn.top"),
        (lambda: dbn.sample(10, schedule, stream()), "chains is 10; pass sampling.start_random"),
        (lambda: start_random(rbm, "5", stream()), "n_chains is '5'; pass a whole number"),
        (lambda: start_random(rbm, 5, 0), "stream is 0; pass Stream"),
        (lambda: start_at(rbm, np.zeros((2, 4)), stream()), r"visible is a numpy.ndarray of shape"),
        (lambda: Clamp(np.zeros(4, bool), torch.zeros(4)), r"mask is a numpy.ndarray of shape"),
        (lambda: Gibbs("1"), "sweeps is '1'; pass a whole number"),
        (lambda: SamplingSchedule(1.5, 1, 1), "n_warmup is 1.5; pass a whole number"),
        (lambda: sample(rbm, chains, schedule, stream(), sampler="gibbs"), "sampler is 'gibbs'"),
        (lambda: rbm.sample("5"), "n is '5'; pass a whole number"),
    ):
        with pytest.raises(TypeError, match=f"^{message}"):
            call()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1, 1), "n_warmup is -1; pass 0 or more"),
        ((0, 0, 1), "n_samples is 0; pass 1 or more"),
        ((0, 1, 0), "sweeps_per_sample is 0; pass 1 or more"),
    ],
)
def test_a_schedule_that_goes_nowhere_is_refused(
    arguments: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{message}$"):
        SamplingSchedule(*arguments)


# --- clamping ---------------------------------------------------------------------------------


def held_columns(visible: str, device: object = "cpu") -> tuple[RBM, oracle.Model, Tensor, Tensor]:
    """A model, a mask that holds its first unit, and values of which only that is meant."""
    rbm, model = random_rbm(
        BY_NAME[visible], BY_NAME["binary"], sizes=(3, 2), scale=0.9, device=device
    )
    mask = torch.arange(rbm.visible.n_columns, device=device) < rbm.visible.width
    states = rbm.visible.states
    assert states is not None
    values = torch.full_like(rbm.visible.bias.detach(), torch.nan)
    values[: rbm.visible.width] = states[-1]
    return rbm, model, mask, values


def clamped_p_value(
    rbm: RBM, model: oracle.Model, clamp: Clamp, start: ChainState, n_warmup: int
) -> float:
    """Whether the chains end in the distribution given what is held."""
    schedule = SamplingSchedule(n_warmup, 1, 1)
    (chains,) = sample(rbm, start, schedule, stream(9), clamp)
    held = array(clamp.values)
    return oracle.Joint(model, held).p_value(array(chains.visible), array(chains.hidden))


@pytest.mark.parametrize("visible", ["binary", "spin", "categorical"])
@pytest.mark.parametrize("n_warmup", [0, 1, 3])
def test_clamped_chains_do_not_drift_from_the_conditional(
    visible: str, n_warmup: int, device: torch.device
) -> None:
    rbm, model, mask, values = held_columns(visible, device)
    joint = oracle.Joint(model, array(values))
    start = ChainState(*(torch.from_numpy(x).to(device) for x in joint.draw(N_CHAINS, seed=3)))
    assert clamped_p_value(rbm, model, Clamp(mask, values), start, n_warmup) > LEAST_P


@pytest.mark.parametrize("visible", ["binary", "spin", "categorical"])
def test_clamped_chains_find_the_conditional_from_anywhere(
    visible: str, device: torch.device
) -> None:
    rbm, model, mask, values = held_columns(visible, device)
    start = start_random(rbm, N_CHAINS, stream())
    assert clamped_p_value(rbm, model, Clamp(mask, values), start, n_warmup=50) > LEAST_P


def test_a_clamp_that_comes_too_late_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden units that were drawn given the states before the clamp are wrong."""
    rbm, model, mask, values = held_columns("binary")
    start = start_random(rbm, N_CHAINS, stream())
    clamp = Clamp(mask, values)
    (late,) = sample(rbm, start, SamplingSchedule(50, 1, 1), stream(9))
    clamp.apply_(late.visible)
    p = oracle.Joint(model, array(values)).p_value(array(late.visible), array(late.hidden))
    assert p < LEAST_P


def test_gaussian_units_can_be_held() -> None:
    """Given one of them, the others and the hidden units are a model with another bias."""
    rbm, model = random_rbm(BY_NAME["gaussian"], BY_NAME["binary"], sizes=(3, 2), scale=0.9)
    mask, values = torch.tensor([True, False, False]), torch.tensor([1.5, torch.nan, torch.nan])
    rest = oracle.Model(
        oracle.Layer(model.visible.bias[1:], model.visible.tables[1:]),
        oracle.binary(model.hidden.bias + 1.5 * model.weights[0]),
        model.weights[1:],
    )
    start = start_random(rbm, N_CHAINS, stream())
    (chains,) = sample(rbm, start, SamplingSchedule(50, 1, 1), stream(9), Clamp(mask, values))
    assert (chains.visible[:, 0] == 1.5).all()
    p = oracle.Joint(rest).p_value(array(chains.visible[:, 1:]), array(chains.hidden))
    assert p > LEAST_P


def test_each_chain_can_hold_columns_of_its_own() -> None:
    rbm = small_rbm()
    mask = torch.tensor([[True, False, False, True], [False, False, True, False]])
    values = torch.tensor([[1.0, 9.0, 9.0, 0.0], [9.0, 9.0, 1.0, 9.0]])
    chains = start_random(rbm, 2, stream())
    free = set()
    for now in sample(rbm, chains, SamplingSchedule(0, 40, 1), stream(9), Clamp(mask, values)):
        assert torch.equal(now.visible[mask], values[mask].double())
        free.add(tuple(now.visible[~mask].tolist()))
    assert len(free) > 1


def test_values_of_one_row_are_held_in_all_chains() -> None:
    rbm, mask = small_rbm(), torch.tensor([[True, True, False, False]])
    clamp = Clamp(mask, torch.tensor([[1, 0, 0, 0]], dtype=torch.uint8))
    chains = start_random(rbm, 30, stream())
    (now,) = sample(rbm, chains, SamplingSchedule(3, 1, 1), stream(9), clamp)
    assert (now.visible[:, :2] == torch.tensor([1.0, 0.0])).all()


@pytest.mark.parametrize(
    ("mask", "values", "message"),
    [
        (torch.ones(4), torch.ones(4), "mask has dtype torch.float32; pass booleans, True where"),
        (torch.tensor(True), torch.ones(4), "mask has shape () and values (4,)"),
        (torch.ones(3).bool(), torch.ones(4), "mask has shape (3,) and values (4,); pass the same"),
        (torch.ones(4).bool(), torch.tensor(1.0), "mask has shape (4,) and values ()"),
    ],
)
def test_a_clamp_that_makes_no_sense_is_refused(mask: Tensor, values: Tensor, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        Clamp(mask, values)


@pytest.mark.parametrize(
    ("mask", "values", "message"),
    [
        ([True] * 3, [1.0] * 3, "visible has 3 columns, but this RBM has 4 visible units"),
        ([[True] * 4] * 3, [1.0] * 4, "mask has shape (3, 4), but there are 2 chains; pass shape"),
        ([True] * 4, [[1.0] * 4] * 3, "values has shape (3, 4), but there are 2 chains"),
        ([True] * 4, [0, 0, 255.0, 0], "values to hold: 2 of 8 values are not between 0 and 1"),
        ([True] * 4, [0, 0, torch.nan, 0], "values to hold: 2 of 8 values are not between 0 and 1"),
    ],
)
def test_a_clamp_that_does_not_fit_is_refused_and_changes_nothing(
    mask: list[object], values: list[object], message: str
) -> None:
    rbm, s = small_rbm(), stream(7)
    chains = start_random(rbm, 2, stream())
    before = chains.clone()
    clamp = Clamp(torch.tensor(mask), torch.tensor(values))
    with pytest.raises(ValueError, match=re.escape(message)):
        sample(rbm, chains, SamplingSchedule(0, 1, 1), s, clamp)  # at once, without a next()
    assert equal(chains, before)
    assert s.position == 7


def test_a_clamp_through_a_unit_is_refused() -> None:
    rbm = RBM(Categorical(2, 3), Binary(2))
    chains = start_random(rbm, 5, stream())
    clamp = Clamp(torch.tensor([True, True, False] + [False] * 3), torch.zeros(6))
    with pytest.raises(ValueError, match=r"^mask holds some of the 3 columns of a unit"):
        sample(rbm, chains, SamplingSchedule(0, 1, 1), stream(), clamp)


def test_sampling_has_no_gradient() -> None:
    rbm = RBM(Gaussian(3), Gaussian(2))
    chains = start_random(rbm, 4, stream())
    clamp = Clamp(torch.tensor([True, False, False]), torch.ones(3))
    for now in sample(rbm, chains, SamplingSchedule(1, 2, 1), stream(), clamp):
        assert not now.visible.requires_grad and not now.hidden.requires_grad
