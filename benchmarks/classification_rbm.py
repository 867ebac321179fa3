"""The error of a hybrid classification RBM with dropout on MNIST.

    python benchmarks/classification_rbm.py --out crbm.safetensors

trains on all 60,000 rows, for a number of epochs that is known beforehand, and looks at the 10,000
test rows once, at the end. With ``--validate`` it trains on 50,000 rows and tells the error of the
10,000 validation rows after each epoch: options are chosen by those, and test rows are not looked
at. A run that was stopped goes on from ``--out``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from harmonium import (
    RBM,
    Binary,
    Categorical,
    Minibatches,
    Mixed,
    TrainingState,
    checkpoint,
    datasets,
)
from harmonium.classification import HybridGradient
from harmonium.deep.classification_rbm import judge
from harmonium.training import linear_to_zero, run


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
        "dropout": 0.5,
        "weight-std": 0.03,
        "average": 0.999,
        "threads": torch.get_num_threads(),
        "seed": 0,
    }.items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"{value}")
    parser.add_argument("--validate", action="store_true", help="hold 10,000 rows out, no test")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    mnist = datasets.load("mnist")
    parts = ("train",) if options.validate else ("train", "validation")
    train = mnist.join(*parts).join_labels()
    batches = Minibatches(train, options.batch_size)
    if options.out.exists():
        state = checkpoint.load(options.out)
    else:
        rbm = RBM(Mixed(Binary(784), Categorical(1, 10)), Binary(options.hidden))
        rbm.init_from_data_(train, options.seed, options.weight_std)
        state = TrainingState.create(
            rbm,
            n_chains=None,
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            schedule=lambda optimizer: linear_to_zero(optimizer, options.epochs * len(batches)),
            gradient=HybridGradient(options.generative_weight, dropout=options.dropout),
            average_decay=options.average,
            seed=options.seed,
        )
    began, cpu = time.perf_counter(), time.process_time()
    for row in run(state, batches, options.epochs, every=len(batches), monitor=lambda *_: {}):
        checkpoint.save(state, options.out)
        seconds = time.perf_counter() - began, time.process_time() - cpu
        error = f"{tell(state.model, 'validation')}; " if options.validate else ""
        print(
            f"epoch {row['epoch']:g}: {error}{seconds[0]:.0f} s, {seconds[1]:.0f} s of processors",
            flush=True,
        )
    if not options.validate:
        print(tell(state.model, "test"))


def tell(rbm: RBM, part: str) -> str:
    """The error of a part of the rows, in words."""
    found = judge(rbm, datasets.load("mnist").part(part).join_labels())
    return (
        f"{found.error:.2%} ± {found.std_error:.2%} of {part} rows mistaken "
        f"({found.log_loss:.4f} nats a row)"
    )


if __name__ == "__main__":
    main()
