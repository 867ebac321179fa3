"""Calibration: whether probabilities are frequencies, and intervals hold as often as they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BINS = 10
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Levels of central intervals in a coverage curve."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was promised beside what came true.

    Attributes
    ----------
    promised : Tensor, float64, shape (n,)
        Mean predicted probability of each bin, or the level of each interval.
    found : Tensor, float64, shape (n,)
        Share of the outcomes that came true.
    counts : Tensor, int64, shape (n,)
        Outcomes behind each share.
    """

    promised: Tensor
    found: Tensor
    counts: Tensor

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """The same as arrays, for `plots.calibration`."""
        return self.promised.cpu().numpy(), self.found.cpu().numpy(), self.counts.cpu().numpy()

    @property
    def error(self) -> float:
        """Mean distance of what was found from what was promised, weighted by the outcomes."""
        share = self.counts.double() / self.counts.sum()
        return float(share @ (self.found - self.promised).abs())


def reliability(probabilities: Tensor, outcomes: Tensor, n_bins: int = _BINS) -> Calibration:
    """Reliability of predicted probabilities: of events of about one probability, how many come.

    Every state of every row is an event, so that each row counts once for each of its states.

    Parameters
    ----------
    probabilities
        Predicted, shape (rows, n_states).
    outcomes
        Number of the state that came true, int64, shape (rows,).
    n_bins
        Bins of equal width from 0 to 1; empty ones are left out.

    Raises
    ------
    ValueError
        If there are not as many outcomes as rows, or no rows.
    """
    if probabilities.dim() != 2 or not len(probabilities):
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}; pass (rows, n_states), of one "
            "row or more"
        )
    if outcomes.shape != probabilities.shape[:1]:
        raise ValueError(
            f"there are {len(probabilities)} rows and outcomes of shape {tuple(outcomes.shape)}; "
            "pass one for each row"
        )
    p = probabilities.double().flatten()
    came = torch.zeros_like(probabilities, dtype=torch.float64)
    came.scatter_(1, outcomes.unsqueeze(1), 1.0)
    place = (p * n_bins).long().clamp(0, n_bins - 1)
    counts = place.bincount(minlength=n_bins)
    promised = place.bincount(p, n_bins) / counts
    found = place.bincount(came.flatten(), n_bins) / counts
    there = counts > 0
    return Calibration(promised[there], found[there], counts[there])


def transforms_of_draws(draws: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Where the truth stands among draws, as shares of 1: its lowest and its highest rank.

    If truth and draws are exchangeable, its rank is uniform, ties broken at random.

    Parameters
    ----------
    draws
        Shape (rows, n_draws).
    truth
        Shape (rows,).

    Returns
    -------
    tuple of Tensor
        Ends of the interval in which a uniform number stands for each row, float64, (rows,) each.
    """
    n = draws.shape[1] + 1
    below = (draws < truth.unsqueeze(1)).sum(1).double()
    equal = (draws == truth.unsqueeze(1)).sum(1).double()
    return below / n, (below + equal + 1) / n


def coverage(low: Tensor, high: Tensor, levels: tuple[float, ...] = LEVELS) -> Calibration:
    """How often central intervals hold the truth, from its probability integral transform.

    Where separate states make the transform an interval, its share within the central part counts
    (Czado, Gneiting and Held, 2009, "Predictive model assessment for count data").

    Parameters
    ----------
    low, high
        As `transforms_of_draws` or `UnitDistributions.transforms_of` give them, shape (rows,).
    levels
        Of the intervals, such as 0.9.

    Raises
    ------
    ValueError
        If there are no rows.
    """
    if not len(low) or low.shape != high.shape:
        raise ValueError(
            f"the ends have shapes {tuple(low.shape)} and {tuple(high.shape)}; pass one of each "
            "for each row, of one row or more"
        )
    low, high = low.double(), high.double()
    found = []
    for level in levels:
        start, end = (1 - level) / 2, (1 + level) / 2
        inside = (high.clamp(max=end) - low.clamp(min=start)).clamp(min=0)
        is_point = high <= low
        held = ((low >= start) & (low <= end)).double()
        share = torch.where(is_point, held, inside / (high - low).clamp(min=1e-300))
        found.append(share.mean())
    counts = torch.full((len(levels),), len(low), dtype=torch.int64)
    promised = torch.tensor(levels, dtype=torch.float64)
    return Calibration(promised, torch.stack(found).cpu(), counts)
