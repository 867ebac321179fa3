"""Training and sampling on a GPU, beside a plain torch loop on the same GPU and the bare products.

All contestants take turns in short blocks, each of which ends when the device has done its work;
the ratios are medians over the rounds. Without a GPU there is nothing to measure.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from harmonium import (
    RBM,
    Binary,
    Data,
    Gibbs,
    Minibatches,
    Purpose,
    SamplingSchedule,
    Stream,
    TrainingState,
    __version__,
    sampling,
    training,
)

N_VISIBLE, N_HIDDEN = 784, 500
RATE = 0.05

OURS = "harmonium"
LOOP = "torch loop"
PRODUCTS = "products alone"
CONTESTANTS = (OURS, LOOP, PRODUCTS)

Task = Callable[[], object]


@dataclass(frozen=True)
class Training:
    """An update of PCD with as many chains as rows in a batch."""

    sweeps: int
    batch_size: int

    def __str__(self) -> str:
        return f"PCD-{self.sweeps}, batch {self.batch_size}, {N_VISIBLE}×{N_HIDDEN}"

    @property
    def n_flops(self) -> int:
        """Of the products: 1 for the data, 2 a sweep and 2 for the gradient."""
        return 2 * self.batch_size * N_VISIBLE * N_HIDDEN * (3 + 2 * self.sweeps)

    def tasks(self, data: Data) -> dict[str, Task]:
        return {
            OURS: harmonium_update(self, data),
            LOOP: torch_update(self, data),
            PRODUCTS: recorded(products_of_an_update(self, data)),
        }


@dataclass(frozen=True)
class Sampling:
    """One sweep of many chains."""

    n_chains: int

    def __str__(self) -> str:
        return f"a sweep of {self.n_chains:,} chains, {N_VISIBLE}×{N_HIDDEN}"

    @property
    def n_flops(self) -> int:
        """Of the two products of a sweep."""
        return 2 * self.n_chains * N_VISIBLE * N_HIDDEN * 2

    def tasks(self, data: Data) -> dict[str, Task]:
        return {
            OURS: harmonium_sweep(self, data),
            LOOP: torch_sweep(self, data),
            PRODUCTS: recorded(products_of_a_sweep(self, data)),
        }


WORKLOADS: dict[str, Training | Sampling] = {
    "W1": Training(sweeps=15, batch_size=20),
    "W4": Training(sweeps=10, batch_size=500),
    "sampling": Sampling(n_chains=10_000),
}


def harmonium_update(workload: Training, data: Data) -> Task:
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN)).init_from_data_(data, seed=0)
    state = TrainingState.create(
        rbm.to(data.values.device),
        sampler=Gibbs(workload.sweeps),
        n_chains=workload.batch_size,
        learning_rate=RATE,
    )
    updates = training.updates(state, Minibatches(data, workload.batch_size), epochs=2**31)
    return lambda: next(updates)


def harmonium_sweep(workload: Sampling, data: Data) -> Task:
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN)).init_from_data_(data, seed=0)
    rbm.to(data.values.device)
    stream = Stream(0, Purpose.SAMPLE)
    chains = sampling.start_random(rbm, workload.n_chains, stream)
    schedule = SamplingSchedule(n_warmup=0, n_samples=10**6, sweeps_per_sample=1)
    steps = sampling.sample(rbm, chains, schedule, stream)
    return lambda: next(steps)


def parameters(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    weights = 0.01 * torch.randn(N_VISIBLE, N_HIDDEN, device=device)
    return weights, torch.zeros(N_VISIBLE, device=device), torch.zeros(N_HIDDEN, device=device)


def batches(data: Data, batch_size: int) -> Iterator[Tensor]:
    states = torch.cat(list(data.blocks()))
    while True:
        for rows in torch.randperm(len(states), device=states.device).split(batch_size):
            if len(rows) == batch_size:
                yield states[rows]


def torch_update(workload: Training, data: Data) -> Task:
    """The plain gradient as a strong user would write it: no autograd, buffers, no waiting."""
    n, device = workload.batch_size, data.values.device
    weights, a, b = parameters(device)
    v, h_data, h = (torch.empty(n, columns, device=device) for columns in (len(a), len(b), len(b)))
    h_model = torch.full_like(h, 0.5)
    rows = batches(data, n)

    def update() -> None:
        v_data = next(rows)
        torch.addmm(b, v_data, weights, out=h_data).sigmoid_()
        for _ in range(workload.sweeps):
            torch.bernoulli(h_model, out=h)
            torch.addmm(a, h, weights.T, out=v).sigmoid_().bernoulli_(v)
            torch.addmm(b, v, weights, out=h_model).sigmoid_()
        weights.addmm_(v_data.T, h_data, alpha=RATE / n).addmm_(v.T, h_model, alpha=-RATE / n)
        a.add_(v_data.mean(0).sub_(v.mean(0)), alpha=RATE)
        b.add_(h_data.mean(0).sub_(h_model.mean(0)), alpha=RATE)

    return update


def torch_sweep(workload: Sampling, data: Data) -> Task:
    device = data.values.device
    weights, a, b = parameters(device)
    v = torch.empty(workload.n_chains, N_VISIBLE, device=device)
    h = torch.empty(workload.n_chains, N_HIDDEN, device=device).bernoulli_(0.5)

    def sweep() -> None:
        torch.addmm(a, h, weights.T, out=v).sigmoid_().bernoulli_(v)
        torch.addmm(b, v, weights, out=h).sigmoid_().bernoulli_(h)

    return sweep


def products_of_an_update(workload: Training, data: Data) -> Task:
    n, device = workload.batch_size, data.values.device
    weights, _, _ = parameters(device)
    v = torch.rand(n, N_VISIBLE, device=device).round_()
    h = torch.rand(n, N_HIDDEN, device=device).round_()
    to_v, to_h, gradient = (torch.empty_like(x) for x in (v, h, weights))

    def update() -> None:
        torch.mm(v, weights, out=to_h)
        for _ in range(workload.sweeps):
            torch.mm(h, weights.T, out=to_v)
            torch.mm(v, weights, out=to_h)
        torch.mm(v.T, h, out=gradient).addmm_(v.T, h, alpha=-1)

    return update


def products_of_a_sweep(workload: Sampling, data: Data) -> Task:
    device = data.values.device
    weights, _, _ = parameters(device)
    v = torch.rand(workload.n_chains, N_VISIBLE, device=device).round_()
    h = torch.rand(workload.n_chains, N_HIDDEN, device=device).round_()
    to_v, to_h = torch.empty_like(v), torch.empty_like(h)

    def sweep() -> None:
        torch.mm(h, weights.T, out=to_v)
        torch.mm(v, weights, out=to_h)

    return sweep


def recorded(task: Task) -> Task:
    """As a CUDA graph, so that the device is measured and not how fast Python launches."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        task()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        task()
    return graph.replay


