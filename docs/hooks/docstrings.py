"""NumPy docstrings as Markdown: references, and types that say which shape a tensor has."""

from __future__ import annotations

import re
from typing import Any

from griffe import DocstringSectionAttributes, DocstringSectionReturns, Extension, Object

CITED = re.compile(r"\s*\[(\d+)\]_")
REFERENCE = re.compile(r"^( *)\.\. \[(\d+)\] ", re.MULTILINE)


class Docstrings(Extension):
    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is None:
            return
        text = CITED.sub(r"<sup>\1</sup>", obj.docstring.value)
        obj.docstring.value = REFERENCE.sub(r"\1\2. ", text)
        for section in obj.docstring.parsed:
            if isinstance(section, DocstringSectionAttributes | DocstringSectionReturns):
                for item in section.value:
                    keep_shape(item, text)


def keep_shape(item: Any, text: str) -> None:
    """``Tensor, shape (n,)`` is words: read as an expression it would be a tuple of two."""
    as_written = re.search(rf"^\s*{re.escape(item.name)} : (.*, shape .*)$", text, re.MULTILINE)
    if as_written:
        item.annotation = as_written[1]
