"""Which of several runs is the best, by how much and with what error, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations

from harmonium.metrics import PANELS, WARNING, is_trusted
from harmonium.report import likelihood
from harmonium.report.differences import rows_std_error
from harmonium.report.facts import Facts, data_name, evaluation_of
from harmonium.report.overfitting import SURE
from harmonium.report.pieces import minus

_NO_JUDGE = ("reconstruction_error",)
"""Numbers that can improve while a model gets worse."""


@dataclass(frozen=True)
class _Measured:
    """One number of a run: between two bounds, each with a standard error."""

    lower: float
    upper: float
    error: float


@dataclass(frozen=True)
class _Measure:
    """A number that all runs have.

    Attributes
    ----------
    name, unit
        As used in sentences.
    sign
        1 if more is better, −1 if less is better.
    scale
        Factor for display: 100 for fractions.
    of
        The values, by name of the run.
    pairs
        Standard errors of differences due to the choice of rows; on the same rows, most of the
        noise cancels. 0 if unknown.
    on
        What a difference refers to, as used in sentences.
    """

    name: str
    unit: str
    sign: int
    scale: float
    of: dict[str, _Measured]
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    on: str = ""


def sentence_of(named: Mapping[str, Facts]) -> str:
    """Which run is better and by how much, or why the runs cannot be ranked.

    Parameters
    ----------
    named
        Two or more runs, by name.
    """
    kinds = {facts.kind for facts in named.values()}
    if len(kinds) > 1:
        return (
            f"These runs cannot be ranked: they are of different kinds ({_listed(sorted(kinds))})."
        )
    if differ := _other_data(named):
        return f"These runs cannot be ranked: {differ}."
    measure = _measure_of(named)
    if measure is None:
        return _nothing_in_common(named)
    words = _ranked(measure, len(named))
    doubtful = [name for name, facts in named.items() if facts.rows and WARNING in facts.rows[-1]]
    if doubtful and measure.name.startswith("pseudo"):
        words += f" (The log-likelihood of {_listed(doubtful)} cannot be trusted.)"
    unbounded = [name for name, facts in named.items() if likelihood.without_lower_bound(facts)]
    if unbounded:
        words += f" (The log-likelihood of {_listed(unbounded)} has no lower bound.)"
    unfinished = [name for name, facts in named.items() if not facts.is_finished]
    if unfinished:
        is_or_are = "is" if len(unfinished) == 1 else "are"
        words += f" ({_listed(unfinished)} {is_or_are} not finished.)"
    return words


def _other_data(named: Mapping[str, Facts]) -> str:
    """Why numbers per row are not comparable; empty if they are."""
    data = {name: facts.config["data"] for name, facts in named.items()}
    if len({of["fingerprint"] for of in data.values()}) == 1:
        return ""
    sources = {_source(facts) for facts in named.values()}
    if len(sources) > 1:
        told = _listed([f"{name} from {data_name(facts.config)}" for name, facts in named.items()])
        return f"they learned from different data ({told})"
    shapes = {of["n_columns"] for of in data.values()}
    codes = {str({**of["encoding"], "mean": 0, "std": 0}) for of in data.values()}
    if len(shapes) > 1 or len(codes) > 1:
        return "their rows were made into states in different ways, so that nats differ in meaning"
    return ""


def _source(facts: Facts) -> str:
    """The source of the rows, as given in the run's options."""
    config = facts.config
    if facts.kind == "deep belief network":
        return str(config["layers"][0]["data"])
    if facts.kind == "fine-tuning":
        return str(config["bottom"]["data"])
    source = str(config["options"]["data"])
    return str((facts.run.path / source).resolve()) if source.startswith("../") else source


def _measure_of(named: Mapping[str, Facts]) -> _Measure | None:
    """The most informative number that all runs have."""
    return _by_likelihood(named) or _by_evaluation(named) or _by_rows(named)


def _by_likelihood(named: Mapping[str, Facts]) -> _Measure | None:
    found = {name: likelihood.results(facts) for name, facts in named.items()}
    for data in next(iter(found.values())):
        of = {name: results.get(data) for name, results in found.items()}
        first, *others = (one or {} for one in of.values())
        if None in of.values() or not all(likelihood.same_rows(first, one) for one in others):
            continue
        if any(one and one.get("update") not in (None, named[n].done) for n, one in of.items()):
            continue
        measured = {
            name: _Measured(one["lower"], one["upper"], _largest_error(one))
            for name, one in of.items()
            if one
        }
        pairs = {
            (a, b): rows_std_error(named[a], named[b], data) or 0.0
            for a, b in permutations(named, 2)
        }
        n = next(one["rows"] for one in of.values() if one)
        on = f", on the same {n:,} rows" if all(pairs.values()) else ""
        name = f"log-likelihood of {data}"
        return _Measure(name, "nats a row", 1, 1, measured, pairs, on)
    return None


def _largest_error(of: Mapping[str, object]) -> float:
    errors = [of.get("lower_std_error"), of.get("upper_std_error")]
    return max((float(e) for e in errors if isinstance(e, int | float)), default=0.0)


