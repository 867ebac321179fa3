"""The 1,797 handwritten digits of 8 × 8 pixels that scikit-learn ships: no download needed."""

from __future__ import annotations

from pathlib import Path

import torch

from harmonium.datasets.data import Data
from harmonium.datasets.encodings import Scaled
from harmonium.kernels import permutation
from harmonium.rng import Lane

PARTS = {"train": range(1297), "validation": range(1297, 1547), "test": range(1547, 1797)}


def path() -> Path:
    """Path of the digits in scikit-learn."""
    import sklearn.datasets

    return Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"


def load() -> Data:
    """Load the digits, grey values 0 to 16, in a fixed shuffled order."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    # The digits are grouped by writer: without shuffling, held-out rows would come from other
    # writers.
    order = permutation(len(values), Lane.DIGITS.stream(0))
    return Data(
        "digits",
        torch.from_numpy(values).to(torch.uint8)[order],
        Scaled(0.0, 16.0),
        labels=torch.from_numpy(labels).to(torch.int64)[order],
        image_shape=(8, 8),
        parts=PARTS,
    )
