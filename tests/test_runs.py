"""The run directory: it appears whole, loses nothing, and replaces only what is a run."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from harmonium.files import write_whole
from harmonium.run_directory import FORMAT, RunDirectory, Warned, free_path

CONFIG = {"options": {"epochs": 1}, "data": {}}


def begun(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    run.create(CONFIG, b"checkpoint 0", overwrite=False)
    return run


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_new_run_has_all_it_needs_to_go_on(tmp_path: Path) -> None:
    run = begun(tmp_path / "a/b/run")
    assert listing(run.path) == [
        "checkpoints",
        "checkpoints/update-000000000.safetensors",
        "config.json",
        "figures",
        "metrics.jsonl",
    ]
    assert RunDirectory.open(run.path).config() == {"format": FORMAT, **CONFIG}
    assert run.latest_checkpoint().read_bytes() == b"checkpoint 0"
    assert run.rows() == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("call", ["mkdir", "replace", "rename", "fsync"])
def test_a_run_that_cannot_be_made_leaves_everything_as_it_was(
    call: str, overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every call that changes the disk, however often it is made before."""
    path = tmp_path / "new/run"
    if overwrite:
        begun(path)
        (path / "samples.npz").write_bytes(b"old")
    before = listing(tmp_path)
    real = getattr(os, call)
    for fails_at in range(100):
        n_calls = 0

        def fail(*args: object, **options: object) -> object:
            nonlocal n_calls
            n_calls += 1
            if n_calls - 1 == fails_at:  # noqa: B023
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **options)

        monkeypatch.setattr(os, call, fail)
        try:
            RunDirectory(path).create(CONFIG, b"new", overwrite)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert listing(tmp_path) == before
            monkeypatch.setattr(os, call, real)
        else:
            break
    assert 0 < fails_at < 99
    assert RunDirectory(path).latest_checkpoint().read_bytes() == b"new"
    assert not (path / "samples.npz").exists()
    assert os.listdir(tmp_path / "new") == ["run"]


def test_what_exists_is_replaced_only_on_demand_and_only_if_it_is_a_run(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(FileExistsError, match=r"harmonium resume .*--overwrite"):
        run.check_free(overwrite=False)
    run.check_free(overwrite=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"mine": 1}')
    file = tmp_path / "file"
    file.touch()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for path in (other, file, link):
        with pytest.raises(FileExistsError, match="is no run"):
            RunDirectory(path).create(CONFIG, b"", overwrite=True)
    assert (other / "config.json").read_text() == '{"mine": 1}'


def test_opening_what_is_no_run_names_those_beside_it(tmp_path: Path) -> None:
    begun(tmp_path / "mine")
    with pytest.raises(FileNotFoundError, match="does not exist; runs beside it: mine"):
        RunDirectory.open(tmp_path / "mien")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="is no run directory; runs beside it: mine"):
        RunDirectory.open(tmp_path / "empty")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    run.write_config(CONFIG | {"format": FORMAT + 1})
    with pytest.raises(ValueError, match=f"has format {FORMAT + 1}, .* reads up to {FORMAT}"):
        RunDirectory.open(run.path)


def test_a_damaged_configuration_says_what_can_still_be_read(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    run.config_path.write_text('{"format": 1, "opt')
    with pytest.raises(ValueError, match=r"is damaged .* weights can still be read"):
        RunDirectory.open(run.path)


def test_rows_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    rows = [{"update": 10.0 * i, "x": 0.1 + i} for i in range(4)]
    for row in rows:
        run.append_row(row)
    content = run.metrics_path.read_bytes()
    run.metrics_path.write_bytes(content[:-5])
    assert run.rows() == rows[:3]
    run.drop_rows_after(15)
    assert run.rows() == rows[:2]
    run.append_row(rows[2])
    assert run.rows() == rows[:3]


def test_the_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    for update in (5, 1_000_000, 20):
        write_whole(run.checkpoint_path(update), b"")
    run.prune_checkpoints()
    assert [run.update_of(path) for path in run.checkpoints()] == [20, 1_000_000]


def test_a_run_without_checkpoints_says_what_to_do(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    shutil.rmtree(run.path / "checkpoints")
    with pytest.raises(FileNotFoundError, match="no checkpoint; start it again"):
        run.latest_checkpoint()


def test_only_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    left = [
        run.path / ".config.json.0a1b2c3d.tmp",
        run.path / ".model.safetensors.0a1b2c3d.tmp",
        run.path / "checkpoints/.update-000000005.safetensors.0a1b2c3d.tmp",
        run.figures / ".filters.png.0a1b2c3d.tmp",
    ]
    mine = [run.path / ".notes.tmp", run.path / "samples.npz", run.figures / "mine.png"]
    for path in (*left, *mine):
        path.touch()
    run.remove_unfinished()
    assert [path.exists() for path in left] == [False] * len(left)
    assert [path.exists() for path in mine] == [True] * len(mine)


def test_free_names_count_up(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    for name in ("samples.npz", "samples-2.npz", "samples-3.npz"):
        assert free_path(path).name == name
        (tmp_path / name).touch()


def test_warnings_of_a_run_come_back_in_order(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    assert run.warnings() == []
    said = [Warned("One class", "Take more rows — `--rows`."), Warned("Overfitting", "Stop.")]
    run.write_warnings(said)
    assert run.warnings() == said
    run.write_warnings([])
    assert run.warnings() == [] and not run.warnings_path.exists()


@pytest.mark.parametrize("content", ["{", "{}", "[1]", '[{"title": "a"}]', '[{"title": 1}]'])
def test_a_file_that_holds_no_warnings_is_as_if_it_were_not_there(
    content: str, tmp_path: Path
) -> None:
    run = begun(tmp_path / "run")
    run.warnings_path.write_text(content)
    assert run.warnings() == []
