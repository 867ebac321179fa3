"""The content of `Data`, and its encoded states."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from harmonium.arguments import described
from harmonium.datasets import mapped
from harmonium.datasets.dropped import Dropped
from harmonium.datasets.encodings import AsIs, Encoding, Labelled, OneHot, Scaled, Stochastic
from harmonium.datasets.masks import Mask, MaskedRows, refuse_missing
from harmonium.datasets.moments import effective_number, moments_once, observed_moments
from harmonium.datasets.naming import listed
from harmonium.datasets.narrowing import rounded_columns
from harmonium.datasets.row_names import RowNames
from harmonium.rng import Stream

_BLOCK = 1000  # rows processed at a time: 3 MB of states for 784 columns


@dataclass(frozen=True, eq=False)
class Stored:
    """The fields of `Data`, where they are documented, and the encoded states."""

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
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: Tensor | None = None
    row_names: Sequence[str] | None = None
    dropped: tuple[Dropped, ...] = ()
    mask: Mask | None = None

    def __post_init__(self) -> None:
        values, labels = self.values, self.labels
        if not isinstance(self.name, str):
            raise TypeError(f"name is {described(self.name)}; pass Data('mine', values)")
        given = {
            "values": values,
            "labels": labels,
            "targets": self.targets,
            "weights": self.weights,
        }
        for what, tensor in given.items():
            if not isinstance(tensor, Tensor) and (tensor is not None or what == "values"):
                raise TypeError(
                    f"{what} of {self.name} are {described(tensor)}; pass a torch tensor, or make "
                    "the data with datasets.from_array"
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
        if labels is not None and labels.shape != values.shape[:1]:
            raise ValueError(
                f"{self.name} has {len(values)} rows, but labels of shape {tuple(labels.shape)}; "
                f"pass one label a row, shape ({len(values)},)"
            )
        if labels is not None and labels.dtype != torch.int64:
            raise TypeError(f"labels of {self.name} are {labels.dtype}; pass torch.int64")
        self._check_targets()
        self._check_weights()
        self._check_names()
        self._take_mask()
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

    def _check_weights(self) -> None:
        weights = self.weights
        if weights is None:
            return
        if weights.shape != self.values.shape[:1]:
            raise ValueError(
                f"{self.name} has {len(self)} rows, but weights of shape {tuple(weights.shape)}; "
                f"pass one weight a row, shape ({len(self)},)"
            )
        if weights.dtype != torch.float64:
            raise TypeError(f"weights of {self.name} are {weights.dtype}; pass torch.float64")
        wrong = (~((weights >= 0) & weights.isfinite())).nonzero()[:, 0]
        if len(wrong):
            raise ValueError(
                f"{len(wrong)} weights of {self.name} are negative or not finite, the first that "
                f"of row {int(wrong[0])} (counted from 0): {float(weights[wrong[0]]):g}; pass "
                "numbers of 0 or more"
            )
        if not weights.any():
            raise ValueError(
                f"all {len(self)} weights of {self.name} are 0; give rows that count a weight "
                "above 0"
            )

    def _take_mask(self) -> None:
        mask = self.mask
        if mask is None:
            return
        if not isinstance(mask, Mask):
            raise TypeError(f"mask of {self.name} is {described(mask)}; pass Mask.of(observed)")
        shape = (len(mask), mask.n_columns)
        if shape != tuple(self.values.shape):
            raise ValueError(
                f"{self.name} has {len(self)} rows of {self.values.shape[1]} values, but a mask of "
                f"shape {shape}; pass one truth a value"
            )
        if not mask.n_missing:
            object.__setattr__(self, "mask", None)

    def _check_names(self) -> None:
        if self.row_names is not None:
            object.__setattr__(self, "row_names", RowNames.of(self.row_names))
            if len(self.row_names) != len(self):
                raise ValueError(
                    f"{self.name} has {len(self)} rows, but {len(self.row_names)} names of rows; "
                    "pass one name a row"
                )
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
            most = int(mapped.bounds(self.labels)[1])
            if most >= len(self.classes):
                raise ValueError(
                    f"labels of {self.name} go up to {most}, but {len(self.classes)} classes have "
                    f"a name; pass {most + 1} names or more"
                )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        kind = type(self).__name__
        return f"{kind}({self.name!r}, {rows} rows × {columns} columns, {self.encoding})"

    @property
    def n_columns(self) -> int:
        """Number of columns of the states, which is the number of visible columns needed."""
        return self.encoding.n_columns(self.values.shape[1])

    @property
    def alphabet(self) -> str | None:
        """The letters of an alignment's categories, such as ``"ACGU-"``; None for other data."""
        encoding = self.encoding
        if isinstance(encoding, Labelled):
            encoding = encoding.columns
        return encoding.letters if isinstance(encoding, OneHot) else None

    @property
    def device(self) -> torch.device:
        """The device of the values."""
        return self.values.device

    def to(self, device: torch.device | str) -> Self:
        """Move values, labels, targets, weights and encoding to a device."""
        moved = {name: tensor.to(device) for name, tensor in self._of_rows.items()}
        mask = None if self.mask is None else self.mask.to(device)
        return dataclasses.replace(self, **moved, mask=mask, encoding=self.encoding.to(device))

    @property
    def _of_rows(self) -> dict[str, Any]:
        """The tensors with one entry a row that are there, by name of their field."""
        fields = ("values", "labels", "targets", "weights")
        there = {name: getattr(self, name) for name in fields}
        return {name: tensor for name, tensor in there.items() if tensor is not None}

    @property
    def unequal_weights(self) -> Tensor | None:
        """The weights; None if all rows count alike, so that equal weights change no bit."""
        weights = self.weights
        return None if weights is None or bool((weights == weights[0]).all()) else weights

    @property
    def effective_rows(self) -> float:
        """How many rows of equal weight tell as much (`moments.effective_number`)."""
        return len(self) if self.weights is None else effective_number(self.weights)

    @property
    def value_range(self) -> tuple[float, float]:
        """The smallest and the largest value observed, excluding the class at the end of a row."""
        values = self.values
        if isinstance(self.encoding, Labelled):
            values = values[:, :-1]
        if self.mask is None:
            return mapped.bounds(values)
        rows = (slice(start, start + _BLOCK) for start in range(0, len(values), _BLOCK))
        seen = (values[some][self.mask.observed(some)[:, : values.shape[1]]] for some in rows)
        ends = torch.stack([torch.stack(some.aminmax()) for some in seen if len(some)])
        return float(ends[:, 0].min()), float(ends[:, 1].max())

    # States

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """Return the states of some rows, float32, shape (len(index), n_columns), new memory.

        Parameters
        ----------
        index
            Row numbers, int64, shape (n,), on the device of the data.
        stream
            Random numbers for stochastic binarisation; other encodings ignore it.

        Raises
        ------
        ValueError
            If values are missing (then take `masked_rows`); if the values are the states, and
            float32 cannot distinguish them.
        """
        refuse_missing(self, "this")
        return self._encoded(index, stream)

    def masked_rows(self, index: Tensor, stream: Stream | None = None) -> MaskedRows:
        """The states of some rows, and which are observed; arguments as of `rows`."""
        states = self._encoded(index, stream)
        if self.mask is None:
            return MaskedRows(states, torch.ones_like(states, dtype=torch.bool))
        return MaskedRows(states, self.observed(index))

    def observed(self, index: Tensor) -> Tensor:
        """Whether each state column of some rows is observed: bool, shape (rows, n_columns)."""
        if self.mask is None:
            shape = (len(index), self.n_columns)
            return torch.ones(shape, dtype=torch.bool, device=self.device)
        return self.encoding.spread(self.mask.observed(index))

    def _encoded(self, index: Tensor, stream: Stream | None) -> Tensor:
        self._refuse_rounding  # noqa: B018
        if not isinstance(index, Tensor) or index.dim() != 1 or index.is_floating_point():
            raise TypeError(
                f"index is {described(index)}; pass a tensor of row numbers, such as "
                "torch.arange(10)"
            )
        return self.encoding.encode(mapped.take(self.values, index), stream)

    def blocks(self, size: int = _BLOCK, stream: Stream | None = None) -> Iterator[Tensor]:
        """Yield the states of all rows in order, ``size`` rows at a time; to be read only."""
        refuse_missing(self, "this")
        self._refuse_rounding  # noqa: B018
        for block in mapped.pieces(self.values, size):
            yield self.encoding.encode(block, stream)

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of every column of the states, float64, shape (n_columns,) each.

        The variance is that of these rows (divided by their number). For stochastic binarisation,
        the moments are expectations over all draws, so no stream is needed. Where values are
        missing, each column's moments are those of the rows in which it is observed.

        Parameters
        ----------
        weights
            Weight of each row, shape (n_rows,); None for the weights of the data, if they have any.
        """
        weights = self.unequal_weights if weights is None else weights
        encoding = self.encoding
        if isinstance(encoding, Labelled):
            return self._labelled_moments(encoding, weights)
        if self.mask is not None:
            return self._observed_moments(weights)
        if isinstance(encoding, Stochastic):
            mean, _ = self._replace(Scaled(encoding.low, encoding.high)).moments(weights)
            step = 1 - encoding.low_state
            return encoding.low_state + step * mean, step**2 * mean * (1 - mean)
        what = None if isinstance(encoding, AsIs) else json.dumps(encoding.states_config())
        return moments_once(self.values, weights, self.blocks, what)

    def _labelled_moments(
        self, encoding: Labelled, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The moments of rows that end with their class, which may be missing in some."""
        labels, mask = self.values[:, -1].long(), self.mask
        if mask is not None:
            known = mask.observed()[:, -1]
            mask = mask.columns(torch.arange(mask.n_columns - 1, device=self.device))
            labels, of_known = labels[known], None if weights is None else weights[known]
        else:
            of_known = weights
        mean, var = dataclasses.replace(
            self,
            values=self.values[:, :-1],
            encoding=encoding.columns,
            columns=None,
            mask=mask,
        ).moments(weights)
        counted = labels.bincount(of_known, minlength=encoding.n_classes).double()
        share = counted / counted.sum()
        return torch.cat([mean, share]), torch.cat([var, share * (1 - share)])

    def _observed_moments(self, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        encoding, data = self.encoding, self
        if isinstance(encoding, Stochastic):
            data = self._replace(Scaled(encoding.low, encoding.high))
        ends = ((n, min(n + _BLOCK, len(self))) for n in range(0, len(self), _BLOCK))
        numbers = (torch.arange(*each, device=self.device) for each in ends)
        mean, var = observed_moments(map(data.masked_rows, numbers), weights)
        if not isinstance(encoding, Stochastic):
            return mean, var
        step = 1 - encoding.low_state
        return encoding.low_state + step * mean, step**2 * mean * (1 - mean)

    def fingerprint(self) -> str:
        """SHA-256 over type, shape, values, encoding, mask and weights, hexadecimal."""
        head = [str(self.values.dtype), list(self.values.shape), self.encoding.states_config()]
        own = json.dumps(head, sort_keys=True)
        beside: list[Any] = []
        if self.mask is not None:
            beside += [b"mask", self.mask.bits.cpu().contiguous().numpy().data]
        if self.weights is not None:
            beside += [b"weights", self.weights.cpu().contiguous().numpy().data]

        def ended(digest: Any) -> str:
            for part in beside:
                digest.update(part)
            return str(digest.hexdigest())

        def find() -> str:
            digest = hashlib.sha256(own.encode())
            for block in mapped.pieces(self.values, _BLOCK):
                digest.update(block.cpu().contiguous().numpy().data)
            return ended(digest)

        what = f"fingerprint {own} {ended(hashlib.sha256())}"
        found: str = mapped.remembered(self.values, what, find)
        return found

    def _replace(self, encoding: Encoding) -> Self:
        return dataclasses.replace(self, encoding=encoding)

    @cached_property
    def _refuse_rounding(self) -> None:
        """Reject values that serve as states if float32 cannot distinguish them."""
        encoding = self.encoding
        if isinstance(encoding, Labelled):
            encoding = encoding.columns
        if self.values.dtype != torch.float64 or not isinstance(encoding, AsIs):
            return
        lost = rounded_columns(self.values.cpu().numpy())
        if len(lost):
            named = listed([self.columns[i] if self.columns else str(i) for i in lost])
            low, high = self.values[:, lost[0]].aminmax()
            raise ValueError(
                f"{'columns' if len(lost) > 1 else 'column'} {named} of {self.name} (values from "
                f"{float(low):.10g} to {float(high):.10g}) would lose the differences between "
                "rows: states are float32, with 7 digits; standardise the columns "
                "(`visible='gaussian'` does, unless `standardize=False`, or "
                "`Data.standardize()`), or subtract an offset first"
            )
