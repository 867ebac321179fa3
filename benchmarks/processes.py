"""Two processes of one thread beside one process of one thread, and one of two, in turns.

Each contestant makes a block of the same work while the others wait for their turn, and says how
long it took; ratios are medians over rounds. Beside it stands the processor time of the slowest
process, which other programs do not lengthen: on a quiet machine both ratios agree.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

CONTESTANTS = {"one": (1, 1), "two processes": (2, 1), "two threads": (1, 2)}
"""Processes, and threads of each."""

WORKLOADS = {
    "W4": "PCD-10, 784×500, batches and chains of 500",
    "W1": "PCD-15, 784×500, batches of 20, 1,000 chains",
    "AIS": "500 chains, 784×500",
}


def updates(name: str) -> Iterator[int]:
    """One unit of work after another: an update, or a step of all chains."""
    from harmonium import likelihood, ranks, training
    from harmonium.benchmark.workloads import load_data
    from harmonium.datasets import Minibatches
    from harmonium.rbm import RBM
    from harmonium.sampling import Gibbs

    _, train, _ = load_data()
    rbm = RBM(784, 500).init_from_data_(train, seed=0)
    batch, n_chains, sweeps = {"W4": (500, 500, 10), "W1": (20, 1000, 15), "AIS": (100, 100, 1)}[
        name
    ]
    batches = Minibatches(train, batch)
    state = training.TrainingState.create(rbm, n_chains=n_chains, sampler=Gibbs(sweeps))
    if name != "AIS":
        yield from training.updates(state, batches, 10**6)
        return
    for number in training.updates(state, batches, 10):
        if number == 500:
            break
    path = likelihood.AnnealingPath.adaptive(rbm, batches.batch(0, 0), 1000, seed=0)
    while True:
        yield from ranks.each_together(likelihood.annealed_importance_sampling(path, 500))


def work(name: str, threads: int) -> None:
    """Make blocks of the work, each when a line says how many units it has."""
    import torch

    from harmonium import ranks

    torch.set_num_threads(threads)
    ranks.join()
    steps = updates(name)
    for line in sys.stdin:
        if int(line) == 0:
            return
        began, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            next(steps)
        print(
            json.dumps([time.perf_counter() - began, time.process_time() - processor]), flush=True
        )


def start(name: str, n: int, threads: int) -> Callable[[int], tuple[float, float]]:
    """Start a contestant; returns what makes a block: its seconds, and the most of a processor."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": f"{n}", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}"}
    pipe = subprocess.PIPE
    command = [sys.executable, __file__, "--work", name, "--threads", f"{threads}"]
    ranks = [
        subprocess.Popen(
            command,
            env={**os.environ, **world, "RANK": f"{rank}", "OMP_NUM_THREADS": f"{threads}"},
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        for rank in range(n)
    ]

    def block(n_units: int) -> tuple[float, float]:
        """Make so many units; none are the end."""
        for one in ranks:
            assert one.stdin is not None
            one.stdin.write(f"{n_units}\n")
            one.stdin.flush()
        if n_units == 0:
            return 0.0, float(sum(one.wait() for one in ranks))
        took = [json.loads(one.stdout.readline()) for one in ranks]  # type: ignore[union-attr]
        return max(wall for wall, _ in took), max(processor for _, processor in took)

    return block


def main() -> None:
    """Print a line of ratios for each workload."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--seconds", type=float, default=1.5, help="of a block of one process")
    options.add_argument("--workloads", default=",".join(WORKLOADS))
    options.add_argument("--warm", type=int, default=200, help="updates before the first block")
    options.add_argument("--work", help=argparse.SUPPRESS)
    options.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.work:
        work(chosen.work, chosen.threads)
        return
    for name in chosen.workloads.split(","):
        blocks = {who: start(name, *size) for who, size in CONTESTANTS.items()}
        warm = chosen.warm if name != "AIS" else 20
        for block in blocks.values():
            block(warm)
        n_units = max(1, round(20 * chosen.seconds / blocks["one"](20)[0]))
        rounds = [{who: b(n_units) for who, b in blocks.items()} for _ in range(chosen.rounds)]
        one, two, threads = ([r[who] for r in rounds] for who in CONTESTANTS)
        for block in blocks.values():
            block(0)
        print(
            f"{name:6} {WORKLOADS[name]}: one process {n_units / median(x for x, _ in one):.1f}/s; "
            f"two processes {median(a / b for (a, _), (b, _) in zip(one, two, strict=True)):.2f} "
            "times that "
            f"({median(a / b for (_, a), (_, b) in zip(one, two, strict=True)):.2f} by processor "
            "time), and "
            f"{median(a / b for (a, _), (b, _) in zip(threads, two, strict=True)):.2f} times one "
            "process of two threads",
            flush=True,
        )


if __name__ == "__main__":
    main()
