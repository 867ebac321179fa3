"""Do the error bars of differences between models cover the truth? Pairs of enumerable models.

On each set of rows with modes, models of 14 hidden units are trained by CD and PCD at two learning
rates. `likelihood.Difference` compares them pair by pair on 200 new rows, with both log Z
*estimated*, as if the models were larger. The truth is enumerated: on the same rows, and on 20,000
others of their kind, for which the noise of the rows counts.

    python benchmarks/comparisons.py              # 102 pairs, some minutes of one core
    python benchmarks/comparisons.py --sets 2
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from harmonium import RBM, Binary, Data, Minibatches, TrainingState, training
from harmonium.likelihood import (
    Difference,
    LogLikelihood,
    LogZ,
    estimate,
    exact_log_z,
    log_likelihood,
)

N_HIDDEN, EPOCHS = 14, 40
TRAINED = (("CD", 0.05), ("CD", 0.3), ("PCD", 0.05), ("PCD", 0.2))
N_ROWS, N_OTHERS = 200, 20_000


@dataclass(frozen=True)
class Model:
    """A trained model, what is estimated of it, and what is known."""

    rbm: RBM
    found: LogLikelihood
    values: Tensor  # minus free energies of the rows
    exact: float  # mean log-likelihood of the rows
    of_others: float  # and of others of their kind


def rows(patterns: Tensor, n: int, noise: float, generator: torch.Generator) -> Tensor:
    chosen = patterns[torch.randint(len(patterns), (n,), generator=generator)]
    return (chosen ^ (torch.rand(chosen.shape, generator=generator) < noise)).float()


def models(number: int, n_chains: int, n_temperatures: int) -> Iterator[Model]:
    """The models of one set of rows, whose modes, columns and noise vary from set to set."""
    generator = torch.Generator().manual_seed(number)
    n_columns, n_modes = 20 + 5 * (number % 5), 3 + number % 4
    noise = (0.05, 0.1, 0.15)[number % 3]
    patterns = torch.rand(n_modes, n_columns, generator=generator) < 0.5
    learned, v, others = (rows(patterns, n, noise, generator) for n in (600, N_ROWS, N_OTHERS))
    data = Data(f"set {number}", learned)
    for method, rate in TRAINED:
        rbm = RBM(Binary(n_columns), Binary(N_HIDDEN)).init_from_data_(data, seed=number)
        n_chained = None if method == "CD" else 100
        state = TrainingState.create(rbm, learning_rate=rate, n_chains=n_chained, seed=number)
        for _ in training.updates(state, Minibatches(data, 50), EPOCHS):
            pass
        rbm.requires_grad_(False)
        found = estimate(
            rbm, v, data, n_chains=n_chains, n_temperatures=n_temperatures, seed=number
        ).result()
        log_z = exact_log_z(rbm)
        values = log_likelihood(rbm, v, LogZ.exact(0.0))
        exact = values.mean().item() - log_z.value
        yield Model(rbm, found, values, exact, log_likelihood(rbm, others, log_z).mean().item())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=17)
    parser.add_argument("--chains", type=int, default=50)
    parser.add_argument("--temperatures", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: list[tuple[Difference, float, float, float]] = []
    for number in range(args.sets):
        of_set = list(models(number, args.chains, args.temperatures))
        for a, b in combinations(of_set, 2):
            difference = Difference.of(a.found, b.found, a.values - b.values)
            unpaired = math.hypot(a.found.rows_std_error, b.found.rows_std_error)
            truths = a.exact - b.exact, a.of_others - b.of_others
            found.append((difference, *truths, unpaired))
        print(f"set {number}: {len(found)} pairs", flush=True)
    print("| pairs | error bars (± 2) cover | on the same rows | on other rows of their kind |")
    print("|---|---|---|---|")
    for name, chosen in (
        ("all", found),
        ("trusted", [one for one in found if one[0].trusted]),
        ("not trusted", [one for one in found if not one[0].trusted]),
    ):
        if chosen:
            same = sum(one.covers(truth) for one, truth, _, _ in chosen) / len(chosen)
            other = sum(one.covers(truth, of_rows=True) for one, _, truth, _ in chosen)
            print(f"| {name} | {len(chosen)} | {same:.0%} | {other / len(chosen):.0%} |")
    ratios = sorted(one.rows_std_error / unpaired for one, _, _, unpaired in found)
    errors = sorted(one.upper_std_error for one, _, _, _ in found if one.trusted)
    print(
        f"noise of the rows in a difference, as a part of that in two separate values: "
        f"{ratios[len(ratios) // 2]:.2f} (median); error from both log Z: "
        f"{errors[len(errors) // 2]:.3f} nats (median)"
    )


if __name__ == "__main__":
    main()
