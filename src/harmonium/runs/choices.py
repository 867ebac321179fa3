"""Values that several options share, the field of an option, and a check that several tables use.

Nothing heavy is imported here.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any, Literal

UnitName = Literal["binary", "spin", "gaussian", "relu", "drelu", "categorical"]
VisibleName = Literal[
    "auto",
    "binary",
    "spin",
    "gaussian",
    "relu",
    "drelu",
    "categorical",
    "binomial",
    "poisson",
    "mixed",
    "counts",
]

# Of these, types with a continuum of states and a precision, and those with all real numbers.
CONTINUOUS, REAL = {"gaussian", "relu", "drelu"}, {"gaussian", "drelu"}

# Types whose states are counts.
COUNTS = {"binomial", "poisson"}
# Those whose steps the centred gradient divides by their variance, as hidden units.
HALF_LINES = {"relu", "drelu"}

NetworkKind = Literal["classifier", "regressor", "autoencoder"]
Start = Literal["data", "random", "chains", "annealed", "tempered"]
RowlessStart = Literal["random", "chains", "annealed", "tempered"]
SamplerName = Literal["gibbs", "tempering", "trajectory"]
CompletionName = Literal["pseudo-gibbs", "metropolis"]


def option(default: Any, help_text: str, *, panel: str, shown: str | None = None) -> Any:
    """A field with its help text; ``shown`` describes the default that None stands for."""
    show_default = shown or default is not None
    metadata = {"help": help_text, "rich_help_panel": panel, "show_default": show_default}
    return field(default=default, metadata=metadata)


def numbers_in(name: str, text: str | None, remedy: str) -> tuple[float, ...] | None:
    """The different numbers in a text, separated by commas, ascending; None for no text.

    Raises
    ------
    ValueError
        If there are fewer than two, or one is not finite; with the option's name and the remedy.
    """
    if text is None:
        return None
    try:
        found = sorted({float(number) for number in text.split(",")})
    except ValueError:
        found = []
    if len(found) < 2 or not all(map(math.isfinite, found)):
        raise ValueError(f"`{name}` is {text!r}; pass {remedy}, such as 1,2,3,4,5")
    return tuple(found)


def refuse_temperatures(temperatures: int | None, sampler: str, start: str | None = None) -> None:
    """Reject fewer than two temperatures, or temperatures for a sampler without any.

    Raises
    ------
    ValueError
        Says what would work.
    """
    if temperatures is None:
        return
    if temperatures < 2:
        raise ValueError(f"`temperatures` is {temperatures}; pass 2 or more")
    if sampler != "tempering" and start not in ("annealed", "tempered"):
        raise ValueError(
            f"`temperatures` is for `sampler='tempering'`, and `sampler` is {sampler}; leave it "
            "out, or take `sampler='tempering'`"
        )
