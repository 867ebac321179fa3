"""Figures and raster sheets: what stands where, what is refused, and that files are whole."""

import io
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from harmonium import plots
from harmonium.plots.sheets import near_square

WHITE = 255


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def picture(ax: Axes) -> np.ndarray:
    """The array an Axes shows, with NaN where nothing is drawn."""
    (image,) = ax.get_images()
    return np.ma.filled(image.get_array().astype(float), np.nan)


def drawn(figure_or_axes: Axes | Figure) -> None:
    """Render, so that what matplotlib postpones until then is tested too."""
    figure_or_axes.get_figure(root=True).savefig(io.BytesIO(), format="png", dpi=40)


# ---- raster sheets ----


def test_tile_puts_images_in_reading_order_with_white_between() -> None:
    images = np.arange(5)[:, None] * np.ones(6)
    sheet = plots.tile(images, (2, 3), n_columns=2, spacing=1, limits=(0, 5))
    assert sheet.dtype == np.uint8
    assert sheet.shape == (3 * 2 + 2, 2 * 3 + 1)
    for i in range(5):
        top, left = (i // 2) * 3, (i % 2) * 4
        assert (sheet[top : top + 2, left : left + 3] == 51 * i).all()
    assert (sheet[2::3] == WHITE).all()
    assert (sheet[:, 3] == WHITE).all()
    assert (sheet[6:, 4:] == WHITE).all()  # the place of a sixth image


def test_tile_keeps_rows_and_columns_of_an_image() -> None:
    image = np.arange(6.0)
    assert (plots.tile(image[None], (2, 3), 1, limits=(0, 255)) == image.reshape(2, 3)).all()


def test_tile_without_spacing_is_a_plain_join() -> None:
    images = rng().random((6, 4))
    sheet = plots.tile(images, (2, 2), 3, spacing=0, limits=(0, 1))
    blocks = [[images[3 * r + c].reshape(2, 2) for c in range(3)] for r in range(2)]
    assert (sheet == np.rint(255 * np.block(blocks))).all()


def test_tile_limits_clip_and_may_be_reversed() -> None:
    images = [[-3.0, 0.0, 1.0, 7.0]]
    assert plots.tile(images, (1, 4), limits=(0, 1)).tolist() == [[0, 0, 255, 255]]
    assert plots.tile(images, (1, 4), limits=(1, 0)).tolist() == [[255, 255, 0, 0]]
    assert plots.tile(images, (1, 4)).tolist() == [[0, 76, 102, 255]]  # 76.5 to the even number


@pytest.mark.parametrize("value", [0.0, 1.0, -4.5])
def test_tile_draws_constant_images_mid_grey(value: float) -> None:
    assert (plots.tile(np.full((3, 4), value), (2, 2), 1, spacing=0) == 128).all()


def test_scale_each_is_symmetric_and_leaves_zeros() -> None:
    rows = np.array([[1.0, -4.0], [0.0, 0.0], [5e-324, 0.0], [3e200, -1e200]])
    scaled = plots.scale_each(rows)
    assert np.isfinite(scaled).all()
    assert scaled[:3].tolist() == [[0.25, -1.0], [0.0, 0.0], [1.0, 0.0]]
    assert np.abs(scaled).max() == 1.0


def test_filter_sheet_draws_zero_as_the_same_grey_in_every_filter() -> None:
    weights = np.zeros((4, 3))
    weights[0, 1], weights[1, 1], weights[0, 2] = 2.0, -2.0, 1e-3
    sheet = plots.filter_sheet(weights, (2, 2), n_columns=3)
    assert sheet.tolist() == [
        [128, 128, WHITE, 255, 0, WHITE, 255, 128],
        [128, 128, WHITE, 128, 128, WHITE, 128, 128],
    ]


def test_filter_sheet_without_image_shape_has_a_row_a_hidden_unit() -> None:
    weights = np.array([[1.0, 0.0, -0.5], [0.0, -1.0, 0.0]])
    assert plots.filter_sheet(weights, None).tolist() == [[255, 128], [128, 0], [64, 128]]


def test_500_filters_of_mnist_make_20_rows_of_25() -> None:
    assert plots.filter_sheet(np.zeros((784, 500)), (28, 28)).shape == (20 * 29 - 1, 25 * 29 - 1)


@pytest.mark.parametrize("n", range(1, 60))
def test_near_square_always_fits(n: int) -> None:
    n_columns = near_square(n, (8, 8))
    assert 1 <= n_columns <= n
    assert n_columns * n_columns < 4 * n


# ---- figures ----


def test_filters_are_scaled_alone_and_gaps_stay_empty() -> None:
    weights = rng().normal(size=(6, 4)) * [1, 10, 100, 0]
    ax = plots.filters(weights, (2, 3))
    shown = picture(ax)
    expected = plots.scale_each(weights.T).reshape(4, 2, 3)
    assert shown.shape == (5, 7)
    np.testing.assert_allclose(shown[:2, :3], expected[0])
    np.testing.assert_allclose(shown[:2, 4:], expected[1])
    np.testing.assert_allclose(shown[3:, :3], expected[2])
    assert (shown[3:, 4:] == 0).all()
    assert np.isnan(shown[2]).all()
    assert np.isnan(shown[:, 3]).all()
    assert ax.get_images()[0].get_clim() == (-1, 1)
    drawn(ax)


def test_filters_by_norm_take_the_strongest() -> None:
    weights = np.array([[1.0, 3.0, 2.0], [0.0, 0.0, 1.0]])
    ax = plots.filters(weights, None, n=2, strongest_first=True)
    assert picture(ax).tolist() == [[3.0, 0.0], [2.0, 1.0]]
    assert ax.get_title(loc="left") == "Filters of 2 of 3 hidden units"
    first = plots.filters(weights, (1, 2), n=1)
    assert picture(first).tolist() == [[1.0, 0.0]]


def test_chain_time_runs_to_the_right() -> None:
    n_chains, n_samples = 3, 4
    number = np.arange(n_chains * n_samples).reshape(n_chains, n_samples, 1)
    ax = plots.samples(number * np.ones(4), (2, 2), limits=(0, 11), sweeps_per_sample=1000)
    shown = 11 * picture(ax)
    assert shown.shape == (3 * 3 - 1, 4 * 3 - 1)
    np.testing.assert_allclose(shown[::3, ::3], number[:, :, 0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "3"]
    assert ax.get_xticks().tolist() == [0.5, 3.5, 6.5, 9.5]
    assert ax.get_xlabel() == "sample of the chain, 1,000 sweeps apart  →"
    assert ax.get_ylabel() == "chain"
    drawn(ax)


def test_one_sample_a_chain_is_a_grid() -> None:
    chains = np.arange(5)[:, None, None] * np.ones(4) / 10
    shown = picture(plots.samples(chains, (2, 2), limits=(0, 1)))
    assert shown.shape == (5, 8)  # two rows of three pictures, a pixel between them
    for i in range(5):
        top, left = (i // 3) * 3, (i % 3) * 3
        np.testing.assert_allclose(shown[top : top + 2, left : left + 2], i / 10)


def test_samples_without_image_shape_have_a_row_a_sample() -> None:
    chains = rng().normal(size=(2, 3, 5))
    ax = plots.samples(chains, None)
    shown = picture(ax)
    np.testing.assert_array_equal(shown[:3], chains[0])
    np.testing.assert_array_equal(shown[-3:], chains[1])
    assert np.isnan(shown[3:-3]).all()
    drawn(ax)


def test_originals_stand_above_their_reconstructions() -> None:
    originals = np.arange(3)[:, None] * np.ones(4) / 10
    ax = plots.reconstructions(originals, originals + 0.5, (2, 2), n_columns=2, limits=(0, 1))
    shown = picture(ax)
    for i in range(3):
        top, left = (i // 2) * 7, (i % 2) * 3  # two images, their seam and the gap of two pixels
        np.testing.assert_allclose(shown[top : top + 2, left : left + 2], i / 10)
        np.testing.assert_allclose(shown[top + 3 : top + 5, left : left + 2], i / 10 + 0.5)
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    assert {y: label.get_text() for y, label in ticks} == {
        0.5: "original",
        3.5: "reconstructed",
        7.5: "original",
        10.5: "reconstructed",
    }
    drawn(ax)


def test_reconstructions_share_one_grey_scale() -> None:
    ax = plots.reconstructions([[0.0, 2.0]], [[1.0, 4.0]], (1, 2))
    assert picture(ax)[[0, 2]].tolist() == [[0.0, 0.5], [0.25, 1.0]]


def test_reconstructions_without_image_shape_are_strips() -> None:
    originals = rng().normal(size=(2, 5))
    ax = plots.reconstructions(originals, -originals, None)
    shown = picture(ax)
    np.testing.assert_array_equal(shown[[0, 1]], [originals[0], -originals[0]])
    np.testing.assert_array_equal(shown[[3, 4]], [originals[1], -originals[1]])
    drawn(ax)


def row(update: int, **metrics: object) -> dict[str, object]:
    return {"update": update, "epoch": 0, **metrics}


def test_learning_curves_draw_training_and_held_out_together() -> None:
    rows = [
        row(100, pseudo_log_likelihood=-90.0, held_out_pseudo_log_likelihood=-95.0),
        row(200, pseudo_log_likelihood=-80.0),
        row(
            300,
            pseudo_log_likelihood=-70.0,
            held_out_pseudo_log_likelihood=-75.0,
            visible_flip_rate=None,
        ),
    ]
    figure = plots.learning_curves(rows)
    (ax,) = figure.axes
    training, held_out = ax.get_lines()
    assert training.get_xydata().tolist() == [[100, -90], [200, -80], [300, -70]]
    assert held_out.get_xydata().tolist() == [[100, -95], [300, -75]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "held-out"]
    assert ax.get_ylabel() == "nats per row"
    assert ax.get_xlabel() == "update"
    drawn(figure)


ALL_KEYS = (
    "pseudo_log_likelihood",
    "held_out_pseudo_log_likelihood",
    "reconstruction_error",
    "held_out_reconstruction_error",
    "free_energy_gap",
    "update_ratio",
    "dead_hidden",
    "saturated_hidden",
    "visible_flip_rate",
    "hidden_flip_rate",
    "learning_rate",
)


def test_learning_curves_leave_no_place_empty() -> None:
    figure = plots.learning_curves([row(i, **dict.fromkeys(ALL_KEYS, 0.1 * i)) for i in range(3)])
    assert len(figure.axes) == 7
    covered = [
        (r, c)
        for ax in figure.axes
        for r in ax.get_subplotspec().rowspan
        for c in ax.get_subplotspec().colspan
    ]
    assert sorted(covered) == [(r, c) for r in range(3) for c in range(3)]
    drawn(figure)


@pytest.mark.parametrize("key", ALL_KEYS)
def test_learning_curves_draw_each_key_alone_even_for_one_row(key: str) -> None:
    figure = plots.learning_curves([{key: 0.0}])
    points = [line.get_xydata().tolist() for line in figure.axes[0].get_lines()]
    assert [[0.0, 0.0]] in points
    drawn(figure)


def test_learning_curves_draw_on_a_given_figure() -> None:
    figure = Figure()
    assert plots.learning_curves([row(1, visible_flip_rate=0.5)], figure) is figure


def test_weight_histogram_counts_every_value_once() -> None:
    ax = plots.weight_histogram(
        rng().normal(size=(50, 40)), visible_bias=rng().normal(size=50), hidden_bias=np.zeros(40)
    )
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["weights (2,000)", "visible biases (50)", "hidden biases (40, all 0)"]
    for steps in ax.patches:
        density, edges, _ = steps.get_data()
        np.testing.assert_allclose((density * np.diff(edges)).sum(), 1.0)
    drawn(ax)


@pytest.mark.parametrize("weights", [np.zeros((3, 2)), [[1.0]], [[1.0, np.nextafter(1.0, 2.0)]]])
def test_weight_histogram_of_weights_without_spread(weights: np.ndarray) -> None:
    drawn(plots.weight_histogram(weights))


def test_hidden_activity_orders_units_and_keeps_the_range_of_binary_units() -> None:
    means = np.array([[0.9, 0.1, 0.5], [0.7, 0.3, 0.5]])
    ax = plots.hidden_activity(means)
    assert picture(ax).tolist() == [[0.1, 0.5, 0.9], [0.3, 0.5, 0.7]]
    assert ax.get_images()[0].get_clim() == (0, 1)
    drawn(ax)
    assert plots.hidden_activity(means - 1).get_images()[0].get_clim() == (-0.9, 0.9 - 1)


def test_activity_histogram_counts_units() -> None:
    ax = plots.activity_histogram(np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    (steps,) = ax.patches
    counts, edges, _ = steps.get_data()
    assert counts.sum() == 3
    assert (counts[0], counts[20], counts[-1]) == (1, 1, 1)
    assert (edges[0], edges[-1]) == (0, 1)
    drawn(ax)


def test_every_function_draws_on_the_axes_it_is_given() -> None:
    figure = Figure(layout="constrained", figsize=(9, 6))
    axes = figure.subplots(2, 3).ravel()
    chains = rng().random((2, 3, 4))
    assert plots.filters(chains[0].T, (2, 2), axes[0]) is axes[0]
    assert plots.samples(chains, (2, 2), axes[1]) is axes[1]
    assert plots.reconstructions(chains[0], chains[1], (2, 2), axes[2]) is axes[2]
    assert plots.weight_histogram(chains, axes[3]) is axes[3]
    assert plots.hidden_activity(chains[0], axes[4]) is axes[4]
    assert plots.activity_histogram(chains[0], axes[5]) is axes[5]
    drawn(figure)


def test_constant_arrays_can_be_drawn() -> None:
    ones = np.ones((2, 3, 4))
    for shape in ((2, 2), None):
        drawn(plots.samples(ones, shape))
        drawn(plots.filters(0 * ones[0].T, shape))
        drawn(plots.reconstructions(ones[0], ones[0], shape))
    drawn(plots.hidden_activity(5 * ones[0]))
    drawn(plots.activity_histogram(5 * ones[0]))


def test_torch_tensors_and_parameters_are_arrays_too() -> None:
    weights = torch.nn.Parameter(torch.arange(8.0).reshape(4, 2))
    expected = plots.filter_sheet(weights.detach().numpy(), (2, 2))
    assert (plots.filter_sheet(weights, (2, 2)) == expected).all()
    drawn(plots.filters(weights, (2, 2)))


def test_a_new_figure_shows_a_whole_number_of_dots_a_pixel() -> None:
    ax = plots.samples(np.zeros((20, 10, 784)), (28, 28))
    box = ax.get_window_extent()
    height, width = picture(ax).shape
    assert box.width / width == pytest.approx(round(box.width / width))
    assert box.height / height == pytest.approx(box.width / width)


# ---- files ----


def test_save_frame_writes_greys_on_a_transparent_ground(tmp_path) -> None:
    values = np.linspace(0, 1, 12).reshape(3, 4)
    path = plots.save_frame(tmp_path / "frame.png", values, (2, 2), 2, (0.0, 1.0))
    with Image.open(path) as image:
        assert (image.mode, image.info["transparency"]) == ("L", 255)
        grey = np.asarray(image)
    # three pictures in two columns: a line between them, and one place that stays empty
    assert grey.shape == (5, 5)
    pictures = [grey[:2, :2], grey[:2, 3:], grey[3:, :2]]
    expected = np.rint(254 * np.rint(31 * values) / 31)
    assert np.array_equal(np.stack(pictures).reshape(3, 4), expected)
    assert (grey[2] == 255).all() and (grey[:, 2] == 255).all() and (grey[3:, 3:] == 255).all()
    # values beyond the limits are drawn as these, and a row is no longer than the pictures are
    path = plots.save_frame(path, [[-9.0, 9.0]], (1, 2), 10, (1.0, 0.0))
    with Image.open(path) as image:
        assert np.asarray(image).tolist() == [[254, 0]]


def test_save_frame_refuses_what_it_cannot_draw(tmp_path) -> None:
    path = tmp_path / "frame.png"
    for images, shape, n_columns, limits, message in (
        ([[1.0, 2.0]], (2, 2), 1, (0.0, 1.0), r"image_shape \(2, 2\) makes 4 pixels"),
        ([[1.0, np.nan]], (1, 2), 1, (0.0, 1.0), "images holds NaN"),
        ([[1.0, 2.0]], (1, 2), 0, (0.0, 1.0), "n_columns is 0"),
        ([[1.0, 2.0]], (1, 2), 1, (1.0, 1.0), "two different finite values"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.save_frame(path, images, shape, n_columns, limits)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        plots.save_frame(tmp_path / "nowhere" / "a.png", [[0.0]], (1, 1), 1, (0.0, 1.0))
    assert list(tmp_path.iterdir()) == []


def test_save_sheet_writes_the_very_pixels(tmp_path) -> None:
    sheet = rng().integers(0, 256, (5, 7), dtype=np.uint8)
    path = plots.save_sheet(tmp_path / "sheet.png", sheet, zoom=3)
    with Image.open(path) as image:
        assert (np.asarray(image) == np.kron(sheet, np.ones((3, 3), np.uint8))).all()
    colour = rng().integers(0, 256, (5, 7, 3), dtype=np.uint8)
    with Image.open(plots.save_sheet(str(path), colour)) as image:
        assert (np.asarray(image) == colour).all()
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_save_writes_the_format_of_the_suffix(tmp_path, suffix: str) -> None:
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    ax = plots.weight_histogram([[0.0, 1.0]])
    path = plots.save(ax, tmp_path / f"weights{suffix}")
    assert path.read_bytes().startswith(starts[suffix.lower()])
    assert list(tmp_path.iterdir()) == [path]
    plots.save(ax.get_figure(), path)


@pytest.mark.parametrize("kind", ["sheet", "figure"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch: pytest.MonkeyPatch, kind: str, error: BaseException
) -> None:
    def fail(self: object, file: io.BufferedWriter, **options: object) -> None:
        file.write(b"half a picture")
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    monkeypatch.setattr(Figure, "savefig", fail)
    path = tmp_path / "picture.png"
    path.write_bytes(b"the old picture")
    with pytest.raises(type(error)):
        if kind == "sheet":
            plots.save_sheet(path, np.zeros((2, 2), np.uint8))
        else:
            plots.save(Figure(), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"the old picture"


def test_saving_refuses_what_it_cannot_write(tmp_path) -> None:
    sheet = np.zeros((2, 2), np.uint8)
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        plots.save_sheet(tmp_path / "nowhere" / "a.png", sheet)
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        plots.save(Figure(), tmp_path / "nowhere" / "a.png")
    with pytest.raises(ValueError, match=r"ends in \.jpg, but sheets are written as \.png"):
        plots.save_sheet(tmp_path / "a.jpg", sheet)
    with pytest.raises(ValueError, match=r"ends in \.xyz, which names no .* \.pdf"):
        plots.save(Figure(), tmp_path / "a.xyz")
    with pytest.raises(ValueError, match=r"float64 of shape \(2, 2\), but uint8"):
        plots.save_sheet(tmp_path / "a.png", sheet.astype(float))
    with pytest.raises(ValueError, match=r"uint8 of shape \(2, 2, 2\), but"):
        plots.save_sheet(tmp_path / "a.png", np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="zoom is 0, but a whole number of at least 1"):
        plots.save_sheet(tmp_path / "a.png", sheet, zoom=0)
    assert not list(tmp_path.iterdir())


def test_png_is_what_save_writes(tmp_path) -> None:
    ax = plots.weight_histogram([[0.0, 1.0]])
    assert plots.png(ax) == plots.save(ax, tmp_path / "weights.png").read_bytes()


# ---- chains, moments and singular values ----


def test_autocorrelations_start_at_the_first_lag() -> None:
    functions = {"energy": [1, 0.5, 0.2, -0.3], "direction 1": torch.tensor([1, 0.9, 0.8, 0.7])}
    ax = plots.autocorrelation(functions, sweeps_per_lag=5)
    drawn(ax)
    lines = {line.get_label(): line.get_xydata() for line in ax.lines if line.get_label()[0] != "_"}
    assert lines["energy"].tolist() == [[5, 0.5], [10, 0.2], [15, -0.3]]
    assert lines.keys() == functions.keys()
    assert ax.get_xscale() == "log" and ax.get_ylim() == (-0.3, 1.02)


def test_singular_values_name_the_first_and_the_last_update() -> None:
    values = {20: [3.0, 1.0], 0: [1.0, 0.5], 10: [2.0, 0.75]}
    ax = plots.singular_values(values)
    drawn(ax)
    assert [line.get_ydata().tolist() for line in ax.lines] == [values[u] for u in (0, 10, 20)]
    strengths = [line.get_alpha() for line in ax.lines]
    assert strengths == sorted(strengths) and strengths[-1] == 1
    assert [text.get_text() for text in ax.get_legend().texts] == ["update 0", "update 20"]
    (line,) = plots.singular_values({7: [1.0]}).lines
    assert line.get_label() == "update 7"


def test_moments_are_a_point_a_column_and_a_point_a_pair() -> None:
    covariances = np.arange(9.0).reshape(3, 3)
    figure = plots.moments([1, 2, 3], [1, 2, 4], covariances, -covariances)
    drawn(figure)
    means, pairs = (ax.collections[0].get_offsets().tolist() for ax in figure.axes)
    assert means == [[1, 1], [2, 2], [3, 4]]
    assert pairs == [[1, -1], [2, -2], [5, -5]]
    for ax in figure.axes:
        assert ax.get_xlim() == ax.get_ylim()
    assert len(plots.moments([1.0], [2.0], [[1.0]], [[1.0]]).axes) == 1
    many = np.zeros((200, 200))
    figure = plots.moments(many[0], many[0], many, many)
    drawn(figure)
    assert 4000 < len(figure.axes[1].collections[0].get_offsets()) <= 5000


# ---- bad input ----

Z = np.zeros
BAD_CALLS = {
    "shape of another width": (
        lambda: plots.filters(Z((64, 5)), (28, 28)),
        "image_shape (28, 28) makes 784 pixels, but weights has 64 visible units; "
        "pass a shape whose product is 64, such as (8, 8)",
    ),
    "sheet of another width": (
        lambda: plots.filter_sheet(Z((12, 5)), (5, 5)),
        "but weights has 12 visible units; pass a shape whose product is 12, such as (3, 4)",
    ),
    "shape of one number": (
        lambda: plots.tile(Z((2, 4)), 4),
        "image_shape is 4, but two positive whole numbers, (height, width), are needed",
    ),
    "negative shape": (
        lambda: plots.samples(Z((2, 2, 4)), (-2, -2)),
        "image_shape is (-2, -2), but two positive whole numbers",
    ),
    "one axis missing": (
        lambda: plots.samples(Z((10, 64)), (8, 8)),
        "chains has shape (10, 64), but 3 axes are needed; "
        "pass shape (n_chains, n_samples, n_visible)",
    ),
    "empty": (
        lambda: plots.tile(Z((0, 4)), (2, 2)),
        "images has shape (0, 4) and so holds nothing to draw",
    ),
    "NaN": (
        lambda: plots.hidden_activity([[0.5, np.nan], [np.inf, 0.5]]),
        "mean_hidden holds NaN or infinity (2 of 4 values, the first at index (0, 1)); only",
    ),
    "no numbers": (
        lambda: plots.weight_histogram([["a", "b"]]),
        "weights cannot be read as an array of numbers",
    ),
    "ragged": (
        lambda: plots.tile([[1, 2], [3]], (1, 2)),
        "images cannot be read as an array of numbers",
    ),
    "pairs that do not match": (
        lambda: plots.reconstructions(Z((3, 4)), Z((2, 4)), (2, 2)),
        "originals has shape (3, 4), but reconstructed has shape (2, 4)",
    ),
    "equal limits": (
        lambda: plots.samples(Z((1, 1, 4)), None, limits=(1, 1)),
        "limits are (1, 1), but two different finite values (black, white) are needed",
    ),
    "no columns": (
        lambda: plots.tile(Z((2, 4)), (2, 2), 0),
        "n_columns is 0, but a whole number of at least 1 is needed",
    ),
    "negative spacing": (
        lambda: plots.tile(Z((2, 4)), (2, 2), spacing=-1),
        "spacing is -1, but a whole number of at least 0 is needed",
    ),
    "no filters": (
        lambda: plots.filters(Z((4, 2)), (2, 2), n=0),
        "n is 0, but a whole number of at least 1 is needed",
    ),
    "no rows": (
        lambda: plots.learning_curves([]),
        "rows is empty, so there are no learning curves to draw",
    ),
    "no autocorrelation": (
        lambda: plots.autocorrelation({}),
        "functions is empty, so there is no autocorrelation to draw",
    ),
    "an autocorrelation with NaN": (
        lambda: plots.autocorrelation({"energy": [1.0, float("nan")]}),
        "energy holds NaN or infinity (1 of 2 values, the first at index (1,))",
    ),
    "no singular values": (
        lambda: plots.singular_values({}),
        "spectra is empty, so there are no singular values to draw",
    ),
    "moments of other columns": (
        lambda: plots.moments(Z(3), Z(2), Z((3, 3)), Z((3, 3))),
        "data_means have shape (3,) and chain_means (2,); pass those of the same columns",
    ),
    "rows without metrics": (
        lambda: plots.learning_curves([{"update": 1, "seconds": 2.0}]),
        "no row has a metric that is drawn; the first row has seconds, update, and drawn are "
        "log_likelihood, held_out_log_likelihood, pseudo_log_likelihood",
    ),
    "a row with NaN": (
        lambda: plots.learning_curves(
            [row(1, visible_flip_rate=0.1), row(2, visible_flip_rate=float("nan"))]
        ),
        "visible_flip_rate of rows[1] is nan, but only finite numbers can be drawn",
    ),
    "a row with text": (
        lambda: plots.learning_curves([row(1, visible_flip_rate="fast")]),
        "visible_flip_rate of rows[0] is 'fast', but only finite numbers can be drawn",
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_is_named(case: str) -> None:
    call, message = BAD_CALLS[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


# ---- manners ----


def test_pyplot_and_torch_are_not_imported_and_settings_not_changed() -> None:
    script = """
import sys
import matplotlib
before = dict(matplotlib.rcParams)
import io
import numpy as np
from harmonium import plots
chains = np.random.default_rng(0).random((2, 3, 4))
for ax in (plots.filters(chains[0].T, (2, 2)), plots.samples(chains, (2, 2)),
           plots.samples(chains, None), plots.weight_histogram(chains),
           plots.hidden_activity(chains[0])):
    ax.figure.savefig(io.BytesIO())
plots.learning_curves([{"visible_flip_rate": 0.5}]).savefig(io.BytesIO())
assert dict(matplotlib.rcParams) == before
assert not {"matplotlib.pyplot", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_drawing_leaves_the_settings_of_this_process_alone() -> None:
    before = dict(matplotlib.rcParams)
    drawn(plots.samples(np.zeros((2, 3, 4)), (2, 2)))
    assert dict(matplotlib.rcParams) == before


# ---- likelihoods over time ----


def test_bounds_over_time_are_bands_with_their_names() -> None:
    curves = {"ours": [(60.0, -80.0, -79.0), (300.0, -70.0, -69.5)], "theirs": [(60.0, -95, -90)]}
    ax = plots.likelihoods_over_time(curves, highlight="ours", title="Nats")
    lower, upper, other, _ = ax.get_lines()
    assert list(lower.get_ydata()) == [-80, -70] and list(upper.get_ydata()) == [-79, -69.5]
    assert lower.get_color() == upper.get_color() != other.get_color()
    assert [text.get_text() for text in ax.texts] == ["ours", "theirs"]
    assert ax.get_title(loc="left") == "Nats"
    assert len(ax.collections) == 2


@pytest.mark.parametrize(
    ("curves", "said"),
    [
        ({}, "no points to draw"),
        ({"ours": []}, "no points to draw"),
        ({"ours": [(1.0, np.nan, 2.0)]}, "ours has the point"),
    ],
)
def test_bounds_that_cannot_be_drawn(
    curves: dict[str, list[tuple[float, float, float]]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        plots.likelihoods_over_time(curves)


# ---- speeds ----


def test_speeds_names_every_bar_and_colours_one() -> None:
    groups = {"first": {"ours": 0.9, "theirs": 0.4}, "second": {"ours": 1.2}}
    labels = {"first": {"ours": "90 updates/s"}}
    ax = plots.speeds(groups, labels, {"second": "limit"}, highlight="ours", title="Speed")
    drawn(ax)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["ours", "theirs", "ours"]
    bars = [bar for bar in ax.patches if bar.get_width() in (0.9, 0.4, 1.2)]
    assert [bar.get_width() for bar in bars] == [0.9, 0.4, 1.2]
    ours, theirs, again = (bar.get_facecolor() for bar in bars)
    assert ours == again != theirs
    texts = [text.get_text() for text in ax.texts]
    assert {"first", "second", "0.90", "90 updates/s", "0.40", "1.20", "limit"} == set(texts)
    assert ax.get_xlim()[0] == 0 and ax.get_xlim()[1] > 1.2
    top, bottom = (bar.get_y() for bar in (bars[0], bars[2]))
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and top < bottom  # the first group is above


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({}, "no speeds to draw"),
        ({"first": {}}, "no speeds to draw"),
        ({"first": {"ours": 0.0}}, "the speed of ours in first is 0.0"),
        ({"first": {"ours": float("nan")}}, "the speed of ours in first is nan"),
    ],
)
def test_speeds_that_cannot_be_drawn(groups: dict[str, dict[str, float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plots.speeds(groups)


# ---- predictions ----


def test_a_confusion_matrix_shows_counts_and_colours_shares() -> None:
    counts = np.array([[90, 10, 0], [0, 5, 0], [1, 0, 0]])
    ax = plots.confusion_matrix(counts, ["a", "b", "c"])
    texts = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}
    written = {place: text for place, text in texts.items() if text.isdecimal()}
    assert written == {(0, 0): "90", (0, 1): "10", (1, 1): "5", (2, 0): "1"}
    shares = counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(picture(ax) ** 2, shares, atol=1e-12)
    assert ax.get_title(loc="left") == "11 of 106 rows wrong (10.38%)"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    drawn(ax)


def test_a_confusion_matrix_of_many_classes_and_of_no_rows() -> None:
    many = plots.confusion_matrix(np.eye(50), range(50))
    assert not [text for text in many.texts if text.get_text().isdecimal()]
    drawn(many)
    drawn(plots.confusion_matrix(np.zeros((2, 2)), [0, 1]))


@pytest.mark.parametrize(
    ("counts", "classes", "message"),
    [
        (np.zeros((2, 3)), "ab", r"counts has shape \(2, 3\)"),
        (np.full((2, 2), -1), "ab", "a least value of -1; pass counts of 0 and more"),
        (np.eye(2), "abc", "classes are 3 names, but counts has 2 classes"),
        (np.full((2, 2), np.nan), "ab", "counts holds NaN"),
    ],
)
def test_counts_that_are_none_are_refused(counts: object, classes: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.confusion_matrix(counts, classes)  # type: ignore[arg-type]


def test_mistakes_stand_above_their_captions() -> None:
    images = rng().random((5, 24))
    captions = [f"{i}, not 9" for i in range(5)]
    ax = plots.mistakes(images, captions, (6, 4), n_columns=3, limits=(0, 1))
    shown = picture(ax)
    for i, caption in enumerate(captions):
        top, left = (i // 3) * 8, (i % 3) * 5
        np.testing.assert_allclose(shown[top : top + 6, left : left + 4].ravel(), images[i])
        (text,) = [text for text in ax.texts if text.get_text() == caption]
        x, y = text.get_position()
        assert left <= x <= left + 4
        assert top + 6 <= y + 0.5 <= top + 8
    drawn(ax)
    with pytest.raises(ValueError, match="captions are 4, but there are 5 images; pass one each"):
        plots.mistakes(images, captions[:4], (6, 4))
    with pytest.raises(ValueError, match=r"image_shape \(5, 5\) makes 25 pixels"):
        plots.mistakes(images, captions, (5, 5))


@pytest.mark.parametrize("n_classes", [2, 10, 15, 40])
def test_codes_have_the_colours_of_their_classes(n_classes: int) -> None:
    points, labels = rng().normal(size=(80, 2)), np.arange(80) % n_classes
    ax = plots.codes(points, labels)
    cloud = ax.collections[0]
    np.testing.assert_allclose(cloud.get_offsets(), points)
    colours = cloud.get_facecolors()
    assert len(np.unique(colours, axis=0)) == n_classes
    assert all(np.ptp(colours[labels == k], axis=0).max() == 0 for k in range(n_classes))
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [str(k) for k in range(n_classes)]
    drawn(ax)
    drawn(plots.codes(points))


def test_codes_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match=r"points has shape \(4, 3\); pass two columns"):
        plots.codes(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="labels are 3, but there are 4 points; pass one each"):
        plots.codes(np.zeros((4, 2)), [0, 1, 2])


def test_learning_curves_of_fine_tuning() -> None:
    rows = [
        {"update": u, "loss": 1 / u, "held_out_loss": 2 / u, "held_out_error": 0.1} for u in (1, 2)
    ]
    figure = plots.learning_curves(rows)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["Rows of another class", "Loss"]
    drawn(figure)
