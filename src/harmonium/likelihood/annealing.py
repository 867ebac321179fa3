"""Log Z by annealed importance sampling (errs below) and by its reverse (errs above).

References
----------
.. [1] R. M. Neal (2001), "Annealed importance sampling", Statistics and Computing 11.
.. [2] R. Salakhutdinov and I. Murray (2008), "On the quantitative analysis of deep belief
   networks", ICML.
.. [3] Y. Burda, R. B. Grosse and R. Salakhutdinov (2015), "Accurate and conservative estimates of
   MRF log-likelihood using reverse annealing", AISTATS.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harmonium import defaults, ranks
from harmonium.arguments import check_count, check_type
from harmonium.likelihood.checks import check_n_chains, check_states
from harmonium.likelihood.computation import Computation
from harmonium.likelihood.log_z import LogZ, log_likelihood
from harmonium.likelihood.path import AnnealingPath, anneal_
from harmonium.rng import Lane, Stream
from harmonium.sampling.sharing import shares_of

CHAINS_AT_ONCE = 500
"""Chains per block: they are annealed together, and memory is limited to one block."""


def annealed_importance_sampling(
    path: AnnealingPath,
    n_chains: int,
    seed: int = defaults.SEED,
    so_far: LogZ | None = None,
) -> Computation[LogZ]:
    """Estimate log Z of the path's target: an estimate that errs below, on average [1]_ [2]_.

    The mean weight is an unbiased estimate of Z, so its log is too low on average, and a
    log-likelihood based on it is too high. `reverse_annealed_importance_sampling` and
    `raise_log_likelihood` err on the other side.

    Parameters
    ----------
    path
        Path from the base to the model. More temperatures make the weights more even; more chains
        then reduce the error.
    n_chains
        Total number of chains, 2 or more.
    seed
        Seed of the chains.
    so_far
        An earlier estimate with fewer chains of the same path and seed. Its complete blocks of
        `CHAINS_AT_ONCE` chains are reused, and the result is bit-identical to annealing all chains
        at once.

    Returns
    -------
    Computation
        Iterate over it, or ask for its ``result()``. A step is one chain at one temperature.

    Raises
    ------
    ValueError
        If there are fewer than 2 chains, or ``so_far`` is of another kind or has more chains.
    """
    remedy = "AnnealingPath.adaptive(rbm, data, n_temperatures, seed)"
    check_type("path", path, AnnealingPath, remedy)
    check_n_chains(n_chains)
    taken_over = torch.empty(0, dtype=torch.float64)
    if so_far is not None:
        if so_far.errs != "below" or so_far.log_weights is None or so_far.n_chains > n_chains:
            raise ValueError(
                f"so_far is {so_far}; pass an estimate by annealed importance sampling with at "
                f"most n_chains = {n_chains} chains"
            )
        n_whole = so_far.n_chains // CHAINS_AT_ONCE * CHAINS_AT_ONCE
        taken_over = so_far.log_weights[:n_whole].cpu()
    n_steps = (n_chains - len(taken_over)) * (path.n_temperatures - 1)
    return Computation(n_steps, _forward(path, n_chains, seed, taken_over))


def _forward(
    path: AnnealingPath, n_chains: int, seed: int, taken_over: Tensor
) -> Generator[int, None, LogZ]:
    path, gauge = path.near_zero()
    t = torch.as_tensor(path.inverse_temperatures)
    parts, done = [taken_over], 0
    for first in range(len(taken_over), n_chains, CHAINS_AT_ONCE):
        stream = Lane.ANNEALING.stream(seed, rank=first // CHAINS_AT_ONCE)
        n = min(CHAINS_AT_ONCE, n_chains - first)
        v = path.base.visible.sample_alone(n, stream)
        log_weights = torch.full((n,), path.base_log_z, dtype=torch.float64, device=v.device)
        for _ in _shared(path, v, t, stream, log_weights):
            done += n
            yield done
        parts.append(log_weights.cpu() - gauge.energy)
    return LogZ.from_log_weights(torch.cat(parts), "below")


def reverse_annealed_importance_sampling(
    path: AnnealingPath, samples: Tensor, seed: int = defaults.SEED
) -> Computation[LogZ]:
    """Estimate log Z by annealing from samples of the target to the base: errs above.

    If the samples are exact, the mean weight is an unbiased estimate of 1 / Z [3]_. Samples from
    chains that have not reached equilibrium void the bound. Rows of another distribution, such as
    data, usually make the estimate too high, but not always.

    Parameters
    ----------
    path
        Path from the base to the model.
    samples
        Visible states drawn from the target, shape (2 or more, visible.n_columns).
    seed
        Seed of the chains.

    Raises
    ------
    ValueError
        If there are fewer than 2 samples, or they have the wrong width or are not states.
    """
    remedy = "AnnealingPath.adaptive(rbm, data, n_temperatures, seed)"
    check_type("path", path, AnnealingPath, remedy)
    check_states(path.target, samples)
    if len(samples) < 2:
        raise ValueError("samples have 1 row; pass 2 or more: a standard error needs them")
    n_steps = len(samples) * path.n_temperatures
    return Computation(n_steps, _from_samples(path, samples, seed))


def _from_samples(path: AnnealingPath, samples: Tensor, seed: int) -> Generator[int, None, LogZ]:
    path, gauge = path.near_zero()
    log_weights = yield from _reverse(path, gauge.enter(samples), 1, seed)
    return LogZ.from_log_weights(log_weights[:, 0] - path.base_log_z + gauge.energy, "above")


@dataclass(frozen=True, eq=False)
class RaiseEstimate:
    """A lower estimate of each row's log-likelihood, by RAISE.

    Attributes
    ----------
    log_likelihood
        Estimate for each row, nats, float64 of shape (rows,).
    std_errors
        Standard error for each row, from its chains, nats, shape (rows,); NaN if a row had one
        chain.
    log_weights
        Log of each chain's weight, nats, shape (rows, chains_per_row). The estimate of a row's log
        p is minus its free energy plus the log of the mean weight.
    """

    log_likelihood: Tensor
    std_errors: Tensor
    log_weights: Tensor = field(repr=False)


def raise_log_likelihood(
    path: AnnealingPath, v: Tensor, chains_per_row: int = 1, seed: int = defaults.SEED
) -> Computation[RaiseEstimate]:
    """Estimate the log-likelihood of rows from below, by annealing from rows to the base (RAISE).

    The forward annealing chain, from base to target, ends in visible states with a distribution
    p_ann. This is a model that can be sampled exactly, and that approaches the target with many
    temperatures. A row's mean weight is an unbiased estimate of p_ann(v), so its log errs below log
    p_ann(v), on average [3]_.

    Strictly, this is a bound for p_ann. For the target itself it is a bound on average over rows
    sampled from the target, because no other model gives these rows a higher mean log-likelihood.
    For rows of data it is a bound unless p_ann happens to model them better than the target does,
    which is possible if few temperatures leave the chains far from the target.

    Parameters
    ----------
    path
        Path from the base to the model.
    v
        Visible states, shape (rows, visible.n_columns).
    chains_per_row
        Chains that start at each row.
    seed
        Seed of the chains.

    Raises
    ------
    ValueError
        If there are no rows, if they have the wrong width or are not states, or if there is less
        than one chain per row.
    """
    remedy = "AnnealingPath.adaptive(rbm, data, n_temperatures, seed)"
    check_type("path", path, AnnealingPath, remedy)
    check_states(path.target, v)
    check_count("chains_per_row", chains_per_row)
    n_steps = len(v) * chains_per_row * path.n_temperatures
    return Computation(n_steps, _from_rows(path, v, chains_per_row, seed))


def _from_rows(
    path: AnnealingPath, v: Tensor, chains_per_row: int, seed: int
) -> Generator[int, None, RaiseEstimate]:
    path, gauge = path.near_zero()
    v = gauge.enter(v)
    log_weights = yield from _reverse(path, v, chains_per_row, seed)
    log_weights -= path.base_log_z
    log_mean = log_weights.logsumexp(1) - math.log(chains_per_row)
    weights = (log_weights - log_weights.amax(1, keepdim=True)).exp()
    spread = weights.std(1) if chains_per_row > 1 else torch.full_like(log_mean, math.nan)
    return RaiseEstimate(
        log_likelihood=log_mean + log_likelihood(path.target, v, LogZ.exact(0.0)).cpu(),
        std_errors=spread / weights.mean(1) / math.sqrt(chains_per_row),
        log_weights=log_weights + gauge.energy,
    )


def _reverse(
    path: AnnealingPath, v: Tensor, chains_per_row: int, seed: int
) -> Generator[int, None, Tensor]:
    """Log weights of chains from the target to the base, float64 of (rows, chains_per_row)."""
    # start with a sweep at the target, the reverse of the forward chain's last sweep
    t = torch.as_tensor(path.inverse_temperatures)
    t = torch.cat([t.new_ones(1), t.flip(0)])
    rows = torch.arange(len(v), device=v.device).repeat_interleave(chains_per_row)
    parts, done = [], 0
    for block, index in enumerate(rows.split(CHAINS_AT_ONCE)):
        stream = Lane.REVERSE.stream(seed, rank=block)
        states = v[index].to(path.target.weights).contiguous()
        log_weights = torch.zeros(len(index), dtype=torch.float64, device=states.device)
        for _ in _shared(path, states, t, stream, log_weights):
            done += len(index)
            yield done
        parts.append(log_weights.cpu())
    return torch.cat(parts).reshape(len(v), chains_per_row)


def _shared(
    path: AnnealingPath, v: Tensor, t: Tensor, stream: Stream, log_weights: Tensor
) -> Iterator[int]:
    """`anneal_` a block of chains, of which each rank anneals its share."""
    shares = shares_of(path.target, len(v), 2 * len(t))
    if len(shares) == 1:
        yield from anneal_(path, v, t, stream, log_weights)
        return
    own = shares[ranks.rank()]
    steps = anneal_(path, v[own], t, stream.of_rows(own.start), log_weights[own])
    yield from ranks.each_of_share(steps, len(v), shares)
    ranks.gather_((log_weights, shares))
