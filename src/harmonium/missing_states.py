"""Missing states of rows, drawn given what is observed of the rows."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from harmonium.autograd import without_autograd
from harmonium.datasets.masks import MaskedRows, has_missing
from harmonium.datasets.minibatches import Rows
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.units import Units

_SWEEPS = 20
_DRAWS_A_ROW = 2**10  # more than the sweeps take


@torch.no_grad()
def draw_by_column(
    visible: Units, moments: tuple[Tensor, Tensor], n: int, stream: Stream
) -> Tensor:
    """States of ``n`` rows, each column independent and with these moments, as far as it can be."""
    units = copy.deepcopy(visible)
    units.init_from_moments_(*(moment.to(visible.bias) for moment in moments))
    return units.sample_alone(n, stream)


@without_autograd
def move_missing(rbm: RBM, v: Tensor, observed: Tensor, sweeps: int, stream: Stream) -> Tensor:
    """Move the missing states of rows by block Gibbs sweeps; the observed ones are clamped.

    A sweep draws the hidden units given all visible ones, and the missing visible ones given the
    hidden ones. The conditional distribution of the missing states is invariant.

    Parameters
    ----------
    rbm
        The model.
    v
        Visible states, the missing ones too, shape (rows, visible.n_columns).
    observed
        Whether each is observed, bool, of the same shape.
    sweeps
        Number of sweeps.
    stream
        Random numbers.

    Returns
    -------
    Tensor
        The rows, in new memory if there are sweeps.
    """
    known = v
    for _ in range(sweeps):
        h = rbm.sample_h_from_v(v, stream)
        v = torch.where(observed, known, rbm.sample_v_from_h(h, stream))
    return v


def complete(
    rbm: RBM, rows: MaskedRows, moments: tuple[Tensor, Tensor], sweeps: int, stream: Stream
) -> Tensor:
    """Rows with their missing states, drawn by column and moved by ``sweeps`` sweeps.

    Arguments are those of `draw_by_column` and `move_missing`.
    """
    states = rows.states.to(rbm.weights.dtype)
    if bool(rows.observed.all()):
        return states
    drawn = draw_by_column(rbm.visible, moments, len(rows), stream)
    v = torch.where(rows.observed, states, drawn)
    return move_missing(rbm, v, rows.observed, sweeps, stream)


def completed_rows(rbm: RBM, data: Rows, index: Tensor, stream: Stream) -> Tensor:
    """States of some rows, to be shown or diagnosed; the model draws the missing ones.

    They start as if there were no weights, and make a few sweeps, in which what is observed is
    clamped.

    Parameters
    ----------
    rbm
        The model.
    data, index, stream
        As for `Data.rows`. The missing states have a stream of their own, of the same seed.
    """
    if not has_missing(data):
        return data.rows(index, stream)
    rows = data.masked_rows(index, stream)
    first = int(index[0]) if len(index) else 0
    own = Lane.COMPLETED.stream(stream.seed, _DRAWS_A_ROW * first)
    states = rows.states.to(rbm.weights)
    v = torch.where(rows.observed, states, rbm.visible.sample_alone(len(states), own))
    return move_missing(rbm, v, rows.observed, _SWEEPS, own)
