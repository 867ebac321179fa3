"""Results of ``harmonium diagnose``, from its file: tables, advice and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from harmonium.report.facts import Facts
from harmonium.report.pieces import Note, Picture, Section, Table, sentence
from harmonium.report.words import readings
from harmonium.run_directory import DIAGNOSIS_MARK

ALL_WELL = "Nothing stands out: the chains mix, they are like the data, and the hidden units work."

PICTURES = {
    "autocorrelation": (
        "Autocorrelation of the chains",
        "A curve that stays up to the end belongs to a quantity that the chains did not change "
        "during the measurement.",
    ),
    "moments": (
        "Means and covariances of the chains against those of the data",
        "Points on the line have been learned by the model; a flat cloud has not.",
    ),
    "states": (
        "States of some chains over time",
        "One row per chain: the upper half started at data, the lower half at random. Rows that "
        "keep showing the same kind of picture do not mix.",
    ),
    "singular-values": (
        "Singular values of the weights",
        "Values above the noise are what the model has learned.",
    ),
}
"""The pictures of a diagnosis, in ``figures/diagnosis/NAME.png``."""

Content = Mapping[str, Any]


def section(facts: Facts) -> Section:
    """The diagnosis of a run in words; without one, notes from its rows of numbers."""
    content = facts.json(facts.run.diagnosis_path)
    shown: dict[str, Any]
    if content is None or content.get("kind") != DIAGNOSIS_MARK:
        shown = {"measured": None, "notes": readings(facts)}
    else:
        pictures = [
            Picture(title, caption, path.read_bytes())
            for name, (title, caption) in PICTURES.items()
            if (path := facts.run.diagnosis_picture(name)).is_file()
        ]
        shown = {"measured": content, "notes": notes_of(content)}
        shown |= {"tables": tables(content), "pictures": pictures}
    return Section("diagnosis", "Diagnosis", "diagnosis", {"facts": facts, **shown})


def notes_of(content: Content) -> list[Note]:
    """The advice, most serious first; if there is none, one note that all is well."""
    if not content["advice"]:
        return [Note("No advice", ALL_WELL)]
    return [
        Note(
            sentence(one["finding"]),
            f"{sentence(one['reason'])} {sentence(one['remedy'])}",
            one["severity"],
        )
        for one in content["advice"]
    ]


def tables(content: Content) -> Iterator[Table]:
    """All measurements, for the terminal and for a page."""
    findings = content["findings"]
    if findings["mixing"] is not None:
        yield _mixing(findings["mixing"])
    moments = findings["moments"]
    if moments is not None:
        rows = [_moment("means", moments["means"], "standard deviations")]
        if moments["covariances"] is not None:
            rows.append(_moment("covariances", moments["covariances"], "of their size"))
        header = ("moments", "difference (rms)", "noise alone", "beyond noise")
        drawn = ", whose missing values the model has drawn" * bool(content.get("completed_values"))
        yield Table(f"Chains beside the data{drawn}", header, rows)
    yield Table("Model and training", ("", ""), list(_facts(findings)))
    yield _spectra(content["weights"])
    if content["log_likelihood"]:
        yield _bounds(content["log_likelihood"])


def _mixing(mixing: Content) -> Table:
    observables = mixing["observables"]
    slowest = max(observables, key=lambda name: _size(observables[name]["autocorrelation_time"]))
    most_apart = max(observables, key=lambda name: _size(observables[name]["r_hat"]))
    names = ["energy", "visible magnetisation", "hidden magnetisation", slowest, most_apart]
    rows = []
    for name in dict.fromkeys(names):
        if name in observables:
            of = observables[name]
            most = "" if of["is_resolved"] else "at most "
            r_hat = "infinite" if of["r_hat"] is None else f"{of['r_hat']:.3f}"
            samples = f"{most}{of['effective_sample_size']:,.0f}"
            rows.append((name, _time(of, mixing["sweeps_per_record"]), samples, r_hat))
    header = ("observable", "autocorrelation time, sweeps", "effective samples", "R-hat")
    return Table(f"Chains: {mixing['n_chains']:,}, {mixing['n_sweeps']:,} sweeps", header, rows)


def _size(value: float | None) -> float:
    """JSON has no value for infinity."""
    return math.inf if value is None else value


def _time(observable: Content, spacing: int) -> str:
    time = observable["autocorrelation_time"]
    if not observable["is_resolved"]:
        return f"at least {_readable(time)}"
    if time < 2 * spacing:  # records are too far apart to resolve less
        return f"at most {_readable(time)}"
    return f"{_readable(time)} ± {_readable(observable['std_error'])}"


def _readable(value: float | None) -> str:
    if value is None:
        return "infinite"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _moment(name: str, distance: Content, unit: str) -> tuple[str, str, str, str]:
    rms, noise, scale = distance["rms"], distance["noise"], distance["scale"]
    beyond = "no scale"
    if scale:
        beyond = f"{math.sqrt(max(0.0, rms**2 - noise**2)) / scale:.3f} {unit}"
    return name, f"{rms:.2g}", f"{noise:.2g}", beyond


def _facts(findings: Content) -> Iterator[tuple[str, str]]:
    """One-line results, and the reasons why others were not measured."""
    hidden, gap = findings["hidden"], findings["overfitting"]
    if hidden is not None:
        yield (
            "hidden units",
            f"{hidden['n']:,}: {hidden['n_dead']:,} dead, {hidden['n_saturated']:,} saturated, "
            f"{hidden['n_duplicates']:,} copies",
        )
    if gap is not None:
        error = gap["std_error"]
        yield "free energy, training − held-out", f"{gap['gap']:.2f} ± {_readable(error)} nats"
        yield (
            "training row told from held-out row",
            f"{100 * gap['told_apart']:.1f} ± {100 * gap['told_apart_std_error']:.1f} % of pairs "
            "(guessing: 50)",
        )
    if findings["update_ratio"] is not None:
        yield "last update ÷ weights", f"{findings['update_ratio']:.2g}"
    names = {"hidden": "hidden units", "mixing": "chains", "update_ratio": "last update ÷ weights"}
    for what, why in findings["not_measured"].items():
        yield names.get(what, what), f"not measured: {why}"


def _spectra(weights: list[Content]) -> Table:
    shown = weights if len(weights) <= 5 else [weights[0], *weights[-4:]]
    rows = [
        (
            f"{of['update']:,}",
            f"{of['singular_values'][0]:.3g}",
            f"{of['effective_rank']:.1f}",
        )
        for of in shown
    ]
    return Table(
        "Weights", ("after update", "largest singular value", "effective number of them"), rows
    )


def _bounds(bounds: Mapping[str, tuple[float | None, float]]) -> Table:
    """The bounds, and the lead of training rows over other rows according to them."""
    rows, whole = [], {}
    for name, (lower, upper) in bounds.items():
        if lower is None:
            rows.append((name, f"at most {upper:.2f}: the estimates do not agree"))
        else:
            whole[name] = lower, upper
            both = f"{lower:.2f} … {upper:.2f}" if lower < upper else f"{upper:.2f}"
            rows.append((name, both))
    train = next((name for name in whole if name.endswith(":train")), None)
    if train is not None:
        rows += [
            (
                f"{train} − {name}",
                f"{whole[train][0] - upper:.2f} … {whole[train][1] - lower:.2f}",
            )
            for name, (lower, upper) in whole.items()
            if name != train
        ]
    return Table("Log-likelihood by harmonium evaluate", ("rows", "nats a row"), rows)
