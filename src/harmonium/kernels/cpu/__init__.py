"""Compiled kernels for the CPU, in Numba.

Functions call each other across files, but Numba's disk cache checks only the file of the function
that Python calls. After a change here, delete ``__pycache__``; the tests do so automatically.
"""

from __future__ import annotations

from harmonium.kernels.cpu.annealing import reweigh_binary_
from harmonium.kernels.cpu.categories import categorical_
from harmonium.kernels.cpu.common import when_compiling
from harmonium.kernels.cpu.counts import binomial_, poisson_
from harmonium.kernels.cpu.documents import add_documents_, document_inputs, draw_words
from harmonium.kernels.cpu.draws import binary_, gaussian_, spin_, uniform_, words
from harmonium.kernels.cpu.enumeration import log_sums_of_products
from harmonium.kernels.cpu.following import Followed, followed
from harmonium.kernels.cpu.half_normal import drelu_, drelu_moments, relu_, relu_moments
from harmonium.kernels.cpu.neighbours import neighbours
from harmonium.kernels.cpu.one_hot import one_hot_sweeps_
from harmonium.kernels.cpu.products import binary_layer, centred_gradient_, moments_, product
from harmonium.kernels.cpu.ratings import (
    add_rating_inputs_,
    add_rating_moments_,
    draw_ratings,
    rating_logits,
)
from harmonium.kernels.cpu.softplus import softplus_gradient, softplus_sums
from harmonium.kernels.cpu.sweeps import sweeps_
