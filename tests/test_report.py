"""The page of a run, from what lies in its directory: what it says, and that it stands alone."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from harmonium import plots, report
from harmonium.cli.spelling import in_code
from harmonium.metrics import told
from harmonium.report import curves
from harmonium.report.curves import Series
from harmonium.report.facts import Facts, duration
from harmonium.report.overfitting import HeldOut
from harmonium.report.pieces import Note, Picture, Section, Table
from harmonium.report.ranking import sentence_of
from harmonium.report.rendering import render, text
from harmonium.report.terms import TERMS, found_in
from harmonium.report.verdict import verdict
from harmonium.report.words import readings
from harmonium.run_directory import RunDirectory, Warned
from html_pages import Page

PNG = b"\x89PNG\r\n\x1a\n and so on"
N_TRAIN, BATCH = 1_000, 100


def row(epoch: float, **numbers: float) -> dict[str, float]:
    of_all = {
        "update": 10 * epoch,
        "epoch": epoch,
        "learning_rate": 0.1,
        "rows_per_second": 2_000.0,
    }
    return of_all | numbers


def config(**options: object) -> dict[str, Any]:
    return {
        "created": "2026-01-01T00:00:00+00:00",
        "versions": {"harmonium": "0.1.0"},
        "device": "cpu",
        "threads": 1,
        "options": {
            "data": "digits",
            "visible": "binary",
            "hidden": 8,
            "hidden_units": "binary",
            "method": "pcd",
            "chains": 100,
            "batch_size": BATCH,
            "epochs": 20,
            "seed": 0,
        }
        | options,
        "watching": {},
        "data": {
            "n_train": N_TRAIN,
            "n_held_out": 100,
            "n_columns": 4,
            "image_shape": [2, 2],
            "encoding": {"kind": "Threshold", "level": 0.5},
            "fingerprint": "a" * 64,
        },
    }


Make = Callable[..., RunDirectory]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run directory as a training leaves it, without one."""

    def made(
        rows: list[dict[str, float]], name: str = "run", done: int = 200, **options: object
    ) -> RunDirectory:
        run = RunDirectory(tmp_path / name)
        run.create(config(**options), b"a checkpoint", overwrite=False)
        run.checkpoint_path(0).rename(run.checkpoint_path(done))
        for one in rows:
            run.append_row(one)
        if done == 200:
            run.model_path.write_bytes(b"a model")
        return run

    return made


def page_of(run: RunDirectory, **options: Any) -> Page:
    path = report.write(run, "harmonium train digits", **options)
    assert path == run.report_path
    return Page(path.read_text(encoding="utf-8"))


def notes_of(run: RunDirectory) -> str:
    notes = readings(Facts(run, "unknown", ""))
    return "\n".join(f"{note.kind}: {note.heading} {note.text}" for note in notes)


# Pieces


def page(
    *sections: Section, title: str = "T", verdict: str = "", written: str = "By a test."
) -> str:
    """A page around sections."""
    facts = {"names": [title], "verdict": verdict, "sections": sections, "written": written}
    return render("comparison", **facts)


def curves_of(rows: list[dict[str, float]]) -> Section:
    return Section("s", "S", "curves", {"charts": curves.charts("x", [Series("a", rows)])})


def test_a_page_holds_notes_tables_and_pictures_and_takes_no_word_for_a_tag() -> None:
    note = Note("N", "Take `--sweeps 10`.", "serious")
    table = Table("T & so on", ("", "<i>"), [("one", "2 & 3")])
    picture = Picture('A "picture"', "What <it> shows.", PNG)
    content = page(
        Section("one", "First & only", "overview", {"runs": [], "notes": [note]}),
        Section("two", "Second", "numbers", {"table": table}),
        Section("three", "Third", "pictures", {"pictures": [picture]}),
        title="A <run> & more",
        verdict="Made by `harmonium <train>`.",
        written="The <end>",
    )
    read = Page(content)
    assert read.pictures == {'A "picture"': PNG}
    assert read.links == ["#one", "#two", "#three"]
    for said in (
        *("A <run> & more", "First & only", "N serious", "T & so on <i> one 2 & 3"),
        *("What <it> shows.", "The <end>"),
    ):
        assert said in read.text
    assert (
        "<code>--sweeps 10</code>" in content and "<code>harmonium &lt;train&gt;</code>" in content
    )
    assert "note serious" in read.kinds
    assert "prefers-color-scheme: dark" in content
    assert '<meta name="generator" content="harmonium">' in content[:1000]


