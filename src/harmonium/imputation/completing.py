"""Completions of rows: their means, their likeliest states, and draws given what is observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_type
from harmonium.datasets import MaskedRows
from harmonium.imputation.chains import Completing
from harmonium.imputation.clamped import ClampedRows
from harmonium.imputation.exact import posteriors
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.units import Units

MIXED = 1.05
"""Largest split R-hat of the chains of a row that count as mixed (Vehtari et al., 2021: 1.01 for
four long chains; here a row has many short ones, whose R-hat varies by chance)."""

_FIRST_SWEEPS = 64
_CHAINS_AT_ONCE = 2048
SWEEPS_A_RECORD = 2
"""Sweeps between two records of chains that are compared."""

# One chain that starts elsewhere to so many that are annealed; it gives no draws.
_SCATTERED = 5

# Beside their log-probability, chains are compared by sums of their states along so many random
# directions: modes that are equally probable differ in these.
_DIRECTIONS = 3


@dataclass(frozen=True, eq=False)
class CompletedRows:
    """Rows completed by a model.

    Attributes
    ----------
    means : Tensor, float64, shape (rows, n_columns)
        Mean states given what is observed; observed columns are as they are.
    best : Tensor, shape (rows, n_columns)
        One good value for each unit: the likeliest state of two-valued and categorical units, the
        nearest whole number to the mean of counts, the mean of others.
    draws : Tensor, shape (rows, n_draws, n_columns)
        Draws of all missing columns together, given what is observed.
    is_exact : Tensor, bool, shape (rows,)
        Rows whose means are exact and whose draws are independent.
    r_hat : Tensor, float64, shape (rows,)
        Largest split R-hat of the chains of the others, of their log-probability and of their
        states along three random directions; 1 where exact.
    sweeps
        Most sweeps that a chain made; 0 if all rows are exact.
    """

    means: Tensor
    best: Tensor
    draws: Tensor
    is_exact: Tensor
    r_hat: Tensor
    sweeps: int

    @property
    def unmixed(self) -> Tensor:
        """Numbers of rows whose chains disagree, so that their draws may miss some modes."""
        return (self.r_hat > MIXED).nonzero()[:, 0]


@torch.no_grad()
def complete_rows(
    rbm: RBM,
    rows: MaskedRows,
    n_draws: int = defaults.IMPUTATION_DRAWS,
    sweeps: int | None = None,
    stream: Stream | None = None,
) -> CompletedRows:
    """Complete rows given what is observed of them.

    Draws are exact and independent where the missing units, or the hidden ones, can be enumerated,
    or all are Gaussian. Else they are the last states of chains, one for each draw: annealed from
    independent units to the row's clamped model, followed by block Gibbs sweeps with observed
    columns held. Some more chains, which start at scattered states, have to agree with them. Means
    are then averages over the second half of the annealed chains, given their hidden states.

    Parameters
    ----------
    rbm
        The model.
    rows
        States, and which are observed.
    n_draws
        Draws of each row, which are also the chains of a row.
    sweeps
        Sweeps of each chain, half of them annealing; None makes 64, and doubles them for the rows
        whose chains have not mixed, up to 1,024.
    stream
        Random numbers; None for those of seed 0.

    Raises
    ------
    TypeError, ValueError
        If rows do not fit the model, or numbers are too small.
    """
    check_count("n_draws", n_draws)
    if sweeps is not None:
        check_count("sweeps", sweeps, 16)
    if stream is None:
        stream = Lane.IMPUTED.stream(defaults.SEED)
    check_type("stream", stream, Stream, "Stream(seed, Purpose.SAMPLE), from harmonium.rng")
    exact = ClampedRows.of(rbm, rows, torch.float64)
    own = ClampedRows.of(rbm, rows)
    n, n_columns = own.states.shape
    means = torch.zeros(n, n_columns, dtype=torch.float64, device=own.states.device)
    draws = own.states.new_zeros(n, n_draws, n_columns)
    r_hat = torch.ones(n, dtype=torch.float64, device=own.states.device)
    is_exact = torch.ones_like(r_hat, dtype=torch.bool)
    most = 0
    for numbers, posterior in posteriors(exact):
        if posterior is not None:
            means[numbers] = exact.leave(posterior.means())
            draws[numbers] = exact.leave(posterior.draws(n_draws, stream)).to(draws)
            continue
        is_exact[numbers] = False
        for block in numbers.split(max(1, _CHAINS_AT_ONCE // n_draws)):
            found = _sampled(own.take(block), n_draws, sweeps, stream)
            means[block] = own.leave(found.means)
            draws[block] = own.leave(found.draws)
            r_hat[block], most = found.r_hat, max(most, found.sweeps)
    given = rows.states.to(means)
    observed = own.observed
    means = torch.where(observed, given, means)
    draws = torch.where(observed.unsqueeze(1), given.to(draws).unsqueeze(1), draws)
    return CompletedRows(means, _best(rbm.visible, means, observed), draws, is_exact, r_hat, most)


@dataclass(frozen=True, eq=False)
class _Sampled:
    means: Tensor
    draws: Tensor
    r_hat: Tensor
    sweeps: int


def _sampled(clamped: ClampedRows, n: int, sweeps: int | None, stream: Stream) -> _Sampled:
    half = (_FIRST_SWEEPS if sweeps is None else sweeps) // 2
    most = defaults.IMPUTATION_SWEEPS if sweeps is None else sweeps
    chains = Completing.annealed(clamped, n, stream, half)
    others = Completing.scattered(clamped, max(2, n // _SCATTERED), stream)
    means = torch.empty_like(clamped.states, dtype=torch.float64)
    draws = clamped.states.new_empty(len(clamped), n, clamped.states.shape[1])
    r_hat = torch.empty(len(clamped), dtype=torch.float64, device=means.device)
    left = torch.arange(len(clamped), device=means.device)
    done = half
    while True:
        n_records = max(4, half // SWEEPS_A_RECORD)
        total = torch.zeros(len(left), means.shape[1]).to(means)
        found = r_hat_together((chains, others), n_records, stream, total)
        done += half
        means[left], r_hat[left] = total / n_records, found
        draws[left] = chains.visible
        unmixed = (found > MIXED).nonzero()[:, 0]
        if done * 2 > most or not len(unmixed):
            return _Sampled(means, draws, r_hat, done)
        left, half = left[unmixed], done
        chains.keep(unmixed)
        others.keep(unmixed)


def r_hat_together(
    sets: Sequence[Completing], n_records: int, stream: Stream, sums: Tensor | None = None
) -> Tensor:
    """Move several sets of chains of the same rows, and compare all of them.

    Parameters
    ----------
    sets
        Chains; they move by `SWEEPS_A_RECORD` sweeps for each record.
    n_records
        4 or more.
    stream
        Random numbers for the directions along which states are compared.
    sums
        The means of the first set at each record are added to it, shape (rows, n_columns).

    Returns
    -------
    Tensor
        Largest split R-hat of each row, of log-probability and directions, float64, shape (rows,).
    """
    like = sets[0].chains.visible
    drawn = kernels.normal((like.shape[1], _DIRECTIONS), stream, device=like.device)
    directions, series = drawn.to(like), []
    for _ in range(n_records):
        for of in sets:
            of.sweep(SWEEPS_A_RECORD)
        series.append(torch.cat([of.observables(directions) for of in sets], 2))
        if sums is not None:
            sums += sets[0].means()
    records = torch.stack(series, 3)
    return split_r_hat(records.flatten(0, 1)).view(len(records), -1).amax(1)


def split_r_hat(series: Tensor) -> Tensor:
    """Split R-hat of many groups of chains (Gelman et al., 2013, equation 11.4), shape (groups,).

    `diagnostics.r_hat` is that of one group, with ranks, which takes longer.

    Parameters
    ----------
    series
        Shape (groups, chains, records), 4 records or more.
    """
    half = series.shape[2] // 2
    split = torch.cat([series[..., :half], series[..., -half:]], 1)
    within = split.var(2).mean(1)
    between = half * split.mean(2).var(1)
    found = (((half - 1) * within + between) / (half * within)).sqrt()
    # chains that never move agree only if all are in one place
    still = torch.where(between == 0, 1.0, torch.inf).to(found)
    return torch.where(within == 0, still, found)


def _best(visible: Units, means: Tensor, observed: Tensor) -> Tensor:
    """Likeliest states of two-valued and categorical units, whole numbers for counts."""
    best = means.clone()
    for columns, units in visible.groups:
        own = means[:, columns]
        if units.is_one_hot:
            by_unit = own.unflatten(1, (units.n, units.width))
            chosen = torch.nn.functional.one_hot(by_unit.argmax(2), units.width)
            best[:, columns] = chosen.flatten(1).to(best)
        elif units.states is not None and len(units.states) == 2:
            low, high = units.states[:, 0].to(best)
            best[:, columns] = torch.where(own > (low + high) / 2, high, low)
        elif units.states is not None or units.is_count:
            best[:, columns] = own.round()
    return torch.where(observed, means, best)
