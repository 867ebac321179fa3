"""Numbers that stand for no label."""

from __future__ import annotations

from torch import Tensor

UNKNOWN_LABEL = -(2**63)
"""The label of a row to be classified whose class is unknown."""

_NONE = -1  # scikit-learn's number for no label


def has_label(labels: Tensor) -> Tensor:
    """Whether each row has a label, bool: neither `UNKNOWN_LABEL` nor -1."""
    return (labels != UNKNOWN_LABEL) & (labels != _NONE)
