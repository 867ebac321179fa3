"""Greedy pretraining: each layer learns what an RBM of its own would, and can stop anywhere.

Run as a program, this file is another process: it goes on from the pretrainings in a folder.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

from harmonium import (
    RBM,
    Binary,
    Categorical,
    Data,
    Gaussian,
    Gibbs,
    Minibatches,
    Penalties,
    PlainGradient,
    Spin,
    Tempering,
    TrainingState,
    load_model,
    save_model,
    training,
)
from harmonium.datasets import AsIs, Scaled, Stochastic, Threshold
from harmonium.deep import (
    DBN,
    LayerOptions,
    PretrainingState,
    drawn_features,
    features,
    load_dbn,
    load_pretraining,
    mean_features,
    pretraining,
    save_dbn,
    save_pretraining,
)
from harmonium.rng import seed_of_layer
from harmonium.serialization import read, serialize
from harmonium.units import Units

GREY = torch.randint(0, 256, (30, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(30) % 3
DIGITAL = Data("digital", GREY, Threshold(127), labels=LABELS)
DRAWN = Data("grey", GREY, Stochastic(0, 255))
QUICK = LayerOptions(epochs=2, batch_size=8, n_chains=10, learning_rate=0.2, weight_std=0.1)


def quick(**options: object) -> LayerOptions:
    return LayerOptions(**{**vars(QUICK), **options})


def network(*hidden: int) -> DBN:
    return DBN.of(Binary(6), *map(Binary, hidden))


def parameters(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def assert_equal(one: torch.nn.Module, other: torch.nn.Module) -> None:
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, other.get_parameter(name)), name


def finish(state: PretrainingState, data: Data = DIGITAL) -> PretrainingState:
    for _ in pretraining.updates(state, data):
        pass
    return state


# what a layer hands on


@pytest.mark.parametrize(
    "data", [DIGITAL, Data("grey", GREY, Scaled(0, 255)), DRAWN], ids=["digital", "grey", "drawn"]
)
def test_features_are_the_means_of_the_hidden_units(data: Data) -> None:
    rbm = RBM(Binary(6), Binary(4)).init_from_data_(data, seed=1, weight_std=0.5)
    v = (GREY > 127).float() if data is DIGITAL else GREY.float() / 255
    found = mean_features(rbm, data)
    torch.testing.assert_close(found.values, rbm.mean_h_from_v(v).detach(), rtol=0, atol=1e-6)
    assert found.encoding == AsIs()
    assert found.labels is data.labels
    assert found.name == f"4 features of {data.name}"


def test_features_of_drawn_spins_come_from_their_means() -> None:
    data = DRAWN.to_spins()
    rbm = RBM(Spin(6), Spin(4)).init_from_data_(data, seed=1, weight_std=0.5)
    found = features(rbm, data)
    expected = rbm.mean_h_from_v(GREY.float() / 255 * 2 - 1).detach()
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-6)
    assert found.encoding == Stochastic(-1, 1, low_state=-1)


def test_drawn_features_are_drawn_anew_each_epoch_with_the_means_they_have() -> None:
    data = Data("many", GREY[:1].repeat(4000, 1), Threshold(127))
    rbm = RBM(Binary(6), Binary(4)).init_from_data_(data, seed=1, weight_std=2.0)
    drawn = drawn_features(rbm, data)
    batches = Minibatches(drawn, len(drawn))
    first, second = (batches.batch(epoch, seed=3) for epoch in (0, 1))
    assert set(first.unique().tolist()) == {0, 1}
    assert not torch.equal(first, second)
    p = drawn.values[0]
    error = (p * (1 - p) / len(drawn)).sqrt()
    assert ((first.mean(0) - p).abs() < 5 * error).all()


@pytest.mark.parametrize("units", [Gaussian(4), Categorical(2, 2)], ids=repr)
def test_units_of_more_states_hand_on_means_unless_draws_are_asked_for(units: Units) -> None:
    rbm = RBM(Binary(6), units).init_from_data_(DIGITAL, seed=1)
    assert features(rbm, DIGITAL).encoding == AsIs()
    with pytest.raises(ValueError, match=f"features of {type(units).__name__} units cannot be"):
        drawn_features(rbm, DIGITAL)


def test_features_are_made_once_a_layer_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    real = RBM.mean_h_from_v

    def counted(self: RBM, v: torch.Tensor) -> torch.Tensor:
        rows.append(len(v))
        return real(self, v)

    monkeypatch.setattr(RBM, "mean_h_from_v", counted)
    data = Data("many", GREY.repeat(70, 1), Threshold(127))
    state = PretrainingState.create(network(4, 3, 2), quick(epochs=3, batch_size=700), seed=1)
    finish(state, data)
    assert rows == 2 * [1000, 1000, 100]


# learning


def test_the_first_layer_learns_what_an_rbm_of_its_own_would() -> None:
    options = quick(sampler=Gibbs(2), schedule=training.linear_to_zero, average_decay=0.9)
    state = finish(PretrainingState.create(network(4, 3), options, seed=5))
    rbm = RBM(Binary(6), Binary(4)).init_from_data_(DIGITAL, 5, weight_std=0.1)
    alone = TrainingState.create(
        rbm,
        sampler=Gibbs(2),
        n_chains=10,
        learning_rate=0.2,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 8),
        average_decay=0.9,
        seed=5,
    )
    for _ in training.updates(alone, Minibatches(DIGITAL, 8), 2):
        pass
    assert_equal(state.dbn.stack[0], alone.model)
    assert state.is_finished and state.training is None


@pytest.mark.parametrize("make", [mean_features, drawn_features])
def test_the_second_layer_learns_from_the_features_of_the_first(
    make: Callable[[RBM, Data], Data],
) -> None:
    each = [quick(features=make), quick(epochs=3, batch_size=5, n_chains=None, momentum=0.5)]
    state = finish(PretrainingState.create(network(4, 3), each, seed=5))
    data = make(state.dbn.stack[0], DIGITAL)
    seed = seed_of_layer(5, 1)
    rbm = RBM(Binary(4), Binary(3)).init_from_data_(data, seed, weight_std=0.1)
    alone = TrainingState.create(rbm, n_chains=None, learning_rate=0.2, momentum=0.5, seed=seed)
    for _ in training.updates(alone, Minibatches(data, 5), 3):
        pass
    assert_equal(state.dbn.top, alone.model)


def test_the_last_updates_of_a_layer_may_have_another_sampler() -> None:
    rbm = RBM(DIGITAL.n_columns, 3).init_from_data_(DIGITAL, 1, weight_std=0.1)
    layer = quick(epochs=2, final_sampler=Gibbs(3)).begin(rbm, seed=2, n_batches=5)
    assert layer.phases == ((0, Gibbs()), (7, Gibbs(3))) and layer.sampler == Gibbs()
    for _ in range(7):
        training.update(layer, DIGITAL.values[:4].float())
    assert layer.sampler == Gibbs(3)


def test_a_layer_that_was_begun_elsewhere_is_taken_up() -> None:
    state = PretrainingState.create(network(4, 3), QUICK, seed=1)
    whole = finish(PretrainingState.create(network(4, 3), QUICK, seed=1))
    rbm = RBM(Binary(DIGITAL.n_columns), Binary(4)).init_from_data_(DIGITAL, 1, weight_std=0.1)
    state.take_up_(QUICK.begin(rbm, 1, len(Minibatches(DIGITAL, QUICK.batch_size))))
    assert state.dbn.stack[0] is rbm
    assert_equal(finish(state).dbn, whole.dbn)


def test_layers_share_no_random_numbers() -> None:
    """Nor does a layer with another run, whose seed is the next number."""
    seeds = {seed_of_layer(seed, layer) for seed in range(10) for layer in range(10)}
    assert len(seeds) == 100
    assert seed_of_layer(2**64 - 1, 1) == 2**32 - 1


def test_rows_say_which_layer_they_are_of() -> None:
    state = PretrainingState.create(network(4, 3), [QUICK, quick(epochs=3)], seed=1)
    rows = list(pretraining.run(state, DIGITAL, every=4, held_out=DIGITAL))
    assert [(row["layer"], row["update"]) for row in rows] == [
        *((1, 4), (1, 8), (2, 4), (2, 8), (2, 12))
    ]
    assert all("held_out_pseudo_log_likelihood" in row for row in rows)


def test_watching_changes_nothing() -> None:
    watched, alone = (PretrainingState.create(network(4, 3), QUICK, seed=1) for _ in range(2))
    for _ in pretraining.run(watched, DIGITAL, every=3, held_out=DIGITAL):
        pass
    assert_equal(watched.dbn, finish(alone).dbn)


def test_the_options_own_gradient_and_penalties_are_left_alone() -> None:
    """They remember what they saw: a second layer of another width must not find it."""
    gradient = PlainGradient()
    penalties = Penalties(sparsity_target=0.1, sparsity_cost=0.5)
    finish(PretrainingState.create(network(4, 3), quick(gradient=gradient, penalties=penalties)))
    assert penalties.activity is None


# stopping and going on


def halving(optimizer: Optimizer, n_updates: int) -> LRScheduler:
    """A schedule of the caller's own, which depends on the number of updates."""
    return MultiStepLR(optimizer, [n_updates // 2], gamma=0.5)


KINDS: dict[str, tuple[Callable[[], DBN], list[LayerOptions], Data]] = {
    "pcd": (partial(network, 4, 3, 2), [QUICK] * 3, DIGITAL),
    "cd, then pcd": (
        partial(network, 5, 3),
        [
            quick(n_chains=None, momentum=0.5, features=mean_features),
            quick(sampler=Tempering(n_temperatures=3), average_decay=0.9),
        ],
        DRAWN,
    ),
    "own optimisers": (
        partial(network, 5, 3),
        [
            quick(optimizer=lambda own: torch.optim.Adam(own, lr=0.01), schedule=halving),
            quick(
                penalties=Penalties(l1=0.01, sparsity_target=0.1, sparsity_cost=0.5),
                schedule=training.linear_to_zero,
            ),
        ],
        DIGITAL,
    ),
    "other units": (
        lambda: DBN.of(Binary(6), Spin(5), Categorical(2, 2), Gaussian(2, learn_precision=True)),
        [QUICK, quick(epochs=1), quick(learning_rate=0.01)],
        DIGITAL,
    ),
}


def steps(kind: str) -> Iterator[tuple[str, PretrainingState]]:
    """A pretraining before each of its updates and at its end, with a name for each moment."""
    make, options, data = KINDS[kind]
    state = PretrainingState.create(make(), options, seed=3)
    yield "begin", state
    for layer in pretraining.updates(state, data):
        yield f"{state.layer}-{layer.update}", state
    yield "end", state


def path_of(folder: Path, kind: str, moment: str) -> Path:
    return folder / f"{kind.replace(' ', '-')}-{moment}"


# 30 rows in batches of 8 are 4 updates an epoch, 8 a layer: within and between epochs and layers
MOMENTS = ("begin", "0-3", "0-8", "1-1", "1-4", "end")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind saved at every moment, and gone on with in another process."""
    folder = tmp_path_factory.mktemp("pretraining")
    for kind in KINDS:
        for moment, state in steps(kind):
            if moment in MOMENTS:
                save_pretraining(state, path_of(folder, kind, moment))
    done = subprocess.run([sys.executable, __file__, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_pretraining_resumed_anywhere_ends_in_the_same_bits(
    kind: str, moment: str, folder: Path
) -> None:
    never = path_of(folder, kind, "end").read_bytes()
    assert path_of(folder, kind, f"{moment}-resumed").read_bytes() == never
    assert moment == "end" or path_of(folder, kind, moment).read_bytes() != never


@pytest.mark.parametrize("kind", KINDS)
def test_saving_changes_nothing(kind: str, tmp_path: Path, folder: Path) -> None:
    for _, state in steps(kind):
        save_pretraining(state, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == path_of(folder, kind, "end").read_bytes()


def test_a_resumed_pretraining_trains_its_own_network(tmp_path: Path) -> None:
    state = PretrainingState.create(network(4, 3), QUICK)
    next(pretraining.updates(state, DIGITAL))
    save_pretraining(state, tmp_path / "c")
    again = load_pretraining(tmp_path / "c", QUICK)
    assert again.training is not None and again.training.rbm is again.dbn.stack[0]
    before = parameters(again.dbn)
    for _ in zip(range(2), pretraining.updates(again, DIGITAL), strict=False):
        pass
    assert not torch.equal(again.dbn.stack[0].weights, before["rbms.0.weights"])


# files


@pytest.mark.parametrize("tied", [True, False])
def test_a_network_comes_back_from_its_file(tied: bool, tmp_path: Path) -> None:
    dbn = DBN.of(Binary(6), Spin(4), Categorical(2, 3))
    if not tied:
        dbn.untie_()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in dbn.parameters():
            parameter.normal_(generator=generator)
    save_dbn(dbn, tmp_path / "dbn")
    again = load_dbn(tmp_path / "dbn")
    assert again.is_untied is not tied
    assert repr(again) == repr(dbn)
    assert_equal(dbn, again)
    save_dbn(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "dbn").read_bytes()


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    save_model(RBM(Binary(2), Binary(2)), tmp_path / "rbm")
    save_dbn(network(2), tmp_path / "dbn")
    with pytest.raises(ValueError, match="holds harmonium model, not a harmonium dbn"):
        load_dbn(tmp_path / "rbm")
    with pytest.raises(ValueError, match="holds harmonium dbn, not a harmonium model"):
        load_model(tmp_path / "dbn")
    with pytest.raises(ValueError, match="holds harmonium dbn, not a harmonium pretraining"):
        load_pretraining(tmp_path / "dbn", QUICK)
    with pytest.raises(FileNotFoundError, match="there is no such dbn file"):
        load_dbn(tmp_path / "none")
    (tmp_path / "cut").write_bytes((tmp_path / "dbn").read_bytes()[:-3])
    with pytest.raises(ValueError, match="cut off or damaged"):
        load_dbn(tmp_path / "cut")


def test_a_network_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    dbn = network(2)
    with torch.no_grad():
        dbn.top.weights[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"down.0.weights holds values that are not"):
        save_dbn(dbn, tmp_path / "dbn")
    assert not list(tmp_path.iterdir())


def test_a_file_whose_layers_do_not_fit_is_refused(tmp_path: Path) -> None:
    save_dbn(network(3, 2), tmp_path / "dbn")
    tensors, config = read(tmp_path / "dbn", "dbn")
    config["down"][1]["hidden"]["n"] = 7
    (tmp_path / "dbn").write_bytes(serialize("dbn", tensors, config))
    with pytest.raises(ValueError, match="the file's layers do not fit its tensors"):
        load_dbn(tmp_path / "dbn")


# what cannot be trained


def test_options_for_another_number_of_layers_are_refused(tmp_path: Path) -> None:
    said = "there are options for 2 layers, but the network has 3; pass one LayerOptions for all"
    with pytest.raises(ValueError, match=said):
        PretrainingState.create(network(4, 3, 2), [QUICK, QUICK])
    save_pretraining(PretrainingState.create(network(4, 3, 2), QUICK), tmp_path / "c")
    with pytest.raises(ValueError, match=said):
        load_pretraining(tmp_path / "c", [QUICK, QUICK])


def test_an_untied_network_is_refused() -> None:
    with pytest.raises(ValueError, match="the network is untied"):
        PretrainingState.create(network(4, 3).untie_(), QUICK)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": -1.0}, "learning_rate is -1.0; pass 0 or a positive number"),
        ({"n_chains": 0}, "n_chains is 0; pass 1 or more"),
        ({"average_decay": 1.0}, "average_decay is 1.0; pass a number between 0 and 1"),
        (
            {"penalties": Penalties(sparsity_target=0.1, sparsity_cost=1.0)},
            "a sparsity target needs binary hidden units, but these are Gaussian",
        ),
    ],
)
def test_options_of_the_last_layer_are_refused_before_the_first_is_trained(
    options: dict[str, object], said: str
) -> None:
    dbn = DBN.of(Binary(6), Binary(3), Gaussian(2))
    before = parameters(dbn)
    with pytest.raises(ValueError, match=said):
        PretrainingState.create(dbn, [QUICK, quick(**options)])
    assert all(torch.equal(p, before[name]) for name, p in dbn.named_parameters())


def test_no_epochs_and_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="epochs is 0; pass 1 or more"):
        LayerOptions(epochs=0)
    with pytest.raises(ValueError, match="batch_size is 0; pass 1 or more"):
        LayerOptions(epochs=1, batch_size=0)


def test_data_that_do_not_fit_are_refused() -> None:
    state = PretrainingState.create(DBN.of(Binary(7), Binary(2)), QUICK)
    with pytest.raises(ValueError, match="digital has 6 columns, but the network has 7 visible"):
        finish(state)
    state = PretrainingState.create(network(3, 2), [QUICK, quick(batch_size=31)])
    with pytest.raises(ValueError, match="batch_size is 31, but digital has 30 training rows"):
        finish(state)
    assert state.layer == 0 and state.training is None


def test_features_out_of_range_are_refused() -> None:
    data = Data("wild", GREY.float())
    state = PretrainingState.create(network(3, 2), QUICK)
    with pytest.raises(ValueError, match="the mean of the data: 6 of 6 values are not between 0"):
        finish(state, data)
    rbm = RBM(Binary(5), Binary(2))
    with pytest.raises(ValueError, match="visible has 6 columns, but this RBM has 5 visible"):
        mean_features(rbm, DIGITAL)


def main(folder: Path) -> None:
    for kind, (_, options, data) in KINDS.items():
        for moment in MOMENTS:
            state = load_pretraining(path_of(folder, kind, moment), options)
            save_pretraining(finish(state, data), path_of(folder, kind, f"{moment}-resumed"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
