"""Codes of rows by an autoencoder, and rows of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from harmonium import datasets
from harmonium.deep import finetuning
from harmonium.runs.answers.archives import (
    TABLE_OR_ARCHIVE,
    column_names,
    target_of,
    write_table,
)
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options import DecodingOptions, EncodingOptions
from harmonium.runs.answers.tuned import open_autoencoder
from harmonium.runs.pictures import figures, tuned_figures
from harmonium.runs.pictures.views import View
from harmonium.runs.rows import ReadingOptions


@dataclass(frozen=True, repr=False)
class Codes(Answer):
    """Rows as an autoencoder encodes them.

    Attributes
    ----------
    codes
        Shape (n_rows, n_code_units).
    labels
        The labels of the rows; None if they have none.
    scores
        ``loss`` and ``squared_error`` of the rows that come back from the codes, means; rows count
        by their weights.
    data
        The name of the rows.
    path, picture
        The table or archive, and the codes in two dimensions.
    """

    codes: NDArray[Any]
    labels: NDArray[Any] | None
    scores: Mapping[str, float]
    data: str
    path: Path
    picture: Path

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, and the scores."""
        files = {"codes": str(self.path), "picture": str(self.picture)}
        return {**files, "n_rows": len(self.codes), **self.scores}


@dataclass(frozen=True, repr=False)
class Decoded(Answer):
    """Rows that an autoencoder makes of codes, in the units of the data.

    Attributes
    ----------
    rows
        Shape (n_rows, n_columns).
    path, picture
        The table or archive, and the first rows.
    columns
        Names of the columns, if they have names.
    """

    rows: NDArray[Any]
    path: Path
    picture: Path
    columns: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Where the files are."""
        files = {"rows": str(self.path), "picture": str(self.picture)}
        return {**files, "n_rows": len(self.rows)}


def encode(asked: Asked, source: Any, options: EncodingOptions, reading: ReadingOptions) -> Codes:
    """Encode rows; writes codes and a picture of them.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such autoencoder, row or place; before anything is written.
    """
    tuned, network = open_autoencoder(asked)
    target = target_of(options.out, tuned.run, "codes.npz", TABLE_OR_ARCHIVE)
    data = tuned.data(source, options.split, reading)
    codes = network.codes(data)
    scores = finetuning.evaluate(network, data)
    arrays = {"codes": codes.cpu().numpy()}
    if data.labels is not None:
        arrays["labels"] = data.labels.cpu().numpy()
    header = [f"code_{number}" for number in range(codes.shape[1])]
    write_table(target, header, [*arrays["codes"].T], arrays, data.row_names)
    picture = tuned_figures.draw_codes(target.with_suffix(".png"), codes, data.labels)
    return Codes(arrays["codes"], arrays.get("labels"), scores, data.name, target, picture)


def decode(asked: Asked, source: Any, options: DecodingOptions) -> Decoded:
    """Decode codes; writes rows in the user's units and a picture of them.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such autoencoder, code or place; before anything is written.
    """
    tuned, network = open_autoencoder(asked)
    target = target_of(options.out, tuned.run, "decoded.npz", TABLE_OR_ARCHIVE)
    with asked.reporter.downloads() as progress:
        codes = datasets.read(source, datasets.Reading(), progress=progress)
    with torch.no_grad():
        rows = torch.cat(
            [network.decode(block.to(network.device, network.dtype)) for block in codes.blocks()]
        )
    known = tuned.known
    values = figures.in_users_units(rows.cpu(), known.encoding)
    shape = known.image_shape if network.visible.n_columns == values.shape[1] else None
    named = tuned.run.config()["data"].get("columns")
    view = View(known.encoding, shape, tuple(named) if named else None)
    header = named or [f"column_{number}" for number in range(values.shape[1])]
    write_table(target, header, [*values.T], {"rows": values, **column_names(view)})
    picture = figures.save_samples(
        target.with_suffix(".png"),
        rows[: figures.SHOWN_ROWS].unsqueeze(1).cpu(),
        view,
        1,
        title="Decoded rows",
    )
    return Decoded(values, target, picture, view.columns)
