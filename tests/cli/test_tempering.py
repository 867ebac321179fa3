"""Tempering at the command line: a run that resumes, chains that start and move by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.commands import QUICK, Done, harmonium
from harmonium import SamplingSchedule, Tempering, checkpoint, datasets, sampling
from harmonium.rng import Purpose, Stream

Refused = Callable[..., str]
Train = Callable[..., Done]

SHORT = ("--chains", "4", "--samples", "2", "--warmup", "3", "--sweeps-per-sample", "2")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


@pytest.fixture
def tempered(train: Train) -> Path:
    """A run of three epochs with a ladder that has adapted."""
    options = ("--sampler", "tempering", "--chains", "100")
    train(*options, "--epochs", "9", "--every", "13", "--out", "tempered")
    return Path("tempered")


def test_a_tempered_run_says_so_and_watches_its_ladder(tempered: Path) -> None:
    options = json.loads((tempered / "config.json").read_text())["options"]
    assert (options["sampler"], options["temperatures"]) == ("tempering", None)
    rows = [json.loads(line) for line in (tempered / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["temperatures"] >= 2
        assert 0 <= row["least_swap_acceptance"] <= row["swap_acceptance"] <= 1
        assert row["round_trips"] >= 0


@pytest.mark.parametrize("temperatures", [(), ("--temperatures", "4")])
def test_a_tempered_run_that_is_taken_up_is_bit_identical(
    temperatures: tuple[str, ...], train: Train
) -> None:
    options = ("--sampler", "tempering", "--chains", "100", *temperatures)
    train(*options, "--epochs", "12", "--schedule", "constant", "--out", "whole")
    train(*options, "--epochs", "5", "--schedule", "constant", "--out", "parts")
    ran("resume", "parts", "--epochs", "12", "--no-figures", "--no-tensorboard", *options)
    # more than 100 updates, so that the ladder has adapted in the second part
    last = "checkpoints/update-000000156.safetensors"
    assert Path("parts", last).read_bytes() == Path("whole", last).read_bytes()


def test_temperatures_that_are_asked_for_are_kept(train: Train) -> None:
    options = ("--sampler", "tempering", "--chains", "20")
    train(*options, "--temperatures", "5", "--epochs", "9")
    state = checkpoint.load("runs/digits/checkpoints/update-000000117.safetensors")
    assert state.chains is not None and state.chains.replicas is not None
    assert state.chains.replicas.n_levels == 5
    assert state.sampler == Tempering(n_temperatures=5, most_temperatures=5, adapt_every=100)


def test_a_resume_does_not_change_the_sampler(tempered: Path, refused: Refused) -> None:
    message = refused("resume", tempered, "--sampler", "gibbs")
    assert "--sampler gibbs contradicts the run tempered, whose --sampler is tempering" in message
    message = refused("resume", tempered, "--temperatures", "7")
    assert "--temperatures 7 contradicts the run tempered, which was begun without" in message


def test_tempered_samples_are_those_of_the_library(run: Path) -> None:
    done = ran("sample", run, "--sampler", "tempering", "--temperatures", "3", *SHORT, "--json")
    rbm = checkpoint.load_model(run / "model.safetensors")
    stream = Stream(0, Purpose.SAMPLE)
    mean, var = datasets.load("digits").part("validation").moments()
    chains = sampling.start_random(rbm, 4, stream)
    sampling.temper(rbm, chains, stream, 3, base=sampling.independent_units(rbm, mean, var))
    limits = {"least_temperatures": 3, "most_temperatures": 3}
    sampling.tune_ladder(rbm, chains, stream, **limits)
    schedule = SamplingSchedule(3, 2, 2)
    samples = [
        now.visible.clone()
        for now in sampling.sample(rbm, chains, schedule, stream, sampler=Tempering())
    ]
    kept = np.load(run / "samples.npz")["samples"]
    assert np.array_equal(kept / 16, torch.stack(samples, 1).numpy())
    (result,) = done.objects
    assert result["temperatures"] == 3
    assert 0 < result["least_swap_acceptance"] <= result["swap_acceptance"] <= 1
    assert "3 temperatures" in done.err and "of the swaps were accepted" in done.err


@pytest.mark.parametrize("start", ["annealed", "tempered"])
@pytest.mark.parametrize("sampler", ["gibbs", "tempering"])
def test_chains_start_near_equilibrium(start: str, sampler: str, run: Path) -> None:
    few = ("--temperatures", "4")
    ran("sample", run, "--start", start, "--sampler", sampler, *few, *SHORT)
    assert np.load(run / "samples.npz")["samples"].shape == (4, 2, 64)


def test_the_ladder_of_the_training_is_taken_up(tempered: Path) -> None:
    state = checkpoint.load(tempered / "checkpoints/update-000000117.safetensors")
    replicas = state.chains.replicas
    at_once = ("--chains", "100", "--samples", "1", "--warmup", "0", "--sampler", "tempering")
    ran("sample", tempered, "--start", "chains", *at_once)
    kept = np.load(tempered / "samples.npz")["samples"][:, 0]
    assert np.array_equal(kept / 16, replicas.by_level[0][-1].numpy())
    done = ran("sample", tempered, "--start", "chains", "--sampler", "tempering", *SHORT)
    assert f"{replicas.n_levels} temperatures" in done.out


def test_held_columns_are_held_at_all_temperatures(run: Path) -> None:
    ran("sample", run, "--clamp", "top", "--sampler", "tempering", *SHORT)
    rows = datasets.load("digits").part("validation").values[:4, :32].numpy()
    kept = np.load(run / "samples.npz")["samples"]
    assert np.allclose(kept[:, 0, :32], rows) and np.allclose(kept[:, 1, :32], rows)


@pytest.mark.parametrize(
    ("options", "said"),
    {
        "--temperatures 1 --sampler tempering": "--temperatures is 1; pass 2 or more",
        "--temperatures 4": "--temperatures is for --sampler tempering, and --sampler is gibbs",
        "--temperatures 4 --start random": "leave it out, or take --sampler tempering",
        "--clamp top --start annealed": "--clamp holds columns of data rows, and --start is anne",
        "--data digits --start tempered": "--data is for --start data, and --start is tempered",
    }.items(),
)
def test_what_does_not_go_together(options: str, said: str, run: Path, refused: Refused) -> None:
    assert said in refused("sample", run, *options.split())


def test_cd_is_not_tempered(refused: Refused) -> None:
    message = refused("train", *QUICK, "--method", "cd", "--sampler", "tempering")
    assert "--sampler tempering is for persistent chains, and --method is cd" in message
