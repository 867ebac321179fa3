"""The ``.hapt`` text of artificial genomes: two names a line, then one 0 or 1 for each site.

The format of Yelmen et al. (2021), "Creating artificial human genomes using generative neural
networks", PLOS Genetics 17(2): e1009303. This module reads it, as a file, gzipped, or as a member
of a zip, and writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, Readable, open_unpacked, open_zip
from harmonium.datasets.cells import decode
from harmonium.datasets.classes import Classes
from harmonium.datasets.reading import Reading

_N_NAMES = 2
_GAPS = b" \t"
_SHOWN = 3


def read_hapt(path: Path, reading: Reading) -> Arrays:
    """Read haplotypes, one a line: two names, then 0 or 1 for each site.

    The second name is that of the row. The first is that of its population; populations are labels
    if there are several.

    Raises
    ------
    ValueError
        For other values than 0 and 1, and lines of another length.
    """
    with open_unpacked(path) as stream:
        return _haplotypes(stream, path.name, reading)


def read_zip(path: Path, reading: Reading) -> Arrays:
    """Read the ``.hapt`` in a zip; `array` names the one that is meant.

    Raises
    ------
    ValueError
        If it is damaged or encrypted, if it holds no ``.hapt``, or several and none is named.
    """
    with open_zip(path) as packed:
        names = [info.filename for info in packed.infolist() if not info.is_dir()]
        # macOS adds a ._NAME for each NAME
        names = [name for name in names if not PurePosixPath(name).name.startswith("._")]
        listed = ", ".join(names) or "no files"
        chosen = [name for name in names if name.lower().endswith(".hapt")]
        if reading.array is not None:
            chosen = [name for name in names if name == reading.array]
            if not chosen:
                raise ValueError(f"{path.name} has no member {reading.array!r}; it holds {listed}")
        if not chosen:
            raise ValueError(
                f"{path.name} holds no .hapt, but {listed}; unpack it, and pass a file"
            )
        if len(chosen) > 1:
            raise ValueError(f"{path.name} holds {listed}; say which one to read by `array`")
        with packed.open(chosen[0]) as stream:
            return _haplotypes(stream, f"{chosen[0]} of {path.name}", reading)


def write_hapt(file: BinaryIO, rows: NDArray[Any], names: Iterable[str], population: str) -> None:
    """Write rows of zeros and ones as haplotypes.

    Parameters
    ----------
    file
        To write to.
    rows
        Zeros and ones, shape (n_rows, n_sites).
    names
        One for each row, without spaces; there may be more.
    population
        The first name of each line.

    Raises
    ------
    ValueError
        If there are other values.
    """
    if not ((rows == 0) | (rows == 1)).all():
        other = rows[(rows != 0) & (rows != 1)].flat[0]
        raise ValueError(f"a .hapt holds zeros and ones, and these rows hold {other:g}")
    text = np.full((len(rows), 2 * rows.shape[1]), ord(" "), np.uint8)
    text[:, ::2] = rows
    text[:, ::2] += ord("0")
    text[:, -1] = ord("\n")
    for name, line in zip(names, text, strict=False):
        file.write(f"{population} {name} ".encode() + line.tobytes())


def _haplotypes(stream: Readable, name: str, reading: Reading) -> Arrays:
    populations, names, sites = [], [], bytearray()
    n_sites = n_others = first = 0
    others: list[str] = []
    for number, line in enumerate(iter(stream.readline, b""), 1):
        head = line.split(None, _N_NAMES)
        if not head:
            continue
        cells = head[_N_NAMES] if len(head) > _N_NAMES else b""
        here = _bits(cells.rstrip())
        if here is None:
            found = cells.split()
            wrong = [site for site, cell in enumerate(found) if cell not in (b"0", b"1")]
            n_others += len(wrong)
            others += [
                f"line {number}, site {site}: {decode(found[site])!r}"
                for site in wrong[: _SHOWN - len(others)]
            ]
            here = np.zeros(len(found), np.uint8)
        n_sites, first = n_sites or len(here), first or number
        if len(here) != n_sites or not n_sites:
            many = f", but line {first} has {n_sites}" if n_sites else ""
            raise ValueError(
                f"line {number} of {name} has {len(here)} sites{many}; a line holds two names, "
                "then 0 or 1 for each site"
            )
        populations.append(decode(head[0]))
        names.append(decode(head[1]))
        sites += here.tobytes()
    if n_others:
        raise ValueError(
            f"{name} holds {n_others:,} {'cells that are' if n_others > 1 else 'cell that is'} "
            f"neither 0 nor 1; the first: {'; '.join(others)} (sites counted from 0); impute them, "
            "or leave those lines out"
        )
    if not names:
        raise ValueError(f"{name} is empty: it holds no line")
    notes = ["haplotypes: row names are in the second column"]
    labels = called = None
    different = sorted({*populations})
    if reading.classes is not None or 1 < len(different) < len(names):
        classes, place = Classes(), {name: number for number, name in enumerate(different)}
        classes.add(different, np.array([place[name] for name in populations]))
        labels, called = classes.labels(reading)
        notes.append("labels: the first column")
    values = np.frombuffer(sites, np.uint8).reshape(len(names), n_sites)
    return Arrays(values, labels, classes=called, notes=notes, row_names=names)


def _bits(cells: bytes) -> NDArray[np.uint8] | None:
    """Zeros and ones with gaps between them; None if anything else is there."""
    characters = np.frombuffer(cells, np.uint8)
    if len(cells) % 2 and all(gap in _GAPS for gap in np.unique(characters[1::2])):
        bits = characters[::2] - ord("0")  # wraps around, far above 1
        if (bits <= 1).all():
            return bits
    found = cells.split()
    joined = b"".join(found)
    bits = np.frombuffer(joined, np.uint8) - ord("0")
    return bits if len(joined) == len(found) and (bits <= 1).all() else None
