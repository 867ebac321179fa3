"""The documentation site: every page can be reached, and every public module has one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import harmonium

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NAVIGATION = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
MADE = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}

# What is nobody's business but the library's own, or stands on another page.
INTERNAL = {
    "arguments",
    "autograd",
    "cli",
    "defaults",
    "files",
    "graphs",
    "kernels",
    "missing_states",
}


def pages() -> list[str]:
    return sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_navigation_holds_every_page_once() -> None:
    assert sorted(NAVIGATION) == sorted([*pages(), *MADE])
    assert all((ROOT / source).is_file() for source in MADE.values())


def test_the_front_page_and_the_readme_lead_to_every_page() -> None:
    """Whoever reads the sources, and not the site, finds each page by links from either."""
    found: set[Path] = set()
    waiting = [ROOT / "README.md", DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix == ".md" and page.is_file() and page not in found:
            found.add(page)
            links = re.findall(r"\]\(([^)#:]+)", page.read_text("utf-8"))
            waiting += [(page.parent / link).resolve() for link in links]
    assert {DOCS / page for page in pages()} <= found


def test_a_decision_says_what_was_asked_measured_and_chosen() -> None:
    decisions = sorted((DOCS / "decisions").glob("0*.md"))
    index = (DOCS / "decisions" / "index.md").read_text("utf-8")
    listed = re.findall(r"^\| (\d{4}) \| \[.*\]\((.+\.md)\) \| \d{4}-\d\d-\d\d \|$", index, re.M)
    assert sorted(name for _, name in listed) == [page.name for page in decisions]
    for number, page in enumerate(decisions, 1):
        assert (f"{number:04}", page.name) in listed
        headings = re.findall(r"^## (.*)$", page.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Question", "Measurement", "Choice"]


def documented() -> set[str]:
    text = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    return set(re.findall(r"^::: harmonium\.(\w+)$", text, re.MULTILINE))


def test_every_module_has_its_page() -> None:
    source = ROOT / "src" / "harmonium"
    found = {path.stem for path in source.glob("*.py")} | {
        path.parent.name for path in source.glob("*/__init__.py")
    }
    assert documented() == {name for name in found if not name.startswith("_")} - INTERNAL


def public_names() -> Iterator[str]:
    yield from (name for name in harmonium.__all__ if name != "__version__")


@pytest.mark.parametrize("name", list(public_names()))
def test_every_public_name_is_in_a_documented_module(name: str) -> None:
    found = getattr(harmonium, name)
    if inspect.ismodule(found):
        assert name in documented()
    else:
        assert found.__module__.split(".")[1] in documented() and found.__doc__


def test_modules_of_the_reference_are_those_of_its_table() -> None:
    """The page that lists them, in reading order, is the order of the navigation."""
    table = re.findall(r"^\| \[.*?\]\((\w+)\.md\)", (DOCS / "api/index.md").read_text(), re.M)
    order = [Path(page).stem for page in NAVIGATION if page.startswith("api/")]
    assert ["index", *table] == order
