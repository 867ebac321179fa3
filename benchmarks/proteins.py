"""Speed of categorical layers: an update on an alignment, beside others' and the bare products.

The default is the size of the family PF00072: 29,716 sequences of 112 sites and 21 letters, 300
binary hidden units, PCD-10 with 1,000 chains and batches of 1,000. Sequences are drawn site by site
unless a file is given. Contestants take turns in one process; figures are processor seconds an
update, of all threads, as medians over the rounds, and what is not installed is left out. With
``--memory NAME`` one contestant alone makes three updates, and its peak of memory is printed, above
what importing and reading take ::

    pip install rbms annadca jax
    python benchmarks/proteins.py --rounds 9 --threads 1 --updates 100
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch

from harmonium import (
    RBM,
    Binary,
    Categorical,
    Data,
    DReLU,
    Gibbs,
    Minibatches,
    TrainingState,
    datasets,
    training,
)
from harmonium.benchmark.peers import Turn
from harmonium.sampling import start_at
from harmonium.units import Units
from other_packages.families import PEERS, RATE, Family


def synthetic(n: int, sites: int, q: int) -> torch.Tensor:
    """Letters drawn by the site's own frequencies, which are uneven."""
    generator = torch.Generator().manual_seed(0)
    frequencies = torch.rand(sites, q, generator=generator) ** 4
    return torch.multinomial(frequencies, n, replacement=True, generator=generator).T.byte()


def ours(family: Family, data: Data, rbm: RBM, hidden: Units) -> Turn:
    """The loop of `training.run` without watching: batches from bytes, the centred gradient."""
    model = RBM(Categorical(family.letters.shape[1], family.q), hidden)
    model.visible.bias.data.copy_(rbm.visible.bias.data)
    model.weights.data.copy_(rbm.weights.data)
    if hidden.low_state == rbm.hidden.low_state:
        model = copy.deepcopy(rbm)
    state = TrainingState.create(
        model, sampler=Gibbs(family.sweeps), n_chains=family.batch_size, learning_rate=RATE
    )
    state.chains = start_at(model, family.one_hot(family.chains), state.stream)
    updates = training.updates(state, Minibatches(data, family.batch_size), 10**6)

    def update() -> int:
        next(updates)
        return 1

    return update


def train(rbm: RBM, data: Data, batch_size: int, n_updates: int, sweeps: int) -> None:
    """Train before the measurement, so that chains move as those of a trained model do."""
    batches = Minibatches(data, batch_size)
    state = TrainingState.create(
        rbm, sampler=Gibbs(sweeps), n_chains=batch_size, learning_rate=RATE
    )
    for _, _ in zip(range(n_updates), training.updates(state, batches, 10**6), strict=False):
        pass


def measure(contestants: dict[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of an update, round by round; the first round, a warm-up, is dropped."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, turn in contestants.items():
            began = time.process_time()
            n = turn()
            if number:
                seconds[name].append((time.process_time() - began) / n)
    return seconds


def peak_memory() -> int:
    """Bytes that this process has held at most, since it began."""
    status = Path("/proc/self/status").read_text().split()
    return 1024 * int(status[status.index("VmHWM:") + 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="an alignment; synthetic sequences without it")
    parser.add_argument("--hidden", type=int, default=300)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--sweeps", type=int, default=10)
    parser.add_argument("--updates", type=int, default=0, help="of training before (0)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="others to measure, such as rbms,jax")
    parser.add_argument("--memory", metavar="NAME", help="peak memory of this one, and no speeds")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.data is None:
        letters, q = synthetic(29_716, 112, 21), 21
        data = Data("synthetic", letters).one_hot()
    else:
        data = datasets.load(arguments.data)
        letters = torch.as_tensor(data.values)
        q = data.n_columns // letters.shape[1]
    hidden = Binary(arguments.hidden)
    rbm = RBM(Categorical(letters.shape[1], q), hidden).init_from_data_(data, seed=0)
    train(rbm, data, arguments.batch, arguments.updates, arguments.sweeps)
    parameters = (rbm.weights, rbm.visible.bias, rbm.hidden.bias)
    family = Family(
        letters, q, *(p.detach().clone() for p in parameters), arguments.batch, arguments.sweeps
    )
    making: dict[str, Callable[[], Turn]] = {
        "harmonium": lambda: ours(family, data, rbm, hidden),
        "harmonium, dReLU": lambda: ours(family, data, rbm, DReLU(arguments.hidden)),
        **{name: partial(make, family) for name, make in PEERS.items()},
    }
    if arguments.memory is not None:
        before, turn = peak_memory(), making[arguments.memory]()
        for _ in range(3):
            turn()
        print(
            f"{arguments.memory}: {(peak_memory() - before) / 1e6:.0f} MB above {before / 1e6:.0f}"
        )
        return
    contestants = {}
    for name, make in making.items():
        others = arguments.only is not None and name not in arguments.only.split(",")
        if others and name in PEERS and name != "products":
            continue
        try:
            contestants[name] = make()
        except ImportError as error:
            print(f"{name} is left out: {error}")
    seconds = measure(contestants, arguments.rounds)
    names = ("harmonium", "harmonium, dReLU")
    print(f"{len(letters):,} x {letters.shape[1]} letters of {q}, {arguments}")
    print("| | ms an update | / harmonium | / harmonium, dReLU |\n|---|---:|---:|---:|")
    for name, own in seconds.items():
        ratios = (
            median(a / b for a, b in zip(own, seconds[other], strict=True)) for other in names
        )
        by_names = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {name} | {1000 * median(own):.0f} | {by_names} |")


if __name__ == "__main__":
    main()
