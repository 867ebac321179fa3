"""``harmonium dbn``: a network's run, its layers as runs of their own, stopping, and dreams."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from cli.commands import Done, harmonium, start
from cli.test_stopping import numbers, wait_for
from harmonium import Gibbs, Penalties, Purpose, Stream, checkpoint, datasets, rng
from harmonium.cli import app
from harmonium.deep import (
    DBN,
    LayerOptions,
    PretrainingState,
    drawn_features,
    load_dbn,
    mean_features,
    pretraining,
)
from harmonium.run_directory import Network, RunDirectory
from harmonium.runs import layers as layer_options
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rating_options import RatingOptions
from harmonium.units import Binary

QUICK = ("--layers", "8,6", "--threads", "1", "--no-figures", "--no-tensorboard", "--validation")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def dbn_train(*arguments: str | Path) -> Done:
    return ran("dbn", "train", *QUICK, *arguments)


@pytest.fixture(scope="session")
def finished_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled network of two layers, to be read only."""
    path = tmp_path_factory.mktemp("networks") / "digits"
    dbn_train("--epochs", "3,2", "--every", "13", "--labels", "--out", path)
    return path


@pytest.fixture
def network(finished_network: Path, tmp_path: Path) -> Path:
    """A copy of that network, to do anything with."""
    return Path(shutil.copytree(finished_network, tmp_path / "network"))


def options_of_layers(run: Path) -> list[dict[str, Any]]:
    return [
        json.loads((run / f"layers/{number}/config.json").read_text())["options"]
        for number in range(1, 1 + len(list((run / "layers").iterdir())))
    ]


def archive(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


# training


def test_training_leaves_a_run_for_each_layer_and_pictures_of_the_whole(tmp_path: Path) -> None:
    quick = ("--layers", "8,6", "--epochs", "1", "--threads", "1", "--no-tensorboard")
    done = ran("dbn", "train", *quick)
    run = tmp_path / "runs/digits-dbn"
    for said in (
        "layer 1 of 2: RBM(Binary(n=64), Binary(n=8)) on 1,547 rows of digits:train+validation",
        "layer 2 of 2: RBM(Binary(n=8), Binary(n=6)) on 1,547 rows of 8 features of digits:train",
        "network   runs/digits-dbn/dbn.safetensors",
        "harmonium dbn sample runs/digits-dbn",
    ):
        assert said in done.out
    # after one epoch the layers are no better than independent columns, which is said
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "dbn.safetensors", "figures", "layers", "report.html", "warnings.json")
    }
    pictures = {path.name for path in (run / "figures").glob("*.png")}
    assert pictures == {*("filters-1.png", "filters-2.png", "reconstructions.png", "samples.png")}
    assert len(list((run / "figures/film").iterdir())) == 40
    for picture in [*(run / "figures").rglob("*.png"), *run.glob("layers/*/figures/*curves.png")]:
        with Image.open(picture) as image:
            assert image.convert("RGB").getcolors(2) is None, picture  # more than two
    assert len(list(run.glob("layers/*/figures/learning-curves.png"))) == 2
    dbn = load_dbn(run / "dbn.safetensors")
    assert [rbm.hidden.n for rbm in dbn.stack] == [8, 6]
    for number, rbm in enumerate(dbn.stack, start=1):
        own = checkpoint.load_model(run / f"layers/{number}/model.safetensors")
        assert torch.equal(own.weights, rbm.weights)


