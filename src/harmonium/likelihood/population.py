"""A population that follows a model while it is trained, and knows its log Z at every look.

References
----------
.. [1] K. Hukushima and Y. Iba (2003), "Population annealing and its application to a spin glass",
   AIP Conf. Proc. 690.
.. [2] P. Del Moral, A. Doucet and A. Jasra (2006), "Sequential Monte Carlo samplers", J. R.
   Statist. Soc. B 68.
.. [3] A. Decelle, C. Furtlehner, L. Rosset and B. Seoane (2025), "Fast training and sampling of
   restricted Boltzmann machines", ICLR: log Z along the trajectory of a training.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.gauge import Gauge
from harmonium.likelihood.log_z import LogZ
from harmonium.likelihood.path import FOLLOW, AnnealingPath, anneal_, interpolate_
from harmonium.rbm import RBM, HasMoments
from harmonium.rng import Purpose, Stream

_LEAST_PARTICLES = 10


@dataclass
class Population:
    """Weighted particles of a model that changes, and what they say of its log Z [1]_ [2]_.

    From one look at the model to the next, the particles move along the straight line between its
    parameters then and now, and are weighed by annealed importance sampling. Where few of them
    carry the weight, they are drawn anew in proportion to it. So the estimate of Z is unbiased at
    every look, that of log Z errs below, and nothing is taken from the chains that train the
    model: these lag behind it, and would flatter it.

    Attributes
    ----------
    model
        The model at the last look.
    visible : Tensor, shape (n_particles, model.visible.n_columns)
        Particles.
    log_weights : Tensor, shape (n_particles,), float64
        Since the particles were last drawn anew, nats.
    base_log_z, base_variance
        Log Z at that time, nats, and the variance of its estimate.
    stream
        Random numbers.
    """

    model: RBM
    visible: Tensor
    log_weights: Tensor
    base_log_z: float
    base_variance: float
    stream: Stream

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
        """A population of a model, annealed to it from the data's base rates.

        What is uncertain now stays so, as long as the population follows the model.

        Parameters
        ----------
        rbm
            The model; best early in its training, when it is easily reached.
        data
            Training rows, shape (n, visible.n_columns), or what knows their moments.
        n_particles
            Particles, 10 or more.
        n_temperatures
            Inverse temperatures on the way, 2 or more.
        seed
            Of all that is drawn.

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
                "error is that between particles"
            )
        gauge = Gauge.of(rbm)
        path = AnnealingPath.adaptive(gauge.rbm, gauge.enter_data(data), n_temperatures, seed)
        stream = Stream(seed, Purpose.LIKELIHOOD, position=FOLLOW)
        like, n_columns = rbm.weights.detach(), rbm.visible.n_columns
        visible = path.base.visible.sample_(like.new_zeros(n_particles, n_columns), stream)
        log_weights = torch.zeros(n_particles, dtype=torch.float64, device=visible.device)
        temperatures = torch.as_tensor(path.inverse_temperatures)
        for _ in anneal_(path, visible, temperatures, stream, log_weights):
            pass
        model = copy.deepcopy(rbm).requires_grad_(False)
        base_log_z = path.base_log_z - gauge.energy
        population = cls(model, gauge.leave(visible), log_weights, base_log_z, 0.0, stream)
        population._draw_anew_if_uneven_()
        return population

    @property
    def log_z(self) -> LogZ:
        """Log Z of the model at the last look.

        Its standard error adds up those since the beginning as if they were independent; particles
        that hardly move from one drawing anew to the next make it larger than it says.
        """
        weights = LogZ.from_log_weights(self.log_weights, "below")
        std_error = math.sqrt(self.base_variance + weights.std_error**2)
        return LogZ(self.base_log_z + weights.value, std_error, "below", self.log_weights)

    @torch.no_grad()
    def follow_(self, rbm: RBM, n_steps: int) -> None:
        """Move to where the model is now, in ``n_steps`` steps of one sweep each.

        Parameters
        ----------
        rbm
            The model now, of the same units and sizes. It is copied.
        n_steps
            More make the weights more even; 1 or more.

        Raises
        ------
        ValueError
            If there are no steps.
        FloatingPointError
            If the model's energies overflow; the population has then lost it.
        """
        if n_steps < 1:
            raise ValueError(f"n_steps is {n_steps}; pass 1 or more")
        gauge = Gauge.of(rbm)
        (start, energy), target = gauge.move(self.model), gauge.rbm
        before, now = copy.deepcopy(start), copy.deepcopy(start)
        v = gauge.enter(self.visible)
        for step in range(1, n_steps + 1):
            t = step / n_steps
            torch.lerp(start.weights, target.weights, t, out=now.weights)
            interpolate_(now.visible, start.visible, target.visible, t)
            interpolate_(now.hidden, start.hidden, target.hidden, t)
            inputs = now.inputs_h_from_v(v)
            change = before.free_energy(v)
            change -= now.visible.energy(v)
            self.log_weights += change.double() + now.hidden.cgf(inputs).sum(-1).double()
            h = now.hidden.sample_(inputs, self.stream)
            now.visible.sample_(torch.mm(h, now.weights.T, out=v), self.stream)
            before, now = now, before
        self.model = copy.deepcopy(rbm).requires_grad_(False)
        self.visible = gauge.leave(v)
        self.log_weights += energy - gauge.energy
        self._draw_anew_if_uneven_()

    def _draw_anew_if_uneven_(self) -> None:
        """Systematic resampling, where the effective number is below half of the particles."""
        n = len(self.log_weights)
        if not self.log_weights.isfinite().all():
            raise FloatingPointError(
                "weights of particles are infinite or no numbers; the parameters are too large"
            )
        log_z = self.log_z
        if log_z.effective_chains >= n / 2:
            return
        shares = self.log_weights.softmax(0)
        offset = kernels.uniform((1, 1), self.stream).item()
        places = (torch.arange(n, dtype=torch.float64) + offset) / n
        chosen = torch.searchsorted(shares.cumsum(0).cpu(), places).clamp_(max=n - 1)
        self.visible = self.visible[chosen.to(self.visible.device)]
        self.base_log_z, self.base_variance = log_z.value, log_z.std_error**2
        self.log_weights = torch.zeros_like(self.log_weights)
