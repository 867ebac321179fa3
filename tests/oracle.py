"""The oracle: what small RBMs are, from the definitions, by enumeration and quadrature in float64.

Imports nothing from the package. A layer is a list of states (a fine grid of them where there is
a continuum) and their energies; everything else is a sum over that list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, log_ndtr, logsumexp, ndtr, ndtri_exp
from scipy.stats import chi2

Array = NDArray[np.float64]

# Counts without a largest one end here: for means up to 19, what is left out is below 1e-18.
_MOST_COUNTS = 70
_MODERATE = 8

# Quadrature of a whole line by the trapezoidal rule, which for a Gaussian converges faster than any
# power: with standard deviations from 0.5 to 1.5 and means within 4, what is left out is below
# 1e-15. Half-lines are cut into pieces of this width, each with so many Gauss-Legendre points.
_GRID_STEP = 0.2
_GRID_END = 18.0
_WIDTH, _POINTS = 2.0, 14


@dataclass(frozen=True)
class Piece:
    """A part of the real line, with energy ``precision x^2 / 2 - (bias + slope) x`` on it.

    ``side`` is 1 for positive states, -1 for negative ones, 0 for the whole line.
    """

    precision: float
    side: int = 0
    slope: float = 0.0

    def quadrature(self) -> tuple[Array, Array]:
        """Points, (n, 1), and the log of the volume of each, (n,)."""
        if not self.side:
            x = np.arange(-_GRID_END, _GRID_END + _GRID_STEP / 2, _GRID_STEP)
            return x[:, None], np.full(len(x), np.log(_GRID_STEP))
        nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
        starts = np.arange(0, _GRID_END, _WIDTH)
        x = (starts[:, None] + _WIDTH * (nodes + 1) / 2).ravel()
        volumes = np.tile(weights * _WIDTH / 2, len(starts))
        return self.side * x[:, None], np.log(volumes)


Continuum = tuple[Piece, ...]


@dataclass(frozen=True)
class Counts:
    """States 0, 1, ..., with an energy of their own: of binomial trials, or of a Poisson count."""

    trials: int | None = None

    @property
    def states(self) -> Array:
        highest = _MOST_COUNTS if self.trials is None else self.trials
        return np.arange(highest + 1.0)[:, None]

    def energy(self, x: Array) -> Array:
        """Minus the log of the ways to count x, or the log of x!."""
        if self.trials is None:
            return np.asarray(gammaln(x + 1))
        n = self.trials
        return np.asarray(gammaln(x + 1) + gammaln(n - x + 1) - gammaln(n + 1))


WITHOUT_END = Counts()
Table = Array | Counts


@dataclass(frozen=True)
class Layer:
    """Units over given states, with energy ``-bias x``, counts, or pieces of the real line."""

    bias: Array
    tables: tuple[Table | Continuum, ...]  # of each unit: (n_states, width), or its pieces

    @property
    def n(self) -> int:
        return len(self.tables)

    @property
    def is_discrete(self) -> bool:
        """Whether no unit has a continuum of states."""
        return not any(isinstance(table, tuple) for table in self.tables)

    @property
    def is_finite(self) -> bool:
        return not any(isinstance(table, tuple) or table is WITHOUT_END for table in self.tables)

    @property
    def columns(self) -> list[slice]:
        """Of each unit."""
        widths = [
            1 if isinstance(table, tuple) else states_of(table).shape[1] for table in self.tables
        ]
        ends = np.cumsum(widths)
        return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]

    def unit(self, i: int) -> Layer:
        """Unit i as a layer of its own."""
        return Layer(self.bias[self.columns[i]], self.tables[i : i + 1])

    def energy(self, x: Array) -> Array:
        energy = -(self.bias * x).sum(-1)
        for table, columns in zip(self.tables, self.columns, strict=True):
            if isinstance(table, Counts):
                energy = energy + table.energy(x[..., columns.start])
            elif isinstance(table, tuple):
                of_unit = x[..., columns.start]
                for piece in table:  # at zero, where two of them meet, all are zero
                    of_piece = (0.5 * piece.precision * of_unit - piece.slope) * of_unit
                    energy = energy + np.where(piece.side * of_unit >= 0, of_piece, 0.0)
        return energy

    def points(self) -> tuple[Array, Array]:
        """States to sum over, (n_points, columns), and the log of the volume of each."""
        of_units = [_points_of(table) for table in self.tables]
        volumes = all_combinations([volume[:, None] for _, volume in of_units]).sum(1)
        return all_combinations([x for x, _ in of_units]), volumes

    def some_states(self, n: int = 12) -> Array:
        """Some states of moderate size, at most ``n``."""
        if self.is_finite:
            x = self.points()[0]
            return x[:: -(-len(x) // n)]
        generator = np.random.default_rng(0)
        x = generator.uniform(-2, 2, (n, len(self.bias)))
        for table, columns in zip(self.tables, self.columns, strict=True):
            if not isinstance(table, tuple):
                states = states_of(table)[:_MODERATE]
                x[:, columns] = states[generator.integers(len(states), size=n)]
            elif [piece.side for piece in table] == [1]:
                x[:, columns] = np.abs(x[:, columns])
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
            (unit.log_weights(of_unit)[1] - unit.points()[1]).max(-1)
            for unit, of_unit in self.by_unit(inputs)
        )

    def by_unit(self, inputs: Array) -> Iterator[tuple[Layer, Array]]:
        """Each unit, and what it receives: the energy is a sum over units, none hears another."""
        for i, columns in enumerate(self.columns):
            yield self.unit(i), inputs[..., columns]


def below(line: Continuum, x: Array, inputs: Array) -> Array:
    """The chance of a state up to ``x`` of a unit of these pieces, under inputs and bias."""
    chances, log_masses = [], []
    for piece in line:
        root = np.sqrt(piece.precision)
        t = (piece.side or 1) * (inputs + piece.slope) / root  # the mean, in standard deviations
        if not piece.side:
            return np.asarray(ndtr(x * root - t))
        beyond = np.exp(log_ndtr(t - np.maximum(piece.side * x, 0) * root) - log_ndtr(t))
        chances.append(1 - beyond if piece.side > 0 else np.where(x < 0, beyond, 1))
        log_masses.append(log_ndtr(t) + 0.5 * t * t - np.log(root))
    masses = np.exp(log_masses - logsumexp(log_masses, axis=0))
    return np.asarray((masses * chances).sum(0))


def states_of(table: Table) -> Array:
    """The states of a unit, (n_states, width)."""
    return table.states if isinstance(table, Counts) else table


def _points_of(table: Table | Continuum) -> tuple[Array, Array]:
    if not isinstance(table, tuple):
        return states_of(table), np.zeros(len(states_of(table)))
    points, volumes = zip(*(piece.quadrature() for piece in table), strict=True)
    return np.concatenate(points), np.concatenate(volumes)


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


def binomial(bias: Array, trials: Sequence[int] | int) -> Layer:
    of_units = np.broadcast_to(trials, len(bias)).tolist()
    return Layer(bias, tuple(map(Counts, of_units)))


def poisson(bias: Array) -> Layer:
    return Layer(bias, (WITHOUT_END,) * len(bias))


def gaussian(bias: Array, log_precision: Array) -> Layer:
    return Layer(bias, tuple((Piece(p),) for p in np.exp(log_precision)))


def relu(bias: Array, log_precision: Array) -> Layer:
    return Layer(bias, tuple((Piece(p, 1),) for p in np.exp(log_precision)))


def drelu(bias: Array, log_precision: Array, asymmetry: Array, gap: Array) -> Layer:
    share = 1 / (1 + np.exp(-asymmetry))  # of the positive half in the variances' sum
    above, below = (np.exp(log_precision) / (2 * of_half) for of_half in (share, 1 - share))
    tables = tuple(
        (Piece(p, 1, slope), Piece(q, -1, -slope))
        for p, q, slope in zip(above, below, gap, strict=True)
    )
    return Layer(bias, tables)


def between(a: Layer, b: Layer, t: float) -> Layer:
    """The layer at ``t`` on the straight line, in all natural parameters, from ``a`` to ``b``."""

    def of_unit(first: Table | Continuum, second: Table | Continuum) -> Table | Continuum:
        if not isinstance(first, tuple) or not isinstance(second, tuple):
            return first
        return tuple(
            Piece((1 - t) * p.precision + t * q.precision, p.side, (1 - t) * p.slope + t * q.slope)
            for p, q in zip(first, second, strict=True)
        )

    tables = tuple(of_unit(*pair) for pair in zip(a.tables, b.tables, strict=True))
    return Layer((1 - t) * a.bias + t * b.bias, tables)


def side_by_side(*layers: Layer) -> Layer:
    """One layer of the units of several."""
    return Layer(
        np.concatenate([np.zeros(0), *(layer.bias for layer in layers)]),
        tuple(table for layer in layers for table in layer.tables),
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
    are normal with precision A_gg and mean A_gg^-1 (b_g - A_gd d). Columns of half-lines are normal
    given their signs, too, and cut off at zero. Where all Gaussian columns are independent, the
    mass that is left is known; else `draw` rejects what has other signs.

    Parameters
    ----------
    model
        Layers in any combination that can be normalised.
    held
        Values of discrete visible columns, given which the distribution is; NaN elsewhere.
    """

    def __init__(self, model: Model, held: Array | None = None) -> None:
        layers = (model.visible, model.hidden)
        n_visible = len(model.visible.bias)
        b = np.concatenate([layer.bias for layer in layers])
        tables = [table for layer in layers for table in layer.tables]
        lines = [table for table in tables if isinstance(table, tuple)]
        self.is_gaussian = np.concatenate(
            [
                [True] if isinstance(table, tuple) else [False] * states_of(table).shape[1]
                for table in tables
            ]
        )
        self.is_cut = any(piece.side for line in lines for piece in line)
        g, d = self.is_gaussian, ~self.is_gaussian
        of_units = [table for table in tables if not isinstance(table, tuple)]
        self.states = all_combinations([states_of(table) for table in of_units])
        own = side_by_side(*(Layer(np.zeros(states_of(t).shape[1]), (t,)) for t in of_units))
        energy = own.energy(self.states)
        n_lines = {sum(isinstance(table, tuple) for table in layer.tables) for layer in layers}
        self.is_known = not self.is_cut or 0 in n_lines
        self._lines = lines
        log_ps, self._parts = [], []
        for pieces in product(*lines):
            a = np.zeros((len(b), len(b)))
            a[:n_visible, n_visible:] = -model.weights
            a[n_visible:, :n_visible] = -model.weights.T
            a[g, g] = [piece.precision for piece in pieces]
            slopes = np.array([piece.slope for piece in pieces])
            self._received = b[g] - self.states @ a[np.ix_(d, g)]
            slope = self._received + slopes
            factor = np.linalg.cholesky(a[np.ix_(g, g)])  # fails where there is no such model
            means = slope @ np.linalg.inv(a[np.ix_(g, g)])
            quadratic = 0.5 * np.einsum("si,ij,sj->s", self.states, a[np.ix_(d, d)], self.states)
            log_p = self.states @ b[d] - energy - quadratic + 0.5 * (slope * means).sum(-1)
            sides = np.array([piece.side for piece in pieces])
            if self.is_known:
                centres = sides * means * np.diag(factor)
                log_p = log_p + np.where(sides, log_ndtr(centres), 0.0).sum(-1)
            log_ps.append(log_p - np.log(np.diag(factor)).sum())
            self._parts.append((sides, means, factor))
        self._proposed = np.stack(log_ps)
        if held is not None:
            held = np.concatenate([held, np.full(len(b) - n_visible, np.nan)])[d]
            agrees = (np.isnan(held) | (self.states == held)).all(-1)
            self._proposed = np.where(agrees, self._proposed, -np.inf)
        self._proposed -= logsumexp(self._proposed)
        self.n_visible = n_visible

    @property
    def log_p(self) -> Array:
        """Log-probabilities of the discrete columns' states."""
        assert self.is_known, "the mass of a cut normal distribution has no closed form"
        return np.asarray(logsumexp(self._proposed, axis=0))

    @property
    def means(self) -> Array:
        """Means of the Gaussian columns given each of the states."""
        assert not self.is_cut
        return self._parts[0][1]

    @property
    def factor(self) -> Array:
        """The Cholesky factor of the Gaussian columns' precision."""
        assert not self.is_cut
        return self._parts[0][2]

    def draw(self, n: int, seed: int) -> tuple[Array, Array]:
        """Exact, independent draws of (v, h)."""
        generator = np.random.default_rng(seed)
        accepted = np.empty((0, len(self.is_gaussian)))
        while len(accepted) < n:
            accepted = np.concatenate([accepted, self._propose(n, generator)])
        return accepted[:n, : self.n_visible], accepted[:n, self.n_visible :]

    def _propose(self, n: int, generator: np.random.Generator) -> Array:
        """Draws of signs, states and normal numbers; those whose signs agree, in random order."""
        p = np.exp(self._proposed)
        index = generator.choice(p.size, size=n, p=p.ravel())
        part, state = np.divmod(index, p.shape[1])
        x = np.empty((n, len(self.is_gaussian)))
        x[:, ~self.is_gaussian] = self.states[state]
        noise = generator.standard_normal((n, self.is_gaussian.sum()))
        agrees = np.full(n, True)
        for number, (sides, means, factor) in enumerate(self._parts):
            own = part == number
            drawn = means[state[own]] + noise[own] @ np.linalg.inv(factor)
            if self.is_known and self.is_cut:
                roots = np.diag(factor)
                centres = sides * means[state[own]] * roots
                chance = np.log(generator.random(centres.shape)) + log_ndtr(centres)
                drawn = np.where(sides, sides * (centres - ndtri_exp(chance)) / roots, drawn)
            x[np.ix_(own, self.is_gaussian)] = drawn
            agrees[own] = (drawn * sides >= 0).all(1)
        return x[agrees]

    def p_value(self, v: Array, h: Array, bins: int = 4) -> float:
        """Chi-square test that rows of (v, h) are independent draws of this distribution.

        The cells are the discrete states times, for each Gaussian column after whitening given
        these, ``bins`` intervals of equal probability. Half-lines in both layers have cells of
        their own: see `_p_value_beside_draws`.
        """
        x = np.concatenate([v, h], axis=1)
        index = state_index(x[:, ~self.is_gaussian], self.states)
        g = x[:, self.is_gaussian]
        if not self.is_known:
            return self._p_value_beside_draws(x, index)
        if self.is_cut:
            received = self._received[index]
            units = [
                below(line, *each) for line, *each in zip(self._lines, g.T, received.T, strict=True)
            ]
            z = np.stack(units, axis=1)
        else:
            z = ndtr((g - self.means[index]) @ self.factor)
        n_cells = np.array([bins] * z.shape[1], dtype=int)
        places = np.minimum((z * bins).astype(int), bins - 1)
        in_state = bins ** z.shape[1]
        cell = index * in_state
        if len(n_cells):
            cell = cell + np.ravel_multi_index(tuple(places.T), tuple(n_cells))
        counts = np.bincount(cell, minlength=len(self.states) * in_state)
        return chi_square(counts, np.repeat(np.exp(self.log_p) / in_state, in_state))

    def _p_value_beside_draws(self, x: Array, index: NDArray[np.int64]) -> float:
        """Two-sample chi-square test beside as many exact draws.

        Cells are the discrete states times intervals of each continuous column, cut where the draws
        have their thirds.
        """
        drawn = np.concatenate(self.draw(len(x), seed=len(x)), axis=1)
        samples = []
        for rows, of_rows in (
            (x, index),
            (drawn, state_index(drawn[:, ~self.is_gaussian], self.states)),
        ):
            samples.append((rows[:, self.is_gaussian], of_rows))
        cells = [of_rows for _, of_rows in samples]
        for column in range(samples[0][0].shape[1]):
            cuts = np.quantile(samples[1][0][:, column], [1 / 3, 2 / 3])
            cells = [
                3 * cell + np.searchsorted(cuts, rows[:, column])
                for cell, (rows, _) in zip(cells, samples, strict=True)
            ]
        n_cells = max(cell.max() for cell in cells) + 1
        counts = np.stack([np.bincount(cell, minlength=n_cells) for cell in cells])
        return two_sample_chi_square(counts)


