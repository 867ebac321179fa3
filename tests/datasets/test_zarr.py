"""Folders of Zarr, as its own package writes them; without the package, how to install it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonium.datasets import load, mapped

X = np.random.default_rng(0).integers(0, 4, (60, 3)).astype(np.uint8)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"a.zarr is read by the package zarr.*harmonium\[zarr\]"):
        load(tmp_path / "a.zarr")


def written(path: Path, version: int) -> Path:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    inner = group.create_group("group")
    array = inner.create_array("matrix", shape=X.shape, chunks=(7, 2), dtype="u1")
    array[...] = X
    other = group.create_array("about", shape=(3,), chunks=(3,), dtype="f4")
    other[...] = 1
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("on_disk", [True, False])
def test_an_array_in_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, on_disk: bool
) -> None:
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "cache"))
    path = written(tmp_path / "a.zarr", version)
    for source, array in (
        (str(path), None),
        (f"{path}:/group/matrix", None),
        (path, "group/matrix"),
    ):
        data = load(source, array=array, on_disk=on_disk)
        assert torch.equal(data.values, torch.from_numpy(X))
        assert mapped.is_mapped(data.values) == on_disk


def test_one_array_and_damage(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    array = zarr.open_array(str(tmp_path / "b.zarr"), mode="w", shape=X.shape, dtype="f4")
    array[...] = X
    assert torch.equal(load(tmp_path / "b.zarr").values, torch.from_numpy(X).float())
    (tmp_path / "b.zarr" / "zarr.json").write_text("{")
    with pytest.raises(ValueError, match=r"b.zarr is damaged, or no folder of Zarr"):
        load(tmp_path / "b.zarr")
