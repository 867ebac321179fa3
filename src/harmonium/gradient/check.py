"""Whether gradients were finite, found out without waiting for a device."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class GradientCheck:
    """Tracks on the device whether all gradients were finite so far, without synchronising.

    After the first non-finite gradient, all gradients are set to zero.

    Parameters
    ----------
    parameters
        The parameters whose gradients are checked.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._before = [parameter.detach().clone() for parameter in self._parameters]
        device = self._before[0].device
        self._is_bad = torch.zeros((), dtype=torch.bool, device=device)
        self._n_bad = torch.zeros((), dtype=torch.int64, device=device)

    def is_of(self, parameters: Iterable[nn.Parameter]) -> bool:
        """Whether these are the same parameters, with unchanged shape, dtype and device."""
        now = list(parameters)
        return len(now) == len(self._parameters) and all(
            a is b and (a.device, a.dtype, a.shape) == (c.device, c.dtype, c.shape)
            for a, b, c in zip(now, self._parameters, self._before, strict=True)
        )

    @torch.no_grad()
    def __call__(self) -> None:
        """Check the gradients of an update, before the optimiser's step."""
        for parameter, before in zip(self._parameters, self._before, strict=True):
            torch.where(self._is_bad, before, parameter, out=before)
        grads = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        # one non-finite number makes the sum non-finite
        total = torch.stack([grad.sum() for grad in grads]).sum()
        self._is_bad.logical_or_(total.isfinite().logical_not())
        self._n_bad.add_(self._is_bad)
        for grad in grads:
            grad.masked_fill_(self._is_bad, 0)

    @torch.no_grad()
    def undo(self) -> int:
        """Ask the device how many updates ago the first bad one was: 1 for the last, 0 for none.

        This restores the parameters from before that update (an optimiser with momentum would have
        moved them on) and resets the check.
        """
        n_bad = int(self._n_bad)
        if n_bad:
            for parameter, before in zip(self._parameters, self._before, strict=True):
                parameter.copy_(before)
            self._is_bad.zero_()
            self._n_bad.zero_()
        return n_bad
