"""Half of a normal distribution, above zero at any distance, against arithmetic of 60 digits."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

import oracle
from harmonium import Purpose, Stream
from harmonium.kernels import cpu, half_normal, reference
from harmonium.units import DReLU, ReLU, Units
from phases import one_thread  # noqa: F401
from unit_types import array

FAR = (-1e6, -1e4, -300.0, -50.0, -39.9, -10.0, -5.1, -5.0, -4.9, -3.0, -1.0)
NEAR = (-0.1, 0.0, 0.1, 1.0, 3.0, 8.2, 8.4, 20.0, 35.9, 36.1, 50.0, 1e4)
CENTRES = (*FAR, *NEAR)
INPUTS = (-50.0, -10.0, -3.0, -0.5, 0.0, 0.5, 3.0, 10.0, 50.0)
N_DRAWS = 10_000
LEAST_P = 1e-6


def exactly(t: float) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """Log-normaliser, mean and variance."""
    with mpmath.workdps(60):
        centre = mpmath.mpf(t)
        tail = mpmath.erfc(-centre / mpmath.sqrt(2))
        ratio = mpmath.sqrt(mpmath.pi / 2) * mpmath.exp(centre**2 / 2) * tail
        mean = centre + 1 / ratio
        return mpmath.log(ratio), mean, 1 - mean / ratio


@pytest.mark.parametrize("t", CENTRES)
def test_normaliser_and_moments_are_exact_at_any_distance(t: float) -> None:
    x = torch.tensor([t], dtype=torch.float64)
    log_z, mean, var = exactly(t)
    assert half_normal.log_normaliser(x).item() == pytest.approx(float(log_z), rel=1e-14, abs=1e-14)
    of_mean, of_var = half_normal.moments(x)
    assert of_mean.item() == pytest.approx(float(mean), rel=1e-13)
    assert of_var.item() == pytest.approx(float(var), rel=1e-12)


def test_derivatives_are_those_of_the_normaliser_and_finite_everywhere() -> None:
    t = torch.tensor(CENTRES, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(half_normal.log_normaliser(t).sum(), t)
    mean, var = half_normal.moments(t)
    (curvature,) = torch.autograd.grad(mean.sum(), t)
    assert slope.isfinite().all() and curvature.isfinite().all()
    near = t.detach().abs() < 100
    torch.testing.assert_close(slope[near], mean[near], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(curvature[near], var[near], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("t", CENTRES)
def test_a_draw_leaves_above_it_the_chance_that_it_was_asked_for(t: float) -> None:
    u = torch.tensor([2.0**-33, 1e-6, 0.01, 0.3, 0.5, 0.9, 0.999], dtype=torch.float64)
    for chance, y in zip(u, half_normal.draw(torch.full_like(u, t), u), strict=True):
        with mpmath.workdps(60):
            centre, size = mpmath.mpf(t), mpmath.mpf(y.item())
            root = mpmath.sqrt(2)
            above = mpmath.erfc((size - centre) / root) / mpmath.erfc(-centre / root)
            density = mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-((size - centre) ** 2) / 2)
            density /= mpmath.erfc(-centre / root)
            error = (above - mpmath.mpf(chance.item())) / density  # in the draw, to first order
        assert abs(float(error)) < 1e-12 * max(y.item(), abs(t), 1.0), chance


@pytest.mark.parametrize("learned", [True, False])
def test_compiled_moments_are_those_of_the_reference(learned: bool) -> None:
    t = torch.tensor(CENTRES).repeat(3, 1)
    ones = torch.ones(len(CENTRES))
    relu = ones * 0.3, ones * (1.7 if learned else 1.0)
    drelu = *relu, -ones * 0.4, ones * 0.6
    for name, parameters in (("relu_moments", relu), ("drelu_moments", drelu)):
        of_pass = getattr(cpu, name)(t, *parameters)
        wide = [parameter.double() for parameter in parameters]
        expected = getattr(reference, name)(t.double(), *wide)
        for value, exact in zip(of_pass, expected, strict=True):
            torch.testing.assert_close(value.double(), exact, rtol=3e-7, atol=1e-12)


def cdf_of(layer: oracle.Layer, inputs: float) -> Callable[[oracle.Array], oracle.Array]:
    """The distribution function of the one unit of a layer."""
    (pieces,) = layer.tables
    assert isinstance(pieces, tuple)
    return lambda x: oracle.below(pieces, x, np.full_like(x, layer.bias[0] + inputs))


def some_units(name: str) -> tuple[Units, oracle.Layer]:
    units = ReLU(1, precision=1.7) if name == "relu" else DReLU(1, precision=1.7)
    with torch.no_grad():
        units.bias.fill_(0.4)
        if isinstance(units, DReLU):
            units.asymmetry.fill_(0.8)
            units.gap.fill_(-0.6)
    units.double()
    parameters = {key: array(value) for key, value in units.named_parameters()}
    return units, getattr(oracle, name)(**parameters)


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["relu", "drelu"])
def test_draws_follow_the_distribution(name: str, dtype: torch.dtype, inputs: float) -> None:
    units, layer = some_units(name)
    received = torch.full((N_DRAWS, 1), inputs, dtype=dtype)
    x = units.to(dtype).sample(received, Stream(7, Purpose.SAMPLE))
    assert kstest(array(x[:, 0]), cdf_of(layer, inputs)).pvalue > LEAST_P


def shifted(x: Tensor) -> Tensor:
    return x + 0.05 * x.std()


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("name", ["relu", "drelu"])
def test_draws_that_are_shifted_by_a_twentieth_are_noticed(name: str, inputs: float) -> None:
    units, layer = some_units(name)
    received = torch.full((N_DRAWS, 1), inputs, dtype=torch.float64)
    x = shifted(units.sample(received, Stream(7, Purpose.SAMPLE)))
    assert kstest(array(x[:, 0]), cdf_of(layer, inputs)).pvalue < 1e-3