def draw(model: Model, n: int, seed: int) -> tuple[Array, Array]:
    """Exact, independent draws of (v, h); of counts without end by what is known of Poisson's."""
    if model.visible.is_finite or not model.visible.is_discrete:
        if not any(table is WITHOUT_END for table in model.hidden.tables):
            return Joint(model).draw(n, seed)
        h, v = draw(Model(model.hidden, model.visible, model.weights.T), n, seed)
        return v, h
    generator = np.random.default_rng(seed)
    h = model.hidden.points()[0]
    inputs = h @ model.weights.T
    log_p = -model.hidden.energy(h)
    for unit, of_unit in model.visible.by_unit(inputs):
        is_endless = unit.tables[0] is WITHOUT_END
        log_p += np.exp(unit.bias + of_unit)[:, 0] if is_endless else unit.log_normaliser(of_unit)
    h = h[generator.choice(len(h), size=n, p=np.exp(log_p - logsumexp(log_p)))]
    columns = []
    for unit, of_unit in model.visible.by_unit(h @ model.weights.T):
        if unit.tables[0] is WITHOUT_END:
            columns.append(generator.poisson(np.exp(unit.bias + of_unit)).astype(float))
            continue
        x, log_weights = unit.log_weights(of_unit)
        p = np.exp(log_weights - logsumexp(log_weights, axis=-1, keepdims=True)).cumsum(-1)
        place = (p < generator.random((n, 1))).sum(-1)
        columns.append(x[np.minimum(place, len(x) - 1)])
    return np.concatenate(columns, axis=1), h


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


def two_sample_chi_square(counts: NDArray[np.int64]) -> float:
    """P-value of equal distributions of two samples of one size, counted in cells, (2, n_cells)."""
    total = counts.sum(0)
    counts = counts[:, np.argsort(total)]
    n_pooled = max(int(np.searchsorted(np.sort(total), 20)), 1)
    pooled = counts[:, :n_pooled].sum(1, keepdims=True)
    counts = np.concatenate([counts[:, n_pooled:], pooled], axis=1)
    counts = counts[:, counts.sum(0) > 0]
    difference, total = counts[0] - counts[1], counts.sum(0)
    return float(chi2.sf((difference**2 / total).sum(), counts.shape[1] - 1))
