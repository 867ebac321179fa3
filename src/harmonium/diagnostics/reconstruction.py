"""Reconstruction error of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.gauge import Gauge
from harmonium.rbm import RBM
from harmonium.units import Units


@torch.no_grad()
def reconstruction_error(rbm: RBM, v: Tensor, observed: Tensor | None = None) -> Tensor:
    """How far each row is from its own reconstruction, shape (rows,).

    The reconstruction is the mean of the visible units given the mean of the hidden ones: nothing
    is drawn. `error_given_inputs` defines the error, and which columns count.
    """
    gauge = Gauge.of(rbm)
    rbm, v = gauge.rbm, gauge.enter(v)
    inputs = rbm.inputs_v_from_h(rbm.mean_h_from_v(v))
    return error_given_inputs(rbm.visible, inputs, v, observed)


def error_given_inputs(
    units: Units, inputs: Tensor, x: Tensor, observed: Tensor | None = None
) -> Tensor:
    """How far rows of states are from the means of units given inputs, shape (rows,).

    Cross-entropy in nats for discrete units, squared error summed over columns for continuous
    units; the sum of both for mixed layers. If it is said which columns are ``observed``, bool, of
    the shape of ``x``, only their units count.
    """
    if observed is not None:
        return _error_of_observed(units, inputs, x, observed)
    if units.is_discrete:
        # minus log p(x | inputs); linear in x, so it also applies to probabilities instead of
        # states
        return units.energy(x) - (x * inputs).sum(-1) + units.cgf(inputs).sum(-1)
    by_column, by_unit = x * (inputs + units.bias), units.cgf(inputs)
    error, first = x.new_zeros(x.shape[:-1]), 0
    for columns, part in units.groups:
        if part.states is None:
            mean = units.mean(inputs)[..., columns]
            error = error + (mean - x[..., columns]).square().sum(-1)
        else:
            own = by_unit[..., first : first + part.n].sum(-1)
            error = error + own - by_column[..., columns].sum(-1)
            if not part.is_linear:  # beside units of other types, its bias is zero
                error = error + part.energy(x[..., columns])
        first += part.n
    return error


def _error_of_observed(units: Units, inputs: Tensor, x: Tensor, observed: Tensor) -> Tensor:
    # at zero, a unit has no energy but that of zero itself
    x, zero = torch.where(observed, x, 0), torch.zeros_like(units.bias)
    by_column, by_unit = x * (inputs + units.bias), units.cgf(inputs)
    error, first = x.new_zeros(x.shape[:-1]), 0
    for columns, part in units.groups:
        if part.states is None:
            off = (units.mean(inputs)[..., columns] - x[..., columns]).square()
            error = error + (off * observed[..., columns]).sum(-1)
        else:
            seen = observed[..., columns.start : columns.stop : part.width]
            error = error + (by_unit[..., first : first + part.n] * seen).sum(-1)
            error = error - by_column[..., columns].sum(-1)
            own = x[..., columns]
            if not part.is_linear:
                linear = (own * part.bias).sum(-1)  # of a layer of its own; else its bias is zero
                error = error + part.energy(own) + linear - part.energy(zero[columns])
        first += part.n
    return error
