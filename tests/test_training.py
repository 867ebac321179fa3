"""The one training loop: what an update does, what it leaves alone, and what it refuses."""

from __future__ import annotations

import contextlib
import copy
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from harmonium import (
    RBM,
    Binary,
    Categorical,
    CenteredGradient,
    ChainState,
    Clamp,
    Gaussian,
    Gibbs,
    Monitor,
    Penalties,
    PlainGradient,
    Spin,
    Stream,
    TrainingState,
    defaults,
    training,
)
from harmonium.datasets import Data, Minibatches, OneHot, Threshold
from harmonium.sampling import Sampler, SweepInfo
from phases import one_thread  # noqa: F401
from unit_types import UNIT_TYPES, UnitType, randomise_

N_VISIBLE, N_HIDDEN = 6, 4


def data(n: int = 30, seed: int = 0) -> Data:
    values = torch.rand((n, N_VISIBLE), generator=torch.Generator().manual_seed(seed))
    return Data("rows", values, Threshold(0.4))


def model(seed: int = 80) -> RBM:
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN))
    randomise_(rbm, seed, scale=0.3)
    return rbm


def batch(n: int = 5, seed: int = 1) -> Tensor:
    return data(n, seed).rows(torch.arange(n))


def parameters(rbm: RBM) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in rbm.named_parameters()}


def assert_same_bits(a: RBM, b: RBM) -> None:
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q), name


def train(state: TrainingState, epochs: int = 3, batch_size: int = 8) -> TrainingState:
    for _ in training.updates(state, Minibatches(data(), batch_size), epochs):
        pass
    return state


# Chains


@pytest.mark.parametrize("gradient", [PlainGradient, CenteredGradient])
def test_cd_and_pcd_differ_in_nothing_but_the_start_of_the_chains(
    gradient: type[PlainGradient | CenteredGradient],
) -> None:
    v = batch()
    cd, pcd = (
        TrainingState.create(
            model(), sampler=Gibbs(sweeps=3), n_chains=None, gradient=gradient(), seed=2
        )
        for _ in range(2)
    )
    for _ in range(4):
        # what CD does by itself: hidden states drawn at the rows of the batch
        hidden = pcd.rbm.sample_h_from_v(v, pcd.stream).detach()
        pcd.chains = ChainState(torch.full_like(v, torch.nan), hidden)
        training.update(pcd, v)
        training.update(cd, v)
        assert cd.chains is None
        assert_same_bits(cd.rbm, pcd.rbm)
    assert cd.stream == pcd.stream


@pytest.mark.parametrize("n_chains", [1, 3, 50])
def test_persistent_chains_go_on_from_update_to_update_whatever_the_batch(n_chains: int) -> None:
    state = TrainingState.create(model(), sampler=Gibbs(2), n_chains=n_chains, learning_rate=0.0)
    assert state.chains is not None
    expected, stream = state.chains.clone(), state.stream.at(state.stream.position)
    for n_rows in (5, 2, 5):
        training.update(state, batch(n_rows))
        Gibbs(2)(state.rbm, expected, stream)
        assert len(state.chains) == n_chains
        assert torch.equal(state.chains.visible, expected.visible)
        assert torch.equal(state.chains.hidden, expected.hidden)
    assert state.stream == stream


def test_an_update_follows_the_definition() -> None:
    state = TrainingState.create(
        model(), n_chains=7, gradient=PlainGradient(), learning_rate=0.5, seed=3
    )
    before = copy.deepcopy(state)
    v = batch()
    training.update(state, v)
    assert before.chains is not None
    Gibbs(1)(before.rbm, before.chains, before.stream)
    loss = before.rbm.free_energy(v).mean() - before.rbm.free_energy(before.chains.visible).mean()
    loss.backward()
    for name, p in before.rbm.named_parameters():
        assert p.grad is not None
        torch.testing.assert_close(dict(state.rbm.named_parameters())[name], p - 0.5 * p.grad)
    assert state.update == 1


# A short last batch


@dataclass(frozen=True)
class Still(Sampler):
    """Chains that do not move: a negative phase that is the same in every update."""

    def __call__(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        clamp: Clamp | None = None,
        *,
        ends: bool = False,
    ) -> tuple[ChainState, SweepInfo]:
        return chains, SweepInfo(rbm.hidden.mean_statistics(rbm.inputs_h_from_v(chains.visible)))

    def config(self) -> dict[str, int | float | bool]:
        return {}


