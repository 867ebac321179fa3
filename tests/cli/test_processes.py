"""Commands in several processes: the bits of one, through kills, stops and other numbers."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.launcher.api
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from cli.commands import harmonium
from harmonium import ranks
from harmonium.cli import errors, processes
from harmonium.run_directory import RunDirectory
from harmonium.runs import network_task, rating_task, sharing, topic_task
from harmonium.runs.answers import topics
from harmonium.runs.answers.options import EvaluationOptions
from harmonium.runs.rows import ReadingOptions

QUICK = (
    *("--rows", "240", "--batch-size", "40", "--chains", "64", "--every", "4", "--threads", "1"),
    *("--binarize", "none", "--no-figures", "--no-tensorboard", "--checkpoint-every", "0"),
)
RBM = ("train", *QUICK, "--hidden", "32", "--epochs", "30", "--schedule", "constant")
STACK = ("dbn", "train", *QUICK, "--layers", "32,32", "--epochs", "15", "--schedule", "constant")
LONG = 600.0
EMPTY: dict[str, Any] = {"options": {}, "data": {}}


def begin(*arguments: str | Path, module: str = "harmonium") -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def wait_for_rows(command: subprocess.Popen[str], run: Path, n: int) -> None:
    """Wait until a run has this many rows of numbers."""
    path, began = run / "metrics.jsonl", time.monotonic()
    while not path.is_file() or path.read_text().count("\n") < n:
        assert command.poll() is None, command.communicate()
        assert time.monotonic() - began < LONG
        time.sleep(0.02)


def workers(of: subprocess.Popen[str]) -> list[int]:
    """The processes that a command has started, in their order."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()[1:]]
    return sorted(pid for pid, parent in pairs if parent == of.pid)


def numbers(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if "per_second" not in k} for row in rows]


def assert_same(run: Path, other: Path, *models: str) -> None:
    for model in models:
        assert (run / model).read_bytes() == (other / model).read_bytes(), model
        folder = Path(model).parent
        last = sorted((other / folder / "checkpoints").iterdir())[-1].relative_to(other)
        assert (run / last).read_bytes() == (other / last).read_bytes(), last
        assert numbers(run / folder) == numbers(other / folder)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    done = harmonium(*RBM, "--out", run)
    assert done.code == 0, done.err
    return run


