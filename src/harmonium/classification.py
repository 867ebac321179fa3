"""Classification RBMs: exact class probabilities, and gradients that train them.

A visible layer ``Mixed(x_units, Categorical(1, n_classes))`` holds a row x and its class y. An RBM
over both is a classifier, because p(y | x) is tractable: the sum over hidden states has a closed
form, and the sum over classes has few terms (Larochelle and Bengio, 2008).

References
----------
.. [1] H. Larochelle and Y. Bengio (2008), "Classification using discriminative restricted
   Boltzmann machines", ICML.
.. [2] H. Larochelle, M. Mandel, R. Pascanu and Y. Bengio (2012), "Learning algorithms for the
   classification restricted Boltzmann machine", JMLR 13.
.. [3] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014), "Dropout:
   a simple way to prevent neural networks from overfitting", JMLR 15; section 8 has RBMs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.autograd import without_autograd
from harmonium.gauge import Gauge
from harmonium.gradient import Gradient, Phase, PlainGradient
from harmonium.gradient.summed_out import scores as unit_scores
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.units import Units

# Hidden inputs processed at a time: 4 MB of float32, of which few are needed at once.
_NUMBERS_AT_ONCE = 2**20

# Smallest weight of the generative term at which both terms are summed before the products with the
# rows: below it, rounding would swamp the generative term.
_LEAST_WEIGHT = 1e-6


def class_columns(rbm: RBM) -> slice:
    """Columns of the class in a row of visible states, which are the last ones.

    Raises
    ------
    ValueError
        If the visible layer is not mixed, or does not end with a single categorical unit.
    """
    check_rbm("rbm", rbm)
    *others, (columns, units) = rbm.visible.groups
    if not others or not units.is_one_hot or units.n != 1:
        raise ValueError(
            f"a classifier's last visible unit is the class, but the visible layer is "
            f"{rbm.visible!r}; pass one such as Mixed(Binary(784), Categorical(1, 10))"
        )
    return columns


def n_classes(rbm: RBM) -> int:
    """Number of classes."""
    columns = class_columns(rbm)
    return rbm.visible.n_columns - int(columns.start)


@torch.no_grad()
def class_log_probabilities(rbm: RBM, x: Tensor) -> Tensor:
    """Exact log p(class | x), nats, shape (rows, n_classes).

    One product with x gives the free energies of all classes, which differ by a row of weights.
    Memory beyond the result is a few megabytes, whatever the number of rows.

    Parameters
    ----------
    rbm
        A model with visible units ``Mixed(x_units, Categorical(1, n_classes))``.
    x
        States without the class, shape (rows, visible.n_columns - n_classes).

    Raises
    ------
    ValueError
        If the visible layer has no class, or ``x`` is not a matrix of the right width.
    """
    _check_x(rbm, x)
    gauge = Gauge.of(rbm)
    rbm, x = gauge.rbm, gauge.enter(x)
    at_once = max(1, _NUMBERS_AT_ONCE // rbm.hidden.n_columns)
    blocks = [_scores(rbm, _inputs(rbm, rows)).log_softmax(1) for rows in x.split(at_once)]
    return torch.cat(blocks).to(rbm.weights.dtype)


def classify(rbm: RBM, x: Tensor) -> Tensor:
    """The most probable class of each row, int64, shape (rows,); see `class_log_probabilities`."""
    return class_log_probabilities(rbm, x).argmax(1)


@without_autograd
def add_discriminative_gradient_(
    rbm: RBM,
    v: Tensor,
    scale: float = 1.0,
    weights: Tensor | None = None,
    absent: Tensor | None = None,
    copies: float = 1.0,
) -> None:
    """Add ``scale`` times the gradient of the mean of -log p(class | x) to ``.grad``.

    Parameters
    ----------
    rbm
        As for `class_log_probabilities`. ``.grad`` is allocated where it is missing.
    v
        Rows (x, class), the class one-hot, shape (rows, visible.n_columns).
    scale
        Factor of the gradient that is added.
    weights
        Weights of the rows in the mean, shape (rows,); None weights all rows equally.
    absent
        Dropout mask: hidden units that are dropped for each row, bool, shape (rows, hidden.n); None
        drops none.
    copies
        How many copies the model has of each hidden unit that is kept.

    Raises
    ------
    ValueError
        If the visible layer has no class, or rows have the wrong width.
    """
    found = _terms(rbm, v, scale, weights, absent, copies)
    columns = class_columns(rbm)
    by_weights = _grad(rbm.weights)
    kernels.addmm_(by_weights[: columns.start], v[:, : columns.start].T, found.inputs)
    by_weights[columns].add_(found.classes)
    _grad(rbm.hidden.bias).add_(found.inputs.sum(0))
    _add_others(rbm, found)


@dataclass(frozen=True)
class _Terms:
    """The discriminative gradient before its product with x.

    Attributes
    ----------
    inputs
        Gradient by the hidden units' inputs from each row, shape (rows, hidden.n_columns).
    classes, bias
        Gradients by the classes' weights and biases, shapes (n_classes, hidden.n_columns) and
        (n_classes,).
    others
        Gradients by the hidden units' parameters other than the bias, by parameter name.
    """

    inputs: Tensor
    classes: Tensor
    bias: Tensor
    others: dict[str, Tensor]


def _add_others(rbm: RBM, found: _Terms) -> None:
    _grad(rbm.visible.bias)[class_columns(rbm)].add_(found.bias)
    for name, value in found.others.items():
        _grad(rbm.hidden.get_parameter(name)).add_(value)


def _terms(
    rbm: RBM,
    v: Tensor,
    scale: float,
    weights: Tensor | None,
    absent: Tensor | None,
    copies: float,
) -> _Terms:
    """Compute the terms; arguments are those of `add_discriminative_gradient_`."""
    columns = class_columns(rbm)
    rbm.visible.check_width(v, "visible")
    inputs = _inputs(rbm, v[:, : columns.start])
    if absent is not None and rbm.hidden.low_state == 0:
        inputs.masked_fill_(absent, float("-inf"))  # a dropped unit is always 0
        absent = None
    present = None if absent is None else (~absent).to(inputs)
    # for row i and class y: the derivative by the score of that class
    scores = unit_scores(rbm, inputs, columns, present).mul_(copies).add_(rbm.visible.bias[columns])
    residual = (scores.softmax(1) - v[:, columns]).mul_(scale)
    if weights is None:
        residual.div_(len(v))
    else:
        residual.mul_((weights / weights.sum()).to(residual).unsqueeze(1))
    bias = residual.sum(0)
    residual.mul_(copies)
    hidden, of_class = rbm.hidden, rbm.weights[columns]
    others: dict[str, Tensor] = {}
    if hidden.low_state == 0:
        by_inputs, by_classes = kernels.softplus_gradient(inputs, of_class + hidden.bias, residual)
        return _Terms(by_inputs, by_classes, bias, others)
    masks = {} if present is None else _masks(hidden, present)
    by_inputs, by_classes = torch.zeros_like(inputs), torch.empty_like(of_class)
    for y, of_y in enumerate(of_class):
        for name, statistic in hidden.mean_statistics(inputs + of_y).items():
            mean = statistic * masks[name] if masks else statistic
            by_mean = mean.T @ residual[:, y]
            if name == "bias":
                by_classes[y] = by_mean
                by_inputs.addcmul_(mean, residual[:, y : y + 1])
            else:
                others[name] = others[name].add_(by_mean) if y else by_mean
    return _Terms(by_inputs, by_classes, bias, others)


def _masks(hidden: Units, present: Tensor) -> dict[str, Tensor]:
    """Masks that multiply the statistics of the hidden units, by parameter name."""
    names = {parameter: name for name, parameter in hidden.named_parameters()}
    masks: dict[str, Tensor] = {}
    first, of_columns = 0, []
    for _, units in hidden.groups:
        own = present[:, first : first + units.n]
        first += units.n
        of_columns.append(own.repeat_interleave(units.width, 1))
        masks |= {names[parameter]: own for parameter in units.parameters()}
    return masks | {"bias": torch.cat(of_columns, 1)}


@dataclass
class HybridGradient(Gradient):
    """The gradient of minus log p(class | x) - weight · log p(x, class), centred (2008, section 4).

    The first term is discriminative and exact. The second is generative, estimated with chains as
    in any other training, and regularises the first. Their sum is centred as in `CenteredGradient`.

    Dropout regularises the first term only (Srivastava et al., 2014). A dropout mask is drawn for
    each row of each update. The model keeps 1 / (1 - dropout) copies of each remaining hidden unit:
    two copies at 0.5. A class's free energy is a sum over hidden units, and its mean over all
    dropout masks equals that of the RBM. So p(class | x) of the RBM is exactly the geometric mean
    over the masked models, normalised to sum to 1, and not an approximation of it.

    Parameters
    ----------
    generative_weight
        0 trains discriminatively, without chains; 0.01 is the published weight for handwritten
        digits; 1 and above come close to generative training.
    rate
        Weight of the newest mini-batch in the moving averages of the offsets, 0 to 1.
    dropout
        Fraction of the hidden units that are dropped, from 0 to below 1.
    """

    generative_weight: float = defaults.GENERATIVE_WEIGHT
    rate: float = defaults.OFFSET_RATE
    dropout: float = 0.0
    visible_offset: Tensor | None = field(default=None, repr=False)
    hidden_offset: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a negative weight, or a rate or dropout outside its range."""
        if not 0 <= self.generative_weight < float("inf"):
            raise ValueError(
                f"generative_weight is {self.generative_weight}; pass 0 or a positive number"
            )
        if not 0 <= self.rate <= 1:
            raise ValueError(f"the offsets' rate is {self.rate}; pass a number from 0 to 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"dropout is {self.dropout}; pass a share from 0 to below 1, such as 0.5"
            )

    @property
    def uses_chains(self) -> bool:  # noqa: D102
        return self.generative_weight > 0

    @without_autograd
    def write_(  # noqa: D102
        self,
        rbm: RBM,
        data: Phase,
        chains: Phase,
        scale: float = 1.0,
        stream: Stream | None = None,
    ) -> None:
        rows, weights = data.unweighed or (data, None)
        v, known = rows.visible["bias"], _labelled(rbm, data)
        absent, copies = self._drop(rbm, len(v) if known is None else len(known), stream)
        visible, hidden = (of_layer["bias"] for of_layer in data.means)
        if self.visible_offset is None or self.hidden_offset is None:
            self.visible_offset, self.hidden_offset = visible.clone(), hidden.clone()
        self.visible_offset.lerp_(visible, self.rate)
        self.hidden_offset.lerp_(hidden, self.rate)
        generative = scale * self.generative_weight
        if weights is None and known is None and self.generative_weight >= _LEAST_WEIGHT:
            found = _terms(rbm, v, scale, None, absent, copies)
            self._write_together(rbm, data, chains, generative, found)
        else:
            PlainGradient().write_(rbm, data, chains, generative)
            if known is not None:
                # the sum over rows with a class, divided by the number of all rows
                own = v.new_ones(len(v)) if weights is None else weights
                scale = scale * (own[known].sum() / own.sum()).item()
                v, weights = v[known], None if weights is None else weights[known]
            if scale:
                add_discriminative_gradient_(rbm, v, scale, weights, absent, copies)
        self._centre_(rbm, self.visible_offset, self.hidden_offset)

    def _drop(self, rbm: RBM, n_rows: int, stream: Stream | None) -> tuple[Tensor | None, float]:
        """Draw the dropout mask of each row; also return how many copies the kept units have."""
        if not self.dropout:
            return None, 1.0
        if stream is None:
            raise ValueError("dropout draws random masks; pass the stream of the run")
        like = rbm.weights
        shape = (n_rows, rbm.hidden.n)
        drawn = kernels.uniform(shape, stream, device=like.device, dtype=like.dtype)
        return drawn < self.dropout, 1 / (1 - self.dropout)

    def _write_together(
        self, rbm: RBM, data: Phase, chains: Phase, generative: float, found: _Terms
    ) -> None:
        """Merge both terms' products with the rows: one product with the sum of the terms.

        The data phase contributes minus the mean hidden states.
        """
        v, h = data.pair
        both = torch.sub(h, found.inputs, alpha=len(v) / generative)
        together = Phase(data.visible, data.hidden | {"bias": both})
        PlainGradient().write_(rbm, together, chains, generative)
        columns = class_columns(rbm)
        of_class = _grad(rbm.weights)[columns]
        # the class is among a row's states, but is not an input of the discriminative term
        kernels.addmm_(of_class, v[:, columns].T, found.inputs, alpha=-1).add_(found.classes)
        _add_others(rbm, found)

    def _centre_(self, rbm: RBM, visible_offset: Tensor, hidden_offset: Tensor) -> None:
        """Centre the gradient in place: a linear map, given by the offsets."""
        weights, visible, hidden = (
            _grad(parameter) for parameter in (rbm.weights, rbm.visible.bias, rbm.hidden.bias)
        )
        weights.addr_(visible_offset, hidden, alpha=-1).addr_(visible, hidden_offset, alpha=-1)
        visible.addmv_(weights, hidden_offset, alpha=-1)
        hidden.addmv_(weights.T, visible_offset, alpha=-1)

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        return [p.grad for p in rbm.parameters() if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        offsets = {"visible_offset": self.visible_offset, "hidden_offset": self.hidden_offset}
        return {name: offset for name, offset in offsets.items() if offset is not None}


def _labelled(rbm: RBM, data: Phase) -> Tensor | None:
    """Numbers of the rows whose class was observed; None if it was in all of them."""
    columns = class_columns(rbm)
    unknown = [missing.rows for missing in data.summed_out if missing.columns == columns]
    if not unknown:
        return None
    is_known = torch.ones((data.unweighed or (data,))[0].n_rows, dtype=torch.bool)
    is_known = is_known.to(rbm.weights.device)
    for rows in unknown:
        is_known[rows] = False
    return is_known.nonzero()[:, 0]


def _check_x(rbm: RBM, x: Tensor) -> None:
    n = class_columns(rbm).start
    if x.dim() != 2 or x.shape[1] != n:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but this RBM has {n} visible columns besides the "
            f"{n_classes(rbm)} of the class; pass shape (rows, {n})"
        )


def _inputs(rbm: RBM, x: Tensor) -> Tensor:
    """Hidden inputs from x alone, without the class, shape (rows, hidden.n_columns)."""
    # a slice of rows (x, class) has gaps, where no product skips zeros
    return kernels.product(x.contiguous(), rbm.weights[: x.shape[1]])


def _scores(rbm: RBM, inputs: Tensor) -> Tensor:
    """Minus the free energy of each class, up to a shared term, float64, (rows, n_classes).

    In float64, because the sums over many hidden units are large and classes differ in the last
    digits.
    """
    columns = class_columns(rbm)
    return unit_scores(rbm, inputs, columns, dtype=torch.float64).add_(rbm.visible.bias[columns])


def _grad(parameter: nn.Parameter) -> Tensor:
    """The parameter's gradient, allocated on first use."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