class Recorder(Optimizer):
    """Adds up the gradients and leaves the parameters alone."""

    def __init__(self, rbm: RBM) -> None:
        super().__init__(rbm.parameters(), {"lr": 0.0})
        self.total = [torch.zeros_like(p) for p in rbm.parameters()]

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for total, p in zip(self.total, self.param_groups[0]["params"], strict=True):
            total += p.grad


@pytest.mark.parametrize("penalties", [{}, {"l1": 0.2, "l2": 0.3}])
@pytest.mark.parametrize("batch_size", [2, 3, 4, 7, 10])
def test_every_row_of_an_epoch_has_the_same_weight(
    batch_size: int, penalties: dict[str, float]
) -> None:
    n = 10
    rbm = RBM(Binary(n), Binary(N_HIDDEN)).double()
    randomise_(rbm, seed=81)
    rows = Data("unit vectors", torch.eye(n))  # column i of a sum is row i's share of it
    optimizer = Recorder(rbm)
    state = TrainingState.create(
        rbm,
        sampler=Still(),
        n_chains=3,
        optimizer=optimizer,
        gradient=PlainGradient(),
        penalties=Penalties(**penalties),
    )
    assert state.chains is not None
    for _ in training.updates(state, Minibatches(rows, batch_size), epochs=1):
        pass
    v = torch.eye(n, dtype=torch.float64)
    fantasies = state.chains.visible
    loss = rbm.free_energy(v).mean() - rbm.free_energy(fantasies).mean()
    if penalties:
        loss = loss + 0.2 * rbm.weights.abs().sum() + 0.15 * rbm.weights.square().sum()
    # an epoch is n / batch_size full batches, and n / batch_size times the whole gradient
    whole = torch.autograd.grad(loss, list(rbm.parameters()))
    for total, g in zip(optimizer.total, whole, strict=True):
        torch.testing.assert_close(total, g * n / batch_size, rtol=1e-12, atol=1e-13)


# Rows that do not all count alike


@pytest.mark.parametrize("gradient", [PlainGradient, CenteredGradient])
def test_a_row_of_weight_two_is_learnt_from_like_two_rows(
    gradient: type[PlainGradient | CenteredGradient],
) -> None:
    weights = torch.tensor([2.0, 1.0, 0.0, 3.0, 1.0])
    rows = batch()
    repeated = rows.repeat_interleave(weights.long(), 0)
    a, b = (
        TrainingState.create(model().double(), n_chains=3, gradient=gradient()) for _ in range(2)
    )
    for _ in range(4):
        training.update(a, rows, 10, weights)
        training.update(b, repeated, 10)
    for p, q in zip(a.rbm.parameters(), b.rbm.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-13, atol=1e-14)
    assert not torch.allclose(a.rbm.weights, model().double().weights)


def test_chains_of_cd_count_as_the_rows_that_they_started_at() -> None:
    rows = batch()
    a, b = (TrainingState.create(model().double(), n_chains=None) for _ in range(2))
    training.update(a, rows, weights=torch.tensor([1.0, 0, 0, 0, 0]))
    training.update(b, rows[:1])  # a row's numbers do not depend on the rows below it
    for p, q in zip(a.rbm.parameters(), b.rbm.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-13, atol=1e-14)


def test_a_batch_counts_in_proportion_to_its_weight() -> None:
    moved = []
    for weights in (torch.ones(5), torch.full((5,), 3.0)):
        state = TrainingState.create(model().double(), n_chains=3)
        training.update(state, batch(), 5, weights)
        moved.append(state.rbm.weights - model().double().weights)
    torch.testing.assert_close(moved[1], 3 * moved[0], rtol=1e-10, atol=1e-15)


def test_an_epoch_of_equal_weights_is_an_epoch_without() -> None:
    a, b = (TrainingState.create(model().double(), n_chains=3) for _ in range(2))
    for state, weights in ((a, torch.full((30,), 7.0)), (b, None)):
        for _ in training.updates(state, Minibatches(data(), 8, weights), 2):
            pass
    for p, q in zip(a.rbm.parameters(), b.rbm.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "weights", [[1.0, 1.0], [0.0] * 5, [1.0, 1, 1, 1, -1], [1.0, 1, 1, 1, float("inf")]]
)
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    state = TrainingState.create(model(), n_chains=3)
    with pytest.raises(ValueError, match=r"weights have shape \(\d,\), the least"):
        training.update(state, batch(), weights=torch.tensor(weights))
    assert state.update == 0
    assert_same_bits(state.rbm, model())


# Optimisers and schedules

