"""Cost of an update against its sizes, one at a time, beside the bare products; and peak memory.

Around one base case every size is changed by itself. Speed is measured as in `harmonium
benchmark`, in blocks that take turns with the products alone; the peak of memory in a process of
its own for each case, above what importing takes.
"""

from __future__ import annotations

# The standard library alone: a new process inherits its parent's peak, so this one stays small
# until memory has been measured.
import argparse
import dataclasses
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

N_VISIBLE = 784
RATE = 0.05
DENSITY = 0.13  # of MNIST's ones
WARM_UP = 2.0  # seconds of training before a case is measured
UPDATES_FOR_MEMORY = 5


@dataclass(frozen=True)
class Case:
    """What is trained: PCD with any number of chains."""

    hidden: int = 500
    batch: int = 100
    chains: int = 100
    sweeps: int = 5
    rows: int = 50_000


FACTORS = {
    "hidden": (64, 128, 256, 512, 1024, 2048, 4096, 8192),
    "batch": (10, 30, 100, 300, 1000, 3000),
    "chains": (10, 30, 100, 300, 1000, 3000),
    "sweeps": (1, 2, 5, 10, 20, 50),
    "rows": (3_000, 10_000, 50_000, 150_000, 500_000),
}
QUICK = {
    "hidden": (64, 256, 1024),
    "batch": (10, 100, 1000),
    "chains": (10, 100, 1000),
    "sweeps": (1, 5, 20),
    "rows": (5_000, 50_000),
}
TITLES = {
    "hidden": "hidden units",
    "batch": "rows a batch",
    "chains": "chains",
    "sweeps": "sweeps an update",
    "rows": "training rows",
}


def cases(factors: dict[str, tuple[int, ...]]) -> list[tuple[str, int, Case]]:
    return [
        (factor, value, dataclasses.replace(Case(), **{factor: value}))
        for factor, values in factors.items()
        for value in values
    ]


# Memory, each case in a child


def train_a_little(case: Case) -> float:
    """MB above what importing took."""
    import torch

    from harmonium import Data, Minibatches, training

    rows = torch.empty(case.rows, N_VISIBLE, dtype=torch.uint8)
    imported = peak()
    for block in rows.split(1000):
        block.copy_(torch.rand(block.shape) < DENSITY).mul_(255)
    data = Data("synthetic", rows).as_pictures(28, 28).binarize()
    data, held_out = data.split_randomly_()
    batches = Minibatches(data, min(case.batch, len(data)))
    state = begin(case, data)
    every = training.default_every(batches)
    monitor = training.default_monitor(state, batches, held_out, every, UPDATES_FOR_MEMORY)
    monitor(state.model, state.chains, 0)
    monitor.log_likelihood(state.model, None)
    for done in training.updates(state, batches, epochs=UPDATES_FOR_MEMORY):
        if done == UPDATES_FOR_MEMORY:
            break
    return peak() - imported


def begin(case: Case, data):
    from harmonium import RBM, Binary, Gibbs, TrainingState

    rbm = RBM(Binary(N_VISIBLE), Binary(case.hidden)).init_from_data_(data, seed=0)
    return TrainingState.create(
        rbm, sampler=Gibbs(case.sweeps), n_chains=case.chains, learning_rate=RATE
    )


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def memory(case: Case) -> float:
    command = [sys.executable, __file__, "--child", json.dumps(dataclasses.asdict(case))]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


# Speed


def products(case: Case):
    """What any dense implementation has to multiply, into memory that is there already."""
    import torch

    v_data, v = ((torch.rand(n, N_VISIBLE) < DENSITY).float() for n in (case.batch, case.chains))
    h_data, h = (torch.rand(n, case.hidden).round_() for n in (case.batch, case.chains))
    weights = 0.01 * torch.randn(N_VISIBLE, case.hidden)
    to_h_data, to_v, to_h, gradient = (torch.empty_like(x) for x in (h_data, v, h, weights))

    def update() -> int:
        torch.mm(v_data, weights, out=to_h_data)
        for _ in range(case.sweeps):
            torch.mm(h, weights.T, out=to_v)
            torch.mm(v, weights, out=to_h)
        torch.mm(v_data.T, h_data, out=gradient).addmm_(v.T, h, alpha=-1)
        return 1

    return update


def gigaflops(case: Case) -> float:
    """Operations in the products of one update, 10^9."""
    rows = 2 * case.batch + (2 * case.sweeps + 1) * case.chains
    return 2 * rows * N_VISIBLE * case.hidden / 1e9


