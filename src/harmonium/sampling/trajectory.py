"""Parallel trajectory tempering: the levels are models saved during a training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_type
from harmonium.gauge import Gauge
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState, start_random
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.exchange import sweeps_
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.levels import ModelLadder
from harmonium.sampling.path import independent_units
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.sampler import Sampler, SweepInfo
from harmonium.units import Units


class TrajectoryTempering(Sampler):
    """Parallel tempering between models from the course of a training [1]_.

    During training, a model acquires its modes one after the other, by continuous transitions.
    Exchanges between saved models are therefore accepted even if the model's own temperatures are
    separated by a first-order transition. The first level holds independent units, whose log Z is
    known and whose chains are drawn afresh in each sweep.

    Each level moves under its own model, with the exchanges of `harmonium.sampling.exchange`. The
    distributions of all models are exactly invariant.

    Parameters
    ----------
    models
        Models in the order of the training; the last one is the model to sample. They are copied.
        If the first model has weights, independent units with nearly its means are put before it.
    sweeps
        Sweeps per call, each over all levels and with one exchange.

    Raises
    ------
    ValueError
        If there are no models, or their layers differ; the message names the first that does.

    References
    ----------
    .. [1] N. Bereux, A. Decelle, C. Furtlehner and B. Seoane (2025), "Fast training and sampling
       of restricted Boltzmann machines", ICLR.
    """

    has_replicas = True

    def __init__(self, models: Sequence[RBM], sweeps: int = defaults.SWEEPS) -> None:
        check_type("models", models, (list, tuple), "a list of RBMs, in the order of the training")
        for number, rbm in enumerate(models):
            check_rbm(f"model {number}", rbm)
        if not models:
            raise ValueError("there are no models; pass 1 or more, in the order of the training")
        if sweeps < 1:
            raise ValueError(f"sweeps is {sweeps}; pass 1 or more")
        for number, rbm in enumerate(models):
            if _shape(rbm) != _shape(models[-1]):
                raise ValueError(
                    f"model {number} is {rbm!r}, but the last one is {models[-1]!r}; pass models "
                    "of one training"
                )
        self.sweeps = sweeps
        self.models = tuple(models)
        if models[0].weights.any():
            self.models = (nearly_independent(models[0]), *self.models)
        if len(self.models) < 2:
            raise ValueError(
                "the only model has no weights, so that its units can be drawn directly; pass "
                "models that were trained further"
            )
        self._ladder = ModelLadder(self.models)

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
        """Move the chains and their replicas at all levels, in place, by ``sweeps`` sweeps.

        Chains without replicas get some in the first call, drawn from independent units.

        Raises
        ------
        ValueError
            If ``rbm`` is not the last model, or the chains do not fit or end with this call.
        """
        self.check_persist(ends)
        ladder = self.ladder(rbm, chains)
        if chains.replicas is None:
            start = start_random(self.models[0], len(ladder) * len(chains), stream)
            replicas = Replicas.of(start.visible, start.hidden, len(ladder), None)
            visible, hidden = replicas.by_level
            visible[-1], hidden[-1] = chains.visible, chains.hidden
            chains.become_last_of(replicas)
        assert chains.replicas is not None
        return chains, sweeps_(rbm, ladder, chains.replicas, self.sweeps, stream, clamp)

    def ladder(self, rbm: RBM, chains: ChainState) -> ModelLadder:
        """The ladder on which these chains move.

        Raises
        ------
        ValueError
            If ``rbm`` is not the last model, or the chains do not fit.
        """
        last = self.models[-1]
        if rbm is not last and not _same(rbm, last):
            raise ValueError(
                "the model that is sampled is not the last one of the trajectory; pass "
                "sampler.models[-1], or put the model at the end of the models"
            )
        chains.check(rbm)
        replicas = chains.replicas
        if replicas is not None and (
            replicas.path is not None or replicas.n_levels != len(self.models)
        ):
            raise ValueError(
                f"the chains have replicas of another ladder, of {replicas.n_levels} levels, and "
                f"this one has {len(self.models)} models; pass chains without replicas"
            )
        return self._ladder

    def config(self) -> dict[str, int | float | bool]:
        """Plain arguments only, without the models; so checkpoints cannot store this sampler."""
        return {"sweeps": self.sweeps}


def choose_models(
    models: Sequence[RBM],
    n_chains: int,
    stream: Stream,
    *,
    acceptance: float = defaults.TRAJECTORY_ACCEPTANCE,
    n_sweeps: int = defaults.TEMPERED_SWEEPS,
) -> tuple[RBM, ...]:
    """Choose as few models as reach the target acceptance; the last model is always kept.

    All models are sampled together first. Rejection rates add up along a trajectory as they do
    along temperatures (`place_temperatures`). A model can therefore be left out as long as the
    rejection rates between its neighbours sum to less than one minus the target acceptance.

    Parameters
    ----------
    models
        As for `TrajectoryTempering`: many, in the order of the training.
    n_chains
        Chains of each model.
    stream
        Random numbers.
    acceptance
        Target for each pair of neighbours.
    n_sweeps
        Number of sweeps; the first half is warm-up.

    Returns
    -------
    tuple of RBM
        The models, preceded by independent units. If neighbours accept less than the target
        although no model between them was left out, models have to be saved more often.

    Raises
    ------
    ValueError
        If an option is out of its range, or there are no models.
    """
    if not 0 < acceptance < 1:
        raise ValueError(f"acceptance is {acceptance}; pass a number between 0 and 1")
    if n_sweeps < 4:
        raise ValueError(f"n_sweeps is {n_sweeps}; pass 4 or more, half of them a warm-up")
    sampler = TrajectoryTempering(models, sweeps=n_sweeps // 2)
    last = sampler.models[-1]
    chains = start_random(last, n_chains, stream)
    sampler(last, chains, stream)
    _, info = sampler(last, chains, stream)
    assert info.swap_acceptance is not None
    chosen, since = [sampler.models[0]], 0.0
    rejections = (1 - info.swap_acceptance).tolist()
    for rbm, rejection, following in zip(
        sampler.models[1:], rejections, [*rejections[1:], float("inf")], strict=True
    ):
        since += rejection
        if since + following > 1 - acceptance:
            chosen.append(rbm)
            since = 0.0
    return tuple(chosen)


class Trajectory:
    """Saves models during a training, each before exchanges with the previous one become rare.

    Call it every few updates, from the first on; `TrajectoryTempering(trajectory.models)` then
    samples the last model. The acceptance of exchanges is estimated from copies of the training's
    chains, moved under the current model. The chains themselves would give too optimistic an
    estimate, because the gradient has just made their states less probable.

    The distance between saved models depends on the noise of the updates: a few dozen models make a
    trajectory at small learning rates and large batches, hundreds at large learning rates.

    Parameters
    ----------
    acceptance
        Target for neighbours, between 0 and 1.
    sweeps
        Gibbs sweeps of the copies per call.

    Attributes
    ----------
    models : list of RBM
        Copies of the saved models, and of the latest one seen.
    """

    def __init__(
        self,
        acceptance: float = defaults.TRAJECTORY_ACCEPTANCE,
        sweeps: int = defaults.TRAJECTORY_SWEEPS,
    ) -> None:
        if not 0 < acceptance < 1:
            raise ValueError(f"acceptance is {acceptance}; pass a number between 0 and 1")
        self.acceptance = acceptance
        self._gibbs = Gibbs(sweeps)
        self._kept: list[_Seen] = []
        self._newest: _Seen | None = None

    @property
    def models(self) -> list[RBM]:
        """The models, in the order of the training."""
        newest = [] if self._newest is None else [self._newest]
        return [seen.rbm for seen in [*self._kept, *newest]]

    @torch.no_grad()
    def __call__(self, rbm: RBM, chains: ChainState, stream: Stream) -> float:
        """Consider the model for saving; return the expected acceptance with the last saved one.

        Parameters
        ----------
        rbm
            The current model; copied.
        chains
            Chains that follow the model, such as those of PCD; they are not changed.
        stream
            Random numbers for the copies; must not be the training's stream.
        """
        copies = ChainState(chains.visible.clone(), chains.hidden.clone())
        self._gibbs(rbm, copies, stream)
        now = _Seen(copy.deepcopy(rbm).requires_grad_(False), copies.visible)
        if not self._kept:
            self._kept.append(now)
            return 1.0
        accepted = now.acceptance(self._kept[-1])
        if accepted < self.acceptance and self._newest is not None:
            # the previous model is still close enough
            self._kept.append(self._newest)
            accepted = now.acceptance(self._newest)
        self._newest = now
        return accepted


@dataclass(frozen=True)
class _Seen:
    """A model, and visible states drawn from it."""

    rbm: RBM
    visible: Tensor

    def acceptance(self, other: _Seen) -> float:
        """Mean acceptance of an exchange with another model's chains."""
        own, others = (
            other.rbm.free_energy(v) - self.rbm.free_energy(v)
            for v in (self.visible, other.visible)
        )
        # every chain of one model with every chain of the other
        log_ratio = others.unsqueeze(0) - own.unsqueeze(1)
        return log_ratio.clamp_max(0).exp().mean().item()


@torch.no_grad()
def nearly_independent(rbm: RBM) -> RBM:
    """Independent units with means from one mean-field pass through the model."""
    gauge = Gauge.of(rbm)
    rbm = gauge.rbm
    base, v, h = independent_units(rbm), rbm.visible, rbm.hidden
    inputs = rbm.inputs_v_from_h(h.mean(torch.zeros_like(h.bias)))
    base.visible.set_natural_(v.bias + inputs, v.precision)
    inputs = rbm.inputs_h_from_v(base.visible.mean(torch.zeros_like(v.bias)))
    base.hidden.set_natural_(h.bias + inputs, h.precision)
    return gauge.move_back(base).to(rbm.weights)


def _same(a: RBM, b: RBM) -> bool:
    return _shape(a) == _shape(b) and all(
        torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )


def _shape(rbm: RBM) -> list[Any]:
    """What all models of a training have in common; whether parameters are learned may change."""
    return [
        (
            layer.kinds,
            [_n_states(units) for _, units in layer.groups],
            layer.bias.dtype,
            layer.bias.device,
        )
        for layer in (rbm.visible, rbm.hidden)
    ]


def _n_states(units: Units) -> int | None:
    return None if units.states is None else len(units.states)
