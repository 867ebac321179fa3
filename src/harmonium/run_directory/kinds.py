"""The kinds of runs: one table, from which every question about the kind of a run is answered.

A further kind is one entry here, and the module of `runs` that its entry names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of run.

    Attributes
    ----------
    name
        As `Run.kind` says it.
    mark
        The ``kind`` in the configuration, by which its directory is known; None where it has none.
    title
        What its page calls it.
    task
        The module of `harmonium.runs` that trains it: ``begin``, ``resume`` and
        ``model_of``. A name, because nothing imports upwards.
    options
        The module of `harmonium.runs` and the table in it of what is learned and how.
    rows
        Where its configuration has the options by which its rows are read.
    function
        The function of `harmonium` that begins such a run.
    model
        The file of the finished model in its directory.
    refusal
        Why a question to an RBM cannot be asked of it, and what uses it, as "RUN holds ..." goes
        on.
    noun
        What a question to a stack calls it.
    asked_by
        The option, and its value, None for any, by which `function` is asked for this kind among
        its others.
    needs
        How that option is passed, to be worded after "pass ".
    unused
        Options of watching that it has no use for.
    """

    name: str
    mark: str | None
    title: str
    task: str
    options: tuple[str, str]
    rows: tuple[str | int, ...] = ("options",)
    function: Literal["train", "train_dbn", "finetune"] = "train"
    model: str = "model.safetensors"
    refusal: str = ""
    noun: str = "the run of a single RBM"
    asked_by: tuple[str, str | None] | None = None
    needs: str = ""
    unused: tuple[str, ...] = ()

    def rows_of(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options in a configuration of this kind by which its rows are read."""
        found: Any = config
        for key in self.rows:
            found = found[key]
        return dict(found)

    def is_asked_for(self, options: Mapping[str, Any]) -> bool:
        """Whether these options of its function ask for this kind, and not for the first."""
        if self.asked_by is None:
            return False
        option, value = self.asked_by
        said = options.get(option)
        return said is not None and (value is None or (isinstance(said, str) and said == value))


_OF_RBM = ("options", "TrainingOptions")

RBM = Kind(name="rbm", mark=None, title="RBM", task="rbm_task", options=_OF_RBM)
DBN = Kind(
    name="dbn",
    mark="dbn",
    title="deep belief network",
    task="stack_task",
    options=("layers", "NetworkOptions"),
    rows=("layers", 0),
    function="train_dbn",
    model="dbn.safetensors",
    refusal="a deep belief network; pass one of its layers ({layers}), or see which commands of "
    "`harmonium dbn` use all of them",
)
FINETUNING = Kind(
    name="fine-tuning",
    mark="fine-tuning",
    title="fine-tuning",
    task="network_task",
    options=("tuning_options", "FinetuningOptions"),
    rows=("bottom",),
    function="finetune",
    model="network.safetensors",
    refusal="a fine-tuned network, which is no RBM; harmonium dbn predict, encode and decode use "
    "it, and harmonium resume goes on with it",
    noun="a fine-tuning",
)
RATINGS = Kind(
    name="ratings",
    mark="ratings",
    title="ratings",
    task="rating_task",
    options=("rating_options", "RatingOptions"),
    refusal="a model of ratings, whose rows have units for what was rated alone; harmonium "
    "recommend uses it, and harmonium resume goes on with it",
    noun="a run of ratings",
    asked_by=("ratings", None),
    needs="`ratings` too, such as `ratings='user,item,rating'`",
    unused=("log_likelihood", "figures"),
)
TOPICS = Kind(
    name="topics",
    mark="topic model",
    title="topic model",
    task="topic_task",
    options=_OF_RBM,
    refusal="a topic model of counts of words, which is no plain RBM; harmonium topics, evaluate "
    "and info use it, and harmonium resume goes on with it",
    noun="a run of topics",
    asked_by=("visible", "counts"),
)

KINDS = (RBM, DBN, FINETUNING, RATINGS, TOPICS)
"""All kinds; the first of a function is the one that it begins unless asked for another."""


def kind_of(config: Mapping[str, Any]) -> Kind:
    """The kind of run with this configuration.

    Raises
    ------
    ValueError
        If this harmonium does not know it.
    """
    mark = config.get("kind")
    for kind in KINDS:
        if kind.mark == mark:
            return kind
    known = ", ".join(str(kind.mark) for kind in KINDS if kind.mark)
    raise ValueError(
        f"the `kind` of the run is {mark!r}, and this harmonium knows {known}; install a newer one"
    )
