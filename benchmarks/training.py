"""Updates per second of training, beside plain torch loops, scikit-learn and the bare products.

Everything runs in one process, in short blocks that take turns, so that whatever else the
machine is doing meets all of them alike: compare the ratios, which are medians over the rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import numpy
import sklearn
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

from harmonium import (
    RBM,
    Binary,
    Data,
    Gibbs,
    Minibatches,
    Monitor,
    TrainingState,
    __version__,
    datasets,
    training,
)

N_VISIBLE = 784
RATE = 0.05

OURS = "harmonium"
BERNOULLI = "torch.bernoulli loop"
RAND = "torch.rand loop"
SKLEARN = "scikit-learn"
PRODUCTS = "products alone"
CONTESTANTS = (OURS, BERNOULLI, RAND, SKLEARN, PRODUCTS)

Update = Callable[[], object]
Rates = dict[str, float]


@dataclass(frozen=True)
class Workload:
    """What is trained; a persistent workload has as many chains as rows in a batch."""

    persistent: bool
    sweeps: int
    batch_size: int
    n_hidden: int

    def __str__(self) -> str:
        method = "PCD" if self.persistent else "CD"
        return f"{method}-{self.sweeps}, batch {self.batch_size}, {N_VISIBLE}×{self.n_hidden}"

    @property
    def n_flops(self) -> int:
        """Of an update's products: 1 for the data, 2 a sweep and 2 for the gradient."""
        return 2 * self.batch_size * N_VISIBLE * self.n_hidden * (3 + 2 * self.sweeps)


WORKLOADS = {
    "W1": Workload(persistent=True, sweeps=15, batch_size=20, n_hidden=500),
    "W2": Workload(persistent=True, sweeps=1, batch_size=100, n_hidden=256),
    "W3": Workload(persistent=False, sweeps=1, batch_size=100, n_hidden=500),
    "W4": Workload(persistent=True, sweeps=10, batch_size=500, n_hidden=500),
}


# The peers: each function makes one that does an update whenever it is called.


def torch_loop(workload: Workload, states: Tensor, draw_: Callable[[Tensor], Tensor]) -> Update:
    """The plain gradient as a strong user would write it: no autograd, one buffer for each layer.

    The chains are kept as the hidden probabilities that the next update draws them from.
    """
    n = workload.batch_size
    weights = 0.01 * torch.randn(N_VISIBLE, workload.n_hidden)
    a, b = torch.zeros(N_VISIBLE), torch.zeros(workload.n_hidden)
    v, h_data, h = (torch.empty(n, columns) for columns in (len(a), len(b), len(b)))
    h_model = torch.full_like(h, 0.5)
    batches = shuffled(states, n)

    def update() -> None:
        v_data = next(batches)
        torch.addmm(b, v_data, weights, out=h_data).sigmoid_()
        start = h_model if workload.persistent else h_data
        for _ in range(workload.sweeps):
            draw_(h.copy_(start))
            draw_(torch.addmm(a, h, weights.T, out=v).sigmoid_())
            start = torch.addmm(b, v, weights, out=h_model).sigmoid_()
        weights.addmm_(v_data.T, h_data, alpha=RATE / n).addmm_(v.T, h_model, alpha=-RATE / n)
        a.add_(v_data.mean(0).sub_(v.mean(0)), alpha=RATE)
        b.add_(h_data.mean(0).sub_(h_model.mean(0)), alpha=RATE)

    return update


def bernoulli_(probabilities: Tensor) -> Tensor:
    return torch.bernoulli(probabilities, out=probabilities)


def rand_(probabilities: Tensor) -> Tensor:
    return torch.lt(torch.rand_like(probabilities), probabilities, out=probabilities)


def shuffled(states: Tensor, batch_size: int) -> Iterator[Tensor]:
    while True:
        for rows in torch.randperm(len(states)).split(batch_size):
            if len(rows) == batch_size:
                yield states[rows]


