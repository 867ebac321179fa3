"""What a run answers from Python: the same as the command line, bit for bit, as arrays."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import harmonium
from cli.commands import Done
from cli.commands import harmonium as typed
from harmonium import datasets
from harmonium.runs import Run
from harmonium.runs.answers.sample import Samples

SMALL: dict[str, Any] = {
    "epochs": 2,
    "rows": 60,
    "batch_size": 10,
    "threads": 1,
    "figures": False,
    "tensorboard": False,
}
FEW: dict[str, Any] = {"chains": 3, "samples": 2, "warmup": 5, "sweeps_per_sample": 4}
TYPED = ("--chains", "3", "--samples", "2", "--warmup", "5", "--sweeps-per-sample", "4")
ROWS = np.random.default_rng(0).integers(0, 2, (50, 6)).astype(np.uint8)


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RBM, a stack with label units, a classifier and an autoencoder, to be read only."""
    folder = tmp_path_factory.mktemp("trained")
    harmonium.train("digits", hidden=6, out=folder / "rbm", **SMALL)
    harmonium.train_dbn("digits", layers=[8, 5], labels=True, out=folder / "stack", **SMALL)
    for kind in ("classifier", "autoencoder"):
        out = folder / kind
        harmonium.finetune("digits", layers=[8, 2], kind=kind, out=out, **SMALL)
    return folder


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Callable[[str], Run]:
    """A copy of one of them, to do anything with."""
    return lambda name: harmonium.open(shutil.copytree(trained / name, tmp_path / name))


def ran(*arguments: str | Path) -> Done:
    done = typed(*arguments, "--threads", "1", "--json")
    assert done.code == 0, done.err
    return done


def result_of(*arguments: str | Path) -> dict[str, Any]:
    return ran(*arguments).objects[-1]


def arrays_of(path: str | Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# samples and reconstructions


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start": "data", "data": "digits"},
        {"start": "chains", "seed": 3},
        {"clamp": "top"},
        {"sampler": "tempering", "temperatures": 3},
    ],
    ids=lambda options: " ".join(options) or "random",
)
def test_samples_are_those_of_the_command(options: dict[str, Any], copied: Any) -> None:
    run = copied("rbm")
    found = run.sample(threads=1, **FEW, **options)
    said = [x for name, value in options.items() for x in (f"--{name}", str(value))]
    result = result_of("sample", run.path, *TYPED, *said)
    kept = arrays_of(result["samples"])
    assert found.path != Path(result["samples"]) and found.picture.is_file()
    for name in ("samples", "means", "truth", "held"):
        ours = getattr(found, name)
        assert (ours is None) == (name not in kept)
        assert ours is None or (ours == kept[name]).all()
    assert arrays_of(found.path).keys() == kept.keys()
    assert found.samples.shape == found.means.shape == (3, 2, 64)
    assert found.ladder.keys() == result.keys() - {"event", "samples", "picture"}
    assert all(result[key] == value for key, value in found.ladder.items())
    assert found.as_dict().keys() == result.keys() - {"event"}


@pytest.mark.parametrize(
    "options", [{"classes": [1, 7]}, {"clamp": "0-9,20", "completion": "metropolis"}]
)
def test_a_stack_has_the_same_method(options: dict[str, Any], copied: Any) -> None:
    run = copied("stack")
    found = run.sample(threads=1, **FEW, **options)
    said = (
        [("--class", "1,7")]
        if "classes" in options
        else [(f"--{k}", v) for k, v in options.items()]
    )
    result = result_of("dbn", "sample", run.path, *TYPED, *(x for pair in said for x in pair))
    kept = arrays_of(result["samples"])
    for name in kept:
        assert (getattr(found, name) == kept[name]).all()
    assert found.as_dict().keys() == result.keys() - {"event"}
    if "clamp" in options:
        assert found.acceptance["acceptance"] == result["acceptance"]
        assert found.held.sum() == 11
    else:
        assert found.classes[:, 0].tolist() == [1, 1, 7]


