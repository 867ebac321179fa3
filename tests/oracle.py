"""The oracle: what small RBMs are, from the definitions, by enumeration and quadrature in float64.

Imports nothing from the package. A layer is a list of states (a fine grid of them where there is
a continuum) and their energies; everything else is a sum over that list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr
from scipy.stats import chi2

Array = NDArray[np.float64]

# Quadrature by the trapezoidal rule, which for a Gaussian converges faster than any power: with
# standard deviations from 0.5 to 1.5 and means within 4, what is left out is below 1e-15.
_GRID_STEP = 0.2
_GRID_END = 18.0


@dataclass(frozen=True)
class Layer:
    """Units with energy ``precision x^2 / 2 - bias x``, over given states or the real line."""

    bias: Array
    tables: tuple[Array | None, ...]  # of each unit: (n_states, width), or None for the real line
    precision: Array | None = None  # of each column; None for 0

    @property
    def n(self) -> int:
        return len(self.tables)

    @property
    def is_discrete(self) -> bool:
        return all(table is not None for table in self.tables)

    @property
    def columns(self) -> list[slice]:
        """Of each unit."""
        ends = np.cumsum([1 if table is None else table.shape[1] for table in self.tables])
        return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    @property
    def curvature(self) -> Array:
        """Second derivative of the energy by each column."""
        return np.zeros_like(self.bias) if self.precision is None else self.precision

    def unit(self, i: int) -> Layer:
        """Unit i as a layer of its own."""
        columns = self.columns[i]
        precision = None if self.precision is None else self.precision[columns]
        return Layer(self.bias[columns], self.tables[i : i + 1], precision)

    def energy(self, x: Array) -> Array:
        return (0.5 * self.curvature * x * x - self.bias * x).sum(-1)

    def points(self) -> tuple[Array, float]:
        """States to sum over, (n_points, columns), and the log of the volume of each."""
        line = np.arange(-_GRID_END, _GRID_END + _GRID_STEP / 2, _GRID_STEP)[:, None]
        tables = [line if table is None else table for table in self.tables]
        n_lines = sum(table is None for table in self.tables)
        return all_combinations(tables), n_lines * float(np.log(_GRID_STEP))

    def some_states(self, n: int = 12) -> Array:
        """Some states of moderate size, at most ``n``."""
        if self.is_discrete:
            x = self.points()[0]
            return x[:: -(-len(x) // n)]
        generator = np.random.default_rng(0)
        x = generator.uniform(-2, 2, (n, len(self.bias)))
        for table, columns in zip(self.tables, self.columns, strict=True):
            if table is not None:
                x[:, columns] = table[generator.integers(len(table), size=n)]
        return x

    def log_weights(self, inputs: Array) -> tuple[Array, Array]:
        """Points, and minus their energies under inputs with the volumes in, (..., n_points)."""
        x, log_volume = self.points()
        return x, np.asarray(inputs) @ x.T - self.energy(x) + log_volume

    def log_normaliser(self, inputs: Array) -> Array:
        """Of the whole layer, (...,)."""
        return logsumexp(self.log_weights(inputs)[1], axis=-1)

    def expectation(self, f_of_points: Array, inputs: Array) -> Array:
        """Mean of a function given at `points`, (n_points, ...), under each row of inputs."""
        log_weights = self.log_weights(inputs)[1]
        p = np.exp(log_weights - logsumexp(log_weights, axis=-1, keepdims=True))
        return np.tensordot(p, f_of_points, axes=1)

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and variance of each column under each row of inputs."""
        mean, mean_square = [], []
        for unit, of_unit in self.by_unit(inputs):
            x = unit.points()[0]
            mean.append(unit.expectation(x, of_unit))
            mean_square.append(unit.expectation(x * x, of_unit))
        means = np.concatenate(mean, axis=-1)
        return means, np.concatenate(mean_square, axis=-1) - means**2

    def highest_log_weight(self, inputs: Array) -> Array:
        """Minus the lowest energy among `points` under each row of inputs."""
        return sum(
            unit.log_weights(of_unit)[1].max(-1) - unit.points()[1]
            for unit, of_unit in self.by_unit(inputs)
        )

    def by_unit(self, inputs: Array) -> Iterator[tuple[Layer, Array]]:
        """Each unit, and what it receives: the energy is a sum over units, none hears another."""
        for i, columns in enumerate(self.columns):
            yield self.unit(i), inputs[..., columns]


def all_combinations(tables: Sequence[Array]) -> Array:
    """Rows of one row of each table, the last table's changing fastest."""
    n = int(np.prod([len(table) for table in tables]))
    places = np.indices([len(table) for table in tables]).reshape(len(tables), n)
    rows = [table[place] for table, place in zip(tables, places, strict=True)]
    return np.concatenate([np.empty((n, 0)), *rows], axis=1)


def binary(bias: Array) -> Layer:
    return Layer(bias, (np.array([[0.0], [1.0]]),) * len(bias))


def spin(bias: Array) -> Layer:
    return Layer(bias, (np.array([[-1.0], [1.0]]),) * len(bias))


