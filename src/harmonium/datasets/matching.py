"""Whether other rows are what a model was trained on: their columns, and the scale of their values.

Columns in another order are put in order. What differs is refused, with both sides named.
"""

from __future__ import annotations

from collections.abc import Sequence

from harmonium.datasets.data import Data
from harmonium.datasets.encodings import Standardized
from harmonium.datasets.naming import keyword, listed, repeated

# Mistaken scales are 16, 100 or 255 times too large or too small, or bytes for signed numbers.
_SMALL_SHARE = 10
_FAR_BEYOND = 2

# In units of the training rows' own standard deviations; of fewer rows nothing can be said.
_LEAST_SPREAD, _MOST_SPREAD = 0.05, 20.0
_LEAST_ROWS, _LOOKED_AT = 10, 1000


def match_columns(data: Data, columns: Sequence[str] | None) -> Data:
    """The data with the columns that a model was trained on, in their order.

    Columns are matched by name, whatever their order. Where either side has no names they are
    taken by position, and the data come back as they are.

    Parameters
    ----------
    data
        As they were loaded.
    columns
        Names of the columns of the training data (`Data.columns`; in ``config.json`` of a run
        ``data.columns``).

    Raises
    ------
    ValueError
        If columns are missing, or there are others, or names occur more than once; extra columns
        are dropped by nobody but the user, by `Data.select`.
    """
    if columns is None or data.columns is None or tuple(columns) == data.columns:
        return data
    missing = [name for name in columns if name not in data.columns]
    extra = [name for name in data.columns if name not in columns]
    if missing or extra:
        lacks = f"lacks {listed(missing)}" if missing else ""
        has = f"has {listed(extra)} beside them" if extra else ""
        remedy = "rename or add the missing columns" if missing else "drop the extra columns"
        raise ValueError(
            f"the columns of {data.name} are not those of the training data: it "
            f"{' and '.join(filter(None, [lacks, has]))}; {remedy}"
            + (f" ({keyword('drop', extra)}, or `Data.select()`)" if extra else "")
        )
    twice = sorted({*repeated(columns), *repeated(data.columns)})
    if twice:
        raise ValueError(
            f"the columns of {data.name} are in another order than those of the training data, and "
            f"{listed(twice)} names more than one; give columns different names, or keep the order"
        )
    return data.select(*columns)


def refuse_other_scale(data: Data, low: float, high: float) -> None:
    """Refuse rows whose values are plainly of another scale than those a model was trained on.

    Pictures in shares of white for pictures in bytes, and 0 and 1 for −1 and 1, are such; values
    that are all the same, as those of a blank picture, are not.

    Parameters
    ----------
    data
        Encoded as in training.
    low, high
        Least and largest value of the training data (`Data.value_range`).

    Raises
    ------
    ValueError
        Names both ranges.
    """
    least, most = data.value_range
    said = (
        f"the values of {data.name} range from {least:g} to {most:g}, but the model was trained on "
        f"values from {low:g} to {high:g}"
    )
    remedy = "; bring them to the scale of the training data"
    span = high - low
    is_bounded = data.image_shape is not None or (low, high) in ((0, 1), (-1, 1))
    if is_bounded and least < most:
        if most - low > _FAR_BEYOND * span or least < low - span / _FAR_BEYOND:
            raise ValueError(said + remedy)
        if high > 1 and max(most - low, low - least) <= span / _SMALL_SHARE:
            raise ValueError(said + remedy)
    if not isinstance(data.encoding, Standardized) or len(data) < _LEAST_ROWS:
        return
    varied = data.encoding.std > 0
    if not varied.any():
        return
    states = next(data.blocks(_LOOKED_AT))[:, varied].double()
    spread = states.std(0, correction=0)
    typical = float(spread.square().mean().sqrt())
    if 0 < typical < _LEAST_SPREAD or float(spread.median()) > _MOST_SPREAD:
        raise ValueError(f"{said}; its columns vary {typical:.3g} times as much{remedy}")