def _by_evaluation(named: Mapping[str, Facts]) -> _Measure | None:
    judged = {name: evaluation_of(facts) for name, facts in named.items()}
    if any(of is None or "error" not in of for of in judged.values()):
        return None
    measured = {}
    for name, of in judged.items():
        assert of is not None
        share, n = of["error"], of["n_rows"]
        measured[name] = _Measured(share, share, math.sqrt(max(share * (1 - share), 1 / n) / n))
    first = next(of for of in judged.values() if of)
    return _Measure(f"error on {first['rows']} rows", "points", -1, 100, measured)


def _by_rows(named: Mapping[str, Facts]) -> _Measure | None:
    lasts = {name: facts.rows[-1] if facts.rows else {} for name, facts in named.items()}
    for panel in PANELS:
        if panel.better is None:
            continue
        # held-out rows show how good a model is; training rows are used only if there are no others
        for curve in reversed(panel.curves):
            if curve.key in _NO_JUDGE or curve.key.removeprefix("held_out_") in _NO_JUDGE:
                continue
            if any(
                last.get(curve.key) is None or not is_trusted(last, curve.key)
                for last in lasts.values()
            ):
                continue
            where = "held-out rows" if curve.key.startswith("held_out") else "training rows"
            measured = {
                name: _Measured(
                    last[curve.key], last[curve.key], last.get(f"{curve.key}_std_error", 0.0)
                )
                for name, last in lasts.items()
            }
            name, unit, scale = f"{panel.name} of {where}", panel.unit, 1
            if panel.is_share:
                name, unit, scale = f"share of {where} taken for another class", "points", 100
            elif unit.startswith("nats"):
                unit = "nats a row"
            sign = 1 if panel.better == "more" else -1
            return _Measure(name, unit, sign, scale, measured)
    return None


def _ranked(measure: _Measure, n_runs: int) -> str:
    order = sorted(
        measure.of, key=lambda name: measure.sign * _middle(measure.of[name]), reverse=True
    )
    best, *others = order
    level = [name for name in others if not _is_better(measure, best, name)]
    if len(level) == len(others):
        gaps = _gap(measure, best, others[0] if len(others) == 1 else others[-1])
        who = _listed(order)
        return (
            f"{who} cannot be told apart by the {measure.name}: they differ by {gaps}{measure.on}."
        )
    if level:
        return (
            f"{_listed([best, *level])} are the best of {n_runs} runs, and cannot be told apart by "
            f"the {measure.name} ({_gap(measure, best, level[-1])} apart)."
        )
    second = others[0]
    more = "higher" if measure.sign > 0 else "lower"
    which = f"better than {second}" if len(others) == 1 else f"the best of {n_runs} runs"
    than = "" if len(others) == 1 else f" than that of {second}, the next"
    least = "at least " if _is_interval(measure, best, second) else ""
    ahead = f"{least}{_gap(measure, best, second)} {more}{than}"
    return f"{best} is {which}: its {measure.name} is {ahead}{measure.on}."


def _middle(of: _Measured) -> float:
    return (of.lower + of.upper) / 2


def _is_interval(measure: _Measure, *names: str) -> bool:
    return any(measure.of[name].lower < measure.of[name].upper for name in names)


def _differ(measure: _Measure, best: str, other: str) -> tuple[float, float]:
    """The smallest lead of the best run, and its standard error."""
    a, b = measure.of[best], measure.of[other]
    ahead = a.lower - b.upper if measure.sign > 0 else b.lower - a.upper
    return ahead, math.hypot(a.error, b.error, measure.pairs.get((best, other), 0.0))


def _is_better(measure: _Measure, best: str, other: str) -> bool:
    ahead, error = _differ(measure, best, other)
    return ahead > SURE * error


def _gap(measure: _Measure, best: str, other: str) -> str:
    """The difference between two runs, with its error."""
    ahead, error = _differ(measure, best, other)
    if ahead < 0:  # their bounds overlap
        ahead = abs(_middle(measure.of[best]) - _middle(measure.of[other]))
    size, std_error = measure.scale * abs(ahead), measure.scale * error
    # as many digits as the error justifies
    digits = max(2, 1 - math.floor(math.log10(std_error))) if std_error else 2 + (size < 1)
    told = f"{size:,.{digits}f}"
    with_error = f" ± {std_error:.{digits}f}" if std_error else ""
    return minus(f"{told}{with_error} {measure.unit}".strip())


def _has_models_of_rows(facts: Facts) -> bool:
    """Whether each row of the run has a model of its own, of what was observed of it."""
    assumed = facts.config.get("options", {}).get("missing")
    return assumed == "observed" and bool(facts.config.get("data", {}).get("missing"))


def _nothing_in_common(named: Mapping[str, Facts]) -> str:
    if all(facts.kind == "deep belief network" for facts in named.values()):
        return (
            "Deep belief networks have no number of their own by which they could be ranked; "
            "compare their layers, or what `harmonium dbn finetune` makes of them."
        )
    if any(_has_models_of_rows(facts) for facts in named.values()):
        return (
            "These runs cannot be ranked: they share no number but the reconstruction error, which "
            "can fall while a model gets worse. Where each row has a model of its observed "
            "columns, rows with missing values have no likelihood."
        )
    commands = _listed([f"`harmonium evaluate {facts.typed_path}`" for facts in named.values()])
    if all(facts.kind == "RBM" for facts in named.values()):
        return (
            "These runs cannot be ranked yet: they share no number but the reconstruction error, "
            f"which can fall while a model gets worse. Their likelihoods are found by {commands}."
        )
    return "These runs cannot be ranked: they share no number that says how good they are."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
