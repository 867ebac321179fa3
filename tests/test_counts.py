"""Binomial and Poisson units: exact draws of any mean, and which models of them have a log Z."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import gammaln, logsumexp
from scipy.stats import binom, binomtest, poisson
from torch import Tensor

import oracle
from harmonium import (
    RBM,
    AnnealingPath,
    Binary,
    Binomial,
    Data,
    Gibbs,
    Minibatches,
    Mixed,
    Poisson,
    Purpose,
    Stream,
    TrainingState,
    diagnostics,
    likelihood,
    sampling,
    training,
)
from harmonium.kernels import counts, cpu, reference
from harmonium.training import updating
from harmonium.units import Categorical, DReLU, Gaussian, ReLU, Spin, Units
from phases import one_thread  # noqa: F401
from unit_types import array, randomise_

INPUTS = (-50.0, -10.0, -3.0, -0.5, 0.0, 0.5, 3.0, 10.0, 50.0)
TRIALS = (1, 2, 10, 21, 100, 1_000_000, 2**24)
MEANS = (1e-6, 0.01, 0.3, 1.0, 9.9, 10.1, 30.0, 1e3, 1e6, 1.6e7)
N_DRAWS = 10_000
LEAST_P = 1e-6


def stream(seed: int = 7) -> Stream:
    return Stream(seed, Purpose.SAMPLE)


def p_value(x: Tensor, distribution: object) -> float:
    """That draws follow a distribution of scipy's, by cells of up to a fiftieth."""
    edges = np.unique(distribution.ppf(np.arange(1, 50) / 50))  # type: ignore[attr-defined]
    p = np.diff(np.r_[0, distribution.cdf(edges), 1])  # type: ignore[attr-defined]
    found = np.bincount(np.searchsorted(edges, array(x)), minlength=len(p))
    if (p * len(x) < 10).sum() >= len(p) - 1:  # one cell has nearly all
        return float(binomtest(int(found[-1]), len(x), min(p[-1], 1)).pvalue)
    return oracle.chi_square(found, p)


def draws(units: Units, inputs: float, dtype: torch.dtype) -> Tensor:
    return units.to(dtype).sample(torch.full((N_DRAWS, 1), inputs, dtype=dtype), stream())[:, 0]


def binomial(trials: int) -> Units:
    units = Binomial(1, trials)
    torch.nn.init.constant_(units.bias, 0.25)
    return units


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("trials", TRIALS)
def test_binomial_draws_follow_the_distribution(
    trials: int, dtype: torch.dtype, inputs: float
) -> None:
    x = draws(binomial(trials), inputs, dtype)
    chance = 1 / (1 + math.exp(-inputs - 0.25))
    assert p_value(x, binom(trials, chance)) > LEAST_P
    assert ((x >= 0) & (x <= trials)).all() and (x == x.round()).all()


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_poisson_draws_follow_the_distribution(dtype: torch.dtype, mean: float) -> None:
    inputs = torch.tensor(mean, dtype=dtype).log()  # what a float32 says
    x = draws(Poisson(1), inputs.item(), dtype)
    assert p_value(x, poisson(inputs.double().exp().item())) > LEAST_P
    assert (x >= 0).all() and (x == x.round()).all()
    assert not draws(Poisson(1), -50.0, dtype).any()


@pytest.mark.parametrize(
    "broken",
    [
        lambda x: (x + 0.05 * x.std()).round(),
        lambda x: (x.mean() + 1.05 * (x - x.mean())).round(),
    ],
    ids=["shifted by a twentieth", "a twentieth wider"],
)
@pytest.mark.parametrize("mean", [1e3, 1e6])
def test_draws_that_are_slightly_wrong_are_noticed(
    mean: float, broken: Callable[[Tensor], Tensor]
) -> None:
    x = Poisson(1).double().sample(torch.full((10 * N_DRAWS, 1), math.log(mean)).double(), stream())
    assert p_value(x[:, 0], poisson(mean)) > LEAST_P > p_value(broken(x)[:, 0], poisson(mean))


def test_a_draw_goes_on_until_a_candidate_is_accepted() -> None:
    """Blocks of numbers beyond the first are other numbers, and their own for each unit."""
    blocks = reference._blocks_like(torch.zeros(50, 7), stream())
    numbers = torch.cat([blocks(k) for k in range(4)])
    assert len(numbers.unique()) == numbers.numel()
    inputs = torch.full((2000, 7), math.log(11.0), dtype=torch.float64)
    by_reference, compiled = inputs.clone(), inputs.clone()
    asked: list[int] = []

    def counted(number: int) -> Tensor:
        asked.append(number)
        return block(number)

    block = reference._blocks_like(inputs, stream())
    by_reference.copy_(counts.poisson(inputs, counted))
    cpu.poisson_(compiled, torch.zeros(7).double(), stream())
    assert max(asked) > 7 and torch.equal(by_reference, compiled)


