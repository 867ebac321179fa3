"""Damaged files of every format are read or refused in words: no other exception, no crash."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_readers.py"
SPEC = importlib.util.spec_from_file_location("fuzz_readers", SCRIPT)
assert SPEC is not None and SPEC.loader is not None
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)


@pytest.mark.parametrize("kind", fuzz.FORMATS)
def test_damaged_files_are_read_or_refused_in_words(kind: str, tmp_path: Path) -> None:
    outcomes = [fuzz.try_one(kind, seed, tmp_path, limited=False) for seed in range(150)]
    faults = [(seed, outcome) for seed, outcome in enumerate(outcomes) if "FAULT" in outcome]
    assert not faults
    assert {"read", "refused by ValueError"} <= {*outcomes}


def test_a_wrong_shape_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "damaged", lambda content, kind, rng: content)
    real = fuzz.datasets.load

    def loses_a_row(path: Path) -> object:
        data = real(path)
        return data.draw_rows(len(data) - 1) if len(data) > 1 else data

    monkeypatch.setattr(fuzz.datasets, "load", loses_a_row)
    for kind in ("csv", "npy", "idx", "parquet"):
        outcomes = {fuzz.try_one(kind, seed, tmp_path, limited=False) for seed in range(20)}
        assert any("FAULT: shape" in outcome for outcome in outcomes)
