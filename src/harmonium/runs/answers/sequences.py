"""Files of samples: archives, tables, FASTA for sequences, and .hapt for zeros and ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets.alphabets import GAP, words_of
from harmonium.datasets.frames import TABLE_FILES, write_frame
from harmonium.datasets.haplotypes import write_hapt
from harmonium.files import whole_file, write_whole
from harmonium.run_directory import RunDirectory
from harmonium.runs.answers.archives import (
    ARCHIVE,
    FASTA,
    TABLE_OR_ARCHIVE,
    target_of,
    write_archive,
)
from harmonium.runs.answers.trained import Trained
from harmonium.runs.pictures.views import View

HAPT = ".hapt"
_GENOME = "AG"  # artificial genome


def place_of_samples(out: Path | None, trained: Trained, run: RunDirectory | None = None) -> Path:
    """Where samples are written; sequences alone go into FASTA, and zeros and ones into .hapt.

    Raises what `target_of` raises, and ValueError for a .hapt of other values.
    """
    if trained.view.table is not None:
        return target_of(out, run or trained.run, "samples.csv", (*TABLE_FILES, *ARCHIVE))
    suffixes = (HAPT,) if trained.alphabet is None else FASTA
    suffixes = (*suffixes, *TABLE_OR_ARCHIVE)
    if out is not None and out.suffix == HAPT in suffixes and not _are_zeros_and_ones(trained):
        raise ValueError(
            f"`out` is {out}, which holds zeros and ones, and these units are drawn as other "
            "values; pass a name that ends in .csv or .npz"
        )
    if out is not None and out.suffix in FASTA and trained.alphabet is None:
        raise ValueError(
            f"`out` is {out}, and {trained.run.path} was not trained on an alignment; pass a name "
            f"that ends in {' or '.join(suffixes)}"
        )
    return target_of(out, run or trained.run, "samples.npz", suffixes)


def write_samples(path: Path, arrays: Mapping[str, NDArray[Any]], view: View) -> None:
    """Write samples: all arrays as an ``.npz``; one a line as ``.csv``, ``.hapt`` or FASTA.

    Samples are named by chain and number, both from 0, or by the row at which the chain started;
    haplotypes AG0, AG1, ..., as the tools for artificial genomes name them. Samples of a mixed
    table have the user's own columns and no others.
    """
    frame = frame_of(arrays["samples"], view)
    if frame is not None and path.suffix in TABLE_FILES:
        assert view.table is not None
        with whole_file(path) as file:
            write_frame(file, path.suffix, frame, view.table)
        return
    if path.suffix not in (*FASTA, ".csv", HAPT):
        write_archive(path, arrays)
        return
    samples = arrays["samples"]
    chains = arrays["rows"] if "rows" in arrays else [f"chain{c}" for c in range(len(samples))]
    names = [f"{chain}_sample{s}" for chain in chains for s in range(samples.shape[1])]
    values = samples.reshape(len(names), -1)
    if path.suffix == HAPT:
        with whole_file(path) as file:
            write_hapt(file, values, (f"{_GENOME}{number}" for number in count()), _GENOME)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if view.alphabet is None:
        columns = view.names(values.shape[1])
        writer.writerow(["", *columns])  # readers leave names of rows out
        writer.writerows([name, *row] for name, row in zip(names, values.tolist(), strict=True))
    else:
        words = sequences_of(values, view)
        further = {
            name: arrays[name].ravel().tolist()
            for name in ("nearest", "differences")
            if name in arrays
        }
        if path.suffix == ".csv":
            writer.writerow(["name", "sequence", *further])
            writer.writerows(zip(names, words, *further.values(), strict=True))
        else:
            for row, (name, word) in enumerate(zip(names, words, strict=True)):
                said = "".join(f" {key}={values[row]}" for key, values in further.items())
                text.write(f">{name}{said}\n{word}\n")
    write_whole(path, text.getvalue().encode())


def frame_of(samples: NDArray[Any], view: View) -> dict[str, NDArray[Any]] | None:
    """Samples of a mixed table as the user's own columns; None for other rows."""
    table = view.table
    return None if table is None else table.to_frame(samples.reshape(-1, samples.shape[-1]))


def _are_zeros_and_ones(trained: Trained) -> bool:
    """Whether samples are zeros and ones in the units of the data."""
    view, n = trained.view, trained.rbm.visible.n_columns
    states = [torch.full((1, n), state) for state in view.two_states or ()]
    return {float(view.values(state).flat[0]) for state in states} == {0, 1}


def sequences_of(values: NDArray[Any], view: View) -> list[str]:
    """Rows of letter numbers as sequences, with a gap for each site that was left out.

    Letters thus stand where they do in the alignment of training. An alphabet without a gap has
    none to put there.
    """
    alphabet = view.alphabet
    assert alphabet is not None
    if not view.left_out or GAP not in alphabet or view.columns is None:
        return words_of(values, alphabet)
    whole = np.full(
        (len(values), values.shape[1] + len(view.left_out)), alphabet.index(GAP), np.uint8
    )
    whole[:, [int(site) - 1 for site in view.columns]] = values
    return words_of(whole, alphabet)
