"""Renders facts as HTML with the templates in ``templates``; the only user of Jinja2.

All inserted text is escaped, unless a template or this module produced it. Importing Jinja2 takes
time, so this module is imported only when a page is written.
"""

from __future__ import annotations

from importlib.resources import files
from math import log
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harmonium.report.facts import duration, moment
from harmonium.report.likelihood import interval, scale
from harmonium.report.pieces import Section, data_uri, minus, sentence
from harmonium.report.terms import TERMS, found_in, term_of
from harmonium.run_directory import REPORT_MARK


def render(template: str, **facts: Any) -> str:
    """Render facts with ``templates/TEMPLATE.html``; a missing fact is an error."""
    return _TEMPLATES.get_template(f"{template}.html").render(facts)


def text(words: str) -> Markup:
    """Escaped text; parts between backquotes are code."""
    parts = words.split("`")
    if len(parts) % 2 == 0:  # an unpaired backquote belongs to the text
        return escape(words)
    typed = Markup("<code>{}</code>")
    return Markup("").join(typed.format(part) if i % 2 else part for i, part in enumerate(parts))


def _html(section: Section) -> Markup:
    return Markup(render(f"sections/{section.template}", section=section, **section.facts))


def _asset(name: str) -> Markup:
    return Markup(files("harmonium.report").joinpath("assets", name).read_text(encoding="utf-8"))


_TEMPLATES = Environment(
    loader=PackageLoader("harmonium.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "data_uri": data_uri,
    "duration": duration,
    "html": _html,
    "interval": interval,
    "minus": minus,
    "moment": moment,
    "scale": scale,
    "sentence": sentence,
    "term": term_of,
    "terms": found_in,
    "text": text,
}
_TEMPLATES.globals |= {
    "TERMS": TERMS,
    "asset": _asset,
    "mark": Markup(REPORT_MARK),
    "nats_a_bit": log(2),
}
# JSON knows neither infinity nor NaN
_TEMPLATES.policies["json.dumps_kwargs"] = {
    "allow_nan": False,
    "ensure_ascii": False,
    "separators": (",", ":"),
}
