"""Effects of mutations are differences of free energies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from harmonium import RBM
from harmonium.sequences import (
    WildType,
    independent_mutants,
    mutants,
    place_mutants,
    rank_correlation,
    read_mutants,
    single_mutants,
)
from harmonium.units import Binary, Categorical, DReLU, Mixed, Spin, Units
from sequences.enumerated import random_model

STATES = {3: Categorical(5, 3), 2: Binary(5), -2: Spin(5)}


def rows_of(rbm: RBM, numbers: torch.Tensor) -> torch.Tensor:
    [(_, units)] = rbm.visible.groups
    return units.states[numbers].flatten(-2).double()


def gains(rbm: RBM, wild_type: torch.Tensor, mutated: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        energies = rbm.free_energy(rows_of(rbm, torch.stack([wild_type, *mutated])))
    return (energies[0] - energies[1:]).numpy()


@pytest.mark.parametrize(
    "hidden", [Binary(4), DReLU(3), Categorical(2, 3), Mixed(Binary(2), DReLU(2))]
)
@pytest.mark.parametrize("visible", STATES)
def test_single_mutants_are_differences_of_free_energies(visible: int, hidden: Units) -> None:
    rbm = random_model(STATES[visible], hidden, 0)
    wild_type = torch.tensor([0, 1, 1, 0, 1])
    found = single_mutants(rbm, wild_type)
    for site in range(5):
        mutated = wild_type.repeat(found.shape[1], 1)
        mutated[:, site] = torch.arange(found.shape[1])
        np.testing.assert_allclose(found[site], gains(rbm, wild_type, mutated), atol=1e-10)
        assert found[site, wild_type[site]] == 0


def test_several_changes_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = random_model(Categorical(5, 3), DReLU(4), 1)
    wild_type = torch.tensor([0, 1, 2, 0, 1])
    changes = [[(0, 2)], [], [(1, 0), (4, 2)], [(0, 1), (2, 2), (3, 1)]]
    mutated = wild_type.repeat(4, 1)
    for row, change in enumerate(changes):
        for site, state in change:
            mutated[row, site] = state
    expected = gains(rbm, wild_type, mutated)
    np.testing.assert_allclose(mutants(rbm, wild_type, changes), expected, atol=1e-10)
    monkeypatch.setattr("harmonium.sequences.mutations._BLOCK", 4)
    np.testing.assert_allclose(mutants(rbm, wild_type, changes), expected, atol=1e-10)
    singles = single_mutants(rbm, wild_type)
    assert singles[0, 2] == pytest.approx(expected[0])


def test_a_model_in_float32_scores_in_float64() -> None:
    rbm = random_model(Categorical(5, 3), Binary(4), 1).float()
    wild_type = torch.zeros(5, dtype=torch.uint8)
    found = mutants(rbm, wild_type, [[(0, 1)]])
    wide = random_model(Categorical(5, 3), Binary(4), 1).float().double()
    assert found[0] == pytest.approx(single_mutants(wide, wild_type)[0, 1], abs=1e-12)


def test_independent_sites_differ_by_the_logs_of_frequencies() -> None:
    shares = np.array([[0.2, 0.8], [0.5, 0.5]])
    found = independent_mutants(shares, [1, 0], [[(0, 0)], [(0, 0), (1, 1)], []])
    np.testing.assert_allclose(found, [np.log(0.25), np.log(0.25), 0])
    with pytest.raises(ValueError, match="pseudocount"):
        independent_mutants([[0, 1]], [1], [[(0, 0)]])


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 60).astype(float), rng.normal(size=60)
    assert rank_correlation(a, a + b) == pytest.approx(spearmanr(a, a + b).statistic)
    b[:5] = np.nan
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a[5:], b[5:]).statistic)
    assert np.isnan(rank_correlation([1, 1], [1, 2])) and np.isnan(rank_correlation([1], [1]))
    with pytest.raises(ValueError, match="as many numbers"):
        rank_correlation([1, 2], [1])


@pytest.mark.parametrize(
    ("wild_type", "changes", "message"),
    [
        ([0, 1], [], "the model has 5 sites"),
        ([0, 1, 2, 3, 0], [], "numbered from 0 to 2"),
        ([0] * 5, [[(5, 0)]], "mutant 0 .* sites from 0 to 4"),
        ([0] * 5, [[], [(0, 3)]], "mutant 1 .* states from 0 to 2"),
        ([0] * 5, [[(0, 1), (0, 2)]], "each once"),
    ],
)
def test_mutants_that_the_model_lacks_are_refused(wild_type, changes, message: str) -> None:
    rbm = RBM(Categorical(5, 3), 2)
    with pytest.raises(ValueError, match=message):
        mutants(rbm, torch.tensor(wild_type), changes)


def test_numbers_may_be_an_array_but_have_to_be_whole() -> None:
    rbm = random_model(Categorical(5, 3), Binary(2), 0)
    numbers = np.array([0, 1, 2, 0, 1], np.uint8)
    np.testing.assert_array_equal(
        single_mutants(rbm, numbers), single_mutants(rbm, torch.from_numpy(numbers))
    )
    for wrong in (torch.zeros(5), [0] * 5):
        with pytest.raises(TypeError, match="whole numbers"):
            single_mutants(rbm, wrong)


# Files of mutants

LETTERS = "ACDE-"
WILD = WildType.aligned("W/11-14", "AC-DE")


def test_a_table_of_mutants_is_read(tmp_path) -> None:
    path = tmp_path / "scan.csv"
    path.write_text("id;mutant;score\n1;A11C;0.5\n2;A11C:D13E;\n3;WT;1\n")
    table = read_mutants(path, measured="score")
    assert table.names == ("A11C", "A11C:D13E", "WT") and table.column == "mutant"
    np.testing.assert_array_equal(table.measured, [0.5, np.nan, 1])


def test_the_column_is_found_by_its_first_value_or_named(tmp_path) -> None:
    path = tmp_path / "scan.csv"
    path.write_text("name,change,other\nx,A1C,C2A\n")
    assert read_mutants(path).column == "change"
    assert read_mutants(path, column="other").names == ("C2A",)


def test_mutants_are_placed_on_sites() -> None:
    placed = place_mutants(["A11C", "a11c,D13E", "WT", "K99A", "D13*", "E14E"], WILD, LETTERS)
    np.testing.assert_array_equal(placed.covered, [1, 1, 1, 0, 0, 1])
    assert placed.changes == (((0, 1),), ((0, 1), (3, 3)), (), ((4, 3),))
    assert sum(placed.outside.values()) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A11C", "C11D"], "row 2, C11D: W/11-14 has A at position 11, not C"),
        (["A11C", "hello"], "row 2 holds the mutant 'hello'"),
        (["A11C:A11D"], "changes position 11 twice"),
        (["A1C"], "positions 11 to 14 of W/11-14"),
    ],
)
def test_mutants_that_do_not_fit_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place_mutants(names, WILD, LETTERS)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("mutant\n", {}, "holds no row"),
        ("a,b\n1,2\n", {}, "no column of mutants such as A24C; its columns are a, b"),
        ("mutant,score\nA1C,1\n", {"measured": "scores"}, "did you mean 'score'"),
        ("mutant,score\nA1C,x\n", {"measured": "score"}, "holds no number"),
        ("mutant,score\nA1C,1\nA1D\n", {}, "row 2 of scan.csv has 1 columns"),
        ("mutant,score\nA1C,1\n", {"column": "x"}, "no column 'x'"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, text, options, message: str) -> None:
    path = tmp_path / "scan.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_mutants(path, **options)
