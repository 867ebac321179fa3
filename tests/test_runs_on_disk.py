"""Runs on rows that stay on disk: the same models as in memory, resumed, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import harmonium
from harmonium.cli import evaluate as cli_evaluate
from harmonium.datasets import block_order, large, load, mapped
from harmonium.runs import rbm_task
from harmonium.runs.answers import evaluate
from harmonium.runs.rows import listed

SMALL: dict[str, Any] = {
    **{"hidden": 4, "epochs": 2},
    **{"figures": False, "progress": False, "log_likelihood": False},
}


def rows(n: int = 400, n_columns: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    on, flipped = rng.random((n, 1)) < 0.5, rng.random((n, n_columns)) < 0.2
    return (on ^ flipped).astype(np.uint8)


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def bits_of(run: harmonium.Run) -> list[bytes]:
    return [each.detach().numpy().tobytes() for each in run.rbm.parameters()]


def shuffled_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "BUFFER_BYTES", 1 << 10)
    monkeypatch.setattr(block_order, "BLOCK_BYTES", 1 << 7)


def test_five_parts_train_like_one_array() -> None:
    for number, part in enumerate(np.array_split(rows(), 5)):
        pq.write_table(pa.table({f"c{n}": part[:, n] for n in range(12)}), f"part-{number}.parquet")
    files = [f"part-{number}.parquet" for number in range(5)]
    in_memory = harmonium.train(rows(), out="a", **SMALL)
    for number, (data, on_disk) in enumerate(
        [("part-*.parquet", None), ("part-*.parquet", True), (files, True), (files, False)]
    ):
        run = harmonium.train(data, out=f"b{number}", on_disk=on_disk, **SMALL)
        assert bits_of(run) == bits_of(in_memory)
        config = run.directory.config()
        assert config["data"]["fingerprint"] == in_memory.directory.config()["data"]["fingerprint"]
        assert config["options"]["on_disk"] == on_disk


@pytest.mark.parametrize("visible", ["binary", "gaussian", "categorical"])
def test_every_question_is_answered_as_in_memory(visible: str) -> None:
    values = rows() + (np.random.default_rng(1).random((400, 12)) if visible == "gaussian" else 0)
    np.save("rows.npy", values)
    options = SMALL | {"visible": visible}
    a, b = (
        harmonium.train("rows.npy", out=f"r{on}", on_disk=on, **options) for on in (True, False)
    )
    assert bits_of(a) == bits_of(b)
    one, other = (run.diagnose(sweeps=50).diagnosis.findings for run in (a, b))
    assert repr(one) == repr(other)
    assert a.reconstruct().errors.tolist() == b.reconstruct().errors.tolist()


def test_a_run_shuffled_by_blocks_resumes_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_by_blocks(monkeypatch)
    np.save("rows.npy", rows())
    whole = harmonium.train("rows.npy", out="whole", on_disk=True, batch_size=17, **SMALL)
    following = harmonium.train(
        "rows.npy", out="part", on_disk=True, batch_size=17, every=1, follow=True, **SMALL
    )
    for row in following:
        if row["update"] == 29:
            break
    following.close()
    part = harmonium.open("part")
    assert part.directory.config()["data"]["n_held_out"] > 0
    assert bits_of(part.resume(progress=False)) == bits_of(whole)


def test_a_run_knows_where_its_rows_were(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_by_blocks(monkeypatch)
    np.save("rows.npy", rows())
    monkeypatch.setattr(large, "free_memory", lambda: 1)
    on_disk = harmonium.train("rows.npy", out="a", **SMALL)
    assert on_disk.directory.config()["options"]["on_disk"] is True
    monkeypatch.setattr(large, "free_memory", lambda: 1 << 40)
    in_memory = harmonium.train("rows.npy", out="b", **SMALL)
    assert in_memory.directory.config()["options"]["on_disk"] is None
    for free, run in ((1 << 40, on_disk), (1, in_memory)):  # whatever memory there is later
        monkeypatch.setattr(large, "free_memory", lambda free=free: free)
        run.resume(more_epochs=1, progress=False)


def test_rows_that_changed_since_the_run_began_are_refused() -> None:
    np.save("rows.npy", rows())
    run = harmonium.train("rows.npy", out="a", on_disk=True, **SMALL)
    changed = rows()
    changed[3] ^= 1
    np.save("rows.npy", changed)
    os.utime("rows.npy", ns=(0, 0))
    with pytest.raises(ValueError, match=r"rows.npy have changed since a was begun"):
        run.resume(more_epochs=1, progress=False)


def test_a_part_that_is_gone_when_a_run_goes_on() -> None:
    for number in range(2):
        np.save(f"part-{number}.npy", rows())
    run = harmonium.train(["part-0.npy", "part-1.npy"], out="a", **SMALL)
    Path("part-1.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"part-1.npy', which is one of 2 that were named"):
        run.resume(more_epochs=1, progress=False)


def test_what_needs_rows_in_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_by_blocks(monkeypatch)
    values = rows().astype(np.float32) * 3 + 0.5
    values[3, 4] = np.nan
    np.save("holes.npy", values)
    message = r"holes.npy would get units of its own for each column.*or `on_disk=False`"
    with pytest.raises(ValueError, match=message):
        harmonium.train("holes.npy", on_disk=True, **SMALL)
    np.save("rows.npy", rows())
    with pytest.raises(ValueError, match=r"rows.npy is on disk, and a run keeps.*pass the path"):
        harmonium.train(load("rows.npy", on_disk=True), **SMALL)
    assert not Path("runs").exists()


def test_a_subset_and_rows_of_other_files() -> None:
    np.save("rows.npy", rows())
    np.save("other.npy", rows()[:50])
    a, b = (
        harmonium.train(
            "rows.npy", out=f"r{on}", rows=100, validation_data="other.npy", on_disk=on, **SMALL
        )
        for on in (True, False)
    )
    assert bits_of(a) == bits_of(b)


def test_parts_of_many_rows_stay_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_by_blocks(monkeypatch)
    for name, part in zip(("rows", "other", "third"), np.split(rows(), [300, 350]), strict=True):
        np.save(f"{name}.npy", part)
    options = SMALL | {"validation_data": "other.npy", "test_data": "third.npy"}
    run = harmonium.train("rows.npy", out="a", on_disk=True, **options)
    [values] = Path("cache/rows").glob("*/values.npy")
    assert np.array_equal(np.load(values), rows())
    assert run.directory.config()["options"]["on_disk"] is True
    assert run.evaluate(split="test").n_rows == 50
    run.resume(more_epochs=1, progress=False)
    small = harmonium.train("rows.npy", out="b", on_disk=False, **options)
    of_data = [one.directory.config()["data"] for one in (run, small)]
    for key in ("n_train", "fingerprint", "held_out_fingerprint"):
        assert of_data[0][key] == of_data[1][key]


def test_an_evaluation_of_some_rows_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_by_blocks(monkeypatch)
    monkeypatch.setattr(evaluate, "_MOST_ON_DISK", 100)
    np.save("rows.npy", rows())
    run = harmonium.train("rows.npy", out="a", on_disk=True, held_out=0.2, **SMALL)
    assert run.directory.config()["data"]["n_held_out"] == 80

    def found(of: harmonium.Run) -> dict[str, Any]:
        results = json.loads(of.directory.likelihood_path.read_bytes())["results"]
        return next(iter(results.values()))

    assert run.evaluate(split="train").n_rows == 100
    assert found(run)["drawn_from"] == 320
    assert "100 of 320" in run.directory.report_path.read_text()
    words = cli_evaluate._rows(found(run), 0.5)
    assert words.startswith("100 of the 320 of rows.npy:train, drawn at random (--rows says how")
    run.evaluate(split="train", rows=320)
    assert found(run)["drawn_from"] is None
    in_memory = harmonium.train("rows.npy", out="b", on_disk=False, **SMALL)
    in_memory.evaluate()
    was = found(in_memory)
    assert was["drawn_from"] is None
    # another binarisation reads the same rows, whatever memory there is by then
    monkeypatch.setattr(large, "free_memory", lambda: 1)
    in_memory.evaluate(binarize="0.5")
    assert found(in_memory)["rows_digest"] == was["rows_digest"]


def test_missing_values_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_by_blocks(monkeypatch)
    values = rows().astype(np.float32)
    values[::3, 2] = np.nan
    np.save("rows.npy", values)
    runs = [
        harmonium.train("rows.npy", out=f"r{on}", on_disk=on, held_out=0.0, **SMALL)
        for on in (True, False)
    ]
    one, other = (run.directory.config()["data"] for run in runs)
    assert one["fingerprint"] == other["fingerprint"]
    assert runs[0].reconstruct().errors.shape == (400,)
    assert len(runs[0].sample(start="data", chains=3, samples=2).samples) == 3
    runs[0].diagnose(sweeps=20)


def test_rows_in_memory_have_no_file() -> None:
    with pytest.raises(
        ValueError, match=r"`on_disk` is for files, and the rows are in memory; lea"
    ):
        harmonium.train(rows(), on_disk=True, **SMALL)
    np.save("rows.npy", rows().astype(np.float64))
    mapping = np.load("rows.npy", mmap_mode="r")
    assert bits_of(harmonium.train(mapping, out="a", **SMALL)) == bits_of(
        harmonium.train(rows(), out="b", **SMALL)
    )


def test_networks_and_stacks() -> None:
    np.save("rows.npy", np.concatenate([rows(), rows()[:, :1]], 1))
    models = []
    for on in (True, False):
        stack = harmonium.train_dbn(
            "rows.npy", out=f"s{on}", layers=[4, 3], label=-1, on_disk=on, **_without("hidden")
        )
        tuned = harmonium.finetune(
            "rows.npy", out=f"n{on}", layers=[4], label=-1, on_disk=on, **_without("hidden")
        )
        weights = [rbm.weights.detach() for rbm in stack.model.stack]
        models.append([*weights, *(p.detach() for p in tuned.model.parameters())])
    assert all(map(torch.equal, *models))


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in SMALL.items() if key != name}


def test_names_of_runs() -> None:
    assert rbm_task.run_name("/a/part-*.parquet") == "part"
    assert rbm_task.run_name(listed(["/a/x-0.npy", "/a/x-1.npy"])) == "x-0"
    assert rbm_task.run_name("/a/b.h5:/group/matrix") == "matrix"
    assert rbm_task.run_name("*.npy") == "run"
