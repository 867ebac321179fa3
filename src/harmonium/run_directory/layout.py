"""What marks the files of a run: versions, kinds and names, and paths that are free."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

FORMAT = 1
"""Version of the layout; a newer one is refused."""

DIAGNOSIS_MARK = "harmonium diagnosis"
REPORT_MARK = '<meta name="generator" content="harmonium">'
"""By what a diagnosis and a report are known again: either may be replaced by a newer one."""

DBN_KIND = "dbn"
"""The ``kind`` in the configuration of a run whose layers are runs of their own."""

FINETUNING_KIND = "fine-tuning"
"""The ``kind`` in the configuration of a run that fine-tunes a network."""

LAYER_BELOW = "../"
"""How the data of a layer begin that lie beside its folder."""

LAYER_NUMBER = re.compile(r"\.\./\d+")
"""Those of a layer that learns from its neighbour in the same folder."""

_HEAD = 1000


class Warned(NamedTuple):
    """Something about a run that its user has to know: the top of its page shows it.

    Attributes
    ----------
    title
        What is wrong, in a few words.
    text
        The cause and the remedy, one or two sentences; what is typed stands between backquotes.
    """

    title: str
    text: str


def refuse_foreign(path: Path, mark: str) -> None:
    """Refuse to replace a file that does not have harmonium's mark near its beginning.

    Raises
    ------
    FileExistsError
        Says what would work.
    """
    if os.path.lexists(path) and not (
        path.is_file() and mark.encode() in path.read_bytes()[:_HEAD]
    ):
        raise FileExistsError(f"{path} exists and was not written by harmonium; move it away")


def free_path(path: Path) -> Path:
    """Return ``path``, or the first of ``stem-2``, ``stem-3``, ... that does not exist yet."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
