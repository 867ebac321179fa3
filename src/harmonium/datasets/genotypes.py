"""Genotypes: VCF through cyvcf2 (htslib), and PLINK's .bed through bed-reader.

One column for each site and allele that is counted there. Its name ends in that allele:
CHROMOSOME:POSITION:OTHER:COUNTED. In a VCF the alleles ALT are counted, in a PLINK file A1, the
first allele of the .bim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays
from harmonium.datasets.columns import Look, choose
from harmonium.datasets.optional import needed
from harmonium.datasets.reading import Reading

_EXTRA = "genomes"
_SHOWN = 3
_PADDING, _UNKNOWN = -2, -1  # among the alleles of a genotype of cyvcf2
_MISSING = -127  # of bed-reader
_BGZF, _BGZF_END = b"BC\x02\x00", bytes.fromhex("1f8b08040000000000ff0600424302001b0003") + bytes(9)
_BED = b"\x6c\x1b"


def read_vcf(path: Path, reading: Reading) -> Arrays:
    """Read the genotypes of a VCF or BCF file.

    Where all genotypes are phased, each haplotype is a row of zeros and ones; otherwise each sample
    is a row of counts. A site with several ALT alleles has a column for each of them.

    Raises
    ------
    ValueError
        For missing genotypes, with their number and places, for samples of different ploidy, for
        files without samples or without genotypes, and for damaged ones.
    ImportError
        If cyvcf2 is not installed.
    """
    with needed(_EXTRA, path.name):
        from cyvcf2 import VCF
    _refuse_truncated(path)
    try:
        file = VCF(str(path))
        samples = file.samples
    except Exception as error:
        raise _damaged(path, error) from None
    found = _Sites(path.name, samples)
    for variant, genotypes in _variants(file, path):
        found.add(variant, genotypes)
    return found.arrays(reading)


def _variants(file: Any, path: Path) -> Iterator[tuple[Any, NDArray[Any] | None]]:
    """The sites, and for each its genotypes, if there are any."""
    try:
        for variant in file:
            has_any = "GT" in (variant.FORMAT or ())
            yield variant, variant.genotype.array() if has_any else None
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ValueError:
    """What cyvcf2 says of a damaged file, which is an exception of no narrower type."""
    return ValueError(f"{path.name} is damaged, or no VCF: {error}")


def read_bed(path: Path, reading: Reading) -> Arrays:
    """Read a PLINK 1 .bed with the .bim and .fam beside it: counts of allele A1, 0 to 2.

    Raises
    ------
    FileNotFoundError
        If the .bim or the .fam is missing.
    ValueError
        For missing genotypes, with their number and places, and for damaged files.
    ImportError
        If bed-reader is not installed.
    """
    with path.open("rb") as stream:
        begin = stream.read(2)
    if begin != _BED:
        raise ValueError(
            f"{path.name} is no .bed of PLINK's: it begins with {begin!r}, not with {_BED!r}; "
            "tables of genomic intervals, which are named .bed, too, are not read"
        )
    beside = [path.with_suffix(suffix) for suffix in (".bim", ".fam")]
    if lacking := [other.name for other in beside if not other.is_file()]:
        raise FileNotFoundError(
            f"{path} is read with {beside[0].name} and {beside[1].name} beside it; there is no "
            f"{' and no '.join(lacking)}"
        )
    with needed(_EXTRA, path.name):
        from bed_reader import open_bed
    try:
        with open_bed(path, count_A1=True) as file:
            counts = file.read(dtype="int8", order="C")
            places = zip(
                file.chromosome, file.bp_position, file.allele_2, file.allele_1, strict=True
            )
            columns = [":".join(map(str, place)) for place in places]
            samples = [str(name) for name in file.iid]
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path.name} is damaged, or {beside[0].name} and {beside[1].name} do not belong to "
            f"it: {error}"
        ) from None
    missing = counts == _MISSING
    _refuse_missing(
        path.name, missing.sum(0), missing.argmax(0), columns, samples, reading,
        "PLINK's filter geno does that",
    )  # fmt: skip
    return Arrays(
        np.maximum(counts, 0).astype(np.uint8),
        columns=columns,
        row_names=samples,
        notes=["0 to 2: counts of A1, the first allele of the .bim, which a column's name ends in"],
    )


class _Sites:
    """The genotypes of the sites of a VCF so far."""

    def __init__(self, name: str, samples: Sequence[str]) -> None:
        if not samples:
            raise ValueError(f"{name} holds no samples, only sites; pass a VCF with genotypes")
        self.name, self.samples = name, samples
        self.columns: list[str] = []
        self.alleles: list[NDArray[np.bool]] = []
        self.n_missing: list[int] = []
        self.first_missing: list[int] = []
        self.ploidy = self.n_unphased = self.n_without = 0

    def add(self, variant: Any, genotypes: NDArray[Any] | None) -> None:
        """Add a site: for each ALT allele a column, which is True for haplotypes that have it."""
        place = f"{variant.CHROM}:{variant.POS}"
        if genotypes is None:
            raise ValueError(f"{self.name} has no genotypes (GT) at {place}; leave that site out")
        if not variant.ALT:
            self.n_without += 1
            return
        alleles, is_phased = genotypes[:, :-1], genotypes[:, -1] == 1
        missing = (alleles == _UNKNOWN).any(1)
        if alleles.max() > len(variant.ALT):
            raise ValueError(
                f"{self.name} has an allele {alleles.max()} at {place}, and {len(variant.ALT)} "
                "ALT alleles; it is damaged"
            )
        ploidy = np.where(missing, self.ploidy, (alleles != _PADDING).sum(1))
        self.ploidy = self.ploidy or int(ploidy.max())
        others = np.flatnonzero(~missing & (ploidy != self.ploidy))
        if len(others):
            raise ValueError(
                f"{self.name} has genotypes of {self.ploidy} alleles and of {ploidy[others[0]]}, "
                f"such as that of {self.samples[others[0]]} at {place}; leave those sites or "
                "those samples out"
            )
        if self.ploidy > 1:
            self.n_unphased += int((~missing & ~is_phased).sum()) * len(variant.ALT)
        for number, allele in enumerate(variant.ALT, 1):
            self.columns.append(f"{place}:{variant.REF}:{allele}")
            self.alleles.append(alleles == number)
            self.n_missing.append(int(missing.sum()))
            self.first_missing.append(int(missing.argmax()))

    def arrays(self, reading: Reading) -> Arrays:
        """Rows of haplotypes or of samples."""
        if not self.columns:
            raise ValueError(f"{self.name} is empty: it holds no site with an ALT allele")
        n_missing, first = np.array(self.n_missing), np.array(self.first_missing)
        _refuse_missing(
            self.name, n_missing, first, self.columns, self.samples, reading,
            "bcftools view -g ^miss does that",
        )  # fmt: skip
        ploidy = max(self.ploidy, 1)  # 0 if all genotypes are missing
        table = np.zeros((len(self.columns), len(self.samples), ploidy), np.uint8)
        for site, alleles in zip(table, self.alleles, strict=True):
            site[:, : alleles.shape[1]] = alleles[:, :ploidy]
        names, counted = self.samples, "the ALT allele, which a column's name ends in"
        if self.n_unphased or ploidy == 1:
            rows = table.sum(2, dtype=np.uint8)
            notes = [f"0 to {ploidy}: counts of {counted}"]
            if self.n_unphased:
                n = len(self.columns) * len(self.samples)
                notes.append(f"one row a sample: {self.n_unphased:,} of {n:,} genotypes not phased")
        else:
            rows = table.reshape(len(table), -1)
            names = [f"{sample}_{k}" for sample in names for k in range(1, ploidy + 1)]
            notes = [f"{ploidy} rows a sample: all genotypes are phased", f"1: {counted}"]
        if self.n_without:
            notes.append(f"sites without an ALT allele, left out: {self.n_without:,}")
        return Arrays(
            np.ascontiguousarray(rows.T), columns=self.columns, row_names=names, notes=notes
        )


def _refuse_missing(
    name: str,
    n_missing: NDArray[np.integer],
    first: NDArray[np.integer],
    columns: Sequence[str],
    samples: Sequence[str],
    reading: Reading,
    remedy: str,
) -> None:
    """Reject missing genotypes, except in columns that are left out.

    Parameters
    ----------
    n_missing, first
        How many samples have no genotype in each column, and the number of the first of them.
    """
    if not n_missing.any():
        return
    roles = choose([Look(column) for column in columns], reading, name)
    label = () if roles.label is None else (roles.label,)
    kept = np.sort([*roles.values, *roles.targets, *label])
    there = kept[n_missing[kept] > 0]
    if not len(there):
        return
    n = int(n_missing[there].sum())
    places = "; ".join(f"{samples[first[at]]} at {columns[at]}" for at in there[:_SHOWN])
    raise ValueError(
        f"{name} has {n:,} missing {'genotypes' if n > 1 else 'genotype'}, in {len(there):,} of "
        f"{len(columns):,} columns; the first: {places}; impute them, or leave those columns out, "
        f"by `drop` or in another file ({remedy})"
    )


def _refuse_truncated(path: Path) -> None:
    """Reject a file of bgzip that does not end as all of them do; htslib only warns of it."""
    with path.open("rb") as stream:
        begin = stream.read(16)
        stream.seek(max(0, path.stat().st_size - len(_BGZF_END)))
        if begin[12:] == _BGZF and stream.read() != _BGZF_END:
            raise ValueError(f"{path.name} is cut off: it lacks the last block of bgzip's")
