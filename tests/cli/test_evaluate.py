"""``harmonium evaluate``: the interval, the file that keeps it, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli.commands import Done, harmonium, start
from harmonium import RBM, Purpose, Stream, checkpoint, datasets
from harmonium.likelihood import evaluate, exact_log_likelihood
from html_pages import Page

Refused = Callable[..., str]
QUICK = ("--chains", "60", "--temperatures", "100", "--threads", "1")


def ran(*arguments: str | Path) -> Done:
    done = harmonium("evaluate", *arguments)
    assert done.code == 0, done.err
    return done


def results(run: Path) -> dict[str, Any]:
    content = json.loads((run / "likelihood.json").read_text())
    assert content["format"] == 1
    return dict(content["results"])


def digits() -> tuple[datasets.Data, datasets.Data]:
    """Training and test rows, thresholded."""
    whole = datasets.load("digits").binarize()
    return whole.part("train"), whole.part("test")


def model(run: Path) -> RBM:
    newest = sorted((run / "checkpoints").iterdir())[-1]
    return checkpoint.load(newest).model


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with more hidden units than can be enumerated, to be read only."""
    path = tmp_path_factory.mktemp("runs") / "large"
    options = ("--hidden", "30", "--validation", "--epochs", "1", "--threads", "1")
    quiet = ("--no-figures", "--no-tensorboard")
    done = harmonium("train", *options, *quiet, "--out", path)
    assert done.code == 0, done.err
    return path


def test_few_hidden_units_are_exact(run: Path) -> None:
    done = ran(run)
    _, test = digits()
    values = exact_log_likelihood(model(run), next(test.blocks()))
    [(name, kept)] = results(run).items()
    assert name == "digits:test" and kept["rows"] == len(test) and kept["exact"]
    assert kept["lower"] == kept["upper"] == pytest.approx(values.mean().item(), abs=1e-6)
    assert f"{values.mean().item():.3f} nats (exact) a row" in done.out
    assert "of digits:test, thresholded at" in done.out
    assert kept["temperatures"] is None and kept["update"] == 39 and kept["trusted"]
    assert "all states of the smaller layer were summed over" in done.out


def test_many_are_estimated_as_by_the_library(large: Path, tmp_path: Path) -> None:
    large = shutil.copytree(large, tmp_path / "run")
    done = ran(large, *QUICK, "--seed", "3")
    train, test = digits()
    v = next(test.blocks())
    expected = evaluate(model(large), v, train, n_chains=60, n_temperatures=100, seed=3).result()
    kept = results(large)["digits:test"]
    assert (kept["lower"], kept["upper"]) == (expected.lower, expected.upper)
    assert kept["lower"] <= kept["upper"] and not kept["exact"] and kept["trusted"]
    assert (kept["chains"], kept["temperatures"], kept["seed"]) == (60, 100, 3)
    first, second = done.out.splitlines()[:2]
    assert first == f"log-likelihood  {expected} a row"
    assert second == f"rests on        {expected.rests_on}" and kept["rests_on"] in second
    assert kept["warnings"] == [] and "because" not in done.out


def modes_that_nothing_crosses(run: Path) -> None:
    """Replace the model of a run by one of two modes, of which the rows are in one."""
    newest = sorted((run / "checkpoints").iterdir())[-1]
    state = checkpoint.load(newest)
    with torch.no_grad():
        for rbm in (state.rbm, state.model):
            rbm.weights.fill_(1.0)
            rbm.visible.bias.fill_(-3.0)
            rbm.hidden.bias.fill_(-36.0)  # all on: as probable as all off
    checkpoint.save(state, newest)


def test_where_estimates_disagree_there_is_a_reason_in_place_of_a_bound(
    train: Callable[..., Done],
) -> None:
    rows = np.random.default_rng(0).random((200, 40)) < 0.05
    np.save("mine.npy", rows.astype(np.uint8))
    train("mine.npy", "--hidden", "30", "--epochs", "1", "--out", "modes")
    modes_that_nothing_crosses(Path("modes"))
    done = ran("modes", "--chains", "60", "--temperatures", "1000", "--threads", "1")
    lines = done.out.splitlines()
    assert lines[0].startswith("log-likelihood  at most -") and lines[1].startswith("rests on  ")
    assert lines[2].startswith("no lower bound, because ") and "modes" in lines[2]
    assert "--temperatures" in done.out and "--sampler tempering" in done.out
    [kept] = results(Path("modes")).values()
    assert kept["lower"] is None and kept["lower_std_error"] is None and not kept["trusted"]
    assert kept["warnings"] and kept["upper"] < 0
    page = Page(Path("modes/report.html").read_text(encoding="utf-8"))
    assert "at most −" in page.text and "no lower bound" in page.text
    assert "the estimates do not agree" in page.text


def test_a_budget_goes_on_from_what_is_there(large: Path, tmp_path: Path) -> None:
    run = shutil.copytree(large, tmp_path / "run")
    options = ("--chains", "60", "--threads", "1")
    ran(run, *options, "--temperatures", "20")
    before = results(run)["digits:test"]
    assert before["upper_std_error"] < 0.01  # so that nothing is left to do
    ran(run, *options, "--budget", "10m")
    after = results(run)["digits:test"]
    assert {**before, "seconds": 0} == {**after, "seconds": 0}
    # another seed begins anew, with more temperatures
    ran(run, *options, "--budget", "10m", "--seed", "1")
    assert results(run)["digits:test"]["temperatures"] > 20


