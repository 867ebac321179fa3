"""A run of counts: from a file to topics, through the command line and from Python."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import harmonium
from cli.commands import harmonium as typed
from harmonium.topics import ReplicatedSoftmax, load_topic_model

pytestmark = pytest.mark.usefixtures("own_folder")

SMALL: dict[str, Any] = {
    "visible": "counts", "hidden": 4, "epochs": 4, "batch_size": 20, "threads": 1,
    "tensorboard": False,
}  # fmt: skip
TYPED = (
    *("--visible", "counts", "--hidden", "4", "--epochs", "4", "--batch-size", "20"),
    *("--threads", "1", "--no-tensorboard"),
)


def counts(n: int = 120, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(12, 0.2), 3)
    lengths = rng.integers(2, 20, n)
    return np.stack([rng.multinomial(d, topics[rng.integers(3)]) for d in lengths])


def saved(name: str = "news.npz", rows: Any = None) -> str:
    scipy.sparse.save_npz(name, scipy.sparse.csr_matrix(counts() if rows is None else rows))
    return name


@pytest.fixture
def words() -> str:
    Path("words.txt").write_text("\n".join(f"word{k}" for k in range(12)) + "\n")
    return "words.txt"


def test_the_command_line_from_a_sparse_file_to_topics(words: str) -> None:
    done = typed("train", saved(), *TYPED, "--out", "run")
    assert done.code == 0, done.err
    assert "108 documents of news.npz" in done.out and "12 held out" in done.out
    assert "harmonium topics run" in done.out
    done = typed("topics", "run", "--words", words, "--n-words", "3")
    assert done.code == 0, done.err
    assert done.out.count("more of   word") == 4 and "coherence" in done.out
    rows = list(csv.DictReader(Path("run/topics.csv").read_text().splitlines()))
    assert len(rows) == 4 * 2 * 3 and {row["sign"] for row in rows} == {"more", "less"}
    assert typed("topics", "run", "--json").objects[0]["topics"][0]["words"][0].startswith("column")
    done = typed("evaluate", "run", "--json")
    assert done.code == 0, done.err
    [found] = done.objects
    assert found["exact"] and found["documents"] == 12 and found["data"] == "news.npz, held-out"
    assert found["lower"] == found["upper"] > 1
    page = Path("run/report.html").read_text()
    assert "Replicated softmax, 12 words × 4 topics" in page
    assert "Completion perplexity" in page and "more of" in page and "harmonium topics run" in page
    done = typed("info", "run")
    assert done.code == 0 and "completion perplexity" in done.out
    [info] = typed("info", "run", "--json").objects
    assert info["model"] == "run/model.safetensors"
    for command in (("sample", "run"), ("diagnose", "run"), ("contacts", "run")):
        done = typed(*command)
        assert done.code == 1 and "run holds a topic model of counts of words" in done.err
    assert "missing does not exist" in typed("topics", "missing").err


@pytest.mark.parametrize("sweeps", [1, 2])
def test_a_run_that_stops_goes_on_bit_for_bit(sweeps: int) -> None:
    name = saved()
    whole = harmonium.train(name, out="whole", sweeps=sweeps, every=3, **SMALL)
    rows = harmonium.train(name, out="half", sweeps=sweeps, every=3, follow=True, **SMALL)
    for row in rows:
        if row["update"] == 9:
            break
    rows.close()
    assert rows.run.update == 9 and not rows.run.is_finished
    resumed = rows.run.resume()
    assert resumed.is_finished and resumed.update == whole.update == 24
    model = "model.safetensors"
    assert (resumed.path / model).read_bytes() == (whole.path / model).read_bytes()
    numbers = [
        [{k: x for k, x in row.items() if k != "rows_per_second"} for row in run.metrics]
        for run in (whole, resumed)
    ]
    assert numbers[0] == numbers[1]
    longer = harmonium.open("whole").resume(more_epochs=2)
    assert longer.update == 36


def test_python_and_the_command_line_make_the_same_bits() -> None:
    assert typed("train", saved(), *TYPED, "--out", "typed").code == 0
    matrix = scipy.sparse.csr_matrix(counts())
    run = harmonium.train(matrix, out="called", **SMALL)
    assert (
        Path("typed/model.safetensors").read_bytes()
        == (run.path / "model.safetensors").read_bytes()
    )
    assert run.kind == "topics" and isinstance(run.model, ReplicatedSoftmax)
    assert run.model.weights.shape == (12, 4)
    loaded = load_topic_model(run.path / "model.safetensors")
    assert (loaded.weights == run.model.weights).all()
    assert "topics" in repr(run)
    found = run.topics(n_words=3)
    assert len(found.topics) == 4 and found.path == run.path / "topics.csv"
    assert run.evaluate(matrix).n_documents == 120
    # the documents that were passed are kept in the run
    moved = run.path.rename("moved")
    assert harmonium.open(moved).resume(more_epochs=1).update == 30


@pytest.mark.parametrize(
    ("place", "word", "told"),
    [(3, "", "line 4 has no word"), (7, " word2 ", "line 8 again has 'word2'")],
)
def test_each_column_has_a_word_of_its_own(words: str, place: int, word: str, told: str) -> None:
    run = harmonium.train(saved(), out="run", **SMALL)
    lines = Path(words).read_text().splitlines()
    lines[place] = word
    Path(words).write_text("\n".join(lines))
    with pytest.raises(ValueError, match=f"{told}; pass a different word for each column"):
        run.topics(words)
    assert not (run.path / "topics.csv").exists()


def test_names_of_columns_are_words() -> None:
    rows = counts()
    names = [f"w{k}" for k in range(12)]
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows.tolist())]
    Path("news.csv").write_text("\n".join(lines) + "\n")
    run = harmonium.train("news.csv", out="run", **SMALL)
    assert {word[0] for topic in run.topics().topics for word in topic["words"]} == {"w"}


def test_parts_of_their_own_and_empty_documents() -> None:
    rows = counts()
    rows[3] = 0
    name = saved(rows=rows)
    test = saved("test.npz", counts(30, seed=1))
    run = harmonium.train(
        name, out="run", validation_data=test, test_data=test, rows=50, l1=0.0, **SMALL
    )
    data = run.config["data"]
    assert (data["n_train"], data["n_held_out"], data["n_columns"]) == (50, 30, 12)
    done = typed("evaluate", "run", "--json", "--rows", "10")
    assert done.objects[0]["data"] == "news.npz, test" and done.objects[0]["documents"] == 10
    done = typed("train", name, *TYPED, "--out", "other")
    assert "1 empty documents left out, row 3 the first" in done.out


def test_topics_of_few_words_are_listed_without_saying_how_many() -> None:
    few = counts()[:, :6] + 1
    run = harmonium.train(few, visible="counts", hidden=2, epochs=1, out="run")
    assert all(len(topic["words"]) == 6 for topic in run.topics().topics)


def test_columns_that_are_no_counts_of_words_are_refused() -> None:
    times = np.full((4, 3), 874_965_758)
    with pytest.raises(ValueError, match="holds 10,499,589,096 words, and 2,147,483,647 can be"):
        harmonium.train(times, visible="counts", hidden=2, out="run")


@pytest.mark.parametrize("rows", [0, 3])
def test_counts_in_memory_without_words_are_refused(rows: int) -> None:
    with pytest.raises(ValueError, match=f"documents holds no words in {rows} documents; pass"):
        harmonium.train(np.zeros((rows, 4), int), visible="counts", hidden=2, out="run")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_units": "spin"}, "`hidden_units='spin'` is not for `visible='counts'`"),
        ({"chains": 10}, "`chains=10` is not for `visible='counts'`"),
        ({"gradient": "plain"}, "`gradient='plain'` is not for `visible='counts'`"),
        ({"method": "pcd"}, "persistent chains ran away at large learning rates"),
        ({"batch_size": 500}, "`batch_size` is 500, but news.npz has 108 training documents"),
        ({"rows": 500}, "`rows` is 500, but news.npz has 108 training documents"),
        ({"label": "x"}, "`label` is for tables, and news.npz holds a sparse matrix"),
        ({"validation_data": "other.npz"}, "other.npz has 5 columns, but news.npz has 12"),
        ({"data": "negative.npz"}, "negative.npz: 1 counts are negative, first in row 2, column 1"),
        ({"data": "shares.npz"}, "shares.npz: .* counts are not whole, first in row 0"),
        ({"data": "missing.npz"}, "missing.npz"),
    ],
)
def test_what_does_not_suit_counts_is_refused(options: dict[str, Any], message: str) -> None:
    saved()
    saved("other.npz", counts()[:, :5] + 1)
    negative = counts()
    negative[2, 1] = -1
    saved("negative.npz", negative)
    saved("shares.npz", counts() / 3)
    data = options.get("data", "news.npz")
    others = SMALL | {name: value for name, value in options.items() if name != "data"}
    with pytest.raises((ValueError, OSError), match=message):
        harmonium.train(data, out="run", **others)
    assert not Path("run").exists()


def test_words_that_do_not_fit_the_columns_are_refused() -> None:
    run = harmonium.train(saved(), out="run", **SMALL)
    Path("short.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"short\.txt with 2 lines, but the model knows 12 words"):
        run.topics("short.txt")
    with pytest.raises(FileNotFoundError, match=r"`words` is none\.txt, and there is no such file"):
        run.topics("none.txt")
    with pytest.raises(ValueError, match="`n_words` is 13, but the model knows 12 words"):
        run.topics(n_words=13)
    with pytest.raises(ValueError, match="`temperatures` is not for topic models"):
        run.evaluate(temperatures=50)
    assert not (run.path / "topics.csv").exists()
    digits = harmonium.train("digits", out="digits", hidden=4, epochs=1, figures=False)
    with pytest.raises(ValueError, match="digits holds no topics; train them on counts of words"):
        digits.topics()
    with pytest.raises(ValueError, match="`visible='counts'` makes a topic model"):
        harmonium.train_dbn(saved("x.npz"), visible="counts", layers="3,2", out="dbn")


def test_a_results_file_that_is_damaged_is_refused() -> None:
    run = harmonium.train(saved(), out="run", **SMALL)
    (run.path / "perplexity.json").write_text(json.dumps({"format": 99, "results": {}}))
    with pytest.raises(ValueError, match="has format 99, and this harmonium reads up to 1"):
        run.evaluate()
