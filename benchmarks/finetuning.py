"""Fine-tuning beside a plain PyTorch loop over the same network with the same batches.

Both train 784 columns, three hidden layers of 1,000 binary units and ten classes, by plain
stochastic gradient descent in float32. The plain loop has its rows in float32 memory already and
takes a random order of them; ours encodes grey values in bytes. Parts of an epoch are measured in
turns, in one process; the ratio is that of each turn's two times, and its median is reported. The
exit code is 1 where an epoch takes more than 1.15 times as long as the plain loop's.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch
from torch import nn
from torch.nn import functional

from harmonium import RBM, Binary, Data, Minibatches
from harmonium.datasets import Scaled
from harmonium.deep import Classifier, Dropout, FinetuningState, finetuning, init_randomly_

N_COLUMNS, N_CLASSES = 784, 10
MOST = 1.15


@dataclass(frozen=True)
class Case:
    """What is trained."""

    batch_size: int
    dropout: bool = False
    momentum: float = 0.0
    weight_decay: float = 0.0
    hidden: tuple[int, ...] = (1000, 1000, 1000)

    def __str__(self) -> str:
        name = "-".join(map(str, (N_COLUMNS, *self.hidden, N_CLASSES)))
        options = [f"batch {self.batch_size}"]
        options += [f"momentum {self.momentum:g}"] if self.momentum else []
        options += [f"weight decay {self.weight_decay:g}"] if self.weight_decay else []
        options += ["dropout 0.2, 0.5"] if self.dropout else []
        return f"{name}, {', '.join(options)}"


CASES = (
    Case(20),
    Case(100),
    Case(100, momentum=0.9, weight_decay=1e-4),
    Case(100, dropout=True),
    Case(600, hidden=()),
)


def sizes(case: Case) -> list[tuple[int, int]]:
    widths = [N_COLUMNS, *case.hidden]
    return list(pairwise(widths))


def grey_rows(n_rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey values of which four fifths are 0, as in MNIST, and labels."""
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(1, 256, (n_rows, N_COLUMNS), generator=generator, dtype=torch.uint8)
    grey[torch.rand(grey.shape, generator=generator) < 0.8] = 0
    return grey, torch.randint(N_CLASSES, (n_rows,), generator=generator)


def ours(case: Case, grey: torch.Tensor, labels: torch.Tensor) -> Callable[[int], None]:
    """A function that makes some updates."""
    data = Data("grey", grey, Scaled(0, 255), labels=labels)
    rbms = [RBM(Binary(below), Binary(above)) for below, above in sizes(case)]
    init_randomly_(rbms)
    network = Classifier.for_data(rbms, data)
    state = FinetuningState.create(
        network,
        momentum=case.momentum,
        weight_decay=case.weight_decay,
        dropout=Dropout(0.2, 0.5) if case.dropout else None,
    )
    done = finetuning.updates(state, Minibatches(data, case.batch_size), epochs=10**9)

    def make(n_updates: int) -> None:
        for _ in range(n_updates):
            next(done)

    return make


def plain(case: Case, grey: torch.Tensor, labels: torch.Tensor) -> Callable[[int], None]:
    """The same, as anybody would write it."""
    rows = grey.float() / 255
    modules: list[nn.Module] = []
    for number, (below, above) in enumerate(sizes(case)):
        modules += [nn.Dropout(0.5 if number else 0.2)] if case.dropout else []
        modules += [nn.Linear(below, above), nn.Sigmoid()]
    modules += [nn.Dropout(0.5)] if case.dropout else []
    network = nn.Sequential(*modules, nn.Linear(case.hidden[-1] if case.hidden else N_COLUMNS, 10))
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=case.momentum, weight_decay=case.weight_decay
    )
    order = torch.randperm(len(rows))
    position = 0

    def make(n_updates: int) -> None:
        nonlocal order, position
        for _ in range(n_updates):
            if position + case.batch_size > len(rows):
                order, position = torch.randperm(len(rows)), 0
            index = order[position : position + case.batch_size]
            position += case.batch_size
            optimizer.zero_grad()
            functional.cross_entropy(network(rows[index]), labels[index]).backward()
            optimizer.step()

    return make


def measure(case: Case, n_rows: int, turns: int, seconds: float) -> tuple[float, float, float]:
    """Seconds of an update of ours and of the plain loop, and the median of their ratios."""
    grey, labels = grey_rows(n_rows)
    makers = [make(case, grey, labels) for make in (ours, plain)]
    for make in makers:
        make(3)
    began = time.perf_counter()
    makers[1](3)
    n_updates = max(1, round(seconds / ((time.perf_counter() - began) / 3)))
    times: list[list[float]] = [[], []]
    for turn in range(turns):
        for which in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            makers[which](n_updates)
            times[which].append((time.perf_counter() - began) / n_updates)
    ratio = median(a / b for a, b in zip(*times, strict=True))
    return median(times[0]), median(times[1]), ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn of each loop")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, {options.turns} turns")
    worst = 0.0
    for case in CASES:
        mine, theirs, ratio = measure(case, options.rows, options.turns, options.seconds)
        worst = max(worst, ratio)
        print(
            f"{case!s:60s} {1e3 * mine:8.3f} ms {1e3 * theirs:8.3f} ms   ratio {ratio:.3f}",
            flush=True,
        )
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
