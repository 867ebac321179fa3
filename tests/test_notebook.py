"""A notebook trains and shows a run: executed cell by cell, in a kernel of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

TRAIN = """
import harmonium

run = harmonium.train("digits", rows=100, hidden=8, epochs=2, out="run", tensorboard=False)
"""
SHOW = "run"
RESUME = "run.resume(more_epochs=1, figures=False)"


class OfThisPython(AsyncKernelManager):
    """Starts its kernels with the Python that runs the tests, whatever is installed elsewhere."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="tests", language="python")


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The notebook with what its cells show; Jupyter writes into the test's folder only."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    cells = [nbformat.v4.new_code_cell(source) for source in (TRAIN, SHOW, RESUME)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_manager_class=OfThisPython,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    return client.execute()


def html_of(cell: Any) -> list[str]:
    """The pieces of HTML that a cell shows."""
    return [each["data"]["text/html"] for each in cell.outputs if "text/html" in each["data"]]


def test_a_notebook_trains_and_shows_a_run(executed: Any, tmp_path: Path) -> None:
    train, show, resume = executed.cells
    (bar,) = html_of(train)
    assert "<progress" in bar and "reconstruction error" in bar
    (shown,) = html_of(show)
    assert "100 training rows" in shown and "finished" in shown
    assert shown.count("<img ") == 4 and "http" not in shown
    assert 'alt="learning curves"' in shown and 'alt="filters"' in shown
    assert len(html_of(resume)) == 2  # a bar, and the run at its new end
    assert (tmp_path / "run" / "report.html").is_file()
