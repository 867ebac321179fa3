"""Rows and chains, shared out among ranks: each computes or moves some, and all get all of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harmonium import kernels, ranks
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.sampler import Sampler, SweepInfo
from harmonium.units import Units


def observe(
    rbm: RBM, rows: Tensor, drawn: Tensor | None, stream: Stream | None, sampler: Sampler
) -> dict[str, Tensor]:
    """`RBM.observe_h_from_v` of all rows, of which each rank computes its share.

    Of the draw it makes its share alone, where the sampler moves no other chains from there.
    """
    n, shares = len(rows), shares_of(rbm, len(rows), 1)
    if len(shares) == 1:
        return rbm.observe_h_from_v(rows, drawn, stream)
    with ranks.share(n, shares) as own:
        draws = None if stream is None else stream.of_rows(own.start)
        observed = rbm.observe_h_from_v(rows[own], None if drawn is None else drawn[own], draws)
    if stream is not None and draws is not None:
        stream.position = draws.position
    found = {name: _whole(part, n, own) for name, part in observed.items()}
    tables = [(table, shares) for table in found.values()]
    if drawn is not None and not _is_shared_out(sampler):
        tables.append((drawn, shares))
    ranks.gather_(*tables)
    return found


def move(
    sampler: Sampler,
    rbm: RBM,
    chains: ChainState,
    stream: Stream,
    clamp: Clamp | None,
    *,
    ends: bool,
) -> tuple[ChainState, SweepInfo]:
    """Move the chains as the sampler does; each rank moves its share of them."""
    n = len(chains)
    if not isinstance(sampler, Gibbs) or not _is_shared_out(sampler):
        return sampler(rbm, chains, stream, clamp, ends=ends)
    shares = shares_of(rbm, n, 2 * sampler.sweeps)
    if len(shares) == 1:
        return sampler(rbm, chains, stream, clamp, ends=ends)
    with ranks.share(n, shares) as own:
        part = ChainState(chains.visible[own], chains.hidden[own])
        draws = stream.of_rows(own.start)
        held = None if clamp is None else _of_rows(clamp, own)
        _, info = sampler(rbm, part, draws, held, ends=ends)
    stream.position = draws.position
    hidden = {name: _whole(statistic, n, own) for name, statistic in info.hidden.items()}
    gather_states_(
        shares,
        (rbm.visible, chains.visible),
        *(() if ends else ((rbm.hidden, chains.hidden),)),
        numbers=tuple(hidden.values()),
    )
    return chains, SweepInfo(hidden)


def _is_shared_out(sampler: Sampler) -> bool:
    """Whether every chain moves by itself; tempering shares out its own products."""
    return type(sampler) is Gibbs


def gather_states_(
    shares: list[slice], *layers: tuple[Units, Tensor], numbers: tuple[Tensor, ...] = ()
) -> None:
    """Fill tables of states, and of other numbers, with the rows of the other ranks."""
    packed = [_Packed(units, states, shares[ranks.rank()]) for units, states in layers]
    ranks.gather_(*((table, shares) for table in (*numbers, *(one.table for one in packed))))
    for some in (*shares[: ranks.rank()], *shares[ranks.rank() + 1 :]):
        for one in packed:
            one.unpack_(some)


def shares_of(rbm: RBM, n: int, n_products: int) -> list[slice]:
    """The rows of each rank; a single share of all where products of some rows round otherwise.

    ``n_products`` are made of all rows, from one gathering to the next.
    """
    work = n * n_products * rbm.weights.numel()
    shares = ranks.shares(n, *rbm.weights.shape, work=work)
    return shares if round_alike(rbm, shares) else [slice(0, n)]


def round_alike(rbm: RBM, shares: list[slice]) -> bool:
    """Whether products of these shares of rows round as those of all, in both directions."""
    if len(shares) == 1:
        return True
    weights, own, n = rbm.weights.detach(), shares[ranks.rank()], shares[-1].stop
    key = "rows", *(some.stop for some in shares), weights.shape, weights.dtype, weights.device

    def is_so() -> bool:
        for factor in (weights, weights.T):
            rows = torch.arange(n * factor.shape[0], device=factor.device)
            rows = rows.mul(0.6180339887).remainder(1).view(n, -1)
            for product in (kernels.mm, lambda rows, by: torch.mv(rows, by[:, 0].contiguous())):
                for dtype in (weights.dtype, torch.float64):
                    x, y = rows.to(dtype), factor.to(dtype)
                    if not torch.equal(product(x, y)[own], product(x[own], y)):
                        return False
        return True

    return ranks.rounds_alike(key, is_so)


def _whole(part: Tensor, n: int, own: slice) -> Tensor:
    """A table of all rows, with those of this rank."""
    table = part.new_empty(n, *part.shape[1:])
    table[own] = part
    return table


def _of_rows(clamp: Clamp, own: slice) -> Clamp:
    """What a clamp holds of some chains."""
    mask, values = (
        held[own] if held.dim() == 2 and len(held) > 1 else held
        for held in (clamp.mask, clamp.values)
    )
    return Clamp(mask, values)


class _Packed:
    """States of a layer on their way to the other ranks: bits, where they have two values."""

    def __init__(self, units: Units, states: Tensor, own: slice) -> None:
        low = 0 if units.n_one_hot is not None else units.low_state
        self._states, self._low = states, low
        self.table = states
        if low is not None and states.is_cpu:
            width = -(-states.shape[1] // 8)
            bits = np.packbits(states[own].numpy() == 1, axis=1)
            self.table = torch.empty(len(states), width, dtype=torch.uint8)
            self.table[own] = torch.from_numpy(bits)

    def unpack_(self, rows: slice) -> None:
        """Write the rows of another rank, which have come, into the states."""
        if self.table is self._states or self._low is None:
            return
        states = self._states[rows]
        on = np.unpackbits(self.table[rows].numpy(), axis=1, count=states.shape[1])
        states.copy_(torch.from_numpy(on))
        if self._low:
            states.mul_(1 - self._low).add_(self._low)
