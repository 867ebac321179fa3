"""Does a centred RBM learn black on white as well as white on black? Exactly, with 16 hidden units.

Without centring it matters which value is called 1 (Cho, Raiko and Ilin, 2011; Melchior, Fischer
and Wiskott, 2016): published for 16 hidden units and MNIST are -149 nats for the images as they are
and -183 for inverted ones, and with centring -142.6 and -142.1. Here: 50 epochs of PCD-1 with 100
chains on the 50,000 thresholded training images, a rate that falls from 0.1 to 0, and the exact
mean log-likelihood of training and test images.

    python benchmarks/inverted.py --seeds 5
    python benchmarks/inverted.py --gradient plain
"""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from statistics import mean, stdev

import torch

from harmonium import RBM, Binary, Minibatches, TrainingState, datasets, training
from harmonium.gradient import CenteredGradient, PlainGradient
from harmonium.likelihood import exact_log_likelihood

N_HIDDEN, EPOCHS, BATCH, CHAINS, RATE = 16, 50, 100, 100, 0.1
GRADIENTS = {"centered": CenteredGradient, "plain": PlainGradient}


def log_likelihoods(data, seed: int, gradient: str) -> tuple[float, float]:
    """Of training and of test images, nats an image."""
    parts = data.part("train"), data.part("test")
    batches = Minibatches(parts[0], BATCH)
    rbm = RBM(Binary(parts[0].n_columns), Binary(N_HIDDEN)).init_from_data_(parts[0], seed)
    state = TrainingState.create(
        rbm,
        n_chains=CHAINS,
        learning_rate=RATE,
        schedule=partial(training.linear_to_zero, n_updates=EPOCHS * len(batches)),
        gradient=GRADIENTS[gradient](),
        seed=seed,
    )
    for _ in training.updates(state, batches, EPOCHS):
        pass
    rows = (part.rows(torch.arange(len(part))) for part in parts)
    train, test = (exact_log_likelihood(rbm, v).mean().item() for v in rows)
    return train, test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gradient", choices=sorted(GRADIENTS), default="centered")
    args = parser.parse_args()
    mnist = datasets.load("mnist")
    inverted = dataclasses.replace(mnist, values=255 - mnist.values)
    for name, data in (("as they are", mnist), ("inverted", inverted)):
        tests = []
        for seed in range(args.seeds):
            train, test = log_likelihoods(data.binarize(), seed, args.gradient)
            tests.append(test)
            print(f"{name:12} seed {seed}  training {train:.2f}  test {test:.2f}", flush=True)
        if len(tests) > 1:
            error = stdev(tests) / len(tests) ** 0.5
            print(f"{name:12} mean    test {mean(tests):.2f} ± {error:.2f}", flush=True)


if __name__ == "__main__":
    main()
