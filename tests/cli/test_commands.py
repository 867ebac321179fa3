"""What each command makes and says, on a small run: the files, the numbers in them, the lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.commands import QUICK, Done, harmonium, start
from harmonium import Purpose, Stream, checkpoint, datasets
from harmonium.cli.spelling import flag
from harmonium.runs.options import TrainingOptions
from harmonium.runs.watching_options import WatchingOptions

Train = Callable[..., Done]


def ran(*arguments: str | Path) -> Done:
    """Run a command that has to end well."""
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def assert_shows_something(path: Path) -> None:
    with Image.open(path) as image:
        assert image.convert("RGB").getcolors(2) is None, path  # more than two


def tallness(path: Path) -> float:
    with Image.open(path) as image:
        return image.height / image.width


def archive(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


# train


def test_training_leaves_a_run_directory_and_a_summary(tmp_path: Path) -> None:
    done = ran("train", "--hidden", "8", "--epochs", "2", "--threads", "1", "--no-tensorboard")
    run = tmp_path / "runs/digits"
    assert "1,547 rows of digits:train+validation, 250 held out" in done.out
    assert "epoch 2 · update 32 · log-likelihood" in done.out
    for said in ("trained for", "runs/digits/model.safetensors", "harmonium sample runs/digits"):
        assert said in done.out
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "metrics.jsonl", "model.safetensors", "checkpoints", "figures"),
        # two epochs are too few to learn anything
        *("report.html", "warnings.json"),
    }
    names = ("filters", "samples", "reconstructions", "learning-curves", "weights")
    for name in (*names, "hidden-activity"):
        assert_shows_something(run / f"figures/{name}.png")
    assert len(list((run / "figures/film").iterdir())) == 40
    rbm = checkpoint.load_model(run / "model.safetensors")
    assert (rbm.visible.n, rbm.hidden.n) == (64, 8)


def test_the_model_is_that_of_the_library(train: Train, tmp_path: Path) -> None:
    """One job behind two doors: the same options in Python end in the same bits."""
    from harmonium import RBM, Binary, Gibbs, Minibatches, Penalties, TrainingState, training

    options = ("--seed", "3", "--sweeps", "2", "--chains", "70")
    train(*options, "--epochs", "2", "--out", "run")
    data, _, _ = datasets.load("digits").split()
    rbm = RBM(Binary(64), Binary(8)).init_from_data_(data, seed=3)
    batches = Minibatches(data, 100)
    state = TrainingState.create(
        rbm,
        sampler=Gibbs(sweeps=2),
        phases=training.final_phase(Gibbs(sweeps=3), 2 * len(batches)),
        n_chains=70,
        learning_rate=0.4,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 2 * len(batches)),
        penalties=Penalties(l1=3e-5, l2=1e-4),
        average_decay=0.999,
        seed=3,
    )
    for _ in training.updates(state, batches, epochs=2):
        pass
    kept = checkpoint.load_model(tmp_path / "run/model.safetensors")
    for name, parameter in kept.named_parameters():
        assert torch.equal(parameter, state.model.get_parameter(name)), name


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"learning_rate": 0.4, "chains": 500, "final_sweeps": 3, "batch_size": 100}),
        ("--sweeps 15 --batch-size 20", {"chains": 20, "final_sweeps": 15}),
        ("--method cd", {"learning_rate": 0.4, "chains": None, "final_sweeps": 1}),
        ("--schedule constant", {"learning_rate": 0.1, "final_sweeps": 3}),
        ("--visible gaussian", {"learning_rate": 0.1, "chains": 500}),
        ("--hidden-units gaussian", {"learning_rate": 0.1, "chains": 500}),
        ("--hidden-units drelu", {"learning_rate": 0.25, "chains": 500}),
        ("--hidden-units relu --gradient plain", {"learning_rate": 0.1}),
        ("--optimizer adam --learning-rate 0.01", {"learning_rate": 0.01}),
        ("--sampler tempering --chains 5", {"final_sweeps": None, "chains": 5}),
    ],
)
def test_defaults_that_depend_on_other_options_are_written_down(
    options: str, expected: dict[str, object], train: Train
) -> None:
    train("--epochs", "1", *options.split(), "--out", "run")
    kept = json.loads(Path("run/config.json").read_text())["options"]
    assert {name: kept[name] for name in expected} == expected


def test_grey_pictures_are_made_black_and_white_unless_somebody_says_otherwise() -> None:
    for name, options in (("default", ()), ("grey", ("--binarize", "none"))):
        ran("train", "--hidden", "8", "--epochs", "1", "--no-figures", *options, "--out", name)
    kept = {
        name: json.loads(Path(name, "config.json").read_text())["data"]["encoding"]["kind"]
        for name in ("default", "grey")
    }
    assert kept == {"default": "Threshold", "grey": "Scaled"}


def test_validation_rows_are_trained_on_unless_somebody_holds_them_out() -> None:
    quick = ("--hidden", "8", "--epochs", "1", "--no-figures", "--no-tensorboard")
    done = ran("train", *quick, "--out", "all")
    assert "1,547 rows of digits:train+validation, 250 held out" in done.out
    done = ran("train", *quick, "--validation", "--out", "some")
    assert "1,297 rows of digits:train, 250 held out" in done.out
    kept = (json.loads(Path(name, "config.json").read_text())["data"] for name in ("all", "some"))
    watched = [of["held_out_fingerprint"] for of in kept]
    whole = datasets.load("digits").binarize()
    assert watched == [whole.part(name).fingerprint() for name in ("test", "validation")]


def test_some_rows_alone_are_trained_on() -> None:
    quick = ("--hidden", "8", "--epochs", "1", "--no-figures", "--no-tensorboard")
    done = ran("train", *quick, "--rows", "40", "--batch-size", "10", "--out", "few")
    assert "on 40 rows of digits:train+validation:40, 250 held out" in done.out
    rows = datasets.load("digits").binarize().join("train", "validation").draw_rows(40, seed=0)
    kept = json.loads(Path("few/config.json").read_text())["data"]
    assert kept["fingerprint"] == rows.fingerprint()
    again = ran("resume", "few", "--epochs", "2")  # on the same rows, or it would be refused
    assert "on 40 rows" in again.out
    done = ran("train", "few", *quick, "--rows", "20", "--batch-size", "10", "--out", "above")
    assert "on 20 rows of 8 features of digits" in done.out


def test_a_second_run_gets_a_name_of_its_own(train: Train, tmp_path: Path) -> None:
    for _ in range(3):
        train("--epochs", "1")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        *("digits", "digits-2", "digits-3")
    ]


def test_overwriting_replaces_the_whole_run(train: Train, run: Path) -> None:
    (run / "samples.npz").write_bytes(b"of the old model")
    train("--epochs", "1", "--out", run, "--overwrite")
    assert not (run / "samples.npz").exists()
    assert json.loads((run / "config.json").read_text())["options"]["epochs"] == 1


@pytest.mark.parametrize(
    "options",
    [
        "--visible spin --binarize 0.5",
        "--visible gaussian --learn-precision --learning-rate 0.01",
        "--visible gaussian --no-standardize --hidden-units gaussian --learning-rate 0.001",
        "--hidden-units drelu",
        "--visible relu --learn-precision --hidden-units relu --learning-rate 0.001",
        "--visible drelu --learn-precision --learning-rate 0.01",
        "--visible binomial --trials 4 --hidden-units gaussian --learning-rate 0.01",
        "--visible poisson",
        "--visible categorical --hidden-units spin",
        "--hidden-units categorical --hidden-categories 3",
        "--method cd --gradient plain --momentum 0.5 --l1 0.001 --l2 0.001",
        "--optimizer adamw --schedule linear --average 0.9 --held-out 0",
        "--image-shape 2x3",
    ],
)
def test_every_kind_of_model_is_trained_sampled_and_drawn(
    options: str, train: Train, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (60, 6))
    Path("mine.csv").write_text("\n".join(",".join(map(str, row)) for row in values))
    train("mine.csv", *options.split(), "--epochs", "2", "--batch-size", "20", "--figures")
    run = Path("runs/mine")
    ran("sample", run, "--chains", "3", "--samples", "2", "--warmup", "2", "--start", "data")
    ran("reconstruct", run)
    ran("reconstruct", run, "--data", "mine.csv")
    assert archive(run / "samples.npz")["samples"].shape == (3, 2, 6)
    assert archive(run / "reconstructions-2.npz")["reconstructions"].shape == (60, 6)
    assert len(list(run.glob("figures/*.png"))) == 6
    if not re.search("--visible (gaussian|d?relu|binomial|poisson)", options):
        # samples come back as the user's own values, whatever the units see
        assert set(np.unique(archive(run / "samples.npz")["samples"])) <= {0, 1}


def test_files_of_grey_pictures_are_scaled_and_drawn_as_pictures(train: Train) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (40, 12), dtype=np.uint8)
    np.save("grey.npy", grey)
    train(
        "grey.npy",
        "--image-shape",
        "3x4",
        "--binarize",
        "0.5",
        "--epochs",
        "1",
        "--batch-size",
        "20",
    )
    config = json.loads(Path("runs/grey/config.json").read_text())
    assert config["data"]["image_shape"] == [3, 4]
    ran("sample", "runs/grey", "--clamp", "top", "--chains", "4", "--samples", "1", "--warmup", "1")


# watching


def test_json_is_an_object_a_line_and_sentences_go_elsewhere(train: Train) -> None:
    done = train("--epochs", "3", "--every", "13", "--json")
    *rows, last = done.objects
    assert [(row["event"], row["update"]) for row in rows] == [("row", u) for u in (13, 26, 39)]
    assert last["event"] == "finished" and last["run"] == "runs/digits"
    kept = [json.loads(line) for line in Path("runs/digits/metrics.jsonl").read_text().splitlines()]
    assert [{"event": "row"} | row for row in kept] == rows
    assert "model" in done.err


def test_rows_say_everything_that_is_watched(run: Path) -> None:
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert row.keys() >= {
        *("update", "epoch", "learning_rate"),
        *("pseudo_log_likelihood", "held_out_pseudo_log_likelihood"),
        *("reconstruction_error", "held_out_reconstruction_error", "free_energy_gap"),
        *("update_ratio", "dead_hidden", "saturated_hidden"),
        *("visible_flip_rate", "hidden_flip_rate", "rows_per_second", "sweeps_per_second"),
    }


def test_watching_changes_nothing_that_is_learned(run: Path, train: Train, tmp_path: Path) -> None:
    train("--epochs", "3", "--every", "1", "--checkpoint-every", "0", "--figures", "--out", "other")
    model = (tmp_path / "other/model.safetensors").read_bytes()
    assert model == (run / "model.safetensors").read_bytes()


def test_event_files_hold_the_rows(train: Train) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train("--epochs", "2", "--every", "13", "--tensorboard")
    events = EventAccumulator("runs/digits/tensorboard")
    events.Reload()
    told = {event.step: event.value for event in events.Scalars("pseudo_log_likelihood")}
    rows = [json.loads(line) for line in Path("runs/digits/metrics.jsonl").read_text().splitlines()]
    assert told == {row["update"]: np.float32(row["pseudo_log_likelihood"]) for row in rows}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_terminal_shows_a_bar_with_the_time_left(tmp_path: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    arguments = ["train", "--hidden", "8", "--threads", "1", "--epochs", "40", "--no-figures"]
    process = start(arguments, Path(os.ttyname(follower)))
    os.set_blocking(leader, False)
    shown = b""

    def read() -> Iterator[bytes]:
        while True:
            try:
                yield os.read(leader, 65536)
            except BlockingIOError:
                return

    while process.is_alive():
        shown += b"".join(read())
        process.join(0.02)
    shown += b"".join(read())
    os.close(follower)
    os.close(leader)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.exitcode == 0, text
    assert re.search(r"training .*\d+/640 updates · \d:\d\d:\d\d · [\d:-]+ left", text), text
    assert "epoch 40 · update 640" in text


# sample


def test_samples_are_those_of_the_library(run: Path) -> None:
    from harmonium import SamplingSchedule, sampling

    schedule = ["--samples", "3", "--warmup", "7", "--sweeps-per-sample", "2"]
    ran("sample", run, "--chains", "5", *schedule)
    rbm = checkpoint.load_model(run / "model.safetensors")
    stream = Stream(0, Purpose.SAMPLE)
    chains = sampling.start_random(rbm, 5, stream)
    samples = []
    for now in sampling.sample(rbm, chains, SamplingSchedule(7, 3, 2), stream):
        samples.append(now.visible.clone())
    kept = archive(run / "samples.npz")
    # grey values are probabilities here, and a state is all ink or none
    assert set(np.unique(kept["samples"])) <= {0, 16}
    assert np.array_equal(kept["samples"] / 16, torch.stack(samples, 1).numpy())
    assert kept["means"].shape == (5, 3, 64)
    assert_shows_something(run / "samples.png")


def test_sampling_again_overwrites_nothing(run: Path) -> None:
    short = ["--chains", "2", "--samples", "2", "--warmup", "1", "--sweeps-per-sample", "1"]
    for seed in "001":
        ran("sample", run, *short, "--seed", seed)
    first, second, other = (
        archive(run / f"samples{number}.npz")["samples"] for number in ("", "-2", "-3")
    )
    assert np.array_equal(first, second) and not np.array_equal(first, other)
    ran("sample", run, *short, "--out", "mine.npz")
    assert Path("mine.npz").exists() and Path("mine.png").exists()


@pytest.mark.parametrize(
    ("clamp", "held"),
    [
        ("top", np.arange(64).reshape(8, 8)[:4]),
        ("bottom", np.arange(64).reshape(8, 8)[4:]),
        ("left", np.arange(64).reshape(8, 8)[:, :4]),
        ("right", np.arange(64).reshape(8, 8)[:, 4:]),
        ("0-9,20", np.array([*range(10), 20])),
    ],
)
def test_clamped_columns_are_those_of_held_out_rows(
    clamp: str, held: np.ndarray, run: Path
) -> None:
    ran("sample", run, "--clamp", clamp, *["--chains", "6", "--samples", "2", "--warmup", "20"])
    rows = datasets.load("digits").part("validation").values[:6].numpy()
    kept = archive(run / "samples.npz")
    free = np.setdiff1d(np.arange(64), held)
    for name in ("samples", "means"):
        for sample in (0, 1):
            assert np.allclose(kept[name][:, sample, held.ravel()], rows[:, held.ravel()])
    assert not np.array_equal(kept["samples"][:, 1][:, free], rows[:, free])


def test_chains_of_training_can_be_taken_up(run: Path) -> None:
    options = ["--chains", "500", "--samples", "1", "--warmup", "0", "--start", "chains"]
    ran("sample", run, *options)
    state = checkpoint.load(run / "checkpoints/update-000000039.safetensors")
    assert state.chains is not None
    kept = archive(run / "samples.npz")["samples"][:, 0]
    assert np.array_equal(kept / 16, state.chains.visible.numpy())


def test_samples_can_start_at_rows_of_a_file(run: Path) -> None:
    rows = datasets.load("digits").part("test").values[:4].numpy()
    np.save("rows.npy", rows)
    ran("sample", run, "--data", "rows.npy", *["--chains", "4", "--samples", "1", "--warmup", "0"])
    assert np.allclose(archive(run / "samples.npz")["samples"][:, 0], rows)


# reconstruct, plot, info


def test_reconstructions_are_the_mean_of_the_mean(run: Path) -> None:
    done = ran("reconstruct", run, "--json")
    rbm = checkpoint.load_model(run / "model.safetensors")
    data = datasets.load("digits").part("validation")
    rows = data.rows(torch.arange(len(data)))
    kept = archive(run / "reconstructions.npz")
    with torch.no_grad():
        expected = rbm.mean_v_from_h(rbm.mean_h_from_v(rows)).numpy()
    assert np.allclose(kept["reconstructions"], expected * 16, atol=1e-4)
    assert done.objects[0]["mean_error"] == pytest.approx(kept["errors"].mean(), rel=1e-5)
    p = rows.double().mean(0).clamp(1e-30, 1 - 1e-16)  # a column that is always 0 costs nothing
    entropy = -(rows * p.log() + (1 - rows) * (1 - p).log()).sum(1).mean().item()
    assert done.objects[0]["mean_error_of_mean_row"] == pytest.approx(entropy, rel=0.01)
    assert_shows_something(run / "reconstructions.png")


def test_a_picture_shows_as_many_reconstructions_and_filters_as_asked_for(run: Path) -> None:
    for n in ("20", "60"):
        ran("reconstruct", run, "--shown", n, "--out", f"{n}.npz")
    assert tallness(Path("60.png")) > 2 * tallness(Path("20.png"))  # six rows of eleven, two of ten
    ran("plot", run)
    all_of_them = (run / "figures" / "filters.png").read_bytes()
    ran("plot", run, "--filters", "3")
    assert (run / "figures" / "filters.png").read_bytes() != all_of_them


def test_one_sample_a_chain_makes_a_square_sheet(run: Path) -> None:
    ran("sample", run, *["--chains", "25", "--samples", "1", "--warmup", "1"])
    assert 0.8 < tallness(run / "samples.png") < 1.25


def test_plotting_draws_the_pictures_anew(run: Path) -> None:
    assert not list((run / "figures").iterdir())
    done = ran("plot", run)
    *pictures, film = sorted(map(Path, done.out.splitlines()), key=Path.is_dir)
    for path in (*pictures, *film.iterdir()):
        assert_shows_something(path)
    assert len(pictures) == 6
    again = ran("plot", run, "--json")
    assert again.objects == [{"event": "finished", "pictures": done.out.splitlines()}]


def test_info_says_what_a_run_is(run: Path) -> None:
    said = ran("info", run).out
    for fact in ("digits: 1,297 training rows, 250 held out", "all 39 updates", "--hidden"):
        assert fact in said
    told = json.loads(ran("info", run, "--json").out)
    assert (told["update"], told["last_update"]) == (39, 39)
    assert told["config"]["options"]["hidden"] == 8
    assert told["last_row"]["update"] == 39


def test_a_run_without_checkpoints_can_still_be_used(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    ran("sample", run, *["--chains", "2", "--samples", "1", "--warmup", "1"])
    assert "cannot go on" in ran("info", run).out


# units of a user's own

MY_UNITS = """
from harmonium import Binary
from harmonium.units import register

