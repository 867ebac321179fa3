"""Runs on tables: columns by name on the command line, in archives, in pictures and on the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.commands import Done, harmonium
from harmonium import RBM, Binary
from harmonium.runs.answers.holding import held_columns
from harmonium.runs.pictures import table_figures, views
from harmonium.sampling import SamplingSchedule
from html_pages import Page

NAMES = ("alcohol", "malic acid", "ash", "hue, of light", "proline")
QUICK = ("--threads", "1", "--no-tensorboard", "--epochs", "4", "--batch-size", "20")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def said_by(path: Path) -> tuple[str, str]:
    with Image.open(path) as image:
        return image.info["Title"], image.info["Description"]


def write_table(path: Path, names: tuple[str, ...], values: np.ndarray) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with names and classes, an RBM of it, and a network with label units."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, (80, 1))
    values = (rng.normal(size=(80, 5)) + labels).round(3) * [1, 2, 3, 4, 500] + [12, 2, 2, 1, 800]
    write_table(folder / "wine.csv", (*NAMES, "label"), np.hstack([values, labels]))
    gaussian = ("--visible", "gaussian", *QUICK)
    ran("train", folder / "wine.csv", *gaussian, "--hidden", "6", "--out", folder / "rbm")
    layers = ("--layers", "6,4", "--labels", "--out", folder / "dbn")
    ran("dbn", "train", folder / "wine.csv", *gaussian, *layers)
    return folder


def test_the_page_shows_columns_by_name(folder: Path) -> None:
    figures = folder / "rbm/figures"
    for name in ("columns/distributions", "columns/correlations", "filters"):
        assert (figures / f"{name}.png").is_file(), name
    page = Page((folder / "rbm/report.html").read_text("utf-8"))
    first, *others = page.pictures
    assert first == "Columns"
    assert {"Correlations", "Samples", "Weights by column", "Reconstructions"} <= set(others)
    worst = said_by(figures / "columns/distributions.png")[1]
    assert any(repr(name) in worst for name in NAMES)
    for contradiction in ("One row per chain", "Rows above"):
        assert contradiction not in page.text


def test_a_network_on_a_table_has_columns_too(folder: Path) -> None:
    page = Page((folder / "dbn/report.html").read_text("utf-8"))
    assert next(iter(page.pictures)) == "Columns"
    assert {"Correlations", "Weights by column of layer 1"} <= set(page.pictures)
    title, caption = said_by(folder / "dbn/figures/classes.png")
    assert title == "Samples of each class" and "in each, time runs to the right" in caption
    # columns of the upper layer are units, of which nobody knows a distribution
    assert not (folder / "dbn/layers/2/figures/columns").exists()


@pytest.mark.parametrize("command", ["sample", "dbn sample"])
def test_columns_are_held_by_name(command: str, folder: Path, tmp_path: Path) -> None:
    run = folder / ("rbm" if command == "sample" else "dbn")
    quick = ("--chains", "4", "--samples", "2", "--warmup", "5", "--out", tmp_path / "kept.npz")
    ran(*command.split(), run, "--clamp", 'ash,"hue, of light",4', *quick)
    with np.load(tmp_path / "kept.npz") as kept:
        assert kept["columns"].tolist() == list(NAMES)
        assert kept["held"].tolist() == [False, False, True, True, True]
        held = kept["held"]
        truth = np.broadcast_to(kept["truth"][:, None], kept["samples"].shape)
        assert kept["samples"][..., held] == pytest.approx(truth[..., held])
        assert not np.allclose(kept["samples"][..., ~held], truth[..., ~held])
    title, caption = said_by(tmp_path / "kept.png")
    assert title == "Completions" and "the true values" in caption and "held" in caption


def test_a_completion_is_called_so_on_the_page(folder: Path) -> None:
    ran("sample", folder / "rbm", "--clamp", "ash", "--chains", "3", "--samples", "1")
    ran("report", folder / "rbm")
    page = Page((folder / "rbm/report.html").read_text("utf-8"))
    assert "Completions, made since" in page.pictures
    assert "samples.png . For each row, the true values left of the seam" in page.text


def test_reconstructions_know_their_columns(folder: Path, tmp_path: Path) -> None:
    ran("reconstruct", folder / "rbm", "--out", tmp_path / "made.npz")
    with np.load(tmp_path / "made.npz") as kept:
        assert kept["columns"].tolist() == list(NAMES)


@pytest.mark.parametrize(
    ("clamp", "said"),
    [
        ("alcohl", "did you mean 'alcohol'? (there are alcohol, malic acid, ash"),
        ("Ash", "did you mean 'ash'?"),
        ("5", "there are columns 0 to 4"),
        ("0-4", "holds all 5 columns"),
        ("top", "--clamp top is for pictures"),
        (",", "no column is called so"),
    ],
)
def test_a_column_that_is_not_there(clamp: str, said: str, folder: Path) -> None:
    done = harmonium("sample", folder / "rbm", "--clamp", clamp, "--chains", "2")
    assert done.code != 0 and said in done.err


# Which columns a name means


def held(clamp: str, names: tuple[str, ...] | None, n: int = 4) -> list[int]:
    mask = held_columns(clamp, n, names=names, image_shape=None, run="runs/x")
    return mask.nonzero()[:, 0].tolist()


def test_names_stand_beside_numbers() -> None:
    names = ("a", "b c", "d,e", "top")
    assert held("a,3", names) == [0, 3]
    assert held(' b c , "d,e"', names) == [1, 2]
    assert held("top", names) == [3]  # of a table, a column of this name is meant
    assert held("0-1,3", names) == [0, 1, 3]


def test_a_number_that_is_the_name_of_another_column_is_ambiguous() -> None:
    names = ("1", "2", "3", "5-6")
    with pytest.raises(ValueError, match="pass 0-0 for the name, or 1-1 for the numbers"):
        held("1", names)
    assert held("0-0", names) == [0] and held("1-1", names) == [1]
    assert held("1", ("0", "1", "2", "3")) == [1]  # as pandas numbers them


def test_a_name_of_several_columns_is_ambiguous() -> None:
    with pytest.raises(ValueError, match="columns 0, 2 are all called so; pass their numbers"):
        held("x", ("x", "y", "x", "z"))


def test_columns_without_names_have_numbers() -> None:
    with pytest.raises(ValueError, match=r"`clamp` is 'ash'; pass top.* have no names"):
        held("ash", None)


# Other kinds of tables


def test_a_wide_table_says_how_many_columns_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = tuple(f"measurement {i % 40} of the northern station, in mg" for i in range(60))
    write_table(tmp_path / "wide.csv", names, rng.normal(size=(60, 60)).round(3))
    quick = ("--visible", "gaussian", "--hidden", "4", *QUICK)
    ran("train", tmp_path / "wide.csv", *quick, "--out", tmp_path / "run")
    figures = tmp_path / "run/figures"
    columns = figures / "columns"
    first, more = (said_by(columns / f"{name}distributions.png")[1] for name in ("", "more-"))
    assert "48 columns that differ less are not shown here" in first
    assert "12 columns that differ less are left out" in more
    assert "40 are left out" in said_by(columns / "correlations.png")[1]
    assert "Of 60 columns, 20 that vary less are left out" in said_by(figures / "samples.png")[1]


def test_a_table_of_categories_is_shown_by_category(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    write_table(tmp_path / "sites.csv", ("left", "right"), rng.integers(0, 3, (50, 2)))
    quick = ("--visible", "categorical", "--hidden", "4", *QUICK)
    ran("train", tmp_path / "sites.csv", *quick, "--out", tmp_path / "run")
    assert said_by(tmp_path / "run/figures/columns/correlations.png")[0] == "Associations"
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["data"]["columns"] == ["left", "right"]
    page = Page((tmp_path / "run/report.html").read_text("utf-8"))
    assert "Restricted Boltzmann machine, 2 × 4 categorical and binary units" in page.text


def test_units_of_categories_are_named_by_column_and_category() -> None:
    from harmonium.datasets import Labelled, OneHot
    from harmonium.runs.pictures.views import View

    view = View(OneHot(3), None, ("left", "right"))
    assert view.unit_names(6) == [f"{side} = {k}" for side in ("left", "right") for k in range(3)]
    labelled = View(Labelled(OneHot(2), 2), None, None)
    assert labelled.unit_names(4) == ["column 0 = 0", "column 0 = 1", "label = 0", "label = 1"]


def test_the_columns_of_two_states_have_shares(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    words = tuple(f"word {i}" for i in range(table_figures.FIRST_COLUMNS + 4))
    write_table(tmp_path / "words.csv", words, (rng.random((60, len(words))) < 0.3).astype(int))
    ran("train", tmp_path / "words.csv", "--hidden", "4", *QUICK, "--out", tmp_path / "run")
    path = tmp_path / "run/figures/columns/distributions.png"
    assert "How often each column is 1" in said_by(path)[1]


def test_pictures_of_very_large_models_take_fewer_sweeps() -> None:
    schedule = SamplingSchedule(n_warmup=100, n_samples=5, sweeps_per_sample=20)
    assert views.paced(schedule, RBM(Binary(784), Binary(500))) == schedule
    with torch.device("meta"):
        large = RBM(Binary(10**5), Binary(1000))
    paced = views.paced(schedule, large)
    assert paced == SamplingSchedule(n_warmup=17, n_samples=5, sweeps_per_sample=4)
