"""Speed beside a program that keeps one core busy, on as many threads as harmonium chooses.

Processes that wait for their turn are measured in short blocks, one after the other: this source on
one thread and on as many as it chooses, and, with ``--against``, another version of the source. The
other program runs beside every other round, so that quiet and busy blocks alternate too. Ratios are
medians over the rounds.

    python benchmarks/busy.py --against ../other/src --rounds 5
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
BUSY = "while True: sum(range(100_000))"
DEMO = ["train", "digits", "--epochs", "40", "--no-log-likelihood", "--no-figures", "--overwrite"]
SETTLE = 1.0  # seconds, until the load has been noticed


class Worker:
    """A process that measures one workload at a time, when it is told to."""

    def __init__(self, source: Path, threads: int | None, epochs: int) -> None:
        command = [sys.executable, __file__, "--worker", str(epochs)]
        self.environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            self.environment.pop(name, None)
            if threads is not None:
                self.environment[name] = str(threads)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment
        )

    def rate(self, workload: str, seconds: float) -> float:
        """Work per second."""
        if workload == "demo":
            return self._demo()
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([workload, seconds]), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def _demo(self) -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            command = [sys.executable, "-m", "harmonium", *DEMO, "--out", f"{folder}/run"]
            subprocess.run(command, check=True, capture_output=True, env=self.environment)
            return 1 / (time.perf_counter() - began)

    def end(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.wait()


def work(epochs: int) -> None:
    """Measure what standard input asks for."""
    import torch

    from harmonium import benchmark
    from harmonium.benchmark import ours
    from harmonium.benchmark.turns import Repeated
    from harmonium.datasets import Minibatches

    _, data, held_out = benchmark.load_data()
    contestants: dict[str, Any] = {}
    models: dict[int, Any] = {}
    for line in sys.stdin:
        name, seconds = json.loads(line)
        if name not in contestants:
            workload = benchmark.WORKLOADS[name]
            n_hidden = workload.n_hidden
            if n_hidden not in models:
                models[n_hidden] = ours.train(n_hidden, data, epochs)
            start = ours.start_from(models[n_hidden], workload, data)
            if isinstance(workload, benchmark.Training):
                state = ours.begin(workload, models[n_hidden], start)
                batches = Minibatches(data, workload.batch_size)
                contestants[name] = ours.OurTraining(state, batches, held_out)
            else:
                sampling = ours.OurSampling(workload, models[n_hidden], start)
                contestants[name] = Repeated(sampling, torch.device("cpu"))
        print(contestants[name].rate(seconds), flush=True)


@contextlib.contextmanager
def beside(busy: bool) -> Iterator[None]:
    """A program that keeps a core busy, if it is wanted."""
    other = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    time.sleep(SETTLE if busy else 0.1)
    try:
        yield
    finally:
        if other is not None:
            other.kill()
            other.wait()


def main() -> None:
    """Measure, and print the rates and their ratios as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="the src folder of another version")
    parser.add_argument("--workloads", default="W1,W2,W4,sampling,demo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=1, help="of training before the measurement")
    parser.add_argument("--no-busy", action="store_true", help="without the other program")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker)
        return
    workers = {
        "one thread": Worker(SOURCE, 1, options.epochs),
        "chosen": Worker(SOURCE, None, options.epochs),
    }
    if options.against is not None:
        workers["other source"] = Worker(options.against, None, options.epochs)
    print("| workload | other program | one thread | chosen | other source | chosen / other "
          "| chosen / one thread |\n|---|---|---:|---:|---:|---:|---:|")  # fmt: skip
    try:
        for workload in options.workloads.split(","):
            for worker in workers.values():
                worker.rate(workload, options.seconds)  # compiles, trains, warms up
            for busy in (False,) if options.no_busy else (False, True):
                rounds = []
                for number in range(options.rounds):
                    order = list(workers) if number % 2 else list(workers)[::-1]
                    with beside(busy):
                        rounds.append(
                            {name: workers[name].rate(workload, options.seconds) for name in order}
                        )
                report(workload, busy, rounds)
    finally:
        for worker in workers.values():
            worker.end()


def report(workload: str, busy: bool, rounds: list[dict[str, float]]) -> None:
    """One line of the table."""
    rates = {name: median(rates[name] for rates in rounds) for name in rounds[0]}

    def ratio(other: str) -> str:
        if other not in rates:
            return "–"
        return f"{median(rates['chosen'] / rates[other] for rates in rounds):.2f}"

    cells = [f"{rates[name]:.4g}" if name in rates else "–"
             for name in ("one thread", "chosen", "other source")]  # fmt: skip
    beside_it = "one core" if busy else "none"
    print(f"| {workload} | {beside_it} | {' | '.join(cells)} | {ratio('other source')} "
          f"| {ratio('one thread')} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
