"""Marks of the files of a run: versions, kinds and names; and unused paths."""

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

DBN_KIND = "dbn"
"""The ``kind`` in the configuration of a run that contains a run for each layer."""

FINETUNING_KIND = "fine-tuning"
"""The ``kind`` in the configuration of a run that fine-tunes a network."""

RATINGS_KIND = "ratings"
"""The ``kind`` in the configuration of a run that learns from ratings."""

TOPICS_KIND = "topic model"
"""The ``kind`` in the configuration of a run that learns topics from counts of words."""

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


def refuse_other_kind(path: Path, kind: str | None) -> None:
    """Refuse a run whose model is no RBM, by its kind; says what uses it.

    Raises
    ------
    ValueError
        If it has a kind.
    """
    if kind == DBN_KIND:
        layers = ", ".join(str(each.parent) for each in sorted(path.glob("layers/*/config.json")))
        raise ValueError(
            f"{path} holds a deep belief network; pass one of its layers ({layers}), or see which "
            "commands of `harmonium dbn` use all of them"
        )
    if kind == FINETUNING_KIND:
        raise ValueError(
            f"{path} holds a fine-tuned network, which is no RBM; harmonium dbn predict, "
            "encode and decode use it, and harmonium resume goes on with it"
        )
    if kind == RATINGS_KIND:
        raise ValueError(
            f"{path} holds a model of ratings, whose rows have units for what was rated alone; "
            "harmonium recommend uses it, and harmonium resume goes on with it"
        )
    if kind == TOPICS_KIND:
        raise ValueError(
            f"{path} holds a topic model of counts of words, which is no plain RBM; harmonium "
            "topics, evaluate and info use it, and harmonium resume goes on with it"
        )


def free_path(path: Path) -> Path:
    """Return ``path``, or the first of ``stem-2``, ``stem-3``, ... that does not exist yet."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
