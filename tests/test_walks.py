"""The two walks of docs/architecture.md, function by function and file by file, as they happen."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import harmonium
from cli.commands import harmonium as typed
from harmonium import RBM, Gibbs, Minibatches, TrainingState, datasets, training

PACKAGE = f"{Path(harmonium.__file__).parent}{os.sep}"
PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
_, OPTION, BATCH = re.split(r"^### One (?:option|batch),", PAGE, flags=re.MULTILINE)

Step = tuple[str, str]
"""A file, as the page names it, and a function."""


def name_of(frame: FrameType) -> Step:
    code = frame.f_code
    return code.co_filename.removeprefix(PACKAGE).replace(os.sep, "/"), code.co_name.strip("<>")


def is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE)


@contextmanager
def calls(heard: Any) -> Iterator[None]:
    """Hand the frame of every call of the package to a function."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and is_ours(frame):
            heard(frame)

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_an_option_goes_the_way_that_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ways: list[list[Step]] = []

    def heard(frame: FrameType) -> None:
        if frame.f_code.co_name == "_sampler" and not ways:
            way: list[Step] = []
            at: FrameType | None = frame
            while at is not None:
                way += [name_of(at)] if is_ours(at) else []
                at = at.f_back
            ways.append(way[::-1])
            sys.setprofile(None)  # the rest of the training need not be slowed down

    few = ("--rows", "20", "--epochs", "1", "--no-figures", "--no-tensorboard")
    with calls(heard):
        assert typed("train", "--sweeps", "2", *few).code == 0
    lines = re.findall(r"^\| \d+ \| .*?`([\w.]+)`.*? \| `([\w/.]+)` \|", OPTION, re.MULTILINE)
    assert [(file, name.rpartition(".")[2]) for name, file in lines] == ways[0]
    assert (len(lines), len({file for _, file in lines})) == (10, 6)  # as the page counts them


def test_a_batch_goes_through_the_files_that_the_page_names() -> None:
    train, _, _ = datasets.load("digits").binarize().split()
    rbm = RBM(64, 200).init_from_data_(train, seed=0)
    seen: list[str] = []
    for chains in (500, 10):  # many chains are multiplied, few follow flips
        state = TrainingState.create(rbm, sampler=Gibbs(3), n_chains=chains)
        rows = training.updates(state, Minibatches(train, 100), epochs=1)
        next(rows)  # what is imported or compiled at first is no part of the walk
        with calls(lambda frame: seen.append(name_of(frame)[0])):
            next(rows)
    files = re.findall(r"^\| \d+ \| `([\w/.]+)` \|", BATCH, re.MULTILINE)
    helpers = re.findall(r"`(?!tests)([\w/]+\.py)`", BATCH.rpartition("|")[2])
    assert len(files) == 15
    assert {*files, *helpers} == {*seen}
    # in their order, up to the first kernel; behind it, files take turns
    assert files[:8] == [file for file in dict.fromkeys(seen) if file in files][:8]
