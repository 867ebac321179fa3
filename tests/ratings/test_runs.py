"""Runs on ratings: from the command line and from Python, resumed, asked, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from typer.testing import CliRunner

import harmonium
from harmonium.cli import app
from harmonium.ratings import RatingRBM, Ratings

COLUMNS = ("user", "item", "rating")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Ratings of 25 items by 40 users, also as u.csv, and test ratings as test.csv."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((40, 25)) < 0.5)
    likes = (user % 2) == (item % 2)
    rating = np.where(likes, 4, 2) + rng.integers(-1, 2, len(user))
    frame = pd.DataFrame({"user": user + 100, "item": [f"i{n}" for n in item], "rating": rating})
    frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    frame[:-60].to_csv("u.csv", index=False)
    frame[-60:].to_csv("test.csv", index=False)
    return frame[:-60]


def typed(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


TRAIN = ("--ratings", "user,item,rating", "--hidden", "6", "--seed", "3", "--batch-size", "8")


@pytest.mark.usefixtures("table")
def test_both_doors_make_the_same_run_and_it_is_resumed_bit_for_bit() -> None:
    typed("train", "u.csv", *TRAIN, "--epochs", "6", "--out", "runs/a", "--final-sweeps", "2")
    options: dict[str, Any] = {
        "ratings": COLUMNS,
        "hidden": 6,
        "seed": 3,
        "batch_size": 8,
        "final_sweeps": 2,
    }
    run = harmonium.train("u.csv", epochs=6, out="runs/b", **options)
    rows = harmonium.train("u.csv", epochs=6, out="runs/c", follow=True, **options)
    assert next(rows)["epoch"] == 1.0
    rows.close()
    part = harmonium.open("runs/c")
    assert part.update < run.update and not part.is_finished
    assert "resume" in (part.path / "report.html").read_text(encoding="utf-8")
    typed("resume", "runs/c")
    paths = (Path("runs", name, "model.safetensors") for name in "abc")
    files = [path.read_bytes() for path in paths]
    assert files[0] == files[1] == files[2]
    with pytest.raises(ValueError, match="contradicts the run"):
        part.resume(seed=4)
    with pytest.raises(ValueError, match="pass a smaller one"):
        part.resume(learning_rate=0.1)
    more = part.resume(more_epochs=1, learning_rate=0.001)
    assert more.update == run.update + 4 and more.metrics[-1]["learning_rate"] < 0.001


@pytest.mark.usefixtures("table")
def test_a_run_recommends_and_is_scored_alike_at_both_doors() -> None:
    run = harmonium.train("u.csv", ratings=COLUMNS, hidden=6, epochs=40, learning_rate=0.03)
    assert run.kind == "ratings" and isinstance(run.model, RatingRBM)
    found = run.recommend(101, top=3)
    assert all(int(str(item)[1:]) % 2 for item in found.items) and len(found.items) == 3
    assert np.allclose(found.probabilities.sum(1), 1) and (np.diff(found.expected) <= 0).all()
    lines = typed("recommend", str(run.path), "--user", "101", "--top", "3", "--json")
    told = json.loads(lines.splitlines()[-1])
    assert [each["item"] for each in told["items"]] == list(found.items)
    scores = run.recommend(test="test.csv").scores
    assert scores is not None and scores.n_ratings == 60 and scores.rmse < 1.1
    assert run.recommend(test=pd.read_csv("test.csv")).scores == scores
    lines = typed("recommend", str(run.path), "--test", "test.csv", "--out", "p.csv")
    assert f"RMSE      {scores.rmse:.4f}" in lines and f"NDCG@10   {scores.ndcg:.4f}" in lines
    written = pd.read_csv("p.csv")
    error = np.sqrt(((written.expected - written.rating) ** 2).mean())
    assert error == pytest.approx(scores.rmse)
    assert list(written.item) == list(pd.read_csv("test.csv").item)
    assert "training ratings" in typed("info", str(run.path))
    page = run.report().read_text(encoding="utf-8")
    assert (
        "ratings held out" in page
        and "RMSE" in page
        and "harmonium recommend" in page
        and "ratings=" in page
    )


def test_tables_in_memory_are_kept_in_the_run(table: pd.DataFrame) -> None:
    options: dict[str, Any] = {"hidden": 6, "epochs": 3, "seed": 3}
    of_file = harmonium.train("u.csv", ratings=COLUMNS, **options)
    of_frame = harmonium.train(table, ratings=COLUMNS, **options)
    known = Ratings.of(table.user, table.item, table.rating)
    of_ratings = harmonium.train(known, **options)
    files = [run.path / "model.safetensors" for run in (of_file, of_frame, of_ratings)]
    assert len({file.read_bytes() for file in files}) == 1
    Path("u.csv").unlink()
    assert of_file.recommend(101).items == of_frame.recommend("101").items
    test = pd.read_csv("test.csv")
    as_ratings = Ratings.of(test.user, test.item, test.rating)
    wanted = of_file.recommend(test="test.csv").scores
    assert of_ratings.recommend(test=as_ratings).scores == wanted
    matrix = scipy.sparse.csr_array(np.array([[5, 0, 1], [4, 2, 0], [0, 1, 3]]))
    of_matrix = harmonium.train(harmonium.ratings.read(matrix), held_out=0, **options)
    assert of_matrix.recommend(0).items == (1,)
    assert of_matrix.recommend(test=matrix).scores is not None


@pytest.mark.usefixtures("table")
def test_runs_are_compared_by_their_error() -> None:
    options: dict[str, Any] = {"ratings": COLUMNS, "hidden": 4, "epochs": 2}
    first = harmonium.train("u.csv", **options)
    second = harmonium.train("u.csv", orientation="user", **options)
    found = first.compare(second, out="c.html")
    assert "Root mean squared error" in Path("c.html").read_text(encoding="utf-8")
    assert found.verdict


@pytest.mark.usefixtures("table")
def test_whoever_is_unknown_is_predicted_all_the_same() -> None:
    Path("new.csv").write_text("user,item,rating\n101,i999,3\n9999,i1,4\n101,i0,2\n")
    for orientation in ("item", "user"):
        run = harmonium.train("u.csv", ratings=COLUMNS, hidden=4, epochs=2, orientation=orientation)
        scores = run.recommend(test="new.csv").scores
        assert scores is not None and scores.n_unknown == 2 and np.isfinite(scores.rmse)


def test_test_ratings_that_are_known_already_are_counted(table: pd.DataFrame) -> None:
    run = harmonium.train("u.csv", ratings=COLUMNS, hidden=4, epochs=2, out="run")
    scores = run.recommend(test="test.csv").scores
    assert scores is not None and scores.n_known == 0
    some = pd.concat([table[:7], pd.read_csv("test.csv")[:5]])
    some.to_csv("some.csv", index=False)
    told = typed("recommend", "run", "--test", "some.csv")
    assert "known     7 of them are of pairs that the run has ratings of" in told
    assert "known" not in typed("recommend", "run", "--test", "test.csv")


@pytest.mark.usefixtures("table")
def test_that_nothing_is_left_to_recommend_is_said() -> None:
    run = harmonium.train("u.csv", ratings=COLUMNS, hidden=4, epochs=1, out="run")
    assert run.recommend(101, min_ratings=1000).items == ()
    told = typed("recommend", "run", "--user", "101", "--min-ratings", "1000")
    assert "nothing to recommend: user 101 has rated every item" in told


@pytest.mark.usefixtures("table")
def test_further_pairs_may_be_known() -> None:
    options: dict[str, Any] = {"ratings": COLUMNS, "hidden": 4, "epochs": 3}
    alone = harmonium.train("u.csv", **options)
    more = harmonium.train("u.csv", pairs="test.csv", **options)
    assert more.config["data"]["n_pairs"] == 60
    assert alone.recommend(101).items != () != more.recommend(101).items
    assert not np.array_equal(alone.recommend(101).expected, more.recommend(101).expected)
    more.resume(more_epochs=1)


REFUSED = [
    ({"sampler": "tempering"}, ValueError, "`sampler` is not for a training on ratings"),
    ({"log_likelihood": False}, ValueError, "`log_likelihood` is not for a training on ratings"),
    ({"scale": "1,2"}, ValueError, "not on the scale 1, 2"),
    ({"scale": "one"}, ValueError, "`scale` is 'one'"),
    ({"ratings": "user,item"}, ValueError, "names 2 columns"),
    ({"ratings": "who,item,rating"}, ValueError, "no column 'who'"),
    ({"rank": 2, "conditional": False}, ValueError, "`rank` is 2"),
    ({"pairs": "test.csv", "conditional": False}, ValueError, "`pairs` says which"),
    ({"patience": 2, "held_out": 0.0}, ValueError, "`held_out` is 0"),
    ({"batch_size": 1000}, ValueError, "there are 25 rows with ratings; pass 1 to 25"),
    ({"orientation": "film"}, ValueError, "pass one of item, user"),
    ({"ratings": None, "orientation": "user"}, ValueError, "`orientation` is for ratings"),
]


@pytest.mark.parametrize(("options", "error", "told"), REFUSED, ids=[x[2] for x in REFUSED])
@pytest.mark.usefixtures("table")
def test_options_that_do_not_fit_are_refused_before_a_run_is_made(
    options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        harmonium.train("u.csv", **({"ratings": COLUMNS, "out": "runs/x"} | options))
    assert not Path("runs/x").exists()


@pytest.mark.usefixtures("table")
def test_questions_that_do_not_fit_are_refused() -> None:
    run = harmonium.train("u.csv", ratings=COLUMNS, hidden=4, epochs=1)
    questions: tuple[tuple[dict[str, Any], str], ...] = (
        ({"user": 7}, "user '7' is unknown to the model; there are 40 users: 100, 101"),
        ({}, "pass `user` for recommendations, or `test`"),
        ({"user": 101, "test": "test.csv"}, "one of them"),
        ({"user": 101, "top": 0}, "`top` is 0; pass 1 or more"),
        ({"user": 101, "out": "x.json"}, "ends in .csv"),
    )
    for asked, told in questions:
        with pytest.raises(ValueError, match=told):
            run.recommend(**asked)
    for question in (run.sample, run.diagnose, run.evaluate, run.reconstruct):
        with pytest.raises(ValueError, match="holds a model of ratings"):
            question()
    with pytest.raises(ValueError, match="holds a model of ratings"):
        harmonium.train(run.path, out="runs/above")
    with pytest.raises(TypeError, match=r"holds no RBM .its kind is 'ratings'."):
        run.rbm  # noqa: B018
    digits = harmonium.train("digits", hidden=4, epochs=1, rows=50, figures=False)
    with pytest.raises(ValueError, match="did not learn from ratings"):
        digits.recommend(1)


@pytest.mark.usefixtures("table")
def test_the_command_line_refuses_in_its_own_spelling() -> None:
    for arguments, told in (
        ((*TRAIN, "--sampler", "tempering"), "`sampler` is not for a training on ratings"),
        (("--orientation", "user"), "`orientation` is for ratings"),
    ):
        with pytest.raises(ValueError, match=told):
            typed("train", "u.csv", *arguments)
