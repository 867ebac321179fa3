"""``harmonium diagnose``: numbers, a page and advice about a run."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import Tensor

from harmonium import __version__, checkpoint, kernels, plots, report
from harmonium.cli import build, figures
from harmonium.cli.progress import choose_reporter, download_progress
from harmonium.cli.use import Trained, open_trained
from harmonium.datasets import Data
from harmonium.diagnostics import (
    Advice,
    Diagnosis,
    Distance,
    Findings,
    Mixing,
    Observable,
    Severity,
    Spectrum,
    diagnose,
    spectrum,
)
from harmonium.files import write_json, write_whole
from harmonium.report import Note, Picture, Table
from harmonium.rng import Purpose, Stream
from harmonium.runs import DIAGNOSIS_MARK

# Enough that their noise is far below a column's standard deviation: a hundredth of it.
_MOST_ROWS = 10_000
_SHOWN_CHAINS, _SHOWN_STATES = 10, 10
_SHOWN_FILTERS = 100
_ACTIVITY_ROWS = 200


def run(
    path: Path,
    *,
    n_sweeps: int,
    n_chains: int,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Diagnose a run; writes ``diagnosis.json`` and ``report.html`` into it."""
    began = time.monotonic()
    trained = open_trained(path, device)
    trained.run.check_replaceable()
    with download_progress() as progress:
        train, held_out = build.load_data(trained.options, progress)
    build.refuse_other_data(trained.run, train, held_out)
    rows = trained.run.rows()
    reporter = choose_reporter(as_json)
    where = "" if trained.update is None else f" after update {trained.update:,}"
    reporter.say(
        f"{path}: {trained.rbm!r}{where}; {n_chains:,} chains from data and from random states, "
        f"{n_sweeps:,} sweeps, of which half are warm-up"
    )
    some = _some_rows(trained, train, seed)
    diagnosis = diagnose(
        trained.rbm,
        some,
        None if held_out is None else _some_rows(trained, held_out, seed),
        n_sweeps=n_sweeps,
        n_chains=n_chains,
        seed=seed,
        n_rows=len(train),
        n_training_chains=None if trained.chains is None else len(trained.chains),
        batch_size=trained.options.batch_size,
        update_ratio=next((x["update_ratio"] for x in rows[::-1] if "update_ratio" in x), None),
    )
    spectra = list(_spectra(trained))
    bounds = _bounds(trained)
    tables = [*_tables(diagnosis.findings), _spectrum_table(spectra)]
    if bounds:
        tables.append(_bounds_table(bounds))
    seconds = time.monotonic() - began
    content = _as_json(diagnosis, spectra) | {
        "log_likelihood": {name: list(pair) for name, pair in bounds.items()},
        "update": trained.update,
        "seed": seed,
        "seconds": round(seconds, 1),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "harmonium": __version__,
    }
    page = report.page(
        f"{path.name}: diagnosis of a restricted Boltzmann machine",
        f"{trained.rbm!r}{where}, {len(train):,} training rows of {train.name}. Made by "
        f"`harmonium diagnose {quote(str(path))}` at {content['created']}.",
        _notes(diagnosis.advice),
        tables,
        list(_pictures(trained, diagnosis, spectra, some)),
    )
    write_json(trained.run.diagnosis_path, content)
    write_whole(trained.run.report_path, page.encode())
    for table in tables:
        for line in _lines(table):
            reporter.say(line)
    for advice in diagnosis.advice:
        reporter.say(f"\n{advice.severity}: {advice}")
    if not diagnosis.advice:
        reporter.say(f"\n{_ALL_WELL}")
    reporter.say(f"\npage      {trained.run.report_path}")
    reporter.say(f"numbers   {trained.run.diagnosis_path}")
    reporter.finish(content | {"report": str(trained.run.report_path)})


_ALL_WELL = "Nothing stands out: the chains mix, they are like the data, and the hidden units work."


def _some_rows(trained: Trained, data: Data, seed: int) -> Tensor:
    """States of at most so many rows of the data, chosen at random."""
    chosen = kernels.permutation(len(data), Stream(seed, Purpose.DIAGNOSE, rank=1))[:_MOST_ROWS]
    encoding = Stream(trained.options.seed, Purpose.ENCODE, rank=4)
    return data.rows(chosen, encoding).to(trained.device)


