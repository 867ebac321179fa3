"""Files about sequences: mutants with measurements, and distances of sites in a structure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harmonium.arguments import meant
from harmonium.datasets.arrays import open_unpacked
from harmonium.datasets.records import read_records
from harmonium.sequences.mutations import Change
from harmonium.sequences.wild_type import WildType

# A mutation: letter before, position, letter after.
_MUTATION = re.compile(r"([A-Za-z])(\d+)([A-Za-z*-])")
_BETWEEN = re.compile(r"[:,;/ ]+")

# What the wild type itself is called in tables of mutants.
_UNCHANGED = ("wt", "wildtype", "wild-type", "wild type")

# Headers of columns of mutants, in lower case.
_HEADERS = ("mutant", "mutants", "mutation", "mutations", "variant", "variants")


@dataclass(frozen=True, eq=False)
class MutantTable:
    """Mutants of a file.

    Attributes
    ----------
    names
        The mutants as they are written.
    column
        The name of their column.
    measured : ndarray or None, float64, shape (n_mutants,)
        What was measured, NaN where the file has no number.
    """

    names: tuple[str, ...]
    column: str
    measured: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class PlacedMutants:
    """Mutants on the sites of a model.

    Attributes
    ----------
    covered : ndarray, bool, shape (n_mutants,)
        Whether all changes of a mutant are at sites, to letters that the model has.
    changes
        The changes of each covered mutant.
    outside
        Why mutants are not covered, with how many there are.
    """

    covered: NDArray[np.bool_]
    changes: tuple[tuple[Change, ...], ...]
    outside: dict[str, int]


def read_mutants(
    path: Path, *, column: str | None = None, measured: str | None = None
) -> MutantTable:
    """Read a table of mutants such as ``A24C``, or ``A24C:L30F`` with several changes.

    Parameters
    ----------
    path
        A text file whose first line names the columns, gzipped or not, with commas, semicolons or
        tabs between them.
    column
        Name of the column of mutants; by default the one called mutant, or similar, or the first
        whose first value is one.
    measured
        Name of a column of measurements.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, holds no row, or has no such column.
    """
    with open_unpacked(path) as stream:
        text = stream.read().decode("utf-8-sig", "replace")
    first = text.split("\n", 1)[0]
    between = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=between) if any(row)]
    if len(rows) < 2:
        raise ValueError(f"{path.name} holds no row of a mutant; pass a table with a header line")
    header = [name.strip() for name in rows[0]]
    for row, cells in enumerate(rows[1:], 1):
        if len(cells) != len(header):
            raise ValueError(
                f"row {row} of {path.name} has {len(cells)} columns, but the header has "
                f"{len(header)}; pass as many in each"
            )
    place = _mutants_in(header, rows[1], path) if column is None else _named(header, column, path)
    numbers = None
    if measured is not None:
        at = _named(header, measured, path)
        numbers = np.array([_number(cells[at]) for cells in rows[1:]])
        if not np.isfinite(numbers).any():
            raise ValueError(
                f"the column {measured!r} of {path.name} holds no number; pass one of measurements"
            )
    return MutantTable(tuple(cells[place].strip() for cells in rows[1:]), header[place], numbers)


def place_mutants(names: Sequence[str], wild_type: WildType, alphabet: str) -> PlacedMutants:
    """Find the sites of mutants.

    Mutants with a change at a position that is no site of the model, or to a letter that the model
    does not have, are not covered.

    Raises
    ------
    ValueError
        If a mutant cannot be read, or names another letter than the wild type has, or a position
        beyond it; if none is covered.
    """
    site_of = wild_type.site_of
    covered = np.zeros(len(names), np.bool_)
    changes: list[tuple[Change, ...]] = []
    outside: dict[str, int] = {}
    for row, name in enumerate(names, 1):
        own: dict[int, int] = {}
        why = ""
        for before, position, after in _mutations(name, row):
            site = site_of.get(position)
            if site is None:
                why = "at a position that is no site of the model"
                continue
            if wild_type.letters[site] != before:
                raise ValueError(
                    f"row {row}, {name}: {wild_type.name} has {wild_type.letters[site]} at "
                    f"position {position}, not {before}; pass the wild type of these mutants, or "
                    "the position of its first letter (`first`)"
                )
            state = alphabet.find(after)
            if state < 0:
                why = f"to a letter that the model does not have ({after})"
            elif own.setdefault(site, state) != state:
                raise ValueError(f"row {row}, {name}, changes position {position} twice")
        if why:
            outside[why] = outside.get(why, 0) + 1
        else:
            covered[row - 1] = True
            changes.append(tuple(own.items()))
    if not covered.any():
        least, most = min(site_of, default=0), max(site_of, default=0)
        raise ValueError(
            f"no mutant is covered: the model's sites are positions {least} to {most} of "
            f"{wild_type.name}, and the first mutant is {names[0]}; pass mutants of this sequence, "
            "or the position of its first letter (`first`)"
        )
    return PlacedMutants(covered, tuple(changes), outside)


def read_distances(
    path: Path, positions: Sequence[int], n_columns: int | None = None
) -> NDArray[np.float64]:
    """Read distances of sites in a structure, Å.

    Parameters
    ----------
    path
        Text, gzipped or not: a line for each pair, whose first two numbers are sites, counted from
        1, and whose last is the distance.
    positions
        The number of each site of the model in the alignment, counted from 1, ascending.
    n_columns
        Columns of the alignment, with those that the model lacks; None for up to its last site.

    Returns
    -------
    ndarray, shape (n_sites, n_sites)
        Symmetric; NaN where the file has no distance. Sites that the model lacks are left out.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, a line has other content, or a site is beyond the alignment.
    """
    with open_unpacked(path) as stream:
        lines = stream.read().decode("utf-8-sig", "replace").splitlines()
    place = {position: site for site, position in enumerate(positions)}
    most = max(positions) if n_columns is None else n_columns
    found = np.full((len(place), len(place)), np.nan)
    is_first = True
    for number, line in enumerate(lines, 1):
        cells = line.replace(",", " ").replace(";", " ").split()
        if not cells or cells[0].startswith("#"):
            continue
        values = [_number(cell) for cell in cells]
        is_header, is_first = is_first and np.isnan(values).all(), False
        if is_header:
            continue
        if len(values) < 3 or not _is_site(values[0]) or not _is_site(values[1]):
            raise ValueError(
                f"line {number} of {path.name} is {line.strip()[:60]!r}; pass two sites, counted "
                "from 1, and their distance in Å as the last number"
            )
        i, j, apart = int(values[0]), int(values[1]), values[-1]
        if max(i, j) > most:
            raise ValueError(
                f"line {number} of {path.name} names site {max(i, j)}, but the alignment has sites "
                f"up to {most}; pass distances of the same columns"
            )
        if apart < 0:
            raise ValueError(f"line {number} of {path.name} has the distance {apart:g} Å, below 0")
        if i in place and j in place:
            found[place[i], place[j]] = found[place[j], place[i]] = apart
    if np.isnan(found).all():
        raise ValueError(f"{path.name} has no distance of two sites of the model")
    return found


def read_wild_type(
    path: Path,
    alphabet: str,
    frequencies: NDArray[np.float64],
    *,
    sites: Sequence[int],
    n_columns: int | None = None,
    first: int | None = None,
) -> WildType:
    """Read a wild type from a file of one sequence, and align it if it is not aligned.

    Parameters
    ----------
    path
        FASTA, A2M, A3M or Stockholm.
    alphabet, frequencies, first
        As for `WildType.align`.
    sites
        As for `WildType.aligned`.
    n_columns
        Columns of the alignment of the model, if known: only a sequence of so many is aligned.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or holds several sequences, and as `WildType` says.
    """
    records = read_records(path)
    if len(records) != 1:
        raise ValueError(
            f"{path.name} holds {len(records):,} sequences; pass a file of the wild type alone, or "
            "its name in the alignment"
        )
    name, row = records.names[0], records.letters.tobytes().decode("ascii", "replace")
    in_columns = sum(not c.islower() and c != "." for c in row)
    if in_columns == (max(sites) if n_columns is None else n_columns):
        return WildType.aligned(name, row, sites=sites, first=first)
    letters = "".join(c for c in row if c.isalpha())
    return WildType.align(name, letters, frequencies, alphabet, first=first)


def _mutations(name: str, row: int) -> list[tuple[str, int, str]]:
    if name.lower() in _UNCHANGED:
        return []
    found = []
    for each in _BETWEEN.split(name.strip()):
        match = _MUTATION.fullmatch(each)
        if match is None:
            raise ValueError(
                f"row {row} holds the mutant {name!r}; pass a letter, a position and a letter, "
                "such as A24C, or several with : between them"
            )
        found.append((match[1].upper(), int(match[2]), match[3].upper()))
    return found


def _mutants_in(header: list[str], first: list[str], path: Path) -> int:
    for place, name in enumerate(header):
        if name.lower() in _HEADERS:
            return place
    for place, cell in enumerate(first):
        if all(_MUTATION.fullmatch(each) for each in _BETWEEN.split(cell.strip())):
            return place
    raise ValueError(
        f"{path.name} has no column of mutants such as A24C; its columns are {', '.join(header)}: "
        "name one (`column`)"
    )


def _named(header: list[str], name: str, path: Path) -> int:
    if name not in header:
        hint = meant(name, header, f"its columns are {', '.join(header)}")
        raise ValueError(f"{path.name} has no column {name!r}; {hint}")
    return header.index(name)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _is_site(value: float) -> bool:
    return value >= 1 and value == int(value)
