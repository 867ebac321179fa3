"""2n updates are n updates, a checkpoint, a new process and n updates more, bit for bit.

Run as a program, this file is that process: it goes on from the checkpoints in a folder, starts
the same runs afresh, or trains until it is killed.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR, SequentialLR

from harmonium import (
    RBM,
    Binary,
    Categorical,
    Gaussian,
    Gibbs,
    GrowingTrajectory,
    Penalties,
    PlainGradient,
    Spin,
    Tempering,
    TrainingState,
    checkpoint,
    training,
)
from harmonium.datasets import Data, Minibatches, OneHot, Stochastic, Threshold
from harmonium.monitor import Following, Monitor
from harmonium.units import Binomial, Mixed, Poisson, Units

EPOCHS = 4
GREY = torch.randint(0, 256, (30, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
DIGITAL = Data("digital", GREY, Threshold(127))


def own_schedule(optimizer: Optimizer) -> LRScheduler:
    """Milestones are counted by whole numbers, which JSON has no keys for."""
    return MultiStepLR(optimizer, [3, 9, 11], gamma=0.5)


def two_schedules(optimizer: Optimizer) -> LRScheduler:
    """A schedule that holds others."""
    parts = [MultiStepLR(optimizer, [2, 4]), OneCycleLR(optimizer, 0.2, total_steps=20)]
    return SequentialLR(optimizer, parts, milestones=[5])


@dataclass(frozen=True)
class Case:
    """A run, small and with every part that a checkpoint has to keep."""

    options: Callable[[RBM], dict[str, object]] = lambda rbm: {}
    visible: Callable[[], Units] = lambda: Binary(6)
    hidden: Callable[[], Units] = lambda: Binary(4)
    data: Data = DIGITAL
    loading: dict[str, Callable[[Optimizer], LRScheduler]] = field(default_factory=dict)
    batch_size: int = 8
    threads: int = 1

    def start(self) -> TrainingState:
        torch.set_num_threads(self.threads)
        rbm = RBM(self.visible(), self.hidden()).init_from_data_(self.data, 1, weight_std=0.1)
        return TrainingState.create(rbm, **{"n_chains": 10, "seed": 2, **self.options(rbm)})

    def updates(self, state: TrainingState) -> Iterator[int]:
        """To the end; a fresh view of the data, as a new process has it."""
        return training.updates(state, Minibatches(self.data, self.batch_size), EPOCHS)

    def load(self, path: Path) -> TrainingState:
        torch.set_num_threads(self.threads)
        return checkpoint.load(path, **self.loading)


def groups(rbm: RBM) -> list[dict[str, object]]:
    """Groups of their own, in another order than the model's."""
    biases = [rbm.hidden.bias, rbm.visible.bias]
    return [{"params": biases, "lr": 0.2, "momentum": 0.5}, {"params": [rbm.weights]}]


