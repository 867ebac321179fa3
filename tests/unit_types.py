"""The table of unit types under test, and small random models made of them.

A new unit type is one line of `UNIT_TYPES`; if its energy is new, its definition goes into the
oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

import oracle
from harmonium import RBM
from harmonium.units import (
    Binary,
    Binomial,
    Categorical,
    DReLU,
    Gaussian,
    Mixed,
    Poisson,
    ReLU,
    Spin,
    Units,
)


@dataclass(frozen=True)
class UnitType:
    """A way to make a layer of n units, and its twin in the oracle, made from its parameters."""

    name: str
    make: Callable[[int], Units]
    oracle: Callable[..., oracle.Layer]

    def __str__(self) -> str:
        return self.name

    @property
    def is_continuous(self) -> bool:
        """Whether some of the units have a continuum of states."""
        return any(units.states is None and not units.is_count for _, units in self.make(3).groups)

    @property
    def highest_input(self) -> float:
        """Inputs up to here have a mean that can be drawn from."""
        return 15.0 if "poisson" in self.name else 1e4

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


@dataclass(frozen=True)
class MixedUnits:
    """Units of several kinds, dealt in turn, and what these are in the oracle."""

    kinds: tuple[tuple[Callable[[int], Units], int, Callable[..., oracle.Layer]], ...]

    def counts(self, n: int) -> list[int]:
        """Units of each kind among n."""
        return [len(range(kind, n, len(self.kinds))) for kind in range(len(self.kinds))]

    def make(self, n: int) -> Units:
        kinds = zip(self.kinds, self.counts(n), strict=True)
        parts = [make(count) for (make, _, _), count in kinds if count]
        return Mixed(*(parts or [self.kinds[0][0](n)]))

    def twin(self, bias: oracle.Array, **parameters: oracle.Array) -> oracle.Layer:
        widths = [width for _, width, _ in self.kinds]
        sizes = (np.multiply(self.counts(n), widths) for n in range(1, len(bias) + 1))
        n_columns = next(size for size in sizes if size.sum() == len(bias))
        layers = []
        for place, of_kind in enumerate(np.split(bias, n_columns.cumsum()[:-1])):
            if len(of_kind):
                own = {
                    name.removeprefix(f"{place}."): value
                    for name, value in parameters.items()
                    if name.startswith(f"{place}.")
                }
                layers.append(self.kinds[place][2](of_kind, **own))
        return oracle.side_by_side(*layers)


THREE = partial(Categorical, n_categories=3)
THREE_IN_ORACLE = partial(oracle.categorical, n_categories=3)
UP_TO_THREE = partial(Binomial, trials=3)
UP_TO_THREE_IN_ORACLE = partial(oracle.binomial, trials=3)
MIXED = MixedUnits(
    ((Binary, 1, oracle.binary), (THREE, 3, THREE_IN_ORACLE), (Spin, 1, oracle.spin))
)
MIXED_WITH_GAUSSIAN = MixedUnits(
    (
        (partial(Gaussian, learn_precision=True), 1, oracle.gaussian),
        (THREE, 3, THREE_IN_ORACLE),
        (Binary, 1, oracle.binary),
    )
)

UNIT_TYPES = (
    UnitType("binary", Binary, oracle.binary),
    UnitType("spin", Spin, oracle.spin),
    UnitType("gaussian", Gaussian, oracle.gaussian),
    UnitType("gaussian-learned", partial(Gaussian, learn_precision=True), oracle.gaussian),
    UnitType("relu", partial(ReLU, learn_precision=True), oracle.relu),
    UnitType("drelu", partial(DReLU, learn_precision=True), oracle.drelu),
    UnitType("binomial", UP_TO_THREE, UP_TO_THREE_IN_ORACLE),
    UnitType("poisson", Poisson, oracle.poisson),
    UnitType("categorical", THREE, THREE_IN_ORACLE),
    UnitType("mixed", MIXED.make, MIXED.twin),
)
# Discrete and continuous at once: such layers are in no list that tests take one or the other from.
PARTLY_GAUSSIAN = UnitType("partly-gaussian", MIXED_WITH_GAUSSIAN.make, MIXED_WITH_GAUSSIAN.twin)
# Counts beside others, with different trials.
MIXED_COUNTS = MixedUnits(
    (
        (Poisson, 1, oracle.poisson),
        (Binary, 1, oracle.binary),
        (partial(Binomial, trials=2), 1, partial(oracle.binomial, trials=2)),
    )
)
PARTLY_POISSON = UnitType("partly-poisson", MIXED_COUNTS.make, MIXED_COUNTS.twin)
# With a precision of their own: nothing but the contract depends on that.
FIXED = (
    UnitType("relu-fixed", ReLU, oracle.relu),
    UnitType("drelu-fixed", DReLU, oracle.drelu),
)
BY_NAME = {
    unit_type.name: unit_type
    for unit_type in (*UNIT_TYPES, PARTLY_GAUSSIAN, PARTLY_POISSON, *FIXED)
}

# Every type is tested beside these and beside itself. A pair of two others tells nothing new: what
# a layer does depends on what it receives, not on who sent it.
USUAL = ("binary", "gaussian", "categorical", "relu")


def is_normalisable(visible: UnitType, hidden: UnitType) -> bool:
    """Whether there is a model of this pair with weights of any sign, if they are small."""
    both = (visible, hidden)
    has_counts = any("poisson" in layer.name for layer in both)
    return not has_counts or any(layer.make(3).is_discrete for layer in both)


PAIRS = [
    (visible, hidden)
    for visible, hidden in product(UNIT_TYPES, UNIT_TYPES)
    if visible is hidden or {visible.name, hidden.name} & {*USUAL}
    if is_normalisable(visible, hidden)
]
every_pair = pytest.mark.parametrize(
    ("visible", "hidden"), PAIRS, ids=[f"{visible}-{hidden}" for visible, hidden in PAIRS]
)


def has_half_lines(visible: UnitType, hidden: UnitType) -> bool:
    """Whether both layers are continuous, and one is cut: then nothing gives log Z exactly."""
    both = (visible, hidden)
    return all(layer.is_continuous for layer in both) and any(
        "relu" in layer.name for layer in both
    )


every_unit_type = pytest.mark.parametrize("unit_type", BY_NAME.values(), ids=str)


def twin_of_layer(layer: Units) -> oracle.Layer:
    """A layer of any of these types in the oracle."""
    twins = []
    for columns, units in layer.groups:
        own = {name: array(p) for name, p in units.named_parameters() if name != "bias"}
        if isinstance(units, Categorical):
            own["n_categories"] = units.n_categories
        if isinstance(units, Binomial):
            own["trials"] = units.fixed
        make = getattr(oracle, type(units).__name__.lower())
        twins.append(make(array(layer.bias[columns]), **own))
    return oracle.side_by_side(*twins)


def columns_by_unit(units: Units) -> list[slice]:
    """Columns of each unit, in order."""
    widths = [group.width for _, group in units.groups for _ in range(group.n)]
    return [slice(end - width, end) for end, width in zip(np.cumsum(widths), widths, strict=True)]


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
