"""Figures of samples beside data: what stands where, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harmonium import plots


def drawn(figure_or_axes: Axes | Figure) -> None:
    """Render, so that what matplotlib postpones until then is tested too."""
    figure = figure_or_axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_agreement_has_a_panel_a_set_on_one_diagonal() -> None:
    x = np.linspace(0, 1, 7)
    figure = plots.agreement({"held-out": (x, x), "GAN": (x, 2 * x)}, title="Means", what="each")
    drawn(figure)
    first, second = figure.axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("held-out", "GAN")
    points = np.asarray(second.collections[0].get_offsets())
    assert np.allclose(points, np.stack([x, 2 * x], 1))
    assert second.get_xlim() == second.get_ylim() == pytest.approx((-0.1, 2.1))


def test_linkage_leaves_empty_bins_out() -> None:
    ax = plots.linkage_decay([1, 2, 4], {"training": [0.5, np.nan, 0.1], "model": [0.4, 0.2, 0]})
    drawn(ax)
    training, model = ax.get_lines()
    assert training.get_xydata().tolist() == [[1, 0.5], [4, 0.1]]
    assert model.get_xydata().tolist() == [[1, 0.4], [2, 0.2]]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_counts_that_never_occur_are_left_out() -> None:
    ax = plots.population_counts({"training": [0.5, 0, 0.5], "model": [0.9, 0.1, 0]})
    drawn(ax)
    training, model = ax.get_lines()
    assert training.get_xydata().tolist() == [[0, 0.5], [2, 0.5]]
    assert model.get_label() == "model"
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_distances_are_shares_on_the_same_bins() -> None:
    ax = plots.nearest_distances({"held-out": [1, 2, 2, 3], "model": [1.0, 5.0]}, unit="units")
    drawn(ax)
    held_out, model = (patch.get_data() for patch in ax.patches)
    assert np.array_equal(held_out.edges, model.edges) and held_out.edges[[0, -1]].tolist() == [
        1,
        5,
    ]
    assert held_out.values.sum() == pytest.approx(1) and model.values[-1] == 0.5
    drawn(plots.nearest_distances({"model": [0, 0]}))  # no range


def test_components_have_the_data_behind_each_set() -> None:
    data, samples = np.random.default_rng(0).normal(size=(2, 20, 2))
    sets = {"training": data, "a": samples, "b": samples + 1, "c": data, "d": data, "e": data}
    figure = plots.components(sets, [0.25, 0.125])
    drawn(figure)
    assert len(figure.axes) == 5 and figure.axes[0].get_xlabel() == "1st (25.0%)"
    behind, before = (np.asarray(x.get_offsets()) for x in figure.axes[1].collections)
    assert np.allclose(behind, data) and np.allclose(before, samples + 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plots.agreement({}), "panels is empty"),
        (lambda: plots.agreement({"a": ([1, 2], [1])}), "pass the same numbers of both"),
        (lambda: plots.linkage_decay([1, 2], {"a": [1]}), "pass one a bin"),
        (lambda: plots.population_counts({}), "no set of rows to draw"),
        (lambda: plots.nearest_distances({"a": [np.nan]}), "a holds NaN or infinity"),
        (lambda: plots.components({"a": [[1, 2]]}, [1, 0]), "two sets of rows or more"),
    ],
)
def test_what_cannot_be_drawn(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
