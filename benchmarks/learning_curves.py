"""Is the log-likelihood along a training what it says? Small models, whose log Z is known.

Trains models of 13 hidden units, by CD and PCD, at good and bad learning rates, on rows with modes
and on real ones, and compares each row of numbers with enumeration: how often value ± 2 errors
holds the exact one, with and without words that it must not be trusted.

    python benchmarks/learning_curves.py             # 120 runs, some minutes of one core
    python benchmarks/learning_curves.py --seeds 1
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from harmonium import RBM, Binary, Data, Minibatches, Spin, TrainingState, datasets, training
from harmonium.likelihood import exact_log_z
from harmonium.metrics import WARNING

N_HIDDEN = 13  # more states than are enumerated at every look anyway
RATES = {"CD": (0.05, 0.5), "PCD": (0.05, 0.3)}
EPOCHS = 60
N_CHAINS = 100


@dataclass(frozen=True)
class Look:
    """One row of numbers: how far log Z is off, its error, whether there are words."""

    off: float
    error: float
    has_words: bool
    is_last: bool

    @property
    def covers(self) -> bool:
        return abs(self.off) <= 2 * self.error


def modes(n_columns: int, n_modes: int, noise: float, seed: int) -> Data:
    """Rows that are one of a few random patterns, of which some columns are flipped."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.rand(n_modes, n_columns, generator=generator) < 0.5
    chosen = patterns[torch.randint(n_modes, (600,), generator=generator)]
    flipped = torch.rand(chosen.shape, generator=generator) < noise
    return Data(f"{n_modes} modes in {n_columns} columns", (chosen ^ flipped).float())


def sets(seed: int) -> Iterator[Data]:
    yield modes(30, 6, 0.03, seed)
    yield modes(100, 10, 0.02, seed)
    yield modes(200, 6, 0.1, seed)
    digits = datasets.load("digits").binarize(0.5)
    rows = digits.rows(torch.arange(seed * 100, seed * 100 + 600) % len(digits))
    yield Data("digits", rows)


def looks(data: Data, method: str, rate: float, seed: int, spins: bool = False) -> list[Look]:
    units = Spin if spins else Binary
    data = data.to_spins() if spins else data
    rbm = RBM(units(data.n_columns), Binary(N_HIDDEN)).init_from_data_(data, seed=seed)
    n_chains = None if method == "CD" else N_CHAINS
    state = TrainingState.create(rbm, learning_rate=rate, n_chains=n_chains, seed=seed)
    batches = Minibatches(data, 20)
    found, total = [], EPOCHS * len(batches)
    for row in training.run(state, batches, EPOCHS, every=total // 30):
        off = row["log_z"] - exact_log_z(state.model).value
        is_last = row["update"] == total
        found.append(Look(off, row["log_z_std_error"], WARNING in row, is_last))
    return found


def told(name: str, found: list[Look]) -> str:
    trusted = [look for look in found if not look.has_words]
    lasts = [look for look in found if look.is_last]
    trusted_lasts = [look for look in lasts if not look.has_words]
    cells = [name, f"{len(found)}", share(len(found) - len(trusted), len(found))]
    cells.append(share(sum(look.covers for look in trusted), len(trusted)))
    cells.append(f"{max((abs(look.off) for look in trusted), default=math.nan):.2f}")
    cells.append(f"{max(abs(look.off) for look in found):.1f}")
    cells.append(share(len(lasts) - len(trusted_lasts), len(lasts)))
    cells.append(share(sum(look.covers for look in trusted_lasts), len(trusted_lasts)))
    return f"| {' | '.join(cells)} |"


def share(n: int, of: int) -> str:
    return f"{n / of:.0%}" if of else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| trained | looks | with words | others within 2 errors | worst of these, nats "
        "| worst of all | last looks with words | others within 2 errors |\n" + "|---" * 8 + "|"
    )
    every: list[Look] = []
    for method, rates in RATES.items():
        for rate in rates:
            for number in range(4):
                found: list[Look] = []
                for seed in range(args.seeds):
                    data = list(sets(seed))[number]
                    found += looks(data, method, rate, seed)
                    if seed == 0:
                        found += looks(data, method, rate, seed, spins=True)
                print(told(f"{method}, {rate:g}, {data.name}", found), flush=True)
                every += found
    print(told("all", every))


if __name__ == "__main__":
    main()
