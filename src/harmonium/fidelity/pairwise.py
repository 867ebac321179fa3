"""The pairwise maximum-entropy model: what rates and pair correlations alone say about binary rows.

It is the least that a model with hidden units has to beat: the most random distribution with the
means and the pair correlations of the data (Schneidman et al. 2006), which is a fully visible
Boltzmann machine, p(v) ∝ exp(b·v + ½ v·J·v).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.fidelity.moments import shares
from harmonium.fidelity.rows import checked
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.units import Binary, Gaussian

# Newton's method needs the covariance of all pairs: 5,050 of them for 100 units.
MOST_UNITS = 100

# With as many units, the moments of the model are sums over all states; with more, means of chains.
_ENUMERATED = 14

# Chains for each parameter, so that their covariance has full rank, and the fewest; sweeps over
# which moments are averaged at first, and at most.
_CHAINS_A_PARAMETER, _LEAST_CHAINS = 10, 2000
_FIRST_SWEEPS, _MOST_SWEEPS = 10, 1280
_STEPS = 100

# The share of its variance by which each pair is taken to vary alone: pairs that are active in few
# rows seem to vary together, and along what seems not to vary steps would have no end.
_ALONE = 0.1

# Most that a step changes a parameter: where a pair is rare, the curvature says little beyond that.
_FURTHEST = 0.3

# Most that a step changes the energy of the state in which all units are active: near the end, as
# many times the root of the nats still to be gained. Couplings of neurons make a second mode of
# high activity, which no chain has shown yet when a larger step makes it the only one (Rostami et
# al. 2017).
_MOST_ENERGY, _ENERGY_A_NAT = 5.0, 10.0


@dataclass(frozen=True)
class Pairwise:
    """A pairwise maximum-entropy model of binary units.

    Attributes
    ----------
    bias : Tensor, shape (n,)
        Of each unit, float64.
    couplings : Tensor, shape (n, n)
        Symmetric, with zeros on the diagonal, float64.
    still_to_gain
        Nats a row by which a further Newton step would raise the log-likelihood of the rows that
        the model was fitted to: what is left of the fit, and of the noise of sampling.
    """

    bias: Tensor
    couplings: Tensor
    still_to_gain: float

    @torch.no_grad()
    def as_rbm(self) -> RBM:
        """The same distribution as an RBM with Gaussian hidden units, which sum to the pairs.

        Over a Gaussian hidden layer of precision 1, exp(v·W·h) integrates to exp(½ v·W·Wᵀ·v)
        (Hubbard 1959). W·Wᵀ is J with as much added to its diagonal as makes it positive
        semidefinite, and the biases take that back, because v² = v. So whatever knows the
        likelihood of an RBM knows that of this model.
        """
        n = len(self.bias)
        values, vectors = torch.linalg.eigh(self.couplings)
        shift = -values[0]
        rbm = RBM(Binary(n), Gaussian(n)).double().requires_grad_(False)
        rbm.weights.copy_(vectors * (values + shift).clamp_min(0).sqrt())
        rbm.visible.bias.copy_(self.bias - shift / 2)
        return rbm


@torch.no_grad()
def fit_pairwise(
    rows: Tensor,
    weights: Tensor | None = None,
    *,
    seed: int = defaults.SEED,
    tolerance: float = 2e-3,
) -> Pairwise:
    """Fit the pairwise maximum-entropy model to binary rows, by damped Newton steps.

    The log-likelihood is concave, its gradient is the difference of the moments of data and model,
    and its curvature the covariance of the pairs in the model. Of up to 14 units these are exact;
    of more, they are means over persistent chains that a Gibbs sampler moves unit by unit.
    Couplings have a standard normal prior, which decides only where a pair is active together in a
    few rows: without it, these make up states of high activity that no data have shown. And one row
    of fair coins is added to the data, so that silent units have a finite bias.

    Parameters
    ----------
    rows
        States 0 and 1, shape (n_rows, n).
    weights
        Weight of each row, shape (n_rows,); the coins have the mean weight.
    seed
        Of the chains.
    tolerance
        Nats a row by which a step would still raise the log-likelihood, below which it ends.

    Raises
    ------
    TypeError, ValueError
        If these are no such rows, of 2 to 100 units, or if the steps do not come to an end.
    """
    n = checked(rows, "rows", least=2).shape[1]
    if not 2 <= n <= MOST_UNITS:
        raise ValueError(f"rows have {n} columns; a pairwise model is fitted to 2 to {MOST_UNITS}")
    if not all(bool(((x == 0) | (x == 1)).all()) for x in rows.split(1000)):
        raise ValueError("rows hold other values than 0 and 1; a pairwise model is of binary units")
    upper = torch.triu_indices(n, n, 1)
    target = _smoothed(rows, weights)
    wanted = _pairs_of(target, upper)
    of_data = _covariance(rows.split(4000), upper)
    # the variances with the coins, so that no pair is without
    of_data.diagonal().copy_(torch.maximum(of_data.diagonal(), wanted * (1 - wanted)))
    parameters = torch.cat([target.diagonal().logit(), wanted.new_zeros(upper.shape[1])])
    model: _Enumerated | _Sampled
    model = _Enumerated(n, upper) if n <= _ENUMERATED else _Sampled(target.diagonal(), upper, seed)
    # standard normal, of all rows: 0 for the biases
    prior = (torch.arange(len(parameters)) >= n).double() / len(rows)
    gain = math.inf
    for _ in range(_STEPS):
        bias, couplings = _unpacked(parameters, upper)
        moments = model.moments(bias, couplings)
        curvature = (1 - _ALONE) / 2 * (of_data + model.covariance())
        curvature.diagonal().div_(1 - _ALONE).add_(prior)
        gap = wanted - moments - prior * parameters
        step = torch.cholesky_solve(gap[:, None], torch.linalg.cholesky(curvature))[:, 0]
        gain = 0.5 * (gap @ step).item()
        if gain < tolerance:
            return Pairwise(bias, couplings, gain)
        # damped as for self-concordant functions (Nesterov 1994), and never far
        damped = (step / (1 + math.sqrt(2 * gain))).clamp_(-_FURTHEST, _FURTHEST)
        most = min(_MOST_ENERGY, _ENERGY_A_NAT * math.sqrt(gain))
        parameters = parameters + damped * (most / damped.sum().abs()).clamp_max(1.0)
        if gain < 10 * model.noise:
            model.lengthen()
    raise ValueError(
        f"the pairwise model of {n} units has not settled after {_STEPS} steps: {gain:.2g} nats a "
        "row are still to be gained; leave out columns that hardly vary, or allow a larger "
        "`tolerance`"
    )


class _Enumerated:
    """Moments of a model as sums over all of its states."""

    noise = 0.0

    def __init__(self, n: int, upper: Tensor) -> None:
        numbers = torch.arange(2**n)
        self._states = ((numbers[:, None] >> torch.arange(n)) & 1).double()
        self._statistics = _statistics(self._states, upper)

    def moments(self, bias: Tensor, couplings: Tensor) -> Tensor:
        """Means of units and of products of pairs."""
        v = self._states
        self._p = torch.softmax(v @ bias + 0.5 * ((v @ couplings) * v).sum(1), 0)
        self._mean = self._p @ self._statistics
        return self._mean

    def covariance(self) -> Tensor:
        """Of units and pairs, for the same parameters."""
        x = self._statistics - self._mean
        return x.T @ (self._p[:, None] * x)

    def lengthen(self) -> None:
        """Exact moments need no more chains."""


class _Sampled:
    """Moments of a model as means over persistent chains, which are moved unit by unit."""

    def __init__(self, mean: Tensor, upper: Tensor, seed: int) -> None:
        self._upper, self._stream = upper, Lane.PAIRWISE.stream(seed)
        self._n_parameters = len(mean) + upper.shape[1]
        n_chains = max(_LEAST_CHAINS, _CHAINS_A_PARAMETER * self._n_parameters)
        # a row is a unit, so that the chains of one unit lie together
        self._v = (self._draw(len(mean), n_chains) < mean.logit().float()[:, None]).float()
        self._n_sweeps = _FIRST_SWEEPS

    def _draw(self, n: int, n_chains: int) -> Tensor:
        """Logistic noise: it is below an input with the probability that the unit is 1."""
        return kernels.uniform((n, n_chains), self._stream).logit_()

    @property
    def noise(self) -> float:
        """Nats a row that the noise of the moments alone would seem to gain."""
        return self._n_parameters / (2 * self._v.shape[1] * self._n_sweeps)

    def moments(self, bias: Tensor, couplings: Tensor) -> Tensor:
        """Means of units and of products of pairs, over all sweeps but the first half as many."""
        v, total = self._v, torch.zeros_like(couplings)
        rows, biases = couplings.float(), bias.tolist()
        for sweep in range(-(self._n_sweeps // 2), self._n_sweeps):
            noise = self._draw(*v.shape)
            for i, b in enumerate(biases):
                torch.lt(noise[i], (rows[i] @ v).add_(b), out=v[i])
            if sweep >= 0:
                total += v @ v.T
        return _pairs_of(total / (self._n_sweeps * v.shape[1]), self._upper)

    def covariance(self) -> Tensor:
        """Of units and pairs, over the chains as they are."""
        return _covariance(self._v.T.split(4000), self._upper)

    def lengthen(self) -> None:
        """Take later moments over twice as many sweeps."""
        self._n_sweeps = min(2 * self._n_sweeps, _MOST_SWEEPS)


def _smoothed(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Shares of rows in which units, and pairs of them, are active, with a row of fair coins."""
    n_rows, n = rows.shape
    share = shares(rows, weights)
    both = torch.zeros(n, n, dtype=torch.float64)
    for block, w in zip(rows.split(1000), share.split(1000), strict=True):
        x = block.double()
        both += (w[:, None] * x).T @ x
    coins = torch.full((n, n), 0.25, dtype=torch.float64)
    coins.fill_diagonal_(0.5)
    return (n_rows * both + coins) / (n_rows + 1)


def _covariance(blocks: Iterable[Tensor], upper: Tensor) -> Tensor:
    """Of units and their pairs, over rows of states."""
    n_rows, total, products = 0, torch.zeros(()), torch.zeros(()).double()
    for block in blocks:
        x = _statistics(block.float(), upper)
        n_rows += len(x)
        total = total + x.sum(0)
        products = products + x.T @ x  # whole numbers: exact
    mean = total.double() / n_rows
    return products / n_rows - torch.outer(mean, mean)


def _statistics(v: Tensor, upper: Tensor) -> Tensor:
    """States, and products of their pairs, shape (n_rows, n + n_pairs)."""
    return torch.cat([v, v[:, upper[0]] * v[:, upper[1]]], 1)


def _pairs_of(moments: Tensor, upper: Tensor) -> Tensor:
    """The means of `_statistics`, of a matrix of second moments, float64."""
    return torch.cat([moments.diagonal(), moments[upper[0], upper[1]]]).double()


def _unpacked(parameters: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    n = len(parameters) - upper.shape[1]
    couplings = torch.zeros(n, n, dtype=parameters.dtype)
    couplings[upper[0], upper[1]] = parameters[n:]
    return parameters[:n], couplings + couplings.T
