"""The estimators at default arguments on twelve tables, beside scikit-learn's at theirs.

Scores are means over five splits: the share of right classes, or R². Where a table has no classes,
classifiers learn whether the target lies above its median. Estimators that make features stand in
front of logistic regression or ridge. Times are those of one processor core (`process_time`), of
fits that take turns, and their ratios are medians.

Defaults were chosen by tables of the same generators with other seeds, by iris, and by linear
targets with noise. These splits of iris and moons were looked at on the way.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM as Theirs
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits

from harmonium.estimators import (
    AutoencoderTransformer,
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    GaussianRBM,
    RBMClassifier,
)

N_SPLITS = 5

Table = tuple[NDArray[Any], NDArray[Any]]


def california_like(n_rows: int = 2000) -> Table:
    """Prices by income, age, rooms, people and place: skewed columns, two coasts, a ceiling."""
    draw = np.random.RandomState(0)
    income = draw.lognormal(1.2, 0.45, n_rows)
    age = draw.randint(1, 53, n_rows)
    rooms = draw.lognormal(1.65, 0.3, n_rows)
    bedrooms = rooms / 5 * draw.lognormal(0, 0.1, n_rows)
    people = draw.lognormal(7, 0.7, n_rows)
    household = draw.lognormal(1.05, 0.25, n_rows)
    south = draw.rand(n_rows) < 0.5
    latitude = np.where(south, 34 + 0.6 * draw.randn(n_rows), 37.6 + 0.8 * draw.randn(n_rows))
    longitude = np.where(south, -118, -121.8) + 0.75 * draw.randn(n_rows)
    coast = np.exp(-2 * ((latitude - 34) ** 2 + (longitude + 118.4) ** 2))
    coast += np.exp(-2 * ((latitude - 37.7) ** 2 + (longitude + 122.3) ** 2))
    price = 0.45 * income + 1.2 * coast + 0.006 * age - 0.35 * np.log(household)
    price += 0.05 * rooms - 0.1 * bedrooms + 0.35 * draw.randn(n_rows)
    columns = (income, age, rooms, bedrooms, people, household, latitude, longitude)
    return np.stack(columns, 1), price.clip(0.15, 5)


def tables() -> dict[str, Table]:
    made = datasets.make_classification
    return {
        "digits": datasets.load_digits(return_X_y=True),
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast_cancer": datasets.load_breast_cancer(return_X_y=True),
        "moons": datasets.make_moons(500, noise=0.2, random_state=0),
        "circles": datasets.make_circles(500, noise=0.1, factor=0.5, random_state=0),
        "blobs": datasets.make_blobs(500, centers=4, cluster_std=2.0, random_state=0),
        "synthetic 20": made(1000, 20, n_informative=8, n_redundant=4, random_state=0),
        "synthetic 100": made(1000, 100, n_informative=10, n_redundant=10, random_state=0),
        "diabetes": datasets.load_diabetes(return_X_y=True),
        "friedman1": datasets.make_friedman1(500, noise=1.0, random_state=0),
        "california-like": california_like(),
    }


REGRESSION = ("diabetes", "friedman1", "california-like")


def standard(estimator: Any) -> Any:
    return make_pipeline(StandardScaler(), estimator)


def features(transformer: Any, scaler: Any = None) -> Any:
    """Logistic regression on standardised features."""
    steps = ([scaler] if scaler else []) + [transformer, StandardScaler()]
    return make_pipeline(*steps, LogisticRegression(max_iter=1000))


CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "LogisticRegression": lambda s: standard(LogisticRegression(max_iter=1000)),
    "MLPClassifier": lambda s: standard(MLPClassifier(random_state=s)),
    "DBNClassifier": lambda s: standard(DBNClassifier(random_state=s)),
    "DBNClassifier, raw": lambda s: DBNClassifier(random_state=s),
    "DBNClassifier, not pretrained": lambda s: standard(
        DBNClassifier(pretraining_epochs=0, random_state=s)
    ),
    "RBMClassifier": lambda s: standard(RBMClassifier(random_state=s)),
    "RBMClassifier, raw": lambda s: RBMClassifier(random_state=s),
}

FEATURES: dict[str, Callable[[int], Any]] = {
    "MLPClassifier": lambda s: standard(MLPClassifier(random_state=s)),
    "PCA, 2 components": lambda s: features(PCA(2), StandardScaler()),
    "scikit-learn's BernoulliRBM": lambda s: features(Theirs(random_state=s), MinMaxScaler()),
    "BernoulliRBM": lambda s: features(BernoulliRBM(random_state=s), MinMaxScaler(clip=True)),
    "GaussianRBM": lambda s: features(GaussianRBM(random_state=s)),
    "DBNTransformer": lambda s: features(DBNTransformer(random_state=s)),
    "AutoencoderTransformer": lambda s: features(AutoencoderTransformer(random_state=s)),
}

REGRESSORS: dict[str, Callable[[int], Any]] = {
    "Ridge": lambda s: standard(Ridge()),
    "MLPRegressor": lambda s: standard(MLPRegressor(random_state=s)),
    "DBNRegressor": lambda s: standard(DBNRegressor(random_state=s)),
    "DBNRegressor, raw": lambda s: DBNRegressor(random_state=s),
    "DBNRegressor, not pretrained": lambda s: standard(
        DBNRegressor(pretraining_epochs=0, random_state=s)
    ),
}


def measure(
    makers: dict[str, Callable[[int], Any]], X: NDArray[Any], y: NDArray[Any], n_splits: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Scores and seconds of each estimator on each split."""
    scores: dict[str, list[float]] = {name: [] for name in makers}
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for split in range(n_splits):
        train, test, wanted, expected = train_test_split(X, y, random_state=split)
        for name, make in makers.items():
            began = time.process_time()
            fitted = make(split).fit(train, wanted)
            seconds[name].append(time.process_time() - began)
            scores[name].append(fitted.score(test, expected))
    return scores, seconds


