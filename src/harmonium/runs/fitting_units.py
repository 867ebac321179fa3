"""Options of a training that fit its types of units, and types that fit together.

Nothing heavy is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmonium.runs.choices import CONTINUOUS, REAL

if TYPE_CHECKING:
    from harmonium.runs.options import TrainingOptions


def refuse_units(options: TrainingOptions) -> None:
    """Reject options of other types of units, and types that make no model together.

    Raises
    ------
    ValueError
        Says what would work.
    """
    visible, hidden = options.visible, options.hidden_units
    if (options.hidden_categories is None) != (hidden != "categorical"):
        raise ValueError(
            "`hidden_categories` and `hidden_units='categorical'` go together; pass both or neither"
        )
    if options.learn_precision and not (CONTINUOUS | {"auto"}) & {visible, hidden}:
        raise ValueError(
            "`learn_precision` is for Gaussian, ReLU and dReLU units; this model has none"
        )
    if options.binarize not in (None, "none") and visible not in ("binary", "spin", "auto"):
        raise ValueError(
            f"`binarize` makes binary states, and `visible` is {visible}; leave one out"
        )
    if options.standardize and visible not in REAL | {"auto"}:
        raise ValueError(
            "`standardize` is for Gaussian and dReLU visible units, and `visible` is "
            f"{visible}; leave one out"
        )
    if options.categories is not None and visible != "categorical":
        raise ValueError(
            f"`categories` is for categorical visible units, and `visible` is {visible}; leave it "
            "out, or take `visible='categorical'`"
        )
    if options.trials is not None and visible != "binomial":
        raise ValueError(
            f"`trials` is for binomial visible units, and `visible` is {visible}; leave it out, "
            "or take `visible='binomial'`"
        )
    if visible == "poisson" and hidden in CONTINUOUS:
        raise ValueError(
            f"Poisson visible units and `hidden_units={hidden!r}` are no model that can be "
            "normalised: mean counts grow faster than such units become improbable; take "
            "`hidden_units='binary'`, spin or categorical ones, or `visible='binomial'`"
        )
