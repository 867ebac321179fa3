"""The results: a description of the machine, a table in Markdown, a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy
import torch

from harmonium import __version__, plots
from harmonium.benchmark.peers import PEERS
from harmonium.benchmark.turns import OURS, PRODUCTS, Plan
from harmonium.datasets import Data
from harmonium.files import write_json, write_whole

_TOLERATED = 0.2  # cores

HOW = {
    OURS: (
        "the loop of training.run and harmonium train: centred gradient, batches from bytes in a "
        "new order each epoch, every gradient checked, the model watched as often as by default"
    ),
    PRODUCTS: (
        "only the matrix products that a dense implementation has to do, into memory that is "
        "there already: no draws, no rows, no parameters (on CUDA replayed as one graph)"
    ),
}


def processor() -> str:
    """The name of the processor."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def header(plan: Plan, described: str, data: Data) -> dict[str, Any]:
    """The conditions of the measurement, which rates depend on.

    Parameters
    ----------
    plan
        What is measured.
    described, data
        The training rows: a description, and the data.
    """
    device = data.values.device
    return {
        "date": date.today().isoformat(),
        "machine": processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "versions": {
            "harmonium": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            **{peer.name: version for peer in plan.peers if (version := peer.version)},
        },
        "data": described,
        "trained": {"epochs": plan.epochs, "updates": plan.n_warm_up_updates(data)},
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "how": HOW | {peer.name: peer.how for peer in plan.peers},
        "not_installed": [name for name, peer in PEERS.items() if not peer.is_installed],
    }


def contestants(workloads: Mapping[str, Any]) -> list[str]:
    """All contestants: the products, ours, and the peers in order."""
    measured = {name for result in workloads.values() for name in result["rates"]}
    return [name for name in (PRODUCTS, OURS, *PEERS) if name in measured]


def rate_text(rate: float) -> str:
    """Four significant digits, and all digits before the point: 8.150, 135.2, 52,310."""
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:#.4g}"


def about(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines above the numbers."""
    cores, threads = report["cores"], report["threads"]
    yield "machine", f"{report['machine']}, {threads} of {cores} cores, {report['device']}"
    yield "versions", ", ".join(f"{name} {v}" for name, v in report["versions"].items())
    yield "data", report["data"]
    trained = report["trained"]
    yield (
        "start",
        f"models trained for {trained['epochs']} epochs ({trained['updates']:,} updates of PCD-1), "
        "chains at training rows"
        if trained["epochs"]
        else "models from scratch, chains at training rows",
    )
    yield "measured", f"medians of {report['rounds']} rounds of {report['seconds']:g} s each"
    if report["not_installed"]:
        yield "missing", f"{', '.join(report['not_installed'])} (not installed)"


def markdown(report: Mapping[str, Any]) -> str:
    """The table in GitHub Markdown, with the notes needed to read it.

    Parameters
    ----------
    report
        The JSON output of ``harmonium benchmark``: `header`, and the result of `measure` as
        ``workloads``.
    """
    workloads = report["workloads"]
    names = contestants(workloads)
    others = [name for name in names if name != OURS]
    lines = [f"{name}: {text}  " for name, text in about(report)]
    lines += ["", f"| | workload | {OURS} | {' | '.join(others)} | watching |"]
    lines.append(f"|---|---|{'---:|' * (len(others) + 2)}")
    for key, result in workloads.items():
        rates, ratios = result["rates"], result["ratios"]
        cells = [f"**{rate_text(rates[OURS])}**"]
        cells += [
            f"{rate_text(rates[name])} ({ratios[name]:.2f})" if name in rates else "–"
            for name in others
        ]
        cells.append(f"{result['watching']:.1%}" if "watching" in result else "–")
        lines.append(f"| {key} | {result['workload']} | {' | '.join(cells)} |")
    units = {
        "updates/s": "updates per second",
        "chain sweeps/s": "sweeps times chains per second",
    }
    shown = dict.fromkeys(units[result["unit"]] for result in workloads.values())
    lines += [
        "",
        f"Rates are {', or '.join(shown)}; in brackets {OURS}'s rate divided by that one, the "
        "median over the rounds.",
        "",
        *(f"- **{name}**: {report['how'][name]}." for name in names),
    ]
    for key, result in workloads.items():
        remarks = [f"{name} {reason}" for name, reason in result["left_out"].items()]
        remarks += disturbances(report, result)
        if remarks:
            lines.append(f"- {key}: {', '.join(remarks)}.")
    return "\n".join(lines) + "\n"


def disturbances(report: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """A warning if other programs occupied cores that the contestants needed."""
    busy = result["others_busy"]
    if busy is None or busy <= report["cores"] - report["threads"] + _TOLERATED:
        return []
    return [f"DISTURBED: other programs kept {busy:.1f} cores busy meanwhile"]


def draw(report: Mapping[str, Any], path: Path) -> Path:
    """Draw every contestant's speed relative to the products' speed in each workload."""
    groups, labels, notes = {}, {}, {}
    for key, result in report["workloads"].items():
        title = f"{key}: {result['workload']}"
        shares = result["of_products"]
        groups[title] = dict(sorted(shares.items(), key=lambda item: -item[1]))
        rates = {name: f"{rate_text(r)} {result['unit']}" for name, r in result["rates"].items()}
        labels[title] = rates
        notes[title] = f"{PRODUCTS}  {rates[PRODUCTS]}"
    threads, epochs = report["threads"], report["trained"]["epochs"]
    where = report["machine"] if report["device"] == "cpu" else report["device"]
    ax = plots.speeds(
        groups,
        labels,
        notes,
        highlight=OURS,
        title="Speed, as a share of the matrix products alone",
        subtitle=f"{where}, {threads} thread{'s' * (threads > 1)}, {report['date']}; "
        + (f"models trained for {epochs} epochs" if epochs else "models from scratch"),
    )
    return plots.save(ax, path)


def notes(report: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """What has to be known of a workload's result: flips, watching, and what went wrong."""
    visible, hidden = result["visible_flip_rate"], result["hidden_flip_rate"]
    yield f"a sweep flips {visible:.1%} of the visible and {hidden:.1%} of the hidden units"
    if "watching" in result:
        yield f"watching takes {result['watching']:.1%} of {OURS}'s time"
    yield from (f"{name} {why}" for name, why in result["left_out"].items())
    yield from disturbances(report, result)


def check_free(out: Path) -> None:
    """Reject a folder for `write` that exists, or that cannot be made; before anything is measured.

    Raises
    ------
    FileExistsError, FileNotFoundError
        Says what would work.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists; choose another `out`")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"`out` is {out}, and there is no folder {out.parent}")


def write(out: Path, report: Mapping[str, Any]) -> list[Path]:
    """Create a folder with the numbers, the table and the picture; returns their paths."""
    out.mkdir()
    results, table = out / "results.json", out / "table.md"
    write_json(results, report)
    write_whole(table, markdown(report).encode())
    return [results, table, draw(report, out / "speeds.png")]
