"""Mixed tables from a file through a training to samples in the user's own columns."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import harmonium
from cli.commands import harmonium as typed
from harmonium import checkpoint, datasets
from harmonium.datasets import TableEncoding
from harmonium.likelihood import exact_log_likelihood
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Poisson

SMALL: dict[str, Any] = {
    "hidden": 4,
    "epochs": 3,
    "batch_size": 20,
    "threads": 1,
    "figures": False,
    "tensorboard": False,
    "log_likelihood": False,
}
FLAGS = [
    *("--hidden", "4", "--epochs", "3", "--batch-size", "20", "--threads", "1"),
    *("--no-figures", "--no-tensorboard", "--no-log-likelihood"),
]

pytestmark = pytest.mark.usefixtures("own_folder")


def people(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    town = rng.choice(["Bern", "Oslo", "Rome"], n)
    return pd.DataFrame(
        {
            "height": (170 + 10 * rng.normal(size=n) + 8 * (town == "Oslo")).round(1),
            "children": rng.integers(0, 4, n),
            "town": town,
            "sex": rng.choice(["F", "M"], n),
            "visits": rng.poisson(np.where(town == "Rome", 6, 2)),
            "gain": np.where(rng.random(n) < 0.8, 0, rng.integers(100, 900, n)),
        }
    )


def config_of(run: str | Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(Path(run, "config.json").read_text())
    return config


def test_each_column_gets_units_of_its_own() -> None:
    people().to_csv("people.csv", index=False)
    done = typed("train", "people.csv", "--column", "visits=poisson", *FLAGS, "--out", "run")
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines() if line.startswith(" " * 10)]
    assert lines[0] == ["column", "units", "holds", "missing"]
    assert {line[0]: line[1] for line in lines[1:]} == {
        "height": "gaussian", "children": "ordinal", "town": "categorical", "sex": "binary",
        "visits": "poisson", "gain": "binned",
    }  # fmt: skip
    assert "20 held out, 6 columns\n" in typed("info", "run").out
    config = config_of("run")
    assert config["options"]["visible"] == "mixed"
    table = datasets.Encoding.from_config(config["data"]["encoding"])
    assert isinstance(table, TableEncoding)
    layer = checkpoint.load_model("run/model.safetensors").visible
    assert isinstance(layer, Mixed)
    parts = [(type(part), part.n, part.width) for _, part in layer.groups]
    assert parts == [
        (Binary, 1, 1),
        (Categorical, 1, 3),
        (Categorical, 2, 4),
        (Gaussian, 1, 1),
        (Poisson, 1, 1),
    ]
    assert "log_precision" in dict(layer.groups[3][1].named_parameters())
    told = typed("info", "run")
    assert "town      categorical  Bern, Oslo, Rome" in told.out
    page = Path("run/report.html").read_text()
    assert "<h2" in page
    assert '<td class="text">Bern, Oslo, Rome</td><td></td></tr>' in page


def test_columns_are_found_by_training_rows_alone() -> None:
    frame = people()
    run = harmonium.train(frame, out="run", columns={"visits": "poisson"}, **SMALL)
    data = datasets.from_array(frame, kinds={"visits": "poisson"})
    train, held_out = data.split_randomly_(0.1, 0)
    table = datasets.Encoding.from_config(config_of("run")["data"]["encoding"])
    assert table == train.fit_columns().encoding
    assert table != data.encoding
    assert len(held_out) == 20
    assert run.path == Path("run")


def test_file_and_frame_and_both_doors_give_the_same_bits() -> None:
    frame = people()
    frame.to_csv("people.csv", index=False)
    frame.to_parquet("people.parquet")
    said = {"visits": "poisson", "gain": "gaussian"}
    flags = ["--column", "visits=poisson", "--column", "gain=gaussian"]
    assert typed("train", "people.csv", *flags, *FLAGS, "--out", "typed").code == 0
    models = [checkpoint.load_model("typed/model.safetensors")]
    for name, data in (("a", "people.csv"), ("b", "people.parquet"), ("c", frame)):
        harmonium.train(data, out=name, columns=said, **SMALL)
        models.append(checkpoint.load_model(f"{name}/model.safetensors"))
    for model in models[1:]:
        for one, other in zip(model.parameters(), models[0].parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("source", ["file", "frame"])
def test_a_resumed_run_is_the_run_that_never_stopped(source: str) -> None:
    frame = people()
    frame.to_csv("people.csv", index=False)
    data: Any = "people.csv" if source == "file" else frame
    said = {**SMALL, "schedule": "constant", "final_sweeps": 1}
    harmonium.train(data, out="whole", **{**said, "epochs": 4})
    first = harmonium.train(data, out="parts", **{**said, "epochs": 2})
    first.resume(epochs=4)
    whole = checkpoint.load(sorted(Path("whole/checkpoints").iterdir())[-1]).rbm
    parts = checkpoint.load(sorted(Path("parts/checkpoints").iterdir())[-1]).rbm
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert one.equal(other)


def test_samples_are_tables_of_the_users_own_columns() -> None:
    frame = people()
    frame["town"] = pd.Categorical(frame["town"])
    run = harmonium.train(frame, out="run", **SMALL)
    found = run.sample(chains=30, samples=2, warmup=5, out="new.csv")
    with open("new.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(frame.columns)
    assert len(rows) == 61
    new = pd.read_csv("new.csv")
    assert new.dtypes.astype(str).to_dict() == {
        **frame.dtypes.astype(str).to_dict(), "town": new["sex"].dtype.name,
    }  # fmt: skip
    assert set(new["town"]) <= {"Bern", "Oslo", "Rome"}
    assert set(new["children"]) <= {0, 1, 2, 3}
    assert set(new["gain"]) <= {*frame["gain"]}
    assert found.frame is not None
    assert found.frame["sex"].tolist() == new["sex"].tolist()
    run.sample(chains=5, warmup=5, out="typed.parquet")
    assert pd.read_parquet("typed.parquet").dtypes["town"] == "category"
    assert run.sample(chains=5, warmup=5).path == Path("run/samples.csv")
    again = run.sample(chains=30, samples=2, warmup=5, out="again.csv")
    assert again.path.read_bytes() == Path("new.csv").read_bytes()
    # a table of samples is a table of rows
    assert math.isfinite(run.evaluate(data="new.csv").upper)


def test_columns_that_are_held_keep_the_users_own_numbers() -> None:
    frame = people()
    frame.to_csv("people.csv", index=False)
    run = harmonium.train(frame, out="run", columns={"height": "binned"}, **SMALL)
    found = run.sample(
        data="people.csv", start="data", clamp="height,sex", chains=20, samples=2, warmup=2
    )
    assert found.frame is not None
    held = np.repeat(frame["height"][:20].to_numpy(), 2)
    assert found.frame["height"] == pytest.approx(held)
    assert found.frame["sex"].tolist() == np.repeat(frame["sex"][:20].to_numpy(), 2).tolist()


def test_the_likelihood_is_that_of_the_enumerated_table() -> None:
    """A run on words and levels: all rows of the table have probabilities that add up to 1."""
    frame = people(300)[["children", "town", "sex"]]
    run = harmonium.train(frame, out="run", **{**SMALL, "epochs": 30})
    rbm = checkpoint.load_model(run.path / "model.safetensors")
    table = datasets.Encoding.from_config(config_of("run")["data"]["encoding"])
    cells = [(float(a), float(b), float(c)) for a in range(4) for b in range(3) for c in range(2)]
    states = table.encode(torch.tensor(cells, dtype=torch.float64))
    log_p = exact_log_likelihood(rbm, states)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-6)
    shares = np.zeros(len(cells))
    for number, (a, b, c) in enumerate(cells):
        same = (
            (frame.children == a)
            & (frame.town == ["Bern", "Oslo", "Rome"][int(b)])
            & (frame.sex == ["F", "M"][int(c)])
        )
        shares[number] = same.mean()
    # nearer to the data than the uniform distribution is
    divergence = shares @ (np.log(np.maximum(shares, 1e-9)) - log_p.numpy())
    uniform = shares @ np.log(np.maximum(shares, 1e-9) * len(cells))
    assert divergence < uniform


def test_every_question_is_answered() -> None:
    frame = people()
    run = harmonium.train(frame, out="run", **{**SMALL, "figures": True})
    frame[frame.columns[::-1]].to_csv("new.csv", index=False)
    names = {path.name for path in (run.path / "figures").iterdir()}
    assert "columns" in names
    assert run.reconstruct(data="new.csv").reconstructions.shape == (200, 6)
    assert run.diagnose(sweeps=20, chains=10).as_dict()
    assert typed("plot", "run").code == 0


def test_data_with_categories_of_their_own_are_recoded() -> None:
    run = harmonium.train(people(), out="run", **SMALL)
    few = people(100, seed=2)
    few = few[few.town != "Bern"].reset_index(drop=True)
    own = datasets.from_array(few[few.columns[::-1]])
    assert own.encoding.columns[3].categories == ("Oslo", "Rome")
    one = run.reconstruct(data=own)
    few.to_csv("few.csv", index=False)
    other = run.reconstruct(data="few.csv")
    assert np.array_equal(one.reconstructions, other.reconstructions)
    assert np.array_equal(one.errors, other.errors)


def test_columns_with_nothing_to_learn_may_stand_in_new_files() -> None:
    frame = people()
    frame.insert(0, "id", np.arange(len(frame)))
    frame["planet"] = "Earth"
    run = harmonium.train(frame, out="run", **SMALL)
    assert config_of("run")["data"]["named"]["drop"] == ["id", "planet"]
    frame.to_csv("with.csv", index=False)
    people().to_csv("without.csv", index=False)
    one, other = (
        run.reconstruct(data=name).reconstructions for name in ("with.csv", "without.csv")
    )
    assert np.array_equal(one, other)


def test_validation_and_test_files_are_read_as_the_training_rows() -> None:
    people().to_csv("train.csv", index=False)
    new = people(50, seed=1)[["town", "sex", "gain", "visits", "children", "height"]]
    new.to_csv("test.csv", index=False)
    harmonium.train("train.csv", test_data="test.csv", out="run", **SMALL)
    assert config_of("run")["data"]["n_held_out"] == 50
    new.loc[3, "town"] = "Kyiv"
    new.to_csv("test.csv", index=False)
    with pytest.raises(ValueError, match=r"row 3, column 'town' of test.csv holds 'Kyiv'"):
        harmonium.train("train.csv", test_data="test.csv", out="other", **SMALL)
    assert not Path("other").exists()


def test_a_table_of_numbers_is_mixed_if_somebody_says_so() -> None:
    frame = people()[["height", "children", "gain"]]
    frame.to_csv("numbers.csv", index=False)
    harmonium.train("numbers.csv", out="plain", **SMALL)
    assert config_of("plain")["options"]["visible"] == "gaussian"
    harmonium.train("numbers.csv", visible="mixed", out="mixed", **SMALL)
    columns = config_of("mixed")["data"]["encoding"]["columns"]
    assert [column["kind"] for column in columns] == ["gaussian", "ordinal", "binned"]
    harmonium.train("numbers.csv", columns={"gain": "gaussian"}, out="said", **SMALL)
    columns = config_of("said")["data"]["encoding"]["columns"]
    assert [column["kind"] for column in columns] == ["gaussian", "ordinal", "gaussian"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--visible", "gaussian"], "--visible is gaussian, and people.csv is a table of mixed co"),
        (["--binarize", "0.5"], "--binarize is for columns that are all alike"),
        (["--column", "height"], "--column names 'height'; pass the column and its kind, such as"),
        (["--column", "town=poisson"], "--column town=poisson, but row 0, column 'town' of people"),
        (["--column", "sex=categorical", "--column", "sex=binary"], "two kinds of column 'sex'"),
    ],
)
def test_options_that_do_not_fit(flags: list[str], message: str) -> None:
    people().to_csv("people.csv", index=False)
    done = typed("train", "people.csv", *flags, *FLAGS, "--out", "run")
    assert done.code == 1
    assert message in " ".join(done.err.split())
    assert not Path("run").exists()


def test_rows_in_memory_keep_their_mask() -> None:
    from harmonium.runs import kept

    frame = people()
    frame.loc[3, "height"] = np.nan
    frame.loc[5, "town"] = None
    data = datasets.from_array(frame)
    kept.save(data, Path("data.safetensors"))
    again = kept.load(Path("data.safetensors"))
    assert again.mask is not None
    assert data.mask is not None
    assert torch.equal(again.mask.bits, data.mask.bits)
    assert again.encoding == data.encoding
    assert again.fingerprint() == data.fingerprint()


def test_a_table_with_holes_is_learned_from_and_told() -> None:
    frame = people()
    frame.loc[:19, "height"] = np.nan
    frame.loc[10:29, "town"] = None
    frame.to_csv("holes.csv", index=False)
    done = typed("train", "holes.csv", *FLAGS, "--held-out", "0", "--out", "run")
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    assert "40 of 1,200 values (3.33%; most: height 10.0%, town 10.0%), in 30 of 200 rows" in told
    assert "values are missing" not in told  # once is enough
    assert config_of("run")["data"]["missing"] == {"height": 20, "town": 20}
    rows = {line.split()[0]: line.split()[-1] for line in done.out.splitlines() if "  " in line}
    assert (rows["height"], rows["town"], rows["sex"]) == ("20", "20", "M")
    harmonium.train(frame, held_out=0, out="same", **SMALL)
    one, other = (checkpoint.load_model(f"{run}/model.safetensors") for run in ("run", "same"))
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)
    samples = harmonium.open("run").sample(chains=20, warmup=5)
    assert samples.frame is not None
    assert set(samples.frame["town"]) <= {"Bern", "Oslo", "Rome"}


def test_a_table_may_lack_the_columns_that_are_asked_for() -> None:
    run = harmonium.train(people(), out="run", **SMALL)
    lacking = people().drop(columns="town")
    holes = people().assign(town=None)
    for ask in (run.impute, lambda rows: run.predict(rows, column="town")):
        one, other = (ask(rows) for rows in (lacking, holes))
        found = [x.best["town"] if hasattr(x, "best") else x.predictions for x in (one, other)]
        assert np.array_equal(*found)
        assert set(found[0]) <= {"Bern", "Oslo", "Rome"}
    with pytest.raises(ValueError, match=r"lacks 'town'"):
        run.reconstruct(lacking)
