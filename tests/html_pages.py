"""Reading a page of HTML back: its text, its pictures, and whether its tags are in order."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from typing import Any

_VOID = {"meta", "img", "br", "hr", "link", "input"}
_ASKS_FOR_FILES = {"src", "href", "action", "poster", "data", "srcset"}


class Page(HTMLParser):
    """A page that must stand alone: everything it asks for is in it."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.words: list[str] = []
        self.pictures: dict[str, bytes] = {}
        self.kinds: list[str] = []
        self.links: list[str] = []
        self.data: dict[str, Any] = {}
        self._data: str | None = None
        assert content.startswith("<!DOCTYPE html>\n")
        assert "@import" not in content and "url(" not in content
        self.feed(content)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        given = dict(attributes)
        for name, value in attributes:
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in _ASKS_FOR_FILES:
                assert value is not None
                self._check_address(tag, value, given)
            if name == "class" and value is not None:
                self.kinds.append(value)
        if tag == "script" and given.get("type") == "application/json":
            self._data = given["id"]
        if tag not in _VOID:
            self.open.append(tag)

    def _check_address(self, tag: str, value: str, given: dict[str, str | None]) -> None:
        """Pictures are inside, and links lead within the page or to that of a layer."""
        if tag == "a":
            self.links.append(value)
            assert value.startswith("#") or value.endswith("/report.html"), value
            assert "//" not in value
        elif tag == "link":
            assert (given["rel"], value) == ("icon", "data:,")
        else:
            kind, _, data = value.partition(",")
            assert (tag, kind) == ("img", "data:image/png;base64")
            self.pictures[given["alt"] or ""] = base64.b64decode(data, validate=True)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._data = None

    def handle_data(self, data: str) -> None:
        if self._data is not None:
            self.data[self._data] = json.loads(data)
        elif self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
