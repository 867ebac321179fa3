"""Parallel tempering: chains at several temperatures that exchange their states."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_count, check_number
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState, check_stream
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.exchange import sweep_, sweeps_
from harmonium.sampling.levels import TemperatureLadder
from harmonium.sampling.path import TemperaturePath, independent_units
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.sampler import Sampler, SweepInfo

# Sweeps of the first round of tuning; each further round takes twice as many.
_FIRST_ROUND = 20


@dataclass(frozen=True)
class Tempering(Sampler):
    """Parallel tempering between independent units and the model.

    Every chain has a replica at each inverse temperature beta of a ladder from 0 (independent
    units, drawn afresh in each sweep) to 1 (the model). After each draw of the visible units,
    neighbours may swap them (`harmonium.sampling.exchange`). States drawn at high temperatures,
    where chains move freely, thus reach the model. The first call makes replicas for chains that
    have none (with `temper`, which has more options); from then on they belong to the chains.

    With ``adapt_every=0`` the ladder is fixed, and the distributions of all levels are exactly
    invariant. Otherwise the ladder adapts to the model during training, as the chains do:
    temperatures are re-spaced so that all pairs accept equally often, and their number is chosen to
    reach the target ``acceptance``.

    Parameters
    ----------
    sweeps
        Sweeps per call, each over all levels and with one exchange.
    n_temperatures
        Number of temperatures; for an adaptive ladder, the initial number and the minimum.
    acceptance
        Target acceptance of an adaptive ladder. At 0.5 the most replicas reach the model for a
        given amount of work (Syed et al., 2022, section 4).
    adapt_every
        Sweeps from one adaptation to the next; 0 for none.
    most_temperatures
        Most temperatures of an adaptive ladder; if equal to ``n_temperatures``, only the spacing
        adapts.

    References
    ----------
    .. [1] G. Desjardins, A. Courville, Y. Bengio, P. Vincent and O. Delalleau (2010), "Parallel
       tempering for training of restricted Boltzmann machines", AISTATS.
    .. [2] K. Cho, T. Raiko and A. Ilin (2010), "Parallel tempering is efficient for learning
       restricted Boltzmann machines", IJCNN.
    .. [3] S. Syed, A. Bouchard-Cote, G. Deligiannidis and A. Doucet (2022), "Non-reversible
       parallel tempering: a scalable highly parallel MCMC scheme", JRSS B 84.
    """

    sweeps: int = defaults.SWEEPS
    n_temperatures: int = defaults.N_TEMPERATURES
    acceptance: float = defaults.SWAP_ACCEPTANCE
    adapt_every: int = 0
    most_temperatures: int = defaults.MOST_TEMPERATURES
    has_replicas = True

    def __post_init__(self) -> None:
        """Refuse a ladder without steps, or a sampler without sweeps."""
        for name, least in (("sweeps", 1), ("n_temperatures", 2), ("adapt_every", 0)):
            check_count(name, getattr(self, name), least)
        check_number("acceptance", self.acceptance, "a number between 0 and 1")
        check_count("most_temperatures", self.most_temperatures, 2)
        if not 0 < self.acceptance < 1:
            raise ValueError(f"acceptance is {self.acceptance}; pass a number between 0 and 1")
        if self.most_temperatures < self.n_temperatures:
            raise ValueError(
                f"most_temperatures is {self.most_temperatures} and n_temperatures "
                f"{self.n_temperatures}; pass at least as many"
            )

    @torch.no_grad()
    def __call__(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        clamp: Clamp | None = None,
        *,
        ends: bool = False,
    ) -> tuple[ChainState, SweepInfo]:
        """Move the chains and all their replicas in place by ``sweeps`` sweeps.

        Raises
        ------
        ValueError
            If the chains do not fit the model, or end with this call.
        """
        check_stream(stream)
        self.check_persist(ends)
        chains.check(rbm)
        if chains.replicas is None:
            temper(rbm, chains, stream, self.n_temperatures)
        elif self._is_due(chains.replicas.turn):
            self._adapt_(chains.replicas)
            chains.become_last_of(chains.replicas)
        replicas, path = _tempered(chains)
        path.check(rbm)
        ladder = TemperatureLadder(rbm, path)
        return chains, sweeps_(rbm, ladder, replicas, self.sweeps, stream, clamp)

    def tuning(
        self, rbm: RBM, replicas: Replicas, stream: Stream, rounds: int, clamp: Clamp | None = None
    ) -> Iterator[None]:
        """Move replicas and tune their temperatures as `tune_ladder`, in place; yields sweeps."""
        for number in range(rounds):
            assert replicas.path is not None
            ladder = TemperatureLadder(rbm, replicas.path)
            for _ in range(_FIRST_ROUND * 2**number):
                sweep_(ladder, replicas, stream, clamp)
                yield
            self._adapt_(replicas)

    def _adapt_(self, replicas: Replicas) -> None:
        replicas.adapt_(self.acceptance, self.n_temperatures, self.most_temperatures)

    def _is_due(self, turn: int) -> bool:
        """Whether the ladder adapts before the next sweep, after ``turn`` sweeps."""
        every = self.adapt_every
        return every > 0 and turn // every > max(0, turn - self.sweeps) // every

    def ladder(self, rbm: RBM, chains: ChainState) -> TemperatureLadder:
        """The ladder on which these chains move.

        Raises
        ------
        ValueError
            If the chains have no replicas.
        """
        _, path = _tempered(chains)
        path.check(rbm)
        return TemperatureLadder(rbm, path)

    def config(self) -> dict[str, int | float | bool]:  # noqa: D102
        return asdict(self)


@torch.no_grad()
def temper(
    rbm: RBM,
    chains: ChainState,
    stream: Stream,
    n_temperatures: int = defaults.N_TEMPERATURES,
    *,
    betas: Tensor | None = None,
    base: RBM | None = None,
) -> ChainState:
    """Give chains a replica at every temperature of a ladder, in place; returns them.

    Replicas below the model start as draws from the independent units.

    Parameters
    ----------
    rbm
        The model.
    chains
        They become the replicas at inverse temperature 1. Any replicas that they already have are
        dropped.
    stream
        Random numbers.
    n_temperatures
        Number of temperatures, evenly spaced in beta.
    betas
        Inverse temperatures to use instead, shape (n_temperatures,), rising from 0 to 1.
    base
        Where the path starts: a model with zero weights, by default the `independent_units` of this
        one.

    Raises
    ------
    ValueError
        If chains, base or temperatures do not fit.
    """
    chains.check(rbm)
    if betas is None:
        if n_temperatures < 2:
            raise ValueError(f"n_temperatures is {n_temperatures}; pass 2 or more")
        betas = torch.linspace(0, 1, n_temperatures, dtype=torch.float64)
    base = independent_units(rbm) if base is None else base
    if base.weights.any():
        raise ValueError("the base has weights; pass independent units, such as independent_units")
    path = TemperaturePath(
        betas.detach().to("cpu", torch.float64, copy=True), base.visible, base.hidden
    )
    path.check(rbm)
    n, n_chains = len(path), len(chains)
    visible = path.visible.sample_alone(n * n_chains, stream)
    hidden = path.hidden.sample_alone(n * n_chains, stream)
    visible[-n_chains:], hidden[-n_chains:] = chains.visible, chains.hidden
    chains.become_last_of(Replicas.of(visible, hidden, n, copy.deepcopy(path)))
    return chains


@torch.no_grad()
def tune_ladder(
    rbm: RBM,
    chains: ChainState,
    stream: Stream,
    *,
    acceptance: float = defaults.SWAP_ACCEPTANCE,
    least_temperatures: int = 2,
    most_temperatures: int = defaults.MOST_TEMPERATURES,
    rounds: int = defaults.TUNING_ROUNDS,
    clamp: Clamp | None = None,
    base: RBM | None = None,
) -> ChainState:
    """Tune number and spacing of the temperatures by moving tempered chains, in place.

    Each round has twice as many sweeps as the one before. After it, the temperatures are re-spaced
    according to the acceptance of the exchanges. A change of the ladder takes the chains out of
    equilibrium, so the first sweeps afterwards belong to the warm-up.

    Parameters
    ----------
    rbm, chains, stream, clamp
        As for `Tempering`.
    acceptance
        Target for each pair of neighbours, between 0 and 1.
    least_temperatures, most_temperatures
        Limits of the ladder; if they are equal, only the spacing is tuned.
    rounds
        Number of rounds; r rounds take 20 (2^r - 1) sweeps.
    base
        As for `temper`, if the chains have no replicas yet.

    Returns
    -------
    ChainState
        The same chains, with empty exchange statistics for the final ladder.

    Raises
    ------
    ValueError
        If an option is out of its range, or the chains do not fit the model.
    """
    check_rbm("rbm", rbm)
    check_stream(stream)
    check_count("rounds", rounds)
    check_limits(least_temperatures, most_temperatures)
    sampler = Tempering(1, least_temperatures, acceptance, 0, most_temperatures)
    chains.check(rbm)
    if chains.replicas is None:
        start = min(max(defaults.N_TEMPERATURES, least_temperatures), most_temperatures)
        temper(rbm, chains, stream, start, base=base)
    replicas, path = _tempered(chains)
    path.check(rbm)
    for _ in sampler.tuning(rbm, replicas, stream, rounds, clamp):
        pass
    chains.become_last_of(replicas)
    return chains


def check_limits(least_temperatures: int, most_temperatures: int) -> None:
    """Refuse limits that allow no ladder.

    Raises
    ------
    ValueError
        Quotes the limits.
    """
    if not 2 <= least_temperatures <= most_temperatures:
        raise ValueError(
            f"least_temperatures is {least_temperatures} and most_temperatures "
            f"{most_temperatures}; pass 2 or more, the second not below the first"
        )


def _tempered(chains: ChainState) -> tuple[Replicas, TemperaturePath]:
    """The replicas of tempered chains, and their temperatures."""
    replicas = chains.replicas
    if replicas is None or replicas.path is None:
        raise ValueError(
            "these chains have no replicas at other temperatures; make them with "
            "sampling.temper(rbm, chains, stream)"
        )
    return replicas, replicas.path
