"""The pseudo-log-likelihood, exact and stochastic, against enumeration in the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

import oracle
from harmonium import RBM, Binary, Gaussian, Purpose, Stream
from harmonium.likelihood import exact_pseudo_log_likelihood, pseudo, pseudo_log_likelihood
from phases import one_thread  # noqa: F401
from unit_types import BY_NAME, UNIT_TYPES, UnitType, array, random_rbm

DISCRETE = [BY_NAME[name] for name in ("binary", "spin", "categorical", "mixed", "binomial")]
# the oracle sums over grids of hidden states
N_HIDDEN = {"gaussian": 1, "gaussian-learned": 1, "relu": 1, "drelu": 1}


def model_and_states(visible: UnitType, hidden: UnitType) -> tuple[RBM, oracle.Model, Tensor]:
    sizes = (3, N_HIDDEN.get(hidden.name, 2))
    scale = 0.2 if hidden.name == "poisson" else 1.0  # the oracle knows counts up to 70
    rbm, model = random_rbm(visible, hidden, sizes=sizes, seed=50, scale=scale)
    states = torch.from_numpy(model.visible.points()[0])
    return rbm, model, states


def conditionals(model: oracle.Model, v: oracle.Array) -> oracle.Array:
    """Log of p(v_i | the other units) of each row and unit, by trying all the unit's states."""
    layer = model.visible
    found = []
    for table, columns in zip(layer.tables, layer.columns, strict=True):
        alternatives = []
        assert not isinstance(table, tuple)
        for state in oracle.states_of(table):
            other = v.copy()
            other[:, columns] = state
            alternatives.append(-model.free_energy(other))
        found.append(-model.free_energy(v) - oracle.logsumexp(alternatives, axis=0))
    return np.stack(found, axis=1)


