#!/usr/bin/env bash
# NumPy 2.4.6 on Linux: np.load(mmap_mode="r") makes 16 pages or more resident for each row that is touched.
#
# Expected: memory grows by what is read. 2,000 rows of 100 bytes, each on another page of 4 kB, take
#           8 MB at most.
# Seen:     the resident memory of the process (RssFile) grows by 100 MB and more. Where a page of the
#           file is in the kernel's cache already, touching it maps the pages around it as well
#           (fault_around_bytes, 64 kB by default), and more where the cache holds large folios. Who draws
#           rows at random from a file larger than memory sees the process grow towards the size of the
#           file. The kernel can take these pages back, but limits and figures by resident memory count
#           them. os.pread of the same rows adds next to nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import os
import re

import numpy as np


def resident() -> float:
    """Megabytes of files that are mapped in this process and resident."""
    with open("/proc/self/status") as file:
        return int(re.search(r"RssFile:\s+(\d+)", file.read()).group(1)) / 1e3


np.save("rows.npy", np.zeros((5_000_000, 100), np.uint8))  # 500 MB, and in the kernel's cache
index = np.random.default_rng(0).permutation(5_000_000)[:2000]
before = resident()
with open("rows.npy", "rb") as file:
    read = [os.pread(file.fileno(), 100, 128 + 100 * int(row)) for row in index]
by_pread = resident() - before
rows = np.load("rows.npy", mmap_mode="r")
before = resident()
assert rows[index].tobytes() == b"".join(read)
by_map = resident() - before
print(f"2,000 rows of 100 bytes: {by_pread:.1f} MB by pread, {by_map:.1f} MB by the map")
assert by_pread < 1
assert by_map > 50
PYTHON
