"""The pairwise model: its RBM, and its fit, against sums over all states."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harmonium import fidelity, likelihood
from harmonium.fidelity import pairwise


def all_states(n: int) -> Tensor:
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


def drawn(n: int, n_rows: int, seed: int, strength: float = 0.6) -> tuple[Tensor, Tensor]:
    """Rows of a random pairwise model, and the log-probabilities of all states."""
    generator = torch.Generator().manual_seed(seed)
    couplings = strength * torch.randn(n, n, generator=generator, dtype=torch.float64).triu(1)
    bias = torch.randn(n, generator=generator, dtype=torch.float64) - 0.7
    v = all_states(n)
    log_p = torch.log_softmax(v @ bias + ((v @ couplings) * v).sum(1), 0)
    rows = torch.multinomial(log_p.exp(), n_rows, replacement=True, generator=generator)
    return v[rows].float(), log_p


def log_p_of(model: fidelity.Pairwise) -> Tensor:
    v = all_states(len(model.bias))
    return torch.log_softmax(v @ model.bias + 0.5 * ((v @ model.couplings) * v).sum(1), 0)


def test_the_rbm_is_the_same_distribution() -> None:
    rows, _ = drawn(6, 500, 0)
    model = fidelity.fit_pairwise(rows)
    rbm = model.as_rbm()
    v = all_states(6)
    log_z = likelihood.exact_log_z(rbm).value
    assert torch.allclose(-rbm.free_energy(v) - log_z, log_p_of(model), atol=1e-9)


def test_the_exact_fit_has_the_moments_of_the_data() -> None:
    rows, _ = drawn(7, 400, 1)
    model = fidelity.fit_pairwise(rows, tolerance=1e-10)
    p, v = log_p_of(model).exp(), all_states(7)
    x = rows.double()
    coins = torch.full((7, 7), 0.25).double().fill_diagonal_(0.5)
    # but for what a standard normal prior of all rows takes off each pair
    gap = (x.T @ x + coins) / 401 - v.T @ (p[:, None] * v)
    assert torch.allclose(gap, model.couplings / 400, atol=1e-5)
    assert model.still_to_gain < 1e-10
    assert torch.equal(model.couplings, model.couplings.T)
    assert (model.couplings.diagonal() == 0).all()


def test_sampled_moments_find_what_exact_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, log_p = drawn(8, 5000, 2)
    exact = log_p_of(fidelity.fit_pairwise(rows, tolerance=1e-9))
    monkeypatch.setattr(pairwise, "_ENUMERATED", 2)
    sampled = fidelity.fit_pairwise(rows, tolerance=1e-3)
    apart = (exact.exp() * (exact - log_p_of(sampled))).sum().item()
    # nats that sampling has cost; the step that was left out would have gained about as much
    assert 0 <= apart < 3e-3
    assert sampled.still_to_gain < 1e-3
    again = fidelity.fit_pairwise(rows, tolerance=1e-3)
    assert torch.equal(sampled.couplings, again.couplings)
    # and it is near the truth: 36 parameters and 5,000 rows cost about 36 / 10,000 nats
    truth = (log_p.exp() * (log_p - exact)).sum().item()
    assert truth < 36 / 10_000 * 2


def test_pairs_that_are_never_active_together() -> None:
    rows = torch.zeros(300, 4)
    rows[:100, 0] = rows[100:200, 1] = rows[::2, 2] = 1  # 0 and 1 exclude each other, 3 is silent
    model = fidelity.fit_pairwise(rows, tolerance=1e-8)
    assert -4 < model.couplings[0, 1] < -2 and model.couplings.isfinite().all()
    assert model.bias[3] < -4


def test_weights_count_rows() -> None:
    rows, _ = drawn(5, 400, 3)
    weights = torch.ones(400)
    weights[:200], weights[200:300] = 0.5, 0
    kept = torch.cat([rows[:200], rows[300:], rows[300:]])  # once, and twice: in these proportions
    a = fidelity.fit_pairwise(rows, weights, tolerance=1e-12)
    b = fidelity.fit_pairwise(kept, tolerance=1e-12)
    assert torch.allclose(a.bias, b.bias, atol=1e-4)
    assert torch.allclose(a.couplings, b.couplings, atol=1e-4)
    assert not torch.allclose(a.bias, fidelity.fit_pairwise(rows).bias, atol=1e-2)


def test_both_bounds_hold_the_exact_value() -> None:
    rows, _ = drawn(10, 2000, 4)
    model = fidelity.fit_pairwise(rows)
    v = all_states(10)
    index = (rows.long() * (2 ** torch.arange(10))).sum(1)
    expected = log_p_of(model)[index].mean().item()
    found = likelihood.estimate(model.as_rbm().float(), rows, rows, n_temperatures=2500).result()
    assert not found.reasons
    assert found.lower - 4 * found.lower_std_error < expected
    assert expected < found.upper + 4 * found.upper_std_error
    assert found.upper - found.lower < 0.1 and len(v) == 1024
    assert math.isfinite(found.lower)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.ones(5, 1), "rows have 1 columns; a pairwise model is fitted to 2 to 100"),
        (torch.ones(5, 101), "rows have 101 columns"),
        (torch.full((5, 3), -1.0), "other values than 0 and 1"),
        (torch.ones(1, 3), "rows have 1 rows; pass 2 or more"),
    ],
)
def test_bad_rows(rows: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fidelity.fit_pairwise(rows)


def test_a_fit_that_does_not_settle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise, "_STEPS", 1)
    with pytest.raises(ValueError, match=r"has not settled after 1 steps: .* nats a row"):
        fidelity.fit_pairwise(drawn(5, 200, 5)[0])
