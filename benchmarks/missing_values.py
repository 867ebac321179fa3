"""Speed of training on rows with missing values, beside the same rows without holes.

Contestants take turns in one process: updates of the same rows whole, with a share of the values
missing at random and completed, and with the missing ones left out. Figures are processor
milliseconds an update, as medians over the rounds. With ``--whole``, only rows without holes are
timed, and one number a round is printed: two versions of the source are compared by two such
processes that take turns ::

    python benchmarks/missing_values.py --rounds 9
    python benchmarks/missing_values.py --beside OLD/src --rounds 9
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROWS, VISIBLE, HIDDEN, BATCH = 5_000, 784, 200, 100
SHARES = (0.0, 0.01, 0.1, 0.5)


def loops(only_whole: bool) -> dict[str, Iterator[int]]:
    """Endless trainings by name, each with its own model."""
    import torch

    from harmonium import RBM, Data, Minibatches, TrainingState, training

    generator = torch.Generator().manual_seed(0)
    rows = (torch.rand(ROWS, VISIBLE, generator=generator) < 0.2).to(torch.uint8)
    found = {}
    for share in (0.0,) if only_whole else SHARES:
        seen = torch.rand(ROWS, VISIBLE, generator=generator) >= share
        for missing in ("random", "observed"):
            method = {"n_chains": None} if missing == "observed" else {}
            data = Data("rows", rows)
            if share:
                from harmonium.datasets import Mask

                data = Data("holes", rows, mask=Mask.of(seen))
                method["missing"] = missing
            rbm = RBM(VISIBLE, HIDDEN).init_from_data_(Data("rows", rows), seed=0)
            state = TrainingState.create(rbm, **method)
            name = "CD" if missing == "observed" else "PCD"
            if share:
                name = f"{missing}, {share:.0%} missing"
            found[name] = training.updates(state, Minibatches(data, BATCH), 10**6)
    return found


def timed(loop: Iterator[int], n: int) -> float:
    """Processor milliseconds an update."""
    began = time.process_time()
    for _ in range(n):
        next(loop)
    return 1000 * (time.process_time() - began) / n


def table(rounds: int, updates: int) -> None:
    """Print the medians, and how much longer than whole rows each takes."""
    running = loops(only_whole=False)
    for loop in running.values():
        timed(loop, 5)
    taken: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, loop in running.items():
            taken[name].append(timed(loop, updates))
    for name, values in taken.items():
        whole = "CD" if name.startswith(("CD", "observed")) else "PCD"
        times = median(values) / median(taken[whole])
        print(f"{name:24} {median(values):7.2f} ms  {times:5.2f} times {whole} of whole rows")


def of_whole_rows(updates: int) -> None:
    """Print one number for each line of standard input, which sets the pace."""
    running = loops(only_whole=True)
    for loop in running.values():
        timed(loop, 5)
    for _ in sys.stdin:
        print(*(timed(loop, updates) for loop in running.values()), flush=True)


def beside(old: Path, rounds: int, updates: int) -> None:
    """Whole rows with this version and with another; a ratio above 1 is faster than the other."""
    command = [sys.executable, __file__, "--whole", "--updates", str(updates)]
    paths = [str(old), os.environ.get("PYTHONPATH", "src")]
    both = [
        subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for path in paths
    ]
    taken: list[list[list[float]]] = [[], []]
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            process = both[which]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            taken[which].append([float(x) for x in process.stdout.readline().split()])
    for process in both:
        process.communicate()
    for place, name in enumerate(("PCD", "CD")):
        before, now = (median(x[place] for x in values) for values in taken)
        print(f"{name:4} {before:7.2f} ms before, {now:7.2f} ms now: ratio {before / now:.3f}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--whole", action="store_true")
    said = parser.parse_args()
    if said.whole:
        of_whole_rows(said.updates)
    elif said.beside:
        beside(said.beside, said.rounds, said.updates)
    else:
        table(said.rounds, said.updates)


if __name__ == "__main__":
    main()
