"""What the documentation tells people to type works: Python blocks run, commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli.commands import harmonium

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT)).removeprefix("docs/")


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for kind, body in FENCE.findall(text) if kind == language]


def commands() -> list[str]:
    lines = [line for page in PAGES for body in blocks(page, "") for line in body.splitlines()]
    typed = [line.split("#")[0].strip() for line in lines if line.startswith("harmonium ")]
    return sorted({command for line in typed for command in alternatives(line)})


def alternatives(line: str) -> list[str]:
    """`a · b` are two commands, `a x | b y` two of one name."""
    found = []
    for part in re.split(r"\s+·\s+", line):
        first, *others = part.split(" | ")
        found += [first, *(" ".join([*first.split()[:2], other]) for other in others)]
    return found


def test_the_commands_are_found() -> None:
    assert "harmonium train" in commands()
    assert "harmonium data fetch mnist" in commands()


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_is_understood(command: str) -> None:
    # taken out by `main` wherever they stand; test_readme.py and cli/test_processes.py run them
    typed = re.sub(r" --(units-from|processes) \S+", "", command)
    done = harmonium(*shlex.split(typed)[1:], "--help")
    assert done.code == 0, done.err


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for body in blocks(page, "python"):
        exec(compile(body, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
