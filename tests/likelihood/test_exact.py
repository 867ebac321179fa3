"""Exact log Z, log-likelihood, moments and gradient against brute force in the oracle."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

import oracle
from harmonium import RBM, Binary, Categorical, Gaussian, Spin, kernels
from harmonium.kernels import reference
from harmonium.likelihood import (
    enumeration,
    exact_gradient_,
    exact_log_likelihood,
    exact_log_z,
    exact_moments,
    factors,
)
from harmonium.units import Mixed, Units
from phases import one_thread  # noqa: F401
from unit_types import (
    BY_NAME,
    PAIRS,
    UnitType,
    array,
    has_half_lines,
    random_rbm,
    randomise_,
)

# Of either layer: small enough that the oracle can sum over both, grids where there are no states.
SIZES = {
    "binary": 4,
    "spin": 4,
    "categorical": 3,
    "gaussian": 2,
    "gaussian-learned": 2,
    "relu": 2,
    "drelu": 2,
    "binomial": 3,
    "poisson": 2,
    "partly-poisson": 2,
    "mixed": 3,
    "partly-gaussian": 2,
}
CLOSED_FORM = [pytest.param(v, h, id=f"{v}-{h}") for v, h in PAIRS if not has_half_lines(v, h)]


def model_of(visible: UnitType, hidden: UnitType, seed: int) -> tuple[RBM, oracle.Model]:
    """A random model with 3 units at most where both layers are summed over grids."""
    sizes = SIZES[visible.name], SIZES[hidden.name]
    both_continuous = visible.is_continuous and hidden.is_continuous
    if both_continuous:
        sizes = (2, 1) if seed % 2 else (1, 2)
    return random_rbm(
        visible, hidden, sizes=sizes, seed=seed, scale=0.5 if both_continuous else 0.9
    )


def brute_force(rbm: RBM, model: oracle.Model) -> tuple[float, dict[str, oracle.Array]]:
    """Log Z and expectations by summing over all pairs of states, or points of a grid."""
    (v, volume_v), (h, volume_h) = model.visible.points(), model.hidden.points()
    log_p = v @ model.weights @ h.T - model.visible.energy(v)[:, None] - model.hidden.energy(h)
    log_p += volume_v[:, None] + volume_h
    log_z = oracle.logsumexp(log_p)
    p = np.exp(log_p - log_z)
    expected = {"products": v.T @ p @ h}
    for name, units, x, p_x in (
        ("visible", rbm.visible, v, p.sum(1)),
        ("hidden", rbm.hidden, h, p.sum(0)),
    ):
        for of, statistic in units.statistics(torch.from_numpy(x)).items():
            expected[f"{name} {of}"] = p_x @ array(statistic)
    return float(log_z), expected


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("visible", "hidden"), CLOSED_FORM)
def test_log_z_and_likelihood_are_those_of_brute_force(
    visible: UnitType, hidden: UnitType, seed: int
) -> None:
    rbm, model = model_of(visible, hidden, seed)
    log_z, _ = brute_force(rbm, model)
    estimate = exact_log_z(rbm)
    assert (estimate.errs, estimate.std_error, estimate.warning) == ("exact", 0, None)
    assert abs(estimate.value - log_z) < 1e-9
    v = model.visible.some_states()
    expected = -model.free_energy(v) - log_z
    np.testing.assert_allclose(
        array(exact_log_likelihood(rbm, torch.from_numpy(v))), expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(("visible", "hidden"), CLOSED_FORM)
def test_moments_are_those_of_brute_force(visible: UnitType, hidden: UnitType) -> None:
    rbm, model = model_of(visible, hidden, seed=4)
    log_z, expected = brute_force(rbm, model)
    moments = exact_moments(rbm)
    assert abs(moments.log_z.value - log_z) < 1e-9
    np.testing.assert_allclose(array(moments.products), expected["products"], rtol=0, atol=1e-9)
    for layer, units, of_layer in (
        ("visible", rbm.visible, moments.visible),
        ("hidden", rbm.hidden, moments.hidden),
    ):
        assert of_layer.keys() == {n for n, p in units.named_parameters() if p.requires_grad}
        for name, value in of_layer.items():
            np.testing.assert_allclose(array(value), expected[f"{layer} {name}"], atol=1e-9)


@pytest.mark.parametrize(("visible", "hidden"), CLOSED_FORM)
def test_the_gradient_is_the_derivative_of_the_likelihood(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, model = model_of(visible, hidden, seed=5)
    v = torch.from_numpy(model.visible.some_states(5))
    value = exact_gradient_(rbm, v, scale=2.0)
    assert value == pytest.approx(exact_log_likelihood(rbm, v).mean().item(), abs=1e-12)
    step = 1e-4
    for parameter in rbm.parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        numeric = torch.empty_like(parameter).detach()
        for place in product(*map(range, parameter.shape)):
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter[place] += sign * step
                ends.append(exact_log_likelihood(rbm, v).mean())
                with torch.no_grad():
                    parameter[place] -= sign * step
            numeric[place] = (ends[0] - ends[1]) / (2 * step)
        # the error of central differences: step^2 times a third derivative of order 1 to 10, and
        # of counts, which are larger, to 100
        error = 1e-5 if "poisson" in str(visible) + str(hidden) else 1e-6
        torch.testing.assert_close(parameter.grad, -2 * numeric, rtol=0, atol=error)


def test_ascending_the_exact_gradient_reaches_the_data() -> None:
    binary = BY_NAME["binary"]
    rbm, model = random_rbm(binary, binary, sizes=(3, 3), seed=6)
    v = torch.from_numpy(model.visible.points()[0][[0, 1, 1, 5, 6, 7, 7, 7]])
    optimizer = torch.optim.LBFGS(rbm.parameters(), line_search_fn="strong_wolfe", max_iter=300)
    optimizer.step(lambda: -exact_gradient_(rbm, v))
    _, counts = v.unique(dim=0, return_counts=True)
    p = counts.double() / counts.sum()
    # what no model of these frequencies can exceed
    most = (p * p.log()).sum().item()
    reached = exact_log_likelihood(rbm, v).mean().item()
    assert most - 0.02 < reached <= most + 1e-9


@pytest.mark.parametrize(
    ("visible", "hidden"), [(Binary(3), Binary(12)), (Spin(11), Categorical(2, 3))], ids=str
)
def test_whichever_layer_is_smaller_and_in_however_many_blocks(
    visible: torch.nn.Module, hidden: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm = RBM(visible, hidden).double()
    randomise_(rbm, 7)
    turned = RBM(rbm.hidden, rbm.visible).double()
    turned.weights.data = rbm.weights.data.T.contiguous()
    whole, moments = exact_log_z(rbm).value, exact_moments(rbm)
    monkeypatch.setattr(enumeration, "_NUMBERS_AT_ONCE", 40)
    blocks = exact_moments(rbm)
    assert exact_log_z(turned).value == pytest.approx(whole, abs=1e-11)
    assert exact_log_z(rbm).value == pytest.approx(whole, abs=1e-11)
    assert blocks.log_z.value == pytest.approx(whole, abs=1e-11)
    torch.testing.assert_close(blocks.products, moments.products, rtol=0, atol=1e-12)
    torch.testing.assert_close(exact_moments(turned).products.T, moments.products)


class Rectified(Binary):
    """A unit type of one's own, whose log-normaliser no sharing of factors knows."""

    states = None  # type: ignore[assignment]

    def cgf(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.with_bias(inputs).clamp_min(0).square() + 0.1 * self.with_bias(inputs)


class Counts(Binary):
    """A unit type of one's own with three states, which are not alike without a bias."""

    @property
    def states(self) -> torch.Tensor:
        return torch.tensor([[0.0], [1.0], [2.0]]).to(self.bias)

    def energy(self, x: torch.Tensor) -> torch.Tensor:
        slopes = torch.linspace(0.2, 0.9, self.n).to(self.bias)
        return 1.5 + (slopes * x.square() - self.bias * x).sum(-1)

    def cgf(self, inputs: torch.Tensor) -> torch.Tensor:
        slopes = torch.linspace(0.2, 0.9, self.n).to(self.bias)
        x = self.states[:, 0]
        log_p = x * self.with_bias(inputs).unsqueeze(-1) - x.square() * slopes.unsqueeze(-1)
        return log_p.logsumexp(-1) - 1.5 / self.n


ENUMERATED = [
    Counts(4),
    Binary(7),
    Spin(7),
    Categorical(4, 3),
    Mixed(Spin(2), Categorical(1, 5), Binary(3), Categorical(1, 3)),
]
SUMMED = [
    *(Binary(9), Spin(9), Binary(1), Spin(2), Categorical(3, 4), Gaussian(9), Rectified(9)),
    Counts(5),
    Mixed(Categorical(3, 4), Counts(2), Binary(2), Gaussian(3), Spin(5)),
]
# Digits of a state's number: one and all of them, and several states of high units.
DIGITS = [(2, 3), (10, 12), (1000, 1), (1, 1000), (1000, 1000)]


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("summed", SUMMED, ids=str)
@pytest.mark.parametrize("enumerated", ENUMERATED, ids=str)
@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0, 300.0])
def test_shared_factors_give_the_same_sum(
    enumerated: Units, summed: Units, scale: float, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "reference":
        monkeypatch.setattr(kernels.backends, "_cpu", reference)
    monkeypatch.setattr(enumeration, "_FACTORS_FROM", 1)
    monkeypatch.setattr(factors, "_LEAST_AT_ONCE", 0)
    for layers in ((enumerated, summed), (summed, enumerated)):
        rbm = RBM(*layers).double()
        randomise_(rbm, 9, scale)
        # the smaller layer may be the one that is meant to be summed
        slow = torch.stack([x.logsumexp(0) for _, _, x in enumeration.Enumeration(rbm).blocks()])
        for low, mid in DIGITS:
            monkeypatch.setattr(factors, "_LOW", low)
            monkeypatch.setattr(factors, "_MID", mid)
            fast = exact_log_z(rbm).value
            assert fast == pytest.approx(slow.logsumexp(0).item(), rel=1e-13, abs=1e-11)


@pytest.mark.parametrize(
    ("summed", "share"),
    [(Binary(300), True), (Gaussian(300), True), (Categorical(75, 4), True), (Rectified(9), False)],
    ids=str,
)
def test_factors_are_shared_where_the_log_normaliser_is_known(summed: Units, share: bool) -> None:
    rbm = RBM(summed, Spin(14)).double()
    randomise_(rbm, 3, scale=0.5)
    tables = [rbm.hidden.states] * 14
    found = factors.Factors.of(tables, rbm.hidden, rbm.visible, rbm.weights.detach().T)
    assert (found is not None) == share
    whole = exact_log_z(rbm).value
    blocks = torch.stack([x.logsumexp(0) for _, _, x in enumeration.Enumeration(rbm).blocks()])
    assert whole == pytest.approx(blocks.logsumexp(0).item(), rel=1e-13)


def test_states_that_no_factors_can_share_are_summed_in_blocks() -> None:
    for hidden, scale in (
        (Categorical(1, 5000), 1.0),
        (Categorical(2, 70), 1.0),
        (Binary(13), 1e4),
    ):
        rbm = RBM(Binary(20), hidden).double()
        randomise_(rbm, 3, scale)
        blocks = torch.stack([x.logsumexp(0) for _, _, x in enumeration.Enumeration(rbm).blocks()])
        whole = exact_log_z(rbm).value
        assert whole == pytest.approx(blocks.logsumexp(0).item(), rel=1e-13)


def test_sums_are_the_same_on_any_number_of_threads(threads: int) -> None:
    rbm = RBM(Binary(300), Binary(15)).double()
    randomise_(rbm, 3, scale=0.5)
    found = []
    for n in (1, threads):
        torch.set_num_threads(n)
        found.append(exact_log_z(rbm).value)
    assert found[0] == found[1]


def test_sums_of_products_that_do_not_fit_are_refused() -> None:
    log_weights, low, mid = (torch.zeros(shape).double() for shape in ((3, 4), (5, 4), (3, 5)))
    high, ends, groups = torch.zeros(5).double(), torch.tensor([0, 2, 5]), torch.tensor([0, 2])
    sums = kernels.log_sums_of_products(log_weights, low, mid, high, ends, groups)
    torch.testing.assert_close(sums, torch.full((3,), math.log(4)).double())
    with pytest.raises(ValueError, match=r"low has shape \(5, 3\); pass \(5, 4\)"):
        kernels.log_sums_of_products(log_weights, low[:, :3], mid, high, ends, groups)
    with pytest.raises(ValueError, match=r"mid has shape \(2, 5\); pass \(3, 5\)"):
        kernels.log_sums_of_products(log_weights, low, mid[:2], high, ends, groups)
    with pytest.raises(ValueError, match=r"pass the number of terms, 5, and that of units, 2"):
        kernels.log_sums_of_products(log_weights, low, mid, high, ends, torch.tensor([0, 3]))


@pytest.mark.parametrize("visible", [Gaussian(1), Gaussian(30)], ids=str)
def test_no_block_of_states_is_larger_than_it_should_be(
    visible: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enumeration, "_NUMBERS_AT_ONCE", 100)
    n_states = 0
    for x, inputs, _ in enumeration.Enumeration(RBM(visible, Binary(8)).double()).blocks():
        assert max(x.numel(), inputs.numel()) <= 100
        n_states += len(x)
    assert n_states == 2**8


def test_float32_models_are_computed_in_float64_and_left_alone() -> None:
    binary = BY_NAME["binary"]
    rbm, _ = random_rbm(binary, binary, sizes=(5, 4), seed=8, dtype=torch.float32)
    double, _ = random_rbm(binary, binary, sizes=(5, 4), seed=8, dtype=torch.float32)
    double.double()
    assert exact_log_z(rbm).value == exact_log_z(double).value
    assert exact_moments(rbm).products.dtype == torch.float64
    assert all(p.dtype == torch.float32 and p.grad is None for p in rbm.parameters())
    exact_gradient_(rbm, torch.zeros(2, 5))
    assert rbm.weights.grad is not None and rbm.weights.grad.dtype == torch.float32


def test_extreme_parameters_stay_finite() -> None:
    rbm = RBM(Binary(3), Binary(2)).double()
    with torch.no_grad():
        rbm.weights.fill_(1e4)
        rbm.visible.bias.fill_(-1e4)
    assert exact_log_z(rbm).value == pytest.approx(3e4, rel=1e-9)
    assert exact_moments(rbm).products.isfinite().all()


def test_zero_weights_make_independent_units() -> None:
    rbm = RBM(Binary(4), Spin(3)).double()
    expected = 4 * np.log(2) + 3 * np.log(2)
    assert exact_log_z(rbm).value == pytest.approx(expected, abs=1e-12)


# Bad input


def test_too_many_states_are_refused_and_the_remedy_named() -> None:
    message = (
        r"the hidden layer, which is the smaller one, has 2\^500 states \(about 10\^151\), and up "
        r"to 33,554,432 can be enumerated; estimate log Z by "
        r"likelihood.annealed_importance_sampling"
    )
    with pytest.raises(ValueError, match=message):
        exact_log_z(RBM(Binary(784), Binary(500)))
    with pytest.raises(ValueError, match=r"the visible layer.*has 3\^16 states"):
        exact_moments(RBM(Categorical(16, 3), Gaussian(4)))


@pytest.mark.parametrize("call", [exact_log_z, exact_moments], ids=lambda f: f.__name__)
def test_two_gaussian_layers_that_cannot_be_normalised_are_refused(call: object) -> None:
    rbm = RBM(Gaussian(2), Gaussian(2))
    with torch.no_grad():
        rbm.weights.fill_(0.51)
    assert callable(call)
    with pytest.raises(ValueError, match=r"cannot be normalised.*lowest eigenvalue is -0\.02"):
        call(rbm)
    with torch.no_grad():
        rbm.weights.fill_(0.49)
    call(rbm)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite_are_refused(bad: float) -> None:
    rbm = RBM(Binary(3), Binary(2))
    with torch.no_grad():
        rbm.weights[1, 1] = bad
    with pytest.raises(ValueError, match=r"1 of 6 values of weights are infinite or NaN"):
        exact_log_z(rbm)
    with pytest.raises(ValueError, match=r"1 of 6 values of weights are infinite or NaN"):
        exact_gradient_(rbm, torch.zeros(1, 3))
    assert rbm.weights.grad is None


def test_rows_that_are_no_states_are_refused() -> None:
    rbm = RBM(Binary(3), Binary(2))
    with pytest.raises(ValueError, match=r"visible has 4 columns, but this RBM has 3"):
        exact_log_likelihood(rbm, torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"visible has shape \(0, 3\); pass \(rows, 3\)"):
        exact_log_likelihood(rbm, torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"2 of 6 units are between their states.*binarise"):
        exact_log_likelihood(rbm, torch.tensor([[0.0, 0.5, 1.0], [0.2, 0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"1 of 3 values are not between 0 and 1"):
        exact_log_likelihood(rbm, torch.tensor([[0.0, 2.0, 1.0]]))
