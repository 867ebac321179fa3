"""What the tests of the command line share: running it, and one small run that is only read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.commands import QUICK, QUICK_OF_FILES, Done, harmonium


@pytest.fixture(autouse=True)
def _own_folder(own_folder: None) -> None:
    """Each test of the command line works in a folder of its own."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs on the digits, to be read only."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    done = harmonium("train", *QUICK, "--epochs", "3", "--every", "13", "--out", path)
    assert done.code == 0, done.err
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run, to do anything with."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Run a command that must fail in one paragraph and change nothing; return what it said."""

    def run_and_look(*arguments: str | Path, code: int = 1) -> str:
        before = contents(tmp_path)
        done = harmonium(*arguments)
        assert done.code == code, done
        assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
        assert "Traceback" not in done.err
        assert done.out == ""
        assert contents(tmp_path) == before
        return done.err

    return run_and_look


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, files with what they hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def train() -> Callable[..., Done]:
    """Train quickly, and well."""

    def run_training(*arguments: str | Path) -> Done:
        of_file = any(Path(argument).suffix for argument in arguments[:1])
        done = harmonium("train", *(QUICK_OF_FILES if of_file else QUICK), *arguments)
        assert done.code == 0, done.err
        return done

    return run_training
