"""Pages in a real browser: they open quietly, can be pointed at, zoomed, played, and read."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from browser.conftest import NARROW, WIDE, Open, Opened, rows_of
from cli.commands import harmonium

PAGES = (
    *("small/report.html", "table/report.html", "network/report.html", "tuned/report.html"),
    *("compare.html", "network/layers/2/report.html"),
)


FRAME = "Number(document.querySelector('[data-player=film] input').value)"


def picture(page: Opened, name: str) -> str:
    """A hash of the pixels that an image shows."""
    pixels = page.ask(
        """async (name) => {
          const image = document.querySelector(`img[alt="${name}"]`);
          await image.decode();
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
        }""",
        name,
    )
    assert len(set(pixels)) > 2
    return hashlib.sha256(bytes(pixels)).hexdigest()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_readable_everywhere(
    name: str, viewport: Any, scheme: Any, runs: Path, opened: Open
) -> None:
    page = opened(runs / name, viewport, color_scheme=scheme)
    wide = page.ask("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1] == viewport["width"]
    # what sticks out of its own box would be cut off or lie over something else
    out = page.ask(
        """() => [...document.querySelectorAll("main *")].filter((node) => {
          const box = node.getBoundingClientRect();
          return box.right > innerWidth + 1 && !node.closest("pre, .wide, .u-wrap");
        }).map((node) => node.outerHTML.slice(0, 80))"""
    )
    assert out == []
    worst = page.ask(_CONTRAST)
    assert worst["n"] > 30
    assert worst["ratio"] >= 4.5, worst
    ground = page.ask("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize(
    "name", ["small/report.html", "table/report.html", "network/report.html", "tuned/report.html"]
)
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_verdict_and_the_first_picture_are_seen_without_scrolling(
    name: str, viewport: Any, runs: Path, opened: Open
) -> None:
    page = opened(runs / name, viewport)
    top = "(name) => document.querySelector(name).getBoundingClientRect().toJSON()"
    verdict = page.ask(top, ".verdict")
    assert verdict["bottom"] < viewport["height"]
    if page.ask("document.images.length"):  # those without figures have none
        picture = page.ask(top, "img")
        assert picture["top"] + 100 < viewport["height"]
        assert picture["width"] >= 250


def test_terms_open_by_touch_and_keyboard_where_they_stand(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html", NARROW, has_touch=True)
    term = page.page.locator(".tiles .term").first
    meaning = term.locator("p")
    assert not meaning.is_visible()
    term.locator("summary").tap()
    assert meaning.is_visible() and "probability" in meaning.inner_text()
    term.locator("summary").press("Enter")
    assert not meaning.is_visible()
    assert term.locator("summary").get_attribute("aria-label") == "What is log-likelihood?"
    of_chart = page.page.locator(".chart .term").first
    of_chart.locator("summary").tap()
    assert of_chart.locator("p").is_visible()
    wide = page.ask("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]


# Of all words on the page against what lies behind them (WCAG 2.2, section 1.4.3).
_CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => c <= 0.04045 * 255 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  let worst = { ratio: Infinity, n: 0 };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(node.tagName)) continue;
    if (!node.checkVisibility()) continue;
    const [a, b] = [parse(getComputedStyle(node).color), behind(node)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    worst.n += 1;
    if (ratio < worst.ratio) worst = { ...worst, ratio, said: walker.currentNode.data };
  }
  return worst;
}"""


def chart(page: Opened, number: int = 0) -> Any:
    """The part of a chart that a mouse points at."""
    over = page.page.locator(".charts").first.locator(".u-over").nth(number)
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    return box


def told(page: Opened) -> dict[str, float]:
    """The numbers that the readings of all visible curves show, by their keys."""
    found = page.ask(
        """[...document.querySelectorAll(".charts .values span[data-value]")]
        .filter((node) => node.checkVisibility())
        .map((node) => [node.dataset.key, Number(node.dataset.value)])"""
    )
    return dict(found)


