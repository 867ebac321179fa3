"""Sums of softplus over units, and sums over states for enumeration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harmonium.kernels import backends, reference


def softplus_sums(inputs: Tensor, offsets: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Sums over columns of log(1 + exp(inputs + offset)), for each row and each offset.

    They are minus the parts of free energies that depend on binary units' inputs and offsets.

    Parameters
    ----------
    inputs
        Shape (rows, columns). An input of minus infinity adds nothing.
    offsets
        Shape (n, columns).
    dtype
        Type of the result; None keeps the type of the inputs. Float64 keeps the digits in which
        large sums differ.

    Returns
    -------
    Tensor
        Shape (rows, n).
    """
    backend = _softplus_backend(inputs, offsets)
    sums: Tensor = backend.softplus_sums(inputs, offsets, dtype)
    return sums


def softplus_gradient(inputs: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of the sum of ``weights * softplus_sums(inputs, offsets)``.

    Parameters
    ----------
    inputs, offsets
        As for `softplus_sums`.
    weights
        Shape (rows, n).

    Returns
    -------
    tuple of Tensor
        Derivatives by the inputs and by the offsets, of the same shapes as these.
    """
    if weights.shape != (inputs.shape[0], offsets.shape[0]):
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}; pass one for each of {len(inputs)} rows "
            f"and {len(offsets)} offsets"
        )
    backend = _softplus_backend(inputs, offsets, weights)
    by_inputs, by_offsets = backend.softplus_gradient(inputs, offsets, weights)
    return by_inputs, by_offsets


def _softplus_backend(inputs: Tensor, offsets: Tensor, *others: Tensor) -> Any:
    if offsets.dim() != 2:
        raise ValueError(f"offsets have shape {tuple(offsets.shape)}; pass one in each row")
    backend = backends.of(inputs, *offsets[:1])
    alike = all(x.is_cpu and x.dtype == inputs.dtype for x in (offsets, *others))
    return backend if alike else reference


def log_sums_of_products(
    log_weights: Tensor, low: Tensor, mid: Tensor, high: Tensor, ends: Tensor, groups: Tensor
) -> Tensor:
    """Log of weighted sums over states of products over units of sums over terms.

    For each row m, this is the log of the sum over states a of exp(log_weights[m, a]) times the
    product over units of 1 + sum over the unit's terms t of low[t, a] mid[m, t] high[t]. The
    exponential of an input, which is a sum, is thus a product of a few exponentials that many
    states share.

    Parameters
    ----------
    log_weights
        Finite, float64 of shape (rows, states).
    low, mid, high
        Positive, float64 of shapes (terms, states), (rows, terms) and (terms,).
    ends
        Boundaries of the units' terms, int64 of shape (units + 1,), starting at 0.
    groups
        Boundaries of groups of units, int64, from 0 to the number of units. Products over the units
        of a group must stay within the range of float64, and its units must either all have one
        term or all have several.

    Returns
    -------
    Tensor
        Shape (rows,).
    """
    shapes = {"low": (len(high), log_weights.shape[1]), "mid": (len(log_weights), len(high))}
    for name, x in (("low", low), ("mid", mid)):
        if x.shape != shapes[name]:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; pass {shapes[name]}")
    if len(ends) == 0 or int(ends[-1]) != len(high) or int(groups[-1]) != len(ends) - 1:
        raise ValueError(
            f"ends end at {ends[-1:].tolist()} and groups at {groups[-1:].tolist()}; pass the "
            f"number of terms, {len(high)}, and that of units, {len(ends) - 1}"
        )
    alike = all(x.is_cpu and x.dtype == torch.float64 for x in (log_weights, low, mid, high))
    backend: Any = backends.of(log_weights.contiguous()) if alike else reference
    sums: Tensor = backend.log_sums_of_products(log_weights, low, mid, high, ends, groups)
    return sums
