"""The number of threads: it follows free cores, and no product's bits depend on it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from harmonium import training
from harmonium.datasets import Data, Minibatches
from harmonium.deep import Classifier, Dropout, FinetuningState, finetuning, init_randomly_
from harmonium.estimators import (
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMClassifier,
)
from harmonium.gradient import PlainGradient
from harmonium.kernels import threads
from harmonium.monitor import Following, Monitor
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.runs.resuming import Said
from harmonium.sampling import (
    Gibbs,
    GrowingTrajectory,
    SamplingSchedule,
    Tempering,
    draw,
    start_random,
)
from harmonium.training import TrainingState
from harmonium.units import Binary, Gaussian


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Two cores, both free, and a number of threads that nobody has given."""
    before = torch.get_num_threads()
    machine = Machine()
    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "_BY_USER", ())
    monkeypatch.setattr(threads, "_times", machine.times)
    monkeypatch.setattr(threads, "_quota", lambda: 64)
    monkeypatch.setattr(threads, "_cores", lambda: set(range(machine.n_cores)))
    monkeypatch.setattr(threads, "_choice", threads._Choice())
    monkeypatch.setattr(threads, "_clock", lambda: machine.now)
    yield machine
    torch.set_num_threads(before)


class Machine:
    """What the system counts, made up."""

    def __init__(self) -> None:
        self.n_cores, self.now, self.by_all, self.by_us = 2, 100.0, 50.0, 20.0

    def times(self) -> threads.Times | None:
        return self.now, self.by_all, self.by_us

    def after(self, seconds: float, others: float, ours: float = 1) -> int:
        """Threads inside a block, after so long with so many cores in use."""
        self.now += seconds
        self.by_all += seconds * (others + ours)
        self.by_us += seconds * ours
        with threads.following():
            return torch.get_num_threads()


def test_threads_follow_the_cores_that_others_leave_free(machine: Machine) -> None:
    assert machine.after(0.6, others=0) == 2
    assert machine.after(0.6, others=0.3, ours=1.7) == 2  # a background task
    assert machine.after(0.1, others=2) == 2  # not looked at yet
    assert machine.after(0.6, others=1) == 1
    assert torch.get_num_threads() == 2  # outside
    assert machine.after(0.6, others=0.3) == 1  # not yet free again
    assert machine.after(0.6, others=0.1) == 2
    assert machine.after(0.6, others=5) == 1
    assert machine.after(60, others=0) == 1  # a mean of a minute says little about now
    assert machine.after(0.6, others=0) == 2


def test_a_block_that_computes_for_long_tells_of_now(machine: Machine) -> None:
    with threads.following():
        machine.now, machine.by_all, machine.by_us = 120.0, 90.0, 40.0
    assert machine.after(0.1, others=1) == 1
    with threads.following():
        machine.now, machine.by_all, machine.by_us = 140.0, 110.0, 60.0
    assert machine.after(0.1, others=0) == 2


def test_threads_of_many_cores_go_in_steps(machine: Machine) -> None:
    torch.set_num_threads(32)
    threads._choice.default = threads._choice.free = 32
    machine.n_cores = 32
    assert machine.after(0.6, others=0.1) == 32
    assert machine.after(0.6, others=1) == 28
    assert machine.after(0.6, others=30) == 2 // 4 + 1
    assert machine.after(0.6, others=8) == 24


def test_all_cores_count_as_free_where_the_system_counts_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_times", lambda: None)
    monkeypatch.setattr(threads, "_choice", threads._Choice())
    assert machine.after(0.6, others=2) == 2


