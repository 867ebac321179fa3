"""Contacts: corrected scores, ranks, and precision against distances."""

from __future__ import annotations

import numpy as np
import pytest

from harmonium.sequences import average_product_corrected, contacts, precision, read_distances


def symmetric(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).random((n, n))
    x = x + x.T
    np.fill_diagonal(x, 0)
    return x


def test_the_product_of_strengths_is_subtracted() -> None:
    norms = symmetric(6)
    found = average_product_corrected(norms)
    off = ~np.eye(6, dtype=bool)
    for i in range(6):
        for j in range(6):
            if i != j:
                means = [norms[k][off[k]].mean() for k in (i, j)]
                expected = norms[i, j] - means[0] * means[1] / norms[off].mean()
                assert found[i, j] == pytest.approx(expected)
    assert not found.diagonal().any()


def test_equal_couplings_leave_nothing() -> None:
    norms = 1.0 - np.eye(5)
    np.testing.assert_allclose(average_product_corrected(norms), 0, atol=1e-15)
    assert not average_product_corrected(np.zeros((4, 4))).any()


def test_pairs_are_ranked_and_near_ones_left_out() -> None:
    norms = symmetric(9)
    found = contacts(norms, separation=3, corrected=False)
    assert all(j - i > 3 for i, j in found.pairs)
    assert len(found.pairs) == 5 * 6 // 2
    assert (np.diff(found.ranked) <= 0).all()
    np.testing.assert_array_equal(found.scores, norms)


def test_positions_say_how_far_apart_sites_are() -> None:
    norms = symmetric(4)
    found = contacts(norms, separation=2, positions=[1, 2, 9, 10])
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(0, 2), (0, 3), (1, 2), (1, 3)}


def test_precision_counts_contacts_among_known_pairs() -> None:
    distances = np.full((4, 4), np.nan)
    for i, j, apart in ((0, 1, 3.0), (0, 2, 9.0), (1, 2, 7.9)):
        distances[i, j] = distances[j, i] = apart
    found = precision([[0, 1], [0, 3], [0, 2], [1, 2]], distances, cut_off=8)
    np.testing.assert_array_equal(found.is_contact, [True, False, True])
    np.testing.assert_allclose(found.curve, [1, 1 / 2, 2 / 3])
    assert found.at(3) == pytest.approx(2 / 3) and np.isnan(found.at(4))
    assert found.area == pytest.approx(0.75)
    np.testing.assert_array_equal(found.pairs, [[0, 1], [0, 2], [1, 2]])


def test_a_distance_at_the_cut_off_is_no_contact() -> None:
    distances = np.full((3, 3), 8.0)
    assert not precision([[0, 2]], distances, cut_off=8.0).is_contact.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average_product_corrected(np.zeros((2, 2))), r"\(2, 2\); pass a number"),
        (lambda: average_product_corrected(np.zeros((3, 4))), "three or more sites"),
        (lambda: contacts(symmetric(4), separation=3), "pass less"),
        (lambda: contacts(symmetric(4), positions=[1, 2]), "a position for each site"),
        (lambda: precision([[0, 1]], np.full((3, 3), np.nan)), "known distance"),
        (lambda: precision([[0, 1]], np.ones((3, 3)), cut_off=0), "positive distance"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# Files of distances


def test_distances_are_read_by_the_columns_of_the_alignment(tmp_path) -> None:
    path = tmp_path / "struct.dat"
    path.write_text("i j score d\n1.0e+00 3 0.5 4.25\n2 3 0.1 6\n\n# a remark\n4,1,7.5\n")
    found = read_distances(path, [1, 3, 4])
    expected = np.full((3, 3), np.nan)
    expected[0, 1] = expected[1, 0] = 4.25
    expected[0, 2] = expected[2, 0] = 7.5
    np.testing.assert_array_equal(found, expected)


def test_distances_of_columns_after_the_last_site_are_left_out(tmp_path) -> None:
    path = tmp_path / "struct.dat"
    path.write_text("1 3 4.25\n1 5 6.0\n")
    found = read_distances(path, [1, 3, 4], n_columns=5)
    assert found[0, 1] == 4.25 and np.isfinite(found).sum() == 2
    with pytest.raises(ValueError, match="names site 5, but the alignment has sites up to 4"):
        read_distances(path, [1, 3, 4], n_columns=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 9 3.0\n", "names site 9, but the alignment has sites up to 4"),
        ("1 2\n", "and their distance in Å"),
        ("0 2 3.0\n", "pass two sites, counted from 1"),
        ("1 2 3.0\na b c\n", "line 2 of struct.dat"),
        ("1 2 -3.0\n", "below 0"),
        ("1 2 x\n", "no distance of two sites"),
        ("", "no distance of two sites"),
    ],
)
def test_distances_that_do_not_fit_are_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "struct.dat"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_distances(path, [1, 2, 4])
