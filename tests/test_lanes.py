"""The library's own streams: each stands in the table of lanes, and no lane means two things."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from harmonium.rng import Lane, Purpose
from test_architecture import FILES, PACKAGE, nodes

# Where a checkpoint is read, and where a stream jumps, it is what it was.
RESTORED = ("checkpoint.py", "rng.py")

# Two uses from before there was a table: what was made would have other bits by another rank.
SHARED = {
    (Purpose.SPLIT, 0, 0): 2,
    (Purpose.SPLIT, 1, 0): 2,
    (Purpose.MONITOR, 0, 0): 3,
    (Purpose.SAMPLE, 1, 0): 2,
    (Purpose.LIKELIHOOD, 0, 0): 2,  # states on which energies are compared are thrown away
}


def named(source: str) -> set[Lane]:
    """The lanes that a file names."""
    return {
        Lane[node.attr]
        for node in nodes(source)
        if isinstance(node, ast.Attribute) and is_one_of(node.value, "Lane", "rng.Lane")
    }


def numbered(source: str) -> Iterator[tuple[Purpose, int | None]]:
    """Purpose and rank of every stream that a file makes by itself; a computed rank is None.

    Raises
    ------
    ValueError
        Where a purpose is computed.
    """
    for node in nodes(source):
        if not (isinstance(node, ast.Call) and _is_stream(node.func)):
            continue
        said: dict[str | None, ast.expr] = dict(
            zip(("seed", "purpose", "rank"), node.args, strict=False)
        )
        said |= {keyword.arg: keyword.value for keyword in node.keywords}
        purpose, rank = said["purpose"], said.get("rank", ast.Constant(0))
        if not (isinstance(purpose, ast.Attribute) and ast.unparse(purpose.value) == "Purpose"):
            raise ValueError(f"the purpose of {ast.unparse(node)} is computed")
        yield Purpose[purpose.attr], rank.value if isinstance(rank, ast.Constant) else None


def _is_stream(function: ast.expr) -> bool:
    return is_one_of(function, "Stream", "rng.Stream", "harmonium.Stream")


def is_one_of(node: ast.expr, *names: str) -> bool:
    """Whether an expression is one of these dotted names; most are no names at all."""
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in names


Found = dict[str, tuple[set[Lane], list[tuple[Purpose, int | None]]]]


@pytest.fixture(scope="module")
def found() -> Found:
    """What each file of the package names and makes, but for those that restore streams."""
    sources = {file.relative_to(PACKAGE).as_posix(): file.read_text("utf-8") for file in FILES}
    return {
        module: (named(source), [*numbered(source)])
        for module, source in sources.items()
        if module not in RESTORED
    }


def test_every_stream_has_a_lane(found: Found) -> None:
    assert {module: streams for module, (_, streams) in found.items() if streams} == {}


def test_every_lane_is_drawn_from(found: Found) -> None:
    assert set().union(*(lanes for lanes, _ in found.values())) == {*Lane}


def meanings(
    lanes: Iterable[tuple[Purpose, int | None, int]],
) -> dict[tuple[Purpose, int, int], int]:
    """How many meanings each lane has, where it has several."""
    lanes = [*lanes]
    ranks = {rank for _, rank, _ in lanes if rank is not None}
    several = Counter(
        (purpose, each, begins)
        for purpose, rank, begins in lanes
        for each in (ranks if rank is None else [rank])
    )
    return {lane: n for lane, n in several.items() if n > 1}


TABLE = [(lane.purpose, lane.rank, lane.begins) for lane in Lane]


def test_no_lane_means_two_things() -> None:
    assert meanings(TABLE) == SHARED


def test_a_stream_without_a_lane_is_noticed() -> None:
    bad = "a = Stream(seed, Purpose.CHAINS, rank=7)\nb = Stream(0, Purpose.CHAINS)"
    assert [*numbered(bad)] == [(Purpose.CHAINS, 7), (Purpose.CHAINS, 0)]
    assert [*numbered("Stream(1, purpose=Purpose.INIT)")] == [(Purpose.INIT, 0)]
    assert [*numbered("Stream(1, Purpose.ENCODE, k)")] == [(Purpose.ENCODE, None)]
    with pytest.raises(ValueError, match="is computed"):
        list(numbered("Stream(0, purpose)"))
    assert named("Lane.FILM.stream(seed)") == {Lane.FILM}


def test_a_second_meaning_is_noticed() -> None:
    film, layer = (Purpose.SAMPLE, 2, 0), (Purpose.INIT, 3, 0)
    assert meanings([*TABLE, film]) == SHARED | {film: 2}
    assert meanings([*TABLE, layer]) == SHARED | {layer: 2}


def test_a_lane_makes_the_stream_that_it_says() -> None:
    assert (Lane.FILM.purpose, Lane.FILM.rank) == (Purpose.SAMPLE, 2)
    back = Lane.REVERSE.stream(5, 3, rank=7)
    assert (back.seed, back.purpose, back.rank) == (5, Purpose.LIKELIHOOD, 7)
    assert back.position == (1 << 36) + 3
    with pytest.raises(ValueError, match=r"the rank of Lane\.FILM is 2; leave it out"):
        Lane.FILM.stream(5, rank=9)
