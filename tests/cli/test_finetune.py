"""``harmonium dbn finetune``, ``predict``, ``encode`` and ``decode``: runs, files and refusals."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.commands import Done, harmonium
from harmonium import datasets, defaults
from harmonium.deep import (
    Classifier,
    Patience,
    Regressor,
    finetuning,
    load_dbn,
    load_finetuning,
    load_network,
)
from harmonium.run_directory import RunDirectory

TRAIN = ("--layers", "24,9", "--threads", "1", "--no-figures", "--no-tensorboard")
QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard")
TUNE = (*QUICK, "--batch-size", "50", "--optimizer", "adam", "--learning-rate", "0.02")

Refused = Callable[..., str]


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack of two layers, with a classifier and an autoencoder in it; to be read only."""
    path = tmp_path_factory.mktemp("stacks") / "digits"
    ran("dbn", "train", "digits", *TRAIN, "--epochs", "40", "--out", path)
    ran("dbn", "finetune", path, *TUNE, "--epochs", "6", "--every", "26")
    ran("dbn", "finetune", path, *TUNE, "--epochs", "4", "--kind", "autoencoder")
    return path


@pytest.fixture
def run(pretrained: Path, tmp_path: Path) -> Path:
    """A copy, to do anything with."""
    return Path(shutil.copytree(pretrained, tmp_path / "run"))


def table(path: Path) -> tuple[list[str], np.ndarray]:
    header, *rows = csv.reader(path.read_text().splitlines())
    return header, np.array(rows, dtype=np.float64)


