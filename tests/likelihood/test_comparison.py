"""The difference of two models on the same rows, against enumeration."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from harmonium import RBM, Binary, Purpose, Spin, Stream, sampling
from harmonium.likelihood import (
    Difference,
    LogLikelihood,
    LogZ,
    compare,
    estimate,
    exact_log_likelihood,
    log_likelihood,
)
from phases import one_thread  # noqa: F401
from unit_types import UNIT_TYPES, UnitType, random_rbm

OPTIONS = {"n_chains": 100, "n_temperatures": 500}


def pair(visible: UnitType, seed: int = 0) -> tuple[RBM, RBM, torch.Tensor]:
    """Two models of the same rows, and rows of a third."""
    binary = UNIT_TYPES[0]
    a, b, of_rows = (
        random_rbm(visible, binary, sizes=(4, 3), seed=seed + i)[0].requires_grad_(False)
        for i in range(3)
    )
    chains = sampling.start_random(of_rows, 200, Stream(seed, Purpose.SAMPLE))
    sampling.Gibbs(sweeps=50)(of_rows, chains, Stream(seed + 1, Purpose.SAMPLE))
    return a, b, chains.visible


@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
def test_of_models_that_are_known_it_is_exact(visible: UnitType) -> None:
    a, b, v = pair(visible)
    found = compare(a, b, v, v).result()
    by_row = exact_log_likelihood(a, v) - exact_log_likelihood(b, v)
    assert found.is_exact and found.trusted and found.reasons == ()
    assert found.lower == found.upper == pytest.approx(by_row.mean().item(), abs=1e-9)
    assert found.lower_std_error == found.upper_std_error == 0
    # row by row, of which both values would know less
    assert found.rows_std_error == pytest.approx(by_row.std().item() / math.sqrt(len(v)))
    assert found.covers(by_row.mean().item())
    turned = compare(b, a, v, v).result()
    assert turned.lower == pytest.approx(-found.upper)


def test_the_noise_of_the_rows_cancels() -> None:
    a, _, v = pair(UNIT_TYPES[0])
    b = copy.deepcopy(a)
    b.weights.mul_(1.01)
    found = compare(a, b, v, v).result()
    assert found.rows_std_error < 0.05 * math.hypot(found.a.rows_std_error, found.b.rows_std_error)


@pytest.mark.parametrize("visible", UNIT_TYPES[:2], ids=str)
def test_estimates_cover_the_exact_difference(visible: UnitType) -> None:
    a, b, v = pair(visible)
    exact = (exact_log_likelihood(a, v) - exact_log_likelihood(b, v)).mean().item()
    both = [estimate(rbm, v, v, seed=1, **OPTIONS).result() for rbm in (a, b)]
    of_a, of_b = (log_likelihood(rbm, v, LogZ.exact(0.0)) for rbm in (a, b))
    found = Difference.of(*both, of_a - of_b)
    assert found.trusted and not found.is_exact
    assert found.covers(exact, 4.0)
    assert not found.covers(exact + 1.0, 4.0)
    assert 0 < found.upper_std_error < 0.2


def of(lower: float, upper: float, *reasons: str) -> LogLikelihood:
    error = math.nan if math.isinf(lower) else 0.3
    return LogLikelihood(lower, upper, error, 0.4, 1.0, 4, LogZ(0.0, 0.4, "below"), reasons)


def test_ends_are_those_of_both_intervals() -> None:
    differences = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    found = Difference.of(of(-20.0, -19.0), of(-25.0, -23.0), differences)
    assert (found.lower, found.upper) == (3.0, 6.0)
    assert found.lower_std_error == pytest.approx(math.hypot(0.3, 0.4))
    assert found.rows_std_error == pytest.approx(differences.std().item() / 2)
    assert found.covers(2.1) and not found.covers(1.9) and found.covers(6.9)
    assert not found.covers(7.5) and found.covers(7.5, of_rows=True)
    assert str(found) == "3.0 ± 0.5 … 6.0 ± 0.5 nats a row (with other rows of their kind: ± 0.65)"


def test_without_a_lower_bound_there_is_one_end_or_none() -> None:
    differences = torch.ones(4).double()
    known, unknown = of(-20.0, -19.0), of(-math.inf, -18.0, "the chains differ")
    found = Difference.of(known, unknown, differences)
    assert (found.lower, found.upper) == (-2.0, math.inf)
    assert not found.trusted and found.reasons == ("b: the chains differ",)
    assert found.covers(100.0) and not found.covers(-4.0)
    assert str(found).startswith("at least -2.0 ± 0.5 nats a row")
    assert str(Difference.of(unknown, known, differences)).startswith("at most 2.0 ± 0.5 nats")
    neither = Difference.of(unknown, unknown, differences)
    assert "neither log-likelihood has a lower bound" in str(neither)
    assert neither.covers(0.0)


def test_what_cannot_be_compared_is_refused() -> None:
    a, b = RBM(Binary(4), Binary(2)), RBM(Spin(4), Binary(2))
    v = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"a has the visible units Binary\(n=4\), and b Spin"):
        compare(a, b, v, v)
    with pytest.raises(TypeError, match="b is 3"):
        compare(a, 3, v, v)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="of 4 and 4 rows, and there are 3 differences"):
        Difference.of(of(-2.0, -1.0), of(-2.0, -1.0), torch.ones(3))
