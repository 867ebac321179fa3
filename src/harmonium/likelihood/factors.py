"""Enumeration with shared factors: many states share few exponentials.

A layer's units are split into low, mid and high ones. The index of a state then has three digits,
and the other layer's input is a sum of three terms, of which there are hundreds or thousands each.
Its exponential is therefore a product of three known factors, and the log-normaliser of discrete
units is the log of a product of sums of such products. Gaussian units have a quadratic
log-normaliser, which couples pairs of enumerated units and adds no cost per column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.units import Units

# Low states: what a core processes at once from its first-level cache.
_LOW, _LARGEST_LOW = 32, 2**10
# Mid states, and size of their tables: 8 MB of float64.
_MID, _NUMBERS = 2**12, 2**20

# With fewer states times columns of the other layer per call, call overhead exceeds the cost of
# exponentials.
_LEAST_AT_ONCE = 2**13

# exp of more than this, or a product of such exponentials, comes close to float64's limits.
_LARGEST_EXPONENT = 690.0


def numbered(tables: Sequence[Tensor], start: int, stop: int) -> Tensor:
    """A range of the states of units with these tables; the first unit changes fastest.

    Parameters
    ----------
    tables
        The states of each unit, shape (n_states, width).
    start, stop
        Index of the first state, and the index after the last.

    Returns
    -------
    Tensor
        Shape (stop - start, columns).
    """
    number = torch.arange(start, stop, device=tables[0].device)
    columns = []
    for states in tables:
        columns.append(states[number % len(states)])
        number = number // len(states)
    return torch.cat(columns, 1)


def _first(tables: Sequence[Tensor], units: Sequence[int], most: int) -> list[int]:
    """The longest prefix of these units that has at most ``most`` states together."""
    taken, n = [], 1
    for unit in units:
        n *= len(tables[unit])
        if n > most:
            break
        taken.append(unit)
    return taken


@dataclass(frozen=True, eq=False)
class _Summed:
    """Sums over the other layer's states, as functions of the enumerated states.

    The log of the sum is the log of the product over discrete units of 1 + sum of exp(terms), plus
    a constant, a linear and a quadratic function of the enumerated states.
    """

    weights: Tensor  # of the terms, shape (enumerated columns, terms)
    bias: Tensor  # of the terms
    ends: list[int]  # of the terms of each unit, from 0
    linear: Tensor  # shape (enumerated columns,)
    quadratic: Tensor | None  # shape (enumerated columns, enumerated columns)
    constant: float

    @classmethod
    def of(cls, layer: Units, weights: Tensor) -> _Summed | None:
        """For a layer with inputs states @ weights; None if it has an unsupported kind of unit."""
        of_terms, biases, ends = [weights[:, :0]], [layer.bias[:0]], [0]
        linear, constant = weights.new_zeros(len(weights)), weights.new_zeros(())
        quadratic = None
        for columns, units in layer.groups:
            own, bias = weights[:, columns], layer.bias[columns]
            if units.states is not None:
                first, others = units.states[0], units.states[1:]
                own, bias = (x.unflatten(-1, (units.n, units.width)) for x in (own, bias))
                of_terms.append((own @ (others - first).T).flatten(1))
                energies = state_energies(units)
                of_states = bias @ (others - first).T - (energies[:, 1:] - energies[:, :1])
                biases.append(of_states.flatten())
                ends += [ends[-1] + len(others) * (i + 1) for i in range(units.n)]
                linear = linear + (own @ first).sum(1)
                constant = constant + (bias @ first - energies[:, 0]).sum()
            elif units.precision is not None and not units.has_origin:
                root = units.precision.sqrt()
                own, bias = own / root, bias / root
                product = own @ own.T
                quadratic = product if quadratic is None else quadratic + product
                linear = linear + own @ bias
                half_logs = 0.5 * math.log(2 * math.pi) - root.log()
                constant = constant + (0.5 * bias.square() + half_logs).sum()
            else:
                return None
        return cls(
            torch.cat(of_terms, 1), torch.cat(biases), ends, linear, quadratic, constant.item()
        )


def state_energies(units: Units) -> Tensor:
    """Energy of each unit in each state, without the bias term, shape (n, n_states).

    Defined up to a constant for each unit: energies of independent units add up, so one unit is
    moved while the others stay in their first state, whose energy is common to all.
    """
    states = units.states
    assert states is not None
    if units.is_linear:
        return states.new_zeros(units.n, len(states))
    first = states[0].repeat(units.n)
    energies = []
    for unit in range(units.n):
        x = first.repeat(len(states), 1)
        x[:, unit * units.width : (unit + 1) * units.width] = states
        energies.append(units.energy(x) + x @ units.bias)
    of_first = energies[0][0]
    return torch.stack(energies) - of_first + of_first / units.n


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of the enumerated units in all their states; the other units' columns are zero."""

    tables: list[Tensor]
    columns: Tensor
    n_columns: int

    @classmethod
    def of(cls, tables: Sequence[Tensor], units: Sequence[int]) -> _Part:
        """These units of a layer with these tables."""
        ends = torch.tensor([0, *(table.shape[1] for table in tables)]).cumsum(0).tolist()
        places = [torch.arange(ends[unit], ends[unit + 1]) for unit in units]
        columns = torch.cat([torch.arange(0), *places]).to(tables[0].device)
        return cls([tables[unit] for unit in units], columns, ends[-1])

    def __len__(self) -> int:
        return math.prod(map(len, self.tables))

    def states(self, start: int = 0, stop: int | None = None) -> Tensor:
        """A range of the states, shape (states, n_columns)."""
        stop = len(self) if stop is None else stop
        x = self.columns.new_zeros(stop - start, self.n_columns, dtype=torch.float64)
        if self.tables:
            x[:, self.columns] = numbered(self.tables, start, stop)
        return x

    def range(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Lowest and highest product with these weights, each of shape (columns of weights,)."""
        at, low, high = 0, weights.new_zeros(weights.shape[1]), weights.new_zeros(weights.shape[1])
        for table in self.tables:
            columns = self.columns[at : at + table.shape[1]]
            products = table @ weights[columns]
            low, high = low + products.amin(0), high + products.amax(0)
            at += table.shape[1]
        return low, high


class Factors:
    """All states of one layer, in sets that share factors. Made by `of`."""

    def __init__(
        self, parts: tuple[_Part, _Part, _Part], layer: Units, summed: _Summed, groups: list[int]
    ) -> None:
        self._parts, self._layer, self._summed, self._groups = parts, layer, summed, groups

    @classmethod
    def of(
        cls, tables: Sequence[Tensor], layer: Units, summed: Units, weights: Tensor
    ) -> Factors | None:
        """Make the factors of a float64 model, if that is possible and worthwhile; else None.

        Parameters
        ----------
        tables
            The states of each unit that is enumerated, shape (n_states, width).
        layer, summed
            The layer that is enumerated, and the other one.
        weights
            Shape (layer.n_columns, summed.n_columns).
        """
        sums = _Summed.of(summed, weights)
        if sums is None:
            return None
        most = _NUMBERS // max(_LOW, len(weights), len(sums.bias))
        units = sorted(range(len(tables)), key=lambda unit: len(tables[unit]))
        low = _first(tables, units, _LOW) or _first(tables, units[:1], _LARGEST_LOW)
        mid = _first(tables, units[len(low) :], min(_MID, most))
        high = units[len(low) + len(mid) :]
        parts = _Part.of(tables, low), _Part.of(tables, mid), _Part.of(tables, high)
        if high and len(parts[0]) * len(parts[1]) * weights.shape[1] < _LEAST_AT_ONCE:
            return None
        groups = _groups(sums, parts)
        return None if groups is None else cls(parts, layer, sums, groups)

    def log_sums(self) -> Iterator[float]:
        """Yield logs of sums over parts of the states, whose logsumexp is the total."""
        low, mid, high = self._parts
        sums = self._summed
        ends, groups = (
            torch.tensor(x, device=sums.weights.device) for x in (sums.ends, self._groups)
        )
        x_low, x_mid = low.states(), mid.states()
        of_low = (x_low @ sums.weights).T.exp().contiguous()
        of_mid = (x_mid @ sums.weights).exp()
        shared = self._log_weights(low, x_low) + self._log_weights(mid, x_mid).unsqueeze(1)
        if sums.quadratic is not None:
            shared += x_mid @ sums.quadratic @ x_low.T
        log_weights = shared.clone()
        size = max(1, _NUMBERS // max(sums.weights.shape))
        for start in range(0, len(high), size):
            x_high = high.states(start, min(start + size, len(high)))
            own = self._log_weights(high, x_high) + sums.constant
            of_high = (x_high @ sums.weights + sums.bias).exp()
            for k in range(len(x_high)):
                if sums.quadratic is not None:
                    field = sums.quadratic @ x_high[k]
                    torch.add(shared, x_low @ field, out=log_weights)
                    log_weights += (x_mid @ field).unsqueeze(1)
                logs = kernels.log_sums_of_products(
                    log_weights, of_low, of_mid, of_high[k], ends, groups
                )
                yield (logs.logsumexp(0) + own[k]).item()

    def _log_weights(self, part: _Part, x: Tensor) -> Tensor:
        """The terms that do not depend on units of other parts, shape (states,).

        Energies of independent units add up: the energy of the other units, in their first states,
        is subtracted, and added only once, for the high units.
        """
        first = torch.cat([part.states(0, 1) for part in self._parts]).sum(0)
        others = first.clone()
        others[part.columns] = 0
        energy = self._layer.energy(x + others)
        if part is not self._parts[-1]:
            energy = energy - self._layer.energy(first)
        log_weights = x @ self._summed.linear - energy
        if self._summed.quadratic is not None:
            log_weights += 0.5 * ((x @ self._summed.quadratic) * x).sum(1)
        return log_weights


def _groups(sums: _Summed, parts: Sequence[_Part]) -> list[int] | None:
    """Ends of groups of units whose products stay in range; None if a single unit exceeds it.

    Within a group, either all units have one term or all have several.
    """
    ranges = [part.range(sums.weights) for part in parts]
    sizes = sum((torch.maximum(-low, high) for low, high in ranges), sums.bias.abs())
    if len(sizes) and sizes.max() > _LARGEST_EXPONENT:
        return None
    highest = sum((high for _, high in ranges), sums.bias)
    n_units = len(sums.ends) - 1
    ends, room, was_single = [], 0.0, None
    for unit, (start, stop) in enumerate(pairwise(sums.ends)):
        bound = torch.cat([highest.new_zeros(1), highest[start:stop]]).logsumexp(0).item()
        is_single = stop - start == 1
        if bound > room or is_single != was_single:
            ends.append(unit)
            room = max(bound, _LARGEST_EXPONENT)
        room, was_single = room - bound, is_single
    return [*ends, n_units]
