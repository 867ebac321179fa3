"""How far rows are from their own reconstructions."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.rbm import RBM


@torch.no_grad()
def reconstruction_error(rbm: RBM, v: Tensor) -> Tensor:
    """How far each row is from its own reconstruction, shape (rows,).

    The reconstruction is the mean of the visible units given the mean hidden ones: nothing is
    drawn. Cross-entropy in nats where visible units are discrete, the squared error summed over
    columns where they are continuous; both together where some are and some are not.
    """
    visible = rbm.visible
    inputs = rbm.inputs_v_from_h(rbm.mean_h_from_v(v))
    if visible.is_discrete:
        # minus log p(v | h), which is linear in v and so holds for probabilities in place of states
        return visible.energy(v) - (v * inputs).sum(-1) + visible.cgf(inputs).sum(-1)
    linear, cgf, difference = (
        v * (inputs + visible.bias),
        visible.cgf(inputs),
        visible.mean(inputs) - v,
    )
    error, first = v.new_zeros(v.shape[:-1]), 0
    for columns, units in visible.groups:
        if units.states is None:
            error = error + difference[..., columns].square().sum(-1)
        else:
            own = slice(first, first + units.n)
            error = error + cgf[..., own].sum(-1) - linear[..., columns].sum(-1)
        first += units.n
    return error