OPTIMIZERS: dict[str, Callable[[list[Tensor]], Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "fused Adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "groups": lambda p: torch.optim.SGD(
        [{"params": p[:1], "lr": 0.2}, {"params": p[1:], "momentum": 0.5}], lr=0.1
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimiser_makes_its_own_step_with_the_gradient(name: str) -> None:
    rbm = model()
    state = TrainingState.create(rbm, optimizer=OPTIMIZERS[name](list(rbm.parameters())), seed=4)
    twin = copy.deepcopy(rbm)
    optimizer = OPTIMIZERS[name](list(twin.parameters()))
    start = parameters(rbm)
    for _ in range(5):
        training.update(state, batch())
        for p, q in zip(twin.parameters(), rbm.parameters(), strict=True):
            p.grad = None if q.grad is None else q.grad.clone()
        optimizer.step()
        assert_same_bits(rbm, twin)
    assert not any(torch.equal(start[name], p) for name, p in rbm.named_parameters())


def test_the_learning_rate_falls_linearly_to_zero() -> None:
    n = 12
    state = TrainingState.create(
        model(),
        learning_rate=0.3,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, n),
    )
    for done in range(n):
        assert state.learning_rate == pytest.approx(0.3 * (1 - done / n), rel=1e-12)
        training.update(state, batch())
    assert state.learning_rate == 0
    at_the_end = parameters(state.rbm)
    training.update(state, batch())
    assert state.learning_rate == 0
    assert all(torch.equal(at_the_end[name], p) for name, p in state.rbm.named_parameters())


@pytest.mark.parametrize("n_before", [8, None])
@pytest.mark.parametrize("done", [0, 1, 5, 11, 12])
def test_a_schedule_takes_up_where_it_would_be(done: int, n_before: int | None) -> None:
    n = 12
    state = TrainingState.create(
        model(),
        learning_rate=0.3,
        schedule=None
        if n_before is None
        else lambda optimizer: training.linear_to_zero(optimizer, n_before),
    )
    for _ in range(done):
        training.update(state, batch())
    state.schedule = training.linear_to_zero(state.optimizer, n, done=done)
    for now in range(done, n):
        assert state.learning_rate == pytest.approx(0.3 * (1 - now / n), rel=1e-12)
        training.update(state, batch())
    assert state.learning_rate == 0


def test_a_schedule_that_ended_long_ago_is_zero_and_never_negative() -> None:
    state = TrainingState.create(model(), learning_rate=0.3)
    state.schedule = training.linear_to_zero(state.optimizer, 10, done=25)
    for _ in range(3):
        assert state.learning_rate == 0
        training.update(state, batch())


@pytest.mark.parametrize(("n_updates", "done"), [(0, 0), (-5, 0), (10, -1)])
def test_a_schedule_over_nothing_is_refused(n_updates: int, done: int) -> None:
    state = TrainingState.create(model())
    message = f"n_updates is {n_updates} and done {done}; pass 1 or more"
    with pytest.raises(ValueError, match=message):
        training.linear_to_zero(state.optimizer, n_updates, done)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 4], gamma=0.5),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.5, total_steps=10),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda update: 0.5**update),
    ],
    ids=["MultiStepLR", "CosineAnnealingLR", "OneCycleLR", "LambdaLR"],
)
def test_any_scheduler_of_torch_is_stepped_after_each_update(
    schedule: Callable[[Optimizer], torch.optim.lr_scheduler.LRScheduler],
) -> None:
    state = TrainingState.create(model(), learning_rate=0.1, schedule=schedule)
    twin = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    expected = schedule(twin)
    for _ in range(6):
        assert state.learning_rate == twin.param_groups[0]["lr"]
        training.update(state, batch())
        twin.step()
        expected.step()


# The average of the parameters


def test_the_average_follows_the_parameters() -> None:
    decay = 0.6
    rbm = model()
    state = TrainingState.create(rbm, average_decay=decay, learning_rate=0.5)
    assert state.average is not None
    assert state.model is state.average
    expected = {name: p.double() for name, p in parameters(rbm).items()}
    for update in range(1, 20):
        training.update(state, batch(seed=update))
        now = min(decay, update / (update + 9))
        for name, p in rbm.named_parameters():
            expected[name] = now * expected[name] + (1 - now) * p.detach().double()
    for name, p in state.average.named_parameters():
        torch.testing.assert_close(p.double(), expected[name], rtol=1e-5, atol=1e-6)
        assert not torch.equal(p, dict(rbm.named_parameters())[name])


