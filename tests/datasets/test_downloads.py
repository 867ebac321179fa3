"""Downloads over HTTP, from a server on this machine, and pip's, played by another program."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harmonium.datasets import downloads

CONTENT = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    silent = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/silent":
            self.silent.wait(20)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:-100] if self.path == "/broken" else CONTENT)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Handler.silent.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "total"), [("whole", len(CONTENT)), ("unsized", None)])
def test_a_download_tells_how_far_it_is(server: str, name: str, total: int | None) -> None:
    told: list[tuple[str, int, int | None]] = []
    content = downloads.download(f"{server}/{name}", lambda *progress: told.append(progress))
    assert content == CONTENT
    assert told[0] == (name, 0, total)
    assert told[-1] == (name, len(CONTENT), total)
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})


def test_a_download_that_breaks_off_is_an_error(server: str) -> None:
    with pytest.raises(ConnectionError, match="/broken broke off after 255900 of 256000 bytes"):
        downloads.download(f"{server}/broken", downloads.quiet)


def test_a_missing_file_is_an_error(server: str) -> None:
    with pytest.raises(OSError, match="HTTP Error 404") as caught:
        downloads.download(f"{server}/missing", downloads.quiet)
    assert isinstance(caught.value, downloads.FAILURES)
    caught.value.close()  # type: ignore[attr-defined]


def test_a_silent_server_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_CONNECT_SECONDS", 0.05)
    with pytest.raises(TimeoutError, match=r"no answer from .*/silent within 0.05 s"):
        downloads.download(f"{server}/silent", downloads.quiet)


def test_nobody_listens() -> None:
    with pytest.raises(downloads.FAILURES):
        downloads.download("http://127.0.0.1:1/file", downloads.quiet)


PIP = """
import pathlib, sys, tempfile
assert sys.argv[1:4] == ["-m", "pip", "download"], sys.argv
assert "--no-deps" in sys.argv and "--only-binary=:all:" in sys.argv, sys.argv
(pathlib.Path(tempfile.gettempdir()) / "part").write_bytes(bytes(10))
folder = pathlib.Path(next(a for a in sys.argv if a.startswith("--dest="))[7:])
requirement = sys.argv[-1]
if requirement == "missing":
    sys.exit("WARNING: slow\\nERROR: no such thing\\nhint: none")
if requirement == "silent":
    sys.exit(3)
folder.mkdir()
for i in range(2 if requirement == "two" else 1):
    (folder / f"thing-{i}.whl").write_bytes(bytes(25))
"""


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "pip.py"
    program.write_text(PIP)
    start = subprocess.Popen

    def run(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert command[0] == sys.executable
        return start([sys.executable, str(program), *command[1:]], **options)

    monkeypatch.setattr(subprocess, "Popen", run)
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def test_a_wheel_from_pip(pip: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    wheel = downloads.download_wheel("thing==1", pip, lambda *progress: told.append(progress))
    assert wheel.read_bytes() == bytes(25)
    assert told[-1] == ("thing==1", 25, 25)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    outside = [path for path in pip.parent.iterdir() if path not in (pip, pip.parent / "pip.py")]
    assert outside == []


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("missing", "pip download failed: ERROR: no such thing"),
        ("silent", "pip download failed: it gave no reason"),
        ("two", "pip download failed"),
    ],
)
def test_pip_that_fails_is_an_error(pip: Path, requirement: str, message: str) -> None:
    with pytest.raises(OSError, match=message):
        downloads.download_wheel(requirement, pip, downloads.quiet)


def test_pip_is_stopped_when_the_user_stops(pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def run(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **options))
        return started[-1]

    def stop(name: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", run)
    with pytest.raises(KeyboardInterrupt):
        downloads.download_wheel("thing", pip, stop)
    assert started[0].poll() is not None
