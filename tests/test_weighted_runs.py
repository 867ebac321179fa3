"""Runs of rows with weights and names: kept, learned from, judged, and told by name."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import harmonium
from cli.commands import harmonium as command
from harmonium import Data, datasets, likelihood
from harmonium.datasets import WeightedRows, from_array
from harmonium.report import differences_of, row_values, weights_name
from harmonium.runs import kept
from harmonium.runs.answers.archives import write_table

pytestmark = pytest.mark.usefixtures("own_folder")

SMALL: dict[str, Any] = {
    "hidden": 4,
    "epochs": 2,
    "batch_size": 10,
    "every": 2,
    "threads": 1,
    "figures": False,
    "tensorboard": False,
}
N = 60
RNG = np.random.default_rng(0)
ROWS = (RNG.random((N, 6)) < np.where(np.arange(N)[:, None] % 2, 0.2, 0.8)).astype(np.uint8)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
NAMES = [f"sequence {i}/ü" for i in range(N)]


def table(path: str | Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(Path(path).read_text(encoding="utf-8").splitlines())
    return header, rows


@pytest.mark.parametrize("chosen", [slice(None), slice(3, 40, 2)], ids=["all", "some"])
def test_rows_are_kept_with_weights_and_names(chosen: slice) -> None:
    data = from_array(ROWS, weights=WEIGHTS, row_names=NAMES)
    data = data.take(torch.arange(N)[chosen])
    kept.save(data, Path("kept.safetensors"))
    back = kept.load(Path("kept.safetensors"))
    assert torch.equal(back.weights, data.weights)  # type: ignore[arg-type]
    assert list(back.row_names or ()) == NAMES[chosen] and back.row_names.header == "row"  # type: ignore[union-attr]
    assert back.fingerprint() == data.fingerprint()
    names = sum(len(name.encode()) for name in NAMES[chosen])
    assert len(back.row_names.text) == names  # type: ignore[union-attr]
    kept.save(from_array(ROWS), Path("plain.safetensors"))
    plain = kept.load(Path("plain.safetensors"))
    assert plain.weights is None and plain.row_names is None


def test_weights_of_an_array_are_learned_from_and_kept() -> None:
    run = harmonium.train(ROWS, weights=WEIGHTS, out="weighted", **SMALL)
    given = from_array(ROWS, weights=WEIGHTS)
    same = harmonium.train(given, out="given", **SMALL)
    plain = harmonium.train(ROWS, out="plain", **SMALL)
    assert torch.equal(run.model.weights, same.model.weights)
    assert not torch.equal(run.model.weights, plain.model.weights)
    of_data = run.config["data"]
    assert of_data["weights"]["sum"] <= WEIGHTS.sum()
    assert of_data["n_train"] + of_data["n_held_out"] == (WEIGHTS > 0).sum()
    assert "weights" not in plain.config["data"]
    assert of_data["fingerprint"] != plain.config["data"]["fingerprint"]
    shutil.move("weighted", "moved")
    assert harmonium.open("moved").resume(more_epochs=1).metrics[-1]["epoch"] == 3
    page = Path("moved/report.html").read_text(encoding="utf-8")
    assert "of equal weight" in page


def test_equal_weights_make_the_run_without_them() -> None:
    equal = harmonium.train(ROWS, weights=np.full(N, 0.3), out="equal", **SMALL)
    plain = harmonium.train(ROWS, out="plain", **SMALL)
    assert torch.equal(equal.model.weights, plain.model.weights)
    for one, other in zip(equal.metrics, plain.metrics, strict=True):
        assert {k: x for k, x in one.items() if "second" not in k} == {
            k: x for k, x in other.items() if "second" not in k
        }


def test_a_model_begins_at_the_moments_of_rows_that_count() -> None:
    without = {**SMALL, "held_out": 0.0, "epochs": 1, "batch_size": 20, "learning_rate": 1e-12}
    run = harmonium.train(ROWS, weights=WEIGHTS, out="run", **without)
    again = np.repeat(ROWS, WEIGHTS.astype(int), axis=0)
    repeated = harmonium.train(again, out="repeated", **without)
    torch.testing.assert_close(
        run.model.visible.bias, repeated.model.visible.bias, rtol=1e-5, atol=1e-6
    )


def test_other_weights_are_other_data() -> None:
    harmonium.train(ROWS, weights=WEIGHTS + 1, out="run", **SMALL)
    kept.save(from_array(ROWS, weights=WEIGHTS + 2), Path("run/data.safetensors"))
    with pytest.raises(ValueError, match="have changed since"):
        harmonium.open("run").resume(more_epochs=1)


def test_weights_in_memory_are_for_rows_in_memory() -> None:
    with pytest.raises(TypeError, match=r"`weights` is .*, and the data are 'digits'; pass rows"):
        harmonium.train("digits", weights=np.ones(5), out="run", **SMALL)
    with pytest.raises(ValueError, match=r"array has 60 rows, but weights of shape \(3,\)"):
        harmonium.train(ROWS, weights=[1, 2, 3], out="run", **SMALL)
    with pytest.raises(ValueError, match="all 60 weights of array are 0"):
        harmonium.train(ROWS, weights=np.zeros(N), out="run", **SMALL)
    assert not Path("run").exists()


def test_an_evaluation_is_the_weighted_mean_and_says_so() -> None:
    run = harmonium.train(ROWS, out="run", **SMALL)
    data = from_array(ROWS, weights=WEIGHTS)
    found = run.evaluate(data=data)
    each = likelihood.exact_log_likelihood(run.model, torch.from_numpy(ROWS).float())
    mean, error = WeightedRows(each, torch.from_numpy(WEIGHTS)).mean(each[WEIGHTS > 0])
    assert found.lower == pytest.approx(mean, abs=1e-6)
    assert found.rows_std_error == pytest.approx(error, rel=1e-6)
    effective = WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum()
    assert found.effective_rows == pytest.approx(effective)
    told = json.loads(Path("run/likelihood.json").read_text())["results"]["array"]
    assert told["effective_rows"] == pytest.approx(effective)
    assert told["rows"] == (WEIGHTS > 0).sum()
    repeated = run.evaluate(data=np.repeat(ROWS, WEIGHTS.astype(int), axis=0))
    assert repeated.lower == pytest.approx(found.lower, abs=1e-6)
    assert repeated.effective_rows is None
    few = run.evaluate(data=data, rows=10)
    assert few.n_rows == 10


def test_the_command_line_and_the_page_say_what_rows_count_as() -> None:
    run = harmonium.train(ROWS, weights=WEIGHTS, out="run", **SMALL)
    done = command("evaluate", "run", "--split", "train", "--threads", "1")
    assert done.code == 0, done.err
    n, effective = run.config["data"]["n_train"], run.config["data"]["weights"]["effective_rows"]
    assert f"{n} of array:train" in done.out
    assert f"which count as {effective:,.1f} of equal weight" in done.out
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert f"{n} (as {effective:,.1f} of equal weight)" in page
    resumed = command("resume", "run", "--more-epochs", "1", "--threads", "1")
    assert f"weights   {n} rows count as {effective:,.1f} of equal weight" in resumed.out


def test_runs_are_compared_on_rows_with_their_weights() -> None:
    runs = [
        harmonium.train(ROWS, out=f"run-{seed}", seed=seed, held_out=0.0, **SMALL)
        for seed in (1, 2)
    ]
    data = from_array(ROWS, weights=WEIGHTS)
    for run in runs:
        run.evaluate(data=data)
    (difference,) = differences_of([run.directory for run in runs])
    states = WeightedRows(torch.from_numpy(ROWS).float(), torch.from_numpy(WEIGHTS))
    exact = likelihood.compare(runs[0].model, runs[1].model, states, states.states).result()
    assert difference.lower == pytest.approx(exact.lower, abs=1e-6)
    assert difference.rows_std_error == pytest.approx(exact.rows_std_error, rel=1e-5)
    values = row_values(runs[0].directory.row_values_path)
    digest = json.loads(Path("run-1/likelihood.json").read_text())["results"]["array"][
        "rows_digest"
    ]
    np.testing.assert_allclose(values[weights_name(digest)], WEIGHTS[WEIGHTS > 0])
    runs[1].evaluate(data=dataclasses.replace(data, weights=torch.ones(N).double()))
    assert not differences_of([run.directory for run in runs])


def test_a_diagnosis_of_a_weighted_run() -> None:
    run = harmonium.train(ROWS, weights=WEIGHTS, out="run", **SMALL)
    found = run.diagnose(sweeps=20, chains=4)
    rows = kept.load(Path("run/data.safetensors")).counted().split_randomly(0.1, 0)[0]
    mean, _ = rows.moments()
    of_data = found.diagnosis.data
    assert of_data is not None
    torch.testing.assert_close(of_data.mean, mean, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["classifier", "autoencoder"])
def test_a_network_learns_and_is_judged_by_weight_and_tells_names(kind: str) -> None:
    labels = np.arange(N) % 2
    frame = pd.DataFrame(ROWS, columns=list("abcdef"), index=pd.Index(NAMES, name="id"))
    data = from_array(frame, labels=labels, weights=WEIGHTS)
    options = {key: value for key, value in SMALL.items() if key != "hidden"}
    tuned = harmonium.finetune(data, kind=kind, layers=[5], out="run", **options)
    new = from_array(frame.iloc[::-1], labels=labels[::-1].copy(), weights=WEIGHTS[::-1].copy())
    if kind == "classifier":
        found = tuned.predict(new, out="p.csv")
        wrong = found.predictions != labels[::-1]
        assert found.scores["error"] == pytest.approx(np.average(wrong, weights=WEIGHTS[::-1]))
    else:
        tuned.encode(new, out="p.csv")
        tuned.encode(new, out="q.npz")
        with np.load("q.npz") as arrays:
            assert arrays["rows"].tolist() == NAMES[::-1]
    header, rows = table("p.csv")
    assert header[0] == "id" and [row[0] for row in rows] == NAMES[::-1]


def test_reconstructions_and_samples_that_start_at_rows_have_their_names() -> None:
    run = harmonium.train(ROWS, out="run", **SMALL)
    data = from_array(ROWS, weights=WEIGHTS, row_names=NAMES)
    found = run.reconstruct(data=data)
    with np.load(found.path) as arrays:
        assert arrays["rows"].tolist() == NAMES
    assert found.mean_error == pytest.approx(np.average(found.errors, weights=WEIGHTS), rel=1e-6)
    samples = run.sample(start="data", data=data, chains=7, samples=1)
    assert list(samples.rows or ()) == NAMES[:7]
    with np.load(samples.path) as arrays:
        assert arrays["rows"].tolist() == NAMES[:7]
    assert run.sample(start="data", data=ROWS, chains=7, samples=1).rows is None


def test_a_stack_learns_from_weighted_features() -> None:
    options = {key: value for key, value in SMALL.items() if key != "hidden"}
    stack = harmonium.train_dbn(
        ROWS, weights=WEIGHTS, layers=[5, 4], features="means", out="run", **options
    )
    plain = harmonium.train_dbn(ROWS, layers=[5, 4], features="means", out="plain", **options)
    assert not torch.equal(stack.model.top.weights, plain.model.top.weights)
    above = json.loads(Path("run/layers/2/config.json").read_text())["data"]
    assert above["weights"]["sum"] > 0


def test_a_table_without_names_numbers_its_rows() -> None:
    column = np.array([0.5, 1.5])
    write_table(Path("t.csv"), ["x"], [column], {"x": column})
    assert table("t.csv") == (["row", "x"], [["0", "0.5"], ["1", "1.5"]])
    write_table(Path("n.csv"), ["x"], [column], {"x": column}, ["a", 'b,"c"'])
    assert table("n.csv") == (["row", "x"], [["a", "0.5"], ['b,"c"', "1.5"]])


def test_rows_of_weight_0_are_left_out() -> None:
    data: Data = from_array(ROWS, weights=WEIGHTS, row_names=NAMES).counted()
    assert len(data) == (WEIGHTS > 0).sum() and data.counted() is data
    assert list(data.row_names or ()) == [n for n, w in zip(NAMES, WEIGHTS, strict=True) if w]
    plain = datasets.from_array(ROWS)
    assert plain.counted() is plain
