"""Known results of networks on MNIST, trained again: which error, and how long it takes.

``logistic``: multinomial logistic regression as the deep learning tutorials of Montréal train it
(they print 7.49 % of the test rows). ``autoencoder``: 784-1000-500-250-30, pretrained by CD-1 and
unrolled (Hinton and Salakhutdinov, 2006: a squared error of 3.00 an image; 30 principal components
have 13.8). Grey values throughout. The figures stand in docs/results.md.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import torch

from harmonium import (
    RBM,
    Binary,
    Data,
    Gaussian,
    Gibbs,
    Minibatches,
    Penalties,
    TrainingState,
    datasets,
    training,
)
from harmonium.deep import (
    Autoencoder,
    Classifier,
    FinetuningState,
    Patience,
    finetuning,
    mean_features,
)

CODES = (1000, 500, 250, 30)


def logistic(mnist: Data, seed: int) -> None:
    train, held_out, test = mnist.split()
    state = FinetuningState.create(
        Classifier.for_data([], train),
        learning_rate=0.13,
        patience=Patience.classic(),
        seed=seed,
    )
    *_, last = finetuning.run(state, Minibatches(train, 600), 1000, held_out=held_out)
    print(last)
    print("test", finetuning.evaluate(state.model, test))


def pretrain(data: Data, epochs: int, seed: int) -> list[RBM]:
    """CD-1, layer by layer; the top layer has twice as many epochs, at a fiftieth of the rate."""
    rbms: list[RBM] = []
    for n in CODES:
        top = n == CODES[-1]
        hidden = Gaussian(n) if top else Binary(n)
        rbm = RBM(Binary(data.n_columns), hidden).init_from_data_(data, seed)
        batches = Minibatches(data, 100)
        own_epochs = 2 * epochs if top else epochs
        state = TrainingState.create(
            rbm,
            sampler=Gibbs(1),
            n_chains=None,
            learning_rate=0.002 if top else 0.1,
            momentum=0.5 if top else 0.0,
            schedule=partial(training.linear_to_zero, n_updates=own_epochs * len(batches)),
            penalties=Penalties(l2=2e-4),
            seed=seed,
        )
        for row in training.run(state, batches, own_epochs, every=5 * len(batches)):
            print(f"{rbm}: epoch {row['epoch']:g}, error {row['reconstruction_error']:.2f}")
        rbms.append(rbm)
        data = mean_features(rbm, data)
    return rbms


def autoencoder(mnist: Data, epochs: int, pretraining_epochs: int, seed: int) -> None:
    train, test = mnist.join("train", "validation"), mnist.part("test")
    network = Autoencoder(pretrain(train, pretraining_epochs, seed))
    print("pretrained: test", finetuning.evaluate(network, test), flush=True)
    batches = Minibatches(train, 100)
    state = FinetuningState.create(
        network,
        optimizer=torch.optim.Adam(network.parameters(), lr=1e-3, fused=True),
        schedule=partial(training.linear_to_zero, n_updates=epochs * len(batches)),
        seed=seed,
    )
    for row in finetuning.run(state, batches, epochs):
        print({name: round(value, 4) for name, value in row.items()}, flush=True)
    for name, data in (("test", test), ("training", train)):
        print(name, finetuning.evaluate(network, data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=["logistic", "autoencoder"])
    parser.add_argument("--epochs", type=int, default=120, help="of the autoencoder")
    parser.add_argument("--pretraining-epochs", type=int, default=10, help="of each layer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    mnist = datasets.load("mnist")
    began = time.perf_counter()
    if options.which == "logistic":
        logistic(mnist, options.seed)
    else:
        autoencoder(mnist, options.epochs, options.pretraining_epochs, options.seed)
    print(f"{time.perf_counter() - began:.0f} s on {options.threads} threads")


if __name__ == "__main__":
    main()
