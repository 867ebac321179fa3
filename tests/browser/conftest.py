"""One headless browser for all tests of pages, and small runs whose pages it opens.

Without a browser these tests are skipped; with HARMONIUM_REQUIRE_BROWSER=1 they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, sync_playwright

from cli.commands import harmonium
from harmonium.run_directory import RunDirectory, Warned
from harmonium.runs.pictures import figures

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOW = (
    "no Chromium or Chrome is on the path; install one (Debian: apt-get install chromium; "
    "elsewhere: playwright install chromium) to test the pages"
)

WIDE, NARROW = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = next(filter(None, map(shutil.which, NAMES)), str(own) if own.is_file() else None)
        if found is None:
            if os.environ.get("HARMONIUM_REQUIRE_BROWSER") == "1":
                pytest.fail(HOW)
            pytest.skip(HOW)
        browser = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, and everything that it complained about or asked for."""

    page: Page
    path: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda message: self._complain(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._request)

    def _complain(self, kind: str, words: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {words}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.requests.append(request.url)

    def ask(self, script: str, argument: Any = None) -> Any:
        """The value of an expression of JavaScript."""
        return self.page.evaluate(script, argument)

    def wait_for(self, condition: str) -> None:
        """Until an expression is true; playwright's own way evaluates text, which pages forbid."""
        give_up = time.monotonic() + 30
        while not self.ask(condition):
            assert time.monotonic() < give_up, condition
            self.page.wait_for_timeout(20)


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Open a page; by the end it must have complained of nothing, and asked for nothing."""
    with ExitStack() as stack:

        def open_page(path: Path, viewport: ViewportSize = WIDE, **options: Any) -> Opened:
            # without motion nothing is still on its way when it is pointed at
            options = {"reduced_motion": "reduce"} | options
            context = browser.new_context(viewport=viewport, **options)
            stack.callback(context.close)
            page = Opened(context.new_page(), path)
            page.watch()
            page.page.goto(path.as_uri())
            pages.append(page)
            return page

        pages: list[Opened] = []
        yield open_page
        for page in pages:
            assert page.complaints == []
            assert page.requests == [page.path.as_uri()]


def ran(*arguments: str | Path) -> None:
    done = harmonium(*arguments)
    assert done.code == 0, done.err


def write_table(path: Path) -> None:
    """60 rows of 14 columns with long names."""
    header = ",".join(f"column {j} of a table with long names" for j in range(14))
    rows = (",".join(f"{(7 * i + j * j) % 11}.5" for j in range(14)) for i in range(60))
    path.write_text("\n".join([header, *rows, ""]), "utf-8")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small runs: an RBM, another one, a network, and a fine-tuning of it."""
    folder = tmp_path_factory.mktemp("runs")
    quick = ("--threads", "1", "--no-tensorboard")
    train = ("train", "--epochs", "6", "--every", "16", *quick)
    ran(*train, "--hidden", "12", "--out", folder / "small")
    # the pictures of its end would take seconds, and are those of the first run again
    with mock.patch.object(figures, "draw_all", lambda *_: iter(())):
        ran(*train, "--hidden", "16", "--method", "cd", "--out", folder / "other")
    write_table(folder / "table.csv")
    of_table = ("--visible", "gaussian", "--hidden", "5", "--epochs", "4", *quick)
    ran("train", folder / "table.csv", *of_table, "--out", folder / "table")
    few = Warned("Few rows", "There are 54 rows to learn from; take fewer `--hidden` units.")
    RunDirectory(folder / "table").write_warnings([few])
    ran("report", folder / "table")
    quick += ("--no-figures",)
    ran("dbn", "train", "--layers", "12,8", "--epochs", "2", *quick, "--out", folder / "network")
    tune = ("dbn", "finetune", folder / "network", "--epochs", "3", "--every", "13", *quick)
    ran(*tune, "--out", folder / "tuned")
    results = {
        "digits:test": {"lower": -20.5, "upper": -19.75, "update": 96, "rows": 250, "warnings": []}
    }
    content = {"format": 1, "results": results}
    (folder / "small/likelihood.json").write_text(json.dumps(content))
    ran("report", folder / "small")
    ran("compare", folder / "small", folder / "other", "--out", folder / "compare.html")
    return folder


def rows_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
