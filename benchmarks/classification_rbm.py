"""The error of a hybrid classification RBM on MNIST: chosen on validation rows, told on test rows.

    python benchmarks/classification_rbm.py --out crbm.safetensors

It is trained on 50,000 rows, whose grey values are chances of a 1 and are drawn anew in every
epoch. The model with the lowest error on the 10,000 validation rows is kept, and sees the 10,000
test rows once, at the end. A run that was stopped goes on from ``--out``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from harmonium import RBM, Binary, Categorical, Minibatches, Mixed, TrainingState, datasets
from harmonium.classification import HybridGradient
from harmonium.deep import classification_rbm
from harmonium.training import linear_to_zero


def main() -> None:
    """Train, and print a row an epoch."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in {
        "hidden": 1500,
        "epochs": 20,
        "learning-rate": 3.0,
        "momentum": 0.5,
        "batch-size": 100,
        "generative-weight": 0.05,
        "weight-std": 0.03,
        "average": 0.999,
        "threads": torch.get_num_threads(),
        "seed": 0,
    }.items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"{value}")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    mnist = datasets.load("mnist")
    train = mnist.part("train").binarize_stochastically().join_labels()
    validation, test = (mnist.part(name).join_labels() for name in ("validation", "test"))
    batches = Minibatches(train, options.batch_size)
    if options.out.exists():
        state, stopping = classification_rbm.load(options.out)
    else:
        rbm = RBM(Mixed(Binary(784), Categorical(1, 10)), Binary(options.hidden))
        rbm.init_from_data_(train, options.seed, options.weight_std)
        state = TrainingState.create(
            rbm,
            n_chains=None,
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            schedule=lambda optimizer: linear_to_zero(optimizer, options.epochs * len(batches)),
            gradient=HybridGradient(options.generative_weight),
            average_decay=options.average,
            seed=options.seed,
        )
        stopping = classification_rbm.EarlyStopping(patience=options.epochs)
    began, cpu = time.perf_counter(), time.process_time()
    for row in classification_rbm.train(state, batches, options.epochs, validation, stopping):
        classification_rbm.save(state, stopping, options.out)
        print(
            f"epoch {row['epoch']:g}: error {row['error']:.2%} of training rows, "
            f"{row['held_out_error']:.2%} of validation rows "
            f"({row['held_out_log_loss']:.4f} nats a row); "
            f"{time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} s of processors",
            flush=True,
        )
    assert stopping.model is not None
    found = classification_rbm.judge(stopping.model, test)
    print(
        f"best in epoch {stopping.epoch:g}: {stopping.error:.2%} of validation rows; of test rows "
        f"{found.error:.2%} ± {found.std_error:.2%} ({found.log_loss:.4f} nats a row)"
    )


if __name__ == "__main__":
    main()
