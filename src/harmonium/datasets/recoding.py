"""Methods of `Data` that change the encoding of the same values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_number, described, is_whole
from harmonium.datasets import mixed_tables, one_hot, pictures, thresholds
from harmonium.datasets.encodings import (
    AsIs,
    Encoding,
    Labelled,
    OneHot,
    Scaled,
    Standardized,
    Stochastic,
    TableEncoding,
    Threshold,
)
from harmonium.datasets.labels import has_label
from harmonium.datasets.masks import Mask, MaskedRows
from harmonium.datasets.mixed_tables import MixedValues
from harmonium.datasets.moments import moments_once, observed_moments
from harmonium.datasets.naming import places
from harmonium.datasets.narrowing import NOISE, narrowed
from harmonium.datasets.reading import Reading
from harmonium.datasets.stored import Stored

_BLOCK = 1000  # rows processed at a time
_LEAST_ROUNDING = 1e-4  # of a standard deviation


class Recodable(Stored):
    """Values that can be encoded in other ways, in the same memory unless stated otherwise."""

    # Other encodings of the same values

    def with_encoding(self, encoding: Encoding) -> Self:
        """Use another encoding for the stored values; ValueError if it cannot encode them."""
        encoding.check(self.values)
        return self._replace(encoding.to(self.values.device))

    def binarize(self, threshold: float = defaults.THRESHOLD) -> Self:
        """Binarise with a threshold: 1 above it, 0 at or below it.

        Parameters
        ----------
        threshold
            For pictures and other `Scaled` data, a fraction of the range, from 0 to below 1: for
            grey values 0 to 255, 0.5 means 127.5. For `AsIs` data, a plain value.

        Raises
        ------
        ValueError
            For a fraction out of range, a threshold that gives all values the same state, and data
            that already have another encoding. If almost all values get the same state, a note says
            so.
        """
        check_number("threshold", threshold, "a number")
        if not isinstance(self.encoding, Scaled):
            self._require_as_loaded("binarize")
        encoding = thresholds.level(self.encoding, threshold, self.name)
        note = thresholds.judge(self.values, encoding.level, self.name)
        return self.with_encoding(encoding)._with_note(note)

    def binarize_stochastically(self) -> Self:
        """Binarise at random: a value's position in its range is the probability of a 1.

        States are drawn again in each use. The range is that of `Scaled` data, and 0 to 1 for
        `AsIs` data. If only its two ends occur, so that nothing is random, a note says so.

        Raises
        ------
        ValueError
            For values outside the range, or with a far smaller range.
        """
        low, high = 0.0, 1.0
        if isinstance(self.encoding, Scaled):
            low, high = self.encoding.low, self.encoding.high
        else:
            self._require_as_loaded("binarize_stochastically")
        note = None
        if thresholds.have_two_values(self.values, low, high):
            note = (
                f"all values of {self.name} are {low:g} or {high:g}, which are states already: "
                "there is nothing to draw (`binarize='stochastic'` is for grey values)"
            )
        return self.with_encoding(Stochastic(low, high))._with_note(note)

    @property
    def is_two_valued(self) -> bool:
        """Whether all values are 0 and 1, or all are −1 and 1, and thus states already."""
        least, _ = self.value_range
        low = -1.0 if least < 0 else 0.0
        return thresholds.have_two_values(self.values, low, 1.0)

    def to_spins(self) -> Self:
        """States −1 and 1 instead of 0 and 1, for binarised or two-valued data."""
        if isinstance(self.encoding, Threshold | Stochastic):
            return self.with_encoding(dataclasses.replace(self.encoding, low_state=-1.0))
        low, high = self.value_range
        if isinstance(self.encoding, AsIs) and self.is_two_valued:
            return self if low < 0 else self.with_encoding(Threshold(0.5, low_state=-1.0))
        raise ValueError(
            f"{self.name} has values from {low:g} to {high:g}, but spins have two states; binarise "
            "them first (`binarize=0.5` or `binarize='stochastic'`, or `Data.binarize()`)"
        )

    def standardize(self) -> Self:
        """Standardise every column with its weighted mean and standard deviation over these rows.

        For held-out rows, use that of training: ``test.with_encoding(train.encoding)``.
        """
        weights = self.unequal_weights
        if self.mask is None:
            mean, variance = moments_once(self.values, weights)
        else:
            numbers = torch.arange(len(self), device=self.device).split(_BLOCK)
            rows = (MaskedRows(self.values[n], self.mask.observed(n)) for n in numbers)
            mean, variance = observed_moments(rows, weights)
        std = variance.sqrt()
        std = torch.where(std <= NOISE * mean.abs(), 0.0, std)  # columns that vary only by rounding
        # float32 is faster, and sufficient unless columns are far from 0
        is_near = ((mean.float().double() - mean).abs() <= _LEAST_ROUNDING * std).all()
        if self.values.dtype != torch.float64 and is_near:
            mean, std = mean.float(), std.float()
        return self.with_encoding(Standardized(mean, std))

    def one_hot(
        self, n_categories: int | None = None, *, categories: Sequence[float] | None = None
    ) -> Self:
        """One-hot encoding; by default the categories are the values that occur.

        Call it on all rows, before they are split into training and held-out rows: a value outside
        the categories cannot be encoded.

        Parameters
        ----------
        n_categories
            If given, the categories are the integers 0 … n_categories − 1.
        categories
            Values of the categories, such as the ratings ``[1, 2, 3, 4, 5]``, whether or not all
            occur.

        Raises
        ------
        ValueError
            If both are given; for a value outside the categories; if all values are the same, or
            there are too many different values.
        """
        if n_categories is not None and categories is not None:
            raise ValueError("n_categories and categories were both given; pass one of them")
        if n_categories is not None and not is_whole(n_categories):
            raise TypeError(f"n_categories is {described(n_categories)}; pass a whole number")
        if n_categories is not None:
            return self.with_encoding(OneHot(n_categories))
        if categories is None:
            categories = one_hot.categories_of(self.values, self.name)
        return self.with_encoding(OneHot.of(categories))

    def by_column(self, kinds: Mapping[str | int, str] | None = None) -> Self:
        """Treat rows as a table whose columns each get units of their own; copies the values.

        Parameters
        ----------
        kinds
            Kinds of some columns by name (by number as text if they have no names); others are
            judged by what they hold. Columns with nothing to learn from are left out.

        Raises
        ------
        ValueError
            For kinds that do not fit, and if no column is left; for data encoded already.
        """
        if isinstance(self.encoding, TableEncoding):
            return self
        self._require_as_loaded("by_column")
        values = self.values.cpu().double().numpy().copy()
        if self.mask is not None:
            values[~self.mask.observed().cpu().numpy()] = np.nan
        reading = Reading.of(kinds=kinds)
        found = mixed_tables.of_numbers(values, self.columns, reading, self.name)
        return self._of_table(found)

    def in_columns_of(self, table: TableEncoding) -> Self:
        """Rows of a mixed table with the categories and columns of another, found by name.

        Raises
        ------
        ValueError
            For columns and categories that the other table does not have.
        """
        if self.encoding == table:
            return self
        if not isinstance(self.encoding, TableEncoding):
            return self.by_column().in_columns_of(table)
        reading = Reading(table=table, n_columns=len(table.columns))
        found = mixed_tables.recoded(self.values, self.mask, self.encoding, reading, self.name)
        return self._of_table(found)

    def _of_table(self, found: MixedValues) -> Self:
        observed = None if found.observed is None else torch.from_numpy(found.observed)
        named = {**self.named}
        if found.left_out:
            named["drop"] = (*named.get("drop", ()), *found.left_out)
        return dataclasses.replace(
            self,
            values=torch.from_numpy(narrowed(found.values)).to(self.device),
            encoding=found.table,
            columns=found.table.names,
            image_shape=None,
            named=named,
            notes=(*self.notes, *found.notes),
            mask=None if observed is None else Mask.of(observed).to(self.device),
        )

    def fit_columns(self) -> Self:
        """The columns of a mixed table with means, deviations and bins of these rows alone.

        Use the encoding of the training rows for held-out rows, as for `standardize`.
        """
        if not isinstance(self.encoding, TableEncoding):
            raise ValueError(
                f"{self.name} is encoded by {type(self.encoding).__name__}, and only mixed tables "
                "have columns to fit; call by_column first"
            )
        table = mixed_tables.refitted(self.encoding, self.values, self.mask)
        return self.with_encoding(table)

    @property
    def one_hot_width(self) -> int | None:
        """Number of columns per value, if the rows are one-hot; None if they are not.

        Raises
        ------
        ValueError
            For rows that are one-hot along the second of three axes, or in groups of different
            widths.
        """
        mask = self.mask  # rows without holes decide
        values = self.values if mask is None else self.values[mask.observed().all(1)]
        return one_hot.group_width(values, self.name, self.image_shape) if len(values) else None

    def from_one_hot(self, n_categories: int | None = None) -> Self:
        """Treat rows as one-hot already: in each group of columns, one is 1 and the others are 0.

        Parameters
        ----------
        n_categories
            Columns per group; detected by default. Where the 1 of a group is missing, its value is.

        Raises
        ------
        ValueError
            If the rows are not one-hot.
        """
        width, rows, mask = self.one_hot_width, self.values, self.mask
        if mask is not None:
            rows, mask = one_hot.without_holes(rows, mask, n_categories or width or len(rows[0]))
            width = one_hot.group_width(rows, self.name, self.image_shape)
        if width is None or n_categories not in (None, width):
            groups = "" if n_categories is None else f" of {n_categories} columns"
            raise ValueError(
                f"{self.name} is not one-hot: not every group{groups} holds one 1 and else 0; pass "
                "one column of category numbers a variable, and call one_hot"
            )
        values = one_hot.numbers_of(rows, width)
        data = dataclasses.replace(
            self, values=values, encoding=OneHot(width), image_shape=None, columns=None, mask=mask
        )
        return data._with_note(
            f"the rows are one-hot: {values.shape[1]} values of {width} categories each"
        )

    def as_pictures(self, height: int, width: int, white: float | None = None) -> Self:
        """Treat the rows as pictures; grey values become `Scaled` to 0–1.

        Parameters
        ----------
        height, width
            Size of a picture in pixels.
        white
            The grey value of white. By default 255 if the largest value is above 127 and at most
            255; otherwise the largest value if all are whole numbers; a note reports the choice.
            Values from 0 to 1 are left unchanged.
        """
        encoding, note = pictures.picture_encoding(self.values, white)
        data = dataclasses.replace(self, image_shape=(height, width), encoding=encoding)
        return data._with_note(note)

    def select(self, *columns: str) -> Self:
        """Select columns by name, in this order; copies the values, which are no longer pictures.

        Raises
        ------
        ValueError
            If the columns have no names, or a name is missing or occurs twice; if the encoding has
            parameters per column (`Standardized`), or the rows end with their label.
        """
        if isinstance(self.encoding, Standardized | Labelled | TableEncoding):
            self._require_as_loaded("select")
        where = torch.tensor(places(self.columns, columns, self.name), device=self.device)
        mask = None if self.mask is None else self.mask.columns(where)
        return dataclasses.replace(
            self, values=self.values[:, where], columns=columns, image_shape=None, mask=mask
        )

    def join_labels(self, n_classes: int | None = None) -> Self:
        """Append the one-hot label to each row, to train a model of rows and labels.

        The states fit a layer ``Mixed(units, Categorical(1, n_classes))``. The values are copied,
        and are no longer pictures. Labels of -1, and `datasets.UNKNOWN_LABEL`, are missing: the
        mask of the data says so, and training sums the class of such rows out.

        Parameters
        ----------
        n_classes
            Total number of classes; by default as many as the largest label needs.

        Raises
        ------
        ValueError
            If there are no labels, if a label is below -1 or too large, or if all labels are the
            same and ``n_classes`` is not given.
        """
        if self.labels is None:
            raise ValueError(
                f"{self.name} has no labels; pass them with the values, as "
                "Data(name, values, labels=labels)"
            )
        known = has_label(self.labels)
        if not known.any():
            raise ValueError(
                f"none of the {len(self)} rows of {self.name} has a label; give some of them one"
            )
        least, most = (int(bound) for bound in self.labels[known].aminmax())
        if least < 0:
            raise ValueError(
                f"{int((self.labels[known] < 0).sum())} labels of {self.name} are negative (the "
                f"least is {least}); number the classes from 0, and give -1 to rows without a label"
            )
        if n_classes is None:
            if least == most:
                others = "" if known.all() else f" ({int((~known).sum())} rows have none)"
                raise ValueError(
                    f"all {int(known.sum())} labels of {self.name} are {least}{others}; to tell "
                    "classes apart takes rows of two or more"
                )
            n_classes = most + 1
        if most >= n_classes:
            raise ValueError(
                f"labels of {self.name} go up to {most}, but n_classes is {n_classes}; pass "
                f"{most + 1} or more"
            )
        values = self.values
        if values.dtype == torch.uint8 and most > 255:
            values = values.to(torch.float32)
        # what stands where a label is missing can be encoded, and is not read
        labels = torch.where(known, self.labels, self.labels[known][0])
        values = torch.cat([values, labels.unsqueeze(1).to(values.dtype)], 1)
        encoding = Labelled(self.encoding, n_classes)
        columns = None if self.columns is None else (*self.columns, "label")
        data = dataclasses.replace(
            self,
            values=values,
            encoding=encoding,
            image_shape=None,
            columns=columns,
            mask=self._mask_with(known),
        )
        if known.all():
            return data
        return data._with_note(f"{int((~known).sum()):,} of {len(self):,} rows have no label")

    def _mask_with(self, known: Tensor) -> Mask | None:
        """The mask with one more column, of what is known in it."""
        if self.mask is None and known.all():
            return None
        observed = torch.ones_like(self.values, dtype=torch.bool)
        observed = observed if self.mask is None else self.mask.observed()
        return Mask.of(torch.cat([observed, known.unsqueeze(1)], 1))

    def _with_note(self, note: str | None) -> Self:
        if note is None or note in self.notes:
            return self
        return dataclasses.replace(self, notes=(*self.notes, note))

    def _require_as_loaded(self, method: str) -> None:
        if not isinstance(self.encoding, AsIs):
            raise ValueError(
                f"{self.name} is encoded by {type(self.encoding).__name__} already, and {method} "
                "works on stored values; call it on the data as they were loaded"
            )
