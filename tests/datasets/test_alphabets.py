"""Letters become numbers of categories and come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmonium.datasets import Data, Encoding, OneHot
from harmonium.datasets.alphabets import DNA, PROTEIN, RNA, alphabet_of, numbers_of, words_of


def test_letters_become_numbers_and_come_back() -> None:
    numbers = numbers_of(["AC-GU", "UUUU-"], RNA)
    assert numbers.dtype == np.uint8
    assert numbers.tolist() == [[0, 1, 4, 2, 3], [3, 3, 3, 3, 4]]
    assert words_of(numbers, RNA) == ["AC-GU", "UUUU-"]
    assert words_of(numbers_of([PROTEIN], PROTEIN), PROTEIN) == [PROTEIN]
    assert words_of(np.empty((2, 0), np.uint8), RNA) == ["", ""]


def test_an_alphabet_has_a_name_or_is_spelled_out() -> None:
    assert alphabet_of("protein") == "ACDEFGHIKLMNPQRSTVWY-"
    assert (alphabet_of("rna"), alphabet_of("DNA")) == (RNA, DNA)
    assert alphabet_of("HP") == "HP"


@pytest.mark.parametrize(
    "said", ["", "A", "AA", "AC GT", "AC.", "A>", "AC*", "AÇ", "proteins", "Protien"]
)
def test_what_is_no_alphabet_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"`alphabet` is .*; pass protein, rna, dna, or two"):
        alphabet_of(said)


def test_an_unknown_letter_and_another_length_are_named() -> None:
    with pytest.raises(ValueError, match=r"sequence 1 has 'T' at position 2, which is not in"):
        numbers_of(["ACGU", "ATGU"], RNA)
    with pytest.raises(ValueError, match="sequence 1 has 3 letters, but sequence 0 has 4"):
        numbers_of(["ACGU", "ACG"], RNA)


def test_data_know_their_letters_and_states_do_not_depend_on_them() -> None:
    values = torch.from_numpy(numbers_of(["ACGU", "--GA"], RNA))
    data = Data("some", values, OneHot(5, letters=RNA))
    plain = Data("some", values, OneHot(5))
    assert (data.alphabet, plain.alphabet) == (RNA, None)
    assert data.fingerprint() == plain.fingerprint()
    assert data.encoding != plain.encoding
    config = data.encoding.to_config()
    assert config == {"kind": "OneHot", "n_categories": 5, "letters": RNA}
    assert Encoding.from_config(config) == data.encoding
    labels = torch.tensor([0, 1])
    labelled = Data("some", values, OneHot(5, letters=RNA), labels=labels).join_labels()
    assert labelled.alphabet == RNA


@pytest.mark.parametrize("letters", ["ACG", "ACGTU", "ACCG"])
def test_letters_fit_the_categories(letters: str) -> None:
    with pytest.raises(ValueError, match=r"letters are .*; pass 4 different ones"):
        OneHot(4, letters=letters)
    with pytest.raises(ValueError, match="leave categories out"):
        OneHot(2, (1, 2), "AB")
