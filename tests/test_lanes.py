"""The library's own streams: each stands in the table of lanes, and no lane means two things."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harmonium.rng import LANES, Lane, Purpose
from test_architecture import FILES, PACKAGE

# Where a checkpoint is read, and where a stream jumps, it is what it was.
RESTORED = ("checkpoint.py", "rng.py")

# Two uses from before there was a table: what was made would have other bits by another rank.
SHARED = {
    (Purpose.SPLIT, 0, ""): 2,
    (Purpose.SPLIT, 1, ""): 2,
    (Purpose.MONITOR, 0, ""): 3,
    (Purpose.SAMPLE, 1, ""): 2,
    (Purpose.LIKELIHOOD, 0, ""): 2,  # states on which energies are compared are thrown away
}


class Drawn(NamedTuple):
    """A stream that a module makes; a rank that is computed is None."""

    module: str
    purpose: Purpose
    rank: int | None
    part: str


def streams(module: str, source: str) -> Iterator[Drawn]:
    """Every stream that a file makes; ValueError where its purpose is computed."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and _is_stream(node.func)):
            continue
        names = ("seed", "purpose", "rank", "position")
        said: dict[str | None, ast.expr] = dict(zip(names, node.args, strict=False))
        said |= {keyword.arg: keyword.value for keyword in node.keywords}
        purpose = said["purpose"]
        if not (isinstance(purpose, ast.Attribute) and ast.unparse(purpose.value) == "Purpose"):
            raise ValueError(f"{module} computes the purpose of {ast.unparse(node)}")
        rank, position = said.get("rank", ast.Constant(0)), said.get("position")
        part = position.id if isinstance(position, ast.Name) and position.id.isupper() else ""
        yield Drawn(
            module,
            Purpose[purpose.attr],
            rank.value if isinstance(rank, ast.Constant) else None,
            "" if part == "FORWARD" else part,  # which begins at 0
        )


def _is_stream(function: ast.expr) -> bool:
    return ast.unparse(function) in ("Stream", "rng.Stream", "harmonium.Stream")


def is_of(drawn: Drawn, lane: Lane) -> bool:
    """Whether a lane is that of a stream; a computed rank needs a lane of any rank."""
    return (
        drawn.module in lane.modules
        and (drawn.purpose, drawn.part) == (lane.purpose, lane.part)
        and lane.rank in (drawn.rank, None)
    )


def all_streams() -> list[Drawn]:
    found = []
    for file in FILES:
        module = file.relative_to(PACKAGE).as_posix()
        if module not in RESTORED:
            found += streams(module, file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_stream_has_a_lane(file: Path) -> None:
    module = file.relative_to(PACKAGE).as_posix()
    if module in RESTORED:
        return
    for drawn in streams(module, file.read_text(encoding="utf-8")):
        assert any(is_of(drawn, lane) for lane in LANES), drawn


def test_every_lane_is_drawn_from_by_all_that_it_names() -> None:
    found = all_streams()
    for lane in LANES:
        for module in lane.modules:
            mine = [drawn for drawn in found if drawn.module == module]
            assert any(is_of(drawn, lane) for drawn in mine), (lane, module)


def meanings(lanes: tuple[Lane, ...]) -> dict[tuple[Purpose, int, str], int]:
    """How many meanings each lane has, where it has several."""
    ranks = {lane.rank for lane in lanes} - {None}
    several = Counter(
        (lane.purpose, rank, lane.part)
        for lane in lanes
        for rank in (ranks if lane.rank is None else [lane.rank])
        if rank is not None
    )
    return {lane: n for lane, n in several.items() if n > 1}


def test_no_lane_means_two_things() -> None:
    assert meanings(LANES) == SHARED


def test_a_stream_without_a_lane_is_noticed() -> None:
    made = streams(
        "rbm.py", "a = Stream(seed, Purpose.SAMPLE, rank=7)\nb = Stream(0, Purpose.INIT)"
    )
    assert [any(is_of(drawn, lane) for lane in LANES) for drawn in made] == [False, True]
    (elsewhere,) = streams("gauge.py", "Stream(1, purpose=Purpose.INIT)")
    assert not any(is_of(elsewhere, lane) for lane in LANES)
    (computed,) = streams("runs/answers/trained.py", "Stream(1, Purpose.ENCODE, k)")
    assert not any(is_of(computed, lane) for lane in LANES)
    with pytest.raises(ValueError, match="computes the purpose"):
        list(streams("rbm.py", "Stream(0, purpose)"))


def test_a_second_meaning_is_noticed() -> None:
    film = Lane(Purpose.SAMPLE, 2, "another film", ("rbm.py",))
    assert meanings((*LANES, film)) == SHARED | {(Purpose.SAMPLE, 2, ""): 2}
    layer = Lane(Purpose.INIT, 3, "something else", ("rbm.py",))
    assert meanings((*LANES, layer)) == SHARED | {(Purpose.INIT, 3, ""): 2}
