"""Log Z by bridge sampling along a ladder, a by-product of replica exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.likelihood.log_z import LogZ
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Tempering, TrajectoryTempering
from harmonium.sampling.exchange import sweep_
from harmonium.sampling.levels import Ladder

_LEAST_CHAINS = 10
_BISECTIONS = 60


@dataclass(frozen=True, eq=False, kw_only=True)
class LadderLogZ(LogZ):
    """Log Z of all models of a ladder, nats, by bridge sampling between neighbours.

    As a `LogZ` it is that of the last model. It may err either way: it is correct if chains are in
    equilibrium, and can be off if replicas do not travel (check ``round_trips``). Standard errors
    come from the spread between columns of replicas, which are independent of each other. They
    account for the correlation of successive sweeps.

    Attributes
    ----------
    values : Tensor, shape (n_levels,), float64
        Log Z of every level; the first value is exact.
    influences : Tensor, shape (n_levels, n_chains), float64
        Influence of each column of replicas on each value; see `bennett`.
    swap_acceptance : Tensor, shape (n_levels - 1,)
        Mean acceptance of each pair; where it is low, neighbours carry little information about
        each other.
    round_trips
        Number of replicas that travelled from the first level to the last.
    n_sweeps
        Number of sweeps behind the estimate.
    """

    values: Tensor
    influences: Tensor = field(repr=False)
    swap_acceptance: Tensor
    round_trips: int
    n_sweeps: int

    @property
    def std_errors(self) -> Tensor:
        """Standard errors of the values, shape (n_levels,)."""
        return _std_errors(self.influences)

    @property
    def n_chains(self) -> int:
        """Number of chains behind the estimate."""
        return self.influences.shape[1]


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
    both = [torch.stack(of).cpu() for of in gains]
    values, influences = bridge(log_z_of_first(ladder), both, torch.arange(len(chains)))
    values -= ladder.energies.cpu()
    return LadderLogZ(
        values[-1].item(),
        _std_errors(influences)[-1].item(),
        "either",
        values=values,
        influences=influences,
        swap_acceptance=(replicas.accepted - before[0]) / (replicas.tried - before[1]),
        round_trips=int(replicas.round_trips) - before[2],
        n_sweeps=n_sweeps,
    )


def bridge(first: Tensor, gains: Sequence[Tensor], chains: Tensor) -> tuple[Tensor, Tensor]:
    """Log Z of every level, given that of the first, and each chain's influences on them.

    ``gains`` are the log-weights of even and of odd pairs, from `exchange.sweep_`, shapes
    (n_sweeps, n_pairs, 2, n_chains); ``chains`` says which of these to use. Shapes of the results:
    (n_levels,) and (n_levels, len(chains)).
    """
    values, influences = [first], [first.new_zeros(len(chains))]
    for pair in range(sum(of.shape[1] for of in gains)):
        seen = gains[pair % 2][:, pair // 2][:, :, chains]
        difference, influence = bennett(seen[:, 0], seen[:, 1])
        values.append(values[-1] + difference)
        influences.append(influences[-1] + influence)
    return torch.cat(values), torch.stack(influences)


def _std_errors(influences: Tensor) -> Tensor:
    return influences.std(1).div(influences.shape[1] ** 0.5)


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
