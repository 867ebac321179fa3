"""What small deep belief networks are, from the definition, by enumeration in float64.

Imports nothing from the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import logsumexp

import oracle
from oracle import Array


def log_conditional(layer: oracle.Layer, inputs: Array) -> Array:
    """Log-probability of each of a layer's points under each row of inputs, (..., n_points)."""
    log_weights = layer.log_weights(inputs)[1]
    return log_weights - logsumexp(log_weights, axis=-1, keepdims=True)


def log_p(models: Sequence[oracle.Model]) -> Array:
    """Log-probability of each of the visible layer's points, (n_points,); models from below."""
    *lower, top = models
    log_p = -top.free_energy(top.visible.points()[0])
    log_p = log_p - logsumexp(log_p)
    for model in reversed(lower):
        h = model.hidden.points()[0]
        downwards = log_conditional(model.visible, h @ model.weights.T)
        log_p = logsumexp(log_p[:, None] + downwards, axis=0)
    return log_p


def p_up(models: Sequence[oracle.Model], v: Array) -> Array:
    """Probability of each of the highest layer's points, drawn upwards from one row v."""
    p = log_conditional(models[0].hidden, v @ models[0].weights)
    for below, model in pairwise(models):
        h = below.hidden.points()[0]
        p = logsumexp(p[:, None] + log_conditional(model.hidden, h @ model.weights), axis=0)
    return np.exp(p)


def p_down(models: Sequence[oracle.Model], h: Array) -> Array:
    """Probability of each of the lowest layer's points, drawn downwards from one row h."""
    p = log_conditional(models[-1].visible, h @ models[-1].weights.T)
    for model, above in zip(reversed(models[:-1]), reversed(models[1:]), strict=True):
        states = above.visible.points()[0]
        downwards = log_conditional(model.visible, states @ model.weights.T)
        p = logsumexp(p[:, None] + downwards, axis=0)
    return np.exp(p)
