"""Peak memory of training, beside the promise: one float32 copy of the data plus 300 MB at most.

Each case loads a file, splits it, trains and watches, in a process of its own; what a process
that only imports needs is taken off. The exit code is 1 where the promise is broken.
"""

from __future__ import annotations

# The standard library alone: a new process inherits its parent's peak, so this one stays small.
import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

N_COLUMNS = 784
N_HIDDEN = 500
ALLOWANCE = 300  # MB


def write(path: Path, n_rows: int, dtype: str) -> None:
    """Random bytes, or random floats from 0 to 1, as a .npy file."""
    import numpy

    generator = numpy.random.default_rng(0)
    shape = (n_rows, N_COLUMNS)
    if dtype == "uint8":
        numpy.save(path, generator.integers(0, 256, shape, dtype="uint8"))
    else:
        numpy.save(path, generator.random(shape, dtype="float32"))


def train(path: Path) -> None:
    """Three epochs in few large batches, because the peak does not depend on their number."""
    from harmonium import (
        RBM,
        Binary,
        Gibbs,
        Minibatches,
        Monitor,
        TrainingState,
        datasets,
        training,
    )

    data = datasets.load(path)
    level = 127.5 if data.values.element_size() == 1 else 0.5
    rows, held_out = data.binarize(level).split_randomly_()
    del data
    rbm = RBM(Binary(N_COLUMNS), Binary(N_HIDDEN)).init_from_data_(rows, seed=0)
    state = TrainingState.create(rbm, sampler=Gibbs(1))
    monitor = Monitor(rows, held_out)
    for _ in training.run(state, Minibatches(rows, 1000), epochs=3, monitor=monitor):
        pass


def only_import() -> None:
    from harmonium import datasets, training  # noqa: F401


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def in_child(*arguments: str) -> float:
    """Run this file again with these arguments; returns the MB that it prints."""
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def report(n_rows: list[int]) -> bool:
    imported = in_child("--child", "import")
    print(f"Importing alone: {imported:.0f} MB. All numbers are MB of 10^6 bytes.\n")
    print("| rows | stored as | stored | float32 copy | peak above importing | allowed |")
    print("|---:|---|---:|---:|---:|---:|")
    kept = True
    for n in n_rows:
        for dtype, size in (("uint8", 1), ("float32", 4)):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "data.npy"
                in_child("--child", "write", str(path), str(n), dtype)
                above = in_child("--child", "train", str(path)) - imported
            cells = n * N_COLUMNS / 1e6
            allowed = 4 * cells + ALLOWANCE
            kept &= above <= allowed
            print(
                f"| {n:,} | {dtype} | {size * cells:.0f} | {4 * cells:.0f} "
                f"| {above:.0f} | {allowed:.0f} |",
                flush=True,
            )
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="60000,240000", help="default: 60000,240000")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match arguments.child:
        case None:
            kept = report([int(n) for n in arguments.rows.split(",")])
            print(f"\nThe promise is {'kept' if kept else 'broken'}.")
            raise SystemExit(not kept)
        case ["write", path, n_rows, dtype]:
            write(Path(path), int(n_rows), dtype)
        case ["train", path]:
            train(Path(path))
        case _:
            only_import()
    print(peak())


if __name__ == "__main__":
    main()
