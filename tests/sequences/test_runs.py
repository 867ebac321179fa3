"""Runs of aligned sequences, asked from Python and typed: contacts, scores of mutants, logos."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harmonium
from cli.commands import harmonium as typed
from harmonium.datasets.alphabets import PROTEIN
from harmonium.runs import Run
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.trained import open_trained
from harmonium.sequences import average_product_corrected, couplings, rank_correlation
from html_pages import Page

pytestmark = pytest.mark.usefixtures("own_folder")

CONSENSUS = "MKTWLLQERSDH"


def alignment() -> dict[str, str]:
    """Sequences of 12 sites; every fifth has two letters inserted behind the fourth."""
    rng = np.random.default_rng(0)
    found = {}
    for number in range(40):
        row = [c if rng.random() < 0.7 else PROTEIN[rng.integers(20)] for c in CONSENSUS]
        row[9] = "-" if number % 4 == 3 else row[9]
        inserted = "ky" if number % 5 == 0 else ".."
        word = "".join(row[:4]) + inserted + "".join(row[4:])
        n_letters = sum(c.isalpha() for c in word)
        found[f"S{number}/101-{100 + n_letters}"] = word
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the alignment, to be read only, beside its file."""
    folder = tmp_path_factory.mktemp("family")
    rows = alignment()
    text = "".join(f">{name}\n{row}\n" for name, row in rows.items())
    (folder / "family.a2m").write_text(text)
    harmonium.train(
        str(folder / "family.a2m"), hidden=3, epochs=2, batch_size=10, learning_rate=0.5,
        threads=1, figures=False, tensorboard=False, progress=False, out=folder / "run",
    )  # fmt: skip
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return harmonium.open(shutil.copytree(trained / "run", tmp_path / "run"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def result_of(*arguments: str | Path) -> dict[str, Any]:
    done = typed(*arguments, "--threads", "1", "--json")
    assert done.code == 0, done.err
    return done.objects[-1]


def refused(*arguments: str | Path) -> str:
    done = typed(*arguments)
    assert done.code == 1, done.out
    return done.err


# Contacts


def test_contacts_are_ranked_couplings_without_gaps(run: Run) -> None:
    found = run.contacts(separation=3)
    norms = couplings(run.rbm, leave_out=[20]).norms
    np.testing.assert_allclose(found.norms, norms)
    np.testing.assert_allclose(found.contacts.scores, average_product_corrected(norms))
    rows = table(found.path)
    assert len(rows) == 8 * 9 // 2 and list(rows[0]) == ["row", "i", "j", "score", "norm"]
    i, j = found.contacts.pairs[0] + 1
    assert (int(rows[0]["i"]), int(rows[0]["j"])) == (i, j)
    assert float(rows[0]["score"]) == found.contacts.ranked[0]
    assert found.picture.read_bytes().startswith(b"\x89PNG")
    assert found.precision is None and found.distances is None


def test_precision_is_told_and_kept(run: Run) -> None:
    lines = [
        f"{i} {j} 0 {4 if (i + j) % 3 else 12}" for i in range(1, 13) for j in range(i + 1, 13)
    ]
    path = written("struct.dat", "\n".join(lines[:-1]))
    found = run.contacts(path, separation=1, cut_off=7.5)
    assert found.precision is not None
    (i, j) = found.contacts.pairs[0] + 1
    assert bool(found.precision.is_contact[0]) == bool((i + j) % 3)
    assert found.shares[12] == pytest.approx(found.precision.is_contact[:12].mean())
    typed_too = result_of(
        "contacts", run.path, "--distances", path, "--separation", "1", "--cut-off", "7.5"
    )
    assert typed_too["precision"] == {str(n): share for n, share in found.shares.items()}
    assert typed_too["contacts"].endswith("contacts-2.csv")
    assert typed_too["pairs_of_known_distance"] == len(found.contacts.pairs)
    last = table(found.path)[-1]
    assert last["contact"] in ("0", "1") and float(last["distance"]) in (4, 12)


def test_options_of_contacts_change_them(run: Run) -> None:
    plain = run.contacts(out="a.csv").norms
    assert np.abs(run.contacts(gaps=True, out="b.csv").norms - plain).max() > 0
    assert np.abs(run.contacts(background="data", out="c.csv").norms - plain).max() > 0
    assert np.abs(run.contacts(method="second-order", out="e.csv").norms - plain).max() > 0
    gaussian = couplings(run.rbm, method="gaussian", leave_out=[20]).norms
    np.testing.assert_allclose(run.contacts(method="gaussian", out="d.csv").norms, gaussian)


def test_couplings_are_averaged_over_other_runs(run: Run, trained: Path) -> None:
    other = harmonium.train(
        str(trained / "family.a2m"), hidden=4, epochs=1, batch_size=10, learning_rate=0.5, seed=1,
        threads=1, figures=False, tensorboard=False, progress=False, out="other",
    )  # fmt: skip
    both = run.contacts(others=[other.path])
    expected = couplings([run.rbm, other.rbm], leave_out=[20]).norms
    np.testing.assert_allclose(both.norms, expected)
    result = result_of("contacts", run.path, "--others", other.path)
    rows = table(Path(result["contacts"]))
    assert [float(row["norm"]) for row in rows] == [
        expected[int(row["i"]) - 1, int(row["j"]) - 1] for row in rows
    ]


def test_runs_of_another_alignment_are_refused(run: Run) -> None:
    for name, end, alphabet in (("shorter", -1, "protein"), ("letters", None, PROTEIN[::-1])):
        rows = (f">{number}\n{row[:end]}\n" for number, row in enumerate(alignment().values()))
        written(f"{name}.a2m", "".join(rows))
        harmonium.train(
            f"{name}.a2m", hidden=2, epochs=1, batch_size=10, alphabet=alphabet, threads=1,
            figures=False, tensorboard=False, progress=False, out=name,
        )  # fmt: skip
        assert f"--others names {name}" in refused("contacts", run.path, "--others", name)
    assert "none" in refused("contacts", run.path, "--others", "none")
    assert not list(run.path.glob("contacts*"))


def test_a_person_reads_the_precision(run: Run) -> None:
    path = written("struct.dat", "1 12 5.0\n1 11 20.0\n")
    done = typed("contacts", run.path, "--distances", path)
    assert "2 of them have a distance; in contact, nearer than 8 Å" in done.out
    assert "contacts.csv" in done.out and "contacts.png" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cut-off", "0"), "--cut-off is 0"),
        (("--method", "second-order", "--background", "data"), "leave out --background data"),
        (("--separation", "11"), "--separation is 11"),
        (("--distances", "far.dat"), "line 1 of far.dat names site 13"),
        (("--distances", "none.dat"), "none.dat"),
        (("--out", "x.npz"), "ends in .csv"),
    ],
)
def test_contacts_that_cannot_be_are_refused(run: Run, options, message: str) -> None:
    written("far.dat", "1 13 5.0\n")
    before = set(run.path.rglob("*"))
    assert message in refused("contacts", run.path, *options)
    assert set(run.path.rglob("*")) == before


