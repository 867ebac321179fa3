"""Exact log Z, log-likelihood, moments and gradient of small models, in float64.

The layer with fewer states is enumerated; `Units.cgf` sums or integrates out the other one in
closed form. Two Gaussian layers form a joint normal distribution.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harmonium.datasets import WeightedRows
from harmonium.gauge import Gauge
from harmonium.gradient import grad_buffer
from harmonium.likelihood.checks import check_finite, check_states
from harmonium.likelihood.enumeration import MAX_STATES, Enumeration, n_states
from harmonium.likelihood.log_z import LogZ, log_likelihood
from harmonium.rbm import RBM, check_rbm
from harmonium.units import Units

# Seconds per state of the smaller layer and column of the other one; see `exact_log_z`.
_SECONDS_TWO_VALUED, _SECONDS = 2.5e-9, 25e-9


@dataclass(frozen=True, eq=False)
class Moments:
    """Expectations under the model, float64.

    Attributes
    ----------
    visible, hidden
        Expected `Units.statistics` of each layer, by parameter name.
    products
        Expectation of v h, shape (visible.n_columns, hidden.n_columns).
    log_z
        Log of the partition function, a by-product.
    """

    visible: dict[str, Tensor]
    hidden: dict[str, Tensor]
    products: Tensor = field(repr=False)
    log_z: LogZ


@torch.no_grad()
def exact_log_z(rbm: RBM) -> LogZ:
    """Log of the partition function of a small model, nats.

    The time is proportional to the states of the smaller layer times the columns of the other one.
    On one core of an AMD Zen 4 it is about 0.2 to 0.5 ns each for binary, spin or categorical
    columns: 25 binary units take a second against 112 columns and five seconds against 784.
    Gaussian columns cost nothing beyond the states, which take 7 ns each. Other continuous units
    are summed by their `Units.cgf`, at 10 ns each or more. Memory is a few tables of at most 8 MB.

    Parameters
    ----------
    rbm
        A model of any unit types, if one layer has at most `MAX_STATES` states or if both are
        Gaussian.

    Raises
    ------
    ValueError
        If there are more states, if the model cannot be normalised (two Gaussian layers whose
        joint precision is not positive definite), or if a parameter is not finite.
    """
    check_finite(rbm)
    gauge = Gauge.of(rbm, torch.float64)
    if _are_gaussian(rbm):
        log_z = _JointNormal(gauge.rbm).log_z.value
    else:
        log_z = Enumeration(gauge.rbm).log_z()
    return LogZ.exact(log_z - gauge.energy)


def exact_log_likelihood(rbm: RBM, v: Tensor) -> Tensor:
    """Exact log-likelihood of each row of visible states, nats, float64 of shape (rows,).

    Parameters
    ----------
    rbm
        A model as for `exact_log_z`, whose errors are raised.
    v
        Visible states, shape (rows, visible.n_columns).

    Raises
    ------
    ValueError
        Also if rows have the wrong width or are not states; no likelihood is defined for other
        values.
    """
    check_states(rbm, v)
    gauge = Gauge.of(rbm, torch.float64)
    return log_likelihood(gauge.rbm, gauge.enter(v), exact_log_z(gauge.rbm))


@torch.no_grad()
def exact_moments(rbm: RBM) -> Moments:
    """Expected statistics of both layers and of their products, under the model.

    Takes 20 to 35 ns for each state and column, ten times as long as `exact_log_z` at its best, and
    more memory: 22 binary units against 784 took 140 MB. The errors are the same.
    """
    check_finite(rbm)
    model = _in_float64(rbm)
    if _are_gaussian(model):
        return _JointNormal(model).moments()
    return _enumerated_moments(Enumeration(model))


@torch.no_grad()
def exact_gradient_(rbm: RBM, v: Tensor | WeightedRows, scale: float = 1.0) -> float:
    """Write ``scale`` times the exact gradient of the negative mean log-likelihood to ``.grad``.

    Replaces the estimated gradient before an optimiser's step, for training without noise.

    Parameters
    ----------
    rbm
        A model as for `exact_log_z`, whose errors are raised.
    v
        Rows of visible states to learn, shape (rows, visible.n_columns), which count by their
        weights. Grey values between states
        give the gradient that training on them follows.
    scale
        Factor of the gradient.

    Returns
    -------
    float
        The exact mean log-likelihood of the rows, nats, if they are states; a by-product.
    """
    check_rbm("rbm", rbm)
    rows = v if isinstance(v, WeightedRows) else None
    v = v.states if isinstance(v, WeightedRows) else v
    rbm.visible.check_width(v, "visible")
    if v.dim() != 2 or len(v) == 0:
        raise ValueError(
            f"visible has shape {tuple(v.shape)}; pass (rows, {rbm.visible.n_columns}), of one row "
            "or more"
        )
    rbm.visible.check(v, "visible")
    rows = rows or WeightedRows(v)
    moments = exact_moments(rbm)
    model = _in_float64(rbm)
    v = v.to(model.weights)
    inputs = model.inputs_h_from_v(v)
    data = {
        rbm.visible: (model.visible.statistics(v), moments.visible),
        rbm.hidden: (model.hidden.mean_statistics(inputs), moments.hidden),
    }
    for layer, (of_rows, of_model) in data.items():
        for name, statistic in of_rows.items():
            grad = grad_buffer(layer.get_parameter(name))
            grad.copy_(scale * (of_model[name] - rows.average(statistic)))
    hidden = data[rbm.hidden][0]["bias"]
    if rows.weights is None:
        products = v.T @ hidden / len(v)
    else:
        products = v.T @ ((rows.weights / rows.weights.sum())[:, None] * hidden)
    grad_buffer(rbm.weights).copy_(scale * (moments.products - products))
    return rows.mean(log_likelihood(model, v, moments.log_z))[0]


def can_be_enumerated(rbm: RBM, most: int = MAX_STATES) -> bool:
    """Whether `exact_log_z` can handle this model, with at most ``most`` states to enumerate."""
    check_rbm("rbm", rbm)
    counts = [n for n in map(n_states, (rbm.visible, rbm.hidden)) if n is not None]
    return min(counts) <= most if counts else _are_gaussian(rbm)


def seconds_to_enumerate(rbm: RBM) -> float:
    """Approximate time of `exact_log_z` on one core; infinite if enumeration is impossible."""
    sides = (rbm.visible, rbm.hidden), (rbm.hidden, rbm.visible)
    seconds = [
        n * other.n_columns * (_SECONDS if other.low_state is None else _SECONDS_TWO_VALUED)
        for units, other in sides
        if (n := n_states(units)) is not None
    ]
    if not seconds:
        return 0.0 if _are_gaussian(rbm) else math.inf
    return min(seconds)


def is_normalisable(rbm: RBM) -> bool:
    """Whether log Z exists: finite parameters and, for Gaussian layers, a joint distribution."""
    try:
        check_finite(rbm)
        check_normalisable(rbm)
    except ValueError:
        return False
    return True


@torch.no_grad()
def check_normalisable(rbm: RBM) -> None:
    """Refuse continuous units in both layers whose joint precision is not positive definite.

    Between Gaussian units that is exactly where log Z exists. For units with half-lines of states
    it is enough, and not always necessary: each counts with its least precision, and a negative
    weight between units without negative states as 0.

    Raises
    ------
    ValueError
        If it is not; a layer of discrete units makes every pair normalisable.
    """
    if rbm.visible.is_discrete or rbm.hidden.is_discrete:
        return
    model = _in_float64(rbm)
    of_v, of_h = model.visible.least_precision, model.hidden.least_precision
    if of_v is not None and of_h is not None:
        (v, positive_v), (h, positive_h) = map(_continuous_columns, (model.visible, model.hidden))
        weights = model.weights[v][:, h]
        cannot_lower = torch.outer(positive_v, positive_h) & (weights < 0)
        _factorised(torch.cat([of_v[v], of_h[h]]), weights.masked_fill(cannot_lower, 0.0))


def _continuous_columns(layer: Units) -> tuple[Tensor, Tensor]:
    """Indices of the columns of continuous units, and which of these have no negative states."""
    is_continuous = torch.zeros_like(layer.bias, dtype=torch.bool)
    is_positive = torch.zeros_like(is_continuous)
    for columns, units in layer.groups:
        is_continuous[columns] = units.states is None
        is_positive[columns] = units.is_positive
    return is_continuous.nonzero()[:, 0], is_positive[is_continuous]


def _factorised(precision: Tensor, weights: Tensor) -> Tensor:
    """Cholesky factor of the joint precision of the continuous units of both layers."""
    n = len(weights)
    a = torch.diag(precision)
    a[:n, n:] = -weights
    a[n:, :n] = -weights.T
    factor: Tensor
    factor, info = torch.linalg.cholesky_ex(a)
    if int(info):
        lowest = torch.linalg.eigvalsh(a)[0].item()
        raise ValueError(
            "this model cannot be normalised: the joint precision of the continuous units of its "
            f"two layers is not positive definite (its lowest eigenvalue is {lowest:.3g}), so that "
            "the energy has no minimum; make the weights smaller or the precisions larger"
        )
    return factor


def _in_float64(rbm: RBM) -> RBM:
    return copy.deepcopy(rbm).double()


def _are_gaussian(rbm: RBM) -> bool:
    return not (rbm.visible.has_origin or rbm.hidden.has_origin)


def _enumerated_moments(model: Enumeration) -> Moments:
    """Sums over blocks, relative to the largest weight so far."""
    largest = torch.full((), -math.inf, dtype=torch.float64, device=model.weights.device)
    total = torch.zeros_like(largest)
    sums: dict[str, Tensor] = {}
    for x, inputs, log_p in model.blocks():
        before, largest = largest, torch.maximum(largest, log_p.max())
        shrink = (before - largest).exp()
        p = (log_p - largest).exp()
        mean = model.summed.mean_statistics(inputs)
        of_block = {"x": p @ x, "products": (p.unsqueeze(1) * x).T @ mean["bias"]}
        of_block |= {f"mean {name}": p @ statistic for name, statistic in mean.items()}
        for name, value in of_block.items():
            sums[name] = value if name not in sums else sums[name] * shrink + value
        total = total * shrink + p.sum()
    expected = {name: value / total for name, value in sums.items()}
    # statistics are linear in one-hot, binary and spin states, so expected statistics are those of
    # the mean state
    enumerated = {"bias": expected.pop("x")}
    products = expected.pop("products")
    summed = {name.removeprefix("mean "): value for name, value in expected.items()}
    log_z = LogZ.exact((largest + total.log()).item())
    if model.of_visible:
        return Moments(enumerated, summed, products, log_z)
    return Moments(summed, enumerated, products.T.contiguous(), log_z)


class _JointNormal:
    """Two Gaussian layers: x = (v, h) is normal, with energy x A x / 2 - b x."""

    def __init__(self, rbm: RBM) -> None:
        assert rbm.visible.precision is not None and rbm.hidden.precision is not None
        self._rbm, self._n_visible = rbm, rbm.visible.n
        self._precision = torch.cat([rbm.visible.precision, rbm.hidden.precision])
        self._factor = _factorised(self._precision, rbm.weights)
        b = torch.cat([rbm.visible.bias, rbm.hidden.bias])
        self._mean = torch.cholesky_solve(b.unsqueeze(1), self._factor)[:, 0]
        log_det = 2 * self._factor.diagonal().log().sum()
        value = 0.5 * (b @ self._mean - log_det + len(b) * math.log(2 * math.pi))
        self.log_z = LogZ.exact(value.item())

    def moments(self) -> Moments:
        n = self._n_visible
        second = torch.cholesky_inverse(self._factor) + torch.outer(self._mean, self._mean)
        squares = -0.5 * self._precision * second.diagonal()
        layers = []
        for units, place in (
            (self._rbm.visible, slice(n)),
            (self._rbm.hidden, slice(n, None)),
        ):
            names = units.mean_statistics(units.bias)
            own = {"bias": self._mean, "log_precision": squares}
            layers.append({name: own[name][place] for name in names})
        return Moments(layers[0], layers[1], second[:n, n:], self.log_z)
