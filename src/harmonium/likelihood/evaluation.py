"""The log-likelihood of rows: exact if that is cheap, else an interval with a validity check.

Three independent estimates of log Z have to agree (`agreement`). Until they do, annealing and
tempering are lengthened, up to the limit of temperatures or the budget.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from harmonium import defaults, ranks
from harmonium.arguments import check_count, check_number
from harmonium.datasets import WeightedRows
from harmonium.gauge import Gauge
from harmonium.likelihood.agreement import LEAST_RENEWED, Estimates
from harmonium.likelihood.checks import check_finite, check_n_chains, check_states
from harmonium.likelihood.computation import Computation
from harmonium.likelihood.exact import (
    can_be_enumerated,
    check_normalisable,
    exact_log_z,
    seconds_to_enumerate,
)
from harmonium.likelihood.log_z import LogLikelihood, LogZ, log_likelihood
from harmonium.likelihood.work import Work
from harmonium.rbm import RBM, HasMoments, check_rbm

# Initial lengths of annealing and tempering, and the factors that lengthen them.
_FIRST_TEMPERATURES, _FIRST_SWEEPS = 2500, 500
_LONGER, _MORE_SWEEPS = 4, 2

# Annealing temperatures per sweep of the tempered chains, which covers all their temperatures.
_TEMPERATURES_A_SWEEP = 5

# Standard errors at which to stop, nats: without a budget, and with one.
_GOOD_ERROR, _BEST_ERROR = 0.2, 0.01

# Chains count as stuck if a stage of twice the length frees no more of them than this share.
_PROGRESS = 0.02

_STEPS = 1000  # of progress


class Evaluation(Computation[LogLikelihood]):
    """A computation of a log-likelihood that can be inspected while it runs.

    A step is a thousandth of the most work that may be needed, or of the budget.

    Attributes
    ----------
    work
        Estimates of log Z so far, which can be continued; None if the value is exact.
    """

    def __init__(
        self,
        n_steps: int,
        steps: Generator[int, None, LogLikelihood],
        of_rows: _OfRows,
        work: Work | None = None,
    ) -> None:
        super().__init__(n_steps, steps)
        self._of_rows, self.work = of_rows, work

    @property
    def so_far(self) -> LogLikelihood | None:
        """The current interval; None before there is one."""
        if self.work is None or self.work.estimates is None:
            return None
        return _interval(self.work.estimates, self._of_rows)


def evaluate(
    rbm: RBM,
    v: Tensor | WeightedRows,
    data: Tensor | HasMoments,
    *,
    n_chains: int = defaults.LIKELIHOOD_CHAINS,
    n_temperatures: int = defaults.LIKELIHOOD_TEMPERATURES,
    seed: int = defaults.SEED,
    budget: float | None = None,
    work: Work | None = None,
) -> Evaluation:
    """Mean log-likelihood of rows, nats per row: exact, or an interval with a validity check.

    The value is exact for models whose smaller layer has at most `MAX_STATES` states (25 binary
    units) and for pairs of Gaussian layers, if the budget allows it. Other models are estimated
    with `estimate`; parameters and errors are the same.
    """
    check_rbm("rbm", rbm)
    _check_options(n_chains, n_temperatures, budget)
    in_time = budget is None or seconds_to_enumerate(rbm) <= budget
    if work is None and in_time and can_be_enumerated(rbm):
        rows = WeightedRows.of(v)
        of_rows = _OfRows(rows, _minus_free_energies(rbm, rows.states))
        return Evaluation(1, _exact(rbm, rows), of_rows)
    return estimate(
        rbm,
        v,
        data,
        n_chains=n_chains,
        n_temperatures=n_temperatures,
        seed=seed,
        budget=budget,
        work=work,
    )


def estimate(
    rbm: RBM,
    v: Tensor | WeightedRows,
    data: Tensor | HasMoments,
    *,
    n_chains: int = defaults.LIKELIHOOD_CHAINS,
    n_temperatures: int = defaults.LIKELIHOOD_TEMPERATURES,
    seed: int = defaults.SEED,
    budget: float | None = None,
    work: Work | None = None,
) -> Evaluation:
    """As `evaluate`, but always by sampling, however small the model is.

    Free energies of rows are exact, so only log Z is estimated, in three ways. Annealed importance
    sampling errs below, which gives the upper bound; it holds for any model. The lower bound comes
    from reverse annealing, which errs above provided that it starts at samples of the model. These
    samples come from chains at several temperatures, whose exchanges give the third estimate. The
    chains start at base rates, at rows, and at random hidden states. There is no lower bound if
    these three groups differ, if chains never leave their start, if few chains carry the weight, or
    if the three estimates disagree; the result then says why.

    Parameters
    ----------
    rbm
        The model.
    v
        Test rows, shape (rows, visible.n_columns), states of the visible units; with weights, the
        mean is the weighted one. Chains start at any of them alike.
    data
        Training rows or their moments, for the base of the annealing. Rows are also used as starts
        of chains.
    n_chains
        Annealing chains in each direction, 2 or more.
    n_temperatures
        Most inverse temperatures of the annealing. It starts with fewer, and is lengthened until
        the estimates agree and the standard error is 0.2 nats. With a budget, the budget is the
        limit instead.
    seed
        Seed of temperatures, chains and starts.
    budget
        Seconds to spend at most; stops earlier at a standard error of 0.01 nats.
    work
        `Evaluation.work` of an earlier evaluation of the same model, data and seed, to continue
        from.

    Returns
    -------
    Evaluation
        Iterate over it, or ask for its ``result()``.

    Raises
    ------
    ValueError
        If there are too few chains or temperatures, if the budget is not positive, or if the rows,
        the data or the model cannot be used; raised before anything is annealed. Also if the budget
        is too small or energies overflow, as soon as that is detected.
    """
    rows = WeightedRows.of(v)
    of_rows = _OfRows(rows, _minus_free_energies(rbm, rows.states))
    _check_options(n_chains, n_temperatures, budget)
    if work is None:
        work = Work(rbm, rows.states, data, n_chains, n_temperatures, seed)
    limit = _Limit(n_temperatures, budget)
    return Evaluation(_STEPS, _estimates(work, of_rows, limit), of_rows, work)


def _check_options(n_chains: int, n_temperatures: int, budget: float | None) -> None:
    check_count("n_temperatures", n_temperatures, 2)
    check_n_chains(n_chains)
    if budget is not None:
        check_number("budget", budget, "seconds, such as 600, or None")
        if not 0 < budget < math.inf:
            raise ValueError(f"the budget is {budget:g} seconds; pass a positive number")


@dataclass(frozen=True)
class _OfRows:
    """Rows, and their log-likelihoods but for log Z, nats, float64."""

    rows: WeightedRows
    values: Tensor

    @property
    def mean(self) -> float:
        return self.rows.mean(self.values)[0]

    @property
    def numbers(self) -> dict[str, Any]:
        """What a `LogLikelihood` says of its rows."""
        return {
            "rows_std_error": self.rows.mean(self.values)[1],
            "n_rows": len(self.rows),
            "effective_rows": None if self.rows.weights is None else self.rows.effective,
        }


def _exact(rbm: RBM, rows: WeightedRows) -> Generator[int, None, LogLikelihood]:
    gauge = Gauge.of(rbm, torch.float64)  # removes the constant shared by free energies and log Z
    log_z = exact_log_z(gauge.rbm)
    yield 1
    of_rows = _OfRows(rows, log_likelihood(gauge.rbm, gauge.enter(rows.states), log_z))
    return LogLikelihood(
        lower=of_rows.mean,
        upper=of_rows.mean,
        lower_std_error=0.0,
        upper_std_error=0.0,
        **of_rows.numbers,
        log_z=log_z.less(gauge.energy),
        rests_on="all states of the smaller layer were summed over",
    )


class _Limit:
    """The limit of an evaluation: a number of temperatures, or a budget of seconds."""

    def __init__(self, n_temperatures: int, budget: float | None) -> None:
        self.budget = budget
        self.good_error = _GOOD_ERROR if budget is None else _BEST_ERROR
        self._most = n_temperatures if budget is None else 2**30
        self._began = time.monotonic()

    def begin(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    @property
    def first_temperatures(self) -> int:
        return min(self._most, _FIRST_TEMPERATURES)

    def temperatures(self, work: Work) -> int:
        """Temperatures of the next annealing; the same as before if no more are allowed."""
        longer = round(work.n_temperatures * _LONGER)
        if longer > self._most / 1.5:  # avoids a short last step
            longer = max(self._most, work.n_temperatures)
        return self._affordable(work, work.cost_of_annealing(1), longer, work.n_temperatures)

    def sweeps(self, work: Work) -> int:
        """Sweeps of the next stage of tempering; 0 if none is allowed."""
        more = work.n_sweeps * _MORE_SWEEPS
        if self.budget is None and more > max(self._most // _TEMPERATURES_A_SWEEP, _FIRST_SWEEPS):
            return 0
        again = work.cost_of_annealing(work.n_temperatures) // 2  # from the new samples
        cost = work.cost_of_tempering(1) + again // max(1, more)
        return self._affordable(work, cost, more, 0)

    def _affordable(self, work: Work, cost: int, wanted: int, least: int) -> int:
        """As many as wanted, or as time allows if that is worthwhile; else ``least``."""
        if self.budget is None:
            return wanted
        left = self.budget - self._spent
        n = min(wanted, int(left / (cost * ranks.of_first(work.seconds_a_step))))
        return n if n > 1.25 * least else least

    @property
    def _spent(self) -> float:
        return ranks.of_first(time.monotonic() - self._began)

    def check(self, work: Work, steps: int) -> None:
        """Refuse a budget too small for the shortest evaluation, which takes ``steps`` steps."""
        if self.budget is None:
            return
        spent = self._spent
        if spent < self.budget / 4:  # the rate of the first steps is unreliable
            return
        needed = spent + (steps - work.steps) * ranks.of_first(work.seconds_a_step)
        if needed > self.budget:
            raise ValueError(
                f"the budget is {self.budget:.3g} seconds, and the shortest evaluation of this "
                f"model takes about {math.ceil(1.5 * needed)}; pass more"
            )

    def share(self, work: Work) -> float:
        """Fraction of the limit that has been used."""
        if self.budget is not None:
            return (time.monotonic() - self._began) / self.budget
        sweeps = _FIRST_SWEEPS + 2 * self._most // _TEMPERATURES_A_SWEEP
        anneal = work.cost_of_annealing(self._most) / (1 - 1 / _LONGER)
        return work.steps / (work.cost_of_tempering(sweeps) + anneal)


def _estimates(work: Work, of_rows: _OfRows, limit: _Limit) -> Generator[int, None, LogLikelihood]:
    limit.begin()
    done = 0
    for _ in _rounds(work, limit):
        now = min(int(_STEPS * limit.share(work)), _STEPS - 1)
        if now > done:
            done = now
            yield done
    yield _STEPS
    assert work.estimates is not None
    return _interval(work.estimates, of_rows)


def _rounds(work: Work, limit: _Limit) -> Iterator[int]:
    """Temper and anneal, longer each time, until the estimates agree or the limit is reached."""
    if work.estimates is None:
        least = work.cost_of_tempering(_FIRST_SWEEPS)
        least += work.cost_of_annealing(limit.first_temperatures)
        for step in chain(work.temper(_FIRST_SWEEPS), work.anneal(limit.first_temperatures)):
            yield step
            limit.check(work, least)
    renewed = -1.0
    while True:
        assert work.estimates is not None
        can_anneal = limit.temperatures(work) > work.n_temperatures
        temper, anneal = _needed(work.estimates, limit.good_error, can_anneal)
        if not (temper or anneal):
            return
        sweeps = limit.sweeps(work) if temper else 0
        if sweeps:
            before, renewed = renewed, work.estimates.tempered.renewed
            if limit.budget is None and renewed < min(before + _PROGRESS, LEAST_RENEWED):
                return  # twice as many sweeps have freed no chain from its mode
            yield from work.temper(sweeps)
        n_temperatures = limit.temperatures(work) if anneal else work.n_temperatures
        if not sweeps and n_temperatures == work.n_temperatures:
            return
        yield from work.anneal(n_temperatures)


def _needed(found: Estimates, good_error: float, can_anneal: bool) -> tuple[bool, bool]:
    """Whether to temper longer, and whether to anneal longer.

    Annealing that is too short errs below, and above on the way back: that alone says nothing
    against the tempered chains.
    """
    differ = any(found.against_each_other())
    temper = any(found.against_tempering()) or (differ and not (can_anneal and found.in_order))
    anneal = differ or any(found.against_annealing())
    if temper or anneal:
        return temper, anneal
    low, high = found.ends()
    if low is not high:
        return False, True
    if low.std_error <= good_error:
        return False, False
    temper = found.tempered.std_error > found.annealed.std_error
    return temper, not temper


def _interval(found: Estimates, of_rows: _OfRows) -> LogLikelihood:
    reasons = found.reasons()
    low, high = (found.annealed, None) if reasons else found.ends()
    mean = of_rows.mean
    return LogLikelihood(
        lower=-math.inf if high is None else mean - high.value,
        upper=mean - low.value,
        lower_std_error=math.nan if high is None else high.std_error,
        upper_std_error=low.std_error,
        **of_rows.numbers,
        log_z=low,
        reasons=reasons,
        rests_on=found.words(),
        n_temperatures=found.n_temperatures,
    )


@torch.no_grad()
def _minus_free_energies(rbm: RBM, v: Tensor) -> Tensor:
    """Minus the free energy of each row, nats, float64: its log-likelihood plus log Z.

    Raises
    ------
    ValueError
        If no likelihood is defined for the rows or the model, or a row has probability 0.
    """
    check_states(rbm, v)
    check_finite(rbm)
    check_normalisable(rbm)
    values = log_likelihood(rbm, v, LogZ.exact(0.0)).cpu()
    impossible = values.isfinite().logical_not().nonzero()[:, 0]
    if len(impossible):
        raise ValueError(
            f"the model gives {len(impossible)} of {len(values)} rows the probability 0 (the first "
            f"is row {int(impossible[0])}, counted from 0): their free energies overflow, and the "
            "mean log-likelihood is minus infinity; leave these rows out, or, where the parameters "
            "have grown too large, take an earlier checkpoint"
        )
    return values