CASES = {
    "PCD": Case(),
    "CD": Case(lambda rbm: {"n_chains": None, "sampler": Gibbs(sweeps=3)}),
    "phases": Case(lambda rbm: {"phases": {5: Gibbs(sweeps=2), 11: Gibbs(sweeps=3)}}),
    "plain gradient": Case(lambda rbm: {"gradient": PlainGradient()}),
    "momentum": Case(lambda rbm: {"momentum": 0.9}),
    "Adam": Case(lambda rbm: {"optimizer": torch.optim.Adam(rbm.parameters(), lr=0.01)}),
    "fused Adam": Case(
        lambda rbm: {"optimizer": torch.optim.Adam(rbm.parameters(), lr=0.01, fused=True)}
    ),
    "NAdam": Case(lambda rbm: {"optimizer": torch.optim.NAdam(rbm.parameters(), lr=0.01)}),
    "RMSprop": Case(
        lambda rbm: {"optimizer": torch.optim.RMSprop(rbm.parameters(), lr=0.01, momentum=0.5)}
    ),
    "Adagrad": Case(lambda rbm: {"optimizer": torch.optim.Adagrad(rbm.parameters(), lr=0.1)}),
    "Rprop": Case(lambda rbm: {"optimizer": torch.optim.Rprop(rbm.parameters(), lr=0.01)}),
    "groups": Case(lambda rbm: {"optimizer": torch.optim.SGD(groups(rbm), lr=0.1)}),
    "fixed precision": Case(
        # the precision is among the optimiser's parameters, and does not move
        lambda rbm: {"optimizer": torch.optim.Adam(rbm.parameters(), lr=0.01)},
        visible=lambda: Gaussian(6, precision=2.0),
        data=Data("grey", GREY / 128),
    ),
    "learned precision": Case(
        lambda rbm: {"learning_rate": 0.01, "momentum": 0.5},
        visible=lambda: Gaussian(6, learn_precision=True),
        hidden=lambda: Spin(4),
        data=Data("grey", GREY / 128),
    ),
    "counts": Case(
        lambda rbm: {"learning_rate": 0.01, "sampler": Tempering(n_temperatures=3)},
        visible=lambda: Mixed(Poisson(3), Binomial(3, [16, 20, 16])),
        hidden=lambda: Binomial(4, 2),
        data=Data("counts", GREY // 16),
    ),
    "linear": Case(
        lambda rbm: {"schedule": lambda optimizer: training.linear_to_zero(optimizer, 16)}
    ),
    "milestones": Case(lambda rbm: {"schedule": own_schedule}, loading={"schedule": own_schedule}),
    "two schedules": Case(
        lambda rbm: {"schedule": two_schedules, "momentum": 0.9},
        loading={"schedule": two_schedules},
    ),
    "tempering": Case(lambda rbm: {"sampler": Tempering(sweeps=2, n_temperatures=4)}),
    "tempering that adapts": Case(
        lambda rbm: {
            "sampler": Tempering(n_temperatures=3, adapt_every=3, acceptance=0.7),
            "learning_rate": 1.0,
        },
        visible=lambda: Gaussian(6, learn_precision=True),
        data=Data("grey", GREY / 128),
    ),
    "trajectory": Case(
        lambda rbm: {"sampler": GrowingTrajectory(acceptance=0.9), "learning_rate": 0.5}
    ),
    "average": Case(lambda rbm: {"average_decay": 0.9}),
    "sparsity": Case(
        lambda rbm: {
            "penalties": Penalties(l1=0.01, l2=0.02, sparsity_target=0.1, sparsity_cost=0.5)
        }
    ),
    "stochastic": Case(data=Data("grey", GREY, Stochastic(0, 255))),
    "spin and categorical": Case(
        visible=lambda: Spin(6),
        hidden=lambda: Categorical(3, 3),
        data=Data("digital", GREY, Threshold(127, low_state=-1.0)),
    ),
    "categories": Case(
        visible=lambda: Categorical(6, 4), data=Data("quarters", GREY // 64, OneHot(4))
    ),
    "two threads": Case(
        # large enough that products and draws are shared out
        lambda rbm: {"n_chains": 100},
        hidden=lambda: Binary(150),
        data=Data("wide", GREY.repeat(8, 20), Stochastic(0, 255)),
        visible=lambda: Binary(120),
        batch_size=60,
        threads=2,
    ),
    "everything": Case(
        lambda rbm: {
            "optimizer": torch.optim.AdamW(rbm.parameters(), lr=0.01, amsgrad=True),
            "schedule": lambda optimizer: training.linear_to_zero(optimizer, 16),
            "penalties": Penalties(l1=0.01, sparsity_target=0.1, sparsity_cost=0.5),
            "average_decay": 0.8,
            "sampler": Gibbs(sweeps=2),
        },
        data=Data("grey", GREY, Stochastic(0, 255)),
    ),
}


def stop_at(name: str) -> int:
    """Updates before the checkpoint: none, the last, and anything between, within an epoch too."""
    return random.Random(name).choice(range(1, 15))


def file(folder: Path, name: str, what: str) -> Path:
    return folder / f"{name.replace(' ', '-')}-{what}"


def run_here(*arguments: object) -> None:
    """Run this file as a program, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case trained to the end here, and in another process resumed and trained again."""
    folder = tmp_path_factory.mktemp("resume")
    for name, case in CASES.items():
        state = case.start()
        for update in case.updates(state):
            if update == stop_at(name):
                checkpoint.save(state, file(folder, name, "half"))
        checkpoint.save(state, file(folder, name, "whole"))
    run_here("resume", folder)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_ends_in_the_same_bits(name: str, folder: Path) -> None:
    whole, resumed = (file(folder, name, what).read_bytes() for what in ("whole", "resumed"))
    assert resumed == whole
    assert file(folder, name, "half").read_bytes() != whole


@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_and_threads_give_the_same_bits(name: str, folder: Path) -> None:
    whole, again = (file(folder, name, what).read_bytes() for what in ("whole", "again"))
    assert again == whole


@pytest.mark.parametrize(
    "name", ["PCD", "everything", "milestones", "groups", "tempering", "tempering that adapts"]
)
def test_stopping_after_any_update_changes_nothing(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "c"
    state = case.start()
    for _ in case.updates(state):
        pass
    whole = checkpoint.dumps(state)
    state = case.start()
    checkpoint.save(state, path)
    while state.update < 16:
        state = case.load(path)
        next(case.updates(state))
        checkpoint.save(state, path)
    assert checkpoint.dumps(state) == whole


def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bits(tmp_path: Path) -> None:
    case, path = CASES["everything"], tmp_path / "c"
    state = case.start()
    for _ in case.updates(state):
        pass
    whole = checkpoint.dumps(state)
    checkpoint.save(case.start(), path)
    for least in (3, 9):
        with subprocess.Popen([sys.executable, __file__, "train", str(path)]) as process:
            # killed at any moment after so many updates, perhaps while it writes
            while checkpoint.load(path).update < least:
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
        assert process.returncode != 0
    state = checkpoint.load(path)
    assert 9 <= state.update < 16
    for _ in case.updates(state):
        pass
    assert checkpoint.dumps(state) == whole


def test_what_follows_log_z_goes_on(tmp_path: Path) -> None:
    """Bit for bit, so that a resumed run reports what it would have reported anyway."""
    rows = (torch.rand(40, 20, generator=torch.Generator().manual_seed(3)) < 0.4).float()
    batches = Minibatches(Data("rows", rows), 8)
    monitor = Monitor(batches.data, following=Following(20, 30, 2))

    def look(state: TrainingState) -> dict[str, float]:
        row, state.population = monitor.log_likelihood(state.model, state.population)
        return row

    def go_on(state: TrainingState, epochs: int) -> dict[str, float]:
        for _ in training.updates(state, batches, epochs):
            pass
        return look(state)

    rbm = RBM(Binary(20), Binary(16)).init_from_data_(batches.data, 1)
    state = TrainingState.create(rbm, n_chains=10)
    go_on(state, 1)
    checkpoint.save(state, tmp_path / "c")
    again = checkpoint.load(tmp_path / "c")
    assert checkpoint.dumps(again) == (tmp_path / "c").read_bytes()
    assert go_on(state, 3) == go_on(again, 3)
    assert checkpoint.dumps(state) == checkpoint.dumps(again)


def test_an_optimiser_of_ones_own_is_made_by_the_caller(tmp_path: Path) -> None:
    class Own(torch.optim.SGD):
        """Not one that the file's name could find."""

    rbm = RBM(Binary(6), Binary(4)).init_from_data_(DIGITAL, seed=1)
    state = TrainingState.create(
        rbm, optimizer=Own(reversed(list(rbm.parameters())), lr=0.1, momentum=0.9)
    )
    for update in range(3):
        training.update(state, Minibatches(DIGITAL, 8).batch(update, 0))
    checkpoint.save(state, tmp_path / "c")
    with pytest.raises(ValueError, match=r"names the type 'Own'; known are .*SGD"):
        checkpoint.load(tmp_path / "c")
    again = checkpoint.load(tmp_path / "c", optimizer=lambda parameters: Own(parameters))
    assert checkpoint.dumps(again) == (tmp_path / "c").read_bytes()


def test_a_schedule_of_ones_own_has_to_be_made_by_the_caller(tmp_path: Path) -> None:
    checkpoint.save(CASES["milestones"].start(), tmp_path / "c")
    with pytest.raises(ValueError, match=r"schedule is a MultiStepLR; pass schedule="):
        checkpoint.load(tmp_path / "c")


def main(task: str, where: Path) -> None:
    if task == "resume":
        for name, case in CASES.items():
            state = case.load(file(where, name, "half"))
            for _ in case.updates(state):
                pass
            checkpoint.save(state, file(where, name, "resumed"))
            state = case.start()
            for _ in case.updates(state):
                pass
            checkpoint.save(state, file(where, name, "again"))
    else:
        state = checkpoint.load(where)
        for _ in CASES["everything"].updates(state):
            checkpoint.save(state, where)
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
