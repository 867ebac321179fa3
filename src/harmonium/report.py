"""One page of HTML that stands alone: words, tables and pictures, in light and in dark."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from harmonium.runs import REPORT_MARK


@dataclass(frozen=True)
class Note:
    """A paragraph with a heading; ``kind`` is a word beside it, such as how serious it is."""

    heading: str
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers in rows; the first column names each row. A header of empty words is left out."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A PNG file's content, and what it shows, for those too who cannot see it."""

    title: str
    caption: str
    png: bytes


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
$mark
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ground: #ffffff; --ink: #2b2f36; --muted: #646b76; --line: #d5d9df; --card: #f5f6f8;
  --accent: #2f6fa7; --serious: #b3412b; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181c; --ink: #e4e7ec; --muted: #9aa2ae; --line: #363b44; --card: #1f2228;
    --accent: #7db3e0; --serious: #f08a6c; }
}
body { background: var(--ground); color: var(--ink); max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.lead { color: var(--muted); margin-top: .3rem; }
.note { background: var(--card); border-left: 4px solid var(--accent); border-radius: 4px;
  padding: .7rem 1rem; margin: .7rem 0; }
.note.serious { border-color: var(--serious); }
.note h3 { font-size: 1rem; margin: 0 0 .2rem; }
.note p { margin: 0; }
.kind { color: var(--muted); font-weight: normal; }
.note.serious .kind { color: var(--serious); }
.wide { overflow-x: auto; margin: 1.1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1.2rem .3rem 0; text-align: right; }
th:first-child, td:first-child, th[scope=row] { text-align: left; font-weight: normal; }
thead th { color: var(--muted); font-weight: normal; }
figure { margin: 1.4rem 0; }
figure img { max-width: 100%; background: #ffffff; border-radius: 6px; }
figcaption { color: var(--muted); }
code { font-size: .93em; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="lead">$lead</p>
$body
</body>
</html>
""")


def page(
    title: str,
    lead: str,
    notes: Sequence[Note],
    tables: Sequence[Table],
    pictures: Sequence[Picture],
) -> str:
    """Write a page that needs nothing else: pictures are inside it, and no other file is asked for.

    Parameters
    ----------
    title, lead
        Its heading, and the line below.
    notes
        First, because they say what the rest means.
    tables, pictures
        In this order.
    """
    parts = [_note(note) for note in notes]
    if tables:
        parts += ["<h2>Numbers</h2>", *map(_table, tables)]
    if pictures:
        parts += ["<h2>Pictures</h2>", *map(_picture, pictures)]
    return _PAGE.substitute(
        title=escape(title), lead=_text(lead), body="\n".join(parts), mark=REPORT_MARK
    )


def _note(note: Note) -> str:
    kind = f' <span class="kind">· {escape(note.kind)}</span>' if note.kind else ""
    look = "note serious" if note.kind == "serious" else "note"
    return (
        f'<section class="{look}"><h3>{_text(note.heading)}{kind}</h3>'
        f"<p>{_text(note.text)}</p></section>"
    )


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    head = f"<thead><tr>{header}</tr></thead>" if any(table.header) else ""
    rows = "\n".join(
        "<tr>"
        + f'<th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in table.rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(table.title)}</caption>'
        f"{head}<tbody>\n{rows}\n</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(picture.title)}">'
        f"<figcaption>{_text(picture.caption)}</figcaption></figure>"
    )


def _text(text: str) -> str:
    """Escaped; what stands between backquotes is typed by users."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:  # an odd backquote is one of the text's own
        return escape(text)
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
