"""Log-probabilities of some columns given others, and of what is observed of rows: exact or bounds.

Both are differences of log-normalisers. That of a row is the log of the sum of exp(-energy) over
all that is not observed: log Z of the row's clamped model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_count, described, no_tensor
from harmonium.datasets import MaskedRows, WeightedRows
from harmonium.imputation.chains import Completing
from harmonium.imputation.clamped import ClampedRows
from harmonium.imputation.completing import SWEEPS_A_RECORD, complete_rows, r_hat_together
from harmonium.imputation.exact import posteriors
from harmonium.likelihood import LogLikelihood, evaluate
from harmonium.likelihood.checks import check_finite, check_n_chains
from harmonium.likelihood.exact import check_normalisable
from harmonium.rbm import RBM, HasMoments, check_rbm
from harmonium.rng import Lane

# Annealing is lengthened by this factor until both directions are as close as this, nats.
_FIRST_TEMPERATURES, _LONGER, _CLOSE = 32, 4, 0.1
_CHAINS_AT_ONCE = 2048

# Estimates differ if they are in the wrong order by more than so many standard errors.
_N_ERRORS = 4.0

# Share of rows whose estimates may exclude each other by chance: errors that are estimated from few
# chains are often too small.
_BY_CHANCE = 0.02

_LEAST_SWEEPS = 64  # before annealing back

# Split R-hat from which on chains count as stuck in modes of their own: far above what short chains
# that mix have by chance.
_STUCK = 1.2


@dataclass(frozen=True, eq=False)
class LogProbabilities:
    """A log-probability (of continuous columns, a log-density) of each row: exact, or an interval.

    Annealing from independent units to a row's clamped model errs below, on average; annealing
    back from the completions at its end errs above, if these are samples of that model. They are
    none where the two are in the wrong order, or where chains with scattered starts are elsewhere
    or tell another value: such intervals are not trusted.

    Attributes
    ----------
    lower, upper : Tensor, float64, shape (rows,)
        Bounds, nats; equal where exact.
    lower_std_errors, upper_std_errors : Tensor, float64, shape (rows,)
        Standard errors of the bounds, from the chains; 0 where exact.
    is_exact : Tensor, bool, shape (rows,)
    reasons
        Why intervals must not be trusted; empty if they can be.
    n_temperatures
        Most inverse temperatures of the annealing; 0 if all is exact.
    """

    lower: Tensor
    upper: Tensor
    lower_std_errors: Tensor
    upper_std_errors: Tensor
    is_exact: Tensor
    reasons: tuple[str, ...] = ()
    n_temperatures: int = 0

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def middle(self) -> Tensor:
        """Middle of each interval, nats, shape (rows,)."""
        return (self.lower + self.upper) / 2

    @property
    def trusted(self) -> bool:
        """Whether no evidence against the intervals was found."""
        return not self.reasons

    def mean(self, weights: Tensor | None = None) -> tuple[float, float, float, float]:
        """Mean over the rows, which count by weights: both bounds, and the standard error of each.

        Returns
        -------
        tuple of float
            Lower bound, upper bound, and their standard errors for these rows, nats.
        """
        share = torch.ones_like(self.lower) if weights is None else weights.to(self.lower)
        share = share / share.sum()
        errors = [
            float((share * own).square().sum().sqrt())
            for own in (self.lower_std_errors, self.upper_std_errors)
        ]
        return float(share @ self.lower), float(share @ self.upper), errors[0], errors[1]

    def less(self, other: LogProbabilities) -> LogProbabilities:
        """The difference of two log-normalisers of the same rows; errors add up in quadrature."""
        return LogProbabilities(
            self.lower - other.upper,
            self.upper - other.lower,
            (self.lower_std_errors.square() + other.upper_std_errors.square()).sqrt(),
            (self.upper_std_errors.square() + other.lower_std_errors.square()).sqrt(),
            self.is_exact & other.is_exact,
            tuple(dict.fromkeys((*self.reasons, *other.reasons))),
            max(self.n_temperatures, other.n_temperatures),
        )


@torch.no_grad()
def conditional_log_probability(
    rbm: RBM,
    states: Tensor,
    known: Tensor,
    asked: Tensor,
    *,
    n_chains: int = defaults.CONDITIONAL_CHAINS,
    n_temperatures: int = defaults.CONDITIONAL_TEMPERATURES,
    seed: int = defaults.SEED,
) -> LogProbabilities:
    """Log-probability of some columns given others, nats: log p(asked | known) of each row.

    All other columns are summed out. The value is exact where what is not observed, or the hidden
    layer, can be enumerated, or all units that are left are Gaussian. Else it is an interval by
    annealing in both directions.

    Parameters
    ----------
    rbm
        The model.
    states
        Visible states, shape (rows, visible.n_columns).
    known, asked
        True for the columns that are given and for those whose probability is asked, bool, shape
        (n_columns,) or (rows, n_columns). A column in both is given. All columns of a categorical
        unit go together.
    n_chains
        Annealing chains of each row, 2 or more.
    n_temperatures
        Most inverse temperatures. Annealing starts with 32, and is lengthened for the rows whose
        bounds are further apart than 0.1 nats.
    seed
        Seed of the chains.

    Raises
    ------
    TypeError, ValueError
        If states or masks do not fit the model, or numbers are too small.
    """
    check_rbm("rbm", rbm)
    for name, mask in (("known", known), ("asked", asked)):
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            what = described(mask) if not isinstance(mask, Tensor) else f"of {mask.dtype}"
            raise TypeError(f"{name} is {what}; pass a tensor of booleans")
        if mask.shape not in (states.shape, states.shape[-1:]):
            raise ValueError(
                f"{name} has shape {tuple(mask.shape)}; pass ({states.shape[-1]},) or "
                f"{tuple(states.shape)}"
            )
    known = known.expand(states.shape)
    both = known | asked
    options = {"n_chains": n_chains, "n_temperatures": n_temperatures}
    of_both = log_normalisers(rbm, MaskedRows(states, both), seed=seed, **options)
    of_known = log_normalisers(
        rbm, MaskedRows(states, known), seed=seed, first_round=100, **options
    )
    return of_both.less(of_known)


@torch.no_grad()
def observed_log_likelihood(
    rbm: RBM,
    rows: MaskedRows,
    data: Tensor | HasMoments,
    *,
    weights: Tensor | None = None,
    n_chains: int = defaults.LIKELIHOOD_CHAINS,
    n_temperatures: int = defaults.LIKELIHOOD_TEMPERATURES,
    seed: int = defaults.SEED,
    budget: float | None = None,
) -> LogLikelihood:
    """Mean log-likelihood of what is observed of rows, nats a row: log p(observed).

    Log Z and its reasons are those of `likelihood.evaluate` for completed rows; what was completed
    is summed out again, exactly or by annealing (`conditional_log_probability`).

    Parameters
    ----------
    rbm
        The model.
    rows
        States, and which are observed.
    data
        Training rows or their moments, for the base of the annealing of log Z.
    weights
        Weight of each row; None for rows that count alike.
    n_chains, n_temperatures, seed, budget
        As for `likelihood.evaluate`.

    Raises
    ------
    TypeError, ValueError
        As `likelihood.evaluate`.
    """
    completed = complete_rows(rbm, rows, 1, 64, Lane.IMPUTED.stream(seed)).draws[:, 0]
    found = evaluate(
        rbm, WeightedRows(completed, weights), data,
        n_chains=n_chains, n_temperatures=n_temperatures, seed=seed, budget=budget,
    ).result()  # fmt: skip
    return of_observed(found, rbm, rows, completed, weights=weights, seed=seed)


@torch.no_grad()
def of_observed(
    found: LogLikelihood,
    rbm: RBM,
    rows: MaskedRows,
    completed: Tensor,
    *,
    weights: Tensor | None = None,
    seed: int = defaults.SEED,
) -> LogLikelihood:
    """The log-likelihood of what is observed of rows, from that of the same rows completed.

    Parameters
    ----------
    found
        The log-likelihood of the completed rows.
    rbm, rows, weights, seed
        As for `observed_log_likelihood`.
    completed
        The same rows, with any states where nothing is observed.
    """
    everything = torch.ones_like(rows.observed)
    whole = log_normalisers(rbm, MaskedRows(completed, everything), seed=seed)
    summed = log_normalisers(rbm, rows, seed=seed).less(whole)
    lower, upper, lower_error, upper_error = summed.mean(weights)
    values = WeightedRows(summed.middle + whole.middle, weights)
    reasons = (*found.reasons, *summed.reasons)
    how = "exactly"
    if summed.n_temperatures:
        exact = int(summed.is_exact.sum())
        how = (
            f"by annealing in both directions, {summed.n_temperatures:,} temperatures at most"
            f" ({exact:,} of {len(rows):,} rows exactly)"
        )
    rests_on = f"{found.rests_on}; missing values were summed out {how}"
    is_bounded = math.isfinite(found.lower) and not reasons
    return replace(
        found,
        lower=found.lower + lower if is_bounded else -math.inf,
        upper=found.upper + upper,
        lower_std_error=math.hypot(found.lower_std_error, lower_error) if is_bounded else math.nan,
        upper_std_error=math.hypot(found.upper_std_error, upper_error),
        rows_std_error=values.mean(values.states)[1],
        reasons=reasons,
        rests_on=rests_on,
    )


@torch.no_grad()
def log_normalisers(
    rbm: RBM,
    rows: MaskedRows,
    *,
    n_chains: int = defaults.CONDITIONAL_CHAINS,
    n_temperatures: int = defaults.CONDITIONAL_TEMPERATURES,
    seed: int = defaults.SEED,
    first_round: int = 0,
) -> LogProbabilities:
    """Log of the sum of exp(-energy) over all that is not observed of each row, nats.

    Energies are those of the model in coordinates near zero (`Gauge`): only differences count.

    Parameters
    ----------
    rbm, rows
        The model, and rows of it.
    n_chains, n_temperatures, seed
        As for `conditional_log_probability`.
    first_round
        Number of the first round of annealing: other rounds have other random numbers.

    Raises
    ------
    TypeError, ValueError
        As `conditional_log_probability`.
    """
    check_n_chains(n_chains)
    check_count("n_temperatures", n_temperatures, 2)
    if not isinstance(rows.states, Tensor):
        raise no_tensor("states", rows.states)
    check_rbm("rbm", rbm)
    check_finite(rbm)
    check_normalisable(rbm)
    exact = ClampedRows.of(rbm, rows, torch.float64)
    lower = torch.zeros(len(exact), dtype=torch.float64, device=exact.states.device)
    bounds = [lower, *(torch.zeros_like(lower) for _ in range(3))]
    is_exact = torch.ones_like(lower, dtype=torch.bool)
    reasons: tuple[str, ...] = ()
    differ = torch.zeros_like(is_exact)
    most = 0
    for numbers, posterior in posteriors(exact):
        if posterior is not None:
            bounds[0][numbers] = bounds[1][numbers] = posterior.log_normalisers
            continue
        is_exact[numbers] = False
        # in float64: sums over all hidden units are large, and rows differ in the last digits
        for found in _annealed(exact, numbers, n_chains, n_temperatures, seed, first_round):
            most = max(most, found.n_temperatures)
            for bound, value in zip(bounds, found.bounds, strict=True):
                bound[found.rows] = value
            differ[found.rows] = found.differ
        reasons = _reasons(int(differ.sum()), len(numbers))
    low, high = torch.minimum(bounds[0], bounds[1]), torch.maximum(bounds[0], bounds[1])
    return LogProbabilities(low, high, bounds[2], bounds[3], is_exact, reasons, most)


@dataclass(frozen=True, eq=False)
class _Round:
    """Estimates of some rows: by annealing, by annealing back, and the standard error of each.

    ``differ`` tells the rows whose estimates exclude each other.
    """

    rows: Tensor
    differ: Tensor
    bounds: tuple[Tensor, Tensor, Tensor, Tensor]
    n_temperatures: int


def _annealed(
    clamped: ClampedRows, numbers: Tensor, n: int, most: int, seed: int, first_round: int
) -> Iterator[_Round]:
    """Anneal rows in both directions, longer those whose estimates differ."""
    n_temperatures = min(_FIRST_TEMPERATURES, most)
    left, number = numbers, first_round
    while True:
        apart = []
        for block in left.split(max(1, _CHAINS_AT_ONCE // n)):
            found = _both_ways(block, clamped.take(block), n, n_temperatures, seed, number)
            yield found
            apart.append(found.differ | ((found.bounds[1] - found.bounds[0]).abs() > _CLOSE))
            number += 1
        left = left[torch.cat(apart)]
        if not len(left) or n_temperatures == most:
            return
        n_temperatures = min(n_temperatures * _LONGER, most)


def _both_ways(
    rows: Tensor, clamped: ClampedRows, n: int, n_temperatures: int, seed: int, number: int
) -> _Round:
    """Log-normalisers by annealing, and by annealing back from two kinds of chains."""
    stream = Lane.CLAMPED.stream(seed, rank=number)
    chains = Completing.annealed(clamped, n, stream, n_temperatures)
    assert chains.log_normalisers is not None
    below, error_below = _log_mean(chains.log_normalisers)
    both = chains, Completing.scattered(clamped, max(2, n // 2), stream)
    n_records = max(_LEAST_SWEEPS, n_temperatures // 2) // SWEEPS_A_RECORD
    r_hat = r_hat_together(both, n_records, stream)
    back = [_log_mean(of.anneal_back(n_temperatures)) for of in both]
    (minus_above, error_above), (minus_other, error_other) = back
    slack = _N_ERRORS * (error_below.square() + error_above.square()).sqrt() + _CLOSE
    differ = below + minus_above > slack
    slack = _N_ERRORS * (error_above.square() + error_other.square()).sqrt() + _CLOSE
    differ |= r_hat > _STUCK
    differ |= (minus_above - minus_other).abs() > slack
    bounds = (below, -minus_above, error_below, error_above)
    return _Round(rows, differ, bounds, n_temperatures)


def _log_mean(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """Log of the mean weight of each row, and its standard error by the delta method."""
    n = log_weights.shape[1]
    weights = (log_weights - log_weights.amax(1, keepdim=True)).exp()
    error = weights.std(1) / weights.mean(1) / math.sqrt(n)
    return log_weights.logsumexp(1) - math.log(n), error


def _reasons(n_differ: int, n_rows: int) -> tuple[str, ...]:
    if n_differ <= _BY_CHANCE * n_rows:
        return ()
    return (
        f"for {n_differ:,} of {n_rows:,} rows, chains over what is missing that were annealed and "
        "chains that started elsewhere disagree: there are modes that some of them miss or do not "
        "leave; take more temperatures",
    )
