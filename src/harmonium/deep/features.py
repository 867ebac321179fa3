"""The features that a trained RBM computes from its data, as data for the layer above."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from harmonium.arguments import check_type
from harmonium.datasets import Data, Scaled, Stochastic
from harmonium.rbm import RBM, check_rbm
from harmonium.units import Units

_BLOCK = 1000  # rows passed up at a time: 8 MB for a layer of 2,000 units


@torch.no_grad()
def mean_features(rbm: RBM, data: Data) -> Data:
    """The mean hidden units of each row, computed once, in blocks of rows.

    Apart from the features themselves, float32 of shape (rows, hidden.n_columns), memory is
    bounded. Labels, weights, names of rows and device are those of the data. If the encoding of the
    data draws states, their means are passed up instead, so nothing here is random.

    Parameters
    ----------
    rbm
        An RBM whose visible units fit the data.
    data
        Rows whose states are states of the visible units.

    Raises
    ------
    ValueError
        If the number of columns of the data differs from that of the visible units.
    """
    check_rbm("rbm", rbm)
    check_type("data", data, Data, "Data, such as datasets.load('digits')")
    values = torch.empty(
        (len(data), rbm.hidden.n_columns), dtype=torch.float32, device=data.values.device
    )
    for rows, features in zip(data.values.split(_BLOCK), values.split(_BLOCK), strict=True):
        v = _mean_states(data, rows).to(rbm.weights.dtype)
        features.copy_(rbm.mean_h_from_v(v))
    return Data(
        f"{rbm.hidden.n} features of {data.name}",
        values,
        labels=data.labels,
        weights=data.weights,
        row_names=data.row_names,
    )


def drawn_features(rbm: RBM, data: Data) -> Data:
    """States of two-valued hidden units, drawn from their means again in each epoch.

    The stored means are those of `mean_features`; their encoding draws states from them.

    Raises
    ------
    ValueError
        If the hidden units are not two-valued, or the data do not fit.
    """
    check_rbm("rbm", rbm)
    check_type("data", data, Data, "Data, such as datasets.load('digits')")
    encoding = _drawing(rbm.hidden)
    if encoding is None:
        raise ValueError(
            f"features of {type(rbm.hidden).__name__} units cannot be drawn from their means; "
            "take mean_features"
        )
    return dataclasses.replace(mean_features(rbm, data), encoding=encoding)


def features(rbm: RBM, data: Data) -> Data:
    """`drawn_features` of two-valued hidden units, `mean_features` of all others.

    With draws, a unit passes only one bit to the layer above, as in the model.
    """
    check_rbm("rbm", rbm)
    check_type("data", data, Data, "Data, such as datasets.load('digits')")
    return (mean_features if _drawing(rbm.hidden) is None else drawn_features)(rbm, data)


def check_labels(data: Data, n_classes: int) -> Tensor:
    """The labels of rows, checked to belong to one of ``n_classes`` classes.

    Raises
    ------
    ValueError
        If there are none, or labels outside 0 ... n_classes - 1; names the first.
    """
    if data.labels is None:
        raise ValueError(
            f"the label units need the class of each row, but {data.name} has no labels; pass data "
            "with labels, or make the network without label units"
        )
    wrong = (data.labels < 0) | (data.labels >= n_classes)
    if wrong.any():
        raise ValueError(
            f"{data.name} has the label {int(data.labels[wrong][0])}, but the classes of the "
            f"{n_classes} label units are 0 to {n_classes - 1}; number the classes from 0"
        )
    return data.labels


def _drawing(units: Units) -> Stochastic | None:
    """The encoding that draws the states of units from their means; None if there is none."""
    low = units.low_state
    return None if low is None else Stochastic(float(low), 1.0, low_state=float(low))


def _mean_states(data: Data, values: Tensor) -> Tensor:
    """The states of stored rows, or their means if states are drawn."""
    encoding = data.encoding
    if not isinstance(encoding, Stochastic):
        return encoding.encode(values)
    shares = Scaled(encoding.low, encoding.high).encode(values)
    return shares.mul_(1 - encoding.low_state).add_(encoding.low_state)
