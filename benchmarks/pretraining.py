"""Greedy pretraining of 784-1000-1000-1000, beside its matrix products alone.

Both do the same work on the same rows, in turns: a round is some updates of each layer, and the
features of all rows between two layers, by the library's own pretraining; then only the products
that a dense implementation has to do for that, into memory that is there. Shown are medians over
rounds and their ratio, which is promised to be 1.3 at most; the exit code is 1 where it is more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise

import torch

from harmonium import Binary, Data, datasets
from harmonium.deep import DBN, LayerOptions, PretrainingState, drawn_features, pretraining

SIZES = (784, 1000, 1000, 1000)
PROMISE = 1.3


def rows(n: int) -> Data:
    """MNIST where it has been fetched, else random pictures that are as dense."""
    try:
        data = datasets.load("mnist").part("train").binarize()
        return Data("mnist", data.values[:n], data.encoding)
    except OSError:
        generator = torch.Generator().manual_seed(0)
        density = torch.rand(SIZES[0], generator=generator) * 0.26
        return Data("random", (torch.rand(n, SIZES[0], generator=generator) < density).float())


def ours(data: Data, epochs: int, batch_size: int, n_chains: int | None) -> float:
    """Seconds of a whole pretraining."""
    options = LayerOptions(
        epochs=epochs, batch_size=batch_size, n_chains=n_chains, features=drawn_features
    )
    dbn = DBN.of(*map(Binary, SIZES))
    state = PretrainingState.create(dbn, options)
    began = time.perf_counter()
    for _ in pretraining.updates(state, data):
        pass
    return time.perf_counter() - began


def products(n_rows: int, epochs: int, batch_size: int, n_chains: int | None) -> float:
    """Seconds of the products alone: 1 for the data, 2 a sweep, 2 for the gradient; features."""
    chains = n_chains or batch_size
    total = 0.0
    for layer, (n_visible, n_hidden) in enumerate(pairwise(SIZES)):
        weights = torch.randn(n_visible, n_hidden)
        v, h = torch.rand(batch_size, n_visible), torch.empty(batch_size, n_hidden)
        fantasy_v, fantasy_h = torch.rand(chains, n_visible), torch.rand(chains, n_hidden)
        grad = torch.empty_like(weights)
        block = torch.rand(1000, n_visible)
        features = torch.empty(1000, n_hidden)
        began = time.perf_counter()
        for _ in range(epochs * -(-n_rows // batch_size)):
            torch.mm(v, weights, out=h)
            torch.mm(fantasy_h, weights.T, out=fantasy_v)
            torch.mm(fantasy_v, weights, out=fantasy_h)
            torch.addmm(grad, v.T, h, beta=0, alpha=-1 / batch_size, out=grad)
            torch.addmm(grad, fantasy_v.T, fantasy_h, alpha=1 / chains, out=grad)
            fantasy_h.clamp_(0, 1)  # numbers that grow would end as slow ones
        if layer < len(SIZES) - 2:
            for _ in range(-(-n_rows // 1000)):
                torch.mm(block, weights, out=features)
        total += time.perf_counter() - began
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--chains", type=int, default=100, help="0 for CD")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    data, chains = rows(chosen.rows), chosen.chains or None
    found: dict[str, list[float]] = {"ours": [], "products": []}
    for turn in range(chosen.rounds + 1):
        seconds = {
            "ours": ours(data, chosen.epochs, chosen.batch_size, chains),
            "products": products(len(data), chosen.epochs, chosen.batch_size, chains),
        }
        if turn:  # the first warms everything up
            for name, value in seconds.items():
                found[name].append(value)
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratios = [a / b for a, b in zip(found["ours"], found["products"], strict=True)]
    ratio = statistics.median(ratios)
    print(
        f"{data.name}, {len(data):,} rows, {'-'.join(map(str, SIZES))}, {chosen.epochs} epochs a "
        f"layer, batch {chosen.batch_size}, {chosen.threads} threads, torch {torch.__version__}"
    )
    print(f"pretraining  {medians['ours']:.2f} s")
    print(f"products     {medians['products']:.2f} s")
    print(f"ratio        {ratio:.2f} ({min(ratios):.2f} ... {max(ratios):.2f}), promised {PROMISE}")
    return int(ratio > PROMISE)


if __name__ == "__main__":
    raise SystemExit(main())
