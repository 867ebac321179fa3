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


def bound(models: Sequence[oracle.Model], v: Array, upwards: Sequence[oracle.Model]) -> float:
    """The variational bound of log p(v) with draws upwards, by summing over all hidden states."""
    *lower, top = models
    states = top.visible.points()[0]
    log_top = -top.free_energy(states)
    log_top = log_top - logsumexp(log_top)
    value, p = 0.0, np.ones(1)
    below = v[None]  # states of the layer below, and their probabilities under q
    for model, up in zip(lower, upwards, strict=True):
        h = model.hidden.points()[0]
        log_q = log_conditional(up.hidden, below @ up.weights)  # (n_below, n_h)
        every = oracle_log_p(model.visible, below, h @ model.weights.T)  # (n_below, n_h)
        value += (p[:, None] * np.exp(log_q) * (every - log_q)).sum()
        below, p = h, p @ np.exp(log_q)
    return float(value + p @ log_top)


def oracle_log_p(layer: oracle.Layer, x: Array, inputs: Array) -> Array:
    """Log-probability of each row of states under each row of inputs, (n_x, n_inputs)."""
    return x @ inputs.T - layer.energy(x)[:, None] - layer.log_normaliser(inputs)[None]
