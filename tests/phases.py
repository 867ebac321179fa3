"""Exact expectations for the tests of training, so that no sampling noise is in the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM
from harmonium.gradient import Phase
from harmonium.likelihood import exact_log_z
from unit_types import UnitType, array, has_half_lines


def phase(rbm: RBM, v: Tensor) -> Phase:
    """The statistics of rows of visible states, as training takes them."""
    inputs = rbm.inputs_h_from_v(v)
    return Phase(rbm.visible.statistics(v), rbm.hidden.mean_statistics(inputs))


def weighted_phase(rbm: RBM, v: Tensor, p: Tensor) -> Phase:
    """The phase whose means are the expectations over rows ``v`` with probabilities ``p``.

    Rows (n p v, h) have the right mean of v and of products v h; one more row, (0, r), brings
    the mean of h right and changes neither.
    """
    even = phase(rbm, v)
    n = len(v) + 1
    visible, hidden = {}, {}
    for name, x in even.visible.items():
        visible[name] = torch.cat([n * p.unsqueeze(1) * x, torch.zeros_like(x[:1])])
    for name, x in even.hidden.items():
        rest = n * (p @ x) - x.sum(0)
        hidden[name] = torch.cat([x, rest.unsqueeze(0)])
    return Phase(visible, hidden)


def visible_distribution(model: oracle.Model) -> tuple[Tensor, Tensor]:
    """All visible states (grid points where there is a continuum) and their probabilities."""
    v, log_volume = model.visible.points()
    log_p = log_volume - model.free_energy(v)
    p = np.exp(log_p - log_p.max())
    return torch.from_numpy(v), torch.from_numpy(p / p.sum())


def log_likelihood(model: oracle.Model, v: oracle.Array) -> oracle.Array:
    """Exact log-likelihood of each row, nats."""
    points, log_volume = model.visible.points()
    log_z = oracle.logsumexp(log_volume - model.free_energy(points))
    return np.asarray(-model.free_energy(v) - log_z)


def log_z_of(rbm: RBM, visible: UnitType, hidden: UnitType) -> float:
    """Log Z of a model, exactly, or by quadrature where it has half-lines on both sides."""
    if not has_half_lines(visible, hidden):
        return exact_log_z(rbm).value
    x, log_volume = visible.twin(rbm.visible).points()
    inputs = x @ array(rbm.weights)
    by_unit = hidden.twin(rbm.hidden).by_unit(inputs)
    log_p = log_volume - visible.twin(rbm.visible).energy(x)
    return float(oracle.logsumexp(log_p + sum(unit.log_normaliser(own) for unit, own in by_unit)))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch on one thread, in modules that import this: on tiny tensors others only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
