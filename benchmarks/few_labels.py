"""Few labels: accuracy of classes that are known for 1 and 5 % of the training rows.

    python benchmarks/few_labels.py --rows genomes.zip --populations populations.tsv.gz

The rows are haplotypes (two names, then a 0 or 1 for each site; two haplotypes a person), the
classes the five super-populations of their persons, by sample name. A fifth of the persons is held
out for the test, and so are their names: no person is on both sides. Labelled persons are drawn at
random, with all classes among them. Every method gets the same rows and the same labels; logistic
regression can use the labelled rows alone. With ``--annadca`` annaDCA's command trains on them too,
and its class probabilities are computed from the parameters that it wrote.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from harmonium import RBM, Binary, Categorical, Mixed
from harmonium.classification import classify
from harmonium.estimators import RBMClassifier

TEST_SHARE = 0.2


@dataclass(frozen=True)
class Task:
    """Rows with few labels, -1 for none, and test rows."""

    X: NDArray[Any]
    y: NDArray[Any]
    X_test: NDArray[Any]
    y_test: NDArray[Any]
    names: tuple[str, ...]

    @property
    def labelled(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The rows with a label, and their labels."""
        return self.X[self.y >= 0], self.y[self.y >= 0]


def main() -> None:
    """Train, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=Path, required=True, help="haplotypes, in a zip file")
    parser.add_argument("--populations", type=Path, required=True, help="table of samples, gzipped")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.05])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--annadca", type=Path, help="annaDCA's command; without, it is left out")
    parser.add_argument("--annadca-updates", type=int, default=2000)
    parser.add_argument("--annadca-chains", type=int, default=128, help="and rows of a batch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    X, labels, persons = haplotypes(options.rows, options.populations)
    methods: dict[str, Callable[[Task, int], float]] = {
        "logistic regression, C=1": lambda task, seed: logistic(task, 1.0),
        "logistic regression, C by cross-validation": lambda task, seed: logistic(task, None),
        "RBMClassifier, labelled rows alone": lambda task, seed: ours(task, seed, alone=True),
        "RBMClassifier, all rows": ours,
    }
    if options.annadca is not None:
        for name, flags in ANNADCA.items():
            methods[name] = lambda task, seed, flags=flags: annadca(
                task,
                seed,
                options.annadca,
                ("--nepochs", str(options.annadca_updates)),
                ("--nchains", str(options.annadca_chains), *flags),
            )
    for share in options.shares:
        print(f"\n{share:.0%} of the labels", flush=True)
        for name, method in methods.items():
            scores, began = [], time.perf_counter()
            for seed in options.seeds:
                scores.append(method(task_of(X, labels, persons, share, seed), seed))
            spread = f" ± {stdev(scores):.4f}" if len(scores) > 1 else ""
            took = (time.perf_counter() - began) / len(scores)
            print(f"| {name} | {fmean(scores):.4f}{spread} | {took:.0f} s |", flush=True)


def haplotypes(
    rows: Path, populations: Path
) -> tuple[NDArray[np.uint8], NDArray[np.str_], NDArray[np.str_]]:
    """Haplotypes of samples with one known super-population, these, and the samples' names."""
    with gzip.open(populations, "rt") as file:
        head, *lines = (line.rstrip("\n").split("\t") for line in file)
    name, code = head.index("Sample name"), head.index("Superpopulation code")
    known = {line[name]: line[code] for line in lines if line[code] and "," not in line[code]}
    cells, labels, persons = [], [], []
    with zipfile.ZipFile(rows) as archive, archive.open(archive.namelist()[0]) as file:
        for line in file:
            _, haplotype, *sites = line.decode().split()
            person = haplotype.rpartition("_")[0]
            if person in known:
                cells.append(np.array(sites, np.uint8))
                labels.append(known[person])
                persons.append(person)
    return np.stack(cells), np.array(labels), np.array(persons)


