"""The start of annealing: independent units that match the data column by column."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from harmonium.gauge import Gauge, Moments
from harmonium.likelihood.checks import is_straight
from harmonium.rbm import RBM, HasMoments, check_rbm

# Least variance of a Gaussian column of the data, as a share of the model's own variance.
_LEAST_SHARE_OF_NOISE = 1e-4


@torch.no_grad()
def base_rates(rbm: RBM, data: Tensor | HasMoments) -> RBM:
    """A model of the same units with zero weights, whose visible units have the data's moments.

    Its hidden biases are zero, except that Gaussian hidden units far from zero stay near those of
    ``rbm``. Gaussian visible units get the data's variance, even if their precision is fixed in
    ``rbm``; constant columns get the model's own.

    Parameters
    ----------
    rbm
        The model whose units are copied.
    data
        Rows of visible states, shape (n, visible.n_columns), or an object that knows their moments.

    Raises
    ------
    ValueError
        If data have no rows or the wrong width, or are not states of the visible units.

    Returns
    -------
    RBM
        The model, in float64 if ``rbm`` is far from zero, so that its means are as exact as the
        data's.
    """
    check_rbm("rbm", rbm)
    gauge = Gauge.of(rbm)
    base = copy.deepcopy(gauge.rbm).requires_grad_(False)
    data = gauge.enter_data(data)
    if not isinstance(data, Tensor) and hasattr(data, "moments"):
        data = Moments(*data.moments())  # once: there may be many rows
    for _, units in base.visible.groups:
        if units.stored_log_precision is not None:
            units.stored_log_precision.requires_grad_(True)
    base.init_from_data_(data, seed=0, weight_std=0.0).requires_grad_(False)
    if isinstance(data, Tensor):
        rows = data.reshape(-1, data.shape[-1]).double()
        data = Moments(rows.mean(0), rows.var(0, correction=0))
    mean, var = (moment.to(base.weights) for moment in data.moments())
    for columns, units in base.visible.groups:
        log, precision = units.stored_log_precision, gauge.rbm.visible.precision
        if log is not None and precision is not None and not units.has_origin:
            own = 1 / precision[columns]
            # a column that hardly varies compared to the model's noise gives no estimate of a
            # variance
            own = torch.where(var[columns] > _LEAST_SHARE_OF_NOISE * own, var[columns], own)
            log.copy_(-own.log())
            base.visible.bias[columns] = log.exp() * mean[columns]
    if not is_straight(base.visible, gauge.rbm.visible):
        # a user's unit type with parameters that are not natural: these are kept
        for name, parameter in gauge.rbm.visible.named_parameters():
            if name != "bias":
                base.visible.get_parameter(name).copy_(parameter)
    return gauge.move_back(base)
