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
    # minus log p(v | h), which is linear in v and so holds for probabilities in place of states
    by_column, by_unit = v * (inputs + visible.bias), visible.cgf(inputs)
    error, first = v.new_zeros(v.shape[:-1]), 0
    for columns, units in visible.groups:
        if units.states is None:
            mean = visible.mean(inputs)[..., columns]
            error = error + (mean - v[..., columns]).square().sum(-1)
        else:
            own = by_unit[..., first : first + units.n].sum(-1)
            error = error + own - by_column[..., columns].sum(-1)
        first += units.n
    return error
