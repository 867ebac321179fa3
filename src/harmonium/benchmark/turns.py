"""The schedule of measurements: short blocks in turn, round after round."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import torch

from harmonium import defaults
from harmonium.benchmark import ours, workloads
from harmonium.benchmark.peers import Peer, Start, Turn, products
from harmonium.benchmark.workloads import Training, Workload, synchronize
from harmonium.datasets import Data, Minibatches
from harmonium.rbm import RBM

OURS = "harmonium"
PRODUCTS = "products alone"

Progress = Callable[[str, int, int], None]
"""Called with a description, the progress and the total."""

_BREATH = 0.02
_PROBE = 0.1
_OVERHEAD = 1.15  # of the last call of a block, which exceeds its end
_GETTING_READY = 1.0  # seconds per peer of a workload, including imports and compilation
_EXPECTED_SHARE = 0.7  # fraction of the products' rate that the warm-up reaches


@dataclass(frozen=True)
class Plan:
    """What to measure, and for how long.

    Parameters
    ----------
    workloads, peers
        The tasks, and the implementations besides harmonium and the products.
    rounds
        Rounds to measure; an additional first round is a warm-up and is discarded.
    seconds
        Length of a block, that is, of one contestant's turn in one round.
    epochs
        Epochs of training before the measurement; 0 starts from untrained models.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    workloads: list[Workload]
    peers: list[Peer]
    rounds: int = defaults.BENCHMARK_ROUNDS
    seconds: float = defaults.BENCHMARK_SECONDS
    epochs: int = defaults.BENCHMARK_EPOCHS

    def __post_init__(self) -> None:
        """Reject plans that measure nothing."""
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}; pass 1 or more")
        if not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds is {self.seconds}; pass a positive number")
        if self.epochs < 0:
            raise ValueError(f"epochs is {self.epochs}; pass 0 or more")

    def peers_of(self, workload: Workload, device: torch.device) -> list[Peer]:
        """The peers that can run a workload."""
        return [peer for peer in self.peers if not peer.lacks(workload, device)]

    def check(self, data: Data) -> None:
        """Reject data that do not fit the workloads, and workloads that do not fit into memory.

        Raises
        ------
        ValueError, MemoryError
            Before anything is measured.
        """
        device = data.values.device
        for workload in self.workloads:
            if workload.n_visible != data.n_columns or workload.rows > len(data):
                raise ValueError(
                    f"{workload.name} needs {workload.rows} rows or more of {workload.n_visible} "
                    f"columns, but {data.name} has {len(data)} rows of {data.n_columns}"
                )
        workloads.check_memory(self.workloads, len(self.peers) + 2, len(data), device)

    def n_warm_up_updates(self, data: Data) -> int:
        """Updates of training before the measurement, for each model size."""
        return self.epochs * -(-len(data) // ours.WARM_UP_BATCH)

    def expected_seconds(self, data: Data) -> float:
        """Estimated total time, from a brief speed measurement."""
        device = data.values.device
        total = 0.0
        for workload in self.workloads:
            n_peers = len(self.peers_of(workload, device))
            block = _OVERHEAD * self.seconds + _BREATH
            total += (n_peers + 2) * (self.rounds + 1) * block + n_peers * _GETTING_READY
        for n_hidden in {workload.n_hidden for workload in self.workloads}:
            warm_up = Training("warm-up", True, 1, ours.WARM_UP_BATCH, n_hidden, data.n_columns)
            total += self.n_warm_up_updates(data) / (_EXPECTED_SHARE * _glimpse(warm_up, device))
        return total


class Contestant(Protocol):
    """A task whose speed is measured."""

    def rate(self, seconds: float) -> float:
        """Work per second in a block of this many seconds or slightly more."""


class Repeated:
    """A task that is repeated."""

    def __init__(self, turn: Turn, device: torch.device) -> None:
        self._turn = turn
        self._device = device

    def rate(self, seconds: float) -> float:
        """Work per second in one block."""
        began, work, elapsed = time.perf_counter(), 0, 0.0
        while elapsed < seconds:
            work += self._turn()
            elapsed = time.perf_counter() - began
        synchronize(self._device)
        return work / (time.perf_counter() - began)


class Others:
    """Number of cores that other programs keep busy, from now on."""

    def __init__(self) -> None:
        self._began = self._now()

    def cores(self) -> float | None:
        """The mean number since the start; None if the system does not report it."""
        if self._began is None or (now := self._now()) is None:
            return None
        elapsed, busy = (b - a for a, b in zip(self._began, now, strict=True))
        return max(0.0, busy / elapsed) if elapsed > 0 else 0.0

    @staticmethod
    def _now() -> tuple[float, float] | None:
        """Wall-clock seconds, and CPU seconds of all processors minus this process's."""
        try:
            user, nice, system, _, _, *interrupts = _jiffies()
        except (OSError, ValueError):
            return None
        busy = (user + nice + system + sum(interrupts[:3])) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), busy - time.process_time()


