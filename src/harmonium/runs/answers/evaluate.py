"""The log-likelihood of test rows, exact or as an interval."""

from __future__ import annotations

import dataclasses
import time
from contextlib import nullcontext
from pathlib import Path

import torch

from harmonium import datasets, defaults, likelihood, ranks
from harmonium.datasets import (
    AsIs,
    Data,
    MaskedRows,
    Scaled,
    Stochastic,
    Threshold,
    WeightedRows,
    mapped,
)
from harmonium.datasets.weighing import some_rows, weights_of
from harmonium.files import write_json
from harmonium.imputation import complete_rows, of_observed
from harmonium.likelihood import Evaluation, LogLikelihood
from harmonium.rng import Lane
from harmonium.run_directory import REPORT_MARK, kinds, refuse_foreign
from harmonium.runs import run_data, sharing, weighting
from harmonium.runs.answers import topics
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.evaluations import (
    FORMAT,
    Evaluated,
    KeptWork,
    described,
    keep_row_values,
    part_of,
    refuse_more,
    results_in,
)
from harmonium.runs.answers.options import EvaluationOptions
from harmonium.runs.answers.trained import Trained, open_trained
from harmonium.runs.encoding import Known
from harmonium.runs.following import write_page
from harmonium.runs.options import TrainingOptions
from harmonium.runs.reporting import Reporter
from harmonium.runs.rows import (
    KEPT_SUFFIX,
    NO_WEIGHTS,
    SIMILARITY,
    ReadingOptions,
    WeightingOptions,
)
from harmonium.serialization import digest

_BLOCK = 1000  # rows encoded at a time
_MOST_ON_DISK = 100_000  # rows of larger files, unless the user says how many
_SWEEPS = 64  # that complete rows whose missing values are summed out afterwards


