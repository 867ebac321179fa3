"""Sweeps that follow flips make the draws of sweeps by products, and say when they do not.

The oracle is `Gibbs` with following switched off. Weights here are multiples of 1/64, so that
products in float32 are exact, and every chain has to be the same to the last state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Gibbs, Spin, kernels, sampling
from harmonium.kernels.cpu import sweeps as cpu_sweeps
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Clamp, SamplingSchedule, start_random
from test_no_drift import LEAST_P, drift_p_value, small_model

pytestmark = pytest.mark.filterwarnings("error")

TWO_STATES = {"binary": Binary, "spin": Spin}
PAIRS = list(product(TWO_STATES, TWO_STATES))

# One unit, one chain, words of eight states with and without a rest, more than one thread's work.
SHAPES = [(1, 1, 1), (1, 7, 9), (3, 8, 16), (5, 33, 3), (40, 65, 130), (33, 300, 257)]

every_pair = pytest.mark.parametrize(("visible", "hidden"), PAIRS)


def choose(whether: bool, patch: pytest.MonkeyPatch) -> None:
    """Make the costs say so, whatever they are."""
    patch.setattr(cpu_sweeps._Costs, "are_too_high", lambda *_: not whether)
    patch.setattr(cpu_sweeps._Costs, "are_low_at", lambda *_: whether)


@contextmanager
def following(whether: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Follow flips whenever it is exact, or never; gives what each call of the kernel answered."""
    answers: list[bool] = []
    sweeps_ = kernels.sweeps_

    def answered(*arguments: object, **options: object) -> bool:
        answers.append(sweeps_(*arguments, **options))  # type: ignore[arg-type]
        return answers[-1]

    with monkeypatch.context() as patch:
        choose(whether, patch)
        patch.setattr(kernels, "sweeps_", answered)
        yield answers


def model(
    visible: str, hidden: str, n: int, m: int, spread: Callable[[Tensor], Tensor] = lambda w: w
) -> RBM:
    rbm = RBM(TWO_STATES[visible](n), TWO_STATES[hidden](m))
    generator = torch.Generator().manual_seed(n * m)
    with torch.no_grad():
        for parameter in rbm.parameters():
            x = torch.randn(parameter.shape, generator=generator)
            # inputs of a few nats: some units are as good as fixed, others are not
            x = x * (4 / max(n, m) ** 0.5 if parameter is rbm.weights else 0.5)
            parameter.copy_(spread(x) if parameter is rbm.weights else x)
            parameter.mul_(64).round_().div_(64)
    return rbm


def both_ways(
    rbm: RBM, rows: int, sweeps: int, monkeypatch: pytest.MonkeyPatch, *, ends: bool = False
) -> None:
    """The same chains, means and stream by following and by products, twice in a row."""
    chains = start_random(rbm, rows, Stream(7, Purpose.CHAINS))
    states = [chains, chains.clone()]
    streams = [Stream(2**40 + 1, Purpose.CHAINS, position=2**32 - 3) for _ in states]
    for _ in range(2):
        means = []
        for chains, stream, whether in zip(states, streams, (True, False), strict=True):
            with following(whether, monkeypatch) as answers:
                _, info = Gibbs(sweeps)(rbm, chains, stream, ends=ends)
            assert answers == [whether]
            means.append(info.hidden["bias"])
        assert torch.equal(states[0].visible, states[1].visible)
        torch.testing.assert_close(*means, rtol=0, atol=1e-5)
        assert streams[0] == streams[1]
        if ends:
            break
        assert torch.equal(states[0].hidden, states[1].hidden)


