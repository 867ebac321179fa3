"""Model files and checkpoints: versioned, whole or not at all, and nothing in them can execute.

Both are safetensors files. The tensors are the parameters (and, in a checkpoint, the optimiser,
chains and averages); everything else is JSON in the file's metadata.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler

from harmonium.classification import HybridGradient
from harmonium.files import write_whole
from harmonium.gradient import CenteredGradient, Gradient, Penalties, PlainGradient
from harmonium.likelihood import Population
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Gibbs, Replicas, Sampler, Tempering
from harmonium.training import TrainingState, settle
from harmonium.units import from_config, to_config

FORMAT = 1
"""Version of both file formats; a newer one is refused, an older one is read."""

_PAIRS = "key-value pairs"

_SAMPLERS: dict[str, type[Sampler]] = {"Gibbs": Gibbs, "Tempering": Tempering}
_GRADIENTS: dict[str, type[Gradient]] = {
    "CenteredGradient": CenteredGradient,
    "HybridGradient": HybridGradient,
    "PlainGradient": PlainGradient,
}


_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    name: optimizer
    for name, optimizer in vars(torch.optim).items()
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer)
    if optimizer is not Optimizer
}

_T = TypeVar("_T")


def save_model(rbm: RBM, path: str | Path) -> None:
    """Write a model file: weights and biases, with unit types and sizes in its metadata."""
    content = _serialize("model", _tensors(rbm), {"rbm": _rbm_config(rbm)})
    write_whole(Path(path), content)


def load_model(path: str | Path, *, device: torch.device | str = "cpu") -> RBM:
    """Read a model file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is no whole model file of a format that is known.
    """
    tensors, config = _read(Path(path), "model")
    return _make_rbm(config["rbm"], tensors).to(device)


def save(
    state: TrainingState,
    path: str | Path,
    extra: Mapping[str, Any] | None = None,
    models: Mapping[str, RBM] | None = None,
) -> None:
    """Write a checkpoint, from which a run goes on as if it had never stopped.

    The file is written whole or not at all; one that exists is replaced, at once.

    Parameters
    ----------
    state
        The run.
    path
        The file.
    extra
        What else should be kept, as JSON can hold it (`read_extra`).
    models
        Other models to keep, by name, such as the best one so far (`read_models`).
    """
    write_whole(Path(path), dumps(state, extra, models))


def dumps(
    state: TrainingState,
    extra: Mapping[str, Any] | None = None,
    models: Mapping[str, RBM] | None = None,
) -> bytes:
    """The content of the checkpoint that `save` writes."""
    settle(state)
    tensors = _tensors(state.rbm, "rbm.")
    if state.average is not None:
        tensors |= _tensors(state.average, "average.")
    for name, model in (models or {}).items():
        # a file keeps no tensor under two names, and a model may be one of the run's own
        own = _tensors(model, f"models.{name}.")
        tensors |= {path: tensor.clone() for path, tensor in own.items()}
    if state.chains is not None:
        tensors |= {f"chains.{name}": tensor for name, tensor in _of_chains(state.chains).items()}
    tensors |= {f"gradient.{name}": tensor for name, tensor in state.gradient.state().items()}
    tensors |= {f"penalties.{name}": tensor for name, tensor in state.penalties.state().items()}
    population = state.population
    if population is not None:
        tensors |= _tensors(population.model, "population.model.")
        tensors["population.visible"] = population.visible
        tensors["population.log_weights"] = population.log_weights
    names: dict[Tensor, str] = {parameter: name for name, parameter in state.rbm.named_parameters()}
    numbers: dict[str, dict[str, Any]] = {}
    for parameter, values in state.optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{names[parameter]}.{key}"] = value
            else:
                numbers.setdefault(names[parameter], {})[key] = value
    config = {
        "rbm": _rbm_config(state.rbm),
        "optimizer": {
            "type": type(state.optimizer).__name__,
            "groups": [
                group | {"params": [names[parameter] for parameter in group["params"]]}
                for group in state.optimizer.param_groups
            ],
            "numbers": numbers,
        },
        "schedule": None
        if state.schedule is None
        else {
            "type": type(state.schedule).__name__,
            "state": _with_text_keys(state.schedule.state_dict()),
        },
        "sampler": {"type": _name_in(_SAMPLERS, state.sampler), **state.sampler.config()},
        "gradient": {"type": _name_in(_GRADIENTS, state.gradient), **_plain_fields(state.gradient)},
        "penalties": _plain_fields(state.penalties),
        "average_decay": state.average_decay,
        "swaps": None if (replicas := _replicas(state.chains)) is None else replicas.turn,
        "stream": _of_stream(state.stream),
        "population": None
        if population is None
        else {
            "base_log_z": population.base_log_z,
            "base_variance": population.base_variance,
            "stream": _of_stream(population.stream),
        },
        "seed": state.seed,
        "update": state.update,
        "extra": dict(extra or {}),
    }
    if models:
        config["models"] = {name: _rbm_config(model) for name, model in models.items()}
    return _serialize("checkpoint", tensors, config)


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
        Where the run goes on.
    optimizer, schedule
        Make the optimiser and the scheduler where they are none of `torch.optim`'s own; their
        states come from the file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is no whole checkpoint of a format that is known.
    """
    tensors, config = _read(Path(path), "checkpoint")
    rbm = _make_rbm(config["rbm"], _below("rbm.", tensors)).to(device)
    # an optimiser moves its tensors itself, and keeps some on the CPU
    trained = _make_optimizer(rbm, config["optimizer"], _below("optimizer.", tensors), optimizer)
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    average = _below("average.", tensors)
    chains = _below("chains.", tensors)
    return TrainingState(
        rbm=rbm,
        optimizer=trained,
        sampler=_make(_SAMPLERS, config["sampler"]),
        gradient=_make(_GRADIENTS, config["gradient"], _below("gradient.", tensors)),
        penalties=Penalties(**config["penalties"], activity=tensors.get("penalties.activity")),
        chains=_make_chains(rbm, chains, config.get("swaps")) if chains else None,
        stream=_make_stream(config["stream"]),
        seed=config["seed"],
        schedule=_make_schedule(trained, config["schedule"], schedule),
        average=_make_rbm(config["rbm"], average).to(device) if average else None,
        average_decay=config["average_decay"],
        update=config["update"],
        population=_make_population(
            config["rbm"], config.get("population"), _below("population.", tensors)
        ),
    )


