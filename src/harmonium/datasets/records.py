"""Reads the sequences of FASTA, A2M, A3M and Stockholm files, as they are written.

This module finds names and letters. What letters mean, `alignments` decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets.arrays import open_unpacked
from harmonium.datasets.row_names import RowNames

_PIECE = 1 << 24
_SNIFFED = 4096
_HEADER, _LINE_END, _END_OF_PROTEIN = b">"[0], b"\n"[0], b"*"[0]
_COMMENT = re.compile(rb"^[#;][^\n]*\n?", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
_STOCKHOLM = b"# STOCKHOLM"

_NAMED = "sequence"  # what the first column of a table of sequences is called

# Letters and other printed characters; white space and control characters are no letters.
_IS_PRINTED = np.arange(256) > 32
_IS_BEFORE_NAME = np.isin(np.arange(256), list(b"> \t"))


@dataclass(frozen=True)
class Records:
    """The sequences of a file.

    Parameters
    ----------
    names
        The first word of each header.
    letters
        The letters of all sequences, one after the other, as ASCII codes, uint8.
    lengths
        Letters of each sequence, int64, shape (n_rows,).
    """

    names: RowNames
    letters: NDArray[np.uint8]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each sequence begins."""
        return self.lengths.cumsum() - self.lengths

    def called(self, row: int) -> str:
        """A sequence for a message: its number from 0, and its name."""
        return f"sequence {row} ({self.names[row]!r})" if self.names[row] else f"sequence {row}"

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """The sequences of several parts of a file."""
        return cls(
            RowNames.joined([part.names for part in parts]),
            np.concatenate([part.letters for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )

    def where(self, place: int) -> tuple[int, int]:
        """The sequence of a letter, and its position there, both from 0."""
        ends = self.lengths.cumsum()
        row = int(np.searchsorted(ends, place, "right"))
        return row, int(place - ends[row] + self.lengths[row])

    def only(self, kept: NDArray[np.bool]) -> Records:
        """The same sequences, of which none is empty, with some letters: a mask of all letters."""
        lengths = np.add.reduceat(kept, self.starts, dtype=np.int64)
        return Records(self.names, self.letters[kept], lengths)

    @classmethod
    def of(cls, names: Iterable[str], sequences: Sequence[bytes]) -> Records:
        """From one text a sequence, without white space."""
        letters = np.frombuffer(b"".join(sequences), np.uint8)
        lengths = np.array([len(text) for text in sequences], np.int64)
        return cls(RowNames.of(names, _NAMED), letters, lengths)


def sniffed(path: Path) -> str | None:
    """Whether a file begins as ``"fasta"`` or ``"stockholm"``; None if as neither."""
    with open_unpacked(path) as stream:
        begin = stream.read(_SNIFFED).removeprefix(_BOM).lstrip()
    if begin.startswith(_STOCKHOLM):
        return "stockholm"
    return "fasta" if _COMMENT.sub(b"", begin).lstrip().startswith(b">") else None


def read_records(path: Path) -> Records:
    """Read FASTA, A2M, A3M or Stockholm, gzipped or not, with any line endings.

    Raises
    ------
    ValueError
        For a file in another format, a sequence without a header, and a damaged Stockholm file.
    """
    kind = sniffed(path)
    if kind == "stockholm":
        return _read_stockholm(path)
    if kind is None:
        with open_unpacked(path) as stream:
            begin = stream.read(_SNIFFED).removeprefix(_BOM).lstrip()[:20].decode("latin-1")
        raise ValueError(
            f"{path.name} begins with {begin!r}, a sequence without a header; pass FASTA, A2M or "
            "A3M, with a line >NAME above each sequence, or Stockholm, with # STOCKHOLM 1.0 as "
            "its first line"
            if begin
            else f"{path.name} holds no sequence; pass one or more"
        )
    return Records.joined([of_block(block) for block in blocks_of(path)])


def blocks_of(path: Path) -> Iterator[bytes]:
    """Whole records, some at a time; lines end with line feeds."""
    rest = b""
    with open_unpacked(path) as stream:
        while piece := stream.read(_PIECE):
            if b"\r" in piece:
                piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            rest += piece
            end = rest.rfind(b"\n>") + 1
            if end:
                yield rest[:end]
                rest = rest[end:]
    yield rest


def of_block(block: bytes) -> Records:
    """The sequences of whole records of FASTA, A2M or A3M."""
    block = block.removeprefix(_BOM)
    if block[:1] in b"#;" or b"\n#" in block or b"\n;" in block:
        block = _COMMENT.sub(b"", block)
    codes = np.frombuffer(block, np.uint8)
    lines = np.concatenate([[-1], np.flatnonzero(codes == _LINE_END)])
    starts = lines[lines < len(codes) - 1] + 1
    headers = starts[codes[starts] == _HEADER]
    kept = _IS_PRINTED[codes]
    blanks = np.flatnonzero(~kept)
    names = _names(codes, headers, blanks)
    line_ends = np.append(lines[1:], len(codes))
    ends = line_ends[np.searchsorted(line_ends, headers)]
    step = np.zeros(len(codes) + 1, np.int8)
    step[headers] += 1
    step[ends] -= 1
    kept &= step[:-1].cumsum(dtype=np.int8) == 0
    if not len(headers):
        return Records(names, codes[kept], np.zeros(0, np.int64))
    nexts = np.append(headers[1:], len(codes))
    n_blank = np.searchsorted(blanks, nexts) - np.searchsorted(blanks, ends)
    return Records(names, codes[kept], nexts - ends - n_blank)


def _names(
    codes: NDArray[np.uint8], headers: NDArray[np.int64], blanks: NDArray[np.int64]
) -> RowNames:
    """The first word of each header, from where the headers and where white space is."""
    begins, ended = headers + 1, np.append(blanks, len(codes))
    while (skipped := _IS_BEFORE_NAME[codes[np.minimum(begins, len(codes) - 1)]]).any():
        begins = np.minimum(begins + skipped, len(codes))
        if (begins == len(codes)).any():
            break
    sizes = ended[np.searchsorted(ended, begins)] - begins
    ends = np.append(0, sizes.cumsum())
    places = np.arange(ends[-1]) + np.repeat(begins - ends[:-1], sizes)
    text, order = torch.from_numpy(codes[places]), torch.arange(len(headers))
    return RowNames(text, torch.from_numpy(ends), order, _NAMED)


def _read_stockholm(path: Path) -> Records:
    """Read the sequences of the first alignment; refuse a second one."""
    found: dict[str, list[bytes]] = {}
    in_block: set[str] = set()
    ended = False
    with open_unpacked(path) as stream:
        text = stream.read().removeprefix(_BOM)
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(b"#") or not line.strip():
            if ended and line.startswith(_STOCKHOLM):
                raise ValueError(
                    f"{path.name} holds another alignment from line {number} on; pass a file of one"
                )
            in_block = in_block if line.startswith(b"#") else set()
        elif line.startswith(b"//"):
            ended = True
        else:
            name, *letters = line.split()
            said = name.decode("utf-8", "replace")
            if not letters:
                raise ValueError(
                    f"line {number} of {path.name} has a name without a sequence: {said!r}"
                )
            if said in in_block:
                raise ValueError(
                    f"line {number} of {path.name} names {said!r}, which stands above already; "
                    "give each sequence a name of its own"
                )
            in_block.add(said)
            found.setdefault(said, []).extend(letters)
    return Records.of(list(found), [b"".join(pieces) for pieces in found.values()])
