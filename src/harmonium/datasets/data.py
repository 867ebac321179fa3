"""`Data`: rows of values with what is known about them, and the states that units see of them.

What belongs here is anything that works on any data set. Where data come from is the business
of the loaders beside this file.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_number, described, is_whole, meant
from harmonium.datasets.moments import moments as moments
from harmonium.datasets.recoding import Recodable
from harmonium.datasets.splits import drawn_rows, held_out_rows


@final
class Data(Recodable):
    """Rows of values, and the encoding that makes states of units of them.

    The methods that change the encoding return another `Data` over the same memory.

    Parameters
    ----------
    name
        What messages and run directories call the data.
    values
        The user's values, shape (n_rows, n): uint8 for grey values and categories, else float32;
        float64 where float32 would round what tells the values of a column apart.
    encoding
        How values become states.
    labels
        Class of each row, int64, shape (n_rows,); nothing here learns from them.
    image_shape
        (height, width) of rows that are pictures, height · width = n.
    parts
        Named ranges of rows that stand for themselves, such as train and test.
    targets
        Real numbers to be predicted of each row, float32 or float64, shape
        (n_rows, n_targets).
    columns
        Names of the columns of ``values``, where the source names them.
    classes
        What the classes 0, 1, ... of the labels are called, where their source has other names.
    notes
        Sentences that say what the source was taken for, such as which column holds the labels.
    named
        Names of the columns that are no values, under ``label``, ``target`` and ``drop``: what a
        run has to know of other files.

    Raises
    ------
    TypeError, ValueError
        For values of another type or shape, labels or targets of another length, parts outside
        the rows, or values that the encoding cannot encode. NaN is looked for on loading, not
        here.
    """

    # Parts

    def part(self, name: str) -> Data:
        """Return a named part, in the same memory."""
        return self.join(name)

    def join(self, *names: str) -> Data:
        """Return named parts that follow each other as one, in the same memory."""
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
        """Split the rows at random into those to train on and those held out; copies the values.

        Parameters
        ----------
        held_out
            Share of the rows to hold out, between 0 and 1; rounded, but at least one row.
        seed
            Seed of the order; the same seed makes the same split of as many rows with the same
            labels.
        stratified
            Where there are labels, hold out this share of each class, and keep a row of each to
            train on. Labels no two of which are alike are no classes.

        Raises
        ------
        ValueError
            If the share is out of its range, or there is one row.
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
        """Split like `split_randomly`, in place: nothing is copied, and these rows change order.

        The rows held out change places with the last ones, and both parts look into the same
        memory as before.
        """
        held = self._held_out_rows(held_out, seed, stratified)
        n_train = len(self) - len(held)
        last = torch.arange(n_train, len(self), device=held.device)
        into_last = held[held < n_train]
        out_of_last = last[~torch.isin(last, held)]
        for tensor in (self.values, self.labels, self.targets):
            if tensor is not None:
                moved = tensor[into_last]
                tensor[into_last] = tensor[out_of_last]
                tensor[out_of_last] = moved
        return (
            self._rows_only(f"{self.name}:train", slice(n_train)),
            self._rows_only(f"{self.name}:held-out", slice(n_train, None)),
        )

    def draw_rows(self, n: int, seed: int = defaults.SEED) -> Data:
        """Rows drawn at random without replacement; copies the values.

        Where there are labels, as many of each class: class sizes differ by one at most, except
        where a class has too few rows, for which the others stand in.

        Parameters
        ----------
        n
            How many, 1 to all.
        seed
            The same seed draws the same rows, all of which are among those that it draws for a
            larger ``n``.

        Raises
        ------
        ValueError
            If there are not so many rows.
        """
        if not is_whole(n):
            raise TypeError(f"n is {described(n)}; pass a whole number")
        if not 1 <= n <= len(self):
            raise ValueError(
                f"{n} rows were asked for, but {self.name} has {len(self)}; pass 1 to {len(self)}"
            )
        rows = drawn_rows(len(self), n, seed, self.labels).to(self.device)
        return self._rows_only(f"{self.name}:{n}", rows)

    def _held_out_rows(self, held_out: float, seed: int, stratified: bool) -> Tensor:
        check_number("held_out", held_out, "a share between 0 and 1")
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is {held_out}; pass a share of the rows between 0 and 1")
        if len(self) < 2:
            raise ValueError(f"{self.name} has one row, which cannot be split; pass more rows")
        n_held_out = min(max(1, round(held_out * len(self))), len(self) - 1)
        labels = self.labels if stratified else None
        return held_out_rows(len(self), n_held_out, seed, labels).to(self.device)

    def _rows_only(self, name: str, rows: slice | Tensor) -> Data:
        labels, targets = (
            None if tensor is None else tensor[rows] for tensor in (self.labels, self.targets)
        )
        return dataclasses.replace(
            self, name=name, values=self.values[rows], labels=labels, targets=targets, parts={}
        )
