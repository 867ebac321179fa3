"""Turns measured numbers into advice in plain words; measures nothing itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from harmonium import defaults
from harmonium.diagnostics.chains import Mixing
from harmonium.diagnostics.hidden import HiddenUnits
from harmonium.diagnostics.moments import MomentDistance
from harmonium.diagnostics.overfitting import FreeEnergyGap

SLOW_SWEEPS = 2 * defaults.SAMPLE_WARMUP / math.log(100)
"""Autocorrelation time, in sweeps, above which chains count as slow: 434.

A correlation that decays as exp(-t / T) has the integrated time 2 T. Chains with this time forget
all but 1 % of where they started within the warm-up of `harmonium sample`, 1000 sweeps.
"""

LARGEST_R_HAT = 1.1
"""R-hat above which chains have not converged to each other (Gelman and Rubin, 1992).

For chains in equilibrium it is about sqrt(1 + T / n), with autocorrelation time T and n sweeps: 1.1
corresponds to T = n / 5. The 1.01 of Vehtari et al. (2021) is meant for four chains and needs 50
independent draws from each; here about a hundred chains are pooled.
"""

FEWEST_CHAINS = 10
"""Fewest persistent chains; below it the negative phase is a few states rather than a mean."""

CHAINS_PER_ROW = 0.1
"""Fewest chains per mini-batch row; at it, chains cause ten elevenths of the gradient's noise."""

ROWS_PER_HIDDEN = 1.0
"""Fewest rows per hidden unit; below it each row can occupy its own units."""

IDLE_SHARE = 0.1
"""Fraction of dead and saturated hidden units, or of duplicates, that is worth fixing."""

LARGEST_UPDATE_RATIO = 0.01
"""Ten times the ratio of updates to weights that Hinton (2010), section 7, advises: 1e-3."""

MEANS_APART = 0.2
"""Root mean square difference of means beyond noise, in standard deviations of the data."""

COVARIANCES_APART = 0.75
"""Root mean square difference of covariances beyond noise, as a fraction of their size.

A model without any correlation scores 1. A model above this threshold captures hardly any of the
data's correlations, or has many that the data lack.
"""

TOLD_APART = 0.75
"""Chance to tell a training row from a held-out one: halfway between guessing and certainty."""

SURE = 4.0
"""Standard errors at which a difference is significant, even after multiple comparisons."""


class Severity(StrEnum):
    """How serious a problem is."""

    SERIOUS = "serious"
    """The samples or the model cannot be taken at face value."""
    WORTH_A_LOOK = "worth a look"
    """Capacity or time is wasted, or the result could be better."""


@dataclass(frozen=True)
class Advice:
    """One problem, and what to do about it.

    Attributes
    ----------
    finding
        What was observed, with its number.
    reason
        What it means.
    remedy
        What to try, the most promising first. Options have their Python names, in backquotes.
    severity
        How serious it is.
    """

    finding: str
    reason: str
    remedy: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.finding}: {self.reason}. {self.remedy}."


@dataclass(frozen=True)
class Findings:
    """What was measured of a model, its chains and its training; None where not measured.

    Attributes
    ----------
    n_hidden
        Hidden units.
    n_rows
        Training rows.
    n_training_chains
        Persistent chains of the training; None without them.
    batch_size
        Rows of a mini-batch.
    update_ratio
        Size of the last recorded update divided by the size of the weights (`update_ratio`).
    mixing, moments, hidden, overfitting
        See their types.
    has_diverged
        Whether chains diverged, as they do if the model cannot be normalised.
    not_measured
        Reasons why something was not measured, by its name.
    has_grey_values
        Whether the data have values between the states of two-valued units, so that states can be
        redrawn in each epoch; None if unknown.
    """

    n_hidden: int
    n_rows: int
    n_training_chains: int | None
    batch_size: int | None
    update_ratio: float | None
    mixing: Mixing | None
    moments: MomentDistance | None
    hidden: HiddenUnits | None
    overfitting: FreeEnergyGap | None
    has_diverged: bool
    not_measured: dict[str, str]
    has_grey_values: bool | None = None