def test_the_first_layer_is_what_an_rbm_of_its_own_would_be() -> None:
    options = ("--epochs", "2", "--sweeps", "2", "--seed", "3")
    dbn_train(*options, "--out", "deep")
    flat = ("--hidden", "8", *QUICK[2:])
    ran("train", *flat, *options, "--out", "flat")
    one, other = (Path(run, "model.safetensors") for run in ("deep/layers/1", "flat"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("features", ["draws", "means"])
def test_the_network_is_that_of_the_library(features: str) -> None:
    """One job behind two doors: the same options in Python end in the same bits."""
    each = ("--epochs", "2,3", "--learning-rate", "0.1,0.2", "--method", "pcd,cd")
    constant = ("--schedule", "constant", "--final-sweeps", "1", "--average", "0.9,0")
    dbn_train(*each, *constant, "--features", features, "--seed", "3", "--out", "run")
    data, _, _ = datasets.load("digits").binarize().split()
    make = {"draws": drawn_features, "means": mean_features}[features]
    shared = {"features": make, "penalties": Penalties(l1=3e-5, l2=1e-4), "sampler": Gibbs(1)}
    options = [
        LayerOptions(epochs=2, learning_rate=0.1, average_decay=0.9, **shared),
        LayerOptions(epochs=3, learning_rate=0.2, n_chains=None, **shared),
    ]
    state = PretrainingState.create(DBN.of(Binary(64), Binary(8), Binary(6)), options, seed=3)
    for _ in pretraining.updates(state, data):
        pass
    kept = load_dbn("run/dbn.safetensors")
    for name, parameter in state.dbn.named_parameters():
        assert torch.equal(parameter, kept.get_parameter(name)), name


def test_layers_have_values_of_their_own() -> None:
    each = ("--epochs", "1,2", "--learning-rate", "0.1, 0.2", "--hidden-units", "binary,spin")
    dbn_train(*each, "--sparsity-target", "none", "--batch-size", "50", "--out", "run")
    first, second = options_of_layers(Path("run"))
    assert (first["epochs"], second["epochs"]) == (1, 2)
    assert (first["learning_rate"], second["learning_rate"]) == (0.1, 0.2)
    assert (first["hidden_units"], second["hidden_units"]) == ("binary", "spin")
    assert (first["batch_size"], second["batch_size"]) == (50, 50)
    assert second["data"] == "../1"
    assert second["seed"] == rng.seed_of_layer(first["seed"], 1) == 2**32


def test_layers_of_any_units_stand_on_each_other() -> None:
    units = ("--hidden-units", "categorical,gaussian,spin,binary", "--layers", "8,4,5,3")
    ran("dbn", "train", *QUICK[2:], *units, "--labels", "--hidden-categories", "3,none,none,none",
        *("--epochs", "1", "--learning-rate", "0.01", "--out", "run"))  # fmt: skip
    dbn = load_dbn("run/dbn.safetensors")
    kinds = [type(rbm.hidden).__name__ for rbm in dbn.stack]
    assert kinds == ["Categorical", "Gaussian", "Spin", "Binary"]
    encodings = [
        json.loads(Path(f"run/layers/{n}/config.json").read_text())["data"]["encoding"]["kind"]
        for n in range(1, 5)
    ]
    assert encodings == ["Threshold", "AsIs", "AsIs", "Labelled"]
    ran("dbn", "sample", "run", "--chains", "2", "--samples", "1", "--warmup", "1")
    assert "of 16 updates" not in ran("info", "run").out


def test_every_option_of_an_rbm_is_one_of_a_network() -> None:
    commands: Any = typer.main.get_command(app)
    of_rbm = commands.commands["train"].params
    of_network = {p.name: p for p in commands.commands["dbn"].commands["train"].params}
    of_ratings = {of.name for of in fields(RatingOptions)} - {
        of.name for of in fields(TrainingOptions)
    }
    # `layers` takes the place of one, and a network takes whole rows
    assert {p.name for p in of_rbm} - {*of_network} == {"hidden", "missing", *of_ratings}
    assert {*of_network} - {p.name for p in of_rbm} == {"layers", "features", "labels"}
    assert {"epochs", "learning_rate", "method", "sampler", "chains"} <= {*layer_options.OF_EACH}
    for name in layer_options.OF_EACH:
        assert of_network[name].default is None
        assert of_network[name].help.endswith("One value, or one per layer.")


def test_rows_of_a_machine_readable_run_say_their_layer() -> None:
    done = dbn_train("--epochs", "1", "--every", "13", "--json", "--out", "run")
    rows = [row for row in done.objects if row["event"] == "row"]
    assert [row["layer"] for row in rows] == [1, 2]
    assert [row["event"] for row in done.objects][-1] == "finished"
    assert sum(row["event"] == "finished" for row in done.objects) == 1


# layers are runs


def test_commands_on_layers_work_wherever_the_network_is_moved(network: Path) -> None:
    for number in (1, 2):
        layer = network / f"layers/{number}"
        assert "--hidden" in ran("info", layer).out
        if number == 1:  # the labels beside the features of the second are no values of a row's own
            ran("evaluate", layer, "--split", "held-out")
            ran("reconstruct", layer)
            ran("sample", layer, "--chains", "2", "--samples", "1", "--warmup", "1")
    dbn_train("--epochs", "1", "--out", "plain")
    shutil.move("plain", "moved")
    done = ran("evaluate", "moved/layers/2", "--split", "train", "--rows", "20")
    assert "(exact)" in done.out
    ran("reconstruct", "moved/layers/2")
    assert archive(Path("moved/layers/2/reconstructions.npz"))["errors"].shape == (250,)


def test_a_run_can_be_the_data_of_another(run: Path) -> None:
    quick = ("--threads", "1", "--no-figures", "--no-tensorboard", "--epochs", "2")
    ran("train", run, "--hidden", "5", *quick, "--out", "above")
    below = checkpoint.load_model(run / "model.safetensors")
    above = checkpoint.load_model(Path("above/model.safetensors"))
    assert (above.visible.n, above.hidden.n) == (below.hidden.n, 5)
    ran("resume", "above", "--epochs", "3", "--every", "5")
    ran("evaluate", "above")
    # another model below is another set of data
    ran("resume", run, "--epochs", "4")
    assert "have changed since above was begun" in harmonium("resume", "above").err


def test_a_run_below_is_used_as_it_is(run: Path, refused: Callable[..., str]) -> None:
    said = refused("train", run, "--hidden", "5", "--visible", "spin")
    assert "--visible is spin, but the hidden units of" in said and "pass --visible binary" in said
    said = refused("train", run, "--binarize", "0.5")
    assert "pass `stochastic` to draw their states anew" in said
    assert "holds out the rows that it held out" in refused("train", run, "--validation")
    (run / "model.safetensors").unlink()
    assert "has no finished model whose hidden units" in refused("train", run)


# stopping


def all_models(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.safetensors")}


def assert_same(run: Path, never_stopped: Path) -> None:
    ours, theirs = (all_models(path) for path in (run, never_stopped))
    last = {name for name in theirs if "update-" not in name or "update-000000026" in name}
    assert len(last) == 5
    for name in last:
        assert ours[name] == theirs[name], name
    for number in (1, 2):
        assert numbers(run / f"layers/{number}") == numbers(never_stopped / f"layers/{number}")
    assert [path for path in run.rglob("*") if path.name.startswith(".")] == []


OFTEN = ("--epochs", "2", "--every", "5", "--checkpoint-every", "0", "--chains", "30")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_network_killed_at_any_point_and_resumed_is_bit_identical(tmp_path: Path) -> None:
    arguments = ["dbn", "train", *QUICK, *OFTEN, "--labels", "--momentum", "0.5"]
    ran(*arguments, "--out", "never")
    chance = random.Random(1)
    # an update is three calls, a layer's 26 updates some 80: in the first, between both, later
    for point in (chance.randrange(9), chance.randrange(12, 70), 87, 93, 120):
        run, log = tmp_path / str(point), tmp_path / "log"
        process = start([*arguments, "--out", str(run)], log, crash_at=point)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, log.read_text()
        if run.exists():
            ran("resume", run)
        else:
            assert point < 12
            ran(*arguments, "--out", run)
        assert_same(run, tmp_path / "never")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_stopped_network_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    arguments = ["dbn", "train", *QUICK, "--epochs", "2,150", "--every", "20"]
    run, log = tmp_path / "net work", tmp_path / "log"
    process = start([*arguments, "--out", str(run)], log)
    metrics = run / "layers/2/metrics.jsonl"
    wait_for(lambda: metrics.exists() and bool(numbers(metrics.parent)))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    said = log.read_text()
    assert process.exitcode == 130, said
    assert f"go on with: harmonium resume '{run}'" in said and "Traceback" not in said
    assert not (run / "dbn.safetensors").exists()
    assert "go on     harmonium resume" in ran("info", run).out
    error = harmonium("dbn", "sample", run).err
    assert "is not finished: 2 of 2 layers have been begun; go on with harmonium resume" in error

    assert "layer 1 of 2" not in ran("resume", run).out
    ran(*arguments, "--out", "never")
    never = all_models(Path("never"))
    assert all_models(run)["dbn.safetensors"] == never["dbn.safetensors"]


def test_a_finished_network_can_be_resumed_and_stays_as_it_is(network: Path) -> None:
    before = all_models(network)
    ran("resume", network)
    assert all_models(network) == before


# what it holds


def test_info_tells_of_each_layer(network: Path) -> None:
    said = ran("info", network).out
    assert "layer 1   8 hidden units, 39 of 39 updates; reconstruction error" in said
    assert "layer 2   6 hidden units, 26 of 26 updates" in said
    assert "labels    10 classes, seen by the top layer" in said
    (facts,) = ran("info", network, "--json").objects
    assert [layer["update"] for layer in facts["layers"]] == [39, 26]


def test_pictures_are_drawn_anew(network: Path) -> None:
    ran("plot", network)
    names = ("classes", "filters-1", "filters-2", "reconstructions", "samples")
    assert sorted(path.stem for path in (network / "figures").glob("*.png")) == sorted(names)


def test_dreams_are_written_and_drawn(network: Path) -> None:
    quick = ("--chains", "6", "--samples", "2", "--warmup", "5")
    ran("dbn", "sample", network, *quick)
    first = archive(network / "samples.npz")
    assert first["samples"].shape == first["means"].shape == (6, 2, 64)
    assert set(np.unique(first["samples"])) <= {0, 1}
    assert (network / "samples.png").exists()
    ran("dbn", "sample", network, *quick)
    assert np.array_equal(archive(network / "samples-2.npz")["samples"], first["samples"])
    ran("dbn", "sample", network, *quick, "--seed", "1")
    assert not np.array_equal(archive(network / "samples-3.npz")["samples"], first["samples"])


@pytest.mark.parametrize("begin", ["data", "random", "chains", "annealed", "tempered"])
def test_dreams_start_anywhere(begin: str, network: Path) -> None:
    quick = ("--chains", "3", "--samples", "1", "--warmup", "1", "--start", begin)
    temperatures = ("--temperatures", "5") if begin in ("annealed", "tempered") else ()
    ran("dbn", "sample", network, *quick, *temperatures)
    assert archive(network / "samples.npz")["samples"].shape == (3, 1, 64)


def test_dreams_of_classes_are_of_them(network: Path) -> None:
    quick = ("--chains", "5", "--samples", "2", "--warmup", "5")
    ran("dbn", "sample", network, *quick, "--class", "7,3")
    assert archive(network / "samples.npz")["classes"].tolist() == [
        *([7, 7], [7, 7], [7, 7], [3, 3], [3, 3])
    ]
    quick = ("--chains", "10", "--samples", "1", "--warmup", "1")
    ran("dbn", "sample", network, *quick, "--class", "all")
    assert archive(network / "samples-2.npz")["classes"].ravel().tolist() == list(range(10))


HALVES = {"top": slice(0, 4), "bottom": slice(4, 8)}


def black_and_white(part: str, n: int) -> np.ndarray:
    """The first digits of a part as the network sees them."""
    data = datasets.load("digits").part(part).binarize()
    return data.rows(torch.arange(n), Stream(0, Purpose.ENCODE)).numpy()


@pytest.mark.parametrize("completion", [None, "metropolis"])
@pytest.mark.parametrize("clamp", ["top", "bottom", "0-9,20"])
def test_clamped_columns_are_those_of_held_out_rows(
    clamp: str, completion: str | None, network: Path
) -> None:
    how = () if completion is None else ("--completion", completion)
    quick = ("--chains", "6", "--samples", "3", "--warmup", "20", "--sweeps-per-sample", "5")
    done = ran("dbn", "sample", network, "--clamp", clamp, *quick, *how)
    assert ("of the proposals of all hidden units" in done.out) == (completion == "metropolis")
    pixels = np.arange(64).reshape(8, 8)
    held = pixels[HALVES[clamp]].ravel() if clamp in HALVES else np.array([*range(10), 20])
    free = np.setdiff1d(pixels, held)
    rows = black_and_white("validation", 6)
    kept = archive(network / "samples.npz")
    for name in ("samples", "means"):
        for sample in range(3):
            assert np.allclose(kept[name][:, sample][:, held], rows[:, held])
    assert not np.array_equal(kept["samples"][:, 2][:, free], rows[:, free])
    assert kept["classes"].shape == (6, 3)


@pytest.mark.parametrize("completion", ["pseudo-gibbs", "metropolis"])
def test_completed_rows_can_be_of_a_file_and_of_chosen_classes(
    completion: str, network: Path
) -> None:
    np.save("rows.npy", datasets.load("digits").part("test").values[:4].numpy())
    rows = black_and_white("test", 4)
    quick = ("--chains", "4", "--samples", "2", "--warmup", "3", "--sweeps-per-sample", "1")
    chosen = ("--clamp", "left", "--class", "7,3", "--data", "rows.npy")
    done = ran("dbn", "sample", network, *chosen, *quick, "--completion", completion, "--json")
    kept = archive(network / "samples.npz")
    assert kept["classes"].tolist() == [[7, 7], [7, 7], [3, 3], [3, 3]]
    left = np.arange(64).reshape(8, 8)[:, :4].ravel()
    assert np.allclose(kept["samples"][:, 1][:, left], rows[:, left])
    told = done.objects[-1]
    for name in ("acceptance", "acceptance_of_few"):
        assert (name in told) == (completion == "metropolis")
        assert 0 <= told.get(f"least_{name}", 0) <= told.get(name, 1) <= 1


# what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--layers 8,0", "--layers is 8,0, and layer 2 has 0 units; pass 1 or more"),
        ("--layers 8,x", "--layers is '8,x'; pass the hidden units of each layer, separated by"),
        (
            "--layers 8,6,4 --epochs 1,2",
            "--epochs has 2 values (1,2), but --layers has 3; pass one value for all layers, or 3",
        ),
        ("--layers 8,6 --epochs 1,x", "--epochs is 'x'; pass whole numbers"),
        ("--layers 8,6 --l2 1,x", "--l2 is 'x'; pass numbers"),
        ("--layers 8,6 --method cd,pdc", "--method is 'pdc'; pass one of pcd, cd"),
        ("--layers 8,6 --epochs 1,0", "layer 2: --epochs is 0; pass 1 or more"),
        ("--layers 8,6 --method cd,pcd --chains 5", "layer 1: --chains is for persistent chains"),
        ("--layers 8 --labels", "--layers is 8; pass two layers or more"),
        (
            "--layers 8,6 --hidden-units gaussian,binary --features draws",
            "--features draws draws states of two values, and --hidden-units is gaussian",
        ),
        ("--layers 8,6 --batch-size 100,2000", "--batch-size is 2000, but digits:train+validation"),
    ],
)
def test_options_that_fit_no_layer_are_refused(
    options: str, said: str, refused: Callable[..., str]
) -> None:
    assert said in refused("dbn", "train", *options.split())


def test_labels_that_are_not_there_are_refused(refused: Callable[..., str]) -> None:
    Path("mine.csv").write_text("0,1\n1,0\n" * 20)
    said = refused("dbn", "train", "mine.csv", "--layers", "3,2", "--labels")
    assert "--labels needs the class of each row, and mine" in said and "has no labels" in said


def test_networks_and_runs_are_told_apart(
    network: Path, run: Path, refused: Callable[..., str]
) -> None:
    said = refused("evaluate", network)
    assert "holds a deep belief network; pass one of its layers" in said
    assert f"{network}/layers/1, {network}/layers/2" in said
    assert "is the run of a single RBM" in refused("dbn", "sample", run)
    assert "go on with all of it: harmonium resume" in refused("resume", network / "layers/1")
    assert "leave --epochs out" in refused("resume", network, "--epochs", "9")
    assert "leave --l2 out" in refused("resume", network, "--l2", "0.1")
    assert "exists; choose another --out" in refused("dbn", "train", "--out", network)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--clamp middle", "--clamp is 'middle'; pass top, bottom, left, right, or columns such"),
        ("--clamp 60-64", "--clamp names columns 60-64, but there are columns 0 to 63"),
        ("--clamp 0-63", "--clamp 0-63 holds all 64 columns, and nothing is left to complete"),
        ("--clamp top --start random", "--clamp holds columns of data rows, and --start is random"),
        ("--clamp top --sampler tempering", "with --clamp all layers move; leave it out, or take"),
        ("--clamp top --chains 251", "--chains is 251, but digits:validation has 250 rows"),
        ("--clamp top --class x", "--class is 'x'; pass classes from 0 to 9"),
        ("--clamp top --data narrow.npy", "narrow.npy has 5 columns, but"),
        ("--completion metropolis", "--completion is for --clamp, and there is none"),
        ("--class 10", "--class is '10'; pass classes from 0 to 9, such as 0,3, or all"),
        ("--class x", "--class is 'x'; pass classes from 0 to 9"),
        ("--class all --chains 9", "--chains is 9, and --class names 10 classes; pass 10 chains"),
        ("--data x.npy --start random", "--data is for --start data, and --start is random"),
        ("--chains 501 --start chains", "has kept 500 chains"),
        ("--out x.png", "pass a name that ends in .hapt or .csv or .npz"),
    ],
)
def test_dreams_that_cannot_be_are_refused(
    options: str, said: str, network: Path, refused: Callable[..., str]
) -> None:
    np.save("narrow.npy", np.zeros((30, 5)))
    assert said in refused("dbn", "sample", network, *options.split())


def test_classes_of_a_network_without_labels_are_refused(refused: Callable[..., str]) -> None:
    dbn_train("--epochs", "1", "--out", "plain")
    assert "this network has none; train one with --labels" in refused(
        "dbn", "sample", "plain", "--class", "3"
    )


def test_another_model_below_is_noticed(network: Path, refused: Callable[..., str]) -> None:
    shutil.copy(network / "layers/1/model.safetensors", "kept.safetensors")
    ran("train", *QUICK[2:], "--hidden", "8", "--epochs", "1", "--out", "other")
    shutil.copy("other/model.safetensors", network / "layers/1/model.safetensors")
    assert "have changed since" in refused("resume", network)


def test_a_network_of_a_newer_harmonium_is_refused(
    network: Path, refused: Callable[..., str]
) -> None:
    config = Network(RunDirectory(network)).run.config()
    RunDirectory(network).write_config(config | {"format": 2})
    assert "has format 2, and this harmonium reads up to 1" in refused("dbn", "sample", network)
