"""The page of a report: it stands alone, and says what it was given, none of it taken for tags."""

from __future__ import annotations

from harmonium.report import Note, Picture, Table, page
from html_pages import Page

PNG = b"\x89PNG\r\n\x1a\n and so on"


def test_a_page_holds_notes_tables_and_pictures() -> None:
    content = page(
        "A <run> & more",
        "Made by `harmonium diagnose`.",
        [
            Note("First", "Take `--sweeps 10`.", "serious"),
            Note("Second", "Text.", "worth a look"),
            Note("Third", "Text."),
        ],
        [Table("Numbers & so on", ("what", "how <much>"), [("one", "1"), ("two", "2 & 3")])],
        [Picture('A "picture"', "What <it> shows.", PNG)],
    )
    read = Page(content)
    assert read.pictures == {'A "picture"': PNG}
    for said in ("A <run> & more", "First · serious", "Numbers & so on what how <much> one 1 two"):
        assert said in read.text
    assert "<code>--sweeps 10</code>" in content and "<code>harmonium diagnose</code>" in content
    assert read.kinds.count("note serious") == 1 and read.kinds.count("note") == 2
    assert "prefers-color-scheme: dark" in content
    assert '<meta name="generator" content="harmonium">' in content[:1000]


def test_a_page_of_nothing_but_a_title() -> None:
    assert Page(page("Title", "Lead", [], [], [])).text == "Title Title Lead"


def test_a_lone_backquote_and_dollars_stay_what_they_are() -> None:
    content = page("$title", "a ` b $body ${c}", [], [], [])
    assert "a ` b $body ${c}" in Page(content).text and "$title" in Page(content).text
