"""Wild types: positions of an aligned sequence, and sequences aligned to a profile."""

from __future__ import annotations

import numpy as np
import pytest

from harmonium.sequences import WildType, read_wild_type

LETTERS = "ACDEFGHIKLMNPQRSTVWY-"


def profile(consensus: str, share: float = 0.7) -> np.ndarray:
    found = np.full((len(consensus), len(LETTERS)), (1 - share) / (len(LETTERS) - 1))
    for site, letter in enumerate(consensus):
        found[site, LETTERS.index(letter)] = share
    return found


def test_letters_are_counted_with_insertions_and_without_gaps() -> None:
    found = WildType.aligned("X/11-16", "A-Ccd.DE")
    assert found.letters == "A-CDE"
    assert found.positions == (11, None, 12, 15, 16)
    assert found.extent == (11, 16) and not found.aligned_here
    assert found.site_of == {11: 0, 12: 2, 15: 3, 16: 4}


def test_sites_that_the_model_lacks_still_count() -> None:
    found = WildType.aligned("X", "ACDE", sites=[1, 3, 4], first=5)
    assert found.letters == "ADE" and found.positions == (5, 7, 8)


def test_a_whole_sequence_is_aligned_to_the_family() -> None:
    family = "MKTWLLQERSDHHGFNPY"
    # before and behind the domain, with an insertion, a deletion and a substitution in it
    sequence = "AAGG" + "MKTWLAQER" + "VVV" + "SDHGFNPY" + "EE"
    found = WildType.align("X/101-126", sequence, profile(family), LETTERS)
    assert found.aligned_here and found.extent == (101, 126)
    assert found.letters.replace("-", "") == "MKTWLAQERSDHGFNPY"
    assert found.letters.startswith("MKTWLAQERSD") and found.letters.endswith("GFNPY")
    assert found.positions[0] == 105 and found.positions[-1] == 124
    assert [p for p in found.positions if p] == sorted(p for p in found.positions if p)


def best_score(frequencies: np.ndarray, sequence: str) -> float:
    """Of all alignments, by plain recursion over what comes next."""
    shares = frequencies[:, :-1] + 1e-3
    shares = shares / shares.sum(1, keepdims=True)
    logs = np.log(shares / shares.mean(0))

    def best(i: int, j: int, before: str) -> float:
        if i == len(logs):
            return 0.0
        found = best(i + 1, j, "skip") - (0.5 if before == "skip" else 4.0)
        if j < len(sequence):
            found = max(found, best(i + 1, j + 1, "match") + logs[i, LETTERS.index(sequence[j])])
            if before:  # what stands before the domain is free
                found = max(found, best(i, j + 1, "insert") - (0.5 if before == "insert" else 4.0))
        return found

    return max(best(0, j, "") for j in range(len(sequence) + 1))


def score_of(found: WildType, frequencies: np.ndarray) -> float:
    shares = frequencies[:, :-1] + 1e-3
    shares = shares / shares.sum(1, keepdims=True)
    logs = np.log(shares / shares.mean(0))
    total, skipped, last = 0.0, False, None
    for site, (letter, position) in enumerate(zip(found.letters, found.positions, strict=True)):
        if position is None:
            total -= 0.5 if skipped else 4.0
            skipped = True
            continue
        if last is not None and position > last + 1:
            total -= 4.0 + 0.5 * (position - last - 2)
        total += logs[site, LETTERS.index(letter)]
        skipped, last = False, position
    return total


def test_alignments_are_the_best_there_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        frequencies = profile("".join(rng.choice(list("ACDE"), 5)), 0.8)
        sequence = "".join(rng.choice(list("ACDE"), int(rng.integers(1, 8))))
        found = WildType.align("X", sequence, frequencies, LETTERS)
        assert score_of(found, frequencies) == pytest.approx(best_score(frequencies, sequence))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WildType.aligned("X/11-14", "ACD"), "4 letters, but the sequence has 3"),
        (lambda: WildType.aligned("X", "ACD", sites=[1, 5]), "has 3 columns"),
        (lambda: WildType.aligned("X", "ACD", first=0), "from 1"),
        (lambda: WildType.align("X", "", profile("AC"), LETTERS), "is empty"),
        (lambda: WildType.align("X", "AZ", profile("AC"), LETTERS), "has the letter 'Z'"),
        (lambda: WildType.aligned("X", "AXC").numbers("AC-"), "has 'X' at site 2"),
    ],
)
def test_wild_types_that_do_not_fit_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_numbers_are_those_of_the_alphabet() -> None:
    np.testing.assert_array_equal(WildType.aligned("X", "CA-").numbers("AC-"), [1, 0, 2])


def test_files_of_one_sequence_are_aligned_unless_they_are(tmp_path) -> None:
    path, frequencies = tmp_path / "wild.fasta", profile("MKTW")
    path.write_text(">X/5-7\nMK-W\n")
    found = read_wild_type(path, LETTERS, frequencies, sites=[1, 2, 3, 4])
    assert found.positions == (5, 6, None, 7) and not found.aligned_here
    path.write_text(">X/5-10\nAAMKTW\n")
    found = read_wild_type(path, LETTERS, frequencies, sites=[1, 2, 3, 4])
    assert found.positions == (7, 8, 9, 10) and found.aligned_here
    path.write_text(">X\nMKTW\n>Y\nMKTW\n")
    with pytest.raises(ValueError, match="holds 2 sequences"):
        read_wild_type(path, LETTERS, frequencies, sites=[1, 2, 3, 4])
