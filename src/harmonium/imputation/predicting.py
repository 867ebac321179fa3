"""What a model says of one unit of each row, given what is observed: a distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_count
from harmonium.datasets import MaskedRows
from harmonium.imputation.chains import Completing
from harmonium.imputation.clamped import ClampedRows
from harmonium.imputation.completing import complete_rows
from harmonium.imputation.exact import Enumerated, Normal, posteriors
from harmonium.imputation.one_by_one import Points
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream

_CHAINS_AT_ONCE = 2048
_RECORDS, _SWEEPS_A_RECORD = 25, 2
_TEMPERATURES = 50

# A normal distribution is written at points so far apart and up to here, in standard deviations.
_STEP, _END = 0.05, 6.0


@dataclass(frozen=True, eq=False)
class UnitDistributions:
    """The distribution of one visible unit for each row, given what is observed of the row.

    Attributes
    ----------
    states : Tensor, shape (n_points, width) or (rows, n_points, width)
        All states of a discrete unit; a grid, or draws, of a continuous one.
    probabilities : Tensor, float64, shape (rows, n_points)
        Probability of each; they add up to 1.
    is_exact : Tensor, bool, shape (rows,)
        Rows of which no other missing unit was sampled; sums over a grid are exact to ten digits.
    std_errors : Tensor, float64, shape (rows,)
        Largest standard error of a probability, from the chains of a row; 0 where exact.
    is_grid
        Whether the states are points of a grid, between which there are others.
    """

    states: Tensor
    probabilities: Tensor
    is_exact: Tensor
    std_errors: Tensor
    is_grid: bool = False

    def moments_of(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of values of the states, shape (rows,) each.

        Parameters
        ----------
        values
            A number for each state, shape (n_points,) or (rows, n_points).
        """
        values = values.to(self.probabilities)
        mean = (self.probabilities * values).sum(1)
        square = (values - mean.unsqueeze(1)).square()
        return mean, (self.probabilities * square).sum(1).sqrt()

    def quantiles_of(self, values: Tensor, share: float) -> Tensor:
        """The value up to which this share of the probability lies, shape (rows,).

        Between the points of a grid it is interpolated; of separate states and of draws it is the
        least one with at least this share up to it.

        Parameters
        ----------
        values
            As for `moments_of`, in any order.
        share
            0 to 1.
        """
        ordered, p, below = self._ordered(values)
        at = torch.full_like(below[:, :1], share)
        if self.is_grid:
            return _interpolated(at, below - p / 2, ordered)[:, 0]
        place = torch.searchsorted(below, at * below[:, -1:]).clamp_(max=below.shape[1] - 1)
        return ordered.gather(1, place)[:, 0]

    def transforms_of(self, values: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Probability below a value of each row, and up to it: its probability integral transform.

        Parameters
        ----------
        values
            As for `moments_of`.
        truth
            A value for each row, shape (rows,).

        Returns
        -------
        tuple of Tensor
            Shape (rows,) each; equal between the points of a grid.
        """
        ordered, p, below = self._ordered(values)
        truth = truth.to(ordered).unsqueeze(1)
        if self.is_grid:
            found = _interpolated(truth, ordered, below - p / 2)[:, 0].clamp(0, 1)
            return found, found
        return (p * (ordered < truth)).sum(1), (p * (ordered <= truth)).sum(1)

    def _ordered(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values in ascending order, the probability of each, and that up to each."""
        values = values.to(self.probabilities).expand(self.probabilities.shape)
        ordered, order = values.sort(1)
        p = self.probabilities.gather(1, order)
        return ordered.contiguous(), p, p.cumsum(1).contiguous()


def _interpolated(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Values between ascending points, linearly, shape (rows, n)."""
    at, x = at.contiguous(), x.contiguous()
    above = torch.searchsorted(at, x).clamp_(1, at.shape[1] - 1)
    low, high = at.gather(1, above - 1), at.gather(1, above)
    share = ((x - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
    return torch.lerp(values.gather(1, above - 1), values.gather(1, above), share)


@torch.no_grad()
def unit_distributions(
    rbm: RBM,
    rows: MaskedRows,
    unit: int,
    *,
    n_chains: int = defaults.CONDITIONAL_CHAINS,
    stream: Stream | None = None,
) -> UnitDistributions:
    """Distribution of one visible unit given what is observed of each row, all else summed out.

    It is exact where nothing else is missing, and where what else is missing, or the hidden layer,
    can be enumerated. Else chains complete the row, and the distribution is the mean over them of
    that given all other units of the completed row, which is exact. Continuous units whose states
    have no bounds under hidden units without bounds are drawn, unless both are Gaussian.

    Parameters
    ----------
    rbm
        The model.
    rows
        States, and which are observed; the unit itself counts as missing.
    unit
        Number of the visible unit.
    n_chains
        Chains of each row that needs them; of drawn units, ten times as many draws.
    stream
        Random numbers; None for those of seed 0.

    Raises
    ------
    TypeError, ValueError
        If rows do not fit the model, or there is no such unit.
    """
    check_count("n_chains", n_chains, 2)
    if stream is None:
        stream = Lane.IMPUTED.stream(defaults.SEED)
    if not 0 <= unit < rbm.visible.n:
        raise ValueError(f"unit is {unit}; pass 0 to {rbm.visible.n - 1}")
    clamped = ClampedRows.of(rbm, rows, torch.float64)
    columns = clamped.units.columns[unit]
    observed = clamped.observed.clone()
    observed[:, columns] = False
    rows = MaskedRows(rows.states, observed)
    clamped = ClampedRows.of(rbm, rows, torch.float64)
    points = clamped.units.points(unit)
    if points is None:
        return _without_points(rbm, rows, clamped, unit, 10 * n_chains, stream)
    p = points.log_weights.new_zeros(len(clamped), len(points))
    errors = p.new_zeros(len(clamped))
    is_exact = torch.ones_like(errors, dtype=torch.bool)
    for numbers, posterior in posteriors(clamped):
        if posterior is not None:
            p[numbers] = posterior.of_unit(unit, points)
            continue
        is_exact[numbers] = False
        own = ClampedRows.of(rbm, rows)
        for block in numbers.split(max(1, _CHAINS_AT_ONCE // n_chains)):
            found = _averaged(own.take(block), clamped.take(block), unit, points, n_chains, stream)
            p[block], errors[block] = found
    states = torch.zeros(len(points), rbm.visible.n_columns).to(points.states)
    states[:, columns] = points.states
    return UnitDistributions(
        clamped.leave(states)[:, columns], p, is_exact, errors, clamped.units.has_grid(unit)
    )


def _averaged(
    own: ClampedRows, exact: ClampedRows, unit: int, points: Points, n: int, stream: Stream
) -> tuple[Tensor, Tensor]:
    """Mean over chains of the distribution given all other units; and its standard errors."""
    chains = Completing.annealed(own, n, stream, _TEMPERATURES)
    columns = exact.units.columns[unit]
    weights = exact.rbm.weights[columns]
    alone = exact.repeated(n)
    total = points.log_weights.new_zeros(len(own), n, len(points))
    for _ in range(_RECORDS):
        chains.sweep(_SWEEPS_A_RECORD)
        v = chains.chains.visible.double()
        others = v @ exact.rbm.weights - v[:, columns] @ weights
        given = Enumerated(replace(alone, inputs=others), [unit])
        total += given.of_unit(unit, points).view(total.shape)
    p = total / _RECORDS
    return p.mean(1), (p.std(1) / n**0.5).amax(1)


def _without_points(
    rbm: RBM, rows: MaskedRows, clamped: ClampedRows, unit: int, n: int, stream: Stream
) -> UnitDistributions:
    """Normal where all that is left is Gaussian; else draws."""
    columns = clamped.units.columns[unit]
    for_all = list(posteriors(clamped))
    if all(isinstance(posterior, Normal) for _, posterior in for_all):
        grid = torch.arange(-_END, _END + _STEP / 2, _STEP).to(clamped.states)
        states = clamped.states.new_zeros(len(clamped), len(grid), 1)
        for numbers, posterior in for_all:
            assert isinstance(posterior, Normal)
            mean, deviation = posterior.moments_of_unit(unit)
            states[numbers] = (mean.unsqueeze(1) + deviation.unsqueeze(1) * grid).unsqueeze(2)
        full = clamped.states.new_zeros(*states.shape[:2], rbm.visible.n_columns)
        full[..., columns] = states
        p = (-0.5 * grid.square()).softmax(0).expand(len(clamped), -1)
        return UnitDistributions(
            clamped.leave(full)[..., columns],
            p,
            torch.ones(len(clamped), dtype=torch.bool, device=p.device),
            p.new_zeros(len(clamped)),
            is_grid=True,
        )
    found = complete_rows(rbm, rows, n, None, stream)
    p = torch.full((len(clamped), n), 1 / n, dtype=torch.float64, device=found.means.device)
    return UnitDistributions(
        found.draws[..., columns],
        p,
        torch.zeros_like(found.is_exact),
        torch.full_like(found.r_hat, 0.5 / n**0.5),
    )
