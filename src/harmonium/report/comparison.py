"""Comparison of several runs: curves, numbers, options that differ, likelihoods, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harmonium.metrics import PANELS, Panel, is_trusted
from harmonium.report import likelihood
from harmonium.report.curves import Series, charts
from harmonium.report.differences import RunDifference, differences
from harmonium.report.facts import Facts, data_name, duration, evaluation_of, written
from harmonium.report.pages import describe, options_of
from harmonium.report.pieces import Note, Page, Picture, Section, Table, minus, with_error
from harmonium.report.ranking import sentence_of

MOST_RUNS = 8
"""The number of distinguishable colours."""

_SHEETS = {
    "filters": "Filters",
    "chains": "Chains",
    "reconstructions": "Reconstructions",
    "samples": "Samples",
}


def check(runs: Sequence[Facts]) -> None:
    """Reject runs that cannot be compared.

    Raises
    ------
    ValueError
        If there are fewer than two runs or more than `MOST_RUNS`, if one is given twice, or if one
        has no numbers yet.
    """
    if len(runs) < 2:
        raise ValueError(
            f"there is one run, {runs[0].run.path}, and nothing beside it; pass two or more, or "
            f"take harmonium report {runs[0].typed_path}"
        )
    if len(runs) > MOST_RUNS:
        raise ValueError(
            f"{len(runs)} runs are more than can be told apart in one chart; pass {MOST_RUNS} or "
            "fewer"
        )
    seen: dict[Path, Path] = {}
    for facts in runs:
        path = facts.run.path
        former = seen.setdefault(path.resolve(), path)
        if former is not path:
            raise ValueError(f"{path} is there twice, also as {former}; leave one of them out")
    for facts in runs:
        if facts.kind != "deep belief network" and not facts.rows:
            raise ValueError(
                f"{facts.run.path} has no row of numbers yet, so there is nothing to compare; wait "
                "for its first one, or leave it out"
            )


def comparison_of(runs: Sequence[Facts]) -> Page:
    """The whole page; call `check` first."""
    names = _names(runs)
    named = dict(zip(names, runs, strict=True))
    sections = (
        _overview(named),
        _curves(named),
        _numbers(named),
        _likelihoods(named),
        _options(named),
        *_pictures(named),
    )
    shown = {
        "names": names,
        "verdict": verdict_of(runs),
        "sections": [section for section in sections if section is not None],
        "written": written(),
    }
    return Page("comparison", shown)


def verdict_of(runs: Sequence[Facts]) -> str:
    """Which of the runs is better and by how much, in one sentence."""
    return sentence_of(dict(zip(_names(runs), runs, strict=True)))


def differences_of(runs: Sequence[Facts]) -> list[RunDifference]:
    """The differences between runs, pair by pair."""
    return list(differences(dict(zip(_names(runs), runs, strict=True))))


def _names(runs: Sequence[Facts]) -> list[str]:
    """The names of the runs, or their paths if names would be the same."""
    names = [facts.name for facts in runs]
    return names if len(set(names)) == len(names) else [str(facts.run.path) for facts in runs]


def _overview(named: Mapping[str, Facts]) -> Section:
    runs = [(name, facts, describe(facts)) for name, facts in named.items()]
    shown = {"runs": runs, "notes": list(_incomparable(named))}
    return Section("runs", "The runs", "overview", shown)


def _incomparable(named: Mapping[str, Facts]) -> Iterator[Note]:
    """Notes on what is not comparable between the runs."""
    kinds = {name: facts.kind for name, facts in named.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        yield Note(
            "Runs of different kinds",
            f"{told}: a curve is drawn of those that have such a number.",
        )
    for name, facts in named.items():
        if facts.kind == "deep belief network":
            layers = " ".join(str(layer.run.path) for layer in facts.layers)
            yield Note(
                f"{name} has no curves of its own",
                f"Its layers have; compare them with `harmonium compare {layers}`.",
            )
    learned = {name: (data_name(facts.config), _visible(facts)) for name, facts in named.items()}
    if len(set(learned.values())) > 1:
        told = "; ".join(f"{name}: {data}, {units}" for name, (data, units) in learned.items())
        yield Note(
            "What was learned from differs",
            f"{told}. Numbers a row of different data, or of data made into states in different "
            "ways, cannot be compared.",
            "worth a look",
        )


_MADE = {
    "AsIs": "values as they are",
    "Stochastic": "binarised stochastically",
    "Standardized": "standardised",
    "OneHot": "categories",
}


def _visible(facts: Facts) -> str:
    """The encoding of rows, which also determines the meaning of a number per row."""
    data = facts.config["data"]
    encoding = dict(data["encoding"])
    kind = str(encoding.pop("kind"))
    level = encoding.get("level")
    made = _MADE.get(kind, kind.lower())
    if data.get("two_valued") and kind in ("AsIs", "Threshold", "Stochastic"):
        made = "binary as they are"
    elif isinstance(level, int | float):
        made = f"{made} at {level:g}"
    return f"{data['n_columns']:,} columns, {made}"


def _curves(named: Mapping[str, Facts]) -> Section | None:
    series = [Series(name, facts.rows) for name, facts in named.items()]
    if not any(run.rows for run in series):
        return None
    return Section("curves", "Learning curves", "curves", {"charts": charts("curves", series)})


def _numbers(named: Mapping[str, Facts]) -> Section:
    """The last value of every curve, one column per run."""
    rows: list[list[str]] = []
    for panel in PANELS:
        for curve in panel.curves:
            last = [_last(facts, panel, curve.key) for facts in named.values()]
            if any(last):
                label = f", {curve.label}" if curve.label else ""
                rows.append([f"{panel.title}{label}", *(value or "–" for value in last)])
    judged = [evaluation_of(facts) for facts in named.values()]
    for key in ("error", "squared_error"):
        if any(of is not None and key in of for of in judged):
            cells = [
                "–" if of is None or key not in of else f"{of[key]:.4g} ({of['rows']} rows)"
                for of in judged
            ]
            rows.append([f"{key.replace('_', ' ').capitalize()} at the end", *cells])
    times = [duration(facts.seconds) if facts.seconds else "–" for facts in named.values()]
    rows.append(["Training time", *times])
    shown = {"table": Table("", ("", *named), rows)}
    return Section("numbers", "Numbers at the end", "numbers", shown)


def _last(facts: Facts, panel: Panel, key: str) -> str:
    row = facts.rows[-1] if facts.rows else {}
    if row.get(key) is None:
        return ""
    if panel.is_share:
        return f"{100 * row[key]:.2f} %"
    return with_error(row, key) + ("" if is_trusted(row, key) else " (not to be trusted)")


def _likelihoods(named: Mapping[str, Facts]) -> Section:
    """Intervals of all runs on one scale, for all rows on which any run was evaluated."""
    found = {name: likelihood.results(facts) for name, facts in named.items()}
    shown = {
        "missing": [named[name] for name, of in found.items() if not of],
        "found_on": {
            data: {name: of[data] for name, of in found.items() if data in of}
            for data in dict.fromkeys(data for of in found.values() for data in of)
        },
        "colours": {name: f"run-{number}" for number, name in enumerate(named, start=1)},
        "differences": _differences(named),
    }
    return Section("likelihood", "Log-likelihoods", "likelihoods", shown)


def _differences(named: Mapping[str, Facts]) -> Table:
    """Differences between runs on the same rows, which are more precise than either value."""
    rows = [
        (
            f"{one.a} − {one.b}",
            one.data,
            f"{one.n_rows:,}",
            minus(str(one)),
            "–" if one.rows_std_error is None else f"{one.rows_std_error:.2g}",
        )
        for one in differences(named)
    ]
    header = ("difference", "rows", "number", "nats a row", "± with other rows of their kind")
    return Table("", header, rows)


def _options(named: Mapping[str, Facts]) -> Section:
    """Options that differ, and other settings that determine the bits."""
    tables = [_defined(facts) for facts in named.values()]
    differing = [
        key
        for key in dict.fromkeys(key for table in tables for key in table)
        if len({str(table.get(key)) for table in tables}) > 1
    ]
    rows = [
        (key.replace("_", " "), *(_shown(table.get(key)) for table in tables)) for key in differing
    ]
    shown = {"table": Table("", ("", *named), rows)}
    return Section("options", "Options that differ", "options", shown)


def _defined(facts: Facts) -> dict[str, Any]:
    config = facts.config
    return {
        "kind of run": facts.kind,
        **options_of(facts),
        "training rows": config["data"]["n_train"],
        "device": config["device"],
        "threads": config["threads"],
        **{f"version of {name}": version for name, version in config["versions"].items()},
    }


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _pictures(named: Mapping[str, Facts]) -> Iterator[Section]:
    """Pictures that several runs have, the newest of each run."""
    for what, title in _SHEETS.items():
        newest = {name: _newest(facts, what, f"{title} of {name}") for name, facts in named.items()}
        if any(newest.values()):
            yield Section(what, title, "sheets", {"pictures": newest})


def _newest(facts: Facts, what: str, title: str) -> Picture | None:
    history = facts.run.history(what)
    if history:
        return Picture(title, "", history[max(history)].read_bytes(), look="sheet")
    path = facts.run.figures / f"{what}.png"
    return Picture(title, "", path.read_bytes()) if path.is_file() else None
