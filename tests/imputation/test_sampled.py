"""Where nothing is exact: chains draw what enumeration says, and annealed intervals hold it."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium import RBM, imputation
from harmonium.datasets import MaskedRows
from harmonium.imputation import probabilities
from harmonium.imputation.chains import Annealing, Completing
from harmonium.imputation.clamped import ClampedRows
from harmonium.imputation.completing import split_r_hat
from harmonium.imputation.probabilities import log_normalisers
from harmonium.likelihood import exact_log_likelihood, exact_log_z
from harmonium.rng import Purpose, Stream
from harmonium.units import Binary
from holes import WAY, never_exact
from unit_types import BY_NAME, columns_by_unit, random_rbm

PAIRS = [
    ("binary", "binary", 0.7),
    ("spin", "gaussian", 0.4),
    ("gaussian", "binary", 0.7),
    ("gaussian", "gaussian", 0.3),
    ("poisson", "binary", 0.5),
    ("categorical", "relu", 0.7),
    ("binomial", "spin", 0.5),
    ("mixed", "categorical", 0.7),
    ("partly-gaussian", "spin", 0.6),
]
pairs = pytest.mark.parametrize(("visible", "hidden", "scale"), PAIRS)


def model_and_rows(visible: str, hidden: str, scale: float, n: int = 20) -> tuple:
    """A model of six visible units, and rows of which two in five units are observed."""
    rbm, _ = random_rbm(BY_NAME[visible], BY_NAME[hidden], sizes=(6, 4), scale=scale)
    rbm.requires_grad_(False)
    inputs = torch.zeros(n, rbm.visible.n_columns, dtype=torch.float64)
    states = rbm.visible.sample(inputs, Stream(1, Purpose.SAMPLE))
    units = torch.rand(n, 6, generator=torch.Generator().manual_seed(0)) < 0.4
    observed = torch.zeros(states.shape, dtype=torch.bool)
    for i, columns in enumerate(columns_by_unit(rbm.visible)):
        observed[:, columns] = units[:, i : i + 1]
    return rbm, MaskedRows(states, observed)


@pairs
def test_intervals_hold_the_exact_value(
    visible: str, hidden: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, rows = model_and_rows(visible, hidden, scale)
    exact = log_normalisers(rbm, rows)
    assert bool(exact.is_exact.all()) and exact.trusted and exact.n_temperatures == 0
    monkeypatch.setattr(*WAY, never_exact)
    found = log_normalisers(rbm, rows, n_temperatures=128)
    assert found.trusted and not found.is_exact[~rows.observed.all(1)].any()
    low, high, low_error, high_error = found.mean()
    truth = exact.mean()[0]
    # rows are independent, so that their mean is normal: five standard errors
    assert low - 5 * low_error <= truth <= high + 5 * high_error
    assert high - low < 0.1
    single = 5 * (found.lower_std_errors + found.upper_std_errors) + 0.02
    assert bool(((found.middle - exact.lower).abs() < single + (found.upper - found.lower)).all())


@pairs
def test_means_and_draws_of_chains_are_those_of_enumeration(
    visible: str, hidden: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, rows = model_and_rows(visible, hidden, scale)
    exact = imputation.complete_rows(rbm, rows, 400)
    monkeypatch.setattr(*WAY, never_exact)
    found = imputation.complete_rows(rbm, rows, 400)
    assert exact.is_exact.all() and exact.sweeps == 0 and found.sweeps >= 64
    assert not len(found.unmixed)
    deviation = exact.draws.double().std(1)
    varies = deviation > 1e-6
    for draws in (exact.draws, found.draws):
        z = (draws.double().mean(1) - exact.means)[varies] / (deviation[varies] / 20)
        # the mean square of k numbers, columns of one row being correlated, is 1 to within
        # 6 sqrt(2 / k)
        assert abs(float(z.square().mean()) - 1) < 6 * math.sqrt(2 / len(z))
    # means given hidden states, of many sweeps: far less noise than as many draws have
    z = (found.means - exact.means)[varies] / (deviation[varies] / 20)
    assert float(z.square().mean()) < 0.3
    for completed in (exact, found):
        given = rows.states.unsqueeze(1).expand_as(completed.draws)
        seen = rows.observed.unsqueeze(1).expand_as(completed.draws)
        assert torch.equal(completed.draws[seen], given[seen])
        assert torch.equal(completed.means[rows.observed], rows.states[rows.observed])


@pytest.mark.parametrize("exactly", [True, False])
def test_joint_frequencies_of_draws(exactly: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All eight completions of three binary units: chi-square at 1e-4."""
    from scipy.stats import chi2

    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(5, 4), scale=1.5)
    rbm.requires_grad_(False)
    states = torch.tensor([[1.0, 0, 0, 1, 0]]).double()
    observed = torch.tensor([[True, False, False, True, False]])
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 3)
    full = states.repeat(8, 1)
    full[:, [1, 2, 4]] = every
    p = (-rbm.free_energy(full)).softmax(0).numpy()
    if not exactly:
        monkeypatch.setattr(*WAY, never_exact)
    n = 4000
    found = imputation.complete_rows(rbm, MaskedRows(states, observed), n, 128)
    drawn = found.draws[0, :, [1, 2, 4]] @ torch.tensor([4.0, 2, 1]).double()
    counts = np.bincount(drawn.long().numpy(), minlength=8)
    statistic = ((counts - n * p) ** 2 / (n * p)).sum()
    assert chi2.sf(statistic, 7) > 1e-4
    # a distribution that ignores what is observed is told apart
    other = full.clone()
    other[:, [0, 3]] = 1 - other[:, [0, 3]]
    q = (-rbm.free_energy(other)).softmax(0).numpy()
    assert chi2.sf(((counts - n * q) ** 2 / (n * q)).sum(), 7) < 1e-6


