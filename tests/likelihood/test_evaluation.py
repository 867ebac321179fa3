"""The log-likelihood of rows: exact, or an interval that holds the truth or says that it cannot."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Categorical, Data, Gaussian
from harmonium.likelihood import (
    Evaluation,
    LogLikelihood,
    LogZ,
    Work,
    can_be_enumerated,
    estimate,
    evaluate,
    exact_log_likelihood,
)
from harmonium.metrics import with_error
from phases import log_z_of, one_thread  # noqa: F401
from unit_types import BY_NAME, PAIRS, UnitType, has_half_lines, random_rbm

CLOSED_FORM = [pytest.param(v, h, id=f"{v}-{h}") for v, h in PAIRS if not has_half_lines(v, h)]
HALF_LINES = [
    pytest.param(BY_NAME[v], BY_NAME[h], id=f"{v}-{h}")
    for v, h in [("relu", "drelu"), ("drelu", "gaussian"), ("gaussian-learned", "relu")]
]
BINARY = BY_NAME["binary"]
# Each type once as either layer.
EACH = [
    *(pytest.param(units, BINARY, id=f"{units}-binary") for units in BY_NAME.values()),
    *(
        pytest.param(BINARY, units, id=f"binary-{units}")
        for units in BY_NAME.values()
        if units != BINARY
    ),
]
QUICK = {"n_chains": 100, "n_temperatures": 100}


def model_and_rows(
    visible: UnitType, hidden: UnitType, n: int = 300, scale: float = 1.2
) -> tuple[RBM, Tensor]:
    if visible.is_continuous and hidden.is_continuous:
        scale = 0.45
    rbm, model = random_rbm(visible, hidden, sizes=(4, 3), seed=5, scale=scale)
    return rbm, torch.from_numpy(oracle.draw(model, n, 5)[0])


def two_modes(odds: float = 0.0) -> tuple[RBM, Tensor]:
    """All units off or all on, nothing between, and rows of the first mode alone.

    The second mode has exp(odds) times the first one's probability. At no temperature do chains
    come from one to the other: halfway the probability is e^-70 of either.
    """
    n_visible, n_hidden = 40, 16
    rbm = RBM(Binary(n_visible), Binary(n_hidden)).double()
    with torch.no_grad():
        rbm.weights.fill_(1.0)
        rbm.visible.bias.fill_(-3.0)
        k = torch.arange(n_hidden + 1).double()
        ways = torch.tensor([math.log(math.comb(n_hidden, int(i))) for i in k])
        log_p = ways + n_visible * torch.nn.functional.softplus(k - 3.0)
        low, high = -float(n_visible), 0.0
        for _ in range(60):
            bias = (low + high) / 2
            p = log_p + k * bias
            too_high = p[n_hidden // 2 :].logsumexp(0) - p[: n_hidden // 2].logsumexp(0) > odds
            low, high = (low, bias) if too_high else (bias, high)
        rbm.hidden.bias.fill_(bias)
    generator = torch.Generator().manual_seed(0)
    return rbm, (torch.rand(200, n_visible, generator=generator) < 0.05).double()


@pytest.mark.parametrize(("visible", "hidden"), CLOSED_FORM)
def test_small_models_are_exact(visible: UnitType, hidden: UnitType) -> None:
    rbm, v = model_and_rows(visible, hidden)
    found = evaluate(rbm, v, v).result()
    values = exact_log_likelihood(rbm, v)
    assert found.is_exact and found.trusted and found.gap == 0 and found.reasons == ()
    assert found.lower == found.upper == pytest.approx(values.mean().item(), abs=1e-12)
    assert found.lower_std_error == found.upper_std_error == 0
    assert found.rows_std_error == pytest.approx(values.std().item() / math.sqrt(len(v)))
    assert found.n_rows == len(v) and str(found).endswith("nats (exact)")
    assert found.covers(values.mean().item()) and not found.covers(found.upper + 1e-6)


@pytest.mark.parametrize(("visible", "hidden"), EACH)
def test_the_interval_of_every_unit_type_holds_the_exact_value(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, v = model_and_rows(visible, hidden)
    exact = exact_log_likelihood(rbm, v).mean().item()
    computation = estimate(rbm, v, v, **QUICK, seed=1)
    assert list(computation)[-1] == computation.n_steps
    found = computation.result()
    assert not found.is_exact and found.n_rows == len(v)
    assert found.trusted, found.reasons
    assert found.lower <= found.upper and 0 < found.upper_std_error < 0.1
    assert found.covers(exact, n_errors=4)


@pytest.mark.parametrize(("visible", "hidden"), HALF_LINES)
def test_no_sum_over_states_replaces_an_integral_over_half_lines(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, model = random_rbm(visible, hidden, sizes=(2, 3), seed=5, scale=0.45)
    v = torch.from_numpy(oracle.Joint(model).draw(300, 5)[0])
    assert not can_be_enumerated(rbm)
    found = evaluate(rbm, v, v, **QUICK, seed=1).result()
    exact = -rbm.free_energy(v).mean().item() - log_z_of(rbm, visible, hidden)
    assert found.trusted and not found.is_exact and found.covers(exact, n_errors=4)


def test_where_both_sides_agree_there_is_one_number_and_what_it_rests_on() -> None:
    rbm, v = model_and_rows(BINARY, BINARY)
    found = estimate(rbm, v, v, **QUICK).result()
    assert found.lower == found.upper and found.gap == 0
    assert str(found) == f"{with_error(found.upper, found.upper_std_error)} nats"
    for words in ("annealing", "back from samples", "tempering", "100 temperatures", "sweeps"):
        assert words in found.rests_on


@pytest.mark.parametrize("odds", [-3.0, 0.0, 3.0])
def test_two_modes_that_nothing_crosses_give_a_reason_and_no_lower_bound(odds: float) -> None:
    rbm, v = two_modes(odds)
    exact = exact_log_likelihood(rbm, v).mean().item()
    found = estimate(rbm, v, v, n_chains=100, n_temperatures=1000).result()
    assert not found.trusted and found.lower == -math.inf and math.isnan(found.lower_std_error)
    assert str(found).startswith("at most -") and found.gap == math.inf
    assert exact < found.upper + 2 * found.upper_std_error and found.covers(exact)
    reasons = " ".join(found.reasons)
    assert "differ by" in reasons and "modes" in reasons
    assert (
        "`n_temperatures`" in found.reasons[-1] and "train a model that mixes" in found.reasons[-1]
    )
    assert found.warnings == found.reasons


def test_fast_annealing_is_no_base_for_a_lower_bound() -> None:
    rbm, model = random_rbm(BINARY, BINARY, sizes=(7, 6), seed=5, scale=4.0)
    v = torch.from_numpy(oracle.Joint(model).draw(300, 5)[0])
    found = estimate(rbm, v, 1 - v, n_chains=50, n_temperatures=2).result()  # a poor base
    exact = exact_log_likelihood(rbm, v).mean().item()
    assert not found.trusted and found.covers(exact, n_errors=4)
    assert any("chains carry the estimate" in reason for reason in found.reasons)
    assert any("2 temperatures are too few" in reason for reason in found.reasons)
    # and longer annealing is the remedy that is promised
    longer = estimate(rbm, v, 1 - v, n_chains=100, n_temperatures=2000).result()
    assert longer.trusted and longer.covers(exact, n_errors=4)


def test_annealing_is_as_long_as_it_has_to_be() -> None:
    rbm, v = model_and_rows(BINARY, BINARY)
    easy = estimate(rbm, v, v, n_chains=100, n_temperatures=20_000).result()
    assert easy.trusted and easy.n_temperatures == 2500
    rbm, model = random_rbm(BINARY, BINARY, sizes=(7, 6), seed=5, scale=6.0)
    v = torch.from_numpy(oracle.Joint(model).draw(100, 5)[0])
    # twenty chains have to be effective, which these are not at any length
    hard = estimate(rbm, v, 1 - v, n_chains=20, n_temperatures=6000).result()
    assert hard.n_temperatures == 6000 and not hard.trusted


def test_one_row_is_enough() -> None:
    rbm, v = model_and_rows(BINARY, BY_NAME["spin"])
    found = estimate(rbm, v[:1], v, **QUICK).result()
    assert found.covers(exact_log_likelihood(rbm, v[:1]).item(), n_errors=4)
    assert math.isnan(found.rows_std_error)


def test_the_same_seed_gives_the_same_interval() -> None:
    rbm, v = model_and_rows(BINARY, BINARY, n=50)
    rbm.float()
    rows = v.float()
    first = estimate(rbm, rows, rows, seed=1, **QUICK).result()
    again = estimate(rbm, rows, rows, seed=1, **QUICK).result()
    other = estimate(rbm, rows, Data("rows", rows), seed=2, **QUICK).result()
    assert (first.lower, first.upper) == (again.lower, again.upper) != (other.lower, other.upper)


def test_twenty_five_binary_units_are_enumerated_and_no_more() -> None:
    assert can_be_enumerated(RBM(Binary(99), Binary(25)))
    assert not can_be_enumerated(RBM(Binary(99), Binary(26)))
    assert can_be_enumerated(RBM(Gaussian(99), Gaussian(99)), 1)
    assert not can_be_enumerated(RBM(Categorical(13, 3), Gaussian(9)), 3**13 - 1)


# A budget


def first_interval(evaluation: Evaluation) -> LogLikelihood:
    """The interval as soon as there is another one than at the beginning."""
    before = str(evaluation.so_far)
    for _ in evaluation:
        now = evaluation.so_far
        if now is not None and str(now) != before:
            return now
    return evaluation.result()


def test_a_budget_is_spent_and_more_of_it_goes_on_from_what_is_there() -> None:
    rbm, model = random_rbm(BINARY, BINARY, sizes=(7, 6), seed=5, scale=6.0)
    v = torch.from_numpy(oracle.Joint(model).draw(100, 5)[0])
    exact = exact_log_likelihood(rbm, v).mean().item()
    options = {"n_chains": 100, "budget": 600.0}
    evaluation = estimate(rbm, v, 1 - v, **options)  # a poor base
    assert evaluation.so_far is None
    first = first_interval(evaluation)
    assert evaluation.work is not None and first.covers(exact, n_errors=4)

    # the work of the interval, not `n_sweeps` of the work: the next stage may be half done by now
    before = evaluation.work.estimates
    kept = Work(rbm, v, 1 - v, 100, 20_000, 0)
    kept.take_up_(*evaluation.work.kept())
    further = estimate(rbm, v, 1 - v, **options, work=kept)
    assert str(further.so_far) == str(first)
    more = first_interval(further)
    assert more.covers(exact, n_errors=4)
    now = kept.estimates
    assert before is not None and now is not None
    assert now.tempered.n_sweeps >= before.tempered.n_sweeps
    assert now.n_temperatures >= before.n_temperatures
    assert now.tempered.n_sweeps + now.n_temperatures > (
        before.tempered.n_sweeps + before.n_temperatures
    )


def test_a_budget_in_which_nothing_can_be_done_is_refused_with_what_is_needed() -> None:
    rbm, v = model_and_rows(BINARY, BINARY)
    with pytest.raises(ValueError, match=r"^the budget is 1e-06 seconds, and the shortest .* more"):
        estimate(rbm, v, v, budget=1e-6).result()
    for nothing in (0, -1.0):
        with pytest.raises(ValueError, match=r"^the budget is .* seconds; pass a positive number"):
            evaluate(rbm, v, v, budget=nothing)
    with pytest.raises(TypeError, match=r"budget is '10m'; pass seconds, such as 600, or None"):
        evaluate(rbm, v, v, budget="10m")  # type: ignore[arg-type]


# What an interval says

BELOW = LogZ(0.0, 0.1, "below")


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (-15.987, 0.0312, "-15.99 ± 0.03"),
        (-15.987, 0.0121, "-15.987 ± 0.012"),
        (-65.14, 0.31, "-65.1 ± 0.3"),
        (-65.14, 4.0, "-65 ± 4"),
        (-65.14, 0.0996, "-65.14 ± 0.10"),
        (-65.14, math.nan, "-65.14"),
    ],
)
def test_a_number_has_as_many_digits_as_its_error_leaves(
    value: float, error: float, expected: str
) -> None:
    assert with_error(value, error) == expected


def test_an_interval_says_both_ends_and_covers_what_is_between_them() -> None:
    found = LogLikelihood(-2.0, -1.5, 0.1, 0.05, 0.2, 9, BELOW)
    assert str(found) == "-2.00 ± 0.10 … -1.50 ± 0.05 nats" and found.gap == 0.5
    assert [found.covers(x) for x in (-2.21, -2.19, -1.7, -1.41, -1.39)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert not found.covers(-2.19, n_errors=1)


def test_without_a_lower_bound_everything_below_is_covered() -> None:
    found = dataclasses.replace(
        LogLikelihood(-math.inf, -1.5, math.nan, 0.05, 0.2, 9, BELOW), reasons=("modes",)
    )
    assert found.covers(-1e9) and not found.covers(-1.39) and not found.trusted


# Bad input


def test_what_cannot_be_evaluated_is_refused_at_once() -> None:
    rbm, v = model_and_rows(BINARY, BINARY)
    with pytest.raises(ValueError, match=r"visible has 3 columns, but this RBM has 4"):
        evaluate(rbm, v[:, :3], v)
    with pytest.raises(ValueError, match=r"visible has shape \(0, 4\); pass \(rows, 4\)"):
        evaluate(rbm, v[:0], v)
    with pytest.raises(ValueError, match=r"between their states, for which no likelihood"):
        evaluate(rbm, 0.5 * v, v)
    with pytest.raises(ValueError, match=r"n_chains is 1; pass 2 or more"):
        evaluate(rbm, v, v, n_chains=1)
    with pytest.raises(ValueError, match=r"n_temperatures is 1; pass 2 or more"):
        evaluate(rbm, v, v, n_temperatures=1)
    with torch.no_grad():
        rbm.hidden.bias[0] = math.nan
    with pytest.raises(ValueError, match=r"1 of 3 values of hidden.bias are infinite or NaN"):
        evaluate(rbm, v, v)


def test_data_of_another_width_are_refused_at_once() -> None:
    rbm, v = model_and_rows(BINARY, BINARY)
    with pytest.raises(ValueError, match=r"visible has 3 columns, but this RBM has 4"):
        estimate(rbm, v, v[:, :3])


def test_a_model_that_cannot_be_normalised_has_no_likelihood() -> None:
    rbm = RBM(Gaussian(2), Gaussian(2))
    with torch.no_grad():
        rbm.weights.fill_(0.6)
    with pytest.raises(ValueError, match=r"cannot be normalised"):
        evaluate(rbm, torch.zeros(3, 2), torch.randn(9, 2))


def test_rows_of_probability_0_are_named() -> None:
    rbm, v = RBM(Gaussian(5), Binary(4)).double(), torch.randn(9, 5).double()
    v[3] = 1e200
    with pytest.raises(
        ValueError, match=r"^the model gives 1 of 9 rows the probability 0 \(the first is row 3"
    ):
        evaluate(rbm, v, v[:3])


def test_chains_that_die_are_told_of() -> None:
    rbm = RBM(Binary(40), Binary(30))
    with torch.no_grad():
        rbm.weights.fill_(3e38)
    v = torch.zeros(50, 40)
    with pytest.raises(ValueError, match=r"chains have died: .* take an earlier checkpoint"):
        estimate(rbm, v, v, **QUICK).result()
