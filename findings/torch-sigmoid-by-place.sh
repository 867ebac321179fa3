#!/usr/bin/env bash
# torch 2.13.0 (CPU), torch.sigmoid and softplus: the result depends on where a number stands.
#
# Expected: an elementwise function gives the same bits for the same number, so that
#           sigmoid(x[a:b]) equals sigmoid(x)[a:b].
# Seen:     on one thread, slices of 3 to 100 numbers differ from the slice of the whole in the last
#           bits of about 1 in 80 numbers (sigmoid) and 1 in 20 (softplus); for exp and tanh in none.
#           Full vectors of a tensor are computed by one approximation and its last few numbers by
#           another. A table of probabilities therefore changes when rows are computed in other pieces.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch

torch.set_num_threads(1)
x = 3 * torch.randn(4096, generator=torch.Generator().manual_seed(0))
share = {}
for function in (torch.sigmoid, torch.nn.functional.softplus, torch.exp, torch.tanh):
    whole, differ, total = function(x), 0, 0
    for start in range(200):
        for n in (3, 7, 13, 17, 31, 100):
            part = function(x[start : start + n].clone())
            differ += int((part != whole[start : start + n]).sum())
            total += n
    share[function.__name__] = differ / total
    print(f"{function.__name__}: {differ} of {total} numbers differ")
assert share["sigmoid"] > 0.002 and share["softplus"] > 0.01
assert share["exp"] == share["tanh"] == 0
PYTHON
