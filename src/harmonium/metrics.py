"""Names of a run's numbers, how they are formatted, and which are plotted together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

WARNING = "log_likelihood_warning"
"""Key of the warning in a row whose log-likelihood must not be trusted; absent otherwise."""

FOLLOWED = ("log_likelihood", "held_out_log_likelihood")
"""The numbers that such a warning is about."""

MEASURES: Mapping[str, str] = {
    "rows": "rows",
    "adversarial_accuracy": "adversarial accuracy (0.5 is best)",
    "adversarial_accuracy_std_error": "  its standard error",
    "adversarial_accuracy_truth": "  of training rows",
    "adversarial_accuracy_synthetic": "  of these rows",
    "privacy_loss": "privacy loss",
    "nearest_median": "distance to the nearest training row, median",
    "nearest_share_below": "  nearer than the nearest 5 % of held-out rows",
    "copies": "  copies of training rows",
    "frequencies_correlation": "frequencies, correlation",
    "frequencies_rmse": "  root mean square difference",
    "pairs_correlation": "pair covariances, correlation",
    "pairs_slope": "  slope",
    "pairs_rmse": "  root mean square difference",
    "triples_correlation": "third moments of random triples, correlation",
    "linkage_rmse": "linkage r² by distance, root mean square difference",
    "active_mean": "active units a row, mean",
    "active_distance": "  distance from the training rows' distribution",
    "silent": "rows without an active unit, share",
    "variance_1": "variance along the 1st component, of the data's",
    "variance_2": "variance along the 2nd component, of the data's",
}
"""What `harmonium.fidelity` measures of every set of rows, in the order in which it is shown."""

Role = Literal["training", "held-out", "first", "second"]
"""What a curve shows, which sets its colour; ``first`` and ``second`` are two of a kind."""


@dataclass(frozen=True)
class Curve:
    """One number of a row, as it is plotted.

    Attributes
    ----------
    key
        Its name in ``metrics.jsonl``; ``key_std_error`` is its standard error, if there is one.
    role, label
        What it shows. The label is empty if the title of the panel already says it.
    """

    key: str
    role: Role
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """Curves that are plotted together.

    Attributes
    ----------
    title, unit
        What is plotted, and its unit.
    curves
        The curves, most important first.
    is_logarithmic, is_share, has_zero_line
        Form of the axis: logarithmic; per cent from 0; with a line at 0 where the sign has a
        meaning.
    better
        Whether more or less is better; None if neither is.
    """

    title: str
    unit: str
    curves: tuple[Curve, ...]
    is_logarithmic: bool = False
    is_share: bool = False
    has_zero_line: bool = False
    better: Literal["more", "less"] | None = None

    @property
    def name(self) -> str:
        """The title as written within a sentence."""
        return self.title[0].lower() + self.title[1:]

    def known_in(self, row: Mapping[str, object]) -> bool:
        """Whether a row has any of the panel's numbers."""
        return any(row.get(curve.key) is not None for curve in self.curves)


def _both(key: str) -> tuple[Curve, ...]:
    return (
        Curve(key, "training", "training"),
        Curve(f"held_out_{key}", "held-out", "held-out"),
    )


PANELS = (
    Panel("Log-likelihood", "nats per row", _both("log_likelihood"), better="more"),
    Panel("Pseudo-log-likelihood", "nats per row", _both("pseudo_log_likelihood"), better="more"),
    Panel("Root mean squared error", "points of the scale", _both("rmse"), better="less"),
    Panel(
        "Log-probability of ratings",
        "nats per rating",
        _both("rating_log_probability"),
        better="more",
    ),
    Panel("Completion perplexity", "words", _both("completion_perplexity"), better="less"),
    Panel("Reconstruction error", "per row", _both("reconstruction_error"), better="less"),
    Panel(
        "Free energy, training − held-out",
        "nats",
        (Curve("free_energy_gap", "training"),),
        has_zero_line=True,
    ),
    Panel(
        "Size of updates ÷ size of weights",
        "ratio",
        (Curve("update_ratio", "training"),),
        is_logarithmic=True,
    ),
    Panel(
        "Dead and saturated hidden units",
        "share of units",
        (Curve("dead_hidden", "first", "dead"), Curve("saturated_hidden", "second", "saturated")),
        is_share=True,
    ),
    Panel(
        "Units that one sweep changes",
        "share of units",
        (
            Curve("visible_flip_rate", "first", "visible"),
            Curve("hidden_flip_rate", "second", "hidden"),
        ),
        is_share=True,
    ),
    Panel(
        "Rows of another class",
        "share of held-out rows",
        (Curve("held_out_error", "held-out"),),
        is_share=True,
        better="less",
    ),
    Panel("Loss", "per row", _both("loss"), better="less"),
    Panel(
        "Squared error",
        "per held-out row",
        (Curve("held_out_squared_error", "held-out"),),
        better="less",
    ),
    Panel("Learning rate", "", (Curve("learning_rate", "training"),)),
)
"""Everything that is plotted of a run, most important first."""


def is_trusted(row: Mapping[str, object], key: str) -> bool:
    """Whether a number of a row comes without a warning about it."""
    return WARNING not in row or key not in FOLLOWED


def name_of(key: str) -> str:
    """Name of a number of the training rows within a sentence, such as ``log-likelihood``."""
    return next(panel.name for panel in PANELS if panel.curves[0].key == key)


def told(row: Mapping[str, Any], key: str) -> str:
    """Format a number of a row with its standard error, and say if it is not to be trusted."""
    error = row.get(f"{key}_std_error")
    spread = f" ± {error:.2g}" if error else ""
    return f"{row[key]:.4g}{spread}" + ("" if is_trusted(row, key) else " (not to be trusted)")


def two_decimals(row: Mapping[str, float], key: str) -> str:
    """Format a number of a row with two decimals, and its standard error, if the row has one."""
    error = row.get(f"{key}_std_error")
    return f"{row[key]:.2f}" + (f" ± {error:.2f}" if error else "")


def with_error(value: float, error: float) -> str:
    """Format a value with its standard error, to as many digits as the error justifies.

    An error that begins with a 1 keeps two digits, so that rounding changes it by at most 5 %.
    """
    if not (math.isfinite(error) and error > 0):
        return f"{value:.2f}"
    leading = math.floor(math.log10(error))
    digits = -leading + (error < 2 * 10.0**leading)
    digits = min(max(digits, 0), 6)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def interval(lower: float, lower_error: float, upper: float, upper_error: float) -> str:
    """Format an interval whose ends have standard errors; one number if both ends are equal.

    An end that is not finite is left out.
    """
    at_least, at_most = with_error(lower, lower_error), with_error(upper, upper_error)
    if not math.isfinite(lower):
        return f"at most {at_most}" if math.isfinite(upper) else "not known"
    if not math.isfinite(upper):
        return f"at least {at_least}"
    return at_most if lower == upper else f"{at_least} … {at_most}"
