"""Have chains converged: autocorrelation time, effective sample size and R-hat of series.

A series is one number of each chain at each record, such as its energy: float, shape
(n_chains, n_records). All chains must be of the same model; nothing else is asked of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_FEWEST_RECORDS = 8


@dataclass(frozen=True)
class Autocorrelation:
    """How long chains remember.

    Attributes
    ----------
    time
        Integrated autocorrelation time, 1 + 2 sum of rho_t over t >= 1, in records: so many
        records of one chain are worth one independent draw. 1 for independent records.
    std_error
        Of ``time``, from the length of the series alone (Madras and Sokal, 1988).
    window
        Lags that were summed, lag 0 among them.
    is_resolved
        Whether the autocorrelation was seen to fade within half of the series. Where it was not,
        ``time`` is what was seen of it: a lower bound.
    n_records
        Records of all chains together.
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
        """Independent draws that the mean of all records is worth; an upper bound if unresolved."""
        return self.n_records / self.time


def autocorrelation(series: Tensor) -> Autocorrelation:
    """Autocorrelation of many chains' series, and the time over which it fades.

    Autocovariances are taken about the mean of *all* chains, as R-hat does it: about its own mean,
    a chain that never leaves its mode would look as if it mixed. They are averaged over the chains
    and summed up to the end of the initial monotone sequence [1]_: over pairs of neighbouring
    lags, as long as their sum is positive, and not larger than the one before.

    Sokal's automatic window [2]_, the other usual end of the sum, stops after some multiple of the
    time summed so far. What one observes of an RBM fades partly within a few sweeps, as units flip,
    and for the rest in hundreds or thousands, as modes change: that window can close on the fast
    part before the slow one counts. The initial sequence goes on until noise hides what is left; a
    slow part with a share of the variance below some 1 / sqrt(number of records) is not seen. It
    needs what holds here: block Gibbs sampling, seen in the visible units alone, is reversible, and
    its autocovariances are positive and falling [3]_.

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
    # the mean that was subtracted is itself a draw: its variance is missing at every lag
    missing = covariance[0] * _monotone_time(covariance / covariance[0], end) / x.numel()
    rho = (covariance + missing.clamp_min(0)) / (covariance[0] + missing.clamp_min(0))
    # as in Stan: negative autocorrelations may shorten the time, but not to nothing
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
    """1 + 2 sum of rho_t over lags from 1 to ``end``, its pairs made to fall."""
    pairs = rho[: max(end, 2)].unflatten(0, (-1, 2)).sum(1)
    falling: Tensor = pairs.cummin(0).values
    return 2 * falling.sum() - 1


def r_hat(series: Tensor) -> float:
    """Rank-normalised split R-hat: how much chains disagree with each other; 1 if not at all.

    The larger one of two: of ranks, and of ranks of the distances to the median. The first sees
    chains in different places, the second chains that move over different widths [1]_. Each chain
    counts as two, its first and its second half, so that a chain that still drifts disagrees with
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
    """Potential scale reduction of halves of chains, shape (2 n_chains, n)."""
    n = x.shape[1]
    within = x.var(1).mean().item()
    between = n * x.mean(1).var().item()
    if within == 0:
        return 1.0 if between == 0 else math.inf
    return math.sqrt(((n - 1) * within + between) / (n * within))


def _normal_scores(x: Tensor) -> Tensor:
    """Normal quantiles of the ranks (Blom, 1958), ties sharing their mean rank."""
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
