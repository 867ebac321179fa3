"""The benchmark end to end on tiny workloads: who takes part, what comes out, what is refused.

No test asserts a time. Peers that are not installed are tested as such.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import other_packages
from harmonium import Data, benchmark
from harmonium.benchmark import OURS, PEERS, PRODUCTS, Peer, Plan, Sampling, Training, peers, turns
from harmonium.benchmark import workloads as workloads_module
from harmonium.benchmark.peers import base

other_packages.register()

TRAINING = Training("T", persistent=True, sweeps=2, batch_size=4, n_hidden=3, n_visible=6)
CD = Training("C", persistent=False, sweeps=1, batch_size=4, n_hidden=3, n_visible=6)
SAMPLING = Sampling("S", n_chains=5, n_hidden=3, n_visible=6, sweeps=2)
TORCH = [PEERS["torch.bernoulli"], PEERS["torch.rand"]]
CPU = torch.device("cpu")


def tiny_data() -> tuple[Data, Data]:
    values = (torch.rand(60, 6, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    return Data("tiny", values).split_randomly(0.2)


def measured(plan: Plan) -> dict[str, Any]:
    train, held_out = tiny_data()
    report = benchmark.header(plan, "tiny rows", train)
    workloads = benchmark.measure(plan, train, held_out, lambda *_: None)
    return report | {"workloads": workloads}


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return measured(Plan([TRAINING, CD, SAMPLING], [*TORCH, PEERS["scikit-learn"]], 2, 0.005, 1))


def test_everybody_is_measured_in_every_round(report: dict[str, Any]) -> None:
    everybody = {OURS, PRODUCTS, "torch.bernoulli", "torch.rand", "scikit-learn"}
    assert list(report["workloads"]) == ["T", "C", "S"]
    for key, result in report["workloads"].items():
        there = everybody - ({"scikit-learn"} if key == "T" else set())
        assert len(result["rounds"]) == 2
        assert all(set(rates) == there for rates in (result["rates"], *result["rounds"]))
        assert set(result["ratios"]) == there - {OURS}
        assert set(result["of_products"]) == there - {PRODUCTS}
        assert all(rate > 0 for rate in result["rates"].values())
        assert 0 <= result["visible_flip_rate"] <= 1 and 0 <= result["hidden_flip_rate"] <= 1
        assert ("watching" in result) == (key != "S")
    assert report["workloads"]["T"]["left_out"] == {"scikit-learn": "has PCD-1 alone"}
    assert report["workloads"]["S"]["unit"] == "chain sweeps/s"


def test_what_was_measured_on_what_is_said(report: dict[str, Any]) -> None:
    assert report["trained"] == {"epochs": 1, "updates": 1}
    assert report["threads"] == torch.get_num_threads() and report["device"] == "cpu"
    assert {"harmonium", "torch", "python", "numpy", "scikit-learn"} == set(report["versions"])
    assert json.loads(json.dumps(report)) == report
    assert set(report["how"]) >= {OURS, PRODUCTS, "scikit-learn"}


def test_the_table_names_everybody_and_everything(report: dict[str, Any]) -> None:
    text = benchmark.markdown(report)
    header = next(line for line in text.splitlines() if line.startswith("| | workload"))
    assert header == (
        f"| | workload | {OURS} | {PRODUCTS} | torch.bernoulli | torch.rand | scikit-learn "
        "| watching |"
    )
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1 and len(table) == 5
    assert "| T | PCD-2, batch 4, 6×3 | **" in text and "| S | 5 chains, 6×3 | **" in text
    assert "T: scikit-learn has PCD-1 alone" in text


def test_the_picture_is_drawn(report: dict[str, Any], tmp_path: Path) -> None:
    picture = benchmark.draw(report, tmp_path / "speeds.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_from_scratch_says_so() -> None:
    report = measured(Plan([TRAINING], [], 1, 0.002, 0))
    assert "from scratch" in dict(benchmark.about(report))["start"]


# Peers


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
@pytest.mark.parametrize("workload", [TRAINING, CD, SAMPLING], ids=["PCD", "CD", "sampling"])
@pytest.mark.filterwarnings("ignore")  # of the packages, which are not ours to mend
def test_an_installed_peer_works_in_every_workload_that_it_has(
    peer: Peer, workload: benchmark.Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not peer.is_installed:
        pytest.skip(f"{peer.name} is not installed")
    monkeypatch.setenv("NPROC", "1")
    generator = torch.Generator().manual_seed(0)
    states = (torch.rand(60, 6, generator=generator) < 0.3).float()
    start = base.Start(
        states=states,
        weights=torch.randn(6, 3, generator=generator),
        visible_bias=torch.zeros(6),
        hidden_bias=torch.zeros(3),
        chains=states[: workload.rows].clone(),
    )
    before = [tensor.clone() for tensor in vars(start).values()]
    if reason := peer.lacks(workload, CPU):
        assert reason
        return
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    turn = turns._turn(peer, workload, start)
    assert all(turn() >= 1 for _ in range(2))
    assert cores is None or os.sched_getaffinity(0) == cores
    # the same start for all: nobody may change it
    after = vars(start).values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_hand_written_loop_learns() -> None:
    # no straw man: from one row again and again, the model comes to expect it
    row = torch.tensor([1.0, 0, 1, 0, 1, 0])
    states = row.repeat(60, 1)
    weights = 0.01 * torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    start = base.Start(states, weights, torch.zeros(6), torch.zeros(3), torch.zeros(4, 6))
    loop = PEERS["torch.rand"]
    torch.manual_seed(0)
    update = loop.training(TRAINING, start)
    for _ in range(500):
        update()
    cells = dict(zip(update.__code__.co_freevars, update.__closure__, strict=True))
    visible_bias = cells["a"].cell_contents
    assert ((visible_bias > 0) == row.bool()).all()


def test_peers_that_are_not_installed_are_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(PEERS["jax"]), "module", "no_such_module")
    assert "jax" not in [peer.name for peer in peers.choose_peers()]
    plan = Plan([TRAINING], peers.choose_peers("torch.rand"))
    report = benchmark.header(plan, "tiny rows", tiny_data()[0])
    assert "jax" in report["not_installed"]
    assert "jax" in dict(benchmark.about(report))["missing"]
    with pytest.raises(ImportError, match=r"the peer jax is not installed \(pip install jax\)"):
        peers.choose_peers("torch.rand,jax")


def test_peers_are_taken_and_left_out_by_name() -> None:
    named = peers.choose_peers("torch.rand, torch.bernoulli")
    assert [peer.name for peer in named] == ["torch.bernoulli", "torch.rand"]
    rest = peers.choose_peers(without="torch.rand")
    assert "torch.rand" not in [peer.name for peer in rest] and rest
    with pytest.raises(ValueError, match="there is no peer 'jaxx'; did you mean 'jax'"):
        peers.choose_peers("jaxx")
    with pytest.raises(ValueError, match=r"there are torch\.bernoulli, torch\.rand, jax"):
        peers.choose_peers(without="tensorflow")


# Plans


def test_a_workload_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"no workload 'W9'; there are W1, W2, W3, W4, sampling"):
        benchmark.choose_workloads("W1,W9")
    with pytest.raises(ValueError, match="no workload is named"):
        benchmark.choose_workloads(",")
    assert [w.name for w in benchmark.choose_workloads("sampling,W2")] == ["W2", "sampling"]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [((0, 1.0, 1), "rounds is 0"), ((1, 0.0, 1), "seconds is 0"), ((1, 1.0, -1), "epochs is -1")],
)
def test_a_plan_that_measures_nothing(numbers: tuple[int, float, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Plan([TRAINING], [], *numbers)


def test_data_that_do_not_fit_a_workload() -> None:
    train, held_out = tiny_data()
    wide = Training("wide", persistent=True, sweeps=1, batch_size=4, n_hidden=3, n_visible=7)
    large = Training("large", persistent=True, sweeps=1, batch_size=400, n_hidden=3, n_visible=6)
    for workload in (wide, large):
        with pytest.raises(ValueError, match=f"{workload.name} needs .* has 48 rows of 6"):
            benchmark.measure(Plan([workload], []), train, held_out, lambda *_: None)


def test_a_workload_that_does_not_fit_into_memory_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workloads_module, "memory_free", lambda device: 10_000_000)
    huge = Sampling("huge", n_chains=40, n_hidden=10**6, n_visible=6)
    plan = Plan([TRAINING, huge], TORCH)
    with pytest.raises(MemoryError, match=r"huge .* needs [\d.]+ GB on cpu, and 0.0 GB are free"):
        plan.check(tiny_data()[0])


def test_flops_count_the_products() -> None:
    # the data once, two a sweep, two for the gradient
    assert TRAINING.flops == 2 * 4 * 6 * 3 * (1 + 2 * 2 + 2)
    assert SAMPLING.flops == 2 * (2 * 6 * 3)


def test_rounds_take_turns_and_the_first_is_dropped() -> None:
    calls: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def rate(self, seconds: float) -> float:
            calls.append(self.name)
            return float(len(calls))

    rounds = turns.play({name: Named(name) for name in "abc"}, 2, 1.0)
    assert "".join(calls) == "abcbcacab"
    assert rounds == [{"a": 6.0, "b": 4.0, "c": 5.0}, {"a": 8.0, "b": 9.0, "c": 7.0}]


def test_other_programs_that_hold_cores_are_reported(report: dict[str, Any]) -> None:
    result = report["workloads"]["T"]
    for busy, cores, said in ((0.1, 2, False), (1.5, 2, True), (1.5, 4, False), (None, 2, False)):
        machine = report | {"cores": cores, "threads": 2}
        found = benchmark.disturbances(machine, result | {"others_busy": busy})
        assert bool(found) == said
    machine = report | {"cores": 2, "threads": 2}
    machine["workloads"] = {"T": result | {"others_busy": 1.5}}
    assert "DISTURBED: other programs kept 1.5 cores busy" in benchmark.markdown(machine)


def test_without_mnist_rows_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads_module, "_N_ROWS", 60)
    described, train, held_out = benchmark.load_data()
    assert "synthetic" in described and "harmonium data fetch mnist" in described
    assert (len(train), len(held_out), train.n_columns) == (50, 10, 784)
    states = torch.cat(list(train.blocks()))
    assert set(states.unique().tolist()) == {0.0, 1.0}
    assert 0.11 < states.mean() < 0.15
