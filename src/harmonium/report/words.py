"""Notes derived from the rows of numbers alone, without loading a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from harmonium.metrics import WARNING, Panel, is_trusted
from harmonium.report.facts import Facts
from harmonium.report.overfitting import SURE, HeldOut, main_panel
from harmonium.report.pieces import Note, minus, number, sentence


def readings(facts: Facts) -> Iterator[Note]:
    """Notes on a run, most serious first, with options spelled for the user; never empty."""
    if not facts.rows:
        yield Note("No numbers yet", "There is no row of numbers yet.")
        return
    notes = []
    if facts.kind == "RBM":
        notes += [*_advice(facts), *_idle_units(facts)]
    notes += [*_doubts(facts), *_overfitting(facts), *_progress(facts), *_movement(facts)]
    for note in sorted(notes, key=lambda note: ("serious", "worth a look", "").index(note.kind)):
        yield replace(note, text=facts.words(note.text))


def _advice(facts: Facts) -> Iterator[Note]:
    """The advice that needs only measurements made during training."""
    # imports torch, which training has loaded anyway
    from harmonium.diagnostics import Findings, advise

    options = facts.config["options"]
    ratios = [row["update_ratio"] for row in facts.rows if "update_ratio" in row]
    findings = Findings(
        n_hidden=options["hidden"],
        n_rows=facts.config["data"]["n_train"],
        n_training_chains=options["chains"] if options["method"] != "cd" else None,
        batch_size=options["batch_size"],
        # as long as the rate has not fallen, large updates are intended
        update_ratio=ratios[-1] if ratios and facts.is_finished else None,
        mixing=None,
        moments=None,
        hidden=None,
        overfitting=None,
        has_diverged=False,
        not_measured={},
    )
    for one in advise(findings):
        words = f"{sentence(one.reason)} {sentence(one.remedy)}"
        yield Note(sentence(one.finding), words, str(one.severity))


def _doubts(facts: Facts) -> Iterator[Note]:
    """Evaluations whose log-likelihood cannot be trusted, and why."""
    doubtful = [row for row in facts.rows if WARNING in row]
    if not doubtful:
        return
    last = doubtful[-1]
    yield Note(
        f"The log-likelihood of {len(doubtful):,} of {len(facts.rows):,} looks cannot be trusted",
        f"At epoch {last['epoch']:g}, {last[WARNING]}. Where the model mixes so badly, "
        f"`harmonium evaluate {facts.typed_path}` takes more time and says more.",
        "worth a look",
    )


def _idle_units(facts: Facts) -> Iterator[Note]:
    from harmonium.diagnostics.advice import IDLE_SHARE

    last = facts.rows[-1]
    dead, saturated = last.get("dead_hidden", 0.0), last.get("saturated_hidden", 0.0)
    if dead + saturated > IDLE_SHARE:
        yield Note(
            f"{_percent(dead)} of the hidden units are off on almost every row, and "
            f"{_percent(saturated)} on.",
            "They carry nothing. A lower `learning_rate`, the centred gradient "
            "(`gradient='centered'`), a `sparsity_target`, or fewer `hidden` units would use them.",
            "worth a look",
        )


def _overfitting(facts: Facts) -> Iterator[Note]:
    found = HeldOut.of(facts.rows)
    if found is None or found.gap is None:
        return
    panel = found.panel
    if found.has_lost:
        yield Note(
            f"Held-out rows were described best after epoch {found.best['epoch']:g}.",
            f"Their {panel.name} was {number(found.best[found.held])} then and is "
            f"{number(found.last[found.held])} now: what was learned since is about the training "
            "rows. Fewer `epochs`, weight decay or more rows would help.",
            "worth a look",
        )
    if found.gap_error:
        told = (
            f"{found.gap:.2f} ± {found.gap_error:.2f} {panel.unit} better than held-out rows"
            if found.gap > SURE * found.gap_error
            else f"not to be told from held-out rows ({minus(f'{found.gap:.2f}')} ± "
            f"{found.gap_error:.2f} {panel.unit} apart)"
        )
        yield Note(
            "Training rows beside held-out rows",
            f"By {panel.name}, training rows are {told}.",
        )


def worse_since(facts: Facts) -> Mapping[str, float] | None:
    """The row with the best held-out value, if the current value is worse beyond noise."""
    found = HeldOut.of(facts.rows)
    return found.best if found is not None and found.has_lost else None


def is_still_learning(facts: Facts) -> bool:
    """Whether the most important number still improved in the last quarter, beyond noise."""
    panel = main_panel(facts.rows[-1]) if facts.rows else None
    return panel is not None and _trend(panel, _looks(facts, panel)) == "better"


def _looks(facts: Facts, panel: Panel) -> list[tuple[float, float]]:
    """Epochs and values of the most informative curve, for held-out rows if there are any."""
    curve = panel.curves[-1] if panel.curves[-1].key in facts.rows[-1] else panel.curves[0]
    return [
        (row["epoch"], row[curve.key])
        for row in facts.rows
        if curve.key in row and is_trusted(row, curve.key)
    ]


def _trend(panel: Panel, looks: list[tuple[float, float]]) -> str:
    """The trend in the last quarter: better, worse, or the same; empty with few evaluations."""
    if len(looks) < 8:
        return ""
    values = [value for _, value in looks]
    sign, part = 1 if panel.better == "more" else -1, len(values) // 4
    late, before = values[-part:], values[-2 * part : -part]
    gained = sign * (sum(late) - sum(before)) / part
    noise = SURE * math.hypot(_spread(late), _spread(before)) / math.sqrt(part)
    least = max(noise, 0.002 * abs(values[-1]))
    return "better" if gained > least else "worse" if -gained > least else "the same"


_TRENDS = {
    "better": " It was still getting better in the last quarter: more `epochs` may pay.",
    "worse": " In the last quarter it got worse.",
    "the same": " In the last quarter it hardly changed.",
    "": "",
}


def _progress(facts: Facts) -> Iterator[Note]:
    panel = main_panel(facts.rows[-1])
    if panel is None:
        return
    curve = panel.curves[-1] if panel.curves[-1].key in facts.rows[-1] else panel.curves[0]
    values = _looks(facts, panel)
    if len(values) < 2:
        return
    (first_epoch, first), (last_epoch, last) = values[0], values[-1]
    of = f" of {curve.label} rows" if curve.label else ""
    words = (
        f"From epoch {first_epoch:g} to epoch {last_epoch:g}, {panel.name}{of} went from "
        f"{_value(panel, first)} to {_value(panel, last)}."
    )
    words += _TRENDS[_trend(panel, values)]
    yield Note("Progress", words)


def _movement(facts: Facts) -> Iterator[Note]:
    last = facts.rows[-1]
    if "visible_flip_rate" in last and "hidden_flip_rate" in last:
        yield Note(
            "How far chains move",
            f"One sweep changes {_percent(last['visible_flip_rate'])} of the visible and "
            f"{_percent(last['hidden_flip_rate'])} of the hidden units. How many sweeps it takes "
            "to forget a picture, only a diagnosis tells.",
        )


def _spread(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))


def _value(panel: Panel, value: float) -> str:
    if panel.is_share:
        return _percent(value)
    return f"{number(value)} nats" if panel.unit.startswith("nats") else number(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