def test_columns_are_held_by_a_list(copied: Any) -> None:
    run = copied("rbm")
    one, other = run.sample(clamp=[0, 1, 2], **FEW), run.sample(clamp="0-2", **FEW)
    assert one.held.nonzero()[0].tolist() == [0, 1, 2]
    assert (one.samples == other.samples).all()
    assert (one.samples[:, :, :3] == one.truth[:, None, :3]).all()


def test_reconstructions_are_those_of_the_command(copied: Any) -> None:
    run = copied("rbm")
    found = run.reconstruct(threads=1)
    result = result_of("reconstruct", run.path)
    kept = arrays_of(result["reconstructions"])
    assert (found.reconstructions == kept["reconstructions"]).all()
    assert (found.errors == kept["errors"]).all()
    assert found.mean_error == result["mean_error"]
    assert found.mean_error_of_mean_row == result["mean_error_of_mean_row"]
    assert found.picture.is_file() and found.columns is None


# judging


def test_an_evaluation_finds_what_the_command_finds(copied: Any) -> None:
    run = copied("rbm")
    found = run.evaluate(threads=1)
    ours = json.loads((run.path / "likelihood.json").read_text())["results"]["digits:test"]
    result = result_of("evaluate", run.path)
    assert found.is_exact and (found.lower, found.upper) == (result["lower"], result["upper"])
    assert {**ours, "seconds": 0} == {
        **{k: v for k, v in result.items() if k not in ("event", "kept_in")},
        "seconds": 0,
    }
    assert "log-likelihood" in run.page.read_text(encoding="utf-8")
    few = run.evaluate(split="train", rows=20, seed=2)
    result = result_of("evaluate", run.path, "--split", "train", "--rows", "20", "--seed", "2")
    assert few.n_rows == 20 and few.upper == result["upper"]


