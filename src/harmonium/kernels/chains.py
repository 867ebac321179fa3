"""Chains: sweeps that follow flips, or categories, and annealing steps of two-valued units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium.kernels import backends, draws, reference
from harmonium.rng import Stream

if TYPE_CHECKING:
    from harmonium.kernels.cpu import Followed


def sweeps_(
    chains: tuple[Tensor, Tensor],
    weights: Tensor,
    visible: tuple[Tensor, int],
    hidden: tuple[Tensor, int],
    n: int,
    stream: Stream,
    *,
    ends: bool = False,
) -> bool:
    """Make Gibbs sweeps of two-valued units by following the units that flip, if that is faster.

    Few units of a trained model change between two sweeps. Inputs can therefore be updated by
    adding and subtracting the weights of the changed units. Draws use the same random bits as
    sweeps by products, and differ only if a uniform number lies within rounding of the probability.

    Parameters
    ----------
    chains
        Visible and hidden states, shapes (rows, n_visible) and (rows, n_hidden), overwritten. The
        first sweep starts from the hidden states.
    weights
        Shape (n_visible, n_hidden).
    visible, hidden
        Each layer's biases and its lower state, 0 or -1; the upper one is 1.
    n
        Number of sweeps h -> v -> h, two draws each.
    stream
        Random numbers.
    ends
        Whether the last hidden states are not needed and need not be drawn.

    Returns
    -------
    bool
        Whether the sweeps were made. False if products are faster, or if following is not supported
        (another dtype or device, non-finite weights, hidden values that are not states); then
        nothing was changed and no draw was taken.
    """
    v, h = chains
    _check_chains(v, h, weights)
    backend = backends.of(v, visible[0])
    if backend is reference or backends.of(h, hidden[0]) is reference:
        return False
    return bool(backend.sweeps_(chains, weights, visible, hidden, n, stream, ends))


def one_hot_sweeps_(
    chains: tuple[Tensor, Tensor],
    weights: Tensor,
    visible: tuple[Tensor, int],
    hidden: tuple[Callable[[Tensor, Stream], Tensor], int | None],
    n: int,
    stream: Stream,
) -> bool:
    """Make Gibbs sweeps of categorical visible units by their categories, if that is faster.

    A row of states is as many bytes as units while it moves. The inputs of hidden units add up the
    weights of its categories; those of visible units, where the hidden ones have two states, add
    up sums that a table holds. Draws use the same random bits as sweeps by products, and differ
    only if a uniform number lies within rounding of the probability.

    Parameters
    ----------
    chains
        Visible and hidden states, shapes (rows, n_visible) and (rows, n_hidden), overwritten. The
        first sweep starts from the hidden states, and the last one draws visible states alone.
    weights
        Shape (n_visible, n_hidden).
    visible
        Biases, and the number of categories of each unit.
    hidden
        A function that overwrites inputs with a draw, and the lower state, 0 or -1, of units whose
        upper one is 1; None for all others.
    n
        Number of draws of the visible units.
    stream
        Random numbers.

    Returns
    -------
    bool
        Whether the sweeps were made. False if products are faster, or if categories are not
        supported (another dtype or device, non-finite weights, more than 64 categories); then
        nothing was changed and no draw was taken.
    """
    v, h = chains
    _check_chains(v, h, weights)
    backend = backends.of(v, visible[0])
    if backend is reference or backends.of(h) is reference or not weights.is_cpu:
        return False
    return bool(backend.one_hot_sweeps_(chains, weights, visible, hidden, n, stream))


def _check_chains(v: Tensor, h: Tensor, weights: Tensor) -> None:
    if weights.shape != (v.shape[1], h.shape[1]) or v.shape[0] != h.shape[0]:
        raise ValueError(
            f"visible states of shape {tuple(v.shape)} and hidden states of shape "
            f"{tuple(h.shape)} do not fit weights of shape {tuple(weights.shape)}"
        )


def followed(v: Tensor, weights: Tensor, lows: tuple[int, int]) -> Followed | None:
    """Chains of two-valued units for annealing, whose inputs follow the units that flip.

    A temperature changes only the factor of the inputs, not the inputs. The weights are rounded to
    16 bits, which changes energies by at most 0.1 nats; a caller that needs the exact model
    corrects both ends of the path (`likelihood.path`).

    Parameters
    ----------
    v
        Visible states, shape (chains, n_visible), which are not changed.
    weights
        Shape (n_visible, n_hidden).
    lows
        Lower states of visible and of hidden units, 0 or -1; the upper ones are 1.

    Returns
    -------
    Followed or None
        None if following is not supported (another dtype or device, few weights, weights that 16
        bits do not represent accurately enough).
    """
    if v.dim() != 2 or weights.dim() != 2 or v.shape[1] != weights.shape[0]:
        raise ValueError(
            f"visible states of shape {tuple(v.shape)} do not fit weights of shape "
            f"{tuple(weights.shape)}"
        )
    if backends.of(v) is reference or not weights.is_cpu:
        return None
    from harmonium.kernels import cpu

    return cpu.followed(v, weights, lows)


def reweigh_binary_(
    inputs: Tensor,
    before: tuple[float, Tensor],
    now: tuple[float, Tensor],
    log_weights: Tensor,
    stream: Stream | None = None,
) -> Tensor:
    """Add the weight of an annealing step for binary units, and draw them at its end.

    Each row's log weight grows by the sum over columns of log(1 + exp(scale inputs + bias)) now,
    minus the same sum before. The draw is that of `binary_` with inputs ``scale * inputs``.

    Parameters
    ----------
    inputs
        Shape (rows, columns), overwritten by the draw.
    before, now
        Scale of the inputs, an inverse temperature, and biases of shape (columns,).
    log_weights
        Float64, shape (rows,), added to.
    stream
        Random numbers; None draws nothing and does not change the inputs.
    """
    for _, bias in (before, now):
        backends.check_columns(inputs.shape[-1], bias)
    if log_weights.shape != inputs.shape[:1] or log_weights.dtype != torch.float64:
        raise ValueError(
            f"log_weights are {log_weights.dtype} of shape {tuple(log_weights.shape)}; pass "
            f"float64, one for each of {len(inputs)} rows"
        )
    backend = backends.of(inputs, before[1], now[1])
    alike = inputs.dtype == before[1].dtype == now[1].dtype == torch.float32
    if backend is not reference and alike and log_weights.is_contiguous():
        backend.reweigh_binary_(inputs, before, now, log_weights, stream)
        return inputs
    reference.reweigh_binary_(inputs, before, now, log_weights, stream)
    return inputs if stream is None else draws.binary_(inputs.mul_(now[0]), now[1], stream)
