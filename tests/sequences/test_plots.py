"""Figures of sequences: what stands where, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from harmonium import plots
from harmonium.plots import style


def drawn(figure_or_axes: Axes | Figure) -> None:
    """Render, so that what matplotlib postpones until then is tested too."""
    figure_or_axes.get_figure(root=True).savefig(io.BytesIO(), format="png", dpi=40)


def points(ax: Axes) -> dict[str, set[tuple[float, float]]]:
    """The points of each colour."""
    found: dict[str, set[tuple[float, float]]] = {}
    for of in ax.collections:
        colour = to_hex(of.get_facecolor()[0])
        found.setdefault(colour, set()).update(map(tuple, np.asarray(of.get_offsets()).tolist()))
    return found


def test_predictions_lie_above_the_diagonal_and_contacts_below() -> None:
    distances = np.full((5, 5), 20.0)
    for i, j, apart in ((0, 3, 5.0), (1, 4, np.nan)):
        distances[i, j] = distances[j, i] = apart
    ax = plots.contact_map([[0, 3], [0, 4], [4, 1]], 5, distances)
    drawn(ax)
    # (column, row), counted from 1; rows go down
    assert points(ax) == {
        style.MUTED: {(1, 4)},
        style.BLUE: {(4, 1)},
        style.ORANGE: {(5, 1)},
        style.FAINT: {(5, 2)},
    }
    bottom, top = ax.get_ylim()
    assert bottom > top


@pytest.mark.parametrize(
    ("n_sites", "ticks"), [(5, [1, 2, 3, 4, 5]), (112, [1, 20, 40, 60, 80, 100])]
)
def test_sites_are_counted_from_1(n_sites: int, ticks: list[int]) -> None:
    ax = plots.contact_map([[0, 4]], n_sites)
    drawn(ax)
    for axis in (ax.xaxis, ax.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == [str(tick) for tick in ticks]


def test_predictions_without_a_structure_are_drawn_alone() -> None:
    ax = plots.contact_map([[0, 3]], 5)
    assert points(ax) == {style.BLUE: {(4, 1)}}
    figure = plots.contacts([[0, 3]], 5)
    assert len(figure.axes) == 1
    drawn(figure)
    assert len(plots.contacts([[0, 3]], 5, np.ones((5, 5)), [1.0, 0.5]).axes) == 2


def test_precision_is_drawn_by_the_number_of_pairs() -> None:
    ax = plots.precision_curve([1.0, 0.5, 2 / 3], others={"another": [1.0]})
    drawn(ax)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 0.5, 2 / 3])
    long = plots.precision_curve(np.ones(2000))
    drawn(long)
    shown = [text.get_text() for text in long.get_xticklabels()]
    assert {"1", "10", "100", "1,000"} <= set(shown)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["this model", "another"]


def test_mutations_have_a_column_a_position_and_a_row_a_letter() -> None:
    effects = np.arange(12.0).reshape(4, 3) - 6
    ax = plots.mutation_map(effects, "AC-", "A-CA", [9, None, 10, 11])
    drawn(ax)
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), effects.T)
    low, high = image.get_clim()
    assert low == -high and 0 < high <= 6
    (dots,) = ax.collections
    assert set(map(tuple, dots.get_offsets().tolist())) == {(0, 0), (1, 2), (2, 1), (3, 0)}
    assert [text.get_text() for text in ax.get_xticklabels()] == ["10"]
    with pytest.raises(ValueError, match="a column for each of the 2 letters"):
        plots.mutation_map(effects, "AC", "A-CA", [9, None, 10, 11])


def test_mutants_with_measurements_have_a_second_panel() -> None:
    effects = np.zeros((2, 3))
    figure = plots.mutants(effects, "AC-", "AC", [1, 2], ([1, np.nan], [2.0, 3.0]))
    drawn(figure)
    assert len(figure.axes) == 2
    assert len(plots.mutants(effects, "AC-", "AC", [1, 2]).axes) == 1


def test_letters_are_as_high_as_their_weights() -> None:
    weights = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [0.1, 0.0, -0.1]])
    figure = plots.sequence_logos(
        [weights, weights], "ACG", ["a", "b"], [[0.0, 1.0], [2.0]], [5, 6, 9], n_sites=2
    )
    drawn(figure)
    first = figure.axes[0]
    boxes = [patch.get_path().get_extents() for patch in first.patches]
    heights = sorted(round(box.height, 6) for box in boxes)
    assert heights == [0.1, 0.1, 0.5, 1.0, 2.0]
    # the smaller letter stands next to the line
    stack = sorted((box.y0, box.height) for box in boxes if box.x0 < 0.5 and box.y0 >= 0)
    np.testing.assert_allclose(stack, [(0, 0.5), (0.5, 2.0)], atol=1e-9)
    assert [text.get_text() for text in first.get_xticklabels()] == ["5", "9"]
    assert first.get_title(loc="left") == "a"
    assert len(figure.axes) == 4


def test_logos_of_weights_that_are_zero_can_be_drawn() -> None:
    drawn(plots.sequence_logos([np.zeros((3, 21))], "ACDEFGHIKLMNPQRSTVWY-", ["zero"]))


def test_logos_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one or more units"):
        plots.sequence_logos([], "ACG", [])
    with pytest.raises(ValueError, match="each of the 2 letters"):
        plots.sequence_logos([np.zeros((3, 3))], "AC", ["a"])
