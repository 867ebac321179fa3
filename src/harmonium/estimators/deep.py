"""Shared by the estimators of deep networks: input of features, and greedy pretraining."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets import Data, Rows
from harmonium.deep import DBN, LayerOptions, PretrainingState, features, mean_features, pretraining
from harmonium.diagnostics import reconstruction_error
from harmonium.estimators.amounts import BATCH_SIZE, FEATURES
from harmonium.estimators.checks import check_choice, check_integer, check_numbers, width_of
from harmonium.estimators.convergence import some_rows, warn_of_constant_features
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.learning import LearningEstimator
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.estimators.visible import VISIBLE, VisibleEstimator, precision_for
from harmonium.gradient import Gradient, Penalties
from harmonium.sampling import Sampler
from harmonium.units import Binary, Gaussian, Units

_FEATURES = {"drawn": features, "mean": mean_features}

_RATE = 0.1
_GAUSSIAN_RATE = 0.01
"""Gaussian states are unbounded and need a smaller rate than binary units (Hinton, 2010)."""

_LINEAR_RATE = 0.001
"""For linear hidden units, as in Hinton and Salakhutdinov (2006)."""


@dataclass(eq=False, repr=False)
class DeepParameters:
    """Parameters of all stacks of RBMs, which `DBNTransformer` describes."""

    layers: Any = (256, 64)
    _: KW_ONLY
    visible: str = "auto"
    scale: bool = False
    pretraining_epochs: Any = None
    pretraining_rate: Any = None
    pretraining_batch_size: Any = None
    n_chains: Any = "batch_size"
    sampler: Sampler | None = None
    gradient: Gradient | None = None
    penalties: Penalties | None = None
    features: str = "drawn"
    weight_std: float | None = None
    random_state: Any = None
    verbose: int = 0
    device: str | torch.device = "cpu"
    dtype: Any = "float32"


class DeepEstimator(DeepParameters, LearningEstimator, VisibleEstimator):
    """A stack of RBMs on features that are binary, or real and standardised internally."""

    _pretraining = FEATURES

    codes: str = "binary"  # the type of the top hidden units, which may be a parameter

    model_: Any
    n_iter_: int
    loss_curve_: list[float]

    _keeps_curve = False
    """Whether there is only pretraining, so that its losses are the estimator's."""

    def _check_layers(self) -> None:
        for width in self._widths():
            check_integer("a width in layers", width, 1)
        for name, least in (
            ("pretraining_epochs", 0),
            ("pretraining_batch_size", 1),
            ("n_chains", 1),
        ):
            for value in self._of_each_layer(name):
                if value is not None and (name != "n_chains" or value != "batch_size"):
                    check_integer(name, value, least)
        check_choice(self, "features", _FEATURES)
        check_choice(self, "visible", VISIBLE)
        check_numbers(self, or_none=True, weight_std=0.0)

    def _widths(self) -> list[Any]:
        if isinstance(self.layers, str) or not isinstance(self.layers, list | tuple | np.ndarray):
            raise ValueError(
                f"layers is {self.layers!r}; pass the numbers of hidden units, such as (100, 100)"
            )
        return list(self.layers)

    def _of_each_layer(self, name: str) -> list[Any]:
        """A parameter with one value for all layers, or a list or tuple with one per layer."""
        value, n = getattr(self, name), len(self._widths())
        if not isinstance(value, list | tuple):
            return [value] * n
        if len(value) != n:
            raise ValueError(
                f"{name} has {len(value)} values, but there are {n} layers; pass one value for "
                "all, or one for each"
            )
        return list(value)

    # Features in

    def _fitting_scaling(self, X: Any, weights: Tensor | None, *, reset: bool) -> Scaling | None:
        """The scaling that the rows of the first fit decide, once these rows have been checked."""
        scaling = self._make_scaling(X, weights) if reset else self._scaling
        self._check_features(X, scaling)
        return scaling

    def _states_dtype(self) -> torch.dtype:
        return torch.float32

    def _data(self, X: Any, scaling: Scaling | None, device: torch.device) -> Data:
        """All rows in the form that `harmonium.deep` takes: bytes, or float32 states."""
        if scaling is None and isinstance(X, np.ndarray) and X.dtype in (np.uint8, np.bool_):
            return Data("X", torch.tensor(X.astype(np.uint8, copy=False)).to(device))
        values = torch.empty(X.shape, dtype=torch.float32)
        start = 0
        for block in ArrayRows(X, scaling, dtype=torch.float32).blocks():
            values[start : start + len(block)] = block
            start += len(block)
        return Data("X", values.to(device))

    # Pretraining

    def _make_dbn(self, n_features: int) -> DBN:
        below: Units = Binary(n_features)
        if self.visible_ == "gaussian":
            below = Gaussian(n_features, precision=precision_for(n_features))
        dbn = DBN.of(below, *self._hidden_units())
        return dbn.to(self._checked_device(), self._checked_dtype())

    def _hidden_units(self) -> list[Units]:
        units: list[Units] = [Binary(int(width)) for width in self._widths()]
        if self.codes == "linear":
            units[-1] = Gaussian(units[-1].n)
        return units

    def _layer_options(self, dbn: DBN, n_rows: int) -> list[LayerOptions]:
        names = (
            "pretraining_epochs",
            "pretraining_rate",
            "pretraining_batch_size",
            "n_chains",
            "sampler",
            "gradient",
            "penalties",
        )
        each = []
        for rbm, epochs, rate, batch_size, n_chains, sampler, gradient, penalties in zip(
            dbn.stack, *(self._of_each_layer(name) for name in names), strict=True
        ):
            rows = min(n_rows, BATCH_SIZE if batch_size is None else int(batch_size))
            if epochs is None:
                epochs = self._pretraining.epochs(n_rows, rows)
            each.append(
                LayerOptions(
                    max(1, int(epochs)),
                    batch_size=rows,
                    weight_std=width_of(self.weight_std),
                    n_chains=(batch_size or rows) if n_chains == "batch_size" else n_chains,
                    sampler=sampler,
                    learning_rate=_usual_rate(rbm.visible, rbm.hidden) if rate is None else rate,
                    gradient=gradient,
                    penalties=penalties,
                    features=_FEATURES[self.features],
                )
            )
        return each

    def _pretrain(self, dbn: DBN, data: Data, weights: Tensor | None, seed: int) -> None:
        """Train the stack greedily, printing progress if requested."""
        state = PretrainingState.create(dbn, self._layer_options(dbn, len(data)), seed)
        curves: dict[int, LossCurve] = {}
        for training in pretraining.updates(state, data, weights=weights):
            if training.update % state.n_batches or not (self.verbose or self._keeps_curve):
                continue
            layer = state.layer
            if layer not in curves:
                curves[layer] = LossCurve(state.data(data)[0], reconstruction_error, weights)
            curves[layer].look(training.model)
            if self.verbose:
                self._say(
                    f"layer {layer + 1}, epoch {training.update // state.n_batches}, "
                    f"reconstruction-error = {curves[layer].values[-1]:.2f}"
                )
        if self._keeps_curve:
            self.loss_curve_ = [loss for curve in curves.values() for loss in curve.values]
            self.n_iter_ = len(self.loss_curve_)

    @torch.no_grad()
    def _warn_of_constants(self, dbn: DBN, rows: Rows, name: str, remedy: str) -> None:
        """Warn if the features of a layer hardly vary."""
        index = some_rows(len(rows)).to(rows.device)
        some = h = rows.rows(index).to(dbn.top.weights.dtype)
        layers = []
        for rbm in dbn.stack:
            h = rbm.mean_h_from_v(h)
            if rbm.hidden.states is not None:  # linear codes are no probabilities, and may be small
                layers.append(h)
        warn_of_constant_features(name, some, layers, remedy)

    def _say(self, what: str) -> None:
        print(f"[{type(self).__name__}] {what}")


def _usual_rate(visible: Units, hidden: Units) -> float:
    if not hidden.is_discrete:
        return _LINEAR_RATE
    return _RATE if visible.is_discrete else _GAUSSIAN_RATE