def read_extra(path: str | Path) -> dict[str, Any]:
    """What was kept beside the run in a checkpoint (`save`'s ``extra``)."""
    return dict(_read(Path(path), "checkpoint")[1]["extra"])


def read_models(path: str | Path, *, device: torch.device | str = "cpu") -> dict[str, RBM]:
    """The models that were kept beside the run in a checkpoint (`save`'s ``models``), by name."""
    tensors, config = _read(Path(path), "checkpoint")
    return {
        name: _make_rbm(of_model, _below(f"models.{name}.", tensors)).to(device)
        for name, of_model in config.get("models", {}).items()
    }


def _serialize(kind: str, tensors: dict[str, Tensor], config: dict[str, Any]) -> bytes:
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(config, allow_nan=False, default=_refuse_to_keep)
    metadata = {
        "format": f"harmonium {kind}",
        "version": str(FORMAT),
        "config": text,
        "sha256": _digest(on_cpu, text),
    }
    return _in_fixed_order(serialize(on_cpu, metadata))


def _in_fixed_order(content: bytes) -> bytes:
    """The same safetensors file with its header in order of names.

    Safetensors writes metadata in an order that changes from call to call, and the same run has
    to end in the same bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    ordered = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":"))
    header = ordered.encode()
    header += b" " * (-len(header) % 8)  # the tensors behind it stay aligned
    return len(header).to_bytes(8, "little") + header + content[end:]


def _read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such {kind} file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_format(path, kind, metadata)
            # copies: views into the mapped file would keep it open
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off or damaged, or no {kind} file at all ({error}); use an older one"
        ) from error
    text = metadata.get("config", "")
    if _digest(tensors, text) != metadata.get("sha256"):
        raise ValueError(f"{path} is damaged: its checksum does not fit; use an older one")
    return tensors, json.loads(text)


def _check_format(path: Path, kind: str, metadata: Mapping[str, str]) -> None:
    expected = f"harmonium {kind}"
    came = metadata.get("format", "an unknown format")
    if came != expected:
        raise ValueError(f"{path} holds {came}, not a {expected}; pass the {kind} file of a run")
    version = metadata.get("version", "")
    if not (version.isdecimal() and int(version) <= FORMAT):
        raise ValueError(
            f"{path} has format {version or 'unknown'}, and this harmonium reads up to {FORMAT}; "
            "install a newer harmonium"
        )


def _refuse_to_keep(value: object) -> object:
    raise TypeError(
        f"a file keeps tensors, numbers and text, but the run holds a {type(value).__name__} "
        f"({value!r}); a learning rate, for example, has to be a float"
    )


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 over the text, and names, types, shapes and bytes of tensors in order of name."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _tensors(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    tensors = {prefix + name: tensor.detach() for name, tensor in module.state_dict().items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise FloatingPointError(
                f"{name} holds values that are not finite, so nothing was written; the learning "
                "rate is probably too large"
            )
    return tensors


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _replicas(chains: ChainState | None) -> Replicas | None:
    """The states at other temperatures; those of other models are not kept."""
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


def _of_stream(stream: Stream) -> dict[str, int]:
    return dataclasses.asdict(stream) | {"purpose": int(stream.purpose)}


def _make_stream(config: Mapping[str, int]) -> Stream:
    return Stream(config["seed"], Purpose(config["purpose"]), config["rank"], config["position"])


def _make_population(
    rbm: Mapping[str, Any], config: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]
) -> Population | None:
    """What followed log Z; runs of before harmonium did have none, and begin one."""
    if config is None:
        return None
    visible = tensors["visible"]
    return Population(
        model=_make_rbm(rbm, _below("model.", tensors)).to(visible.device).requires_grad_(False),
        visible=visible,
        log_weights=tensors["log_weights"],
        base_log_z=config["base_log_z"],
        base_variance=config["base_variance"],
        stream=_make_stream(config["stream"]),
    )


def _plain_fields(record: Gradient | Penalties) -> dict[str, Any]:
    """The arguments of a dataclass whose other fields are tensors that training filled in."""
    return {
        name: value
        for name, value in vars(record).items()
        if value is None or isinstance(value, int | float)
        if name not in ("visible_offset", "hidden_offset", "activity")
    }


def _rbm_config(rbm: RBM) -> dict[str, Any]:
    return {
        layer: to_config(units)
        for layer, units in (("visible", rbm.visible), ("hidden", rbm.hidden))
    }


def _make_rbm(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RBM:
    visible, hidden = (from_config(config[layer]) for layer in ("visible", "hidden"))
    rbm = RBM(visible, hidden).to(tensors["weights"].dtype)
    try:
        rbm.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise ValueError(f"the file's layers do not fit its tensors: {error}") from error
    return rbm


def _make(
    types: Mapping[str, Callable[..., _T]],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> _T:
    """An instance of a named type, from a table of types that are known."""
    arguments = {**config, **(tensors or {})}
    make = _lookup(types, arguments.pop("type"))
    try:
        return make(**arguments)
    except TypeError as error:
        raise ValueError(f"the file's arguments do not fit: {error}") from error


def _lookup(types: Mapping[str, _T], name: str) -> _T:
    if name not in types:
        raise ValueError(f"the file names the type {name!r}; known are {', '.join(sorted(types))}")
    return types[name]


def _name_in(types: Mapping[str, type[object]], value: object) -> str:
    """The name under which a file keeps a value's type: one that loading finds again."""
    name = type(value).__name__
    if types.get(name) is not type(value):
        raise TypeError(f"a file cannot keep a {name}; known are {', '.join(sorted(types))}")
    return name


