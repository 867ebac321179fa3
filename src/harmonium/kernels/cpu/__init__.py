"""The compiled kernels for the CPU, in Numba."""

from __future__ import annotations

from harmonium.kernels.cpu.draws import (
    binary_,
    binary_mean,
    categorical_,
    gaussian_,
    spin_,
    sweeps_,
    uniform_,
)
from harmonium.kernels.cpu.products import centre_, descend_, mean_columns, moments_, product

__all__ = [
    "binary_",
    "binary_mean",
    "categorical_",
    "centre_",
    "descend_",
    "gaussian_",
    "mean_columns",
    "moments_",
    "product",
    "spin_",
    "sweeps_",
    "uniform_",
]
