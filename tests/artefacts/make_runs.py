"""Made the runs beside it, as harmonium 0.1.0 writes them: finished ones, and some half-way.

They are not to be made again. What a later version writes otherwise gets runs of its own, and these
must still open, resume, sample and evaluate. What takes room is left out: pictures, pages and all
checkpoints but the newest.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bits import HALF, run

FOLDER = Path(__file__).parent / "runs-0.1.0"
SMALL = (
    *("digits", "--threads", "1", "--no-figures", "--no-tensorboard", "--every", "6"),
    *("--rows", "60", "--batch-size", "10", "--epochs", "2"),
)
RBM = (*SMALL, "--chains", "10")
KINDS = {
    "rbm": ("train", *RBM, "--hidden", "30", "--momentum", "0.5"),
    "tempered": (
        *("train", *RBM, "--hidden", "6", "--no-log-likelihood"),
        *("--sampler", "tempering", "--temperatures", "3"),
    ),
    "dbn": ("dbn", "train", *SMALL, "--layers", "6,5", "--chains", "10", "--no-log-likelihood"),
    "classifier": ("dbn", "finetune", *SMALL, "--layers", "6,5", "--patience", "5"),
}


def strip(run: Path) -> None:
    """Leave out what takes room, and what is made again."""
    for path in sorted(run.rglob("*"), reverse=True):
        if path.name in ("figures", "tensorboard"):
            shutil.rmtree(path)
        elif path.name == "report.html":
            path.unlink()
        elif path.name == "config.json":
            path.write_text(path.read_text().replace(str(FOLDER), "/home/somebody/runs"))
        elif path.name == "checkpoints":
            for old in sorted(path.iterdir())[:-1]:
                old.unlink()


if __name__ == "__main__":
    FOLDER.mkdir()
    for kind, begin in KINDS.items():
        run(*begin, "--out", FOLDER / kind)
        layer = 2 if kind == "dbn" else None
        run(*begin, "--every", "1", "--out", FOLDER / f"{kind}-half", stop_after=HALF, layer=layer)
    quick = KINDS["classifier"][3 : KINDS["classifier"].index("--layers")]
    run("dbn", "finetune", FOLDER / "dbn", *quick)
    for run_directory in FOLDER.iterdir():
        strip(run_directory)
