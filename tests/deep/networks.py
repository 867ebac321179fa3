"""Small stacks and data that the tests of networks share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from harmonium import RBM, Binary, Data
from harmonium.units import Units
from unit_types import BY_NAME, randomise_

N_ROWS, N_COLUMNS = 60, 7


def stack(*layers: Units | str, sizes: Sequence[int] = (), seed: int = 0) -> list[RBM]:
    """Random RBMs in float64 of these layers, from below, each with its own units."""
    rbms = []
    for number, (below, above) in enumerate(pairwise(layers)):
        units = [
            BY_NAME[layer].make(sizes[number + place]) if isinstance(layer, str) else layer
            for place, layer in enumerate((below, above))
        ]
        rbm = RBM(*units).double()
        randomise_(rbm, seed + number)
        rbms.append(rbm)
    return rbms


def binary_stack(*sizes: int, seed: int = 0) -> list[RBM]:
    """Random binary RBMs in float32."""
    rbms = [RBM(Binary(m), Binary(n)) for m, n in pairwise(sizes)]
    for number, rbm in enumerate(rbms):
        randomise_(rbm, seed + number)
    return rbms


def labelled(n_rows: int = N_ROWS, n_classes: int = 3, seed: int = 0) -> Data:
    """Rows from 0 to 1 whose class, and whose two targets, can be told from their columns."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).uniform(0.2, 0.8, (n_classes, N_COLUMNS))
    labels = np.arange(n_rows) % n_classes
    rows = np.clip(centres[labels] + generator.normal(0, 0.15, (n_rows, N_COLUMNS)), 0, 1)
    targets = np.stack([100 * rows[:, 0] + 5, rows[:, 1] - rows[:, 2]], 1)
    return Data(
        "small",
        torch.from_numpy(rows).float(),
        labels=torch.from_numpy(labels),
        targets=torch.from_numpy(targets).float(),
    )
