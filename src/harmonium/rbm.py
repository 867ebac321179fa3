"""The restricted Boltzmann machine: two layers of units and the weights between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_number, described, no_tensor
from harmonium.autograd import without_autograd
from harmonium.rng import Lane, Stream
from harmonium.units import Units, as_units
from harmonium.units.far import by_float64_where_far, in_float64_where_far
from harmonium.units.numbers import finite_array

Numbers = Tensor | Sequence[Any]
"""What `torch.as_tensor` takes: tensors, NumPy arrays, lists of numbers."""


class HasMoments(Protocol):
    """Data that knows its mean and variance by column, such as `harmonium.datasets.Data`."""

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of the states, each of shape (n_columns,)."""


class RBM(nn.Module):
    """Energy ``E(v, h) = E_visible(v) + E_hidden(h) - v weights h``, nats (Smolensky, 1986).

    Parameters
    ----------
    visible, hidden
        The layers; any unit type against any other. An integer stands for that many binary units:
        ``RBM(784, 200)`` is ``RBM(Binary(784), Binary(200))``. Layers are held, not copied.

    Raises
    ------
    TypeError
        If a layer is neither `Units` nor an integer.
    ValueError
        If both layers are the same object, which would share its parameters.

    Attributes
    ----------
    weights : Tensor, shape (visible.n_columns, hidden.n_columns)
        Initially zero; `init_from_data_` draws them.

    Notes
    -----
    ``v`` has shape (..., visible.n_columns) and ``h`` (..., hidden.n_columns) in every method.
    """

    def __init__(self, visible: Units | int, hidden: Units | int) -> None:
        super().__init__()
        self.visible = as_units("visible", visible)
        self.hidden = as_units("hidden", hidden)
        if self.visible is self.hidden:
            raise ValueError(
                f"visible and hidden are the same object, {visible!r}, and would share its biases; "
                "make a layer for each"
            )
        shape = (self.visible.n_columns, self.hidden.n_columns)
        self.weights = nn.Parameter(torch.zeros(shape))

    @classmethod
    def from_arrays(
        cls,
        weights: Numbers,
        visible_bias: Numbers,
        hidden_bias: Numbers,
        *,
        visible: Units | None = None,
        hidden: Units | None = None,
        dtype: torch.dtype | None = None,
    ) -> RBM:
        """Make an RBM from given parameters, such as those of another program.

        scikit-learn's ``BernoulliRBM`` keeps ``components_`` with shape (n_hidden, n_visible): pass
        ``components_.T``, ``intercept_visible_`` and ``intercept_hidden_``.

        Parameters
        ----------
        weights
            Shape (n_visible, n_hidden), a row for each visible column.
        visible_bias, hidden_bias
            Shape (n_visible,) and (n_hidden,).
        visible, hidden
            Layers that are not binary. They are held, not copied; their biases are overwritten.
        dtype
            Type of the parameters; None means torch's default, float32.

        Returns
        -------
        RBM
            The model. It shares no memory with the arguments; ``rbm.weights``, ``rbm.visible.bias``
            and ``rbm.hidden.bias`` hold the same values.

        Raises
        ------
        TypeError
            If an argument is not an array of real numbers.
        ValueError
            If shapes do not fit, or a number is not finite.
        """
        given = {"weights": weights, "visible_bias": visible_bias, "hidden_bias": hidden_bias}
        dtype = torch.get_default_dtype() if dtype is None else dtype
        arrays = {name: finite_array(name, value, dtype) for name, value in given.items()}
        shape = tuple(arrays["weights"].shape)
        sizes = (arrays["visible_bias"].numel(), arrays["hidden_bias"].numel())
        for name in ("visible_bias", "hidden_bias"):
            if arrays[name].dim() != 1:
                raise ValueError(
                    f"{name} has shape {tuple(arrays[name].shape)}; pass one number per column, "
                    f"shape ({arrays[name].numel()},)"
                )
        if shape != sizes:
            turned = shape == sizes[::-1]
            raise ValueError(
                f"weights have shape {shape}, but there are {sizes[0]} visible and {sizes[1]} "
                f"hidden biases; pass {'weights.T' if turned else 'weights'} of shape {sizes}"
                + " (scikit-learn's components_ have a row for each hidden unit)"
                * turned
            )
        layers = [
            as_units(name, n if layer is None else layer)
            for name, n, layer in zip(("visible", "hidden"), sizes, (visible, hidden), strict=True)
        ]
        for name, n, layer in zip(("visible", "hidden"), sizes, layers, strict=True):
            if layer.n_columns != n:
                raise ValueError(
                    f"{name} is {layer!r} with {layer.n_columns} columns, but there are {n} "
                    f"{name} biases; pass one for each column"
                )
        rbm = cls(*layers).to(dtype)
        with torch.no_grad():
            rbm.weights.copy_(arrays["weights"])
            rbm.visible.bias.copy_(arrays["visible_bias"])
            rbm.hidden.bias.copy_(arrays["hidden_bias"])
        return rbm

    def __repr__(self) -> str:
        return f"RBM({self.visible!r}, {self.hidden!r})"

    def forward(self, v: Tensor) -> Tensor:
        """Refuse ``rbm(v)``, which is ambiguous; always raises a TypeError."""
        raise TypeError(
            "rbm(v) has no meaning of its own; call rbm.mean_h_from_v(v), rbm.sample_h_from_v(v, "
            "stream) or rbm.free_energy(v)"
        )

    @torch.no_grad()
    def init_from_data_(
        self, data: Tensor | HasMoments, seed: int, weight_std: float | None = defaults.WEIGHT_STD
    ) -> RBM:
        """Set visible parameters from the data's moments, hidden biases to 0, weights at random.

        Parameters
        ----------
        data
            Rows of visible states, shape (n, visible.n_columns), or an object with `moments`.
        seed
            Seed of the weights.
        weight_std
            Standard deviation of the weights. Hinton (2010), section 8, advises 0.01, which suits
            thousands of updates. None suits few: weights are wide, so that hidden units differ from
            the start, and biases give each layer its mean when the other has its own.

        Returns
        -------
        RBM
            This RBM.

        Raises
        ------
        ValueError
            If there are no rows, if they have the wrong width or are not states of the visible
            units, or if the seed or ``weight_std`` is invalid.
        """
        if weight_std is not None:
            check_number("weight_std", weight_std, "0, a positive number, or None")
            if weight_std < 0:
                raise ValueError(f"weight_std is {weight_std}; pass 0 or a positive number")
        stream = Lane.WEIGHTS.stream(seed)  # refuses an invalid seed
        if isinstance(data, Tensor):
            self.visible.check_width(data, "visible")
            self.visible.check(data, "data")
            rows = data.reshape(-1, self.visible.n_columns).double()
            if len(rows) == 0:
                raise ValueError("data has no rows; pass 1 or more")
            mean, var = rows.mean(0), rows.var(0, correction=0)
        elif not hasattr(data, "moments"):
            raise no_tensor("data", data)
        else:
            mean, var = data.moments()
            self.visible.check_width(mean, "visible")
            self.visible.check(mean, "the mean of the data")
        like = self.weights
        drawn = kernels.normal((like.shape[0], like.shape[1]), stream, dtype=like.dtype)
        self.visible.init_from_moments_(mean.to(like), var.to(like))
        self.hidden.bias.zero_()
        self.weights.copy_(drawn.mul_(_wide_std(self) if weight_std is None else weight_std))
        if weight_std is None:
            h = self.hidden.mean(torch.zeros_like(self.hidden.bias))
            self.hidden.bias.sub_(mean.to(like) @ self.weights)
            self.visible.bias.sub_(self.weights @ h)
        return self

    @property
    def is_far(self) -> bool:
        """Whether units lie so far from zero that energies, means and draws need float64."""
        return self.weights.dtype != torch.float64 and (self.visible.is_far or self.hidden.is_far)

    @in_float64_where_far
    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """Joint energy, nats, shape (...,); float64 where `is_far`."""
        self.hidden.check_states(h, "hidden")
        inputs = self.inputs_h_from_v(v)
        try:
            interaction = (inputs * h).sum(-1)
        except RuntimeError as error:
            raise ValueError(
                f"v has shape {tuple(v.shape)} and h {tuple(h.shape)}; pass as many rows of each"
            ) from error
        return self.visible.energy(v) + self.hidden.energy(h) - interaction

    @in_float64_where_far
    def free_energy(self, v: Tensor) -> Tensor:
        """Minus the log of exp(-energy) summed over all hidden states, nats; shaped as `energy`."""
        inputs = self.inputs_h_from_v(v)
        return self.visible.energy(v) - self.hidden.cgf(inputs).sum(-1)

    def inputs_h_from_v(self, v: Tensor) -> Tensor:
        """Inputs of the hidden units: ``v weights``."""
        self.visible.check_width(v, "visible")
        try:
            if v.dim() == 2 and not torch.is_grad_enabled():
                return kernels.product(v, self.weights, n_categories=self.visible.n_one_hot)
            return kernels.matmul(v, self.weights)
        except RuntimeError:  # checked only on failure, so that valid input costs nothing
            self.visible.check_states(v, "visible")
            raise

    def inputs_v_from_h(self, h: Tensor) -> Tensor:
        """Inputs of the visible units: ``h weights^T``."""
        self.hidden.check_width(h, "hidden")
        try:
            return kernels.matmul(h, self.weights.T)
        except RuntimeError:
            self.hidden.check_states(h, "hidden")
            raise

    @by_float64_where_far
    def mean_h_from_v(self, v: Tensor) -> Tensor:
        """Mean of the hidden units given the visible ones."""
        return self.hidden.mean(self.inputs_h_from_v(v))

    @by_float64_where_far
    def mean_v_from_h(self, h: Tensor) -> Tensor:
        """Mean of the visible units given the hidden ones."""
        return self.visible.mean(self.inputs_v_from_h(h))

    @by_float64_where_far
    def var_h_from_v(self, v: Tensor) -> Tensor:
        """Variance of the hidden units given the visible ones."""
        return self.hidden.var(self.inputs_h_from_v(v))

    @by_float64_where_far
    def var_v_from_h(self, h: Tensor) -> Tensor:
        """Variance of the visible units given the hidden ones."""
        return self.visible.var(self.inputs_v_from_h(h))

    @by_float64_where_far
    def mode_h_from_v(self, v: Tensor) -> Tensor:
        """Most probable hidden states given the visible ones."""
        return self.hidden.mode(self.inputs_h_from_v(v))

    @by_float64_where_far
    def mode_v_from_h(self, h: Tensor) -> Tensor:
        """Most probable visible states given the hidden ones."""
        return self.visible.mode(self.inputs_v_from_h(h))

    @by_float64_where_far
    def sample_h_from_v(self, v: Tensor, stream: Stream) -> Tensor:
        """A draw of the hidden units given the visible ones."""
        return self.hidden.sample(self.inputs_h_from_v(v), stream)

    @without_autograd
    def observe_h_from_v(
        self, v: Tensor, out: Tensor | None = None, stream: Stream | None = None
    ) -> dict[str, Tensor]:
        """Expected statistics of the hidden units, and a draw of them, from one product.

        Parameters
        ----------
        v
            Shape (rows, visible.n_columns).
        out
            Overwritten with the draw, shape (rows, hidden.n_columns).
        stream
            Random numbers. Pass ``out`` and ``stream`` together; without them nothing is drawn.

        Returns
        -------
        dict
            `Units.mean_statistics` by parameter name; they have no gradient.
        """
        self.visible.check_width(v, "visible")
        hidden = self.hidden
        try:
            if hidden.low_state == 0:
                mean = kernels.binary_layer(
                    v, self.weights, hidden.bias, out, stream, n_categories=self.visible.n_one_hot
                )
                return {"bias": mean}
            inputs = kernels.product(v, self.weights, n_categories=self.visible.n_one_hot)
        except RuntimeError:
            self.visible.check_states(v, "visible")
            raise
        statistics = hidden.mean_statistics(inputs)
        if out is not None and stream is not None:
            out.copy_(hidden.sample_(inputs, stream))
        return statistics

    @by_float64_where_far
    def sample_v_from_h(self, h: Tensor, stream: Stream) -> Tensor:
        """A draw of the visible units given the hidden ones."""
        return self.visible.sample(self.inputs_v_from_h(h), stream)

    @by_float64_where_far
    @torch.no_grad()
    def sample(
        self, n: int, *, sweeps: int = defaults.SAMPLE_WARMUP, seed: int = defaults.SEED
    ) -> Tensor:
        """Draw visible states with ``n`` independent chains of a few sweeps.

        Each chain starts at noise drawn from the visible biases alone and makes ``sweeps`` block
        Gibbs sweeps. The rows are therefore independent of each other. They follow the model only
        to the extent that the chains forget their starts; models with well-separated modes need
        more sweeps. `harmonium.sampling` has clamps, tempering, and chains that can be continued.
        Its `sampling.draw` gives the same states for the same stream, faster where few units flip.

        Parameters
        ----------
        n
            Number of chains; each gives one row.
        sweeps
            Gibbs sweeps of each chain.
        seed
            Seed of the random numbers.

        Returns
        -------
        Tensor
            Shape (n, visible.n_columns), on the device of the model.

        Raises
        ------
        TypeError, ValueError
            If an argument is not a whole number, or is too small.
        """
        check_count("n", n)
        check_count("sweeps", sweeps, 0)
        stream = Lane.SAMPLES.stream(seed)
        v = self.visible.sample_alone(n, stream)
        h = self.weights.new_empty(n, self.hidden.n_columns)
        for _ in range(sweeps):
            self.hidden.sample_(kernels.mm(v, self.weights, out=h), stream)
            self.visible.sample_(kernels.mm(h, self.weights.T, out=v), stream)
        return v


def check_rbm(name: str, rbm: Any) -> None:
    """Refuse anything but an RBM; given a deep belief network, ask for one of its RBMs.

    Raises
    ------
    TypeError
        Naming the argument.
    """
    if not isinstance(rbm, RBM):
        stack = " (of a deep belief network: dbn.top, or one of dbn.stack)"
        hint = "an RBM, such as RBM(Binary(784), Binary(200))"
        raise TypeError(f"{name} is {described(rbm)}; pass {hint}{stack * hasattr(rbm, 'stack')}")


def _wide_std(rbm: RBM) -> float:
    """Return Glorot and Bengio's (2010, equation 16), or less where visible states are unbounded.

    With unbounded visible states, theirs would drive both layers far from the data. Here the
    largest singular value is sqrt(2), so that binary hidden units at most double the variance of
    the visible ones.
    """
    below, above = rbm.weights.shape
    if not rbm.visible.is_discrete:
        noise = rbm.visible.var(torch.zeros_like(rbm.visible.bias)).mean().item()
        return float((2 / noise) ** 0.5 / (below**0.5 + above**0.5))
    return float((2 / (below + above)) ** 0.5) * rbm.hidden.input_scale
