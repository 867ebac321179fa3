"""The units of a layer, one by one: their columns, and points at which to sum over their states."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from harmonium.likelihood.factors import state_energies
from harmonium.units import Units

# Points of a Gaussian unit are a quarter of a standard deviation apart. Given the hidden units it
# is normal, and for a mixture of normal distributions of one width the trapezoidal rule then errs
# by less than exp(-300). Other continuous units get panels of so many Gauss-Legendre points, each
# a standard deviation wide. All end this far beyond the outermost means.
_STEP, _PANEL, _DEVIATIONS = 0.25, 12, 10.0

_MOST_POINTS = 20_000
"""Most points of a unit; one whose states spread further is sampled."""


@dataclass(frozen=True, eq=False)
class Points:
    """States at which sums over a unit are taken.

    Attributes
    ----------
    states : Tensor, shape (n_points, width)
        All states of a discrete unit; a grid for a continuous one.
    log_weights : Tensor, float64, shape (n_points,)
        Minus the energy of each, with the bias, plus the log of the volume that it stands for. With
        inputs I, the log-normaliser of the unit is logsumexp(log_weights + states · I).
    """

    states: Tensor
    log_weights: Tensor

    def __len__(self) -> int:
        return len(self.states)


class OneByOne:
    """The units of a float64 layer, one by one.

    Parameters
    ----------
    layer
        The visible layer.
    weights
        Shape (layer.n_columns, n): how the other layer enters its inputs.
    other
        The other layer, whose states bound these inputs.
    """

    def __init__(self, layer: Units, weights: Tensor, other: Units) -> None:
        self._layer, self._weights, self._other = layer, weights, other
        self._group_of: list[tuple[slice, Units, int]] = []
        self.columns: list[slice] = []
        for columns, units in layer.groups:
            for i in range(units.n):
                start = columns.start + i * units.width
                self.columns.append(slice(start, start + units.width))
                self._group_of.append((columns, units, i))
        self._points: dict[int, Points | None] = {}
        self._above: dict[int, Tensor] = {}  # of each group, by its first column

    def has_origin(self, unit: int) -> bool:
        """Whether a unit is something else than a plain Gaussian, as `Units.has_origin`."""
        return self._group_of[unit][1].has_origin

    def has_grid(self, unit: int) -> bool:
        """Whether a unit has a continuum of states."""
        units = self._group_of[unit][1]
        return units.states is None and not units.is_count

    @cached_property
    def unit_of_column(self) -> Tensor:
        """The number of the unit of each column, int64, shape (n_columns,)."""
        widths = torch.tensor([columns.stop - columns.start for columns in self.columns])
        owners = torch.arange(len(widths)).repeat_interleave(widths)
        return owners.to(self._weights.device)

    @cached_property
    def first_columns(self) -> Tensor:
        """The first column of each unit, int64, shape (n,)."""
        starts = [columns.start for columns in self.columns]
        return torch.tensor(starts, device=self._weights.device)

    @cached_property
    def is_coupled(self) -> Tensor:
        """Whether any weight of a unit differs from zero, bool, shape (n,)."""
        of_columns = self._weights.ne(0).any(1)
        coupled = torch.zeros(len(self.columns), dtype=torch.bool, device=of_columns.device)
        coupled[self.unit_of_column[of_columns]] = True
        return coupled

    @cached_property
    def reference(self) -> Tensor:
        """A state of each unit, to stand where none is known: the first, or zero; (n_columns,)."""
        reference = torch.zeros_like(self._layer.bias)
        for columns, units in self._layer.groups:
            if units.states is not None:
                reference[columns] = units.states[0].repeat(units.n).to(reference)
        return reference

    @cached_property
    def reference_energies(self) -> Tensor:
        """The energy of each unit in its reference state, float64, shape (n,)."""
        free = self._layer.cgf(torch.zeros_like(self._layer.bias))
        found, first = [], 0
        for columns, units in self._layer.groups:
            if units.states is None:  # zero, whose energy is that of no input at no state
                bias = self._layer.bias[columns]
                at_zero = units.energy(torch.zeros_like(bias)) / units.n
                found.append(at_zero.expand(units.n))
            else:
                # the log-normaliser knows the energies, differences of which are known by state
                above = self._differences(columns, units)
                found.append((-above).logsumexp(1) - free[first : first + units.n])
            first += units.n
        return torch.cat(found)

    def _differences(self, columns: slice, units: Units) -> Tensor:
        """Energy of each state of each unit above that of its first state, (n, n_states)."""
        assert units.states is not None
        energies, bias = state_energies(units), self._layer.bias[columns]
        linear = bias.view(units.n, units.width) @ (units.states - units.states[0]).T
        return energies - energies[:, :1] - linear

    def points(self, unit: int) -> Points | None:
        """Points of one unit; None for continuous units whose inputs have no bounds."""
        if unit not in self._points:
            self._points[unit] = self._points_of(unit)
        return self._points[unit]

    def _points_of(self, unit: int) -> Points | None:
        columns, units, i = self._group_of[unit]
        if units.states is not None:
            n = units.states_each[i]
            above = self._of_group(columns, units)[i]
            log_weights = -above - self.reference_energies[unit]
            return Points(units.states[:n].to(self._layer.bias), log_weights[:n])
        grid = self._grid(unit, units)
        if grid is None:
            return None
        x, log_volumes = (torch.from_numpy(part).to(self._layer.bias) for part in grid)
        rows = self.reference.repeat(len(x), 1)
        rows[:, self.columns[unit]] = x[:, None]
        energies = self._layer.energy(rows) - self._layer.energy(self.reference)
        log_weights = log_volumes - energies - self.reference_energies[unit]
        return Points(x[:, None], log_weights)

    def _of_group(self, columns: slice, units: Units) -> Tensor:
        if columns.start not in self._above:
            self._above[columns.start] = self._differences(columns, units)
        return self._above[columns.start]

    def _grid(self, unit: int, units: Units) -> tuple[np.ndarray, np.ndarray] | None:
        """Points of a unit without a table of states, and the log of the volume of each."""
        bounds = self._input_bounds(unit)
        if bounds is None:
            return None
        inputs = torch.zeros(2, self._layer.n_columns).to(self._layer.bias)
        column = self.columns[unit].start
        inputs[:, column] = torch.tensor(bounds).to(inputs)
        mean, deviation = self._layer.mean(inputs)[:, column], self._layer.var(inputs)[:, column]
        deviation = deviation.sqrt()
        if not (mean.isfinite().all() and deviation.isfinite().all()):
            return None
        low = float((mean - _DEVIATIONS * deviation).min())
        high = float((mean + _DEVIATIONS * deviation).max())
        if units.is_count:
            n = int(high + 2 * _DEVIATIONS) + 1
            return None if n > _MOST_POINTS else (np.arange(n, dtype=float), np.zeros(n))
        step = float(deviation.min())
        if (high - low) / step * _PANEL > _MOST_POINTS:
            return None
        if not units.has_origin:
            n = math.ceil((high - low) / (_STEP * step))
            x = np.linspace(low, high, n + 1)
            return x, np.full(n + 1, math.log((high - low) / n))
        low = 0.0 if units.is_positive else low
        ends = [np.arange(0, high + step, step)]
        if low < 0:  # energies may have a kink at zero, so that panels end there
            ends.insert(0, -np.arange(step, step - low, step)[::-1])
        edges = np.concatenate(ends)
        nodes, weights = np.polynomial.legendre.leggauss(_PANEL)
        half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
        x = (middle[:, None] + half[:, None] * nodes).ravel()
        return x, np.log(half[:, None] * weights).ravel()

    def _input_bounds(self, unit: int) -> tuple[float, float] | None:
        """The smallest and the largest input that the other layer can give."""
        weights, low, high = self._weights[self.columns[unit].start], 0.0, 0.0
        for columns, units in self._other.groups:
            own = weights[columns]
            if units.states is None:
                if own.any():
                    return None
                continue
            reached = own.view(units.n, units.width) @ units.states.to(own).T
            for i, n in enumerate(units.states_each):
                low += float(reached[i, :n].min())
                high += float(reached[i, :n].max())
        return low, high
