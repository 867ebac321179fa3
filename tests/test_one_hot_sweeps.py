"""Sweeps of categorical layers by their categories: the draws of sweeps by products."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium import RBM, Binary, Categorical, DReLU, Gaussian, Gibbs, Mixed, ReLU, Spin, kernels
from harmonium.kernels import cpu, reference
from harmonium.kernels.cpu import categories, draws, lines, one_hot
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, start_random
from harmonium.units import Units


def stream() -> Stream:
    return Stream(7, Purpose.CHAINS, rank=1, position=2)


def hidden_layers(n: int) -> list[Units]:
    return [
        Binary(n),
        Spin(n),
        Gaussian(n),
        ReLU(n),
        DReLU(n),
        Categorical(n, 3),
        Mixed(Binary(n), Gaussian(2)),
    ]


def model(visible: Units, hidden: Units, seed: int = 0) -> RBM:
    """Weights and biases are multiples of 1/64, so that float32 sums them exactly in any order."""
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(visible, hidden)
    with torch.no_grad():
        for parameter in (rbm.weights, visible.bias, hidden.bias):
            parameter.copy_(torch.randint(-48, 49, parameter.shape, generator=generator) / 64)
    return rbm


def swept(rbm: RBM, chains: ChainState, sweeps: int) -> tuple[Tensor, Tensor, int]:
    chains, at = chains.clone(), stream()
    info = Gibbs(sweeps)(rbm, chains, at)[1]
    assert torch.isfinite(info.hidden["bias"]).all()
    return chains.visible, chains.hidden, at.position


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Small layers count as worthwhile; which calls were made by categories."""
    calls: list[bool] = []
    sweeps = kernels.one_hot_sweeps_
    monkeypatch.setattr(one_hot, "_WORTHWHILE_FROM", 0)
    monkeypatch.setattr(one_hot, "_LEAST_SWEEPS", 0)
    monkeypatch.setattr(one_hot, "_LEAST_WAYS_UP", 0)
    monkeypatch.setattr(one_hot, "_tables_pay", lambda *sizes: True)
    monkeypatch.setattr(
        kernels, "one_hot_sweeps_", lambda *a: (calls.append(sweeps(*a)), calls[-1])[1]
    )
    yield calls


def by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "one_hot_sweeps_", lambda *arguments: False)


# q, units, rows: two categories; a last block that is not full; one unit a block; whole lines
SIZES = [(2, 5, 70), (3, 43, 9), (21, 7, 65), (40, 2, 130), (64, 3, 3), (5, 1, 1)]


