"""Log Z from tempered chains, which start in different places and have to agree.

References
----------
.. [1] C. H. Bennett (1976), "Efficient estimation of free energy differences from Monte Carlo
   data", J. Comput. Phys. 22.
.. [2] A. Gelman and D. B. Rubin (1992), "Inference from iterative simulation using multiple
   sequences", Statistical Science 7: starts that are spread out show what does not mix.
.. [3] S. Syed, A. Bouchard-Cote, G. Deligiannidis and A. Doucet (2022), "Non-reversible parallel
   tempering: a scalable highly parallel MCMC scheme", JRSS B 84.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.likelihood.ladder import bridge, log_z_of_first
from harmonium.likelihood.log_z import LogZ
from harmonium.likelihood.path import AnnealingPath
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.sampling.exchange import sweep_
from harmonium.sampling.levels import TemperatureLadder
from harmonium.sampling.path import TemperaturePath
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.tempering import Tempering

STARTS = ("the base rates", "rows", "random hidden states")
"""Where the chains start, in turn: three independent families."""

_FIRST_LEVELS = 12
_ROUNDS = 4

# Random hidden states: logistic inputs with these scales, common to all units and separate for
# each, so that some chains start with nearly all units on, and some with nearly all of them off.
_COMMON, _OWN = 4.0, 2.0

# Largest such input of counts without end, whose log-mean it is.
_LARGEST_LOG = 3.0

_MOST_KEPT = 2**23  # log-weights of exchanges kept per stage, float32


@dataclass
class _Tracked(Replicas):
    """Replicas that track whether they have visited the base since they started.

    There they are drawn afresh, and so forget where they started.
    """

    renewed: Tensor = field(default_factory=lambda: torch.empty(0))

    def move_origins_(self, order: Tensor) -> None:
        super().move_origins_(order)
        self.renewed = self.renewed.flatten()[order].view(self.renewed.shape)
        self.renewed[0] = True

    def adapt_(self, acceptance: float, least: int, most: int) -> Tensor:
        nearest = super().adapt_(acceptance, least, most)
        self.renewed = self.renewed[nearest]
        return nearest

    @classmethod
    def tracking(cls, replicas: Replicas, renewed: Tensor) -> _Tracked:
        """The same replicas, with a record of which of them have visited the base."""
        return cls(**vars(replicas), renewed=renewed)


@dataclass(frozen=True, eq=False)
class TemperedLogZ:
    """Estimate of log Z from tempered chains, nats, by bridge sampling between temperatures [1]_.

    Attributes
    ----------
    value, std_error
        Estimate from all chains. The error comes from the spread between chains, which are
        independent.
    by_start
        Value and error for each kind of start; if the chains mix, these agree [2]_.
    renewed
        Fraction of the model's chains that have come from the base since they started; only these
        have forgotten their starts.
    n_chains, n_temperatures, n_sweeps
        Size of the computation; warm-up sweeps are not counted.
    samples
        Visible states of the model, shape (times, chains, columns).
    """

    value: float
    std_error: float
    by_start: Mapping[str, tuple[float, float]]
    renewed: float
    n_chains: int
    n_temperatures: int
    n_sweeps: int
    samples: Tensor = field(repr=False)

    @property
    def log_z(self) -> LogZ:
        """The value from all chains, whose direction of bias is unknown."""
        return LogZ(self.value, self.std_error, "either")

    def less(self, energy: float) -> TemperedLogZ:
        """The same estimate for a model whose energies are all higher by ``energy``, nats."""
        by_start = {name: (value - energy, error) for name, (value, error) in self.by_start.items()}
        return replace(self, value=self.value - energy, by_start=by_start)

    def spread(self) -> tuple[str, str, float, float]:
        """The two starts that differ most, relative to their errors: both, difference and error."""
        pairs = [
            (a, b, self.by_start[a][0] - self.by_start[b][0],
             math.hypot(self.by_start[a][1], self.by_start[b][1]))
            for number, a in enumerate(self.by_start)
            for b in list(self.by_start)[:number]
        ]  # fmt: skip
        return max(pairs, key=lambda pair: abs(pair[2]) / max(pair[3], 1e-9))


class Tempered:
    """Chains at several temperatures between base and target, a third from each kind of start.

    Parameters
    ----------
    path
        Path whose base is the first level and whose target is the last.
    rows
        Visible states that the model should be close to, shape (n, visible.n_columns): training
        rows, or the rows to evaluate.
    n_chains
        Chains of every level, a multiple of the number of `STARTS`.
    seed
        Seed of everything random.
    """

    def __init__(
        self, path: AnnealingPath, rows: Tensor, n_chains: int, seed: int = defaults.SEED
    ) -> None:
        self._rbm = path.target
        self._stream = Lane.TEMPERED.stream(seed)
        self.n_chains, self.n_sweeps = n_chains, 0
        t = torch.as_tensor(path.inverse_temperatures)
        n_levels = min(_FIRST_LEVELS, len(t))
        betas = t[torch.linspace(0, len(t) - 1, n_levels).round().long()]
        self._replicas = _start(path, rows, betas, n_chains, self._stream)

    @property
    def n_temperatures(self) -> int:
        """Levels of the ladder."""
        return self._replicas.n_levels

    @property
    def rows_a_sweep(self) -> int:
        """Total number of chains at all levels, which one sweep moves."""
        return self.n_temperatures * self.n_chains

    def tune_(self) -> Iterator[int]:
        """Place the temperatures so that half of the exchanges are accepted; yields steps made."""
        done, sampler = 0, Tempering(n_temperatures=3)
        for _ in sampler.tuning(self._rbm, self._replicas, self._stream, _ROUNDS):
            done += self.rows_a_sweep
            yield done

    def look(self, n_sweeps: int, n_times: int) -> Iterator[int]:
        """Make sweeps and use them for the estimate, stored in `found`; yields steps made.

        Parameters
        ----------
        n_sweeps
            2 or more: even and odd pairs of temperatures take turns.
        n_times
            Number of times that the model's chains are kept as samples.
        """
        ladder, replicas = self._ladder(), self._replicas
        # two consecutive sweeps cover all pairs; long stages do not keep all of them
        kept = n_sweeps * (self.n_temperatures - 1) * self.n_chains
        thinning = 2 * math.ceil(kept / _MOST_KEPT)
        gains: list[list[Tensor]] = [[], []]
        moments = {round((number + 1) * n_sweeps / n_times) - 1 for number in range(n_times)}
        samples, renewed = [], torch.zeros((), dtype=torch.float64, device=replicas.visible.device)
        for sweep in range(n_sweeps):
            parity = replicas.turn % 2
            _, seen = sweep_(ladder, replicas, self._stream)
            if sweep % thinning < 2:
                gains[parity].append(seen.float())
            if sweep in moments:
                samples.append(replicas.by_level[0][-1].clone())
            renewed += replicas.renewed[-1].double().mean() / n_sweeps
            yield (sweep + 1) * self.rows_a_sweep
        self.n_sweeps = n_sweeps
        self.found = self._summed_up(ladder, gains, torch.stack(samples), renewed.item())

    def _summed_up(
        self,
        ladder: TemperatureLadder,
        gains: list[list[Tensor]],
        samples: Tensor,
        renewed: float,
    ) -> TemperedLogZ:
        both = [torch.stack(of).double().cpu() for of in gains if of]
        dead = sum(of.isfinite().logical_not().any(0).any(0).any(0) for of in both)
        if isinstance(dead, Tensor) and dead.any():
            raise ValueError(
                f"{int(dead.bool().sum())} of {self.n_chains} tempered chains have died: their "
                "energies are infinite or NaN, because the parameters are too large (the "
                f"largest weight is {self._rbm.weights.abs().max().item():.3g}); take an earlier "
                "checkpoint, or train with a smaller learning rate"
            )
        first = log_z_of_first(ladder) - ladder.energies[-1].cpu()
        of_start = torch.arange(self.n_chains) % len(STARTS)

        def estimate(chains: Tensor) -> tuple[float, float]:
            values, influences = bridge(first, both, chains)
            return values[-1].item(), influences[-1].std().item() / math.sqrt(len(chains))

        value, std_error = estimate(torch.arange(self.n_chains))
        by_start = {
            name: estimate((of_start == number).nonzero()[:, 0])
            for number, name in enumerate(STARTS)
        }
        return TemperedLogZ(
            value, std_error, by_start, renewed, self.n_chains, self.n_temperatures,
            self.n_sweeps, samples,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """The states of the chains; with `n_sweeps`, `turn` and `position`, enough to continue."""
        replicas = self._replicas
        assert replicas.path is not None
        return {
            "visible": replicas.visible,
            "hidden": replicas.hidden,
            "renewed": replicas.renewed,
            "betas": replicas.path.betas,
        }

    @property
    def place(self) -> tuple[int, int]:
        """Numbers of exchanges and draws made so far."""
        return self._replicas.turn, self._stream.position

    def go_back_(self, tensors: Mapping[str, Tensor], place: tuple[int, int]) -> None:
        """Restore the state at which `tensors` and `place` were taken."""
        replicas = self._replicas
        states = (tensors[layer].to(replicas.visible) for layer in ("visible", "hidden"))
        replicas.go_over_(tensors["betas"], *states)
        replicas.turn, self._stream.position = place
        replicas.renewed = tensors["renewed"].to(replicas.visible.device)

    def _ladder(self) -> TemperatureLadder:
        assert self._replicas.path is not None
        return TemperatureLadder(self._rbm, self._replicas.path)


@torch.no_grad()
def _start(
    path: AnnealingPath, rows: Tensor, betas: Tensor, n_chains: int, stream: Stream
) -> _Tracked:
    """Replicas at all levels, in their starting states."""
    rbm, base = path.target, path.base
    like, n_levels = rbm.weights.detach(), len(betas)
    n_columns = rbm.visible.n_columns
    visible = base.visible.sample_alone(n_levels * n_chains, stream)
    visible = visible.view(n_levels, n_chains, n_columns)
    of_start = torch.arange(n_chains, device=like.device) % len(STARTS)
    from_rows, from_hidden = ((of_start == start).nonzero()[:, 0] for start in (1, 2))

    shape = (n_levels, len(from_rows))
    uniform = kernels.uniform(shape, stream, device=like.device, dtype=torch.float64)
    chosen = (uniform * len(rows)).long().clamp_max(len(rows) - 1)
    visible[:, from_rows] = rows.to(like)[chosen.to(rows.device)].to(like)

    visible[:, from_hidden] = from_random_hidden(
        rbm, base, n_levels * len(from_hidden), stream
    ).view(n_levels, len(from_hidden), n_columns)
    visible = visible.flatten(0, 1)
    hidden = rbm.hidden.sample_(kernels.mm(visible, rbm.weights), stream)
    replicas = Replicas.of(
        visible, hidden, n_levels, TemperaturePath(betas, base.visible, base.hidden)
    )
    renewed = torch.zeros(n_levels, n_chains, dtype=torch.bool, device=like.device)
    return _Tracked.tracking(replicas, renewed)


def from_random_hidden(rbm: RBM, base: RBM, n: int, stream: Stream) -> Tensor:
    """Visible states given widely scattered random hidden states, whatever the biases."""
    like, n_hidden = rbm.weights.detach(), rbm.hidden.n_columns

    def logistic(n_columns: int, scale: float) -> Tensor:
        u = kernels.uniform((n, n_columns), stream, device=like.device, dtype=torch.float64)
        return scale * torch.logit(u, eps=1e-9).to(like)

    inputs = logistic(1, _COMMON) + logistic(n_hidden, _OWN)
    for columns, units in base.hidden.groups:
        if units.is_count:
            inputs[:, columns].clamp_(max=_LARGEST_LOG)
    hidden = base.hidden.sample_(inputs.contiguous(), stream)
    return rbm.visible.sample_(kernels.mm(hidden, rbm.weights.T), stream)
