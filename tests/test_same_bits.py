"""Every kind of training, stopped and resumed, ends in the bits of one that never stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import bits


@pytest.fixture(autouse=True)
def _tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each kind works in a folder of its own, on one thread."""
    monkeypatch.chdir(tmp_path)
    bits.make_tables()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("digests", [pytest.param(run, id=kind) for kind, run in bits.kinds()])
def test_a_resumed_training_ends_in_the_same_bits(digests: Callable[[], dict[str, str]]) -> None:
    found = digests()
    if "resumed" in found:
        assert found["resumed"] == found["whole"]
