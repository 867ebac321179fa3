"""Products that skip zeros, layers of binary units, and gradients from products."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.kernels import backends, draws, reference
from harmonium.rng import Stream


def product(
    states: Tensor,
    weights: Tensor,
    out: Tensor | None = None,
    *,
    n_categories: int | None = None,
) -> Tensor:
    """``states @ weights``, skipping zeros if most states are zero; into ``out``, if given.

    The sum is the same up to rounding. If zeros are skipped, the order of its terms is the same on
    any number of threads. ``n_categories`` says that the states are those of categorical units with
    so many columns each; if they are one-hot, the rows of weights that they name are added up.
    """
    if states.dim() != 2:
        raise ValueError(f"states have shape {tuple(states.shape)}; pass a table of rows")
    if out is None:
        out = states.new_empty(states.shape[0], weights.shape[1])
    if states.shape[1] != weights.shape[0] or out.shape != (states.shape[0], weights.shape[1]):
        raise ValueError(
            f"states of shape {tuple(states.shape)} times weights of shape {tuple(weights.shape)} "
            f"do not fit into shape {tuple(out.shape)}"
        )
    backend = backends.of(states) if states.dtype == weights.dtype == out.dtype else reference
    backend.product(states, weights, out, n_categories)
    return out


def binary_layer(
    states: Tensor,
    weights: Tensor,
    bias: Tensor,
    out: Tensor | None = None,
    stream: Stream | None = None,
    *,
    n_categories: int | None = None,
) -> Tensor:
    """Means of a layer of binary units given the other layer; with a stream, also a draw.

    The draw is that of `binary_` with inputs ``states @ weights``.

    Parameters
    ----------
    states
        States of the other layer, shape (rows, n).
    weights, bias
        Shapes (n, columns) and (columns,).
    out
        Overwritten with the draw, shape (rows, columns).
    stream
        Random numbers; None draws nothing. Pass ``out`` and ``stream`` together.
    n_categories
        As for `product`.

    Returns
    -------
    Tensor
        sigmoid(states @ weights + bias), in new memory of shape (rows, columns).
    """
    if states.dim() != 2 or states.shape[1] != weights.shape[0]:
        raise ValueError(
            f"states have shape {tuple(states.shape)}; pass rows of {weights.shape[0]} columns"
        )
    shape = (states.shape[0], weights.shape[1])
    if (out is None) != (stream is None) or (out is not None and out.shape != shape):
        raise ValueError(
            f"a draw needs a stream and memory of shape {shape}; pass both, or neither"
        )
    backends.check_columns(shape[1], bias)
    backend = backends.of(states)
    if (
        backend is not reference
        and states.dtype == weights.dtype == bias.dtype
        and weights.is_cpu
        and bias.is_cpu
        and (out is None or (out.dtype == states.dtype and out.is_contiguous()))
    ):
        means: Tensor = backend.binary_layer(states, weights, bias, out, stream, n_categories)
        return means
    inputs = product(states, weights, n_categories=n_categories)
    mean = torch.sigmoid(inputs + bias)
    if out is not None and stream is not None:
        draws.binary_(out.copy_(inputs), bias, stream)
    return mean


def moments_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    scale: float = 1.0,
    *,
    n_categories: int | None = None,
) -> Tensor:
    """Overwrite ``out`` with ``scale`` times (mean v h of the chains - mean v h of the data).

    Parameters
    ----------
    out
        Shape (n_visible, n_hidden).
    data, chains
        Visible and hidden rows, shapes (rows, n_visible) and (rows, n_hidden).
    scale
        Factor of the result.
    n_categories
        As for `product`; a row may also be one-hot times a factor.
    """
    _check_moments(out, data, chains)
    backends.of(out).moments_(out, data, chains, scale, n_categories)
    return out


def centred_gradient_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    offsets: tuple[Tensor, Tensor],
    rate: float,
    scale: float = 1.0,
    *,
    n_categories: int | None = None,
) -> None:
    """Overwrite ``out`` and ``biases`` with the centred gradient by weights and biases.

    Parameters
    ----------
    out, data, chains, scale, n_categories
        As for `moments_`.
    biases
        Gradient by the visible and by the hidden biases, overwritten.
    offsets
        Offsets of visible and hidden units; first moved by ``rate`` towards the data's means.
    """
    _check_moments(out, data, chains)
    rows, columns = out.shape
    for pair in (biases, offsets):
        if [x.shape for x in pair] != [(rows,), (columns,)]:
            raise ValueError(
                f"weights have shape {(rows, columns)}, and biases or offsets "
                f"{' and '.join(str(tuple(x.shape)) for x in pair)}; pass one for each row and one "
                "for each column"
            )
    backend = backends.of(out)
    tensors = (*data, *chains, *biases, *offsets)
    if any(x.dtype != out.dtype for x in tensors) or not all(
        x.is_contiguous() for x in (*biases, *offsets)
    ):
        backend = reference
    backend.centred_gradient_(out, data, chains, biases, offsets, rate, scale, n_categories)


def _check_moments(out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor]) -> None:
    for v, h in (data, chains):
        if v.shape[0] != h.shape[0] or out.shape != (v.shape[1], h.shape[1]):
            raise ValueError(
                f"visible rows of shape {tuple(v.shape)} and hidden rows of shape "
                f"{tuple(h.shape)} do not make moments of shape {tuple(out.shape)}"
            )
