"""A computation can be watched, left, taken up again, and fails once and for all."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harmonium.likelihood import Computation


def counting(n: int, fails_at: int | None = None) -> Generator[int, None, str]:
    for done in range(1, n + 1):
        if done == fails_at:
            raise KeyboardInterrupt
        yield done
    return "finished"


def test_steps_are_seen_and_the_result_is_kept() -> None:
    computation = Computation(4, counting(4))
    assert list(computation) == [1, 2, 3, 4]
    assert computation.result() == computation.result() == "finished"
    assert list(computation) == []


def test_who_stops_watching_can_go_on() -> None:
    computation = Computation(4, counting(4))
    for done in computation:
        if done == 2:
            break
    assert next(iter(computation)) == 3
    assert computation.result() == "finished"


def test_the_result_alone_makes_all_steps() -> None:
    assert Computation(4, counting(4)).result() == "finished"


def test_what_was_interrupted_has_no_result() -> None:
    computation = Computation(4, counting(4, fails_at=3))
    with pytest.raises(KeyboardInterrupt):
        computation.result()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="interrupted or failed; begin a new one"):
            computation.result()
