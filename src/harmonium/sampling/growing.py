"""Trajectory tempering while a model is trained: the levels are models of its own past."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass

import torch

from harmonium import defaults
from harmonium.arguments import check_count, check_number
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState, check_stream
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.exchange import sweeps_
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.levels import ModelLadder
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.sampler import Sampler, SweepInfo
from harmonium.sampling.trajectory import nearly_independent

# Exchanges of a pair before its acceptance decides whether a level is left out.
_FEWEST_EXCHANGES = 10


@dataclass(frozen=True)
class GrowingTrajectory(Sampler):
    """Parallel tempering of a training along the models of its own past [1]_.

    The last level is the model that is trained. Below it are copies of earlier parameters, and at
    the bottom independent units, which are drawn afresh in each sweep. Neighbours exchange visible
    states (`harmonium.sampling.exchange`), so that chains reach a mode as they did when training
    first found it, and the mass of each mode follows the model. Temperatures do not do that where a
    sharp transition lies between them.

    When exchanges between the model and the newest copy fall below the target ``acceptance``, the
    model as it is becomes the next level; its chains start as copies of the model's own. A level is
    left out where its neighbours exchange often enough without it, by the sum of the rejections on
    its two sides. All models' distributions are invariant, apart from the start of a new level and
    from what an update does to the last.

    Gibbs sweeps move the model's chains. All levels move in one call out of so many that the others
    take about ``work`` times as long as the model's own.

    Parameters
    ----------
    sweeps
        Sweeps per call.
    acceptance
        Target for each pair of neighbours, between 0 and 1.
    most_models
        Most levels. If more would be needed, the one that is missed least is left out.
    work
        Work of the other levels in units of that of the model's own chains, above 0; with
        ``most_models`` or more, all levels move in every call.

    References
    ----------
    .. [1] N. Bereux, A. Decelle, C. Furtlehner and B. Seoane (2025), "Fast training and sampling
       of restricted Boltzmann machines", ICLR.
    """

    sweeps: int = defaults.SWEEPS
    acceptance: float = defaults.TRAJECTORY_ACCEPTANCE
    most_models: int = defaults.MOST_MODELS
    work: float = defaults.TRAJECTORY_WORK
    has_replicas = True

    def __post_init__(self) -> None:
        """Refuse a ladder without steps, or a sampler without sweeps."""
        check_count("sweeps", self.sweeps)
        check_count("most_models", self.most_models, 3)
        for name, range_ in (("acceptance", "between 0 and 1"), ("work", "above 0")):
            check_number(name, getattr(self, name), f"a number {range_}")
        if not 0 < self.acceptance < 1:
            raise ValueError(f"acceptance is {self.acceptance}; pass a number between 0 and 1")
        if not self.work > 0:
            raise ValueError(f"work is {self.work}; pass a number above 0")

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
        """Move the chains in place by ``sweeps`` sweeps, and now and then the levels below.

        Raises
        ------
        ValueError
            If the chains do not fit the model, have replicas at temperatures, or end with this
            call.
        """
        check_stream(stream)
        self.check_persist(ends)
        chains.check(rbm)
        replicas = self._replicas(rbm, chains, stream)
        replicas.calls += 1
        if replicas.calls.item() * self.work < replicas.n_levels - 1:
            return Gibbs(self.sweeps)(rbm, chains, stream, clamp)
        replicas.calls.zero_()
        info = sweeps_(
            rbm, ModelLadder([*replicas.models, rbm]), replicas, self.sweeps, stream, clamp
        )
        assert info.swap_acceptance is not None
        if info.swap_acceptance[-1].item() < self.acceptance:  # NaN if it was not this pair's turn
            chains.become_last_of(self._grown(rbm, replicas))
        return chains, info

    def _replicas(self, rbm: RBM, chains: ChainState, stream: Stream) -> Replicas:
        """The replicas of the chains; those without any get independent units below them."""
        replicas = chains.replicas
        if replicas is None:
            base = nearly_independent(rbm).requires_grad_(False)
            n = len(chains)
            visible = torch.cat([base.visible.sample_alone(n, stream), chains.visible])
            hidden = torch.cat([base.hidden.sample_alone(n, stream), chains.hidden])
            replicas = Replicas.of(visible, hidden, 2, None, (base,))
            chains.become_last_of(replicas)
        elif not replicas.models:
            raise ValueError(
                "the chains have replicas of another ladder, such as at temperatures; pass chains "
                "without replicas"
            )
        return replicas

    def _grown(self, rbm: RBM, replicas: Replicas) -> Replicas:
        """The replicas with the model as a further level, and without a level that is not needed.

        A level that is left out takes its chains along. Its neighbours begin to count anew.
        """
        levels = [*range(replicas.n_levels), replicas.n_levels - 1]
        models = [*replicas.models, copy.deepcopy(rbm).requires_grad_(False)]
        pair = replicas.accepted.new_zeros(1)
        accepted, tried = (torch.cat([x, pair]) for x in (replicas.accepted, replicas.tried))
        rejected = torch.where(tried < _FEWEST_EXCHANGES, 1.0, 1 - accepted / tried)
        sums = rejected[:-2] + rejected[1:-1]  # at levels 1 to that of the newest copy
        beyond = len(levels) > self.most_models
        if not (beyond and len(sums) == 1):
            sums = sums[:-1]  # the newest copy goes only where no other one could
        spare = 1 + int(sums.argmin()) if len(sums) else 0
        if spare and (beyond or sums[spare - 1] < 1 - self.acceptance):
            del levels[spare], models[spare]
            accepted, tried = (
                torch.cat([x[: spare - 1], pair, x[spare + 1 :]]) for x in (accepted, tried)
            )
        visible, hidden = (x[levels].flatten(0, 1) for x in replicas.by_level)
        grown = Replicas.of(visible, hidden, len(levels), None, tuple(models))
        grown.accepted, grown.tried = accepted, tried
        grown.origins, grown.round_trips = replicas.origins[levels], replicas.round_trips
        grown.turn, grown.calls = replicas.turn, replicas.calls
        return grown

    def config(self) -> dict[str, int | float | bool]:  # noqa: D102
        return asdict(self)