@pytest.mark.parametrize("trials", [1, 3, 1000])
def test_energies_are_those_of_the_binomial_distribution(trials: int) -> None:
    units = Binomial(1, trials).double()
    torch.nn.init.constant_(units.bias, -0.7)
    x = torch.arange(trials + 1.0).double().unsqueeze(1)
    log_p = -units.energy(x) - units.cgf(torch.zeros(1).double())
    expected = binom.logpmf(x[:, 0], trials, 1 / (1 + math.exp(0.7)))
    np.testing.assert_allclose(array(log_p), expected, rtol=1e-12, atol=1e-10)


def test_energies_are_those_of_the_poisson_distribution_far_out() -> None:
    units = Poisson(1).double()
    torch.nn.init.constant_(units.bias, math.log(12_345.0))
    x = torch.arange(11_000.0, 13_500, 10).double().unsqueeze(1)
    log_p = -units.energy(x) - units.cgf(torch.zeros(1).double())
    np.testing.assert_allclose(array(log_p), poisson.logpmf(x[:, 0], 12_345), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("trials", "n"), [([4, 1], 3), ([3, 2, 1, 3, 2, 3, 3], 13)], ids=str)
def test_a_binomial_unit_is_as_many_binary_ones_with_the_same_weights(
    trials: list[int], n: int
) -> None:
    rbm = RBM(Binomial(len(trials), trials), Binary(n)).double()
    randomise_(rbm, 1)
    which = torch.arange(len(trials)).repeat_interleave(torch.tensor(trials))
    tied = RBM(Binary(sum(trials)), Binary(n)).double()
    with torch.no_grad():
        tied.visible.bias.copy_(rbm.visible.bias[which])
        tied.hidden.bias.copy_(rbm.hidden.bias)
        tied.weights.copy_(rbm.weights[which])
    expected = likelihood.exact_log_z(tied).value
    assert likelihood.enumeration.n_states(rbm.visible) == math.prod(n + 1 for n in trials)
    assert likelihood.exact_log_z(rbm).value == pytest.approx(expected, abs=1e-12)
    # and the other side enumerated, where states of one unit have no mass
    turned = RBM(Binary(n), Binomial(len(trials), trials)).double()
    with torch.no_grad():
        turned.visible.bias.copy_(rbm.hidden.bias)
        turned.hidden.bias.copy_(rbm.visible.bias)
        turned.weights.copy_(rbm.weights.T)
    assert likelihood.exact_log_z(turned).value == pytest.approx(expected, abs=1e-12)
    for model, layer in ((rbm, "visible"), (turned, "hidden")):
        of_tied = likelihood.exact_moments(tied).visible["bias"]
        expected_states = torch.zeros(len(trials)).double().index_add(0, which, of_tied)
        states = getattr(likelihood.exact_moments(model), layer)["bias"]
        torch.testing.assert_close(states, expected_states)


def test_units_of_different_trials_stay_within_their_own() -> None:
    units = Binomial(3, [1, 4, 30])
    torch.nn.init.constant_(units.bias, 1.0)
    x = units.sample(torch.zeros(N_DRAWS, 3), stream())
    for column, trials in enumerate(units.fixed):
        assert p_value(x[:, column], binom(trials, 1 / (1 + math.exp(-1)))) > LEAST_P
    units.check(x, "data")
    with pytest.raises(ValueError, match=r"1 of 3 values are not from 0 to their trials, .*\[0, 1"):
        units.check(torch.tensor([[1.0, 5.0, 30.0]]), "data")
    rbm = RBM(Binary(2), Binomial(2, [1, 4]))
    torch.nn.init.constant_(rbm.hidden.bias, 50.0)
    activity = diagnostics.hidden_activity(rbm, torch.zeros(3, 2))
    assert activity is not None and activity.tolist() == [1, 1]


def test_layers_of_other_trials_are_of_another_kind() -> None:
    assert Binomial(2, 3).kinds == Binomial(2, [3, 3]).kinds != Binomial(2, 4).kinds
    base, target = (RBM(Binomial(2, trials), Binary(1)) for trials in (3, 4))
    with pytest.raises(ValueError, match="Binomial"):
        AnnealingPath(base, target, [0, 1])


