"""What columns of numbers can be: states of binary units, or real numbers for Gaussian ones."""

from __future__ import annotations

from torch import Tensor

STATES_VARIANCE = 0.4
"""Least variance, as a share of that of states with the same mean, of values that stand for them.

States that are 1 with probability p have the variance p (1 - p). A column that is spread evenly
over 0 ... 1 has a third of that, tables behind a MinMaxScaler a tenth to a quarter, handwritten
digits in shades of grey half, and black and white pictures all of it.
"""

# Rounding of values that were divided by their range in float32, and of their moments.
_ROUNDING = 1e-5


def suit_binary_units(mean: Tensor, var: Tensor, low: Tensor, high: Tensor) -> bool:
    """Whether binary units can learn from these columns: states, or probabilities of states.

    Columns of zeros and ones are states. Other values from 0 to 1 are taken as probabilities,
    which is right where most of them lie near the ends, as in pictures: their variance comes near
    to p (1 - p) then, that of the states. Values that keep to the middle, such as measurements
    behind a MinMaxScaler, vary much less than any states, so that an RBM with binary units could
    only learn that they do not vary; Gaussian units suit them, once they are standardised.

    Columns of zeros and ones are left out of the comparison where there are others, so that a
    table of real numbers and flags is judged by its real numbers.

    Parameters
    ----------
    mean, var
        Moments of each column; the variance is divided by the number of rows.
    low, high
        Least and largest value of each column.

    Returns
    -------
    bool
        False also where a value lies outside 0 ... 1.
    """
    if bool((low < -_ROUNDING).any()) or bool((high > 1 + _ROUNDING).any()):
        return False
    of_states = (mean * (1 - mean)).clamp_min(0)
    # var = p (1 - p) where, and only where, all values are 0 or 1; a constant says nothing
    others = (var < (1 - _ROUNDING) * of_states) & (high > low)
    if not bool(others.any()):
        # constants strictly between 0 and 1 alone are no states
        return not bool(((high == low) & (of_states > _ROUNDING)).all())
    return bool(var[others].sum() >= STATES_VARIANCE * of_states[others].sum())


def white_of(mean: Tensor, var: Tensor, low: Tensor, high: Tensor) -> float | None:
    """The value that stands for 1 in shades of grey from 0 up, such as 255 or 16.

    Parameters
    ----------
    mean, var, low, high
        As `suit_binary_units` takes them.

    Returns
    -------
    float or None
        The largest value; None unless all columns share that scale: none falls below 0, half of
        those that vary reach half of it at least, and `suit_binary_units` holds for their share
        of it.
    """
    white = float(high.max())
    varies = high > low
    if float(low.min()) < 0 or white <= 0 or not bool(varies.any()):
        return None
    if float((high[varies] >= white / 2).double().mean()) < 0.5:
        return None
    share = (mean / white, var / white**2, low / white, high / white)
    return white if suit_binary_units(*share) else None
