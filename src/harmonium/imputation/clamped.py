"""`ClampedRows`: what is missing of each row, given what is observed, as an RBM of each row's own.

Given observed columns, the others and the hidden units are an RBM again: observed columns shift the
hidden biases by their inputs, and add a constant to the energy. So all rows share the weights, and
differ in their hidden inputs and in which units are missing.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import check_type, described
from harmonium.datasets import MaskedRows
from harmonium.gauge import Gauge
from harmonium.imputation.one_by_one import OneByOne
from harmonium.rbm import RBM, check_rbm


@dataclass(frozen=True, eq=False)
class ClampedRows:
    """Rows with missing columns, under a model. `of` makes them.

    Attributes
    ----------
    gauge
        The model in coordinates near zero, and the way back.
    units
        Its visible units, one by one, in float64.
    states : Tensor, shape (rows, n_columns)
        States in these coordinates; missing units are in their reference state.
    observed : Tensor, bool, shape (rows, n_columns)
    missing : Tensor, bool, shape (rows, n_units)
    inputs : Tensor, shape (rows, hidden.n_columns)
        Inputs of the hidden units from the observed columns alone.
    log_weights : Tensor, float64, shape (rows,)
        Minus the energy of the observed units alone, nats.
    """

    gauge: Gauge
    units: OneByOne
    states: Tensor
    observed: Tensor
    missing: Tensor
    inputs: Tensor
    log_weights: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, rbm: RBM, rows: MaskedRows, dtype: torch.dtype | None = None) -> ClampedRows:
        """Clamp a model at what is observed of rows.

        Parameters
        ----------
        rbm
            Any model.
        rows
            Rows of its visible states; what stands at missing places is not read.
        dtype
            Of the computation; None for the model's.

        Raises
        ------
        TypeError
            If they are not an RBM and `MaskedRows`.
        ValueError
            If there are no rows, if they have the wrong shape or hold what are no states, or if
            part of a unit is observed.
        """
        check_rbm("rbm", rbm)
        check_type("rows", rows, MaskedRows, "MaskedRows(states, observed)")
        states, observed = rows.states, rows.observed
        if states.dim() != 2 or not len(states) or states.shape != observed.shape:
            raise ValueError(
                f"states have shape {tuple(states.shape)} and observed {tuple(observed.shape)}; "
                f"pass both of shape (rows, {rbm.visible.n_columns}), of one row or more"
            )
        rbm.visible.check_width(states, "visible")
        if observed.dtype != torch.bool:
            raise TypeError(f"observed is {described(observed)}; pass booleans, True where known")
        gauge = Gauge.of(rbm, dtype)
        gauge = replace(gauge, rbm=copy.deepcopy(gauge.rbm).requires_grad_(False))
        wide = copy.deepcopy(gauge.rbm).double()
        units = OneByOne(wide.visible, wide.weights, wide.hidden)
        observed = observed.to(wide.weights.device)
        by_unit = torch.zeros(len(states), len(units.columns), device=observed.device)
        by_unit.index_add_(1, units.unit_of_column, observed.float())
        widths = torch.bincount(units.unit_of_column)
        if not ((by_unit == 0) | (by_unit == widths)).all():
            raise ValueError(
                "observed has some columns of a unit and lacks others; all columns of a "
                "categorical unit are observed together, or none"
            )
        moved = gauge.enter(states.to(observed.device)).double()
        full = torch.where(observed, moved, units.reference)
        rbm.visible.check(gauge.leave(full).to(states.dtype), "visible")
        missing = by_unit == 0
        energy = wide.visible.energy(full) - missing.double() @ units.reference_energies
        own = full.to(gauge.rbm.weights.dtype)
        known = torch.where(observed, own, torch.zeros_like(own))
        inputs = kernels.product(known, gauge.rbm.weights)
        return cls(gauge, units, own, observed, missing, inputs, -energy)

    def __len__(self) -> int:
        return len(self.states)

    @property
    def rbm(self) -> RBM:
        """The model in these coordinates."""
        return self.gauge.rbm

    def take(self, rows: Tensor) -> ClampedRows:
        """Some of the rows, by number."""
        return replace(
            self,
            states=self.states[rows],
            observed=self.observed[rows],
            missing=self.missing[rows],
            inputs=self.inputs[rows],
            log_weights=self.log_weights[rows],
        )

    def repeated(self, n: int) -> ClampedRows:
        """Every row ``n`` times, one after the other."""
        rows = torch.arange(len(self), device=self.states.device)
        return self.take(rows.repeat_interleave(n))

    def leave(self, states: Tensor) -> Tensor:
        """States of these coordinates in those of the model that was given."""
        return self.gauge.leave(states)