def test_averaging_does_not_change_the_training() -> None:
    plain = train(TrainingState.create(model()))
    assert plain.model is plain.rbm
    assert_same_bits(train(TrainingState.create(model(), average_decay=0.9)).rbm, plain.rbm)


# The loop


def test_the_same_seed_trains_the_same_model_and_another_one_another() -> None:
    first, again, other = (train(TrainingState.create(model(), seed=seed)) for seed in (5, 5, 6))
    assert_same_bits(first.rbm, again.rbm)
    assert not torch.equal(first.rbm.weights, other.rbm.weights)


def test_epochs_are_counted_in_all() -> None:
    batches = Minibatches(data(), 8)
    whole, parts = (TrainingState.create(model(), seed=7) for _ in range(2))
    assert list(training.updates(whole, batches, 5)) == list(range(1, 21))
    assert list(training.updates(parts, batches, 2)) == list(range(1, 9))
    assert list(training.updates(parts, Minibatches(data(), 8), 5)) == list(range(9, 21))
    assert list(training.updates(parts, batches, 5)) == []
    assert_same_bits(whole.rbm, parts.rbm)


@pytest.mark.parametrize("n_chains", [10, None])
def test_watching_does_not_change_a_bit(n_chains: int | None) -> None:
    unwatched = train(TrainingState.create(model(), n_chains=n_chains, average_decay=0.9))
    watched = TrainingState.create(model(), n_chains=n_chains, average_decay=0.9)
    monitor = Monitor(data(), data(10, 3), n_rows=7)
    rows = list(training.run(watched, Minibatches(data(), 8), 3, every=1, monitor=monitor))
    assert len(rows) == 12
    assert_same_bits(watched.rbm, unwatched.rbm)
    assert_same_bits(watched.model, unwatched.model)
    assert watched.stream == unwatched.stream


def global_numpy_state() -> list[int]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    return [*state["state"]["key"].tolist(), state["state"]["pos"]]


