"""`harmonium benchmark` on tiny workloads: what it prints, writes and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import other_packages
from cli.commands import harmonium
from harmonium import Data, benchmark
from harmonium.benchmark import PEERS, Sampling, Training, workloads

other_packages.register()

Refused = Callable[..., str]
QUICK = ("--rounds", "1", "--seconds", "0.002", "--trained", "1", "--threads", "1")
PEER = ("--peers", "torch.rand")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    there = (
        Training("W1", persistent=True, sweeps=2, batch_size=4, n_hidden=3, n_visible=6),
        Sampling("sampling", n_chains=5, n_hidden=3, n_visible=6, sweeps=2),
    )
    monkeypatch.setattr(workloads, "WORKLOADS", {workload.name: workload for workload in there})
    rows = (torch.rand(60, 6, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    split = Data("tiny", rows).split_randomly(0.2)
    monkeypatch.setattr(benchmark, "load_data", lambda: ("tiny rows", *split))


def test_it_prints_everybody_and_writes_nothing(tmp_path: Path) -> None:
    done = harmonium("benchmark", *QUICK, *PEER)
    assert done.code == 0, done.err
    assert "takes     about" in done.out and "tiny rows" in done.out
    for said in ("W1  PCD-2, batch 4, 6×3", "sampling  5 chains, 6×3", "harmonium ÷ it"):
        assert said in done.out
    for name in ("products alone", "torch.rand"):
        assert f"\n  {name}" in done.out
    assert "torch.bernoulli" not in done.out
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_object_and_the_rest_goes_to_standard_error() -> None:
    done = harmonium("benchmark", *QUICK, *PEER, "--workloads", "sampling", "--json")
    assert done.code == 0, done.err
    (result,) = done.objects
    assert result["event"] == "finished" and list(result["workloads"]) == ["sampling"]
    assert set(result["workloads"]["sampling"]["rates"]) == {
        "products alone",
        "harmonium",
        "torch.rand",
    }
    assert "takes     about" in done.err


def test_out_gets_numbers_table_and_picture_and_is_never_written_over(refused: Refused) -> None:
    done = harmonium("benchmark", *QUICK, *PEER, "--out", "speed")
    assert done.code == 0, done.err
    assert sorted(path.name for path in Path("speed").iterdir()) == [
        "results.json",
        "speeds.png",
        "table.md",
    ]
    report = json.loads(Path("speed/results.json").read_text())
    assert report["trained"]["epochs"] == 1 and report["threads"] == 1
    assert "| W1 | PCD-2, batch 4, 6×3 |" in Path("speed/table.md").read_text()
    message = refused("benchmark", *QUICK, "--out", "speed")
    assert "speed exists; choose another --out" in message
    assert "there is no folder no" in refused("benchmark", *QUICK, "--out", "no/speed")


def test_peers_can_be_left_out() -> None:
    leave = ",".join(name for name in PEERS if name != "torch.bernoulli")
    done = harmonium("benchmark", *QUICK, "--without", leave, "--workloads", "W1")
    assert done.code == 0, done.err
    assert "\n  torch.bernoulli" in done.out and "\n  torch.rand" not in done.out


@pytest.mark.parametrize(
    ("options", "said"),
    {
        "--workloads W7": "there is no workload 'W7'; there are W1, sampling",
        "--peers jaxx": "there is no peer 'jaxx'; did you mean 'jax'? (there are torch.bernoulli",
        "--without nobody": "there is no peer 'nobody'",
        "--device cuda:99": "the device 'cuda:99' is not there",
        "--seconds 0": "--seconds is 0; pass a positive number",
        "--seconds nan": "--seconds is nan; pass a positive number",
    }.items(),
)
def test_what_cannot_be_measured(options: str, said: str, refused: Refused) -> None:
    assert said in refused("benchmark", *options.split())


def test_a_peer_that_is_asked_for_and_not_installed(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(PEERS["rbms"]), "module", "no_such_module")
    message = refused("benchmark", "--peers", "rbms")
    assert "the peer rbms is not installed (pip install rbms); there are torch.bernoulli" in message
    done = harmonium("benchmark", *QUICK, *PEER, "--workloads", "W1")
    missing = next(line for line in done.out.splitlines() if line.startswith("missing"))
    assert "rbms" in missing and missing.endswith("(not installed)")
