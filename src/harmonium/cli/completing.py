"""What the shell offers behind a command: names of data sets and recipes, and run directories.

A shell asks while somebody types, so that nothing heavy is imported here. Where nothing is
offered, the shell goes on with files.
"""

from __future__ import annotations

from pathlib import Path

NAMED_SETS = ("digits", "mnist")
"""Those of `harmonium.datasets.names`, which would import torch."""

_RUNS = Path("runs")


def data(incomplete: str) -> list[str]:
    """Named data sets that begin so; none leaves it to files."""
    return [name for name in NAMED_SETS if name.startswith(incomplete)]


def recipes(incomplete: str) -> list[str]:
    """Recipes that begin so, and the word that lists them."""
    from harmonium import recipes

    return [name for name in ("list", *recipes.names()) if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Run directories below ``runs`` that begin so, the newest first; none leaves it to files."""
    found = [path.parent for path in _RUNS.glob("*/config.json")]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [str(path) for path in found if str(path).startswith(incomplete)]
