"""``harmonium evaluate``: the log-likelihood of test rows, between two bounds."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from harmonium import defaults, kernels, likelihood
from harmonium.cli import reporting
from harmonium.cli.progress import choose_reporter, download_progress
from harmonium.cli.use import Trained, open_trained
from harmonium.datasets import AsIs, Data, Scaled, Stochastic, Threshold
from harmonium.files import write_json
from harmonium.likelihood import Computation, LogLikelihood
from harmonium.rng import Purpose, Stream
from harmonium.run_directory import REPORT_MARK, refuse_foreign
from harmonium.runs import run_data
from harmonium.runs.rows import ReadingOptions
from harmonium.units import Binary

Split = Literal["test", "held-out", "train"]

FORMAT = 1
"""Version of ``likelihood.json``."""

_BLOCK = 1000  # rows encoded at a time


def run(
    path: Path,
    *,
    n_chains: int,
    n_temperatures: int,
    split: Split | None,
    source: str | None,
    said: ReadingOptions,
    n_rows: int | None,
    binarize: str | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Evaluate a run's model; writes ``likelihood.json``, and the run's page anew."""
    if source is not None and split is not None:
        raise ValueError(f"--data names other rows, and --split is {split}; leave one out")
    trained = open_trained(path, device)
    refuse_foreign(trained.run.report_path, REPORT_MARK)
    results = _former(trained.run.likelihood_path)
    train, data = _load(trained, split, source, said, binarize)
    v = _states(data, n_rows, seed)
    began = time.monotonic()
    reporter = choose_reporter(as_json)
    computation = likelihood.evaluate(
        trained.rbm,
        v,
        train,
        n_chains=n_chains,
        n_temperatures=n_temperatures,
        seed=seed,
    )
    found = _watch(computation, as_json)
    result = {
        **_described(found),
        "data": data.name,
        "binarized": how_binarized(data),
        "temperatures": None if found.is_exact else n_temperatures,
        "seed": seed,
        "update": trained.update,
        "seconds": round(time.monotonic() - began, 1),
    }
    reporter.say(f"rows            {_rows(found, data)}")
    reporter.say(f"log-likelihood  {found} a row" + _explained(found))
    reporter.say(f"log Z           {found.log_z}")
    for warning in found.warnings:
        reporter.say(f"warning         {warning}")
    results[data.name] = result
    write_json(trained.run.likelihood_path, {"format": FORMAT, "results": results})
    reporter.say(f"kept in         {trained.run.likelihood_path}")
    reporter.say(f"page            {reporting.write(trained.run)}")
    reporter.finish({"kept_in": str(trained.run.likelihood_path), **result})


def _former(path: Path) -> dict[str, Any]:
    """Earlier results by name of the data: those of other rows are kept."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, results = content["format"], content["results"]
        if not isinstance(version, int) or not isinstance(results, dict):
            raise TypeError("another layout")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged or no result of harmonium evaluate ({error}); move it away"
        ) from error
    if version > FORMAT:
        raise ValueError(
            f"{path} has format {version}, and this harmonium reads up to {FORMAT}; install a "
            "newer harmonium"
        )
    return results


def _load(
    trained: Trained,
    split: Split | None,
    source: str | None,
    said: ReadingOptions,
    binarize: str | None,
) -> tuple[Data, Data]:
    """Training rows, for the base of the annealing, and the rows to evaluate, both as states."""
    options = trained.options
    if binarize is not None:
        options = dataclasses.replace(options, binarize=binarize)
    known = trained.known if binarize is None else None
    with download_progress() as progress:
        if run_data.is_run(options.data):
            train, held_out = run_data.load_data(options, progress)
            whole = train
        else:
            whole = run_data.read_data(options, progress, known)
            train, held_out = run_data.split_data(options, whole, known)
    there = {"test": whole.part("test") if "test" in whole.parts else None}
    there |= {"held-out": held_out, "train": train}
    if source is not None:
        data = trained.data(source, said)
    else:
        names = [name for name, rows in there.items() if rows is not None]
        rows = there[split or names[0]]
        if rows is None:
            raise ValueError(
                f"--split is {split}, but {whole.name} has no such rows; it has {', '.join(names)}"
            )
        data = trained.checked(rows)
    encoding = train.encoding
    states = all(d.is_two_valued for d in (train, data))
    if isinstance(trained.rbm.visible, Binary) and (
        isinstance(encoding, Scaled) or (isinstance(encoding, AsIs) and not states)
    ):
        # a likelihood is of states, also where training took grey values
        encoding = train.binarize(defaults.THRESHOLD).encoding
    train, data = (d.with_encoding(encoding).to(trained.device) for d in (train, data))
    return train, data


def _states(data: Data, n_rows: int | None, seed: int) -> Tensor:
    """The states of all rows, or of some drawn at random."""
    device = data.values.device
    if n_rows is None:
        index = torch.arange(len(data), device=device)
    elif n_rows > len(data):
        raise ValueError(
            f"--rows is {n_rows}, but {data.name} has {len(data)}; pass {len(data)} or fewer"
        )
    else:
        order = kernels.permutation(len(data), Stream(seed, Purpose.SPLIT, rank=1))
        index = order[:n_rows].sort().values.to(device)
    # drawn by the seed given here: the same test rows for models of any seed
    stream = Stream(seed, Purpose.ENCODE, rank=3)
    return torch.cat([data.rows(some, stream) for some in index.split(_BLOCK)])


def _watch(computation: Computation[LogLikelihood], as_json: bool) -> LogLikelihood:
    """Make the computation, with a bar on a terminal."""
    with choose_reporter(as_json, computation.n_steps, doing="evaluating") as reporter:
        for done in computation:
            reporter.update(done)
    return computation.result()


def _described(found: LogLikelihood) -> dict[str, Any]:
    log_z = found.log_z
    chains = {} if found.is_exact else {"effective_chains": log_z.effective_chains}
    return {
        "lower": found.lower,
        "lower_std_error": found.lower_std_error,
        "upper": found.upper,
        "upper_std_error": found.upper_std_error,
        "unit": "nats a row",
        "exact": found.is_exact,
        "rows": found.n_rows,
        "rows_std_error": None if math.isnan(found.rows_std_error) else found.rows_std_error,
        "log_z": log_z.value,
        "log_z_std_error": log_z.std_error,
        "chains": log_z.n_chains,
        **chains,
        "warnings": list(found.warnings),
    }


def _explained(found: LogLikelihood) -> str:
    if found.is_exact:
        return ""
    gap = round(found.gap, 2) + 0.0  # no -0.00
    return f" (lower bound by RAISE … upper bound by AIS, {gap:.2f} apart)"


def _rows(found: LogLikelihood, data: Data) -> str:
    how = how_binarized(data)
    text = f"{found.n_rows:,} of {data.name}" + (f", {how}" if how else "")
    if not math.isnan(found.rows_std_error):
        text += f" (with other rows of their kind: ± {found.rows_std_error:.2f} nats)"
    return text


def how_binarized(data: Data) -> str | None:
    """How states of two values were made of grey values, in words."""
    if isinstance(data.encoding, AsIs | Threshold | Stochastic) and data.is_two_valued:
        return "binary as they are"
    match data.encoding:
        case Threshold():
            return f"thresholded at {data.encoding.level:g}"
        case Stochastic():
            return "binarised stochastically"
    return None