def scikit_learn(workload: Workload, states: Tensor) -> Update:
    """The step that `BernoulliRBM.fit` takes for each minibatch: PCD-1 in float32, unshuffled."""
    n = workload.batch_size
    rows = states.numpy()
    model = BernoulliRBM(
        workload.n_hidden, learning_rate=RATE, batch_size=n, n_iter=0, random_state=0
    ).fit(rows[:n])
    generator = numpy.random.RandomState(0)
    starts = itertools.cycle(range(0, len(rows) - n + 1, n))

    def update() -> None:
        start = next(starts)
        model._fit(rows[start : start + n], generator)

    return update


def products(workload: Workload, states: Tensor) -> Update:
    """What any dense implementation has to multiply, into memory that is there already."""
    v = states[: workload.batch_size].clone()
    h = torch.rand(workload.batch_size, workload.n_hidden).round_()
    weights = 0.01 * torch.randn(N_VISIBLE, workload.n_hidden)
    to_v, to_h, gradient = (torch.empty_like(x) for x in (v, h, weights))

    def update() -> None:
        torch.mm(v, weights, out=to_h)
        for _ in range(workload.sweeps):
            torch.mm(h, weights.T, out=to_v)
            torch.mm(v, weights, out=to_h)
        torch.mm(v.T, h, out=gradient).addmm_(v.T, h, alpha=-1)

    return update


def peers(workload: Workload, states: Tensor) -> dict[str, Update]:
    found = {
        BERNOULLI: torch_loop(workload, states, bernoulli_),
        RAND: torch_loop(workload, states, rand_),
        PRODUCTS: products(workload, states),
    }
    if workload.sweeps == 1:
        found[SKLEARN] = scikit_learn(workload, states)
    return found


def rate(update: Update, seconds: float) -> float:
    """Updates per second in one block."""
    began, n, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < seconds:
        update()
        n += 1
        elapsed = time.perf_counter() - began
    return n / elapsed


def take_breath() -> None:
    """Threads that wait for the last block's next task spin for a moment before they sleep."""
    time.sleep(0.02)


# Ours: one call of `training.run`, held up between two batches while the peers take their turns.


class Enough(Exception):
    """All rounds are done."""


