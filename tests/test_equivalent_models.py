"""A model written in another way is the same model: every estimate of it stays what it was.

Shifting, rescaling, flipping or reordering units, writing 0 and 1 as -1 and 1, adding units that
see nothing: none of it changes a distribution, but for what its states are called. So nothing that
is said of rows may change by more than 1e-6 of itself. Estimates by chains are compared chain by
chain, with the same random numbers, where units are shifted or rescaled; in other ways the same
numbers make other chains, and the estimates agree within their errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium import RBM, Data, Minibatches, Monitor, likelihood, training
from harmonium.classification import class_log_probabilities
from harmonium.deep import DBN
from harmonium.deep.bound import variational_bound
from harmonium.deep.completion import MetropolisWithinGibbs, PseudoGibbs, complete
from harmonium.diagnostics import diagnose, flip_rates, free_energy_gap, reconstruction_error
from harmonium.gauge import Gauge
from harmonium.likelihood import AnnealingPath, base_rates, ladder_log_z
from harmonium.monitor import Following
from harmonium.rng import Purpose, Stream
from harmonium.sampling import (
    Clamp,
    SamplingSchedule,
    Tempering,
    TrajectoryTempering,
    draw,
    start_annealed,
    start_at,
    start_random,
)
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Units
from rewritten import (
    Change,
    Rewritten,
    as_spins,
    flipped,
    nothing,
    on_a_grid_,
    reordered,
    rescaled,
    rewrite,
    shifted,
    some_rows,
    with_constants,
    with_idle_units,
)
from unit_types import BY_NAME, UnitType, randomise_

RELATIVE = 1e-6
N_ROWS = 12

MOVES: dict[str, Callable[[Units], Change]] = {
    "shifted by 30": shifted(30.0),
    "shifted by 10,000": shifted(10_000.0),
    "rescaled by 1/4": rescaled(0.25),
    "rescaled by 4": rescaled(4.0),
}
WAYS = MOVES | {"flipped": flipped, "reordered": reordered, "as spins": as_spins}

SOME_PAIRS = [
    (BY_NAME[visible], BY_NAME[hidden])
    for visible, hidden in (
        ("gaussian-learned", "binary"),
        ("partly-gaussian", "spin"),
        ("gaussian", "mixed"),
        ("binary", "gaussian"),
        ("categorical", "partly-gaussian"),
        ("gaussian-learned", "gaussian"),
        ("partly-gaussian", "partly-gaussian"),
        ("drelu", "binary"),
        ("categorical", "relu"),
        ("gaussian-learned", "drelu"),
    )
]


def changes(way: str, unit_type: UnitType) -> bool:
    """Whether units of this type are written anew in this way."""
    units = unit_type.make(4)
    old, new = nothing(units), WAYS[way](units)
    return not all(
        torch.equal(getattr(old, name), getattr(new, name)) for name in ("order", "scale", "offset")
    )


def cases(*tried: tuple[list[str], list[tuple[UnitType, UnitType]]]) -> Any:
    """Ways and pairs of unit types of which at least one is written anew in that way."""
    found = {
        f"{v}-{h}-{way}": (v, h, way)
        for ways, pairs in tried
        for v, h in pairs
        for way in ways
        if changes(way, v) or changes(way, h)
    }
    return pytest.mark.parametrize(("visible", "hidden", "way"), found.values(), ids=found)


# the others' kinds are among these, and they themselves among SOME_PAIRS
KINDS = [BY_NAME[name] for name in ("binary", "spin", "categorical", "gaussian-learned", "mixed")]
EVERY_PAIR = [(v, h) for v in KINDS for h in KINDS]
in_every_way = cases(
    (["shifted by 10,000", "rescaled by 4", "flipped", "reordered", "as spins"], EVERY_PAIR),
    (list(WAYS), SOME_PAIRS),
)
moved = cases((["shifted by 10,000", "rescaled by 4"], SOME_PAIRS))
with_discrete_rows = cases(
    (
        list(WAYS),
        [
            (BY_NAME[visible], BY_NAME[hidden])
            for visible in ("binary", "spin", "categorical", "mixed")
            for hidden in ("binary", "gaussian-learned", "partly-gaussian")
        ],
    )
)


def model(visible: UnitType, hidden: UnitType, dtype: torch.dtype, seed: int = 1) -> RBM:
    """In float64 anything; in float32 what a shift does not round."""
    rbm = RBM(visible.make(4), hidden.make(3)).to(dtype)
    if dtype == torch.float32:
        return on_a_grid_(rbm, seed)
    randomise_(rbm, seed, 0.5)
    return rbm


def both(visible: UnitType, hidden: UnitType, way: str) -> Iterator[tuple[Rewritten, Tensor]]:
    """A model and rows, with the same model written in this way; shifted far, also in float64."""
    for dtype in (torch.float32, torch.float64)[: 1 + (way == "shifted by 10,000")]:
        rbm = model(visible, hidden, dtype)
        same = rewrite(rbm, WAYS[way](rbm.visible), WAYS[way](rbm.hidden))
        yield same, some_rows(rbm.visible, N_ROWS, 2, dtype)


def agree(found: Any, expected: Any, within: float = RELATIVE) -> None:
    found, expected = (torch.as_tensor(x).double() for x in (found, expected))
    torch.testing.assert_close(found, expected, rtol=within, atol=within)


def stream(position: int = 0) -> Stream:
    return Stream(seed=3, purpose=Purpose.SAMPLE, position=position)


@in_every_way
def test_what_is_known_exactly_stays(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        old, new, w = same.old, same.rbm, same.visible.enter(v)
        if not likelihood.can_be_enumerated(old):  # partly Gaussian in both layers
            assert not likelihood.can_be_enumerated(new)
            continue
        values = likelihood.exact_log_likelihood(old, v)
        agree(likelihood.exact_log_likelihood(new, w), values + same.log_volume)
        # log Z has the constant in it: of that, float64 holds some 16 digits
        known = likelihood.exact_moments(old)
        log_z = known.log_z.value + same.energy - same.log_volume_of_both
        room = RELATIVE * abs(known.log_z.value) + 1e-15 * abs(same.energy)
        assert likelihood.exact_log_z(new).value == pytest.approx(log_z, rel=0, abs=room)
        moments = likelihood.exact_moments(new)
        agree(same.visible.leave(moments.visible["bias"]), known.visible["bias"])
        agree(same.hidden.leave(moments.hidden["bias"]), known.hidden["bias"])


@moved
def test_an_exact_evaluation_stays(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        if not likelihood.can_be_enumerated(same.old):
            continue
        found, known = (
            likelihood.evaluate(rbm, rows, rows).result()
            for rbm, rows in ((same.rbm, same.visible.enter(v)), (same.old, v))
        )
        assert known.is_exact
        agree(found.lower, known.lower + same.log_volume)
        agree(found.rows_std_error, known.rows_std_error)


@in_every_way
def test_energies_and_conditional_means_stay(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        old, new, w = same.old, same.rbm, same.visible.enter(v)
        h = some_rows(old.hidden, N_ROWS, 4, v.dtype)
        g = same.hidden.enter(h)
        with torch.no_grad():
            for found, expected in (
                (new.free_energy(w), old.free_energy(v)),
                (new.energy(w, g), old.energy(v, h)),
            ):
                agree(found - found[0], expected - expected[0])
            # in the new states, of which float32 holds so many digits
            agree(new.mean_h_from_v(w), same.hidden.enter(old.mean_h_from_v(v)))
            agree(new.mean_v_from_h(g), same.visible.enter(old.mean_v_from_h(h)))
            agree(new.var_h_from_v(w) * same.hidden.scale**2, _in_order(same, old.var_h_from_v(v)))
        gap, known = (
            free_energy_gap(rbm, rows[:5], rows[5:]) for rbm, rows in ((new, w), (old, v))
        )
        agree(gap.gap, known.gap)
        agree(gap.std_error, known.std_error)
        if not way.startswith("rescaled"):  # squared errors are in the units of measurement
            agree(reconstruction_error(new, w), reconstruction_error(old, v))


def _in_order(same: Rewritten, of_hidden: Tensor) -> Tensor:
    return of_hidden[..., same.hidden.order]


@with_discrete_rows
def test_the_pseudo_likelihood_stays(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        w = same.visible.enter(v)
        expected = likelihood.exact_pseudo_log_likelihood(same.old, v)
        agree(likelihood.exact_pseudo_log_likelihood(same.rbm, w), expected)
        n = same.rbm.visible.n
        agree(likelihood.pseudo_log_likelihood(same.rbm, w, stream(), n), expected)


def annealed(rbm: RBM, v: Tensor) -> dict[str, Any]:
    """Estimates by annealed chains, those of log Z under names that begin so."""
    path = AnnealingPath(base_rates(rbm, v), rbm, torch.linspace(0, 1, 11))
    below = likelihood.annealed_importance_sampling(path, 20).result()
    above = likelihood.reverse_annealed_importance_sampling(path, v).result()
    raised = likelihood.raise_log_likelihood(path, v, 2).result()
    return {
        "log z from below": below.value,
        "log z from above": above.value,
        "error": below.std_error,
        "of rows": raised.log_likelihood,
    }


@moved
def test_annealing_stays(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        found, expected = annealed(same.rbm, same.visible.enter(v)), annealed(same.old, v)
        for name, value in expected.items():
            if name.startswith("log z"):
                value = value + same.energy - same.log_volume_of_both
                room = RELATIVE * (1 + abs(expected[name])) + 1e-15 * abs(same.energy)
                assert found[name] == pytest.approx(value, rel=0, abs=room), name
            else:
                volume = same.log_volume if name == "of rows" else 0.0
                agree(found[name], value + volume)


def sampled(rbm: RBM, v: Tensor) -> dict[str, Tensor]:
    """Visible states that chains come to, by how they move."""
    tempering, trajectory = Tempering(n_temperatures=4), TrajectoryTempering([rbm])
    chains = start_at(rbm, v, stream())
    states = {"drawn": draw(rbm, chains, SamplingSchedule(4, 2, 3), stream(9))}
    held = Clamp(torch.arange(v.shape[1]) < rbm.visible.groups[0][1].width, v)
    states["completed"] = draw(rbm, chains, SamplingSchedule(4, 1, 1), stream(29), held)
    chains = start_random(rbm, N_ROWS, stream())
    states["tempered"] = draw(rbm, chains, SamplingSchedule(4, 1, 1), stream(5), sampler=tempering)
    chains = start_random(rbm, N_ROWS, stream())
    states["along"] = draw(rbm, chains, SamplingSchedule(4, 1, 1), stream(5), sampler=trajectory)
    states["annealed"] = start_annealed(rbm, 5, stream(), 10).visible
    return states


@moved
def test_chains_stay(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        found, expected = sampled(same.rbm, same.visible.enter(v)), sampled(same.old, v)
        for name, states in expected.items():
            # far from zero, float32 holds states to a thousandth of a standard deviation
            is_coarse = v.dtype == torch.float32 and way.startswith("shifted")
            agree(same.visible.leave(found[name]), states, 3e-3 if is_coarse else RELATIVE)


@moved
def test_log_z_along_ladders_stays(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        if v.dtype == torch.float32:  # whose states are coarse, as above
            continue
        for make in (lambda _: Tempering(n_temperatures=4), lambda rbm: TrajectoryTempering([rbm])):
            estimates = []
            for rbm, constant in (
                (same.old, 0.0),
                (same.rbm, same.energy - same.log_volume_of_both),
            ):
                sampler, chains = make(rbm), start_random(rbm, N_ROWS, stream())
                sampler(rbm, chains, stream(5))
                estimates.append(ladder_log_z(rbm, chains, stream(90), sampler, 8))
                estimates[-1] = estimates[-1].value - constant, estimates[-1].std_error
            agree(*estimates)


@moved
def test_rows_about_a_run_stay(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        numbers = []
        for rbm, rows in ((same.old, v), (same.rbm, same.visible.enter(v))):
            monitor = Monitor(
                Data("mine", rows), Data("others", rows[:7]), following=Following(20, 20, 3)
            )
            row = monitor(rbm, None, 5)
            likelihoods, population = monitor.log_likelihood(rbm, None)
            again, _ = monitor.log_likelihood(rbm, population)
            gains = monitor.over_independent_columns(rbm, likelihoods)
            numbers.append(row | likelihoods | gains)
            numbers[-1] |= {f"again {name}": value for name, value in again.items()}
        known, found = numbers
        assert set(found) == set(known)
        for name, value in known.items():
            if way.startswith("rescaled") and "reconstruction" in name:
                continue
            if "log_likelihood" in name and "error" not in name:
                value += same.log_volume
            if name in ("log_z", "again log_z"):
                value += same.energy - same.log_volume_of_both
            assert found[name] == pytest.approx(value, rel=RELATIVE, abs=RELATIVE), name


@moved
def test_a_diagnosis_stays(visible: UnitType, hidden: UnitType, way: str) -> None:
    for same, v in both(visible, hidden, way):
        known, found = (
            diagnose(rbm, rows, rows[:5], n_sweeps=40, n_chains=8)
            for rbm, rows in ((same.old, v), (same.rbm, same.visible.enter(v)))
        )
        mixing, as_known = found.findings.mixing, known.findings.mixing
        assert mixing is not None and as_known is not None
        assert list(mixing.observables) == list(as_known.observables)
        if way.startswith("shifted"):  # else directions of the weights are others
            assert found.advice == known.advice
            for name, seen in as_known.observables.items():
                time = mixing.observables[name].autocorrelation_time
                assert time == pytest.approx(seen.autocorrelation_time, rel=RELATIVE), name
        rates = [
            flip_rates(rbm, start_at(rbm, rows, stream()), stream(5))
            for rbm, rows in ((same.old, v), (same.rbm, same.visible.enter(v)))
        ]
        assert rates[0] == pytest.approx(rates[1], rel=RELATIVE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("way", ["shifted by 30", "shifted by 10,000", "rescaled by 4"])
def test_bounds_of_a_model_that_is_annealed_stay(way: str, dtype: torch.dtype) -> None:
    old = on_a_grid_(RBM(Gaussian(5), Binary(4)).to(dtype), 1)
    same = rewrite(old, WAYS[way](old.visible), nothing(old.hidden))
    v = some_rows(old.visible, N_ROWS, 2, dtype)
    known, found = (
        likelihood.estimate(rbm, rows, rows, n_chains=12, n_temperatures=30).result()
        for rbm, rows in ((old, v), (same.rbm, same.visible.enter(v)))
    )
    assert not known.is_exact
    agree(found.lower, known.lower + same.log_volume)
    agree(found.upper, known.upper + same.log_volume)
    agree(found.log_z.std_error, known.log_z.std_error)


def test_the_difference_of_two_models_stays() -> None:
    models = [on_a_grid_(RBM(Gaussian(4), Binary(5)), seed) for seed in (1, 5)]
    move = shifted(10_000.0)
    far = [rewrite(rbm, move(rbm.visible), nothing(rbm.hidden)) for rbm in models]
    v = some_rows(models[0].visible, 40, 2, torch.float32)
    w = far[0].visible.enter(v)
    known = likelihood.compare(*models, v, v).result()
    found = likelihood.compare(far[0].rbm, far[1].rbm, w, w).result()
    agree(found.lower, known.lower)
    agree(found.upper, known.upper)
    agree(found.rows_std_error, known.rows_std_error)


@pytest.mark.parametrize("hidden", BY_NAME.values(), ids=str)
@pytest.mark.parametrize("way", MOVES)
def test_probabilities_of_classes_stay(way: str, hidden: UnitType) -> None:
    for dtype in (torch.float32, torch.float64):
        old = RBM(Mixed(Gaussian(4), Categorical(1, 3)), hidden.make(3)).to(dtype)
        on_a_grid_(old, 1)
        same = rewrite(old, WAYS[way](old.visible), WAYS[way](old.hidden))
        v = some_rows(old.visible, N_ROWS, 2, dtype)
        agree(
            class_log_probabilities(same.rbm, same.visible.enter(v)[:, :4]),
            class_log_probabilities(old, v[:, :4]),
        )


@pytest.mark.parametrize("is_untied", [False, True], ids=["tied", "untied"])
@pytest.mark.parametrize("way", MOVES)
def test_networks_stay(way: str, is_untied: bool) -> None:
    for dtype in (torch.float32, torch.float64):
        bottom = on_a_grid_(RBM(Gaussian(4), Binary(5)).to(dtype), 1)
        top = on_a_grid_(RBM(Mixed(Binary(5), Categorical(1, 2)), Binary(3)).to(dtype), 2)
        same = rewrite(bottom, WAYS[way](bottom.visible), nothing(bottom.hidden))
        v = some_rows(bottom.visible, 8, 2, dtype)
        log_z = likelihood.exact_log_z(top)
        found = []
        for rbm, rows, change in (
            (bottom, v, nothing(bottom.visible)),
            (same.rbm, same.visible.enter(v), same.visible),
        ):
            dbn = DBN([rbm, top])
            if is_untied:
                dbn.untie_()
            held = Clamp(torch.tensor([True, True, False, False]), rows)
            numbers = {"bound": variational_bound(dbn, rows, log_z, stream(), 5).values}
            numbers["classes"] = dbn.class_log_probabilities(rows)
            for sampler in (PseudoGibbs(), MetropolisWithinGibbs()):
                schedule = SamplingSchedule(6, 2, 3)
                completed = complete(dbn, rows, held, schedule, stream(50), sampler=sampler)
                numbers[f"by {sampler}"] = torch.stack(
                    [change.leave(x) for now in completed for x in (now.visible, now.means)]
                )
            found.append(numbers)
        known, moved = found
        agree(moved["bound"], known["bound"] + same.log_volume)
        for name in set(known) - {"bound"}:
            is_coarse = name != "classes" and dtype == torch.float32 and way.startswith("shifted")
            agree(moved[name], known[name], 3e-3 if is_coarse else RELATIVE)


@pytest.mark.parametrize("name", ["flipped", "reordered", "as spins"])
@pytest.mark.parametrize("visible", BY_NAME.values(), ids=str)
def test_annealing_agrees_within_its_errors_where_other_numbers_are_drawn(
    visible: UnitType, name: str
) -> None:
    old = model(visible, BY_NAME["mixed"], torch.float32)
    same = rewrite(old, WAYS[name](old.visible), WAYS[name](old.hidden))
    v = same.visible.enter(some_rows(old.visible, 200, 2, torch.float32))
    path = AnnealingPath(base_rates(same.rbm, v), same.rbm, torch.linspace(0, 1, 21))
    log_z = likelihood.annealed_importance_sampling(path, 200).result()
    exact = likelihood.exact_log_z(old).value + same.energy
    assert abs(log_z.value - exact) < 5 * log_z.std_error + 1e-5


@pytest.mark.parametrize(
    ("visible", "idle"),
    [(BY_NAME["binary"], idle) for idle in BY_NAME.values()]
    + [(visible, BY_NAME["spin"]) for visible in BY_NAME.values() if visible.name != "binary"],
    ids=str,
)
def test_units_that_see_nothing_change_nothing(visible: UnitType, idle: UnitType) -> None:
    old = model(visible, BY_NAME["binary"], torch.float32)
    added = idle.random(3, 5, torch.float32)
    new = with_idle_units(old, added)
    v = some_rows(old.visible, N_ROWS, 2, torch.float32)
    own = added.cgf(torch.zeros_like(added.bias)).sum().item()
    with torch.no_grad():
        agree(new.free_energy(v) + own, old.free_energy(v))
        agree(new.mean_h_from_v(v)[:, : old.hidden.n_columns], old.mean_h_from_v(v))
    if old.visible.is_discrete:
        agree(
            likelihood.exact_pseudo_log_likelihood(new, v),
            likelihood.exact_pseudo_log_likelihood(old, v),
        )
    if likelihood.can_be_enumerated(new):
        agree(likelihood.exact_log_z(new).value, likelihood.exact_log_z(old).value + own)
        agree(likelihood.exact_log_likelihood(new, v), likelihood.exact_log_likelihood(old, v))
        path = AnnealingPath(base_rates(new, v), new, torch.linspace(0, 1, 21))
        log_z = likelihood.annealed_importance_sampling(path, 200).result()
        exact = likelihood.exact_log_z(new).value
        assert abs(log_z.value - exact) < 5 * log_z.std_error + 1e-5


@pytest.mark.parametrize("hidden", BY_NAME.values(), ids=str)
@pytest.mark.parametrize("visible", ["categorical", "mixed", "partly-gaussian"])
def test_constants_of_a_categorical_unit_change_nothing(visible: str, hidden: UnitType) -> None:
    old = model(BY_NAME[visible], hidden, torch.float32)
    new = with_constants(old)
    v = some_rows(old.visible, N_ROWS, 2, torch.float32)
    agree(new.mean_h_from_v(v), old.mean_h_from_v(v))
    if old.visible.is_discrete:
        agree(
            likelihood.exact_pseudo_log_likelihood(new, v),
            likelihood.exact_pseudo_log_likelihood(old, v),
        )
    if likelihood.can_be_enumerated(new):
        agree(likelihood.exact_log_likelihood(new, v), likelihood.exact_log_likelihood(old, v))


def test_energies_far_from_zero_have_gradients() -> None:
    old = model(BY_NAME["gaussian"], BY_NAME["binary"], torch.float32)
    same = rewrite(old, shifted(10_000.0)(old.visible), nothing(old.hidden))
    v = some_rows(old.visible, N_ROWS, 2, torch.float32)
    same.rbm.free_energy(same.visible.enter(v)).sum().backward()
    old.free_energy(v).sum().backward()
    assert same.rbm.weights.grad is not None and same.rbm.weights.grad.dtype == torch.float32
    agree(same.rbm.hidden.bias.grad, old.hidden.bias.grad, 1e-5)


def test_a_model_near_zero_is_left_as_it_is() -> None:
    rbm = model(BY_NAME["gaussian"], BY_NAME["binary"], torch.float32)
    assert Gauge.of(rbm).rbm is rbm
    v = some_rows(rbm.visible, N_ROWS, 2, torch.float32)
    assert Gauge.of(rbm).enter(v) is v
    assert rbm.free_energy(v).dtype == torch.float32


def test_a_unit_type_of_ones_own_is_not_shifted() -> None:
    class Quartic(Gaussian):
        """A further term of the energy makes zero a place like no other."""

    rbm = RBM(Quartic(3), Binary(2))
    with torch.no_grad():
        rbm.visible.bias.fill_(1000.0)
    assert rbm.is_far
    assert Gauge.of(rbm).is_identity


@pytest.mark.parametrize("learn_precision", [False, True], ids=["fixed", "learned"])
def test_a_model_that_was_trained_far_from_zero_has_the_likelihood_of_its_parameters(
    learn_precision: bool,
) -> None:
    generator = torch.Generator().manual_seed(7)
    signs = torch.randint(0, 2, (400, 1), generator=generator) * 2.0 - 1
    rows = 10_000 + signs + torch.randn(400, 5, generator=generator)
    rbm = RBM(Gaussian(5, learn_precision=learn_precision), Binary(4))
    rbm.init_from_data_(rows, seed=1)
    state = TrainingState.create(rbm, n_chains=50, learning_rate=0.01, seed=2)
    for _ in training.updates(state, Minibatches(Data("far", rows), 50), epochs=20):
        pass
    # by the definition, the offset subtracted in the widest floating-point numbers at hand
    weights, b, a, log_precision, v = (
        x.detach().double().numpy().astype(np.longdouble)
        for x in (
            rbm.weights,
            rbm.visible.bias,
            rbm.hidden.bias,
            rbm.visible.log_precision,
            rows[:50],
        )
    )
    h = np.array(list(itertools.product((0, 1), repeat=4)), dtype=np.longdouble)
    precision = np.exp(log_precision)
    mean = (b + h @ weights.T) / precision
    # log p(h), and log p(v | h); the former without what is the same for all h
    at = mean[0]
    log_p = h @ (a + at @ weights) + 0.5 * ((mean - at) ** 2 * precision).sum(1)
    log_p -= np.log(np.exp(log_p - log_p.max()).sum()) + log_p.max()
    of_v = -0.5 * ((v[:, None] - mean) ** 2 * precision).sum(2)
    of_v += 0.5 * np.log(precision / (2 * np.pi)).sum()
    expected = torch.from_numpy(np.log(np.exp(log_p + of_v).sum(1)).astype(np.float64))
    assert rbm.is_far
    agree(likelihood.exact_log_likelihood(rbm, rows[:50]), expected)
    exact = likelihood.evaluate(rbm, rows[:50], rows).result()
    agree(exact.lower, expected.mean())
    if not learn_precision:  # which learns nothing so far from zero
        path = AnnealingPath(base_rates(rbm, rows), rbm, torch.linspace(0, 1, 51))
        log_z = likelihood.annealed_importance_sampling(path, 200).result()
        assert abs(log_z.value - exact.log_z.value) < 5 * log_z.std_error


def test_a_model_that_is_far_after_it_is_moved_is_judged_and_sampled() -> None:
    rbm = RBM(Gaussian(7, learn_precision=True), Binary(7))
    with torch.no_grad():  # each unit switches the next one on, which takes more than some rounds
        rbm.weights.copy_(40 * torch.eye(7) + 40 * torch.eye(7).roll(1, 1).triu())
        rbm.visible.bias.fill_(1024.0)
        rbm.hidden.bias.copy_(-800.0 - 1024.0 * rbm.weights.sum(0))
        rbm.hidden.bias[0] += 800.0
    moved = Gauge.of(rbm)
    assert not Gauge.of(moved.rbm).is_identity
    v = some_rows(rbm.visible, 40, 2, torch.float32)
    v += rbm.mean_v_from_h(torch.ones(40, 7))
    found = likelihood.estimate(rbm, v, v, n_chains=20, n_temperatures=50).result()
    exact = likelihood.exact_log_likelihood(rbm, v).mean().item()
    assert exact <= found.upper + 5 * found.upper_std_error
    for states in sampled(rbm, v[:N_ROWS]).values():
        assert states.isfinite().all() and states.dtype == torch.float32
    monitor = Monitor(Data("mine", v), following=Following(20, 20, 3))
    numbers, population = monitor.log_likelihood(rbm, None)
    again, _ = monitor.log_likelihood(rbm, population)
    for row in (numbers, again):
        assert np.isfinite([row["log_z"], row["log_likelihood"]]).all()
