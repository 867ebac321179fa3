"""A deterministic pseudo-likelihood estimate of binary rows for a few matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import kernels
from harmonium.rbm import RBM

N_UNITS = 8
"""Units computed exactly in each row: all of them, in rows that have no more."""

_NUMBERS_AT_ONCE = 2**18  # size of the selected units' hidden inputs that fits into the cache

# Sums of integers up to this are exact in float32, in any order
_EXACT = 2**24


class PseudoLikelihood:
    """Estimates the pseudo-log-likelihood of rows: the sum over units of log p(unit | the rest).

    Every unit's term is approximated from two matrix products: the logarithm of the ratio p(row
    with the unit flipped) / p(row), to second order in the unit's weights. For a few units per row,
    the exact value is computed, and the approximation error there is extrapolated to all units (the
    difference estimator of survey sampling). So the estimate is unbiased, and its error is only of
    third order.

    The choice of units depends only on the row itself, so a row has the same estimate whatever the
    other rows are.

    Parameters
    ----------
    rbm
        A model with binary visible and hidden units.
    n_units
        Units per row that are computed exactly; with all units, the result is exact.

    References
    ----------
    .. [1] J. Besag (1975), "Statistical analysis of non-lattice data", The Statistician 24.
    .. [2] C.-E. Särndal, B. Swensson and J. Wretman (1992), "Model assisted survey sampling",
       section 6.3.
    """

    def __init__(self, rbm: RBM, n_units: int = N_UNITS) -> None:
        self._weights = rbm.weights.detach()
        self._visible, self._hidden = rbm.visible.bias.detach(), rbm.hidden.bias.detach()
        self._squares = self._weights.square()
        n_columns = len(self._weights)
        self._n_units = min(n_units, n_columns)
        draws = np.random.default_rng(0).integers(1, max(2, _EXACT // n_columns), (n_columns, 1))
        self._numbers = torch.from_numpy(draws).to(self._weights)

    @torch.no_grad()
    def __call__(self, v: Tensor) -> Tensor:
        """Estimates for rows of shape (rows, n_columns), which are rounded to 0 and 1; nats."""
        v = (v > 0.5).to(self._weights.dtype)
        inputs = kernels.product(v, self._weights).add_(self._hidden)
        units = self._units(v)
        sign = 1 - 2 * v.gather(1, units)  # the change of a unit when it flips
        exact = sign * self._visible[units] + self._changes(inputs, units, sign)
        mean = torch.sigmoid(inputs)
        ratios = torch.addmm(self._visible, mean, self._weights.T)
        ratios = torch.where(v > 0, -ratios, ratios)
        ratios.addmm_(mean.mul_(1 - mean), self._squares.T, alpha=0.5)
        missed = _softplus(exact) - _softplus(ratios.gather(1, units))
        of_all = _softplus_sums(ratios)
        return -(of_all + missed.mean(1) * v.shape[1])

    def _units(self, v: Tensor) -> Tensor:
        """Selected units, shape (rows, n_units): one at random from each of n_units intervals."""
        keys = kernels.product(v, self._numbers)[:, 0].cpu().numpy().astype(np.uint64)
        k, n = self._n_units, v.shape[1]
        place = (np.arange(k) + _uniform(keys, k)) * (n / k)
        return torch.from_numpy(place.astype(np.int64)).clamp_(max=n - 1).to(v.device)

    def _changes(self, inputs: Tensor, units: Tensor, sign: Tensor) -> Tensor:
        """Change of the hidden units' log-normaliser when a unit flips, shape (rows, n_units)."""
        after = torch.empty_like(sign)
        width = self._weights.shape[1]
        at_once = max(1, _NUMBERS_AT_ONCE // (self._n_units * width))
        for start in range(0, len(units), at_once):
            place = slice(start, start + at_once)
            own = self._weights[units[place]].mul_(sign[place].unsqueeze(2))
            own.add_(inputs[place].unsqueeze(1))
            after[place] = _softplus_sums(own.view(-1, width)).view_as(after[place])
        return after - _softplus_sums(inputs).unsqueeze(1)


def _softplus_sums(x: Tensor) -> Tensor:
    """Sum of log(1 + exp(x)) over columns, shape (rows,)."""
    return kernels.softplus_sums(x, x.new_zeros(1, x.shape[1]))[:, 0]


def _softplus(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(x, threshold=40)


def _uniform(keys: NDArray[np.uint64], n: int) -> NDArray[np.float64]:
    """Numbers from 0 to below 1, shape (len(keys), n), by SplitMix64 from each key."""
    z: Any = keys[:, None] * np.uint64(n) + np.arange(1, n + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.asarray((z >> np.uint64(11)) * 2.0**-53)
