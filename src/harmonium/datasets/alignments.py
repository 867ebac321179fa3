"""Aligned sequences as rows of letter numbers: insertions, unknown letters, gaps, duplicates.

This module decides what the letters of `Records` mean, and says so in notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets.alphabets import ALPHABETS, GAP, alphabet_of, guessed, known_letters
from harmonium.datasets.arrays import Arrays
from harmonium.datasets.dropped import Dropped, counted, summed_up
from harmonium.datasets.reading import Reading
from harmonium.datasets.records import Records, read_records

_ROWS = 1 << 16  # at a time, where memory has to be bounded
_OUTSIDE, _UNKNOWN = 255, 254
_SHOWN = 5
_STAR = b"*"[0]
_HAS_INSERTIONS = re.compile(r"\.a[23]m(\.gz)?$", re.IGNORECASE)  # formats that are made for them
_IS_LOWER = np.array([chr(code).islower() and code < 128 for code in range(256)])
_IS_INSERTION = _IS_LOWER | (np.arange(256) == b"."[0])


def read_alignment(path: Path, reading: Reading) -> Arrays:
    """Read an alignment in FASTA, A2M, A3M or Stockholm format.

    Raises
    ------
    ValueError
        For a file without sequences, a header without a sequence or the other way round, sequences
        of different lengths, letters outside the alphabet, and whatever the options refuse.
    """
    return aligned(read_records(path), reading, path.name)


def from_words(
    names: Sequence[str] | None, words: Iterable[str], reading: Reading, name: str
) -> Arrays:
    """The same for sequences in memory, such as a column of a table."""
    texts = [word.strip().encode("ascii", "replace") for word in words]
    return aligned(Records.of(names or [""] * len(texts), texts), reading, name)


def aligned(records: Records, reading: Reading, name: str) -> Arrays:
    """Rows of letter numbers, uint8, of sequences; raises what `read_alignment` raises."""
    _refuse_empty(records, name)
    records = _without_stars(records)
    _refuse_empty(records, name)
    notes: list[str] = []
    letters = _match_columns(records, reading, name, notes)
    n_rows, n_sites = letters.shape
    alphabet, said = _alphabet(letters, reading)
    shape = f"{counted(n_rows, 'sequence')} × {counted(n_sites, 'site')}"
    head = f"an alignment of {shape}; alphabet {said}"
    _number_(letters, alphabet, records, name, notes)
    rows = np.ones(n_rows, bool)
    dropped = _take_unknown_(letters, rows, alphabet, reading, records, name, notes)
    dropped += _drop_rows_(letters, rows, alphabet, reading, records)
    if not rows.any():
        raise ValueError(
            f"{name} has no sequence left: all {n_rows:,} were dropped; allow more gaps "
            "(`max_gaps_row`), or read unknown letters as gaps (`unknown='gap'`)"
        )
    values = letters if rows.all() else letters[rows]
    sites, of_sites = _sites(values, alphabet, reading, name)
    dropped += of_sites
    if len(sites) < n_sites:
        values = np.ascontiguousarray(values[:, sites - 1])
    notes += summed_up(dropped)
    n_twice = len(values) - n_distinct(values)
    if n_twice:
        notes.append(f"copies of other sequences: {n_twice:,} of {len(values):,}")
    gone = [str(each.number) for each in of_sites]
    return Arrays(
        values,
        columns=[str(site) for site in sites],
        notes=[head, *notes],
        named={"drop": tuple(gone)} if gone else {},
        alphabet=alphabet,
        row_names=records.names.take(torch.from_numpy(np.flatnonzero(rows))),
        kept=None if rows.all() else rows,
        dropped=tuple(dropped),
    )


def n_distinct(values: NDArray[np.uint8]) -> int:
    """The number of different rows, by a hash of 64 bits."""
    n_rows, n = values.shape
    n_words = -(-n // 8)
    factors = np.random.default_rng(0).integers(1, 2**63, n_words, np.uint64) * 2 + 1
    hashes = np.empty(n_rows, np.uint64)
    for start in range(0, n_rows, _ROWS):
        block = values[start : start + _ROWS]
        padded = np.zeros((len(block), 8 * n_words), np.uint8)
        padded[:, :n] = block
        words = padded.view(np.uint64)
        words ^= words >> np.uint64(29)
        hashes[start : start + _ROWS] = (words * factors).sum(1, dtype=np.uint64)
    hashes.sort()
    return 1 + int((hashes[1:] != hashes[:-1]).sum())


def _refuse_empty(records: Records, name: str) -> None:
    if not len(records):
        raise ValueError(f"{name} holds no sequence; pass one or more")
    empty = np.flatnonzero(records.lengths == 0)
    if len(empty):
        more = f", and {len(empty) - 1:,} more" if len(empty) > 1 else ""
        raise ValueError(
            f"{name} has a header without a sequence: {records.called(int(empty[0]))}{more}; "
            "remove it, or add its letters"
        )


def _without_stars(records: Records) -> Records:
    """The sequences without the asterisk that ends a translated protein."""
    last = records.lengths.cumsum() - 1
    ends = last[records.letters[last] == _STAR]
    if not len(ends):
        return records
    kept = np.ones(len(records.letters), bool)
    kept[ends] = False
    shorter = records.only(kept)
    # a column of its own, in which other sequences have a gap, stays
    return records if len(set(records.lengths.tolist())) == 1 < len(ends) < len(last) else shorter


def _match_columns(
    records: Records, reading: Reading, name: str, notes: list[str]
) -> NDArray[np.uint8]:
    """The letters of the columns that all sequences share, upper case, (n_rows, n_sites)."""
    own = reading.alphabet is not None and alphabet_of(reading.alphabet) != (
        alphabet_of(reading.alphabet).upper()
    )
    is_insertion = _IS_INSERTION[records.letters]
    if own or not is_insertion.any():
        return _equal(records, name)
    without = records.only(~is_insertion)
    lengths = without.lengths
    as_wide = (records.lengths == records.lengths[0]).all() and not _HAS_INSERTIONS.search(name)
    if (lengths != lengths[0]).any() and as_wide:
        # lower case and dots are but another way to write letters and gaps
        notes.append("lower case is read as upper case, and dots as gaps")
        upper = _upper(records.letters).reshape(len(records), -1)
        upper[upper == b"."[0]] = GAP.encode()[0]
        return upper
    if not lengths.any():
        notes.append("lower case is read as upper case")
        return _upper(_equal(records, name))
    letters = _equal(without, name)
    n_inserted = int(_IS_LOWER[records.letters].sum())
    if reading.insertions == "refuse":
        row, place = records.where(int(np.flatnonzero(is_insertion)[0]))
        raise ValueError(
            f"{name} has insertions (lower case and dots): the first is "
            f"{chr(records.letters[np.flatnonzero(is_insertion)[0]])!r} in {records.called(row)} "
            f"at position {place + 1}; take `insertions='drop'`, or remove them"
        )
    n_rows = int(np.logical_or.reduceat(_IS_LOWER[records.letters], records.starts).sum())
    notes.append(
        f"insertions were dropped: {counted(n_inserted, 'letter')} in lower case, of "
        f"{counted(n_rows, 'sequence')}, and dots"
    )
    return letters


def _equal(records: Records, name: str) -> NDArray[np.uint8]:
    """The letters as a matrix; names the first sequence of another length."""
    lengths = records.lengths
    other = np.flatnonzero(lengths != lengths[0])
    if len(other):
        row = int(other[0])
        raise ValueError(
            f"the sequences of {name} have different lengths: {records.called(row)} has "
            f"{lengths[row]:,} letters, but {records.called(0)} has {lengths[0]:,} (insertions "
            "not counted); align them first"
        )
    letters = records.letters.reshape(len(records), int(lengths[0]))
    return letters if letters.flags.writeable else letters.copy()


def _upper(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(_IS_LOWER[letters], letters - 32, letters)


def _alphabet(letters: NDArray[np.uint8], reading: Reading) -> tuple[str, str]:
    """The letters of the alphabet, and how they were found."""
    if reading.alphabet is not None:
        alphabet = alphabet_of(reading.alphabet)
        names = {known: name for name, known in ALPHABETS.items()}
        return alphabet, f"{names[alphabet]} ({alphabet})" if alphabet in names else alphabet
    counts = sum(
        np.bincount(block.ravel(), minlength=256)
        for block in np.array_split(letters, -(-len(letters) // _ROWS))
    )
    name = guessed(cast("NDArray[np.int64]", counts))
    return ALPHABETS[name], f"{name} ({ALPHABETS[name]}), guessed from the letters"


def _number_(
    letters: NDArray[np.uint8], alphabet: str, records: Records, name: str, notes: list[str]
) -> None:
    """Replace codes of letters by their numbers in place; `_UNKNOWN` where nothing is known."""
    known = known_letters(alphabet)
    numbers = np.full(256, _OUTSIDE, np.uint8)
    numbers[[ord(letter) for letter in known.unknown]] = _UNKNOWN
    for letter, number in known.numbers.items():
        numbers[ord(letter)] = number
    swapped = 0
    for start in range(0, len(letters), _ROWS):
        block = letters[start : start + _ROWS]
        if known.swapped:
            swapped += int((block == ord(known.swapped[0])).sum())
        found = numbers[block]
        if (found == _OUTSIDE).any():
            row, site = (int(place[0]) for place in np.nonzero(found == _OUTSIDE))
            raise ValueError(
                f"{name} has {chr(block[row, site])!r} in {records.called(start + row)} at "
                f"site {site + 1}, which is not in the alphabet {alphabet}; pass the `alphabet` "
                "of the sequences, or correct it"
            )
        block[...] = found
    if swapped:
        notes.append(f"{swapped:,} {known.swapped[0]} are read as {known.swapped[1]}")


def _take_unknown_(
    letters: NDArray[np.uint8],
    rows: NDArray[np.bool],
    alphabet: str,
    reading: Reading,
    records: Records,
    name: str,
    notes: list[str],
) -> list[Dropped]:
    """Unknown letters become gaps, or their sequences are dropped or refused."""
    of_rows = np.concatenate(
        [
            (letters[start : start + _ROWS] == _UNKNOWN).sum(1)
            for start in range(0, len(letters), _ROWS)
        ]
    )
    n = int(of_rows.sum())
    if not n:
        return []
    first = int(np.flatnonzero(of_rows)[0])
    site = int(np.flatnonzero(letters[first] == _UNKNOWN)[0]) + 1
    some = (
        f"{counted(n, 'unknown letter')} (such as X, B or N), the first in "
        f"{records.called(first)} at site {site}"
    )
    if reading.unknown == "refuse":
        raise ValueError(f"{name} has {some}; take `unknown='gap'` or `unknown='drop'`")
    if reading.unknown == "drop":
        rows &= of_rows == 0
        letters[letters == _UNKNOWN] = 0  # of rows that are dropped
        shares = of_rows / letters.shape[1]
        return [
            Dropped("sequence", row, records.names[row], "unknown letters", float(shares[row]))
            for row in np.flatnonzero(of_rows).tolist()
        ]
    if GAP not in alphabet:
        raise ValueError(
            f"{name} has {some}, and the alphabet {alphabet} has no gap to read them as; take "
            "`unknown='drop'`, or an alphabet with a gap (-)"
        )
    for start in range(0, len(letters), _ROWS):
        block = letters[start : start + _ROWS]
        block[block == _UNKNOWN] = alphabet.index(GAP)
    notes.append(f"{some}, read as {'gaps' if n > 1 else 'a gap'}")
    return []


def _drop_rows_(
    letters: NDArray[np.uint8],
    rows: NDArray[np.bool],
    alphabet: str,
    reading: Reading,
    records: Records,
) -> list[Dropped]:
    """Sequences with more gaps than allowed."""
    most = reading.max_gaps_row
    if most is None or GAP not in alphabet:
        return []
    gap = alphabet.index(GAP)
    shares = np.concatenate(
        [(letters[i : i + _ROWS] == gap).mean(1) for i in range(0, len(letters), _ROWS)]
    )
    beyond = rows & (shares > most)
    rows &= ~beyond
    return [
        Dropped("sequence", row, records.names[row], "too many gaps", float(shares[row]))
        for row in np.flatnonzero(beyond).tolist()
    ]


def _sites(
    values: NDArray[np.uint8], alphabet: str, reading: Reading, name: str
) -> tuple[NDArray[np.int64], list[Dropped]]:
    """The sites that are kept, numbered from 1, and those that are not."""
    n_sites = values.shape[1]
    shares = np.zeros(n_sites)
    if GAP in alphabet:
        gap, shares = alphabet.index(GAP), np.zeros(n_sites)
        for start in range(0, len(values), _ROWS):
            shares += (values[start : start + _ROWS] == gap).sum(0)
        shares /= len(values)
    asked = {_site(column, n_sites, reading, name) for column in reading.drop}
    if reading.n_columns == n_sites and asked:  # those sites are left out already
        numbers = [site for site in range(1, n_sites + len(asked) + 1) if site not in asked]
        return np.array(numbers), []
    if reading.n_columns is not None and reading.n_columns != n_sites - len(asked):
        raise ValueError(
            f"{name} has {n_sites} sites, but the model was trained on "
            f"{reading.n_columns + len(asked)}; pass sequences of the same alignment"
        )
    most = reading.max_gaps_column
    gone = []
    for site in range(1, n_sites + 1):
        if site in asked:
            gone.append(Dropped("site", site, str(site), "as asked", float(shares[site - 1])))
        elif most is not None and shares[site - 1] > most:
            gone.append(Dropped("site", site, str(site), "too many gaps", float(shares[site - 1])))
    kept = sorted({*range(1, n_sites + 1)} - {each.number for each in gone})
    if not kept:
        raise ValueError(
            f"{name} has no site left: all {n_sites} were dropped; allow more gaps "
            "(`max_gaps_column`)"
        )
    return np.array(kept), gone


def _site(column: str | int, n_sites: int, reading: Reading, name: str) -> int:
    most = max(n_sites, 0 if reading.n_columns is None else reading.n_columns + len(reading.drop))
    if not str(column).isdecimal() or not 1 <= int(column) <= most:
        raise ValueError(
            f"`drop` names {column!r}, and the sites of {name} are numbered from 1 to {n_sites}"
        )
    return int(column)
