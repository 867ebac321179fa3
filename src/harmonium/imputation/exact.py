"""Exact sums over what is missing of rows: log-normalisers, means, draws, and single units.

There are four ways, of which each row takes the cheapest that it can:

- the missing units are enumerated, and the hidden ones summed out (`Enumerated`);
- the hidden units are enumerated, and the missing ones summed out, whatever they are
  (`HiddenEnumerated`), which many rows share;
- Gaussian missing and hidden units are jointly normal (`Normal`);
- units without weights are independent of all others, and join any of the ways.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.imputation.clamped import ClampedRows
from harmonium.imputation.one_by_one import Points
from harmonium.likelihood.enumeration import n_states
from harmonium.likelihood.factors import numbered
from harmonium.rng import Stream

MOST_MISSING_STATES = 2**14
"""Most states of what is missing of a row that are enumerated."""

MOST_HIDDEN_STATES = 2**18
"""Most states of the hidden layer that are enumerated."""

_NUMBERS_AT_ONCE, _PROBABILITIES_AT_ONCE = 2**20, 2**22

# A hidden state costs a matrix product with the missing units, and a state of these an exponential
# for each hidden unit, which takes as long as this many multiplications.
_EXPONENTIAL = 8


class Posterior(ABC):
    """p(missing | observed) of rows for which it is known exactly; all in float64.

    Attributes
    ----------
    clamped
        The rows, in float64.
    """

    clamped: ClampedRows

    @property
    @abstractmethod
    def log_normalisers(self) -> Tensor:
        """Log of the sum of exp(-energy) over all that is not observed, nats, shape (rows,)."""

    @abstractmethod
    def means(self) -> Tensor:
        """Mean states, shape (rows, n_columns); observed columns are as they are."""

    @abstractmethod
    def draws(self, n: int, stream: Stream) -> Tensor:
        """Independent draws, shape (rows, n, n_columns)."""

    @abstractmethod
    def of_unit(self, unit: int, points: Points) -> Tensor:
        """Probability of each point of a missing unit, the others summed out, (rows, n_points)."""

    def _complete(self, states: Tensor) -> Tensor:
        """Put observed columns into states of shape (rows, ..., n_columns)."""
        shape = [len(self.clamped), *[1] * (states.dim() - 2), states.shape[-1]]
        own, observed = (x.view(shape) for x in (self.clamped.states, self.clamped.observed))
        return torch.where(observed, own, states)

    def _alone(self) -> Tensor:
        """Mean states of units without inputs, (n_columns,)."""
        visible = self.clamped.rbm.visible
        return visible.mean(torch.zeros_like(visible.bias))

    def _alone_drawn(self, n: int, stream: Stream) -> Tensor:
        """Draws of all units without inputs, (rows, n, n_columns)."""
        rows = len(self.clamped)
        return self.clamped.rbm.visible.sample_alone(rows * n, stream).view(rows, n, -1)


@dataclass(eq=False)
class Enumerated(Posterior):
    """Rows in which the same units are missing, whose states are enumerated.

    Parameters
    ----------
    clamped
        The rows.
    missing
        Numbers of the missing units that have weights.
    """

    clamped: ClampedRows
    missing: list[int]

    @cached_property
    def _points(self) -> list[Points]:
        points = [self.clamped.units.points(unit) for unit in self.missing]
        assert all(points)
        return [of for of in points if of is not None]

    @cached_property
    def _columns(self) -> Tensor:
        of_units = self.clamped.units.columns
        columns = [
            c for unit in self.missing for c in range(of_units[unit].start, of_units[unit].stop)
        ]
        return torch.tensor(columns, dtype=torch.long, device=self.clamped.states.device)

    @cached_property
    def _states(self) -> Tensor:
        n = math.prod(map(len, self._points))
        tables = [of.states for of in self._points]
        return numbered(tables, 0, n) if tables else self.clamped.states.new_empty(1, 0)

    @cached_property
    def _log_weights(self) -> Tensor:
        """Of the states of each row, without those of units that have no weights, (rows, n)."""
        rbm, states = self.clamped.rbm, self._states
        n = len(states)
        own = states.new_zeros(n)
        if self._points:
            tables = [of.log_weights.unsqueeze(1) for of in self._points]
            own = numbered(tables, 0, n).sum(1)
        received = states @ rbm.weights[self._columns]
        hidden = rbm.hidden
        if hidden.low_state == 0:
            return own + kernels.softplus_sums(self.clamped.inputs, received + hidden.bias)
        at_once = max(1, _NUMBERS_AT_ONCE // max(1, received.numel()))
        sums = [
            hidden.cgf(inputs.unsqueeze(1) + received).sum(-1)
            for inputs in self.clamped.inputs.split(at_once)
        ]
        return own + torch.cat(sums)

    @property
    def log_normalisers(self) -> Tensor:  # noqa: D102
        clamped = self.clamped
        alone = clamped.rbm.visible.cgf(torch.zeros_like(clamped.rbm.visible.bias))
        lonely = clamped.missing & ~clamped.units.is_coupled
        return self._log_weights.logsumexp(1) + lonely.double() @ alone + clamped.log_weights

    @cached_property
    def _p(self) -> Tensor:
        return self._log_weights.softmax(1)

    def means(self) -> Tensor:  # noqa: D102
        means = self._alone().repeat(len(self.clamped), 1)
        means[:, self._columns] = self._p @ self._states
        return self._complete(means)

    def draws(self, n: int, stream: Stream) -> Tensor:  # noqa: D102
        drawn = self._alone_drawn(n, stream)
        chance = kernels.uniform((len(self.clamped), n), stream, dtype=torch.float64)
        below = self._p.cumsum(1)
        chosen = torch.searchsorted(below, chance.to(below) * below[:, -1:])
        drawn[:, :, self._columns] = self._states[chosen.clamp_(max=len(self._states) - 1)]
        return self._complete(drawn)

    def of_unit(self, unit: int, points: Points) -> Tensor:  # noqa: D102
        if unit not in self.missing:
            return points.log_weights.softmax(0).expand(len(self.clamped), -1)
        sizes = [len(of) for of in self._points]
        place = self.missing.index(unit)
        after, n = math.prod(sizes[place + 1 :]), sizes[place]
        # the first unit changes fastest
        return self._p.view(len(self._p), after, n, -1).sum((1, 3))


@dataclass(eq=False)
class HiddenEnumerated(Posterior):
    """Rows whose hidden states are enumerated; their visible units are independent given these."""

    clamped: ClampedRows

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield hidden states, inputs of the visible units, and log weights (rows, states)."""
        rbm, hidden = self.clamped.rbm, self.clamped.rbm.hidden
        tables = [
            units.states[:n].to(hidden.bias)
            for _, units in hidden.groups
            if units.states is not None
            for n in units.states_each
        ]
        total, missing = math.prod(map(len, tables)), self.clamped.missing.double()
        width = max(len(self.clamped), *rbm.weights.shape)
        size = max(1, _NUMBERS_AT_ONCE // width)
        for start in range(0, total, size):
            h = numbered(tables, start, min(start + size, total))
            inputs = h @ rbm.weights.T
            summed = missing @ rbm.visible.cgf(inputs).T
            yield h, inputs, self.clamped.inputs @ h.T - hidden.energy(h) + summed

    @cached_property
    def _log_sums(self) -> Tensor:
        sums = [log_weights.logsumexp(1) for _, _, log_weights in self._blocks()]
        return torch.stack(sums).logsumexp(0)

    @property
    def log_normalisers(self) -> Tensor:  # noqa: D102
        return self._log_sums + self.clamped.log_weights

    def _probabilities(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for h, inputs, log_weights in self._blocks():
            yield h, inputs, (log_weights - self._log_sums.unsqueeze(1)).exp()

    def means(self) -> Tensor:  # noqa: D102
        visible, means = self.clamped.rbm.visible, torch.zeros_like(self.clamped.states)
        for _, inputs, p in self._probabilities():
            means += p @ visible.mean(inputs)
        return self._complete(means)

    def draws(self, n: int, stream: Stream) -> Tensor:  # noqa: D102
        rows, hidden = len(self.clamped), self.clamped.rbm.hidden
        like = self.clamped.states
        chance = kernels.uniform((rows, n), stream, dtype=torch.float64).to(like)
        h = like.new_zeros(rows, n, hidden.n_columns)
        before = like.new_zeros(rows, 1)
        for states, _, p in self._probabilities():
            below = before + p.cumsum(1)
            chosen = torch.searchsorted(below, chance).clamp_(max=len(states) - 1)
            # whose number is above all of this block's finds a later one, except by rounding
            here = chance > before
            h[here] = states[chosen][here]
            before = below[:, -1:].contiguous()
        inputs = h.flatten(0, 1) @ self.clamped.rbm.weights.T
        drawn = self.clamped.rbm.visible.sample_(inputs, stream)
        return self._complete(drawn.view(rows, n, -1))

    def of_unit(self, unit: int, points: Points) -> Tensor:  # noqa: D102
        columns = self.clamped.units.columns[unit]
        found = self.clamped.states.new_zeros(len(self.clamped), len(points))
        for _, inputs, p in self._probabilities():
            given_hidden = inputs[:, columns] @ points.states.T + points.log_weights
            found += p @ given_hidden.softmax(1)
        return found


@dataclass(eq=False)
class Normal(Posterior):
    """Rows in which the same Gaussian units are missing, under Gaussian hidden units.

    With x the missing and the hidden units, the energy is x A x / 2 - b x.
    """

    clamped: ClampedRows
    missing: list[int]

    @cached_property
    def _columns(self) -> Tensor:
        first = self.clamped.units.first_columns
        return first[torch.tensor(self.missing, dtype=torch.long, device=first.device)]

    @cached_property
    def _solved(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cholesky factor of A, b and the mean of each row, (rows, n)."""
        rbm, at = self.clamped.rbm, self._columns
        assert rbm.visible.precision is not None and rbm.hidden.precision is not None
        precisions = torch.cat([rbm.visible.precision[at], rbm.hidden.precision])
        a, n = torch.diag(precisions), len(at)
        a[:n, n:] = -rbm.weights[at]
        a[n:, :n] = -rbm.weights[at].T
        factor = torch.linalg.cholesky(a)
        of_hidden = self.clamped.inputs + rbm.hidden.bias
        b = torch.cat([rbm.visible.bias[at].expand(len(of_hidden), -1), of_hidden], 1)
        return factor, b, torch.cholesky_solve(b.T, factor).T

    @property
    def log_normalisers(self) -> Tensor:  # noqa: D102
        clamped = self.clamped
        alone = clamped.rbm.visible.cgf(torch.zeros_like(clamped.rbm.visible.bias))
        lonely = clamped.missing & ~clamped.units.is_coupled
        factor, b, mean = self._solved
        half_log_det = factor.diagonal().log().sum()
        own = 0.5 * (b * mean).sum(1) - half_log_det + 0.5 * len(factor) * math.log(2 * math.pi)
        return own + lonely.double() @ alone + clamped.log_weights

    def means(self) -> Tensor:  # noqa: D102
        means = self._alone().repeat(len(self.clamped), 1)
        means[:, self._columns] = self._solved[2][:, : len(self.missing)]
        return self._complete(means)

    def draws(self, n: int, stream: Stream) -> Tensor:  # noqa: D102
        factor, _, mean = self._solved
        drawn = self._alone_drawn(n, stream)
        shape = (len(self.clamped) * n, len(factor))
        noise = kernels.normal(shape, stream, dtype=torch.float64).to(factor)
        x = torch.linalg.solve_triangular(factor.T, noise.T, upper=True).T
        x = x.view(len(self.clamped), n, -1) + mean.unsqueeze(1)
        drawn[:, :, self._columns] = x[..., : len(self.missing)]
        return self._complete(drawn)

    def of_unit(self, unit: int, points: Points) -> Tensor:
        """Never asked: given Gaussian hidden units, a Gaussian unit has no points."""
        raise NotImplementedError

    def moments_of_unit(self, unit: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of a missing unit, shape (rows,) each."""
        place = self.missing.index(unit)
        variances = torch.cholesky_inverse(self._solved[0]).diagonal()
        deviation = variances[place].sqrt().expand(len(self.clamped))
        return self._solved[2][:, place], deviation


@torch.no_grad()
def posteriors(clamped: ClampedRows) -> Iterator[tuple[Tensor, Posterior | None]]:
    """Yield numbers of rows, and their exact posterior; None for rows that have none.

    Parameters
    ----------
    clamped
        The rows, in float64.
    """
    missing = clamped.missing & clamped.units.is_coupled
    patterns, place = missing.unique(dim=0, return_inverse=True)
    order = place.argsort(stable=True)
    counts = torch.bincount(place, minlength=len(patterns)).tolist()
    by_hidden: list[Tensor] = []
    sampled: list[Tensor] = []
    for pattern, rows in zip(patterns, order.split(counts), strict=True):
        way = _way(clamped, pattern)
        numbers = pattern.nonzero()[:, 0].tolist()
        if way == "missing":
            n = math.prod(len(clamped.units.points(unit) or ()) for unit in numbers)
            for some in rows.split(max(1, _PROBABILITIES_AT_ONCE // n)):
                yield some, Enumerated(clamped.take(some), numbers)
        elif way == "normal":
            yield rows, Normal(clamped.take(rows), numbers)
        else:
            (by_hidden if way == "hidden" else sampled).append(rows)
    if by_hidden:
        rows = torch.cat(by_hidden).sort().values
        yield rows, HiddenEnumerated(clamped.take(rows))
    if sampled:
        yield torch.cat(sampled).sort().values, None


def _way(clamped: ClampedRows, pattern: Tensor) -> str | None:
    rbm, units = clamped.rbm, clamped.units
    numbers = pattern.nonzero()[:, 0].tolist()
    by_missing = math.inf
    n = 1
    for unit in numbers:
        points = units.points(unit) if n <= MOST_MISSING_STATES else None
        n = n * len(points) if points is not None else MOST_MISSING_STATES + 1
    if n <= MOST_MISSING_STATES:
        by_missing = n * rbm.hidden.n_columns * _EXPONENTIAL
    n_hidden = n_states(rbm.hidden)
    by_hidden = math.inf
    if n_hidden is not None and n_hidden <= MOST_HIDDEN_STATES:
        by_hidden = n_hidden * (len(pattern) + _EXPONENTIAL)
    if by_missing < math.inf or by_hidden < math.inf:
        return "missing" if by_missing <= by_hidden else "hidden"
    is_normal = not rbm.hidden.has_origin and not any(map(units.has_origin, numbers))
    return "normal" if is_normal else None
