"""Products and moments of one-hot rows: the numbers of ordinary products, at any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harmonium import RBM, Binary, Categorical, CenteredGradient, Mixed, PlainGradient, kernels
from harmonium.gradient import Phase, weigh
from harmonium.kernels import cpu, reference
from harmonium.kernels.cpu import one_hot_products
from harmonium.rng import Purpose, Stream


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_hot_products, "_WORTHWHILE_FROM", 0)


def whole(*shape: int, seed: int = 0) -> Tensor:
    """Multiples of 1/64, whose sums are exact in float32 in any order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-48, 49, shape, generator=generator) / 64


def one_hot(rows: int, n: int, q: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (
        functional.one_hot(torch.randint(q, (rows, n), generator=generator), q).flatten(1).float()
    )


# rows, units, categories, columns: fewer columns than a line, as many, a few more
SIZES = [(30, 5, 2, 1), (70, 3, 21, 64), (300, 2, 200, 70), (64, 9, 3, 130)]


@pytest.mark.parametrize(("rows", "n", "q", "columns"), SIZES)
def test_a_product_of_one_hot_rows_adds_up_rows(rows: int, n: int, q: int, columns: int) -> None:
    v, weights, bias = one_hot(rows, n, q), whole(n * q, columns), whole(columns, seed=1)
    out = torch.full((rows, columns), torch.nan)
    assert cpu.products.one_hot_product(v, weights, q, out)
    assert torch.equal(out, v @ weights)
    assert torch.equal(kernels.product(v, weights, n_categories=q), v @ weights)
    drawn, other = torch.empty(rows, columns), torch.empty(rows, columns)
    made = [
        kernels.binary_layer(v, weights, bias, into, Stream(1, Purpose.CHAINS), n_categories=k)
        for into, k in ((drawn, q), (other, None))
    ]
    assert torch.equal(*made) and torch.equal(drawn, other)


def spoiled(what: str) -> Tensor:
    """Rows of three units of four categories that are not all one-hot."""
    v = one_hot(20, 3, 4)
    if what == "two categories":
        v[7, 4:8] = torch.tensor([1.0, 1.0, 0.0, 0.0])
    elif what == "none, and two in the next unit":
        v[7, 4:12] = torch.tensor([0.0, 0, 0, 0, 1, 0, 1, 0])
    elif what == "chances":
        v[7, 4:8] = 0.25
    elif what == "a weight of one unit":
        v[7, :4] *= 2
    elif what == "not a number":
        v[7, 0] = torch.nan
    elif what == "weights":
        v *= torch.arange(20).unsqueeze(1)
    return v


WRONG = ["two categories", "none, and two in the next unit", "chances", "a weight of one unit"]


@pytest.mark.parametrize("what", [*WRONG, "not a number", "weights"])
def test_other_rows_are_multiplied(what: str) -> None:
    v, weights = spoiled(what), whole(12, 5)
    out = torch.full((20, 5), torch.nan)
    assert not cpu.products.one_hot_product(v, weights, 4, out)
    found = kernels.product(v, weights, n_categories=4)
    assert torch.allclose(found, v @ weights, equal_nan=True)


@pytest.mark.parametrize("what", [*WRONG, "not a number"])
def test_moments_of_other_rows_are_multiplied(what: str) -> None:
    v, h, chains = spoiled(what), whole(20, 5), one_hot(20, 3, 4, seed=2)
    out, expected = torch.empty(12, 5), torch.empty(12, 5)
    assert cpu.products.one_hot_moments_(out, (v, h), (chains, h), 1.0, 4) is None
    kernels.moments_(out, (v, h), (chains, h), n_categories=4)
    reference.moments_(expected, (v, h), (chains, h), 1.0)
    assert torch.allclose(out, expected, equal_nan=True)


@pytest.mark.parametrize(("rows", "n", "q", "columns"), SIZES)
@pytest.mark.parametrize("gradient", [PlainGradient, CenteredGradient])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_the_reference(
    rows: int,
    n: int,
    q: int,
    columns: int,
    gradient: type[PlainGradient] | type[CenteredGradient],
    weighted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phases = [
        Phase({"bias": one_hot(k, n, q, seed=k)}, {"bias": torch.rand(k, columns)})
        for k in (rows, rows + 11)
    ]
    if weighted:  # one row of zeros is added, and rows are one-hot times a weight
        phases[0] = weigh(phases[0], torch.rand(rows))
    found = []
    for fast in (True, False):
        if not fast:
            monkeypatch.setattr(one_hot_products, "_WORTHWHILE_FROM", np.inf)
            monkeypatch.setattr(cpu.products, "_SPARSE_FROM", np.inf)
        rbm, rule = RBM(Categorical(n, q), Binary(columns)), gradient()
        for _ in range(2):  # offsets move the second time
            rule.write_(rbm, *phases, 0.7)
        found.append([p.grad for p in rbm.parameters()] + list(rule.state().values()))
    for got, want in zip(*found, strict=True):
        assert got is not None and want is not None
        assert torch.allclose(got, want, atol=2e-6)
    assert max(x.abs().max().item() for x in found[1] if x is not None) > 0.01


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    v, chains = one_hot(200, 30, 21), one_hot(100, 30, 21, seed=1)
    generator = torch.Generator().manual_seed(0)
    h, h_chains = torch.rand(200, 90, generator=generator), torch.rand(100, 90, generator=generator)
    weights = torch.randn(630, 90, generator=generator)
    before, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            moments = kernels.moments_(weights.clone(), (v, h), (chains, h_chains), n_categories=21)
            found.append((kernels.product(v, weights, n_categories=21), moments))
    finally:
        torch.set_num_threads(before)
    for product, moments in found[1:]:
        assert torch.equal(product, found[0][0]) and torch.equal(moments, found[0][1])


def test_a_layer_says_how_wide_its_one_hot_units_are() -> None:
    assert Categorical(4, 3).n_one_hot == 3
    assert Binary(4).n_one_hot is None and Mixed(Categorical(4, 3)).n_one_hot is None


def test_what_the_loops_are_not_for() -> None:
    v, weights = one_hot(30, 4, 3), whole(12, 5)
    for states, factor in (
        (v.double(), weights.double()),
        (v.T.contiguous().T, weights),
        (v[:2], weights),  # packing the weights would take as long
    ):
        assert not cpu.products.one_hot_product(states, factor, 3, torch.empty(len(states), 5))
    assert not cpu.products.one_hot_product(v, weights, 5, torch.empty(30, 5))
