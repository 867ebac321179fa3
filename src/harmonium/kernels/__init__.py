"""Kernels of the hot loop: fused draws, sweeps, products that skip zeros, and the gradient.

The torch code in `reference` defines each draw, bit for bit. A fast backend reproduces it, and may
differ only if a uniform number lies within rounding of the probability. The functions ending in
``_`` overwrite ``inputs``, shape (rows, columns), with the drawn states.
"""

from __future__ import annotations

from harmonium.kernels.backends import when_compiling
from harmonium.kernels.chains import followed, one_hot_sweeps_, reweigh_binary_, sweeps_
from harmonium.kernels.documents import add_documents_, document_inputs, draw_words
from harmonium.kernels.draws import (
    binary_,
    binomial_,
    categorical_,
    few_of,
    gaussian_,
    normal,
    permutation,
    poisson_,
    spin_,
    uniform,
)
from harmonium.kernels.half_lines import drelu_, drelu_moments, relu_, relu_moments
from harmonium.kernels.neighbours import MOST_CATEGORIES, neighbours
from harmonium.kernels.products import binary_layer, centred_gradient_, moments_, product
from harmonium.kernels.ratings import (
    Rated,
    add_rating_inputs_,
    add_rating_moments_,
    draw_ratings,
    rating_logits,
)
from harmonium.kernels.sums import log_sums_of_products, softplus_gradient, softplus_sums
from harmonium.kernels.threads import addmm_, bmm, matmul, mm

__all__ = [
    "MOST_CATEGORIES",
    "Rated",
    "add_documents_",
    "add_rating_inputs_",
    "add_rating_moments_",
    "addmm_",
    "binary_",
    "binary_layer",
    "binomial_",
    "bmm",
    "categorical_",
    "centred_gradient_",
    "document_inputs",
    "draw_ratings",
    "draw_words",
    "drelu_",
    "drelu_moments",
    "few_of",
    "followed",
    "gaussian_",
    "log_sums_of_products",
    "matmul",
    "mm",
    "moments_",
    "neighbours",
    "normal",
    "one_hot_sweeps_",
    "permutation",
    "poisson_",
    "product",
    "rating_logits",
    "relu_",
    "relu_moments",
    "reweigh_binary_",
    "softplus_gradient",
    "softplus_sums",
    "spin_",
    "sweeps_",
    "uniform",
    "when_compiling",
]
