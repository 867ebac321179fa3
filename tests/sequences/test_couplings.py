"""Effective couplings are the interactions of enumerated log-probabilities."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from harmonium import RBM
from harmonium.sequences import couplings
from harmonium.units import Binary, Categorical, DReLU, Gaussian, Mixed, ReLU, Spin
from sequences.enumerated import interaction, log_probabilities, random_model

VISIBLE = {"categorical": Categorical(4, 3), "binary": Binary(5), "spin": Spin(5)}
HIDDEN = {
    "binary": Binary(4),
    "spin": Spin(3),
    "gaussian": Gaussian(3),
    "relu": ReLU(3),
    "drelu": DReLU(3, learn_precision=True),
    "mixed": Mixed(Binary(2), DReLU(2)),
}

ROWS = torch.zeros(2, 4, dtype=torch.int64)


@pytest.mark.parametrize("scale", [0.3, 1.5])
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("visible", VISIBLE)
def test_exact_couplings_are_the_interactions_of_pairs_and_triples(
    visible: str, hidden: str, scale: float
) -> None:
    rbm = random_model(VISIBLE[visible], HIDDEN[hidden], 3, scale)
    logs = log_probabilities(rbm)
    found = couplings(rbm, values=True, triples=[(0, 1, 3)])
    assert found.values is not None
    size = 1e-9 * max(1, np.abs(found.values).max())
    for i, j in combinations(range(rbm.visible.n), 2):
        expected = interaction(logs, (i, j))
        np.testing.assert_allclose(found.values[i, :, j], expected, atol=size, rtol=0)
        np.testing.assert_allclose(found.values[j, :, i], expected.T, atol=size, rtol=0)
        assert found.norms[i, j] == pytest.approx(np.linalg.norm(expected), abs=size)
        assert found.norms[j, i] == found.norms[i, j]
    assert not found.norms.diagonal().any()
    np.testing.assert_allclose(
        found.triples[0, 1, 3], interaction(logs, (0, 1, 3)), atol=size, rtol=0
    )


def test_the_background_says_how_probable_the_states_of_other_sites_are() -> None:
    rbm = random_model(Categorical(4, 3), Binary(5), 1, 2.0)
    background = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).double() + 0.1
    background /= background.sum(1, keepdim=True)
    found = couplings(rbm, background=background, values=True)
    uniform = couplings(rbm, values=True)
    assert found.values is not None and uniform.values is not None
    logs = log_probabilities(rbm)
    for i, j in combinations(range(4), 2):
        expected = interaction(logs, (i, j), background.numpy())
        np.testing.assert_allclose(found.values[i, :, j], expected, atol=1e-9)
    assert np.abs(found.values - uniform.values).max() > 0.01


def test_states_that_never_occur_in_the_background_are_no_obstacle() -> None:
    rbm = random_model(Categorical(4, 3), Binary(5), 1, 2.0)
    background = torch.tensor([[1.0, 0, 0]] * 4).double()
    found = couplings(rbm, background=background, values=True).values
    assert found is not None
    expected = interaction(log_probabilities(rbm), (0, 2), background.numpy())
    np.testing.assert_allclose(found[0, :, 2], expected, atol=1e-9)


def test_characteristic_functions_that_vanish_are_no_obstacle() -> None:
    # with equal weights cos(w t) is zero at frequencies that the grid may hit, and revives
    rbm = random_model(Spin(6), Binary(1), 0)
    with torch.no_grad():
        rbm.weights.fill_(4.0)
    found = couplings(rbm, values=True).values
    assert found is not None
    np.testing.assert_allclose(
        found[1, :, 4], interaction(log_probabilities(rbm), (1, 4)), atol=1e-9
    )


def test_the_gaussian_sum_is_the_mean_under_a_normal_variable() -> None:
    rbm = random_model(Categorical(5, 3), Binary(3), 7)
    found = couplings(rbm, method="gaussian", values=True, triples=[(0, 2, 4)])
    assert found.values is not None
    weights = rbm.weights.detach().numpy().reshape(5, 3, 3)
    bias = rbm.hidden.bias.detach().numpy()
    nodes, chances = np.polynomial.hermite_e.hermegauss(200)
    chances = chances / chances.sum()

    def mean_cgf(sites: tuple[int, ...]) -> np.ndarray:
        others = [k for k in range(5) if k not in sites]
        total = np.zeros((3,) * len(sites))
        for unit in range(3):
            w = weights[:, :, unit]
            mean, std = w[others].mean(1).sum(), np.sqrt(w[others].var(1).sum())
            shape = np.meshgrid(*(w[site] for site in sites), indexing="ij")
            x = bias[unit] + sum(shape) + mean
            total += (np.logaddexp(0, x[..., None] + std * nodes) * chances).sum(-1)
        return total

    np.testing.assert_allclose(
        found.values[1, :, 3], interaction(mean_cgf((1, 3)), (0, 1)), atol=1e-9
    )
    np.testing.assert_allclose(
        found.triples[0, 2, 4], interaction(mean_cgf((0, 2, 4)), (0, 1, 2)), atol=1e-9
    )


def test_the_gaussian_sum_gets_exact_with_many_sites() -> None:
    rbm = random_model(Categorical(40, 4), Binary(10), 0, 0.3)
    exact, gaussian = couplings(rbm).norms, couplings(rbm, method="gaussian").norms
    assert 0 < np.abs(exact - gaussian).max() < 0.01 * exact.max()


def test_the_gaussian_sum_survives_a_site_that_dominates() -> None:
    rbm = random_model(Spin(5), Spin(3), 0)
    with torch.no_grad():
        rbm.weights[0] *= 60
    found = couplings(rbm, method="gaussian", values=True)
    assert np.isfinite(found.norms).all() and np.isfinite(found.values).all()


def test_states_that_are_left_out_do_not_count_in_norms_but_in_the_gauge() -> None:
    rbm = random_model(Categorical(4, 5), Binary(3), 2)
    found = couplings(rbm, leave_out=[4], values=True)
    assert found.values is not None
    np.testing.assert_allclose(found.values.sum(1), 0, atol=1e-9)
    expected = np.sqrt((found.values[:, :4, :, :4] ** 2).sum((1, 3)))
    np.testing.assert_allclose(found.norms, expected, atol=1e-12)


def test_the_second_order_is_exact_for_gaussian_hidden_units() -> None:
    rbm = random_model(Categorical(4, 3), Gaussian(3), 5)
    rows = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    found = couplings(rbm, method="second-order", rows=rows)
    np.testing.assert_allclose(found.norms, couplings(rbm).norms, atol=1e-10)


def test_the_second_order_takes_the_mean_variance_over_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rbm = random_model(Categorical(4, 3), Binary(3), 5)
    rows = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0], [1, 1, 1, 1]])
    weights = torch.tensor([1.0, 2.0, 0.0]).double()
    monkeypatch.setattr("harmonium.sequences.effective._ROWS", 2)
    found = couplings(rbm, method="second-order", rows=rows, weights=weights, values=True).values
    assert found is not None
    states = torch.eye(3)[rows].flatten(1).double()
    with torch.no_grad():
        variance = (weights / 3) @ rbm.var_h_from_v(states)
    centred = rbm.weights.detach().reshape(4, 3, 3)
    centred = centred - centred.mean(1, keepdim=True)
    expected = torch.einsum("am,m,bm->ab", centred[1], variance, centred[3])
    np.testing.assert_allclose(found[1, :, 3], expected, atol=1e-12)


def test_couplings_of_several_models_are_interactions_of_their_mean_log_probability() -> None:
    rbms = [
        random_model(Categorical(4, 3), hidden, seed, 1.5)
        for seed, hidden in enumerate((Binary(4), DReLU(3), Binary(2)))
    ]
    logs = np.mean([log_probabilities(rbm) for rbm in rbms], 0)
    found = couplings(rbms, values=True, triples=[(0, 1, 3)])
    assert found.values is not None
    size = 1e-9 * np.abs(found.values).max()
    for i, j in combinations(range(4), 2):
        expected = interaction(logs, (i, j))
        np.testing.assert_allclose(found.values[i, :, j], expected, atol=size, rtol=0)
        assert found.norms[i, j] == pytest.approx(np.linalg.norm(expected), abs=size)
    expected = interaction(logs, (0, 1, 3))
    np.testing.assert_allclose(found.triples[0, 1, 3], expected, atol=size, rtol=0)


@pytest.mark.parametrize("options", [{"method": "gaussian"}, {"method": "second-order"}])
def test_every_method_averages_models(options: dict) -> None:
    if options["method"] == "second-order":
        options = {**options, "rows": torch.tensor([[0, 1, 2, 2], [1, 1, 0, 2]])}
    rbms = [random_model(Categorical(4, 3), Binary(n), n) for n in (3, 5)]
    found = couplings(rbms, values=True, **options).values
    each = [couplings(rbm, values=True, **options).values for rbm in rbms]
    assert found is not None
    np.testing.assert_allclose(found, (each[0] + each[1]) / 2, atol=1e-12)
    assert np.abs(found - each[0]).max() > 0.01


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = random_model(Categorical(7, 3), DReLU(4), 2)
    whole = couplings(rbm, values=True, triples=[(0, 1, 2)])
    for module, name, number in (
        ("effective", "_BLOCK", 2 * 7 * 9),
        ("effective", "_FUNCTIONS", 7 * 3 * 4),
        ("effective", "_FEW_SITES", 1),
        ("fourier", "_BLOCK", 7 * 3 * 5),
    ):
        monkeypatch.setattr(f"harmonium.sequences.{module}.{name}", number)
    parts = couplings(rbm, values=True, triples=[(0, 1, 2)])
    assert whole.values is not None and parts.values is not None
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-12)
    np.testing.assert_allclose(parts.norms, whole.norms, atol=1e-12)
    np.testing.assert_allclose(parts.triples[0, 1, 2], whole.triples[0, 1, 2], atol=1e-12)


def test_a_model_without_weights_has_no_couplings() -> None:
    assert not couplings(RBM(Categorical(4, 3), Binary(2))).norms.any()


@pytest.mark.parametrize(
    ("rbm", "options", "message"),
    [
        (RBM(Gaussian(4), 2), {}, "no finite number of states"),
        (RBM(Mixed(Binary(2), Categorical(2, 3)), 2), {}, "of several kinds"),
        (RBM(Categorical(4, 3), Categorical(2, 3)), {}, "several columns"),
        ([], {}, "there is no model"),
        ([RBM(Categorical(4, 3), 2), RBM(Categorical(5, 3), 2)], {}, "same sites and states"),
        ([RBM(Categorical(4, 3), 2), RBM(Categorical(4, 4), 2)], {}, "same sites and states"),
        (RBM(Categorical(4, 3), 2), {"method": "clt"}, "pass 'exact', 'gaussian'"),
        (RBM(Categorical(4, 3), 2), {"method": "second-order"}, "both or none"),
        (RBM(Categorical(4, 3), 2), {"rows": ROWS}, "pass both or none"),
        (
            RBM(Categorical(4, 3), 2),
            {"method": "second-order", "rows": ROWS, "triples": [(0, 1, 2)]},
            "neither a background nor triples",
        ),
        (
            RBM(Categorical(4, 3), 2),
            {"method": "second-order", "rows": ROWS, "weights": torch.ones(3)},
            "a weight for each",
        ),
        (RBM(Categorical(4, 3), 2), {"method": "second-order", "rows": ROWS[:0]}, "one row"),
        (RBM(Categorical(4, 3), 2), {"triples": [(0, 1, 1)]}, "three different ones"),
        (RBM(Categorical(4, 3), 2), {"triples": [(0, 1, 4)]}, "three different ones"),
        (RBM(Categorical(4, 3), 2), {"leave_out": [3]}, "names state 3"),
        (RBM(Categorical(4, 3), 2), {"leave_out": [0, 1]}, "fewer than two states"),
        (RBM(Categorical(4, 3), 2), {"background": torch.ones(3, 4)}, r"shape \(4, 3\)"),
        (RBM(Categorical(4, 3), 2), {"background": -torch.ones(4, 3)}, "pass probabilities"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    rbm: RBM | list[RBM], options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        couplings(rbm, **options)


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(TypeError, match="pass an RBM"):
        couplings(torch.zeros(3))
