"""Categorical units that are missing in some rows, summed out exactly.

Where one categorical unit y of a row is missing and x is observed, p(y | x) has few terms, and each
has a closed form (Larochelle and Bengio, 2008). The gradient of log p(x) is then exact: the
statistics of (x, y) for each state of y, averaged over p(y | x). Hidden units depend on y, so the
mean of a product of y with a hidden unit is not the product of their means. The difference, their
covariance, is kept in the `Phase`.

References
----------
.. [1] H. Larochelle and Y. Bengio (2008), "Classification using discriminative restricted
   Boltzmann machines", ICML, section 5: learning from rows without a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.autograd import without_autograd
from harmonium.gradient.closed_form import Phase, SummedOut
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.units import Units


@dataclass(frozen=True, eq=False)
class MissingUnit:
    """Rows in which one categorical unit is missing, and nothing else.

    Attributes
    ----------
    rows
        Their numbers in a batch, int64.
    columns
        Columns of the unit.
    """

    rows: Tensor
    columns: slice


@dataclass(frozen=True, eq=False)
class Incomplete:
    """Rows in which single categorical units are missing.

    Attributes
    ----------
    states
        Visible states, shape (rows, n_columns). What stands in missing columns is not read.
    missing
        The missing units, at most one in each row.
    """

    states: Tensor
    missing: tuple[MissingUnit, ...]


def lone_units(visible: Units, observed: Tensor) -> tuple[list[MissingUnit], Tensor]:
    """Find the missing categorical units that can be summed out, at most one in each row.

    They are those that alone are missing in their row; and the class, a single categorical unit at
    the end of the layer, whatever else is missing.

    Parameters
    ----------
    visible
        The visible layer.
    observed
        Whether each column of each row is observed, bool, shape (rows, visible.n_columns).

    Returns
    -------
    missing
        Their rows, by unit.
    others
        Numbers of the rows in which something else is missing too, int64.
    """
    gaps = ~observed
    rows = gaps.any(1).nonzero()[:, 0]
    missing: list[MissingUnit] = []
    if not len(rows):
        return missing, rows
    first, width = _units_by_column(visible, observed.device)
    gaps = gaps[rows]
    columns, units = visible.groups[-1]
    if units.is_one_hot and units.n == 1:
        has_class = ~gaps[:, columns].all(1)
        if not has_class.all():
            missing.append(MissingUnit(rows[~has_class], columns))
    else:
        has_class = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    start = gaps.byte().argmax(1)
    start, wide = first[start], width[start]
    alone = (gaps.sum(1) == wide) & (wide > 1)
    for unit in start[alone & has_class].unique().tolist():
        own = rows[alone & has_class & (start == unit)]
        missing.append(MissingUnit(own, slice(unit, unit + int(width[unit]))))
    return missing, rows[~alone]


def _units_by_column(visible: Units, device: torch.device) -> tuple[Tensor, Tensor]:
    """First column and width of the one-hot unit of each column; width 0 for other units."""
    first, width = torch.arange(visible.n_columns), torch.zeros(visible.n_columns).long()
    for columns, units in visible.groups:
        if units.is_one_hot:
            own = torch.arange(units.n_columns)
            first[columns] = columns.start + own - own % units.width
            width[columns] = units.width
    return first.to(device), width.to(device)


def scores(
    rbm: RBM,
    inputs: Tensor,
    columns: slice,
    present: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Sum of the log-normalisers of the hidden units for each state of a categorical unit.

    With the unit's biases added, these are unnormalised log-probabilities of its states.

    Parameters
    ----------
    inputs
        Hidden inputs from the rest of each row, shape (rows, hidden.n_columns).
    columns
        Columns of the unit.
    present
        Factors of the terms, shape (rows, hidden.n); None for 1.
    dtype
        Type of the result; None keeps the type of the inputs.

    Returns
    -------
    Tensor
        Nats, shape (rows, number of states).
    """
    hidden, of_unit = rbm.hidden, rbm.weights[columns]
    if hidden.low_state == 0:
        return kernels.softplus_sums(inputs, of_unit + hidden.bias, dtype)
    sums = inputs.new_empty(len(inputs), len(of_unit), dtype=dtype or inputs.dtype)
    for y, of_y in enumerate(of_unit):
        cgf = hidden.cgf(inputs + of_y)
        sums[:, y] = (cgf if present is None else cgf * present).sum(1, dtype=sums.dtype)
    return sums


