"""The page of a run, for each kind of run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harmonium.metrics import is_trusted, name_of, two_decimals
from harmonium.report import (
    columns,
    diagnosis,
    fidelity,
    likelihood,
    loading,
    pictures,
    players,
    topics,
)
from harmonium.report.curves import Series, charts
from harmonium.report.facts import Facts, data_name, duration, evaluation_of, moment, written
from harmonium.report.pieces import Page, Section, Table, minus
from harmonium.report.verdict import verdict

_TAKEN = {
    "random": "taken as missing at random; where a row is shown, the model has drawn them",
    "observed": "left out: each row has a model of its observed columns",
}


def page_of(facts: Facts) -> Page:
    """The whole page."""
    sections: dict[str, Any] = {
        "RBM": _of_rbm,
        "deep belief network": _of_network,
        "fine-tuning": _of_finetuning,
        "ratings": _of_ratings,
        "topic model": _of_topics,
    }
    shown = {
        "facts": facts,
        "what": describe(facts),
        "at": _at(facts),
        "sections": [section for section in sections[facts.kind](facts) if section is not None],
        "written": written(),
    }
    return Page("run", shown)


def _of_rbm(facts: Facts) -> Iterator[Section | None]:
    top = pictures.first(facts)
    yield _glance(facts, top)
    yield columns.section(facts)
    if pictures.is_table(facts):  # whose columns are more informative than curves
        yield pictures.section(facts, apart={top} if top else set())
    yield _curves(facts)
    yield players.history(facts)
    yield players.film(facts)
    if not pictures.is_table(facts):
        yield pictures.section(facts, apart={top} if top else set())
    yield diagnosis.section(facts)
    yield fidelity.section(facts)
    yield likelihood.section(facts)
    yield loading.section(facts)
    yield _again(facts)


def _of_network(facts: Facts) -> Iterator[Section | None]:
    top = pictures.first(facts)
    yield _glance(facts, top)
    yield players.film(facts)
    apart = {top} if top else set()
    for number, layer in enumerate(facts.layers, start=1):
        yield _layer(facts, number, layer)
        apart.add(facts.run.figures / f"filters-{number}.png")
    yield pictures.section(facts, apart)
    yield loading.section(facts)
    yield _again(facts)


def _of_finetuning(facts: Facts) -> Iterator[Section | None]:
    top = pictures.first(facts)
    yield _glance(facts, top)
    yield _curves(facts)
    yield pictures.section(facts, apart={top} if top else set())
    yield diagnosis.section(facts)
    yield loading.section(facts)
    yield _again(facts)


def _of_ratings(facts: Facts) -> Iterator[Section | None]:
    yield _glance(facts, None)
    yield _curves(facts)
    yield _again(facts)


def _of_topics(facts: Facts) -> Iterator[Section | None]:
    yield _glance(facts, None)
    yield topics.section(facts)
    yield _curves(facts)
    yield loading.section(facts)
    yield _again(facts)


def _glance(facts: Facts, top: Path | None) -> Section:
    """The most important facts: verdict, warnings of the run, a picture and the main numbers."""
    picture = pictures.shown_first(top)
    shown = {"verdict": verdict(facts), "picture": picture, "tiles": _tiles(facts)}
    return Section("glance", "At a glance", "glance", {"facts": facts, **shown})


def describe(facts: Facts) -> str:
    """The model and its training data."""
    config, data = facts.config, data_name(facts.config)
    n_columns = config["data"]["n_columns"]
    if facts.kind == "RBM":
        options = config["options"]
        visible, hidden = options["visible"], options["hidden_units"]
        visible = "" if visible == "mixed" else visible
        units = f"{visible} units" if visible == hidden else f"{visible} and {hidden} units"
        size = f"{columns.n_values(config['data']):,} × {options['hidden']:,}"
        return f"Restricted Boltzmann machine, {size} {units}, {data}"
    if facts.kind == "ratings":
        of = config["data"]
        return (
            f"Restricted Boltzmann machine of {of['n_ratings']:,} ratings, {of['n_items']:,} items "
            f"by {of['n_users']:,} users, {config['options']['hidden']:,} hidden units, {data}"
        )
    if facts.kind == "topic model":
        n_topics = f"{config['options']['hidden']:,} topics"
        return f"Replicated softmax, {n_columns:,} words × {n_topics}, {data}"
    if facts.kind == "deep belief network":
        sizes = "-".join(str(layer["hidden"]) for layer in config["layers"])
        return f"Deep belief network {n_columns}-{sizes}, {data}"
    sizes = "-".join(str(size) for size in (n_columns, *(x["hidden"] for x in config["layers"])))
    start = "a pretrained stack" if config["pretrained"] else "random weights"
    kind = str(config["options"]["kind"]).capitalize()
    return f"{kind} {sizes}, begun at {start}, {data}"


def _at(facts: Facts) -> str:
    """How far the run is."""
    if facts.kind != "deep belief network":
        return f"update {facts.done:,} of {facts.total:,}"
    at = f"layer {len(facts.layers)} of {len(facts.config['layers'])}"
    return f"{at}, {_at(facts.layers[-1])}" if facts.layers else at


# Numbers


def _tiles(facts: Facts) -> Iterator[tuple[str, str, str]]:
    last = facts.rows[-1] if facts.rows else {}
    if facts.kind == "RBM":
        measured = likelihood.results(facts) | likelihood.without_lower_bound(facts)
        for name, of in measured.items():
            yield "log-likelihood", likelihood.interval(of), f"nats a row of {name}"
        # the log-likelihood tracked in training is an estimate of the same quantity
        likelihoods = () if measured else ("log_likelihood", "pseudo_log_likelihood")
        best = next((key for key in likelihoods if key in last), None)
        for key in filter(None, (best, "reconstruction_error")):
            yield from _metric(last, key)
    if facts.kind == "topic model":
        yield from topics.tiles(facts)
        yield from _metric(last, "completion_perplexity")
    if facts.kind == "fine-tuning":
        yield from _evaluation(facts, last)
    if facts.kind == "ratings" and "rmse" in last:
        own = f"training ratings, each from the others of its row, {last['rmse']:.3f}"
        held = last.get("held_out_rmse")
        if held is None:
            yield "RMSE", f"{last['rmse']:.3f}", "of training ratings, each from the others"
        else:
            yield "RMSE", f"{held:.3f}", f"of held-out ratings; {own}"
    if facts.kind == "deep belief network":
        yield "layers", f"{len(facts.layers)}", f"of {len(facts.config['layers'])} begun"
    else:
        epochs = facts.done / facts.n_updates_an_epoch
        most = " at most" if facts.kind == "fine-tuning" else ""
        options = facts.config["options"]
        yield (
            "epochs",
            f"{epochs:,.1f}".removesuffix(".0"),
            f"of {options['epochs']:,}{most}, {facts.done:,} updates",
        )
    if facts.seconds:
        where = facts.config["device"]
        if where == "cpu":
            where = f"CPU, {threads_of(facts.config)}"
        speed = f"; {last['rows_per_second']:,.0f} rows a second at the end" if last else ""
        yield "training time", duration(facts.seconds), f"for all updates, {where}{speed}"


def _metric(last: Mapping[str, float], key: str) -> Iterator[tuple[str, str, str]]:
    name = name_of(key)
    unit = "nats a row" if "likelihood" in key else "words" if "perplexity" in key else "per row"
    held = f"held_out_{key}"
    doubt = "" if is_trusted(last, key) else "; not to be trusted"
    if held in last:
        told = minus(f"{last[key]:.2f}")
        note = f"{unit}, held-out rows; training rows {told}{doubt}"
        yield name, minus(two_decimals(last, held)), note
    elif key in last:
        yield name, minus(two_decimals(last, key)), f"{unit}, training rows{doubt}"


def _evaluation(facts: Facts, last: Mapping[str, float]) -> Iterator[tuple[str, str, str]]:
    judged = evaluation_of(facts)
    if judged is not None:
        rows = f"of {judged['n_rows']:,} {judged['rows']} rows"
        if "error" in judged:
            wrong = round(judged["error"] * judged["n_rows"])
            yield "wrong", f"{judged['error']:.2%}", f"{wrong:,} {rows}"
        elif "squared_error" in judged:
            yield "squared error", f"{judged['squared_error']:.4g}", rows
        if "update" in judged:
            epoch = judged["update"] / facts.n_updates_an_epoch
            yield "best network", f"epoch {epoch:.4g}", "by held-out rows; it is the one kept"
    if "held_out_error" in last:
        yield "wrong at the end", f"{last['held_out_error']:.2%}", "of held-out rows"
    elif "held_out_loss" in last:
        yield "loss at the end", f"{last['held_out_loss']:.4g}", "a held-out row"


# Parts that kinds of runs share


def _curves(facts: Facts) -> Section | None:
    if not facts.rows:
        return None
    drawn = charts("curves", [Series(facts.name, facts.rows)])
    return Section("curves", "Learning curves", "curves", {"charts": drawn})


def _layer(facts: Facts, number: int, layer: Facts) -> Section:
    filters, picture = facts.run.figures / f"filters-{number}.png", None
    if filters.is_file():
        caption = "The filters of its hidden units on the data, through the layers below."
        drawn = pictures.picture(filters)
        title = "Filters" if drawn.title.startswith("Filters") else drawn.title
        picture = replace(drawn, title=f"{title} of layer {number}", caption=caption)
    page, curves = layer.run.report_path, [Series(layer.name, layer.rows)]
    shown = {
        "layer": layer,
        "data": data_name(layer.config),
        "tiles": _tiles(layer),
        "charts": charts(f"curves-{number}", curves) if layer.rows else None,
        "picture": picture,
        "page": page.relative_to(facts.run.path).as_posix() if page.is_file() else None,
    }
    return Section(f"layer-{number}", f"Layer {number}", "layer", shown)


def _again(facts: Facts) -> Section:
    """How the run was started, so that it can be repeated."""
    config = facts.config
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    options = options_of(facts)
    recipe = facts.json(facts.run.path / "recipe.json")
    rows = [
        ("begun", moment(config["created"])),
        ("seed", str(options.get("seed", "–"))),
        ("versions", versions),
        ("device", f"{config['device']}, {threads_of(config)}"),
        ("data", f"{data_name(config)}, SHA-256 {str(config['data']['fingerprint'])[:16]}…"),
    ]
    if weights := config["data"].get("weights"):
        rows.append(("weights", f"rows count as {weights['effective_rows']:,.1f} of equal weight"))
    if missing := config["data"].get("missing"):
        taken = _TAKEN.get(options.get("missing", ""), "")
        n = sum(missing.values())
        rows.append(("missing values", f"{n:,}, in {len(missing):,} columns; {taken}"))
    if recipe is not None and {"recipe", "minutes"} <= recipe.keys():
        rows.append(("recipe", f"{recipe['recipe']}, {recipe['minutes']:.1f} minutes in all"))
    all_options = (
        {f"All options of layer {n}": _listed(x) for n, x in enumerate(config["layers"], start=1)}
        if facts.kind == "deep belief network"
        else {"All options": _listed(options)}
    )
    shown = {"facts": facts, "table": _plain_table(rows), "options": all_options}
    return Section("again", "Run it again", "again", shown)


def threads_of(config: Mapping[str, Any]) -> str:
    """The number of threads of a run."""
    n = int(config["threads"])
    return f"{n} thread" + "s" * (n != 1)


def options_of(facts: Facts) -> dict[str, Any]:
    """The options of a run; for a network, those common to all layers."""
    options = dict(facts.config["options"])
    if facts.kind == "deep belief network":
        return {
            "layers": options["layers"],
            "features": options["features"],
            "labels": options["labels"],
            **options["of_all"],
            **options["of_each"],
        }
    return options


def _listed(options: Mapping[str, Any]) -> Table:
    return _plain_table(
        [
            (name.replace("_", " "), str(value))
            for name, value in options.items()
            if value is not None and value is not False
        ]
    )


def _plain_table(rows: Sequence[tuple[str, str]]) -> Table:
    return Table("", ("", ""), rows)