def test_a_killed_process_ends_all_with_one_sentence_and_any_number_goes_on(
    alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = begin(*RBM, "--out", run, "--processes", "2")
    wait_for_rows(command, run, 3)
    os.kill(workers(command)[-1], signal.SIGKILL)
    _, err = command.communicate(timeout=LONG)
    assert command.returncode == 1
    (sentence,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "another process of this run has ended" in sentence
    assert sentence.endswith(f"go on from there with: harmonium resume {run}")
    assert len(numbers(run)) < len(numbers(alone))
    again = begin("resume", run, "--processes", "3")
    out, err = again.communicate(timeout=LONG)
    assert again.returncode == 0, err
    assert out.count("model     ") == 1  # the others are silent
    assert_same(run, alone, "model.safetensors")


def test_a_signal_stops_all_with_a_checkpoint_and_one_process_goes_on(tmp_path: Path) -> None:
    alone, run = tmp_path / "alone", tmp_path / "run"
    command = begin(*STACK, "--out", run, "--processes", "2")
    assert harmonium(*STACK, "--out", alone).code == 0
    wait_for_rows(command, run / "layers" / "2", 2)
    command.send_signal(signal.SIGTERM)
    out, _ = command.communicate(timeout=LONG)
    assert command.returncode == 128 + signal.SIGTERM
    assert out.count("go on with: harmonium resume") == 1
    done = harmonium("resume", run)
    assert done.code == 0, done.err
    layers = [f"layers/{number}/model.safetensors" for number in (1, 2)]
    assert_same(run, alone, *layers)
    assert (run / "dbn.safetensors").read_bytes() == (alone / "dbn.safetensors").read_bytes()


def test_two_groups_of_torchrun_train_and_evaluate_as_one_process(
    alone: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        end = f"127.0.0.1:{free.getsockname()[1]}"
    run = tmp_path / "run"
    groups = [
        begin(
            *("--nnodes", "2", "--node-rank", str(node), "--nproc-per-node", "1"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", end, "--rdzv-id", "test"),
            *("-m", "harmonium", *RBM, "--out", run),
            module="torch.distributed.run",
        )
        for node in range(2)
    ]
    for group in groups:
        _, err = group.communicate(timeout=LONG)
        assert group.returncode == 0, err
    assert_same(run, alone, "model.safetensors")
    asked = ("evaluate", "--rows", "50", "--chains", "40", "--temperatures", "300", "--json")
    told = begin(*asked, run, "--processes", "2").communicate(timeout=LONG)[0]
    (ours,), (of_one,) = ([json.loads(told)], harmonium(*asked, alone).objects)
    own = {"seconds": 0, "kept_in": "", "page": ""}
    assert {**ours, **own} == {**of_one, **own}


# What is wrong is said before anything is begun


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--processes", "none"), "pass a number of processes, 1 or more"),
        (("train", "--processes=0"), "pass a number of processes, 1 or more"),
        (("diagnose", "run", "--processes", "2"), "runs in one process; those that share"),
        (("dbn", "finetune", "run", "--processes", "2"), "runs in one process"),
        (("--processes", "2"), "harmonium without a command runs in one process"),
        (("train", "--processes", "2", "--config", "x.toml"), "a file (--config) run in one"),
        (("dbn", "train", "--config=x.toml", "--processes=2"), "a file (--config) run in one"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], words: str) -> None:
    done = harmonium(*arguments)
    assert done.code == 1 and words in done.err and done.err.count("\n") == 1


def test_processes_stand_anywhere() -> None:
    assert processes.asked(["train", "--processes", "2", "x"]) == (2, ["train", "x"])
    assert processes.asked(["--processes=3", "train"]) == (3, ["train"])
    assert processes.asked(["train"]) == (0, ["train"])


@pytest.fixture
def of_torchrun(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """One of the processes that torchrun has started; call it with more of its environment."""

    def environment(**more: str) -> None:
        world = {"WORLD_SIZE": "2", "RANK": "1", "TORCHELASTIC_RUN_ID": "job", **more}
        for name, value in world.items():
            monkeypatch.setenv(name, value)

    environment()
    return environment


@pytest.mark.usefixtures("of_torchrun")
def test_torchrun_and_processes_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="started 2 processes already, and --processes 3 asks"):
        processes.asked(["train", "--processes", "3"])
    assert processes.asked(["train"]) == (0, ["train"])


def test_one_of_several_has_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    assert not processes.is_one_of_several()


def test_all_processes_fail_where_torchrun_starts_them_again(
    of_torchrun: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(processes, "signal", lambda *_: None)
    monkeypatch.setattr(sharing, "speaker", 0)
    assert processes.fail("words", 1) == 0
    of_torchrun(TORCHELASTIC_MAX_RESTARTS="3")
    assert processes.fail("words", 1) == 1
    of_torchrun(RANK="0")
    assert processes.fail("words", 1) == 1
    assert capsys.readouterr().err == "error: words\n"


def test_processes_share_the_cores_that_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed.launcher.api, "elastic_launch", lambda *_: print)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5, 6, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert processes.start(2, ["train"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_a_full_disk_of_any_process_is_told() -> None:
    assert errors.is_of_one(OSError(errno.ENOSPC, "full", "/tmp/x"))
    assert errors.is_of_one(AssertionError())
    for of_all in (ValueError(), FileNotFoundError(errno.ENOENT, "no"), ranks.Lost("lost")):
        assert not errors.is_of_one(of_all)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ({0: -9, 1: -15}, "process 0 of 2 was ended by signal 9; harmonium resume takes"),
        ({0: -15, 1: -9}, "process 1 of 2 was ended by signal 9"),
        ({1: -9}, "process 1 of 2 was ended by signal 9"),
        ({0: -15, 1: 1}, ""),  # which has said why
        ({0: 1, 1: -9}, ""),
    ],
)
def test_a_process_that_could_say_nothing_is_told(
    codes: dict[int, int],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any) -> None:
        raise ChildFailedError(
            "x", {rank: ProcessFailure(rank, 1, code, "") for rank, code in codes.items()}
        )

    monkeypatch.setattr(torch.distributed.launcher.api, "elastic_launch", lambda *_: fail)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert processes.start(2, ["train"]) == 1
    said = capsys.readouterr().err
    assert words in said and bool(words) == bool(said)


@pytest.fixture
def of_three(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """One of three processes, which has no others to talk to; call it with its rank."""
    monkeypatch.setattr(ranks, "join", lambda: None)
    monkeypatch.setattr(ranks._now, "size", 3)
    return lambda rank: monkeypatch.setattr(ranks._now, "rank", rank)


@pytest.mark.parametrize("task", [network_task, rating_task, topic_task])
def test_what_is_not_shared_out_is_refused(task: Any, of_three: Callable[[int], None]) -> None:
    for door, n_arguments in ((task.begin, 5 - (task is not network_task)), (task.resume, 3)):
        with pytest.raises(ValueError, match=r"not shared out among processes, and each of the 3"):
            door(*[None] * n_arguments)


def test_perplexity_is_not_shared_out(of_three: Callable[[int], None]) -> None:
    with pytest.raises(ValueError, match=r"perplexity of documents is not shared out"):
        topics.evaluate(None, EvaluationOptions(), ReadingOptions())  # type: ignore[arg-type]


def test_a_layer_is_copied_with_those_below(
    tmp_path: Path, of_three: Callable[[int], None]
) -> None:
    network = tmp_path / "network"
    for number in (1, 2):
        run = RunDirectory(network / "layers" / str(number))
        run.path.mkdir(parents=True)
        run.write_config(EMPTY | {"layer": number})
    RunDirectory(network).write_config(EMPTY)
    assert sharing.copied(run.path) == run.path
    of_three(1)
    copy = sharing.copied(run.path)
    assert RunDirectory(copy / ".." / "1").config()["layer"] == 1 and tmp_path not in copy.parents
    assert RunDirectory(sharing.copied(network)).config().keys() == {"format", *EMPTY}


def test_only_the_run_that_torchrun_began_is_taken_up(
    tmp_path: Path, of_torchrun: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    monkeypatch.setattr(ranks, "join", lambda: None)
    run.write_config(EMPTY | sharing.starter())
    assert not sharing.is_begun(run.path)
    of_torchrun(TORCHELASTIC_MAX_RESTARTS="3", TORCHELASTIC_RESTART_COUNT="0")
    assert not sharing.is_begun(run.path)
    of_torchrun(TORCHELASTIC_RESTART_COUNT="1")
    assert sharing.is_begun(run.path)
    assert not sharing.is_begun(None) and not sharing.is_begun(tmp_path / "none")
    of_torchrun(TORCHELASTIC_RUN_ID="another")
    assert not sharing.is_begun(run.path)
    run.write_config(EMPTY)
    assert not sharing.is_begun(run.path)


def test_more_processes_than_rows_are_refused(of_three: Callable[[int], None]) -> None:
    sharing.check_enough(4, 24)
    sharing.check_enough(24, None)
    words = r"3 processes are too many for .* 16 rows and 20 chains.*take at most 2"
    with pytest.raises(ValueError, match=words):
        sharing.check_enough(16, 20)


def test_one_process_takes_any_number_of_rows() -> None:
    sharing.check_enough(1, 1)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"data": {"fingerprint": "other"}}, r"process 1 of 3 sees other rows than process 0"),
        ({"options": {"hidden": 20, "data": "a"}}, r"process 1 of 3 was given another `hidden`"),
        ({"options": {"hidden": 10, "data": "elsewhere"}}, None),
    ],
)
def test_ranks_that_differ_are_refused(
    part: dict[str, Any],
    words: str | None,
    of_three: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first: dict[str, Any] = {"data": {"fingerprint": "x"}, "options": {"hidden": 10, "data": "a"}}
    of_first = {"['x', None]", '{"hidden": "10"}', "10"}
    monkeypatch.setattr(ranks, "as_first", lambda text: [] if text in of_first else [1])
    if words is None:
        sharing.check_alike(first | part)
        return
    with pytest.raises(ValueError, match=words):
        sharing.check_alike(first | part)


def test_an_error_of_one_process_is_one_of_all(
    of_three: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "speaker", 0)
    monkeypatch.setattr(ranks, "others_than", lambda is_so: [2])
    with pytest.raises(sharing.NotAlone, match="process 2 of 3"), sharing.beginning():
        pass
    assert sharing.speaker == 2
    of_three(2)
    with pytest.raises(FileNotFoundError, match="mine"), sharing.beginning():
        raise FileNotFoundError("mine")
