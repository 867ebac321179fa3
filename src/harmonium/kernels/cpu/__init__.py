"""The compiled kernels for the CPU, in Numba."""

from __future__ import annotations

from harmonium.kernels.cpu.draws import (
    binary_,
    categorical_,
    gaussian_,
    spin_,
    sweeps_,
    uniform_,
)
from harmonium.kernels.cpu.products import centre_, moments_, product

__all__ = [
    "binary_",
    "categorical_",
    "centre_",
    "gaussian_",
    "moments_",
    "product",
    "spin_",
    "sweeps_",
    "uniform_",
]
