"""docs/images/codes.png and completions.png, of docs/uses.md: python docs/figures/uses.py

The pictures are those of the page's own code, which this runs first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from harmonium import plots
from harmonium.plots.style import dress, new_figure

DOCS = Path(__file__).parents[1]
SHOWN = 12


def names_of_the_page() -> dict[str, Any]:
    text = (DOCS / "uses.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(compile(code, "uses.md", "exec"), names)
    return names


def draw_codes(names: dict[str, Any]) -> None:
    """Test rows by two principal components, and by the two codes of the autoencoder."""
    figure = new_figure((8.2, 3.9))
    labels = names["grey_test"].labels
    of_pca = names["pca"].transform(names["x_test"])
    sides = ("two principal components", of_pca), ("two codes of an autoencoder", names["codes"])
    for place, (title, points) in enumerate(sides, 1):
        ax = dress(figure.add_subplot(1, 2, place))
        for digit in range(10):
            x, y = points[labels == digit].T
            ax.scatter(x, y, s=14, color=f"C{digit}", label=str(digit), lw=0)
        ax.set(title=title, xticks=[], yticks=[])
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0)
    plots.save(figure, DOCS / "images" / "codes.png")


def draw_completions(names: dict[str, Any]) -> None:
    """Held-out pictures; their upper halves with the mean completion; three completions each."""
    v, lower = names["v"][:SHOWN], names["lower"][:SHOWN]
    kinds = [v, torch.where(names["upper"], v, 0.35), torch.cat([v[:, :32], lower], 1)]
    kinds += [drawn[:SHOWN] for drawn in names["drawn"][::8]]
    sheet = plots.tile(torch.cat(kinds).detach().numpy(), (8, 8), n_columns=SHOWN)
    plots.save_sheet(DOCS / "images" / "completions.png", sheet, zoom=6)


if __name__ == "__main__":
    found = names_of_the_page()
    draw_codes(found)
    draw_completions(found)
