"""Encodings: conversion of stored values to states of units, and back.

Data are stored as the user gave them, grey values in one byte each. An encoding converts the rows
of a batch to float32 states when the batch is drawn. An encoding may be any map from values to
states that treats each row independently.
"""

from __future__ import annotations

from harmonium.datasets.encodings.base import Encoding
from harmonium.datasets.encodings.categories import Labelled, OneHot
from harmonium.datasets.encodings.ranges import AsIs, Scaled, Stochastic, Threshold
from harmonium.datasets.encodings.standardized import Standardized
from harmonium.datasets.encodings.table import TableEncoding

__all__ = [
    "AsIs",
    "Encoding",
    "Labelled",
    "OneHot",
    "Scaled",
    "Standardized",
    "Stochastic",
    "TableEncoding",
    "Threshold",
]