def advise(findings: Findings) -> list[Advice]:
    """List all problems that these numbers show, serious ones first; empty if there are none."""
    found = [
        *_divergence(findings),
        *_mixing(findings.mixing),
        *_moments(findings),
        *_hidden_units(findings.hidden),
        *_overfitting(findings),
        *_few_rows(findings),
        *_few_chains(findings),
        *_large_updates(findings),
    ]
    return sorted(found, key=lambda advice: list(Severity).index(advice.severity))


def _divergence(findings: Findings) -> Iterator[Advice]:
    if findings.has_diverged:
        yield Advice(
            "the chains leave all bounds",
            "the model cannot be normalised, so there is no distribution to sample from; this "
            "happens to layers of continuous units when the weights between them grow too large",
            "Take binary hidden units (`hidden_units='binary'`, or `Binary`), or train again with "
            "a smaller `learning_rate` and with `l2`",
            Severity.SERIOUS,
        )


def _mixing(mixing: Mixing | None) -> Iterator[Advice]:
    if mixing is None:
        return
    slowest = mixing.observables[mixing.slowest]
    apart = mixing.observables[mixing.most_apart].r_hat
    sweeps = f"{_two_digits(slowest.autocorrelation_time)} sweeps"
    if slowest.autocorrelation_time > SLOW_SWEEPS:
        least = "" if slowest.is_resolved else "at least "
        yield Advice(
            f"the chains' autocorrelation time is {least}{sweeps} (seen in "
            f"{_seen(mixing.slowest)})",
            "a chain stays in a few modes for that long: samples taken closer together are nearly "
            "the same sample, and chains run for less than several times as long still "
            f"show where they started (R-hat after {mixing.n_sweeps:,} sweeps: {_r_hat(apart)})",
            "Train with more `sweeps` per update or a lower `learning_rate`; sample by tempering "
            "(`sampler='tempering'`, or `Tempering`), or with a warm-up (`n_warmup`) of "
            f"{_two_digits(5 * slowest.autocorrelation_time)} sweeps and `sweeps_per_sample` of "
            f"{_two_digits(slowest.autocorrelation_time)}, or more",
            Severity.SERIOUS,
        )
    elif apart > LARGEST_R_HAT:
        yield Advice(
            f"the chains disagree about {_seen(mixing.most_apart)}: R-hat is {_r_hat(apart)}",
            f"after {mixing.n_warmup + mixing.n_sweeps:,} sweeps chains still show whether they "
            "started at data or at random, so neither group follows the model's distribution",
            f"Run longer (`n_sweeps={10 * (mixing.n_warmup + mixing.n_sweeps)}`); if that does "
            "not bring them together, sample by tempering (`sampler='tempering'`, or `Tempering`), "
            "or train again with more `sweeps` per update or a lower `learning_rate`",
            Severity.SERIOUS,
        )


def _moments(findings: Findings) -> Iterator[Advice]:
    if findings.moments is None:
        return
    means, covariances = findings.moments.means, findings.moments.covariances
    seen = []
    if means.excess > MEANS_APART:
        seen.append(f"means differ by {means.excess:.2f} standard deviations")
    if covariances is not None and covariances.excess > COVARIANCES_APART:
        seen.append(f"covariances by {_percent(covariances.excess)} of their size")
    if seen:
        yield Advice(
            f"the chains are unlike the data: {' and '.join(seen)}, sampling noise taken off",
            "training matches the moments of model and data, so either it is not finished or its "
            "chains did not follow the model's distribution",
            "Train longer; if that changes nothing, train with a lower `learning_rate` that "
            "falls (`schedule='linear'`), with more `sweeps` per update, or with more `hidden` "
            "units",
            Severity.SERIOUS,
        )


