"""Results: estimates of log Z and of the log-likelihood, with error and direction of bias."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from harmonium.arguments import check_type
from harmonium.gauge import Gauge
from harmonium.metrics import interval
from harmonium.rbm import RBM, check_rbm

# With fewer effective chains than this, a standard error from the weights is only a guess.
FEWEST_EFFECTIVE_CHAINS = 20

_ROWS_AT_ONCE = 1000

Side = Literal["exact", "below", "above", "either"]


@dataclass(frozen=True, eq=False)
class LogZ:
    """Log of the partition function, nats, and what is known about its error.

    Attributes
    ----------
    value
        Log Z, nats.
    std_error
        Standard error of the value, nats; 0 if exact.
    errs
        The direction of bias: "below" if the value is too low on average, as in annealed importance
        sampling (which overestimates the log-likelihood); "above" for its reverse; "either" if the
        direction is unknown; or "exact".
    log_weights
        Log of each chain's importance weight, nats, float64 of shape (n_chains,). The mean weight
        estimates Z if the value errs below, and 1 / Z if it errs above. None if the value is exact
        or does not come from weights.
    """

    value: float
    std_error: float
    errs: Side
    log_weights: Tensor | None = field(default=None, repr=False)

    @classmethod
    def exact(cls, value: float) -> LogZ:
        """Make an exact value."""
        return cls(value, 0.0, "exact")

    @classmethod
    def from_log_weights(cls, log_weights: Tensor, errs: Literal["below", "above"]) -> LogZ:
        """Estimate from the log of the mean weight (negated if it estimates 1 / Z), with its error.

        Parameters
        ----------
        log_weights
            Log weights of 2 or more chains, nats, shape (n_chains,).
        errs
            "below" if the mean weight estimates Z, "above" if it estimates 1 / Z.

        Raises
        ------
        ValueError
            If there are fewer than 2 chains, or weights that are infinite or NaN.
        """
        if log_weights.dim() != 1 or len(log_weights) < 2:
            raise ValueError(
                f"log_weights have shape {tuple(log_weights.shape)}; pass those of 2 chains or "
                "more, because a standard error needs them"
            )
        if log_weights.isnan().any() or log_weights.max().isinf():
            dead = int((log_weights.isnan() | (log_weights == math.inf)).sum())
            raise ValueError(
                f"{dead} of {len(log_weights)} chains have died: a chain's weight is infinite or "
                "NaN, because the parameters are too large; take an earlier checkpoint, or "
                "train with a smaller learning rate"
            )
        log_weights = log_weights.double()
        log_mean = (log_weights.logsumexp(0) - math.log(len(log_weights))).item()
        value = log_mean if errs == "below" else -log_mean
        return cls(value, _std_error_of_log_mean(log_weights), errs, log_weights)

    def less(self, energy: float) -> LogZ:
        """The same estimate for a model whose energies are all higher by ``energy``, nats."""
        log_weights = self.log_weights
        if log_weights is not None:
            log_weights = log_weights - energy if self.errs == "below" else log_weights + energy
        return LogZ(self.value - energy, self.std_error, self.errs, log_weights)

    @property
    def n_chains(self) -> int:
        """Number of chains behind the estimate; 0 if exact."""
        return 0 if self.log_weights is None else len(self.log_weights)

    @property
    def effective_chains(self) -> float:
        """Effective sample size: chains of equal weight with the same error; infinite if exact.

        It is the square of the sum of weights divided by the sum of their squares (Kong, 1992).
        """
        if self.log_weights is None:
            return math.inf
        return (
            (2 * self.log_weights.logsumexp(0) - (2 * self.log_weights).logsumexp(0)).exp().item()
        )

    @property
    def warning(self) -> str | None:
        """Why the estimate must not be trusted, and what would help; None if it can be trusted.

        Weights reflect only what the chains have visited. A mode that all chains missed does not
        show in them; it shows in the opposite bound.
        """
        if self.effective_chains >= FEWEST_EFFECTIVE_CHAINS:
            return None
        return (
            f"only {self.effective_chains:.1f} of {self.n_chains} chains carry the estimate of "
            f"log Z, and it takes {FEWEST_EFFECTIVE_CHAINS} to trust it and its standard error; "
            "take more temperatures, then more chains"
        )

    def __str__(self) -> str:
        if self.errs == "exact":
            return f"{self.value:.4f} nats (exact)"
        if self.log_weights is None:
            return f"{self.value:.3f} ± {self.std_error:.3f} nats (errs {self.errs})"
        return (
            f"{self.value:.3f} ± {self.std_error:.3f} nats (errs {self.errs}; "
            f"{self.effective_chains:.0f} effective of {self.n_chains} chains)"
        )


@dataclass(frozen=True)
class LogLikelihood:
    """An interval for the mean log-likelihood of rows, nats per row.

    Free energies of rows are exact, so the whole interval comes from log Z. The upper bound always
    holds: the probability that annealed importance sampling overestimates log Z by b nats is below
    exp(-b). The lower bound holds if chains with different starts agree (see
    `harmonium.likelihood.evaluate`). If they do not, it is minus infinity, and `reasons` says why.

    Both ends are estimates with errors of their own. If they agree within their errors, they are a
    single number.

    Attributes
    ----------
    lower, upper
        Lower and upper bound of the mean over the rows, nats; ``lower`` is at most ``upper``.
    lower_std_error, upper_std_error
        Standard errors of the two for *these* rows, from the chains: 0 if exact, and NaN if there
        is no lower bound.
    rows_std_error
        Standard error of either end for the distribution that the rows were drawn from, nats.
    n_rows
        Number of rows averaged over.
    log_z
        The estimate behind the upper bound.
    reasons
        Why the interval must not be trusted; empty if it can be.
    rests_on
        The estimates of log Z behind it, their agreement and their length, in words.
    n_temperatures
        Inverse temperatures of the final annealing; 0 if the value is exact.
    effective_rows
        Effective number of rows, if they have weights: the mean is then the weighted one. None for
        rows that count alike.
    """

    lower: float
    upper: float
    lower_std_error: float
    upper_std_error: float
    rows_std_error: float
    n_rows: int
    log_z: LogZ
    reasons: tuple[str, ...] = ()
    rests_on: str = ""
    n_temperatures: int = 0
    effective_rows: float | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the value is exact."""
        return self.log_z.errs == "exact"

    @property
    def trusted(self) -> bool:
        """Whether no evidence against the interval was found."""
        return not self.reasons

    @property
    def warnings(self) -> tuple[str, ...]:
        """The older name of `reasons`."""
        return self.reasons

    @property
    def gap(self) -> float:
        """Upper minus lower bound, nats; infinite if there is no lower bound."""
        return self.upper - self.lower

    def covers(self, value: float, n_errors: float = 2.0) -> bool:
        """Whether a value lies in the interval widened by ``n_errors`` standard errors at each end.

        An exact value is compared to nine digits, to ignore rounding.
        """
        slack = 1e-9 * abs(value) if self.is_exact else 0.0
        above = (
            math.isinf(self.lower) or value >= self.lower - n_errors * self.lower_std_error - slack
        )
        return above and value <= self.upper + n_errors * self.upper_std_error + slack

    def __str__(self) -> str:
        if self.is_exact:
            return f"{self.lower:.3f} nats (exact)"
        ends = self.lower, self.lower_std_error, self.upper, self.upper_std_error
        return f"{interval(*ends)} nats"

    def per(self, n: int) -> str:
        """The same for each of ``n`` parts of a row, such as the sites of a sequence."""
        if self.is_exact:
            return f"{self.lower / n:.4f} nats (exact)"
        ends = self.lower, self.lower_std_error, self.upper, self.upper_std_error
        return f"{interval(*(end / n for end in ends))} nats"


@torch.no_grad()
def log_likelihood(rbm: RBM, v: Tensor, log_z: LogZ) -> Tensor:
    """Log-likelihood of each row given log Z, nats, float64 of shape (rows,).

    It errs in the opposite direction: if log Z errs below, this errs above.
    """
    check_rbm("rbm", rbm)
    rbm.visible.check_width(v, "visible")
    check_type("log_z", log_z, LogZ, "a LogZ, such as exact_log_z(rbm); a number is LogZ.exact(x)")
    gauge = Gauge.of(rbm, torch.float64)
    blocks = v.reshape(-1, v.shape[-1]).split(_ROWS_AT_ONCE)
    free_energy = torch.cat([gauge.rbm.free_energy(gauge.enter(rows).double()) for rows in blocks])
    return -free_energy.reshape(v.shape[:-1]) - (log_z.value + gauge.energy)


def _std_error_of_log_mean(log_weights: Tensor) -> float:
    """Standard error of the log mean weight by the delta method: std(w) / (sqrt(n) mean(w))."""
    weights = (log_weights - log_weights.max()).exp()
    return (weights.std() / weights.mean()).item() / math.sqrt(len(weights))