def test_a_lone_backquote_and_dollars_stay_what_they_are() -> None:
    content = page(title="$title", verdict="a ` b $body ${c}")
    assert "a ` b $body ${c}" in Page(content).text and "$title" in Page(content).text
    assert text("`a` b") == "<code>a</code> b"


def test_what_looks_like_a_template_is_none(make: Make) -> None:
    name = "<b>{{ 6 * 7 }} {% raw %}"
    run = make([row(1)], name=name, data=f"/x/{name}.csv")
    read = page_of(run)
    assert read.text.startswith(f"{name} · harmonium harmonium {name} Restricted Boltzmann")
    assert f"4 × 8 binary units, {name}.csv: 1,000 training rows" in read.text
    assert f"harmonium evaluate {shlex.quote(str(run.path))}" in read.text


def test_a_fact_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'pictures' is undefined"):
        page(Section("s", "S", "pictures", {}))


def test_no_template_takes_words_for_html() -> None:
    templates = list((Path(report.__file__).parent / "templates").rglob("*.html"))
    assert len(templates) > 10
    for path in templates:
        assert not re.search(r"\|\s*safe|autoescape", path.read_text(encoding="utf-8")), path


def test_the_script_ends_where_it_should_and_loads_nothing() -> None:
    content = page(Section("s", "S", "pictures", {"pictures": []}))
    assert content.count("<script>") == content.count("</script>") == 1
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    assert policy in content
    for call in ("fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon", "import(", "localStorage"):
        assert call not in content, call


