"""Speed of training and sampling here, compared with other code and bare matrix products.

`measure` runs all contestants in turn, in short blocks and in one process, so that other load on
the machine affects all of them equally. Compare the ratios, which are medians over the rounds.

`workloads` defines the tasks, `peers` and `ours` their implementations, `turns` the schedule of
measurements, and `report` the output.
"""

from harmonium.benchmark.peers import PEERS, Peer, Start, Turn, choose_peers, products
from harmonium.benchmark.report import (
    about,
    check_free,
    contestants,
    disturbances,
    draw,
    header,
    markdown,
    notes,
    processor,
    rate_text,
    write,
)
from harmonium.benchmark.turns import OURS, PRODUCTS, Plan, Progress, measure
from harmonium.benchmark.workloads import (
    WORKLOADS,
    Sampling,
    Training,
    Workload,
    choose_workloads,
    load_data,
)

__all__ = [
    "OURS",
    "PEERS",
    "PRODUCTS",
    "WORKLOADS",
    "Peer",
    "Plan",
    "Progress",
    "Sampling",
    "Start",
    "Training",
    "Turn",
    "Workload",
    "about",
    "check_free",
    "choose_peers",
    "choose_workloads",
    "contestants",
    "disturbances",
    "draw",
    "header",
    "load_data",
    "markdown",
    "measure",
    "notes",
    "processor",
    "products",
    "rate_text",
    "write",
]
