"""Convergence of chains: autocorrelation time, effective sample size and R-hat of series.

A series holds one number for each chain at each record, such as its energy: float, shape (n_chains,
n_records). The only requirement is that all chains sample the same model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_FEWEST_RECORDS = 8


@dataclass(frozen=True)
class Autocorrelation:
    """How long chains are correlated with their past.

    Attributes
    ----------
    time
        Integrated autocorrelation time, 1 + 2 sum of rho_t over t >= 1, in records: the number of
        records of one chain that are worth one independent draw. 1 for independent records.
    std_error
        Standard error of ``time``, from the length of the series alone (Madras and Sokal, 1988).
    window
        Number of lags summed, including lag 0.
    is_resolved
        Whether the autocorrelation faded within half of the series. If not, ``time`` is a lower
        bound.
    n_records
        Total number of records of all chains.
    function
        rho_t at lags t = 0, 1, ... to half of the series, float64; 1 at lag 0.
    """

    time: float
    std_error: float
    window: int
    is_resolved: bool
    n_records: int
    function: Tensor

    @property
    def effective_sample_size(self) -> float:
        """Independent draws that give as precise a mean; an upper bound if not resolved."""
        return self.n_records / self.time


def autocorrelation(series: Tensor) -> Autocorrelation:
    """Autocorrelation of the series of many chains, and its integrated time.

    Autocovariances are taken about the mean of *all* chains, as in R-hat: about its own mean, a
    chain that never leaves its mode would seem to mix. They are averaged over the chains and summed
    over the initial monotone sequence [1]_: over pairs of neighbouring lags, while the sum of a
    pair is positive, each sum capped at the one before.

    The usual alternative, Sokal's automatic window [2]_, stops at a multiple of the time summed so
    far. Observables of an RBM decay partly within a few sweeps, as units flip, and partly over
    hundreds or thousands, as modes change. That window can close after the fast part, before the
    slow part counts. The initial sequence continues until noise hides the rest; it misses a slow
    part whose share of the variance is below about 1 / sqrt(number of records). Its assumptions
    hold here: block Gibbs sampling, restricted to the visible units, is reversible, and its
    autocovariances are positive and decreasing [3]_.

    Parameters
    ----------
    series
        Shape (n_chains, n_records), 8 records or more.

    Raises
    ------
    ValueError
        If there are fewer, if a value is not finite, or if all are the same.

    References
    ----------
    .. [1] C. J. Geyer (1992), "Practical Markov chain Monte Carlo", Statistical Science 7,
       section 3.3.
    .. [2] N. Madras and A. D. Sokal (1988), "The pivot algorithm", Journal of Statistical
       Physics 50, appendix C.
    .. [3] J. S. Liu, W. H. Wong and A. Kong (1994), "Covariance structure of the Gibbs sampler",
       Biometrika 81.
    """
    x = _checked(series)
    n_chains, n = x.shape
    if (x == x[0, 0]).all():
        raise ValueError(
            f"series is {x[0, 0]:g} throughout, so it has no autocorrelation; observe something "
            "that changes"
        )
    x = x - x.mean()
    n_lags = n // 2 // 2 * 2
    spectrum = torch.fft.rfft(x, n=2 * n).abs().square().sum(0)
    sums = torch.fft.irfft(spectrum, n=2 * n)[:n_lags]
    covariance = sums / (n_chains * torch.arange(n, n - n_lags, -1, dtype=x.dtype))
    end, is_resolved = _initial_positive(covariance)
    # the subtracted mean is itself random: its variance is missing at every lag
    missing = covariance[0] * _monotone_time(covariance / covariance[0], end) / x.numel()
    rho = (covariance + missing.clamp_min(0)) / (covariance[0] + missing.clamp_min(0))
    # as in Stan: negative autocorrelations may shorten the time, but not to zero
    time = max(_monotone_time(rho, end).item(), 1 / math.log10(x.numel()))
    return Autocorrelation(
        time=time,
        std_error=time * math.sqrt(2 * (2 * end + 1) / x.numel()),
        window=end,
        is_resolved=is_resolved,
        n_records=x.numel(),
        function=rho,
    )


def _initial_positive(covariance: Tensor) -> tuple[int, bool]:
    """Lags before the first pair whose sum is not positive, and whether there is such a pair."""
    pairs = covariance.unflatten(0, (-1, 2)).sum(1)
    ends = (pairs <= 0).nonzero()
    return (2 * int(ends[0]), True) if len(ends) else (len(covariance), False)


def _monotone_time(rho: Tensor, end: int) -> Tensor:
    """1 + 2 sum of rho_t over lags from 1 to ``end``, with sums of pairs made non-increasing."""
    pairs = rho[: max(end, 2)].unflatten(0, (-1, 2)).sum(1)
    falling: Tensor = pairs.cummin(0).values
    return 2 * falling.sum() - 1


def r_hat(series: Tensor) -> float:
    """Rank-normalised split R-hat: how much chains disagree; 1 if they do not.

    This is the larger of two values: R-hat of the ranks, and of the ranks of distances to the
    median. The first detects chains in different places, the second chains with different spreads
    [1]_. Each chain is split into two halves, so that a chain that still drifts disagrees with
    itself.

    Parameters
    ----------
    series
        Shape (n_chains, n_records), 8 records or more.

    Returns
    -------
    float
        Infinity if no chain moves and not all are in the same place.

    Raises
    ------
    ValueError
        If there are fewer records, if a value is not finite, or if all are the same.

    References
    ----------
    .. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner (2021),
       "Rank-normalization, folding, and localization: an improved R-hat for assessing convergence
       of MCMC", Bayesian Analysis 16, equations 4 and 14.
    """
    x = _checked(series)
    if (x == x[0, 0]).all():
        raise ValueError(
            f"series is {x[0, 0]:g} throughout, so it has no R-hat; observe something that changes"
        )
    half = x.shape[1] // 2
    split = torch.cat([x[:, :half], x[:, -half:]])
    ordered = split.flatten().sort().values
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    folded = (split - median).abs()
    return max(_r_hat(_normal_scores(split)), _r_hat(_normal_scores(folded)))


def _r_hat(x: Tensor) -> float:
    """Potential scale reduction factor of split chains, shape (2 n_chains, n)."""
    n = x.shape[1]
    within = x.var(1).mean().item()
    between = n * x.mean(1).var().item()
    if within == 0:
        return 1.0 if between == 0 else math.inf
    return math.sqrt(((n - 1) * within + between) / (n * within))


def _normal_scores(x: Tensor) -> Tensor:
    """Normal quantiles of the ranks (Blom, 1958); ties share their mean rank."""
    _, places, counts = x.unique(return_inverse=True, return_counts=True)
    counts = counts.double()
    mean_rank = counts.cumsum(0) - (counts - 1) / 2
    scores: Tensor = torch.special.ndtri((mean_rank - 3 / 8) / (x.numel() + 1 / 4))
    return scores[places]


def _checked(series: Tensor) -> Tensor:
    if series.dim() != 2 or series.shape[0] < 1 or series.shape[1] < _FEWEST_RECORDS:
        raise ValueError(
            f"series has shape {tuple(series.shape)}; pass (n_chains, n_records), with "
            f"{_FEWEST_RECORDS} records or more"
        )
    x = series.detach().double().cpu()
    n_bad = int((~x.isfinite()).sum())
    if n_bad:
        raise ValueError(
            f"series holds {n_bad} values of {x.numel()} that are not finite; chains that leave "
            "all bounds have no autocorrelation: does the model have a distribution?"
        )
    return x
