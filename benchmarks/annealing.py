"""What a likelihood costs: exact sums, steps of annealing, and the interval that they make.

Three figures, each a ratio of runs that take turns:

- **Exact sums** of 23 and 25 binary units against 112: processor time, and how many times faster
  they are than by the definition, block by block (of which a part is timed, and scaled up).
- **A step of annealing** beside its two matrix products alone, v W and h W^T, along the
  temperatures that an evaluation takes. The promise is 1 / 1.5 for a trained model. What is left of
  the time is for draws and weights; where few units flip, the products are not made.
- **The work for an interval**: annealing forwards and backwards (AIS; RAISE from test rows) at
  temperatures that are placed by the spread of the weights alone, by products, and as it is now,
  with two thirds as many temperatures. Time, and how far both ends are apart.

    python benchmarks/annealing.py --threads 1 --model runs/mnist/model.safetensors

The model has to be of binarised MNIST, 784 columns, whose test rows are then taken; by default one
of random weights is measured, and no interval.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from statistics import median
from typing import Any
from unittest import mock

import torch

from harmonium import RBM, Binary, datasets, kernels, load_model
from harmonium.likelihood import (
    AnnealingPath,
    annealed_importance_sampling,
    exact_log_z,
    log_likelihood,
    raise_log_likelihood,
    temperatures,
)
from harmonium.likelihood.annealing import CHAINS_AT_ONCE
from harmonium.likelihood.enumeration import Enumeration

N_VISIBLE, N_HIDDEN = 784, 500
DENSITY = 0.13  # of MNIST's ones
WEIGHT_STD = 0.1
N_SUMMED, N_ENUMERATED = 112, {23: 1.5, 25: 5.0}  # and the seconds that are promised
PROMISE = 1 / 1.5
MANY_CHAINS = 20_000


def make_model(path: str | None) -> tuple[RBM, torch.Tensor, torch.Tensor | None]:
    """A model, rows for its base rates, and test rows: a trained one, or a random one."""
    if path is not None:
        mnist = datasets.load("mnist").binarize()
        train, test = (mnist.part(part) for part in ("train", "test"))
        return load_model(path), train.rows(torch.arange(10_000)), test.rows(torch.arange(10_000))
    generator = torch.Generator().manual_seed(0)
    rates = DENSITY * 2 * torch.rand(N_VISIBLE, generator=generator)
    rows = (torch.rand(2000, N_VISIBLE, generator=generator) < rates).float()
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN))
    return rbm.init_from_data_(rows, seed=0, weight_std=WEIGHT_STD), rows, None


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time, which other programs change less than the clock's, and what came."""
    began = time.process_time()
    found = call()
    return time.process_time() - began, found


def exact_sums(n: int, rounds: int) -> dict[str, float]:
    """Seconds of the sum over n binary units' states, and by how much blocks are slower."""
    rbm = RBM(Binary(N_SUMMED), Binary(n)).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in rbm.parameters():
        parameter.data.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    exact_log_z(RBM(Binary(N_SUMMED), Binary(14)))  # compiles
    n_blocks = 8

    def some_blocks() -> int:
        blocks = zip(range(n_blocks), Enumeration(rbm).blocks(), strict=False)
        return sum(len(x) for _, (x, _, _) in blocks)

    with torch.no_grad():
        pairs = [(timed(lambda: exact_log_z(rbm)), timed(some_blocks)) for _ in range(rounds)]
    times = [
        (seconds, of_blocks * 2**n / n_states) for (seconds, _), (of_blocks, n_states) in pairs
    ]
    return {
        "seconds": median(ours for ours, _ in times),
        "faster_than_blocks": median(blocks / ours for ours, blocks in times),
    }


def products(rbm: RBM, n_chains: int, n_steps: int) -> None:
    """The products of so many chains and temperatures, in the annealing's blocks."""
    weights = rbm.weights.detach()
    v = torch.randint(2, (CHAINS_AT_ONCE, weights.shape[0])).float()
    h = torch.randint(2, (CHAINS_AT_ONCE, weights.shape[1])).float()
    to_v, to_h = torch.empty_like(v), torch.empty_like(h)
    for first in range(0, n_chains, CHAINS_AT_ONCE):
        n = min(CHAINS_AT_ONCE, n_chains - first)
        for _ in repeat(None, n_steps):
            torch.mm(v[:n], weights, out=to_h[:n])
            torch.mm(h[:n], weights.T, out=to_v[:n])


def steps(path: AnnealingPath, n_chains: int, rounds: int) -> dict[str, float]:
    """Times of a temperature and of its products, and their ratio."""
    n_steps = path.n_temperatures - 1
    times = []
    for _ in range(rounds):
        ours, _ = timed(annealed_importance_sampling(path, n_chains).result)
        bare, _ = timed(lambda: products(path.target, n_chains, n_steps))
        times.append((ours, bare))
    ratios = [ours / bare for ours, bare in times]
    return {
        "milliseconds_a_temperature": 1e3 * median(ours for ours, _ in times) / n_steps,
        "milliseconds_of_products": 1e3 * median(bare for _, bare in times) / n_steps,
        "ratio": median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
    }


