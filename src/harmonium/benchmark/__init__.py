"""How fast training and sampling are on this machine, beside others and beside the bare products.

`measure` lets all contestants take turns in short blocks, in one process, so that whatever else
the machine does meets all of them alike: compare the ratios, which are medians over the rounds.

`workloads` says what is done, `peers` how others do it, `ours` how harmonium does, `turns` who is
measured when, and `report` what came out.
"""

from harmonium.benchmark.peers import PEERS, Peer, choose_peers
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
    "Training",
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
    "rate_text",
]