# Mutants


def free_energy(run: Run, words: list[str]) -> np.ndarray:
    states = torch.tensor([[PROTEIN.index(c) for c in word] for word in words])
    rows = torch.nn.functional.one_hot(states, 21).flatten(1).double()
    with torch.no_grad():
        return run.rbm.double().free_energy(rows).numpy()


def test_mutants_are_scored_at_positions_of_the_whole_sequence(run: Run) -> None:
    name, row = next(iter(alignment().items()))
    word = "".join(c for c in row if not c.islower() and c != ".")
    # position 104 is site 4; two letters are inserted, so that site 5 is position 107
    other = "A" if word[4] != "A" else "C"
    mutants = [f"{word[0]}101{word[0]}", f"{word[4]}107{other}:{word[0]}101W", "K105A"]
    path = written("scan.csv", "mutant,fitness\n" + "\n".join(f"{m},1" for m in mutants))
    found = run.score(path, wild_type=name)
    mutated = "W" + word[1:4] + other + word[5:]
    energies = free_energy(run, [word, mutated])
    np.testing.assert_allclose(found.scores, [0, energies[0] - energies[1], np.nan], atol=1e-5)
    assert found.n_covered == 2 and list(found.outside.values()) == [1]
    assert table(found.path)[2]["score"] == "" and found.measured is None
    assert found.effects.shape == (12, 21)
    assert found.wild_type.positions[3:6] == (104, 107, 108)


