"""Lines of Markdown are short enough to be read, and compared, side by side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_docs import PAGES, name_of

MOST = 120
FENCE = re.compile(r"^\s*```")
TABLE = re.compile(r"^\s*\|")
# A link, a picture or inline code cannot be broken; a line of nothing else may be as long as it is.
WHOLE = re.compile(r"!?\[[^\]]*\]\([^)]*\)|<[^>]+>|`[^`]+`")


def too_long(text: str) -> list[int]:
    """The numbers of the lines of prose that are too long."""
    found, in_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            in_code = not in_code
        elif in_code or TABLE.match(line):
            continue
        elif len(line) > MOST and re.sub(r"[\s\d.,;:()·*-]", "", WHOLE.sub("", line)):
            found.append(number)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_short(page: Path) -> None:
    numbers = too_long(page.read_text(encoding="utf-8"))
    assert not numbers, f"{page.name} has lines of more than {MOST} characters: {numbers}"


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 120


def test_a_long_line_is_noticed() -> None:
    words = "word " * 30
    link = f"[a link]({'x' * 150})"
    assert too_long(f"{words}\n\nshort\n{words}{link}") == [1, 4]
    assert too_long(f"```\n{words}\n```\n| {words} |\n{link}\n- {link}.") == []
