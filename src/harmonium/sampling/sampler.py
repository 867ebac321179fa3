"""The contract of a sampler: what it moves, and what it tells."""

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
    """What a sampler saw on its way, for looking at and for the gradient.

    Attributes
    ----------
    hidden
        Expected statistics of the hidden units given the chains' visible states
        (`Units.mean_statistics`), by parameter name.
    swap_acceptance
        Where replicas are exchanged: mean probability of acceptance of each pair of neighbouring
        levels in this call, shape (n_levels - 1,), NaN where none was tried. None elsewhere.
    round_trips
        The number of replicas that have come from the first level to the last in this call, each
        a fresh start of a chain, shape ().
    """

    hidden: dict[str, Tensor]
    swap_acceptance: Tensor | None = None
    round_trips: Tensor | None = None


class Sampler(ABC):
    """Moves chains so that the model's distribution stays as it is."""

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
        """Move the chains in place; returns them and what was seen.

        Chains that end with this call, as those of CD do, need no hidden states to go on from:
        ``ends`` says so, and saves the draw of them.
        """

    @abstractmethod
    def config(self) -> dict[str, int | float | bool]:
        """The arguments that make another sampler like this one."""
