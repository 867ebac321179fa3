"""Log Z by bridge sampling along a ladder, a by-product of replica exchange."""

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

    The estimate has no known direction of bias: it is correct if chains are in equilibrium, and can
    be off either way if replicas do not travel (check ``round_trips``).

    Attributes
    ----------
    value
        Log Z of the last model.
    std_error
        Standard error of ``value``, from the spread between columns of replicas, which are
        independent of each other. It accounts for the correlation of successive sweeps.
    values, std_errors : Tensor, shape (n_levels,), float64
        The same for every level; the first value is exact.
    swap_acceptance : Tensor, shape (n_levels - 1,)
        Mean acceptance of each pair; where it is low, neighbours carry little information about
        each other.
    round_trips
        Number of replicas that travelled from the first level to the last.
    n_chains, n_sweeps
        Number of chains and sweeps behind the estimate.
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

    Each exchange compares the states of two neighbours under both models. From these comparisons,
    Bennett's acceptance ratio gives the best estimate of the ratio of their partition functions
    [1]_. The first level has independent units, so its log Z is known.

    Parameters
    ----------
    rbm
        The last model.
    chains
        Ten or more tempered chains, warmed up by at least one call of the sampler.
    stream
        Random numbers.
    sampler
        Provides the ladder, which stays fixed here even if the sampler adapts it.
    n_sweeps
        Sweeps to use for the estimate.

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
            f"there are {len(chains)} chains, too few for a standard error from the spread "
            f"between chains; pass {_LEAST_CHAINS} or more"
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
    # influence of each column on each difference
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
    """Bennett's acceptance ratio: log(Z_b / Z_a) from equally many states of a and b.

    Parameters
    ----------
    up
        log p_b - log p_a, unnormalised, at states of a; shape (n_sweeps, n_chains), float64.
    down
        log p_a - log p_b at states of b, the same shape.

    Returns
    -------
    difference : Tensor, shape ()
        The estimate, nats.
    influence : Tensor, shape (n_chains,)
        Influence of each chain: without the chain, the difference would change by 1 / n_chains of
        this. Its standard deviation divided by sqrt(n_chains) is the standard error.
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
    """Log Z of the first level (independent units), in moved coordinates; shape (1,), float64."""
    return (ladder.visible.log_z() + ladder.hidden.log_z())[:1].double().cpu()
