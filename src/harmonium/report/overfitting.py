"""What held-out rows say of a training, from its rows of numbers: whether it learned by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harmonium.metrics import PANELS, Panel, is_trusted

Row = Mapping[str, float]

SURE = 2.0
"""Standard errors from which two numbers are called different in passing: about 5 %."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows along a training, and training rows beside them, by the number that says most.

    Attributes
    ----------
    panel
        What the number is.
    train, held
        Its names in a row; training rows may have none.
    best, last
        The row of numbers at which held-out rows were described best, and the last one.
    n_looks
        Rows of numbers that know of held-out rows.
    """

    panel: Panel
    train: str | None
    held: str
    best: Row
    last: Row
    n_looks: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> HeldOut | None:
        """What rows of numbers say; None where they do not know of held-out rows."""
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
        """By how much held-out rows have fallen behind their best."""
        return _sign(self.panel) * (self.best[self.held] - self.last[self.held])

    @property
    def has_lost(self) -> bool:
        """Whether that is more than noise."""
        # the best of many noisy numbers is better than the truth by about this many errors
        sure = SURE + math.sqrt(2 * math.log(self.n_looks))
        error = math.hypot(error_of(self.best, self.held), error_of(self.last, self.held))
        return self.lost > sure * error and self.lost > 0.01 * abs(self.last[self.held])

    @property
    def has_moved(self) -> bool:
        """Whether the model has moved from its best, and not the estimates of its log Z alone."""
        errors = [row.get("log_z_std_error", 0.0) for row in (self.best, self.last)]
        return abs(self.lost) > SURE * math.hypot(*errors)

    @property
    def gap(self) -> float | None:
        """By how much held-out rows are behind training rows at the end, where these are known."""
        if self.train is None:
            return None
        return _sign(self.panel) * (self.last[self.train] - self.last[self.held])

    @property
    def gap_error(self) -> float:
        """Standard error of that; 0 where it is not known."""
        if self.train is None:
            return 0.0
        return math.hypot(error_of(self.last, self.train), error_of(self.last, self.held))


def main_panel(row: Row) -> Panel | None:
    """The first of the panels in which more, or less, is better, and whose number is trusted."""
    panels = (panel for panel in PANELS if panel.better and panel.known_in(row))
    return next((panel for panel in panels if is_trusted(row, panel.curves[0].key)), None)


def error_of(row: Row, key: str) -> float:
    """The standard error of a number; 0 where it is not known."""
    return row.get(f"{key}_std_error", 0.0)


def _sign(panel: Panel) -> int:
    return 1 if panel.better == "more" else -1