def test_the_library_is_there_with_its_licence() -> None:
    assets = Path(report.__file__).parent / "assets"
    script = (assets / "uplot-1.6.32.min.js").read_text(encoding="utf-8")
    assert script.startswith("/*! https://github.com/leeoniya/uPlot (v1.6.32) */")
    licence = (assets / "uplot-LICENSE.txt").read_text(encoding="utf-8")
    assert "MIT License" in licence and "Leon Sorokin" in licence


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.25, "0.25 s"),
        (12.4, "12 s"),
        (89, "89 s"),
        (130, "2.2 min"),
        (3000, "50 min"),
        (9e4, "25.0 h"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# Curves


def test_curves_are_the_rows_with_their_errors() -> None:
    rows = [
        row(1, log_likelihood=-20.123456789, log_likelihood_std_error=0.5),
        row(2, log_likelihood=-19.0, log_likelihood_std_error=0.25, held_out_log_likelihood=-21.0),
    ]
    read = Page(page(curves_of(rows)))
    data = read.data["data-x"]
    assert data["runs"] == [{"name": "a", "epoch": [1, 2], "update": [10, 20]}]
    assert [panel["title"] for panel in data["panels"]] == ["Log-likelihood", "Learning rate"]
    train, held_out = data["panels"][0]["curves"]
    assert (train["key"], train["y"], train["error"]) == (
        *("log_likelihood", [-20.12346, -19.0], [0.5, 0.25]),
    )
    assert (held_out["y"], held_out["error"]) == ([None, -21.0], None)


def test_a_long_run_is_thinned_and_keeps_its_ends() -> None:
    rows = [row(i) for i in range(1, 7_777)]
    thinned = curves.thinned(rows)
    assert len(thinned) <= curves.MOST_ROWS + 1
    assert (thinned[0], thinned[-1]) == (rows[0], rows[-1])
    assert curves.thinned(rows[:1000]) == rows[:1000]


def test_a_rate_that_reaches_zero_has_no_logarithm() -> None:
    for ratio, is_logarithmic in ((0.1, True), (0.0, False)):
        rows = [row(1, update_ratio=0.5), row(2, update_ratio=ratio)]
        assert Page(page(curves_of(rows))).data["data-x"]["panels"][0]["log"] is is_logarithmic


# Terms


def test_terms_are_explained_where_they_stand() -> None:
    table = Table("", (), [("One sweep of", "`chain`", "found by AIS")])
    shown = {"missing": [], "found_on": {}, "colours": {}, "differences": table}
    read = Page(page(Section("s", "S", "likelihoods", shown)))
    for term in ("nats", "annealed importance sampling", "sweep"):
        assert f"{term} {TERMS[term]}" in read.text
    assert TERMS["chain"] not in read.text  # that is typed
    places = [read.text.index(said) for said in ("Nats per row", TERMS["nats"], "One sweep of")]
    assert places == sorted(places)


def test_a_term_is_no_part_of_another_word() -> None:
    assert found_in("<p>Pseudo-log-likelihoods of signatures, CDs</p>") == ["pseudo-log-likelihood"]
    assert found_in("<p>PCD</p>") == ["PCD"]


def test_a_term_is_explained_once(make: Make) -> None:
    tiles = [("log-likelihood", "−20", "nats a row")]
    shown = {"layer": Facts(make([row(1)]), "unknown", ""), "data": "digits", "tiles": tiles}
    shown |= dict.fromkeys(("charts", "picture", "page"))
    read = Page(page(Section("s", "S", "layer", shown)))
    assert read.text.count(TERMS["log-likelihood"]) == 1
    assert f"Terms: nats {TERMS['nats']} log-likelihood" in read.text


def test_every_term_is_a_sentence() -> None:
    for term, meaning in TERMS.items():
        assert (
            meaning[0].isupper() and meaning.endswith(".") and found_in(f"<p>{term}</p>") == [term]
        )


# The page of a run


@pytest.mark.parametrize(
    ("done", "stage", "said"),
    [
        (200, "unknown", "Finished"),
        (70, "unknown", "Not finished update 70 of 200 at the last checkpoint. If nothing trains"),
        (70, "running", "Running update 70 of 200 when this page was written"),
        (70, "stopped", "Stopped update 70 of 200; go on with harmonium resume"),
        (200, "running", "Running update 200 of 200"),
    ],
)
def test_a_page_says_how_far_the_run_is(done: int, stage: str, said: str, make: Make) -> None:
    read = page_of(make([row(1)], done=done), stage=stage)
    assert said in read.text


def test_a_run_that_was_taken_further_is_not_finished_any_more(make: Make) -> None:
    run = make([row(1)])
    run.write_config(config(epochs=40))
    assert "Not finished update 200 of 400" in page_of(run).text


def test_what_was_run_on_what_and_how_long(make: Make) -> None:
    run = make([row(epoch, reconstruction_error=5.0) for epoch in (1, 2, 20)])
    read = page_of(run)
    for said in (
        "Restricted Boltzmann machine, 4 × 8 binary units, digits: 1,000 training rows, 100 held",
        "reconstruction error 5.00",
        "epochs 20 of 20, 200 updates",
        # 20 epochs of 1,000 rows at 2,000 rows a second
        "training time 10 s",
        "harmonium 0.1.0",
        "harmonium train digits",
        f"harmonium evaluate {run.path}",
        f"harmonium diagnose {run.path}",
        "SHA-256 aaaaaaaaaaaaaaaa…",
    ):
        assert said in read.text, said


def test_warnings_of_a_run_have_a_mark_at_the_top(make: Make) -> None:
    run = make([row(1, reconstruction_error=5.0)])
    assert "note warning" not in page_of(run).kinds
    run.write_warnings([Warned("It predicts <one> class", "Take a smaller `--learning-rate`.")])
    read = page_of(run)
    said = "It predicts <one> class warning Take a smaller --learning-rate ."
    assert said in read.text and "note warning" in read.kinds
    assert read.text.index(said) < read.text.index("reconstruction error 5.00")


def test_a_run_without_a_row_has_a_page(make: Make) -> None:
    read = page_of(make([], done=0), stage="running")
    assert "Learning curves" not in read.text and "No numbers yet" in read.text
    assert "update 0 of 200" in read.text


def test_a_run_without_checkpoint_and_model_says_so(make: Make) -> None:
    run = make([row(1)], done=10)
    run.checkpoint_path(10).unlink()
    assert "There is neither a model nor a checkpoint in this run" in page_of(run).text


def test_pictures_of_any_time_step_and_play(make: Make) -> None:
    run = make([row(1)])
    rng = np.random.default_rng(0)
    for update in (0, 10, 200):
        path = run.history_path("filters", update)
        path.parent.mkdir(parents=True, exist_ok=True)
        plots.save_frame(path, rng.normal(size=(8, 4)), (2, 2), 4, (-2, 2))
    path = run.history_path("chains", 10)
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save_frame(path, rng.random((4, 4)), (2, 2), 2, (0, 1))
    run.film.mkdir()
    for sweep in (0, 5):
        name = run.film / f"sweep-{sweep:06d}.png"
        plots.save_frame(name, rng.random((4, 4)), (2, 2), 2, (0, 1))
    read = page_of(run)
    history, film = read.data["data-history"], read.data["data-film"]
    assert history["labels"] == [
        "epoch 0 · update 0",
        "epoch 1 · update 10",
        "epoch 20 · update 200",
    ]
    filters, chains = history["tracks"]
    assert (len(filters["frames"]), filters["shown"]) == (3, [0, 1, 2])
    # before its first sheet a track shows that, and later its last one
    assert (len(chains["frames"]), chains["shown"]) == (1, [0, 0, 0])
    assert film["labels"] == ["0 sweeps", "5 sweeps"]
    assert read.pictures["Filters"] == run.history_path("filters", 200).read_bytes()
    assert read.pictures["Film"] == (run.film / "sweep-000000.png").read_bytes()


def test_a_film_of_a_former_end_is_not_shown_while_the_run_goes_on(make: Make) -> None:
    run = make([row(1)])
    run.film.mkdir()
    plots.save_frame(run.film / "sweep-000000.png", np.eye(4), (2, 2), 2, (0, 1))
    assert "data-film" in page_of(run).data
    assert "data-film" not in page_of(run, stage="running").data


def test_pictures_of_commands_are_shown_the_newest_of_each(make: Make) -> None:
    run = make([row(1)])
    for number, name in enumerate(("samples.png", "samples-2.png", "figures/weights.png")):
        Image.new("L", (number + 1, 1)).save(run.path / name)
    read = page_of(run)
    assert set(read.pictures) == {"Samples 2, made since", "Weights"}


def test_the_likelihood_is_an_interval_and_its_meaning(make: Make) -> None:
    run = make([row(1)])
    of = {"lower": -12.5, "upper": -11.5, "lower_std_error": 0.1, "upper_std_error": 0.2}
    of |= {"rows": 250, "exact": False, "update": 100, "warnings": ["the chains are few"]}
    run.likelihood_path.write_text(json.dumps({"format": 1, "results": {"digits:test": of}}))
    read = page_of(run)
    for said in (
        "−12.50 … −11.50",
        f"takes {12 / math.log(2):.1f} bits",
        "if the annealing was slow enough, which an earlier harmonium did not check",
        "digits:test: a warning worth a look The chains are few.",
        "Measured after update 100; the run has since continued to update 200",
        "0.10 0.20 100",
    ):
        assert said in read.text, said


def test_one_number_has_its_error_and_says_what_it_rests_on(make: Make) -> None:
    run = make([row(1)])
    of = {"lower": -12.5, "upper": -12.5, "lower_std_error": 0.03, "upper_std_error": 0.03}
    of |= {"rows": 250, "exact": False, "trusted": True, "rests_on": "log Z by three ways"}
    run.likelihood_path.write_text(json.dumps({"format": 1, "results": {"digits:test": of}}))
    read = page_of(run)
    assert "−12.50 ± 0.03" in read.text and "It rests on log Z by three ways." in read.text
    assert "no lower bound" not in read.text


def test_without_a_lower_bound_the_reason_stands_in_its_place(make: Make) -> None:
    run = make([row(1)])
    of = {"lower": None, "upper": -12.5, "lower_std_error": None, "upper_std_error": 0.03}
    of |= {"rows": 250, "exact": False, "trusted": False, "warnings": ["modes do not mix"]}
    run.likelihood_path.write_text(json.dumps({"format": 1, "results": {"digits:test": of}}))
    read = page_of(run)
    assert "at most −12.50" in read.text and "Modes do not mix." in read.text
    assert "digits:test: no lower bound" in read.text and "the estimates do not agree" in read.text
    assert "there is no lower bound: the estimates do not agree" in read.text


@pytest.mark.parametrize(
    "content", ["", "[]", '{"results": 3}', '{"results": {"a": {"lower": 1}}}']
)
def test_a_likelihood_that_is_none_is_as_if_it_were_not_there(content: str, make: Make) -> None:
    run = make([row(1)])
    run.likelihood_path.write_text(content)
    assert "Not measured yet" in page_of(run).text


def test_a_file_of_others_is_not_replaced(make: Make) -> None:
    run = make([row(1)])
    run.report_path.write_text("<html>my own notes</html>")
    with pytest.raises(FileExistsError, match=r"report\.html exists and was not written by harmon"):
        report.write(run, "")
    assert run.report_path.read_text() == "<html>my own notes</html>"


# Words


def test_numbers_that_stand_out_are_told(make: Make) -> None:
    ok = {"held_out_log_likelihood_std_error": 0.1, "log_likelihood_std_error": 0.1}
    falling = [-30.0, -25, -20, -19, -19, -22, -24, -26, -28, -29]
    rows = [
        row(epoch, log_likelihood=-20.0, held_out_log_likelihood=value, **ok)
        for epoch, value in enumerate(falling, start=1)
    ]
    rows[-1] |= {"dead_hidden": 0.25, "saturated_hidden": 0.05, "update_ratio": 0.5}
    told = notes_of(make(rows))
    for said in (
        "worth a look: Held-out rows were described best after epoch 4.",
        "training rows are 9.00 ± 0.14 nats per row better than held-out rows",
        "25.0 % of the hidden units are off on almost every row, and 5.0 % on",
        "An update still changed the weights by 50.0 %",
        "From epoch 1 to epoch 10, log-likelihood of held-out rows went from −30.00 nats to",
        "In the last quarter it got worse",
    ):
        assert said in told, (said, told)


def test_the_best_of_many_noisy_numbers_is_not_believed(make: Make) -> None:
    noise = np.random.default_rng(0).normal(scale=4, size=50)
    rows = [
        row(
            epoch,
            pseudo_log_likelihood=-55.0,
            held_out_pseudo_log_likelihood=-55 + value,
            held_out_pseudo_log_likelihood_std_error=4.0,
        )
        for epoch, value in enumerate([*noise, -8.0], start=1)
    ]
    assert noise.max() + 8 > 2 * 4 * 2**0.5  # two standard errors, if only two were compared
    assert "described best" not in notes_of(make(rows))


def test_a_good_run_is_left_in_peace(make: Make) -> None:
    ok = {"held_out_log_likelihood_std_error": 0.1, "log_likelihood_std_error": 0.1}
    values = [-30.0, -25, -20, -19.2, -19.1, -19.05, -19.0, -19.0, -19.0, -19.0]
    rows = [
        row(epoch, log_likelihood=value + 0.05, held_out_log_likelihood=value, **ok)
        for epoch, value in enumerate(values, start=1)
    ]
    told = notes_of(make(rows))
    assert "serious" not in told and "worth a look" not in told
    assert "not to be told from held-out rows (0.05 ± 0.14 nats per row apart)" in told
    assert "In the last quarter it hardly changed" in told


def test_a_run_that_still_learns_is_told_to_go_on(make: Make) -> None:
    rows = [row(epoch, reconstruction_error=20.0 - epoch) for epoch in range(1, 13)]
    assert "It was still getting better in the last quarter" in notes_of(make(rows))


def test_advice_of_the_diagnosis_that_needs_no_measurement(make: Make) -> None:
    told = notes_of(make([row(1)], hidden=2_000, chains=1))
    assert "serious: There are 1,000 training rows for 2,000 hidden units." in told
    assert (
        "serious: The model was trained with one persistent chain for mini-batches of 100" in told
    )
    told = notes_of(make([row(1)], name="cd", method="cd", chains=None))
    assert "persistent chain" not in told


def test_a_page_speaks_as_the_door_that_writes_it(make: Make) -> None:
    run = make([row(1)], hidden=2_000, chains=1)
    page_of(run)
    of_python = run.report_path.read_text(encoding="utf-8")
    assert "<code>chains</code>: 100" in of_python and "<code>--chains" not in of_python
    page_of(run, words=in_code)
    typed = run.report_path.read_text(encoding="utf-8")
    assert "<code>--chains</code>: 100" in typed and "<code>chains" not in typed


def test_large_updates_are_meant_while_a_run_goes_on(make: Make) -> None:
    run = make([row(1, update_ratio=0.5)], done=10)
    assert "changed the weights" not in notes_of(run)


# The verdict


def verdict_of(run: RunDirectory, stage: Any = "unknown") -> str:
    return verdict(Facts(run, stage, ""))


def described(held_out: float, epoch: float = 20, **numbers: float) -> dict[str, float]:
    of_both = {
        "log_likelihood": -20.0,
        "log_likelihood_std_error": 0.1,
        "held_out_log_likelihood": held_out,
        "held_out_log_likelihood_std_error": 0.2,
    }
    return row(epoch, **(of_both | numbers))


def test_the_verdict_says_how_good_and_what_next(make: Make) -> None:
    said = verdict_of(make([described(-40.0, 1), described(-20.25)]))
    assert said.startswith(
        "On 100 rows that it has never seen, this model of digits has a log-likelihood of "
        "−20.25 ± 0.20 nats a row (−40.00 at the first look), about as good as on its training "
        "rows. Next, `harmonium diagnose "
    )


def test_the_verdict_says_what_was_learned_by_heart(make: Make) -> None:
    said = verdict_of(make([described(-26.0)]))
    assert (
        "6.00 worse than on its training rows: part of what it knows is learned by heart." in said
    )


def test_the_verdict_says_when_training_was_too_long(make: Make) -> None:
    said = verdict_of(make([described(-30.0, 1), described(-21.0, 5), described(-26.0)]))
    assert "It was best after epoch 5 and has got worse since" in said


def test_the_verdict_says_to_go_on_while_it_pays(make: Make) -> None:
    run = make([described(-60.0 + 2 * epoch, epoch) for epoch in range(1, 21)])
    resumed = f"`harmonium.open({str(run.path)!r}).resume(more_epochs=20)` goes on."
    assert f"still getting better at the end: {resumed}" in verdict_of(run)
    typed = verdict(Facts(run, "unknown", "", in_code))
    assert f"at the end: `harmonium resume {run.path} --more-epochs 20` goes on." in typed


@pytest.mark.parametrize(
    ("stage", "said"),
    [("running", "reload this page"), ("stopped", "It is not finished: go on with `harmonium")],
)
def test_the_verdict_on_a_run_that_is_not_finished(stage: str, said: str, make: Make) -> None:
    assert said in verdict_of(make([described(-20.0)], done=70), stage)


def test_the_verdict_points_to_warnings_first(make: Make) -> None:
    run = make([described(-20.0)])
    run.write_warnings([Warned("A", "B.")])
    assert verdict_of(run).endswith("Read the warning below first.")


def test_the_verdict_takes_the_likelihood_that_was_measured(make: Make) -> None:
    run = make([row(20, pseudo_log_likelihood=-10.0)])
    of = {"lower": -21.0, "upper": -20.5, "update": 200}
    run.likelihood_path.write_text(json.dumps({"results": {"digits:test": of}}))
    assert verdict_of(run).startswith(
        "Rows of digits:test have a log-likelihood of between −21.00 and −20.50 nats a row"
    )


def test_without_held_out_rows_nobody_knows(make: Make) -> None:
    assert "no rows were held out, so its performance on new rows is unknown" in verdict_of(
        make([row(20, log_likelihood=-20.0)])
    )


def test_verdict_and_picture_stand_before_everything_else(make: Make) -> None:
    run = make([described(-20.0)])
    Image.new("L", (8, 8)).save(run.figures / "samples.png")
    read = page_of(run)
    assert next(iter(read.pictures)) == "Samples"
    assert (
        read.text.index("On 100 rows")
        < read.text.index("epochs 20")
        < read.text.index("Use it Three")
    )


def test_a_picture_says_itself_what_it_shows(make: Make) -> None:
    run = make([described(-20.0)])
    figure = plots.shares([0.5], [0.4], ["ash"])
    run.columns.mkdir()
    path = run.columns / "distributions.png"
    plots.save(figure, path, title="Columns", caption="By <name>.")
    read = page_of(run)
    assert next(iter(read.pictures)) == "Columns" and "Columns. By <name>." in read.text


# Which run is better


def ranked(*runs: RunDirectory) -> str:
    return sentence_of({run.path.name: Facts(run, "unknown", "") for run in runs})


def test_compare_says_which_run_is_better_beyond_its_error(make: Make) -> None:
    a, b = make([described(-20.0)], "a"), make([described(-22.0)], "b")
    said = "a is better: its log-likelihood of held-out rows is 2.00 ± 0.28 nats a row higher"
    assert ranked(a, b) == ranked(b, a)
    assert ranked(a, b) == said.replace("better", "better than b") + "."
    c = make([described(-25.0)], "c")
    assert (
        ranked(c, b, a)
        == said.replace("better", "the best of 3 runs") + " than that of b, the next."
    )


def test_compare_says_that_runs_cannot_be_told_apart(make: Make) -> None:
    a, b = make([described(-20.0)], "a"), make([described(-20.5)], "b")
    assert ranked(a, b) == (
        "a and b cannot be told apart by the log-likelihood of held-out rows: they differ by "
        "0.50 ± 0.28 nats a row."
    )
    c = make([described(-30.0)], "c")
    assert ranked(c, a, b).startswith("a and b are the best of 3 runs, and cannot be told apart")


def test_bounds_that_overlap_tell_nothing(make: Make) -> None:
    runs = []
    for name, lower, upper in (("a", -21.0, -19.0), ("b", -20.5, -18.0), ("c", -30.0, -25.0)):
        run = make([described(-20.0)], name)
        of = {"lower": lower, "upper": upper, "update": 200, "rows": 10}
        run.likelihood_path.write_text(json.dumps({"results": {"digits:test": of}}))
        runs.append(run)
    a, b, c = runs
    assert "cannot be told apart by the log-likelihood of digits:test" in ranked(a, b)
    assert "its log-likelihood of digits:test is at least 4.00 nats a row higher." in ranked(a, c)


def test_runs_of_other_data_are_not_ranked(make: Make) -> None:
    a, b = make([described(-20.0)], "a"), make([described(-30.0)], "b", data="/x/wine.csv")
    of_b = b.config()
    of_b["data"]["fingerprint"] = "b" * 64
    b.write_config(of_b)
    assert ranked(a, b) == (
        "These runs cannot be ranked: they learned from different data (a from digits and b from "
        "wine.csv)."
    )


def test_a_reconstruction_error_ranks_nothing(make: Make) -> None:
    a, b = (make([row(20, reconstruction_error=x)], n) for n, x in (("a", 5.0), ("b", 9.0)))
    assert "share no number but the reconstruction error" in ranked(a, b)
    assert "harmonium evaluate" in ranked(a, b)


def test_a_run_that_is_not_finished_is_said_to_be_so(make: Make) -> None:
    a, b = make([described(-20.0)], "a"), make([described(-22.0)], "b", done=70)
    assert ranked(a, b).endswith("(b is not finished.)")


# Several runs


def test_a_comparison_has_the_curves_and_what_differs(make: Make) -> None:
    a = make([row(1, reconstruction_error=5.0), row(2, reconstruction_error=4.0)], name="a")
    b = make([row(2, reconstruction_error=3.5)], name="b", hidden=16, seed=7)
    of = {"lower": -12.5, "upper": -11.5}
    a.likelihood_path.write_text(json.dumps({"results": {"digits:test": of}}))
    path = report.write_comparison([a, b], a.path.parent / "both.html")
    read = Page(path.read_text(encoding="utf-8"))
    data = read.data["data-curves"]
    assert [run["name"] for run in data["runs"]] == ["a", "b"]
    colours = [curve["colour"] for curve in data["panels"][0]["curves"]]
    assert colours == ["run-1", "run-2"]
    for said in (
        "a b hidden 8 16 seed 0 7",
        "Reconstruction error, training 4.00 3.50",
        "−12.50 … −11.50",
        f"found by: harmonium evaluate {b.path}",
    ):
        assert said in read.text, said
    assert "batch size" not in read.text
    # its own page may be replaced
    report.write_comparison([b, a], path)


def test_runs_of_one_name_are_told_apart(make: Make) -> None:
    a, b = make([row(1)], name="x/run"), make([row(1)], name="y/run")
    path = report.write_comparison([a, b], a.path.parent / "both.html")
    read = Page(path.read_text(encoding="utf-8"))
    assert [run["name"] for run in read.data["data-curves"]["runs"]] == [str(a.path), str(b.path)]
    assert "No option differs" in read.text


def test_what_cannot_be_compared_is_said(make: Make) -> None:
    a, b = make([row(1)], name="a"), make([row(1)], name="b", data="mnist")
    other = config(data="mnist")
    other["data"] |= {"n_columns": 784, "encoding": {"kind": "Scaled", "low": 0.0, "high": 255.0}}
    b.write_config(other)
    path = report.write_comparison([a, b], a.path.parent / "both.html")
    read = Page(path.read_text(encoding="utf-8"))
    for said in (
        "What was learned from differs",
        "a: digits, 4 columns, threshold at 0.5; b: mnist, 784 columns, scaled.",
    ):
        assert said in read.text, said
    other["data"] |= {"encoding": {"kind": "Threshold", "level": 0.5}, "two_valued": True}
    b.write_config(other)
    report.write_comparison([a, b], path)
    assert "b: mnist, 784 columns, binary as they are." in path.read_text(encoding="utf-8")


def test_what_is_no_comparison_is_refused(make: Make, tmp_path: Path) -> None:
    a, empty = make([row(1)], name="a"), make([], name="empty")
    out = tmp_path / "out.html"
    many = [make([row(1)], name=f"run-{number}") for number in range(9)]
    again = RunDirectory(tmp_path / "empty" / ".." / "a")
    for runs, message in (
        ([a], r"there is one run, .*a, and nothing beside it; pass two or more"),
        ([a, again], r"a is there twice, also as .*a; leave one of them out"),
        ([a, empty], r"empty has no row of numbers yet, so there is nothing to compare"),
        (many, r"9 runs are more than can be told apart in one chart; pass 8 or fewer"),
    ):
        with pytest.raises(ValueError, match=message):
            report.write_comparison(runs, out)
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="was not written by harmonium"):
        report.write_comparison([a, many[0]], out)
    assert out.read_text() == "mine"


