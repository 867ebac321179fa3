"""Speed of training and sampling here, compared with other code and bare matrix products.

`measure` runs all contestants in turn, in short blocks and in one process, so that other load on
the machine affects all of them equally. Compare the ratios, which are medians over the rounds.

`workloads` defines the tasks, `peers` and `ours` their implementations, `turns` the schedule of
measurements, and `report` the output.
"""

from harmonium.benchmark.peers import PEERS, Peer, Start, Turn, choose_peers, products
from harmonium.benchmark.report import (
    about,
    contestants,
    disturbances,
    draw,
    header,
    markdown,
    processor,
    rate_text,
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
    "choose_peers",
    "choose_workloads",
    "contestants",
    "disturbances",
    "draw",
    "header",
    "load_data",
    "markdown",
    "measure",
    "processor",
    "products",
    "rate_text",
]
