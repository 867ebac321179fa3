"""`BernoulliRBM.fit` of harmonium beside scikit-learn's: the same rows, epochs and parameters.

Fits take turns, and what counts is the median of the ratios: the speed of a machine drifts. Each
type of features is measured by itself, because scikit-learn computes in float64 where it gets
bytes, integers or float64, and in float32 where it gets that.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM as Theirs
from threadpoolctl import threadpool_limits

from harmonium import datasets
from harmonium.estimators import BernoulliRBM as Ours

N_HIDDEN = 500
BATCH_SIZE = 100


def load_rows(n_rows: int) -> np.ndarray:
    """Binarised MNIST."""
    return (datasets.load("mnist").part("train").values[:n_rows].numpy() > 127).astype(np.uint8)


def seconds(make: type, X: np.ndarray, epochs: int) -> float:
    estimator = make(
        n_components=N_HIDDEN,
        batch_size=BATCH_SIZE,
        n_iter=epochs,
        learning_rate=0.05,
        random_state=0,
    )
    began = time.perf_counter()
    estimator.fit(X)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads, user_api="blas")  # of NumPy's products, for good
    rows = load_rows(options.rows)
    seconds(Ours, rows[:1000], 1)  # what is compiled once is no part of a fit
    print(
        f"{options.rows:,} rows of binarised MNIST, {rows.shape[1]}×{N_HIDDEN}, batch "
        f"{BATCH_SIZE}, {options.epochs} epochs, {options.threads} threads, "
        f"medians of {options.rounds} rounds"
    )
    print("| features | harmonium, s | scikit-learn, s | ratio, median | lowest and highest |")
    print("|---|---:|---:|---:|---:|")
    for dtype in ("uint8", "float64", "float32"):
        X = rows.astype(dtype)
        turns = [
            (seconds(Ours, X, options.epochs), seconds(Theirs, X, options.epochs))
            for _ in range(options.rounds)
        ]
        ratios = [theirs / ours for ours, theirs in turns]
        ours, theirs = (median(column) for column in zip(*turns, strict=True))
        print(
            f"| {dtype} | {ours:.2f} | {theirs:.2f} | {median(ratios):.2f} | "
            f"{min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
