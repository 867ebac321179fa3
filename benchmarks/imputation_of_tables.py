"""Missing cells of a mixed table: log-loss, error and calibration, beside other ways to fill them.

Cells of test rows are removed at random. The RBM and gradient boosting learn twice: from training
rows as the file has them, and from training rows of which as large a share was removed. Every
method says how probable each state of a removed cell is, and is scored by the log-loss of the true
one, in nats a cell. The states are those that `harmonium.train` gives the columns: categories, and
for numbers bins of equal probability. Numbers have further scores: the root mean squared error in
standard deviations, and the log-loss of a normal distribution with the mean and the standard
deviation that a method gives, of the standardised number.

    python benchmarks/imputation_of_tables.py adult.csv --hidden 100 --epochs 60

Beside the RBM stand the shares of the states in the training rows; the nearest neighbours by the
columns that both rows have; and iterative imputation by gradient boosting, a classifier or a
regressor for each column given all others. Its first round leaves what is missing empty, as these
trees can; further rounds see what the last one has filled in.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import harmonium
from harmonium import datasets
from harmonium.datasets import Data, Encoding, Mask, MaskedRows, Reading, TableEncoding
from harmonium.imputation import complete_rows, coverage, transforms_of_draws
from harmonium.rng import Lane

Array = NDArray[np.float64]
Holes = NDArray[np.bool_]
LEAST_DEVIATION = 0.05
METHODS = ("rbm", "neighbours", "boosting")
HEADER = (
    "| removed | method | learned from | nats a cell | words | numbers | words wrong "
    "| RMSE | normal | 90 %: cells | rows | s |\n"
    "|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class Table:
    """Cells as numbers: values as `Data.values` has them, and the numbers of their states.

    NaN where they are missing. A value of a category is its number; ordered ones are numbers.
    """

    values: Array
    states: Array
    n_states: tuple[int, ...]
    is_number: tuple[bool, ...]

    @classmethod
    def of(cls, data: Data, encoding: TableEncoding) -> Table:
        """The table that has states in this encoding."""
        p = by_column(encoding.encode(data.values).double().numpy(), encoding)
        whole = cls(
            data.values.double().numpy(),
            np.stack([one.argmax(1) for one in p], 1).astype(float),
            tuple(one.shape[1] for one in p),
            tuple(column.kind in ("binned", "ordinal") for column in encoding.columns),
        )
        return whole if data.mask is None else whole.without(~data.mask.observed().numpy())

    def without(self, at: Holes) -> Table:
        """The same table with cells removed."""
        values, states = (np.where(at, np.nan, own) for own in (self.values, self.states))
        return dataclasses.replace(self, values=values, states=states)

    def first(self, n: int | None) -> Table:
        """The first rows, or all."""
        return dataclasses.replace(self, values=self.values[:n], states=self.states[:n])

    def known(self, k: int) -> tuple[Array, Any]:
        """Observed values of a column, and their states."""
        there = ~np.isnan(self.states[:, k])
        return self.values[there, k], self.states[there, k].astype(int)


@dataclass
class Found:
    """Of each column, probabilities of the states in all rows, and moments of the values."""

    p: list[Array]
    mean: list[Array]
    deviation: list[Array]

    @classmethod
    def of(cls, p: list[Array], train: Table) -> Found:
        """With the moments that follow from the probabilities and the training values."""
        found = cls(p, [], [])
        for k, one in enumerate(p):
            x, own = train.known(k)
            n = np.bincount(own, minlength=one.shape[1]).clip(1)
            first, second = (np.bincount(own, y, one.shape[1]) / n for y in (x, x * x))
            found.mean.append(one @ first)
            found.deviation.append(np.sqrt((one @ second - (one @ first) ** 2).clip(0)))
        return found


def by_column(states: Array, encoding: TableEncoding) -> list[Array]:
    """Means of states as probabilities, column by column."""
    found: dict[int, Array] = {}
    for group in encoding.groups:
        if group.kind not in ("binary", "categorical"):
            raise SystemExit(f"columns of {group.kind} units have no states: say another kind")
        own = states[:, group.states].reshape(len(states), len(group.places), group.width)
        for k, place in enumerate(group.places):
            one = own[:, k]
            found[place] = np.concatenate([1 - one, one], 1) if group.kind == "binary" else one
    return [found[place] for place in range(len(found))]


def shares(train: Table) -> list[Array]:
    """How often each state is observed; one row is added that has them all."""
    counts = [
        np.bincount(train.known(k)[1], minlength=n) + 1 / n for k, n in enumerate(train.n_states)
    ]
    return [own / own.sum() for own in counts]


def by_neighbours(train: Table, test: Table, n_neighbours: int) -> list[Array]:
    """States of the nearest rows that have the column, and of one more that has the base rates."""

    def spread(table: Table) -> Array:
        """Standardised numbers and one-hot states; zeros where they are missing."""
        parts = []
        for k, n in enumerate(table.n_states):
            own, known = table.values[:, k], train.known(k)[0]
            if table.is_number[k]:
                parts.append(np.nan_to_num((own[:, None] - known.mean()) / known.std()))
            else:
                parts.append(np.eye(n)[np.nan_to_num(own).astype(int)] * ~np.isnan(own)[:, None])
        return np.concatenate(parts, 1)

    def there(table: Table) -> Array:
        seen = (~np.isnan(table.states)).astype(float)
        widths = [
            1 if number else n for number, n in zip(table.is_number, table.n_states, strict=True)
        ]
        return np.repeat(seen, widths, 1)

    x, y = spread(train), spread(test)
    distance = (y**2) @ there(train).T + there(test) @ (x**2).T - 2 * y @ x.T
    seen, own_seen = ~np.isnan(test.states), ~np.isnan(train.states)
    shared = seen.astype(float) @ own_seen.T
    distance = np.where(shared > 0, distance / shared.clip(1), np.inf)
    order = distance.argsort(1, kind="stable")[:, : 40 * n_neighbours]
    found = []
    for k, base in enumerate(shares(train)):
        own = train.states[:, k][order]
        has = ~np.isnan(own)
        has &= has.cumsum(1) <= n_neighbours
        counts = np.stack([((own == state) & has).sum(1) for state in range(len(base))], 1)
        found.append((counts + base) / (has.sum(1, keepdims=True) + 1))
    return found


def by_boosting(train: Table, test: Table, rounds: int, n_trees: int, seed: int) -> list[Found]:
    """Iterative imputation of training and test rows together, one result a round."""
    both, n = np.concatenate([train.values, test.values]), len(train.values)
    missing, filled, results = np.isnan(both), both, []
    is_word = ~np.array(train.is_number)
    for _ in range(rounds):
        following, found = both.copy(), Found([], [], [])
        for k, n_states in enumerate(train.n_states):
            others, (values, states) = np.delete(filled, k, 1), train.known(k)
            known = others[:n][~missing[:n, k]]
            # scikit-learn holds rows out of every class, and refuses classes of one row
            several = np.bincount(states, minlength=n_states)[states] > 1
            known, values, states = known[several], values[several], states[several]
            options: Any = {
                **{"categorical_features": np.delete(is_word, k), "max_iter": n_trees},
                "random_state": seed,
            }
            classifier = HistGradientBoostingClassifier(**options).fit(known, states)
            p = np.full((len(both), n_states), 1e-4)
            p[:, classifier.classes_] += classifier.predict_proba(others)
            p /= p.sum(1, keepdims=True)
            best, deviation = p.argmax(1).astype(float), 0.0
            if not is_word[k]:
                regressor = HistGradientBoostingRegressor(**options)
                held = len(known) // 5
                regressor.fit(known[held:], values[held:])
                deviation = float(np.std(values[:held] - regressor.predict(known[:held])))
                best = regressor.fit(known, values).predict(others)
            following[missing[:, k], k] = best[missing[:, k]]
            found.p.append(p[n:])
            found.mean.append(best[n:])
            found.deviation.append(np.full(len(both) - n, deviation))
        filled = following
        results.append(found)
    return results


def scores(found: Found, truth: Table, at: Holes, train: Table) -> list[float]:
    """Log-loss of all, of words and of numbers; wrong words; RMSE and normal log-loss."""
    losses: dict[bool, list[Array]] = {False: [], True: []}
    wrong, squares, normal = [], [], []
    for k, is_number in enumerate(truth.is_number):
        rows = np.flatnonzero(at[:, k])
        true, p = truth.states[rows, k].astype(int), found.p[k][rows]
        losses[is_number].append(-np.log(p[np.arange(len(rows)), true]))
        if not is_number:
            wrong.append(p.argmax(1) != true)
            continue
        std = train.known(k)[0].std()
        error = (found.mean[k][rows] - truth.values[rows, k]) / std
        deviation = (found.deviation[k][rows] / std).clip(LEAST_DEVIATION)
        squares.append(error**2)
        normal.append(0.5 * (error / deviation) ** 2 + np.log(deviation * np.sqrt(2 * np.pi)))
    words, numbers = (np.concatenate(losses[kind]) for kind in (False, True))
    every = np.concatenate([words, numbers])
    means = [float(one.mean()) for one in (every, words, numbers, np.concatenate(wrong))]
    return [*means, float(np.concatenate(squares).mean() ** 0.5), np.concatenate(normal).mean()]


def coverages(drawn: Array, truth: Table, at: Holes) -> list[float]:
    """How often intervals of 90 % hold: of removed numbers, and of what rows have in common.

    The latter is how many of a row's removed words are the commonest ones of their columns.
    """
    is_number = np.array(truth.is_number)
    numbers, words = at & is_number, at & ~is_number
    common = np.array([np.bincount(truth.known(k)[1]).argmax() for k in range(len(is_number))])
    some = words.any(1)
    pairs = (
        (np.moveaxis(drawn, 1, 2)[numbers], truth.values[numbers]),
        (((drawn == common) & words[:, None]).sum(2)[some],
         ((truth.values == common) & words).sum(1)[some]),
    )  # fmt: skip
    found = []
    for values, true in pairs:
        low, high = transforms_of_draws(torch.tensor(values) * 1.0, torch.tensor(true) * 1.0)
        found.append(float(coverage(low, high, (0.9,)).found[0]))
    return found


def by_rbm(
    run: harmonium.Run, encoding: TableEncoding, data: Data, at: Holes, options: argparse.Namespace
) -> tuple[list[Array], Array, str]:
    """Probabilities of states, drawn values, and how they were found."""
    rbm = run.rbm
    whole = data.mask.observed().numpy() if data.mask is not None else np.ones_like(at)
    rows = dataclasses.replace(data, mask=Mask.of(torch.from_numpy(whole & ~at)))
    stream = Lane.IMPUTED.stream(options.seed)
    masked = rows.masked_rows(torch.arange(len(rows)))
    masked = MaskedRows(masked.states.to(rbm.weights.dtype), masked.observed)
    found = complete_rows(rbm, masked, options.draws, None, stream)
    flat = found.draws.flatten(0, 1)
    drawn = encoding.decode_draws(flat, stream).view(*found.draws.shape[:2], -1).numpy()
    means = found.means.clamp(1e-6, 1 - 1e-6)
    return by_column(means.numpy(), encoding), drawn, f"{len(found.unmixed)} rows unmixed"


@dataclass(frozen=True)
class Block:
    """What methods are compared on."""

    share: float
    kind: str
    truth: Table
    at: Holes
    train: Table

    def say(self, method: str, found: Found, began: float, covered: Sequence[float] = ()) -> None:
        """A line of the table."""
        took = time.perf_counter() - began
        own = scores(found, self.truth, self.at, self.train)
        shown = [f"{x:.1%}" if k == 3 else f"{x:.3f}" for k, x in enumerate(own)]
        of = [f"{x:.1%}" for x in covered] or ["", ""]
        cells = [f"{self.share:.0%}", method, self.kind, *shown, *of, f"{took:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def written(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]], at: Holes) -> Path:
    """A file with empty cells."""
    with open(path, "w", newline="") as file:
        lines = np.where(at, "", np.array(rows, object))
        csv.writer(file).writerows([head, *lines.tolist()])
    return path


def main() -> None:
    """Train, remove cells, fill them in, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help=".csv with a line of names")
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--epochs", type=int, help="by default as harmonium.train")
    parser.add_argument("--missing", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    parser.add_argument(
        "--learned-from", nargs="+", choices=["file", "holes"], default=["file", "holes"]
    )
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--scored", type=int, help="of these, rows to complete; else all")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="of boosting")
    parser.add_argument("--trees", type=int, default=100, help="of boosting, for each state")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--boosted-rows", type=int, help="training rows of boosting; else all")
    parser.add_argument("--runs", type=Path, help="where runs are kept, and not trained again")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with open(options.table, newline="") as file:
        head, *lines = csv.reader(file)
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(len(lines))
    test = [lines[k] for k in order[: options.test_rows]]
    rows = [lines[k] for k in order[options.test_rows :]]
    holes = {share: [rng.random((len(own), len(head))) < share for own in (rows, test)]
             for share in options.missing}  # fmt: skip
    test = test[: options.scored]
    holes = {share: (own[0], own[1][: len(test)]) for share, own in holes.items()}
    folder = options.runs or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    test_path = written(folder / "test.csv", head, test, np.zeros((len(test), len(head)), bool))
    print(HEADER, flush=True)
    for share, (of_rows, of_test) in holes.items():
        for kind in options.learned_from:
            name = "file" if kind == "file" else f"holes_{share:g}"
            removed = of_rows if kind == "holes" else np.zeros_like(of_rows)
            path = written(folder / f"{name}.csv", head, rows, removed)
            began = time.perf_counter()
            out = folder / f"run_{name}"
            if (out / "model.safetensors").is_file():
                run = harmonium.open(out)
            else:
                chosen = {} if options.epochs is None else {"epochs": options.epochs}
                run = harmonium.train(
                    path, hidden=options.hidden, out=out, seed=options.seed, threads=1,
                    figures=False, tensorboard=False, log_likelihood=False, progress=False,
                    **chosen,
                )  # fmt: skip
                print(f"<!-- trained in {time.perf_counter() - began:.0f} s -->", flush=True)
            encoding = Encoding.from_config(run.config["data"]["encoding"])
            assert isinstance(encoding, TableEncoding)
            reading = Reading(table=encoding, n_columns=len(head), unseen="other")
            data = datasets.read(test_path, reading)
            train = Table.of(datasets.read(path, reading), encoding)
            truth = Table.of(data, encoding)
            at = of_test & ~np.isnan(truth.states)
            left = truth.without(at)

            block = Block(share, kind, truth, at, train)
            began = time.perf_counter()
            if "rbm" in options.methods:
                p, drawn, note = by_rbm(run, encoding, data, at, options)
                block.say(f"RBM ({note})", Found.of(p, train), began, coverages(drawn, truth, at))
            base = [np.tile(own, (len(at), 1)) for own in shares(train)]
            block.say("shares of states", Found.of(base, train), time.perf_counter())
            began = time.perf_counter()
            if "neighbours" in options.methods:
                p = by_neighbours(train, left, options.neighbours)
                block.say(f"{options.neighbours} nearest neighbours", Found.of(p, train), began)
            began = time.perf_counter()
            if "boosting" in options.methods:
                some = train.first(options.boosted_rows)
                found = by_boosting(some, left, options.rounds, options.trees, options.seed)
                block.say("boosting, 1 round", found[0], began)
                if options.rounds > 1:
                    block.say(f"boosting, {options.rounds} rounds", found[-1], began)


if __name__ == "__main__":
    main()
