"""Base class of the estimators of one RBM: training, attributes, and computed quantities."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from harmonium import likelihood, sampling, training
from harmonium.datasets import Minibatches, WeightedRows
from harmonium.diagnostics import reconstruction_error
from harmonium.estimators.base import SamplingTransformer, float_type, to_numpy
from harmonium.estimators.checks import seed_of, weights_of
from harmonium.estimators.convergence import some_rows, warn_of_constant_features
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.learning import LearningEstimator
from harmonium.estimators.rbm_training import RBMParameters, begin, check_training, set_rate, train
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.gradient import Gradient
from harmonium.likelihood import LogLikelihood
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.sampling import SamplingSchedule, start_at, start_random
from harmonium.training import TrainingState
from harmonium.units import Units

_MONITORED_ROWS = 500


@dataclass(eq=False, repr=False, kw_only=True)
class _Parameters(RBMParameters):
    learning_rate: float = 0.1
    batch_size: int = 10
    n_iter: int = 10
    gradient: Gradient | None = None


class RBMEstimator(_Parameters, SamplingTransformer, LearningEstimator):
    """An RBM with binary hidden units as a transformer: features in, hidden probabilities out."""

    model_: RBM
    n_iter_: int
    loss_curve_: list[float]
    _training: TrainingState
    _stream: Stream

    # Implemented for each kind of visible units

    @abstractmethod
    def _make_units(self, n_features: int) -> Units:
        """The untrained visible layer."""

    # Training

    def _fit(self, X: Any, y: Any, weights: Tensor | None) -> None:
        rows, state = self._begun(X, weights)
        batches = Minibatches(rows, min(self.batch_size, len(rows)), weights)
        train(self, state, batches)
        self._remember(state, rows.scaling)
        self._warn_of_constants(rows)

    def _learn(self, X: Any, y: Any, weights: Tensor | None, begins: bool) -> None:
        if begins:
            rows, state = self._begun(X, weights)
        else:
            state = self._training
            self._check_features(X, self._scaling)
            self._scaling = self._scaling_after(X)
            rows = self._rows(X, self._scaling)
            set_rate(state.optimizer, self.learning_rate)
        everything = torch.arange(len(rows), device=rows.device)
        training.update(state, rows.rows(everything), weights=weights)
        training.settle(state)
        if begins:
            self._remember(state, rows.scaling)
            self.n_iter_, self.loss_curve_ = 0, []
        curve = LossCurve(rows, self._losses, weights)
        curve.look(state.model)
        self.n_iter_ += 1
        self.loss_curve_ += curve.values

    def _check_parameters(self) -> None:
        check_training(self)

    def _begun(self, X: Any, weights: Tensor | None) -> tuple[ArrayRows, TrainingState]:
        """The rows, and the state at the start of training."""
        device, dtype = self._checked_device(), self._checked_dtype()
        scaling = self._make_scaling(X, weights)
        self._check_features(X, scaling)
        rows = ArrayRows(X, scaling, dtype=dtype, device=device)
        visible, seed = self._make_units(rows.n_columns), seed_of(self.random_state)
        return rows, begin(self, visible, rows, weights, self.gradient, seed)

    def _remember(self, state: TrainingState, scaling: Scaling | None) -> None:
        self._training = state
        self.model_ = state.model
        self._scaling = scaling
        self._stream = Lane.SAMPLES.stream(state.seed)

    @torch.no_grad()
    def _warn_of_constants(self, rows: ArrayRows) -> None:
        if not self.n_iter_:
            return
        some = rows.rows(some_rows(len(rows)).to(rows.device))
        warn_of_constant_features(
            type(self).__name__,
            some,
            [self.model_.mean_h_from_v(some)],
            f"{self._training.update} updates at a learning rate of {self.learning_rate:g} were "
            "too few for the weights to grow: pass weight_std=None, a larger n_iter or "
            "learning_rate, or a smaller batch_size",
        )

    def _losses(self, model: RBM, states: Tensor) -> Tensor:
        """Losses of rows, shape (rows,), for `loss_curve_`."""
        return reconstruction_error(model, states)

    @property
    def _n_features_out(self) -> int:
        return int(self.model_.hidden.n)

    # Learned parameters, by scikit-learn's names

    @property
    def components_(self) -> NDArray[Any]:
        """Weights, shape (n_components, n_features); shares the model's memory on the CPU."""
        return to_numpy(self._parameter("components_", "weights")).T

    @components_.setter
    def components_(self, value: Any) -> None:
        self._set_parameter("components_", "weights", value)

    @property
    def intercept_hidden_(self) -> NDArray[Any]:
        """Biases of the hidden units, shape (n_components,); shares memory as `components_`."""
        return to_numpy(self._parameter("intercept_hidden_", "hidden.bias"))

    @intercept_hidden_.setter
    def intercept_hidden_(self, value: Any) -> None:
        self._set_parameter("intercept_hidden_", "hidden.bias", value)

    @property
    def intercept_visible_(self) -> NDArray[Any]:
        """Biases of the visible units, shape (n_features,); shares memory as `components_`."""
        return to_numpy(self._parameter("intercept_visible_", "visible.bias"))

    @intercept_visible_.setter
    def intercept_visible_(self, value: Any) -> None:
        self._set_parameter("intercept_visible_", "visible.bias", value)

    @property
    def h_samples_(self) -> NDArray[Any]:
        """Hidden states of the persistent chains, shape (n_chains, n_components)."""
        chains = self._training.chains if hasattr(self, "_training") else None
        if chains is None:
            raise AttributeError(
                f"this {type(self).__name__} has no h_samples_: it is not fitted, or has no "
                "persistent chains"
            )
        return to_numpy(chains.hidden)

    def _parameter(self, attribute: str, name: str) -> Tensor:
        # hasattr must be false before fitting, so getattr must raise AttributeError
        if "model_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} is not fitted and has no {attribute}")
        return self.model_.get_parameter(name)

    @torch.no_grad()
    def _set_parameter(self, attribute: str, name: str, value: Any) -> None:
        check_is_fitted(self)
        new, shape = np.asarray(value), getattr(self, attribute).shape
        if new.shape != shape:
            raise ValueError(f"{attribute} has shape {new.shape}; pass shape {shape}")
        for model in (self.model_, self._training.rbm):
            # the transpose of a vector is the vector itself
            model.get_parameter(name).copy_(torch.tensor(new.T))

    # Quantities computed by a fitted model

    def _encode(self, v: Tensor) -> Tensor:
        return self.model_.mean_h_from_v(v)

    def _decode(self, h: Tensor) -> Tensor:
        return self.model_.mean_v_from_h(h)

    def gibbs(self, v: Any) -> NDArray[Any]:
        """One step of Gibbs sampling: hidden units given ``v``, then visible units given those.

        Each call gives new draws.

        Parameters
        ----------
        v : array-like of shape (n_samples, n_features)
            Visible states to start from.

        Returns
        -------
        v_new : ndarray of shape (n_samples, n_features)
            Float64 if ``v`` is, else float32.
        """
        v, rows = self._fitted_rows(v)
        model = self.model_

        @torch.no_grad()
        def step(states: Tensor) -> Tensor:
            chains = start_at(model, states, self._stream)
            return self._values(model.sample_v_from_h(chains.hidden, self._stream))

        dtype = self._values_type(float_type(v))
        return self._by_block(rows, step, model.visible.n, v, dtype)

    def _draw(self, n_samples: int, schedule: SamplingSchedule, stream: Stream) -> Tensor:
        chains = start_random(self.model_, n_samples, stream)
        for _ in sampling.sample(self.model_, chains, schedule, stream):
            pass
        return chains.visible

    def evaluate_log_likelihood(
        self,
        X: Any,
        *,
        budget: float | None = None,
        random_state: Any = 0,
        sample_weight: Any = None,
    ) -> LogLikelihood:
        """Mean log-likelihood of rows, nats: exact, or an interval with its conditions.

        Of real-valued features it is the log-density in the units of X.
        Unlike `score`, this takes minutes for large models; see `harmonium.likelihood.evaluate`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features; probabilities between 0 and 1 are not valid states, and are an error.
        budget : float or None, default=None
            Seconds to spend; None takes as long as needed for a tenth of a nat.
        random_state : int or RandomState instance, default=0
            Seed of the sampling, if exact summation over the model is intractable.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows in the mean.

        Returns
        -------
        LogLikelihood
            With ``lower``, ``upper``, ``trusted``, ``reasons`` and ``covers``.
        """
        _, rows = self._fitted_rows(X)
        v = torch.cat(list(rows.blocks()))
        seed, weights = seed_of(random_state), weights_of(sample_weight, len(v))
        of_rows = WeightedRows(v, None if weights is None else torch.tensor(weights))
        found = likelihood.evaluate(self.model_, of_rows, v, seed=seed, budget=budget).result()
        return self._in_own_units(found)

    def _in_own_units(self, found: LogLikelihood) -> LogLikelihood:
        """Log-likelihood of rows in the units of X, given that of their states."""
        return found

    def _free_energy(self, v: Any) -> NDArray[Any]:
        """Free energy of each row, nats, shape (n_samples,), under scikit-learn's name."""
        v, rows = self._fitted_rows(v)
        # for units far from zero it is too large for float32 to distinguish rows
        dtype = np.dtype(np.float64) if self.model_.is_far else None
        return self._by_block(rows, self.model_.free_energy, None, v, dtype)

    def _weights(self) -> Tensor:
        return self.model_.weights
