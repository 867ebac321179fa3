#!/usr/bin/env bash
# torch 2.13.0: a function decorated with torch.no_grad() warns from a line of torch, or not at all.
#
# Expected: @torch.no_grad() changes gradients alone. A warning with stacklevel=2 names the line that
#           called the function, as without the decorator (docs.python.org, warnings.warn).
# Seen:     the decorator puts a frame of its own between, and that frame is "the caller": the warning
#           names torch/utils/_contextlib.py. Python's filters go by that line. Of two callers that get
#           the same warning only the first is told, and a DeprecationWarning, which Python shows to
#           __main__ alone, is shown to nobody. torch.inference_mode() does the same. `with
#           torch.no_grad():` inside the function adds no frame.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.2.6
cd "$folder"
cat > shown.py <<'PYTHON'
import sys
import warnings

import torch


def old(kind):
    warnings.warn(f"{kind.__name__} of old()", kind, stacklevel=2)


def inside(kind):
    with torch.no_grad():
        warnings.warn(f"{kind.__name__} of old()", kind, stacklevel=2)


call = {
    "plain": old,
    "no_grad": torch.no_grad()(old),
    "inference_mode": torch.inference_mode()(old),
    "with": inside,
}[sys.argv[1]]
call(UserWarning)
call(UserWarning)
call(DeprecationWarning)
PYTHON
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys

seen = {}
for how in ("plain", "no_grad", "inference_mode", "with"):
    told = subprocess.run([sys.executable, "shown.py", how], capture_output=True, text=True, check=True)
    lines = [line for line in told.stderr.splitlines() if "of old()" in line]
    seen[how] = lines
    print(f"{how}:", *(line.rsplit("/", 1)[-1] for line in lines), sep="\n    ")
for how in ("plain", "with"):
    assert len(seen[how]) == 3 and all("shown.py" in line for line in seen[how]), how
    assert any("DeprecationWarning" in line for line in seen[how]), how
for how in ("no_grad", "inference_mode"):
    assert len(seen[how]) == 1 and "_contextlib.py" in seen[how][0], how
PYTHON