def test_pseudo_likelihood_counts_the_ways() -> None:
    rbm = RBM(Binomial(2, [3, 2]), Binary(2)).double()
    randomise_(rbm, 2)
    v = torch.tensor([[3.0, 0.0], [1.0, 2.0]]).double()
    expected = torch.zeros(2).double()
    for unit, trials in enumerate((3, 2)):
        others = v.repeat(trials + 1, 1, 1)
        others[:, :, unit] = torch.arange(trials + 1.0).double()[:, None]
        expected += rbm.free_energy(others).neg().logsumexp(0).neg() - rbm.free_energy(v)
    exact = likelihood.exact_pseudo_log_likelihood(rbm, v)
    torch.testing.assert_close(exact, expected)
    some = likelihood.pseudo_log_likelihood(rbm, v, stream(), units_per_row=2)
    torch.testing.assert_close(some, expected)
    with pytest.raises(ValueError, match="Poisson units have infinitely many"):
        likelihood.pseudo_log_likelihood(RBM(Poisson(2), Binary(2)), v.float(), stream())


def test_reconstruction_errors_of_counts_beside_others() -> None:
    mixed = RBM(Mixed(Binomial(1, 4), Gaussian(1)), Binary(2)).double()
    alone = RBM(Binomial(1, 4), Binary(2)).double()
    v = torch.tensor([[3.0, 0.0]]).double()
    expected = -binom.logpmf(3, 4, 0.5)
    assert diagnostics.reconstruction_error(mixed, v).item() == pytest.approx(expected)
    assert diagnostics.reconstruction_error(alone, v[:, :1]).item() == pytest.approx(expected)


# --- which models there are -------------------------------------------------------------------

FINITE = (Binary(2), Spin(2), Categorical(2, 3), Binomial(2, 4), Mixed(Binary(1), Binomial(1, 3)))
LINES = (Gaussian(2), DReLU(2), Mixed(Binary(1), Gaussian(1)))
HALF_LINES = (ReLU(2), Poisson(2), Mixed(Spin(1), Poisson(1)))


def of(visible: Units, hidden: Units, weight: float) -> tuple[RBM, RBM]:
    """A model whose last columns are joined, and the same seen from the other side."""
    both = RBM(visible, hidden), RBM(hidden, visible)
    for rbm in both:
        with torch.no_grad():
            rbm.weights[-1, -1] = weight
    return both


@pytest.mark.parametrize("hidden", FINITE, ids=repr)
def test_counts_beside_finitely_many_states_have_a_log_z(hidden: Units) -> None:
    for rbm in of(Poisson(2), hidden, 3.0):
        likelihood.exact.check_normalisable(rbm)
        assert math.isfinite(likelihood.exact_log_z(rbm).value)


@pytest.mark.parametrize(
    ("hidden", "weight"),
    [
        *((units, weight) for units in LINES for weight in (0.01, -0.01)),
        *((units, 0.01) for units in HALF_LINES),
    ],
    ids=repr,
)
def test_counts_that_grow_without_end_are_refused(hidden: Units, weight: float) -> None:
    for rbm in of(Poisson(2), hidden, weight):
        assert not likelihood.is_normalisable(rbm)
        for fails in (
            lambda rbm=rbm: likelihood.evaluate(rbm, torch.ones(2, 2), torch.ones(2, 2)),
            lambda rbm=rbm: AnnealingPath(rbm, rbm, [0, 1]),
        ):
            with pytest.raises(ValueError) as refusal:
                fails()
            said = str(refusal.value)
            assert said.startswith("this model cannot be normalised: 1 weights between Poisson and")
            assert f"the first of them {weight:g}, let mean counts" in said
            assert "Binary, Spin, Categorical or Binomial" in said


@pytest.mark.parametrize("hidden", LINES + HALF_LINES, ids=repr)
def test_counts_without_a_way_up_have_a_log_z(hidden: Units) -> None:
    for rbm in of(Poisson(2), hidden, 0.0):
        assert likelihood.is_normalisable(rbm)
    for rbm in of(Poisson(2), hidden, -5.0):
        assert likelihood.is_normalisable(rbm) is not any(hidden is units for units in LINES)


def test_log_z_of_counts_that_hold_each_other_down() -> None:
    rbm = RBM(Poisson(1), Poisson(1)).double()
    with torch.no_grad():
        rbm.weights.fill_(-0.6)
        rbm.visible.bias.fill_(1.5)
        rbm.hidden.bias.fill_(1.2)
    x = np.arange(80.0)
    log_p = 1.5 * x[:, None] + 1.2 * x - 0.6 * np.outer(x, x)
    expected = logsumexp(log_p - gammaln(x + 1)[:, None] - gammaln(x + 1))
    path = AnnealingPath(
        likelihood.base_rates(rbm, torch.tensor([[3.0], [1.0]]).double()),
        rbm,
        torch.linspace(0, 1, 200),
    )
    found = likelihood.annealed_importance_sampling(path, 500, seed=3).result()
    assert abs(found.value - expected) < 5 * found.std_error < 0.5


