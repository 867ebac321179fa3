"""What every test shares: the ``--device`` option, and walls around the user's own folders.

Hypothesis gets no deadlines: no test asserts a time.

Seeds, tolerances and data belong to the tests that use them, not here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import torch

_NUMBERS = count()

settings.register_profile("harmonium", deadline=None)
settings.load_profile("harmonium")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="where the tests' tensors live: cpu (default), cuda, cuda:1"
    )


def _version_of_kernels() -> str:
    """Compiled loops call each other across files, of which Numba's cache watches only one."""
    spec = importlib.util.find_spec("harmonium")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "kernels" / "cpu"
    content = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(content).hexdigest()[:16]


def pytest_configure(config: pytest.Config) -> None:
    # Before the first import of Numba or matplotlib, and inherited by the processes that tests
    # start: neither may write its cache into the user's home, and no window may open.
    caches = config.rootpath / ".pytest_cache"
    os.environ["NUMBA_CACHE_DIR"] = str(caches / f"numba-{_version_of_kernels()}")
    os.environ["MPLCONFIGDIR"] = str(caches / "matplotlib")
    os.environ["MPLBACKEND"] = "agg"
    os.environ["TRITON_CACHE_DIR"] = str(caches / "triton")
    # Also before the first import: without a GPU, Triton's kernels are interpreted.
    if config.getoption("--device") == "cpu":
        os.environ.setdefault("TRITON_INTERPRET", "1")
    # What is computed here is small. Threads of a busy machine would only wait for each other;
    # tests of threads ask for more of them by themselves.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test works in a folder of its own, and leaves the number of threads as it was."""
    import torch

    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device of ``--device``; a missing one stops the run, it does not skip its tests."""
    import torch

    name = request.config.getoption("--device")
    try:
        return torch.empty(1, device=name).device
    except (AssertionError, RuntimeError) as error:
        pytest.exit(f"--device {name} is not usable on this machine: {error}", returncode=4)


@pytest.fixture(params=[1, 2, 3, 7])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Torch and the compiled kernels on so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_data_folder(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each test has a data cache of its own, empty and not yet made.

    It is in the test's own folder where the test has one; thousands need none.
    """
    if "tmp_path" in request.fixturenames:
        folder: Path = request.getfixturevalue("tmp_path") / "harmonium-data"
    else:
        folder = tmp_path_factory.getbasetemp() / f"harmonium-data-{next(_NUMBERS)}"
    monkeypatch.setenv("HARMONIUM_DATA", str(folder))
