"""Optimisers and learning-rate schedules: which ones work, and how files store them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler

from harmonium import defaults
from harmonium.arguments import check_number, check_type, described, is_whole
from harmonium.serialization import Types

_PAIRS = "key-value pairs"

_OPTIMIZERS: Types[Optimizer] = Types(
    *(
        optimizer
        for optimizer in vars(torch.optim).values()
        if isinstance(optimizer, type) and issubclass(optimizer, Optimizer)
        if optimizer is not Optimizer
    )
)


def check_optimizer(
    optimizer: Optimizer, module: nn.Module, *, called: str, why_no_lbfgs: str
) -> None:
    """Refuse an optimiser that holds other parameters, or that needs a closure.

    Parameters
    ----------
    optimizer, module
        The optimiser, and the module that it is to train.
    called
        Name of the module in messages, and, in lower case, in code.
    why_no_lbfgs
        Start of the message for LBFGS, the one optimiser of `torch.optim` that needs a closure.

    Raises
    ------
    TypeError
        If it is not an optimiser, but for example the name or the class of one.
    ValueError
        If its parameters are not the module's, or it needs a closure.
    """
    made = f"torch.optim.Adam({called.lower()}.parameters(), lr=0.001)"
    check_type("optimizer", optimizer, Optimizer, f"an optimizer object, such as {made}")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError(
            f"{why_no_lbfgs}; pass an optimizer that needs only gradients, such as SGD or Adam"
        )
    own = {id(parameter) for parameter in module.parameters()}
    for group in optimizer.param_groups:
        if not all(id(parameter) in own for parameter in group["params"]):
            raise ValueError(
                f"the optimizer holds parameters that do not belong to this {called}; make it "
                f"over {called.lower()}.parameters(), after any conversion of the {called}"
            )


def check_learning_rate(learning_rate: float, momentum: float = 0.0) -> None:
    """Refuse a learning rate or momentum that gradient descent cannot use.

    Raises
    ------
    TypeError
        If one is not a number.
    ValueError
        If one is out of its range.
    """
    remedy = f"0 or a positive number, such as {defaults.LEARNING_RATE}"
    check_number("learning_rate", learning_rate, remedy)
    if learning_rate < 0:
        raise ValueError(f"learning_rate is {learning_rate}; pass {remedy}")
    check_number("momentum", momentum, "a number from 0 to below 1")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}; pass a number from 0 to below 1")


def check_maker(name: str, make: Any, remedy: str) -> None:
    """Refuse anything but a function, such as a name or a finished optimiser or schedule.

    Raises
    ------
    TypeError
        If it cannot be called; the message says what would work.
    """
    if make is not None and (not callable(make) or isinstance(make, Optimizer | LRScheduler)):
        raise TypeError(f"{name} is {described(make)}; pass a function that makes it: {remedy}")


def make_schedule(
    optimizer: Optimizer, make: Callable[[Optimizer], LRScheduler] | None
) -> LRScheduler | None:
    """Call ``make`` to make an optimiser's schedule; None if ``make`` is None.

    Raises
    ------
    TypeError
        If ``make`` is not a function, or does not return a scheduler.
    """
    remedy = (
        "lambda optimizer: training.linear_to_zero(optimizer, n_updates), where n_updates is "
        "epochs * len(batches); None keeps the rate"
    )
    check_maker("schedule", make, remedy)
    if make is None:
        return None
    schedule = make(optimizer)
    if not isinstance(schedule, LRScheduler):
        raise TypeError(f"schedule returned {described(schedule)}; pass {remedy}")
    return schedule


def linear_to_zero(optimizer: Optimizer, n_updates: int, done: int = 0) -> LRScheduler:
    """Return a schedule whose learning rate falls linearly to zero at update ``n_updates``.

    If ``done`` updates have already been made, the rate starts where such a schedule would be by
    then, counted from the optimiser's initial rate.

    Raises
    ------
    ValueError
        If ``n_updates`` is below 1, or ``done`` is negative.
    """
    check_type("optimizer", optimizer, Optimizer, "the optimiser, such as state.optimizer")
    for name, value in (("n_updates", n_updates), ("done", done)):
        if not is_whole(value):
            raise TypeError(f"{name} is {described(value)}; pass a whole number")
    if n_updates < 1 or done < 0:
        raise ValueError(
            f"n_updates is {n_updates} and done {done}; pass 1 or more updates, and 0 or more for "
            "those already done"
        )
    for group in optimizer.param_groups:
        initial = group.setdefault("initial_lr", group["lr"])
        group["lr"] = initial
    schedule = LinearLR(
        optimizer, start_factor=1, end_factor=0, total_iters=n_updates, last_epoch=done - 1
    )
    # in some versions of torch, making a scheduler already changes the rate
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * max(0.0, 1 - done / n_updates)
    return schedule


def describe_optimizer(
    module: nn.Module, optimizer: Optimizer, schedule: LRScheduler | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Describe an optimiser over a module's parameters, and its schedule, as tensors and JSON.

    `restore_optimizer` is the inverse.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    numbers: dict[str, dict[str, Any]] = {}
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{names[parameter]}.{key}"] = value
            else:
                numbers.setdefault(names[parameter], {})[key] = value
    config = {
        "optimizer": {
            "type": type(optimizer).__name__,
            "groups": [
                group | {"params": [names[parameter] for parameter in group["params"]]}
                for group in optimizer.param_groups
            ],
            "numbers": numbers,
        },
        "schedule": None
        if schedule is None
        else {
            "type": type(schedule).__name__,
            "state": _with_text_keys(schedule.state_dict()),
        },
    }
    return tensors, config


def restore_optimizer(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
) -> tuple[Optimizer, LRScheduler | None]:
    """Rebuild the optimiser and the schedule that `describe_optimizer` described.

    Parameters
    ----------
    module
        The module whose parameters are optimised; their names must be unchanged.
    tensors, config
        What `describe_optimizer` returned; the configuration may hold other keys as well.
    optimizer, schedule
        Functions that make them. Needed unless the optimiser is from `torch.optim` and the schedule
        is `LinearLR`.

    Raises
    ------
    ValueError
        If one is unknown and no function makes it.
    """
    trained = _make_optimizer(module, config["optimizer"], tensors, optimizer)
    return trained, _make_schedule(trained, config["schedule"], schedule)


def _make_optimizer(
    module: nn.Module,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    make: Callable[[list[nn.Parameter]], Optimizer] | None,
) -> Optimizer:
    named = dict(module.named_parameters())
    names = [name for group in config["groups"] for name in group["params"]]
    if make is None:
        grouped = [
            {"params": [named[name] for name in group["params"]]} for group in config["groups"]
        ]
        optimizer = _OPTIMIZERS.find(config["type"])(grouped)
    else:
        optimizer = make([named[name] for name in names])
    values: dict[str, dict[str, Any]] = {name: dict(of) for name, of in config["numbers"].items()}
    for path, tensor in tensors.items():
        name, _, key = path.rpartition(".")
        if tensor.shape == named[name].shape and not _lies_as(tensor, named[name]):
            # same memory layout as the parameter, because fused optimisers walk through both
            tensor = torch.empty_like(named[name], dtype=tensor.dtype).copy_(tensor)
        values.setdefault(name, {})[key] = tensor
    # torch's own form numbers the parameters through all groups
    number = {name: index for index, name in enumerate(names)}
    groups = [
        group | {"params": [number[name] for name in group["params"]]} for group in config["groups"]
    ]
    state = {number[name]: of for name, of in values.items()}
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return optimizer


def _lies_as(tensor: Tensor, parameter: nn.Parameter) -> bool:
    """Whether a tensor of the same shape lies on the same device and in the same order."""
    return tensor.device == parameter.device and tensor.stride() == parameter.stride()


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
    # making a scheduler takes its first step, and some also set momentum and other options
    for group, was in zip(optimizer.param_groups, before, strict=True):
        group.update(was)
    return schedule


def _with_text_keys(value: Any) -> Any:
    """Prepare for JSON, whose keys are text: mappings with other keys (milestones) become pairs."""
    if isinstance(value, Mapping):
        pairs = [(key, _with_text_keys(item)) for key, item in value.items()]
        return dict(pairs) if all(isinstance(key, str) for key in value) else {_PAIRS: pairs}
    if isinstance(value, list | tuple):
        return [_with_text_keys(item) for item in value]
    return value


def _with_own_keys(value: Any) -> Any:
    """Invert `_with_text_keys`."""
    if isinstance(value, Mapping):
        pairs = value[_PAIRS] if _PAIRS in value else value.items()
        return {key: _with_own_keys(item) for key, item in pairs}
    if isinstance(value, list):
        return [_with_own_keys(item) for item in value]
    return value