@contextmanager
def as_before() -> Iterator[None]:
    """Products at every step, and temperatures placed by the spread of the weights alone."""
    with (
        mock.patch.object(kernels, "followed", lambda *_: None),
        mock.patch.object(temperatures, "_WINDOW", 0),
    ):
        yield


def interval(
    rbm: RBM, rows: torch.Tensor, test: torch.Tensor, n_chains: int, n_temperatures: int, seed: int
) -> dict[str, float]:
    """The annealing in both directions: seconds, gap, and standard error of either end."""

    def both() -> tuple[Any, Any]:
        path = AnnealingPath.adaptive(rbm, rows, n_temperatures, seed)
        return (
            annealed_importance_sampling(path, n_chains, seed).result(),
            raise_log_likelihood(path, test[chosen], 1, seed).result(),
        )

    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(test), generator=generator)[:n_chains]
    seconds, (log_z, lower) = timed(both)
    corrections = log_likelihood(rbm, test[chosen], log_z) - lower.log_likelihood
    return {
        "temperatures": n_temperatures,
        "seconds": seconds,
        "gap": corrections.mean().item(),
        "lower_std_error": corrections.std().item() / math.sqrt(n_chains),
        "log_z": log_z.value,
        "upper_std_error": log_z.std_error,
    }


def intervals(
    rbm: RBM, rows: torch.Tensor, test: torch.Tensor, n_chains: int, n_temperatures: int
) -> dict[str, dict[str, float]]:
    """As before, and with two thirds of the temperatures now."""
    with as_before():
        before = interval(rbm, rows, test, n_chains, n_temperatures, seed=1)
    now = interval(rbm, rows, test, n_chains, 2 * n_temperatures // 3, seed=1)
    return {"before": before, "now": now}


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def told(result: dict[str, Any]) -> Iterator[str]:
    """What was measured, for people."""
    yield (
        f"{' × '.join(map(str, result['shape']))}, {result['chains']:,} chains, "
        f"{result['threads']} threads, torch {result['torch']}"
    )
    for n, promised in N_ENUMERATED.items():
        sums = result["exact"][n]
        yield (
            f"exact, {n} units       {sums['seconds']:.2f} s (the promise is {promised}), blocks "
            f"take {sums['faster_than_blocks']:.0f} times as long"
        )
    step = result["steps"]
    yield f"a temperature         {step['milliseconds_a_temperature']:.2f} ms"
    yield f"its products alone    {step['milliseconds_of_products']:.2f} ms"
    yield (
        f"ratio                 {step['ratio']:.2f} ({step['lowest_ratio']:.2f} to "
        f"{step['highest_ratio']:.2f}; the promise for a trained model is {PROMISE:.2f})"
    )
    yield (
        f"{MANY_CHAINS:,} chains take {result['more_memory_for_many_chains_mb']:.0f} MB more than "
        f"{result['chains']:,}"
    )
    for name, found in result["intervals"].items():
        yield (
            f"{name:22}{found['temperatures']:,} temperatures, {found['seconds']:.1f} s, ends "
            f"{found['gap']:.2f} nats apart (errors {found['lower_std_error']:.2f} and "
            f"{found['upper_std_error']:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a model.safetensors of MNIST; default: random weights")
    parser.add_argument("--chains", type=int, default=400)
    parser.add_argument("--temperatures", type=int, default=400, help="of a block of steps")
    parser.add_argument("--interval-temperatures", type=int, default=4000, help="0 for none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="processor time is that of all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    rbm, rows, test = make_model(arguments.model)
    path = AnnealingPath.adaptive(rbm, rows, 2000).of_length(arguments.temperatures)
    annealed_importance_sampling(path.of_length(20), arguments.chains).result()  # compiles
    result = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "shape": list(rbm.weights.shape),
        "chains": arguments.chains,
        "exact": {n: exact_sums(n, arguments.rounds) for n in N_ENUMERATED},
        "steps": steps(path, arguments.chains, arguments.rounds),
        "intervals": {},
    }
    before = peak()
    annealed_importance_sampling(path.of_length(3), MANY_CHAINS).result()
    result["more_memory_for_many_chains_mb"] = peak() - before
    if test is not None and arguments.interval_temperatures:
        n = arguments.interval_temperatures
        result["intervals"] = intervals(rbm, rows, test, arguments.chains, n)
    print(json.dumps(result) if arguments.json else "\n".join(told(result)))
    raise SystemExit(arguments.model is not None and result["steps"]["ratio"] > PROMISE)


if __name__ == "__main__":
    main()
