"""Log-normalisers of binary units under several offsets: the compiled loops against autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harmonium import kernels
from harmonium.kernels import reference

ROWS, OFFSETS = 40, 3
DTYPES = [torch.float32, torch.float64]


def numbers(n: int, dtype: torch.dtype, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, offsets, and weights of each row and offset."""
    generator = torch.Generator().manual_seed(n)
    inputs = scale * torch.randn(ROWS, n, generator=generator, dtype=dtype)
    offsets = torch.randn(OFFSETS, n, generator=generator, dtype=dtype)
    return inputs, offsets, torch.randn(ROWS, OFFSETS, generator=generator, dtype=dtype)


def exact(inputs: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums, and autograd of their weighted total by inputs and offsets, in float64."""
    x = inputs.double().requires_grad_()
    y = offsets.double().requires_grad_()
    z = x.unsqueeze(1) + y
    sums = torch.logaddexp(z, torch.zeros_like(z)).sum(2)
    return sums.detach(), *torch.autograd.grad((sums * weights.double()).sum(), (x, y))


def rounding(inputs: Tensor, offsets: Tensor, n_terms: int) -> Tensor:
    """A few units in the last place of each term, which add up in random order."""
    size = inputs.abs().double().amax() + offsets.abs().double().amax() + 1
    return 8 * torch.finfo(inputs.dtype).eps * size * n_terms**0.5


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 3, 511, 512, 513, 1301])
@pytest.mark.parametrize("backend", [kernels, reference], ids=["compiled", "reference"])
def test_sums_and_gradients_are_those_of_autograd(backend, n: int, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    inputs, offsets, weights = numbers(n, dtype)
    sums, by_inputs, by_offsets = exact(inputs, offsets, weights)
    found = backend.softplus_sums(inputs, offsets)
    assert found.dtype == dtype and found.shape == (ROWS, OFFSETS)
    # a sum in float32 is itself rounded to its own size
    sizes = sums.abs().clamp_min(1) / n**0.5
    assert ((found - sums).abs() <= rounding(inputs, offsets, n) * sizes.clamp_min(1)).all()
    first, second = backend.softplus_gradient(inputs, offsets, weights)
    assert ((first - by_inputs).abs() <= rounding(inputs, offsets, OFFSETS)).all()
    assert ((second - by_offsets).abs() <= rounding(inputs, offsets, ROWS)).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("backend", [kernels, reference], ids=["compiled", "reference"])
def test_extreme_inputs_stay_finite(backend, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    values = torch.tensor([-1e4, -800.0, -88.0, -1.0, 0.0, 1.0, 88.0, 800.0, 1e4], dtype=dtype)
    inputs = torch.cartesian_prod(values, values)
    offsets = torch.tensor([[0.0, 0.0], [100.0, -100.0]], dtype=dtype)
    weights = torch.tensor([[1.0, -1.0]], dtype=dtype).expand(len(inputs), 2)
    sums, by_inputs, _ = exact(inputs, offsets, weights)
    found = backend.softplus_sums(inputs, offsets)
    torch.testing.assert_close(found, sums.to(dtype))
    by = backend.softplus_gradient(inputs, offsets, weights)
    torch.testing.assert_close(by[0], by_inputs.to(dtype))
    assert by[1].isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("backend", [kernels, reference], ids=["compiled", "reference"])
def test_an_input_of_minus_infinity_is_as_if_there_were_none(backend, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    inputs, offsets, weights = numbers(700, dtype)
    absent = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    found = backend.softplus_sums(inputs.masked_fill(absent, -torch.inf), offsets)
    for row, out, expected in zip(inputs, absent, found, strict=True):
        rest = functional.softplus(row[~out] + offsets[:, ~out]).double().sum(1)
        torch.testing.assert_close(expected, rest.to(dtype), rtol=2e-6, atol=1e-4)
    by_inputs, by_offsets = backend.softplus_gradient(
        inputs.masked_fill(absent, -torch.inf), offsets, weights
    )
    assert (by_inputs[absent] == 0).all()
    assert (by_inputs[~absent] != 0).all() and by_offsets.isfinite().all()


def test_numbers_of_threads_change_no_bit() -> None:
    inputs, offsets, weights = numbers(1301, torch.float32)
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            sums = kernels.softplus_sums(inputs, offsets)
            found.append((sums, *kernels.softplus_gradient(inputs, offsets, weights)))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_memory_of_any_layout_and_mixed_dtypes_are_taken() -> None:
    inputs, offsets, weights = numbers(600, torch.float64)
    sums = kernels.softplus_sums(inputs, offsets)
    by = kernels.softplus_gradient(inputs, offsets, weights)
    turned = inputs.T.contiguous().T, offsets.T.contiguous().T, weights.T.contiguous().T
    torch.testing.assert_close(kernels.softplus_sums(*turned[:2]), sums)
    torch.testing.assert_close(kernels.softplus_gradient(*turned), by)
    torch.testing.assert_close(kernels.softplus_gradient(inputs, turned[1], turned[2]), by)
    coarse = kernels.softplus_sums(inputs, offsets.float())
    torch.testing.assert_close(coarse, sums, rtol=1e-6, atol=0)


def test_no_rows_have_no_sums() -> None:
    offsets = torch.ones(OFFSETS, 5)
    assert kernels.softplus_sums(torch.zeros(0, 5), offsets).shape == (0, OFFSETS)
    by = kernels.softplus_gradient(torch.zeros(0, 5), offsets, torch.zeros(0, OFFSETS))
    assert by[0].shape == (0, 5) and torch.equal(by[1], torch.zeros(OFFSETS, 5))


def test_shapes_that_do_not_fit_are_refused() -> None:
    inputs, offsets, weights = numbers(5, torch.float32)
    with pytest.raises(ValueError, match=r"^offsets have shape \(5,\); pass one in each row$"):
        kernels.softplus_sums(inputs, offsets[0])
    with pytest.raises(ValueError, match=r"^inputs have 5 columns, but .* have shape \(4,\)"):
        kernels.softplus_sums(inputs, offsets[:, 1:])
    with pytest.raises(
        ValueError,
        match=r"^weights have shape \(3, 40\); pass one for each of 40 rows and 3 offsets$",
    ):
        kernels.softplus_gradient(inputs, offsets, weights.T)