def test_the_verdict_names_what_the_diagnosis_found(make: Make) -> None:
    run = make([described(-20.0)])
    advice = [{"severity": "serious", "finding": "the chains disagree", "reason": "", "remedy": ""}]
    content = {"kind": "harmonium diagnosis", "advice": advice}
    run.diagnosis_path.write_text(json.dumps(content))
    assert verdict_of(run).endswith(
        "The diagnosis found something serious: the chains disagree; what to do stands below, "
        "under Diagnosis."
    )


# What must not be trusted


def doubted(value: float, epoch: float = 20, **numbers: float) -> dict[str, Any]:
    words = {"log_likelihood_warning": "the particles have lost it"}
    return {**described(value, epoch, **numbers), **words}


def test_a_log_likelihood_that_cannot_be_trusted_judges_nothing(make: Make) -> None:
    pseudo = {"pseudo_log_likelihood": -9.0, "held_out_pseudo_log_likelihood": -10.0}
    run = make([described(-30.0, epoch=10) | pseudo, doubted(-3.0, **pseudo)])
    text = page_of(run).text
    assert "has a pseudo-log-likelihood of −10.00 nats a row" in text
    assert "The log-likelihood of 1 of 2 looks cannot be trusted" in notes_of(run)
    assert "the particles have lost it" in text
    assert "; not to be trusted" in text  # below the number itself
    # neither is it the best that the run had, nor worse than what it had before
    lost = make([doubted(-3.0, epoch=10), described(-30.0)], "lost")
    assert not HeldOut.of(Facts(lost, "unknown", "").rows).has_lost  # type: ignore[union-attr]