class TimedMonitor:
    """A monitor that adds up the seconds spent in it."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.seconds = 0.0

    def __call__(self, *arguments: object) -> dict[str, float]:
        began = time.perf_counter()
        row = self._monitor(*arguments)
        self.seconds += time.perf_counter() - began
        return row


class TakingTurns(Minibatches):
    """The minibatches of a run, before which the others take their turns when a block is over.

    A row is due once in many blocks. What it costs is therefore measured in every round, by one
    look more, and charged to each update in equal shares in place of what happened to fall into
    the block.
    """

    def __init__(self, train: Data, held_out: Data, workload: Workload) -> None:
        super().__init__(train, workload.batch_size)
        self.rounds: list[Rates] = []
        self.watching: list[float] = []
        rbm = RBM(Binary(N_VISIBLE), Binary(workload.n_hidden)).init_from_data_(train, seed=0)
        self._state = TrainingState.create(
            rbm,
            sampler=Gibbs(workload.sweeps),
            n_chains=workload.batch_size if workload.persistent else None,
            learning_rate=RATE,
        )
        every = training.default_every(self)
        monitor = training.default_monitor(self._state, self, held_out, every)
        self._monitor = TimedMonitor(monitor)
        states = torch.cat(list(train.blocks()))
        self._peers = list(peers(workload, states).items())

    def play(self, n_rounds: int, seconds: float) -> None:
        """One round more than asked for: the first warms everything up and is dropped."""
        self._n_rounds, self._seconds = n_rounds + 1, seconds
        self._begin_block()
        try:
            for _ in training.run(self._state, self, epochs=2**31, monitor=self._monitor):
                pass
        except Enough:
            del self.rounds[0], self.watching[0]

    def batch(self, update: int, seed: int) -> Tensor:
        elapsed = time.perf_counter() - self._began
        if elapsed >= self._seconds and update > self._first:
            self._end_block((elapsed - self._monitor.seconds) / (update - self._first))
            if len(self.rounds) == self._n_rounds:
                raise Enough
            self._begin_block()
        return super().batch(update, seed)

    def _begin_block(self) -> None:
        take_breath()
        self._first = self._state.update
        self._monitor.seconds = 0.0
        self._began = time.perf_counter()

    def _end_block(self, seconds_per_update: float) -> None:
        self._monitor.seconds = 0.0
        self._monitor(self._state.model, self._state.chains, self._state.update)
        share_of_look = self._monitor.seconds / training.default_every(self)
        rates = {OURS: 1 / (seconds_per_update + share_of_look)}
        for name, update in self._peers:
            take_breath()
            rates[name] = rate(update, self._seconds)
        self._peers.append(self._peers.pop(0))  # another one comes first in the next round
        self.rounds.append(rates)
        self.watching.append(share_of_look * rates[OURS])


# The report


def measure(workload: Workload, data: tuple[Data, Data], n_rounds: int, seconds: float) -> dict:
    turns = TakingTurns(*data, workload)
    turns.play(n_rounds, seconds)
    names = [name for name in CONTESTANTS if name in turns.rounds[0]]
    updates_per_second = {name: median(r[name] for r in turns.rounds) for name in names}
    return {
        "workload": str(workload),
        **dataclasses.asdict(workload),
        "updates_per_second": updates_per_second,
        "ratio": {name: median(r[OURS] / r[name] for r in turns.rounds) for name in names[1:]},
        "watching": median(turns.watching),
        "products_gflops": workload.n_flops * updates_per_second[PRODUCTS] / 1e9,
        "rounds": turns.rounds,
    }


def table(results: dict[str, dict]) -> Iterator[str]:
    """Lines of Markdown: updates per second and, in brackets, ours by theirs."""
    yield f"| | workload | {' | '.join(CONTESTANTS)} | watching |"
    yield f"|---|---|{'---:|' * (len(CONTESTANTS) + 1)}"
    for key, result in results.items():
        cells = [f"{result['updates_per_second'][OURS]:.4g}"]
        for name in CONTESTANTS[1:]:
            if name in result["ratio"]:
                rate_of_peer = result["updates_per_second"][name]
                cells.append(f"{rate_of_peer:.4g} ({result['ratio'][name]:.2f})")
            else:
                cells.append("–")
        cells.append(f"{result['watching']:.1%}")
        yield f"| {key} | {result['workload']} | {' | '.join(cells)} |"


def load_data() -> tuple[str, tuple[Data, Data]]:
    """Binarised MNIST where it has been fetched; this never fetches it."""
    if (datasets.cache_folder() / "mnist").is_dir():
        train, validation, _ = datasets.load("mnist").binarize().split()
        return "MNIST, binarised at half the range", (train, validation)
    density = 0.13  # MNIST's
    grey = 255 * (torch.rand(60_000, N_VISIBLE) < density).to(torch.uint8)
    data = Data("synthetic", grey).as_pictures(28, 28).binarize()
    split = data.split_randomly(held_out=1 / 6)
    return f"synthetic rows of MNIST's shape, {density:.0%} ones (MNIST is not in the cache)", split


def machine() -> dict[str, str | int]:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "date": date.today().isoformat(),
        "machine": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "harmonium": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="such as W1,W3")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a block (default: 1)")
    parser.add_argument("--json", type=Path, help="write everything that was measured here")
    arguments = parser.parse_args()
    chosen = arguments.workloads.split(",")
    if unknown := set(chosen) - set(WORKLOADS):
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("rounds and seconds have to be positive")

    torch.manual_seed(0)  # of the peers and of synthetic rows; ours takes no notice
    name, data = load_data()
    report = machine() | {"data": name}
    print(*(f"{key}: {value}" for key, value in report.items()), sep="\n", end="\n\n")
    results = {
        key: measure(WORKLOADS[key], data, arguments.rounds, arguments.seconds) for key in chosen
    }
    print(*table(results), sep="\n")
    print(
        f"\nMedians of {arguments.rounds} rounds, updates per second; in brackets {OURS}'s rate "
        f"divided by that one, medians too. {OURS} watches as it does by default. scikit-learn "
        "has PCD-1 alone, which in W3 stands for CD-1."
    )
    if arguments.json:
        report |= {"seconds": arguments.seconds, "workloads": results}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
