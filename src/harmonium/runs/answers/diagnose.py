"""The diagnosis of a run: numbers, advice, pictures and a section of its page."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from harmonium import __version__, checkpoint, diagnostics, plots, report
from harmonium.datasets import Data, WeightedRows
from harmonium.datasets.weighing import some_rows, weights_of
from harmonium.diagnostics import Advice, Diagnosis, Spectrum, spectrum
from harmonium.files import write_json, write_whole
from harmonium.missing_states import completed_rows
from harmonium.rng import Lane
from harmonium.run_directory import DIAGNOSIS_MARK, RunDirectory
from harmonium.runs import run_data
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options import DiagnosisOptions
from harmonium.runs.answers.trained import Trained, open_trained
from harmonium.runs.following import write_page
from harmonium.runs.pictures import figures

# Enough that their noise is a hundredth of a column's standard deviation.
_MOST_ROWS = 10_000
_SHOWN_CHAINS, _SHOWN_STATES = 10, 10


@dataclass(frozen=True, repr=False)
class Diagnosed(Answer):
    """What a diagnosis found.

    Attributes
    ----------
    diagnosis
        The measurements.
    advice
        What would help; empty if all is well.
    content
        The content of ``diagnosis.json``.
    path, page
        That file, and the page of the run, which shows it.
    """

    diagnosis: Diagnosis
    advice: Sequence[Advice]
    content: Mapping[str, Any]
    path: Path
    page: Path

    def as_dict(self) -> dict[str, Any]:
        """The content of the file, and where the page is."""
        return {**self.content, "report": str(self.page)}


def diagnose(asked: Asked, options: DiagnosisOptions) -> Diagnosed:
    """Diagnose a run; writes ``diagnosis.json``, pictures, and the run's page.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run or model, its data have changed, or a file is not ours; before
        anything is written.
    """
    began = time.monotonic()
    trained = open_trained(asked)
    run, rbm = trained.run, trained.rbm
    run.check_replaceable()
    with asked.reporter.downloads() as progress:
        train, held_out = run_data.load_data(trained.options, progress, trained.known)
    run_data.refuse_other_data(run, train, held_out)
    rows, seed = run.rows(), options.seed
    where = "" if trained.update is None else f" after update {trained.update:,}"
    asked.reporter.say(
        f"{run.path}: {rbm!r}{where}; {options.chains:,} chains from data and from random "
        f"states, {options.sweeps:,} sweeps, of which half are warm-up"
    )
    if train.mask is not None:
        asked.reporter.say(
            f"{train.mask.n_missing:,} missing values of the data are drawn by the model, so that "
            "moments of the data lean towards its own"
        )
    some = _some_rows(trained, train, seed)
    diagnosis = diagnostics.diagnose(
        rbm,
        some,
        None if held_out is None else _some_rows(trained, held_out, seed),
        n_sweeps=options.sweeps,
        n_chains=options.chains,
        seed=seed,
        n_rows=len(train),
        n_training_chains=None if trained.chains is None else len(trained.chains),
        batch_size=trained.options.batch_size,
        has_grey_values=rbm.visible.low_state is not None and not train.is_two_valued,
        update_ratio=next((x["update_ratio"] for x in rows[::-1] if "update_ratio" in x), None),
    )
    spectra = list(_spectra(trained))
    bounds = _bounds(trained)
    words = asked.reporter.words
    advice = [dataclasses.replace(one, remedy=words(one.remedy)) for one in diagnosis.advice]
    seconds = time.monotonic() - began
    content = _as_json(diagnosis, advice, spectra) | {
        "completed_values": 0 if train.mask is None else train.mask.n_missing,
        "log_likelihood": {name: list(pair) for name, pair in bounds.items()},
        "update": trained.update,
        "seed": seed,
        "seconds": round(seconds, 1),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "harmonium": __version__,
    }
    _write_pictures(run, dict(_pictures(trained, diagnosis, spectra)))
    write_json(run.diagnosis_path, content)
    page = write_page(run, asked.reporter)
    return Diagnosed(diagnosis, advice, content, run.diagnosis_path, page)


def _some_rows(trained: Trained, data: Data, seed: int) -> WeightedRows:
    """At most this many rows of the data, chosen at random; the model draws what is missing."""
    chosen = some_rows(data, _MOST_ROWS, Lane.DIAGNOSED_ROWS.stream(seed))
    encoding = Lane.DIAGNOSED.stream(trained.options.seed)
    states = completed_rows(trained.rbm, data, chosen.to(data.device), encoding)
    return WeightedRows(states, weights_of(data, chosen)).to(trained.rbm.weights)


def _spectra(trained: Trained) -> Iterator[Spectrum]:
    """Of every checkpoint of the run, or of its model if there is none."""
    kept = trained.run.checkpoints()
    for path in kept:
        yield spectrum(checkpoint.load(path).model.weights, trained.run.update_of(path))
    if not kept:
        yield spectrum(trained.rbm.weights)


def _bounds(trained: Trained) -> dict[str, tuple[float | None, float]]:
    """Lower and upper bounds from `harmonium evaluate` for this model, nats per row, by data set.

    The lower bound is None if there is none. A file with other content is ignored.
    """
    try:
        content = json.loads(trained.run.likelihood_path.read_text(encoding="utf-8"))
        results = content["results"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    found: dict[str, tuple[float | None, float]] = {}
    for name, of in results:
        if not isinstance(of, dict) or of.get("update") != trained.update:
            continue
        lower, upper = of.get("lower"), of.get("upper")
        if isinstance(upper, int | float):
            if isinstance(lower, int | float):
                found[name] = float(lower), float(upper)
            elif of.get("trusted") is False:
                found[name] = None, float(upper)
    return found


def _as_json(diagnosis: Diagnosis, advice: list[Advice], spectra: list[Spectrum]) -> dict[str, Any]:
    """All measurements; null stands for infinite or unknown values."""
    findings = _finite_or_none(dataclasses.asdict(diagnosis.findings))
    return {
        "kind": DIAGNOSIS_MARK,
        "advice": [dataclasses.asdict(one) for one in advice],
        "findings": findings,
        "weights": [
            {
                "update": of.update,
                "effective_rank": of.effective_rank,
                "singular_values": of.values.tolist(),
            }
            for of in spectra
        ],
    }


def _finite_or_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite_or_none(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Pictures


def _write_pictures(run: RunDirectory, pictures: Mapping[str, bytes]) -> None:
    """Write pictures under their names in `report.diagnosis.PICTURES`; earlier ones are removed."""
    for name in report.diagnosis.PICTURES:
        path = run.diagnosis_picture(name)
        if name in pictures:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, pictures[name])
        else:
            path.unlink(missing_ok=True)


def _pictures(
    trained: Trained, diagnosis: Diagnosis, spectra: list[Spectrum]
) -> Iterator[tuple[str, bytes]]:
    mixing, recording = diagnosis.findings.mixing, diagnosis.recording
    if mixing is not None and recording is not None:
        names = ["energy", "visible magnetisation", "hidden magnetisation", mixing.slowest]
        functions = {
            name: diagnosis.autocorrelations[name].function
            for name in dict.fromkeys(names)
            if name in diagnosis.autocorrelations
        }
        ax = plots.autocorrelation(functions, sweeps_per_lag=recording.sweeps_per_record)
        yield "autocorrelation", plots.png(ax)
    if diagnosis.data is not None and diagnosis.chains is not None:
        data, chains = diagnosis.data, diagnosis.chains
        figure = plots.moments(data.mean, chains.mean, data.covariance, chains.covariance)
        yield "moments", plots.png(figure)
    if recording is not None:
        n_chains = recording.states.shape[0]
        chosen = torch.linspace(0, n_chains - 1, min(n_chains, _SHOWN_CHAINS)).long()
        n_kept = recording.states.shape[1]
        when = torch.linspace(0, n_kept - 1, min(n_kept, _SHOWN_STATES)).long()
        n_sweeps = (len(next(iter(recording.series.values()))[0]) - 1) * recording.sweeps_per_record
        states = figures.in_users_units(
            recording.states[chosen][:, when].cpu(), trained.encoding.to("cpu")
        )
        apart = max(1, round(n_sweeps / max(1, len(when) - 1)))
        shape = figures.picture_shape(trained.rbm, trained.image_shape)
        yield "states", plots.png(plots.samples(states, shape, sweeps_per_sample=apart))
    values = {of.update: of.values for of in spectra}
    yield "singular-values", plots.png(plots.singular_values(values))
