"""Visible columns that are held fixed while the rest is sampled."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.arguments import no_tensor
from harmonium.rbm import RBM
from harmonium.sampling.chains import ChainState


class Clamp:
    """Visible columns that are held fixed; the rest is sampled given them.

    Parameters
    ----------
    mask
        True where a column is held, shape (n_columns,) or (n_chains, n_columns).
    values
        States to hold there, broadcastable to (n_chains, n_columns); other entries are not read.
    """

    def __init__(self, mask: Tensor, values: Tensor) -> None:
        for name, given in (("mask", mask), ("values", values)):
            if not isinstance(given, Tensor):
                raise no_tensor(name, given)
        if mask.dtype != torch.bool:
            raise TypeError(f"mask has dtype {mask.dtype}; pass booleans, True where held")
        if mask.dim() < 1 or mask.shape[-1:] != values.shape[-1:]:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)} and values {tuple(values.shape)}; "
                "pass the same number of columns, one for each visible column"
            )
        self.mask = mask
        self.values = values

    def check(self, rbm: RBM, chains: ChainState) -> None:
        """Refuse a clamp that does not fit these chains.

        Raises
        ------
        ValueError
            If mask or values do not fit the chains, if the mask holds only part of a unit, or if
            the held values are not states of the visible units.
        """
        rbm.visible.check_width(self.mask, "visible")
        for name, held in (("mask", self.mask), ("values", self.values)):
            if held.dim() > 2 or (held.dim() == 2 and held.shape[0] not in (1, len(chains))):
                raise ValueError(
                    f"{name} has shape {tuple(held.shape)}, but there are {len(chains)} chains; "
                    f"pass shape ({held.shape[-1]},) or ({len(chains)}, {held.shape[-1]})"
                )
            if held.device != chains.visible.device:
                raise ValueError(
                    f"{name} is on {held.device}, but the chains are on {chains.visible.device}; "
                    "move it there"
                )
        for columns, units in rbm.visible.groups:
            by_unit = self.mask[..., columns].reshape(-1, units.n, units.width)
            if (by_unit.any(-1) != by_unit.all(-1)).any():
                raise ValueError(
                    f"mask holds some of the {units.width} columns of a unit and leaves others "
                    "free; hold all columns of a unit, or none"
                )
        held_states = torch.where(self.mask, self.values, chains.visible)
        rbm.visible.check(held_states, "visible rows with the values to hold")

    def apply_(self, visible: Tensor) -> Tensor:
        """Write the held values into rows of visible states."""
        return torch.where(self.mask, self.values.to(visible.dtype), visible, out=visible)
