"""Missing values filled in: error, log-loss and calibration, beside what scikit-learn has.

Entries of two-valued test rows are removed at random. An RBM that learned complete training rows
completes them (`harmonium.imputation`), beside the mean of each column, k nearest neighbours and
iterative imputation by gradient boosting, which have the same training rows. Log-loss is in nats an
entry; probabilities of others than the RBM are clipped to what their training rows support.

    python benchmarks/imputation.py train.csv test.csv --hidden 60
    python benchmarks/imputation.py haplotypes.hapt.zip --hidden 150 --boosted-columns 60
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

import harmonium
from harmonium import datasets
from harmonium.datasets import MaskedRows
from harmonium.imputation import complete_rows, coverage, transforms_of_draws
from harmonium.rng import Lane

Array = NDArray[np.float64]
HEADER = (
    "| missing | method | wrong | nats an entry | 90 % of draws: sum of a row | an entry | s |\n"
    "|---:|---|---:|---:|---:|---:|---:|"
)


def rows_of(path: Path) -> Array:
    """All rows of a file, as zeros and ones."""
    values = datasets.load(path, header=False if path.name.endswith(".gz") else None).values
    return values.double().numpy()


def scores(p: Array, truth: Array, at: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of entries on the wrong side of one half, and mean log-loss, nats."""
    own, true = p[at], truth[at]
    chance = np.where(true == 1, own, 1 - own)
    return float(np.mean((own > 0.5) != (true == 1))), float(-np.log(chance).mean())


def by_neighbours(train: Array, holes: Array, k: int) -> Array:
    """Means of k neighbours, with half a neighbour of either value added."""
    found: Array = KNNImputer(n_neighbors=k).fit(train).transform(holes)
    return (found * k + 0.5) / (k + 1)


def by_boosting(train: Array, holes: Array, rows: int, rounds: int, seed: int) -> Array:
    """Iterative imputation of the test rows below some complete training rows."""
    estimator = HistGradientBoostingRegressor(max_iter=60, random_state=seed)
    imputer = IterativeImputer(
        estimator, max_iter=rounds, n_nearest_features=min(30, train.shape[1]), random_state=seed
    )
    stacked = np.concatenate([train[:rows], holes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: Array = imputer.fit_transform(stacked)[-len(holes) :]
    return found.clip(0.005, 0.995)


def main() -> None:
    """Train, remove entries, fill them in, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path, nargs="?", help="else a tenth of the rows")
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--epochs", type=int, help="by default as harmonium.train")
    parser.add_argument("--missing", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    parser.add_argument("--rows", type=int, default=500, help="test rows")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--boosted-rows", type=int, default=2000)
    parser.add_argument("--boosted-rounds", type=int, default=3)
    parser.add_argument("--boosted-columns", type=int, help="the first columns alone")
    parser.add_argument("--run", type=Path, help="a finished run, which is not trained again")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    train = rows_of(options.train)
    if options.test is None:
        order = rng.permutation(len(train))
        held = len(train) // 10
        train, test = train[order[held:]], train[order[:held]]
    else:
        test = rows_of(options.test)
    test = test[rng.permutation(len(test))[: options.rows]]
    began = time.perf_counter()
    if options.run is not None and (options.run / "model.safetensors").is_file():
        rbm = harmonium.load_model(options.run / "model.safetensors")
    else:
        out = options.run or Path(tempfile.mkdtemp()) / "run"
        chosen = {} if options.epochs is None else {"epochs": options.epochs}
        harmonium.train(
            train.astype(np.uint8), hidden=options.hidden, out=out, seed=options.seed, threads=1,
            figures=False, tensorboard=False, **chosen,
        )  # fmt: skip
        rbm = harmonium.load_model(out / "model.safetensors")
        print(f"trained in {time.perf_counter() - began:.0f} s")
    print(f"{rbm}, {len(train):,} training rows, {len(test):,} test rows\n\n{HEADER}")
    few = options.boosted_columns or train.shape[1]
    for share in options.missing:
        at = rng.random(test.shape) < share
        holes = np.where(at, np.nan, test)
        some = at.copy()
        some[:, few:] = False
        began = time.perf_counter()
        states = torch.from_numpy(test).to(rbm.weights.dtype)
        rows = MaskedRows(states, torch.from_numpy(~at))
        stream = Lane.IMPUTED.stream(options.seed)
        found = complete_rows(rbm, rows, options.draws, None, stream)
        seconds = time.perf_counter() - began
        own = found.means.numpy()
        missing = torch.from_numpy(at)
        drawn = (found.draws * missing.unsqueeze(1)).sum(2)
        low, high = transforms_of_draws(drawn, (states * missing).sum(1))
        of_rows = float(coverage(low, high, (0.9,)).found[0])
        entries = found.draws.permute(0, 2, 1)[missing]
        low, high = transforms_of_draws(entries, states[missing])
        of_entries = float(coverage(low, high, (0.9,)).found[0])
        exact = float(found.is_exact.double().mean())
        note = "exact" if exact == 1 else f"{len(found.unmixed)} rows unmixed"
        say(share, f"RBM ({note})", scores(own, test, at), seconds, of_rows, of_entries)
        if few < train.shape[1]:
            say(share, f"RBM, first {few} columns", scores(own, test, some), seconds)
        mean = (train.sum(0) + 0.5) / (len(train) + 1)
        say(share, "column mean", scores(np.broadcast_to(mean, test.shape), test, at), 0.0)
        began = time.perf_counter()
        nearest = by_neighbours(train, holes, options.neighbours)
        words = f"{options.neighbours} nearest neighbours"
        say(share, words, scores(nearest, test, at), time.perf_counter() - began)
        began = time.perf_counter()
        boosted = by_boosting(
            train[:, :few], holes[:, :few], options.boosted_rows, options.boosted_rounds,
            options.seed,
        )  # fmt: skip
        words = "iterative, gradient boosting" + f", first {few} columns" * (few < len(mean))
        result = scores(boosted, test[:, :few], some[:, :few])
        say(share, words, result, time.perf_counter() - began)


def say(
    share: float,
    method: str,
    found: tuple[float, float],
    seconds: float,
    of_rows: float | None = None,
    of_entries: float | None = None,
) -> None:
    """A line of the table."""
    shown = ["" if x is None else f"{x:.1%}" for x in (of_rows, of_entries)]
    cells = [f"{share:.0%}", method, f"{found[0]:.2%}", f"{found[1]:.4f}", *shown, f"{seconds:.1f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