@every_pair
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_following_draws_what_products_draw(
    visible: str, hidden: str, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, n, m = shape
    both_ways(model(visible, hidden, n, m), rows, 6, monkeypatch)


@every_pair
def test_following_on_any_number_of_threads(
    visible: str, hidden: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_ways(model(visible, hidden, 300, 257), 33, 5, monkeypatch)


def test_chains_that_end_draw_no_last_hidden_states(monkeypatch: pytest.MonkeyPatch) -> None:
    both_ways(model("binary", "binary", 65, 130), 40, 4, monkeypatch, ends=True)


def with_one_large(weights: Tensor) -> Tensor:
    """Weights so large that 16 bits leave next to nothing of the others of their row and column."""
    weights = weights.clone()
    weights[::7, ::5] *= 512
    return weights


def without_some(weights: Tensor) -> Tensor:
    weights = weights.clone()
    weights[1] = 0
    weights[:, 2] = 0
    return weights


@every_pair
@pytest.mark.parametrize("spread", [with_one_large, without_some])
def test_following_weights_of_all_sizes(
    visible: str,
    hidden: str,
    spread: Callable[[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both_ways(model(visible, hidden, 65, 130, spread), 40, 5, monkeypatch)


@every_pair
@pytest.mark.parametrize("most", [1, 10, 300])
def test_what_rounding_could_decide_is_decided_by_the_weights(
    visible: str, hidden: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of one bit, of four and of nine still give the same draws."""
    monkeypatch.setattr(cpu_sweeps, "_MOST", most)
    both_ways(model(visible, hidden, 65, 130), 40, 5, monkeypatch)


def test_rounding_alone_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: chains of the rounded weights are other chains."""
    rbm = model("binary", "binary", 65, 130)
    chains = start_random(rbm, 40, Stream(7, Purpose.CHAINS))
    rounded = model("binary", "binary", 65, 130, lambda w: (w / w.abs().max() * 10).round() / 10)
    by_rounded = chains.clone()
    for way, moved in ((rbm, chains), (rounded, by_rounded)):
        with following(False, monkeypatch):
            Gibbs(5)(way, moved, Stream(1, Purpose.CHAINS))
    assert not torch.equal(chains.visible, by_rounded.visible)


@every_pair
@pytest.mark.parametrize("sweeps", [2, 10])
def test_following_does_not_drift(
    visible: str, hidden: str, sweeps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, small = small_model(visible, hidden, torch.float32)
    with following(True, monkeypatch) as answers:
        assert drift_p_value(rbm, oracle.Joint(small), Gibbs(sweeps)) > LEAST_P
    assert answers == [True]


def test_sampling_follows_whatever_its_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sweep a call or fifty, by products or not: a chain is a function of its stream."""
    rbm = model("binary", "binary", 40, 30)
    ends = []
    for whether, schedule in (
        (True, SamplingSchedule(n_warmup=120, n_samples=1, sweeps_per_sample=1)),
        (False, SamplingSchedule(n_warmup=100, n_samples=3, sweeps_per_sample=10)),
        (False, SamplingSchedule(n_warmup=0, n_samples=121, sweeps_per_sample=1)),
    ):
        chains = start_random(rbm, 9, Stream(1, Purpose.SAMPLE))
        stream = Stream(2, Purpose.SAMPLE)
        with following(whether, monkeypatch) as answers:
            for _ in sampling.sample(rbm, chains, schedule, stream):
                pass
        assert all(answer is whether for answer in answers)
        assert stream.position == 240
        ends.append(chains)
    for chains in ends[1:]:
        assert torch.equal(chains.visible, ends[0].visible)
        assert torch.equal(chains.hidden, ends[0].hidden)


def refused(change: Callable[[RBM, ChainState], None]) -> tuple[bool, ChainState, ChainState, int]:
    rbm = model("binary", "binary", 40, 30)
    chains = start_random(rbm, 9, Stream(1, Purpose.SAMPLE))
    change(rbm, chains)
    before, stream = chains.clone(), Stream(2, Purpose.SAMPLE)
    layers = (rbm.visible.bias, 0), (rbm.hidden.bias, 0)
    done = kernels.sweeps_((chains.visible, chains.hidden), rbm.weights, *layers, 5, stream)
    return done, chains, before, stream.position


def to_float64(rbm: RBM, chains: ChainState) -> None:
    rbm.double()
    chains.visible, chains.hidden = chains.visible.double(), chains.hidden.double()


def with_nan(rbm: RBM, chains: ChainState) -> None:
    rbm.weights.data[3, 4] = torch.nan


def with_infinity(rbm: RBM, chains: ChainState) -> None:
    rbm.weights.data[3, 4] = -torch.inf


def with_probabilities(rbm: RBM, chains: ChainState) -> None:
    chains.hidden[8, 29] = 0.5


def turned(rbm: RBM, chains: ChainState) -> None:
    rbm.weights.data = rbm.weights.data.T.contiguous().T


@pytest.mark.parametrize(
    "change", [to_float64, with_nan, with_infinity, with_probabilities, turned]
)
def test_what_cannot_be_followed_is_left_as_it_was(
    change: Callable[[RBM, ChainState], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(True, monkeypatch)
    assert refused(lambda rbm, chains: None)[0]
    done, chains, before, position = refused(change)
    assert not done
    assert torch.equal(chains.visible, before.visible)
    assert torch.equal(chains.hidden, before.hidden)
    assert position == 0


def test_what_is_held_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = model("binary", "binary", 40, 30)
    chains = start_random(rbm, 9, Stream(1, Purpose.SAMPLE))
    clamp = Clamp(torch.arange(40) < 5, torch.ones(40))
    with following(True, monkeypatch) as answers:
        Gibbs(5)(rbm, chains, Stream(2, Purpose.SAMPLE), clamp)
    assert answers == []
    assert (chains.visible[:, :5] == 1).all()


Costs = cpu_sweeps._Costs
TRAINED, RESTLESS = (0.05, 0.2), (0.5, 0.5)  # shares that flip; the first are README's model's
ON = (0.13, 0.5)


def test_where_few_units_flip_they_are_followed(threads: int) -> None:
    for rows, n in ((1000, 50), (500, 10), (100, 5)):
        costs = Costs(rows, (784, 500), n, ON)
        assert not costs.are_too_high(2)
        assert costs.are_low_at(*TRAINED)
    assert not Costs(500, (784, 500), 50, (0.5, 0.5)).are_low_at(*RESTLESS)


def test_one_sweep_is_not_worth_a_trial() -> None:
    """The first sweep adds up everything that is on, whatever flips later."""
    assert Costs(500, (784, 500), 1, ON).are_too_high(8)


def test_a_trial_in_vain_may_not_cost_much(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(100, (784, 500), 2, ON)
    assert costs.are_too_high(3)
    assert costs.are_low_at(0, 0)
    monkeypatch.setattr(cpu_sweeps, "_IN_VAIN", 1.0)
    assert not costs.are_too_high(3)


@pytest.mark.parametrize("flipping", [TRAINED, RESTLESS])
def test_chains_on_trial_tell_how_many_units_flip(
    flipping: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strong biases hold the units of one model, and nothing those of the other."""
    held = flipping is TRAINED
    rbm = RBM(Binary(60), Binary(40))
    with torch.no_grad():
        rbm.visible.bias[::2] = 8.0 * held
        rbm.visible.bias[1::2] = -8.0 * held
        rbm.hidden.bias.fill_(3.0 * held)
    chains = start_random(rbm, 640, Stream(1, Purpose.CHAINS))
    told = []
    with monkeypatch.context() as patch:
        patch.setattr(Costs, "are_too_high", lambda *_: False)
        patch.setattr(Costs, "are_low_at", lambda _, *flips: told.append(flips))  # None: not low
        Gibbs(5)(rbm, chains, Stream(2, Purpose.CHAINS))
    assert told[0] == RESTLESS  # the worst case first: where that is low, nothing is tried
    for share, layer in zip(told[1], (rbm.visible, rbm.hidden), strict=True):
        p = layer.mean(torch.zeros(1, layer.n))
        expected = (2 * p * (1 - p)).mean().item()
        n = 8 * layer.n  # chains on trial times units
        assert abs(share - expected) < 5 * (expected * (1 - expected) / n) ** 0.5


def test_what_does_not_fit_is_refused() -> None:
    v, h, weights = torch.zeros(3, 4), torch.zeros(3, 2), torch.zeros(4, 2)
    layers = (torch.zeros(4), 0), (torch.zeros(2), 0)
    stream = Stream(0, Purpose.CHAINS)
    with pytest.raises(ValueError, match="do not fit weights of shape"):
        kernels.sweeps_((v, h), weights.T, *layers, 2, stream)
    with pytest.raises(ValueError, match="do not fit weights of shape"):
        kernels.sweeps_((v, h[:2]), weights, *layers, 2, stream)
    with pytest.raises(ValueError, match="one parameter for each column"):
        kernels.sweeps_((v, h), weights, layers[1], layers[1], 2, stream)
    assert stream.position == 0
