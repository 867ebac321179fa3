"""Recorded updates are the updates, bit for bit; bad gradients are kept from the parameters.

In place of a CUDA graph stands a tape of tensor operations: what Python decided while it was
recorded stays as it was, and memory that only Python knew of is lost, as in a graph.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harmonium import (
    RBM,
    Binary,
    Categorical,
    CenteredGradient,
    Gaussian,
    Gibbs,
    Penalties,
    PlainGradient,
    Spin,
    TrainingState,
    checkpoint,
    kernels,
    training,
)
from harmonium.datasets import Data, Minibatches, OneHot, Threshold
from harmonium.gradient import GradientCheck
from harmonium.graphs import DeviceStream, Recorder
from harmonium.kernels import reference
from harmonium.rng import Purpose, Stream
from harmonium.units import Units

N_UPDATES = 30
GREY = torch.randint(0, 256, (30, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
DIGITAL = Data("digital", GREY, Threshold(127))


@pytest.fixture(autouse=True)
def plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference kernels, whose operations a tape can hold."""
    monkeypatch.setattr(kernels.backends, "of", lambda *tensors: reference)


def storages(tree: object) -> dict[int, torch.UntypedStorage]:
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}


@dataclass
class Operation:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    results: Any

    def redo(self) -> None:
        again = self.function(*self.arguments, **self.options)
        given = storages((self.arguments, self.options))
        for new, old in zip(tree_leaves(again), tree_leaves(self.results), strict=True):
            if old.untyped_storage().data_ptr() not in given:
                old.copy_(new)


class Taping(TorchDispatchMode):
    """Notes all operations, and what they overwrite before they do."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        options = dict(kwargs or {})
        if func._schema.is_mutable:
            for place, storage in storages((args, options)).items():
                self.before.setdefault(place, (storage, storage.clone()))
        results = func(*args, **options)
        self.operations.append(Operation(func, args, options, results))
        return results


@dataclass
class Tape:
    """A graph for the CPU."""

    made: list[Tape]
    operations: list[Operation] = field(default_factory=list)
    warmed_up: int = 0
    replayed: int = 0

    def __post_init__(self) -> None:
        self.made.append(self)

    def warm_up(self, function: Callable[[], None]) -> None:
        assert not self.operations
        function()
        self.warmed_up += 1

    def record(self, function: Callable[[], None]) -> None:
        taping = Taping()
        try:
            with taping:
                function()
        finally:  # none of it has happened yet
            for storage, before in taping.before.values():
                storage.copy_(before)
        self.operations = taping.operations

    def replay(self) -> None:
        for operation in self.operations:
            operation.redo()
        self.replayed += 1


def record_(state: TrainingState) -> list[Tape]:
    """Let a state be recorded; returns the graphs, as they are made."""
    tapes: list[Tape] = []
    check = GradientCheck(state.rbm.parameters())
    state.ahead = training.Ahead(check, Recorder(partial(Tape, tapes)))
    return tapes


# --- 30 updates by replay are 30 updates --------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A small run."""

    options: Callable[[], dict[str, object]] = dict
    visible: Callable[[], Units] = lambda: Binary(6)
    hidden: Callable[[], Units] = lambda: Binary(4)
    data: Data = DIGITAL
    batch_size: int = 8  # of 30 rows: every fourth batch is short

    def start(self, device: torch.device | str = "cpu") -> TrainingState:
        rbm = RBM(self.visible(), self.hidden()).init_from_data_(self.data, 1, weight_std=0.1)
        rbm.to(device)
        return TrainingState.create(rbm, **{"n_chains": 10, "seed": 2, **self.options()})

    def go_on(self, state: TrainingState, n_updates: int) -> None:
        updates = training.updates(state, Minibatches(self.data, self.batch_size), 2**31)
        for _ in range(n_updates):
            next(updates)