def task_of(
    X: NDArray[Any],
    labels: NDArray[np.str_],
    persons: NDArray[np.str_],
    share: float,
    seed: int,
) -> Task:
    """Hold a fifth of the persons out, and hide the labels of all but a share of the others."""
    draw = np.random.RandomState(seed)
    names, y = np.unique(labels, return_inverse=True)
    order = draw.permutation(np.unique(persons))
    n_test = round(TEST_SHARE * len(order))
    is_test = np.isin(persons, order[:n_test])
    others = order[n_test:]
    while True:
        chosen = draw.choice(others, round(share * len(others)), replace=False)
        has_label = np.isin(persons, chosen)
        if len(np.unique(y[has_label])) == len(names):
            break
    few = np.where(has_label, y, -1)[~is_test]
    return Task(X[~is_test], few, X[is_test], y[is_test], tuple(names.tolist()))


def logistic(task: Task, strength: float | None) -> float:
    """Accuracy of logistic regression on the labelled rows."""
    model: Any = LogisticRegression(C=strength or 1.0, max_iter=2000)
    if strength is None:
        folds = min(3, np.bincount(task.labelled[1]).min())
        model = GridSearchCV(model, {"C": np.logspace(-3, 2, 6)}, cv=max(2, folds))
    return float(model.fit(*task.labelled).score(task.X_test, task.y_test))


def ours(task: Task, seed: int, alone: bool = False) -> float:
    """Accuracy of a classification RBM, on the labelled rows or on all of them."""
    model = RBMClassifier(**OURS, random_state=seed)
    model.fit(*(task.labelled if alone else (task.X, task.y)))
    return float(model.score(task.X_test, task.y_test))


OURS: dict[str, Any] = {
    **{"n_components": 100, "visible": "binary", "n_iter": 30},
    **{"learning_rate": 10.0, "momentum": 0.5},
}

ANNADCA = {
    "annaDCA": (),
    "annaDCA, missing labels summed out": ("--marginalize_missing_labels",),
}


def annadca(task: Task, seed: int, command: Path, *flags: tuple[str, ...]) -> float:
    """Accuracy of annaDCA's binary model, whose unnamed options are its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with open(path / "rows.csv", "w") as file:
            file.writelines(_csv(task))
        subprocess.run(
            [
                *(command, "train", "-d", path / "rows.csv", "-o", path / "out", "--is_binary"),
                *("--no_reweighting", "--no-triton", "--device", "cpu", "--seed", str(seed)),
                *chain.from_iterable(flags),
            ],
            check=True,
            capture_output=True,
        )
        rbm = _model(path / "out" / "params.h5", len(task.names))
    X = torch.from_numpy(task.X_test).to(rbm.weights)
    return float((classify(rbm, X).numpy() == task.y_test).mean())


def _csv(task: Task) -> Iterator[str]:
    yield "name,sequence,label\n"
    for number, (row, label) in enumerate(zip(task.X, task.y, strict=True)):
        yield f"{number},{''.join(map(str, row))},{task.names[label] if label >= 0 else ''}\n"


def _model(path: Path, n_classes: int) -> RBM:
    """What annaDCA has trained, as an RBM over rows and classes."""
    import h5py

    with h5py.File(path) as file:
        group = file[max(file, key=lambda name: int(name.rpartition("_")[2]))]
        read = {name: torch.from_numpy(group[name][:]) for name in PARTS}
    rbm = RBM(Mixed(Binary(len(read["vbias"])), Categorical(1, n_classes)), Binary(100))
    with torch.no_grad():
        rbm.visible.bias.copy_(torch.cat([read["vbias"], read["lbias"].flatten()]))
        rbm.hidden.bias.copy_(read["hbias"])
        rbm.weights.copy_(torch.cat([read["weight_matrix"], read["label_matrix"]]))
    return rbm


PARTS = ("vbias", "hbias", "lbias", "weight_matrix", "label_matrix")


if __name__ == "__main__":
    main()
