"""How a row of states is shown: as a picture, or as values in named columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import plots
from harmonium.datasets import Data, Encoding, Labelled, OneHot, TableEncoding
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import SamplingSchedule

ImageShape: TypeAlias = tuple[int, int] | None

MOST_COLUMNS = 40
"""Columns of a table that fit into a picture, with their names."""

_ALL_SWEEPS = 2**24
"""The most weights at which pictures are drawn after all sweeps of their schedules."""


def paced(schedule: SamplingSchedule, rbm: RBM) -> SamplingSchedule:
    """The schedule of a picture, with fewer sweeps where each of them takes long.

    Beyond `_ALL_SWEEPS` weights all sweeps together multiply no more than at so many.
    """
    share = min(1.0, _ALL_SWEEPS / rbm.weights.numel())
    return replace(
        schedule,
        n_warmup=math.ceil(share * schedule.n_warmup),
        sweeps_per_sample=math.ceil(share * schedule.sweeps_per_sample),
    )


@dataclass(frozen=True)
class View:
    """How rows of states are shown.

    Attributes
    ----------
    encoding
        The map between states and the user's values.
    image_shape
        (height, width) of rows that are pictures, one unit per pixel.
    columns
        Names of the user's columns, if they have names.
    of_hidden_units
        Whether the columns are hidden units of a layer below.
    two_states
        The two states of the units, if all units have two.
    left_out
        Numbers of the sites of an alignment that were left out.
    """

    encoding: Encoding
    image_shape: ImageShape
    columns: tuple[str, ...] | None = None
    of_hidden_units: bool = False
    two_states: tuple[float, float] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def alphabet(self) -> str | None:
        """The letters of an alignment; None for other rows."""
        return self.encoding.letters if isinstance(self.encoding, OneHot) else None

    def letters(self, shown: Sequence[int]) -> plots.Letters:
        """What the values 0, 1, 2, ... of some columns stand for, where they are no numbers."""
        if self.table is None:
            return self.alphabet
        words = self.table.words
        return [words[place] for place in shown]

    @classmethod
    def of(cls, rbm: RBM, data: Data, *, of_hidden_units: bool = False) -> View:
        """The view of the rows that a model was trained on."""
        shape = picture_shape(rbm, data.image_shape)
        return cls(data.encoding, shape, data.columns, of_hidden_units, two_states(rbm))

    @property
    def table(self) -> TableEncoding | None:
        """The columns of a mixed table; None for other rows."""
        return self.encoding if isinstance(self.encoding, TableEncoding) else None

    @property
    def is_table(self) -> bool:
        """Whether rows are something other than pictures."""
        return self.image_shape is None

    def values(self, states: Tensor) -> NDArray[Any]:
        """States or mean states in the units of the data; any leading shape."""
        return in_users_units(states, self.encoding)

    def drawn(self, states: Tensor, stream: Stream) -> NDArray[Any]:
        """Drawn states in the units of the data; of bins, values are drawn with the stream."""
        if self.table is None:
            return self.values(states)
        return self.table.decode_draws(states, stream).numpy()

    def limits(
        self, n: int, shown: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The range of the means of two-valued units, for some of ``n`` columns."""
        if self.two_states is None:
            return None
        ends = [self.values(torch.full((1, n), state))[0, list(shown)] for state in self.two_states]
        return ends[0].astype(np.float64), ends[1].astype(np.float64)

    def labels(self, n: int) -> list[str]:
        """Unique names of ``n`` columns for pictures."""
        names = self.names(n)
        if self.alphabet is not None:  # a number alone might be a value
            names = [f"site {name}" if name.isdecimal() else name for name in names]
        return plots.legible(names)

    def names(self, n: int) -> list[str]:
        """The names of the user's columns, or their numbers."""
        if self.columns is not None and len(self.columns) == n:
            return list(self.columns)
        word = "unit" if self.of_hidden_units else "column"
        numbered = [f"{word} {i}" for i in range(n)]
        return [*numbered[:-1], "label"] if isinstance(self.encoding, Labelled) else numbered

    def unit_names(self, n_units: int) -> list[str]:
        """The meaning of each column of states: a column, or one category of a column."""
        if self.table is not None:
            return self.table.state_names()
        if isinstance(self.encoding, Labelled):
            n_classes = self.encoding.n_classes
            rest_of_row = replace(self, encoding=self.encoding.columns)
            classes = [f"label = {k}" for k in range(n_classes)]
            return rest_of_row.unit_names(n_units - n_classes) + classes
        n_values = self.encoding.to("cpu").decode(torch.eye(1, n_units)).shape[-1]
        names = self.labels(n_values)
        q, rest = divmod(n_units, n_values)
        if rest or q == 1:
            return names if q == 1 and not rest else [f"unit {i}" for i in range(n_units)]
        if self.alphabet is not None:
            return [f"{name} = {letter}" for name in names for letter in self.alphabet]
        # in row k of these states, every value has category k
        categories = self.values(torch.eye(q).repeat(1, n_values))
        return [f"{name} = {categories[k, i]:g}" for i, name in enumerate(names) for k in range(q)]

    def telling(self, states: Tensor, always: Tensor | None = None) -> tuple[list[int], str]:
        """The columns that fit into a picture of these rows, and a sentence about the others.

        Parameters
        ----------
        states
            Rows, shape (..., n_columns). If there are too many columns, those that vary most are
            shown.
        always
            True where a column of the user's values has priority, as long as there is room.
        """
        flat = states.detach().reshape(-1, states.shape[-1]).cpu().double()
        n_values = self.encoding.to("cpu").decode(flat[:1].float()).shape[-1]
        if n_values <= MOST_COLUMNS:
            return list(range(n_values)), ""
        spread = flat.var(0, correction=0).numpy()
        if self.table is not None:
            places = np.array(self.table.value_of_state)
            spread = np.bincount(places, spread, minlength=n_values)
        elif len(spread) % n_values:  # a label comes last
            spread = np.ones(n_values)
        spread = spread.reshape(n_values, -1).sum(1)
        if always is not None:
            spread = np.where(always.cpu().numpy(), np.inf, spread)
        shown = np.sort(np.argsort(-spread, kind="stable")[:MOST_COLUMNS])
        left_out = n_values - MOST_COLUMNS
        note = f" Of {n_values:,} columns, {left_out:,} that vary less are left out."
        return shown.tolist(), note


def two_states(rbm: RBM) -> tuple[float, float] | None:
    """The two states of two-valued visible units; None for other units."""
    states = rbm.visible.states if len(rbm.visible.groups) == 1 else None
    if states is None or states.shape != (2, 1):
        return None
    low, high = sorted(states.flatten().tolist())
    return low, high


def picture_shape(rbm: RBM, image_shape: ImageShape) -> ImageShape:
    """(height, width) if a row of visible states is a picture, one unit per pixel."""
    return image_shape if rbm.visible.n == rbm.visible.n_columns else None


def in_users_units(states: Tensor, encoding: Encoding) -> NDArray[Any]:
    """States or mean states in the units of the data; any leading shape."""
    flat = states.reshape(-1, states.shape[-1])
    values = encoding.decode(flat)
    return values.reshape(*states.shape[:-1], -1).cpu().numpy()