def evaluation(run: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((run / "evaluation.json").read_text())
    return found


def assert_is_a_picture(path: Path) -> None:
    with Image.open(path) as picture:
        assert min(picture.size) > 200


# Runs


def test_a_run_holds_the_best_network_and_what_the_test_rows_say(run: Path) -> None:
    tuned = RunDirectory(run / "classifier")
    rows = tuned.rows()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    errors = [row["held_out_error"] for row in rows]
    best = rows[int(np.argmin(errors))]
    network = load_network(tuned.network_path)
    state = load_finetuning(tuned.latest_checkpoint())
    assert state.best is not None
    assert state.best.update == best["update"] == evaluation(tuned.path)["update"]
    digits = datasets.load("digits").binarize()
    held_out, test = digits.part("validation"), digits.part("test")
    assert finetuning.evaluate(network, held_out)["error"] == pytest.approx(min(errors))
    found = evaluation(tuned.path)
    assert (found["rows"], found["n_rows"]) == ("test", len(test))
    assert found["error"] == pytest.approx(finetuning.evaluate(network, test)["error"])
    assert found["error"] < 0.6  # at random it would be 0.9
    # the stack that pretraining left is not touched
    before = load_dbn(run / "dbn.safetensors").recognition[0].weights
    assert not torch.equal(state.network.all_layers[0].weights, before)


def test_it_starts_from_what_pretraining_has_made(run: Path) -> None:
    done = ran("dbn", "finetune", run, *TUNE, "--epochs", "1", "--learning-rate", "0")
    assert f"starts from the weights of {run}" in done.out
    network = load_network(run / "classifier-2" / "network.safetensors")
    for layer, rbm in zip(
        network.all_layers, load_dbn(run / "dbn.safetensors").recognition, strict=False
    ):
        assert torch.equal(layer.weights, rbm.weights)


def test_a_stack_that_was_not_pretrained_starts_from_random_weights(run: Path) -> None:
    (run / "dbn.safetensors").unlink()
    out = ("--epochs", "1", "--learning-rate", "0", "--out")
    done = ran("dbn", "finetune", run, *TUNE, *out, "by-need")
    said = f"It starts from random weights, because {run} has not been pretrained to its end"
    assert said in done.out
    done = ran("dbn", "finetune", run, *TUNE, *out, "by-wish", "--from-scratch")
    assert "It starts from random weights\n" in done.out
    networks = [load_network(Path(name) / "network.safetensors") for name in ("by-need", "by-wish")]
    assert [layer.weights.shape for layer in networks[0].all_layers] == [(64, 24), (24, 9), (9, 10)]
    for a, b in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(a, b)
    assert networks[0].all_layers[0].weights.std() > 0.3  # far wider than before pretraining


def test_a_stopped_run_goes_on_bit_for_bit(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["dbn", "finetune", str(run), *TUNE, "--dropout-hidden", "0.3", "--every", "7"]
    whole, stopped = (RunDirectory(tmp_path / name) for name in ("whole", "stopped"))
    ran(*options, "--epochs", "10", "--out", str(whole.path))
    append = RunDirectory.append_row

    def interrupt(own: RunDirectory, row: dict[str, float]) -> None:
        append(own, row)
        if len(own.rows()) == 5:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "append_row", interrupt)
        done = harmonium(*options, "--epochs", "10", "--out", str(stopped.path))
    assert done.code == 128 + signal.SIGINT
    assert (
        f"stopped after update 35 of 260; go on with: harmonium resume {stopped.path}" in done.out
    )
    assert not stopped.network_path.exists()
    ran("resume", stopped.path)
    assert stopped.network_path.read_bytes() == whole.network_path.read_bytes()
    assert evaluation(stopped.path) == evaluation(whole.path)

    def numbers(run: RunDirectory) -> list[dict[str, float]]:
        return [{k: row[k] for k in row if k != "rows_per_second"} for row in run.rows()]

    assert numbers(stopped) == numbers(whole)


def test_the_stack_waits_for_the_last_layer(run: Path) -> None:
    ran("dbn", "finetune", run, *TUNE, "--epochs", "2", "--head-epochs", "2", "--out", "head")
    network = load_network(Path("head/network.safetensors"))
    stack = load_dbn(run / "dbn.safetensors").recognition
    for layer, rbm in zip(network.all_layers, stack, strict=False):
        assert torch.equal(layer.weights, rbm.weights)
    assert evaluation(Path("head"))["error"] < 0.9
    ran("resume", "head", "--epochs", "3")
    network = load_network(Path("head/network.safetensors"))
    assert not torch.equal(network.all_layers[0].weights, stack[0].weights)


def test_more_epochs_let_the_rate_fall_to_zero_at_the_new_end(run: Path) -> None:
    ran("resume", run / "classifier", "--epochs", "8")
    tuned = RunDirectory(run / "classifier")
    assert [row["epoch"] for row in tuned.rows()] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert tuned.rows()[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)
    assert tuned.rows()[-2]["learning_rate"] == pytest.approx(0.02 / 8)
    assert tuned.config()["options"]["epochs"] == 8


def test_so_it_does_where_the_new_end_is_all_that_was_kept(run: Path) -> None:
    tuned = RunDirectory(run / "classifier")
    config = tuned.config()
    # as a resumed run leaves it that was killed before its first checkpoint
    tuned.write_config(config | {"options": config["options"] | {"epochs": 8}})
    ran("resume", tuned.path)
    assert tuned.rows()[-2]["learning_rate"] == pytest.approx(0.02 / 8)


def test_patience_ends_a_run_with_a_constant_rate(run: Path) -> None:
    constant = ("--schedule", "constant", "--learning-rate", "0", "--epochs", "100", "--out", "a")
    ran("dbn", "finetune", run, *TUNE, *constant)
    assert [row["epoch"] for row in RunDirectory("a").rows()][-1] == 1 + defaults.PATIENCE


def test_without_validation_all_training_rows_are_learnt_from(run: Path) -> None:
    ran("dbn", "finetune", run, *TUNE, "--epochs", "1", "--no-validation", "--out", "all")
    data = RunDirectory("all").config()["data"]
    parts = datasets.load("digits").parts
    assert data["n_train"] == len(parts["train"]) + len(parts["validation"])
    assert data["n_held_out"] == 0
    assert "held_out_error" not in RunDirectory("all").rows()[0]


def test_pictures_and_numbers_of_a_run(run: Path) -> None:
    options = [option for option in TUNE if option != "--no-figures"]
    for kind, names in (
        ("classifier", {"learning-curves", "confusion", "mistakes"}),
        ("autoencoder", {"learning-curves", "codes", "reconstructions"}),
    ):
        done = ran(
            "dbn",
            "finetune",
            run,
            *options,
            "--epochs",
            "1",
            "--kind",
            kind,
            "--out",
            kind,
            "--json",
        )
        *rows, last = done.objects
        assert {row["event"] for row in rows} == {"row"}
        assert last["rows"] == "test"
        pictures = list(Path(kind, "figures").glob("*.png"))
        assert {path.stem for path in pictures} == names
        for path in pictures:
            assert_is_a_picture(path)


def test_info_says_what_a_run_is(run: Path) -> None:
    said = ran("info", run / "classifier").out
    assert "a fine-tuned classifier, begun at" in said
    assert "--optimizer adam" in said
    facts = json.loads(ran("info", run / "autoencoder", "--json").out)
    assert facts["config"]["options"]["kind"] == "autoencoder"
    assert facts["update"] == facts["last_update"]


# Data without a stack, and rows without many labels


def test_logistic_regression_of_a_data_set() -> None:
    done = ran("dbn", "finetune", "digits", *TUNE, "--epochs", "20")
    assert "a classifier 64-10 on 1,297 rows of digits:train" in done.out
    assert "It starts from random weights\n" in done.out
    run = Path("runs/digits-classifier")
    network = load_network(run / "network.safetensors")
    test = datasets.load("digits").part("test")  # grey values, as nobody binarised them
    assert evaluation(run)["error"] == finetuning.evaluate(network, test)["error"] < 0.1
    assert "begun at random weights" in ran("info", run).out


def test_a_network_of_random_layers_on_a_table_goes_on_bit_for_bit() -> None:
    generator = np.random.default_rng(0)
    rows = 30 + 5 * generator.normal(size=(200, 6))
    np.savez("mine.npz", data=rows, targets=rows[:, 0])
    of_data = (
        "--layers",
        "8",
        "--visible",
        "gaussian",
        "--held-out",
        "0.25",
        "--kind",
        "regressor",
    )
    begun = ("dbn", "finetune", "mine.npz", *TUNE, *of_data, "--schedule", "constant")
    ran(*begun, "--epochs", "40", "--out", "whole")
    ran(*begun, "--epochs", "15", "--out", "part")
    ran("resume", "part", "--epochs", "40")
    assert Path("part/network.safetensors").read_bytes() == (
        Path("whole/network.safetensors").read_bytes()
    )
    data = RunDirectory("whole").config()["data"]
    assert (data["n_train"], data["n_held_out"]) == (150, 50)
    assert evaluation(Path("whole"))["squared_error"] < 12.5  # half of the variance
    ran("dbn", "predict", "whole", "mine.npz", "--out", "p.csv")
    _, predicted = table(Path("p.csv"))
    assert np.square(predicted[:, 1] - rows[:, 0]).mean() < 12.5


def test_some_rows_alone_are_learnt_from(run: Path) -> None:
    tune = [option for option in TUNE if option not in ("--batch-size", "50")]
    done = ran("dbn", "finetune", run, *tune, "--rows", "40", "--epochs", "2", "--out", "few")
    assert "on 40 rows of digits:train:40, 250 held out" in done.out
    config = RunDirectory("few").config()
    assert config["data"]["n_train"] == config["options"]["batch_size"] == 40
    ran("resume", "few", "--epochs", "3")
    assert [row["update"] for row in RunDirectory("few").rows()] == [1, 2, 3]


def test_the_tutorials_patience_ends_a_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classic = partial(Patience.classic, at_least=50)
    monkeypatch.setattr(Patience, "classic", classic)
    still = ("--schedule", "constant", "--learning-rate", "0", "--patience", "classic")
    few = ("--rows", "20", "--batch-size", "20", "--every", "30", "--epochs", "600")
    ran("dbn", "finetune", run, *QUICK, *still, *few, "--out", "a")
    # the first look, at update 30, is the best one: training goes on to twice as many
    assert RunDirectory("a").rows()[-1]["update"] == 60


def test_epochs_are_as_many_as_updates_are_wanted(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "FINETUNING_UPDATES", 78)
    monkeypatch.setattr(defaults, "FINETUNING_ROWS", 2)
    ran("dbn", "finetune", run, *TUNE, "--out", "a")
    tuned = RunDirectory("a")
    assert tuned.config()["options"]["epochs"] == 3  # of 26 minibatches
    assert tuned.rows()[-1]["epoch"] == 3
    monkeypatch.setattr(defaults, "FINETUNING_MOST_EPOCHS", 2)
    ran("dbn", "finetune", run, *TUNE, "--out", "b")
    assert RunDirectory("b").config()["options"]["epochs"] == 2


# Predictions


def test_predictions_are_a_table_of_classes_and_probabilities(run: Path) -> None:
    done = ran("dbn", "predict", run / "classifier", "digits")
    header, rows = table(run / "classifier" / "predictions.csv")
    assert header == ["row", "class", *(f"p_{k}" for k in range(10))]
    digits = datasets.load("digits").binarize().part("test")
    network = load_network(run / "classifier" / "network.safetensors")
    assert isinstance(network, Classifier)
    p = network.outputs(digits).softmax(-1)
    assert rows[:, 0].tolist() == list(range(len(digits)))
    assert torch.equal(torch.from_numpy(rows[:, 2:]).float(), p)
    assert rows[:, 1].tolist() == p.argmax(1).tolist()
    assert digits.labels is not None
    wrong = int((p.argmax(1) != digits.labels).sum())
    assert f"{wrong} of {len(digits)} digits:test rows wrong" in done.out
    for name in ("confusion", "mistakes"):
        assert (run / "classifier" / f"predictions-{name}.png").exists()


def test_predictions_of_a_file_in_an_archive(run: Path) -> None:
    digits = datasets.load("digits")
    values = digits.values[:30].numpy()
    np.save("rows.npy", values)
    out = ("--out", "p.npz", "--json")
    (result,) = ran("dbn", "predict", run / "classifier", "rows.npy", *out).objects
    assert "error" not in result  # without labels there is nothing to score by
    assert result["pictures"] == []
    with np.load("p.npz") as arrays:
        assert arrays["probabilities"].shape == (30, 10)
        assert arrays["probabilities_of"].tolist() == list(range(10))
        chosen = arrays["probabilities"].argmax(1)
        assert arrays["classes"].tolist() == chosen.tolist()
        assert "labels" not in arrays


def test_targets_of_a_table_are_predicted(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 2, (200, 6))
    np.savez("mine.npz", data=rows, targets=50 + 10.0 * rows[:, 0])
    ran("dbn", "train", "mine.npz", *TRAIN, "--epochs", "1", "--batch-size", "20", "--out", "run")
    tune = (*TUNE, "--epochs", "60", "--kind", "regressor")
    ran("dbn", "finetune", "run", *tune)
    assert evaluation(tmp_path / "run" / "regressor")["squared_error"] < 5  # of a variance of 25
    ran("dbn", "predict", "run", "mine.npz")
    header, predicted = table(tmp_path / "run" / "regressor" / "predictions.csv")
    assert header == ["row", "prediction_0"]
    network = load_network("run/regressor/network.safetensors")
    assert isinstance(network, Regressor)
    expected = network.outputs(datasets.load("mine.npz"))[:, 0]
    assert torch.equal(torch.from_numpy(predicted[:, 1]).float(), expected)


# Codes


def test_codes_and_rows_of_codes(run: Path) -> None:
    ran("dbn", "encode", run, "digits")
    with np.load(run / "autoencoder" / "codes.npz") as arrays:
        codes, labels = arrays["codes"], arrays["labels"]
    digits = datasets.load("digits").binarize().part("test")
    assert digits.labels is not None
    assert codes.shape == (len(digits), 9)
    assert labels.tolist() == digits.labels.tolist()
    ran("dbn", "decode", run, run / "autoencoder" / "codes.npz", "--out", "rows.npz")
    network = load_network(run / "autoencoder" / "network.safetensors")
    with np.load("rows.npz") as arrays:
        np.testing.assert_allclose(arrays["rows"], network.outputs(digits).numpy(), atol=1e-5)
    for path in (run / "autoencoder" / "codes.png", Path("rows.png")):
        assert_is_a_picture(path)


def test_a_stack_that_was_not_fine_tuned_is_unrolled_as_it_is(run: Path) -> None:
    shutil.rmtree(run / "autoencoder")
    ran("dbn", "encode", run, "digits", "--split", "validation", "--out", "codes.csv")
    header, rows = table(Path("codes.csv"))
    assert header == ["row", *(f"code_{number}" for number in range(9))]
    digits = datasets.load("digits").binarize().part("validation")
    with torch.no_grad():
        expected = load_dbn(run / "dbn.safetensors").mean_up(digits.rows(torch.arange(len(digits))))
    np.testing.assert_allclose(rows[:, 1:], expected.numpy(), atol=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", "0"), "--epochs is 0; pass 1 or more"),
        (("--patience", "0"), "--patience is 0; pass 1 or more epochs, or `classic`"),
        (("--patience", "long"), "--patience is long; pass 1 or more epochs, or `classic`"),
        (("--rows", "0"), "--rows is 0; pass 1 or more"),
        (("--head-epochs", "-1"), "--head-epochs is -1; pass 0 or more"),
        (("--rows", "2000"), "2000 rows were asked for, but digits:train has 1297; pass 1 to 1297"),
        (("--layers", "9"), "--layers is for a data set, and"),
        (("--no-standardize",), "--standardize is for a data set, and"),
        (("--batch-size", "5000"), "--batch-size is 5000, but digits:train has 1297 training rows"),
        (("--momentum", "0.9", "--optimizer", "adam"), "--momentum is for sgd, and --optimizer is"),
        (("--patience", "3", "--no-validation"), "--patience looks at held-out rows, and --no-val"),
        (("--dropout-hidden", "1"), "dropout of hidden is 1.0; pass a share from 0 to below 1"),
        (("--max-norm", "-1"), "max_norm is -1.0; pass a positive number, or None"),
        (("--learning-rate", "-1"), "learning_rate is -1.0; pass 0 or a positive number"),
        (("--kind", "regressor"), "digits:train has no targets, and a regressor needs them"),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple[str, ...], message: str, run: Path, refused: Refused
) -> None:
    assert message in refused("dbn", "finetune", run, *QUICK, *options)


def test_rows_without_a_label_are_left_out_of_a_classifier() -> None:
    rows = np.random.default_rng(0).integers(0, 2, (60, 5))
    lines = [f"{','.join(map(str, row))},{'abc'[n % 3] if n % 2 else ''}" for n, row in
             enumerate(rows)]  # fmt: skip
    Path("some.csv").write_text("\n".join(["p,q,r,s,t,class", *lines]))
    of_rows = ("--batch-size", "9", "--epochs", "1")
    ran("dbn", "train", "some.csv", "--label", "class", *TRAIN, *of_rows, "--out", "stack")
    said = ran("dbn", "finetune", "stack", *QUICK, "--batch-size", "9", "--out", "tuned")
    assert "rows are left out, because they have no label" in said.out
    of_data = json.loads(Path("tuned/config.json").read_text())["data"]
    assert 0 < of_data["n_train"] <= 30


def test_validation_rows_may_lack_a_label() -> None:
    lines = [f"{k % 2},{k % 3 % 2},{'yes' if k % 2 else 'no'}" for k in range(12)]
    Path("a.csv").write_text("\n".join(["a,b,y", *lines]))
    Path("b.csv").write_text("\n".join(["a,b,y", *lines[:5], "1,0,"]))
    done = ran(
        *("dbn", "finetune", "a.csv", "--label", "y", "--validation-data", "b.csv"),
        *("--epochs", "1", "--batch-size", "4", "--no-figures", "--out", "run"),
    )
    assert "12 rows of a.csv:train, 5 held out" in done.out
    assert "b.csv, 1 of them without a label" in done.out


def test_rows_without_labels_or_of_one_class(refused: Refused) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (40, 5))
    for name, labels, message in (
        ("none", {}, "has no labels, and a classifier needs one for each row"),
        ("one", {"labels": np.full(40, 3)}, "labels of one.npz:train are 3; a classifier needs"),
        ("negative", {"labels": np.arange(40) % 3 - 1}, "are negative (the first is -1, at row"),
    ):
        np.savez(f"{name}.npz", data=rows, **labels)
        run = f"run-{name}"
        ran(
            "dbn",
            "train",
            f"{name}.npz",
            *TRAIN,
            "--epochs",
            "1",
            "--batch-size",
            "9",
            "--out",
            run,
        )
        assert message in refused("dbn", "finetune", run, *QUICK, "--batch-size", "9")


