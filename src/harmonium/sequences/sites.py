"""The visible units of an RBM as sites of a sequence: one of q states each."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import check_type, described
from harmonium.rbm import RBM, check_rbm
from harmonium.units import Units


@dataclass(frozen=True, eq=False)
class Sites:
    """What an RBM says about each state of each site, float64.

    Attributes
    ----------
    inputs : Tensor, shape (n_sites, n_states, n_hidden)
        What a state adds to the inputs of the hidden columns. States of a categorical unit are its
        categories; those of a binary unit are 0 and 1.
    energies : Tensor, shape (n_sites, n_states)
        Energy of each state of a visible unit by itself, nats.
    rows : Tensor, shape (n_states, width)
        The states themselves, as columns of a row.
    hidden : Units
        A copy of the hidden layer, in float64.
    """

    inputs: Tensor
    energies: Tensor
    rows: Tensor
    hidden: Units

    @property
    def n(self) -> int:
        """Number of sites."""
        return self.inputs.shape[0]

    @property
    def n_states(self) -> int:
        """States of each site, q."""
        return self.inputs.shape[1]

    @classmethod
    @torch.no_grad()
    def of(cls, rbm: RBM) -> Sites:
        """The sites of a model whose visible units are discrete and of one kind.

        Raises
        ------
        TypeError
            If it is no RBM.
        ValueError
            If visible units are continuous, or of several kinds.
        """
        check_rbm("rbm", rbm)
        groups = rbm.visible.groups
        if len(groups) > 1:
            raise ValueError(
                f"the visible units are {rbm.visible!r}, of several kinds; pass a model of "
                "sequences alone, such as RBM(Categorical(112, 21), 300)"
            )
        states = groups[0][1].states
        if states is None:
            raise ValueError(
                f"the visible units are {rbm.visible!r}, which have no finite number of states; "
                "pass a model with categorical, binary or spin units"
            )
        rows = states.double()
        n_sites = rbm.visible.n
        weights = rbm.weights.double().reshape(n_sites, rows.shape[1], -1)
        inputs = torch.einsum("aw,iwm->iam", rows, weights)
        return cls(inputs, _energies(rbm, rows), rows, copy.deepcopy(rbm.hidden).double())

    def numbers_of(self, v: Tensor) -> Tensor:
        """The number of each site's state in rows of states, int64, shape (n_rows, n_sites)."""
        by_site = v.reshape(len(v), self.n, 1, -1).to(self.rows)
        return (by_site - self.rows).abs().sum(-1).argmin(-1)

    def check_numbers(self, states: Tensor | NDArray[Any], name: str) -> Tensor:
        """Numbers of states as int64 on the model's device; refuses others.

        Raises
        ------
        TypeError
            If they are no whole numbers.
        ValueError
            If there is not one for each site, or one is no state's number.
        """
        check_type(name, states, (Tensor, np.ndarray), "a tensor or an array of whole numbers")
        states = torch.as_tensor(states)
        if states.is_floating_point() or states.dtype == torch.bool:
            raise TypeError(f"{name} is {described(states)}; pass whole numbers")
        if states.shape[-1:] != (self.n,):
            raise ValueError(
                f"{name} has shape {tuple(states.shape)}, but the model has {self.n} sites; pass "
                "the number of a state for each"
            )
        outside = (states < 0) | (states >= self.n_states)
        if outside.any():
            raise ValueError(
                f"{name} holds {states[outside][0].item()}, but the states of a site are numbered "
                f"from 0 to {self.n_states - 1}"
            )
        return states.to(self.inputs.device, torch.int64)


def _energies(rbm: RBM, rows: Tensor) -> Tensor:
    """Energy of each state of each unit, beside the first state's, from the layer's energy."""
    visible, width = rbm.visible, rows.shape[1]
    rows = rows.to(visible.bias.dtype)
    if visible.is_linear:
        return -(visible.bias.double().reshape(visible.n, width) @ rows.double().T)
    base = rows[0].repeat(visible.n)
    found = []
    for site in range(visible.n):
        v = base.repeat(len(rows), 1)
        v[:, site * width : (site + 1) * width] = rows
        energies = visible.energy(v).double()
        found.append(energies - energies[0])
    return torch.stack(found)


def received(inputs: Tensor, numbers: Tensor) -> Tensor:
    """What hidden units receive of sequences: sums over sites.

    Parameters
    ----------
    inputs
        Of states, such as `Sites.inputs`, shape (n_sites, n_states, n_units).
    numbers
        Numbers of states, int64, shape (n_rows, n_sites).

    Returns
    -------
    Tensor
        Shape (n_rows, n_units).
    """
    found = inputs.new_zeros(len(numbers), inputs.shape[2])
    for own, states in zip(inputs, numbers.T, strict=True):
        found += own[states]
    return found