def test_nothing_touches_the_global_generators() -> None:
    before = torch.get_rng_state(), global_numpy_state(), random.getstate()
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN)).init_from_data_(data(), seed=8)
    state = TrainingState.create(rbm, average_decay=0.9, penalties=Penalties(l1=0.1))
    assert list(training.run(state, Minibatches(data(), 8), 3, every=2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert global_numpy_state() == before[1]
    assert random.getstate() == before[2]


def test_rows_come_when_they_are_due_and_after_the_last_update() -> None:
    state = TrainingState.create(model(), learning_rate=0.25)
    rows = list(training.run(state, Minibatches(data(), 8), 3, every=5))
    assert [row["update"] for row in rows] == [5, 10, 12]
    assert [row["epoch"] for row in rows] == [1.25, 2.5, 3.0]
    for row in rows:
        assert row["learning_rate"] == 0.25
        assert row["rows_per_second"] > 0
        assert row["sweeps_per_second"] > 0
        assert "pseudo_log_likelihood" in row
        assert all(math.isfinite(value) for value in row.values())


def test_going_on_repeats_no_row() -> None:
    state, batches = TrainingState.create(model()), Minibatches(data(), 8)
    assert [row["update"] for row in training.run(state, batches, 2, every=4)] == [4, 8]
    assert [row["update"] for row in training.run(state, batches, 4, every=4)] == [12, 16]


def test_the_update_ratio_is_that_of_the_last_update() -> None:
    state = TrainingState.create(model(), learning_rate=0.3)
    weights = [state.rbm.weights.detach().clone()]
    batches = Minibatches(data(), 8)
    watch = training.Watch(None, every=3, batches=batches, last=8)
    assert watch(state) is None
    found = {}
    for update in training.updates(state, batches, 2):
        weights.append(state.rbm.weights.detach().clone())
        row = watch(state)
        assert (row is not None) == watch.is_due(update) == (update in (3, 6, 8))
        if row is not None:
            found[update] = row["update_ratio"]
            assert "reconstruction_error" not in row
    for update, ratio in found.items():
        change = (weights[update] - weights[update - 1]).abs().mean() / weights[
            update - 1
        ].abs().mean()
        assert ratio == pytest.approx(change.item(), rel=1e-5)


def test_by_default_rows_come_after_whole_epochs() -> None:
    for n_batches, epochs in ((1, 500), (4, 125), (200, 3), (499, 2), (500, 1), (700, 1)):
        batches = Minibatches(Data("rows", torch.zeros(n_batches, 1)), 1)
        every = training.default_every(batches)
        assert every == epochs * n_batches >= defaults.MIN_UPDATES_PER_ROW


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "epochs"),
    [(144, 100, 250), (1600, 100, 3), (40, 40, 250), (40, 40, 12), (9000, 90, 149)],
)
def test_a_short_run_has_about_thirty_rows_of_numbers(
    n_rows: int, batch_size: int, epochs: int
) -> None:
    batches = Minibatches(Data("rows", torch.zeros(n_rows, 4)), batch_size)
    state = TrainingState.create(model())
    n_updates = epochs * len(batches)
    every = training.default_every(batches, state, n_updates)
    assert min(30, n_updates) <= -(-n_updates // every) <= 62
    if epochs >= 30:
        assert every % len(batches) == 0


def test_a_long_run_is_looked_at_as_seldom_as_it_always_was() -> None:
    batches = Minibatches(Data("rows", torch.zeros(600, 4)), 1)
    state = TrainingState.create(model())
    assert training.default_every(batches, state, 30 * 600) == training.default_every(batches)


def test_a_large_model_is_looked_at_less_often_in_a_short_run() -> None:
    batches = Minibatches(Data("rows", torch.zeros(6_000, 1)), 100)
    state = TrainingState.create(RBM(Binary(1000), Binary(2000)), n_chains=500)
    # rows times products: two for each row of an update and three for each chain, 40 for a look's
    per_update, per_look = 2 * 100 + 3 * 500, 40 * defaults.MONITOR_ROWS_LEAST
    n_looks = 60 / training.default_every(batches, state, 60)
    # beyond three per cent, a look may take 6e10 multiplications of a run
    assert n_looks * per_look <= 6e10 / state.rbm.weights.numel() + 0.03 * 60 * per_update
    assert n_looks >= 5


def test_a_float64_model_trains_on_data_of_any_type() -> None:
    state = TrainingState.create(model().double())
    assert list(training.run(state, Minibatches(data(), 8), 2, every=4))
    assert state.rbm.weights.dtype == torch.float64


# Columns and numbers that are hard


def constant_columns(kind: str) -> tuple[Data, Callable[[], RBM]]:
    values = torch.rand((40, 4), generator=torch.Generator().manual_seed(9))
    values[:, 0], values[:, 1] = 0, 1
    if kind == "categorical":
        return Data("rows", (2.9 * values).to(torch.uint8), OneHot(3)), lambda: RBM(
            Categorical(4, 3), Binary(3)
        )
    if kind == "gaussian":
        return Data("rows", values).standardize(), lambda: RBM(Gaussian(4), Binary(3))
    if kind == "learned precision":
        return Data("rows", values).standardize(), lambda: RBM(
            Gaussian(4, learn_precision=True), Binary(3)
        )
    if kind == "spin":
        return Data("rows", values, Threshold(0.5, -1.0)), lambda: RBM(Spin(4), Spin(3))
    return Data("rows", values, Threshold(0.5)), lambda: RBM(Binary(4), Binary(3))


@pytest.mark.parametrize("n_chains", [20, None])
@pytest.mark.parametrize("kind", ["binary", "spin", "categorical", "gaussian", "learned precision"])
def test_constant_columns_make_no_nan(kind: str, n_chains: int | None) -> None:
    rows, make = constant_columns(kind)
    state = TrainingState.create(
        make().init_from_data_(rows, seed=10), n_chains=n_chains, learning_rate=0.01
    )
    for row in training.run(state, Minibatches(rows, 8), epochs=20, every=20):
        assert all(math.isfinite(value) for value in row.values())
    assert all(p.isfinite().all() for p in state.rbm.parameters())


def test_the_precision_of_a_constant_column_settles_at_the_floor() -> None:
    # without a floor it is multiplied by exp(0.1) in every update, and overflows before 900
    rows, make = constant_columns("learned precision")
    state = TrainingState.create(
        make().init_from_data_(rows, seed=10),
        learning_rate=0.2,
        penalties=Penalties(variance_floor=1e-3),
    )
    for _ in training.updates(state, Minibatches(rows, 40), epochs=1500):
        pass
    assert isinstance(state.rbm.visible, Gaussian)
    # chains whose variance is 1 / precision, seen with the relative noise of so many of them
    error = math.sqrt(2 / defaults.N_CHAINS)
    assert (1e-3 * state.rbm.visible.precision[:2]).detach() == pytest.approx(1, rel=5 * error)


def rarely_used_columns() -> Data:
    """Standardised columns that are almost always 0: one row in 500 is 22 deviations out."""
    used = torch.rand(5000, 60, generator=torch.Generator().manual_seed(0)) < 1 / 500
    return Data("rare", used.float()).standardize()


def test_rows_far_out_do_not_throw_a_learned_precision_away() -> None:
    rows = rarely_used_columns()
    limits = {}
    for limit in (defaults.PRECISION_LIMIT, 1e6):
        state = TrainingState.create(
            RBM(Gaussian(60, learn_precision=True), Binary(30)).init_from_data_(rows, seed=0),
            learning_rate=0.1,
            penalties=Penalties(precision_limit=limit),
        )
        assert isinstance(state.rbm.visible, Gaussian)
        log_precision = state.rbm.visible.log_precision
        falls = [0.0]
        with contextlib.suppress(FloatingPointError):
            before = log_precision.detach().clone()
            for _ in training.updates(state, Minibatches(rows, 100), epochs=4):
                falls.append((before - log_precision.detach()).max().item())
                before = log_precision.detach().clone()
        limits[limit] = state.update, max(falls)
    assert limits[1.0] == (200, pytest.approx(0.1, rel=1e-4))
    # the case is one: without the limit one update makes a precision a tenth, or ends the run
    updates, fall = limits[1e6]
    assert updates < 200 or fall > math.log(10)


@pytest.mark.parametrize("gradient", [PlainGradient, CenteredGradient])
@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
def test_nan_stops_the_update_and_leaves_the_parameters(
    visible: UnitType, gradient: type[PlainGradient | CenteredGradient]
) -> None:
    rbm = RBM(visible.make(3), Binary(2))
    randomise_(rbm, seed=82)
    state = TrainingState.create(rbm, gradient=gradient(), average_decay=0.9)
    v = rbm.visible.mean(torch.zeros(4, rbm.visible.n_columns)).detach()
    for _ in range(3):
        training.update(state, v)
    before, average = parameters(rbm), parameters(state.model)
    v[1, 2] = torch.nan
    with pytest.raises(FloatingPointError, match=r"gradient of update 4 .* learning rate, 0\.1,"):
        training.update(state, v)
    assert state.update == 3
    assert all(torch.equal(before[name], p) for name, p in rbm.named_parameters())
    assert all(torch.equal(average[name], p) for name, p in state.model.named_parameters())


@pytest.mark.parametrize("learn_precision", [True, False])
def test_an_overflow_that_the_biases_do_not_show_is_seen(learn_precision: bool) -> None:
    # squares of 1e25 overflow float32, while means of such states do not
    rbm = RBM(Gaussian(2, learn_precision=learn_precision), Gaussian(2))
    with torch.no_grad():
        rbm.weights.copy_(torch.tensor([[0.1, 0.11], [0.11, 0.1]]))
    state = TrainingState.create(rbm, gradient=PlainGradient())
    before = parameters(rbm)
    with pytest.raises(FloatingPointError, match="update 1 "):
        training.update(state, torch.full((3, 2), 1e25))
    assert all(torch.equal(before[name], p) for name, p in rbm.named_parameters())


def test_a_run_that_diverges_stops_with_finite_parameters() -> None:
    rbm = RBM(Gaussian(3), Gaussian(3))
    randomise_(rbm, seed=83, scale=0.3)
    state = TrainingState.create(rbm, learning_rate=3.0, n_chains=10)
    rows = Data("rows", torch.randn((30, 3), generator=torch.Generator().manual_seed(11)))
    with pytest.raises(FloatingPointError, match="not finite") as caught:
        list(training.updates(state, Minibatches(rows, 10), epochs=1000))
    assert f"update {state.update + 1} " in str(caught.value)
    assert all(p.isfinite().all() for p in rbm.parameters())


def test_phases_are_samplers_that_take_over_where_they_begin() -> None:
    batches = Minibatches(data(), 8)
    by_hand = TrainingState.create(model(), sampler=Gibbs(1), n_chains=5)
    for done in training.updates(by_hand, batches, 4):
        if done in (5, 9):
            by_hand.sampler = Gibbs(2 if done == 5 else 4)
    phases = {9: Gibbs(4), 5: Gibbs(2)}
    state = TrainingState.create(model(), sampler=Gibbs(1), phases=phases, n_chains=5)
    seen = [state.sampler]
    for _ in training.updates(state, batches, 4):
        seen.append(state.sampler)
    assert seen == [Gibbs(1)] * 5 + [Gibbs(2)] * 4 + [Gibbs(4)] * (len(seen) - 9)
    assert len(seen) > 10
    for name, parameter in state.rbm.named_parameters():
        assert torch.equal(parameter, by_hand.rbm.get_parameter(name)), name


def test_the_last_phase_moves_with_the_end_of_the_run() -> None:
    state = TrainingState.create(model(), phases=training.final_phase(Gibbs(3), 10))
    for _ in range(8):
        training.update(state, batch())
    assert state.sampler == Gibbs(3)
    state.take_phases_({0: Gibbs(1), **training.final_phase(Gibbs(3), 100)})
    assert state.sampler == Gibbs(1) and state.phases == ((0, Gibbs(1)), (70, Gibbs(3)))


def test_what_is_no_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="the first update of a phase is -1; pass 0 or more"):
        TrainingState.create(model(), phases={-1: Gibbs(3)})
    with pytest.raises(TypeError, match="the sampler of a phase is 3; pass Gibbs"):
        TrainingState.create(model(), phases={5: 3})  # type: ignore[dict-item]


