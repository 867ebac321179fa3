"""Random streams: what is refused, how a stream moves, and that lanes never meet."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest

from harmonium.rng import Purpose, Stream


def test_a_draw_advances_by_one() -> None:
    stream = Stream(3, Purpose.CHAINS)
    words = [stream.take() for _ in range(3)]
    assert stream.position == 3
    assert words == [Stream(3, Purpose.CHAINS, position=i).take() for i in range(3)]


def test_at_is_random_access_and_does_not_move() -> None:
    stream = Stream(3, Purpose.CHAINS, rank=2, position=5)
    there = stream.at(11)
    assert there == Stream(3, Purpose.CHAINS, rank=2, position=11)
    there.take()
    assert stream.position == 5


def test_lanes_are_disjoint() -> None:
    lanes = list(
        product(Purpose, (0, 1, 255, 256, 65_535), (0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**40 - 1))
    )
    counters = {Stream(7, *lane).take() for lane in lanes}
    assert len(counters) == len(lanes)
    assert all(0 <= word < 2**32 for counter in counters for word in counter)


def test_seeds_are_keys() -> None:
    seeds = (0, 1, 2**32 - 1, 2**32, 2**64 - 1)
    keys = {Stream(seed, Purpose.INIT).take()[:2] for seed in seeds}
    assert keys == {(0, 0), (1, 0), (2**32 - 1, 0), (0, 1), (2**32 - 1, 2**32 - 1)}


def test_the_purposes_of_checkpoints_keep_their_numbers() -> None:
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "INIT": 0,
        "SPLIT": 1,
        "SHUFFLE": 2,
        "ENCODE": 3,
        "CHAINS": 4,
        "MONITOR": 5,
        "SAMPLE": 6,
        "LIKELIHOOD": 7,
        "DIAGNOSE": 8,
        "DREAM": 9,
        "FINETUNE": 10,
    }


def test_a_stream_is_plain_integers_whatever_it_was_made_of() -> None:
    stream = Stream(np.int64(4), 1, np.uint16(2), np.int64(3))  # type: ignore[arg-type]
    assert stream == Stream(4, Purpose.SPLIT, 2, 3)
    assert stream.purpose is Purpose.SPLIT
    assert json.loads(json.dumps(asdict(stream))) == {
        "seed": 4,
        "purpose": 1,
        "rank": 2,
        "position": 3,
    }


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("seed", -1, 2**64),
        ("seed", 2**64, 2**64),
        ("rank", -1, 2**16),
        ("rank", 2**16, 2**16),
        ("position", -1, 2**40),
        ("position", 2**40, 2**40),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: int, bound: int) -> None:
    arguments = {"seed": 0, "purpose": Purpose.INIT, name: value}
    with pytest.raises(ValueError, match=f"^{name} is {value}; .* from 0 to {bound - 1}$"):
        Stream(**arguments)


@pytest.mark.parametrize("value", [1.5, "1", None])
def test_what_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"^seed is .*; pass an integer"):
        Stream(value, Purpose.INIT)  # type: ignore[arg-type]


def test_an_unknown_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="99 is not a valid Purpose"):
        Stream(0, 99)  # type: ignore[arg-type]


def test_a_stream_that_is_used_up_says_so() -> None:
    stream = Stream(0, Purpose.SAMPLE, position=2**40 - 1)
    stream.take()
    for _ in range(2):
        with pytest.raises(OverflowError, match="take a new seed"):
            stream.take()
