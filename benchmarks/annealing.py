"""Time of annealed importance sampling beside its matrix products alone, and its peak memory.

Two products a temperature, v W and h W^T, are what the annealing cannot do without; blocks of both
take turns, and the medians of their times are compared. The promise is a ratio of 1.25 at most.
Where most visible units are off, the first product skips zeros, and the ratio falls below 1.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time
from itertools import repeat
from statistics import median

import torch

from harmonium import RBM, Binary, load_model
from harmonium.likelihood import AnnealingPath, annealed_importance_sampling, base_rates
from harmonium.likelihood.annealing import CHAINS_AT_ONCE

N_VISIBLE, N_HIDDEN = 784, 500
DENSITY = 0.13  # of MNIST's ones
WEIGHT_STD = 0.1
PROMISE = 1.25
MANY_CHAINS = 20_000


def make_model(path: str | None) -> tuple[RBM, torch.Tensor]:
    """A model and rows for its base rates: a trained one, or a random one of MNIST's density."""
    generator = torch.Generator().manual_seed(0)
    rates = DENSITY * 2 * torch.rand(N_VISIBLE, generator=generator)
    rows = (torch.rand(2000, N_VISIBLE, generator=generator) < rates).float()
    if path is not None:
        return load_model(path), rows
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN))
    return rbm.init_from_data_(rows, seed=0, weight_std=WEIGHT_STD), rows


def products(rbm: RBM, n_chains: int, n_steps: int) -> float:
    """Seconds of the products of so many chains and temperatures, in the annealing's blocks."""
    weights = rbm.weights.detach()
    v = torch.randint(2, (CHAINS_AT_ONCE, weights.shape[0])).float()
    h = torch.randint(2, (CHAINS_AT_ONCE, weights.shape[1])).float()
    to_v, to_h = torch.empty_like(v), torch.empty_like(h)
    began = time.perf_counter()
    for first in range(0, n_chains, CHAINS_AT_ONCE):
        n = min(CHAINS_AT_ONCE, n_chains - first)
        for _ in repeat(None, n_steps):
            torch.mm(v[:n], weights, out=to_h[:n])
            torch.mm(h[:n], weights.T, out=to_v[:n])
    return time.perf_counter() - began


def annealing(path: AnnealingPath, n_chains: int) -> float:
    began = time.perf_counter()
    annealed_importance_sampling(path, n_chains).result()
    return time.perf_counter() - began


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a model.safetensors; default: random weights")
    parser.add_argument("--chains", type=int, default=1000)
    parser.add_argument("--temperatures", type=int, default=400, help="of one block")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="default: one a core")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)

    rbm, rows = make_model(arguments.model)
    base = base_rates(rbm, rows)
    path = AnnealingPath(base, rbm, torch.linspace(0, 1, arguments.temperatures))
    annealing(AnnealingPath(base, rbm, torch.linspace(0, 1, 5)), arguments.chains)  # compiles
    n_steps = arguments.temperatures - 1
    times = [
        (annealing(path, arguments.chains), products(rbm, arguments.chains, n_steps))
        for _ in range(arguments.rounds)
    ]
    ours, bare = (median(column) for column in zip(*times, strict=True))
    ratios = [a / b for a, b in times]
    before = peak()
    annealing(AnnealingPath(base, rbm, [0.0, 0.5, 1.0]), MANY_CHAINS)
    result = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "shape": list(rbm.weights.shape),
        "chains": arguments.chains,
        "milliseconds_a_temperature": 1e3 * ours / n_steps,
        "milliseconds_of_products": 1e3 * bare / n_steps,
        "ratio": median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "more_memory_for_many_chains_mb": peak() - before,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        minutes = ours / n_steps * 10_000 / 60
        print(
            f"{' × '.join(map(str, rbm.weights.shape))}, {arguments.chains:,} chains, "
            f"{result['threads']} threads, torch {result['torch']}\n"
            f"a temperature         {result['milliseconds_a_temperature']:.2f} ms "
            f"(10,000 of them: {minutes:.1f} minutes)\n"
            f"its products alone    {result['milliseconds_of_products']:.2f} ms\n"
            f"ratio                 {result['ratio']:.2f} ({result['lowest_ratio']:.2f} to "
            f"{result['highest_ratio']:.2f}; the promise is {PROMISE})\n"
            f"{MANY_CHAINS:,} chains take {result['more_memory_for_many_chains_mb']:.0f} MB more "
            f"than {arguments.chains:,}"
        )
    raise SystemExit(result["ratio"] > PROMISE)


if __name__ == "__main__":
    main()
