"""Log Z by bridge sampling along a ladder: what the exchanges of replicas have shown anyway."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState
from harmonium.sampling.exchange import sweep_
from harmonium.sampling.levels import Ladder
from harmonium.sampling.tempering import Tempering
from harmonium.sampling.trajectory import TrajectoryTempering

_LEAST_CHAINS = 10
_BISECTIONS = 60


@dataclass(frozen=True)
class LadderLogZ:
    """Log Z of all models of a ladder, nats, by bridge sampling between neighbours.

    The estimate has no direction in which it errs: it is right where chains are in equilibrium,
    and can be off either way where replicas do not travel (look at ``round_trips``).

    Attributes
    ----------
    value
        Of the last model.
    std_error
        Of ``value``, from the spread between columns of replicas, which are independent of each
        other: it counts that successive sweeps are alike.
    values, std_errors : Tensor, shape (n_levels,), float64
        The same for every level; the first is exact.
    swap_acceptance : Tensor, shape (n_levels - 1,)
        Mean acceptance of each pair: where it is low, so is what neighbours say of each other.
    round_trips
        Replicas that came from the first level to the last meanwhile.
    n_chains, n_sweeps
        What the estimate was made from.
    """

    value: float
    std_error: float
    values: Tensor
    std_errors: Tensor
    swap_acceptance: Tensor
    round_trips: int
    n_chains: int
    n_sweeps: int


@torch.no_grad()
def ladder_log_z(
    rbm: RBM,
    chains: ChainState,
    stream: Stream,
    sampler: Tempering | TrajectoryTempering,
    n_sweeps: int = defaults.TEMPERED_SWEEPS,
) -> LadderLogZ:
    """Estimate log Z of every level while replicas move along the ladder, in place.

    Each exchange compares the states of two neighbours under both models. Bennett's acceptance
    ratio makes of that the best estimate of the ratio of their normalisers [1]_; the first level
    has independent units, so that its own is known.

    Parameters
    ----------
    rbm
        The last model.
    chains
        Tempered and warmed up: a call or more of the sampler. Ten or more of them.
    stream
        Random numbers.
    sampler
        Knows the ladder. It stays as it is, even if the sampler adapts it.
    n_sweeps
        Sweeps to look at.

    Raises
    ------
    ValueError
        If there are fewer chains or sweeps than the estimate needs, or the chains have no
        replicas on this ladder.

    References
    ----------
    .. [1] C. H. Bennett (1976), "Efficient estimation of free energy differences from Monte
       Carlo data", J. Comput. Phys. 22, equation 12.
    """
    if len(chains) < _LEAST_CHAINS:
        raise ValueError(
            f"there are {len(chains)} chains, and the standard error is that between chains; "
            f"pass {_LEAST_CHAINS} or more"
        )
    if n_sweeps < 2:
        raise ValueError(f"n_sweeps is {n_sweeps}; pass 2 or more, for even and odd pairs")
    ladder, replicas = sampler.ladder(rbm, chains), chains.replicas
    if replicas is None:
        raise ValueError("the chains have no replicas yet; warm them up by calls of the sampler")
    gains: list[list[Tensor]] = [[], []]
    before = replicas.accepted.clone(), replicas.tried.clone(), int(replicas.round_trips)
    for _ in range(n_sweeps):
        parity = replicas.turn % 2
        _, seen = sweep_(ladder, replicas, stream)
        gains[parity].append(seen.double())
    n_pairs, n_chains = len(ladder) - 1, len(chains)
    differences = torch.empty(n_pairs, dtype=torch.float64)
    # of each column on each difference
    influences = torch.empty(n_pairs, n_chains, dtype=torch.float64)
    for parity in (0, 1):
        for number, pair in enumerate(range(parity, n_pairs, 2)):
            both = torch.stack([seen[number] for seen in gains[parity]]).cpu()
            differences[pair], influences[pair] = bennett(both[:, 0], both[:, 1])
    values = torch.cat((log_z_of_first(ladder), differences)).cumsum(0) - ladder.energies.cpu()
    spread = influences.cumsum(0).std(1) / n_chains**0.5
    std_errors = torch.cat((spread.new_zeros(1), spread))
    return LadderLogZ(
        value=values[-1].item(),
        std_error=std_errors[-1].item(),
        values=values,
        std_errors=std_errors,
        swap_acceptance=(replicas.accepted - before[0]) / (replicas.tried - before[1]),
        round_trips=int(replicas.round_trips) - before[2],
        n_chains=n_chains,
        n_sweeps=n_sweeps,
    )


def bennett(up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Bennett's acceptance ratio: the log of Z_b / Z_a from as many states of a as of b.

    Parameters
    ----------
    up
        log p_b - log p_a, unnormalised, at states of a; shape (n_sweeps, n_chains), float64.
    down
        log p_a - log p_b at states of b, the same shape.

    Returns
    -------
    difference : Tensor, shape ()
        nats.
    influence : Tensor, shape (n_chains,)
        Of each chain: the difference would change by 1 / n_chains of this without the chain. Its
        standard deviation over the root of n_chains is the standard error.
    """
    # the means of 1 / (1 + exp(c - up)) and 1 / (1 + exp(-c - down)) are equal at the solution;
    # the first falls with c and the second rises
    low = torch.minimum(up.min(), -down.max())
    high = torch.maximum(up.max(), -down.min())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        too_low = torch.sigmoid(up - middle).mean() > torch.sigmoid(down + middle).mean()
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    c = (low + high) / 2
    in_a, in_b = torch.sigmoid(up - c), torch.sigmoid(down + c)
    slope = (in_a * (1 - in_a)).mean() + (in_b * (1 - in_b)).mean()
    return c, (in_a - in_b).mean(0) / slope


def log_z_of_first(ladder: Ladder) -> Tensor:
    """Of the first level, whose units are independent, as they are moved; shape (1,), float64."""
    return (ladder.visible.log_z() + ladder.hidden.log_z())[:1].double().cpu()
