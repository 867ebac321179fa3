"""Encodings: how stored values become the states of units, and states become values again.

Data stay as the user gave them, grey values in one byte each; an encoding turns the rows of one
batch into float32 states when the batch is drawn. What belongs here is any map from values to
states that works on a row without looking at the other rows.
"""

from __future__ import annotations

from harmonium.datasets.encodings.base import Encoding
from harmonium.datasets.encodings.categories import Labelled, OneHot
from harmonium.datasets.encodings.ranges import AsIs, Scaled, Stochastic, Threshold
from harmonium.datasets.encodings.standardized import Standardized

__all__ = [
    "AsIs",
    "Encoding",
    "Labelled",
    "OneHot",
    "Scaled",
    "Standardized",
    "Stochastic",
    "Threshold",
]
