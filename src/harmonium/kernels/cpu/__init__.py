"""The compiled kernels for the CPU, in Numba.

Their functions call each other across files, while Numba's cache on disk watches only the file
of the function that is called from Python: after a change here, delete ``__pycache__``. The tests
do so by themselves.
"""

from __future__ import annotations

from harmonium.kernels.cpu.annealing import reweigh_binary_
from harmonium.kernels.cpu.common import when_compiling
from harmonium.kernels.cpu.draws import binary_, categorical_, gaussian_, spin_, uniform_, words
from harmonium.kernels.cpu.enumeration import log_sums_of_products
from harmonium.kernels.cpu.following import Followed, followed
from harmonium.kernels.cpu.products import (
    binary_layer,
    centred_gradient_,
    moments_,
    product,
)
from harmonium.kernels.cpu.softplus import softplus_gradient, softplus_sums
from harmonium.kernels.cpu.sweeps import sweeps_

__all__ = [
    "Followed",
    "binary_",
    "binary_layer",
    "categorical_",
    "centred_gradient_",
    "followed",
    "gaussian_",
    "log_sums_of_products",
    "moments_",
    "product",
    "reweigh_binary_",
    "softplus_gradient",
    "softplus_sums",
    "spin_",
    "sweeps_",
    "uniform_",
    "when_compiling",
    "words",
]
