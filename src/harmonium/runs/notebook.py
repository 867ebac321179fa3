"""The display of a run in a notebook: facts, learning curves and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harmonium import plots
from harmonium.metrics import told
from harmonium.report import data_name

if TYPE_CHECKING:
    from harmonium.runs.run import Run

SHOWN = ("filters", "filters-1", "samples", "reconstructions", "confusion", "codes")
"""The most informative pictures, if a run has them."""

_MOST = 3
_TOLD = ("log_likelihood", "pseudo_log_likelihood", "reconstruction_error", "loss", "error", "rmse")


def html_of(run: Run) -> str:
    """Self-contained HTML, with pictures embedded."""
    from harmonium.report.rendering import render

    return render("notebook", facts=_facts(run), pictures=_pictures(run))


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    config = run.config
    yield "run", str(run.path)
    yield "kind", run.kind
    yield "data", f"{data_name(config)}, {config['data']['n_train']:,} training rows"
    yield "progress", "finished" if run.is_finished else f"update {run.update:,}"
    rows = run.metrics
    last = rows[-1] if rows else {}
    for key in last:
        if key.removeprefix("held_out_") in _TOLD:
            yield key.replace("_", " "), told(last, key)
    for warning in run.warnings:
        yield "warning", f"{warning.title}. {warning.text}"


def _pictures(run: Run) -> Iterator[tuple[str, bytes]]:
    for each in run.layers or [run]:
        if each.metrics:
            yield "learning curves", plots.png(plots.learning_curves(each.metrics))
    figures = run.figures
    for name in [name for name in SHOWN if name in figures][:_MOST]:
        yield name, figures[name].read_bytes()
