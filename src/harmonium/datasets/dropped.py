"""What a reader has left out of a file: sequences and sites of an alignment."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True)
class Dropped:
    """A sequence or a site that was left out, and why.

    Parameters
    ----------
    what
        ``"sequence"`` or ``"site"``.
    number
        Its number in the file: of sequences from 0, of sites from 1.
    name
        The name of the sequence; of a site, its number.
    reason
        Why.
    share
        Its share of gaps; of unknown letters, if these are the reason.
    """

    what: str
    number: int
    name: str
    reason: str
    share: float


def as_table(dropped: Iterable[Dropped]) -> str:
    """A CSV of one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Dropped)])
    writer.writerows(astuple(each) for each in dropped)
    return text.getvalue()


def counted(n: int, what: str) -> str:
    """A number of things in words: 1 site, 2 sites."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def summed_up(dropped: Iterable[Dropped]) -> list[str]:
    """What was left out, in one line; empty for nothing."""
    counts: dict[tuple[str, str], int] = {}
    for each in dropped:
        counts[each.what, each.reason] = counts.get((each.what, each.reason), 0) + 1
    said = [f"{counted(n, what)} ({reason})" for (what, reason), n in counts.items()]
    return [f"left out: {', '.join(said)}"] if said else []