@register
class Mine(Binary):
    pass

@register
class OfTwo(Binary):
    def __init__(self, n, m):
        super().__init__(n)
"""


def test_hidden_units_of_a_user_are_trained_and_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harmonium.units import table

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "_REGISTERED", {})
    Path("mine.py").write_text(MY_UNITS)
    train = ("train", *QUICK, "--epochs", "1", "--out", "run", "--hidden-units")
    unknown = harmonium(*train, "Mine")
    assert unknown.code == 1 and not Path("run").exists()
    assert (
        "--hidden-units is 'Mine'; pass one of binary, spin, gaussian, relu, drelu, categorical, or"
        in (unknown.err)
    )
    of_two = harmonium(*train, "OfTwo", "--units-from", "mine.py")
    assert "OfTwo, which cannot be made of a number of units alone" in of_two.err
    assert not Path("run").exists()
    ran(*train, "Mine", "--units-from", "mine.py")
    sample = ("sample", "run", "--chains", "2", "--samples", "2", "--warmup", "1")
    monkeypatch.setattr(table, "_REGISTERED", {})
    assert "--units-from FILE.py" in harmonium(*sample).err
    ran("--units-from=mine.py", *sample)
    assert archive(Path("run/samples.npz"))["samples"].shape == (2, 2, 64)
    missing = harmonium("info", "run", "--units-from", "no.py")
    assert missing.code == 1 and "--units-from is 'no.py', which is no file" in missing.err


# data and help


def test_named_sets_are_listed() -> None:
    said = ran("data", "list").out
    assert re.search(r"^digits +\S", said, re.M) and re.search(r"^mnist +\S", said, re.M)


@pytest.mark.parametrize("table", [TrainingOptions, WatchingOptions])
def test_help_shows_every_option_and_its_default(
    table: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    said = ran("train", "--help-all").out
    for option in fields(table):
        if "metavar" in option.metadata:
            assert "[default: digits]" in said
            continue
        if not option.metadata:  # nothing that a user chooses, such as the classes of label units
            assert flag(option.name) not in said
            continue
        typed_as = flag({"columns": "column"}.get(option.name, option.name))
        lines = [line for line in said.splitlines() if typed_as in line.split()]
        assert lines, option.name
        if isinstance(option.default, int | float | str) and not isinstance(option.default, bool):
            assert any(f"[default: {option.default}]" in line for line in lines), option.name


@pytest.mark.parametrize("command", ["train", "dbn train", "dbn finetune"])
def test_help_fits_on_a_screen(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    said = ran(*command.split(), "--help").out
    assert len(said.splitlines()) <= 50
    assert "--epochs" in said and "--l2" not in said and "--momentum" not in said
    n_more = int(re.search(rf"(\d+) more options: harmonium {command} --help-all", said)[1])  # type: ignore[index]
    everything = ran(*command.split(), "--help-all").out
    options = re.compile(r"^│ (?:\* +)?(--[\w-]+)", re.M)
    assert len(options.findall(everything)) == len(options.findall(said)) + n_more
    assert "--momentum" in everything


def test_commands_stand_under_what_a_person_wants_to_do() -> None:
    said = ran("--help").out
    places = [said.index(word) for word in ("─ Train ", "─ Use a trained", "─ See what", "─ And ")]
    assert places == sorted(places)


def offered(words: str, cwd: Path) -> list[str]:
    """What a shell is told to offer behind these words."""
    environment = os.environ | {
        "_HARMONIUM_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    program = "import sys; sys.argv = ['harmonium']; from harmonium.cli import main; main()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_shell_completes_commands_names_and_runs(tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "config.json").write_text("{}")
    assert offered("harmonium rec", tmp_path) == ["reconstruct", "recommend", "recipe"]
    assert offered("harmonium train --learn", tmp_path) == [
        "--learn-precision",
        "--learning-rate",
    ]
    assert offered("harmonium train mn", tmp_path) == ["mnist"]
    assert offered("harmonium recipe theano-r", tmp_path) == ["theano-rbm"]
    assert offered("harmonium sample ", tmp_path) == ["runs/mine"]


def test_the_completion_of_a_shell_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    assert "complete_bash" in ran("--show-completion").out


def test_the_names_that_a_shell_completes_are_those_of_the_sets() -> None:
    from harmonium import datasets
    from harmonium.cli import completing

    assert tuple(datasets.names()) == completing.NAMED_SETS


def test_lists_are_printed_for_machines_too() -> None:
    from harmonium import datasets, recipes

    assert [each["name"] for each in harmonium("data", "list", "--json").objects] == [
        *datasets.names()
    ]
    (fetched,) = harmonium("data", "fetch", "digits", "--json").objects
    assert fetched == {"name": "digits", "path": ran("data", "fetch", "digits").out.strip()}
    listed = harmonium("recipe", "list", "--json").objects
    assert [each["recipe"] for each in listed] == recipes.names()
    assert all(each["minutes"] > 0 for each in listed)
    (shown,) = harmonium("recipe", "theano-rbm", "--show", "--json").objects
    assert shown["file"] == ran("recipe", "theano-rbm", "--show").out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments: list[str]) -> None:
    said = ran(*arguments).out
    for command in ("train", "resume", "sample", "reconstruct", "diagnose", "plot", "info", "data"):
        assert command in said


def test_the_version_is_the_package_s() -> None:
    import harmonium as package

    assert ran("--version").out.strip() == package.__version__


def test_compiling_is_told_once_and_only_where_it_happens(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    np.savetxt("few.csv", np.arange(40)[:, None] >> np.arange(4) & 1, fmt="%d", delimiter=",")
    # steps that need few kernels: each takes seconds to compile
    command = [sys.executable, "-m", "harmonium", "train", "few.csv", "--gradient", "plain"]
    options = ["--epochs", "1", "--hidden", "2", "--no-figures", "--no-tensorboard", "--json"]
    told = []
    for out in ("first", "second"):
        run = [*command, *options, "--out", out]
        done = subprocess.run(run, capture_output=True, text=True, env=environment, check=True)
        told.append(done.stderr.count("compiling kernels"))
    assert told == [1, 0]
