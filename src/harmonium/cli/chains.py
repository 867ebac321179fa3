"""Where the chains of ``harmonium sample`` start, and how they move."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from harmonium import defaults
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.runs.options import SamplerName, Start, refuse_temperatures
from harmonium.sampling import (
    ChainState,
    Clamp,
    Sampler,
    Tempering,
    start_annealed,
    start_at,
    start_random,
    start_tempered,
    tune_ladder,
)

# Starts that need to know where the model's path from independent units begins.
_FROM_BASE = ("annealed", "tempered")


@dataclass(frozen=True)
class ChainOptions:
    """What a user says of chains: how many, where they start, and how they move.

    ``fewer_will_do`` where nobody said how many: there are as many as can start then.
    """

    n_chains: int
    start: Start
    sampler: SamplerName
    temperatures: int | None
    fewer_will_do: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together, before anything is read."""
        if self.n_chains < 1:
            raise ValueError(f"--chains is {self.n_chains}; pass 1 or more")
        refuse_temperatures(self.temperatures, self.sampler, self.start)

    def check_clamp(self, clamp: str | None) -> None:
        """Refuse columns to hold where chains start at no rows."""
        if clamp and self.start != "data":
            raise ValueError(
                f"--clamp holds columns of data rows, and --start is {self.start}; take --start "
                "data"
            )

    def check_source(self, source: str | None) -> None:
        """Refuse rows to start at where chains start elsewhere."""
        if source and self.start != "data":
            raise ValueError(
                f"--data is for --start data, and --start is {self.start}; leave one out"
            )

    def with_starts(self, n_starts: int) -> ChainOptions:
        """No more chains than there are starts, unless a user said how many."""
        n_chains = min(self.n_chains, n_starts) if self.fewer_will_do else self.n_chains
        return replace(self, n_chains=n_chains)

    @property
    def least_temperatures(self) -> int:
        """Of the ladder that is looked for."""
        return self.temperatures or 2

    @property
    def most_temperatures(self) -> int:
        """Of the ladder that is looked for."""
        return self.temperatures or defaults.MOST_TEMPERATURES

    def need_base(self, saved: ChainState | None) -> bool:
        """Whether the data's base rates are needed, where paths to the model begin."""
        if self.start == "chains" and saved is not None and saved.replicas is not None:
            return False
        return self.sampler == "tempering" or self.start in _FROM_BASE

    def begin(
        self,
        rbm: RBM,
        stream: Stream,
        *,
        rows: Tensor | None,
        saved: ChainState | None,
        base: RBM | None,
    ) -> ChainState:
        """Chains where they start.

        Parameters
        ----------
        rbm, stream
            The model, and random numbers.
        rows
            Visible states to start at, of ``data``.
        saved
            The chains that training kept, for ``chains``.
        base
            Independent units with the data's base rates, for ``annealed`` and ``tempered``.
        """
        n = self.n_chains
        match self.start:
            case "data":
                assert rows is not None
                return start_at(rbm, rows, stream)
            case "chains":
                assert saved is not None
                if saved.replicas is not None:
                    return ChainState.of_replicas(saved.replicas.first(n))
                return ChainState(saved.visible[:n].clone(), saved.hidden[:n].clone())
            case "random":
                return start_random(rbm, n, stream)
            case "annealed":
                n_temperatures = self.temperatures or defaults.ANNEALING_TEMPERATURES
                return start_annealed(rbm, n, stream, n_temperatures, base=base)
        return start_tempered(
            rbm,
            n,
            stream,
            base=base,
            least_temperatures=self.least_temperatures,
            most_temperatures=self.most_temperatures,
        )

    def sampler_of(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        *,
        clamp: Clamp | None,
        base: RBM | None,
    ) -> Sampler | None:
        """What moves the chains, on a ladder that has been found; None for Gibbs sampling."""
        if self.sampler == "gibbs":
            return None
        least, most = self.least_temperatures, self.most_temperatures
        replicas = chains.replicas
        if replicas is None or not least <= replicas.n_levels <= most:  # else it is tuned already
            tune_ladder(
                rbm,
                chains,
                stream,
                least_temperatures=least,
                most_temperatures=most,
                clamp=clamp,
                base=base,
            )
        return Tempering()
