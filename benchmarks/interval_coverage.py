"""Does the interval hold the truth? 240 models that can be enumerated, judged as if they could not.

Models of 16 to 25 hidden units of every unit type, the last 40 half-lines, trained well and badly:
by CD and PCD, at rates from careful to far too high, on sets with and without separate modes. Each
is evaluated by sampling alone (`likelihood.estimate`) and by enumeration. Wanted: where an interval
is printed without a warning, the interval plus and minus two standard errors holds the exact value
in 95 % or more, and at most a quarter of the models get a warning.

    python benchmarks/interval_coverage.py --models 30            # a few minutes
    python benchmarks/interval_coverage.py --out coverage.jsonl   # all 240, resumable
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harmonium import (
    RBM,
    Binary,
    Categorical,
    Data,
    DReLU,
    Gaussian,
    Minibatches,
    Mixed,
    ReLU,
    Spin,
    TrainingState,
    datasets,
    training,
)
from harmonium.likelihood import estimate, exact_log_z
from harmonium.units import Units

UPDATES, BATCH, CHAINS, ROWS = 1500, 50, 100, 2000
TEMPERATURES = 5000  # at most, a quarter of the default
RATES = {"good": (0.02, 0.05, 0.1), "bad": (0.5, 1.0, 2.0)}
# These divide the rates where there are continuous units.
SLOWER, SLOWER_ON_HALF_LINES = 20, 4
OF_HALF_LINES = 200  # the first model whose hidden units are half-lines
# Hidden units; layers that are not two-valued take ten times as long to enumerate.
SIZES = {True: tuple(range(16, 26)), False: tuple(range(16, 21))}

Made = tuple[Units, np.ndarray]


def around(generator: np.random.Generator, n: int, k: int, flips: float, share=None) -> np.ndarray:
    """Rows that are one of k random patterns of n bits, with some of them flipped."""
    patterns = generator.integers(0, 2, (k, n))
    rows = patterns[generator.choice(k, ROWS, p=share)]
    return (rows ^ (generator.random((ROWS, n)) < flips)).astype(np.float32)


def digits() -> np.ndarray:
    data = datasets.load("digits").binarize()
    return data.rows(torch.arange(len(data))).numpy()


def bars(generator: np.random.Generator, side: int = 6) -> np.ndarray:
    """Pictures whose rows, or whose columns, are of one colour each."""
    lines = np.repeat(generator.integers(0, 2, (ROWS, side, 1)), side, 2)
    turned = generator.random(ROWS) < 0.5
    lines[turned] = lines[turned].transpose(0, 2, 1)
    return lines.reshape(ROWS, -1).astype(np.float32)


def classes(generator: np.random.Generator, n: int, n_states: int, k: int) -> np.ndarray:
    """Categories, one-hot, of k latent classes."""
    p = generator.dirichlet(np.full(n_states, 0.3), (k, n)).cumsum(-1)
    uniform = generator.random((ROWS, n, 1))
    states = (uniform > p[generator.integers(k, size=ROWS)]).sum(-1).clip(max=n_states - 1)
    return np.eye(n_states, dtype=np.float32)[states].reshape(ROWS, -1)


def clouds(generator: np.random.Generator, n: int, k: int, apart: float) -> np.ndarray:
    """Numbers around k centres, of variance 1."""
    centres = generator.normal(0, apart, (k, n))[generator.integers(k, size=ROWS)]
    return (centres + generator.normal(size=(ROWS, n))).astype(np.float32)


def mixed(generator: np.random.Generator) -> Made:
    units = Mixed(Binary(16), Categorical(5, 3), Gaussian(5))
    parts = around(generator, 16, 3, 0.05), classes(generator, 5, 3, 3), clouds(generator, 5, 1, 1)
    return units, np.concatenate(parts, 1)


SETS: dict[str, Callable[[np.random.Generator], Made]] = {
    "digits": lambda g: (Binary(64), digits()),
    "3 patterns": lambda g: (Binary(40), around(g, 40, 3, 0.03)),
    "8 patterns": lambda g: (Binary(60), around(g, 60, 8, 0.05)),
    "2 patterns, 1 rare": lambda g: (Binary(50), around(g, 50, 2, 0.02, [0.95, 0.05])),
    "bars": lambda g: (Binary(36), bars(g)),
    "20 patterns, wide": lambda g: (Binary(120), around(g, 120, 20, 0.05)),
    "digits of spins": lambda g: (Spin(64), 2 * digits() - 1),
    "4 patterns of spins": lambda g: (Spin(40), 2 * around(g, 40, 4, 0.04) - 1),
    "classes": lambda g: (Categorical(12, 4), classes(g, 12, 4, 4)),
    "many classes": lambda g: (Categorical(20, 6), classes(g, 20, 6, 8)),
    "clouds": lambda g: (Gaussian(12), clouds(g, 12, 3, 1.5)),
    "far clouds": lambda g: (Gaussian(12, learn_precision=True), clouds(g, 12, 3, 4)),
    "mixed": mixed,
    "18 bits": lambda g: (Binary(18), around(g, 18, 5, 0.1)),
}
# Enumerated by their visible layer, because hidden half-lines have no end of states.
SMALL_SETS: dict[str, Callable[[np.random.Generator], Made]] = {
    "18 bits, half-lines": SETS["18 bits"],
    "9 classes, half-lines": lambda g: (Categorical(9, 4), classes(g, 9, 4, 4)),
}
HIDDEN: dict[str, Callable[[int], Units]] = {
    "binary": Binary,
    "spin": Spin,
    "categorical": lambda n: Categorical(n // 2, 4),
    "mixed": lambda n: Mixed(Binary(n - 6), Spin(6)),
    "gaussian": Gaussian,
    "relu": ReLU,
    "drelu": DReLU,
}


def make(number: int) -> tuple[dict[str, Any], RBM, Data, torch.Tensor]:
    """Model ``number``, what it is, its training rows and its test rows."""
    generator = np.random.default_rng(number)
    sets = SETS if number < OF_HALF_LINES else SMALL_SETS
    names = list(sets)
    name = names[number % len(names)]
    method = ("cd", "pcd")[number // len(names) % 2]
    kind = ("good", "bad")[number // (2 * len(names)) % 2]
    rate = float(generator.choice(RATES[kind]))
    visible, values = sets[name](generator)
    n_hidden = int(generator.choice(SIZES[isinstance(visible, Binary | Spin)]))
    hidden = str(generator.choice(["binary", "binary", "spin", "categorical", "mixed"]))
    if name == "18 bits":  # enumerated by its visible layer
        hidden = "gaussian"
    elif sets is SMALL_SETS:
        hidden = str(generator.choice(["relu", "drelu"]))
    layers = visible, HIDDEN[hidden](n_hidden)
    if any(units.states is None for layer in layers for _, units in layer.groups):
        rate /= SLOWER if sets is SETS else SLOWER_ON_HALF_LINES
    rows = torch.from_numpy(values)[torch.from_numpy(generator.permutation(len(values)))]
    data, v = Data(name, rows[:-400]), rows[-400:]
    rbm = RBM(*layers).init_from_data_(data, number)
    state = TrainingState.create(
        rbm,
        n_chains=None if method == "cd" else CHAINS,
        learning_rate=rate,
        seed=number,
    )
    batches = Minibatches(data, BATCH)
    for done, _ in enumerate(training.updates(state, batches, 10**6), start=1):
        if done == UPDATES:
            break
    about = {"number": number, "set": name, "method": method, "rates": kind, "rate": rate}
    return about | {"hidden": f"{n_hidden} {hidden}"}, rbm, data, v


def judge(number: int) -> dict[str, Any]:
    try:
        about, rbm, data, v = make(number)
    except FloatingPointError as error:
        return {"number": number, "diverged": str(error)}
    rows = data.rows(torch.arange(len(data)))
    began = time.monotonic()
    found = estimate(rbm, v, rows, n_temperatures=TEMPERATURES, seed=number).result()
    seconds = time.monotonic() - began
    exact = -rbm.double().free_energy(v.double()).mean().item() - exact_log_z(rbm).value
    return about | {
        "exact": exact,
        "found": str(found),
        "trusted": found.trusted,
        "covers": found.covers(exact),
        "upper_holds": exact <= found.upper + 2 * found.upper_std_error,
        "off": (found.lower + found.upper) / 2 - exact if found.trusted else None,
        "error": found.upper_std_error,
        "reasons": list(found.reasons),
        "rests_on": found.rests_on,
        "seconds": round(seconds, 1),
    }


def table(results: list[dict[str, Any]]) -> Iterator[str]:
    header = "models", "number", "warned of", "holds, of the others", "median error, nats"
    yield f"| {' | '.join(header)} |"
    yield "|---|---:|---:|---:|---:|"
    groups = {"all": results}
    for key in ("method", "rates", "set"):
        for value in dict.fromkeys(of[key] for of in results):
            label = {"rates": f"{value} rates"}.get(key, value)
            groups[label] = [of for of in results if of[key] == value]
    for label, of in groups.items():
        told = [one for one in of if one["trusted"]]
        held = sum(one["covers"] for one in told)
        share = f"{held} of {len(told)} ({held / len(told):.0%})" if told else "–"
        error = f"{np.median([one['error'] for one in told]):.3f}" if told else "–"
        warned = len(of) - len(told)
        yield f"| {label} | {len(of)} | {warned} ({warned / len(of):.0%}) | {share} | {error} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=240)
    parser.add_argument("--first", type=int, default=0, help="number of the first model")
    parser.add_argument("--out", type=Path, default=Path("coverage.jsonl"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    done = {}
    if args.out.exists():
        done = {of["number"]: of for of in map(json.loads, args.out.read_text().splitlines())}
    wanted = range(args.first, args.first + args.models)
    for number in wanted:
        if number not in done:
            done[number] = judge(number)
            with args.out.open("a") as file:
                file.write(json.dumps(done[number]) + "\n")
            print(json.dumps(done[number]), flush=True)
    results = [done[number] for number in wanted]
    kept = [of for of in results if not of.get("diverged")]
    if len(kept) < len(results):
        print(f"{len(results) - len(kept)} models diverged in training and have no likelihood")
    print("\n".join(table(kept)))


if __name__ == "__main__":
    main()
