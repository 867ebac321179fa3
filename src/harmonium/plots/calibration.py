"""Figures of calibration: what was promised beside what came true."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from harmonium.plots import style
from harmonium.plots.arrays import finite

_TWO_ERRORS = 2.0
_LARGEST, _SMALLEST = 60.0, 6.0  # areas of the points, in square points of print


def calibration(
    promised: npt.ArrayLike,
    found: npt.ArrayLike,
    counts: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    promise: str = "predicted probability",
    outcome: str = "share that came true",
) -> Axes:
    """Draw promised probabilities beside the shares that came true; on the diagonal if calibrated.

    Lines show two standard errors of each share, as if outcomes were independent. The area of a
    point grows with the outcomes behind it.

    Parameters
    ----------
    promised, found
        Probabilities, or levels of intervals, and shares of the outcomes, shape ``(n,)``, each 0 to
        1.
    counts
        Outcomes behind each share, shape ``(n,)``.
    ax
        The Axes to draw on; new by default.
    promise, outcome
        What the axes are called.

    Raises
    ------
    ValueError
        If there are no points, shapes differ, or a number is out of range.
    """
    x, y = (finite(values, name, ("n",)) for values, name in
            ((promised, "promised"), (found, "found")))  # fmt: skip
    n = finite(counts, "counts", ("n",))
    if not x.shape == y.shape == n.shape:
        raise ValueError(
            f"promised has {len(x)} points, found {len(y)} and counts {len(n)}; pass one of each "
            "for every point"
        )
    if min(x.min(), y.min()) < 0 or max(x.max(), y.max()) > 1 or (n < 1).any():
        raise ValueError(
            "promised and found are shares from 0 to 1, and counts are 1 or more; they go from "
            f"{min(x.min(), y.min()):g} to {max(x.max(), y.max()):g}, and from {n.min():g}"
        )
    ax = style.plot_axes(ax, size=(4.2, 4.2))
    ax.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1, zorder=0)
    errors = _TWO_ERRORS * np.sqrt(y * (1 - y) / n)
    low, high = np.clip(y - errors, 0, 1), np.clip(y + errors, 0, 1)
    ax.vlines(x, low, high, color=style.BLUE, linewidth=1)
    areas = _SMALLEST + (_LARGEST - _SMALLEST) * n / n.max()
    ax.scatter(x, y, s=areas, color=style.BLUE, linewidths=0)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    error = float((n / n.sum()) @ np.abs(y - x))
    style.name(ax, "Calibration", f"mean distance from the diagonal {error:.3f}", promise, outcome)
    return ax