# --- means that run away ----------------------------------------------------------------------

RUN_AWAY = r"^the mean count of Poisson unit 1 \(in row 2\) is above 16,777,216, or not a number"


@pytest.mark.parametrize("value", [17.0, 95.0, 1e4, math.inf, math.nan])
@pytest.mark.parametrize("units", [Poisson(3), Mixed(Binary(2), Poisson(3))], ids=repr)
def test_a_mean_that_cannot_be_drawn_from_is_an_error_that_names_the_unit(
    units: Units, value: float
) -> None:
    inputs = torch.zeros(4, units.n_columns)
    inputs[2, -2] = value
    with pytest.raises(FloatingPointError, match=RUN_AWAY):
        units.sample(inputs, stream())


def test_chains_never_hold_what_is_not_finite() -> None:
    rbm = RBM(Poisson(3), Binary(2))
    with torch.no_grad():
        rbm.weights.fill_(20.0)
        rbm.hidden.bias.fill_(20.0)
    chains = sampling.start_random(rbm, 5, stream())
    with pytest.raises(FloatingPointError, match=r"^the mean count of Poisson unit 0 \(in row 0\)"):
        Gibbs(5)(rbm, chains, stream())


def test_a_training_that_runs_away_leaves_the_model_as_it_was() -> None:
    generator = torch.Generator().manual_seed(0)
    data = Data("counts", torch.poisson(torch.full((40, 3), 4.0), generator=generator))
    rbm = RBM(Poisson(3), Binary(2)).init_from_data_(data, seed=0)
    state = TrainingState.create(rbm, learning_rate=1e3, n_chains=10)
    before: list[Tensor] = []
    with pytest.raises(FloatingPointError, match=r"^the mean count of Poisson unit"):
        for _ in training.updates(state, Minibatches(data, 10), 100):
            before = [p.detach().clone() for p in rbm.parameters()]
    assert all(torch.equal(*pair) for pair in zip(before, rbm.parameters(), strict=True))
    assert all(p.isfinite().all() for p in rbm.parameters())


def test_no_graph_records_draws_whose_operations_depend_on_their_inputs() -> None:
    for units, recorded in ((Binary(2), True), (Poisson(2), False), (Binomial(2, 3), False)):
        for visible in (units, Mixed(Binary(1), units)):
            rbm = RBM(visible, Binary(2))
            torch.nn.init.normal_(rbm.weights)
            state = TrainingState.create(rbm, learning_rate=0.1, n_chains=5)
            assert updating._can_be_recorded(state) is recorded


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trials", "error", "message"),
    [
        (0, ValueError, r"^trials is 0; pass 1 to 16,777,216$"),
        ([3, -1], ValueError, r"^trials is -1; pass 1 to"),
        (2**24 + 1, ValueError, r"^trials is 16777217; pass 1 to"),
        ([3], ValueError, r"^trials has 1 numbers for 2 units; pass one number, or one for each"),
        (2.5, TypeError, r"^trials is 2\.5; pass whole numbers$"),
        ([3, "4"], TypeError, r"^trials is .*; pass whole numbers$"),
    ],
)
def test_trials_that_are_none_are_refused(
    trials: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Binomial(2, trials)  # type: ignore[arg-type]


def test_counts_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError) as refusal:
        Binomial(3, 10).check(torch.tensor([[0.0, 3.0, 11.0]]), "data")
    assert str(refusal.value) == (
        "data: 1 of 3 values are not from 0 to 10, as binomial units need (the first is 11, at "
        "[0, 2]); pass the largest possible count (`trials`), or take Poisson units, which have no "
        "largest count (`visible='poisson'`, or `Poisson`)"
    )
    with pytest.raises(ValueError) as refusal:
        Poisson(3).check(torch.tensor([[0.0, 3.0, 11.0], [5.0, -1.0, 0.0]]), "data")
    assert str(refusal.value) == (
        "data: 1 of 6 values are not 0 or more, as Poisson units need (the first is -1, at "
        "[1, 1]); take Gaussian units for data with negative values, and fill in missing values"
    )


@pytest.mark.parametrize("units", [Poisson(2), Binomial(2, 4)], ids=repr)
def test_a_likelihood_of_what_is_no_count_is_refused(units: Units) -> None:
    rbm = RBM(units, Binary(1))
    with pytest.raises(ValueError, match=r"1 of 4 units are between their .* or round counts$"):
        likelihood.exact_log_likelihood(rbm, torch.tensor([[1.0, 0.5], [0.0, 2.0]]))