def test_a_wild_type_goes_by_a_name_or_a_file(run: Run) -> None:
    name, row = list(alignment().items())[1]
    word = row.replace(".", "")
    by_name = run.score(wild_type="S1", out="a.csv")
    assert by_name.wild_type.name == name and not by_name.wild_type.aligned_here
    aligned = written("aligned.fasta", f">{name}\n{word}\n")
    by_file = run.score(wild_type=str(aligned), out="b.csv")
    np.testing.assert_array_equal(by_file.scores, by_name.scores)
    assert by_file.mutants == by_name.mutants and len(by_file.mutants) == 12 * 19
    whole = written("whole.fasta", f">W/95-112\nGGGGGG{CONSENSUS}\n")
    told = result_of("score", run.path, "--wild-type", whole)
    assert (told["first_position"], told["last_position"]) == (101, 112)


def test_measurements_give_rank_correlations(run: Run) -> None:
    words = [f"{CONSENSUS[0]}1{letter}" for letter in PROTEIN[:-1]]
    wild = written("wild.fasta", f">W\n{CONSENSUS}\n")
    values = np.random.default_rng(1).normal(size=20).round(3)
    rows = "".join(f"{word};{value}\n" for word, value in zip(words, values, strict=True))
    path = written("scan.csv", f"variant;effect\n{rows}")
    told = result_of(
        "score", run.path, "--mutants", path, "--wild-type", wild, "--measured", "effect"
    )
    found = run.score(path, wild_type=str(wild), measured="effect")
    assert told["rank_correlation"] == found.rank_correlation
    assert found.rank_correlation == pytest.approx(rank_correlation(found.scores, values))
    independent = rank_correlation(found.independent, values)
    assert found.rank_correlation_of_independent == pytest.approx(independent)
    assert [float(row["effect"]) for row in table(found.path)] == list(values)
    done = typed("score", run.path, "--mutants", path, "--wild-type", wild, "--measured", "effect")
    assert f"Spearman with effect  {found.rank_correlation:.3f}" in done.out
    assert "20 of 20 mutants are covered" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--wild-type is missing"),
        (("--wild-type", "S111"), "did you mean"),
        (("--wild-type", "S1", "--measured", "x"), "--measured is a column of --mutants"),
        (("--wild-type", "W.fasta", "--mutants", "wrong.csv"), "row 2, C2A: W has K at position 2"),
        (("--wild-type", "W.fasta", "--mutants", "far.csv"), "no mutant is covered"),
        (("--wild-type", "W.fasta", "--mutants", "no.csv"), "no.csv"),
        (("--wild-type", "W.fasta", "--first", "0"), "greater than or equal to 1"),
        (("--wild-type", "X.fasta"), "'X' at site 1"),
    ],
)
def test_scores_that_cannot_be_are_refused(run: Run, options, message: str) -> None:
    written("W.fasta", f">W\n{CONSENSUS}\n")
    written("X.fasta", f">X\nX{CONSENSUS[1:]}\n")
    written("wrong.csv", "mutant\nM1A\nC2A\n")
    written("far.csv", "mutant\nM901A\n")
    before = set(run.path.rglob("*"))
    done = typed("score", run.path, *options)
    assert done.code and message in done.err
    assert set(run.path.rglob("*")) == before


# Logos


def test_logos_are_drawn_and_nothing_else(run: Run) -> None:
    found = run.plot(logos=2)
    assert list(found) == ["logos"] and found["logos"].read_bytes().startswith(b"\x89PNG")
    told = result_of("plot", run.path, "--logos", "3")
    assert told["pictures"] == [str(run.path / "figures" / "logos.png")]


