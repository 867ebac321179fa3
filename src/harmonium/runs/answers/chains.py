"""Where the chains of a sample start, and how they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from harmonium import defaults
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.runs.answers.options import SamplingOptions
from harmonium.runs.choices import SamplerName, Start
from harmonium.sampling import (
    ChainState,
    Clamp,
    Sampler,
    SamplingSchedule,
    Tempering,
    TrajectoryTempering,
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
        """The choices among all options for sampling."""
        n_chains = said.chains or defaults.SAMPLE_CHAINS
        return cls(n_chains, said.beginning, said.sampler, said.temperatures, said.chains is None)

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
            return self.sampler == "tempering" and saved.replicas.path is None
        return self.sampler == "tempering" or self.start in _FROM_BASE

    def begin(
        self,
        rbm: RBM,
        stream: Stream,
        *,
        rows: Tensor | None,
        saved: ChainState | None,
        base: RBM | None,
        clamp: Clamp | None,
        models: Sequence[RBM] = (),
    ) -> tuple[ChainState, Sampler | None]:
        """Chains at their starting states, and their sampler, tuned; None for Gibbs sampling.

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
        clamp
            What is held while temperatures are tuned.
        models
            The models that training has kept, for ``trajectory``.
        """
        chains = self._started(rbm, stream, rows, saved, base)
        if self.sampler == "gibbs":
            return chains, None
        replicas, is_tempering = chains.replicas, self.sampler == "tempering"
        if replicas is not None and (replicas.path is None) == is_tempering:  # of another ladder
            chains, replicas = ChainState(chains.visible.clone(), chains.hidden.clone()), None
        if not is_tempering:
            return chains, TrajectoryTempering([*models, rbm])
        least, most = self.least_temperatures, self.most_temperatures
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
        return chains, Tempering()

    def _started(
        self,
        rbm: RBM,
        stream: Stream,
        rows: Tensor | None,
        saved: ChainState | None,
        base: RBM | None,
    ) -> ChainState:
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