@without_autograd
def observe(
    rbm: RBM,
    v: Tensor,
    missing: Sequence[MissingUnit],
    weights: Tensor | None = None,
    out: Tensor | None = None,
    stream: Stream | None = None,
) -> Phase:
    """The statistics of rows, with their missing units summed out.

    Parameters
    ----------
    rbm
        The model.
    v
        Visible states, shape (rows, visible.n_columns). What stands in missing columns is not read.
    missing
        The missing units, at most one in each row.
    weights
        Weights of the rows with which the phase will be weighed (`weigh`), shape (rows,). The means
        of this phase are unweighted, its covariances weighted.
    out, stream
        Pass both to draw hidden states, shape (rows, hidden.n_columns). Where a unit is missing,
        its state is drawn first.

    Returns
    -------
    Phase
        The bias statistics of a missing unit are its probabilities given the rest of the row.
    """
    v = v.clone()
    drawn = None if out is None or stream is None else v.clone()
    is_complete = torch.ones(len(v), dtype=torch.bool, device=v.device)
    found = []
    for units in missing:
        is_complete[units.rows] = False
        found.append(_sum_out(rbm, v, units, weights))
    for units, (p, _, _) in zip(missing, found, strict=True):
        v[units.rows, units.columns] = p
        if drawn is not None and stream is not None:
            none = p.new_zeros(p.shape[1])
            states = kernels.categorical_(p.log(), none, p.shape[1], stream)
            drawn[units.rows, units.columns] = states
    complete = is_complete.nonzero()[:, 0]
    observed = rbm.observe_h_from_v(v[complete])
    hidden = {}
    for name, statistic in observed.items():
        hidden[name] = statistic.new_empty(len(v), *statistic.shape[1:])
        hidden[name][complete] = statistic
        for units, (_, means, _) in zip(missing, found, strict=True):
            hidden[name][units.rows] = means[name]
    if drawn is not None:
        rbm.observe_h_from_v(drawn, out, stream)
    summed_out = tuple(
        SummedOut(units.rows, units.columns, covariance)
        for units, (_, _, covariance) in zip(missing, found, strict=True)
    )
    return Phase(rbm.visible.statistics(v), hidden, summed_out=summed_out)


def _sum_out(
    rbm: RBM, v: Tensor, units: MissingUnit, weights: Tensor | None
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """p(y | x); expected hidden statistics; mean covariance of y and hidden units over all rows."""
    columns = units.columns
    x = v[units.rows]
    x[:, columns] = 0
    inputs = kernels.product(x, rbm.weights)
    log_p = scores(rbm, inputs, columns, dtype=torch.float64) + rbm.visible.bias[columns]
    p = log_p.softmax(1).to(v.dtype)
    means, by_state = _expected(rbm, inputs, columns, p)
    if weights is None:
        return p, means, (by_state - kernels.mm(p.T, means["bias"])).div_(len(v))
    share = (weights / weights.sum()).to(p)[units.rows, None]
    _, by_state = _expected(rbm, inputs, columns, share * p)
    return p, means, by_state - kernels.mm((share * p).T, means["bias"])


def _expected(
    rbm: RBM, inputs: Tensor, columns: slice, p: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Hidden statistics times p, summed over the unit's states; and their means over its rows."""
    hidden, of_unit = rbm.hidden, rbm.weights[columns]
    if hidden.low_state == 0:
        mean, by_state = kernels.softplus_gradient(inputs, of_unit + hidden.bias, p)
        return {"bias": mean}, by_state
    total: dict[str, Tensor] = {}
    by_state = torch.empty_like(of_unit)
    for y, of_y in enumerate(of_unit):
        own = p[:, y]
        statistics = hidden.mean_statistics(inputs + of_y)
        by_state[y] = own @ statistics["bias"]
        for name, statistic in statistics.items():
            term = own.reshape(-1, *[1] * (statistic.dim() - 1)) * statistic
            total[name] = total[name].add_(term) if y else term
    return total, by_state
