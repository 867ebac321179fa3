"""What answers about a run of aligned sequences share: letters, positions, frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import meant
from harmonium.datasets import Data
from harmonium.datasets.alphabets import words_of
from harmonium.datasets.records import read_records
from harmonium.runs.answers.trained import Trained
from harmonium.sequences import WildType, frequencies, read_wild_type

# A letter that no sequence has at a site gets the frequency of this many sequences, shared by all.
_PSEUDOCOUNT = 1.0


def positions_of(trained: Trained) -> list[int]:
    """The number of each site in the alignment's columns, from 1."""
    names, n = trained.columns, trained.rbm.visible.n
    if names is None or len(names) != n or not all(name.isdecimal() for name in names):
        return list(range(1, n + 1))
    return [int(name) for name in names]


def need_letters(trained: Trained) -> str:
    """The letters of the model's states; an error if its rows were no alignment."""
    letters = trained.alphabet
    if letters is None:
        raise ValueError(
            f"{trained.run.path} learned from rows without letters; train on an alignment "
            "(FASTA, A2M, A3M or Stockholm)"
        )
    return letters


def numbers_of(data: Data) -> Tensor:
    """Letter numbers of rows, int64, shape (n_rows, n_sites)."""
    return data.values.long()


def frequencies_in(data: Data, n_states: int) -> NDArray[np.float64]:
    """Frequencies of letters at sites, by the rows' weights, none of them zero."""
    weights = None if data.weights is None else data.weights.cpu().numpy()
    found = frequencies(data.values.cpu().numpy(), n_states, weights)
    n = len(data) if weights is None else float(weights.sum())
    return (found * n + _PSEUDOCOUNT / n_states) / (n + _PSEUDOCOUNT)


def wild_type_of(trained: Trained, parts: Sequence[Data], said: str, first: int | None) -> WildType:
    """A wild type by its name in the run's alignment, or from a file of one sequence.

    Parameters
    ----------
    trained
        The run.
    parts
        Its training rows, and any others, in which the name is looked for.
    said
        The name or the path.
    first
        Position of its first letter; None as it says itself.

    Raises
    ------
    OSError, ValueError
        If there is no such name or file, or what it holds does not fit the model.
    """
    letters, sites = need_letters(trained), positions_of(trained)
    if Path(said).is_file():
        found = read_wild_type(
            Path(said), letters, frequencies_in(parts[0], len(letters)),
            sites=sites, n_columns=len(sites) + len(trained.left_out), first=first,
        )  # fmt: skip
    else:
        name, data, row = _named(said, parts)
        raw = _as_written(trained, name)
        if raw is not None:
            found = WildType.aligned(name, raw, sites=sites, first=first)
        else:
            [word] = words_of(data.values[row : row + 1].cpu().numpy(), letters)
            found = WildType.aligned(name, word, first=first)
    found.numbers(letters)
    return found


def _named(said: str, parts: Sequence[Data]) -> tuple[str, Data, int]:
    """The one row of this name, with or without its range."""
    known: dict[str, list[tuple[str, Data, int]]] = {}
    for data in parts:
        for row, name in enumerate(data.row_names or ()):
            for key in {name, name.partition("/")[0]}:
                known.setdefault(key, []).append((name, data, row))
    found = known.get(said, [])
    names = {name for name, _, _ in found}
    if len(names) > 1:
        raise ValueError(
            f"`wild_type` is {said!r}, of which there are {len(names)}: "
            f"{', '.join(sorted(names)[:5])}; pass one of them"
        )
    if not found:
        hint = meant(said, known, "the alignment has no such sequence, and there is no such file")
        raise ValueError(
            f"`wild_type` is {said!r}; {hint}: pass the name of a sequence of the run's alignment, "
            "or a FASTA file of one sequence"
        )
    return found[0]


def _as_written(trained: Trained, name: str) -> str | None:
    """The row as the run's files have it, with its insertions; None if they are not at hand."""
    for path in (trained.options.data, trained.options.validation_data, trained.options.test_data):
        if path is None or not Path(path).is_file():
            continue
        try:
            records = read_records(Path(path))
        except ValueError:  # a table of sequences, which has no insertions of its own
            continue
        if name in records.names:
            row = records.names.index(name)
            end = int(records.lengths[: row + 1].sum())
            letters = records.letters[end - int(records.lengths[row]) : end]
            return letters.tobytes().decode("ascii", "replace").rstrip("*")
    return None
