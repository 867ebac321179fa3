"""Stacks of RBMs: what goes up and down is what enumeration says, and dreams follow the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

import deep_oracle
import oracle
from harmonium import RBM, Binary, Categorical, ChainState, Gaussian, Purpose, Spin, Stream
from harmonium.deep import DBN
from harmonium.sampling import Clamp, SamplingSchedule, start_random
from unit_types import BY_NAME, array, randomise_

N_CHAINS = 20_000
LEAST_P = 1e-6
ONCE = SamplingSchedule(n_warmup=0, n_samples=1, sweeps_per_sample=1)

STACKS = {
    "one layer": (("binary", 4), ("binary", 3)),
    "two layers": (("binary", 4), ("binary", 3), ("binary", 3)),
    "three layers": (("binary", 4), ("binary", 3), ("binary", 2), ("binary", 3)),
    "other units": (("categorical", 2), ("spin", 3), ("binary", 2), ("categorical", 1)),
    "real codes": (("spin", 3), ("binary", 3), ("gaussian", 2)),
}
every_stack = pytest.mark.parametrize("name", STACKS)


def random_dbn(name: str, scale: float = 1.0) -> tuple[DBN, list[oracle.Model]]:
    """A network with random parameters in float64, and its RBMs in the oracle."""
    layers = [(BY_NAME[kind], n) for kind, n in STACKS[name]]
    dbn = DBN.of(*(kind.make(n) for kind, n in layers)).double()
    randomise_(dbn, seed=3, scale=scale)
    models = [
        oracle.Model(below.twin(rbm.visible), above.twin(rbm.hidden), array(rbm.weights))
        for rbm, (below, _), (above, _) in zip(dbn.stack, layers, layers[1:], strict=False)
    ]
    return dbn, models


def stream(position: int = 0) -> Stream:
    return Stream(1, Purpose.SAMPLE, position=position)


def p_value(states: torch.Tensor, layer: oracle.Layer, p: np.ndarray) -> float:
    index = oracle.state_index(array(states), layer.points()[0])
    return oracle.chi_square(np.bincount(index, minlength=len(p)), p)


def exact_chains(top: oracle.Model) -> ChainState:
    """Chains of the top RBM that follow it exactly."""
    v, h = oracle.Joint(top).draw(N_CHAINS, seed=0)
    return ChainState(torch.from_numpy(v), torch.from_numpy(h))


@every_stack
@pytest.mark.parametrize("n_sweeps", [0, 3])
def test_dreams_follow_the_network(name: str, n_sweeps: int) -> None:
    dbn, models = random_dbn(name)
    schedule = SamplingSchedule(n_warmup=n_sweeps, n_samples=1, sweeps_per_sample=1)
    (dream,) = dbn.sample(exact_chains(models[-1]), schedule, stream())
    p = np.exp(deep_oracle.log_p(models))
    assert p_value(dream.visible, models[0].visible, p) > LEAST_P


@every_stack
def test_the_means_of_dreams_are_means(name: str) -> None:
    dbn, models = random_dbn(name)
    (dream,) = dbn.sample(exact_chains(models[-1]), ONCE, stream())
    p = np.exp(deep_oracle.log_p(models))
    expected = p @ models[0].visible.points()[0]
    # means vary less than states, which vary by less than the square of their range, 2
    assert np.abs(array(dream.means).mean(0) - expected).max() < 5 * 2 / np.sqrt(N_CHAINS)


def test_dreams_that_skip_a_layer_are_noticed() -> None:
    dbn, models = random_dbn("three layers")
    chains = exact_chains(models[-1])
    wrong = DBN([dbn.stack[0], RBM(Binary(3), Binary(2)).double(), dbn.top])
    (dream,) = wrong.sample(chains, ONCE, stream())
    p = np.exp(deep_oracle.log_p(models))
    assert p_value(dream.visible, models[0].visible, p) < LEAST_P


@pytest.mark.parametrize("name", ["two layers", "three layers", "other units"])
def test_draws_upwards_and_downwards_are_those_of_each_layer(name: str) -> None:
    dbn, models = random_dbn(name)
    v = models[0].visible.some_states()[-1]
    up = dbn.sample_up(torch.from_numpy(v).expand(N_CHAINS, -1), stream())
    assert p_value(up, models[-1].hidden, deep_oracle.p_up(models, v)) > LEAST_P
    h = models[-1].hidden.some_states()[-1]
    down = dbn.sample_down(torch.from_numpy(h).expand(N_CHAINS, -1), stream())
    assert p_value(down, models[0].visible, deep_oracle.p_down(models, h)) > LEAST_P


@every_stack
def test_means_go_up_and_down_layer_by_layer(name: str) -> None:
    dbn, models = random_dbn(name)
    v = models[0].visible.some_states()
    up = [v]
    for model in models:
        up.append(model.hidden.moments(up[-1] @ model.weights)[0])
    for n, expected in enumerate(up):
        found = dbn.mean_up(torch.from_numpy(v), n_layers=n)
        np.testing.assert_allclose(array(found), expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(array(dbn.mean_up(torch.from_numpy(v))), array(found))
    down = up[-1]
    for model in reversed(models):
        down = model.visible.moments(down @ model.weights.T)[0]
    found = dbn.mean_down(torch.from_numpy(up[-1]))
    np.testing.assert_allclose(array(found), down, rtol=0, atol=1e-9)
    assert torch.equal(dbn.mean_down(found, n_layers=0), found)


def test_what_is_clamped_at_the_top_stays() -> None:
    dbn, _ = random_dbn("three layers")
    held = Clamp(torch.tensor([True, False]), torch.tensor([1.0, 0.0], dtype=torch.float64))
    chains = start_random(dbn.top, 50, stream())
    for dream in dbn.sample(chains, SamplingSchedule(1, 4, 2), stream(), clamp=held):
        assert (dream.chains.visible[:, 0] == 1).all()
        assert 0 < dream.chains.visible[:, 1].mean() < 1


def test_chains_of_another_model_are_refused_at_once() -> None:
    dbn, _ = random_dbn("two layers")
    chains = start_random(dbn.stack[0], 5, stream())
    with pytest.raises(ValueError, match="visible has 4 columns, but this RBM has 3"):
        dbn.sample(chains, ONCE, stream())


# ways of their own


def test_ways_are_tied_until_they_are_untied() -> None:
    dbn, _ = random_dbn("three layers")
    assert all(up is down for up, down in zip(dbn.recognition, dbn.stack, strict=True))
    v = torch.eye(4, dtype=torch.float64)
    before = dbn.mean_up(v), dbn.mean_down(dbn.mean_up(v))
    assert dbn.untie_() is dbn and dbn.is_untied
    assert torch.equal(dbn.mean_up(v), before[0])
    assert dbn.recognition[-1] is dbn.top
    assert all(
        up is not down for up, down in zip(dbn.recognition[:-1], dbn.stack[:-1], strict=True)
    )
    with torch.no_grad():
        dbn.recognition[0].weights.add_(1)
    assert not torch.equal(dbn.mean_up(v), before[0])
    assert torch.equal(dbn.mean_down(before[0]), before[1])
    again = dbn.recognition[0]
    assert dbn.untie_().recognition[0] is again  # untying twice forgets nothing


def test_each_rbm_has_units_of_its_own() -> None:
    dbn = DBN.of(Binary(4), Binary(3), Binary(2))
    assert dbn.stack[0].hidden is not dbn.stack[1].visible
    assert len(dbn) == 2 and dbn.visible is dbn.stack[0].visible
    assert len(list(dbn.parameters())) == 6


# what does not fit


@pytest.mark.parametrize(
    ("rbms", "said"),
    [
        ([], r"no RBMs to stack; pass 1 or more"),
        (
            [RBM(Binary(4), Binary(3)), RBM(Binary(2), Binary(2))],
            r"RBM 1 has the hidden units Binary\(n=3\), but RBM 2 above it the visible units "
            r"Binary\(n=2\); pass units of the same type and number",
        ),
        (
            [RBM(Binary(4), Binary(3)), RBM(Binary(3), Spin(2)), RBM(Binary(2), Binary(2))],
            r"RBM 2 has the hidden units Spin\(n=2\), but RBM 3 above it the visible units Binary",
        ),
        (
            [RBM(Binary(4), Categorical(2, 3)), RBM(Categorical(3, 2), Binary(3))],
            r"Categorical\(n=2, n_categories=3\), but .* Categorical\(n=3, n_categories=2\)",
        ),
    ],
)
def test_a_stack_that_does_not_fit_is_refused(rbms: Sequence[RBM], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DBN(rbms)


def test_ways_upwards_that_do_not_fit_are_refused() -> None:
    rbms = [RBM(Binary(4), Binary(3)), RBM(Binary(3), Binary(2))]
    with pytest.raises(ValueError, match="there are 2 RBMs upwards and 2 downwards; pass one"):
        DBN(rbms, rbms)
    with pytest.raises(ValueError, match=r"RBM 1 is RBM\(Binary\(n=4\), Spin\(n=3\)\) upwards"):
        DBN(rbms, [RBM(Binary(4), Spin(3))])


def test_a_layer_of_no_units_is_refused() -> None:
    with pytest.raises(ValueError, match="a layer of 0 units was asked for; pass 1 or more"):
        DBN.of(Binary(3), Binary(0), Binary(2))
    with pytest.raises(ValueError, match=r"^there is no hidden layer; pass one or more"):
        DBN.of(Binary(3))
    with pytest.raises(ValueError, match="no RBMs to stack"):
        DBN([])


def test_numbers_are_layers_of_so_many_binary_units() -> None:
    by_number, by_layer = DBN.of(6, 4, 3, n_classes=2), DBN.of(Binary(6), 4, Binary(3), n_classes=2)
    assert repr(by_number) == repr(by_layer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DBN.of(6, [4, 3]), r"hidden layer 1 is \[4, 3\]; pass the layers one after"),
        (lambda: DBN.of("6", 4), "visible is '6'; pass a layer such as Binary"),
        (lambda: DBN.of(6, 4, 2.5), "hidden layer 2 is 2.5; pass a layer such as Binary"),
        (lambda: DBN(RBM(3, 2)), "rbms is a RBM|rbms is RBM"),
        (lambda: DBN([RBM(3, 2), 5]), "RBM 2 of the stack is 5; pass an RBM"),
        (
            lambda: DBN.of(3, 2)(torch.zeros(1, 3)),
            r"dbn\(v\) has no meaning of its own",
        ),
        (lambda: DBN.of(3, 2).mean_up(np.zeros((1, 3))), "visible is a numpy.ndarray of shape"),
        (
            lambda: DBN.of(3, 2).mean_up(torch.zeros(1, 3).double()),
            "visible states are torch.float",
        ),
    ],
)
def test_what_is_no_layer_or_row_is_refused_in_words(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^({message})"):
        make()


def test_layers_that_are_not_there_are_refused() -> None:
    dbn = DBN.of(Binary(4), Gaussian(3))
    for way in (dbn.mean_up, dbn.mean_down):
        with pytest.raises(ValueError, match="n_layers is 2; pass 0 to 1"):
            way(torch.zeros(1, 4), n_layers=2)
