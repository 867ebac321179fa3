"""Ranks: two and three processes give the bits of one, and a share's numbers are the whole's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from harmonium import checkpoint, defaults, kernels, ranks
from harmonium.kernels import reference
from harmonium.rng import Purpose, Stream
from harmonium.units import Multinomial

SIZES = (1, 2, 3)
MUCH = 10**9

NOT_SHARED = {"chains that are too few to share": 2, "a model too small to share": 3}
"""Kinds of which less is shared out; at most so many tables an update are."""


def environment(size: int, rank: int) -> dict[str, str]:
    """The environment of one of several processes, of one thread each."""
    world = {"WORLD_SIZE": f"{size}", "RANK": f"{rank}"}
    return {**os.environ, "OMP_NUM_THREADS": "1", **world}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def found() -> dict[tuple[int, int], dict[str, tuple[str, int]]]:
    """What each rank of each number of processes has found, by size and rank."""
    program = [sys.executable, str(Path(__file__).with_name("ranks_at_work.py"))]
    told, begun = [], []
    for size in SIZES:
        world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{free_port()}"}
        for rank in range(size):
            env = environment(size, rank) | world
            begun.append(subprocess.Popen(program, env=env, stdout=subprocess.PIPE, text=True))
        if size in (1, SIZES[-1]):  # one process compiles, and the others do not do it again
            told += [json.loads(one.communicate()[0]) for one in begun[len(told) :]]
    assert all(one.returncode == 0 for one in begun)
    return {(one["size"], one["rank"]): one["found"] for one in told}


def test_any_number_of_ranks_gives_the_bits_of_one(
    found: dict[tuple[int, int], dict[str, tuple[str, int]]],
) -> None:
    alone = {kind: bits for kind, (bits, _) in found[1, 0].items()}
    assert len(found) == sum(SIZES)
    for of_rank in found.values():
        assert {kind: bits for kind, (bits, _) in of_rank.items()} == alone


def test_work_is_shared_out(found: dict[tuple[int, int], dict[str, tuple[str, int]]]) -> None:
    updates = 3
    for (size, _), of_rank in found.items():
        for kind, (_, n_tables) in of_rank.items():
            if size == 1:
                assert n_tables == 0
            elif kind in NOT_SHARED:
                assert n_tables <= updates * NOT_SHARED[kind]
            else:
                assert n_tables > 0, kind


Draw = Callable[[Tensor, Stream], Any]


def _draws() -> dict[str, Draw]:
    def of(function: Any, *by_column: float, **constants: int) -> Draw:
        def draw(x: Tensor, stream: Stream) -> None:
            columns = [torch.full(x.shape[1:], value) for value in by_column]
            function(x, *columns, *constants.values(), stream)

        return draw

    def words(x: Tensor, stream: Stream) -> None:
        ends = 12 * torch.arange(len(x) + 1)
        bias = torch.zeros(12, dtype=torch.float64)  # of another type than x: no compiled kernel
        x.copy_(kernels.draw_words(x.clone(), bias, ends, stream)[0].view_as(x))

    half = (0.1, 1.5)
    return {
        "binary": of(kernels.binary_, 0.1),
        "spin": of(kernels.spin_, 0.1),
        "gaussian": of(kernels.gaussian_, 0.1, 2.0),
        "categorical": of(kernels.categorical_, 0.1, n_categories=4),
        "binomial": of(kernels.binomial_, 0.1, 30.0),
        "poisson": of(kernels.poisson_, 3.0),
        "relu": of(kernels.relu_, *half),
        "drelu": of(kernels.drelu_, *half, *half),
        "multinomial": Multinomial(12, 9).sample_,
        "reference multinomial": words,
        "reference binary": of(reference.binary_, 0.1),
        "reference poisson": of(reference.poisson_, 3.0),
    }


@pytest.mark.parametrize("name", _draws())
def test_a_draw_of_some_rows_is_those_rows_of_the_draw(name: str) -> None:
    draw = _draws()[name]
    inputs = torch.linspace(-1, 1, 40 * 12).view(40, 12)
    whole, part = inputs.clone(), inputs[24:].clone()
    stream = Stream(3, Purpose.SAMPLE, 2, 5)
    some = stream.of_rows(24)
    draw(part, some)
    draw(whole, stream)
    assert torch.equal(whole[24:], part)
    assert some.position == stream.position


def test_rows_of_a_stream_are_no_part_of_a_checkpoint() -> None:
    stream = Stream(3, Purpose.SAMPLE).of_rows(8)
    assert stream.of_rows(2).at(4).first_row == 10
    assert "first_row" not in checkpoint.of_stream(stream)


def test_one_process_shares_nothing() -> None:
    with ranks.together():
        assert not ranks.are_together()
        assert ranks.shares(100, 64, work=MUCH) == ranks.lines(100, MUCH) == [slice(0, 100)]
        with ranks.share(100, ranks.shares(100, 64, work=MUCH)) as own:
            assert own == slice(0, 100) and ranks.whole(7) == 7 and ranks.agreed(True)
    assert ranks.all_of(True) and not ranks.all_of(False) and ranks.as_first("any") == []
    assert list(ranks.each_together([1, 2])) == [1, 2]


@pytest.fixture
def second_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of three processes that are together, without the others."""
    for name, value in {"size": 3, "rank": 1, "together": True}.items():
        monkeypatch.setattr(ranks._now, name, value)


@pytest.mark.usefixtures("second_of_three")
def test_shares_hold_all_rows_in_steps_that_round_alike() -> None:
    for n, width, step in ((100, 64, 8), (100, 30, 16), (1000, 17, 32)):
        shares = ranks.shares(n, width, work=MUCH)
        assert [row for some in shares for row in range(n)[some]] == list(range(n))
        assert all(some.start % step == 0 for some in shares)
    assert ranks.shares(23, 64, work=MUCH) == [slice(0, 23)]  # 8 rows for each are too few
    assert ranks.shares(100, 64, work=1000) == [slice(0, 100)]  # one process is as fast
    with ranks.share(100, ranks.shares(100, 64, work=MUCH)) as own:
        assert own == slice(32, 64) and ranks.whole(32) == 100
        assert ranks.shares(100, 64, work=MUCH) == [
            slice(0, 100)
        ]  # a share is not shared out again


@pytest.mark.usefixtures("second_of_three")
def test_a_broken_connection_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("[gloo/pair.cc] Connection closed by peer")

    monkeypatch.setattr(dist, "all_reduce", broken)
    with pytest.raises(ranks.Lost, match=r"another process .* has ended.*Connection closed"):
        ranks.all_of(True)


def test_a_port_in_use_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        meet_at(taken.getsockname()[1], 0, monkeypatch)
        with pytest.raises(ConnectionError, match=r"in use by another program; give torchrun"):
            ranks.join()


def test_who_meets_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "RANKS_WAIT", 1.0)
    meet_at(free_port(), 1, monkeypatch)
    with pytest.raises(ConnectionError, match=r"process 1 of 2 did not meet the others at 127"):
        ranks.join()


def meet_at(port: int, rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be one of two that meet at a port."""
    world = {"WORLD_SIZE": 2, "RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in world.items():
        monkeypatch.setenv(name, f"{value}")
