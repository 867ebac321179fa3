"""The log-likelihood of rows as an interval: exact where that is cheap, else between two bounds."""

from __future__ import annotations

import math
from collections.abc import Generator

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.arguments import check_count
from harmonium.gauge import Gauge
from harmonium.likelihood.annealing import (
    annealed_importance_sampling,
    raise_log_likelihood,
)
from harmonium.likelihood.checks import check_finite, check_n_chains, check_states
from harmonium.likelihood.computation import Computation
from harmonium.likelihood.exact import can_be_enumerated, check_normalisable, exact_log_z
from harmonium.likelihood.log_z import LogLikelihood, LogZ, log_likelihood
from harmonium.likelihood.path import ROWS, AnnealingPath
from harmonium.rbm import RBM, HasMoments
from harmonium.rng import Purpose, Stream

# Fewer states than these are enumerated: seconds, where bounds take minutes.
_FEW_STATES = 2**20

_BLOCK = 1000  # rows whose free energy is computed at a time

# Bounds that are further apart than this, nats, leave the question open.
_WIDE_GAP = 1.0

# Noise of as many standard errors explains why the lower bound is above the upper one.
_MOST_ERRORS = 4.0


def evaluate(
    rbm: RBM,
    v: Tensor,
    data: Tensor | HasMoments,
    *,
    n_chains: int = defaults.LIKELIHOOD_CHAINS,
    n_temperatures: int = defaults.LIKELIHOOD_TEMPERATURES,
    seed: int = defaults.SEED,
) -> Computation[LogLikelihood]:
    """Mean log-likelihood of rows, from a lower to an upper bound, nats a row.

    Models whose smaller layer has at most 2^20 states (20 binary units), and pairs of Gaussian
    layers, are known exactly. For others the upper bound takes log Z from annealed importance
    sampling, and the lower one from RAISE: its chains start at ``n_chains`` of the rows, drawn at
    random, or several times at each where there are fewer. What RAISE adds to a row's free energy
    varies little between rows, so all rows count in the lower bound, too.

    Strictly, the lower bound is that of the distribution at which the annealed chain ends, see
    `raise_log_likelihood`. A mode of the model that no chain reaches is missing from both bounds.

    Parameters
    ----------
    rbm
        The model.
    v
        Test rows, shape (rows, visible.n_columns), states of the visible units.
    data
        Training rows or their moments, for the base of the annealing.
    n_chains
        Chains of each bound, 2 or more.
    n_temperatures
        Inverse temperatures of the annealing; more bring the bounds together.
    seed
        Of temperatures, chains and the choice of rows.

    Returns
    -------
    Computation
        Iterate over it, or ask for its ``result()``. A step is one chain at one temperature.

    Raises
    ------
    ValueError
        If there are too few chains or temperatures, or if the rows, the data or the model cannot
        be used; before anything is annealed.
    """
    check_count("n_temperatures", n_temperatures, 2)
    check_states(rbm, v)
    check_finite(rbm)
    check_normalisable(rbm)
    check_n_chains(n_chains)
    is_exact = can_be_enumerated(rbm, _FEW_STATES)
    gauge = Gauge.of(rbm, torch.float64 if is_exact else None)
    rbm, v = gauge.rbm, gauge.enter(v)
    if is_exact:
        return Computation(1, _exact(rbm, v, gauge.energy))
    n_rows = min(len(v), n_chains)
    per_row = n_chains // n_rows
    n_steps = n_chains * (n_temperatures - 1) + n_rows * per_row * n_temperatures
    path = AnnealingPath.adaptive(rbm, gauge.enter_data(data), n_temperatures, seed)
    return Computation(n_steps, _bounds(path, v, n_chains, n_rows, per_row, seed, gauge.energy))


def _exact(rbm: RBM, v: Tensor, energy: float) -> Generator[int, None, LogLikelihood]:
    log_z = exact_log_z(rbm)
    values = _log_likelihoods(rbm, v, log_z)
    mean = values.mean().item()
    yield 1
    return LogLikelihood(
        lower=mean,
        upper=mean,
        lower_std_error=0.0,
        upper_std_error=0.0,
        rows_std_error=_std_error(values),
        n_rows=len(v),
        log_z=log_z.less(energy),
    )


def _bounds(
    path: AnnealingPath,
    v: Tensor,
    n_chains: int,
    n_rows: int,
    per_row: int,
    seed: int,
    energy: float,
) -> Generator[int, None, LogLikelihood]:
    from_below = annealed_importance_sampling(path, n_chains, seed)
    yield from from_below
    log_z = from_below.result()
    values = _log_likelihoods(path.target, v, log_z)

    stream = Stream(seed, Purpose.LIKELIHOOD, position=ROWS)
    chosen = kernels.permutation(len(v), stream)[:n_rows].sort().values.to(v.device)
    from_rows = raise_log_likelihood(path, v[chosen], per_row, seed)
    for done in from_rows:
        yield from_below.n_steps + done
    estimate = from_rows.result()
    corrections = estimate.log_likelihood - values[chosen].cpu()
    if n_rows == len(v) and per_row > 1:  # all rows, so that the chains alone make an error
        lower_error = estimate.std_errors.square().sum().sqrt().item() / n_rows
    else:
        lower_error = _std_error(corrections)
    upper = values.mean().item()
    lower = upper + corrections.mean().item()
    return LogLikelihood(
        lower=lower,
        upper=upper,
        lower_std_error=lower_error,
        upper_std_error=log_z.std_error,
        rows_std_error=_std_error(values),
        n_rows=len(v),
        log_z=log_z.less(energy),
        warnings=tuple(_warnings(log_z, upper - lower, lower_error + log_z.std_error)),
    )


def _warnings(log_z: LogZ, gap: float, noise: float) -> list[str]:
    found = [] if log_z.warning is None else [f"upper bound: {log_z.warning}"]
    if gap > _WIDE_GAP:
        found.append(
            f"the bounds are {gap:.1f} nats apart: the annealing is too fast for this model; take "
            "more temperatures"
        )
    if gap < -_MOST_ERRORS * noise:
        found.append(
            f"the lower bound is {-gap:.1f} nats above the upper one: the annealed chain, which it "
            "is of, ends at another distribution than the model's; take more temperatures"
        )
    return found


@torch.no_grad()
def _log_likelihoods(rbm: RBM, v: Tensor, log_z: LogZ) -> Tensor:
    return torch.cat([log_likelihood(rbm, rows, log_z) for rows in v.split(_BLOCK)])


def _std_error(values: Tensor) -> float:
    """Of the mean of the values; NaN for one."""
    return values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
