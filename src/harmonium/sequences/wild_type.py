"""A wild type: one sequence of a family, and where the model's sites lie on it.

Mutations name positions on the whole sequence (``A24C``), models have sites. An aligned sequence
says which is which: each of its letters, insertions included, is one position further. A sequence
that is not aligned is aligned to the family's profile here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from harmonium.datasets.alphabets import GAP

# NAME/74-273, as in Pfam and Rfam: where an aligned domain lies on its whole sequence
_RANGE = re.compile(r"/(\d+)-(\d+)$")

# Costs of a gap in nats: of its first letter, and of each further one. Those of BLAST for proteins
# (BLOSUM62, in half-bits: 12 and 1) are 4.2 and 0.35.
_OPEN, _EXTEND = 4.0, 0.5


@dataclass(frozen=True)
class WildType:
    """A sequence on the sites of a model.

    Attributes
    ----------
    name
        Its name.
    letters
        Its letter at each site; gaps where it has none.
    positions
        The position of each letter on the whole sequence, counted from 1; None at a gap.
    extent
        First and last position of the sequence, as far as it is known.
    aligned_here
        Whether it came without an alignment, and was aligned to the family's profile.
    """

    name: str
    letters: str
    positions: tuple[int | None, ...]
    extent: tuple[int, int]
    aligned_here: bool = False

    @property
    def site_of(self) -> dict[int, int]:
        """The site of each position that has one, counted from 0."""
        return {position: site for site, position in enumerate(self.positions) if position}

    @classmethod
    def aligned(
        cls, name: str, row: str, *, sites: Sequence[int] | None = None, first: int | None = None
    ) -> WildType:
        """A row of an alignment.

        Parameters
        ----------
        name
            If it ends in a range such as ``/74-273``, that is where the letters lie.
        row
            Letters, and gaps; lower-case letters are insertions, which have no site, and dots fill
            columns of insertions of others.
        sites
            Numbers of the columns (without insertions, from 1) that the model has; None means all.
        first
            Position of the first letter; by default the name's, or 1.

        Raises
        ------
        ValueError
            If the range does not fit the number of letters, or a site is beyond the row.
        """
        place = _first(name, sum(c.isalpha() for c in row), first)
        begin = place
        letters, positions = [], []
        for letter in row.replace(".", ""):
            if letter.islower():
                place += 1
                continue
            letters.append(letter)
            positions.append(None if letter == GAP else place)
            place += letter != GAP
        kept = range(1, len(letters) + 1) if sites is None else sites
        if len(kept) and max(kept) > len(letters):
            raise ValueError(
                f"{name} has {len(letters)} columns, but the model has a site in column "
                f"{max(kept)}; pass the sequence as it stands in the alignment of the model"
            )
        return cls(
            name,
            "".join(letters[site - 1] for site in kept),
            tuple(positions[site - 1] for site in kept),
            (begin, place - 1),
        )

    @classmethod
    def align(
        cls,
        name: str,
        sequence: str,
        frequencies: npt.ArrayLike,
        alphabet: str,
        *,
        first: int | None = None,
    ) -> WildType:
        """Align a sequence to the profile of a family.

        Letters score the log of their frequency at the site over that at all sites; gaps cost 4
        nats, and 0.5 for each further letter. What lies before and behind the family's domain costs
        nothing. The best alignment is found exactly (Gotoh, 1982, J. Mol. Biol. 162, 705).

        Parameters
        ----------
        name, first
            As for `aligned`.
        sequence
            Letters without gaps.
        frequencies
            Of states at sites, in the alphabet's order, shape (n_sites, n_states).
        alphabet
            The letters of the states; one of them is the gap.

        Raises
        ------
        ValueError
            If the sequence is empty, or has a letter that is not in the alphabet.
        """
        word = sequence.upper()
        numbers = [alphabet.find(letter) for letter in word]
        if not word or GAP in word or -1 in numbers:
            wrong = next((c for c, n in zip(word, numbers, strict=True) if n < 0 or c == GAP), "")
            raise ValueError(
                f"{name} has the letter {wrong!r}; pass letters of {alphabet.replace(GAP, '')}"
                if word
                else f"{name} is empty; pass its letters"
            )
        begin = _first(name, len(word), first)
        is_letter = np.array([letter != GAP for letter in alphabet])
        shares = np.asarray(frequencies, np.float64)[:, is_letter]
        shares = (shares + 1e-3) / (shares + 1e-3).sum(1, keepdims=True)
        scores = np.full((len(shares), len(alphabet)), -np.inf)
        scores[:, is_letter] = np.log(shares / shares.mean(0))
        places = _best_alignment(scores[:, numbers])
        return cls(
            name,
            "".join(GAP if at < 0 else word[at] for at in places),
            tuple(None if at < 0 else begin + at for at in places),
            (begin, begin + len(word) - 1),
            aligned_here=True,
        )

    def numbers(self, alphabet: str) -> NDArray[np.int64]:
        """The number of each site's letter in an alphabet.

        Raises
        ------
        ValueError
            For a letter that is not in it.
        """
        found = np.array([alphabet.find(letter) for letter in self.letters], np.int64)
        if (found < 0).any():
            site = int((found < 0).argmax())
            raise ValueError(
                f"{self.name} has {self.letters[site]!r} at site {site + 1}, which is none of the "
                f"model's letters, {alphabet}; pass a sequence without such letters"
            )
        return found


def _first(name: str, n_letters: int, first: int | None) -> int:
    if first is not None:
        if first < 1:
            raise ValueError(f"`first` is {first}; pass the position of the first letter, from 1")
        return first
    found = _RANGE.search(name)
    if found is None:
        return 1
    begin, end = int(found[1]), int(found[2])
    if end - begin + 1 != n_letters:
        raise ValueError(
            f"{name} names positions {begin} to {end}, {end - begin + 1} letters, but the sequence "
            f"has {n_letters}; pass the position of its first letter (`first`)"
        )
    return begin


def _best_alignment(scores: NDArray[np.float64]) -> list[int]:
    """The letter of each site, -1 for none, of the best path through scores (sites, letters)."""
    n, m = scores.shape
    # of paths that end at (site, letter) with a match, a site skipped, a letter inserted
    match = np.full((n + 1, m + 1), -np.inf)
    skip, insert = match.copy(), match.copy()
    match[0] = 0.0  # what stands before the domain is free
    skip[1:, :] = -(_OPEN + _EXTEND * np.arange(n))[:, None]
    for i in range(1, n + 1):
        best = np.maximum(np.maximum(match[i - 1], skip[i - 1]), insert[i - 1])
        match[i, 1:] = best[:-1] + scores[i - 1]
        skip[i] = np.maximum(np.maximum(match[i - 1], insert[i - 1]) - _OPEN, skip[i - 1] - _EXTEND)
        for j in range(1, m + 1):
            insert[i, j] = max(
                max(match[i, j - 1], skip[i, j - 1]) - _OPEN, insert[i, j - 1] - _EXTEND
            )
    tables = {"match": match, "skip": skip, "insert": insert}
    places = [-1] * n
    i = n
    j, state = max(
        ((j, name) for j in range(m + 1) for name in ("match", "skip")),
        key=lambda end: tables[end[1]][n, end[0]],
    )
    while i > 0:
        if state == "match":
            places[i - 1] = j - 1
            i, j = i - 1, j - 1
            before = {name: tables[name][i, j] for name in tables}
        elif state == "skip":
            i -= 1
            before = {name: tables[name][i, j] - (_OPEN if name != "skip" else _EXTEND)
                      for name in tables}  # fmt: skip
        else:
            j -= 1
            before = {name: tables[name][i, j] - (_OPEN if name != "insert" else _EXTEND)
                      for name in tables}  # fmt: skip
        state = max(before, key=lambda name: before[name])
    return places
