"""Model files and checkpoints: versioned, written atomically, and free of executable content.

Both are safetensors files. The tensors are the parameters (in a checkpoint, also the optimiser,
chains and averages); everything else is JSON in the file's metadata.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium.arguments import check_type
from harmonium.classification import HybridGradient
from harmonium.files import write_whole
from harmonium.gradient import CenteredGradient, Gradient, Penalties, PlainGradient
from harmonium.likelihood import Population
from harmonium.optimization import describe_optimizer, restore_optimizer
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Gibbs, Replicas, Sampler, Tempering
from harmonium.serialization import load_parameters_, lookup, name_in, read, serialize
from harmonium.training import TrainingState, settle
from harmonium.units import from_config, to_config

_SAMPLERS: dict[str, type[Sampler]] = {"Gibbs": Gibbs, "Tempering": Tempering}
_GRADIENTS: dict[str, type[Gradient]] = {
    "CenteredGradient": CenteredGradient,
    "HybridGradient": HybridGradient,
    "PlainGradient": PlainGradient,
}


_T = TypeVar("_T")


def save_model(rbm: RBM, path: str | Path) -> None:
    """Write a model file: weights and biases, with unit types and sizes in its metadata."""
    check_rbm("rbm", rbm)
    content = serialize("model", tensors_of(rbm), {"rbm": rbm_config(rbm)})
    write_whole(Path(path), content)


def load_model(path: str | Path, *, device: torch.device | str = "cpu") -> RBM:
    """Read a model file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete model file of a known format.
    """
    tensors, config = read(Path(path), "model")
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
    content = dumps(state, extra, models)
    write_whole(Path(path), content)


def dumps(
    state: TrainingState,
    extra: Mapping[str, Any] | None = None,
    models: Mapping[str, RBM] | None = None,
) -> bytes:
    """Return the content of the checkpoint that `save` writes."""
    tensors, config = describe(state)
    config["extra"] = dict(extra or {})
    for name, model in (models or {}).items():
        # a file cannot hold one tensor under two names, and a model may share the run's tensors
        own = tensors_of(model, f"models.{name}.")
        tensors |= {path: tensor.clone() for path, tensor in own.items()}
        config.setdefault("models", {})[name] = rbm_config(model)
    return serialize("checkpoint", tensors, config)


def describe(state: TrainingState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Describe a run as tensors and JSON values; `restore` is the inverse."""
    check_type(
        "state",
        state,
        TrainingState,
        "the state of a run, TrainingState.create(rbm); save_model keeps a model",
    )
    settle(state)
    tensors = tensors_of(state.rbm, "rbm.")
    if state.average is not None:
        tensors |= tensors_of(state.average, "average.")
    if state.chains is not None:
        tensors |= {f"chains.{name}": tensor for name, tensor in _of_chains(state.chains).items()}
    tensors |= {f"gradient.{name}": tensor for name, tensor in state.gradient.state().items()}
    tensors |= {f"penalties.{name}": tensor for name, tensor in state.penalties.state().items()}
    population = state.population
    if population is not None:
        tensors |= tensors_of(population.model, "population.model.")
        tensors["population.visible"] = population.visible
        tensors["population.log_weights"] = population.log_weights
        tensors["population.families"] = population.families
    of_optimizer, optimization = describe_optimizer(state.rbm, state.optimizer, state.schedule)
    tensors |= {f"optimizer.{name}": tensor for name, tensor in of_optimizer.items()}
    config = {
        "rbm": rbm_config(state.rbm),
        **optimization,
        "sampler": _of_sampler(state.sampler),
        "phases": [[begins, _of_sampler(sampler)] for begins, sampler in state.phases.items()],
        "gradient": {"type": name_in(_GRADIENTS, state.gradient), **_plain_fields(state.gradient)},
        "penalties": _plain_fields(state.penalties),
        "average_decay": state.average_decay,
        "swaps": None if (replicas := _replicas(state.chains)) is None else replicas.turn,
        "stream": of_stream(state.stream),
        "population": None
        if population is None
        else {
            "base_log_z": population.base_log_z,
            "base_variance": population.base_variance,
            "looks": population.looks,
            "least": population.least,
            "needed": population.needed,
            "stream": of_stream(population.stream),
        },
        "seed": state.seed,
        "update": state.update,
    }
    return tensors, config


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
    tensors, config = read(Path(path), "checkpoint")
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

    Raises
    ------
    ValueError
        If the parts do not fit together, or a type is unknown.
    """
    rbm = make_rbm(config["rbm"], below("rbm.", tensors)).to(device)
    # an optimiser moves its tensors itself, and may keep some on the CPU
    trained, scheduler = restore_optimizer(
        rbm, below("optimizer.", tensors), config, optimizer, schedule
    )
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    average = below("average.", tensors)
    chains = below("chains.", tensors)
    return TrainingState(
        rbm=rbm,
        optimizer=trained,
        sampler=_make(_SAMPLERS, config["sampler"]),
        phases={begins: _make(_SAMPLERS, each) for begins, each in config.get("phases", ())},
        gradient=_make(_GRADIENTS, config["gradient"], below("gradient.", tensors)),
        penalties=Penalties(**config["penalties"], activity=tensors.get("penalties.activity")),
        chains=_make_chains(rbm, chains, config.get("swaps")) if chains else None,
        stream=make_stream(config["stream"]),
        seed=config["seed"],
        schedule=scheduler,
        average=make_rbm(config["rbm"], average).to(device) if average else None,
        average_decay=config["average_decay"],
        update=config["update"],
        population=_make_population(
            config["rbm"], config.get("population"), below("population.", tensors)
        ),
    )


def read_extra(path: str | Path) -> dict[str, Any]:
    """Read the ``extra`` that `save` wrote to a checkpoint."""
    return dict(read(Path(path), "checkpoint")[1]["extra"])


def read_models(path: str | Path, *, device: torch.device | str = "cpu") -> dict[str, RBM]:
    """Read the extra ``models`` that `save` wrote to a checkpoint, by name."""
    tensors, config = read(Path(path), "checkpoint")
    return {
        name: make_rbm(of_model, below(f"models.{name}.", tensors)).to(device)
        for name, of_model in config.get("models", {}).items()
    }


def tensors_of(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """Return a module's tensors by name.

    Raises
    ------
    FloatingPointError
        If one holds values that are not finite; such tensors are never written.
    """
    tensors = {prefix + name: tensor.detach() for name, tensor in module.state_dict().items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise FloatingPointError(
                f"{name} holds values that are not finite, so nothing was written; the learning "
                "rate is probably too large"
            )
    return tensors


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors whose names start with a prefix, and strip it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _replicas(chains: ChainState | None) -> Replicas | None:
    """Replica states at other temperatures; replicas of other models are not kept."""
    replicas = None if chains is None else chains.replicas
    return None if replicas is None or replicas.path is None else replicas


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
        base_log_z=config["base_log_z"],
        base_variance=config["base_variance"],
        stream=make_stream(config["stream"]),
        # older versions did not track families: every particle starts its own
        families=tensors.get("families", torch.arange(len(visible), device=visible.device)),
        **{name: config[name] for name in ("looks", "least", "needed") if name in config},
    )


def _of_sampler(sampler: Sampler) -> dict[str, Any]:
    return {"type": name_in(_SAMPLERS, sampler), **sampler.config()}


def _plain_fields(record: Gradient | Penalties) -> dict[str, Any]:
    """Constructor arguments of a dataclass; its other fields are tensors filled in by training."""
    return {
        name: value
        for name, value in vars(record).items()
        if value is None or isinstance(value, int | float)
        if name not in ("visible_offset", "hidden_offset", "activity")
    }


def rbm_config(rbm: RBM) -> dict[str, Any]:
    """Describe the unit types and sizes of an RBM for a file."""
    return {
        layer: to_config(units)
        for layer, units in (("visible", rbm.visible), ("hidden", rbm.hidden))
    }


def make_rbm(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RBM:
    """Rebuild an RBM from its `rbm_config` and parameters.

    Raises
    ------
    ValueError
        If they do not fit, or a unit type is unknown.
    """
    visible, hidden = (from_config(config[layer]) for layer in ("visible", "hidden"))
    rbm = RBM(visible, hidden).to(tensors["weights"].dtype)
    load_parameters_(rbm, tensors)
    return rbm


def _make(
    types: Mapping[str, Callable[..., _T]],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> _T:
    """Make an instance of a named type from a table of known types."""
    arguments = {**config, **(tensors or {})}
    make = lookup(types, arguments.pop("type"))
    try:
        return make(**arguments)
    except TypeError as error:
        raise ValueError(f"the file's arguments do not fit: {error}") from error
