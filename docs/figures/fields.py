"""The pictures of docs/proteins.md, docs/genomes.md and docs/neurons.md, by their own commands.

    python docs/figures/fields.py FOLDER

FOLDER gets a folder for each page, with its data and runs, and `output.txt`, what the commands
print: some two minutes on two cores. The page of the family needs what `screenshots.py` needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from screenshots import BROWSERS, QUIET, shot
from screenshots import save as save_shots

DOCS = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURES = {
    "proteins": {
        "family-contacts": "runs/family/contacts.png",
        "family-mutants": "runs/family/mutants.png",
        "family-logos": "runs/family/figures/logos.png",
    },
    "genomes": {
        "genomes-linkage": "runs/genomes/fidelity/linkage.png",
        "genomes-components": "runs/genomes/fidelity/components.png",
    },
    "neurons": {
        "neurons-covariances": "runs/neurons/fidelity/covariances.png",
        "neurons-active-units": "runs/neurons/fidelity/active-units.png",
    },
}


def main() -> None:
    top = Path(sys.argv[1]).resolve()
    for page, pictures in PICTURES.items():
        folder = top / page
        folder.mkdir(parents=True)
        os.chdir(folder)
        blocks = FENCE.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))
        exec(next(body for kind, body in blocks if kind == "python"), {})
        commands = [line for kind, body in blocks if not kind for line in body.splitlines()]
        with Path("output.txt").open("w", encoding="utf-8") as output:
            for command in commands:
                print(f"\n{command}", file=output, flush=True)
                arguments = [sys.executable, "-m", *command.split()]
                subprocess.run(arguments, check=True, stdout=output, stderr=subprocess.STDOUT)
        for name, path in pictures.items():
            save(Path(path), DOCS / "images" / f"{name}.png")
    os.chdir(top / "proteins")
    save_page(Path("runs/family"))


def save_page(run: Path) -> None:
    """A screenshot of the page of a run."""
    subprocess.run([sys.executable, "-m", "harmonium", "report", str(run)], check=True)
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        save_shots("family-page", [shot(browser, run / "report.html", "", 1440, 2450)])
        browser.close()


def save(source: Path, path: Path) -> None:
    """Copy a picture; with 256 colours it is a third as large."""
    picture = Image.open(source).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {picture.size}")


if __name__ == "__main__":
    main()
