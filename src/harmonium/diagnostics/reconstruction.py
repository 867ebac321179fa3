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
    columns where they are continuous.
    """
    inputs = rbm.inputs_v_from_h(rbm.mean_h_from_v(v))
    if rbm.visible.states is None:
        return (rbm.visible.mean(inputs) - v).square().sum(-1)
    # minus log p(v | h), which is linear in v and so holds for probabilities in place of states
    return rbm.visible.energy(v) - (v * inputs).sum(-1) + rbm.visible.cgf(inputs).sum(-1)
