"""`Data`: rows of values with their metadata, and the unit states that encode them.

This module works on any data set; the loaders in this package create data sets.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_number, described, is_whole, meant
from harmonium.datasets import mapped
from harmonium.datasets.copies import groups_of_copies
from harmonium.datasets.labels import UNKNOWN_LABEL
from harmonium.datasets.moments import moments as moments
from harmonium.datasets.recoding import Recodable
from harmonium.datasets.row_names import RowNames
from harmonium.datasets.splits import (
    MOST_HELD_OUT,
    USUALLY_HELD_OUT,
    drawn_rows,
    held_out_groups,
    held_out_rows,
    held_out_stretches,
)
from harmonium.kernels import few_of
from harmonium.rng import Lane


@final
class Data(Recodable):
    """Rows of values, and their encoding as states of units.

    The methods that change the encoding return a new `Data` over the same memory.

    Parameters
    ----------
    name
        The name of the data in messages and run directories.
    values
        The user's values, shape (n_rows, n): uint8 for grey values and categories, otherwise
        float32; float64 if float32 would round away differences within a column.
    encoding
        How values become states.
    labels
        Class of each row, int64, shape (n_rows,); not used by unsupervised training.
    image_shape
        (height, width) of rows that are pictures, height · width = n.
    parts
        Named ranges of rows, such as train and test.
    targets
        Real numbers to predict for each row, float32 or float64, shape (n_rows, n_targets).
    columns
        Names of the columns of ``values``, if the source names them.
    classes
        Names of the classes 0, 1, ..., if the source has other names.
    notes
        Sentences that describe how the source was interpreted, such as which column holds the
        labels.
    named
        Names of the columns that are not values, under ``label``, ``target`` and ``drop``; a run
        needs them to read other files.
    weights
        How much each row counts, float64, shape (n_rows,), 0 or more, not all 0: a row of weight 2
        counts as two rows of weight 1 in gradients, moments, likelihoods and everything else that
        is a mean over rows. Only ratios matter. None for equal weights.
    row_names
        Names of the rows, if the source names them. They go where the rows go, and into files of
        what a model makes of the rows. Kept as a sequence that shares memory (`RowNames`).
    dropped
        The sequences and sites of an alignment that its reader left out.
    mask
        Which values are observed (`Mask.of`); None if all are. Values that are missing have no
        meaning, whatever ``values`` hold there, but have to be such that they can be encoded.

    Raises
    ------
    TypeError, ValueError
        For values of a wrong type or shape; for labels, targets, weights or names of rows of a
        wrong length; for weights that are negative or not finite, or none above 0; for parts
        outside the rows, or values that cannot be encoded. Loading checks for NaN; this class does
        not.
    """

    # Parts

    def part(self, name: str) -> Data:
        """Return a named part, in the same memory."""
        return self.join(name)

    def join(self, *names: str) -> Data:
        """Return consecutive named parts as one, in the same memory."""
        ranges = [self._rows_of(name) for name in names]
        if not ranges or any(a.stop != b.start for a, b in pairwise(ranges)):
            raise ValueError(
                f"the parts {', '.join(names)} of {self.name} do not follow each other; pass parts "
                f"in their order, which is {', '.join(self.parts)}"
            )
        return self._rows_only(
            f"{self.name}:{'+'.join(names)}", slice(ranges[0].start, ranges[-1].stop)
        )

    def _rows_of(self, name: str) -> range:
        if name not in self.parts:
            there = f"its parts are {', '.join(self.parts)}" if self.parts else "it has no parts"
            raise ValueError(f"{self.name} has no part {name!r}; {meant(name, self.parts, there)}")
        return self.parts[name]

    def split(self) -> tuple[Data, ...]:
        """Return all named parts, in their order."""
        if not self.parts:
            raise ValueError(
                f"{self.name} has no parts of its own; call split_randomly(held_out, seed)"
            )
        return tuple(self.part(name) for name in self.parts)

    def split_randomly(
        self,
        held_out: float = defaults.HELD_OUT,
        seed: int = defaults.SEED,
        stratified: bool = True,
    ) -> tuple[Data, Data]:
        """Split the rows at random into training rows and held-out rows; copies the values.

        Parameters
        ----------
        held_out
            Fraction of the rows to hold out, between 0 and 1; rounded, but at least one row. Of an
            alignment without labels, it is this fraction of the different sequences, each with all
            of its copies: a copy of a training row would tell nothing about new sequences.
        seed
            Random seed; the same seed gives the same split for the same number of rows and the same
            labels, or the same copies.
        stratified
            If there are labels, hold out this fraction of each class, and keep at least one row of
            each class for training. Labels that are all different do not count as classes.

        Raises
        ------
        ValueError
            If the fraction is out of range, or there is only one row.
        """
        held = self._held_out_rows(held_out, seed, stratified)
        kept = torch.ones(len(self), dtype=torch.bool, device=held.device)
        kept[held] = False
        return (
            self._rows_only(f"{self.name}:train", kept.nonzero()[:, 0]),
            self._rows_only(f"{self.name}:held-out", held),
        )

    def split_randomly_(
        self,
        held_out: float = defaults.HELD_OUT,
        seed: int = defaults.SEED,
        stratified: bool = True,
    ) -> tuple[Data, Data]:
        """Split like `split_randomly`, in place: nothing is copied, but the rows are reordered.

        The held-out rows swap places with the last rows, and both parts are views of the same
        memory. Of rows on disk that are more than `mapped.BUFFER_BYTES`, short stretches of
        neighbours are held out, and their file stays as it is. By default they are at most
        `splits.USUALLY_HELD_OUT` bytes, which a note says.
        """
        held = self._held_out_rows(held_out, seed, stratified)
        n_train = len(self) - len(held)
        last = torch.arange(n_train, len(self), device=held.device)
        into_last = held[held < n_train]
        out_of_last = last[~torch.isin(last, held)]
        names = [] if self.row_names is None else [RowNames.of(self.row_names).order]
        bits = [] if self.mask is None else [self.mask.bits]
        for tensor in (*self._of_rows.values(), *names, *bits):
            one, other = into_last.to(tensor.device), out_of_last.to(tensor.device)
            moved, into = mapped.take(tensor, one), mapped.take(tensor, other)
            tensor[one], tensor[other] = into, moved
            mapped.mark_written(tensor, torch.cat([one, other]))
        train = self._rows_only(f"{self.name}:train", slice(n_train))
        if mapped.is_large(self.values):
            share = len(held) / len(self)
            train = train._with_note(
                f"{len(held):,} of {len(self):,} rows ({share:.2%}) are held out, in short "
                "stretches all over the file"
                + (" (`held_out` asks for more)" if share < 0.99 * held_out else "")
            )
        return train, self._rows_only(f"{self.name}:held-out", slice(n_train, None))

    def draw_rows(self, n: int, seed: int = defaults.SEED) -> Data:
        """A random subset of rows, without replacement; copies the values.

        If there are labels, classes are balanced: class sizes differ by at most one, unless a class
        has too few rows; then the other classes make up for it.

        Parameters
        ----------
        n
            Number of rows, 1 to all.
        seed
            The same seed draws the same rows; they are a subset of those drawn for a larger ``n``.

        Raises
        ------
        ValueError
            If there are fewer rows.
        """
        if not is_whole(n):
            raise TypeError(f"n is {described(n)}; pass a whole number")
        if not 1 <= n <= len(self):
            raise ValueError(
                f"{n} rows were asked for, but {self.name} has {len(self)}; pass 1 to {len(self)}"
            )
        if mapped.is_large(self.values):
            rows = few_of(len(self), n, Lane.LEARNED_ROWS.stream(seed)).sort().values
        else:
            rows = drawn_rows(len(self), n, seed, self.labels).to(self.device)
        return self._rows_only(f"{self.name}:{n}", rows)

    def counted(self) -> Data:
        """The rows of a weight above 0: a copy, or the same object if these are all."""
        if self.weights is None or bool(self.weights.all()):
            return self
        self._refuse_large("have a weight of 0", int((self.weights == 0).sum()))
        return self.take(self.weights.nonzero()[:, 0])

    def _refuse_large(self, why: str, n: int) -> None:
        if mapped.is_large(self.values):
            raise ValueError(
                f"{n:,} of the {len(self):,} rows of {self.name} {why}, and rows on disk are taken "
                "where they lie; leave those out of the file, or pass `on_disk=False`, which reads "
                "the rows into memory"
            )

    def labelled(self) -> Data:
        """The rows whose label is not `UNKNOWN_LABEL`: a copy, or the same object if these are all.

        Raises
        ------
        ValueError
            If there are labels, and all of them are missing.
        """
        if self.labels is None:
            return self
        known = self.labels != UNKNOWN_LABEL
        n_missing = len(self) - int(known.sum())
        if not n_missing:
            return self
        if n_missing == len(self):
            raise ValueError(f"all {len(self):,} labels of {self.name} are missing; pass some")
        self._refuse_large("have no label", n_missing)
        note = f"{n_missing:,} of {len(self):,} rows are left out, because they have no label"
        return self.take(known.nonzero()[:, 0])._with_note(note)

    def take(self, index: Tensor) -> Data:
        """Some rows by number, int64, shape (n,), on the device of the data; copies the values."""
        return self._rows_only(self.name, index)

    def _held_out_rows(self, held_out: float, seed: int, stratified: bool) -> Tensor:
        check_number("held_out", held_out, "a share between 0 and 1")
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is {held_out}; pass a share of the rows between 0 and 1")
        if len(self) < 2:
            raise ValueError(f"{self.name} has one row, which cannot be split; pass more rows")
        n_held_out = min(max(1, round(held_out * len(self))), len(self) - 1)
        if mapped.is_large(self.values):
            row_bytes = self.values[:1].nbytes
            if held_out == defaults.HELD_OUT:
                n_held_out = min(n_held_out, max(1, USUALLY_HELD_OUT // row_bytes))
            elif n_held_out * row_bytes > MOST_HELD_OUT:
                most = MOST_HELD_OUT / (row_bytes * len(self))
                raise ValueError(
                    f"held_out is {held_out}, which are {n_held_out:,} of the {len(self):,} rows "
                    f"of {self.name}; of rows on disk at most {MOST_HELD_OUT >> 20} MB are held "
                    f"out, because they stay in memory; pass {0.99 * most:.3g} or less, or leave "
                    "it out"
                )
            return held_out_stretches(len(self), n_held_out, row_bytes, seed)
        labels = self.labels if stratified else None
        if labels is None and self.alphabet is not None:
            values = self.values
            if self.mask is not None:  # copies have the same holes
                values = torch.where(self.mask.observed(), values, 255)
            group = torch.from_numpy(groups_of_copies(values.cpu().numpy())).to(self.device)
            if 1 < int(group.max()) + 1 < len(group):
                return held_out_groups(group, held_out, seed)
        return held_out_rows(len(self), n_held_out, seed, labels).to(self.device)

    def _rows_only(self, name: str, rows: slice | Tensor) -> Data:
        taken: dict[str, Any] = {
            field: tensor[rows] if isinstance(rows, slice) else mapped.take(tensor, rows)
            for field, tensor in self._of_rows.items()
        }
        mapped.release(self.values)
        names = None if self.row_names is None else RowNames.of(self.row_names).take(rows)
        mask = None if self.mask is None else self.mask.take(rows)
        return dataclasses.replace(self, name=name, **taken, row_names=names, mask=mask, parts={})