# What is refused


def test_rows_of_the_wrong_width_are_refused_before_anything_changes() -> None:
    state = TrainingState.create(model())
    position = state.stream.position
    with pytest.raises(ValueError, match=r"visible has 5 columns, but this RBM has 6 visible"):
        training.update(state, torch.zeros(3, 5))
    assert (state.update, state.stream.position) == (0, position)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_chains": 0}, "n_chains is 0; pass 1 or more"),
        ({"n_chains": -3}, "n_chains is -3"),
        ({"learning_rate": -0.1}, r"learning_rate is -0\.1; pass 0 or a positive number"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"momentum": 1.0}, r"momentum is 1\.0; pass a number from 0 to below 1"),
        ({"momentum": -0.5}, r"momentum is -0\.5"),
        ({"average_decay": 1.0}, r"average_decay is 1\.0; pass a number between 0 and 1"),
        ({"average_decay": 0.0}, r"average_decay is 0\.0"),
        ({"seed": -1}, "seed is -1; pass an integer from 0"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    rbm = model()
    before = parameters(rbm)
    with pytest.raises(ValueError, match=message):
        TrainingState.create(rbm, **options)  # type: ignore[arg-type]
    assert all(torch.equal(before[name], p) for name, p in rbm.named_parameters())


def test_a_sparsity_target_for_other_hidden_units_is_refused() -> None:
    penalties = Penalties(sparsity_target=0.1, sparsity_cost=1.0)
    with pytest.raises(ValueError, match="needs binary hidden units, but these are Spin"):
        TrainingState.create(RBM(Binary(3), Spin(2)), penalties=penalties)


def test_the_optimiser_of_another_model_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"do not belong to this RBM; make it over rbm.parameters\(\)"
    ):
        TrainingState.create(model(), optimizer=torch.optim.Adam(model().parameters()))


