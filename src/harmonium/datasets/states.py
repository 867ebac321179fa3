"""Whether columns of numbers suit binary units, or are real numbers for Gaussian units."""

from __future__ import annotations

from torch import Tensor

STATES_VARIANCE = 0.4
"""Least variance of probabilities, relative to the variance of states with the same mean.

States that are 1 with probability p have the variance p (1 - p). A column that is uniform over 0
... 1 has a third of that, tables after a MinMaxScaler a tenth to a quarter, handwritten digits in
grey values half, and black-and-white pictures all of it.
"""

# Rounding of values that were divided by their range in float32, and of their moments.
_ROUNDING = 1e-5


def suit_binary_units(mean: Tensor, var: Tensor, low: Tensor, high: Tensor) -> bool:
    """Whether binary units can learn from these columns: states, or probabilities of states.

    Columns of zeros and ones are states. Other values from 0 to 1 are treated as probabilities.
    This is appropriate if most of them are near the ends, as in pictures: their variance is then
    close to p (1 - p), the variance of the states. Values in the middle, such as measurements after
    a MinMaxScaler, vary much less than states, so an RBM with binary units could only learn that
    they do not vary. Standardised, they suit Gaussian units.

    If there are other columns, columns of zeros and ones are ignored, so that a table of real
    numbers and flags is judged by its real numbers.

    Parameters
    ----------
    mean, var
        Moments of each column; the variance is divided by the number of rows.
    low, high
        Smallest and largest value of each column.

    Returns
    -------
    bool
        Also False if a value is outside 0 ... 1.
    """
    if bool((low < -_ROUNDING).any()) or bool((high > 1 + _ROUNDING).any()):
        return False
    of_states = (mean * (1 - mean)).clamp_min(0)
    # var = p (1 - p) if and only if all values are 0 or 1; a constant carries no information
    others = (var < (1 - _ROUNDING) * of_states) & (high > low)
    if not bool(others.any()):
        # only constants strictly between 0 and 1 are not states
        return not bool(((high == low) & (of_states > _ROUNDING)).all())
    return bool(var[others].sum() >= STATES_VARIANCE * of_states[others].sum())


def white_of(mean: Tensor, var: Tensor, low: Tensor, high: Tensor) -> float | None:
    """The value that means 1 in grey values from 0 upwards, such as 255 or 16.

    Parameters
    ----------
    mean, var, low, high
        As for `suit_binary_units`.

    Returns
    -------
    float or None
        The largest value; None unless all columns share that scale: no value is negative, half of
        the varying columns reach at least half of it, and `suit_binary_units` is true for the
        values divided by it.
    """
    white = float(high.max())
    varies = high > low
    if float(low.min()) < 0 or white <= 0 or not bool(varies.any()):
        return None
    if float((high[varies] >= white / 2).double().mean()) < 0.5:
        return None
    share = (mean / white, var / white**2, low / white, high / white)
    return white if suit_binary_units(*share) else None
