"""Optimisers and schedules of their learning rate: what can be used, and how files keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler

from harmonium import defaults
from harmonium.arguments import check_number, check_type, described, is_whole
from harmonium.serialization import lookup

_PAIRS = "key-value pairs"

_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    name: optimizer
    for name, optimizer in vars(torch.optim).items()
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer)
    if optimizer is not Optimizer
}


def check_optimizer(
    optimizer: Optimizer, module: nn.Module, *, called: str, why_no_lbfgs: str
) -> None:
    """Refuse an optimiser that would train something else, or that needs a closure.

    Parameters
    ----------
    optimizer, module
        What trains, and what is to be trained.
    called
        The module in a message, and, in lower case, in code.
    why_no_lbfgs
        Begins the message to who brings the one optimiser of `torch.optim` that needs a closure.

    Raises
    ------
    TypeError
        If it is no optimiser, such as a name or the class of one.
    ValueError
        Says what would work.
    """
    made = f"torch.optim.Adam({called.lower()}.parameters(), lr=0.001)"
    check_type("optimizer", optimizer, Optimizer, f"one that is made, such as {made}")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError(
            f"{why_no_lbfgs}; pass an optimizer that needs gradients alone, such as SGD or Adam"
        )
    own = {id(parameter) for parameter in module.parameters()}
    for group in optimizer.param_groups:
        if not all(id(parameter) in own for parameter in group["params"]):
            raise ValueError(
                f"the optimizer holds parameters that are none of this {called}'s; make it over "
                f"{called.lower()}.parameters(), after any conversion of the {called}"
            )


def check_learning_rate(learning_rate: float, momentum: float = 0.0) -> None:
    """Refuse rates that plain gradient descent cannot go by.

    Raises
    ------
    TypeError
        If one is no number.
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
    """Refuse what makes nothing: a name, or an optimiser or schedule that is made already.

    Raises
    ------
    TypeError
        Says what would work.
    """
    if make is not None and (not callable(make) or isinstance(make, Optimizer | LRScheduler)):
        raise TypeError(f"{name} is {described(make)}; pass a function that makes it: {remedy}")


def make_schedule(
    optimizer: Optimizer, make: Callable[[Optimizer], LRScheduler] | None
) -> LRScheduler | None:
    """The schedule that ``make`` makes of an optimiser; None if it is None.

    Raises
    ------
    TypeError
        If it is no function, or does not return a scheduler.
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
        raise TypeError(f"schedule has made {described(schedule)}; pass {remedy}")
    return schedule


def linear_to_zero(optimizer: Optimizer, n_updates: int, done: int = 0) -> LRScheduler:
    """A learning rate that falls linearly to zero at update ``n_updates``.

    With ``done`` updates already made, the rate takes up where such a schedule would be then,
    counted from the optimiser's initial rate.

    Raises
    ------
    ValueError
        If there are no updates to fall over, or less than none are done.
    """
    check_type("optimizer", optimizer, Optimizer, "the optimiser, such as state.optimizer")
    for name, value in (("n_updates", n_updates), ("done", done)):
        if not is_whole(value):
            raise TypeError(f"{name} is {described(value)}; pass a whole number")
    if n_updates < 1 or done < 0:
        raise ValueError(
            f"n_updates is {n_updates} and done {done}; pass 1 or more updates, 0 or more of "
            "them done"
        )
    for group in optimizer.param_groups:
        initial = group.setdefault("initial_lr", group["lr"])
        group["lr"] = initial
    schedule = LinearLR(
        optimizer, start_factor=1, end_factor=0, total_iters=n_updates, last_epoch=done - 1
    )
    # whether making a scheduler already changes the rate depends on the version of torch
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * max(0.0, 1 - done / n_updates)
    return schedule


def describe_optimizer(
    module: nn.Module, optimizer: Optimizer, schedule: LRScheduler | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser over a module's parameters, and its schedule, as tensors and what JSON can hold.

    `restore_optimizer` makes them again.
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
    """The optimiser and the schedule that `describe_optimizer` took apart.

    Parameters
    ----------
    module
        Whose parameters are optimised, with the names that they had.
    tensors, config
        What `describe_optimizer` returned; the configuration may hold more.
    optimizer, schedule
        Make them where they are none that is known: `torch.optim`'s optimisers, and `LinearLR`.

    Raises
    ------
    ValueError
        If one is not known and nothing came that makes it.
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
        optimizer = lookup(_OPTIMIZERS, config["type"])(grouped)
    else:
        optimizer = make([named[name] for name in names])
    values: dict[str, dict[str, Any]] = {name: dict(of) for name, of in config["numbers"].items()}
    for path, tensor in tensors.items():
        name, _, key = path.rpartition(".")
        if tensor.shape == named[name].shape:
            # laid out in memory as the parameter, because fused optimisers walk through both
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
