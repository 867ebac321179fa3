"""Model files and checkpoints: versioned, written atomically, and free of executable content.

Both are safetensors files. The tensors are the parameters (in a checkpoint, also the optimiser,
chains and averages); everything else is JSON in the file's metadata.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import serialization
from harmonium.arguments import check_type
from harmonium.classification import HybridGradient
from harmonium.files import write_whole
from harmonium.gradient import CenteredGradient, Gradient, Penalties, PlainGradient
from harmonium.likelihood import Population
from harmonium.optimization import describe_optimizer, restore_optimizer
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Purpose, Stream
from harmonium.sampling import (
    ChainState,
    Gibbs,
    GrowingTrajectory,
    Replicas,
    Sampler,
    Tempering,
)
from harmonium.serialization import (
    Types,
    below,
    load_parameters_,
    read,
    tensors_of,
    under,
)
from harmonium.training import Best, Completions, Learner, Patience, TrainingState, settle
from harmonium.units import from_config, to_config

_SAMPLERS: Types[Sampler] = Types(Gibbs, GrowingTrajectory, Tempering)
_GRADIENTS: Types[Gradient] = Types(CenteredGradient, HybridGradient, PlainGradient)

# The numbers of the particles that track log Z.
_OF_POPULATION = ("base_log_z", "base_variance", "looks", "least", "needed")


def save_model(rbm: RBM, path: str | Path) -> None:
    """Write a model file: weights and biases, with unit types and sizes in its metadata."""
    check_rbm("rbm", rbm)
    write_whole(
        Path(path), serialization.pieces("model", tensors_of(rbm), {"rbm": rbm_config(rbm)})
    )


def load_model(path: str | Path, *, device: torch.device | str = "cpu") -> RBM:
    """Read a model file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete model file of a known format.
    """
    tensors, config = read(path, "model")
    return make_rbm(config["rbm"], tensors).to(device)


def save(
    state: TrainingState,
    path: str | Path,
    extra: Mapping[str, Any] | None = None,
    models: Mapping[str, RBM] | None = None,
) -> None:
    """Write a checkpoint; a run resumed from it continues as if it had never stopped.

    The file is written whole or not at all. An existing file is replaced atomically.

    Parameters
    ----------
    state
        The run.
    path
        The file.
    extra
        Anything else to keep, as JSON values (`read_extra`).
    models
        Other models to keep, by name, such as the best one so far (`read_models`).
    """
    content = pieces(state, extra, models)  # first, so that swapped arguments are told in words
    write_whole(Path(path), content)


def dumps(
    state: TrainingState,
    extra: Mapping[str, Any] | None = None,
    models: Mapping[str, RBM] | None = None,
) -> bytes:
    """Return the content of the checkpoint that `save` writes."""
    return b"".join(pieces(state, extra, models))


def pieces(
    state: TrainingState,
    extra: Mapping[str, Any] | None = None,
    models: Mapping[str, RBM] | None = None,
) -> list[bytes | memoryview]:
    """Return the same in pieces of the run's own memory, to be written before its next update."""
    tensors, config = describe(state)
    config["extra"] = dict(extra or {})
    for name, model in (models or {}).items():
        tensors |= tensors_of(model, f"models.{name}.")
        config.setdefault("models", {})[name] = rbm_config(model)
    return serialization.pieces("checkpoint", tensors, config)


