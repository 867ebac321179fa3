"""The arithmetic of the expected speed on many ranks."""

from __future__ import annotations

import math

import pytest

from across_ranks import (
    NETWORKS,
    RANKS,
    Network,
    Sizes,
    Update,
    Work,
    gather_seconds,
    speedup,
    table,
    takes_over,
)

SIZES = Sizes(visible=80, hidden=40, rows=16, sweeps=2)
WORK = Work(row=1e-3, line=1e-4, rest=2e-3)
FREE = Network(0.0, math.inf)


def test_all_tables_of_an_update_are_counted_once() -> None:
    states, means, gradient = SIZES.gathered()
    assert states == 16 * 120 / 8
    assert means == 4 * 40 * (16 + 16)
    assert gradient == 4 * 80 * 40


def test_gathering_is_latency_and_bytes_over_bandwidth() -> None:
    network = Network(latency=1e-3, bandwidth=1e6)
    assert network.gather(1e6, 1) == 0
    assert network.gather(1e6, 2) == pytest.approx(1e-3 + 0.5)
    # log2 of 8 messages, and all but the eighth that the rank has
    assert network.gather(1e6, 8) == pytest.approx(3e-3 + 0.875)
    assert network.gather(1e6, 5) == pytest.approx(3e-3 + 0.8)
    assert gather_seconds(SIZES, network, 4) == pytest.approx(
        3 * 2e-3 + 0.75 * sum(SIZES.gathered()) / 1e6
    )


def test_the_largest_share_decides_and_what_all_repeat_stays() -> None:
    assert WORK.compute(SIZES, 1) == pytest.approx(16e-3 + 8e-3 + 2e-3)
    assert WORK.compute(SIZES, 3) == pytest.approx(6e-3 + 27e-4 + 2e-3)
    assert speedup(SIZES, WORK, FREE, 1) == 1
    # Amdahl's law: never beyond the share that every rank repeats, however many ranks there are
    assert speedup(SIZES, WORK, FREE, 10**6) == pytest.approx(26e-3 / (1e-3 + 1e-4 + 2e-3))


def test_where_gathering_takes_over() -> None:
    assert takes_over(SIZES, WORK, FREE) is None
    network = NETWORKS["10 Gbit"]
    slow = Network(network.latency, 2e6)
    at = takes_over(SIZES, WORK, slow)
    assert at is not None
    assert gather_seconds(SIZES, slow, at) > WORK.compute(SIZES, at)
    assert gather_seconds(SIZES, slow, at - 1) <= WORK.compute(SIZES, at - 1)


def test_the_table_has_a_line_for_each_network_and_a_cell_for_each_number_of_ranks() -> None:
    lines = table(SIZES, WORK, NETWORKS).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(NETWORKS)
    assert {line.count("|") for line in lines} == {len(RANKS) + 3}
    assert all(" | 1.00 | " in line for line in lines[2:])


def test_the_parts_of_all_ranks_together_are_a_whole_update() -> None:
    alone, of_three = Update(SIZES), Update(SIZES, rank=1, ranks=3)
    assert len(alone.batch) == SIZES.rows and len(of_three.batch) == 6
    assert of_three.lines.visible.n == 27
    for part in (*alone.parts(), *of_three.parts()):
        part()
    assert alone.lines.weights.grad is not None