def test_it_ranks_nothing_either(make: Make) -> None:
    pseudo = {"pseudo_log_likelihood": -9.0, "held_out_pseudo_log_likelihood": -10.0}
    better = {"pseudo_log_likelihood": -5.0, "held_out_pseudo_log_likelihood": -6.0}
    a, b = make([doubted(-3.0, **pseudo)], "a"), make([described(-20.0) | better], "b")
    told = ranked(a, b)
    assert told.startswith("b is better than a: its pseudo-log-likelihood of held-out rows is 4.00")
    assert told.endswith("(The log-likelihood of a cannot be trusted.)")


def test_curves_say_where_they_cannot_be_trusted(make: Make) -> None:
    run = make([described(-30.0, epoch=10), doubted(-3.0)])
    panels = page_of(run).data["data-curves"]["panels"]
    likelihood = next(panel for panel in panels if panel["title"] == "Log-likelihood")
    assert all(curve["doubtful"] == [1] for curve in likelihood["curves"])
    others = [panel for panel in panels if panel is not likelihood]
    assert others and not any(curve["doubtful"] for panel in others for curve in panel["curves"])


def test_a_number_is_told_with_its_error_and_its_doubt() -> None:
    assert told({"loss": 0.12345}, "loss") == "0.1235"
    sure = {"log_likelihood": -20.123, "log_likelihood_std_error": 0.5}
    assert told(sure, "log_likelihood") == "-20.12 ± 0.5"
    doubtful = sure | {"log_likelihood_warning": "lost"}
    assert told(doubtful, "log_likelihood") == "-20.12 ± 0.5 (not to be trusted)"
