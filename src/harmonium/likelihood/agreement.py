"""Check whether independent estimates of log Z agree, combine them, and explain disagreement.

There are three estimates. Annealing from independent units to the model errs below; annealing back
from samples of the model errs above; chains at several temperatures have no direction of bias. The
first starts at the base, the others also at rows and at random hidden states. If one of them cannot
reach a mode, they disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harmonium.likelihood.log_z import FEWEST_EFFECTIVE_CHAINS, LogZ
from harmonium.likelihood.tempered import TemperedLogZ
from harmonium.metrics import with_error

# Estimates that differ by more than this many joint standard errors do not agree, ...
_MOST_ERRORS = 3.0
# ... unless they differ by less than this, nats: then half of the difference widens the errors.
_SMALL = 0.15

# Least share of the tempered chains that must have come from the base since they started. The
# others may be stuck in the modes where they began, in the proportions of their starts. Any
# remaining effect shows in the estimates, which have to agree as well.
LEAST_RENEWED = 0.5

_MORE_TEMPERATURES = "pass more `n_temperatures`, or a larger `budget`"
_MIXING_MODEL = (
    ", or train a model that mixes: with a smaller `learning_rate`, with `method='pcd'`, or with "
    "`sampler='tempering'`"
)

# Errors are themselves estimated, from a few dozen chains and from uneven weights, and the error of
# the better of two estimates is more often too small than too large. This factor is a judgement,
# based on about fifty runs of models that can be enumerated.
_WIDER = 1.2
_LEAST_ERROR = 1e-3


@dataclass(frozen=True, eq=False)
class Estimates:
    """Three estimates of log Z, nats.

    Attributes
    ----------
    annealed
        Annealed importance sampling from the base to the model; errs below.
    reverse
        Annealing from samples of the tempered chains to the base; errs above. Its weights are
        averaged over each tempered chain.
    tempered
        Estimate from the exchanges of chains at several temperatures.
    n_temperatures
        Inverse temperatures of the annealing.
    """

    annealed: LogZ
    reverse: LogZ
    tempered: TemperedLogZ
    n_temperatures: int

    def reasons(self) -> tuple[str, ...]:
        """Why there is no lower bound, and finally what would help; empty if there is one."""
        found = [*self.against_each_other(), *self.against_tempering(), *self.against_annealing()]
        if not found:
            return ()
        remedy = _MORE_TEMPERATURES
        if any(self.against_each_other()) or any(self.against_tempering()):
            remedy += _MIXING_MODEL
        return (*found[:-1], f"{found[-1]}; {remedy}")

    def against_tempering(self) -> Iterator[str]:
        """Evidence that the tempered chains have not reached equilibrium."""
        tempered = self.tempered
        a, b, by, error = tempered.spread()
        if _differ(by, error):
            yield (
                f"tempered chains that started at {a} and at {b} differ by {abs(by):.1f} nats in "
                "log Z: the model has modes between which they do not move"
            )
        if tempered.renewed < LEAST_RENEWED:
            yield (
                f"{1 - tempered.renewed:.0%} of the tempered chains are still in modes where they "
                f"started, and no chain has come there from elsewhere in {tempered.n_sweeps:,} "
                "sweeps"
            )

    def against_annealing(self) -> Iterator[str]:
        """Evidence that the annealing is too fast for this model."""
        for name, log_z in (("annealed", self.annealed), ("reverse annealed", self.reverse)):
            if log_z.effective_chains < FEWEST_EFFECTIVE_CHAINS:
                yield (
                    f"only {log_z.effective_chains:.1f} of {log_z.n_chains} {name} chains carry "
                    f"the estimate of log Z, and it takes {FEWEST_EFFECTIVE_CHAINS} to trust it: "
                    f"{self.n_temperatures:,} temperatures are too few"
                )

    def against_each_other(self) -> Iterator[str]:
        """Evidence that one estimate misses modes that another has found."""
        for name, log_z in (("annealed", self.annealed), ("reverse annealed", self.reverse)):
            by = log_z.value - self.tempered.value
            if _differ(by, math.hypot(log_z.std_error, self.tempered.std_error)):
                yield (
                    f"the {name} chain and the tempered one differ by {abs(by):.1f} nats in log Z: "
                    "the model has modes that one of them does not reach"
                )
                return

    @property
    def in_order(self) -> bool:
        """Whether the tempered estimate lies between the annealed ones, which err to its sides."""
        return self.annealed.value <= self.tempered.value <= self.reverse.value

    def words(self) -> str:
        """Describe the estimates, their agreement, and their length."""
        tempered = self.tempered
        values = [self.annealed.value, self.reverse.value, tempered.value]
        return (
            f"log Z by annealing {with_error(self.annealed.value, self.annealed.std_error)}, back "
            f"from samples {with_error(self.reverse.value, self.reverse.std_error)}, and by "
            f"tempering {with_error(tempered.value, tempered.std_error)}: at most "
            f"{max(values) - min(values):.2f} nats apart with {self.n_temperatures:,} temperatures "
            f"({self.annealed.effective_chains:.0f} of {self.annealed.n_chains} chains effective), "
            f"and with {tempered.n_sweeps:,} sweeps of {tempered.n_chains} chains at "
            f"{tempered.n_temperatures} temperatures"
        )

    def ends(self) -> tuple[LogZ, LogZ]:
        """Log Z from below and from above; the same twice if both agree within their errors."""
        low, high = self.annealed, self.reverse
        gap = high.value - low.value
        if gap > 2 * math.hypot(low.std_error, high.std_error) and gap > _SMALL:
            return _wider(low), _wider(high)
        both = _wider(self.together())
        return both, both

    def together(self) -> LogZ:
        """Combine all: the mean of the annealed estimate and of the two from tempered chains.

        Those two use the same chains, so they count as one, with the smaller of their errors. The
        combined error is at least half of the range of the three, so that two errors cover them
        all.
        """
        three = self.annealed, self.reverse, self.tempered.log_z
        errors = [max(log_z.std_error, _LEAST_ERROR) for log_z in three]
        weights = [error**-2 for error in errors]
        of_both = sum(w * z.value for w, z in zip(weights[1:], three[1:], strict=True))
        of_both /= sum(weights[1:])
        most = max(weights[1:])
        value = (weights[0] * three[0].value + most * of_both) / (weights[0] + most)
        values = [log_z.value for log_z in three]
        error = max((weights[0] + most) ** -0.5, (max(values) - min(values)) / 2)
        return LogZ(value, error, "either", self.annealed.log_weights)


def _wider(log_z: LogZ) -> LogZ:
    return replace(log_z, std_error=_WIDER * log_z.std_error)


def _differ(by: float, error: float) -> bool:
    return abs(by) > max(_MOST_ERRORS * error, _SMALL)