def test_rows_that_cannot_be_predicted(run: Path, refused: Refused) -> None:
    digits = datasets.load("digits")
    values, labels = digits.values[:20].numpy(), digits.labels
    assert labels is not None
    np.save("narrow.npy", values[:, :50])
    assert "has 50 columns, but" in refused("dbn", "predict", run / "classifier", "narrow.npy")
    np.savez("unseen.npz", data=values)
    assert "has no part 'tset'; did you mean 'test'?" in refused(
        "dbn", "predict", run / "classifier", "digits", "--split", "tset"
    )
    for out, message in (
        ("a.txt", "--out is a.txt; pass a name that ends in .csv or .npz"),
        ("none/a.csv", "--out is none/a.csv, and there is no folder none"),
        ("unseen.npz", "unseen.npz exists; choose another --out"),
    ):
        assert message in refused("dbn", "predict", run / "classifier", "digits", "--out", out)


def test_pictures_beside_a_table_are_not_overwritten(run: Path, refused: Refused) -> None:
    for kind, command, source in (
        ("autoencoder", "encode", "digits"),
        ("autoencoder", "decode", "codes.npy"),
        ("classifier", "predict", "digits"),
    ):
        ending = "-confusion" if command == "predict" else ""
        there = Path(f"{command}{ending}.png")
        there.write_bytes(b"a picture of the user's own")
        out = f"{command}.csv"
        message = refused("dbn", command, run / kind, source, "--out", out)
        assert f"{there} exists; choose another --out" in message
        assert there.read_bytes() == b"a picture of the user's own"
        assert not Path(out).exists()