@pytest.mark.parametrize(("q", "n", "rows"), SIZES)
@pytest.mark.parametrize("kind", range(7))
def test_sweeps_by_categories_are_those_by_products_bit_for_bit(
    q: int, n: int, rows: int, kind: int, used: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm = model(Categorical(n, q), hidden_layers(11)[kind])
    chains = start_random(rbm, rows, stream())
    made = [swept(rbm, chains, sweeps) for sweeps in (1, 3)]
    assert used == [True, True]
    by_products(monkeypatch)
    for sweeps, (v, h, position) in zip((1, 3), made, strict=True):
        v_other, h_other, position_other = swept(rbm, chains, sweeps)
        assert torch.equal(v, v_other) and torch.equal(h, h_other)
        assert position == position_other


@pytest.mark.parametrize("n_hidden", [1, 64, 65, 300, 1000])
@pytest.mark.parametrize("hidden", [Binary, Spin])
def test_wide_layers_need_several_tables_and_panels(
    n_hidden: int,
    hidden: Callable[[int], Units],
    used: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rbm = model(Categorical(20, 21), hidden(n_hidden))
    chains = start_random(rbm, 100, stream())
    v, h, _ = swept(rbm, chains, 2)
    assert used == [True]
    by_products(monkeypatch)
    v_other, h_other, _ = swept(rbm, chains, 2)
    assert torch.equal(v, v_other) and torch.equal(h, h_other)


def test_more_rows_than_stay_in_the_cache_at_once(used: list[bool]) -> None:
    rbm, rows = model(Categorical(4, 5), Binary(6)), one_hot._ROWS_AT_ONCE + 70
    chains = start_random(rbm, rows, stream())
    inputs, at = chains.hidden @ rbm.weights.detach().T, stream()
    v, _, _ = swept(rbm, chains, 1)
    assert used == [True]
    assert torch.equal(v, kernels.categorical_(inputs, rbm.visible.bias, 5, at))


def test_draws_are_those_of_the_reference(used: list[bool]) -> None:
    rbm = model(Categorical(50, 21), Binary(40))
    chains = start_random(rbm, 200, stream())
    expected = chains.hidden @ rbm.weights.detach().T
    reference.categorical_(expected, rbm.visible.bias.detach(), 21, stream())
    v, _, _ = swept(rbm, chains, 1)
    # of 10,000 draws, few have a number within rounding, about 1e-6, of one of 20 probabilities
    assert used == [True]
    assert int((v != expected).any(1).sum()) <= 1


def test_weights_of_zero_leave_the_biases(used: list[bool]) -> None:
    rbm = model(Categorical(6, 4), Binary(10))
    rbm.weights.data.zero_()
    chains = start_random(rbm, 80, stream())
    v, _, _ = swept(rbm, chains, 1)
    assert used == [True]
    assert torch.equal(v, rbm.visible.sample_alone(80, stream()))


@pytest.mark.parametrize("hidden", [Binary(300), Gaussian(70)])
def test_bits_do_not_depend_on_the_number_of_threads(hidden: Units) -> None:
    rbm = RBM(Categorical(30, 21), hidden)
    torch.nn.init.normal_(rbm.weights, generator=torch.Generator().manual_seed(1))
    chains = start_random(rbm, 150, stream())
    inputs = (chains.hidden @ rbm.weights.detach().T).numpy()
    before, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            sweeps = one_hot._Sweeps(150, rbm.weights.detach(), np.zeros(630, "f4"), 21)
            h = chains.hidden.clone()
            if hidden.low_state == 0:
                assert sweeps.draw_from_states(h.numpy(), 0, stream())
            else:
                sweeps.draw(inputs, stream())
            sweeps.add_weights(h.numpy())
            found.append((sweeps.letters.copy(), h))
    finally:
        torch.set_num_threads(before)
    for letters, h in found[1:]:
        assert np.array_equal(letters, found[0][0]) and torch.equal(h, found[0][1])


def test_chains_that_start_at_means_are_multiplied(
    used: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm = model(Categorical(6, 4), Binary(10))
    chains = start_random(rbm, 30, stream())
    chains.hidden.fill_(0.5)
    v, h, _ = swept(rbm, chains, 2)
    assert used == [True]
    by_products(monkeypatch)
    v_other, h_other, _ = swept(rbm, chains, 2)
    assert torch.equal(v, v_other) and torch.equal(h, h_other)


class Priced(Categorical):
    """Categories whose energy is not that of the base class."""

    def energy(self, x: Tensor) -> Tensor:
        return super().energy(x) + 1


def test_what_is_left_to_products(used: list[bool]) -> None:
    with_nan = model(Categorical(4, 3), Binary(5))
    with_nan.weights.data[2, 1] = float("nan")
    refused = [
        model(Categorical(4, 3), Binary(5)).double(),
        model(Categorical(2, lines.LINE + 1), Binary(5)),
        with_nan,
    ]
    for rbm in refused:
        v, h = rbm.weights.new_zeros(9, len(rbm.weights)), rbm.weights.new_zeros(9, 5)
        at = stream()
        visible, hidden = (rbm.visible.bias, rbm.visible.width), (rbm.hidden.sample_, 0)
        assert not kernels.one_hot_sweeps_((v, h), rbm.weights.detach(), visible, hidden, 2, at)
        assert at.position == stream().position and not v.any() and not h.any()
    used.clear()
    for visible_units in (Priced(4, 3), Mixed(Categorical(4, 3), Binary(2)), Binary(12)):
        rbm = model(visible_units, Gaussian(5))
        swept(rbm, start_random(rbm, 9, stream()), 2)
    assert used == []


def test_few_rows_and_small_layers_are_left_to_products() -> None:
    rbm = model(Categorical(4, 3), Binary(5))
    v, h = torch.zeros(9, 12), torch.zeros(9, 5)
    layers = (rbm.visible.bias, 3), (rbm.hidden.sample_, 0)
    assert not kernels.one_hot_sweeps_((v, h), rbm.weights.detach(), *layers, 2, stream())


def test_shapes_that_do_not_fit_are_refused() -> None:
    rbm = model(Categorical(4, 3), Binary(5))
    layers = (rbm.visible.bias, 3), (rbm.hidden.sample_, 0)
    with pytest.raises(ValueError, match="do not fit weights"):
        kernels.one_hot_sweeps_(
            (torch.zeros(9, 12), torch.zeros(9, 6)), rbm.weights, *layers, 2, stream()
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("n", "q"), [(7, 2), (5, 21), (33, 3), (2, 64), (3, 100)])
@pytest.mark.parametrize("rows", [23, 24, 64, 65, 150])
def test_rows_side_by_side_are_those_one_by_one(
    rows: int, n: int, q: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.randn(rows, n * q, generator=generator, dtype=dtype) * 4
    bias = torch.randn(n * q, generator=generator, dtype=dtype)
    one_by_one, words = inputs.numpy().copy(), np.empty(-(-n // 4) * 4, np.uint32)
    key = stream().take()
    for row, states in enumerate(one_by_one):
        draws.fill_words(words, len(words) // 4, row, *key)
        categories._categorical_row(states, bias.numpy(), q, words)
    cpu.categorical_(inputs, bias, q, stream())
    assert np.array_equal(inputs.numpy(), one_by_one)


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 3), (8, 8), (30, 4)])
def test_tables_hold_the_sums_over_all_states_of_a_group(n: int, k: int, low: int) -> None:
    generator = np.random.default_rng(n)
    rows = generator.integers(-9, 10, (n, lines.LINE)).astype(np.float32)
    states = generator.choice(np.array([low, 1], np.float32), (20, n))
    n_groups = -(-n // k)
    table = np.empty((n_groups, 2**k, lines.LINE), np.float32)
    names = np.empty((20, n_groups), np.uint8)
    lines.fill_table(table, rows, k, np.float32(low))
    assert lines.name_states(states, np.float32(low), k, names, 0, 20)
    total = table[np.arange(n_groups), names].sum(1)
    assert np.array_equal(total, states @ rows)
    states[3, n - 1] = 0.25
    assert not lines.name_states(states, np.float32(low), k, names, 0, 20)


def test_groups_grow_with_the_rows_that_share_a_table() -> None:
    sizes = [lines.groups(rows, 300)[0] for rows in (1, 30, 1000, 100_000)]
    assert sizes == sorted(sizes) and sizes[0] <= 2 and sizes[-1] == 8
    for rows in (1, 1000):
        for n in (1, 63, 300, 4000):
            k, per_table = lines.groups(rows, n)
            assert per_table * 2**k * 4 * lines.LINE <= 1.1 * lines._TABLE
            assert 1 <= per_table <= -(-n // k)