def test_a_notebook_shows_how_far_an_evaluation_is(
    copied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    display = SimpleNamespace(display=lambda what, display_id: shown.append(what))
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    run = copied("rbm")
    run.evaluate(progress=False)
    assert shown == []
    run.evaluate()
    assert "1 of 1 steps" in shown[-1]._repr_html_()


def test_a_budget_goes_on_from_what_either_door_has_left() -> None:
    quick = {
        name: value for name, value in SMALL.items() if name not in ("rows", "epochs", "batch_size")
    }
    run = harmonium.train("digits", hidden=30, epochs=1, out="large", **quick)
    found = run.evaluate(chains=60, temperatures=20, threads=1)
    assert not found.is_exact and found.trusted
    assert found.upper_std_error < 0.01  # so that nothing is left to do
    result = result_of("evaluate", run.path, "--chains", "60", "--budget", "10m")
    assert (found.lower, found.upper) == (result["lower"], result["upper"])
    assert found.rests_on == result["rests_on"]
    for budget in (600, "10m"):
        again = run.evaluate(chains=60, budget=budget, threads=1)
        assert (again.lower, again.upper) == (found.lower, found.upper)


def test_a_diagnosis_measures_what_the_command_measures(copied: Any) -> None:
    run = copied("rbm")
    found = run.diagnose(sweeps=40, chains=6, threads=1)
    result = result_of("diagnose", run.path, "--sweeps", "40", "--chains", "6")
    assert found.content["findings"] == result["findings"]
    assert found.content["weights"] == result["weights"]
    assert [one.severity for one in found.advice] == [x["severity"] for x in result["advice"]]
    assert "--" not in " ".join(one.remedy for one in found.advice)
    assert found.path.is_file() and found.page == run.page


def test_runs_are_compared(copied: Any) -> None:
    one, other = copied("rbm"), copied("stack")
    found = one.compare(other, out="both.html")
    result = result_of_comparison("compare", one.path, other.path)
    assert (found.verdict, found.differences) == (result["verdict"], [])
    assert found.page == Path("both.html") and found.page.is_file()
    assert one.compare(other.path).verdict == found.verdict


def result_of_comparison(*arguments: str | Path) -> dict[str, Any]:
    done = typed(*arguments, "--json")  # it computes nothing, and takes no threads
    assert done.code == 0, done.err
    return done.objects[-1]


@pytest.mark.parametrize("name", ["rbm", "stack"])
def test_pictures_are_drawn_again(name: str, copied: Any) -> None:
    run = copied(name)
    drawn = run.plot(filters=4, threads=1)
    assert drawn and all(path.exists() for path in drawn.values())
    assert result_of("plot", run.path)["pictures"] == [str(path) for path in drawn.values()]


def test_a_page_is_written_again(copied: Any) -> None:
    run = copied("rbm")
    assert "samples.npz" not in (before := run.page.read_text(encoding="utf-8"))
    run.sample(**FEW)
    assert run.report() == run.page
    assert run.page.read_text(encoding="utf-8") != before


# networks


def test_predictions_are_those_of_the_command(copied: Any) -> None:
    run = copied("classifier")
    found = run.predict("digits", out="ours.npz", threads=1)
    result = result_of("dbn", "predict", run.path, "digits", "--out", "typed.npz")
    ours, kept = arrays_of("ours.npz"), arrays_of("typed.npz")
    assert all((ours[key] == kept[key]).all() for key in kept)
    assert (found.predictions == kept["classes"]).all()
    assert (found.probabilities == kept["probabilities"]).all()
    assert (found.classes == kept["probabilities_of"]).all()
    assert (found.truth == kept["labels"]).all()
    assert found.scores["error"] == result["error"] and found.n_judged == result["n_judged"]
    assert len(found.pictures) == len(result["pictures"]) and found.n_unjudged == 0


def test_codes_go_there_and_back(copied: Any) -> None:
    run = copied("autoencoder")
    found = run.encode("digits", threads=1)
    result = result_of("dbn", "encode", run.path, "digits")
    assert (found.codes == arrays_of(result["codes"])["codes"]).all()
    assert found.scores["squared_error"] == result["squared_error"]
    back = run.decode(found.codes, threads=1)
    result = result_of("dbn", "decode", run.path, found.path)
    assert (back.rows == arrays_of(result["rows"])["rows"]).all()
    assert back.rows.shape == (len(found.codes), 64) and back.picture.is_file()


# rows in memory


def test_rows_in_memory_are_read_as_those_of_a_file(copied: Any) -> None:
    values = datasets.load("digits").part("test").values[:30].numpy()
    np.save("some.npy", values)
    run = copied("rbm")
    of_file, of_memory = run.reconstruct("some.npy"), run.reconstruct(values)
    assert (of_file.reconstructions == of_memory.reconstructions).all()
    assert of_memory.data == "array"
    assert run.evaluate(values).upper == run.evaluate("some.npy").upper
    same = run.sample(data=values, **FEW).samples == run.sample(data="some.npy", **FEW).samples
    assert same.all()
    network = copied("classifier")
    found, expected = network.predict(values), network.predict("some.npy")
    assert (found.probabilities == expected.probabilities).all() and found.truth is None


def test_a_frame_is_predicted_with_the_classes_of_the_run() -> None:
    table = {name: ROWS[:, i] for i, name in enumerate("abcdef")}
    frame = pd.DataFrame(table | {"kind": ["x", "y"] * 25})
    few = {k: v for k, v in SMALL.items() if k != "rows"}
    run = harmonium.finetune(frame, label="kind", layers=[4], out="run", **few)
    others = frame.assign(kind=["y", "z"] * 25)[["kind", *"fedcba"]]
    found = run.predict(others, threads=1)
    assert found.classes.tolist() == ["x", "y"] and found.probabilities.shape == (50, 2)
    assert found.truth.tolist() == ["y", ""] * 25 and found.n_unjudged == 25
    data = datasets.from_array(others, label="kind")
    of_data = run.predict(data)
    assert (of_data.probabilities == found.probabilities).all()
    assert (of_data.truth == found.truth).all()
    without = run.predict(frame.drop(columns="kind"))
    assert without.truth is None and without.scores == {}
    assert (without.probabilities == found.probabilities).all()
    with pytest.raises(TypeError, match="`label` names a column of a table, and Data have"):
        run.predict(data, label="kind")


# refusals


@pytest.mark.parametrize(
    ("method", "options", "error", "message"),
    [
        (
            "sample",
            {"chanis": 3},
            TypeError,
            "sample has no option 'chanis'; did you mean",
        ),
        ("sample", {"classes": 3}, TypeError, "sample has no option 'classes'"),
        ("sample", {"chains": 0}, ValueError, "`chains` is 0; pass 1 or more"),
        ("sample", {"chains": "3"}, TypeError, "`chains` is '3'; pass a whole number"),
        ("sample", {"start": "rows"}, ValueError, "`start` is 'rows'; pass one of data, random"),
        ("sample", {"clamp": "a"}, ValueError, "`clamp` is 'a'; pass top, bottom, left, right"),
        (
            "sample",
            {"clamp": "top", "start": "random"},
            ValueError,
            "`clamp` holds columns of data rows, and `start` is random; take `start='data'`",
        ),
        ("sample", {"temperatures": 3}, ValueError, "`temperatures` is for `sampler='tempering'`"),
        ("sample", {"out": "a.txt"}, ValueError, "`out` is a.txt; pass a name that ends in .hapt"),
        ("sample", {"out": 3}, TypeError, "`out` is 3; pass a path"),
        ("sample", {"start": "chains", "chains": 999}, ValueError, "`chains` is 999, but"),
        ("reconstruct", {"shown": 0}, ValueError, "`shown` is 0; pass 1 or more"),
        ("reconstruct", {"data": "no.npy"}, FileNotFoundError, "there is no file 'no.npy'"),
        ("reconstruct", {"data": ROWS}, ValueError, "array has 6 columns, but"),
        ("evaluate", {"chains": 1}, ValueError, "`chains` is 1; pass 2 or more"),
        ("evaluate", {"budget": "soon"}, ValueError, "`budget` is 'soon'; pass a time to spend"),
        ("evaluate", {"rows": 10_000}, ValueError, "`rows` is 10000, but digits:test has"),
        (
            "evaluate",
            {"data": "digits", "split": "test"},
            ValueError,
            "`data` names other rows, and `split` is test; leave one out",
        ),
        ("evaluate", {"split": "tset"}, ValueError, "`split` is 'tset'; pass one of test, held-"),
        ("diagnose", {"sweeps": 3}, ValueError, "`sweeps` is 3; pass 16 or more"),
        ("plot", {"filters": 0}, ValueError, "`filters` is 0; pass 1 or more"),
        ("predict", {"data": ROWS}, ValueError, "is the run of a single RBM; pass the run of a"),
    ],
)
def test_options_are_checked_before_anything_is_written(
    method: str, options: dict[str, Any], error: type, message: str, copied: Any
) -> None:
    run = copied("rbm")
    before = files(Path())
    with pytest.raises(error, match=re.escape(message)) as refusal:
        getattr(run, method)(**options)
    assert "--" not in str(refusal.value)
    assert files(Path()) == before


def test_a_network_of_another_kind_says_what_to_take(copied: Any) -> None:
    autoencoder, classifier, stack = map(copied, ("autoencoder", "classifier", "stack"))
    before = files(Path())
    with pytest.raises(ValueError, match=r"predicts nothing; `Run.encode` and `Run.decode` use it"):
        autoencoder.predict("digits")
    with pytest.raises(ValueError, match=r"no codes; make an .* `Run.finetune\(kind='autoencoder'"):
        classifier.encode("digits")
    with pytest.raises(ValueError, match="holds a fine-tuned network, which is no RBM"):
        classifier.sample()
    with pytest.raises(ValueError, match=r"`classes` is '12'; pass classes from 0 to 9"):
        stack.sample(classes=12)
    with pytest.raises(ValueError, match="`completion` is for `clamp`, and there is none"):
        stack.sample(completion="metropolis")
    assert files(Path()) == before


def test_an_answer_shows_the_shapes_of_its_arrays_and_not_their_numbers() -> None:
    states = np.zeros((3, 2, 6))
    shown = repr(Samples(states, states, Path("a.npz"), Path("a.png"), columns=("name",) * 50))
    assert shown.startswith("Samples(samples=<array of shape (3, 2, 6)>, means=<array of shape")
    assert "classes=None" in shown and "columns=<tuple>" in shown and len(shown) < 300