@pytest.mark.parametrize("visible", DISCRETE, ids=str)
@pytest.mark.parametrize("hidden", UNIT_TYPES, ids=str)
def test_each_draw_is_one_exact_conditional_and_all_units_are_drawn_alike(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, model, states = model_and_states(visible, hidden)
    stream = Stream(51, Purpose.MONITOR)
    n_draws = 400
    exact = rbm.visible.n * conditionals(model, array(states))
    draws = array(pseudo_log_likelihood(rbm, states.repeat(n_draws, 1), stream))
    estimates = draws.reshape(n_draws, len(states))
    distance = np.abs(estimates[:, :, None] - exact)
    assert distance.min(-1).max() < 1e-10
    # so that an average over draws is the exact value, but for noise of a known size
    unit = distance[:, np.ptp(exact, axis=1) > 1e-6].argmin(-1)
    counts = np.bincount(unit.ravel(), minlength=rbm.visible.n)
    assert chisquare(counts).pvalue > 1e-6
    mean, error = estimates.mean(0), np.std(exact, axis=1) / np.sqrt(n_draws)
    assert (np.abs(mean - exact.sum(1) / rbm.visible.n) < 5 * error + 1e-10).all()


@pytest.mark.parametrize("visible", DISCRETE, ids=str)
@pytest.mark.parametrize("hidden", UNIT_TYPES, ids=str)
def test_all_units_of_a_row_make_it_exact_and_some_are_apart(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, model, states = model_and_states(visible, hidden)
    exact = conditionals(model, array(states))
    for position in range(5):
        stream = Stream(58, Purpose.MONITOR, position=position)
        every = pseudo_log_likelihood(rbm, states, stream, units_per_row=3)
        np.testing.assert_allclose(array(every), exact.sum(1), rtol=1e-10)
        two = array(pseudo_log_likelihood(rbm, states, stream, units_per_row=2))
        # the first unit is a part of its own, and another stands for itself and the third
        pairs = np.stack([exact[:, 0] + 2 * exact[:, i] for i in (1, 2)])
        assert np.abs(two - pairs).min(0).max() < 1e-10


@pytest.mark.parametrize("visible", DISCRETE, ids=str)
@pytest.mark.parametrize("hidden", UNIT_TYPES, ids=str)
def test_the_exact_one_is_the_sum_over_all_units(
    visible: UnitType, hidden: UnitType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rbm, model, states = model_and_states(visible, hidden)
    expected = conditionals(model, array(states)).sum(1)
    whole = exact_pseudo_log_likelihood(rbm, states)
    np.testing.assert_allclose(array(whole), expected, rtol=1e-10)
    assert not whole.requires_grad
    monkeypatch.setattr(pseudo, "_ROWS_AT_ONCE", 3)
    in_blocks = exact_pseudo_log_likelihood(rbm, states)
    np.testing.assert_allclose(array(in_blocks), expected, rtol=1e-10)


@pytest.mark.parametrize("units_per_row", [2, 4])
def test_some_units_a_row_are_right_on_average(units_per_row: int) -> None:
    binary = BY_NAME["binary"]
    rbm, model = random_rbm(binary, binary, sizes=(7, 2), seed=59, scale=1.5)
    v = model.visible.points()[0][[5, 99]]
    n_draws = 4000
    many = torch.from_numpy(v).repeat_interleave(n_draws, 0)
    stream = Stream(60, Purpose.MONITOR)
    estimates = array(pseudo_log_likelihood(rbm, many, stream, units_per_row)).reshape(2, n_draws)
    error = estimates.std(1) / np.sqrt(n_draws)
    assert (np.abs(estimates.mean(1) - conditionals(model, v).sum(1)) < 5 * error).all()


@pytest.mark.parametrize("units_per_row", [7, 8, 16])
def test_units_do_not_resonate_with_the_width_of_pictures(units_per_row: int) -> None:
    # pictures of 8 × 8 pixels, of which each column is as likely as it is bright
    rbm = RBM(Binary(64), Binary(1)).double()
    bias = torch.linspace(-6, 0, 8, dtype=torch.float64).repeat(8)
    rbm.visible.bias.data.copy_(bias)
    v = torch.zeros(4000, 64, dtype=torch.float64)
    stream = Stream(62, Purpose.MONITOR)
    estimates = array(pseudo_log_likelihood(rbm, v, stream, units_per_row))
    terms = -np.log1p(np.exp(bias.numpy()))
    # all the units drawn being of one column would leave the variance of a single unit
    of_one = 64 * terms.std()
    assert estimates.std() < 1.1 * of_one / np.sqrt(units_per_row)
    assert abs(estimates.mean() - terms.sum()) < 5 * estimates.std() / np.sqrt(len(v))


@pytest.mark.parametrize("units_per_row", [0, 4])
def test_more_units_than_there_are_are_refused(units_per_row: int) -> None:
    rbm = RBM(Binary(3), Binary(2))
    message = f"units_per_row is {units_per_row}; pass 1 to 3"
    with pytest.raises(ValueError, match=message):
        pseudo_log_likelihood(rbm, torch.zeros(4, 3), Stream(61, Purpose.MONITOR), units_per_row)


@pytest.mark.parametrize("visible", DISCRETE, ids=str)
def test_the_same_stream_position_gives_the_same_numbers(visible: UnitType) -> None:
    rbm, _, states = model_and_states(visible, BY_NAME["binary"])
    stream = Stream(52, Purpose.MONITOR)
    first = pseudo_log_likelihood(rbm, states, stream)
    second = pseudo_log_likelihood(rbm, states, stream)
    assert not torch.equal(first, second)
    assert torch.equal(pseudo_log_likelihood(rbm, states, stream.at(0)), first)
    assert torch.equal(pseudo_log_likelihood(rbm, states, stream.at(1)), second)


@pytest.mark.parametrize(
    ("visible", "mix", "nearest"),
    [
        ("binary", [0.4, 0.6, 1.0], [0.0, 1.0, 1.0]),
        ("spin", [-0.1, 0.3, 1.0], [-1.0, 1.0, 1.0]),
        ("categorical", [0.2, 0.5, 0.3, 1, 0, 0, 0.4, 0, 0.6], [0, 1, 0, 1, 0, 0, 0, 0, 1.0]),
    ],
)
def test_probabilities_are_rounded_to_the_nearest_states(
    visible: str, mix: list[float], nearest: list[float]
) -> None:
    rbm, _, _ = model_and_states(BY_NAME[visible], BY_NAME["binary"])
    rows = torch.tensor([mix, nearest], dtype=torch.float64)
    for row in rows:
        many = row.expand(40, -1)
        estimate = pseudo_log_likelihood(rbm, many, Stream(53, Purpose.MONITOR))
        expected = pseudo_log_likelihood(rbm, rows[1].expand(40, -1), Stream(53, Purpose.MONITOR))
        assert torch.equal(estimate, expected)
        exact = exact_pseudo_log_likelihood(rbm, many)
        assert torch.equal(exact, exact_pseudo_log_likelihood(rbm, rows[1].expand(40, -1)))


def test_rows_are_left_as_they_are_and_no_graph_is_made() -> None:
    rbm, _, states = model_and_states(BY_NAME["binary"], BY_NAME["binary"])
    before = states.clone()
    assert not pseudo_log_likelihood(rbm, states, Stream(54, Purpose.MONITOR)).requires_grad
    assert torch.equal(states, before)


def test_extreme_parameters_stay_finite() -> None:
    rbm = RBM(Binary(3), Binary(2))
    with torch.no_grad():
        rbm.weights.fill_(1e4)
        rbm.visible.bias.fill_(-1e4)
    v = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    assert pseudo_log_likelihood(rbm, v, Stream(55, Purpose.MONITOR)).isfinite().all()


def test_a_continuum_of_visible_states_is_refused() -> None:
    rbm = RBM(Gaussian(3), Binary(2))
    stream = Stream(56, Purpose.MONITOR)
    with pytest.raises(
        ValueError, match=r"Gaussian units have a continuum .* reconstruction error"
    ):
        pseudo_log_likelihood(rbm, torch.zeros(4, 3), stream)
    assert stream.position == 0
    with pytest.raises(ValueError, match=r"Gaussian units have a continuum"):
        exact_pseudo_log_likelihood(rbm, torch.zeros(4, 3))


def test_rows_of_the_wrong_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"visible has 4 columns, but this RBM has 3"):
        pseudo_log_likelihood(
            RBM(Binary(3), Binary(2)), torch.zeros(5, 4), Stream(57, Purpose.MONITOR)
        )
    with pytest.raises(ValueError, match=r"visible has 4 columns, but this RBM has 3"):
        exact_pseudo_log_likelihood(RBM(Binary(3), Binary(2)), torch.zeros(5, 4))
