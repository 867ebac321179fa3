"""Whether new rows match the training data of a model in columns and scale of values.

Columns in a different order are reordered. Other differences are errors that name both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harmonium.datasets.data import Data
from harmonium.datasets.encodings import Standardized
from harmonium.datasets.masks import masked_rows
from harmonium.datasets.moments import observed_moments
from harmonium.datasets.naming import keyword, listed, repeated

# Wrong scales are 16, 100 or 255 times too large or too small, or bytes for signed numbers.
_SMALL_SHARE = 10
_FAR_BEYOND = 2

# In units of the training rows' standard deviations; with fewer rows there is no check.
_LEAST_SPREAD, _MOST_SPREAD = 0.05, 20.0
_LEAST_ROWS, _LOOKED_AT = 10, 1000


def match_columns(data: Data, columns: Sequence[str] | None) -> Data:
    """The data with the columns that a model was trained on, in their order.

    Columns are matched by name in any order. If either side has no names, columns are matched by
    position, and the data are returned unchanged.

    Parameters
    ----------
    data
        As loaded.
    columns
        Names of the columns of the training data (`Data.columns`; in ``config.json`` of a run
        ``data.columns``).

    Raises
    ------
    ValueError
        If columns are missing or superfluous, or names occur more than once. The user can drop
        extra columns with `Data.select`.
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
    """Reject rows whose values clearly have another scale than the training data of a model.

    Examples are pictures as fractions of white instead of bytes, or 0 and 1 instead of −1 and 1.
    Constant values, as in a blank picture, are accepted.

    Parameters
    ----------
    data
        Encoded as in training.
    low, high
        Smallest and largest value of the training data (`Data.value_range`).

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
    some = torch.arange(min(len(data), _LOOKED_AT), device=data.device)
    _, variance = observed_moments([masked_rows(data, some)])
    spread = variance[varied].sqrt()
    typical = float(spread.square().mean().sqrt())
    if 0 < typical < _LEAST_SPREAD or float(spread.median()) > _MOST_SPREAD:
        raise ValueError(f"{said}; its columns vary {typical:.3g} times as much{remedy}")
