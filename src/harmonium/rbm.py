"""The restricted Boltzmann machine: two layers of units and the weights between them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.autograd import without_autograd
from harmonium.rng import Purpose, Stream
from harmonium.units import Binary, Units


class HasMoments(Protocol):
    """Data that knows its mean and variance by column, such as `harmonium.datasets.Data`."""

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of the states, each of shape (n_columns,)."""


class RBM(nn.Module):
    """Energy ``E(v, h) = E_visible(v) + E_hidden(h) - v weights h``, nats (Smolensky, 1986).

    Parameters
    ----------
    visible, hidden
        The layers; any unit type against any other.

    Attributes
    ----------
    weights : Tensor, shape (visible.n_columns, hidden.n_columns)
        Zero at first: `init_from_data_` draws them.

    Notes
    -----
    ``v`` has shape (..., visible.n_columns) and ``h`` (..., hidden.n_columns) in every method.
    """

    def __init__(self, visible: Units, hidden: Units) -> None:
        super().__init__()
        self.visible = visible
        self.hidden = hidden
        self.weights = nn.Parameter(torch.zeros(visible.n_columns, hidden.n_columns))

    def __repr__(self) -> str:
        return f"RBM({self.visible!r}, {self.hidden!r})"

    @torch.no_grad()
    def init_from_data_(
        self, data: Tensor | HasMoments, seed: int, weight_std: float | None = defaults.WEIGHT_STD
    ) -> RBM:
        """Visible parameters from the data's moments, hidden biases zero, small random weights.

        From weights of 0.01, which are near the saddle where all hidden units are alike, training
        takes thousands of updates to get anywhere. Wide weights (None) make hidden units that
        differ from the start, which is what few updates need.

        Parameters
        ----------
        data
            Rows of visible states, shape (n, visible.n_columns), or what knows their moments.
        seed
            Of the weights.
        weight_std
            Standard deviation of the weights; Hinton (2010), section 8, advises 0.01. None is
            the width at which the hidden units receive inputs of the size of 1, that of Glorot
            and Bengio (2010), equation 16; biases are then such that rows and hidden units have
            their means at each other's means.

        Returns
        -------
        RBM
            This one.

        Raises
        ------
        ValueError
            If there are no rows, if they have the wrong width or no states of the visible units,
            or if the seed or ``weight_std`` is none.
        """
        if weight_std is not None and not 0 <= weight_std < float("inf"):
            raise ValueError(f"weight_std is {weight_std}; pass 0 or a positive number")
        if isinstance(data, Tensor):
            self.visible.check_width(data, "visible")
            self.visible.check(data, "data")
            rows = data.reshape(-1, self.visible.n_columns).double()
            if len(rows) == 0:
                raise ValueError("data has no rows; pass 1 or more")
            mean, var = rows.mean(0), rows.var(0, correction=0)
        else:
            mean, var = data.moments()
            self.visible.check_width(mean, "visible")
            self.visible.check(mean, "the mean of the data")
        like = self.weights
        noise = kernels.normal(
            (like.shape[0], like.shape[1]), Stream(seed, Purpose.INIT), dtype=like.dtype
        )
        self.visible.init_from_moments_(mean.to(like), var.to(like))
        self.hidden.bias.zero_()
        if weight_std is not None:
            self.weights.copy_(noise.mul_(weight_std))
            return self
        self.weights.copy_(noise.mul_(glorot_std(self)))
        h = self.hidden.mean(self.hidden.bias.new_zeros(1, self.hidden.n_columns))[0]
        self.hidden.bias.sub_(mean.to(like) @ self.weights)
        self.visible.bias.sub_(self.weights @ h)
        return self

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """Joint energy, nats, shape (...,)."""
        self.hidden.check_width(h, "hidden")
        interaction = (self.inputs_h_from_v(v) * h).sum(-1)
        return self.visible.energy(v) + self.hidden.energy(h) - interaction

    def free_energy(self, v: Tensor) -> Tensor:
        """Minus the log of exp(-energy) summed over all hidden states, nats, shape (...,)."""
        inputs = self.inputs_h_from_v(v)
        return self.visible.energy(v) - self.hidden.cgf(inputs).sum(-1)

    def inputs_h_from_v(self, v: Tensor) -> Tensor:
        """What the hidden units receive: ``v weights``."""
        self.visible.check_width(v, "visible")
        if v.dim() == 2 and not torch.is_grad_enabled():
            return kernels.product(v, self.weights)
        return v @ self.weights

    def inputs_v_from_h(self, h: Tensor) -> Tensor:
        """What the visible units receive: ``h weights^T``."""
        self.hidden.check_width(h, "hidden")
        return h @ self.weights.T

    def mean_h_from_v(self, v: Tensor) -> Tensor:
        """Mean of the hidden units given the visible ones."""
        return self.hidden.mean(self.inputs_h_from_v(v))

    def mean_v_from_h(self, h: Tensor) -> Tensor:
        """Mean of the visible units given the hidden ones."""
        return self.visible.mean(self.inputs_v_from_h(h))

    def var_h_from_v(self, v: Tensor) -> Tensor:
        """Variance of the hidden units given the visible ones."""
        return self.hidden.var(self.inputs_h_from_v(v))

    def var_v_from_h(self, h: Tensor) -> Tensor:
        """Variance of the visible units given the hidden ones."""
        return self.visible.var(self.inputs_v_from_h(h))

    def mode_h_from_v(self, v: Tensor) -> Tensor:
        """Most probable hidden states given the visible ones."""
        return self.hidden.mode(self.inputs_h_from_v(v))

    def mode_v_from_h(self, h: Tensor) -> Tensor:
        """Most probable visible states given the hidden ones."""
        return self.visible.mode(self.inputs_v_from_h(h))

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
            Random numbers; goes together with ``out``. Without them nothing is drawn.

        Returns
        -------
        dict
            `Units.mean_statistics` by parameter name; they have no gradient.
        """
        self.visible.check_width(v, "visible")
        hidden = self.hidden
        if type(hidden) is Binary:
            return {"bias": kernels.binary_layer(v, self.weights, hidden.bias, out, stream)}
        inputs = kernels.product(v, self.weights)
        statistics = hidden.mean_statistics(inputs)
        if out is not None and stream is not None:
            out.copy_(hidden.sample_(inputs, stream))
        return statistics

    def sample_v_from_h(self, h: Tensor, stream: Stream) -> Tensor:
        """A draw of the visible units given the hidden ones."""
        return self.visible.sample(self.inputs_v_from_h(h), stream)


def glorot_std(rbm: RBM) -> float:
    """Standard deviation of weights that pass on the size of states and of gradients.

    sqrt(2 / (columns below + above)), and four times that below binary units, whose mean rises by
    a quarter where its input rises by one (Glorot and Bengio, 2010, equation 16).
    """
    std: float = (2 / sum(rbm.weights.shape)) ** 0.5
    return 4 * std if isinstance(rbm.hidden, Binary) else std
