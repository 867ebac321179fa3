"""docs/images/samplers.png: what chains cost a model whose modes are far apart.

python docs/figures/samplers.py

Bars and stripes of 4x4 pixels, 30 pictures: each row of a stripe is of one colour, or each column
of a bar. With 16 binary units in each layer the log-likelihood is known exactly at any time.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import torch

from harmonium import (
    RBM,
    Binary,
    Gibbs,
    Tempering,
    TrainingState,
    likelihood,
    plots,
    training,
)
from harmonium.plots.style import dress, new_figure

OUT = Path(__file__).parents[1] / "images" / "samplers.png"
SIZE, N_UPDATES, EVERY, SEEDS = 4, 8_000, 200, (0, 1, 2)

rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=SIZE)))
PICTURES = torch.cat([rows.repeat_interleave(SIZE, 1), rows.repeat(1, SIZE)]).unique(dim=0)

METHODS = {
    "CD-1": (Gibbs(1), None),
    "PCD-1": (Gibbs(1), 100),
    "PCD-10": (Gibbs(10), 100),
    "PCD-1, 10 temperatures": (Tempering(sweeps=1, n_temperatures=10), 100),
}


def curve(sampler: Gibbs | Tempering, n_chains: int | None, seed: int) -> list[float]:
    """Exact mean log-likelihood along a training, nats a picture."""
    rbm = RBM(Binary(SIZE**2), Binary(16)).init_from_data_(PICTURES, seed, weight_std=0.1)
    state = TrainingState.create(
        rbm,
        sampler=sampler,
        n_chains=n_chains,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, N_UPDATES),
        seed=seed,
    )
    values = []
    for update in range(1, N_UPDATES + 1):
        training.update(state, PICTURES)
        if update % EVERY == 0:
            values.append(likelihood.exact_log_likelihood(rbm, PICTURES).mean().item())
    return values


def main() -> None:
    figure = new_figure((7.2, 4.2))
    ax = dress(figure.add_subplot())
    updates = range(EVERY, N_UPDATES + 1, EVERY)
    for number, (name, (sampler, n_chains)) in enumerate(METHODS.items()):
        for seed in SEEDS:
            values = curve(sampler, n_chains, seed)
            label = name if seed == SEEDS[0] else None
            ax.plot(updates, values, color=f"C{number}", label=label, lw=1.4)
            print(f"{name}, seed {seed}: {values[-1]:.3f} nats", flush=True)
    ax.axhline(-math.log(len(PICTURES)), color="0.3", ls=":", lw=1, label="the best there is")
    ax.set(xlabel="update", ylabel="log-likelihood, nats a picture", ylim=(-7.5, -3.2))
    ax.legend(frameon=False)
    plots.save(figure, OUT)


if __name__ == "__main__":
    main()
