"""Weights of a run's rows: by similarity, computed once and kept in the directory of the run."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np
import torch

from harmonium import datasets, defaults
from harmonium.datasets import Data
from harmonium.files import write_whole
from harmonium.runs.rows import NO_WEIGHTS, SIMILARITY, WeightingOptions

NAME = "weights.npz"
"""The file of weights by similarity in the directory of a run."""

_DEFINITION = "harmonium"


def weigh(options: WeightingOptions, data: Data, kept: Path | None = None) -> Data:
    """Rows with the weights that options ask for; by default, an alignment has some.

    Parameters
    ----------
    options
        What the user says.
    data
        Rows, which have the weights of a file already.
    kept
        A file of weights that `keep` wrote; what it does not hold is computed.

    Raises
    ------
    ValueError
        For weights by similarity of rows that are no sequences.
    """
    if options.weights == NO_WEIGHTS:
        return dataclasses.replace(data, weights=None)
    if options.weights is None and (data.alphabet is None or data.weights is not None):
        return data
    if options.weights not in (None, SIMILARITY):  # of a file
        return data
    identity = defaults.IDENTITY if options.identity is None else options.identity
    weights = _kept(kept, data, identity)
    if weights is None:
        weights = datasets.sequence_weights(data, identity)
    note = (
        f"rows count by 1 / (sequences that are at least {identity:.0%} alike); the effective "
        f"number of sequences, their sum, is {float(weights.sum()):,.0f} (`weights='none'` counts "
        "each once)"
    )
    return dataclasses.replace(data, weights=weights, notes=(*data.notes, note))


def keep(options: WeightingOptions, path: Path, *parts: Data | None) -> None:
    """Keep weights by similarity, so that nobody computes them again."""
    identity = defaults.IDENTITY if options.identity is None else options.identity
    arrays = {
        _key(data, identity): data.weights.cpu().numpy()
        for data in parts
        if data is not None and data.weights is not None and _by_similarity(options, data)
    }
    if arrays:
        if path.is_file():
            with np.load(path, allow_pickle=False) as before:
                arrays = {**before, **arrays}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        write_whole(path, content.getvalue())


def _by_similarity(options: WeightingOptions, data: Data) -> bool:
    return options.weights == SIMILARITY or (options.weights is None and data.alphabet is not None)


def _kept(path: Path | None, data: Data, identity: float) -> torch.Tensor | None:
    if path is None or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        key = _key(data, identity)
        return torch.from_numpy(arrays[key]).to(data.device) if key in arrays else None


def _key(data: Data, identity: float) -> str:
    """What weights depend on: the values of the rows, and which sequences are alike."""
    of_values = dataclasses.replace(data, weights=None).fingerprint()
    said = f"{of_values} {identity!r} {_DEFINITION}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]
