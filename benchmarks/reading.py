"""Reading a table of 10^6 rows x 50 columns: time beside NumPy's parser, and memory.

The other reader is what harmonium did before it read by Arrow: ``numpy.loadtxt`` a block of lines
at a time, into one array. Both get the same file in turns, each in a process of its own, whose peak
of memory less that of a process that only imports is what reading needs. The exit code is 1 where
reading is less than 5 times as fast, or takes more than 3 times the float32 size of the table.

    python benchmarks/reading.py                # 2 GB of disk, about 5 minutes
    python benchmarks/reading.py --rows 100000 --rounds 5
"""

from __future__ import annotations

# The standard library alone: a new process inherits its parent's peak, so this one stays small.
import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_COLUMNS = 50
LEAST_SPEED, MOST_MEMORY = 5.0, 3.0
FORMATS = {
    "full": "pandas' digits, such as -0.12345678901234567",
    "short": "6 digits, such as -0.123457",
    "counts": "whole numbers from 0 to 999",
    "states": "0 and 1",
}


def write(path: Path, kind: str, n_rows: int) -> None:
    """A table without a header; its lines repeat after 10,000."""
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (min(n_rows, 10_000), N_COLUMNS)
    match kind:
        case "full":
            cells = [[repr(cell) for cell in row] for row in rng.normal(size=shape).tolist()]
        case "short":
            cells = [[f"{cell:.6g}" for cell in row] for row in rng.normal(size=shape).tolist()]
        case _:
            numbers = rng.integers(0, 1000 if kind == "counts" else 2, shape).tolist()
            cells = [[str(cell) for cell in row] for row in numbers]
    lines = [",".join(row) + "\n" for row in cells]
    with path.open("w") as file:
        file.writelines(itertools.islice(itertools.cycle(lines), n_rows))


def loadtxt(path: Path) -> tuple[int, int]:
    """What harmonium did: count the lines, then parse them a block at a time."""
    import numpy as np

    def lines():
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line

    n_rows = sum(1 for _ in lines())
    values = np.empty((n_rows, N_COLUMNS), np.float32)
    rest, step = lines(), (1 << 17) // N_COLUMNS
    for start in range(0, n_rows, step):
        block = [line for _, line in itertools.islice(rest, step)]
        values[start : start + len(block)] = np.loadtxt(
            block, delimiter=",", comments=None, quotechar='"', ndmin=2
        )
    return values.shape


def load(path: Path) -> tuple[int, int]:
    from harmonium import datasets

    return tuple(datasets.load(path).values.shape)


def child(reader: str, path: Path) -> None:
    """Read once, and print seconds, peak in KiB and shape."""
    import pyarrow.csv  # noqa: F401

    from harmonium import datasets  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    shape = {"loadtxt": loadtxt, "harmonium": load}[reader](path)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([seconds, peak, shape]))


def measure(reader: str, path: Path, n_rows: int) -> tuple[float, float]:
    """Seconds, and peak of memory in float32 sizes of the table."""
    command = [sys.executable, __file__, "--child", reader, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak, shape = json.loads(done.stdout)
    assert shape == [n_rows, N_COLUMNS], shape
    return seconds, peak * 1024 / (4 * n_rows * N_COLUMNS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return 0
    print("| numbers | numpy.loadtxt, s | harmonium, s | times as fast | memory, float32 sizes |")
    print("|---|---|---|---|---|")
    kept = True
    for kind in options.formats.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write(path, kind, options.rows)
            seconds: dict[str, list[float]] = {"loadtxt": [], "harmonium": []}
            memory = 0.0
            for _ in range(options.rounds):
                for reader, times in seconds.items():
                    taken, sizes = measure(reader, path, options.rows)
                    times.append(taken)
                    memory = max(memory, sizes) if reader == "harmonium" else memory
        ratios = [a / b for a, b in zip(seconds["loadtxt"], seconds["harmonium"], strict=True)]
        old, new = (statistics.median(times) for times in seconds.values())
        speed = statistics.median(ratios)
        print(
            f"| {FORMATS[kind]} | {old:.1f} | {new:.1f} | {speed:.1f} ({min(ratios):.1f} to "
            f"{max(ratios):.1f}) | {memory:.2f} |",
            flush=True,
        )
        kept &= speed >= LEAST_SPEED and memory <= MOST_MEMORY
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
