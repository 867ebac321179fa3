"""A population of particles that tracks log Z of a model during training.

References
----------
.. [1] K. Hukushima and Y. Iba (2003), "Population annealing and its application to a spin glass",
   AIP Conf. Proc. 690.
.. [2] P. Del Moral, A. Doucet and A. Jasra (2006), "Sequential Monte Carlo samplers", J. R.
   Statist. Soc. B 68.
.. [3] A. Decelle, C. Furtlehner, L. Rosset and B. Seoane (2025), "Fast training and sampling of
   restricted Boltzmann machines", ICLR: log Z along the trajectory of a training.
.. [4] H. P. Chan and T. L. Lai (2013), "A general theory of particle filters in hidden Markov
   models and some applications", Ann. Statist. 41; A. Lee and N. Whiteley (2018), "Variance
   estimation in the particle filter", Biometrika 105.
.. [5] Y. Zhou, A. M. Johansen and J. A. D. Aston (2016), "Toward automatic model comparison: an
   adaptive sequential Monte Carlo approach", J. Comput. Graph. Statist. 25, equation 9.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.gauge import Gauge
from harmonium.likelihood.log_z import FEWEST_EFFECTIVE_CHAINS, LogZ
from harmonium.likelihood.path import AnnealingPath, anneal_
from harmonium.rbm import RBM, HasMoments
from harmonium.rng import Lane, Stream

_LEAST_PARTICLES = 10

# Section of the stream for fresh annealings, and draws reserved for each.
_ANEW, _DRAWS = 12 << 36, 1 << 16

# If a smaller share of the particles is effective, the population misses most of the model.
_LEAST_SHARE = 0.2

# The requested number of steps suits a change that would spread the log-weights by this variance,
# nats squared, in one step. Larger changes get proportionally more steps, up to this factor.
_USUAL_VARIANCE, _MOST_TIMES = 0.15, 10

# With fewer effective families, Z has a relative error of a half, and that error is a guess.
_FEWEST = 4.0

# Estimates of log Z that differ by more standard errors than this differ significantly. If few
# chains carry an estimate, its error is a guess, and the difference in nats decides: an unbiased
# estimate of Z is exp(3) = 20 times too large at most once in 20 times (Markov's inequality).
_MOST_ERRORS, _MOST_NATS = 3.0, 3.0


@dataclass
class Population:
    """Weighted particles that follow a changing model and estimate its log Z [1]_ [2]_.

    From one evaluation (look) to the next, the particles are annealed along the straight line
    between the old and the new parameters, with the weights of annealed importance sampling. If few
    particles carry the weight, they are resampled in proportion to it. The estimate of Z is
    therefore unbiased at every look, and that of log Z errs below. The training's own chains are
    not used: they lag behind the model and would overestimate its likelihood.

    Attributes
    ----------
    model
        The model at the last look.
    visible : Tensor, shape (n_particles, model.visible.n_columns)
        Particles.
    log_weights : Tensor, shape (n_particles,), float64
        Log weights since the last resampling, nats.
    base_log_z
        Log Z at the last resampling, nats.
    base_variance
        Variance of log Z when families began to be tracked: 0 except in runs of older versions.
    stream
        Random numbers.
    families : Tensor, shape (n_particles,), int64
        The initial particle that each particle descends from; by default itself.
    looks
        Number of looks since the particles were annealed.
    least
        Lowest conditional effective sample size [5]_ of any step from one look to the next since
        then: it measures how evenly the step changed the weights.
    needed
        Effective families needed to trust log Z: normally 4. If particles were annealed again
        because the previous ones had lost the model, no other estimate confirms them, and 20 are
        needed, as for annealing elsewhere.
    """

    model: RBM
    visible: Tensor
    log_weights: Tensor
    base_log_z: float
    base_variance: float
    stream: Stream
    families: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    looks: int = 0
    least: float = math.inf
    needed: float = _FEWEST

    def __post_init__(self) -> None:
        self.least = min(self.least, float(len(self.log_weights)))
        if not len(self.families):
            self.families = torch.arange(len(self.log_weights), device=self.log_weights.device)

    @classmethod
    @torch.no_grad()
    def begin(
        cls,
        rbm: RBM,
        data: Tensor | HasMoments,
        n_particles: int = defaults.PARTICLES,
        n_temperatures: int = defaults.PARTICLE_TEMPERATURES,
        seed: int = defaults.SEED,
    ) -> Population:
        """Start a population by annealing from the data's base rates to the model.

        The uncertainty at this point remains for as long as the population follows the model.

        Parameters
        ----------
        rbm
            The model, preferably early in its training, when it is easy to reach.
        data
            Training rows, shape (n, visible.n_columns), or what knows their moments.
        n_particles
            Particles, 10 or more.
        n_temperatures
            Inverse temperatures of the annealing, 2 or more.
        seed
            Seed of everything random.

        Raises
        ------
        ValueError
            If there are too few particles or temperatures, or the data or the model are not
            usable (`AnnealingPath`).
        FloatingPointError
            If the model's energies overflow.
        """
        if n_particles < _LEAST_PARTICLES:
            raise ValueError(
                f"n_particles is {n_particles}; pass {_LEAST_PARTICLES} or more: the standard "
                "error comes from the spread between particles"
            )
        stream = Lane.PARTICLES.stream(seed)
        population = cls._annealed(rbm, data, n_particles, n_temperatures, stream)
        population._draw_anew_if_uneven_()
        return population

    @classmethod
    def _annealed(
        cls,
        rbm: RBM,
        data: Tensor | HasMoments,
        n_particles: int,
        n_temperatures: int,
        stream: Stream,
    ) -> Population:
        """Particles annealed from the data's base rates."""
        gauge = Gauge.of(rbm)
        data = gauge.enter_data(data)
        path = AnnealingPath.adaptive(gauge.rbm, data, n_temperatures, stream.seed)
        visible = path.base.visible.sample_alone(n_particles, stream)
        log_weights = torch.zeros(n_particles, dtype=torch.float64, device=visible.device)
        temperatures = torch.as_tensor(path.inverse_temperatures)
        for _ in anneal_(path, visible, temperatures, stream, log_weights):
            pass
        model = copy.deepcopy(rbm).requires_grad_(False)
        base_log_z = path.base_log_z - gauge.energy
        return cls(model, gauge.leave(visible), log_weights, base_log_z, 0.0, stream)

    @property
    def log_z(self) -> LogZ:
        """Estimate of log Z of the model at the last look.

        Families play the role of chains in its standard error and effective number. Neither
        reflects a mode that no particle has reached; `renew_` may find it.
        """
        largest = self.log_weights.max()
        of_families = torch.zeros_like(self.log_weights)
        of_families.index_add_(0, self.families, (self.log_weights - largest).exp())
        families = LogZ.from_log_weights(of_families.log() + largest + self.base_log_z, "below")
        value = self.base_log_z + LogZ.from_log_weights(self.log_weights, "below").value
        std_error = math.sqrt(self.base_variance + families.std_error**2)
        return LogZ(value, std_error, "below", families.log_weights)

    @property
    def warning(self) -> str | None:
        """Why log Z must not be trusted; None if nothing speaks against it."""
        n = len(self.log_weights)
        if self.least < 1:
            return (
                "the particles that follow log Z have lost the model: modes that they have missed "
                "are missing from log Z"
            )
        if self.least < _LEAST_SHARE * n:
            return (
                f"the particles that follow log Z have lost the model: between two looks it "
                f"changed so much that only {self.least:.0f} of {n} could follow it, and modes "
                "that they have missed are missing from log Z"
            )
        effective = self.log_z.effective_chains
        if effective < self.needed:
            return (
                f"the particles that follow log Z have degenerated: nearly all descend from "
                f"{effective:.1f} of the first {n}, so that the error of log Z is a guess"
            )
        return None

    def lose_(self) -> None:
        """Record that the particles miss part of the model; this holds until `renew_`."""
        self.least = 0.0

    @torch.no_grad()
    def renew_(self, data: Tensor | HasMoments, n_temperatures: int) -> None:
        """Anneal the same number of particles afresh, and keep the better of both populations.

        Both give unbiased estimates of Z, which are hardly ever far above it. If they differ by
        more than their errors, or few chains carry one of them, the lower estimate has missed more,
        and the higher one is kept, with what speaks against it. If they agree, the population with
        the larger effective number is kept, and any evidence against the previous particles is
        refuted.

        Parameters
        ----------
        data
            As for `begin`.
        n_temperatures
            Inverse temperatures of the annealing, 2 or more.

        Raises
        ------
        ValueError
            If there are too few temperatures, or the data are not usable.
        FloatingPointError
            If the model's energies overflow.
        """
        position = _ANEW + self.stream.position * _DRAWS % (1 << 36)
        fresh = self._annealed(
            self.model, data, len(self.visible), n_temperatures, self.stream.at(position)
        )
        self.looks = 0
        if not fresh.log_weights.isfinite().all():
            return
        found, former = fresh.log_z, self.log_z
        agree = _agree(found, former)
        is_doubtful = self.warning is not None and not agree
        is_replaced = _tells_more(found, former, is_doubtful)
        if agree or is_replaced:
            self.least = fresh.least
            self.needed = FEWEST_EFFECTIVE_CHAINS if is_doubtful else _FEWEST
        if is_replaced:
            self.visible, self.log_weights = fresh.visible, fresh.log_weights
            self.base_log_z, self.base_variance = fresh.base_log_z, 0.0
            self.families = fresh.families
            self._draw_anew_if_uneven_()

    @torch.no_grad()
    def follow_(self, rbm: RBM, n_steps: int) -> None:
        """Follow the model to its current parameters, in ``n_steps`` steps of one sweep each.

        Up to ten times as many steps are made if the model has changed much, as it does early in
        training: accuracy lost there is lost to all later looks.

        Parameters
        ----------
        rbm
            The current model, with the same units and sizes. It is copied.
        n_steps
            Number of steps for a small change, 1 or more; more make the weights more even.

        Raises
        ------
        ValueError
            If ``n_steps`` is below 1.
        FloatingPointError
            If the model's energies overflow; the population has then lost the model.
        """
        if n_steps < 1:
            raise ValueError(f"n_steps is {n_steps}; pass 1 or more")
        gauge = Gauge.of(rbm)
        (start, energy), target = gauge.move(self.model), gauge.rbm
        before, now = copy.deepcopy(start), copy.deepcopy(start)
        v, log_weights = gauge.enter(self.visible), self.log_weights.clone()
        # decided before anything is drawn, so that the estimate of Z stays unbiased
        at_once = (start.free_energy(v) - target.free_energy(v)).double().var().item()
        if math.isfinite(at_once):
            n_steps = math.ceil(n_steps * min(max(at_once / _USUAL_VARIANCE, 1), _MOST_TIMES))
        for step in range(1, n_steps + 1):
            if step == n_steps:
                now = target  # includes anything that units hold in addition to parameters
            else:
                t = step / n_steps
                torch.lerp(start.weights, target.weights, t, out=now.weights)
                now.visible.interpolate_(start.visible, target.visible, t)
                now.hidden.interpolate_(start.hidden, target.hidden, t)
            inputs = now.inputs_h_from_v(v)
            change = before.free_energy(v)
            change -= now.visible.energy(v)
            self.log_weights += change.double() + now.hidden.cgf(inputs).sum(-1).double()
            h = now.hidden.sample_(inputs, self.stream)
            now.visible.sample_(kernels.mm(h, now.weights.T, out=v), self.stream)
            before, now = now, before
        self.model = copy.deepcopy(rbm).requires_grad_(False)
        self.visible = gauge.leave(v)
        self.log_weights += energy - gauge.energy
        self.looks += 1
        self.least = min(self.least, _conditional_size(log_weights, self.log_weights))
        self._draw_anew_if_uneven_()

    def _draw_anew_if_uneven_(self) -> None:
        """Systematic resampling if the effective number is below half of the particles."""
        n = len(self.log_weights)
        if not self.log_weights.isfinite().all():
            raise FloatingPointError(
                "weights of particles are infinite or NaN; the parameters are too large"
            )
        log_z = LogZ.from_log_weights(self.log_weights, "below")
        if log_z.effective_chains >= n / 2:
            return
        shares = self.log_weights.softmax(0)
        offset = kernels.uniform((1, 1), self.stream).item()
        places = (torch.arange(n, dtype=torch.float64) + offset) / n
        chosen = torch.searchsorted(shares.cumsum(0).cpu(), places).clamp_(max=n - 1)
        chosen = chosen.to(self.visible.device)
        self.visible, self.families = self.visible[chosen], self.families[chosen]
        self.base_log_z += log_z.value
        self.log_weights = torch.zeros_like(self.log_weights)


