"""Training and sampling on a GPU: `harmonium benchmark` with 10,000 chains, and nothing on the way.

Beside loops in plain torch on the same GPU and the products alone, which are replayed as a CUDA
graph. A draw or an update that falls back to something slower is an error here.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import torch

from harmonium import benchmark, defaults
from harmonium.benchmark import PEERS, WORKLOADS, Plan, Sampling

LOOPS = [PEERS["torch.bernoulli"], PEERS["torch.rand"]]
CHOSEN = {
    "W1": WORKLOADS["W1"],
    "W4": WORKLOADS["W4"],
    "sampling": Sampling("sampling", n_chains=10_000, n_hidden=500),
}


def measure(plan: Plan, device: str) -> dict:
    described, train, held_out = benchmark.load_data()
    train, held_out = train.to(device), held_out.to(device)
    report = benchmark.header(plan, described, train)
    report["workloads"] = benchmark.measure(plan, train, held_out, lambda doing, done, total: None)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(CHOSEN), help="such as W1,sampling")
    parser.add_argument("--rounds", type=int, default=defaults.BENCHMARK_ROUNDS)
    parser.add_argument("--seconds", type=float, default=defaults.BENCHMARK_SECONDS)
    parser.add_argument(
        "--tf32", action="store_true", help="let all contestants' products round to TF32"
    )
    parser.add_argument("--json", type=Path, help="write everything that was measured here")
    arguments = parser.parse_args()
    names = arguments.workloads.split(",")
    if unknown := set(names) - set(CHOSEN):
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(CHOSEN)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("rounds and seconds have to be positive")
    if not torch.cuda.is_available():
        print(
            f"torch {torch.__version__} sees no GPU here, so there is nothing to measure; run this "
            "on a machine with one, with a torch that was built for it",
            file=sys.stderr,
        )
        return 1

    warnings.simplefilter("error", RuntimeWarning)
    torch.set_float32_matmul_precision("high" if arguments.tf32 else "highest")
    workloads = [CHOSEN[name] for name in names]
    report = measure(Plan(workloads, LOOPS, arguments.rounds, arguments.seconds), "cuda")
    report["products"] = "TF32" if arguments.tf32 else "float32"
    print(benchmark.markdown(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