def _hidden_units(hidden: HiddenUnits | None) -> Iterator[Advice]:
    if hidden is None:
        return
    if hidden.idle_share > IDLE_SHARE:
        parts = [(hidden.n_dead, "off"), (hidden.n_saturated, "on")]
        states = " and ".join(f"{n:,} {state}" for n, state in parts if n)
        yield Advice(
            f"{_percent(hidden.idle_share)} of the hidden units never change: of {hidden.n:,}, "
            f"{states} whatever the row",
            "they carry no information; large updates pushed them so far that no gradient brings "
            "them back",
            "Train again with a lower `learning_rate`, the centred gradient "
            "(`gradient='centered'`), or a `sparsity_target`; or take fewer `hidden` units",
            Severity.WORTH_A_LOOK,
        )
    if hidden.n_duplicates > IDLE_SHARE * hidden.n:
        yield Advice(
            f"{hidden.n_duplicates:,} of {hidden.n:,} hidden units are copies of others, in their "
            "weights and in what they do",
            "they started alike and training did not separate them, or there are more units than "
            "the data have features for",
            "Start from random weights (`weight_std=0.01`, the default), take fewer `hidden` "
            "units, or train longer",
            Severity.WORTH_A_LOOK,
        )


def _overfitting(findings: Findings) -> Iterator[Advice]:
    gap = findings.overfitting
    if gap is None:
        return
    drawn = ""
    if findings.has_grey_values is not False:
        which = "" if findings.has_grey_values else ", for grey pictures,"
        drawn = f", or{which} states redrawn in every epoch (`binarize='stochastic'`)"
    is_sure = gap.told_apart - 0.5 > SURE * gap.told_apart_std_error
    if gap.told_apart > TOLD_APART and is_sure:
        yield Advice(
            f"the model knows its training rows: they are {-gap.gap:.1f} ± {gap.std_error:.1f} "
            f"nats more probable than held-out rows, and {_percent(gap.told_apart)} of pairs can "
            "be told apart",
            "it has learned rows by heart, and describes new rows worse than it could",
            "Stop earlier (`epochs`), or use fewer `hidden` units, more rows or weight decay "
            "(`l2=0.001`)" + drawn,
            Severity.SERIOUS,
        )


def _few_rows(findings: Findings) -> Iterator[Advice]:
    n_rows, n_hidden = findings.n_rows, findings.n_hidden
    if n_rows < ROWS_PER_HIDDEN * n_hidden:
        rows = "1 training row" if n_rows == 1 else f"{n_rows:,} training rows"
        yield Advice(
            f"there are {rows} for {n_hidden:,} hidden units",
            "each row can occupy its own units, so the model can memorise the rows instead of "
            "learning what they have in common",
            f"Get more rows, or take fewer than {n_rows:,} `hidden` units"
            if n_rows >= 10
            else "Get more rows",
            Severity.SERIOUS,
        )


def _few_chains(findings: Findings) -> Iterator[Advice]:
    n, batch_size = findings.n_training_chains, findings.batch_size
    if n is None:
        return
    if n < FEWEST_CHAINS or (batch_size is not None and n < CHAINS_PER_ROW * batch_size):
        chains = "one persistent chain" if n == 1 else f"{n:,} persistent chains"
        yield Advice(
            f"the model was trained with {chains}"
            + (f" for mini-batches of {batch_size:,} rows" if batch_size is not None else ""),
            "the negative phase averages over so few states that most of each update is noise, "
            "and modes without a chain in them were never corrected",
            f"Train with more `chains`: {max(100, batch_size or 0):,}, or as many as the "
            "mini-batch has rows",
            Severity.SERIOUS,
        )


def _large_updates(findings: Findings) -> Iterator[Advice]:
    ratio = findings.update_ratio
    if ratio is not None and ratio > LARGEST_UPDATE_RATIO:
        yield Advice(
            f"an update still changed the weights by {100 * ratio:.1f} % of their size when "
            "training ended",
            "a single mini-batch changes the model that much; about 0.1 % is healthy",
            "Let the rate fall to zero (`schedule='linear'`), take a lower `learning_rate`, or "
            "keep an average of the parameters (`average=0.999`)",
            Severity.WORTH_A_LOOK,
        )


def _seen(observable: str) -> str:
    """Name an observable of `Recording.series` within a sentence."""
    return f"{observable} of the weights" if "direction" in observable else f"their {observable}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _r_hat(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "infinite"


def _two_digits(value: float) -> str:
    """Format a positive number with two significant digits: 4,200 or 87 or 3.1."""
    if value < 10:
        return f"{value:.1f}"
    place = 10 ** (math.floor(math.log10(value)) - 1)
    return f"{round(value / place) * place:,}"