def _make_optimizer(
    rbm: RBM,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    make: Callable[[list[nn.Parameter]], Optimizer] | None,
) -> Optimizer:
    named = dict(rbm.named_parameters())
    names = [name for group in config["groups"] for name in group["params"]]
    if make is None:
        grouped = [
            {"params": [named[name] for name in group["params"]]} for group in config["groups"]
        ]
        optimizer = _lookup(_OPTIMIZERS, config["type"])(grouped)
    else:
        optimizer = make([named[name] for name in names])
    values: dict[str, dict[str, Any]] = {name: dict(of) for name, of in config["numbers"].items()}
    for path, tensor in tensors.items():
        name, _, key = path.rpartition(".")
        values.setdefault(name, {})[key] = tensor
    # torch's own form numbers the parameters through all groups
    number = {name: index for index, name in enumerate(names)}
    groups = [
        group | {"params": [number[name] for name in group["params"]]} for group in config["groups"]
    ]
    state = {number[name]: of for name, of in values.items()}
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return optimizer


def _make_schedule(
    optimizer: Optimizer,
    config: Mapping[str, Any] | None,
    make: Callable[[Optimizer], LRScheduler] | None,
) -> LRScheduler | None:
    if config is None:
        return None
    if make is None and config["type"] != LinearLR.__name__:
        raise ValueError(
            f"the checkpoint's learning-rate schedule is a {config['type']}; pass "
            "schedule=lambda optimizer: ... that makes it"
        )
    before = [dict(group) for group in optimizer.param_groups]
    schedule = make(optimizer) if make else LinearLR(optimizer)
    schedule.load_state_dict(_with_own_keys(config["state"]))
    # making a scheduler takes its first step, and some set momentum and more besides the rate
    for group, was in zip(optimizer.param_groups, before, strict=True):
        group.update(was)
    return schedule


def _with_text_keys(value: Any) -> Any:
    """The same for JSON, whose keys are text: mappings with other keys (milestones) as pairs."""
    if isinstance(value, Mapping):
        pairs = [(key, _with_text_keys(item)) for key, item in value.items()]
        return dict(pairs) if all(isinstance(key, str) for key in value) else {_PAIRS: pairs}
    if isinstance(value, list | tuple):
        return [_with_text_keys(item) for item in value]
    return value


def _with_own_keys(value: Any) -> Any:
    """What `_with_text_keys` was given."""
    if isinstance(value, Mapping):
        pairs = value[_PAIRS] if _PAIRS in value else value.items()
        return {key: _with_own_keys(item) for key, item in pairs}
    if isinstance(value, list):
        return [_with_own_keys(item) for item in value]
    return value
