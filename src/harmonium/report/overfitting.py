"""Detects overfitting from held-out rows in the rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harmonium.metrics import PANELS, Panel, is_trusted

Row = Mapping[str, float]

SURE = 2.0
"""Standard errors from which two numbers count as different: a level of about 5 %."""


@dataclass(frozen=True)
class HeldOut:
    """The most informative number during training, for held-out rows and training rows.

    Attributes
    ----------
    panel
        The panel of the number.
    train, held
        Its keys in a row; the one for training rows may be missing.
    best, last
        The row of numbers with the best value on held-out rows, and the last row.
    n_looks
        Number of rows of numbers with a held-out value.
    """

    panel: Panel
    train: str | None
    held: str
    best: Row
    last: Row
    n_looks: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> HeldOut | None:
        """From rows of numbers; None if they have no held-out values."""
        panel = main_panel(rows[-1]) if rows else None
        if panel is None:
            return None
        first, held = panel.curves[0].key, panel.curves[-1].key
        if not held.startswith("held_out") or held not in rows[-1]:
            return None
        known = [row for row in rows if held in row and is_trusted(row, held)]
        best = max(known, key=lambda row: _sign(panel) * row[held])
        train = first if first != held and first in rows[-1] else None
        return cls(panel, train, held, best, rows[-1], len(known))

    @property
    def lost(self) -> float:
        """How much worse held-out rows are than their best value."""
        return _sign(self.panel) * (self.best[self.held] - self.last[self.held])

    @property
    def has_lost(self) -> bool:
        """Whether that exceeds the noise."""
        # the best of many noisy numbers exceeds the truth by about this many standard errors
        sure = SURE + math.sqrt(2 * math.log(self.n_looks))
        error = math.hypot(error_of(self.best, self.held), error_of(self.last, self.held))
        return self.lost > sure * error and self.lost > 0.01 * abs(self.last[self.held])

    @property
    def has_moved(self) -> bool:
        """Whether the model itself got worse, and not only the estimates of log Z."""
        errors = [row.get("log_z_std_error", 0.0) for row in (self.best, self.last)]
        return abs(self.lost) > SURE * math.hypot(*errors)

    @property
    def gap(self) -> float | None:
        """The final gap between training and held-out rows, if both are known."""
        if self.train is None:
            return None
        return _sign(self.panel) * (self.last[self.train] - self.last[self.held])

    @property
    def gap_error(self) -> float:
        """Standard error of the gap; 0 if unknown."""
        if self.train is None:
            return 0.0
        return math.hypot(error_of(self.last, self.train), error_of(self.last, self.held))


def main_panel(row: Row) -> Panel | None:
    """The first panel with a better direction whose number can be trusted."""
    panels = (panel for panel in PANELS if panel.better and panel.known_in(row))
    return next((panel for panel in panels if is_trusted(row, panel.curves[0].key)), None)


def error_of(row: Row, key: str) -> float:
    """The standard error of a number; 0 if unknown."""
    return row.get(f"{key}_std_error", 0.0)


def _sign(panel: Panel) -> int:
    return 1 if panel.better == "more" else -1