def test_networks_of_the_wrong_kind(run: Path, refused: Refused) -> None:
    message = refused("dbn", "predict", run / "autoencoder", "digits")
    assert "holds an autoencoder, which predicts nothing; harmonium dbn encode" in message
    message = refused("dbn", "encode", run / "classifier", "digits")
    assert "holds a classifier, which has no codes; make an autoencoder with" in message
    message = refused("dbn", "predict", run, "digits")
    assert "holds several fine-tuned networks; pass one of" in message
    message = refused("dbn", "predict", run / "layers" / "1", "digits")
    assert "is the run of a single RBM" in message
    message = refused("sample", run / "classifier")
    assert "holds a fine-tuned network, which is no RBM; harmonium dbn predict" in message
    message = refused("dbn", "finetune", run / "classifier")
    assert "is a fine-tuning; pass the run of a deep belief network" in message
    np.save("codes.npy", np.zeros((3, 4)))
    message = refused("dbn", "decode", run, "codes.npy")
    assert "codes have 4 columns, but this autoencoder's have 9" in message
    for name in ("classifier", "autoencoder"):
        shutil.rmtree(run / name)
    message = refused("dbn", "predict", run, "digits")
    assert "nothing has been fine-tuned in" in message


def test_data_that_cannot_be_learnt_from(refused: Refused) -> None:
    message = refused("dbn", "finetune", "no-such")
    assert "no-such does not exist" in message and "named data sets are digits" in message
    message = refused("dbn", "finetune", "digits", "--held-out", "0.3")
    assert "--held-out is for data without parts of their own, and digits has train" in message
    message = refused("dbn", "finetune", "digits", "--layers", "20,0")
    assert "--layers is 20,0, and layer 2 has 0 units; pass 1 or more" in message
    message = refused("dbn", "finetune", "digits", "--kind", "autoencoder")
    assert "an autoencoder needs hidden layers; pass --layers, such as 500,30" in message
    np.savez("real.npz", data=np.full((20, 3), 7.5), labels=np.arange(20) % 2)
    as_states = ("--visible", "binary", "--layers", "4", "--batch-size", "9")
    message = refused("dbn", "finetune", "real.npz", *as_states)
    assert "7.5" in message


def test_resuming_what_has_changed(refused: Refused) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (40, 5))
    np.savez("mine.npz", data=rows, labels=rows[:, 0])
    quick = ("--batch-size", "9", "--epochs", "1")
    ran("dbn", "train", "mine.npz", *TRAIN, *quick, "--out", "run")
    ran("dbn", "finetune", "run", *QUICK, *quick)
    message = refused("resume", "run/classifier", "--chains", "5")
    assert (
        "is a fine-tuning, whose options are others than those of an RBM; leave --chain" in message
    )
    np.savez("mine.npz", data=rows, labels=rows[:, 1])
    message = refused("resume", "run/classifier")
    assert "their labels or their targets have changed since run/classifier was begun" in message


def test_a_run_is_not_overwritten_unless_told_to(run: Path, refused: Refused) -> None:
    message = refused("dbn", "finetune", run, *QUICK, "--out", run / "classifier")
    assert "exists; choose another --out, go on with" in message
    ran("dbn", "finetune", run, *TUNE, "--epochs", "1", "--out", run / "classifier", "--overwrite")
    assert RunDirectory(run / "classifier").rows()[-1]["epoch"] == 1
