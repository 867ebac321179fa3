"""``harmonium evaluate``: the log-likelihood of test rows, exact or as an interval."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from harmonium import defaults, kernels, likelihood
from harmonium.cli import reporting
from harmonium.cli.evaluations import (
    FORMAT,
    KeptWork,
    described,
    keep_row_values,
    results_in,
    seconds_of,
)
from harmonium.cli.progress import choose_reporter, download_progress
from harmonium.cli.spelling import spelled
from harmonium.cli.use import Trained, open_trained
from harmonium.datasets import AsIs, Data, Scaled, Stochastic, Threshold
from harmonium.files import write_json
from harmonium.likelihood import Evaluation, LogLikelihood
from harmonium.rng import Purpose, Stream
from harmonium.run_directory import REPORT_MARK, refuse_foreign
from harmonium.runs import run_data
from harmonium.runs.rows import ReadingOptions
from harmonium.units import Binary

Split = Literal["test", "held-out", "train"]

_BLOCK = 1000  # rows encoded at a time


def run(
    path: Path,
    *,
    n_chains: int,
    n_temperatures: int,
    budget: str | None,
    split: Split | None,
    source: str | None,
    said: ReadingOptions,
    n_rows: int | None,
    binarize: str | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Evaluate the model of a run; writes ``likelihood.json`` and updates the run's page."""
    if source is not None and split is not None:
        raise ValueError(f"--data names other rows, and --split is {split}; leave one out")
    seconds = None if budget is None else seconds_of(budget)
    trained = open_trained(path, device)
    refuse_foreign(trained.run.report_path, REPORT_MARK)
    results = results_in(trained.run.likelihood_path)
    train, data = _load(trained, split, source, said, binarize)
    v = _states(data, n_rows, seed)
    began = time.monotonic()
    reporter = choose_reporter(as_json)
    evaluation = likelihood.evaluate(
        trained.rbm,
        v,
        train,
        n_chains=n_chains,
        n_temperatures=n_temperatures,
        seed=seed,
        budget=seconds,
    )
    kept = None
    if evaluation.work is not None:
        kept = KeptWork(trained.run.evaluation_path, trained.rbm, v, n_chains, seed)
        if seconds is not None:
            kept.take_up_(evaluation.work)
    found = _watch(evaluation, kept, as_json)
    reasons = [spelled(reason) for reason in found.reasons]
    result = {
        **described(found),
        "warnings": reasons,
        "data": data.name,
        "rows_digest": keep_row_values(trained.run.row_values_path, trained.rbm, v),
        "binarized": how_binarized(data),
        "seed": seed,
        "update": trained.update,
        "seconds": round(time.monotonic() - began, 1),
    }
    reporter.say(f"log-likelihood  {found} a row")
    reporter.say(f"rests on        {found.rests_on}")
    for number, reason in enumerate(reasons):
        reporter.say(f"{'and' if number else 'no lower bound,'} because {reason}")
    reporter.say(f"rows            {_rows(found, data)}")
    results[data.name] = result
    write_json(trained.run.likelihood_path, {"format": FORMAT, "results": results})
    reporter.say(f"kept in         {trained.run.likelihood_path}")
    reporter.say(f"page            {reporting.write(trained.run)}")
    reporter.finish({"kept_in": str(trained.run.likelihood_path), **result})


def _load(
    trained: Trained,
    split: Split | None,
    source: str | None,
    said: ReadingOptions,
    binarize: str | None,
) -> tuple[Data, Data]:
    """Training rows, for the base of the annealing, and rows to evaluate, both as states."""
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
        # likelihoods are defined for states, even if training used grey values
        encoding = train.binarize(defaults.THRESHOLD).encoding
    train, data = (d.with_encoding(encoding).to(trained.device) for d in (train, data))
    return train, data


def _states(data: Data, n_rows: int | None, seed: int) -> Tensor:
    """The states of all rows, or of a random subset."""
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
    # drawn with this command's seed: the same test rows for models trained with any seed
    stream = Stream(seed, Purpose.ENCODE, rank=3)
    return torch.cat([data.rows(some, stream) for some in index.split(_BLOCK)])


def _watch(evaluation: Evaluation, kept: KeptWork | None, as_json: bool) -> LogLikelihood:
    """Run the evaluation, with a progress bar on a terminal and the current interval above it."""
    known = evaluation.work and evaluation.work.estimates
    with choose_reporter(as_json, evaluation.n_steps, doing="evaluating") as reporter:
        for done in evaluation:
            reporter.update(done)
            work = evaluation.work
            if work is not None and work.estimates is not known:
                known = work.estimates
                if kept is not None:
                    kept.keep(work)
                if done < evaluation.n_steps and not as_json and sys.stdout.isatty():
                    reporter.say(f"so far          {evaluation.so_far} a row")
    return evaluation.result()


def _rows(found: LogLikelihood, data: Data) -> str:
    how = how_binarized(data)
    text = f"{found.n_rows:,} of {data.name}" + (f", {how}" if how else "")
    if not math.isnan(found.rows_std_error):
        text += f" (with other rows of their kind: ± {found.rows_std_error:.2f} nats)"
    return text


def how_binarized(data: Data) -> str | None:
    """A description of how grey values became two-valued states."""
    if isinstance(data.encoding, AsIs | Threshold | Stochastic) and data.is_two_valued:
        return "binary as they are"
    match data.encoding:
        case Threshold():
            return f"thresholded at {data.encoding.level:g}"
        case Stochastic():
            return "binarised stochastically"
    return None
