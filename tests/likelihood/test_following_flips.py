"""Annealing that follows flips makes the draws of annealing by products, and exact estimates.

The oracle is the same annealing by products. Weights here are multiples of 1/64, so that integers
hold them exactly, but where their rounding is what is tested.
"""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Purpose, Spin, Stream, kernels
from harmonium.kernels.cpu import following
from harmonium.likelihood import (
    AnnealingPath,
    annealed_importance_sampling,
    base_rates,
    exact_log_likelihood,
    exact_log_z,
    path,
    raise_log_likelihood,
    reverse_annealed_importance_sampling,
)
from phases import one_thread  # noqa: F401
from unit_types import BY_NAME, random_rbm

TWO_STATES = {"binary": Binary, "spin": Spin}
PAIRS = list(product(TWO_STATES, TWO_STATES))
every_pair = pytest.mark.parametrize(("visible", "hidden"), PAIRS)

# One unit, words of eight states with and without a rest, more than one thread's work.
SHAPES = [(1, 1, 2), (8, 16, 3), (33, 7, 40), (300, 257, 33)]


@pytest.fixture
def small_models_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_LEAST_WEIGHTS", 0)
    monkeypatch.setattr(path, "_FEW_STEPS", 0)


def model(visible: str, hidden: str, n: int, m: int) -> tuple[RBM, Tensor]:
    rbm = RBM(TWO_STATES[visible](n), TWO_STATES[hidden](m))
    generator = torch.Generator().manual_seed(n * m)
    with torch.no_grad():
        for parameter in rbm.parameters():
            x = torch.randn(parameter.shape, generator=generator)
            x = x * (4 / max(n, m) ** 0.5 if parameter is rbm.weights else 0.5)
            parameter.copy_((64 * x).round() / 64)
    data = (torch.rand(50, n, generator=generator) < 0.3).float()
    return rbm, data if visible == "binary" else 2 * data - 1


def annealed(rbm: RBM, data: Tensor, n_chains: int) -> tuple[Tensor, ...]:
    """Log weights up and down, and the last visible states."""
    t = torch.linspace(0, 1, 25, dtype=torch.float64)
    way = AnnealingPath(base_rates(rbm, data), rbm, t)
    up = annealed_importance_sampling(way, n_chains, seed=2).result().log_weights
    rows = data.repeat(n_chains // len(data) + 1, 1)[:n_chains]
    down = raise_log_likelihood(way, rows, seed=3).result().log_weights
    v, out = rows.clone(), torch.zeros(n_chains, dtype=torch.float64)
    stream = Stream(5, Purpose.LIKELIHOOD)
    steps = list(path.anneal_(way, v, t, stream, out))
    assert steps == list(range(1, len(t)))
    assert stream.position == 2 * len(t) - 4
    assert up is not None
    return up, down, v


@every_pair
@pytest.mark.parametrize(("n", "m", "n_chains"), SHAPES)
@pytest.mark.usefixtures("small_models_follow")
def test_chains_are_those_of_products(
    visible: str, hidden: str, n: int, m: int, n_chains: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, data = model(visible, hidden, n, m)
    found = []
    for cost in (0.0, math.inf):  # flips alone, and products of the same integers alone
        monkeypatch.setattr(following, "ADDITION", cost)
        found.append(annealed(rbm, data, n_chains))
    for by_flips, by_products in zip(*found, strict=True):
        assert torch.equal(by_flips, by_products)
    monkeypatch.setattr(kernels, "followed", lambda *_: None)
    up, down, v = annealed(rbm, data, n_chains)
    assert torch.equal(v, found[0][2])
    # the sums over columns of float32 numbers, rounded at each of 24 steps
    size = 24 * torch.finfo(torch.float32).eps * 10 * (n + m)
    torch.testing.assert_close(found[0][0], up, rtol=0, atol=size)
    torch.testing.assert_close(found[0][1], down, rtol=0, atol=size)


@pytest.mark.usefixtures("small_models_follow")
def test_any_number_of_threads_gives_the_same(threads: int) -> None:
    rbm, data = model("binary", "spin", 300, 257)
    found = []
    for n in (1, threads):
        torch.set_num_threads(n)
        found.append(annealed(rbm, data, 33))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@every_pair
@pytest.mark.usefixtures("small_models_follow")
def test_estimates_are_exact_however_coarse_the_integers(
    visible: str, hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding changes what lies between the ends of the path, and not the ends."""
    monkeypatch.setattr(following, "_MOST", 3)
    monkeypatch.setattr(following, "_LARGEST_ROUNDING", math.inf)
    rbm, of_oracle = random_rbm(
        BY_NAME[visible], BY_NAME[hidden], sizes=(6, 5), seed=1, dtype=torch.float32
    )
    samples = torch.from_numpy(oracle.Joint(of_oracle).draw(2000, 1)[0]).float()
    chains = kernels.followed(
        samples,
        rbm.weights,
        (rbm.visible.low_state, rbm.hidden.low_state),
    )
    assert chains is not None
    assert (chains.weights - rbm.weights).abs().max() > 0.05  # and what would be wrong by that
    exact = exact_log_z(rbm).value
    rounded = RBM(rbm.visible, rbm.hidden)
    rounded.weights.data.copy_(chains.weights)
    way = AnnealingPath(base_rates(rbm, samples), rbm, torch.linspace(0, 1, 40))
    for estimate in (
        annealed_importance_sampling(way, 2000, seed=2).result(),
        reverse_annealed_importance_sampling(way, samples, seed=2).result(),
    ):
        assert abs(estimate.value - exact) < 4 * estimate.std_error
        assert abs(exact_log_z(rounded).value - exact) > 8 * estimate.std_error
    rows = raise_log_likelihood(way, samples, seed=3).result().log_likelihood
    error = rows - exact_log_likelihood(rbm, samples)
    assert error.mean().item() < 4 * error.std().item() / math.sqrt(len(error))


@pytest.mark.parametrize("bad", ["float64", "small", "outlier", "zero"])
def test_what_cannot_be_followed_is_multiplied(bad: str) -> None:
    weights = torch.randn(300, 300, generator=torch.Generator().manual_seed(1)) * 0.1
    v = torch.zeros(3, 300)
    assert kernels.followed(v, weights, (0, 0)) is not None
    if bad == "float64":
        v, weights = v.double(), weights.double()
    elif bad == "small":
        v, weights = v[:, :20], weights[:20, :20].contiguous()
    elif bad == "outlier":  # whose 16 bits leave nothing for the others
        weights[0, 0] = 1000.0
    else:
        weights.zero_()
    assert kernels.followed(v, weights, (0, 0)) is None


def test_states_and_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"visible states of shape \(3, 4\) do not fit weights"):
        kernels.followed(torch.zeros(3, 4), torch.zeros(5, 6), (0, 0))


def test_large_weights_are_multiplied_in_float64_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(5)
    v, weights = (torch.randn(*shape, generator=generator) for shape in ((9, 31), (31, 17)))
    whole = path._wide_product(v.double(), weights)
    monkeypatch.setattr(path, "_LARGE", 100)
    blocks = path._wide_product(v.double(), weights)
    torch.testing.assert_close(blocks, whole, rtol=0, atol=1e-13)