def print_head(title: str, makers: Any) -> None:
    print(f"\n{title}\n\n| | {' | '.join(makers)} |\n|---|{'---:|' * len(makers)}", flush=True)


def print_row(name: str, makers: Any, X: Any, y: Any, n_splits: int, against: str) -> None:
    """Measure, and print what came, so that a run that is stopped has told what it knew."""
    scores, seconds = measure(makers, X, y, n_splits)
    cells = []
    for each in makers:
        pairs = zip(seconds[each], seconds[against], strict=True)
        ratio = median(ours / theirs for ours, theirs in pairs)
        cells.append(f"{fmean(scores[each]):.3f} ({ratio:.1f})")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=N_SPLITS)
    parser.add_argument("--tables", default="", help="names, separated by commas; default: all")
    parser.add_argument("--kinds", default="classes,features,values", help="which comparisons")
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.simplefilter("ignore")  # of MLPs that stop before they converge
    found = tables()
    chosen = [name for name in options.tables.split(",") if name] or list(found)
    titles = {
        "classes": (
            "Share of right classes, and in brackets the time of a fit by that of "
            "`MLPClassifier`; beside the name the share of the largest class:",
            CLASSIFIERS,
            "MLPClassifier",
        ),
        "features": (
            "Share of right classes by logistic regression on features:",
            FEATURES,
            "MLPClassifier",
        ),
        "values": (
            "R², and in brackets the time of a fit by that of `MLPRegressor`:",
            REGRESSORS,
            "MLPRegressor",
        ),
    }
    X, y = datasets.load_iris(return_X_y=True)
    for kind in options.kinds.split(","):
        title, makers, against = titles[kind]
        for make in makers.values():
            make(0).fit(X[::3], y[::3])  # what is compiled once is no part of a fit
        print_head(title, makers)
        for name in chosen:
            X_of, y_of = found[name]
            if kind == "values":
                if name in REGRESSION:
                    print_row(name, makers, X_of, y_of, options.splits, against)
                continue
            if name in REGRESSION:
                y_of = (y_of > np.median(y_of)).astype(int)
            largest = np.bincount(y_of).max() / len(y_of)
            print_row(f"{name} ({largest:.2f})", makers, X_of, y_of, options.splits, against)


if __name__ == "__main__":
    main()
