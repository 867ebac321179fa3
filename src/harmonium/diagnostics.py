"""Numbers that say how a model and its chains are doing; none of them is a likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Gibbs
from harmonium.units import Spin

_DEAD, _SATURATED = 0.01, 0.99


@torch.no_grad()
def reconstruction_error(rbm: RBM, v: Tensor) -> Tensor:
    """How far each row is from its own reconstruction, shape (rows,).

    The reconstruction is the mean of the visible units given the mean hidden ones: nothing is
    drawn. Cross-entropy in nats where visible units are discrete, the squared error summed over
    columns where they are continuous.
    """
    inputs = rbm.inputs_v_from_h(rbm.mean_h_from_v(v))
    if rbm.visible.states is None:
        return (rbm.visible.mean(inputs) - v).square().sum(-1)
    # minus log p(v | h), which is linear in v and so holds for probabilities in place of states
    return rbm.visible.energy(v) - (v * inputs).sum(-1) + rbm.visible.cgf(inputs).sum(-1)


@torch.no_grad()
def hidden_activity(rbm: RBM, v: Tensor) -> Tensor | None:
    """Mean activity of each hidden column over the rows, from 0 to 1; None if unbounded."""
    if rbm.hidden.states is None:
        return None
    mean = rbm.mean_h_from_v(v).mean(0)
    return (mean + 1) / 2 if isinstance(rbm.hidden, Spin) else mean


def dead_share(activity: Tensor) -> float:
    """Share of hidden columns that are off (activity below 0.01) on almost all rows."""
    return (activity < _DEAD).double().mean().item()


def saturated_share(activity: Tensor) -> float:
    """Share of hidden columns that are on (activity above 0.99) on almost all rows."""
    return (activity > _SATURATED).double().mean().item()


def flip_rates(rbm: RBM, chains: ChainState, stream: Stream) -> dict[str, float]:
    """Share of units of each discrete layer that one Gibbs sweep changes; the chains stay."""
    after, _ = Gibbs(sweeps=1)(rbm, chains.clone(), stream)
    return {
        name: (before.unflatten(-1, (units.n, -1)) != moved.unflatten(-1, (units.n, -1)))
        .any(-1)
        .double()
        .mean()
        .item()
        for name, units, before, moved in (
            ("visible", rbm.visible, chains.visible, after.visible),
            ("hidden", rbm.hidden, chains.hidden, after.hidden),
        )
        if units.states is not None
    }


def update_ratio(before: Tensor, after: Tensor) -> float:
    """Mean absolute change of the weights over their mean absolute value; about 1e-3 is healthy.

    Infinite when weights that were all zero have moved, zero when nothing has.

    Hinton (2010), "A practical guide to training restricted Boltzmann machines", section 7.
    """
    size = before.abs().mean().item()
    change = (after - before).abs().mean().item()
    if change == 0:
        return 0.0
    return change / size if size > 0 else float("inf")
