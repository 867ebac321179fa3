"""The difference in log-likelihood between two models on the same rows, with its interval."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from torch import Tensor

from harmonium import defaults
from harmonium.datasets import WeightedRows
from harmonium.likelihood.computation import Computation
from harmonium.likelihood.evaluation import Evaluation, evaluate
from harmonium.likelihood.log_z import LogLikelihood, LogZ, log_likelihood
from harmonium.metrics import interval
from harmonium.rbm import RBM, HasMoments, check_rbm


@dataclass(frozen=True)
class Difference:
    """Mean log-likelihood of rows under model a minus that under model b, nats per row.

    It is ``mean(F_b - F_a) - (log Z_a - log Z_b)``. The free energies F of the rows are exact, so
    for *these* rows all error comes from the two log Z. For the distribution that the rows were
    drawn from, sampling noise of the rows adds to it. Most of that noise cancels because both
    models see the same rows; what remains is the variation of ``F_b - F_a`` from row to row.

    Attributes
    ----------
    lower, upper
        Lower and upper bound for these rows, nats. They are equal if both log-likelihoods are
        single numbers, and infinite if a model has no lower bound.
    lower_std_error, upper_std_error
        Standard errors of the two bounds for these rows, from both log Z: 0 if exact, NaN if there
        is no bound.
    rows_std_error
        Standard error of either bound for other rows from the same distribution, nats; NaN for one
        row.
    n_rows
        Number of rows averaged over.
    a, b
        The log-likelihoods under both models.
    """

    lower: float
    upper: float
    lower_std_error: float
    upper_std_error: float
    rows_std_error: float
    n_rows: int
    a: LogLikelihood
    b: LogLikelihood

    @classmethod
    def of(
        cls,
        a: LogLikelihood,
        b: LogLikelihood,
        differences: Tensor,
        rows: WeightedRows | None = None,
    ) -> Difference:
        """Compute the difference of two log-likelihoods of the same rows.

        Parameters
        ----------
        a, b
            Results of `evaluate` for both models.
        differences
            ``F_b - F_a`` of each row, shape (n_rows,).
        rows
            The rows, if they have weights.

        Raises
        ------
        ValueError
            If the three have different numbers of rows.
        """
        n = len(differences)
        if not n == a.n_rows == b.n_rows:
            raise ValueError(
                f"the log-likelihoods are of {a.n_rows} and {b.n_rows} rows, and there are {n} "
                "differences; pass three of the same rows"
            )
        return cls(
            lower=a.lower - b.upper,
            upper=a.upper - b.lower,
            lower_std_error=math.hypot(a.lower_std_error, b.upper_std_error),
            upper_std_error=math.hypot(a.upper_std_error, b.lower_std_error),
            rows_std_error=(rows or WeightedRows(differences)).mean(differences)[1],
            n_rows=n,
            a=a,
            b=b,
        )

    @property
    def is_exact(self) -> bool:
        """Whether both log Z are exact."""
        return self.a.is_exact and self.b.is_exact

    @property
    def trusted(self) -> bool:
        """Whether no evidence against the interval was found."""
        return self.a.trusted and self.b.trusted

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the interval must not be trusted; empty if it can be."""
        return tuple(
            f"{name}: {reason}"
            for name, found in (("a", self.a), ("b", self.b))
            for reason in found.reasons
        )

    def covers(self, value: float, n_errors: float = 2.0, *, of_rows: bool = False) -> bool:
        """Whether a difference lies in the interval widened by ``n_errors`` standard errors.

        Parameters
        ----------
        value
            Difference, nats per row.
        n_errors
            Number of standard errors at each end.
        of_rows
            Whether the value is for other rows from the same distribution, so that their noise
            counts.
        """
        rows = self.rows_std_error if of_rows else 0.0
        ends = ((self.lower, self.lower_std_error, 1), (self.upper, self.upper_std_error, -1))
        slack = 1e-9 * (abs(self.a.upper) + abs(self.b.upper))
        return all(
            math.isinf(end) or sign * (value - end) >= -n_errors * math.hypot(error, rows) - slack
            for end, error, sign in ends
        )

    def __str__(self) -> str:
        rows = ""
        if not math.isnan(self.rows_std_error):
            rows = f" (with other rows of their kind: ± {self.rows_std_error:.2g})"
        if self.is_exact:
            return f"{self.lower:+.3f} nats a row (exact){rows}"
        if math.isinf(self.lower) and math.isinf(self.upper):
            return "not known, because neither log-likelihood has a lower bound"
        ends = self.lower, self.lower_std_error, self.upper, self.upper_std_error
        return f"{interval(*ends)} nats a row{rows}"


def compare(
    a: RBM,
    b: RBM,
    v: Tensor | WeightedRows,
    data: Tensor | HasMoments,
    *,
    n_chains: int = defaults.LIKELIHOOD_CHAINS,
    n_temperatures: int = defaults.LIKELIHOOD_TEMPERATURES,
    seed: int = defaults.SEED,
    budget: float | None = None,
) -> Computation[Difference]:
    """How much higher the mean log-likelihood of rows is under ``a`` than ``b``, nats per row.

    Parameters
    ----------
    a, b
        Models with the same visible units; hidden units may differ.
    v, data, n_chains, n_temperatures, seed
        As for `evaluate`.
    budget
        Seconds to spend on both models together; None for as long as `evaluate` takes.

    Returns
    -------
    Computation
        Iterate over it, or ask for its ``result()``.

    Raises
    ------
    ValueError
        If the visible units differ; and as `evaluate` does.
    """
    check_rbm("a", a)
    check_rbm("b", b)
    if a.visible.kinds != b.visible.kinds:
        raise ValueError(
            f"a has the visible units {a.visible!r}, and b {b.visible!r}: the same rows are "
            "different states for them, so that their nats cannot be compared; pass models of the "
            "same visible units"
        )
    both = [
        evaluate(
            rbm,
            v,
            data,
            n_chains=n_chains,
            n_temperatures=n_temperatures,
            seed=seed,
            budget=None if budget is None else budget / 2,
        )
        for rbm in (a, b)
    ]
    return Computation(sum(one.n_steps for one in both), _compared(a, b, v, both))


def _compared(
    a: RBM, b: RBM, v: Tensor | WeightedRows, both: list[Evaluation]
) -> Generator[int, None, Difference]:
    before = 0
    for one in both:
        for done in one:
            yield before + done
        before += one.n_steps
    rows = WeightedRows.of(v)
    of_a, of_b = (log_likelihood(rbm, rows.states, LogZ.exact(0.0)).cpu() for rbm in (a, b))
    return Difference.of(both[0].result(), both[1].result(), of_a - of_b, rows)