def where(page: Opened) -> str:
    return page.page.locator(".charts .where").first.inner_text()


def test_pointing_at_a_curve_tells_the_numbers_of_its_row_in_all_charts(
    runs: Path, opened: Open
) -> None:
    page, rows = opened(runs / "small/report.html"), rows_of(runs / "small")
    assert where(page) == "epoch 6 · update 96"
    assert told(page)["log_likelihood"] == pytest.approx(rows[-1]["log_likelihood"], rel=1e-6)
    for number in (0, 2):
        box = chart(page, number)
        for place, row in ((0, rows[0]), (0.41, rows[2]), (1, rows[-1])):
            x = min(box["width"] - 1, max(1, place * box["width"]))
            page.page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
            assert where(page) == f"epoch {row['epoch']:g} · update {row['update']}"
            numbers = told(page)
            assert len(numbers) >= 10
            for key, value in numbers.items():
                assert value == pytest.approx(row[key], rel=1e-6), key
    shown = page.page.locator(".values").first.inner_text().replace("−", "-")
    last = rows[-1]
    assert f"{last['held_out_log_likelihood']:.2f}" in shown
    assert f"± {last['log_likelihood_std_error']:.3f}"[:6] in shown
    page.page.mouse.move(5, 5)
    assert where(page) == "epoch 6 · update 96"


def test_looks_that_must_not_be_trusted_are_shaded_and_say_so(
    runs: Path, opened: Open, tmp_path: Path
) -> None:
    run = tmp_path / "doubtful"
    shutil.copytree(runs / "small", run)
    rows = rows_of(run)
    doubtful = {2, 3}
    for number in doubtful:
        rows[number]["log_likelihood_warning"] = "the particles are lost"  # type: ignore[assignment]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (run / "metrics.jsonl").write_text(lines, "utf-8")
    assert harmonium("report", run).code == 0
    page = opened(run / "report.html")
    assert page.page.locator(".chart .doubts").count() == 1  # of no other chart
    box = chart(page, 0)
    for number in range(len(rows)):
        x = min(box["width"] - 1, max(1, number / (len(rows) - 1) * box["width"]))
        page.page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
        shown = page.page.locator(".values").first.inner_text()
        assert ("not to be trusted" in shown) == (number in doubtful)
    page.page.mouse.move(5, 5)
    # the colour of an empty corner of the chart, above each look
    colours = page.ask(
        """(() => {
        const { plot } = document.querySelector(".charts").charts[0];
        const { left, top, width } = plot.bbox;
        const { data } = plot.ctx.getImageData(0, top + 2, left + width, 1);
        return plot.data[0].map((x) => {
            const at = Math.round(Math.min(left + width - 2, plot.valToPos(x, "x", true) + 2));
            return data.slice(4 * at, 4 * at + 4).join(" ");
        });
        })()"""
    )
    assert len({colours[number] for number in doubtful}) == 1
    assert {colours[number] for number in range(len(rows))} - {colours[2]} == {colours[0]}
    assert colours[0] != colours[2]


def scales(page: Opened) -> list[list[float]]:
    """What part of the training each chart shows."""
    found: list[list[float]] = page.ask(
        """[...document.querySelectorAll(".charts")].flatMap((box) => box.charts.map(
        ({ plot }) => [plot.scales.x.min, plot.scales.x.max]))"""
    )
    return found


def drag(page: Opened, begin: float, end: float) -> None:
    box = chart(page)
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + begin * box["width"], y)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + (begin + end) / 2 * box["width"], y)
    page.page.mouse.move(box["x"] + end * box["width"], y)
    page.page.mouse.up()