def _spectra(trained: Trained) -> Iterator[Spectrum]:
    """Of every checkpoint that the run has kept, or else of its model."""
    kept = trained.run.checkpoints()
    for path in kept:
        yield spectrum(checkpoint.load(path).model.weights, trained.run.update_of(path))
    if not kept:
        yield spectrum(trained.rbm.weights)


def _bounds(trained: Trained) -> dict[str, tuple[float, float]]:
    """Lower and upper bounds that `harmonium evaluate` found of this model, nats a row, by data.

    A file that holds something else is none of this command's business.
    """
    try:
        content = json.loads(trained.run.likelihood_path.read_text(encoding="utf-8"))
        results = content["results"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return {
        name: (float(of["lower"]), float(of["upper"]))
        for name, of in results
        if isinstance(of, dict) and of.get("update") == trained.update
        if all(isinstance(of.get(side), int | float) for side in ("lower", "upper"))
    }


def _as_json(diagnosis: Diagnosis, spectra: list[Spectrum]) -> dict[str, Any]:
    """Everything measured; null stands for what is infinite or not known."""
    findings = _finite_or_none(dataclasses.asdict(diagnosis.findings))
    return {
        "kind": DIAGNOSIS_MARK,
        "advice": [dataclasses.asdict(advice) for advice in diagnosis.advice],
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


def _notes(advice: list[Advice]) -> list[Note]:
    if not advice:
        return [Note("No advice", _ALL_WELL)]
    return [
        Note(
            _sentence(one.finding),
            f"{_sentence(one.reason)} {_sentence(one.remedy)}",
            "serious" if one.severity is Severity.SERIOUS else str(one.severity),
        )
        for one in advice
    ]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# Tables, for the terminal and the page


def _tables(findings: Findings) -> Iterator[Table]:
    if findings.mixing is not None:
        yield _mixing_table(findings.mixing)
    if findings.moments is not None:
        header = ("moments", "difference (rms)", "noise alone", "beyond noise")
        rows = [_moment_row("means", findings.moments.means, "standard deviations")]
        if findings.moments.covariances is not None:
            rows.append(_moment_row("covariances", findings.moments.covariances, "of their size"))
        yield Table("Chains beside the data", header, rows)
    yield Table("Model and training", ("", ""), list(_facts(findings)))


def _mixing_table(mixing: Mixing) -> Table:
    names = ["energy", "visible magnetisation", "hidden magnetisation"]
    rows = []
    for name in dict.fromkeys([*names, mixing.slowest, mixing.most_apart]):
        if name in mixing.observables:
            of = mixing.observables[name]
            most = "" if of.is_resolved else "at most "
            samples = f"{most}{of.effective_sample_size:,.0f}"
            rows.append((name, _time(of, mixing.sweeps_per_record), samples, f"{of.r_hat:.3f}"))
    header = ("observable", "autocorrelation time, sweeps", "effective samples", "R-hat")
    return Table(f"Chains: {mixing.n_chains:,}, {mixing.n_sweeps:,} sweeps", header, rows)


def _time(observable: Observable, spacing: int) -> str:
    if not observable.is_resolved:
        return f"at least {_readable(observable.autocorrelation_time)}"
    if observable.autocorrelation_time < 2 * spacing:  # records are too far apart to see less
        return f"at most {_readable(observable.autocorrelation_time)}"
    return f"{_readable(observable.autocorrelation_time)} ± {_readable(observable.std_error)}"


def _readable(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _facts(findings: Findings) -> Iterator[tuple[str, str]]:
    """What fits into a line each, and why the rest was not measured."""
    if findings.hidden is not None:
        hidden = findings.hidden
        yield (
            "hidden units",
            f"{hidden.n:,}: {hidden.n_dead:,} dead, {hidden.n_saturated:,} saturated, "
            f"{hidden.n_duplicates:,} copies",
        )
    if findings.overfitting is not None:
        gap = findings.overfitting
        yield "free energy, training − held-out", f"{gap.gap:.2f} ± {gap.std_error:.2g} nats"
        yield (
            "training row told from held-out row",
            f"{100 * gap.told_apart:.1f} ± {100 * gap.told_apart_std_error:.1f} % of pairs "
            "(guessing: 50)",
        )
    if findings.update_ratio is not None:
        yield "last update ÷ weights", f"{findings.update_ratio:.2g}"
    names = {"hidden": "hidden units", "mixing": "chains", "update_ratio": "last update ÷ weights"}
    for what, why in findings.not_measured.items():
        yield names.get(what, what), f"not measured: {why}"


def _moment_row(name: str, distance: Distance, unit: str) -> tuple[str, str, str, str]:
    beyond = "no scale" if math.isnan(distance.excess) else f"{distance.excess:.3f} {unit}"
    return name, f"{distance.rms:.2g}", f"{distance.noise:.2g}", beyond


def _spectrum_table(spectra: list[Spectrum]) -> Table:
    shown = spectra if len(spectra) <= 5 else [spectra[0], *spectra[-4:]]
    rows = [
        (f"{of.update:,}", f"{of.values[0].item():.3g}", f"{of.effective_rank:.1f}") for of in shown
    ]
    return Table(
        "Weights", ("after update", "largest singular value", "effective number of them"), rows
    )


def _bounds_table(bounds: dict[str, tuple[float, float]]) -> Table:
    """The bounds, and how far training rows are above the others by them."""
    rows = [(name, f"{lower:.2f} … {upper:.2f}") for name, (lower, upper) in bounds.items()]
    train = next((name for name in bounds if name.endswith(":train")), None)
    if train is not None:
        rows += [
            (
                f"{train} − {name}",
                f"{bounds[train][0] - upper:.2f} … {bounds[train][1] - lower:.2f}",
            )
            for name, (lower, upper) in bounds.items()
            if name != train
        ]
    return Table("Log-likelihood by harmonium evaluate", ("rows", "nats a row"), rows)


def _lines(table: Table) -> Iterator[str]:
    cells = [row for row in (table.header, *table.rows) if any(row)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    yield f"\n{table.title}"
    for row in cells:
        yield "  " + "  ".join(f"{cell:{n}}" for cell, n in zip(row, widths, strict=True)).rstrip()


# Pictures


def _pictures(
    trained: Trained, diagnosis: Diagnosis, spectra: list[Spectrum], rows: Tensor
) -> Iterator[Picture]:
    rbm = trained.rbm
    image_shape = figures.picture_shape(rbm, trained.image_shape)
    mixing, recording = diagnosis.findings.mixing, diagnosis.recording
    if mixing is not None and recording is not None:
        names = ["energy", "visible magnetisation", "hidden magnetisation", mixing.slowest]
        functions = {
            name: diagnosis.autocorrelations[name].function
            for name in dict.fromkeys(names)
            if name in diagnosis.autocorrelations
        }
        ax = plots.autocorrelation(functions, sweeps_per_lag=recording.sweeps_per_record)
        yield Picture(
            "Autocorrelation of the chains",
            "A curve that stays up to the end belongs to something that the chains did not change "
            "while they were watched.",
            plots.png(ax),
        )
    if diagnosis.data is not None and diagnosis.chains is not None:
        data, chains = diagnosis.data, diagnosis.chains
        figure = plots.moments(data.mean, chains.mean, data.covariance, chains.covariance)
        yield Picture(
            "Means and covariances of the chains against those of the data",
            "On the line, the model has learned them; a flat cloud has not.",
            plots.png(figure),
        )
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
        yield Picture(
            "States of some chains over time",
            "A row a chain: the upper half started at data, the lower half at random. Rows that "
            "keep their kind of picture do not mix.",
            plots.png(plots.samples(states, image_shape, sweeps_per_sample=apart)),
        )
    yield Picture(
        "Singular values of the weights",
        "What has risen out of the noise is what the model has learned.",
        plots.png(plots.singular_values({of.update: of.values for of in spectra})),
    )
    if trained.run.rows():
        yield Picture(
            "Learning curves",
            "The training, as it was watched.",
            plots.png(plots.learning_curves(trained.run.rows())),
        )
    yield Picture(
        "Filters",
        "The weights of the first hidden units.",
        plots.png(plots.filters(rbm.weights.detach().cpu(), image_shape, n=_SHOWN_FILTERS)),
    )
    activity = rbm.mean_h_from_v(rows[:_ACTIVITY_ROWS]).detach().cpu()
    yield Picture(
        "Activity of the hidden units",
        "A dark column at the left is a dead unit, a bright one at the right a saturated one.",
        plots.png(plots.hidden_activity(activity)),
    )