STANDARDIZED = Data("grey", GREY / 128).standardize()
CASES = {
    "CD": Case(lambda: {"n_chains": None}),
    "CD-2, spins": Case(
        lambda: {"n_chains": None, "sampler": Gibbs(2)},
        visible=lambda: Spin(6),
        hidden=lambda: Spin(4),
        data=DIGITAL.to_spins(),
    ),
    "PCD-3": Case(lambda: {"sampler": Gibbs(3), "average_decay": 0.9, "momentum": 0.5}),
    "no short batch": Case(batch_size=10),
    "plain": Case(lambda: {"gradient": PlainGradient(), "sampler": Gibbs(3)}),
    "plain CD": Case(lambda: {"gradient": PlainGradient(), "n_chains": None}),
    "penalties": Case(lambda: {"penalties": Penalties(l1=0.01, l2=0.1)}),
    "sparsity": Case(
        lambda: {"penalties": Penalties(sparsity_target=0.1, sparsity_cost=0.5), "momentum": 0.5}
    ),
    "Gaussian": Case(visible=lambda: Gaussian(6, precision=2.0), data=STANDARDIZED),
    "learned precision": Case(
        lambda: {"learning_rate": 0.02, "sampler": Gibbs(3)},
        visible=lambda: Gaussian(6, learn_precision=True),
        hidden=lambda: Categorical(2, 3),
        data=STANDARDIZED,
    ),
    "learned precision, CD": Case(
        lambda: {"learning_rate": 0.02, "n_chains": None, "gradient": PlainGradient()},
        visible=lambda: Gaussian(6, learn_precision=True),
        hidden=lambda: Gaussian(4),
        data=STANDARDIZED,
    ),
    "categorical": Case(
        lambda: {"sampler": Gibbs(3)},
        visible=lambda: Categorical(6, 3),
        data=Data("categories", GREY % 3, OneHot(3)),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_replayed_updates_are_the_updates(case: Case, tmp_path: Path) -> None:
    eager, replayed = case.start(), case.start()
    tapes = record_(replayed)
    case.go_on(eager, N_UPDATES)
    case.go_on(replayed, N_UPDATES // 2)
    assert tapes[-1].replayed > 3
    # on from a file, and on without
    path = tmp_path / "checkpoint"
    checkpoint.save(replayed, path)
    resumed = checkpoint.load(path)
    assert resumed.ahead is None
    tapes += record_(resumed)
    for state in (replayed, resumed):
        case.go_on(state, N_UPDATES - N_UPDATES // 2)
        assert checkpoint.dumps(state) == checkpoint.dumps(eager)
    full = [tape for tape in tapes if tape.replayed]
    assert full and all(tape.warmed_up == 2 for tape in full)


def test_the_stream_crosses_a_word() -> None:
    """Positions have 40 bits, in two words."""
    states = [CASES["PCD-3"].start() for _ in range(2)]
    record_(states[1])
    for state in states:
        state.stream.position = 2**32 - 40
        CASES["PCD-3"].go_on(state, 20)
        assert state.stream.position > 2**32
    assert checkpoint.dumps(states[0]) == checkpoint.dumps(states[1])


def other_chains(state: TrainingState) -> None:
    assert state.chains is not None
    state.chains = state.chains.clone()


def no_gradients(state: TrainingState) -> None:
    state.optimizer.zero_grad(set_to_none=True)


def other_penalties(state: TrainingState) -> None:
    state.penalties = Penalties(l2=0.5)


def other_rate(state: TrainingState) -> None:
    assert isinstance(state.gradient, CenteredGradient)
    state.gradient.rate = 0.5


def other_sampler(state: TrainingState) -> None:
    state.sampler = Gibbs(2)


def other_gradient(state: TrainingState) -> None:
    state.gradient = PlainGradient()


def other_stream(state: TrainingState) -> None:
    state.stream = Stream(99, Purpose.CHAINS)


def jump(state: TrainingState) -> None:
    state.stream.position += 1000


def contrastive(state: TrainingState) -> None:
    state.chains = None


@pytest.mark.parametrize(
    "change",
    [
        other_chains,
        no_gradients,
        other_penalties,
        other_rate,
        other_sampler,
        other_gradient,
        other_stream,
        contrastive,
        jump,
    ],
    ids=lambda change: change.__name__,
)
def test_what_changes_is_recorded_anew(change: Callable[[TrainingState], None]) -> None:
    case = Case(batch_size=10)
    eager, replayed = case.start(), case.start()
    tapes = record_(replayed)
    for state in (eager, replayed):
        case.go_on(state, 10)
        change(state)
        case.go_on(state, 10)
    assert checkpoint.dumps(replayed) == checkpoint.dumps(eager)
    assert len([tape for tape in tapes if tape.replayed]) == (1 if change is jump else 2)


def test_what_changes_in_every_update_is_never_recorded() -> None:
    case = Case(batch_size=10)
    eager, replayed = case.start(), case.start()
    tapes = record_(replayed)
    for _ in range(10):
        for state in (eager, replayed):
            other_chains(state)
            case.go_on(state, 1)
    assert checkpoint.dumps(replayed) == checkpoint.dumps(eager)
    assert not any(tape.operations for tape in tapes)


class OwnSampler(Gibbs):
    """A user's, which looks at its chains and counts on being called."""

    def __call__(self, rbm: RBM, chains: Any, *arguments: Any, **options: Any) -> Any:
        assert chains.visible.isfinite().all().item()
        return super().__call__(rbm, chains, *arguments, **options)


def test_a_users_own_sampler_is_called_every_time() -> None:
    case = Case(lambda: {"sampler": OwnSampler()})
    eager, own = case.start(), case.start()
    eager.sampler = Gibbs()
    tapes = record_(own)
    for state in (eager, own):
        case.go_on(state, 10)
    for eagerly, recorded in zip(eager.rbm.parameters(), own.rbm.parameters(), strict=True):
        assert torch.equal(eagerly, recorded)
    assert not tapes


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copied_state_goes_on_by_itself(copied: Callable[[Any], Any]) -> None:
    case = Case(batch_size=10)
    state = case.start()
    tapes = record_(state)
    case.go_on(state, 10)
    tapes[-1].operations.clear()
    twin = copied(state)
    assert twin.ahead.check.is_of(twin.rbm.parameters())
    assert not twin.ahead.check.is_of(state.rbm.parameters())
    eager = case.start()
    case.go_on(eager, 15)
    case.go_on(twin, 5)
    assert checkpoint.dumps(twin) == checkpoint.dumps(eager)


class OwnGradient(CenteredGradient):
    """Somebody else's, as far as recording is concerned."""


@pytest.mark.parametrize("name", ["CD", "PCD-3", "learned precision", "categorical", "sparsity"])
def test_a_cuda_graph_gives_what_its_updates_give(
    name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device.type != "cuda":
        pytest.skip("a CUDA graph needs a GPU: pytest --device cuda")
    monkeypatch.undo()  # all kernels as they are
    case = CASES[name]
    case = replace(case, data=case.data.to(device))
    states = []
    for gradient in (OwnGradient(), CenteredGradient()):
        start = case.start(device)
        start.gradient = gradient
        case.go_on(start, N_UPDATES)
        training.settle(start)
        states.append(start)
    eager, recorded = states
    assert recorded.ahead is not None and recorded.ahead.recorder._n_calls > 3
    assert eager.ahead is not None and eager.ahead.recorder._n_calls == 0
    assert eager.stream.position == recorded.stream.position
    for a, b in zip(eager.rbm.parameters(), recorded.rbm.parameters(), strict=True):
        assert torch.equal(a, b)


# --- the recorder by itself -----------------------------------------------------------------------


def accumulate(total: Tensor, batch: Tensor, stream: Stream) -> None:
    """A computation that can be recorded."""
    draw = torch.zeros_like(batch)
    reference.uniform_(draw, stream)
    total.add_(draw * batch)


def run_recorded(
    compute: Callable[[Tensor, Tensor, Stream], None], n: int = 8
) -> tuple[Tensor, Tensor, Stream, list[Tape]]:
    """Totals of a recorded and of an eager run."""
    tapes: list[Tape] = []
    recorder, stream = Recorder(partial(Tape, tapes)), Stream(1, Purpose.CHAINS)
    totals = torch.zeros(2, 3, 5)
    for i in range(n):
        batch = torch.full((3, 5), float(i))
        recorder(partial(compute, totals[0]), batch, stream, None)
        compute(totals[1], batch, Stream(1, Purpose.CHAINS, position=i))
    return totals[0], totals[1], stream, tapes


def test_a_recorded_computation_sees_new_batches_and_new_numbers() -> None:
    recorded, eager, stream, tapes = run_recorded(accumulate)
    assert torch.equal(recorded, eager)
    assert stream.position == 8
    assert [tape.replayed for tape in tapes] == [5]


def test_the_tape_loses_what_a_graph_would_lose() -> None:
    """Numbers that Python made, and tensors that it put in the place of others."""
    count = iter(range(100))

    def with_a_number(total: Tensor, batch: Tensor, stream: Stream) -> None:
        stream.take()
        total.add_(batch * next(count))

    def with_a_host_position(total: Tensor, batch: Tensor, stream: Stream) -> None:
        position = stream.position
        stream.take()
        accumulate(total, batch, Stream(5, Purpose.CHAINS, position=position))

    for compute in (with_a_number, with_a_host_position):
        recorded, eager, _, _ = run_recorded(compute)
        assert not torch.equal(recorded, eager)


def test_what_cannot_be_recorded_is_computed_all_the_same() -> None:
    def looking(total: Tensor, batch: Tensor, stream: Stream) -> None:
        accumulate(total, batch, stream)
        total.add_(total.sum().item())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorded, eager, stream, tapes = run_recorded(looking)
    assert torch.equal(recorded, eager)
    assert stream.position == 8
    assert [tape.replayed for tape in tapes] == [0]
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert "operation not permitted when stream is capturing); training" in str(warning.message)


def test_a_device_stream_is_the_stream() -> None:
    host = Stream(7, Purpose.SAMPLE, rank=300, position=2**33 - 1)
    on_device = DeviceStream(host, 3, torch.device("cpu"))
    for _ in range(2):
        on_device.go_to(host.position)
        on_device.begin_turn()
        for _ in range(3):
            assert tuple(int(word) for word in on_device.take()) == host.take()
    with pytest.raises(IndexError):
        on_device.take()


# --- gradients that are not finite ----------------------------------------------------------------


@dataclass(frozen=True)
class Spoiled(Case):
    """A run that meets rows in update ``at`` that nobody can learn from."""

    at: int = 2

    def batches(self) -> Minibatches:
        at = self.at

        class Spoiling(Minibatches):
            def batch(self, update: int, seed: int) -> Tensor:
                states = super().batch(update, seed)
                return states if update + 1 != at else states.fill_(torch.nan)

        return Spoiling(self.data, self.batch_size)


@pytest.mark.parametrize("at", [1, 2, 5, 7, 8])
def test_a_bad_gradient_is_told_at_the_end_of_the_epoch(at: int) -> None:
    case = Spoiled(lambda: {"momentum": 0.9, "penalties": Penalties(l2=0.1)}, at=at)
    eager, replayed = case.start(), case.start()
    record_(replayed)
    for state in (eager, replayed):
        with pytest.raises(FloatingPointError, match=f"gradient of update {at} is not"):
            list(training.updates(state, case.batches(), 3))
    # as they were before the update, whatever momentum there was
    for a, b in zip(eager.rbm.parameters(), replayed.rbm.parameters(), strict=True):
        assert torch.equal(a, b)
    assert eager.update == at - 1
    assert replayed.update == (4 if at <= 4 else 8)


def look_at_a_row(case: Spoiled, state: TrainingState) -> None:
    list(training.run(state, case.batches(), 2, every=3))


def save(case: Spoiled, state: TrainingState) -> None:
    for n in training.updates(state, case.batches(), 2):
        if n == 3:
            checkpoint.dumps(state)


def settle(case: Spoiled, state: TrainingState) -> None:
    for n in training.updates(state, case.batches(), 2):
        if n == 3:
            training.settle(state)


@pytest.mark.parametrize("look", [look_at_a_row, save, settle])
def test_a_bad_gradient_is_told_when_somebody_looks(
    look: Callable[[Spoiled, TrainingState], None],
) -> None:
    case = Spoiled(at=2)
    state = case.start()
    record_(state)
    with pytest.raises(FloatingPointError, match="gradient of update 2 is not"):
        look(case, state)
    assert state.update == 3
    assert all(p.isfinite().all() for p in state.rbm.parameters())


def test_a_loop_that_never_looks_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.learner, "_SETTLE_EVERY", 5)
    state = CASES["CD"].start()
    record_(state)
    good, bad = torch.ones(8, 6), torch.full((8, 6), torch.nan)
    with pytest.raises(FloatingPointError, match="gradient of update 3 is not"):
        for n in range(1, 10):
            training.update(state, bad if n == 3 else good)
    assert state.update == 5


def test_an_error_is_told_once_and_the_run_may_go_on() -> None:
    state = CASES["no short batch"].start()
    record_(state)
    training.update(state, torch.full((10, 6), torch.nan))
    before = [p.detach().clone() for p in state.rbm.parameters()]
    with pytest.raises(FloatingPointError, match="update 1 "):
        training.settle(state)
    training.settle(state)
    assert all(torch.equal(a, b) for a, b in zip(before, state.rbm.parameters(), strict=True))


def test_the_check_of_gradients() -> None:
    parameters = [torch.nn.Parameter(torch.ones(n)) for n in (3, 2)]
    frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    check = GradientCheck([*parameters, frozen])
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    for value in (1.0, 2.0, torch.inf, 1.0, -torch.inf):
        for p in parameters:
            p.grad = torch.ones_like(p)
        parameters[1].grad[1] = value
        check()
        if value == torch.inf:
            before = [p.detach().clone() for p in parameters]
        optimizer.step()
    assert all(p.grad is not None and not p.grad.any() for p in parameters)
    assert not torch.equal(parameters[0], before[0])  # momentum
    assert check.undo() == 3
    assert all(torch.equal(p, b) for p, b in zip(parameters, before, strict=True))
    assert check.undo() == 0
    check()  # zeros are fine
    assert check.undo() == 0


def test_parameters_that_changed_place_get_a_check_of_their_own() -> None:
    state = CASES["CD"].start()
    record_(state)
    state.rbm.double()
    training.update(state, torch.ones(8, 6))
    assert state.ahead is None  # on the CPU there is none to put in its place
