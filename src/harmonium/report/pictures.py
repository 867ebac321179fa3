"""The pictures of a run on its page: which comes first, and what each one shows."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from harmonium.report.facts import Facts
from harmonium.report.pieces import Picture, Section

# Captions for pictures without a caption in the file, as from earlier versions.
_KNOWN = {
    "reconstructions": ("Reconstructions", "Rows next to their reconstructions by the model."),
    "samples": ("Samples", ""),
    "classes": ("Samples of each class", "Samples of the network with each class held fixed."),
    "confusion": ("Confusion matrix", "The predictions for the rows of each class."),
    "mistakes": ("Worst mistakes", "Sorted by the probability of the true class, lowest first."),
    "codes": ("Codes", "Rows by their codes, in two dimensions, coloured by label."),
    "weights": ("Weights", "Distributions of weights and biases."),
    "hidden-activity": (
        "Activity of the hidden units",
        "A dark column is a dead unit, a bright one a saturated one.",
    ),
    "learning-curves": ("Learning curves", "Training and held-out rows."),
}
_ORDER = ("distributions", "correlations", "samples", "filters", *_KNOWN)
_MADE_SINCE = (
    "samples",
    "reconstructions",
    "codes",
    "decoded",
    "predictions",
    "contacts",
    "mutants",
)

# The most informative pictures for each kind of run, best first.
_FIRST = {
    "RBM": ("columns/distributions", "samples", "filters"),
    "deep belief network": ("columns/distributions", "samples"),
    "fine-tuning": ("confusion", "codes", "reconstructions", "learning-curves"),
}


def is_table(facts: Facts) -> bool:
    """Whether the rows of a run are not pictures, so that columns are shown by name."""
    options = facts.config["options"]
    return not facts.config["data"]["image_shape"] or options.get("visible") == "categorical"


def first(facts: Facts) -> Path | None:
    """The picture at the top; None if there is none yet."""
    if facts.kind == "fine-tuning" or facts.is_finished:
        for name in _FIRST[facts.kind]:
            path = facts.run.figures / f"{name}.png"
            if path.is_file():
                return path
    newest = facts.layers[-1] if facts.kind == "deep belief network" and facts.layers else facts
    for what in ("chains", "filters"):
        sheets = newest.run.history(what)
        if sheets:
            return sheets[max(sheets)]
    return None


def shown_first(path: Path | None) -> Picture | None:
    """The picture at the top."""
    if path is None:
        return None
    if path.parent.parent.name == "history":
        what = path.parent.name.capitalize()
        caption = "Their current state; their development is shown below."
        return Picture(what, caption, path.read_bytes(), look="sheet")
    return picture(path)


def section(facts: Facts, apart: set[Path]) -> Section | None:
    """The pictures in ``figures/`` and ``figures/columns/``, and the newest made by commands."""
    not_here = {"learning-curves"} | (set() if is_table(facts) else {"filters"})
    paths = [
        path
        for path in sorted([*facts.run.figures.glob("*.png"), *facts.run.columns.glob("*.png")])
        if path.stem not in not_here and path not in apart
    ]
    paths.sort(key=lambda path: _ORDER.index(path.stem) if path.stem in _ORDER else len(_ORDER))
    shown = [picture(path) for path in paths]
    for made in _MADE_SINCE:
        beside = [*facts.run.path.glob(f"{made}.png"), *facts.run.path.glob(f"{made}-*.png")]
        for path in sorted(beside, key=lambda path: path.stat().st_mtime)[-1:]:
            shown.append(picture(path, since=True))
    if not shown:
        return None
    return Section("pictures", "Pictures", "pictures", {"pictures": shown})


def picture(path: Path, *, since: bool = False) -> Picture:
    """A picture with the caption in its file; ``since`` if a command made it later."""
    png = path.read_bytes()
    title, caption = _said_by(png)
    plain = path.stem.replace("-", " ").capitalize()
    if not title:
        title, caption = _KNOWN.get(path.stem, (plain, ""))
    if since:
        title, caption = f"{title}, made since", f"`{path.name}`. {caption}".removesuffix(". ")
    return Picture(title, caption, png)


def _said_by(png: bytes) -> tuple[str, str]:
    """Title and caption stored in a PNG file; empty if there are none."""
    try:
        with Image.open(io.BytesIO(png)) as image:
            held = image.info
    except OSError:
        return "", ""
    title, caption = held.get("Title"), held.get("Description", "")
    return (title, caption) if isinstance(title, str) and isinstance(caption, str) else ("", "")
