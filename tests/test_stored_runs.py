"""Runs that an earlier version has written open, go on, sample and are evaluated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.commands import Done, harmonium
from harmonium.run_directory import RunDirectory

STORED = Path(__file__).parent / "artefacts" / "runs-0.1.0"
RBMS = ("rbm", "rbm-half", "tempered", "tempered-half")
HALF = ("rbm-half", "tempered-half", "dbn-half", "classifier-half")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ran(*arguments: str) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def copied(name: str) -> str:
    shutil.copytree(STORED / name, name)
    return name


@pytest.mark.parametrize("name", sorted(path.name for path in STORED.iterdir()))
def test_a_stored_run_opens(name: str) -> None:
    run = copied(name)
    (told,) = ran("info", run, "--json").objects
    half = name in HALF
    done = told["layers"][-1]["update"] if "layers" in told else told["update"]
    assert done == (7 if half else 12)
    assert half == (told.get("model", told.get("network")) is None)
    ran("report", run)
    assert "<html" in Path(run, "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HALF)
def test_a_stored_run_that_was_stopped_goes_on_to_its_end(name: str) -> None:
    run = copied(name)
    ran("resume", run, "--no-figures")
    (told,) = ran("info", run, "--json").objects
    assert (told["layers"][-1] if "layers" in told else told)["update"] == 12
    where = Path(run, "layers", "2") if name == "dbn-half" else Path(run)
    updates = [row["update"] for row in RunDirectory(where).rows()]
    assert updates == list(range(1, 13))


@pytest.mark.parametrize("name", ["rbm", "tempered", "classifier"])
def test_a_stored_run_that_is_finished_goes_further(name: str) -> None:
    run = copied(name)
    ran("resume", run, "--no-figures", "--more-epochs", "1")
    assert [row["update"] for row in RunDirectory(run).rows()] == [6, 12, 18]


@pytest.mark.parametrize("name", RBMS)
def test_a_stored_run_samples_and_is_evaluated(name: str) -> None:
    run = copied(name)
    moving = ["--sampler", "tempering"] if "tempered" in name else []
    few = ["--samples", "2", "--warmup", "5", "--sweeps-per-sample", "2"]
    ran("sample", run, "--start", "chains", "--chains", "5", *few, *moving)
    ran("reconstruct", run)
    ran("evaluate", run, "--chains", "10", "--temperatures", "50", "--rows", "20")
    assert json.loads(Path(run, "likelihood.json").read_text())["results"]


def test_a_stored_network_dreams_is_fine_tuned_and_predicts() -> None:
    run = copied("dbn")
    ran("dbn", "sample", run, "--chains", "3", "--samples", "2", "--warmup", "5")
    ran("evaluate", f"{run}/layers/1", "--chains", "10", "--temperatures", "50", "--rows", "20")
    told = ran("dbn", "predict", run, "digits", "--json").objects[-1]
    kept = json.loads(Path(run, "classifier", "evaluation.json").read_text())
    assert told["n_rows"] == kept["n_rows"]
    assert told["error"] == pytest.approx(kept["error"], abs=2 / kept["n_rows"])
    more = ("--epochs", "1", "--rows", "60", "--no-figures", "--no-tensorboard")
    ran("dbn", "finetune", run, *more)
    ran("resume", f"{run}/classifier-2", "--more-epochs", "1", "--no-figures")


@pytest.mark.parametrize("name", ["classifier", "classifier-half"])
def test_a_stored_classifier_predicts(name: str) -> None:
    told = ran("dbn", "predict", copied(name), "digits", "--json").objects[-1]
    assert told["n_judged"] == told["n_rows"] > 0