def evaluate(asked: Asked, options: EvaluationOptions, reading: ReadingOptions) -> Evaluated:
    """Evaluate the model of a run; writes ``likelihood.json`` and updates the run's page.

    Of a topic model it is the perplexity of documents, in ``perplexity.json``.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model or row, or a file is not ours; before anything is written.
    """
    if asked.run.kind is kinds.TOPICS:
        return topics.evaluate(asked, options, reading)
    seconds = options.seconds
    with sharing.beginning() if ranks.size() > 1 else nullcontext():
        trained = open_trained(asked)
        run, rbm = trained.run, trained.rbm
        refuse_foreign(run.report_path, REPORT_MARK)
        results = results_in(run.likelihood_path)
        train, data = _load(trained, options, reading)
        _refuse_models_of_rows(trained, data)
        weighting.keep(_weighting(options, trained.options), run.path / weighting.NAME, data)
        rows, holes, drawn_from = _rows(trained, data, options.rows, options.seed)
    if ranks.size() > 1:
        seen = digest({**rbm.state_dict(), "rows": rows.states}, "")
        sharing.check_alike({"data": {"fingerprint": seen}, "options": vars(options)})
    began = time.monotonic()
    evaluation = likelihood.evaluate(
        rbm,
        rows,
        train,
        n_chains=options.chains,
        n_temperatures=options.temperatures,
        seed=options.seed,
        budget=seconds,
    )
    kept = None
    if evaluation.work is not None:
        kept = KeptWork(run.evaluation_path, rbm, rows.states, options.chains, options.seed)
        if seconds is not None:
            kept.take_up_(evaluation.work)
    found = _watch(evaluation, kept, asked.reporter)
    if holes is not None:
        found = of_observed(found, rbm, holes, rows.states, weights=rows.weights, seed=options.seed)
    results[data.name] = result = {
        **described(found),
        "warnings": [asked.reporter.words(reason).replace("`", "") for reason in found.reasons],
        "data": data.name,
        "drawn_from": drawn_from,
        # a row's own value is known where nothing is missing
        "rows_digest": None if holes else keep_row_values(run.row_values_path, rbm, rows),
        "binarized": how_binarized(data),
        "sites": None if data.alphabet is None else data.values.shape[1],
        "weights": None if data.weights is None else _how_weighted(options, trained.options),
        "seed": options.seed,
        "update": trained.update,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(run.likelihood_path, {"format": FORMAT, "results": results})
    return Evaluated(found, result, run.likelihood_path, write_page(run, asked.reporter))


def _load(trained: Trained, said: EvaluationOptions, reading: ReadingOptions) -> tuple[Data, Data]:
    """Training rows, for the base of the annealing, and rows to evaluate, both as states."""
    options, split = trained.options, said.split
    known: Known | None = trained.known
    if said.binarize is not None:
        # rows are where they were in training, so that the same ones are held out
        on_disk = bool(options.on_disk)
        options = dataclasses.replace(options, binarize=said.binarize, on_disk=on_disk)
        known = None
    with trained.reporter.downloads() as progress:
        if run_data.is_run(options.data):
            train, held_out = run_data.load_data(options, progress)
            whole = train
        else:
            whole = run_data.read_data(options, progress, known)
            train, held_out = run_data.split_data(options, whole, known)
    there = {"test": whole.part("test") if "test" in whole.parts else None}
    there |= {"held-out": held_out, "train": train}
    if said.data is not None:
        data = trained.data(said.data, reading, said.weights_file)
    else:
        _, rows = part_of(there, split, whole.name, "rows")
        data = trained.checked(rows)
        if said.weights_file is not None:
            data = datasets.weighed_by_file(data, Path(said.weights_file).expanduser())
    kept = trained.run.path / weighting.NAME
    data = weighting.weigh(_weighting(said, trained.options), data, kept)
    encoding = train.encoding
    states = all(d.is_two_valued for d in (train, data))
    if trained.rbm.visible.low_state == 0 and (
        isinstance(encoding, Scaled) or (isinstance(encoding, AsIs) and not states)
    ):
        # likelihoods are defined for states, even if training used grey values
        encoding = train.binarize(defaults.THRESHOLD).encoding
    train, data = (d.with_encoding(encoding).to(trained.device) for d in (train, data))
    return train, data


def _refuse_models_of_rows(trained: Trained, data: Data) -> None:
    """Reject rows with holes that the run takes for rows of models of their own.

    A row without a hole has all columns, and so the model of all columns is its own.
    """
    if trained.options.missing != "observed" or data.mask is None:
        return
    raise ValueError(
        f"{trained.run.path} was trained with `missing='observed'`, where each row has a model of "
        f"its observed columns alone, and {data.mask.n_incomplete:,} of {len(data):,} rows of "
        f"{data.name} have missing values: no one model gives their likelihoods; pass whole rows "
        "as `data`, or train with `missing='random'`"
    )


def _weighting(said: EvaluationOptions, of_run: WeightingOptions) -> WeightingOptions:
    """How rows are weighed: as those of training, unless the user says otherwise.

    A file of weights is about the rows that it was given with.
    """
    if said.weights is not None or said.identity is not None:
        of_run = WeightingOptions(of_run.weights, said.identity or of_run.identity)
        weights = said.weights or (None if of_run.weights_file else of_run.weights)
        identity = of_run.identity if weights in (None, SIMILARITY) else None
        return WeightingOptions(weights, identity)
    if said.data is not None and of_run.weights_file is not None:
        return WeightingOptions(NO_WEIGHTS)
    return WeightingOptions(of_run.weights, of_run.identity)


def _how_weighted(said: EvaluationOptions, of_run: TrainingOptions) -> str:
    how = _weighting(said, of_run)
    if how.weights is None and said.data is None and of_run.data.endswith(KEPT_SUFFIX):
        return "those of the data"
    return SIMILARITY if how.weights_file is None else how.weights_file


def _rows(
    trained: Trained, data: Data, n_rows: int | None, seed: int
) -> tuple[WeightedRows, MaskedRows | None, int | None]:
    """All rows, or a random subset; completed if values are missing, and then as they are, too.

    The last one is the number of rows from which a subset was drawn; None for all rows.
    """
    device = data.values.device
    refuse_more(n_rows, len(data), data.name)
    if n_rows is None and mapped.is_large(data.values):
        n_rows = min(_MOST_ON_DISK, len(data))
    drawn_from = None if n_rows in (None, len(data)) else len(data)
    if n_rows is None:
        index = torch.arange(len(data), device=device)
    else:
        order = some_rows(data, n_rows, Lane.EVALUATED_ROWS.stream(seed))
        index = order.sort().values.to(device)
    # drawn with this command's seed: the same test rows for models trained with any seed
    stream = Lane.USED.stream(seed)
    weights = weights_of(data, index)
    if data.mask is None:
        states = torch.cat([data.rows(some, stream) for some in index.split(_BLOCK)])
        return WeightedRows(states, weights), None, drawn_from
    parts = [data.masked_rows(some, stream) for some in index.split(_BLOCK)]
    holes = MaskedRows(
        torch.cat([part.states for part in parts]), torch.cat([part.observed for part in parts])
    )
    completed = complete_rows(trained.rbm, holes, 1, _SWEEPS, Lane.IMPUTED.stream(seed))
    return WeightedRows(completed.draws[:, 0], weights), holes, drawn_from


def _watch(evaluation: Evaluation, kept: KeptWork | None, reporter: Reporter) -> LogLikelihood:
    """Run the evaluation, and tell a person who watches the interval so far."""
    known = evaluation.work and evaluation.work.estimates
    with reporter.following(evaluation.n_steps, 0, "evaluating") as shown:
        for done in ranks.each_together(evaluation):
            shown.update(done)
            work = evaluation.work
            if work is not None and work.estimates is not known:
                known = work.estimates
                if kept is not None:
                    kept.keep(work)
                if done < evaluation.n_steps:
                    shown.meanwhile(f"so far          {evaluation.so_far} a row")
    return evaluation.result()


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
