"""What the numbers of a run are called, how they are written, and which are drawn together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

WARNING = "log_likelihood_warning"
"""Name of the words in a row whose log-likelihood must not be trusted; other rows have none."""

FOLLOWED = ("log_likelihood", "held_out_log_likelihood")
"""What such words are about."""

Role = Literal["training", "held-out", "first", "second"]
"""What a curve is of, which decides its colour; ``first`` and ``second`` are two of a kind."""


@dataclass(frozen=True)
class Curve:
    """One number of a row, as it is drawn.

    Attributes
    ----------
    key
        Its name in ``metrics.jsonl``; ``key_std_error`` is its standard error, where there is one.
    role, label
        What it is of; an empty label says nothing that the title of its panel does not.
    """

    key: str
    role: Role
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn together.

    Attributes
    ----------
    title, unit
        What is drawn, and in what.
    curves
        With the most important one first.
    is_logarithmic, is_share, has_zero_line
        How the axis looks: powers of ten; per cent from 0; a line at 0, on both sides of which
        values mean something else.
    better
        Whether more is better, or less; None where neither is.
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
        """The title as it stands within a sentence."""
        return self.title[0].lower() + self.title[1:]

    def known_in(self, row: Mapping[str, object]) -> bool:
        """Whether a row has any of the numbers."""
        return any(row.get(curve.key) is not None for curve in self.curves)


def _both(key: str) -> tuple[Curve, ...]:
    return (
        Curve(key, "training", "training"),
        Curve(f"held_out_{key}", "held-out", "held-out"),
    )


PANELS = (
    Panel("Log-likelihood", "nats per row", _both("log_likelihood"), better="more"),
    Panel("Pseudo-log-likelihood", "nats per row", _both("pseudo_log_likelihood"), better="more"),
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
"""Everything that is drawn of a run, what matters most first."""


def is_trusted(row: Mapping[str, object], key: str) -> bool:
    """Whether no words in a row speak against one of its numbers."""
    return WARNING not in row or key not in FOLLOWED


def name_of(key: str) -> str:
    """What a number of training rows is called within a sentence, such as ``log-likelihood``."""
    return next(panel.name for panel in PANELS if panel.curves[0].key == key)


def told(row: Mapping[str, Any], key: str) -> str:
    """A number of a row with its standard error, and that it is not to be trusted, if so."""
    error = row.get(f"{key}_std_error")
    spread = f" ± {error:.2g}" if error else ""
    return f"{row[key]:.4g}{spread}" + ("" if is_trusted(row, key) else " (not to be trusted)")


def with_error(value: float, error: float) -> str:
    """A value and its standard error, with as many digits as the error leaves it.

    Two where the error begins with a 1, so that rounding changes it by a twentieth at most.
    """
    if not (math.isfinite(error) and error > 0):
        return f"{value:.2f}"
    leading = math.floor(math.log10(error))
    digits = -leading + (error < 2 * 10.0**leading)
    digits = min(max(digits, 0), 6)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def interval(lower: float, lower_error: float, upper: float, upper_error: float) -> str:
    """What lies between two ends, each with its standard error; one number where they are one.

    An end that is not finite is none.
    """
    at_least, at_most = with_error(lower, lower_error), with_error(upper, upper_error)
    if not math.isfinite(lower):
        return f"at most {at_most}" if math.isfinite(upper) else "not known"
    if not math.isfinite(upper):
        return f"at least {at_least}"
    return at_most if lower == upper else f"{at_least} … {at_most}"