def categorical(bias: Array, n_categories: int) -> Layer:
    return Layer(bias, (np.eye(n_categories),) * (len(bias) // n_categories))


def gaussian(bias: Array, log_precision: Array) -> Layer:
    return Layer(bias, (None,) * len(bias), np.exp(log_precision))


def side_by_side(*layers: Layer) -> Layer:
    """One layer of the units of several."""
    return Layer(
        np.concatenate([layer.bias for layer in layers]),
        tuple(table for layer in layers for table in layer.tables),
        None
        if all(layer.precision is None for layer in layers)
        else np.concatenate([layer.curvature for layer in layers]),
    )


@dataclass(frozen=True)
class Model:
    """E(v, h) = E_visible(v) + E_hidden(h) - v weights h."""

    visible: Layer
    hidden: Layer
    weights: Array

    def energy(self, v: Array, h: Array) -> Array:
        interaction = np.einsum("...i,ij,...j->...", v, self.weights, h)
        return self.visible.energy(v) + self.hidden.energy(h) - interaction

    def free_energy(self, v: Array) -> Array:
        """By summing over all hidden states, whatever they are."""
        h, log_volume = self.hidden.points()
        energies = self.energy(v[..., None, :], h)
        return -logsumexp(log_volume - energies, axis=-1)


class Joint:
    """The joint distribution of both layers, with the Gaussian columns integrated in closed form.

    The energy of x = (v, h) is x A x / 2 - b x. Given the discrete columns d, the Gaussian ones
    are normal with precision A_gg and mean A_gg^-1 (b_g - A_gd d).

    Parameters
    ----------
    model
        Discrete and Gaussian layers in any combination that can be normalised.
    held
        Values of discrete visible columns, given which the distribution is; NaN elsewhere.
    """

    def __init__(self, model: Model, held: Array | None = None) -> None:
        layers = (model.visible, model.hidden)
        n_visible = len(model.visible.bias)
        a = np.diag(np.concatenate([layer.curvature for layer in layers]))
        a[:n_visible, n_visible:] = -model.weights
        a[n_visible:, :n_visible] = -model.weights.T
        b = np.concatenate([layer.bias for layer in layers])
        tables = [table for layer in layers for table in layer.tables]
        self.is_gaussian = np.concatenate(
            [[True] if table is None else [False] * table.shape[1] for table in tables]
        )
        g, d = self.is_gaussian, ~self.is_gaussian
        self.states = all_combinations([table for table in tables if table is not None])
        slope = b[g] - self.states @ a[np.ix_(d, g)]
        self.factor = np.linalg.cholesky(a[np.ix_(g, g)])  # fails where there is no such model
        self.means = slope @ np.linalg.inv(a[np.ix_(g, g)])
        quadratic = 0.5 * np.einsum("si,ij,sj->s", self.states, a[np.ix_(d, d)], self.states)
        log_p = self.states @ b[d] - quadratic + 0.5 * (slope * self.means).sum(-1)
        if held is not None:
            held = np.concatenate([held, np.full(len(b) - n_visible, np.nan)])[d]
            agrees = (np.isnan(held) | (self.states == held)).all(-1)
            log_p = np.where(agrees, log_p, -np.inf)
        self.log_p = log_p - logsumexp(log_p)
        self.n_visible = n_visible

    def draw(self, n: int, seed: int) -> tuple[Array, Array]:
        """Exact, independent draws of (v, h)."""
        generator = np.random.default_rng(seed)
        index = generator.choice(len(self.states), size=n, p=np.exp(self.log_p))
        x = np.empty((n, len(self.is_gaussian)))
        x[:, ~self.is_gaussian] = self.states[index]
        noise = generator.standard_normal((n, self.is_gaussian.sum()))
        x[:, self.is_gaussian] = self.means[index] + noise @ np.linalg.inv(self.factor)
        return x[:, : self.n_visible], x[:, self.n_visible :]

    def p_value(self, v: Array, h: Array, bins: int = 4) -> float:
        """Chi-square test that rows of (v, h) are independent draws of this distribution.

        The cells are the discrete states times, for each Gaussian column after whitening given
        these, ``bins`` intervals of equal probability.
        """
        x = np.concatenate([v, h], axis=1)
        index = state_index(x[:, ~self.is_gaussian], self.states)
        z = (x[:, self.is_gaussian] - self.means[index]) @ self.factor
        n_cells = np.array([bins] * z.shape[1], dtype=int)
        places = np.minimum((ndtr(z) * bins).astype(int), bins - 1)
        in_state = bins ** z.shape[1]
        cell = index * in_state
        if len(n_cells):
            cell = cell + np.ravel_multi_index(tuple(places.T), tuple(n_cells))
        counts = np.bincount(cell, minlength=len(self.states) * in_state)
        return chi_square(counts, np.repeat(np.exp(self.log_p) / in_state, in_state))


def state_index(x: Array, states: Array) -> NDArray[np.int64]:
    """Which of ``states``, made of whole numbers, each row is; a row that is none is an error."""
    lowest, highest = states.min(initial=0), states.max(initial=1)
    digits = (highest - lowest + 1) ** np.arange(states.shape[1])
    codes = (states - lowest) @ digits
    order = np.argsort(codes)
    place = np.searchsorted(codes, (x - lowest) @ digits, sorter=order)
    index = order[np.minimum(place, len(order) - 1)]
    assert (states[index] == x).all(), "rows that are no states"
    return index


def chi_square(counts: NDArray[np.int64], probabilities: Array) -> float:
    """P-value of Pearson's test; cells with an expectation below 10 are pooled."""
    assert not counts[probabilities == 0].any(), "states that cannot be"
    expected = counts.sum() * probabilities
    order = np.argsort(expected)
    counts, expected = counts[order], expected[order]
    # the first cells together, as many as it takes until their expectation is 10
    n_pooled = max(np.searchsorted(expected, 10), np.searchsorted(expected.cumsum(), 10) + 1)
    n_pooled = min(n_pooled, len(counts))
    counts = np.append(counts[n_pooled:], counts[:n_pooled].sum())
    expected = np.append(expected[n_pooled:], expected[:n_pooled].sum())
    assert len(counts) > 1, "too few rows to test anything"
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))
