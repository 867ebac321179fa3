"""Marks of the files of a run: versions and names; and unused paths."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

FORMAT = 1
"""Version of the layout; newer versions are an error."""

DIAGNOSIS_MARK = "harmonium diagnosis"
FIDELITY_MARK = "harmonium fidelity"
REPORT_MARK = '<meta name="generator" content="harmonium">'
"""Marks of a diagnosis, of measured samples, and of a page, by which they are known."""

LAYER_BELOW = "../"
"""Prefix of data of a layer that are next to its folder."""

LAYER_NUMBER = re.compile(r"\.\./\d+")
"""Prefix of data of a layer that learns from its neighbour in the same folder."""

_HEAD = 1000


class Warned(NamedTuple):
    """A warning about a run, shown at the top of its page.

    Attributes
    ----------
    title
        The problem, in a few words.
    text
        The cause and the remedy in one or two sentences, with code between backquotes.
    """

    title: str
    text: str


def refuse_foreign(path: Path, mark: str) -> None:
    """Refuse to replace a file without harmonium's mark near its beginning.

    Raises
    ------
    FileExistsError
        Says what would work.
    """
    if not os.path.lexists(path):
        return
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(_HEAD)
    if mark.encode() not in head:
        raise FileExistsError(f"{path} exists and was not written by harmonium; move it away")


def free_path(path: Path) -> Path:
    """Return ``path``, or the first of ``stem-2``, ``stem-3``, ... that does not exist yet."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
