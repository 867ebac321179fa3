"""The verdict on a run: what it is, how good it is, and what to do next, in one or two sentences.

It uses only the rows of numbers and the files of a run, and loads no model.
"""

from __future__ import annotations

import math

from harmonium.report import likelihood
from harmonium.report.facts import Facts, data_name, evaluation_of
from harmonium.report.overfitting import SURE, error_of, main_panel
from harmonium.report.pieces import number, sentence, with_error
from harmonium.report.words import is_still_learning, worse_since
from harmonium.run_directory import DIAGNOSIS_MARK


def verdict(facts: Facts) -> str:
    """How good a run is, and what to do next, with code between backquotes."""
    how_good = {
        "RBM": _of_rbm,
        "deep belief network": _of_network,
        "fine-tuning": _of_finetuning,
        "ratings": _of_ratings,
        "topic model": _of_rows,
    }[facts.kind]
    return f"{how_good(facts)} {facts.words(_next(facts))}".strip()


# How good


def _of_rbm(facts: Facts) -> str:
    measured = [
        (name, of)
        for name, of in likelihood.results(facts).items()
        if of.get("update") in (None, facts.done)
    ]
    if measured:
        name, of = measured[0]
        exactly = "exactly " if of.get("exact") else ""
        between = likelihood.interval(of).replace(" … ", " and ")
        between = f"between {between}" if " and " in between else f"{exactly}{between}"
        return f"Rows of {name} have a log-likelihood of {between} nats a row by this model."
    unknown = likelihood.without_lower_bound(facts).items()
    for name, of in unknown:
        if of.get("update") in (None, facts.done):
            return (
                f"Rows of {name} have a log-likelihood of {likelihood.interval(of)} nats a row "
                "by this model, and there is no lower bound: the estimates do not agree."
            )
    return _of_rows(facts)


def _of_rows(facts: Facts) -> str:
    """The last row of numbers: values on new rows compared with training rows."""
    if not facts.rows:
        return "Nothing has been measured yet."
    last, who = facts.rows[-1], f"this model of {data_name(facts.config)}"
    panel = main_panel(last)
    if facts.kind == "fine-tuning":
        who = "this network"
    if panel is None:
        return f"{sentence(who)[:-1]} has been trained for {last['epoch']:g} epochs."
    train, held = panel.curves[0].key, panel.curves[-1].key
    unit = "nats a row" if panel.unit.startswith("nats") else panel.unit
    if panel.is_share and held in last:
        return f"On held-out rows, {who} is right in {1 - last[held]:.1%} of the cases."
    if held not in last or held == train:
        return (
            f"{sentence(who)[:-1]} has a {panel.name} of {with_error(last, train)} {unit} on its "
            "training rows; no rows were held out, so its performance on new rows is unknown."
        )
    n = facts.config["data"]["n_held_out"]
    words = f"On {n:,} rows that it has never seen, {who} has a {panel.name} of "
    words += f"{with_error(last, held)} {unit}"
    first = next((row for row in facts.rows if held in row), last)
    if first is not last:
        words += f" ({number(first[held])} at the first look)"
    if train not in last:
        return f"{words}."
    better = 1 if panel.better == "more" else -1
    gap = better * (last[train] - last[held])
    error = math.hypot(error_of(last, train), error_of(last, held))
    if gap > max(SURE * error, 0.05 * abs(last[held])):
        return (
            f"{words}, {number(gap)} worse than on its training rows: part of what it knows is "
            "learned by heart."
        )
    return f"{words}, about as good as on its training rows."