def rate(task: Task, n: int) -> float:
    """How often a second, until the device is done."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(n):
        task()
    torch.cuda.synchronize()
    return n / (time.perf_counter() - began)


def measure(
    workload: Training | Sampling, data: Data, n_rounds: int, seconds: float
) -> dict[str, object]:
    tasks = list(workload.tasks(data).items())
    for _, task in tasks:
        rate(task, 20)  # what happens only the first times
    lengths = {name: max(1, round(seconds * rate(task, 50))) for name, task in tasks}
    rounds = []
    for _ in range(n_rounds):
        rounds.append({name: rate(task, lengths[name]) for name, task in tasks})
        tasks.append(tasks.pop(0))  # another one comes first in the next round
    return {
        "workload": str(workload),
        "per_second": {name: median(r[name] for r in rounds) for name in CONTESTANTS},
        "ratio": {name: median(r[OURS] / r[name] for r in rounds) for name in CONTESTANTS[1:]},
        "products_tflops": workload.n_flops * median(r[PRODUCTS] for r in rounds) / 1e12,
        "rounds": rounds,
    }


def table(results: dict[str, dict]) -> Iterator[str]:
    """Lines of Markdown: times a second and, in brackets, ours by theirs."""
    yield f"| | workload | {' | '.join(CONTESTANTS)} | TFLOP/s of the products |"
    yield f"|---|---|{'---:|' * (len(CONTESTANTS) + 1)}"
    for key, result in results.items():
        cells = [f"{result['per_second'][OURS]:.4g}"]
        for name in CONTESTANTS[1:]:
            cells.append(f"{result['per_second'][name]:.4g} ({result['ratio'][name]:.2f})")
        cells.append(f"{result['products_tflops']:.3g}")
        yield f"| {key} | {result['workload']} | {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="such as W1,sampling")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a block (default: 0.5)")
    parser.add_argument(
        "--tf32", action="store_true", help="let all contestants' products round to TF32"
    )
    parser.add_argument("--json", type=Path, help="write everything that was measured here")
    arguments = parser.parse_args()
    chosen = arguments.workloads.split(",")
    if unknown := set(chosen) - set(WORKLOADS):
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("rounds and seconds have to be positive")
    if not torch.cuda.is_available():
        print(
            f"torch {torch.__version__} sees no GPU here, so there is nothing to measure; run this "
            "on a machine with one, with a torch that was built for it",
            file=sys.stderr,
        )
        return 1

    # a number that was measured without the fused draws or without the graph would mislead
    warnings.simplefilter("error", RuntimeWarning)
    torch.set_float32_matmul_precision("high" if arguments.tf32 else "highest")
    torch.manual_seed(0)  # of the peers and of the rows; ours takes no notice
    grey = 255 * (torch.rand(60_000, N_VISIBLE) < 0.13).to(torch.uint8)
    data = Data("synthetic", grey).as_pictures(28, 28).binarize().to("cuda")
    report = {
        "date": date.today().isoformat(),
        "device": torch.cuda.get_device_name(),
        "harmonium": __version__,
        "torch": torch.__version__,
        "products": "TF32" if arguments.tf32 else "float32",
    }
    print(*(f"{key}: {value}" for key, value in report.items()), sep="\n", end="\n\n")
    results = {
        key: measure(WORKLOADS[key], data, arguments.rounds, arguments.seconds) for key in chosen
    }
    print(*table(results), sep="\n")
    print(
        f"\nMedians of {arguments.rounds} rounds: updates, or sweeps, a second; in brackets "
        f"{OURS}'s rate divided by that one, medians too. Rows: synthetic, 13 % ones. The "
        "products are replayed as a CUDA graph; the torch loop launches each operation."
    )
    if arguments.json:
        everything = report | {"seconds": arguments.seconds, "workloads": results}
        arguments.json.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
