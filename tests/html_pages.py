"""Reading a page of HTML back: its text, its pictures, and whether its tags are in order."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

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
        assert content.startswith("<!DOCTYPE html>\n")
        assert "@import" not in content and "url(" not in content
        self.feed(content)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name, value in attributes:
            if name in _ASKS_FOR_FILES:
                assert tag == "img" and value is not None
                kind, _, data = value.partition(",")
                assert kind == "data:image/png;base64"
                self.pictures[dict(attributes)["alt"] or ""] = base64.b64decode(data, validate=True)
            if name == "class" and value is not None:
                self.kinds.append(value)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)