def _jiffies() -> list[int]:
    """Linux's counts: user, nice, system, idle, waiting, interrupts (two kinds), stolen, ..."""
    return [int(count) for count in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]


def play(
    contestants: Mapping[str, Contestant],
    n_rounds: int,
    seconds: float,
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict[str, float]]:
    """The rates of every round; the order rotates, and the first round is discarded.

    ``progress`` is called with the number of completed rounds.
    """
    order, rounds = list(contestants), []
    for number in range(n_rounds + 1):
        progress(number)
        rates = {}
        for name in order:
            # threads that wait for the next task of the last block spin briefly before they sleep
            time.sleep(_BREATH)
            rates[name] = contestants[name].rate(seconds)
        rounds.append({name: rates[name] for name in contestants})
        order.append(order.pop(0))
    progress(n_rounds + 1)
    return rounds[1:]


def measure(plan: Plan, data: Data, held_out: Data, progress: Progress) -> dict[str, Any]:
    """Measure every workload of a plan; returns results by workload.

    Parameters
    ----------
    plan
        What to measure.
    data, held_out
        Rows for training and for monitoring, on the device to measure.
    progress
        Called with the progress.

    Raises
    ------
    ValueError, MemoryError
        If data or memory are insufficient; raised before anything starts.
    """
    plan.check(data)
    torch.manual_seed(0)  # for the peers; harmonium ignores it
    models: dict[int, RBM] = {}
    results = {}
    for workload in plan.workloads:
        if workload.n_hidden not in models:
            progress(f"training {data.n_columns}×{workload.n_hidden}", 0, 1)
            models[workload.n_hidden] = ours.train(workload.n_hidden, data, plan.epochs)
        results[workload.name] = _measure(
            workload, plan, models[workload.n_hidden], data, held_out, progress
        )
        gc.collect()  # the contestant's copies of the rows
    return results


def _measure(
    workload: Workload, plan: Plan, rbm: RBM, data: Data, held_out: Data, progress: Progress
) -> dict[str, Any]:
    device = data.values.device
    start = ours.start_from(rbm, workload, data)
    contestants: dict[str, Contestant] = {
        PRODUCTS: Repeated(products(workload, start), device),
    }
    seen: Callable[[], dict[str, float]]
    if isinstance(workload, Training):
        batches = Minibatches(data, workload.batch_size)
        training = ours.OurTraining(ours.begin(workload, rbm, start), batches, held_out)
        contestants[OURS], seen = training, training.seen
    else:
        sampling = ours.OurSampling(workload, rbm, start)
        contestants[OURS], seen = Repeated(sampling, device), sampling.seen
    for peer in plan.peers_of(workload, device):
        contestants[peer.name] = Repeated(_turn(peer, workload, start), device)
    others = Others()
    rounds = play(
        contestants,
        plan.rounds,
        plan.seconds,
        lambda done: progress(workload.name, done, plan.rounds + 1),
    )
    result: dict[str, Any] = {
        "workload": str(workload),
        "unit": workload.unit,
        "rates": {name: median(r[name] for r in rounds) for name in contestants},
        "ratios": {
            name: median(r[OURS] / r[name] for r in rounds) for name in contestants if name != OURS
        },
        "of_products": {
            name: median(r[name] / r[PRODUCTS] for r in rounds)
            for name in contestants
            if name != PRODUCTS
        },
        "others_busy": others.cores(),
        "left_out": {
            peer.name: why for peer in plan.peers if (why := peer.lacks(workload, device))
        },
    }
    result["products_gflops"] = workload.flops * result["rates"][PRODUCTS] / 1e9
    return result | seen() | {"rounds": rounds}


def _turn(peer: Peer, workload: Workload, start: Start) -> Turn:
    if isinstance(workload, Training):
        return peer.training(workload, start)
    return peer.sampling(workload, start)


def _glimpse(workload: Training, device: torch.device) -> float:
    """Updates per second of the bare products, from a brief measurement."""
    empty = Start(
        *(
            torch.zeros(shape, device=device)
            for shape in (
                (1, workload.n_visible),
                (workload.n_visible, workload.n_hidden),
                (workload.n_visible,),
                (workload.n_hidden,),
                (workload.rows, workload.n_visible),
            )
        )
    )
    contestant = Repeated(products(workload, empty), device)
    contestant.rate(_PROBE)
    return contestant.rate(_PROBE)
