#!/usr/bin/env bash
# torch 2.13.0 on a CPU (x86-64, MKL): products of 5, 6, 7, 9, 10 and 11 rows depend on the number of threads.
#
# Expected: on one and on two threads torch.mm gives the same bits, as it does for 8, 12 or 100 rows; and
#           where it cannot, torch.use_deterministic_algorithms(True) raises or sees to it.
# Seen:     (rows, 784) @ (784, 500) in float32 has other bits on two threads for just these numbers of
#           rows, a mini-batch of 10 among them (AMD EPYC, Zen 4). Each thread gets about half of the
#           rows, which another loop of the library then multiplies. Deterministic algorithms change
#           nothing and do not warn.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch

torch.use_deterministic_algorithms(True)
generator = torch.Generator().manual_seed(0)
weights = torch.rand(784, 500, generator=generator) - 0.5
rows = torch.rand(100, 784, generator=generator) - 0.5


def product(n_rows, n_threads):
    torch.set_num_threads(n_threads)
    return rows[:n_rows] @ weights


differ = [n for n in range(1, 101) if not torch.equal(product(n, 1), product(n, 2))]
print("numbers of rows whose products have other bits on two threads:", differ)
assert differ == [5, 6, 7, 9, 10, 11]
PYTHON
