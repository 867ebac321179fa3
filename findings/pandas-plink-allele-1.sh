#!/usr/bin/env bash
# pandas-plink 2.3.2 and bed-reader 1.1.0: from one PLINK file, counts of "allele 1" that add up to 2.
#
# Expected: allele 1 is column 5 of the .bim ("Allele 1", A1, usually the minor one), as PLINK's own
#           documentation names it (www.cog-genomics.org/plink/1.9/formats#bim) and `plink --recode A`
#           counts it. Two readers that count allele 1 by default give the same numbers.
# Seen:     bed-reader's allele_1 is column 5, and it counts that (count_A1=True). pandas-plink calls
#           column 5 a0 and column 6 a1, and read_plink and read_plink1_bin count its a1: for the same
#           file every count is 2 minus that of bed-reader. Both are documented; nothing warns. Allele
#           frequencies and effects change sides where a table of one meets a table of the other.
#           read_plink1_bin(..., ref="a0") gives bed-reader's numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet bed-reader==1.1.0 pandas-plink==2.3.2 pandas==2.3.3 numpy==1.26.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from bed_reader import open_bed, to_bed
from pandas_plink import read_plink, read_plink1_bin

counts = np.array([[0, 1], [2, 1], [2, 0]], float)  # three samples, two sites, of allele 1
properties = {
    "iid": ["s0", "s1", "s2"],
    "sid": ["r1", "r2"],
    "chromosome": ["1", "1"],
    "bp_position": [10, 20],
    "allele_1": ["A", "C"],
    "allele_2": ["T", "G"],
}
to_bed("a.bed", counts, properties=properties)
columns = [line.split() for line in open("a.bim")]
print("columns 5 and 6 of the .bim:", [line[4:] for line in columns])
bed = open_bed("a.bed")
ours = bed.read()
bim, _, table = read_plink("a", verbose=False)
theirs = table.compute().T
print("bed-reader:   allele_1", bed.allele_1.tolist(), "counts", ours.tolist())
print("pandas-plink: a1      ", bim.a1.tolist(), "counts", theirs.tolist())
assert bed.allele_1.tolist() == [line[4] for line in columns] == ["A", "C"]
assert bim.a1.tolist() == [line[5] for line in columns] == ["T", "G"]
assert (ours == counts).all()
assert (ours + theirs == 2).all()
assert (read_plink1_bin("a.bed", verbose=False).values == theirs).all()
assert (read_plink1_bin("a.bed", verbose=False, ref="a0").values == ours).all()
PYTHON
