"""Encoding of a run's values as states: chosen by its options at the start, and reused later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from harmonium.datasets import (
    AsIs,
    Data,
    Encoding,
    OneHot,
    Scaled,
    Stochastic,
    TableEncoding,
    Threshold,
    match_columns,
    refuse_other_scale,
)
from harmonium.runs.choices import COUNTS
from harmonium.runs.options import TrainingOptions
from harmonium.units import refuse


def encode(data: Data, options: TrainingOptions) -> Data:
    """The encodings that need no statistics of the training rows.

    Raises
    ------
    ValueError
        If the values cannot be encoded in this way.
    """
    if data.alphabet is not None and options.visible not in ("categorical", "auto"):
        raise ValueError(
            f"`visible` is {options.visible}, and {data.name} is an alignment, whose sites are "
            "categories; leave it out, or take `visible='categorical'`"
        )
    if data.alphabet is not None and options.categories is not None:
        raise ValueError(
            f"`categories` are numbers, and {data.name} is an alignment, whose categories are the "
            "letters of its `alphabet`; leave it out"
        )
    if isinstance(data.encoding, TableEncoding):
        return data
    if options.visible == "mixed":
        raise ValueError(
            f"`visible` is mixed, and {data.name} is no table of numbers and words; leave it out"
        )
    least, most = data.value_range
    if least == most and data.values.numel() > 1:
        note = f"all values of {data.name} are {least:g}, from which there is nothing to learn"
        data = dataclasses.replace(data, notes=(*data.notes, note))
    if options.binarize == "stochastic":
        data = data.binarize_stochastically()
    elif options.threshold is not None:
        data = data.binarize(options.threshold)
    elif options.binarize is None and options.visible in ("binary", "spin", "auto"):
        data = data.binarize() if isinstance(data.encoding, Scaled) else data
    if options.visible == "spin":
        return data.to_spins()
    if options.visible == "categorical" and data.alphabet is None:
        return _as_categories(data, options)
    return _as_counts(data) if options.visible in COUNTS else data


def _as_counts(data: Data) -> Data:
    """Values as they are, grey values too.

    Raises
    ------
    ValueError
        If a value is no whole number.
    """
    if data.values.is_floating_point():
        remedy = (
            "count events in bins, or take `visible='gaussian'` or `visible='relu'` for rates, "
            "means and other numbers"
        )
        of_whole = "whole numbers, as counts are"
        refuse(data.values, data.values != data.values.round(), data.name, of_whole, remedy)
    return data.with_encoding(AsIs())


def _as_categories(data: Data, options: TrainingOptions) -> Data:
    if options.named_categories is not None:
        return data.one_hot(categories=options.named_categories)
    return data.from_one_hot() if data.one_hot_width else data.one_hot()


def described(data: Data) -> dict[str, Any]:
    """What ``config.json`` stores about the training rows; `Known` reads it."""
    return {
        "n_columns": data.n_columns,
        "columns": data.columns,
        "classes": data.classes,
        "named": dict(data.named),
        "image_shape": data.image_shape,
        "encoding": data.encoding.to_config(),
        "range": list(data.value_range),
        "two_valued": data.is_two_valued,
        **_weights_described(data),
        **_missing_described(data),
    }


def _weights_described(data: Data) -> dict[str, Any]:
    """The sum of the weights and the effective number of rows, if rows have weights."""
    if data.weights is None:
        return {}
    total = float(data.weights.sum())
    return {"weights": {"sum": total, "effective_rows": data.effective_rows}}


def _missing_described(data: Data) -> dict[str, Any]:
    """How many values of each column are missing, by name or number, if any are."""
    if data.mask is None:
        return {}
    counts = data.mask.missing_by_column.tolist()
    names = data.columns or [str(number) for number in range(len(counts))]
    return {"missing": {name: n for name, n in zip(names, counts, strict=True) if n}}


@dataclass(frozen=True)
class Known:
    """What a run knows about its rows, and how it encodes new rows.

    Attributes
    ----------
    run
        The name of the run for messages.
    encoding
        How values become states.
    n_columns
        Number of columns of the states.
    image_shape
        (height, width) of rows that are pictures.
    columns
        Names of the columns of values, if the run stored them.
    value_range
        Smallest and largest value of the training rows; None if the run did not store them.
    weights_path
        Where weights of its rows by similarity may be kept.
    """

    run: str
    encoding: Encoding
    n_columns: int
    image_shape: tuple[int, int] | None
    columns: tuple[str, ...] | None
    value_range: tuple[float, float] | None
    weights_path: Path | None = None

    @classmethod
    def of(cls, run: str, data: Mapping[str, Any], weights_path: Path | None = None) -> Self:
        """Read it from ``data`` of ``config.json``."""
        shape, columns, bounds = data["image_shape"], data.get("columns"), data.get("range")
        return cls(
            run=run,
            encoding=Encoding.from_config(data["encoding"]),
            n_columns=data["n_columns"],
            image_shape=None if shape is None else (shape[0], shape[1]),
            columns=None if columns is None else tuple(columns),
            value_range=None if bounds is None else (bounds[0], bounds[1]),
            weights_path=weights_path,
        )

    def own(self, data: Data) -> Data:
        """The run's own rows, encoded as at the start; their range decided the encoding.

        Raises
        ------
        ValueError
            If their columns have changed, or they cannot be encoded.
        """
        if self.value_range is None and data.values.dtype == torch.float64:
            # runs without a stored range saw every value as float32
            data = dataclasses.replace(data, values=data.values.to(torch.float32))
        data = self._of_this_width(data)
        encoding = self.encoding.to(data.device)
        if not isinstance(encoding, Scaled | Threshold):
            encoding.check(data.values)
        return dataclasses.replace(data, encoding=encoding, image_shape=self.image_shape)

    def other(self, data: Data) -> Data:
        """Rows of another file, with columns in the run's order, encoded as in training.

        Raises
        ------
        ValueError
            If columns are missing or superfluous, or if the values have another scale or cannot be
            encoded.
        """
        if data.alphabet is not None:
            data = self._of_these_letters(data)
        if isinstance(self.encoding, TableEncoding):
            return self._of_this_table(data)
        data = self._of_this_width(match_columns(data, self.columns))
        encoding = self.encoding.to(data.device)
        data = dataclasses.replace(data, image_shape=self.image_shape)
        bounds = self.value_range
        if bounds is None and isinstance(encoding, Scaled | Stochastic):
            bounds = encoding.low, encoding.high
        if bounds is not None:
            refuse_other_scale(dataclasses.replace(data, encoding=encoding), *bounds)
        return data.with_encoding(encoding)

    def _of_this_table(self, data: Data) -> Data:
        """A table in the columns of the run, whether it was read as these or has its own."""
        assert isinstance(self.encoding, TableEncoding)
        if not isinstance(data.encoding, TableEncoding | AsIs) or data.image_shape is not None:
            raise ValueError(
                f"{data.name} is no table of numbers and words, as {self.run} was trained on; pass "
                "a file or a data frame of its columns"
            )
        return data.in_columns_of(self.encoding)

    def _of_these_letters(self, data: Data) -> Data:
        """An alignment whose letters have the numbers of the run's letters."""
        encoding = self.encoding
        letters = encoding.letters if isinstance(encoding, OneHot) else None
        if letters is None or data.alphabet is None or letters == data.alphabet:
            return data
        raise ValueError(
            f"{data.name} is an alignment of the letters {data.alphabet}, but {self.run} was "
            f"trained on {letters}; pass sequences with `alphabet={letters!r}`"
        )

    def _of_this_width(self, data: Data) -> Data:
        encoding, n = self.encoding, data.values.shape[1]
        if (
            isinstance(encoding, OneHot)
            and encoding.categories is None
            and n == self.n_columns
            and data.one_hot_width == encoding.n_categories
        ):
            return data.from_one_hot(encoding.n_categories)
        if encoding.n_columns(n) != self.n_columns:
            width = encoding.n_categories if isinstance(encoding, OneHot) else 1
            wanted = self.n_columns // width
            raise ValueError(
                f"{data.name} has {n} columns, but {self.run} was trained on {wanted}; pass data "
                f"of the same {wanted} columns"
            )
        return data