def speed(case: Case, train, held_out, n_rounds: int, seconds: float) -> dict[str, float]:
    """Milliseconds an update, medians of the rounds, and the products' share of ours."""
    import torch

    from harmonium import Minibatches, sampling
    from harmonium.benchmark import OURS, PRODUCTS
    from harmonium.benchmark.ours import OurTraining
    from harmonium.benchmark.turns import Repeated, play

    times = -(-case.rows // len(train))
    data = dataclasses.replace(
        train, values=train.values.repeat(times, 1)[: case.rows], labels=None, parts={}
    )
    state = begin(case, data)
    state.chains = sampling.start_at(
        state.rbm, data.rows(torch.arange(case.chains) % len(data)), state.stream
    )
    ours = OurTraining(state, Minibatches(data, case.batch), held_out)
    ours.rate(min(WARM_UP, 4 * seconds))
    contestants = {PRODUCTS: Repeated(products(case), torch.device("cpu")), OURS: ours}
    rounds = play(contestants, n_rounds, seconds)
    return {
        "ms": median(1e3 / r[OURS] for r in rounds),
        "products_ms": median(1e3 / r[PRODUCTS] for r in rounds),
        "of_products": median(r[OURS] / r[PRODUCTS] for r in rounds),
        "products_gflops": gigaflops(case) * median(r[PRODUCTS] for r in rounds),
    }


# The report


def table(rows: list[dict]) -> str:
    lines = [
        "| changed | to | ms an update | products alone, ms | share | products, GFLOP/s "
        "| peak above importing, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {TITLES[row['factor']]} | {row['value']:,} | {row['ms']:.3g} "
            f"| {row['products_ms']:.3g} | {row['of_products']:.2f} "
            f"| {row['products_gflops']:.0f} | {row['mb']:,.0f} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict], subtitle: str, path: Path) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from harmonium import plots
    from harmonium.plots import style

    names = list(dict.fromkeys(row["factor"] for row in rows))
    figure = style.new_figure((1.0 + 2.25 * len(names), 4.6))
    grid = figure.add_gridspec(2, len(names), height_ratios=(3, 2))
    figure.suptitle(
        f"What an update costs, one size changed at a time\n{subtitle}; grey bands: the base",
        fontsize=style.LABEL_SIZE,
        color=style.INK,
        x=0.01,
        ha="left",
        linespacing=1.6,
    )
    above = below = None
    for i, name in enumerate(names):
        mine = [row for row in rows if row["factor"] == name]
        x = [row["value"] for row in mine]
        above = figure.add_subplot(grid[0, i], sharey=above)
        below = figure.add_subplot(grid[1, i], sharey=below, sharex=above)
        for ax in (above, below):
            style.dress(ax)
            ax.set_xscale("log")
            ax.grid(axis="y", color=style.FAINT, linewidth=0.6)
            ax.tick_params(labelleft=i == 0)
            ax.xaxis.set_major_locator(LogLocator(numticks=5))
            ax.xaxis.set_major_formatter(FuncFormatter(short))
            ax.xaxis.set_minor_formatter(NullFormatter())
        above.set_yscale("log")
        above.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        above.yaxis.set_minor_formatter(NullFormatter())
        below.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
        line = {"marker": "o", "markersize": 3, "linewidth": 1.5}
        above.plot(x, [row["ms"] for row in mine], color=style.BLUE, label="harmonium", **line)
        above.plot(
            x,
            [row["products_ms"] for row in mine],
            color=style.MUTED,
            label="products alone",
            linestyle=(0, (4, 3)),
            **line,
        )
        below.plot(x, [row["mb"] for row in mine], color=style.GREEN, **line)
        for ax in (above, below):
            ax.axvline(getattr(Case(), name), color=style.FAINT, linewidth=4, zorder=0)
        below.set_ylim(0, 1.1 * max(row["mb"] for row in rows))
        above.tick_params(labelbottom=False)
        style.name(above, TITLES[name], y="ms an update" if i == 0 else "", size=10)
        style.name(below, "", y="peak memory, MB" if i == 0 else "")
        if i == 0:
            above.legend(frameon=False, fontsize=style.TICK_SIZE, labelcolor=style.INK)
    plots.save(figure, path)


def short(value: float, _: object) -> str:
    """10, 100, 1k, 100k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factors", default=",".join(FACTORS), help="such as hidden,batch")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of a block (default: 0.4)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one a core)")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and shorter blocks")
    parser.add_argument("--out", type=Path, help="a folder to make, for results.json and a figure")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(train_a_little(Case(**json.loads(arguments.child))))
        return
    chosen = arguments.factors.split(",")
    if unknown := set(chosen) - set(FACTORS):
        parser.error(f"no factor {', '.join(sorted(unknown))}; there are {', '.join(FACTORS)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("rounds and seconds have to be positive")
    if arguments.out and arguments.out.exists():
        parser.error(f"{arguments.out} exists; choose another --out")
    if arguments.quick:
        arguments.rounds, arguments.seconds = min(arguments.rounds, 2), min(arguments.seconds, 0.1)
    began = time.monotonic()
    factors = QUICK if arguments.quick else FACTORS
    todo = cases({name: factors[name] for name in chosen})
    print(f"memory of {len(todo)} cases ...", file=sys.stderr, flush=True)
    megabytes = {case: memory(case) for case in dict.fromkeys(case for *_, case in todo)}

    import torch

    from harmonium.benchmark import load_data, processor

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    described, train, held_out = load_data()
    rows = []
    for number, (factor, value, case) in enumerate(todo, 1):
        print(
            f"speed {number} of {len(todo)}: {value:,} {TITLES[factor]}",
            file=sys.stderr,
            flush=True,
        )
        measured = speed(case, train, held_out, arguments.rounds, arguments.seconds)
        rows.append({"factor": factor, "value": value, **measured, "mb": megabytes[case]})
    base = Case()
    about = (
        f"{processor()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}; "
        f"{described}. Base: PCD-{base.sweeps}, batch {base.batch}, {base.chains} chains, "
        f"{N_VISIBLE}×{base.hidden}, {base.rows:,} rows"
    )
    print(f"{about}; took {time.monotonic() - began:.0f} s\n\n{table(rows)}")
    if arguments.out:
        arguments.out.mkdir(parents=True)
        report = {"about": about, "base": dataclasses.asdict(base), "cases": rows}
        results = arguments.out / "results.json"
        results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        draw(rows, about, arguments.out / "scaling.png")


if __name__ == "__main__":
    main()
