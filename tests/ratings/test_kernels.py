"""Kernels for rows of ratings against the reference that defines them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from harmonium import kernels
from harmonium.kernels import Rated, backends, reference_ratings
from harmonium.rng import Lane

N_ROWS, N_COLUMNS, N_HIDDEN, N_LEVELS = 70, 40, 37, 5


def some_rows(seed: int = 0) -> Rated:
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 20, (N_ROWS,), generator=draw)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    n = int(starts[-1])
    columns = torch.randint(0, N_COLUMNS, (n,), generator=draw)
    return Rated(starts, columns, torch.randint(0, N_LEVELS, (n,), generator=draw), N_COLUMNS)


def parts(is_free: bool, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    n_lines = N_COLUMNS * (N_LEVELS if is_free else 1)
    weights = torch.randn(n_lines, N_HIDDEN, generator=draw)
    bias = torch.randn(N_COLUMNS, N_LEVELS, generator=draw)
    factors = torch.ones(N_LEVELS) if is_free else torch.linspace(-1, 1, N_LEVELS)
    return weights, bias, factors


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from harmonium.kernels.cpu import common

    monkeypatch.setattr(common, "worthwhile_threads", lambda n: request.param)
    yield


both = pytest.mark.parametrize("is_free", [False, True], ids=["linear", "free"])


def computed(is_free: bool) -> dict[str, torch.Tensor]:
    """What all kernels give."""
    rated, (weights, bias, factors) = some_rows(), parts(is_free)
    draw = torch.Generator().manual_seed(2)
    hidden = (torch.rand(N_ROWS, N_HIDDEN, generator=draw) < 0.5).float()
    inputs = torch.randn(N_ROWS, N_HIDDEN, generator=draw)
    found = {"sums": kernels.add_rating_inputs_(inputs.clone(), rated, weights, factors)}
    after = inputs.clone()
    drawn = kernels.draw_ratings(
        hidden, rated, weights, bias, factors, Lane.CHAINS.stream(3), after
    )
    found |= {"levels": drawn.levels, "inputs": after}
    levels = drawn.levels, rated.levels
    moments = torch.zeros_like(weights)
    kernels.add_rating_moments_(moments, rated, levels, (hidden, inputs), factors)
    found["moments"] = moments
    for name, own in (("logits", None), ("others", rated.levels)):
        cells = rated.rows, rated.columns
        found[name] = kernels.rating_logits(inputs, *cells, weights, bias, factors, own)
    return found


@both
@pytest.mark.usefixtures("_threads")
def test_kernels_give_what_the_reference_does(
    is_free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = computed(is_free)
    if backends.known() is kernels.reference:
        pytest.skip("there are no compiled kernels here")
    monkeypatch.setattr("harmonium.kernels.ratings._backend", lambda *_: reference_ratings)
    wanted = computed(is_free)
    assert torch.equal(found.pop("levels"), wanted["levels"])
    for name, each in found.items():
        torch.testing.assert_close(each, wanted[name], atol=1e-5, rtol=1e-5)


@both
def test_threads_change_no_bit(is_free: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from harmonium.kernels.cpu import common

    results: list[dict[str, Any]] = []
    for n in (1, 3):
        monkeypatch.setattr(common, "worthwhile_threads", lambda _, n=n: n)
        results.append(computed(is_free))
    for name, each in results[0].items():
        assert torch.equal(each, results[1][name]), name


def test_a_broken_kernel_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that adds a rating's line to the row after it."""
    wanted = computed(False)

    def shifted(out: torch.Tensor, rated: Rated, *others: Any) -> None:
        reference_ratings.add_rating_inputs_(out, rated, *others)
        out.copy_(out.roll(1, 0))

    broken = type("broken", (), dict(vars(reference_ratings), add_rating_inputs_=shifted))
    monkeypatch.setattr("harmonium.kernels.ratings._backend", lambda *_: broken)
    sums = torch.zeros(N_ROWS, N_HIDDEN)
    weights, _, factors = parts(False)
    kernels.add_rating_inputs_(sums, some_rows(), weights, factors)
    assert not torch.allclose(sums, wanted["sums"])


def test_rows_are_taken_in_any_order() -> None:
    rated = some_rows()
    index = torch.tensor([5, 0, 69, 5])
    found = rated.take(index)
    for place, row in enumerate(index.tolist()):
        own = slice(int(rated.starts[row]), int(rated.starts[row + 1]))
        there = slice(int(found.starts[place]), int(found.starts[place + 1]))
        assert torch.equal(found.columns[there], rated.columns[own])
        assert torch.equal(found.levels[there], rated.levels[own])


def test_what_would_be_read_out_of_bounds_is_refused() -> None:
    rated, (weights, bias, factors) = some_rows(), parts(False)
    with pytest.raises(ValueError, match="columns go from"):
        Rated(rated.starts, rated.columns + 1, rated.levels, N_COLUMNS)
    with pytest.raises(ValueError, match="one of each a rating"):
        Rated(rated.starts, rated.columns, rated.levels[1:], N_COLUMNS)
    out = torch.zeros(N_ROWS, N_HIDDEN)
    with pytest.raises(ValueError, match="weights have 39 lines"):
        kernels.add_rating_inputs_(out, rated, weights[1:], factors)
    with pytest.raises(ValueError, match="do not fit into shape"):
        kernels.add_rating_inputs_(out[1:], rated, weights, factors)
    with pytest.raises(ValueError, match="pass 70 rows of each"):
        hidden = out[1:]
        stream = Lane.CHAINS.stream(0)
        kernels.draw_ratings(hidden, rated, weights, bias, factors, stream, hidden)
    high = Rated(rated.starts, rated.columns, rated.levels + 1, N_COLUMNS)
    with pytest.raises(ValueError, match="levels go from 1 to 5; pass 0 to 4"):
        kernels.add_rating_inputs_(out, high, weights, factors)
