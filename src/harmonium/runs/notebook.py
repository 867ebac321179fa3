"""What a run shows of itself in a notebook: facts, its learning curves and its pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from harmonium import plots
from harmonium.report import data_name

if TYPE_CHECKING:
    from harmonium.runs.run import Run

SHOWN = ("filters", "filters-1", "samples", "reconstructions", "confusion", "codes")
"""The pictures that tell most, as far as a run has them."""

_MOST = 3
_STYLE = "max-width: 48em"
_TOLD = ("log_likelihood", "pseudo_log_likelihood", "reconstruction_error", "loss", "error")


def html_of(run: Run) -> str:
    """A piece of HTML that stands alone: pictures lie in it."""
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in _facts(run)
    )
    return f"<div><table>{lines}</table>{''.join(_pictures(run))}</div>"


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    config = run.config
    yield "run", str(run.path)
    yield "kind", run.kind
    yield "data", f"{data_name(config)}, {config['data']['n_train']:,} training rows"
    yield "progress", "finished" if run.is_finished else f"update {run.update:,}"
    rows = run.metrics
    last = rows[-1] if rows else {}
    for key, value in last.items():
        if key.removeprefix("held_out_") in _TOLD:
            yield key.replace("_", " "), f"{value:.4g}"
    for warning in run.warnings:
        yield "warning", f"{warning.title}. {warning.text}"


def _pictures(run: Run) -> Iterator[str]:
    shown = [each for each in (run.layers or [run]) if each.metrics]
    for each in shown:
        yield _image("learning curves", plots.png(plots.learning_curves(each.metrics)))
    figures = run.figures
    for name in [name for name in SHOWN if name in figures][:_MOST]:
        yield _image(name, figures[name].read_bytes())


def _image(name: str, content: bytes) -> str:
    source = b64encode(content).decode()
    return f'<img alt="{escape(name)}" style="{_STYLE}" src="data:image/png;base64,{source}">'