def _conditional_size(before: Tensor, now: Tensor) -> float:
    """Conditional effective sample size of a change of weights, given the weights before."""
    change = now - before
    shares = before.log_softmax(0)
    log_size = 2 * (shares + change).logsumexp(0) - (shares + 2 * change).logsumexp(0)
    return len(now) * log_size.exp().item()


def _tells_more(fresh: LogZ, former: LogZ, is_doubtful: bool) -> bool:
    """Whether to prefer the first of two estimates that err below.

    Parameters
    ----------
    fresh, former
        The estimates.
    is_doubtful
        Whether there is evidence against the second one that the first one does not refute.
    """
    gap = fresh.value - former.value
    noise = _MOST_ERRORS * math.hypot(fresh.std_error, former.std_error)
    if fresh.warning is not None or former.warning is not None:
        noise = max(noise, _MOST_NATS)
    sizes = fresh.effective_chains, former.effective_chains
    if abs(gap) > noise or min(sizes) < _FEWEST:
        return gap > 0  # the lower one has missed more
    return sizes[0] > sizes[1] or is_doubtful


def _agree(a: LogZ, b: LogZ) -> bool:
    """Whether independent estimates agree within their errors, and these errors are reliable."""
    error = math.hypot(a.std_error, b.std_error)
    known = min(a.effective_chains, b.effective_chains) >= _FEWEST
    return known and abs(a.value - b.value) <= _MOST_ERRORS * error
