"""Figures of tables: names that can be read, values of the data, and a scale for each column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from harmonium import plots
from harmonium.plots import style


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def names_at(ax: Axes, axis: str = "y") -> list[str]:
    labels = ax.get_yticklabels() if axis == "y" else ax.get_xticklabels()
    return [label.get_text() for label in labels]


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_visible()]


# Names


def test_names_are_short_and_no_two_alike() -> None:
    long = [f"measurement of quantity number {i} at the northern station" for i in (1, 2, 22)]
    names = ["alcohol", "alcohol", "", "a$b", *long, long[0], "proline of the sample in mg per l"]
    shown = plots.legible(names)
    assert shown[:3] == ["alcohol", "alcohol (2)", "column 2"]
    assert len(set(shown)) == len(names)
    assert all(len(name) <= 30 for name in shown)
    for name, told_apart_by in zip(shown[4:7], ("…1…", "…2…", "…22…"), strict=True):
        assert told_apart_by in name
    assert plots.legible(shown) == shown


def test_a_hundred_duplicates_are_told_apart() -> None:
    assert len(set(plots.legible(["x"] * 100))) == 100
    # as many as a recording of a whole brain has columns
    many = [f"neuron {n // 2} of the left hemisphere" for n in range(100_000)]
    assert len(set(plots.legible(many))) == len(many)
    assert plots.legible(["x", "x (2)", "x"]) == ["x", "x (2)", "x (3)"]


# Distributions


def test_distances_are_those_of_the_distribution_functions() -> None:
    data = np.array([[0.0], [1.0], [2.0], [3.0]])
    samples = np.array([[2.0], [3.0], [4.0], [5.0]])
    assert plots.distances(data, samples).tolist() == [0.5]
    assert plots.distances(data, data).tolist() == [0.0]


def test_distances_of_names_do_not_know_an_order() -> None:
    data, samples = np.array([[0.0], [0], [1], [2]]), np.array([[2.0], [0], [1], [0]])
    assert plots.distances(data, samples, nominal=True).tolist() == [0.0]
    assert plots.distances(data, np.full((2, 1), 7.0), nominal=True).tolist() == [1.0]


def test_columns_are_drawn_by_name_in_the_units_of_the_data(rng: np.random.Generator) -> None:
    data = np.column_stack([rng.normal(1.7e9, 100, 300), rng.integers(0, 3, 300)])
    samples = data[:150]
    figure = plots.distributions(data, samples, ["time", "kind"])
    time, kind = panels(figure)
    assert [ax.get_title(loc="left") for ax in (time, kind)] == ["time", "kind"]
    low, high = time.get_xlim()
    assert low == data[:, 0].min() and high == data[:, 0].max()
    figure.canvas.draw()
    assert time.xaxis.get_offset_text().get_text() == ""  # no tick hides that these are 1.7e9
    assert names_at(kind, "x") == ["0", "1", "2"]
    heights = np.array([bar.get_height() for bar in kind.patches]).reshape(2, 3)
    for drawn, of in zip(heights, (data, samples), strict=True):
        assert drawn == pytest.approx([(of[:, 1] == value).mean() for value in range(3)])


def test_histograms_are_shares_of_all_rows_even_where_samples_are_wild(
    rng: np.random.Generator,
) -> None:
    data, samples = rng.normal(size=(400, 1)), rng.normal(size=(500, 1))
    samples[0] = 1e6
    (ax,) = panels(plots.distributions(data, samples, ["x"]))
    for stairs in ax.patches:
        assert stairs.get_data().values.sum() == pytest.approx(1)
    assert ax.get_xlim()[1] < 10


def test_columns_without_spread_are_drawn() -> None:
    plots.distributions(np.full((20, 1), 7.3), np.full((5, 1), 7.3), ["x"]).canvas.draw()


def test_values_that_stand_for_letters_are_shown_as_letters() -> None:
    data, samples = np.array([[0.0], [2.0]]), np.array([[1.0], [2.0]])
    figure = plots.distributions(data, samples, ["site 7"], nominal=True, letters="AC-")
    assert names_at(figure.axes[0], "x") == ["A", "C", "-"]
    for strips in (
        plots.sample_strips([[[2.0, 1.0], [0.0, 1.0]]], ["a", "b"], letters="AC-"),
        plots.reconstruction_strips([[2.0, 1.0]], [[0.0, 1.0]], ["a", "b"], letters="AC-"),
        plots.completion_strips([[2.0, 1]], [[[0.0, 1]]], [True, False], ["a", "b"], letters="AC-"),
    ):
        strips.figure.canvas.draw()
        (right,) = strips.child_axes
        assert names_at(right) == ["A … -", "C"]


def test_values_that_stand_for_words_of_their_column_are_shown_as_words() -> None:
    towns = ["Bern", "Oslo", "Rio de Janeiro and all around it"]
    values = np.array([[0.0, 3.5], [1, 0.5], [2, 2.5]])
    figure = plots.distributions(values, values, ["town", "size"], letters=[towns, None])
    first, second = (names_at(ax, "x") for ax in panels(figure))
    assert first[:2] == towns[:2] and first[2].startswith("Rio") and len(first[2]) <= 12
    assert "0.5" in second
    means = values[None] * [0.75, 1]
    ax = plots.sample_strips(means, ["town", "size"], letters=[towns, None])
    ax.figure.canvas.draw()
    (right,) = ax.child_axes
    assert names_at(right) == ["Bern … 1.5", "0.5 … 3.5"]


def test_shares_of_ones_stand_at_their_names() -> None:
    ax = plots.shares([0.25, 0.5], [0.5, 0.75], ["wine", "beer"])
    assert names_at(ax) == ["wine", "beer"]
    data, samples = ax.lines
    assert data.get_xdata().tolist() == [0.25, 0.5]
    assert samples.get_xdata().tolist() == [0.5, 0.75]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first at the top


# Correlations


def test_correlations_are_those_of_numpy_and_empty_for_constants(rng: np.random.Generator) -> None:
    values = rng.normal(size=(50, 4)) + 1e4
    values[:, 2] = 7.3
    found = plots.associations(values)
    others = [0, 1, 3]
    assert found[np.ix_(others, others)] == pytest.approx(np.corrcoef(values[:, others].T))
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()


def test_categories_that_determine_each_other_have_an_association_of_one() -> None:
    first = np.array([0, 1, 2] * 20)
    values = np.column_stack([first, (first + 1) % 3, np.repeat([0, 1], 30), np.zeros(60)])
    found = plots.nominal_associations(values)
    assert found[0, 1] == pytest.approx(1) and found[0, 2] == pytest.approx(0, abs=1e-12)
    assert np.isnan(found[3]).all()


def test_correlations_of_data_and_samples_stand_beside_each_other(rng: np.random.Generator) -> None:
    a, b = (plots.associations(rng.normal(size=(30, 3))) for _ in range(2))
    figure = plots.correlations(a, b, ["x", "y", "z"])
    left, right = panels(figure)[:2]
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("data", "samples")
    assert names_at(left) == names_at(left, "x") == ["x", "y", "z"]
    for ax, values in ((left, a), (right, b)):
        (image,) = ax.images
        drawn = np.asarray(image.get_array())
        off = ~np.eye(3, dtype=bool)
        assert drawn[off] == pytest.approx(values[off])
        assert image.get_clim() == (-1, 1)


# Weights


def test_weights_by_column_are_those_of_the_strongest(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(6, 5)) * np.array([[1], [9], [1], [9], [9], [1]])
    weights[:, 2] *= 100
    ax = plots.weights_by_column(weights, list("abcdef"), n_columns=3, n_hidden=2)
    assert names_at(ax) == ["b", "d", "e"]
    assert names_at(ax, "x")[0] == "2"
    assert np.asarray(ax.images[0].get_array())[:, 0] == pytest.approx(weights[[1, 3, 4], 2])
    assert ax.get_title(loc="left") == "Weights of 3 of 6 columns and 2 of 5 hidden units"


# Strips


def test_each_column_of_samples_has_a_scale_of_its_own(rng: np.random.Generator) -> None:
    chains = rng.normal(size=(3, 4, 2)) * [1, 1000] + [0, 5000]
    ax = plots.sample_strips(chains, ["small", "large"])
    drawn = np.asarray(ax.images[0].get_array()).astype(float)
    assert drawn.shape == (2, 3 * 4 + 2)  # a line a column, chains beside each other, two gaps
    for line, values in zip(drawn, chains.reshape(-1, 2).T, strict=True):
        kept = line[~np.isnan(line)]
        assert (kept.min(), kept.max()) == (0, 1)
        assert kept == pytest.approx((values - values.min()) / np.ptp(values))
    assert names_at(ax) == ["small", "large"]


def test_limits_are_the_ends_of_the_scale() -> None:
    ax = plots.sample_strips(np.full((1, 2, 1), 0.25), ["x"], limits=([0.0], [1.0]))
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.25, 0.25]]


def test_chains_have_the_names_of_their_classes(rng: np.random.Generator) -> None:
    named = ["setosa", "setosa", "virginica"]
    ax = plots.sample_strips(rng.normal(size=(3, 2, 2)), ["a", "b"], chain_names=named)
    assert names_at(ax, "x") == named
    ax = plots.samples(rng.random((3, 2, 4)), (2, 2), chain_names=named)
    assert names_at(ax) == named
    ax = plots.samples(rng.random((3, 1, 4)), (2, 2), chain_names=named)
    assert names_at(ax) == ["setosa", "virginica"]


def test_reconstructions_stand_right_of_their_rows() -> None:
    rows, made = np.array([[0.0, 10.0], [4.0, 20.0]]), np.array([[1.0, 10.0], [3.0, 15.0]])
    ax = plots.reconstruction_strips(rows, made, ["x", "y"])
    drawn = np.asarray(ax.images[0].get_array()).astype(float)
    assert drawn[0, [0, 1, 3, 4]] == pytest.approx([0, 0.25, 1, 0.75])
    assert np.isnan(drawn[:, 2]).all()


def test_completions_of_a_table_mark_truth_and_what_was_held() -> None:
    truth = np.array([[1.0, 2.0, 3.0]])
    completed = np.array([[[5.0, 2.0, 7.0], [9.0, 2.0, 3.0]]])
    ax = plots.completion_strips(truth, completed, [False, True, False], ["a", "b", "c"])
    assert names_at(ax) == ["b", "a", "c"]  # what was held stands above
    colours = [label.get_color() for label in ax.get_yticklabels()]
    assert colours[0] == style.BLUE and style.BLUE not in colours[1:]
    drawn = np.asarray(ax.images[0].get_array()).astype(float)
    assert np.isnan(drawn[1]).all() and np.isnan(drawn[:, 1]).all()  # gap and seam
    assert drawn[2, [0, 2, 3]] == pytest.approx([0, 0.5, 1])
    assert ax.get_title(loc="left").startswith("Completions of 1 row")


def test_completed_pictures_stand_beside_the_truth_and_what_was_given() -> None:
    truth = np.array([[0.0, 1.0, 0.25, 0.75]])
    completed = np.array([[[0.0, 1.0, 1.0, 1.0]]])
    ax = plots.completions(truth, completed, [True, True, False, False], (2, 2))
    drawn = np.asarray(ax.images[0].get_array())
    assert drawn[:, :2, 0].tolist() == [[0, 1], [0.25, 0.75]]
    given = drawn[:, 3:5]
    assert given[0, :, 0].tolist() == [0, 1]
    assert (np.ptp(given[1], axis=-1) > 0.1).all()  # tinted, so that it is no grey
    assert drawn[:, 6:8, 0].tolist() == [[0, 1], [1, 1]]
    assert names_at(ax, "x") == ["true", "given", "completed"]


def test_a_png_says_what_it_shows(tmp_path) -> None:
    from PIL import Image

    path = plots.save(
        plots.shares([0.5], [0.5], ["x"]), tmp_path / "x.png", title="A — b", caption="C."
    )
    with Image.open(path) as image:
        assert (image.info["Title"], image.info["Description"]) == ("A — b", "C.")


@pytest.mark.parametrize("n", [1, 2, 40])
def test_any_number_of_columns_with_long_names_has_room(n: int, rng: np.random.Generator) -> None:
    """Matplotlib warns where there is none, and warnings are errors here."""
    x, names = rng.normal(size=(20, n)), [f"{i} is quite a long name, number {i}" for i in range(n)]
    drawn: list[Axes | Figure] = [
        plots.shares(x.mean(0) % 1, x.mean(0) % 1, names),
        plots.weights_by_column(x.T, names),
        plots.sample_strips(x.reshape(4, 5, n), names),
        plots.reconstruction_strips(x, x, names),
        plots.completion_strips(x[:2], x[:10].reshape(2, 5, n), np.arange(n) < n / 2, names),
    ]
    if n < 40:
        drawn.append(plots.distributions(x, x, names))
        of = plots.associations(x)
        drawn.append(plots.correlations(of, of, names))
    for figure in drawn:
        plots.png(figure)


# What cannot be drawn


def test_the_two_colours_are_those_of_all_figures() -> None:
    ax = plots.shares([0.5], [0.5], ["x"])
    assert [to_rgb(line.get_color()) for line in ax.lines] == [
        to_rgb(style.BLUE),
        to_rgb(style.ORANGE),
    ]


X = np.zeros((3, 2))
REFUSED = {
    "data has 2 columns, but samples has 1": lambda: plots.distributions(X, X[:, :1], ["a", "b"]),
    "columns are 1 names for 2 columns": lambda: plots.distributions(X, X, ["a"]),
    "n_beside is 0": lambda: plots.distributions(X, X, ["a", "b"], n_beside=0),
    "samples holds NaN": lambda: plots.distances(X, X * np.nan),
    "data has 2 columns, and samples 1": lambda: plots.shares([0, 1], [0], ["a", "b"]),
    r"data has shape \(3, 2\); pass shape \(1, 1\)": lambda: plots.correlations(X, X, ["a"]),
    "columns are 1 names for 3 columns": lambda: plots.weights_by_column(X, ["a"]),
    "columns are 1 names for 2": lambda: plots.sample_strips(X[None], ["a"]),
    "chain_names are 2 names for 1": lambda: plots.sample_strips(
        X[None], ["a", "b"], chain_names=["x", "y"]
    ),
    "pass one reconstruction for each": lambda: plots.reconstruction_strips(X, X[:1], ["a", "b"]),
    r"truth has shape \(3, 2\), completions": lambda: plots.completion_strips(
        X, X[None], [True, False], ["a", "b"]
    ),
    r"truth has shape \(3, 2\), completed": lambda: plots.completions(
        X, X[None], [True, False], (1, 2)
    ),
    "chain_names are 1 names for 3 chains": lambda: plots.samples(
        X[:, None], (1, 2), chain_names=["x"]
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_drawn_is_refused(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_letters_that_no_font_has_are_boxes_without_a_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    figure = Figure()
    figure.suptitle("\U0001095d")  # an Old North Arabian letter
    plots.save(figure, tmp_path / "letters.png")
    assert plots.files.png(figure)
    assert not recwarn.list
