"""Contacts predicted from couplings: scores of pairs of sites, ranked, and judged by distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from harmonium.arguments import check_count

SEPARATION = 5
"""Pairs of sites at most so far apart along the sequence are left out: they touch anyway."""

CUT_OFF = 8.0
"""Largest distance of two residues in contact, Å."""


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of sites, the most probable contact first.

    Attributes
    ----------
    scores : ndarray, float64, shape (n_sites, n_sites)
        Score of each pair, symmetric, 0 on the diagonal.
    pairs : ndarray, int64, shape (n_pairs, 2)
        Sites i < j of each pair, counted from 0.
    """

    scores: NDArray[np.float64]
    pairs: NDArray[np.int64]

    @property
    def ranked(self) -> NDArray[np.float64]:
        """The scores of the pairs, descending."""
        found: NDArray[np.float64] = self.scores[self.pairs[:, 0], self.pairs[:, 1]]
        return found


@dataclass(frozen=True, eq=False)
class Precision:
    """How many of the best pairs are contacts. Pairs of unknown distance are skipped.

    Attributes
    ----------
    pairs : ndarray, int64, shape (n_known, 2)
        The ranked pairs with a known distance.
    is_contact : ndarray, bool, shape (n_known,)
        Whether each is nearer than the cut-off.
    cut_off
        Distance below which two sites are in contact, Å.
    """

    pairs: NDArray[np.int64]
    is_contact: NDArray[np.bool_]
    cut_off: float

    @property
    def curve(self) -> NDArray[np.float64]:
        """Share of contacts among the best 1, 2, ... pairs."""
        found: NDArray[np.float64] = self.is_contact.cumsum() / np.arange(
            1, len(self.is_contact) + 1
        )
        return found

    def at(self, n: int) -> float:
        """Share of contacts among the best ``n`` pairs; NaN if there are fewer."""
        check_count("n", n)
        return float(self.curve[n - 1]) if n <= len(self.is_contact) else float("nan")

    @property
    def area(self) -> float:
        """Mean of the curve over as many pairs as there are contacts; 1 if all come first."""
        n = int(self.is_contact.sum())
        return float(self.curve[:n].mean()) if n else float("nan")


def average_product_corrected(norms: npt.ArrayLike) -> NDArray[np.float64]:
    """Subtract what each pair of sites would have if every site had its own strength alone.

    ``F_ij - F_i F_j / F`` with means over the other sites, and over all pairs (Dunn, Wahl and
    Gloor, 2008, Bioinformatics 24, 333). The diagonal counts nowhere, and is 0.

    Parameters
    ----------
    norms
        Symmetric, shape (n_sites, n_sites), three sites or more.

    Raises
    ------
    ValueError
        If the matrix is not square, or has fewer than three sites.
    """
    given = _square(norms)
    n = len(given)
    of_site = (given.sum(0) - given.diagonal()) / (n - 1)
    mean = of_site.mean()
    found = given - np.outer(of_site, of_site) / mean if mean > 0 else given.copy()
    np.fill_diagonal(found, 0.0)
    return found


def contacts(
    norms: npt.ArrayLike,
    *,
    separation: int = SEPARATION,
    positions: Sequence[int] | None = None,
    corrected: bool = True,
) -> Contacts:
    """Rank pairs of sites by the strength of their couplings.

    Parameters
    ----------
    norms
        Strength of each pair, such as `Couplings.norms`, shape (n_sites, n_sites).
    separation
        Only pairs more than so many positions apart are ranked.
    positions
        Position of each site along the sequence, ascending; by default 1, 2, ....
    corrected
        Whether scores are `average_product_corrected`.

    Raises
    ------
    TypeError, ValueError
        If the matrix is not square, or no pair is so far apart.
    """
    check_count("separation", separation, 0)
    scores = average_product_corrected(norms) if corrected else _square(norms)
    n = len(scores)
    places = np.arange(n) if positions is None else np.asarray(positions)
    if places.shape != (n,):
        raise ValueError(
            f"there are {places.size} positions, but {n} sites; pass a position for each site"
        )
    i, j = np.triu_indices(n, 1)
    apart = np.abs(places[j] - places[i]) > separation
    if not apart.any():
        raise ValueError(
            f"`separation` is {separation}, and no two sites are further apart; pass less"
        )
    pairs = np.stack([i[apart], j[apart]], 1)
    order = np.argsort(-scores[pairs[:, 0], pairs[:, 1]], kind="stable")
    return Contacts(scores, pairs[order])


def precision(
    pairs: npt.ArrayLike, distances: npt.ArrayLike, *, cut_off: float = CUT_OFF
) -> Precision:
    """Compare ranked pairs with distances in a structure.

    Parameters
    ----------
    pairs
        Sites of pairs, the best first, shape (n_pairs, 2).
    distances
        Å, shape (n_sites, n_sites); NaN where unknown.
    cut_off
        Sites nearer than this are in contact.

    Raises
    ------
    ValueError
        If none of the pairs has a known distance, or the cut-off is not positive.
    """
    if not cut_off > 0:
        raise ValueError(f"`cut_off` is {cut_off}; pass a positive distance in Å, such as 8")
    ranked, apart = np.asarray(pairs, np.int64), np.asarray(distances, np.float64)
    between = apart[ranked[:, 0], ranked[:, 1]]
    known = np.isfinite(between)
    if not known.any():
        raise ValueError("no pair of sites has a known distance; pass distances of these sites")
    return Precision(ranked[known], between[known] < cut_off, float(cut_off))


def _square(norms: npt.ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(norms, np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or len(given) < 3:
        raise ValueError(
            f"norms have shape {given.shape}; pass a number for each pair of three or more sites"
        )
    return given