def test_a_container_gets_no_more_than_its_share(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_quota", lambda: 1)
    assert machine.after(0.6, others=0) == 1


def test_a_number_that_is_given_stays(machine: Machine) -> None:
    assert machine.after(0.6, others=1) == 1
    threads.give(None)
    assert machine.after(0.6, others=1) == 1
    threads.give(2)
    assert machine.after(0.6, others=1) == 2


def test_a_number_that_torch_was_told_stays(machine: Machine) -> None:
    torch.set_num_threads(3)
    assert machine.after(0.6, others=2) == 3


def test_a_resumed_run_follows_free_cores_if_it_did(machine: Machine) -> None:
    config = {"watching": {}, "device": "cpu", "threads": 2}
    Said().surroundings(config)
    assert machine.after(0.6, others=1) == 1
    Said().surroundings(config | {"threads": 64})  # of a larger machine
    assert machine.after(0.6, others=1) == 1
    machine.n_cores = 4
    Said().surroundings(config | {"threads": 3})
    assert machine.after(0.6, others=2) == 3
    Said(threads=2).surroundings(config)
    assert machine.after(0.6, others=2) == 2


def test_threads_of_python_share_the_cores() -> None:
    found = []

    def other() -> None:
        torch.set_num_threads(2)
        with threads.following():
            found.append(torch.get_num_threads())

    with threads.following(), threads.following():  # of which one alone counts
        assert torch.get_num_threads() == 2
        beside = threading.Thread(target=other)
        beside.start()
        beside.join()
    assert found == [1]
    with threads.following():
        assert torch.get_num_threads() == 2


def test_a_block_within_a_block_looks_again(machine: Machine) -> None:
    with threads.following():
        assert machine.after(0.6, others=1) == 1
        assert torch.get_num_threads() == 1
        assert machine.after(0.6, others=0) == 2
        assert machine.after(0.6, others=1) == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_environment_gives_a_number(name: str) -> None:
    program = "from harmonium.kernels import threads; print(threads._choice.is_given)"
    others = {key: value for key, value in os.environ.items() if not key.endswith("NUM_THREADS")}
    for environment, expected in ((others, "False"), (others | {name: "2"}, "True")):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment
        )
        assert done.stdout.split() == [expected], done.stderr


def test_what_the_system_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = threads._times()
    if Path("/proc/stat").exists():
        assert found is not None and found[1] > 0 and found[2] > 0
    else:
        assert found is None
    assert len(threads._cores()) >= 1 and threads._quota() >= 1


def uniform(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows + columns)
    return torch.rand(rows, columns, generator=generator, dtype=dtype) - 0.5


