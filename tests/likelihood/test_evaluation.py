"""The interval of the mean log-likelihood: exact for small models, two bounds that hold it else."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Categorical, Data, Gaussian
from harmonium.likelihood import (
    LogLikelihood,
    evaluate,
    evaluation,
    exact_log_likelihood,
    exact_log_z,
)
from phases import one_thread  # noqa: F401
from unit_types import BY_NAME, UNIT_TYPES, UnitType, random_rbm

PAIRS = [pytest.param(v, h, id=f"{v}-{h}") for v, h in product(UNIT_TYPES, UNIT_TYPES)]


@pytest.fixture
def no_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "can_be_enumerated", lambda *_: False)


def model_and_rows(
    visible: UnitType, hidden: UnitType, n: int = 300, scale: float = 1.2
) -> tuple[RBM, Tensor]:
    if "gaussian" in visible.name and "gaussian" in hidden.name:
        scale = 0.45
    rbm, model = random_rbm(visible, hidden, sizes=(4, 3), seed=5, scale=scale)
    return rbm, torch.from_numpy(oracle.Joint(model).draw(n, 5)[0])


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_small_models_are_exact(visible: UnitType, hidden: UnitType) -> None:
    rbm, v = model_and_rows(visible, hidden)
    found = evaluate(rbm, v, v).result()
    values = exact_log_likelihood(rbm, v)
    assert found.is_exact and found.gap == 0 and found.warnings == ()
    assert found.lower == found.upper == pytest.approx(values.mean().item(), abs=1e-12)
    assert found.lower_std_error == found.upper_std_error == 0
    assert found.rows_std_error == pytest.approx(values.std().item() / math.sqrt(len(v)))
    assert found.n_rows == len(v) and str(found).endswith("nats (exact)")


@pytest.mark.usefixtures("no_enumeration")
@pytest.mark.parametrize("n_chains", [60, 900], ids=["some rows", "three chains a row"])
@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_the_exact_value_is_between_the_bounds(
    visible: UnitType, hidden: UnitType, n_chains: int
) -> None:
    rbm, v = model_and_rows(visible, hidden)
    exact = exact_log_likelihood(rbm, v).mean().item()
    computation = evaluate(rbm, v, v, n_chains=n_chains, n_temperatures=60, seed=1)
    assert list(computation)[-1] == computation.n_steps
    found = computation.result()
    assert not found.is_exact and found.n_rows == len(v)
    assert 0 < found.lower_std_error < 0.1 and 0 < found.upper_std_error < 0.1
    assert found.lower - 4 * found.lower_std_error < exact < found.upper + 4 * found.upper_std_error
    noise = found.lower_std_error + found.upper_std_error
    assert abs(found.gap) < 0.1 + 4 * noise and found.log_z.n_chains == n_chains


@pytest.mark.usefixtures("no_enumeration")
def test_fast_annealing_opens_the_interval_and_is_warned_of() -> None:
    rbm, model = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(7, 6), seed=5, scale=4.0)
    v = torch.from_numpy(oracle.Joint(model).draw(300, 5)[0])
    found = evaluate(rbm, v, 1 - v, n_chains=50, n_temperatures=2).result()  # a poor base
    exact = exact_log_likelihood(rbm, v).mean().item()
    assert found.lower < exact < found.upper + 4 * found.upper_std_error
    assert found.gap > 1
    assert any("nats apart: the annealing is too fast" in warning for warning in found.warnings)


@pytest.mark.usefixtures("no_enumeration")
def test_bounds_in_the_wrong_order_are_warned_of() -> None:
    """A mode of 1 % of the model, in which one sweep from the base ends one time in three."""
    rbm = RBM(Binary(6), Binary(1)).double()
    with torch.no_grad():
        rbm.visible.bias.fill_(-3.0)
        rbm.weights.fill_(6.0)
        rbm.hidden.bias.fill_(math.log(99) - 18)
    v = torch.zeros(4, 6).double()
    data = torch.tensor([[0.0] * 6, [1.0] * 6]).double()
    found = evaluate(rbm, v, data, n_chains=8000, n_temperatures=2).result()
    assert found.lower > found.upper
    assert any("nats above the upper one" in warning for warning in found.warnings)


@pytest.mark.usefixtures("no_enumeration")
def test_one_row_is_enough() -> None:
    rbm, v = model_and_rows(BY_NAME["binary"], BY_NAME["spin"])
    found = evaluate(rbm, v[:1], v, n_chains=200, n_temperatures=100).result()
    exact = exact_log_likelihood(rbm, v[:1]).item()
    assert abs(found.lower - exact) < 4 * found.lower_std_error
    assert abs(found.upper - exact) < 4 * found.upper_std_error
    assert math.isnan(found.rows_std_error)


@pytest.mark.usefixtures("no_enumeration")
def test_the_same_seed_gives_the_same_interval_and_data_know_their_moments() -> None:
    rbm, v = model_and_rows(BY_NAME["binary"], BY_NAME["binary"], n=50)
    rbm.float()
    rows = v.float()
    options = {"n_chains": 10, "n_temperatures": 10}
    first = evaluate(rbm, rows, rows, seed=1, **options).result()
    again = evaluate(rbm, rows, Data("rows", rows), seed=1, **options).result()
    other = evaluate(rbm, rows, rows, seed=2, **options).result()
    assert (first.lower, first.upper) == (again.lower, again.upper) != (other.lower, other.upper)


def test_twenty_binary_units_are_enumerated_and_no_more() -> None:
    assert evaluation.can_be_enumerated(RBM(Binary(99), Binary(20)), evaluation._FEW_STATES)
    assert not evaluation.can_be_enumerated(RBM(Binary(99), Binary(21)), evaluation._FEW_STATES)
    assert evaluation.can_be_enumerated(RBM(Gaussian(99), Gaussian(99)), 1)
    assert not evaluation.can_be_enumerated(RBM(Categorical(13, 3), Gaussian(9)), 3**13 - 1)


def test_an_interval_says_both_ends() -> None:
    log_z = exact_log_z(RBM(Binary(2), Binary(2)))
    found = LogLikelihood(-2.0, -1.5, 0.1, 0.05, 0.2, 9, log_z)
    object.__setattr__(found.log_z, "errs", "below")
    assert str(found) == "-2.00 ± 0.10 … -1.50 ± 0.05 nats"
    assert found.gap == 0.5


# Bad input


def test_what_cannot_be_evaluated_is_refused_at_once() -> None:
    rbm, v = model_and_rows(BY_NAME["binary"], BY_NAME["binary"])
    with pytest.raises(ValueError, match=r"visible has 3 columns, but this RBM has 4"):
        evaluate(rbm, v[:, :3], v)
    with pytest.raises(ValueError, match=r"visible has shape \(0, 4\); pass \(rows, 4\)"):
        evaluate(rbm, v[:0], v)
    with pytest.raises(ValueError, match=r"between their states, and a likelihood is of states"):
        evaluate(rbm, 0.5 * v, v)
    with pytest.raises(ValueError, match=r"n_chains is 1; pass 2 or more"):
        evaluate(rbm, v, v, n_chains=1)
    with pytest.raises(ValueError, match=r"n_temperatures is 1; pass 2 or more"):
        evaluate(rbm, v, v, n_temperatures=1)
    with torch.no_grad():
        rbm.hidden.bias[0] = math.inf
    with pytest.raises(ValueError, match=r"1 of 3 values of hidden.bias are infinite or NaN"):
        evaluate(rbm, v, v)


@pytest.mark.usefixtures("no_enumeration")
def test_data_of_another_width_are_refused_at_once() -> None:
    rbm, v = model_and_rows(BY_NAME["binary"], BY_NAME["binary"])
    with pytest.raises(ValueError, match=r"visible has 3 columns, but this RBM has 4"):
        evaluate(rbm, v, v[:, :3])


def test_a_model_that_cannot_be_normalised_has_no_likelihood() -> None:
    rbm = RBM(Gaussian(2), Gaussian(2))
    with torch.no_grad():
        rbm.weights.fill_(0.6)
    with pytest.raises(ValueError, match=r"cannot be normalised"):
        evaluate(rbm, torch.zeros(3, 2), torch.randn(9, 2))
