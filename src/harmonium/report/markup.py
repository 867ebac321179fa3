"""Pieces of a page, from words and numbers to HTML; and the page around them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from harmonium.report.terms import explained, found_in, what_is
from harmonium.run_directory import REPORT_MARK

UPLOT = "uplot-1.6.32.min"
"""The library that draws curves, as it is published (https://github.com/leeoniya/uPlot, MIT)."""


@dataclass(frozen=True)
class Note:
    """A paragraph with a heading; ``kind`` is a word beside it, such as how serious it is."""

    heading: str
    text: str
    kind: str = ""

    def html(self) -> str:
        """As a box."""
        kind = f'<span class="kind">{escape(self.kind)}</span>' if self.kind else ""
        look = f"note {self.kind}" if self.kind in ("serious", "warning") else "note"
        return (
            f'<div class="{look}"><h3>{text(self.heading)}{kind}</h3><p>{text(self.text)}</p></div>'
        )


@dataclass(frozen=True)
class Table:
    """Numbers in rows; the first column names each row. A header of empty words is left out."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def html(self) -> str:
        """As a table that scrolls by itself where it is too wide."""
        header = "".join(f'<th scope="col">{text(cell)}</th>' for cell in self.header)
        head = f"<thead><tr>{header}</tr></thead>" if any(self.header) else ""
        title = f"<caption>{text(self.title)}</caption>" if self.title else ""
        rows = "\n".join(
            "<tr>"
            + f'<th scope="row">{text(first)}</th>'
            + "".join(f"<td>{text(cell)}</td>" for cell in rest)
            + "</tr>"
            for first, *rest in self.rows
        )
        return (
            f'<div class="wide" tabindex="0"><table>{title}{head}<tbody>\n{rows}\n</tbody></table>'
            "</div>"
        )


@dataclass(frozen=True)
class Picture:
    """A PNG file's content, and what it shows, for those too who cannot see it."""

    title: str
    caption: str
    png: bytes
    look: str = "paper"

    def html(self) -> str:
        """As a figure, on white paper unless ``look`` says otherwise."""
        return (
            f'<figure><img class="{self.look}" src="{data_uri(self.png)}" '
            f'alt="{escape(self.title)}">'
            f"<figcaption><strong>{text(self.title)}.</strong> {text(self.caption)}</figcaption>"
            "</figure>"
        )


@dataclass(frozen=True)
class Section:
    """A part of the page that can be jumped to."""

    name: str
    heading: str
    lead: str
    body: str
    explains: bool = True

    def html(self) -> str:
        """With its heading, and with its terms unless the body explains them."""
        lead = f'<p class="lead">{text(self.lead)}</p>' if self.lead else ""
        terms = explained(found_in(lead + self.body)) if self.explains else ""
        head = f"<h2>{text(self.heading)}</h2>{lead}{terms}"
        return f'<section id="{self.name}">{head}\n{self.body}\n</section>'


def text(words: str) -> str:
    """Escaped; what stands between backquotes is typed by users."""
    parts = escape(words).split("`")
    if len(parts) % 2 == 0:  # an odd backquote is one of the text's own
        return escape(words)
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}."


def minus(numbers: str) -> str:
    """Numbers with the sign that is meant, not a hyphen."""
    return numbers.replace("-", "−")


def number(value: float) -> str:
    """Two decimals, or three digits of what is smaller than 1."""
    return minus(f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}")


def code(lines: str) -> str:
    """What is to be typed, in a box of its own."""
    return f'<pre tabindex="0"><code>{escape(lines)}</code></pre>'


def tiles(facts: Iterable[tuple[str, str, str]]) -> str:
    """The few numbers that matter most: a name, the number, and a word about it."""
    return (
        '<dl class="tiles">'
        + "".join(
            f"<div><dt>{text(name)}</dt><dd><b>{text(value)}</b><span>{text(note)}</span>"
            f"{what_is(name)}</dd></div>"
            for name, value, note in facts
        )
        + "</dl>"
    )


def details(summary: str, body: str) -> str:
    """What is folded away until somebody asks for it."""
    return f"<details><summary>{text(summary)}</summary>{body}</details>"


def data_uri(png: bytes) -> str:
    """A PNG file's content as the address of a picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def as_json(name: str, content: Mapping[str, Any]) -> str:
    """Numbers for the script of the page.

    Raises
    ------
    ValueError
        If one of them is infinite or NaN.
    """
    dumped = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    # nothing in a string may end the element, or begin a comment in it
    dumped = dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="data-{name}">{dumped}</script>'


# The browser itself holds the page to what it promises: nothing is asked of any network.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
$mark
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<header>
<p class="brand">harmonium</p>
<h1>$heading</h1>
<p class="lead">$lead</p>
$state
</header>
<nav aria-label="Sections">$links</nav>
<main>
$body
</main>
<footer><p>$footer</p></footer>
<script>
$script
</script>
</body>
</html>
""")


def page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    *,
    state: str = "",
    footer: str = "",
    heading: str | None = None,
) -> str:
    """Write a page that needs nothing else: all of it is inside, and no other file is asked for.

    Parameters
    ----------
    title, lead
        Of the window, and the line below the heading.
    sections
        In this order, each with a link at the top.
    state
        HTML below the lead.
    footer
        The last line.
    heading
        Where it is not the title.
    """
    links = "".join(f'<a href="#{part.name}">{text(part.heading)}</a>' for part in sections)
    return _PAGE.substitute(
        mark=REPORT_MARK,
        title=escape(title),
        heading=escape(heading or title),
        lead=text(lead),
        state=state,
        links=links,
        body="\n".join(part.html() for part in sections),
        footer=text(footer),
        style=_asset(f"{UPLOT}.css") + _asset("report.css"),
        script=_asset(f"{UPLOT}.js") + _asset("report.js"),
    )


@cache
def _asset(name: str) -> str:
    return files("harmonium.report").joinpath("assets", name).read_text(encoding="utf-8")