def describe(state: TrainingState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Describe a run as tensors and JSON values; `restore` is the inverse."""
    check_type(
        "state",
        state,
        TrainingState,
        "the state of a run, TrainingState.create(rbm); save_model keeps a model",
    )
    tensors, config = describe_learner(state, state.rbm, "rbm.")
    config |= {
        "rbm": rbm_config(state.rbm),
        "sampler": _SAMPLERS.describe(state.sampler, state.sampler.config()),
        "phases": [
            [begins, _SAMPLERS.describe(sampler, sampler.config())]
            for begins, sampler in state.phases
        ],
        "gradient": _GRADIENTS.describe(state.gradient, _plain_fields(state.gradient)),
        "penalties": _plain_fields(state.penalties),
        "average_decay": state.average_decay,
        "swaps": None if (replicas := _replicas(state.chains)) is None else replicas.turn,
        "population": None,
        "missing": state.missing,
    }
    if state.average is not None:
        tensors |= tensors_of(state.average, "average.")
    if state.chains is not None:
        tensors |= under("chains.", _of_chains(state.chains))
    tensors |= under("gradient.", state.gradient.state())
    tensors |= under("penalties.", state.penalties.state())
    if state.completions is not None:
        config["completions"] = of_stream(state.completions.stream)
        kept = {str(group): states for group, states in enumerate(state.completions.kept)}
        tensors |= under("completions.", kept)
    if (population := state.population) is not None:
        numbers = {name: getattr(population, name) for name in _OF_POPULATION}
        config["population"] = numbers | {"stream": of_stream(population.stream)}
        tensors |= tensors_of(population.model, "population.model.")
        for name in ("visible", "log_weights", "families"):
            tensors[f"population.{name}"] = getattr(population, name)
    return tensors, config


def describe_learner(
    state: Learner, model: nn.Module, prefix: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Describe what every training keeps: the parameters, the optimiser, where it is.

    `restore_learner` is the inverse.
    """
    settle(state)
    of_optimizer, config = describe_optimizer(model, state.optimizer, state.schedule)
    tensors = tensors_of(model, prefix) | under("optimizer.", of_optimizer)
    stream = of_stream(state.stream)
    return tensors, {**config, "stream": stream, "seed": state.seed, "update": state.update}


def restore_learner(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None,
    schedule: Callable[[Optimizer], LRScheduler] | None,
) -> dict[str, Any]:
    """The fields of a `Learner` that trains this model; the last two are as in `load`."""
    # an optimiser moves its tensors itself, and may keep some on the CPU
    of_optimizer = below("optimizer.", tensors)
    trained, scheduler = restore_optimizer(model, of_optimizer, config, optimizer, schedule)
    stream = make_stream(config["stream"])
    own = {"optimizer": trained, "schedule": scheduler, "stream": stream}
    return own | {name: config[name] for name in ("seed", "update")}


def describe_best(
    patience: Patience | None, best: Best[Any] | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Describe early stopping and the best model so far; `restore_best` is the inverse."""
    config: dict[str, Any] = {
        "patience": None if patience is None else dataclasses.asdict(patience),
        "best": None,
    }
    if best is None:
        return {}, config
    config["best"] = {name: getattr(best, name) for name in ("score", "update", "improved")}
    return tensors_of(best.network, "best."), config


def restore_best(config: Mapping[str, Any], make: Callable[[], nn.Module]) -> dict[str, Any]:
    """The fields of a state that `describe_best` described; ``make`` makes the best model."""
    patience, best = config["patience"], config["best"]
    return {
        "patience": None if patience is None else Patience(**patience),
        "best": None if best is None else Best(make(), **best),
    }


def load(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
) -> TrainingState:
    """Read a checkpoint.

    Parameters
    ----------
    path
        The file.
    device
        Device on which the run continues.
    optimizer, schedule
        Functions that make the optimiser and the scheduler, if these are not from `torch.optim`.
        Their states come from the file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete checkpoint of a known format.
    """
    tensors, config = read(path, "checkpoint")
    return restore(tensors, config, device=device, optimizer=optimizer, schedule=schedule)


def restore(
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    device: torch.device | str = "cpu",
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
) -> TrainingState:
    """Rebuild a run from what `describe` returned; the other arguments are as in `load`.

    The run takes the tensors over, and changes them in place.

    Raises
    ------
    ValueError
        If the parts do not fit together, or a type is unknown.
    """
    rbm = make_rbm(config["rbm"], below("rbm.", tensors)).to(device)
    learner = restore_learner(rbm, tensors, config, optimizer, schedule)
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    average = below("average.", tensors)
    chains = below("chains.", tensors)
    return TrainingState(
        **learner,
        rbm=rbm,
        sampler=_SAMPLERS.make(config["sampler"]),
        phases=tuple((begins, _SAMPLERS.make(each)) for begins, each in config.get("phases", ())),
        gradient=_GRADIENTS.make(config["gradient"], below("gradient.", tensors)),
        penalties=Penalties(**config["penalties"], activity=tensors.get("penalties.activity")),
        chains=_make_chains(rbm, chains, config.get("swaps")) if chains else None,
        average=make_rbm(config["rbm"], average).to(device) if average else None,
        average_decay=config["average_decay"],
        population=_make_population(
            config["rbm"], config.get("population"), below("population.", tensors)
        ),
        missing=config.get("missing", "random"),
        completions=_make_completions(config.get("completions"), below("completions.", tensors)),
    )


def read_extra(path: str | Path, kind: str = "checkpoint") -> dict[str, Any]:
    """Read the ``extra`` of a checkpoint, of an RBM (`save`) or of a "fine-tuning"."""
    return dict(read(path, kind)[1]["extra"])


def read_models(path: str | Path, *, device: torch.device | str = "cpu") -> dict[str, RBM]:
    """Read the extra ``models`` that `save` wrote to a checkpoint, by name."""
    tensors, config = read(path, "checkpoint")
    return {
        name: make_rbm(of_model, below(f"models.{name}.", tensors)).to(device)
        for name, of_model in config.get("models", {}).items()
    }


def _replicas(chains: ChainState | None) -> Replicas | None:
    """Replicas whose ladder they know themselves; a `TrajectoryTempering` keeps its models."""
    replicas = None if chains is None else chains.replicas
    return replicas if replicas is not None and (replicas.path or replicas.models) else None


def _of_chains(chains: ChainState) -> dict[str, Tensor]:
    replicas = _replicas(chains)
    if replicas is None:
        return {"visible": chains.visible, "hidden": chains.hidden}
    return replicas.tensors()


def _make_chains(rbm: RBM, tensors: Mapping[str, Tensor], swaps: int | None) -> ChainState:
    if swaps is None:
        return ChainState(tensors["visible"], tensors["hidden"])
    return ChainState.of_replicas(Replicas.from_tensors(rbm, tensors, swaps))


def of_stream(stream: Stream) -> dict[str, int]:
    """Describe a stream of random numbers for a file."""
    return dataclasses.asdict(stream) | {"purpose": int(stream.purpose)}


def make_stream(config: Mapping[str, int]) -> Stream:
    """Rebuild the stream that `of_stream` described."""
    return Stream(config["seed"], Purpose(config["purpose"]), config["rank"], config["position"])


def _make_population(
    rbm: Mapping[str, Any], config: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]
) -> Population | None:
    """Rebuild the particles that track log Z; runs of versions without them have none."""
    if config is None:
        return None
    visible = tensors["visible"]
    return Population(
        model=make_rbm(rbm, below("model.", tensors)).to(visible.device).requires_grad_(False),
        visible=visible,
        log_weights=tensors["log_weights"],
        stream=make_stream(config["stream"]),
        # older versions did not track families: every particle starts its own
        families=tensors.get("families", torch.arange(len(visible), device=visible.device)),
        **{name: config[name] for name in _OF_POPULATION if name in config},
    )


def _make_completions(
    stream: Mapping[str, int] | None, tensors: Mapping[str, Tensor]
) -> Completions | None:
    """Rebuild the completions of rows with missing values, whose groups are numbered."""
    if stream is None:
        return None
    return Completions([tensors[str(group)] for group in range(len(tensors))], make_stream(stream))


def _plain_fields(record: Gradient | Penalties) -> dict[str, Any]:
    """Constructor arguments of a dataclass; its other fields are tensors filled in by training."""
    return {
        name: value
        for name, value in vars(record).items()
        if value is None or isinstance(value, int | float)
        if name not in ("visible_offset", "hidden_offset", "activity", "shares")
    }


def rbm_config(rbm: RBM) -> dict[str, Any]:
    """Describe the unit types and sizes of an RBM for a file."""
    return {
        layer: to_config(units)
        for layer, units in (("visible", rbm.visible), ("hidden", rbm.hidden))
    }


def make_rbm(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RBM:
    """Rebuild an RBM from its `rbm_config` and parameters, whose memory it takes over.

    Raises
    ------
    ValueError
        If they do not fit, or a unit type is unknown.
    """
    visible, hidden = (from_config(config[layer]) for layer in ("visible", "hidden"))
    with torch.device("meta"):  # weights without memory, until they are those of the file
        rbm = RBM(visible, hidden)
    load_parameters_(rbm, tensors, take_over=True)
    return rbm.to(tensors["weights"].dtype)
