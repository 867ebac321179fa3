"""How near sequences are to others, and how many different ones there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

# Pairs of sequences that are compared at a time: 16 MiB, near to what caches hold.
_PAIRS = 1 << 23
_OTHERS = 1 << 15


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest of other sequences, for each sequence.

    Attributes
    ----------
    distances : ndarray, int64, shape (n_rows,)
        At how many sites they differ.
    rows : ndarray, int64, shape (n_rows,)
        The number of the nearest one, the first of several.
    """

    distances: NDArray[np.int64]
    rows: NDArray[np.int64]


def nearest(sequences: npt.ArrayLike, others: npt.ArrayLike | None = None) -> Nearest:
    """Find the nearest of other sequences by Hamming distance, in blocks.

    Parameters
    ----------
    sequences
        Numbers of letters, 0 to 255, shape (n_rows, n_sites).
    others
        The same of those to compare with, such as natural sequences, shape (n_others, n_sites).
        None compares each sequence with all but itself.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is nothing to compare with.
    """
    own = _bytes(sequences, "sequences")
    natural = own if others is None else _bytes(others, "others")
    n_sites = own.shape[1]
    if natural.shape[1] != n_sites:
        raise ValueError(
            f"sequences have {n_sites} sites, but the others {natural.shape[1]}; pass as many"
        )
    if len(natural) < 1 + (others is None):
        raise ValueError("there is no other sequence to compare with; pass one or more")
    kind = np.uint8 if n_sites < 255 else np.uint16 if n_sites < 65535 else np.uint32
    by_site = np.ascontiguousarray(natural.T)
    distances = np.full(len(own), n_sites + 1, np.int64)
    rows = np.zeros(len(own), np.int64)
    for first in range(0, len(natural), _OTHERS):
        block = by_site[:, first : first + _OTHERS]
        size = max(1, _PAIRS // block.shape[1])
        for start in range(0, len(own), size):
            some = own[start : start + size]
            differ = np.zeros((len(some), block.shape[1]), kind)
            for site in range(n_sites):
                differ += some[:, site, None] != block[site]
            if others is None:
                twin = np.arange(start, start + len(some)) - first
                inside = (twin >= 0) & (twin < block.shape[1])
                differ[np.flatnonzero(inside), twin[inside]] = n_sites + 1
            least = differ.argmin(1)
            found = differ[np.arange(len(some)), least]
            here = distances[start : start + size]
            better = found < here
            rows[start : start + size][better] = least[better] + first
            here[better] = found[better]
    return Nearest(distances, rows)


def site_entropies(
    sequences: npt.ArrayLike, n_states: int, weights: npt.ArrayLike | None = None
) -> NDArray[np.float64]:
    """Entropy of the letters at each site, nats; their sum bounds the entropy of sequences above.

    Parameters
    ----------
    sequences
        Numbers of letters, shape (n_rows, n_sites).
    n_states
        Letters of the alphabet.
    weights
        Weights of the rows; by default all count alike.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    shares = frequencies(sequences, n_states, weights)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    found: NDArray[np.float64] = -(shares * logs).sum(1)
    return found


def frequencies(
    sequences: npt.ArrayLike, n_states: int, weights: npt.ArrayLike | None = None
) -> NDArray[np.float64]:
    """Frequency of each letter at each site, shape (n_sites, n_states); parameters as above."""
    own = _bytes(sequences, "sequences")
    counted = np.ones(len(own)) if weights is None else np.asarray(weights, np.float64)
    if counted.shape != (len(own),) or not counted.sum() > 0:
        raise ValueError(
            f"there are {len(own)} sequences and {counted.size} weights; pass a weight for each"
        )
    if own.size and own.max() >= n_states:
        raise ValueError(f"sequences hold the letter {own.max()}, but there are {n_states} letters")
    found = np.stack([np.bincount(site, counted, n_states) for site in own.T])
    shares: NDArray[np.float64] = found / counted.sum()
    return shares


def _bytes(sequences: npt.ArrayLike, name: str) -> NDArray[np.uint8]:
    given = np.asarray(sequences)
    if given.ndim != 2 or not len(given) or given.dtype.kind not in "iu":
        raise ValueError(
            f"{name} are {given.dtype} of shape {given.shape}; pass numbers of letters, shape "
            "(n_rows, n_sites)"
        )
    if given.min() < 0 or given.max() > 255:
        raise ValueError(f"{name} hold {given.min()} to {given.max()}; pass 0 to 255")
    return given.astype(np.uint8, copy=False)
