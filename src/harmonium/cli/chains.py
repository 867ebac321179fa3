"""Where the chains of ``harmonium sample`` start, and how they move."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from harmonium import defaults
from harmonium.cli.sampling_options import SamplingOptions
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.runs.choices import SamplerName, Start, refuse_temperatures
from harmonium.sampling import (
    ChainState,
    Clamp,
    Sampler,
    SamplingSchedule,
    Tempering,
    start_annealed,
    start_at,
    start_random,
    start_tempered,
    tune_ladder,
)

# Starts that need the independent units from which the path to the model begins.
_FROM_BASE = ("annealed", "tempered")


def schedule_of(said: SamplingOptions) -> SamplingSchedule:
    """When samples are taken."""
    return SamplingSchedule(said.warmup, said.samples, said.sweeps_per_sample)


@dataclass(frozen=True)
class ChainOptions:
    """The user's choices for chains: how many, where they start, and how they move.

    ``fewer_will_do`` is set if the user gave no number: then as many chains start as can.
    """

    n_chains: int
    start: Start
    sampler: SamplerName
    temperatures: int | None
    fewer_will_do: bool = False

    @classmethod
    def of(cls, said: SamplingOptions) -> ChainOptions:
        """Consistent choices; chains with held columns start at rows."""
        start = said.start or ("data" if said.clamp or said.data else "random")
        n_chains = said.chains or defaults.SAMPLE_CHAINS
        chosen = cls(n_chains, start, said.sampler, said.temperatures, said.chains is None)
        chosen.check_clamp(said.clamp)
        chosen.check_source(said.data)
        return chosen

    def __post_init__(self) -> None:
        """Reject options that contradict each other, before anything is read."""
        if self.n_chains < 1:
            raise ValueError(f"--chains is {self.n_chains}; pass 1 or more")
        refuse_temperatures(self.temperatures, self.sampler, self.start)

    def check_clamp(self, clamp: str | None) -> None:
        """Reject held columns if chains do not start at data rows."""
        if clamp and self.start != "data":
            raise ValueError(
                f"--clamp holds columns of data rows, and --start is {self.start}; take --start "
                "data"
            )

    def check_source(self, source: str | None) -> None:
        """Reject rows to start at if chains start elsewhere."""
        if source and self.start != "data":
            raise ValueError(
                f"--data is for --start data, and --start is {self.start}; leave one out"
            )

    def with_starts(self, n_starts: int) -> ChainOptions:
        """At most as many chains as there are starts, unless the user gave a number."""
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
        """Whether the base rates of the data are needed, where paths to the model begin."""
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
        """Chains at their starting states.

        Parameters
        ----------
        rbm, stream
            The model, and the random stream.
        rows
            Visible states to start at, of ``data``.
        saved
            The chains saved by training, for ``chains``.
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
        """The sampler of the chains, with tuned temperatures; None for Gibbs sampling."""
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
