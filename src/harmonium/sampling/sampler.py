"""The contract of a sampler: how it moves chains, and what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState
from harmonium.sampling.clamp import Clamp


@dataclass(frozen=True)
class SweepInfo:
    """What a sampler reports, for the gradient and for monitoring.

    Attributes
    ----------
    hidden
        Expected statistics of the hidden units given the chains' visible states
        (`Units.mean_statistics`), by parameter name.
    swap_acceptance
        If replicas are exchanged: mean acceptance probability of each pair of neighbouring levels
        in this call, shape (n_levels - 1,), NaN for pairs not tried. None otherwise.
    round_trips
        The number of replicas that travelled from the first level to the last in this call, each a
        fresh start of a chain, shape ().
    """

    hidden: dict[str, Tensor]
    swap_acceptance: Tensor | None = None
    round_trips: Tensor | None = None


class Sampler(ABC):
    """Moves chains so that the model's distribution is invariant."""

    has_replicas = False
    """Whether it gives chains replicas, which have to persist from call to call."""

    @abstractmethod
    def __call__(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        clamp: Clamp | None = None,
        *,
        ends: bool = False,
    ) -> tuple[ChainState, SweepInfo]:
        """Move the chains in place; return them and a report.

        Chains that end with this call, as in CD, need no hidden states to continue from;
        ``ends=True`` saves drawing them.
        """

    def check_persist(self, ends: bool) -> None:
        """Refuse chains that end with this call if they would need replicas.

        Raises
        ------
        ValueError
            Says what would work.
        """
        if ends and self.has_replicas:
            raise ValueError(
                "tempering moves replicas that have to persist, and these chains end; take "
                "persistent chains (n_chains), or Gibbs"
            )

    @abstractmethod
    def config(self) -> dict[str, int | float | bool]:
        """Constructor arguments of this sampler."""