def test_again_replaces_its_own_result_alone(run: Path) -> None:
    ran(run)
    ran(run, "--split", "held-out")
    assert results(run).keys() == {"digits:test", "digits:validation"}
    (run / "likelihood.json").unlink()
    ran(run)
    ran(run, "--split", "train", "--rows", "10")
    before = results(run)
    assert before.keys() == {"digits:test", "digits:train"}
    ran(run, "--split", "train", "--rows", "20")
    after = results(run)
    assert after["digits:test"] == before["digits:test"]
    assert (before["digits:train"]["rows"], after["digits:train"]["rows"]) == (10, 20)


def test_json_is_the_result_that_is_kept(run: Path) -> None:
    done = ran(run, "--json")
    [event] = done.objects
    assert event.pop("event") == "finished"
    assert event.pop("kept_in") == str(run / "likelihood.json")
    assert event == results(run)["digits:test"]


def test_rows_can_be_binarised_otherwise(run: Path) -> None:
    grey = datasets.load("digits").part("test")
    rbm = model(run)
    ran(run, "--binarize", "0.3")
    kept = results(run)["digits:test"]
    values = exact_log_likelihood(rbm, next(grey.binarize(0.3).blocks()))
    assert kept["lower"] == pytest.approx(values.mean().item(), abs=1e-6)
    ran(run, "--binarize", "stochastic", "--seed", "5")
    kept = results(run)["digits:test"]
    rows = grey.binarize_stochastically().rows(
        torch.arange(len(grey)), Stream(5, Purpose.ENCODE, rank=3)
    )
    assert kept["lower"] == pytest.approx(exact_log_likelihood(rbm, rows).mean().item(), abs=1e-6)
    assert kept["binarized"] == "binarised stochastically"


def test_other_rows_can_be_taken(run: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 17, (1, 64)).astype(np.float32)
    np.save("mine.npy", rows)
    ran(run, "--data", "mine.npy")
    assert results(run)["mine.npy"]["rows"] == 1
    assert results(run)["mine.npy"]["rows_std_error"] is None


@pytest.mark.parametrize("visible", ["spin", "gaussian", "categorical"])
def test_every_kind_of_visible_unit(visible: str, train: Callable[..., Done]) -> None:
    options = ("--binarize", "0.5") if visible == "spin" else ()
    np.save("mine.npy", np.random.default_rng(0).integers(0, 3, (40, 6)).astype(np.uint8))
    train("mine.npy", "--visible", visible, *options, "--epochs", "1", "--batch-size", "9",
          "--learning-rate", "0.01", "--out", "other")  # fmt: skip
    ran("other", "--split", "train")
    assert results(Path("other"))["mine.npy:train"]["exact"]
    done = harmonium("evaluate", "other", "--split", "test")
    assert "--split is test, but mine.npy has no such rows; it has held-out, train" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_terminal_shows_a_bar_with_the_time_left(large: Path, tmp_path: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    run = shutil.copytree(large, tmp_path / "run")
    process = start(["evaluate", str(run), *QUICK], Path(os.ttyname(follower)))
    os.set_blocking(leader, False)
    shown = b""
    while process.is_alive() or not shown:
        with contextlib.suppress(BlockingIOError):
            shown += os.read(leader, 65536)
        process.join(0.02)
    with contextlib.suppress(BlockingIOError):
        shown += os.read(leader, 65536)
    os.close(follower)
    os.close(leader)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.exitcode == 0, text
    assert re.search(r"evaluating .*100% · \d:\d\d:\d\d · 0:00:00 left", text), text
    assert "log-likelihood" in text


# Bad input


def test_what_cannot_be_evaluated_is_refused(run: Path, refused: Refused) -> None:
    np.save("narrow.npy", np.zeros((3, 5), np.float32))
    assert "narrow.npy has 5 columns" in refused("evaluate", run, "--data", "narrow.npy")
    message = refused("evaluate", run, "--split", "train", "--data", "digits")
    assert "--data names other rows, and --split is train; leave one out" in message
    message = refused("evaluate", run, "--rows", "100000")
    assert "--rows is 100000, but digits:test has" in message
    message = refused("evaluate", run, "--binarize", "half")
    assert "--binarize is 'half'; pass a threshold such as 0.5, `stochastic`, or `none`" in message
    assert "--chains" in refused("evaluate", run, "--chains", "1", code=2)
    for nothing in ("0", "0m", "ten minutes", "-5", ""):
        message = refused("evaluate", run, "--budget", nothing)
        assert f"--budget is {nothing!r}; pass a time to spend, such as 90s, 10m or 2h" in message
    assert "--temperatures" in refused("evaluate", run, "--temperatures", "1", code=2)
    assert "does not exist" in refused("evaluate", "nowhere")


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"format": "x", "results": {}}'])
def test_a_file_that_is_none_of_its_own_is_left_alone(
    run: Path, refused: Refused, content: str
) -> None:
    (run / "likelihood.json").write_text(content)
    message = refused("evaluate", run)
    assert "likelihood.json is damaged or no result of harmonium evaluate" in message
    assert "move it away" in message


def test_a_file_of_a_newer_harmonium_is_left_alone(run: Path, refused: Refused) -> None:
    (run / "likelihood.json").write_text('{"format": 2, "results": {}}')
    assert "has format 2, and this harmonium reads up to 1" in refused("evaluate", run)
