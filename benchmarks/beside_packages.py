"""`harmonium benchmark` beside other packages as well: JAX, scikit-learn, rbms and learnergy.

Takes the options of the command; those that are not installed are named and left out ::

    pip install -r benchmarks/peers.txt
    python benchmarks/beside_packages.py --workloads W1,W3 --rounds 15 --out speed
"""

from __future__ import annotations

import sys

import other_packages
from harmonium.cli import main

if __name__ == "__main__":
    other_packages.register()
    sys.argv[1:1] = ["benchmark"]
    main()
