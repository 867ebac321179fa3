"""A run of ``harmonium train`` at its defaults: bounds over time, and what following log Z costs.

Models are kept at some epochs and judged afterwards, so that judging takes no time of the training.
Beside the bounds stands what the run itself reported, from particles that follow the model; their
share of the time is measured, and the promise is 10 % at most.

    python benchmarks/along_training.py --out along                       # thresholded images
    python benchmarks/along_training.py --out along --binarize stochastic
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from harmonium import RBM, plots, training
from harmonium.likelihood import evaluate
from harmonium.rng import Purpose, Stream
from harmonium.runs import build, run_data
from harmonium.runs.options import TrainingOptions

KEPT = (1, 2, 4, 8, 16, 32, 52, 60, 67)  # epochs, and the last one
PROMISE = 0.1


@dataclass
class Look:
    """The run at one of the kept epochs: times in seconds, log-likelihoods in nats a row."""

    epoch: float
    seconds: float
    reported: float
    reported_std_error: float
    lower: float = 0.0
    upper: float = 0.0


def train(options: TrainingOptions) -> tuple[list[Look], list[RBM], dict[str, float]]:
    data, held_out = run_data.load_data(options)
    batches = build.make_batches(options, data)
    options = build.complete(options, batches)
    assert options.epochs is not None
    total = options.epochs * len(batches)
    rbm = build.make_model(options, data, held_out)
    state = build.layer_options(options).begin(rbm, options.seed, len(batches))
    every = training.default_every(batches)
    monitor = training.default_monitor(state, batches, held_out, every, total)
    following, first, follow = 0.0, 0.0, monitor.log_likelihood

    def timed(*arguments):
        nonlocal following, first
        began = time.perf_counter()
        result = follow(*arguments)
        following += time.perf_counter() - began
        first = first or following
        return result

    monitor.log_likelihood = timed
    watch = training.Watch(monitor, every, batches, last=total)
    kept = {epoch * len(batches) for epoch in KEPT if epoch < options.epochs} | {total}
    looks, models = [], []
    began = time.perf_counter()
    watch(state)
    for done in training.updates(state, batches, options.epochs):
        row = watch(state)
        if done in kept:
            row = row or {}
            reported = [row.get(f"held_out_log_likelihood{x}", 0.0) for x in ("", "_std_error")]
            looks.append(Look(done / len(batches), time.perf_counter() - began, *reported))
            models.append(copy.deepcopy(state.model))
    seconds = time.perf_counter() - began
    return looks, models, {"seconds": seconds, "following": following, "first_look": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("along"))
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--binarize", choices=["threshold", "stochastic"], default="threshold")
    parser.add_argument("--hidden", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--chains", type=int, default=200, help="of each bound")
    parser.add_argument("--temperatures", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    stochastic = {"binarize": "stochastic"} if args.binarize == "stochastic" else {}
    options = TrainingOptions(data=args.data, hidden=args.hidden, epochs=args.epochs, **stochastic)
    looks, models, cost = train(options)
    share = cost["following"] / cost["seconds"]
    print(
        f"trained for {cost['seconds']:.0f} s, of which following log Z took "
        f"{cost['following']:.1f} s ({share:.1%}; {cost['first_look']:.1f} s at the first look), "
        f"of {PROMISE:.0%} promised",
        flush=True,
    )
    data, held_out = run_data.load_data(options)
    rows = held_out.rows(torch.arange(len(held_out)), Stream(0, Purpose.ENCODE))
    print(
        "| epoch | seconds | reported, held out | lower bound | upper bound |\n" + "|---" * 5 + "|"
    )
    for look, model in zip(looks, models, strict=True):
        found = evaluate(
            model, rows, data, n_chains=args.chains, n_temperatures=args.temperatures
        ).result()
        look.lower, look.upper = found.lower, found.upper
        print(
            f"| {look.epoch:g} | {look.seconds:.0f} | {look.reported:.2f} ± "
            f"{look.reported_std_error:.2f} | {found.lower:.2f} ± {found.lower_std_error:.2f} | "
            f"{found.upper:.2f} ± {found.upper_std_error:.2f} |",
            flush=True,
        )
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"options": vars(args) | {"out": str(args.out)}, "cost": cost}
    result["looks"] = [asdict(look) for look in looks]
    (args.out / f"{args.binarize}.json").write_text(json.dumps(result, indent=1) + "\n")
    curve = [(look.seconds, look.lower, look.upper) for look in looks]
    ax = plots.likelihoods_over_time(
        {f"{args.hidden} hidden units": curve},
        highlight=f"{args.hidden} hidden units",
        subtitle=f"mean over {len(rows):,} held-out rows of {held_out.name}, from bound to bound",
    )
    plots.save(ax, args.out / f"{args.binarize}.png")


if __name__ == "__main__":
    main()
