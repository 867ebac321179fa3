"""The unit type that docs/extending.md makes keeps every clause of the contract."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import oracle
from harmonium import RBM, Binary, diagnostics
from harmonium.units import Units, table
from harmonium.units import register as registered
from unit_types import UnitType
from units import test_contract

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
HIGHEST = 4


def graded(bias: oracle.Array) -> oracle.Layer:
    return oracle.Layer(bias, (np.arange(HIGHEST + 1.0)[:, None],) * len(bias))


@pytest.fixture(scope="module")
def unit_type() -> Iterator[UnitType]:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)[0]
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    yield UnitType("graded", lambda n: names["Graded"](n, HIGHEST), graded)
    table._REGISTERED.pop("Graded")


def clauses() -> Iterator[Any]:
    """Each test of the contract, with each of the values that it is made for."""
    for name, clause in vars(test_contract).items():
        if name.startswith("test_") and "unit_type" in inspect.signature(clause).parameters:
            marks = [mark.args for mark in clause.pytestmark if mark.args[0] != "unit_type"]
            for values in itertools.product(*(each for _, each in marks)):
                given = dict(zip((argument for argument, _ in marks), values, strict=True))
                yield pytest.param(clause, given, id="-".join([name, *map(str, values)]))


def test_the_clauses_are_found() -> None:
    assert len({clause.values[0] for clause in clauses()}) > 15


@pytest.mark.parametrize(("clause", "given"), list(clauses()))
def test_it_keeps(
    clause: Callable[..., None], given: dict[str, Any], unit_type: UnitType, device: torch.device
) -> None:
    if "device" in inspect.signature(clause).parameters:
        given = given | {"device": device}
    clause(unit_type, **given)


def test_a_type_that_was_not_registered_is_named() -> None:
    class Unknown(table.Binary):
        pass

    with pytest.raises(TypeError, match=r"cannot keep a Unknown; .* harmonium\.units\.register"):
        table.to_config(Unknown(2))


def test_a_registered_type_is_kept_and_may_be_defined_anew() -> None:
    def define() -> type[Units]:
        @registered
        class Own(table.Binary):
            pass

        return Own

    try:
        first, second = define(), define()
        assert type(table.from_config(table.to_config(second(2)))) is second
        with pytest.raises(TypeError, match="cannot keep a Own"):
            table.to_config(first(2))
    finally:
        table._REGISTERED.pop("Own")


def test_what_cannot_be_registered_is_refused() -> None:
    with pytest.raises(TypeError, match=r"is not a unit type; pass a subclass"):
        registered(dict)  # type: ignore[type-var]

    class Binary(table.Binary):
        pass

    with pytest.raises(ValueError, match=r"^Binary is a unit type of harmonium; give yours"):
        registered(Binary)


def test_its_activity_is_a_share_of_its_highest_state(unit_type: UnitType) -> None:
    rbm = RBM(Binary(2), unit_type.make(3))
    with torch.no_grad():
        rbm.hidden.bias.copy_(torch.tensor([-20.0, 0.0, 20.0]))
    activity = diagnostics.hidden_activity(rbm, torch.zeros(4, 2))
    assert activity is not None
    torch.testing.assert_close(activity, torch.tensor([0.0, 0.5, 1.0]))
