"""`Data`: rows of values with what is known about them, and the states that units see of them.

What belongs here is anything that works on any data set. Where data come from is the business
of the loaders beside this file.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import described
from harmonium.datasets.encodings import (
    AsIs,
    Encoding,
    Labelled,
    OneHot,
    Scaled,
    Standardized,
    Stochastic,
    Threshold,
)
from harmonium.kernels import permutation
from harmonium.rng import Purpose, Stream

_BLOCK = 1000  # rows worked on at a time: 3 MB of states where a row has 784 columns


@dataclass(frozen=True, eq=False)
class Data:
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

    Raises
    ------
    TypeError, ValueError
        For values of another type or shape, labels or targets of another length, parts outside
        the rows, or values that the encoding cannot encode. NaN is looked for on loading, not
        here.
    """

    name: str
    values: Tensor
    encoding: Encoding = field(default_factory=AsIs)
    labels: Tensor | None = None
    image_shape: tuple[int, int] | None = None
    parts: Mapping[str, range] = field(default_factory=dict)
    targets: Tensor | None = None
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values, labels = self.values, self.labels
        if not isinstance(values, Tensor):
            raise TypeError(
                f"values of {self.name} are {described(values)}; pass a torch tensor, or make the "
                "data with datasets.from_array"
            )
        if values.dtype not in (torch.uint8, torch.float32, torch.float64):
            raise TypeError(
                f"values of {self.name} are {values.dtype}; pass torch.uint8, torch.float32 or "
                "torch.float64, or make the data with datasets.from_array"
            )
        if values.ndim != 2 or not values.numel():
            raise ValueError(
                f"values of {self.name} have shape {tuple(values.shape)}; "
                "pass shape (n_rows, n) with at least one row and one column"
            )
        for what, given in (("labels", labels), ("targets", self.targets)):
            if given is not None and not isinstance(given, Tensor):
                raise TypeError(
                    f"{what} of {self.name} are {described(given)}; pass a torch tensor, or make "
                    "the data with datasets.from_array"
                )
        if labels is not None and labels.shape != values.shape[:1]:
            raise ValueError(
                f"{self.name} has {len(values)} rows, but labels of shape {tuple(labels.shape)}; "
                f"pass one label a row, shape ({len(values)},)"
            )
        if labels is not None and labels.dtype != torch.int64:
            raise TypeError(f"labels of {self.name} are {labels.dtype}; pass torch.int64")
        self._check_targets()
        self._check_names()
        if self.image_shape is not None and math.prod(self.image_shape) != values.shape[1]:
            height, width = self.image_shape
            raise ValueError(
                f"{self.name} has {values.shape[1]} columns, but pictures of {height} × {width} "
                f"have {height * width}; pass an image_shape whose product is {values.shape[1]}"
            )
        for part, rows in self.parts.items():
            if not rows or rows.step != 1 or rows[0] < 0 or rows[-1] >= len(values):
                raise ValueError(
                    f"part {part!r} is {rows}; pass range(start, stop) within the "
                    f"{len(values)} rows of {self.name}"
                )
        object.__setattr__(self, "parts", dict(self.parts))

    def _check_targets(self) -> None:
        targets = self.targets
        if targets is None:
            return
        if targets.ndim != 2 or len(targets) != len(self.values) or not targets.shape[1]:
            raise ValueError(
                f"{self.name} has {len(self.values)} rows, but targets of shape "
                f"{tuple(targets.shape)}; pass shape ({len(self.values)}, n_targets)"
            )
        if targets.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"targets of {self.name} are {targets.dtype}; pass torch.float32 or torch.float64"
            )

    def _check_names(self) -> None:
        for what, names in (("columns", self.columns), ("classes", self.classes)):
            if names is not None:
                object.__setattr__(self, what, tuple(map(str, names)))
        n = self.values.shape[1]
        if self.columns is not None and len(self.columns) != n:
            raise ValueError(
                f"{self.name} has {n} columns, but {len(self.columns)} names of columns; pass one "
                "name a column"
            )
        if self.classes is not None and self.labels is not None:
            most = int(self.labels.max())
            if most >= len(self.classes):
                raise ValueError(
                    f"labels of {self.name} go up to {most}, but {len(self.classes)} classes have "
                    f"a name; pass {most + 1} names or more"
                )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return f"Data({self.name!r}, {rows} rows × {columns} columns, {self.encoding})"

    @property
    def n_columns(self) -> int:
        """Number of columns of the states, which is the number of visible states needed."""
        return self.encoding.n_columns(self.values.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the values are."""
        return self.values.device

    def to(self, device: torch.device | str) -> Data:
        """Move values, labels, targets and encoding to a device."""
        return dataclasses.replace(
            self,
            values=self.values.to(device),
            labels=None if self.labels is None else self.labels.to(device),
            targets=None if self.targets is None else self.targets.to(device),
            encoding=self.encoding.to(device),
        )

    # States

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """Return the states of some rows, float32, shape (len(index), n_columns), new memory.

        Parameters
        ----------
        index
            Row numbers, int64, shape (n,), on the device of the data.
        stream
            Where stochastic binarisation draws from; the other encodings leave it alone.
        """
        if not isinstance(index, Tensor) or index.dim() != 1 or index.is_floating_point():
            raise TypeError(
                f"index is {described(index)}; pass a tensor of row numbers, such as "
                "torch.arange(10)"
            )
        return self.encoding.encode(self.values.index_select(0, index), stream)

    def blocks(self, size: int = _BLOCK, stream: Stream | None = None) -> Iterator[Tensor]:
        """Yield the states of all rows in order, ``size`` rows at a time; to be read only."""
        for block in self.values.split(size):
            yield self.encoding.encode(block, stream)

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of every column of the states, float64, shape (n_columns,) each.

        The variance is that of these rows (divided by their number). For stochastic
        binarisation the moments are those over all draws, so that no stream is needed.

        Parameters
        ----------
        weights
            How much each row counts, shape (n_rows,); None counts every row alike.
        """
        encoding = self.encoding
        if isinstance(encoding, Stochastic):
            mean, _ = self._replace(Scaled(encoding.low, encoding.high)).moments(weights)
            step = 1 - encoding.low_state
            return encoding.low_state + step * mean, step**2 * mean * (1 - mean)
        if isinstance(encoding, Labelled):
            mean, var = dataclasses.replace(
                self, values=self.values[:, :-1], encoding=encoding.columns
            ).moments(weights)
            labels = self.values[:, -1].long()
            counted = labels.bincount(weights, minlength=encoding.n_classes).double()
            share = counted / counted.sum()
            return torch.cat([mean, share]), torch.cat([var, share * (1 - share)])
        return moments(self.blocks(), weights)

    def fingerprint(self) -> str:
        """SHA-256 over type, shape, values and encoding, hexadecimal: what a model learns from."""
        head = [str(self.values.dtype), list(self.values.shape), self.encoding.to_config()]
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for block in self.values.split(_BLOCK):
            digest.update(block.cpu().contiguous().numpy())
        return digest.hexdigest()

    # Other encodings of the same values

    def with_encoding(self, encoding: Encoding) -> Data:
        """Encode the stored values in another way; ValueError where it cannot encode them."""
        encoding.check(self.values)
        return self._replace(encoding.to(self.values.device))

    def binarize(self, threshold: float = defaults.THRESHOLD) -> Data:
        """Two states by a threshold: 1 above it, 0 at or below it.

        Parameters
        ----------
        threshold
            For pictures and other data that are `Scaled`, a fraction of the range: 0.5 of grey
            values 0 to 255 is 127.5. For data that are `AsIs`, a plain value.
        """
        if isinstance(self.encoding, Scaled):
            low, high = self.encoding.low, self.encoding.high
            return self.with_encoding(Threshold(low + threshold * (high - low)))
        self._require_as_loaded("binarize")
        return self.with_encoding(Threshold(threshold))

    def binarize_stochastically(self) -> Data:
        """Two states drawn anew every time: a value's place in its range is the chance of a 1.

        The range is that of `Scaled` data, and 0 to 1 of data that are `AsIs`.
        """
        if isinstance(self.encoding, Scaled):
            return self.with_encoding(Stochastic(self.encoding.low, self.encoding.high))
        self._require_as_loaded("binarize_stochastically")
        return self.with_encoding(Stochastic(0.0, 1.0))

    def to_spins(self) -> Data:
        """States −1 and 1 in place of 0 and 1, for data that are binarised or have two values."""
        if isinstance(self.encoding, Threshold | Stochastic):
            return self.with_encoding(dataclasses.replace(self.encoding, low_state=-1.0))
        low, high = (float(bound) for bound in self.values.aminmax())
        ends = {low, high}
        if isinstance(self.encoding, AsIs) and (ends <= {0.0, 1.0} or ends <= {-1.0, 1.0}):
            blocks = self.values.split(_BLOCK)
            if all(bool(((block == low) | (block == high)).all()) for block in blocks):
                level = 0.5 if ends <= {0.0, 1.0} else 0.0
                return self.with_encoding(Threshold(level, low_state=-1.0))
        raise ValueError(
            f"{self.name} has values from {low:g} to {high:g}, but spins have two states; "
            "call binarize or binarize_stochastically first (`--binarize 0.5`, or `stochastic`)"
        )

    def standardize(self) -> Data:
        """Every column less its mean, divided by its standard deviation, both of these rows.

        Held-out rows take the encoding of the training rows:
        ``test.with_encoding(train.encoding)``.
        """
        mean, variance = self._replace(AsIs()).moments()
        return self.with_encoding(Standardized(mean, variance.sqrt()))

    def one_hot(self, n_categories: int | None = None) -> Data:
        """One state a category; by default as many categories as the largest value needs."""
        if n_categories is None:
            n_categories = max(2, int(self.values.max()) + 1)
        return self.with_encoding(OneHot(n_categories))

    def as_pictures(self, height: int, width: int) -> Data:
        """Take the rows as pictures; grey values in bytes become `Scaled` from 0–255 to 0–1."""
        return dataclasses.replace(
            self, image_shape=(height, width), encoding=picture_encoding(self.values)
        )

    def join_labels(self, n_classes: int | None = None) -> Data:
        """Rows that end with their label, one-hot: what a model of both learns from.

        The states are those of a layer ``Mixed(units, Categorical(1, n_classes))``. The values are
        copied, and are no pictures any more.

        Parameters
        ----------
        n_classes
            Classes in all; by default as many as the largest label needs.

        Raises
        ------
        ValueError
            If there are no labels, if one is negative or beyond the classes, or if all of them
            are the same and ``n_classes`` does not say that there are others.
        """
        if self.labels is None:
            raise ValueError(
                f"{self.name} has no labels; pass them with the values, as "
                "Data(name, values, labels=labels)"
            )
        least, most = (int(bound) for bound in self.labels.aminmax())
        if least < 0:
            raise ValueError(
                f"{int((self.labels < 0).sum())} labels of {self.name} are negative (the least is "
                f"{least}); number the classes from 0"
            )
        if n_classes is None:
            if least == most:
                raise ValueError(
                    f"all {len(self)} labels of {self.name} are {least}; to tell classes apart "
                    "takes rows of two or more"
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
        values = torch.cat([values, self.labels.unsqueeze(1).to(values.dtype)], 1)
        encoding = Labelled(self.encoding, n_classes)
        columns = None if self.columns is None else (*self.columns, "label")
        return dataclasses.replace(
            self, values=values, encoding=encoding, image_shape=None, columns=columns
        )

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
            near = difflib.get_close_matches(name, self.parts, n=1)
            raise ValueError(
                f"{self.name} has no part {name!r}"
                + (f"; did you mean {near[0]!r}? " if near else "; ")
                + (f"Its parts are {', '.join(self.parts)}" if self.parts else "it has no parts")
            )
        return self.parts[name]

    def split(self) -> tuple[Data, ...]:
        """Return all named parts, in their order."""
        if not self.parts:
            raise ValueError(
                f"{self.name} has no parts of its own; call split_randomly(held_out, seed)"
            )
        return tuple(self.part(name) for name in self.parts)

    def split_randomly(
        self, held_out: float = defaults.HELD_OUT, seed: int = defaults.SEED
    ) -> tuple[Data, Data]:
        """Split the rows at random into those to train on and those held out; copies the values.

        Parameters
        ----------
        held_out
            Share of the rows to hold out, between 0 and 1; rounded, but at least one row.
        seed
            Seed of the order; the same seed makes the same split of as many rows.
        """
        held = self._held_out_rows(held_out, seed)
        kept = torch.ones(len(self), dtype=torch.bool, device=held.device)
        kept[held] = False
        return (
            self._rows_only(f"{self.name}:train", kept.nonzero()[:, 0]),
            self._rows_only(f"{self.name}:held-out", held),
        )

    def split_randomly_(
        self, held_out: float = defaults.HELD_OUT, seed: int = defaults.SEED
    ) -> tuple[Data, Data]:
        """Split like `split_randomly`, in place: nothing is copied, and these rows change order.

        The rows held out change places with the last ones, and both parts look into the same
        memory as before.
        """
        held = self._held_out_rows(held_out, seed)
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
        if not 1 <= n <= len(self):
            raise ValueError(
                f"{n} rows were asked for, but {self.name} has {len(self)}; pass 1 to {len(self)}"
            )
        order = permutation(len(self), Stream(seed, Purpose.SPLIT, rank=1)).to(self.values.device)
        if self.labels is not None:
            # all first ones of their class come before all second ones
            by_class = order[self.labels[order].sort(stable=True).indices]
            labels = self.labels[by_class]
            place = torch.arange(len(self), device=labels.device)
            is_first = torch.ones_like(labels, dtype=torch.bool)
            is_first[1:] = labels[1:] != labels[:-1]
            turn = place - torch.where(is_first, place, 0).cummax(0).values
            order = by_class[turn.sort(stable=True).indices]
        return self._rows_only(f"{self.name}:{n}", order[:n].sort().values)

    def _held_out_rows(self, held_out: float, seed: int) -> Tensor:
        """Draw the rows to hold out; sorted, so that memory is read from front to back."""
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is {held_out}; pass a share of the rows between 0 and 1")
        if len(self) < 2:
            raise ValueError(f"{self.name} has one row, which cannot be split; pass more rows")
        order = permutation(len(self), Stream(seed, Purpose.SPLIT)).to(self.values.device)
        n_held_out = min(max(1, round(held_out * len(self))), len(self) - 1)
        return order[:n_held_out].sort().values

    def _rows_only(self, name: str, rows: slice | Tensor) -> Data:
        labels, targets = (
            None if tensor is None else tensor[rows] for tensor in (self.labels, self.targets)
        )
        return dataclasses.replace(
            self, name=name, values=self.values[rows], labels=labels, targets=targets, parts={}
        )

    def _replace(self, encoding: Encoding) -> Data:
        return dataclasses.replace(self, encoding=encoding)

    def _require_as_loaded(self, method: str) -> None:
        if not isinstance(self.encoding, AsIs):
            raise ValueError(
                f"{self.name} is encoded by {type(self.encoding).__name__} already, and {method} "
                "works on stored values; call it on the data as they were loaded"
            )


def picture_encoding(values: Tensor) -> Encoding:
    """Choose what pictures start with: grey values in bytes are scaled, all others left."""
    return Scaled(0.0, 255.0) if values.dtype == torch.uint8 and values.max() > 1 else AsIs()


def moments(blocks: Iterable[Tensor], weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and variance of the columns of rows that come in blocks, float64.

    Parameters
    ----------
    blocks
        Tables of rows, at least one row in all.
    weights
        How much each row counts, shape (n_rows,); the variance is divided by their sum. None
        counts every row alike.
    """
    following = iter(blocks)
    beginning = next(following)
    # Sums of differences to the first row: no cancellation, and exactly 0 for a constant.
    first = beginning[0].double()
    sums, squares = torch.zeros_like(first), torch.zeros_like(first)
    n_rows, total = 0, 0.0
    for block in chain([beginning], following):
        difference = block.double() - first
        share = None if weights is None else weights[n_rows : n_rows + len(block)].to(first)
        n_rows += len(block)
        total = n_rows if share is None else total + share.sum().item()
        sums += difference.sum(0) if share is None else share @ difference
        difference.square_()
        squares += difference.sum(0) if share is None else share @ difference
    mean_difference = sums / total
    variance = squares / total - mean_difference.square()
    return first + mean_difference, variance.clamp_min_(0.0)
