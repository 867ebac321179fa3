"""Runs that are killed, stopped and resumed end in the same bits as one that never was."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.commands import QUICK, Done, harmonium, start, wait_for
from harmonium.run_directory import RunDirectory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

OFTEN = ["--epochs", "2", "--every", "5", "--checkpoint-every", "0"]
KINDS = {
    "pcd": ["--sweeps", "2", "--chains", "30"],
    "pcd with everything that has a memory": [
        *["--momentum", "0.9", "--schedule", "linear", "--average", "0.99"],
        *["--binarize", "stochastic", "--sparsity-target", "0.1", "--sparsity-cost", "0.1"],
    ],
    "cd": [
        *["--method", "cd", "--optimizer", "adam", "--gradient", "plain"],
        *["--visible", "spin", "--binarize", "stochastic", "--hidden-units", "gaussian"],
    ],
}


def numbers(run: Path) -> list[dict[str, float]]:
    """The rows without what depends on the clock."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if "per_second" not in k} for row in rows]


def assert_same(run: Path, never_stopped: Path) -> None:
    for name in ("model.safetensors", "checkpoints/update-000000026.safetensors"):
        assert (run / name).read_bytes() == (never_stopped / name).read_bytes(), name
    assert numbers(run) == numbers(never_stopped)
    assert [row["update"] for row in numbers(run)] == [5, 10, 15, 20, 25, 26]
    leftovers = [path for path in run.rglob("*") if path.name.startswith(".")]
    assert leftovers == []


def resume(*arguments: str | Path) -> Done:
    done = harmonium("resume", *arguments)
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_killed_at_any_point_and_resumed_is_bit_identical(kind: str, tmp_path: Path) -> None:
    arguments = ["train", *QUICK, *OFTEN, *KINDS[kind]]
    assert harmonium(*arguments, "--out", "never").code == 0
    chance = random.Random(kind)
    # an update's checkpoint is flushed, put in its place, and an older one removed; then the page
    for point in (chance.randrange(6), *chance.sample(range(20, 5 * 26), 2), None):
        run, log = tmp_path / str(point), tmp_path / "log"
        process = start([*arguments, "--out", str(run)], log, crash_at=point)
        if point is None:
            time.sleep(chance.uniform(0, 2))
            process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL or point is None, log.read_text()
        if run.exists():
            resume(run)
        else:  # killed before there was a run: nothing half-made is in its place
            assert point is None or point < 20
            assert harmonium(*arguments, "--out", run).code == 0
        assert_same(run, tmp_path / "never")


def test_a_run_killed_at_its_end_and_while_it_is_resumed_is_bit_identical(tmp_path: Path) -> None:
    arguments = ["train", *QUICK, *OFTEN, *KINDS["pcd"]]
    assert harmonium(*arguments, "--out", "never").code == 0
    log = tmp_path / "log"
    command = [*arguments, "--out", "killed"]
    for crash_at in (132, 0, 1, 3):
        process = start(command, log, crash_at)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, log.read_text()
        command = ["resume", "killed"]
    resume("killed")
    assert_same(tmp_path / "killed", tmp_path / "never")


def test_a_run_taken_further_and_killed_goes_to_its_new_end(tmp_path: Path) -> None:
    """With a falling learning rate: it has to fall to the new end, wherever the crash was."""
    log = tmp_path / "log"
    arguments = ["train", *QUICK, "--epochs", "1", "--checkpoint-every", "0", "--every", "5"]
    harmonium(*arguments, "--schedule", "linear", "--out", "begun")
    shutil.copytree("begun", "never")
    resume("never", "--epochs", "2", "--checkpoint-every", "0")
    rates = [row["learning_rate"] for row in numbers(Path("never"))]
    assert rates[-1] == pytest.approx(0, abs=1e-9) and min(rates[3:-1]) > 1e-4
    for crash_at in (1, 2, 20):
        run = Path(shutil.copytree("begun", f"killed-{crash_at}"))
        process = start(["resume", str(run), "--epochs", "2"], log, crash_at=crash_at)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, log.read_text()
        options = json.loads((run / "config.json").read_text())["options"]
        # before the new end is written down, the run is still the old one
        resume(run, *([] if options["epochs"] == 2 else ["--epochs", "2"]))
        assert (run / "model.safetensors").read_bytes() == Path(
            "never/model.safetensors"
        ).read_bytes()
        assert numbers(run) == numbers(Path("never"))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_stopped_run_says_how_to_go_on_and_does(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    # no checkpoint while it runs: the one to go on from is written because it is stopped
    arguments = ["train", *QUICK, "--epochs", "100", "--every", "100", *KINDS["pcd"]]
    run, log = tmp_path / "with space", tmp_path / "log"
    process = start([*arguments, "--out", str(run)], log)
    wait_for(lambda: (run / "metrics.jsonl").exists() and bool(numbers(run)))
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    said = log.read_text()
    assert process.exitcode == code, said
    assert f"go on with: harmonium resume '{run}'" in said
    assert "Traceback" not in said
    assert len(RunDirectory(run).checkpoints()) == 2
    assert not (run / "model.safetensors").exists()
    assert "go on with harmonium resume" in harmonium("info", run).out

    resume(run)
    never = tmp_path / "never"
    assert harmonium(*arguments, "--out", never).code == 0
    assert (run / "model.safetensors").read_bytes() == (never / "model.safetensors").read_bytes()
    assert numbers(run) == numbers(never)


def test_asking_twice_stops_at_once_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    # one update of so many sweeps takes longer than the test waits between the two requests
    slow = ["--sweeps", "1000000", "--epochs", "1"]
    log = tmp_path / "log"
    process = start(["train", *QUICK, *slow, "--out", "slow"], log)
    wait_for(lambda: log.exists() and "digits" in log.read_text())
    time.sleep(0.2)
    assert process.pid is not None
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.2)
    while process.is_alive() and time.monotonic() < began + 60:
        os.kill(process.pid, signal.SIGINT)  # while a kernel runs, two requests may count as one
        process.join(10)
    assert process.exitcode == 130
    assert "Traceback" not in log.read_text()
    assert "harmonium resume slow" in log.read_text()
    assert [path.name for path in RunDirectory("slow").checkpoints()] == [
        "update-000000000.safetensors"
    ]


def test_a_resumed_run_keeps_how_it_is_watched(run: Path) -> None:
    done = resume(run, "--epochs", "5")
    assert [row["update"] for row in numbers(run)] == [13, 26, 39, 52, 65]
    assert list((run / "figures").iterdir()) == []
    assert not (run / "tensorboard").exists()
    assert "5 epochs" in done.out and "from update 39" in done.out
    assert json.loads((run / "config.json").read_text())["options"]["epochs"] == 5


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(run: Path) -> None:
    model, rows = (run / "model.safetensors").read_bytes(), numbers(run)
    done = resume(run)
    assert "all 3 epochs are done already; --more-epochs goes further" in done.out
    assert (run / "model.safetensors").read_bytes() == model
    assert numbers(run) == rows


def test_the_same_seed_gives_the_same_model_and_another_another(
    train: Callable[..., Done], tmp_path: Path
) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        train("--epochs", "1", "--seed", seed, "--out", name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_a_repeated_option_is_accepted(run: Path) -> None:
    assert "4 epochs" in resume(run, "--epochs", "4", "--hidden", "8", "--method", "pcd").out
