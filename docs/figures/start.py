"""The pictures of docs/start.md, by its own commands: python docs/figures/start.py"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "images"
COMMANDS = {
    ("train", "--out", "run"): None,
    ("sample", "run", "--out", "run/samples.npz"): "start-samples.png",
    ("sample", "run", "--clamp", "top", "--out", "run/samples.npz"): "start-completions.png",
}

with tempfile.TemporaryDirectory() as folder:
    for command, picture in COMMANDS.items():
        subprocess.run([sys.executable, "-m", "harmonium", *command], cwd=folder, check=True)
        if picture:
            made = max(
                Path(folder, "run").glob("samples*.png"), key=lambda path: path.stat().st_mtime
            )
            shutil.copy(made, IMAGES / picture)
