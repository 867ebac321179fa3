"""`BernoulliRBM` of harmonium beside scikit-learn's: the same rows, epochs and parameters.

With ``--scores`` it measures `score_samples` beside `transform`, for estimators without labels.

Fits take turns, and what counts is the median of the ratios: the speed of a machine drifts. Each
type of features is measured by itself, because scikit-learn computes in float64 where it gets
bytes, integers or float64, and in float32 where it gets that.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import BernoulliRBM as Theirs
from threadpoolctl import threadpool_limits

from harmonium import datasets
from harmonium.estimators import AutoencoderTransformer, DBNTransformer, GaussianRBM
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


SHAPES = (
    # rows, features, share of ones, hidden units
    (200, 4_000, 0.01, 256),
    (200, 4_000, 0.01, 32),
    (200, 4_000, 0.5, 256),
    (1_000, 784, 0.2, 256),
    (1_797, 64, 0.5, 64),
    (178, 13, 0.5, 256),
    (5_000, 20, 0.5, 64),
)


def transformers(n_hidden: int) -> list[BaseEstimator]:
    return [
        Ours(n_components=n_hidden, n_iter=1, random_state=0),
        GaussianRBM(n_components=n_hidden, n_iter=1, random_state=0),
        DBNTransformer(layers=(n_hidden, 16), pretraining_epochs=1, random_state=0),
        AutoencoderTransformer(
            layers=(n_hidden, 16), pretraining_epochs=1, epochs=1, random_state=0
        ),
        Theirs(n_components=n_hidden, n_iter=1, random_state=0),
    ]


def cpu_seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def compare_scores(rounds: int) -> None:
    """How many times as long as `transform` a score takes, on the same rows."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch is to be quick, not good
    names = [type(each).__name__ for each in transformers(2)[:-1]]
    print(f"CPU time of score_samples in times of transform, medians of {rounds} rounds")
    print(f"| rows | features | ones | hidden | {' | '.join(names)} | scikit-learn |")
    print("|---:|---:|---:|---:|" + "---:|" * (len(names) + 1))
    for n_rows, n_features, share, n_hidden in SHAPES:
        X = np.random.default_rng(0).random((n_rows, n_features)) < share
        rows = sparse.csr_matrix(X.astype(float)) if share < 0.1 else X.astype(float)
        ratios = []
        for estimator in transformers(n_hidden):
            fitted = estimator.fit(rows)
            fitted.score_samples(rows)
            turns = [
                cpu_seconds(lambda: fitted.score_samples(rows))  # noqa: B023 - called at once
                / cpu_seconds(lambda: fitted.transform(rows))  # noqa: B023
                for _ in range(rounds)
            ]
            ratios.append(f"{median(turns):.1f}")
        kind = "sparse" if share < 0.1 else "dense"
        print(
            f"| {n_rows:,} | {n_features:,} {kind} | {share:.0%} | {n_hidden} | "
            f"{' | '.join(ratios)} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--scores", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads, user_api="blas")  # of NumPy's products, for good
    if options.scores:
        compare_scores(options.rounds)
        return
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
