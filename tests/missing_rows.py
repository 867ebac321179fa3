"""Small models and rows with missing values, and sums over what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Data
from harmonium.datasets import Mask, OneHot
from harmonium.rng import Lane
from harmonium.units import Binary, Categorical, Gaussian, Mixed
from unit_types import columns_by_unit

both_ways = pytest.mark.parametrize("missing", ["random", "observed"])
every_kind = pytest.mark.parametrize("kind", ["binary", "categorical", "Gaussian", "mixed"])


def rows_of_model(model: oracle.Model, n: int, seed: int) -> Tensor:
    return torch.from_numpy(oracle.draw(model, n, seed)[0])


def units_missing(rbm: RBM, n: int, seed: int) -> Tensor:
    """A mask of state columns: of each unit of each row, whether it is observed."""
    generator = np.random.default_rng(seed)
    by_unit = columns_by_unit(rbm.visible)
    observed = np.empty((n, rbm.visible.n_columns), dtype=bool)
    for columns in by_unit:
        observed[:, columns] = generator.random((n, 1)) < 0.5
    return torch.from_numpy(observed)


def with_holes(states: Tensor, observed: Tensor, **more: Tensor) -> Data:
    """The states as data; what is missing holds a state that is never right."""
    return Data("holes", torch.where(observed, states, 0.0), mask=Mask.of(observed), **more)


def of_columns(layer: oracle.Layer, observed: oracle.Array) -> oracle.Layer:
    """The observed units as a layer of their own."""
    kept = [i for i, columns in enumerate(layer.columns) if observed[columns.start]]
    return oracle.Layer(layer.bias[observed], tuple(layer.tables[i] for i in kept))


def by_quadrature(rbm: RBM, v: Tensor, layer: oracle.Layer, free: Tensor) -> Tensor:
    """Log of exp(-free energy), summed over the states of the free columns beside a row's others.

    A column that is neither free nor given is gone, at zero, where no type has energy or inputs.
    """
    if not free.any():
        return -rbm.free_energy(v)
    points, volume = of_columns(layer, free.numpy()).points()
    rows = v.repeat(len(points), 1)
    rows[:, free] = torch.from_numpy(points)
    return (torch.from_numpy(volume) - rbm.free_energy(rows)).logsumexp(0)


def data_of(kind: str, n: int = 60) -> tuple[Data, RBM]:
    """Rows with holes for a layer of each kind of storage."""
    layers = {
        "binary": Binary(6),
        "categorical": Categorical(6, 3),
        "Gaussian": Gaussian(6, learn_precision=True),
        "mixed": Mixed(Binary(2), Gaussian(2), Categorical(1, 2)),
    }
    rbm = RBM(layers[kind], 4)
    states = layers[kind].sample_alone(n, Lane.SAMPLES.stream(0))
    seen = units_missing(rbm, n, 1)
    if kind == "categorical":
        values = states.view(n, 6, 3).argmax(2).float()
        data = Data("holes", values, OneHot(3), mask=Mask.of(seen[:, ::3]))
    else:
        data = with_holes(states, seen)
    return data, rbm.init_from_data_(data, seed=0)