@pairs
def test_distributions_of_one_unit(
    visible: str, hidden: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, rows = model_and_rows(visible, hidden, scale)
    exact = imputation.unit_distributions(rbm, rows, 1)
    assert exact.is_exact.all()
    assert exact.probabilities.sum(1).tolist() == pytest.approx([1.0] * 20)
    columns = columns_by_unit(rbm.visible)[1]
    hidden_unit = rows.observed.clone()
    hidden_unit[:, columns] = False
    means = imputation.complete_rows(rbm, MaskedRows(rows.states, hidden_unit), 1).means
    values = exact.states[..., -1]
    mean, deviation = exact.moments_of(values)
    assert mean.tolist() == pytest.approx(means[:, columns.stop - 1].tolist(), abs=1e-6)
    monkeypatch.setattr(*WAY, never_exact)
    found = imputation.unit_distributions(rbm, rows, 1)
    assert not found.is_exact.any()
    if found.states.dim() == 2:
        sampled, _ = found.moments_of(found.states[:, -1])
        slack = 6 * found.std_errors * (1 + values.abs().max()) + 0.02 * deviation
        assert bool(((sampled - mean).abs() < slack + 1e-4).all())


def test_quantiles_and_transforms_of_a_normal_unit() -> None:
    rbm, _ = random_rbm(BY_NAME["gaussian"], BY_NAME["gaussian"], sizes=(2, 2), scale=0.3)
    rows = MaskedRows(torch.zeros(1, 2).double(), torch.tensor([[False, True]]))
    found = imputation.unit_distributions(rbm, rows, 0)
    values = found.states[..., 0]
    mean, deviation = found.moments_of(values)
    for share, z in ((0.05, -1.6449), (0.5, 0.0), (0.9, 1.2816)):
        quantile = found.quantiles_of(values, share)
        assert float((quantile - mean) / deviation) == pytest.approx(z, abs=2e-3)
        low, high = found.transforms_of(values, mean + z * deviation)
        assert float(low) == float(high) == pytest.approx(share, abs=1e-3)


def test_annealing_is_unbiased_from_any_length() -> None:
    """The mean weight of many chains is the sum, with three temperatures as with thirty."""
    rbm, rows = model_and_rows("binary", "binary", 0.7, n=3)
    exact = log_normalisers(rbm, rows).lower
    clamped = ClampedRows.of(rbm, rows, torch.float64)
    for n_temperatures in (3, 30):
        stream = Stream(2, Purpose.LIKELIHOOD)
        weights = Completing.annealed(clamped, 4000, stream, n_temperatures).log_normalisers
        ratio = (weights - exact.unsqueeze(1)).exp()
        z = (ratio.mean(1) - 1) / (ratio.std(1) / math.sqrt(4000)).clamp(min=1e-12)
        assert bool((z.abs() < 4).all())


def test_a_broken_path_is_caught() -> None:
    """Weights that forget the inputs at the start are off by many standard errors."""
    rbm, rows = model_and_rows("binary", "binary", 0.7, n=3)
    exact = log_normalisers(rbm, rows).lower
    clamped = ClampedRows.of(rbm, rows, torch.float64).repeated(4000)
    path = Annealing(clamped)
    stream = Stream(2, Purpose.LIKELIHOOD)
    v = path.begin(stream)
    path._visible_inputs = path._visible_inputs + 0.5 * clamped.missing
    weights = path.move_(v, torch.linspace(0, 1, 10).tolist(), stream) + path.log_start
    ratio = (weights.view(3, -1) - exact.unsqueeze(1)).exp()
    z = (ratio.mean(1) - 1) / (ratio.std(1) / math.sqrt(4000))
    assert float(z.abs().max()) > 6


def conditional(
    rbm: object, states: Tensor, known: Tensor, asked: Tensor
) -> imputation.LogProbabilities:
    return imputation.conditional_log_probability(rbm, states, known, asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("visible", ["binary", "categorical", "binomial", "mixed"])
def test_conditionals_add_up(visible: str) -> None:
    """Log p(a, b | c) = log p(a | c) + log p(b | a, c), and p(all) is the likelihood."""
    rbm, rows = model_and_rows(visible, "binary", 0.7)
    states = rows.states
    a, b, c = (torch.zeros(states.shape[1], dtype=torch.bool) for _ in range(3))
    by_unit = columns_by_unit(rbm.visible)
    a[by_unit[0]] = b[by_unit[3]] = c[by_unit[2]] = c[by_unit[5]] = True
    both = conditional(rbm, states, c, a | b)
    chain = conditional(rbm, states, c, a).lower + conditional(rbm, states, c | a, b).lower
    assert both.lower.tolist() == pytest.approx(chain.tolist(), abs=1e-9)
    nothing, everything = torch.zeros_like(a), torch.ones_like(a)
    whole = conditional(rbm, states, nothing, everything)
    truth = exact_log_likelihood(rbm, states)
    assert whole.lower.tolist() == pytest.approx(truth.tolist(), abs=1e-9)
    none = conditional(rbm, states, c, c)
    assert none.lower.tolist() == pytest.approx([0.0] * len(states), abs=1e-12)


@pytest.mark.parametrize("exactly", [True, False])
def test_likelihood_of_what_is_observed(exactly: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rbm, rows = model_and_rows("mixed", "categorical", 0.6)
    nothing = MaskedRows(rows.states, torch.zeros_like(rows.observed))
    log_z = log_normalisers(rbm, nothing).lower
    truth = log_normalisers(rbm, rows).lower - log_z
    weights = torch.arange(1, 21).double()
    if not exactly:
        monkeypatch.setattr(*WAY, never_exact)
    found = imputation.observed_log_likelihood(rbm, rows, rows.states, weights=weights)
    wanted = float((weights / weights.sum()) @ truth)
    assert found.covers(wanted, 5.0) and found.trusted
    assert found.is_exact == exactly or not exactly
    if exactly:
        assert found.lower == pytest.approx(wanted, abs=1e-9) == found.upper
        assert "summed out exactly" in found.rests_on
    else:
        assert 0 < found.upper - found.lower < 0.1
        assert "in both directions" in found.rests_on
    # bit for bit the same again
    again = imputation.observed_log_likelihood(rbm, rows, rows.states, weights=weights)
    assert (again.lower, again.upper) == (found.lower, found.upper)


def test_chains_that_are_stuck_are_told() -> None:
    """Two modes, equally probable, that no sweep leaves: R-hat sees their directions."""
    rbm, _ = random_rbm(BY_NAME["spin"], BY_NAME["spin"], sizes=(30, 30))
    rbm.requires_grad_(False)
    for parameter, value in ((rbm.weights, 0.12), (rbm.visible.bias, 0), (rbm.hidden.bias, 0)):
        parameter.fill_(value)
    rows = MaskedRows(torch.ones(1, 30).double(), torch.zeros(1, 30, dtype=torch.bool))
    found = imputation.complete_rows(rbm, rows, 20, 64)
    up = (found.draws[0].mean(1) > 0).double().mean()
    assert 0.1 < float(up) < 0.9
    assert found.unmixed.tolist() == [0]
    # with one spin known, almost all others follow it
    rows.observed[0, :15] = True
    found = imputation.complete_rows(rbm, rows, 20, 64)
    assert float(found.means.mean()) > 0.9 and not len(found.unmixed)


def test_a_mode_that_annealing_misses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All off or all on, equally probable; annealing ends in the first, both ways agree."""
    monkeypatch.setattr(*WAY, never_exact)
    rbm = RBM(Binary(40), Binary(16)).requires_grad_(False)
    for parameter, value in ((rbm.weights, 0.5), (rbm.visible.bias, -4), (rbm.hidden.bias, -10)):
        parameter.fill_(value)
    rows = MaskedRows(torch.zeros(1, 40), torch.zeros(1, 40, dtype=torch.bool))
    found = log_normalisers(rbm, rows, n_temperatures=64)
    truth = float(exact_log_z(rbm).value)
    assert float(found.upper) < truth - 0.5  # which is what has to be told
    assert not found.trusted and "1 of 1 rows" in found.reasons[0]
    quick = partial(log_normalisers, n_temperatures=64)
    monkeypatch.setattr(probabilities, "log_normalisers", quick)
    likelihood = imputation.observed_log_likelihood(
        rbm, MaskedRows(torch.zeros(1, 40), torch.arange(40)[None] < 2), torch.zeros(4, 40)
    )
    assert math.isinf(likelihood.lower) and not likelihood.trusted


def test_r_hat_of_many_groups() -> None:
    noise = torch.randn(50, 4, 64, generator=torch.Generator().manual_seed(0)).double()
    same = split_r_hat(noise)
    # each is 1 + chi-square_7 / 7 / 64 or so, halved
    assert float(same.mean()) == pytest.approx(1.0, abs=0.01) and float(same.max()) < 1.05
    apart = noise + torch.arange(4).double().view(1, 4, 1)
    assert float(split_r_hat(apart).min()) > 1.2
    still = torch.zeros(2, 4, 64).double()
    still[1] += torch.arange(4).double().view(4, 1)
    assert split_r_hat(still).tolist() == [1.0, math.inf]
