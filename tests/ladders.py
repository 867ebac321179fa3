"""What tests of ladders share: the twins of all levels in the oracle, and replicas drawn there."""

from __future__ import annotations

import numpy as np
import torch

import oracle
from harmonium import RBM
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Replicas, TemperaturePath
from unit_types import array


def straight(base: oracle.Model, model: oracle.Model, beta: float) -> oracle.Model:
    """The model at an inverse temperature, on the straight line in all natural parameters."""
    return oracle.Model(
        oracle.between(base.visible, model.visible, beta),
        oracle.between(base.hidden, model.hidden, beta),
        (1 - beta) * base.weights + beta * model.weights,
    )


def exact_replicas(
    rbm: RBM, joints: list[oracle.Joint], n_chains: int, path: TemperaturePath | None
) -> ChainState:
    """Chains of all levels, drawn independently from each level's own distribution."""
    drawn = [joint.draw(n_chains, seed=level) for level, joint in enumerate(joints)]
    v, h = (
        torch.from_numpy(np.concatenate(layer)).to(rbm.weights)
        for layer in zip(*drawn, strict=True)
    )
    return ChainState.of_replicas(Replicas.of(v, h, len(joints), path))


def p_values(chains: ChainState, joints: list[oracle.Joint]) -> list[float]:
    """Of each level: how probable it is that its replicas are draws of its distribution."""
    assert chains.replicas is not None
    v, h = chains.replicas.by_level
    return [joint.p_value(array(v[level]), array(h[level])) for level, joint in enumerate(joints)]


def pair_p_values(
    chains: ChainState, visible: oracle.Layer, joints: list[oracle.Joint]
) -> list[float]:
    """Of each pair of neighbours: whether their visible states are independent of each other.

    Only where they are discrete, and few.
    """
    assert chains.replicas is not None
    if not visible.is_finite:
        return []
    states = visible.points()[0]
    index = [oracle.state_index(array(v), states) for v in chains.replicas.by_level[0]]
    marginals = []
    for joint in joints:
        of_row = oracle.state_index(joint.states[:, : states.shape[1]], states)
        marginals.append(np.bincount(of_row, np.exp(joint.log_p), minlength=len(states)))
    n = len(states)
    return [
        oracle.chi_square(np.bincount(low * n + high, minlength=n * n), np.outer(p, q).flatten())
        for low, high, p, q in zip(
            index[:-1], index[1:], marginals[:-1], marginals[1:], strict=True
        )
    ]


def stream(position: int = 0) -> Stream:
    return Stream(3, Purpose.SAMPLE, position=position)