def test_a_drag_zooms_all_charts_and_a_double_click_or_the_button_shows_all_again(
    runs: Path, opened: Open
) -> None:
    page = opened(runs / "small/report.html")
    whole = scales(page)
    assert whole == [[1, 6]] * len(whole) and len(whole) >= 8
    button = page.page.get_by_role("button", name="Show all")
    for way in ("button", "double click"):
        assert not button.is_visible()
        drag(page, 0.2, 0.6)
        page.wait_for("document.querySelector('.reset').hidden === false")
        for low, high in scales(page):
            assert (low, high) == (pytest.approx(2, abs=0.05), pytest.approx(4, abs=0.05))
        if way == "button":
            button.click()
        else:
            box = chart(page)
            page.page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 20)
        page.wait_for("document.querySelector('.reset').hidden")
        assert scales(page) == whole


def test_fingers_point_zoom_and_pinch(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html", NARROW, has_touch=True, is_mobile=True)
    rows, box = rows_of(runs / "small"), chart(page)
    y = box["y"] + box["height"] / 2
    page.page.touchscreen.tap(box["x"] + 0.41 * box["width"], y)
    assert where(page) == f"epoch 3 · update {rows[2]['update']}"
    devtools = page.page.context.new_cdp_session(page.page)

    def touch(kind: str, *shares: float) -> None:
        points = [
            {"x": box["x"] + share * box["width"], "y": y, "id": number}
            for number, share in enumerate(shares)
        ]
        event = {"type": f"touch{kind}", "touchPoints": points}
        devtools.send("Input.dispatchTouchEvent", event)

    touch("Start", 0.2)
    for share in (0.3, 0.4, 0.5, 0.6, 0.6):
        touch("Move", share)
        # what is thrown, and not drawn, the browser expects to be stopped by the next touch
        page.page.wait_for_timeout(50)
    touch("End")
    page.wait_for("document.querySelector('.reset').hidden === false")
    low, high = scales(page)[0]
    assert (low, high) == (pytest.approx(2, abs=0.1), pytest.approx(4, abs=0.1))
    page.page.get_by_role("button", name="Show all").tap()
    page.wait_for("document.querySelector('.reset').hidden")
    box = chart(page)
    y = box["y"] + box["height"] / 2
    touch("Start", 0.45, 0.55)
    for apart in (0.1, 0.15, 0.2):
        touch("Move", 0.5 - apart, 0.5 + apart)
    touch("End")
    low, high = scales(page)[0]
    assert 2.5 < low < 3.3 and 3.7 < high < 4.5


def test_a_click_on_the_legend_hides_a_curve_everywhere(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html")
    chip = page.page.get_by_role("button", name="held-out")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert not any(key.startswith("held_out") for key in told(page))
    assert "log_likelihood" in told(page)
    chip.click()
    assert "held_out_log_likelihood" in told(page)


def test_the_slider_steps_through_the_training(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html")
    player = page.page.locator("[data-player=history]")
    slider, output = player.locator("input"), player.locator("output")
    assert output.inner_text() == "epoch 6 · update 96"
    names = ("Filters", "Chains", "Reconstructions")
    seen = {name: {picture(page, name)} for name in names}
    slider.focus()
    for epoch in (5, 4, 3, 2, 1, 0):
        page.page.keyboard.press("ArrowLeft")
        assert output.inner_text() == f"epoch {epoch} · update {16 * epoch}"
        assert slider.get_attribute("aria-valuetext") == output.inner_text()
        for name in names:
            seen[name].add(picture(page, name))
    assert {name: len(pictures) for name, pictures in seen.items()} == dict.fromkeys(names, 7)
    # the pictures are the files of the run
    source = page.page.locator('img[alt="Filters"]').get_attribute("src")
    first = runs / "small/figures/history/filters/update-000000000.png"
    assert source == "data:image/png;base64," + base64.b64encode(first.read_bytes()).decode()
    page.page.keyboard.press("End")
    assert output.inner_text() == "epoch 6 · update 96"


def test_the_film_plays_once_it_is_seen_and_can_be_stopped(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html", reduced_motion="no-preference")
    film = page.page.locator("[data-player=film]")
    button, output = film.locator("button"), film.locator("output")
    assert output.inner_text() == "0 sweeps"
    before = picture(page, "Film")
    film.scroll_into_view_if_needed()
    page.wait_for(f"{FRAME} >= 2")
    assert button.inner_text() == "Pause"
    button.click()
    assert button.inner_text() == "Play" and button.get_attribute("aria-pressed") == "false"
    stopped = output.inner_text()
    assert picture(page, "Film") != before
    page.page.wait_for_timeout(400)
    assert output.inner_text() == stopped


def test_nothing_plays_by_itself_for_those_who_want_less_motion(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html")
    film = page.page.locator("[data-player=film]")
    film.scroll_into_view_if_needed()
    page.page.wait_for_timeout(400)
    assert film.locator("output").inner_text() == "0 sweeps"
    assert film.locator("button").inner_text() == "Play"
    film.locator("button").click()
    page.wait_for(f"{FRAME} >= 1")


def test_curves_follow_a_change_to_the_dark(runs: Path, opened: Open) -> None:
    page = opened(runs / "small/report.html")
    count = """(colour) => {
      const drawn = document.querySelector(".charts canvas");
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [drawn.width, drawn.height];
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(drawn, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
      let n = 0;
      for (let i = 0; i < data.length; i += 4) {
        // but for the edges, which are mixed with what lies behind
        n += data[i + 3] > 200 && colour.every((value, c) => Math.abs(data[i + c] - value) < 12);
      }
      return n;
    }"""
    light, dark = [47, 111, 167], [109, 176, 234]
    assert page.ask(count, light) > 500 and page.ask(count, dark) < 50
    page.page.emulate_media(color_scheme="dark")
    page.page.wait_for_timeout(200)
    assert page.ask(count, dark) > 500 and page.ask(count, light) < 50


def test_runs_beside_each_other_are_told_apart(runs: Path, opened: Open) -> None:
    page = opened(runs / "compare.html")
    rows = {name: rows_of(runs / name) for name in ("small", "other")}
    box = chart(page)
    page.page.mouse.move(box["x"] + 0.41 * box["width"], box["y"] + 20)
    assert where(page) == "epoch 3"
    first = page.page.locator(".chart").first.locator(".values span[data-key]")
    shown = {
        node.inner_text().rsplit(" ", 3)[0]: float(node.get_attribute("data-value") or "nan")
        for node in first.all()
    }
    assert len(shown) == 4
    for name, row in ((name, of[2]) for name, of in rows.items()):
        for label, key in (("training", "log_likelihood"), ("held-out", "held_out_log_likelihood")):
            (value,) = (v for words, v in shown.items() if words.startswith(f"{name}, {label}"))
            assert value == pytest.approx(row[key], rel=1e-6)
    drag(page, 0.2, 0.6)
    page.wait_for("document.querySelector('.reset').hidden === false")
    page.page.get_by_role("button", name="Show all").click()
    assert scales(page)[0] == [1, 6]
    page.page.get_by_role("button", name="other", exact=True).click()
    keys = page.page.locator(".chart").first.locator(".values span[data-key]:visible")
    assert keys.count() == 2
    for name in ("small", "other"):
        assert picture(page, f"Filters of {name}")


def test_links_lead_to_sections_and_to_the_pages_of_layers(runs: Path, opened: Open) -> None:
    page = opened(runs / "network/report.html")
    for link in page.page.locator("nav a").all():
        target = (link.get_attribute("href") or "").removeprefix("#")
        assert page.page.locator(f"section[id='{target}']").count() == 1
    for link in page.page.get_by_role("link", name="The page of this layer").all():
        assert (page.path.parent / (link.get_attribute("href") or "")).is_file()
    assert page.page.get_by_role("link", name="The page of this layer").count() == 2