def _of_network(facts: Facts) -> str:
    n = len(facts.config["layers"])
    if not facts.is_finished:
        return f"{len(facts.layers)} of {n} layers have been begun."
    trained = {1: "The layer is trained", 2: "Both layers are trained"}.get(
        n, f"All {n} layers are trained"
    )
    by_heart = [
        number
        for number, layer in enumerate(facts.layers, start=1)
        if layer.rows and "by heart" in _of_rows(layer)
    ]
    if by_heart:
        which = ", ".join(map(str, by_heart))
        return (
            f"{trained}; layer {which} describes its training rows better than "
            "new ones: part of what it knows is learned by heart."
        )
    lasts = [layer.rows[-1] for layer in facts.layers if layer.rows]
    if any(key.startswith("held_out") for last in lasts for key in last):
        return (
            f"{trained}, and {'it' if n == 1 else 'each'} describes new rows about as well as its "
            "training rows."
        )
    return f"{trained}."


def _of_finetuning(facts: Facts) -> str:
    judged = evaluation_of(facts)
    if judged is None:
        return _of_rows(facts)
    rows = f"{judged['n_rows']:,} {judged['rows']} rows"
    if "error" in judged:
        share, n = judged["error"], judged["n_rows"]
        error = math.sqrt(max(share * (1 - share), 1 / n) / n)
        seen = "" if judged["rows"] == "train" else " that it has never learned from"
        return (
            f"The classifier is right on {1 - share:.1%} of {rows}{seen} "
            f"(± {100 * error:.1f} points)."
        )
    if "squared_error" in judged:
        return f"The network has a squared error of {judged['squared_error']:.4g} on {rows}."
    return _of_rows(facts)


def _of_ratings(facts: Facts) -> str:
    last = facts.rows[-1] if facts.rows else {}
    held = last.get("held_out_rmse")
    if held is None:
        return "No ratings were held out, so that the error on new ones is unknown."
    n = facts.config["data"]["n_held_out"]
    return f"The model predicts {n:,} ratings that it has never seen with an RMSE of {held:.3f}."


# What next


def _next(facts: Facts) -> str:
    if not facts.is_finished:
        if facts.stage == "running":
            return "It is still being trained: reload this page to see how it goes."
        return f"It is not finished: go on with `{facts.resumed_by}`."
    warnings = facts.run.warnings()
    if warnings:
        return (
            "Read the warning below first."
            if len(warnings) == 1
            else "Read the warnings below first."
        )
    path = facts.typed_path
    if facts.kind == "topic model":
        if is_still_learning(facts) and worse_since(facts) is None:
            return _more_epochs(facts)
        return f"Next, `harmonium topics {path}` lists its topics."
    if facts.kind == "deep belief network":
        return (
            f"Next, `harmonium dbn sample {path}` lets it dream, and `harmonium dbn finetune "
            f"{path}` makes a classifier of it."
        )
    if facts.kind == "ratings":
        return f"Next, `harmonium recommend {path}` recommends items to a user."
    best = worse_since(facts)
    if facts.kind == "fine-tuning":
        if is_still_learning(facts) and best is None:
            return _more_epochs(facts)
        use = "encode" if facts.config["options"]["kind"] == "autoencoder" else "predict"
        return f"Next, `harmonium dbn {use} {path} DATA` applies it to new rows."
    if best is not None:
        return (
            f"It was best after epoch {best['epoch']:.4g} and has got worse since: train it "
            "again with fewer `epochs`, more weight decay (`l2`) or more rows."
        )
    content = facts.json(facts.run.diagnosis_path)
    diagnosed = content is not None and content.get("kind") == DIAGNOSIS_MARK
    advice = content["advice"] if diagnosed and content else []
    serious = [one for one in advice if one["severity"] == "serious"]
    if serious:
        return (
            f"The diagnosis found something serious: {serious[0]['finding']}; what to do stands "
            "below, under Diagnosis."
        )
    if is_still_learning(facts):
        return _more_epochs(facts)
    if not diagnosed:
        return f"Next, `harmonium diagnose {path}` tells whether its samples can be trusted."
    return f"Next, `harmonium sample {path}` draws new rows from it."


def _more_epochs(facts: Facts) -> str:
    more = f"resume(more_epochs={facts.config['options']['epochs']})"
    return (
        f"It was still getting better at the end: `harmonium.open({facts.resumed_at!r}).{more}` "
        "goes on."
    )
