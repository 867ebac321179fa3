"""Genotypes: VCF files, written as text, and files of PLINK's, written by bed-reader."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from harmonium.datasets import load

SAMPLES = ("NA1", "NA2", "NA3")
TWO_SITES = ["1 10 A G 0|1 1|1 0|0", "1 20 A G,T 0|2 1|1 0|0"]


def vcf(folder: Path, sites: list[str], samples: tuple[str, ...] = SAMPLES) -> Path:
    """A VCF of lines CHROM POS REF ALT and one genotype a sample."""
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=1>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">',
        "\t".join(
            [
                "#CHROM POS ID REF ALT QUAL FILTER INFO".replace(" ", "\t"),
                *("FORMAT", *samples) * bool(samples),
            ]
        ),
    ]
    for site in sites:
        chromosome, position, reference, alternative, *genotypes = site.split()
        kinds = ["DP" if genotypes and genotypes[0].startswith("d") else "GT"] * bool(genotypes)
        cells = [cell.removeprefix("d") for cell in genotypes]
        lines.append(
            "\t".join(
                [
                    chromosome,
                    position,
                    ".",
                    reference,
                    alternative,
                    ".",
                    "PASS",
                    ".",
                    *kinds,
                    *cells,
                ]
            )
        )
    path = folder / "a.vcf"
    path.write_text("\n".join(lines) + "\n")
    return path


class TestVCF:
    @pytest.fixture(autouse=True)
    def _needs(self) -> None:
        pytest.importorskip("cyvcf2")

    def test_phased_genotypes_are_two_rows_a_sample(self, tmp_path: Path) -> None:
        data = load(vcf(tmp_path, [*TWO_SITES, "1 30 A . 0|0 0|0 0|0"]))
        assert data.columns == ("1:10:A:G", "1:20:A:G", "1:20:A:T")
        assert list(data.row_names) == ["NA1_1", "NA1_2", "NA2_1", "NA2_2", "NA3_1", "NA3_2"]
        assert data.values.T.tolist() == [
            [0, 1, 1, 1, 0, 0],
            [0, 0, 1, 1, 0, 0],
            [0, 1, 0, 0, 0, 0],
        ]
        assert data.notes == (
            "2 rows a sample: all genotypes are phased",
            "1: the ALT allele, which a column's name ends in",
            "sites without an ALT allele, left out: 1",
        )

    def test_other_genotypes_are_counts_of_alt(self, tmp_path: Path) -> None:
        data = load(vcf(tmp_path, [TWO_SITES[0].replace("0|1", "0/1"), TWO_SITES[1]]))
        assert data.values.tolist() == [[1, 0, 1], [2, 2, 0], [0, 0, 0]]
        assert list(data.row_names) == [*SAMPLES]
        assert data.notes == (
            "0 to 2: counts of the ALT allele, which a column's name ends in",
            "one row a sample: 1 of 9 genotypes not phased",
        )

    @pytest.mark.parametrize(
        ("site", "rows", "note"),
        [
            ("1 10 A G 0 1 1", [[0], [1], [1]], "0 to 1: counts of the ALT"),
            ("1 10 A G 0/1/1 0/0/0 1/1/1", [[2], [0], [3]], "0 to 3: counts of the ALT"),
            (
                "1 10 A <DEL> 0|1|1 0|0|0 1|1|1",
                [*[[0], [1], [1]], *[[0]] * 3, *[[1]] * 3],
                "3 rows",
            ),
        ],
    )
    def test_any_ploidy(self, tmp_path: Path, site: str, rows: list[list[int]], note: str) -> None:
        data = load(vcf(tmp_path, [site]))
        assert data.values.tolist() == rows
        assert data.notes[0].startswith(note)

    def test_packed_files(self, tmp_path: Path) -> None:
        content = vcf(tmp_path, TWO_SITES).read_bytes()
        path = tmp_path / "a.vcf.gz"
        path.write_bytes(gzip.compress(content))
        assert load(path).values.shape == (6, 3)
        # bgzip's blocks are gzip's, with their size in an extra field, and an empty one at the end
        plain = gzip.compress(content, mtime=0)
        extra = b"\x06\0BC\x02\0" + (len(plain) + 7).to_bytes(2, "little")
        block = plain[:3] + b"\x04" + plain[4:10] + extra + plain[10:]
        end = bytes.fromhex("1f8b08040000000000ff0600424302001b000300000000000000000000")[:28]
        path.write_bytes(block + end)
        assert load(path).values.shape == (6, 3)
        path.write_bytes(block)
        with pytest.raises(ValueError, match=r"a.vcf.gz is cut off: it lacks the last block"):
            load(path)

    def test_a_bcf_is_the_same(self, tmp_path: Path) -> None:
        cyvcf2 = pytest.importorskip("cyvcf2")
        text = cyvcf2.VCF(str(vcf(tmp_path, TWO_SITES)))
        packed = cyvcf2.Writer(str(tmp_path / "a.bcf"), text, mode="wb")
        for variant in text:
            packed.write_record(variant)
        packed.close()
        one, other = load(tmp_path / "a.vcf"), load(tmp_path / "a.bcf")
        assert other.values.tolist() == one.values.tolist()
        assert (other.columns, [*other.row_names]) == (one.columns, [*one.row_names])

    def test_missing_genotypes_are_refused_unless_their_columns_are_left_out(
        self, tmp_path: Path
    ) -> None:
        gaps = ["1 10 A G ./. 1|1 .", "1 20 A G 0|0 .|1 0|0", "1 30 A G 1|1 0|0 0|1"]
        path = vcf(tmp_path, gaps)
        message = (
            "a.vcf has 3 missing genotypes, in 2 of 3 columns; the first: NA1 at 1:10:A:G; NA2 at "
            "1:20:A:G; impute them, or leave those columns out, by `drop`"
        )
        with pytest.raises(ValueError, match=message):
            load(path)
        with pytest.raises(ValueError, match=r"has 1 missing genotype, in 1 of 3 columns"):
            load(path, drop="1:10:A:G")
        data = load(path, drop=["1:10:A:G", 1])
        assert data.columns == ("1:30:A:G",)
        assert data.values.tolist() == [[1], [1], [0], [0], [0], [1]]

    @pytest.mark.parametrize(
        ("sites", "message"),
        [
            (["1 10 A G"], "a.vcf holds no samples, only sites; pass a VCF with genotypes"),
            (["1 10 A G d1 d2 d3"], r"a.vcf has no genotypes \(GT\) at 1:10; leave that site out"),
            (["1 10 A . 0|0 0|0 0|0"], "a.vcf is empty: it holds no site with an ALT allele"),
            (["1 10 A G 0|2 0|0 0|0"], "has an allele 2 at 1:10, and 1 ALT alleles; it is damaged"),
            (["1 x A G 0|1 0|0 0|0"], "a.vcf is damaged, or no VCF: "),
            (
                ["1 10 A G 0|1 1 0|0"],
                "has genotypes of 2 alleles and of 1, such as that of NA2 at 1:10; leave those",
            ),
            (["1 10 A G 0|1 0|1 0|0", "1 20 A G 0 0 1"], "2 alleles and of 1, .* NA1 at 1:20"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, sites: list[str], message: str) -> None:
        samples = SAMPLES if len(sites[0].split()) > 4 else ()
        with pytest.raises(ValueError, match=message):
            load(vcf(tmp_path, sites, samples))

    def test_no_vcf(self, tmp_path: Path) -> None:
        (tmp_path / "a.vcf").write_text("nothing of the kind\n")
        with pytest.raises(ValueError, match=r"a.vcf is damaged, or no VCF: "):
            load(tmp_path / "a.vcf")


class TestPlink:
    COUNTS = np.array([[0, 1, 2], [2, 2, 0], [1, 0, 0], [0, 0, 1], [1, 1, 1]], np.float64)

    def write(self, folder: Path, counts: np.ndarray) -> Path:
        bed_reader = pytest.importorskip("bed_reader")
        properties = {
            "iid": [f"s{row}" for row in range(len(counts))],
            "sid": ["rs1", "rs2", "rs3"],
            "chromosome": ["1", "1", "X"],
            "bp_position": [10, 20, 30],
            "allele_1": ["A", "C", "G"],
            "allele_2": ["T", "G", "C"],
        }
        bed_reader.to_bed(folder / "a.bed", counts, properties=properties, count_A1=True)
        return folder / "a.bed"

    def test_counts_of_a1(self, tmp_path: Path) -> None:
        data = load(self.write(tmp_path, self.COUNTS))
        assert data.values.tolist() == self.COUNTS.tolist()
        assert data.columns == ("1:10:T:A", "1:20:G:C", "X:30:C:G")
        assert list(data.row_names) == [f"s{row}" for row in range(5)]
        assert "counts of A1, the first allele of the .bim" in data.notes[0]

    def test_against_the_definition_of_the_format(self, tmp_path: Path) -> None:
        # two bits a sample, the first one lowest: 00 two of A1, 10 one, 11 none (and 01 missing)
        path = self.write(tmp_path, self.COUNTS)
        packed = np.frombuffer(path.read_bytes()[3:], np.uint8).reshape(3, 2)
        bits = np.unpackbits(packed, axis=1, bitorder="little").reshape(3, 8, 2)[:, :5]
        counts = 2 - bits.sum(2)
        assert load(path).values.T.tolist() == counts.tolist()

    def test_missing_genotypes(self, tmp_path: Path) -> None:
        counts = self.COUNTS.copy()
        counts[[1, 3], 0] = np.nan
        path = self.write(tmp_path, counts)
        with pytest.raises(ValueError, match=r"2 missing genotypes, in 1 of 3 .*: s1 at 1:10:T:A;"):
            load(path)
        assert load(path, drop=0).values.tolist() == counts[:, 1:].tolist()

    @pytest.mark.parametrize("damage", ["bed", "bim"])
    def test_files_that_do_not_fit(self, tmp_path: Path, damage: str) -> None:
        path = self.write(tmp_path, self.COUNTS).with_suffix(f".{damage}")
        content = path.read_bytes()
        path.write_bytes(content[:-1] if damage == "bed" else content[: content.rindex(b"X")])
        with pytest.raises(ValueError, match=r"a.bed is damaged, or a.bim and a.fam do not belong"):
            load(tmp_path / "a.bed")

    def test_files_that_are_missing(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.COUNTS)
        path.with_suffix(".bim").unlink()
        with pytest.raises(FileNotFoundError, match=r"read with a.bim and a.fam .* no a.bim$"):
            load(path)
        path.with_suffix(".fam").unlink()
        with pytest.raises(FileNotFoundError, match=r"there is no a.bim and no a.fam$"):
            load(path)

    def test_a_table_of_intervals(self, tmp_path: Path) -> None:
        (tmp_path / "a.bed").write_text("chr1\t10\t20\n")
        with pytest.raises(ValueError, match=r"a.bed is no .bed of PLINK's: it begins with b'ch'"):
            load(tmp_path / "a.bed")


@pytest.mark.parametrize(
    ("name", "content", "library", "extra"),
    [
        ("a.vcf", b"##fileformat=VCFv4.2\n", "cyvcf2", "genomes"),
        ("a.bed", b"\x6c\x1b\x01", "bed_reader", "genomes"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "h5py", "hdf5"),
        ("a.h5ad", b"\x89HDF\r\n\x1a\n", "h5py", "hdf5"),
        ("a.mat", b"MATLAB 7.3".ljust(512) + b"\x89HDF\r\n\x1a\n", "h5py", "hdf5"),
    ],
)
def test_a_library_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, library: str,
    extra: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(__import__("sys").modules, library, None)
    for file in (name, "a.bim", "a.fam"):
        (tmp_path / file).write_bytes(content)
    message = f"{name} is read by the package {library}, which is not installed; install it by "
    with pytest.raises(
        ImportError, match=re.escape(f"{message}`pip install 'harmonium[{extra}]'`")
    ):
        load(tmp_path / name)
