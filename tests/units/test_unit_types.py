"""What is special to one unit type: arguments, parameters, and the words of its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harmonium import RBM, Data, Gibbs, Purpose, Stream, sampling
from harmonium.datasets import Stochastic
from harmonium.deep import drawn_features
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Spin, Units


@pytest.mark.parametrize(
    ("units", "row", "message"),
    [
        (
            Binary(3),
            [0.0, 255.0, 1.0],
            "data: 1 of 3 values are not between 0 and 1, as binary units need (the first is 255, "
            "at [0, 1]); binarise the data (`binarize=THRESHOLD`, or `Data.binarize()`), scale it "
            "to 0 ... 1 (for grey pictures `image_shape='28x28'`, or `Data.as_pictures()`), or "
            "take Gaussian visible units (`visible='gaussian'`, or `Gaussian`)",
        ),
        (
            Spin(3),
            [-1.0, 0.5, -1.25],
            "data: 1 of 3 values are not between -1 and 1, as spins need (the first is -1.25, "
            "at [0, 2]); binarise the data (`binarize=0.5`, or `Data.binarize().to_spins()`), or "
            "take Gaussian visible units (`visible='gaussian'`, or `Gaussian`)",
        ),
        (
            Gaussian(2),
            [math.nan, 1.0],
            "data: 1 of 2 values are not finite (the first is nan, at [0, 0]); remove or fill in "
            "the missing values first",
        ),
        (
            Categorical(2, 2),
            [0.0, 1.0, 2.0, -1.0],
            "data: 2 of 4 values are not between 0 and 1, as one-hot states are (the first is 2, "
            "at [0, 2]); one-hot encode integer categories (`visible='categorical'`, or "
            "`Data.one_hot()`)",
        ),
        (
            Categorical(2, 2),
            [0.0, 1.0, 1.0, 1.0],
            "data, summed by unit: 1 of 2 values are not 1 (the first is 2, at [0, 1]); one-hot "
            "encode integer categories (`visible='categorical'`, or `Data.one_hot()`)",
        ),
    ],
    ids=["binary", "spin", "gaussian", "categorical", "categorical-sum"],
)
def test_a_refusal_says_what_came_and_what_would_work(
    units: Units, row: list[float], message: str
) -> None:
    with pytest.raises(ValueError) as refusal:
        units.check(torch.tensor([row]), "data")
    assert str(refusal.value) == message


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_integer_states_can_be_checked(dtype: torch.dtype) -> None:
    Binary(2).check(torch.tensor([[0, 1]], dtype=dtype), "data")
    with pytest.raises(ValueError, match="the first is 7"):
        Binary(2).check(torch.tensor([[0, 7]], dtype=dtype), "data")


@pytest.mark.parametrize("precision", [0.0, -1.0, math.inf, math.nan])
def test_a_precision_that_is_none_is_refused(precision: float) -> None:
    with pytest.raises(ValueError, match=r"^precision is .*; pass a positive number$"):
        Gaussian(2, precision)


def test_a_precision_is_where_the_units_start() -> None:
    units = Gaussian(2, precision=4.0).double()
    torch.testing.assert_close(units.precision.exp().log(), torch.full((2,), 4.0).double())
    assert torch.allclose(units.var(torch.zeros(2).double()), torch.tensor(0.25).double())


@pytest.mark.parametrize("learn", [False, True])
def test_only_a_learned_precision_is_trained(learn: bool) -> None:
    units = Gaussian(2, learn_precision=learn)
    assert units.log_precision.requires_grad is learn
    assert set(units.statistics(torch.zeros(1, 2))) == (
        {"bias", "log_precision"} if learn else {"bias"}
    )
    units.init_from_moments_(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 0.25]))
    expected = [0.25, 4.0] if learn else [1.0, 1.0]
    torch.testing.assert_close(units.precision.detach(), torch.tensor(expected))


def test_a_single_category_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^n_categories is 1; a unit needs 2 or more$"):
        Categorical(3, 1)


def test_columns_of_categorical_units_stand_together() -> None:
    units = Categorical(2, 3)
    assert (units.n_columns, units.width) == (6, 3)
    inputs = torch.tensor([[0.0, 9.0, 0.0, 0.0, 0.0, 9.0]])
    assert units.mode(inputs).tolist() == [[0, 1, 0, 0, 0, 1]]
    with pytest.raises(ValueError, match="this RBM has 6 visible columns; pass shape"):
        units.check_width(torch.zeros(1, 2), "visible")


@pytest.mark.parametrize("wrong", [2.5, "3", True, None])
def test_a_number_of_units_that_is_no_whole_number_is_refused(wrong: object) -> None:
    for make in (Binary, Spin, Gaussian, lambda n: Categorical(n, 3)):
        with pytest.raises(TypeError, match=r"^n, the number of units, is .*; pass a whole"):
            make(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^n_categories is .*; pass a whole number$"):
        Categorical(3, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "units",
    [Binary(3), Spin(3), Gaussian(3), Categorical(1, 3), Mixed(Binary(1), Gaussian(2))],
    ids=repr,
)
def test_what_does_not_fit_units_by_themselves_is_refused_in_words(units: Units) -> None:
    for method in (units.mean, units.var, units.mode, units.cgf):
        with pytest.raises(ValueError, match=r"^inputs have 4 columns, but this layer has 3"):
            method(torch.zeros(5, 4))
        with pytest.raises(TypeError, match=r"^inputs is None; pass a torch tensor"):
            method(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^states have 4 columns, but this layer has 3"):
        units.energy(torch.zeros(5, 4))
    with pytest.raises(TypeError, match=r"^states is a numpy.ndarray of shape \(5, 3\)"):
        units.energy(np.zeros((5, 3)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^stream is 0; pass Stream"):
        units.sample(torch.zeros(5, 3), 0)  # type: ignore[arg-type]


class Sayer(Binary):
    """A user's own type that says of itself what is true of binary units."""

    low_state = 0


class Silent(Binary):
    """One that says nothing, and may have another energy."""


def test_what_holds_for_one_energy_is_not_inherited() -> None:
    assert (Binary(1).low_state, Sayer(1).low_state, Silent(1).low_state) == (0, 0, None)
    assert Silent(1).input_scale == 4 and type(Silent(1).activation()[0]) is torch.nn.Sigmoid


def test_a_type_of_ones_own_gets_kernels_and_features_by_what_it_says() -> None:
    rows = []
    for kind in (Binary, Sayer):
        rbm = RBM(kind(5), kind(4)).init_from_data_(torch.eye(5), seed=0, weight_std=1.0)
        chains = sampling.start_random(rbm, 3, Stream(1, Purpose.SAMPLE))
        Gibbs(5)(rbm, chains, Stream(2, Purpose.SAMPLE))
        rows.append(chains.visible)
    assert torch.equal(*rows)
    data = Data("eye", torch.eye(5))
    assert drawn_features(rbm, data).encoding == Stochastic(0.0, 1.0)
    with pytest.raises(ValueError, match="features of Silent units cannot be drawn"):
        drawn_features(RBM(Binary(5), Silent(4)), data)
