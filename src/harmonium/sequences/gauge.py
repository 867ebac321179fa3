"""The zero-sum gauge: one of many RBMs with the same distribution, for looking at weights.

Adding a number to all weights between the columns of a categorical unit and one hidden unit changes
nothing but that unit's inputs, by the same amount for every row, because one column is always 1.
In the zero-sum gauge (Weigt et al., 2009, PNAS 106, 67; Ekeberg et al., 2013, Phys. Rev. E 87,
012707) weights and biases sum to zero over the categories of each unit. Its weights are the
smallest of all that give the distribution, so that their sizes can be compared.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from harmonium.rbm import RBM, check_rbm
from harmonium.units import Units


@torch.no_grad()
def zero_sum(rbm: RBM) -> RBM:
    """Return the RBM of the same distribution whose one-hot units are in the zero-sum gauge.

    Weights and biases then sum to zero over the categories of each one-hot unit, in both layers.
    Free energies differ from those of the given model by one constant. Layers of other types keep
    their weights, and receive as a bias what the others have lost.

    Parameters
    ----------
    rbm
        Any RBM; it is not changed.

    Returns
    -------
    RBM
        A new model, in the dtype of the given one.

    Raises
    ------
    TypeError
        If it is no RBM.
    """
    check_rbm("rbm", rbm)
    wide = copy.deepcopy(rbm).double()
    for lower, upper, turned in (
        (wide.visible, wide.hidden, False),
        (wide.hidden, wide.visible, True),
    ):
        weights = wide.weights.T if turned else wide.weights
        means, total = _means(lower, weights)
        upper.bias.add_(total)
        weights.sub_(means)
    for units in (wide.visible, wide.hidden):
        units.bias.sub_(_means(units, units.bias[:, None])[0][:, 0])
    return wide.to(rbm.weights.dtype)


def _means(units: Units, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the categories of each one-hot unit, 0 for other units.

    ``columns`` has a row for each column of the units. Returned are the mean for each of these
    rows, and the sum over units, of which each counts once.
    """
    means, total = torch.zeros_like(columns), columns.new_zeros(columns.shape[1])
    for where, group in units.groups:
        if group.is_one_hot:
            own = columns[where].reshape(group.n, -1, columns.shape[1])
            mean = own.mean(1, keepdim=True)
            means[where] = mean.expand_as(own).flatten(0, 1)
            total += mean.sum((0, 1))
    return means, total