# Shapes that torch's library shares out otherwise among two or four threads on some processors.
SHAPES = [(10, 784, 500), (7, 300, 40), (100, 64, 100), (20, 784, 500), (60, 1314, 389)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_have_the_bits_of_one_thread(
    shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    rows, n, m = shape
    v, h, weights = uniform(rows, n, dtype), uniform(rows, m, dtype), uniform(n, m, dtype)
    found = []
    for n_threads in (1, 2, 4):
        torch.set_num_threads(n_threads)
        moments = torch.full_like(weights, torch.nan)
        threads.addmm_(moments, v.T, h, beta=0, alpha=-0.1)
        threads.addmm_(moments, v[: rows // 2].T, h[: rows // 2], alpha=0.2)
        up, down = threads.mm(v, weights), torch.empty_like(v)
        assert threads.mm(h, weights.T, out=down) is down
        turned = threads.mm(v, weights, out=torch.empty(m, rows, dtype=dtype).T)
        levels = torch.stack([weights, -weights]).mT  # as the hidden states of models move down
        batch = threads.bmm(torch.stack([h, -h]), levels, out=v.new_empty(2, rows, n))
        single = threads.bmm(v[None], weights[None], out=v.new_empty(1, rows, m))
        found.append((up, down, moments, turned, batch, single))
        assert torch.get_num_threads() == n_threads
    torch.testing.assert_close(found[0][0], v @ weights)
    torch.testing.assert_close(found[0][4], (h @ weights.T).expand(2, -1, -1))
    few = slice(rows // 2)
    torch.testing.assert_close(found[0][2], -0.1 * v.T @ h + 0.2 * v[few].T @ h[few])
    for others in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(others, found[0], strict=True))


def test_large_products_are_made_of_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LARGE", 100_000)
    monkeypatch.setattr(threads, "_ROWS", 64)
    v, weights = uniform(150, 100), uniform(100, 120)
    out = torch.empty(150, 120)
    assert threads.mm(v, weights, out=out) is out
    torch.testing.assert_close(out, v @ weights)
    assert torch.equal(threads.mm(v, weights), out)


def test_a_product_that_fails_leaves_the_number_of_threads() -> None:
    with pytest.raises(RuntimeError):
        threads.mm(uniform(1000, 100), uniform(101, 100))
    with pytest.raises(RuntimeError):
        threads.mm(uniform(2, 3), uniform(4, 5))
    assert torch.get_num_threads() == 2


CASES: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "PCD": (lambda: RBM(Binary(200), Binary(64)), 10, {}),
    "dense rows": (lambda: RBM(Binary(200), Binary(64)), 50, {"gradient": PlainGradient()}),
    "CD-3": (lambda: RBM(Binary(200), Binary(64)), 50, {"n_chains": None, "sampler": Gibbs(3)}),
    "Gaussian": (lambda: RBM(Gaussian(200), Binary(64)), 50, {}),
    "tempered": (lambda: RBM(Binary(200), Binary(64)), 10, {"sampler": Tempering(4)}),
    "along its past": (
        lambda: RBM(Binary(200), Binary(64)),
        10,
        {"sampler": GrowingTrajectory(acceptance=1 - 1e-9, work=1e9)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_has_the_same_bits_on_any_number_of_threads(name: str) -> None:
    make, batch_size, options = CASES[name]
    rows = uniform(100, 200)
    data = Data("rows", rows if name == "Gaussian" else (rows > 0).float())
    found, said = [], []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        rbm = make().init_from_data_(data, 1, weight_std=0.1)
        state = TrainingState.create(rbm, **{"n_chains": batch_size, "seed": 2, **options})
        monitor = Monitor(data, n_rows=40, following=Following(20, 30, 2))
        of_run = list(training.run(state, Minibatches(data, batch_size), 1, 2, monitor=monitor))
        said.append([{k: v for k, v in row.items() if "second" not in k} for row in of_run])
        found.append([x.detach().clone() for x in rbm.parameters()])
    assert said[1] == said[0]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_levels_of_models_have_the_same_bits_on_any_number_of_threads() -> None:
    data, found = Data("rows", (uniform(100, 784) > 0).float()), []
    rbm = RBM(Binary(784), Binary(500)).init_from_data_(data, 1, weight_std=0.1)
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        chains, stream = start_random(rbm, 10, Lane.SAMPLES.stream(0)), Lane.SAMPLES.stream(1)
        for _ in range(2):
            _, info = GrowingTrajectory(4, 0.9, work=1e9)(rbm, chains, stream)
        found.append((chains.visible, *info.hidden.values()))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def finetuned(data: Data) -> Iterator[torch.nn.Module]:
    rbms = [RBM(Binary(200), Binary(64)), RBM(Binary(64), Binary(40))]
    init_randomly_(rbms, 0)
    for dropout in (None, Dropout(0.2, 0.5)):
        network = Classifier.for_data(rbms, data)
        state = FinetuningState.create(network, learning_rate=0.3, dropout=dropout)
        for _ in finetuning.updates(state, Minibatches(data, 10), 1):
            pass
        yield network


def test_fine_tuned_networks_have_the_same_bits_on_any_number_of_threads() -> None:
    found = []
    labels = torch.arange(100) % 3
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        networks = finetuned(Data("rows", (uniform(100, 200) > 0).float(), labels=labels))
        found.append([x.detach().clone() for network in networks for x in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_derivatives_of_a_product() -> None:
    x, weights = uniform(7, 5, torch.float64), uniform(5, 4, torch.float64)
    factors = x.requires_grad_(), weights.requires_grad_()
    assert torch.autograd.gradcheck(threads.matmul, factors, check_forward_ad=True)
    turned = weights.detach().T.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: threads.matmul(x, w.T), (x, turned))
    assert torch.autograd.gradgradcheck(threads.matmul, factors)


class Spy(Gibbs):
    """Notes on how many threads chains are moved."""

    seen: ClassVar[list[int]] = []

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.seen.append(torch.get_num_threads())
        return super().__call__(*arguments, **options)


def test_runs_and_samples_follow_free_cores(machine: Machine) -> None:
    Spy.seen.clear()
    data = Data("rows", (uniform(20, 6) > 0).float())
    rbm, stream = RBM(Binary(6), Binary(4)).init_from_data_(data, 0), Lane.SAMPLES.stream(0)
    state = TrainingState.create(rbm, n_chains=5, sampler=Spy())
    assert machine.after(0.6, others=1) == 1
    for _ in training.updates(state, Minibatches(data, 10), 1):
        assert torch.get_num_threads() == 2  # the caller's
    draw(rbm, start_random(rbm, 3, stream), SamplingSchedule(1, 2, 1), stream, sampler=Spy())
    assert Spy.seen == [1, 1, 1, 1] and torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("estimator", "module"),
    [
        (BernoulliRBM(3), training),
        (DBNTransformer((3, 2)), training),
        (RBMClassifier(3), training),
        (DBNClassifier((3,)), finetuning),
        (DBNRegressor((3,)), finetuning),
    ],
    ids=lambda of: type(of).__name__,
)
def test_updates_of_estimators_follow_free_cores(
    estimator: Any, module: Any, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, update = [], module.update

    def spy(*arguments: Any, **options: Any) -> None:
        seen.append(torch.get_num_threads())
        update(*arguments, **options)

    monkeypatch.setattr(module, "update", spy)
    assert machine.after(0.6, others=1) == 1
    rows, y = (uniform(20, 6) > 0).numpy().astype("float32"), torch.arange(20).numpy() % 2
    options = {"classes": [0, 1]} if isinstance(estimator, DBNClassifier | RBMClassifier) else {}
    estimator.partial_fit(rows, y, **options)
    assert set(seen) == {1} and torch.get_num_threads() == 2
