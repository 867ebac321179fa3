"""The pictures of docs/report.md: pages of real runs in a headless Chromium.

    python docs/figures/screenshots.py FOLDER

FOLDER gets the runs, unless they are there already: some ten minutes on two cores. Needs Playwright
(the dev extra) and a Chromium or Chrome on the path.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from sklearn.datasets import load_wine

IMAGES = Path(__file__).resolve().parents[1] / "images"

OPTIONS = "--hidden 200 --epochs 20 --no-tensorboard"
COMMANDS = {
    "runs/wine": (
        "train wine.csv --visible gaussian --hidden 32 --epochs 300 --no-tensorboard "
        "--out runs/wine",
    ),
    "runs/mnist": (
        f"train mnist {OPTIONS} --out runs/mnist",
        "evaluate runs/mnist --rows 2000 --chains 100 --temperatures 5000",
        "diagnose runs/mnist --sweeps 3000",
    ),
    "runs/mnist-cd": (
        f"train mnist {OPTIONS} --method cd --out runs/mnist-cd",
        "evaluate runs/mnist-cd --rows 2000 --chains 100 --temperatures 5000",
    ),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    wine = load_wine(as_frame=True)
    wine.data.assign(label=wine.target).to_csv("wine.csv", index=False)
    for run, commands in COMMANDS.items():
        if not Path(run).exists():
            for command in commands:
                harmonium(command)
        harmonium(f"report {run}")
    harmonium("compare runs/mnist runs/mnist-cd")
    report, compare = Path("runs/mnist/report.html"), Path("compare.html")
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        save("report-wide", [shot(browser, report, "", 1440, 1150, point=True)])
        save("report-dark", [shot(browser, report, "history", 1440, 1060, dark=True)])
        save("report-table", [shot(browser, Path("runs/wine/report.html"), "", 1440, 1500)])
        phone = {"width": 390, "height": 844, "scale": 2}
        save(
            "report-narrow",
            [
                shot(browser, report, "", **phone),
                shot(browser, report, "curves", **phone, point=True),
                shot(browser, report, "history", **phone),
                shot(browser, report, "diagnosis", **phone),
            ],
        )
        save("compare", [shot(browser, compare, "", 1440, 1120, point=True)])
        browser.close()


def harmonium(arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "harmonium", *arguments.split()], check=True)


def shot(
    browser: Browser,
    path: Path,
    section: str,
    width: int,
    height: int,
    *,
    scale: float = 1,
    dark: bool = False,
    point: bool = False,
) -> Image.Image:
    """What is seen of a page from one of its sections on."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(path.resolve().as_uri() + (f"#{section}" if section else ""))
    if point:
        point_at(page)
    page.wait_for_timeout(300)
    picture = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return picture.convert("RGB")


def point_at(page: Page) -> None:
    """Put the mouse into the first chart, two fifths from its left."""
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 0.5 * box["height"])


def save(name: str, pictures: list[Image.Image]) -> None:
    """One picture, or several beside each other; with 256 colours it is a third as large."""
    gap = 24 if len(pictures) > 1 else 0
    width = sum(picture.width + gap for picture in pictures) - gap
    whole = Image.new("RGB", (width, max(picture.height for picture in pictures)), "#c9ced6")
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + gap
    path = IMAGES / f"{name}.png"
    whole.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {whole.size}")


if __name__ == "__main__":
    main()
