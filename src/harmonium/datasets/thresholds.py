"""Thresholds: their level, and a check of the resulting states."""

from __future__ import annotations

from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.encodings import Encoding, Scaled, Threshold

_BLOCK = 1000  # rows checked at a time
_RARE = 1e-3  # fraction of states below which a note says how few there are


def level(encoding: Encoding, threshold: float, name: str) -> Threshold:
    """The encoding for this threshold: a fraction of the range for `Scaled` values, else a value.

    Raises
    ------
    ValueError
        For a fraction out of range: all states would be the same.
    """
    if not isinstance(encoding, Scaled):
        return Threshold(threshold)
    low, high = encoding.low, encoding.high
    if not 0 <= threshold < 1:
        share = (threshold - low) / (high - low)
        meant = f", or {share:.3g} for {threshold:g} itself" if 0 < share < 1 else ""
        raise ValueError(
            f"the threshold is {threshold:g}, but {name} has grey values from {low:g} to {high:g}, "
            f"of which a threshold is a share; pass 0 to below 1, such as 0.5{meant}"
        )
    return Threshold(low + threshold * (high - low))


def judge(values: Tensor, level: float, name: str) -> str | None:
    """A sentence if almost all states are the same; empty if the threshold separates the values.

    Raises
    ------
    ValueError
        If different values all get the same state.
    """
    least, most = mapped.bounds(values)
    if least == most:
        return None
    if most <= level or least > level:
        state = int(least > level)
        raise ValueError(
            f"the values of {name} range from {least:g} to {most:g}, so that with a threshold of "
            f"{level:g} every state is {state}; pass a threshold within that range"
        )
    n_ones = mapped.remembered(
        values,
        f"above {level}",
        lambda: sum(int((block > level).sum()) for block in mapped.pieces(values, _BLOCK)),
    )
    ones = n_ones / values.numel()
    if min(ones, 1 - ones) >= _RARE:
        return None
    return (
        f"{max(ones, 1 - ones):.3%} of the states of {name} are {round(ones)}: its values range "
        f"from {least:g} to {most:g}, and the threshold is {level:g}"
    )


def have_two_values(values: Tensor, low: float, high: float) -> bool:
    """Whether every value is one of these two."""
    if not values.is_floating_point() and (low, high) == (0, 1):
        return mapped.bounds(values)[1] <= 1

    def find() -> bool:
        blocks = mapped.pieces(values, _BLOCK)
        return all(bool(((block == low) | (block == high)).all()) for block in blocks)

    return bool(mapped.remembered(values, f"only {low} and {high}", find))
