"""Files of samples: archives, tables, and FASTA for sequences."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.alphabets import GAP, words_of
from harmonium.files import write_whole
from harmonium.run_directory import RunDirectory
from harmonium.runs.answers.archives import FASTA, TABLE_OR_ARCHIVE, target_of, write_archive
from harmonium.runs.answers.trained import Trained
from harmonium.runs.pictures.views import View


def place_of_samples(out: Path | None, trained: Trained, run: RunDirectory | None = None) -> Path:
    """Where samples are written; sequences alone go into FASTA. Raises what `target_of` raises."""
    suffixes = TABLE_OR_ARCHIVE if trained.alphabet is None else (*FASTA, *TABLE_OR_ARCHIVE)
    return target_of(out, run or trained.run, "samples.npz", suffixes, pictured=True)


def write_samples(path: Path, arrays: Mapping[str, NDArray[Any]], view: View) -> None:
    """Write samples: all arrays as an ``.npz``; one a line as a ``.csv``; FASTA.

    Samples are named by chain and number, both from 0, or by the row at which the chain started.
    """
    if path.suffix not in (*FASTA, ".csv"):
        write_archive(path, arrays)
        return
    samples = arrays["samples"]
    chains = arrays["rows"] if "rows" in arrays else [f"chain{c}" for c in range(len(samples))]
    names = [f"{chain}_sample{s}" for chain in chains for s in range(samples.shape[1])]
    values = samples.reshape(len(names), -1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if view.alphabet is None:
        columns = view.names(values.shape[1])
        writer.writerow(["sample", *columns])
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