# Samples


def test_samples_name_their_nearest_training_sequence(run: Run) -> None:
    found = run.sample(chains=3, samples=2, warmup=1, sweeps_per_sample=1, nearest=True)
    by_name = {
        name: [PROTEIN.index(c) for c in row if not c.islower() and c != "."]
        for name, row in alignment().items()
    }
    assert found.nearest is not None and found.differences is not None
    for sample, name, apart in zip(
        found.samples.reshape(6, 12), found.nearest.ravel(), found.differences.ravel(), strict=True
    ):
        assert (sample != by_name[name]).sum() == apart
    few = ("--chains", "3", "--samples", "2", "--warmup", "1", "--sweeps-per-sample", "1")
    told = result_of("sample", run.path, *few, "--nearest", "--out", "new.fasta")
    assert told["median_differences"] == np.median(found.differences)
    header = Path("new.fasta").read_text().split("\n")[0]
    first = found.nearest[0, 0], found.differences[0, 0]
    assert header == f">chain0_sample0 nearest={first[0]} differences={first[1]}"
    result_of("sample", run.path, *few, "--nearest", "--out", "other.csv")
    assert int(table(Path("other.csv"))[0]["differences"]) == first[1]


def test_the_page_shows_what_was_made(run: Run) -> None:
    found = run.contacts(written("struct.dat", "".join(f"1 {i} {i}\n" for i in range(2, 13))))
    assert found.page == run.path / "report.html"
    shown = Page(found.page.read_text(encoding="utf-8"))
    assert shown.pictures["Contacts, made since"] == found.picture.read_bytes()
    assert "contacts.png . Predicted contacts: the" in shown.text
    page = run.score(wild_type="S1").page.read_text(encoding="utf-8")
    assert "Contacts, made since" in page and "Effects of mutations, made since" in page
    run.plot(logos=2)
    page = run.report().read_text(encoding="utf-8")
    for said in ("Contacts, made since", "Effects of mutations, made since", "Logos of hidden"):
        assert said in page, said


@pytest.mark.parametrize("command", [("contacts",), ("score", "--wild-type", "S1")])
def test_a_page_of_others_is_left_alone(run: Run, command: tuple[str, ...]) -> None:
    page = run.path / "report.html"
    page.write_text("mine")
    assert "was not written by harmonium" in refused(command[0], run.path, *command[1:])
    assert page.read_text() == "mine" and not [*run.path.glob("*.csv"), *run.path.glob("*.png")]
    page.unlink()
    told = typed(command[0], run.path, *command[1:])
    assert f"page      {page}" in told.out and page.is_file()


def test_columns_are_named_by_site_and_letter(run: Run) -> None:
    view = open_trained(Asked(run.directory)).view
    names = view.unit_names(12 * 21)
    assert names[0] == "site 1 = A" and names[-1] == "site 12 = -"
    assert view.labels(12)[4] == "site 5" and view.names(12)[4] == "5"


# Other runs


@pytest.fixture(scope="module")
def of_bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bits") / "run"
    rows = np.random.default_rng(0).integers(0, 2, (40, 8)).astype(np.uint8)
    harmonium.train(
        rows, hidden=2, epochs=1, batch_size=20, threads=1, figures=False, tensorboard=False,
        progress=False, out=out,
    )  # fmt: skip
    return out


ASK: dict[str, Callable[[Run], Any]] = {
    "score": lambda run: run.score(wild_type="S1"),
    "plot": lambda run: run.plot(logos=2),
    "sample": lambda run: run.sample(nearest=True),
}


@pytest.mark.parametrize("question", ASK)
def test_rows_without_letters_have_no_mutants(of_bits: Path, question: str) -> None:
    with pytest.raises(ValueError, match="rows without letters; train on an alignment"):
        ASK[question](harmonium.open(of_bits))


def test_binary_units_have_couplings_too(of_bits: Path, tmp_path: Path) -> None:
    found = harmonium.open(of_bits).contacts(out=tmp_path / "bits.csv")
    assert len(found.contacts.pairs) == 2 * 3 // 2
