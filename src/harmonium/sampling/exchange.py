"""Sweeps of all levels of a ladder at once, and exchanges of states between neighbours.

An exchange proposes to swap the *visible* states of two neighbouring levels right after they were
drawn. Hidden states are drawn after the exchange, given the new visible states. It therefore only
has to leave the marginal distributions of the visible units invariant, p_s(v) = exp(-F_s(v)) / Z_s,
and the acceptance depends on the free energies of the levels and on no hidden states:

    min(1, exp(F_s(v) + F_t(w) - F_s(w) - F_t(v)))    for v in level s and w in level t.

A swap of both layers, with joint instead of free energies, is accepted less often for any levels.
The mean acceptance is one minus the total variation distance between p_s x p_t and p_t x p_s, and
marginalising a variable can only reduce that distance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium import kernels, ranks
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.levels import Ladder, TemperatureLadder
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.sampler import SweepInfo
from harmonium.sampling.sharing import gather_states_, round_alike


@torch.no_grad()
def sweep_(
    ladder: Ladder, replicas: Replicas, stream: Stream, clamp: Clamp | None = None
) -> tuple[Tensor, Tensor]:
    """One sweep h -> v -> h of all levels, with an exchange between v and h, in place.

    Even and odd pairs of neighbours alternate deterministically, so that replicas travel through
    the ladder instead of diffusing (Syed, Bouchard-Cote, Deligiannidis and Doucet, 2022,
    "Non-reversible parallel tempering", JRSS B 84).

    Parameters
    ----------
    ladder
        The models.
    replicas
        States of all levels; moved in place.
    stream
        Random numbers; three draws.
    clamp
        Visible columns to hold fixed, the same in all levels.

    Returns
    -------
    inputs : Tensor, shape (n_chains, hidden.n_columns)
        Hidden inputs of the last level.
    gains : Tensor, shape (n_pairs, 2, n_chains)
        For each pair of this turn, the log-weights of the lower and the upper replica before the
        exchange: the unnormalised log-probability of its state at the other's level minus that at
        its own level, nats.
    """
    v, h = replicas.by_level
    gauge = ladder.gauge
    if not gauge.is_identity:
        h.copy_(gauge.enter_hidden(h))
        clamp = None if clamp is None else Clamp(clamp.mask, gauge.enter(clamp.values))
    shares = _shares(ladder, v)
    part, levels, draws = _own(ladder, v, shares, stream)
    with ranks.share(len(replicas.visible), shares):
        part.visible.sample_(part.inputs_v_from_h(h[levels], out=v[levels]), draws)
        if clamp is not None:
            clamp.apply_(v[levels])
        part.inputs_h_from_v(v[levels], out=h[levels])
    stream.position, inputs = draws.position, h
    if len(shares) > 1:
        layer = gauge.rbm.visible, replicas.visible
        gather_states_(shares, layer, numbers=(replicas.hidden,))
    first = replicas.turn % 2
    n_pairs = (len(ladder) - first) // 2
    pairs = slice(first, first + 2 * n_pairs)
    gains, inputs_there = _gains(ladder, v[pairs], inputs[pairs], first)
    log_ratio = gains.sum(1)
    uniform = kernels.uniform(
        (1, log_ratio.numel()), stream, device=v.device, dtype=torch.float64
    ).view_as(log_ratio)
    _swap_(replicas, pairs, uniform.log() < log_ratio, inputs, inputs_there)
    replicas.turn += 1
    replicas.accepted[first::2] += log_ratio.double().clamp_max(0).exp().mean(1)
    replicas.tried[first::2] += 1
    inputs_of_last = inputs[-1].clone()
    part, levels, draws = _own(ladder, v, shares, stream)
    part.hidden.sample_(inputs[levels], draws)
    stream.position = draws.position
    if len(shares) > 1:
        gather_states_(shares, (gauge.rbm.hidden, replicas.hidden))
    if gauge.visible_offset is not None:
        # in float64, because the hidden inputs may be far from zero too
        inputs_of_last = inputs_of_last + gauge.visible_offset @ gauge.rbm.weights.double()
        v.copy_(gauge.leave(v))
        h.copy_(gauge.leave_hidden(h))
    return inputs_of_last, gains


def sweeps_(
    rbm: RBM, ladder: Ladder, replicas: Replicas, n: int, stream: Stream, clamp: Clamp | None = None
) -> SweepInfo:
    """Make ``n`` sweeps with `sweep_` and report on them; ``rbm`` is the last level."""
    before = replicas.accepted.clone(), replicas.tried.clone(), replicas.round_trips.clone()
    for _ in range(n):
        inputs, _ = sweep_(ladder, replicas, stream, clamp)
    statistics = rbm.hidden.mean_statistics(inputs)
    return SweepInfo(
        {name: statistic.to(rbm.weights.dtype) for name, statistic in statistics.items()},
        swap_acceptance=(replicas.accepted - before[0]) / (replicas.tried - before[1]),
        round_trips=replicas.round_trips - before[2],
    )


def _shares(ladder: Ladder, v: Tensor) -> list[slice]:
    """The rows of each rank, which are those of whole levels; a single share if not shared out."""
    (n_levels, n_chains), rbm = v.shape[:2], ladder.gauge.rbm
    whole = [slice(0, n_levels * n_chains)]
    if not (
        isinstance(ladder, TemperatureLadder)
        and ladder.visible.is_one_draw
        and ladder.hidden.is_one_draw
    ):
        return whole
    levels = ranks.lines(n_levels, 2 * n_levels * n_chains * rbm.weights.numel())
    shares = [slice(n_chains * some.start, n_chains * some.stop) for some in levels]
    return shares if round_alike(rbm, shares) else whole


def _own(
    ladder: Ladder, v: Tensor, shares: list[slice], stream: Stream
) -> tuple[Ladder, slice, Stream]:
    """The levels of this rank, as a ladder, their numbers, and the stream of their rows."""
    if len(shares) == 1:
        return ladder, slice(0, len(v)), stream
    own = shares[ranks.rank()]
    levels = slice(own.start // v.shape[1], own.stop // v.shape[1])
    return ladder.part(levels), levels, stream.of_rows(own.start)


def _gains(ladder: Ladder, v: Tensor, inputs: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Free energies of paired levels' states at their own level, minus those at the other's level.

    Parameters
    ----------
    ladder
        The models.
    v, inputs
        Visible states and hidden inputs of the levels from ``first`` on, two per pair.
    first
        The first paired level.

    Returns
    -------
    gains : Tensor, shape (n_pairs, 2, n_chains)
    inputs_there : Tensor
        Hidden inputs that the states would give at the other's level.
    """
    here = torch.arange(first, first + len(v), device=v.device)
    there = here.view(-1, 2).flip(1).flatten()
    inputs_there = ladder.inputs_elsewhere(v, inputs, first)
    gains = free_energy(ladder, here, v, inputs) - free_energy(ladder, there, v, inputs_there)
    return gains.view(-1, 2, v.shape[1]), inputs_there


