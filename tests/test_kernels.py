"""The draws: bits that are Philox's, compiled kernels that equal the reference, random numbers."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.special import expit, ndtr
from torch import Tensor

import oracle
from harmonium import kernels
from harmonium.kernels import cpu, reference
from harmonium.rng import Purpose, Stream

PHILOX_VECTORS = [  # Random123's known answers for philox4x32-10: counter, key, result
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip

# One row, one unit, every remainder by 4, and enough numbers for several threads.
SHAPES = [(1, 1), (1, 7), (5, 1), (3, 4), (2, 6), (7, 13), (7, 39), (33, 257), (101, 501)]
LARGE = (101, 501)
DTYPES = [torch.float32, torch.float64]

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def stream(position: int = 3) -> Stream:
    return Stream(2**40 + 17, Purpose.CHAINS, rank=5, position=position)


def some(*shape: int, dtype: torch.dtype, seed: int = 0, scale: float = 3.0) -> Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.uniform(-scale, scale, shape)).to(dtype)


# Every draw in place, with parameters of its own; `backend` is the dispatch or one of its backends.
def binary_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    backend.binary_(states, bias_of(states), stream)


def spin_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    backend.spin_(states, bias_of(states), stream)


def gaussian_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    backend.gaussian_(states, bias_of(states), precision_of(states, 2), stream)


def relu_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    backend.relu_(states, bias_of(states), precision_of(states, 2), stream)


def drelu_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    bias = bias_of(states)
    halves = bias, precision_of(states, 2), bias.flip(0), precision_of(states, 4)
    backend.drelu_(states, *halves, stream)


def binomial_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    columns = torch.arange(states.shape[1])  # from a few trials to many
    trials = 2 ** (columns % 21).to(states)
    backend.binomial_(states, bias_of(states), trials.to(states.device), stream)


def poisson_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    rates = 4 * bias_of(states) + 2  # means from a hundredth to thousands
    backend.poisson_(states, rates, stream)


def categorical_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    columns = states.shape[1]
    n_categories = next(n for n in (3, 2, columns) if columns % n == 0)
    backend.categorical_(states, bias_of(states), n_categories, stream)


def uniform_(backend: ModuleType, states: Tensor, stream: Stream) -> None:
    if backend is kernels:
        shape = tuple(states.shape)
        states.copy_(kernels.uniform(shape, stream, device=states.device, dtype=states.dtype))
    else:
        backend.uniform_(states, stream)


def bias_of(states: Tensor) -> Tensor:
    return some(states.shape[1], dtype=states.dtype, seed=1, scale=1).to(states.device)


def precision_of(states: Tensor, seed: int) -> Tensor:
    return some(states.shape[1], dtype=states.dtype, seed=seed, scale=1).exp().to(states.device)


Draw = Callable[[ModuleType, Tensor, Stream], None]
DRAWS: list[Draw] = [
    *(binary_, spin_, gaussian_, relu_, drelu_, binomial_, poisson_, categorical_, uniform_)
]
CONTINUOUS = (gaussian_, relu_, drelu_)

each_draw = pytest.mark.parametrize("draw_", DRAWS, ids=lambda draw_: draw_.__name__)
each_backend = pytest.mark.parametrize(
    "backend", [kernels, cpu, reference], ids=lambda backend: backend.__name__.split(".")[-1]
)


def drawn(draw_: Callable[..., object], inputs: Tensor, *arguments: object) -> Tensor:
    """The states that overwrite a copy of the inputs."""
    states = inputs.clone()
    draw_(states, *arguments)
    return states


def drawn_by(backend: ModuleType, draw_: Draw, inputs: Tensor) -> Tensor:
    states = inputs.clone()
    draw_(backend, states, stream())
    return states


def agree(draw_: Draw, a: Tensor, b: Tensor) -> bool:
    """Same states; continuous ones to rounding of mean and noise, which are at most 40 here."""
    if draw_ in CONTINUOUS:
        # a chance near 1 is rounded, and far below zero the density is a hundredth
        of_inverse = 0 if draw_ is gaussian_ else 4e-12
        return torch.allclose(a, b, rtol=0, atol=8 * 40 * torch.finfo(a.dtype).eps + of_inverse)
    return torch.equal(a, b)


# --- the bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("counter", "key", "result"), PHILOX_VECTORS)
def test_philox_known_answers(counter: str, key: str, result: str) -> None:
    c, k, r = ([int(word, 16) for word in words.split()] for words in (counter, key, result))
    assert [int(word) for word in reference.philox(*torch.tensor(c), *k)] == r
    assert [int(word) for word in cpu.draws.philox(*np.array(c + k, dtype=np.uint32))] == r


@pytest.mark.parametrize("position", [0, 2**32 - 1, 2**32, 2**40 - 1])
def test_words_are_philox_of_column_group_row_and_stream(position: int) -> None:
    drawn = reference.words(3, 7, stream(position), torch.device("cpu"))
    key_0, key_1, c2, c3 = stream(position).take()
    for row in range(3):
        groups = [reference.philox(*torch.tensor([i, row, c2, c3]), key_0, key_1) for i in range(2)]
        assert drawn[row].tolist() == [int(groups[j % 2][j // 2]) for j in range(7)]


def test_uniforms_are_midpoints_of_the_high_bits() -> None:
    words = reference.words(50, 41, stream(), torch.device("cpu"))
    for dtype in DTYPES:
        u = kernels.uniform((50, 41), stream(), dtype=dtype)
        assert torch.equal(u.double() * 2**24, 2.0 * (words >> 9) + 1)
        assert u.min() > 0 and u.max() < 1


def test_the_ends_of_the_interval_are_left_out() -> None:
    """The largest and the smallest word, which no test would meet by chance."""
    ends = [cpu.draws.uniform(np.uint32(word)) for word in (0, 2**32 - 1)]
    assert ends == [2.0**-24, 1 - 2.0**-24]


def test_every_device_draws_the_same_bits(device: torch.device) -> None:
    here = reference.words(5, 9, stream(), torch.device("cpu"))
    assert torch.equal(reference.words(5, 9, stream(), device).cpu(), here)
    u = kernels.uniform((5, 9), stream(), device=device)
    assert torch.equal(u.cpu(), kernels.uniform((5, 9), stream()))
    assert u.device == device


def test_a_draw_advances_the_stream_by_one() -> None:
    for draw_ in DRAWS:
        for backend in (kernels, cpu, reference):
            s = stream()
            draw_(backend, torch.zeros(3, 4), s)
            assert s.position == 4
    s = stream()
    kernels.permutation(10, s)
    kernels.normal((2, 3), s)
    assert s.position == 5


# --- compiled = reference ---------------------------------------------------------------------


@each_dtype
@each_shape
@each_draw
def test_compiled_kernels_equal_the_reference(
    draw_: Draw, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    inputs = some(*shape, dtype=dtype)
    compiled, defined = (drawn_by(backend, draw_, inputs) for backend in (cpu, reference))
    assert agree(draw_, compiled, defined)


def band(p: oracle.Array, dtype: torch.dtype, n_categories: int = 2) -> oracle.Array:
    """How far from the probability rounding may move the threshold.

    An exponential is good to 2 eps, and each of the sums, products and quotients adds eps / 2.
    """
    return p * torch.finfo(dtype).eps * (2 + 0.5 * (n_categories + 2))


def logit_near(u: Tensor, dtype: torch.dtype, spread: float) -> Tensor:
    """Inputs whose probability is the uniform number to a few multiples of rounding."""
    u = u.double()
    nudge = some(*u.shape, dtype=torch.float64, seed=9, scale=spread) * torch.finfo(dtype).eps
    return torch.logit(u * (1 + nudge)).to(dtype)


@each_dtype
@pytest.mark.parametrize(("name", "scale"), [("binary_", 1), ("spin_", 2)])
def test_a_draw_differs_only_within_rounding_of_the_probability(
    name: str, scale: int, dtype: torch.dtype
) -> None:
    u = kernels.uniform(LARGE, stream(), dtype=dtype)
    # the inputs themselves round, by eps times their size, so that near 1/2 is nearest
    inputs = logit_near(u, dtype, spread=40) / scale
    bias = torch.zeros(LARGE[1], dtype=dtype)
    ups = [
        drawn(getattr(backend, name), inputs, bias, stream()).numpy() > 0
        for backend in (cpu, reference)
    ]
    u, p = u.double().numpy(), expit(scale * inputs.double().numpy())
    decided = np.abs(u - p) > band(p, dtype)
    assert 0.02 < (~decided).mean() < 0.5  # the test looks where it matters
    for up in ups:
        assert (up == (u < p))[decided].all()


@each_dtype
@pytest.mark.parametrize("n_categories", [2, 3, 5])
def test_a_category_differs_only_within_rounding_of_the_probability(
    n_categories: int, dtype: torch.dtype
) -> None:
    rows, n = 200, 60
    u = kernels.uniform((rows, n), stream(), dtype=dtype).double()
    # the first category gets the uniform number, the others share the rest
    logits = some(rows, n, n_categories, dtype=torch.float64).log_softmax(-1)
    first = logit_near(u, torch.float64, spread=40 * torch.finfo(dtype).eps / 2**-52)
    logits[..., 0] = 0
    logits[..., 1:] -= logits[..., 1:].logsumexp(-1, keepdim=True) + first.unsqueeze(-1)
    logits = logits.to(dtype)
    inputs = logits.reshape(rows, -1)
    bias = torch.zeros(n * n_categories, dtype=dtype)
    both = [
        drawn(backend.categorical_, inputs, bias, n_categories, stream())
        for backend in (cpu, reference)
    ]
    z = logits - logits.amax(-1, keepdim=True)
    weights = np.exp(z.double().numpy())
    cumulative = (weights / weights.sum(-1, keepdims=True)).cumsum(-1)
    u = u.numpy()[..., None]
    last = n_categories - 1
    decided = (np.abs(u - cumulative) > band(cumulative, dtype, n_categories))[..., :last].all(-1)
    assert 0.01 < (~decided).mean() < 0.5
    expected = (u >= cumulative)[..., :last].sum(-1)
    for states in both:
        one_hot = states.numpy().reshape(rows, n, n_categories)
        assert (np.sort(one_hot, axis=-1) == np.eye(n_categories)[-1]).all()
        assert (one_hot.argmax(-1) == expected)[decided].all()


@each_dtype
@each_draw
def test_any_number_of_threads_gives_the_same_bits(
    draw_: Draw, dtype: torch.dtype, threads: int
) -> None:
    inputs = some(*LARGE, dtype=dtype)
    together = drawn_by(cpu, draw_, inputs)
    torch.set_num_threads(1)
    assert torch.equal(together, drawn_by(cpu, draw_, inputs))


@each_draw
@each_backend
def test_a_row_does_not_depend_on_the_number_of_rows(draw_: Draw, backend: ModuleType) -> None:
    inputs = some(*LARGE, dtype=torch.float32)
    for n_rows in (1, 40):
        few = drawn_by(backend, draw_, inputs[:n_rows])
        assert torch.equal(few, drawn_by(backend, draw_, inputs)[:n_rows])


@each_dtype
@each_draw
def test_states_that_are_not_contiguous(draw_: Draw, dtype: torch.dtype) -> None:
    inputs = some(6, 18, dtype=dtype)
    expected = drawn_by(reference, draw_, inputs)
    every_other = torch.zeros(12, 36, dtype=dtype)
    for view in (torch.zeros(18, 6, dtype=dtype).T, every_other[::2, ::2]):
        view.copy_(inputs)
        draw_(kernels, view, stream())
        assert agree(draw_, view, expected)
    assert not every_other[1::2].any() and not every_other[:, 1::2].any()


def test_parameters_that_are_not_contiguous() -> None:
    inputs, bias = some(5, 8, dtype=torch.float32), some(16, dtype=torch.float32)[::2]
    assert torch.equal(
        kernels.binary_(inputs.clone(), bias, stream()),
        kernels.binary_(inputs.clone(), bias.clone(), stream()),
    )


@each_draw
@each_backend
@pytest.mark.parametrize("shape", [(0, 6), (4, 0), (0, 0)], ids=str)
def test_nothing_to_draw(draw_: Draw, backend: ModuleType, shape: tuple[int, int]) -> None:
    assert drawn_by(backend, draw_, torch.zeros(shape)).shape == shape


# --- extremes ---------------------------------------------------------------------------------


@each_dtype
@each_backend
@pytest.mark.parametrize("size", [1e4, float("inf")])
def test_strong_inputs_decide(backend: ModuleType, size: float, dtype: torch.dtype) -> None:
    bias = torch.zeros(64, dtype=dtype)
    for sign in (-1, 1):
        inputs = torch.full((40, 64), sign * size, dtype=dtype)
        assert (drawn(backend.binary_, inputs, bias, stream()) == max(sign, 0)).all()
        assert (drawn(backend.spin_, inputs, bias, stream()) == sign).all()


@each_dtype
@each_backend
def test_strong_inputs_decide_between_categories(backend: ModuleType, dtype: torch.dtype) -> None:
    for winner in range(4):
        for low, high in ((0, 1e4), (-1e4, 0), (-1e4, 1e4), (-float("inf"), 0)):
            inputs = torch.full((40, 4 * 16), low, dtype=dtype)
            inputs[:, winner::4] = high
            bias = torch.zeros(4 * 16, dtype=dtype)
            states = drawn(backend.categorical_, inputs, bias, 4, stream())
            assert torch.equal(states, torch.eye(4, dtype=dtype)[winner].repeat(40, 16))


@each_dtype
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_what_cannot_be_decided_is_still_a_state(value: float, dtype: torch.dtype) -> None:
    inputs, bias = torch.full((40, 12), value, dtype=dtype), torch.zeros(12, dtype=dtype)
    for _ in range(2):
        states = drawn(kernels.categorical_, inputs, bias, 3, stream())
        assert (states.reshape(40, 4, 3).sort(-1).values == torch.eye(3, dtype=dtype)[2]).all()
        assert torch.equal(states, drawn(kernels.categorical_, inputs, bias, 3, stream()))


@each_dtype
def test_strong_inputs_of_gaussian_units(dtype: torch.dtype) -> None:
    bias, precision = torch.zeros(9, dtype=dtype), torch.full((9,), 4.0, dtype=dtype)
    for size in (-1e4, 1e4):
        inputs = torch.full((7, 9), size, dtype=dtype)
        states = kernels.gaussian_(inputs, bias, precision, stream())
        assert ((states - size / 4).abs() < 7 / 2).all()  # 7: no word gives a larger normal


# --- the numbers are random -------------------------------------------------------------------


def pair_p_value(a: Tensor, b: Tensor, bins: int = 8) -> float:
    """Chi-square test that pairs of uniform numbers fill the square evenly."""
    cells = (a * bins).long() * bins + (b * bins).long()
    counts = np.bincount(cells.flatten().numpy(), minlength=bins**2)
    return oracle.chi_square(counts, np.full(bins**2, bins**-2))


# A threshold for a fixed seed: out of some 30 tests, a right generator fails one in 30,000 times.
LEAST_P = 1e-6


def test_uniforms_are_uniform() -> None:
    u = kernels.uniform((500, 203), stream(), dtype=torch.float64)
    for finer in (1, 2**6, 2**12):  # the low bits as well as the high ones
        counts = np.bincount((u * finer % 1 * 64).long().flatten().numpy(), minlength=64)
        assert oracle.chi_square(counts, np.full(64, 1 / 64)) > LEAST_P


def test_neighbours_are_independent() -> None:
    u = kernels.uniform((400, 204), stream())
    q = 204 // 4
    pairs = {
        "columns": (u[:, :-1], u[:, 1:]),
        "rows": (u[:-1], u[1:]),
        "words of a counter": (u[:, :q], u[:, q : 2 * q]),
        "far words of a counter": (u[:, :q], u[:, 3 * q :]),
        "positions": (u, kernels.uniform((400, 204), stream(4))),
        "high positions": (u, kernels.uniform((400, 204), stream(3 + 2**32))),
    }
    other = {
        "purposes": Stream(2**40 + 17, Purpose.SAMPLE, 5, 3),
        "ranks": Stream(2**40 + 17, Purpose.CHAINS, 6, 3),
        "seeds": Stream(2**40 + 18, Purpose.CHAINS, 5, 3),
        "high seeds": Stream(2**41 + 17, Purpose.CHAINS, 5, 3),
    }
    pairs |= {name: (u, kernels.uniform((400, 204), s)) for name, s in other.items()}
    p_values = {name: pair_p_value(*pair) for name, pair in pairs.items()}
    assert min(p_values.values()) > LEAST_P, p_values


@each_dtype
def test_normals_are_normal_and_independent(dtype: torch.dtype) -> None:
    normal = kernels.normal((400, 204), stream(), dtype=dtype)
    u = torch.from_numpy(ndtr(normal.double().numpy()))
    counts = np.bincount((u * 64).long().flatten().numpy(), minlength=64)
    assert oracle.chi_square(counts, np.full(64, 1 / 64)) > LEAST_P
    q = 204 // 4
    for k, m in combinations(range(4), 2):  # Box-Muller's pairs, and what is in no pair
        assert pair_p_value(u[:, k * q : (k + 1) * q], u[:, m * q : (m + 1) * q]) > LEAST_P
    assert pair_p_value(u[:-1], u[1:]) > LEAST_P


def test_permutations() -> None:
    for n in (0, 1, 2, 1_000):
        order = kernels.permutation(n, stream())
        assert order.dtype == torch.int64
        assert torch.equal(order.sort().values, torch.arange(n))
    assert torch.equal(kernels.permutation(100, stream()), kernels.permutation(100, stream()))


def test_permutations_are_the_same_whether_words_are_compiled_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernels.binary_(torch.zeros(1, 1), torch.zeros(1), stream())  # finds the compiled kernels
    compiled = [kernels.permutation(n, stream()) for n in (1, 2, 5, 1001)]
    monkeypatch.setattr(kernels.backends, "_cpu", None)
    for order in compiled:
        assert torch.equal(order, kernels.permutation(len(order), stream()))


def test_permutations_are_uniform() -> None:
    s = stream()
    orders = torch.stack([kernels.permutation(4, s) for _ in range(1_500)])
    index = (orders * torch.tensor([64, 16, 4, 1])).sum(1)
    counts = np.unique(index.numpy(), return_counts=True)[1]
    assert len(counts) == 24
    assert oracle.chi_square(counts, np.full(24, 1 / 24)) > LEAST_P


# --- manners ----------------------------------------------------------------------------------


def test_no_global_generator_is_touched() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    for draw_ in DRAWS:
        for backend in (kernels, reference):
            drawn_by(backend, draw_, some(*LARGE, dtype=torch.float32))
    kernels.normal((3, 4), stream())
    kernels.permutation(9, stream())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert random.getstate() == before[2]


def test_a_draw_overwrites_and_returns_its_inputs() -> None:
    inputs, bias = torch.zeros(3, 6), torch.zeros(6)
    assert kernels.binary_(inputs, bias, stream()) is inputs
    assert kernels.spin_(inputs, bias, stream()) is inputs
    assert kernels.gaussian_(inputs, bias, bias + 1, stream()) is inputs
    assert kernels.categorical_(inputs, bias, 2, stream()) is inputs


def test_a_draw_has_no_gradient() -> None:
    bias = torch.zeros(6, requires_grad=True)
    for view in (torch.zeros(3, 6), torch.zeros(6, 3).T):  # compiled, and reference
        for states in (
            kernels.binary_(view, bias, stream()),
            kernels.spin_(view, bias, stream()),
            kernels.gaussian_(view, bias, bias + 1, stream()),
            kernels.categorical_(view, bias, 2, stream()),
        ):
            assert not states.requires_grad


def test_what_does_not_fit_is_refused_before_anything_is_read() -> None:
    s = stream()
    message = r"inputs have 6 columns, but the units' parameters have shape \(4,\)"
    with pytest.raises(ValueError, match=message):
        kernels.binary_(torch.zeros(3, 6), torch.zeros(4), s)
    with pytest.raises(ValueError, match=message):
        kernels.gaussian_(torch.zeros(3, 6), torch.zeros(6), torch.ones(4), s)
    with pytest.raises(ValueError, match=r"rows and columns, not shape \(6,\)"):
        kernels.spin_(torch.zeros(6), torch.zeros(6), s)
    assert s.position == 3


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has needed Numba yet."""
    monkeypatch.setattr(kernels.backends, "_cpu", None)


