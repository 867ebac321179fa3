"""Training on rows that stay on disk: memory, start and speed.

Makes a file of ``--rows`` rows of 100 binary columns, 10 GB for 10⁸ rows, and starts ``harmonium
train`` on it twice: at first nothing is known about the rows, the second time it is. Peak memory is
the kernel's VmHWM of the process, everything included. Then the same rows are learned from in
memory and from disk by turns, in one process; ``--compared`` says how many.

    python benchmarks/large_data.py --folder /tmp/rows                    # 10⁷ rows, 1 GB
    python benchmarks/large_data.py --folder /tmp/rows --rows 100_000_000  # 10 GB, 10 minutes
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np

COLUMNS, HIDDEN = 100, 100
AT_ONCE = 1_000_000


def make(path: Path, n_rows: int) -> None:
    """Rows of ten blocks of columns, each mostly on or off; a `.npy` file of bytes."""
    rng = np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, "w+", np.uint8, (n_rows, COLUMNS))
    for start in range(0, n_rows, AT_ONCE):
        n = min(AT_ONCE, n_rows - start)
        on = rng.integers(0, 2, (n, 10), np.uint8)
        flipped = rng.integers(0, 8, (n, COLUMNS), np.uint8) == 0
        out[start : start + n] = np.repeat(on, COLUMNS // 10, axis=1) ^ flipped
        out.flush()
    del out


def started(path: Path, folder: Path, seconds: float, *options: str) -> None:
    """Run ``harmonium train`` for some time after its first update; print times and memory."""
    out = folder / "run"
    command = [sys.executable, "-m", "harmonium", "train", str(path), "--out", str(out)]
    command += ["--overwrite", "--hidden", str(HIDDEN), "--no-figures", "--every", "1000", *options]
    environment = os.environ | {"HARMONIUM_DATA": str(folder / "cache")}
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = ""
        for line in process.stdout:
            print(f"  {time.perf_counter() - began:6.1f} s  {line.rstrip()[:100]}")
            if re.match(r"\s*(epoch|update)\b.*\d", line):
                break
        spent = sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().split()[13:15]))
        print(
            f"first row of numbers after {time.perf_counter() - began:.1f} s, "
            f"{spent / os.sysconf('SC_CLK_TCK'):.1f} s of them on a processor"
        )
        time.sleep(seconds)
        status = Path(f"/proc/{process.pid}/status").read_text()
        of = dict(re.findall(r"(\w+):\s+(\d+) kB", status))
        print(", ".join(f"{key} {int(of[key]) / 1e3:,.0f} MB" for key in SHOWN))
        process.send_signal(signal.SIGINT)
        process.wait()


SHOWN = ("VmHWM", "VmRSS", "RssAnon", "RssFile")


def compare(path: Path, rounds: int, updates: int) -> None:
    """Updates a second from disk, divided by those from memory, by turns."""
    from harmonium import training
    from harmonium.runs import build, run_data
    from harmonium.runs.options import TrainingOptions

    loops = {}
    for where, on_disk in (("memory", False), ("disk", True)):
        options = TrainingOptions(str(path), hidden=HIDDEN, on_disk=on_disk)
        options, data, held_out = run_data.load_new(options)
        batches = build.make_batches(options, data)
        options = build.complete(options, batches)
        rbm = build.make_model(options, data, held_out)
        state = build.layer_options(options).begin(rbm, options.seed, len(batches))
        loops[where] = training.updates(state, batches, options.epochs or 1)
        next(loops[where])  # compiles
    ratios = []
    for _ in range(rounds):
        rates = {}
        for where, loop in loops.items():
            began = time.process_time()
            for _ in islice(loop, updates):
                pass
            rates[where] = updates / (time.process_time() - began)
        ratios.append(rates["disk"] / rates["memory"])
        print(", ".join(f"{where} {rate:,.0f}/s" for where, rate in rates.items()))
    print(f"disk / memory, updates a second of CPU time: {statistics.median(ratios):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--compared", type=int, default=5_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=3000)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    path = chosen.folder / f"rows-{chosen.rows}.npy"
    if not path.exists():
        make(path, chosen.rows)
    for _ in range(2):
        started(path, chosen.folder, chosen.seconds, "--on-disk")
    few = chosen.folder / f"rows-{chosen.compared}.npy"
    if not few.exists():
        make(few, chosen.compared)
    os.environ["HARMONIUM_DATA"] = str(chosen.folder / "cache")
    compare(few, chosen.rounds, chosen.updates)


if __name__ == "__main__":
    main()
