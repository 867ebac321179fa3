"""The table of unit types under test, and small random models made of them.

A new unit type is one line of `UNIT_TYPES`; if its energy is new, its definition goes into the
oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

import oracle
from harmonium import RBM
from harmonium.units import Binary, Categorical, Gaussian, Spin, Units


@dataclass(frozen=True)
class UnitType:
    """A way to make a layer of n units, and its twin in the oracle, made from its parameters."""

    name: str
    make: Callable[[int], Units]
    oracle: Callable[..., oracle.Layer]

    def __str__(self) -> str:
        return self.name

    def random(
        self, n: int, seed: int, dtype: torch.dtype = torch.float64, device: object = "cpu"
    ) -> Units:
        """A layer with random parameters, of moderate size."""
        units = self.make(n)
        randomise_(units, seed)
        return units.to(device, dtype)

    def twin(self, units: Units) -> oracle.Layer:
        """The same layer in the oracle."""
        return self.oracle(**{name: array(p) for name, p in units.named_parameters()})


UNIT_TYPES = (
    UnitType("binary", Binary, oracle.binary),
    UnitType("spin", Spin, oracle.spin),
    UnitType("gaussian", Gaussian, oracle.gaussian),
    UnitType("gaussian-learned", partial(Gaussian, learn_precision=True), oracle.gaussian),
    UnitType(
        "categorical",
        partial(Categorical, n_categories=3),
        partial(oracle.categorical, n_categories=3),
    ),
)
BY_NAME = {unit_type.name: unit_type for unit_type in UNIT_TYPES}

every_unit_type = pytest.mark.parametrize("unit_type", UNIT_TYPES, ids=str)


def array(tensor: torch.Tensor) -> oracle.Array:
    """The same numbers for the oracle."""
    return tensor.detach().cpu().double().numpy()


def randomise_(module: torch.nn.Module, seed: int, scale: float = 0.7) -> None:
    """Random parameters: signs, sizes and precisions all differ."""
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            low, high = (-0.3, 0.6) if name.endswith("log_precision") else (-scale, scale)
            p.copy_(torch.from_numpy(generator.uniform(low, high, p.shape)))


def random_rbm(
    visible: UnitType,
    hidden: UnitType,
    *,
    sizes: tuple[int, int] = (3, 2),
    seed: int = 0,
    scale: float = 0.7,
    dtype: torch.dtype = torch.float64,
    device: object = "cpu",
) -> tuple[RBM, oracle.Model]:
    """A random RBM and its twin in the oracle."""
    rbm = RBM(visible.make(sizes[0]), hidden.make(sizes[1])).to(device, dtype)
    randomise_(rbm, seed, scale)
    weights = array(rbm.weights)
    return rbm, oracle.Model(visible.twin(rbm.visible), hidden.twin(rbm.hidden), weights)