def what_fails(*_: object) -> None:
    raise RuntimeError("cannot cache function\nmore of it")


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("failure", ["import", "compiler"])
def test_without_numba_everything_falls_back_with_one_warning(
    failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    v, h = sparse(9, 7, 0.5, torch.float32), some(9, 5, dtype=torch.float32)
    weights, bias = some(7, 5, dtype=torch.float32), some(5, dtype=torch.float32)
    if failure == "import":
        monkeypatch.delattr(kernels, "cpu")
        monkeypatch.setitem(sys.modules, "harmonium.kernels.cpu", None)
        reason = r"\(ModuleNotFoundError: .*halted"
    else:
        monkeypatch.setattr(cpu, "binary_", what_fails)
        reason = (
            r"\(RuntimeError: cannot cache function\); draws and products on CPU go through torch's"
        )
    s, out = stream(), torch.empty(9, 5)
    with pytest.warns(RuntimeWarning, match=reason):
        mean = kernels.binary_layer(v, weights, bias, out, s)
    assert torch.equal(mean, torch.sigmoid(v @ weights + bias))
    assert torch.equal(out, drawn_by(reference, kernels_binary(bias), v @ weights))
    assert s == stream(position=4)
    # said once: warnings are errors here
    layers = (torch.zeros(7), 0), (bias, 0)
    assert not kernels.sweeps_((v, out), weights, *layers, 5, s)
    assert torch.equal(kernels.product(v, weights), v @ weights)
    moments = kernels.moments_(torch.empty(7, 5), (v, h), (v, mean))
    torch.testing.assert_close(moments, v.T @ (mean - h) / 9)
    offsets = v.mean(0), h.mean(0)
    biases = torch.empty(7), torch.empty(5)
    kernels.centred_gradient_(moments, (v, h), (v, mean), biases, offsets, 0.1)
    assert moments.isfinite().all()


def kernels_binary(bias: Tensor) -> Draw:
    return lambda backend, states, s: backend.binary_(states, bias, s)


# Products that skip zeros, and the centred gradient


def sparse(rows: int, columns: int, density: float, dtype: torch.dtype, seed: int = 1) -> Tensor:
    """States that are zero but for a share, with other values than 1 among them."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(rows, columns, generator=generator, dtype=dtype)
    kept = torch.rand(rows, columns, generator=generator, dtype=dtype) < density
    return torch.where(kept, torch.where(values < 0.7, torch.ones_like(values), -values), 0)


def rounding(n_terms: int, size: float, dtype: torch.dtype) -> float:
    """A bound on how far two orders of a sum of so many terms can be apart."""
    return 2 * n_terms * size * torch.finfo(dtype).eps


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also small products skip zeros."""
    monkeypatch.setattr(cpu.products, "_SPARSE_FROM", 0)


DENSITIES = [0.0, 0.02, 0.13, 0.2, 0.5, 1.0]


@pytest.mark.usefixtures("any_size", "threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 37, 5), (50, 64, 10), (7, 100, 129)], ids=str)
def test_a_product_is_the_product(
    shape: tuple[int, int, int], density: float, dtype: torch.dtype
) -> None:
    rows, inner, columns = shape
    states = sparse(rows, inner, density, dtype)
    weights = some(inner, columns, dtype=dtype)
    out = torch.full((rows, columns), torch.nan, dtype=dtype)
    assert kernels.product(states, weights, out) is out
    expected = (states.double() @ weights.double()).to(dtype)
    error = rounding(inner, weights.abs().max().item(), dtype)
    assert (out - expected).abs().max() <= error
    assert torch.equal(kernels.product(states, weights), out)


# Rows of the data and of the chains: words of 64 rows with and without a rest.
PHASES = [(9, 21), (64, 130)]


@pytest.mark.usefixtures("any_size", "threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("rows", PHASES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_moments_are_the_moments(
    density: float, rows: tuple[int, int], scale: float, dtype: torch.dtype
) -> None:
    n, n_chains = rows
    v, h = sparse(n, 41, density, dtype), some(n, 13, dtype=dtype)
    v_chains = sparse(n_chains, 41, density, dtype, seed=2)
    h_chains = some(n_chains, 13, dtype=dtype, seed=3)
    out = torch.full((41, 13), torch.nan, dtype=dtype)
    kernels.moments_(out, (v, h), (v_chains, h_chains), scale)
    of_data, of_chains = v.T.double() @ h.double(), v_chains.T.double() @ h_chains.double()
    expected = of_chains / n_chains - of_data / n
    size = h.abs().max().item() + h_chains.abs().max().item()
    assert (out - scale * expected).abs().max() <= rounding(n + n_chains, size, dtype)


@pytest.mark.usefixtures("any_size", "threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("density", [0.13, 0.5])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (50, 37)], ids=str)
def test_the_compiled_centring_equals_the_reference(
    shape: tuple[int, int], density: float, dtype: torch.dtype
) -> None:
    rows, columns = shape
    phases = [
        (sparse(n, rows, density, dtype, seed=n), some(n, columns, dtype=dtype, seed=n, scale=1))
        for n in (9, 70)
    ]
    offsets = [some(n, dtype=dtype, seed=n + 1, scale=1) for n in shape]
    results = []
    for backend in (kernels, reference):
        out, moved = torch.full(shape, torch.nan, dtype=dtype), [x.clone() for x in offsets]
        biases = [torch.full_like(x, torch.nan) for x in offsets]
        backend.centred_gradient_(out, *phases, biases, moved, 0.1, 0.7)
        results.append((out, *biases, *moved))
    size = max(x.abs().max().item() for x in results[1])
    for got, want in zip(*results, strict=True):
        n_terms = rows + columns + 2 + 9 + 70
        assert (got - want).abs().max() <= rounding(n_terms, (1 + size) ** 2, dtype)


@pytest.mark.usefixtures("any_size", "threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("density", [0.0, 0.13, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 37, 5), (60, 64, 150)], ids=str)
def test_a_layer_has_its_means_and_draws_as_its_draw_does(
    shape: tuple[int, int, int], density: float, dtype: torch.dtype
) -> None:
    rows, n, columns = shape
    states = sparse(rows, n, density, dtype)
    weights, bias = some(n, columns, dtype=dtype, scale=1), some(columns, dtype=dtype, seed=4)
    out, s = torch.full((rows, columns), torch.nan, dtype=dtype), stream()
    mean = kernels.binary_layer(states, weights, bias, out, s)
    inputs = kernels.product(states, weights)
    expected = torch.sigmoid(inputs.double() + bias.double())
    assert (mean - expected).abs().max() <= 4e-7  # the compiled exponential is float32's
    assert torch.equal(out, kernels.binary_(inputs, bias, stream()))
    assert s == stream(position=4)
    assert torch.equal(kernels.binary_layer(states, weights, bias), mean)


def test_a_layer_that_no_compiled_loop_can_take() -> None:
    states, weights, bias = torch.rand(6, 5).T, torch.rand(6, 4), torch.rand(4)
    out = torch.empty(5, 4)
    mean = kernels.binary_layer(states, weights, bias, out, stream())
    compiled = torch.empty(5, 4)
    again = kernels.binary_layer(states.contiguous(), weights, bias, compiled, stream())
    torch.testing.assert_close(mean, again)
    assert torch.equal(out, compiled)
    half = [x.half() for x in (states, weights, bias)]
    torch.testing.assert_close(kernels.binary_layer(*half).float(), mean, rtol=0, atol=1e-2)


def test_skipping_zeros_gives_the_same_bits_on_any_number_of_threads() -> None:
    # large enough to skip zeros without being told to
    states, h = sparse(100, 784, 0.13, torch.float32), some(100, 300, dtype=torch.float32)
    weights = some(784, 300, dtype=torch.float32)
    offsets = weights[:, 0].contiguous(), weights[0].contiguous()
    bias_h = h.mean(0)
    before, results = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3, 7):
            torch.set_num_threads(n)
            phases = (states, h), (states[:60], h[:60])
            moments = kernels.moments_(torch.empty(784, 300), *phases)
            gradient, by_bias = torch.empty(784, 300), (torch.empty(784), torch.empty(300))
            moved = tuple(offset.clone() for offset in offsets)
            kernels.centred_gradient_(gradient, *phases, by_bias, moved, 0.1)
            mean = kernels.binary_layer(states, weights, bias_h)
            product = kernels.product(states, weights)
            results.append((product, mean, moments, gradient, *by_bias, *moved))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_zeros_are_skipped_where_there_are_many(
    n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Infinite weights of units that are off do nothing; multiplied by zero they make NaN."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    states = torch.zeros(100, 784)
    states[:, :80] = 1
    weights = torch.ones(784, 100)
    weights[80:] = torch.inf
    assert torch.equal(kernels.product(states, weights), torch.full((100, 100), 80.0))
    # too dense, and too small
    assert torch.mm(states, weights).isnan().all()
    assert kernels.product(states[:, :100], weights[:100]).isnan().all()
    states[:, :200] = 1
    assert not kernels.product(states, weights).isfinite().any()


def test_products_that_are_not_contiguous_or_of_mixed_precision() -> None:
    states = sparse(784, 100, 0.1, torch.float32).T
    weights, out = torch.rand(784, 60), torch.empty(60, 100).T
    expected = torch.mm(states, weights)
    assert torch.allclose(kernels.product(states, weights), expected, atol=1e-4)
    kernels.product(states.contiguous(), weights, out)
    assert torch.allclose(out, expected, atol=1e-4)
    wide = torch.rand(60, 784).T
    assert torch.allclose(
        kernels.product(states.contiguous(), wide), torch.mm(states, wide), atol=1e-4
    )


def test_the_number_of_threads_stays_as_it_was_set() -> None:
    """Numba's threads are OpenMP's and so torch's: starting them must not change their number."""
    program = """
import torch
torch.set_num_threads(1)
from harmonium import Purpose, Stream, kernels
before = torch.get_num_threads()
kernels.uniform((100, 1000), Stream(0, Purpose.CHAINS))
kernels.product(torch.zeros(100, 1000), torch.zeros(1000, 100))
print(before, torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1"], done.stderr


def test_what_cannot_be_multiplied_is_refused() -> None:
    v, h, out = torch.ones(3, 4), torch.ones(3, 2), torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"shape \(3, 4\) times weights of shape \(5, 2\)"):
        kernels.product(v, torch.ones(5, 2))
    with pytest.raises(ValueError, match=r"shape \(4,\); pass a table of rows"):
        kernels.product(v[0], out)
    with pytest.raises(ValueError, match="do not fit into shape"):
        kernels.product(v, out, torch.empty(4, 2))
    with pytest.raises(ValueError, match="do not make moments"):
        kernels.moments_(out, (v, h), (v, h[:2]))
    with pytest.raises(ValueError, match="do not make moments"):
        kernels.centred_gradient_(out, (v, h), (v, h[:2]), (v[0], h[0]), (v[0], h[0]), 0.1)
    with pytest.raises(ValueError, match="one for each row and one for each column"):
        kernels.centred_gradient_(out, (v, h), (v, h), (v[0], h[0]), (v[0], v[0]), 0.1)
    with pytest.raises(ValueError, match="pass rows of 5 columns"):
        kernels.binary_layer(v, torch.ones(5, 2), h[0])
    with pytest.raises(ValueError, match="one parameter for each column"):
        kernels.binary_layer(v, out, v[0])
    for half in ({"out": torch.ones(3, 2)}, {"stream": stream()}):
        with pytest.raises(ValueError, match="pass both, or neither"):
            kernels.binary_layer(v, out, h[0], **half)
    assert torch.equal(out, torch.zeros(4, 2))