def test_an_optimiser_that_compares_losses_is_refused() -> None:
    rbm = model()
    with pytest.raises(ValueError, match="LBFGS compares losses"):
        TrainingState.create(rbm, optimizer=torch.optim.LBFGS(rbm.parameters()))


def test_sweeps_and_rows_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="sweeps is 0; pass 1 or more"):
        Gibbs(sweeps=0)
    rows = training.run(TrainingState.create(model()), Minibatches(data(), 8), 1, every=0)
    with pytest.raises(ValueError, match="every is 0; pass 1 or more updates"):
        next(rows)


MAKE_A_SCHEDULE = "pass a function that makes it: lambda optimizer: training.linear_to_zero"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"schedule": "linear"}, f"schedule is 'linear'; {MAKE_A_SCHEDULE}"),
        ({"schedule": 3}, f"schedule is 3; {MAKE_A_SCHEDULE}"),
        ({"schedule": lambda optimizer: None}, "schedule returned None; pass lambda optimizer: "),
        ({"optimizer": "adam"}, "optimizer is 'adam'; pass an optimizer object, such as torch"),
        ({"optimizer": torch.optim.Adam}, "optimizer is the class Adam; pass an optimizer object"),
        ({"sampler": "gibbs"}, r"sampler is 'gibbs'; pass a sampler such as Gibbs\(\)"),
        ({"sampler": Gibbs}, r"sampler is the class Gibbs; pass a sampler such as Gibbs\(\)"),
        ({"gradient": "centered"}, r"gradient is 'centered'; pass CenteredGradient\(\) or Plain"),
        ({"penalties": 1e-4}, r"penalties is 0.0001; pass Penalties\(l2=1e-4\)"),
        ({"n_chains": 2.5}, "n_chains is 2.5; pass a whole number"),
        ({"n_chains": "5"}, "n_chains is '5'; pass a whole number"),
        ({"learning_rate": "0.1"}, "learning_rate is '0.1'; pass 0 or a positive number"),
        ({"momentum": None}, "momentum is None; pass a number from 0 to below 1"),
        ({"average_decay": "0.9"}, "average_decay is '0.9'; pass a number between 0 and 1"),
        ({"seed": "1"}, "seed is '1'; pass an integer"),
    ],
)
def test_an_option_of_another_type_is_refused_with_what_would_work(
    option: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        TrainingState.create(model(), **option)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"n_chains": 0}, "n_chains is 0; pass 1 or more"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; pass 0 or a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; pass 0 or a positive number"),
        ({"momentum": 1.0}, "momentum is 1.0; pass a number from 0 to below 1"),
        ({"seed": -1}, "seed is -1; pass an integer from 0"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        TrainingState.create(model(), **option)


def test_what_is_no_run_or_data_is_refused_in_words() -> None:
    rbm, batches = model(), Minibatches(data(), 8)
    state = TrainingState.create(rbm)
    for begin, message in (
        (lambda: training.run(rbm, batches, 1), r"state is .*; pass TrainingState.create\(rbm\)"),
        (lambda: training.run(state, data(), 1), r"batches is .*; pass Minibatches\(data, 100\)"),
        (lambda: training.run(state, batches, "1"), "epochs is '1'; pass a whole number"),
        (lambda: training.run(state, batches, 1, held_out=batch()), r"held_out is a torch.Tensor"),
        (lambda: training.run(state, batches, 1, monitor=5), "monitor is 5; pass Monitor"),
        (lambda: training.updates(rbm, batches, 1), "state is "),
    ):
        with pytest.raises(TypeError, match=f"^{message}"):
            next(begin())
    for call, message in (
        (lambda: TrainingState.create("rbm"), "rbm is 'rbm'; pass an RBM"),
        (lambda: training.update(state, batch().numpy()), "visible is a numpy.ndarray of shape"),
        (
            lambda: training.update(state, batch(), weights=[1.0]),
            r"weights is \[1.0\]; pass a",
        ),
        (lambda: Minibatches(batch(), 4), r"data is a torch.Tensor .*; pass Data, such as Data"),
        (lambda: Minibatches("mnist", 4), "data is 'mnist'; pass Data, such as datasets.load"),
        (lambda: Minibatches(data(), "4"), "batch_size is '4'; pass a whole number"),
    ):
        with pytest.raises(TypeError, match=f"^{message}"):
            call()
    for empty in (batch()[:0], batch()[0]):
        with pytest.raises(ValueError, match=r"^a batch has shape"):
            training.update(state, empty)
    assert state.update == 0


@pytest.mark.parametrize("begin", [training.run, training.updates])
def test_a_model_whose_weights_were_never_drawn_is_not_trained(
    begin: Callable[..., Iterator[Any]],
) -> None:
    rows = data()
    rbm = RBM(rows.n_columns, 3)
    state = TrainingState.create(rbm)
    message = r"^all 3 hidden units are alike: their weights are zero, .*rbm.init_from_data_\(data"
    with pytest.raises(ValueError, match=message):
        next(begin(state, Minibatches(rows, 8), 1))
    with pytest.raises(ValueError, match=message):
        training.update(state, batch())
    assert state.update == 0 and not rbm.weights.any()
    # one hidden unit has nobody to be like, and other biases tell them apart
    alone = TrainingState.create(RBM(rows.n_columns, 1))
    apart = RBM(rows.n_columns, 3)
    with torch.no_grad():
        apart.hidden.bias.copy_(torch.tensor([0.0, 0.1, 0.2]))
    for fine in (alone, TrainingState.create(apart)):
        next(begin(fine, Minibatches(rows, 8), 1))
        assert fine.rbm.weights.any()


def test_a_layer_that_the_optimiser_does_not_hold_stays() -> None:
    rbm = model()
    before = parameters(rbm)
    optimizer = torch.optim.SGD([rbm.weights], lr=0.1)
    state = TrainingState.create(rbm, optimizer=optimizer, gradient=PlainGradient())
    for _ in range(5):
        training.update(state, batch())
    assert torch.equal(rbm.visible.bias, before["visible.bias"])
    assert torch.equal(rbm.hidden.bias, before["hidden.bias"])
    assert not torch.equal(rbm.weights, before["weights"])
