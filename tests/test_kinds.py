"""The table of kinds of runs: each entry leads to its task, its options and its words."""

from __future__ import annotations

from dataclasses import fields

import pytest

from harmonium.run_directory import Kind, RunDirectory, kinds
from harmonium.runs import opening


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_an_entry_leads_to_all_that_a_kind_needs(kind: Kind) -> None:
    task = opening.task_of(kind)
    assert all(callable(getattr(task, name)) for name in ("begin", "resume", "model_of"))
    assert fields(opening.table_of(kind))
    assert kinds.kind_of({"kind": kind.mark} if kind.mark else {}) is kind
    assert (kind.refusal == "") == (kind is kinds.RBM)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({}, kinds.RBM),
        ({"visible": "binary"}, kinds.RBM),
        ({"visible": "counts"}, kinds.TOPICS),
        ({"ratings": None}, kinds.RBM),
        ({"ratings": "user,item,rating", "visible": "counts"}, kinds.RATINGS),
    ],
)
def test_options_ask_for_a_kind(said: dict[str, str | None], kind: Kind) -> None:
    assert opening.asked_for(said) is kind


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (kinds.RBM, "orientation", "`orientation` is for ratings; pass `ratings` too, such as"),
        (kinds.TOPICS, "orientation", "`orientation` is for ratings; pass `ratings` too, such as"),
        (kinds.RATINGS, "sampler", "`sampler` is not for a training on ratings; leave it out, or"),
        (kinds.RATINGS, "figures", "`figures` is not for a training on ratings; leave it out, or"),
    ],
)
def test_options_of_other_kinds_are_refused(kind: Kind, name: str, message: str) -> None:
    opening.refuse_others(kind, {"hidden": 3, "ratings": None})
    with pytest.raises(ValueError, match=message):
        opening.refuse_others(kind, {"hidden": 3, name: 1})


def test_a_kind_of_a_newer_version_is_refused_by_name(tmp_path) -> None:
    run = RunDirectory(tmp_path)
    run.write_config({"kind": "tensor train", "options": {}, "data": {}})
    with pytest.raises(ValueError, match="is 'tensor train', and this harmonium knows dbn, fine"):
        RunDirectory.open(tmp_path)
