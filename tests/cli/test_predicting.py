"""``harmonium dbn predict``: every row is predicted, and judged where its class is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.commands import Done, harmonium
from harmonium import datasets
from harmonium.deep import Classifier, load_dbn, load_network

QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard")
LAYERS = ("--layers", "6,5", "--epochs", "250", *QUICK)
N = 60


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def table(path: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(Path(path).read_text().splitlines())
    return header, rows


@pytest.fixture(autouse=True)
def _table(_own_folder: None) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 3
    values = (rng.random((N, 9)) < 0.1 + 0.8 * (np.arange(9) // 3 == labels[:, None])).astype(int)
    np.savez("mine.npz", x=values, labels=labels)


def save(labels: np.ndarray) -> None:
    np.savez("new.npz", x=np.load("mine.npz")["x"], labels=labels)


def name_classes(run: str, *names: str) -> None:
    config = json.loads(Path(run, "config.json").read_text())
    config["data"]["classes"] = names
    Path(run, "config.json").write_text(json.dumps(config))


def test_a_network_with_label_units_predicts() -> None:
    ran("dbn", "train", "mine.npz", "--labels", *LAYERS, "--out", "run")
    (result,) = ran("dbn", "predict", "run", "mine.npz", "--out", "p.csv", "--json").objects
    data = datasets.load("mine.npz")
    dbn = load_dbn("run/dbn.safetensors")
    log_p = dbn.class_log_probabilities(data.rows(torch.arange(N)))
    assert data.labels is not None
    expected = (log_p.argmax(1) != data.labels).double().mean().item()
    assert expected < 0.2
    assert result["error"] == pytest.approx(expected)
    assert result["loss"] == pytest.approx(-log_p[torch.arange(N), data.labels].mean().item())
    header, rows = table("p.csv")
    assert header == ["row", "class", "p_0", "p_1", "p_2"]
    assert [int(row[1]) for row in rows] == log_p.argmax(1).tolist()
    np.testing.assert_allclose(
        np.array(rows, float)[:, 2:], log_p.exp().numpy(), rtol=1e-5, atol=1e-7
    )
    assert Path("p-confusion.png").is_file()


def test_what_was_fine_tuned_predicts_in_place_of_label_units() -> None:
    ran("dbn", "train", "mine.npz", "--labels", *LAYERS, "--out", "run")
    ran("dbn", "finetune", "run", "--epochs", "1", *QUICK)
    ran("dbn", "predict", "run", "mine.npz")
    assert Path("run/classifier/predictions.csv").is_file()


def test_rows_without_a_class_that_is_known_are_predicted_and_not_judged() -> None:
    ran("dbn", "finetune", "mine.npz", *LAYERS, "--out", "run")
    labels = np.load("mine.npz")["labels"]
    (whole,) = ran("dbn", "predict", "run", "mine.npz", "--out", "all.npz", "--json").objects
    assert whole["n_judged"] == N
    unknown = labels.copy()
    unknown[:4], unknown[4] = -1, 7
    save(unknown)
    done = ran("dbn", "predict", "run", "new.npz", "--out", "new.npz.csv")
    assert f"5 of {N} rows have no label, or one that was not learned" in done.out
    assert f"of {N - 5} new.npz rows wrong" in done.out
    (result,) = ran("dbn", "predict", "run", "new.npz", "--out", "some.npz", "--json").objects
    assert (result["n_rows"], result["n_judged"]) == (N, N - 5)
    network = load_network("run/network.safetensors")
    assert isinstance(network, Classifier)
    data = datasets.load("mine.npz")
    wrong = network.predict(data.rows(torch.arange(N))) != torch.from_numpy(labels)
    assert result["error"] == pytest.approx(wrong[5:].double().mean().item())
    predicted, before = np.load("some.npz"), np.load("all.npz")
    for name in ("classes", "probabilities", "probabilities_of"):
        assert np.array_equal(predicted[name], before[name])
    assert predicted["labels"].tolist() == [-1] * 5 + labels[5:].tolist()


def test_a_file_of_which_no_label_is_known_is_predicted() -> None:
    ran("dbn", "finetune", "mine.npz", *LAYERS, "--out", "run")
    save(np.full(N, -1))
    (result,) = ran("dbn", "predict", "run", "new.npz", "--json").objects
    assert result["n_judged"] == 0 and "error" not in result and result["pictures"] == []
    assert len(table("run/predictions.csv")[1]) == N


@pytest.mark.parametrize("command", ["dbn finetune", "dbn train"])
def test_classes_come_back_by_their_names(command: str) -> None:
    labels = ("--labels",) if command == "dbn train" else ()
    ran(*command.split(), "mine.npz", *labels, *LAYERS, "--out", "run")
    names = ("setosa", "virginica", "versicolor")
    name_classes("run", *names)
    ran("dbn", "predict", "run", "mine.npz", "--out", "p.csv")
    ran("dbn", "predict", "run", "mine.npz", "--out", "q.npz")
    header, rows = table("p.csv")
    assert header == ["row", "class", *(f"p_{name}" for name in names)]
    arrays = np.load("q.npz")
    assert arrays["probabilities_of"].tolist() == list(names)
    most_probable = arrays["probabilities"].argmax(1)
    expected = [names[place] for place in most_probable]
    assert [row[1] for row in rows] == expected == arrays["classes"].tolist()
    assert arrays["labels"].tolist() == [names[row % 3] for row in range(N)]
