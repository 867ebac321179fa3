"""Weights of sequences by similarity: time beside the packages that compute them, on one thread.

In every round each package computes the weights of the same alignment once, so that all of them
meet the machine in the same state; a first round on a few rows compiles and warms up. What they
count differs (``harmonium.datasets.sequence_weights`` says how), so that each is compared with ours
of its definition, to the last bit of float32. Loops over rows in torch are timed on fewer rows, and
their time is scaled by the number of pairs. The exit code is 1 where ours is less than 5 times as
fast as the fastest package, or weights differ.

    pip install adabmDCA rbms evcouplings pydca       # any of them; what is missing is left out
    python benchmarks/sequence_weights.py PF00072_train.fasta.gz
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from harmonium import datasets

LEAST_SPEED = 5.0
WARM_ROWS, ROWS_OF_LOOPS = 64, 1000
IDENTITY = 0.8


def peers() -> dict[str, tuple[str, int | None, Callable[[Any], Any]]]:
    """By name: the definition, the rows that are timed, and the function."""

    def of(module: str, name: str) -> Any:
        return getattr(importlib.import_module(module), name)

    def evcouplings() -> Callable[[Any], Any]:
        members = of("evcouplings.align.alignment", "num_cluster_members")
        return lambda values: 1 / members(values, IDENTITY)

    def pydca() -> Callable[[Any], Any]:
        weights = of("pydca.meanfield_dca.msa_numerics", "compute_sequences_weight")
        return lambda values: weights(alignment_data=values, seqid=IDENTITY)

    def adabmdca() -> Callable[[Any], Any]:
        weights = of("adabmDCA.fasta", "compute_weights")
        return lambda values: weights(values, IDENTITY)

    def rbms() -> Callable[[Any], Any]:
        weights = of("rbms.dataset.fasta_utils", "compute_weights")
        return lambda values: weights(values, IDENTITY)

    made = {
        "EVcouplings": ("harmonium", None, evcouplings),  # 0.2.1; newer ones are on GitHub alone
        "pydca": ("pydca", None, pydca),
        "adabmDCA": ("adabmdca", ROWS_OF_LOOPS, adabmdca),
        "rbms": ("rbms", ROWS_OF_LOOPS, rbms),
    }
    there = {}
    for name, (definition, rows, make) in made.items():
        try:
            there[name] = (definition, rows, make())
        except ImportError as error:
            print(f"left out: {name} ({error})")
    return there


def seconds(compute: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = compute()
    return time.process_time() - began, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("alignment", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    data = datasets.load(options.alignment)
    values = data.values.numpy().astype(np.int32)
    n_rows, n_sites = values.shape
    others = peers()
    datasets.sequence_weights(data.draw_rows(WARM_ROWS))
    for _, _, compute in others.values():
        compute(values[:WARM_ROWS])
    times: dict[str, list[float]] = {"harmonium": [], **{name: [] for name in others}}
    wrong = False
    for round_ in range(options.rounds):
        spent, ours = seconds(lambda: datasets.sequence_weights(data, IDENTITY))
        times["harmonium"].append(spent)
        for name, (definition, rows, compute) in others.items():
            rows = min(rows or n_rows, n_rows)
            spent, found = seconds(lambda: compute(values[:rows]))  # noqa: B023
            times[name].append(spent * (n_rows / rows) ** 2)
            if round_ == 0:
                part = data if rows == n_rows else datasets.Data("part", data.values[:rows])
                expected = datasets.sequence_weights(part, IDENTITY, definition=definition)
                agrees = np.allclose(np.asarray(found).ravel(), expected.numpy(), rtol=1e-6)
                wrong |= not agrees
                print(f"{name}: {'the same weights' if agrees else 'OTHER WEIGHTS'} ({definition})")
    print(
        f"{options.alignment.name}: {n_rows:,} × {n_sites}, at least {IDENTITY:.0%} alike, "
        f"effective number {float(ours.sum()):,.1f}"
    )
    fastest = statistics.median(times["harmonium"])
    for name, spent in times.items():
        median = statistics.median(spent)
        scaled = name in others and others[name][1] is not None
        note = f", scaled from {ROWS_OF_LOOPS:,} rows" if scaled else ""
        print(f"{name:12} {median:8.2f} s   {median / fastest:7.1f}   ({min(spent):.2f} s{note})")
    least = min((statistics.median(times[name]) for name in others), default=float("inf"))
    return int(wrong or least < LEAST_SPEED * fastest)


if __name__ == "__main__":
    raise SystemExit(main())
