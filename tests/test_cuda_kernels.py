"""Triton's draws equal the reference, bit for bit, interpreted where there is no GPU.

Triton reads TRITON_INTERPRET when it is first imported; tests/conftest.py sets it before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import Tensor

from harmonium import kernels
from harmonium.graphs import DeviceStream
from harmonium.kernels import reference
from test_kernels import (
    DRAWS,
    Draw,
    agree,
    band,
    binary_,
    binomial_,
    categorical_,
    drawn,
    drawn_by,
    drelu_,
    each_dtype,
    logit_near,
    poisson_,
    relu_,
    some,
    stream,
    uniform_,
)

pytest.importorskip("triton", reason="Triton comes for Linux on x86-64 alone")

from harmonium.kernels import cuda

# One row, one unit, every remainder by 4, and several programs a row (a program has 64 counters).
SHAPES = [(2, 1), (1, 7), (2, 4), (1, 6), (1, 513)]


# Half-lines and counts are drawn by torch's operations on a GPU.
COMPILED = [draw_ for draw_ in DRAWS if draw_ not in (relu_, drelu_, binomial_, poisson_)]
each_draw = pytest.mark.parametrize("draw_", COMPILED, ids=lambda draw_: draw_.__name__)


@each_dtype
@each_draw
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_draws_equal_the_reference(
    draw_: Draw, shape: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> None:
    inputs = some(*shape, dtype=dtype).to(device)
    assert agree(draw_, drawn_by(cuda, draw_, inputs), drawn_by(reference, draw_, inputs))


@each_draw
@pytest.mark.parametrize("shape", [(0, 6), (4, 0), (0, 0)], ids=str)
def test_nothing_to_draw(draw_: Draw, shape: tuple[int, int], device: torch.device) -> None:
    states, s = torch.zeros(shape, device=device), stream()
    draw_(cuda, states, s)
    assert s.position == stream().position + 1


@pytest.mark.parametrize("position", [0, 2**31, 2**32 - 1, 2**32 + 5, 2**40 - 1])
def test_all_positions_and_seeds(position: int, device: torch.device) -> None:
    """Words of 32 bits are passed as signed numbers."""
    for seed in (2**31, 2**64 - 1):
        s = stream(position)
        s.seed = seed
        states = [torch.zeros(1, 5, device=device) for _ in range(2)]
        cuda.uniform_(states[0], s.at(position))
        reference.uniform_(states[1], s.at(position))
        assert torch.equal(*states)


@pytest.mark.parametrize("backend", [cuda, reference], ids=["cuda", "reference"])
@pytest.mark.parametrize("position", [3, 2**32 - 2])
def test_a_position_on_the_device_gives_the_same_bits(
    backend: ModuleType, position: int, device: torch.device
) -> None:
    host, moved = stream(position), DeviceStream(stream(), 4, device)
    for turn in range(2):
        moved.go_to(position + 4 * turn)
        moved.begin_turn()
        for _ in range(4):
            expected, states = torch.zeros(2, 3, 9, device=device)
            reference.uniform_(expected, host)
            backend.uniform_(states, moved)
            assert torch.equal(states, expected)


@each_dtype
@pytest.mark.parametrize(("name", "scale"), [("binary_", 1), ("spin_", 2)])
def test_a_draw_differs_only_within_rounding_of_the_probability(
    name: str, scale: int, dtype: torch.dtype, device: torch.device
) -> None:
    shape = (2, 2001)
    u = kernels.uniform(shape, stream(), dtype=dtype)
    inputs = logit_near(u, dtype, spread=40) / scale
    bias = torch.zeros(shape[1], dtype=dtype, device=device)
    up = drawn(getattr(cuda, name), inputs.to(device), bias, stream()).cpu().numpy() > 0
    u, p = u.double().numpy(), expit(scale * inputs.double().numpy())
    decided = np.abs(u - p) > band(p, dtype)
    assert 0.02 < (~decided).mean() < 0.5
    assert (up == (u < p))[decided].all()


@each_dtype
def test_the_exponential_is_as_good_far_from_zero(dtype: torch.dtype, device: torch.device) -> None:
    """A hasty one is wrong by its argument times eps: seen where rare states meet rare numbers."""
    u = kernels.uniform((1, 2000), stream(), dtype=dtype).double()
    inputs = logit_near(u, dtype, spread=400)
    bias = torch.zeros(2000, dtype=dtype, device=device)
    up = drawn(cuda.binary_, inputs.to(device), bias, stream()).cpu().numpy() > 0
    x, p = inputs.double().numpy(), expit(inputs.double().numpy())
    decided = np.abs(u.numpy() - p) > band(p, dtype)
    rare = x < -3
    assert rare.sum() > 50 and decided[rare].mean() > 0.5
    assert (up == (u.numpy() < p))[rare & decided].all()


@each_dtype
@pytest.mark.parametrize("size", [1e4, float("inf")])
def test_strong_inputs_decide(size: float, dtype: torch.dtype, device: torch.device) -> None:
    bias = torch.zeros(9, dtype=dtype, device=device)
    for sign in (-1, 1):
        inputs = torch.full((1, 9), sign * size, dtype=dtype, device=device)
        assert (drawn(cuda.binary_, inputs, bias, stream()) == max(sign, 0)).all()
        assert (drawn(cuda.spin_, inputs, bias, stream()) == sign).all()
    one_hot = torch.eye(3, dtype=dtype, device=device)[1].repeat(1, 3)
    inputs = torch.where(one_hot > 0, 0.0, -size).to(dtype)
    assert torch.equal(drawn(cuda.categorical_, inputs, bias, 3, stream()), one_hot)


# --- the choice of a backend ------------------------------------------------------------------


@pytest.fixture
def states(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """States on CUDA, or some that are taken for such; and Triton has not failed yet."""
    if device.type == "cpu":
        monkeypatch.setattr(kernels.backends, "_are_for_triton", lambda *tensors: True)
    monkeypatch.setattr(kernels.backends, "_triton_works", True)
    return some(3, 6, dtype=torch.float32).to(device)


@each_draw
def test_cuda_states_are_drawn_by_triton(
    draw_: Draw, states: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("binary_", "spin_", "gaussian_", "categorical_", "uniform_"):
        monkeypatch.setattr(reference, name, None)
    expected = drawn_by(cuda, draw_, states)
    assert torch.equal(drawn_by(kernels, draw_, states), expected)


def falls_back_once(inputs: Tensor, reason: str) -> None:
    """One warning that names the reason; the same bits, and the position of one draw each."""
    for draw_ in (binary_, binary_, categorical_, uniform_):
        expected, s = drawn_by(reference, draw_, inputs), stream()
        states = inputs.clone()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            draw_(kernels, states, s)
        assert torch.equal(states, expected)
        assert s.position == stream().position + 1
        if reason:
            (warning,) = caught
            assert warning.category is RuntimeWarning
            assert reason in str(warning.message)
        assert len(caught) == bool(reason)
        reason = ""


def test_without_triton_draws_fall_back_with_one_warning(
    states: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(kernels, "cuda")
    monkeypatch.delitem(sys.modules, "harmonium.kernels.cuda")
    monkeypatch.setitem(sys.modules, "triton", None)
    falls_back_once(states, "ModuleNotFoundError: import of triton")


def test_a_kernel_that_does_not_compile_falls_back(
    states: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getitem__(self, grid: tuple[int, int]) -> None:
            raise RuntimeError("Failed to find C compiler\nand a long story")

    monkeypatch.setattr(cuda, "_binary_kernel", Broken())
    falls_back_once(states, "RuntimeError: Failed to find C compiler)")


def test_states_on_cpu_are_not_for_triton() -> None:
    assert not kernels.backends._are_for_triton(torch.zeros(2, 3))


# --- compiling for a GPU, which needs none ----------------------------------------------------

COMPILE = """
import itertools
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from harmonium.kernels import cuda

CONSTANTS = {"SCALE": 2.0, "LOW": -1.0, "N_CATEGORIES": 3, "BLOCK": 64}
DRAWS = (cuda._uniform_kernel, cuda._binary_kernel, cuda._gaussian_kernel, cuda._categorical_kernel)
for draw, (states, word) in itertools.product(DRAWS, (("*fp32", "*i64"), ("*fp64", "i32"))):
    types = {"x": states, "bias": states, "precision": states, "c2": word, "c3": word}
    types |= dict.fromkeys(CONSTANTS, "constexpr")
    signature = {name: types.get(name, "i32") for name in draw.arg_names}
    constants = {name: CONSTANTS[name] for name in signature if name in CONSTANTS}
    source = ASTSource(draw, signature, constants)
    compiled = compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 2})
    assert compiled.asm["cubin"]
print("compiled")
"""


def test_the_draws_compile_for_a_gpu() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "compiled\n", done.stderr
