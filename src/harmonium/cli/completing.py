"""Shell completion: names of data sets and recipes, and run directories.

The shell asks while the user types, so nothing heavy is imported here. If there are no completions,
the shell offers files.
"""

from __future__ import annotations

from pathlib import Path

NAMED_SETS = ("digits", "mnist")
"""The names of `harmonium.datasets.names`, which would import torch."""

_RUNS = Path("runs")


def data(incomplete: str) -> list[str]:
    """Named data sets with this prefix; if there are none, the shell offers files."""
    return [name for name in NAMED_SETS if name.startswith(incomplete)]


def recipes(incomplete: str) -> list[str]:
    """Recipes with this prefix, and the word that lists them."""
    from harmonium import recipes

    return [name for name in ("list", *recipes.names()) if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Run directories below ``runs`` with this prefix, newest first; if none, files are offered."""
    found = [path.parent for path in _RUNS.glob("*/config.json")]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [str(path) for path in found if str(path).startswith(incomplete)]
