"""Alphabets of aligned sequences: letters to the numbers of categories, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

PROTEIN = "ACDEFGHIKLMNPQRSTVWY-"
"""The 20 amino acids and the gap."""

RNA = "ACGU-"
"""The four bases of RNA and the gap."""

DNA = "ACGT-"
"""The four bases of DNA and the gap."""

GAP = "-"
"""The letter of a gap, in every alphabet that has one."""

ALPHABETS = {"protein": PROTEIN, "rna": RNA, "dna": DNA}
"""The alphabets that have a name."""

_RESERVED = frozenset("> .*")  # of the formats: a header, white space, an insertion, an end


def alphabet_of(said: str) -> str:
    """The letters of a name (of `ALPHABETS`, in any case), or a user's own letters.

    Raises
    ------
    ValueError
        For fewer than two letters, one that stands twice, and one that the formats of alignments
        use for something else.
    """
    if said.lower() in ALPHABETS:
        return ALPHABETS[said.lower()]
    is_typo = bool(get_close_matches(said.lower(), ALPHABETS, cutoff=0.8))
    printed = said.isascii() and said.isprintable() and not _RESERVED & {*said}
    if len(said) < 2 or len({*said}) != len(said) or not printed or is_typo:
        raise ValueError(
            f"`alphabet` is {said!r}; pass {', '.join(ALPHABETS)}, or two or more different "
            'letters, such as "HP-" (with the gap "-", if there are gaps), without space, dot, '
            "asterisk and >"
        )
    return said


def numbers_of(sequences: Iterable[str], alphabet: str) -> NDArray[np.uint8]:
    """The numbers of the letters of sequences of one length, uint8, shape (n_rows, n_sites).

    Raises
    ------
    ValueError
        For sequences of different lengths, and for a letter that is not in the alphabet: names the
        letter, the sequence (counted from 0) and the position (counted from 1).
    """
    rows = list(sequences)
    lengths = [len(row) for row in rows]
    for place, length in enumerate(lengths):
        if length != lengths[0]:
            raise ValueError(
                f"sequence {place} has {length} letters, but sequence 0 has {lengths[0]}; pass "
                "aligned sequences"
            )
    places = {letter: number for number, letter in enumerate(alphabet)}
    numbers = np.empty((len(rows), lengths[0] if rows else 0), np.uint8)
    for place, row in enumerate(rows):
        try:
            numbers[place] = [places[letter] for letter in row]
        except KeyError as error:
            letter = error.args[0]
            raise ValueError(
                f"sequence {place} has {letter!r} at position {row.index(letter) + 1}, which is "
                f"not in the alphabet {alphabet}"
            ) from None
    return numbers


def words_of(numbers: NDArray[np.integer], alphabet: str) -> list[str]:
    """The sequences of rows of letter numbers, shape (n_rows, n_sites)."""
    codes = np.frombuffer(alphabet.encode("ascii"), np.uint8)
    n_sites = numbers.shape[1]
    if not n_sites:
        return [""] * len(numbers)
    spelled = np.ascontiguousarray(codes[numbers]).view(f"S{n_sites}")[:, 0]
    return [word.decode("ascii") for word in spelled]


_ANY = "X?*"
_UNKNOWN = {PROTEIN: "BJOUZ" + _ANY, RNA: "BDHKMNRSVWY" + _ANY, DNA: "BDHKMNRSVWY" + _ANY}
_SWAPPED = {RNA: ("T", "U"), DNA: ("U", "T")}
_NUCLEOTIDES = 0.9


@dataclass(frozen=True)
class Known:
    """What the letters of sequences mean in an alphabet.

    Parameters
    ----------
    numbers
        The number of each letter.
    unknown
        Letters that stand for several, or for any.
    swapped
        A letter that is read as another: T in RNA is U. Empty in other alphabets.
    """

    numbers: dict[str, int]
    unknown: str
    swapped: tuple[str, ...] = ()


def known_letters(alphabet: str) -> Known:
    """What letters mean: those of the alphabet, and unknown ones."""
    numbers = {letter: number for number, letter in enumerate(alphabet)}
    swapped = _SWAPPED.get(alphabet, ())
    if swapped:
        numbers[swapped[0]] = numbers[swapped[1]]
    unknown = _UNKNOWN.get(alphabet, _ANY)
    return Known(numbers, "".join(c for c in unknown if c not in numbers), swapped)


def guessed(counts: NDArray[np.int64]) -> str:
    """The alphabet whose letters these are, by the count of each ASCII code: a name.

    Nine of ten letters of nucleic acids are A, C, G, T, U or N. RNA has more U than T.
    """
    n = {letter: int(counts[ord(letter)]) for letter in "ACGTUN"}
    n_letters = int(counts[ord("A") : ord("Z") + 1].sum())
    if sum(n.values()) < _NUCLEOTIDES * n_letters or not n_letters:
        return "protein"
    return "rna" if n["U"] > n["T"] else "dna"
