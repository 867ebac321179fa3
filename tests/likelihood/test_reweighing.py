"""The compiled step of annealing against its definition in torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harmonium import Purpose, Stream, kernels
from harmonium.kernels import reference
from harmonium.kernels.cpu import annealing

ROWS = 60


def numbers(n: int, scale: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, and biases before and now."""
    generator = torch.Generator().manual_seed(seed)
    inputs = scale * torch.randn(ROWS, n, generator=generator)
    a, b = torch.randn(2, n, generator=generator)
    return inputs, a, torch.lerp(a, b, 0.01)


def exact(inputs: Tensor, before: tuple[float, Tensor], now: tuple[float, Tensor]) -> Tensor:
    out = torch.zeros(len(inputs), dtype=torch.float64)
    reference.reweigh_binary_(inputs, before, now, out, None)
    return out


@pytest.mark.parametrize("n", [1, 3, 500, 1301])
@pytest.mark.parametrize("step", [0.0, 1e-4, 0.01, 0.3, -0.01, -0.5])
@pytest.mark.parametrize("scale", [0.1, 5.0, 100.0])
def test_weights_and_draws_are_those_of_the_definition(n: int, step: float, scale: float) -> None:
    inputs, a, b = numbers(n, scale)
    before, now = (0.5, a), (0.5 + step, b)
    log_weights = torch.full((ROWS,), 3.0, dtype=torch.float64)
    stream = Stream(1, Purpose.LIKELIHOOD, position=5)
    drawn = kernels.reweigh_binary_(inputs.clone(), before, now, log_weights, stream)
    expected = exact(inputs, before, now)
    # biases and arguments are rounded to float32: errors of a few units in the last place each
    size = (inputs.abs() * max(1.0, 0.5 + abs(step)) + a.abs() + 1).double()
    rounding = 4 * torch.finfo(torch.float32).eps * size.square().sum(1).sqrt()
    assert ((log_weights - 3 - expected).abs() <= rounding).all()
    plain = kernels.binary_(inputs * now[0], b, Stream(1, Purpose.LIKELIHOOD, position=5))
    assert stream.position == 6
    # a uniform number may lie within rounding of the probability, hardly ever
    assert (drawn != plain).sum() <= 1 + 1e-5 * drawn.numel()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_inputs_stay_finite(dtype: torch.dtype) -> None:
    values = torch.tensor([-1e4, -100.0, -88.0, -1.0, 0.0, 1.0, 88.0, 100.0, 1e4], dtype=dtype)
    inputs = torch.cartesian_prod(values, values)
    zeros = torch.zeros(2, dtype=dtype)
    for before, now in ((0.0, 1.0), (1.0, 0.0), (0.9, 0.90001)):
        log_weights = torch.zeros(len(inputs), dtype=torch.float64)
        drawn = kernels.reweigh_binary_(
            inputs.clone(),
            (before, zeros),
            (now, zeros),
            log_weights,
            Stream(2, Purpose.LIKELIHOOD),
        )
        expected = exact(inputs, (before, zeros), (now, zeros))
        torch.testing.assert_close(log_weights, expected, rtol=1e-5, atol=1e-5)
        if now:
            assert (drawn[inputs < -80] == 0).all() and (drawn[inputs > 80] == 1).all()


def test_steps_there_and_back_cancel() -> None:
    inputs, a, b = numbers(300, 5.0)
    log_weights = torch.zeros(ROWS, dtype=torch.float64)
    kernels.reweigh_binary_(inputs, (0.4, a), (0.45, b), log_weights)
    assert (log_weights.abs() > 0.1).any()
    kernels.reweigh_binary_(inputs, (0.45, b), (0.4, a), log_weights)
    assert log_weights.abs().max() < 1e-3


def test_without_a_stream_nothing_is_drawn() -> None:
    for dtype in (torch.float32, torch.float64):
        inputs, a, b = (x.to(dtype) for x in numbers(7, 1.0))
        before = inputs.clone()
        log_weights = torch.zeros(ROWS, dtype=torch.float64)
        kernels.reweigh_binary_(inputs, (0.1, a), (0.2, b), log_weights)
        assert torch.equal(inputs, before)


def test_float64_draws_what_binary_units_draw() -> None:
    inputs, a, b = (x.double() for x in numbers(40, 3.0))
    log_weights = torch.zeros(ROWS, dtype=torch.float64)
    now = (0.6, b)
    drawn = kernels.reweigh_binary_(
        inputs.clone(), (0.1, a), now, log_weights, Stream(3, Purpose.LIKELIHOOD)
    )
    plain = kernels.binary_(0.6 * inputs, b, Stream(3, Purpose.LIKELIHOOD))
    assert torch.equal(drawn, plain)
    torch.testing.assert_close(log_weights, exact(inputs, (0.1, a), now))


def test_any_number_of_threads_gives_the_same(threads: int) -> None:
    inputs, a, b = numbers(700, 5.0)
    found = []
    for n in (1, threads):
        torch.set_num_threads(n)
        log_weights = torch.zeros(ROWS, dtype=torch.float64)
        drawn = kernels.reweigh_binary_(
            inputs.clone(), (0.4, a), (0.41, b), log_weights, Stream(4, Purpose.LIKELIHOOD)
        )
        found.append((drawn, log_weights))
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))


def test_biases_that_are_not_contiguous_take_the_same_loop() -> None:
    inputs, a, b = numbers(700, 5.0)
    found, compiled = [], []
    for x, y in ((a, b), (torch.stack([a, b], 1)[:, 0], torch.stack([a, b], 1)[:, 1])):
        log_weights = torch.zeros(ROWS, dtype=torch.float64)
        stream = Stream(5, Purpose.LIKELIHOOD)
        drawn = kernels.reweigh_binary_(inputs.clone(), (0.4, x), (0.41, y), log_weights, stream)
        found.append((drawn, log_weights))
        compiled.append([len(loop.signatures) for loop in (annealing._rows, annealing._blocks)])
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))
    assert compiled[0] == compiled[1]


def test_what_does_not_fit_is_refused() -> None:
    inputs, a, b = numbers(5, 1.0)
    log_weights = torch.zeros(ROWS, dtype=torch.float64)
    with pytest.raises(ValueError, match="inputs have 5 columns"):
        kernels.reweigh_binary_(inputs, (0.0, a[:4]), (1.0, b), log_weights)
    for bad in (log_weights[:5], log_weights.float()):
        with pytest.raises(ValueError, match=r"pass float64, one for each of 60 rows"):
            kernels.reweigh_binary_(inputs, (0.0, a), (1.0, b), bad)