def free_energy(ladder: Ladder, levels: Tensor, v: Tensor, inputs: Tensor) -> Tensor:
    """Free energies of rows of visible states at some levels, shape (levels, n_chains)."""
    return ladder.visible[levels].energy(v) - ladder.hidden[levels].cgf(inputs)


def _swap_(
    replicas: Replicas, pairs: slice, accept: Tensor, inputs: Tensor, inputs_there: Tensor
) -> None:
    """Swap visible states and the resulting hidden inputs where the swap is accepted.

    Parameters
    ----------
    replicas
        Their visible states are swapped.
    pairs
        The levels that take part, two per pair.
    accept
        Shape (n_pairs, n_chains).
    inputs
        Hidden inputs of all levels; overwritten where states are swapped.
    inputs_there
        Hidden inputs of the participating levels' states at the other's level.
    """
    shape = replicas.origins.shape
    order = torch.arange(shape.numel(), device=accept.device).view(shape)
    place = order[: len(inputs_there)].clone()  # the same among the participating levels
    for rows in (order[pairs], place):
        low, high = rows.view(-1, 2, shape[1]).unbind(1)
        was = low.clone()
        low.copy_(torch.where(accept, high, low))
        high.copy_(torch.where(accept, was, high))
    replicas.visible.copy_(replicas.visible[order.flatten()])
    replicas.move_origins_(order.flatten())
    moved = inputs_there.flatten(0, 1)[place.flatten()].view_as(inputs_there)
    swapped = accept.repeat_interleave(2, 0).unsqueeze(-1)
    inputs[pairs] = torch.where(swapped, moved, inputs[pairs])
