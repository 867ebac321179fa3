"""Alignments: what letters mean, what is left out, and what is refused, in every format."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harmonium import datasets
from harmonium.datasets import Data, OneHot, from_sequences, load
from harmonium.datasets.alphabets import DNA, PROTEIN, RNA, words_of
from harmonium.datasets.copies import n_distinct

FASTA = ">one first words\nACDE-\n>two\nACDEF\n"


def written(folder: Path, text: str | bytes, name: str = "some.fasta") -> Path:
    path = folder / name
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def words(data: Data) -> list[str]:
    assert data.alphabet is not None
    return words_of(data.values.numpy(), data.alphabet)


def said(data: Data, text: str) -> bool:
    return any(text in note for note in data.notes)


def test_an_alignment_is_one_byte_a_site(tmp_path: Path) -> None:
    data = load(written(tmp_path, FASTA))
    assert data.values.dtype == torch.uint8
    assert data.encoding == OneHot(21, letters=PROTEIN)
    assert words(data) == ["ACDE-", "ACDEF"]
    assert data.columns == ("1", "2", "3", "4", "5")
    assert data.row_names is not None
    assert list(data.row_names) == ["one", "two"]
    assert data.notes[0] == (
        "an alignment of 2 sequences × 5 sites; alphabet protein (ACDEFGHIKLMNPQRSTVWY-), guessed "
        "from the letters"
    )
    states = data.rows(torch.tensor([1]))
    assert states.shape == (1, 105)
    assert states.view(5, 21).argmax(1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suffix", [".fasta", ".fa", ".afa", ".a2m", ".a3m", ".aln", ".fasta.gz"])
def test_suffixes(tmp_path: Path, suffix: str) -> None:
    assert words(load(written(tmp_path, FASTA, f"some{suffix}"))) == ["ACDE-", "ACDEF"]


@pytest.mark.parametrize("name", ["some.txt", "some", "some.data.gz", "some.seq"])
def test_the_first_bytes_tell_as_well(tmp_path: Path, name: str) -> None:
    assert words(load(written(tmp_path, FASTA, name))) == ["ACDE-", "ACDEF"]
    stockholm = "# STOCKHOLM 1.0\none ACDE-\ntwo ACDEF\n//\n"
    assert words(load(written(tmp_path, stockholm, name))) == ["ACDE-", "ACDEF"]


@pytest.mark.parametrize(
    "text",
    [
        ">one\r\nACD\r\nE-\r\n>two\r\nACDEF",
        ">one\rACD\rE-\r>two\rACDEF\r",
        "\ufeff>one\nAC DE-\n\n\n>>two\n\n ACD\nEF \n\n",
        "#a3m\n; made by hand\n>one\nACDE-\n> two\nACDEF",
        ">one\nACDE-*\n>two x\nACDEF*\n",
        ">one\nACDE-\n>two\nACDEF*\n",
    ],
)
def test_lines_may_end_and_break_anywhere(tmp_path: Path, text: str) -> None:
    data = load(written(tmp_path, text))
    assert words(data) == ["ACDE-", "ACDEF"]
    assert data.row_names is not None
    assert list(data.row_names) == ["one", "two"]


def test_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harmonium.datasets import records

    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 21, (50, 30), np.uint8)
    rows = words_of(numbers, PROTEIN)
    text = "".join(f">row{n} of 50\n{row[:17]}\n{row[17:]}\n" for n, row in enumerate(rows))
    path = written(tmp_path, text)
    for piece in (1, 7, 100, 1 << 20):
        monkeypatch.setattr(records, "_PIECE", piece)
        data = load(path)
        assert np.array_equal(data.values.numpy(), numbers)
        assert data.row_names is not None
        assert list(data.row_names) == [f"row{n}" for n in range(50)]


def test_stockholm_in_blocks(tmp_path: Path) -> None:
    text = (
        "# STOCKHOLM 1.0\n#=GF ID some\n\none/1-4 ACD\n#=GR one/1-4 SS HHH\ntwo     ACD\n"
        "#=GC RF xxx\n\none/1-4 E-\ntwo     EF\n//\n"
    )
    data = load(written(tmp_path, text, "some.sto"))
    assert words(data) == ["ACDE-", "ACDEF"]
    assert data.row_names is not None
    assert list(data.row_names) == ["one/1-4", "two"]


# Insertions


def test_insertions_are_dropped_or_refused(tmp_path: Path) -> None:
    a2m = ">one\nAC..DE-\n>two\nACghDEF\n"
    a3m = ">one\nACDE-\n>two\nACghDEFk\n>three\nAaCDEFkk\n"
    for text, n in ((a2m, 2), (a3m, 3)):
        path = written(tmp_path, text)
        data = load(path)
        assert words(data)[:2] == ["ACDE-", "ACDEF"]
        assert len(data) == n
        assert said(data, "insertions were dropped")
    assert said(data, "6 letters in lower case, of 2 sequences")
    refused = r"insertions .* the first is 'g' in sequence 1 \('two'\) at position 3"
    with pytest.raises(ValueError, match=refused):
        load(path, insertions="refuse")
    assert words(load(written(tmp_path, FASTA), insertions="refuse")) == ["ACDE-", "ACDEF"]


def test_rows_of_an_a3m_that_are_as_long_by_chance(tmp_path: Path) -> None:
    path = written(tmp_path, ">one\nAcCG\n>two\nACgG\n", "some.a3m")
    assert words(load(path, alphabet="dna")) == ["ACG", "ACG"]


def test_lower_case_and_dots_may_be_but_another_way_to_write(tmp_path: Path) -> None:
    data = load(written(tmp_path, ">one\nacg.u\n>two\nAC-.U\n>three\nACGGU\n"))
    assert words(data) == ["ACG-U", "AC--U", "ACGGU"]
    assert said(data, "lower case is read as upper case, and dots as gaps")
    data = load(written(tmp_path, ">one\nacgu\n>two\nacgg\n"))
    assert words(data) == ["ACGU", "ACGG"]


def test_a_format_that_is_made_for_insertions_has_no_other_lower_case(tmp_path: Path) -> None:
    text = ">one\nACdDe\n>two\nACDEf\n"
    assert words(load(written(tmp_path, text, "some.fa"))) == ["ACDDE", "ACDEF"]
    with pytest.raises(ValueError, match=r"sequence 1 \('two'\) has 4 letters, .* has 3"):
        load(written(tmp_path, text, "some.a3m"))


def test_an_own_alphabet_may_have_lower_case(tmp_path: Path) -> None:
    data = load(written(tmp_path, ">one\nabBA\n>two\naAbB\n"), alphabet="abAB")
    assert words(data) == ["abBA", "aAbB"]


# Alphabets


@pytest.mark.parametrize(
    ("rows", "alphabet"),
    [
        (["ACGU-", "NNGUA"], RNA),
        (["ACGT-", "ACGTN"], DNA),
        (["ACGTACGTAC", "ACGTACGTAE"], DNA),
        (["ACGA-", "ACG--"], DNA),
        (["ACDEF", "-----"], PROTEIN),
        (["ACGTW", "ACGKR"], PROTEIN),
    ],
)
def test_the_alphabet_is_guessed(rows: list[str], alphabet: str) -> None:
    if "E" in rows[-1] and alphabet == DNA:  # the guess stands, and the letter is refused
        with pytest.raises(ValueError, match="has 'E' in sequence 1 at site 10"):
            from_sequences(rows)
        return
    assert from_sequences(rows).alphabet == alphabet


def test_t_and_u_are_one_letter() -> None:
    data = from_sequences(["ACGT", "ACGU"], alphabet="rna")
    assert words(data) == ["ACGU", "ACGU"]
    assert said(data, "1 T are read as U")
    assert words(from_sequences(["ACGT", "ACGU"], alphabet="dna")) == ["ACGT", "ACGT"]


def test_letters_outside_the_alphabet_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, ">one\nACGU\n>two\nACLU\n")
    outside = "has 'L' in sequence 1 \\('two'\\) at site 3, which is not in the alphabet ACGU-"
    with pytest.raises(ValueError, match=outside):
        load(path, alphabet="rna")
    with pytest.raises(ValueError, match="has '-' in sequence 0 at site 2"):
        from_sequences(["H-", "HP"], alphabet="HP")
    with pytest.raises(ValueError, match="has '1' in"):
        from_sequences(["A1", "AC"])


# Unknown letters


def test_unknown_letters_are_gaps_or_drop_or_are_refused() -> None:
    rows = ["ACDEX", "ACDEF", "BCZ*F", "JOU?F"]
    data = from_sequences(rows)
    assert words(data) == ["ACDE-", "ACDEF", "-C--F", "----F"]
    assert said(data, "8 unknown letters (such as X, B or N), the first in sequence 0 at site 5")
    data = from_sequences(rows, names=list("abcd"), unknown="drop")
    assert words(data) == ["ACDEF"]
    assert list(data.row_names or ()) == ["b"]
    assert [(each.name, each.reason, each.share) for each in data.dropped] == [
        ("a", "unknown letters", 0.2),
        ("c", "unknown letters", 0.6),
        ("d", "unknown letters", 0.8),
    ]
    assert said(data, "left out: 3 sequences (unknown letters)")
    with pytest.raises(ValueError, match=r"has 8 unknown letters .* take `unknown='gap'`"):
        from_sequences(rows, unknown="refuse")
    assert words(from_sequences(["ACGN", "ACGU"], alphabet="rna")) == ["ACG-", "ACGU"]
    with pytest.raises(ValueError, match="the alphabet HP has no gap"):
        from_sequences(["HX", "HP"], alphabet="HP")


# Gaps


def test_gapped_sequences_go_first_and_then_sites() -> None:
    rows = ["----E", "AC-EF", "AC-E-", "ACDEF"]
    data = from_sequences(rows, max_gaps_row=0.5, max_gaps_column=0.5)
    # without the first row, site 3 has 2 of 3 gaps, and site 5 has 1 of 3
    assert words(data) == ["ACEF", "ACE-", "ACEF"]
    assert data.columns == ("1", "2", "4", "5")
    assert data.named == {"drop": ("3",)}
    assert [(d.what, d.number, d.reason) for d in data.dropped] == [
        ("sequence", 0, "too many gaps"),
        ("site", 3, "too many gaps"),
    ]
    assert data.dropped[0].share == 0.8
    assert data.dropped[1].share == pytest.approx(2 / 3)
    assert said(data, "left out: 1 sequence (too many gaps), 1 site (too many gaps)")
    # exactly as many gaps as allowed are allowed
    assert len(from_sequences(rows, max_gaps_row=0.8)) == 4
    assert from_sequences(rows, max_gaps_column=0.75).columns == ("1", "2", "3", "4", "5")
    with pytest.raises(ValueError, match="has no sequence left: all 4 were dropped"):
        from_sequences([*rows[1:3], "A-CD-", "----A"], max_gaps_row=0.1)
    with pytest.raises(ValueError, match="has no site left: all 2 were dropped"):
        from_sequences(["A-", "-A"], max_gaps_column=0.2)
    with pytest.raises(ValueError, match=r"`max_gaps_row` is 1.5; pass a share from 0 to 1"):
        from_sequences(rows, max_gaps_row=1.5)


def test_sites_are_left_out_by_number(tmp_path: Path) -> None:
    path = written(tmp_path, FASTA)
    data = load(path, drop=[1, "5"])
    assert words(data) == ["CDE", "CDE"]
    assert data.columns == ("2", "3", "4")
    with pytest.raises(ValueError, match=r"`drop` names '6', and the sites .* from 1 to 5"):
        load(path, drop="6")


def test_other_parts_have_the_letters_and_sites_of_the_first(tmp_path: Path) -> None:
    train = written(tmp_path, ">a\nAC-U\n>b\nACGU\n>c\nAC-A\n", "train.fa")
    test = written(tmp_path, ">d\nACGA\n", "test.fa")
    from harmonium.runs.options import TrainingOptions
    from harmonium.runs.rows import read_parts

    options = TrainingOptions(str(train), max_gaps_column=0.5, test_data=str(test))
    data = read_parts(options, datasets.quiet)
    assert words(data.part("test")) == ["ACA"]
    assert data.alphabet == RNA
    assert data.columns == ("1", "2", "4")


# Copies


def test_copies_are_counted() -> None:
    data = from_sequences(["ACDE", "ACDF", "ACDE", "ACDE"])
    assert len(data) == 4
    assert said(data, "copies of other sequences: 2 of 4")
    assert not any("copies" in note for note in from_sequences(["ACDE", "ACDF"]).notes)
    rng = np.random.default_rng(0)
    for n_sites in (1, 7, 8, 33):
        values = rng.integers(0, 3, (2000, n_sites)).astype(np.uint8)
        assert n_distinct(values) == len(np.unique(values, axis=0))


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGU\n>one\nACGU\n", "begins with 'ACGU.*a sequence without a header"),
        ("\n\n", "holds no sequence; pass one or more"),
        (">one\n>two\nAC\n", "a header without a sequence: sequence 0 \\('one'\\)"),
        (">one\nAC\n>two", "a header without a sequence: sequence 1 \\('two'\\)"),
        (">one\nAC\n>two\n*\n", "a header without a sequence: sequence 1 \\('two'\\)"),
        (
            ">one\nACD\n>two\nAC\n>three\nAC\n",
            "sequence 1 \\('two'\\) has 2 letters, but sequence 0 \\('one'\\) has 3",
        ),
        (">one\nACdDe\n>two\nACDEfg\n", "different lengths"),
    ],
)
def test_what_is_no_alignment_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# STOCKHOLM 1.0\n//\n", "holds no sequence"),
        ("# STOCKHOLM 1.0\none\n//\n", "line 2 .* has a name without a sequence: 'one'"),
        ("# STOCKHOLM 1.0\none AC\none AC\n//\n", "line 3 .* names 'one', which stands above"),
        ("# STOCKHOLM 1.0\none AC\ntwo A\n//\n", "sequence 1 \\('two'\\) has 1 letters"),
        (
            "# STOCKHOLM 1.0\none AC\n//\n# STOCKHOLM 1.0\none AC\n//\n",
            "holds another alignment from line 4 on",
        ),
    ],
)
def test_damaged_stockholm_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path, text, "some.sto"))


def test_one_sequence_and_a_site_that_never_varies_are_allowed() -> None:
    data = from_sequences(["ACDE"])
    assert words(data) == ["ACDE"]
    assert data.moments()[0].sum() == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphabet": "rna"}, "`alphabet` is for alignments, and some.csv is none"),
        ({"max_gaps_row": 0.5}, "`max_gaps_row` is for alignments"),
        ({"insertions": "keep"}, "`insertions` is 'keep'; pass drop or refuse"),
        ({"unknown": "X"}, "`unknown` is 'X'; pass gap or drop or refuse"),
        ({"sequences": "none"}, "`sequences` is 'none', but some.csv has no such column"),
    ],
)
def test_options_of_alignments_are_for_alignments(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path, "a,b\n1,2\n3,4\n", "some.csv"), **options)


def test_a_file_of_sequences_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`sequences` names a column of a table"):
        load(written(tmp_path, FASTA), sequences="one")
    with pytest.raises(ValueError, match="`header` is for tables of text"):
        load(written(tmp_path, FASTA), header=True)


# A column of a table

TABLE = "name,cdr3,fitness,kind,site\nw,ACDE-,1.5,a,q\nx,ACDEF,0.25,b,r\ny,AXDEF,0.5,a,s\n"


def test_a_column_of_a_table_holds_sequences(tmp_path: Path) -> None:
    how: dict[str, Any] = {"sequences": "cdr3", "label": "kind", "target": "fitness"}
    data = load(written(tmp_path, TABLE, "some.csv"), **how, unknown="drop", alphabet="protein")
    assert words(data) == ["ACDE-", "ACDEF"]
    assert list(data.row_names or ()) == ["w", "x"]
    assert data.targets is not None
    assert data.targets.tolist() == [[1.5], [0.25]]
    assert data.labels is not None
    assert (data.labels.tolist(), data.classes) == ([0, 1], ("a", "b"))
    assert said(data, "sequences: column 'cdr3', as asked")
    assert said(data, "left out: columns 'site'")


def test_a_column_of_a_parquet_file_holds_sequences(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"id": ["w", "x"], "aligned": ["ACGU", "AC-U"], "target": [0.5, 1.0]})
    parquet.write_table(table, tmp_path / "some.parquet")
    data = load(tmp_path / "some.parquet", sequences="aligned")
    assert words(data) == ["ACGU", "AC-U"]
    assert list(data.row_names or ()) == ["w", "x"]
    assert data.targets is not None
    assert data.targets.tolist() == [[0.5], [1.0]]


def test_a_column_holds_sequences_or_labels(tmp_path: Path) -> None:
    path = written(tmp_path, TABLE, "some.csv")
    with pytest.raises(ValueError, match=r"column 'cdr3' of some.csv cannot hold sequences and"):
        load(path, sequences="cdr3", label="cdr3")
    with pytest.raises(ValueError, match=r"the targets of some.csv are not all numbers"):
        load(path, sequences="cdr3", target="kind")
    ragged = written(tmp_path, TABLE + "z,ACDEF,1\n", "ragged.csv")
    with pytest.raises(ValueError, match=r"row 3 of ragged.csv has 3 values, but line .* has 5"):
        load(ragged, sequences="cdr3")
    missing = written(tmp_path, TABLE + "z,ACDEF,1,,t\n", "missing.csv")
    with pytest.raises(ValueError, match="has 1 rows without a label in column 'kind'"):
        load(missing, sequences="cdr3", label="kind")


def test_sequences_in_memory_are_texts() -> None:
    with pytest.raises(TypeError, match="sequences are 'ACD'; pass a list of texts"):
        from_sequences("ACD")
    with pytest.raises(ValueError, match="there are 2 sequences, but 1 names"):
        from_sequences(["AC", "AD"], names=["a"])
    with pytest.raises(ValueError, match="sequences holds no sequence"):
        from_sequences([])
    assert from_sequences(["AC", "AD"]).row_names is None


# Weights of a file


def test_a_file_holds_weights(tmp_path: Path) -> None:
    path = written(tmp_path, FASTA + ">three\nXXXXX\n")
    weights = written(tmp_path, "weight\n1\n0.5, 2e-1\n", "w.txt")
    data = load(path, weights=weights)
    assert data.weights is not None
    assert data.weights.tolist() == [1, 0.5, 0.2]
    # of the sequences that are left, or of all in the file
    for text in ("1 0.5", "1 0.5 7"):
        weights = written(tmp_path, text, "w.txt")
        data = load(path, weights=weights, unknown="drop")
        assert data.weights is not None
        assert data.weights.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "w.txt has 3 weights, but some.fasta has 2 rows; pass one weight a row"),
        ("1 -2", "w.txt: weight 1 is -2; pass numbers of 0 or more, not all 0"),
        ("1 nan", "w.txt: weight 1 is nan"),
        ("0 0", "w.txt: all weights are 0; pass numbers of 0 or more"),
        ("1 two", "holds other text than numbers .*'two'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, FASTA)
    with pytest.raises(ValueError, match=message):
        load(path, weights=written(tmp_path, text, "w.txt"))
    with pytest.raises(FileNotFoundError, match=r"`weights` is .*none.txt, and there is no such"):
        load(path, weights=tmp_path / "none.txt")
