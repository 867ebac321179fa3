"""A model written in another way is the same model: every estimate of it stays what it was.

Shifting, rescaling, flipping or reordering units, writing 0 and 1 as -1 and 1, adding units that
see nothing: none of it changes a distribution but for the names of its states. So nothing that is
said of rows may change by more than 1e-6 of itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harmonium import RBM, likelihood
from harmonium.diagnostics import free_energy_gap, reconstruction_error
from harmonium.likelihood import LogZ
from harmonium.rng import Purpose, Stream
from harmonium.units import Binary, Categorical, Gaussian, Spin
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

FAR = {f"shifted by {by:g}": shifted(by) for by in (30.0, 1000.0, 10_000.0)}
CHANGES: dict[str, Callable[..., Change]] = FAR | {
    "rescaled by 2^-10": rescaled(2.0**-10),
    "rescaled by 2^10": rescaled(2.0**10),
    "flipped": flipped,
    "reordered": reordered,
    "as spins": as_spins,
}

on_every_pair: Callable[[Callable[..., None]], Callable[..., None]] = pytest.mark.parametrize(
    ("visible", "hidden"), [(v, h) for v in BY_NAME.values() for h in BY_NAME.values()], ids=str
)
in_every_way = pytest.mark.parametrize("way", CHANGES)
in_both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def model(visible: UnitType, hidden: UnitType, dtype: torch.dtype, seed: int = 1) -> RBM:
    """In float64 anything; in float32 what a shift does not round."""
    rbm = RBM(visible.make(4), hidden.make(3)).to(dtype)
    if dtype == torch.float32:
        return on_a_grid_(rbm, seed)
    randomise_(rbm, seed, 0.5)
    return rbm


def rewritten(rbm: RBM, way: str) -> Rewritten:
    """The same model, with both layers written in this way."""
    change = CHANGES[way]
    return rewrite(rbm, change(rbm.visible), change(rbm.hidden))


def agree(found: Tensor | float, expected: Tensor | float) -> None:
    found, expected = (torch.as_tensor(x).double() for x in (found, expected))
    torch.testing.assert_close(found, expected, rtol=RELATIVE, atol=RELATIVE)


@in_both_types
@in_every_way
@on_every_pair
def test_what_is_known_exactly_stays(
    visible: UnitType, hidden: UnitType, way: str, dtype: torch.dtype
) -> None:
    old = model(visible, hidden, dtype)
    if not likelihood.can_be_enumerated(old):
        pytest.skip("no exact values")
    same = rewritten(old, way)
    v = some_rows(old.visible, N_ROWS, 2, dtype)
    w = same.visible.enter(v)
    agree(
        likelihood.exact_log_likelihood(same.rbm, w),
        likelihood.exact_log_likelihood(old, v) + same.log_volume,
    )
    # a constant is in log Z, and nothing of its cancellation may be seen beyond float64's
    constant = same.energy - same.log_volume_of_both
    log_z = likelihood.exact_log_z(old).value
    assert likelihood.exact_log_z(same.rbm).value == pytest.approx(
        log_z + constant, rel=1e-13, abs=RELATIVE * max(1, abs(log_z))
    )
    found, known = (
        likelihood.evaluate(rbm, rows, rows).result() for rbm, rows in ((same.rbm, w), (old, v))
    )
    agree(found.lower, known.lower + same.log_volume)
    agree(found.rows_std_error, known.rows_std_error)


@in_both_types
@in_every_way
@on_every_pair
def test_energies_and_means_stay(
    visible: UnitType, hidden: UnitType, way: str, dtype: torch.dtype
) -> None:
    old = model(visible, hidden, dtype)
    same = rewritten(old, way)
    v, h = (
        some_rows(units, N_ROWS, seed, dtype)
        for seed, units in enumerate((old.visible, old.hidden))
    )
    w, g = same.visible.enter(v), same.hidden.enter(h)
    with torch.no_grad():
        for found, expected in (
            (same.rbm.free_energy(w), old.free_energy(v)),
            (same.rbm.energy(w, g), old.energy(v, h)),
        ):
            agree(found - found[0], expected - expected[0])
        mean_h, mean_v = same.rbm.mean_h_from_v(w), same.rbm.mean_v_from_h(g)
    # in new states, which float32 holds to so many digits
    agree(mean_h, same.hidden.enter(old.mean_h_from_v(v).detach()))
    agree(mean_v, same.visible.enter(old.mean_v_from_h(h).detach()))
    gap, known = (
        free_energy_gap(rbm, rows[:5], rows[5:]) for rbm, rows in ((same.rbm, w), (old, v))
    )
    agree(gap.gap, known.gap)
    if not way.startswith("rescaled"):
        agree(reconstruction_error(same.rbm, w), reconstruction_error(old, v))


def stream(position: int = 0) -> Stream:
    return Stream(seed=3, purpose=Purpose.SAMPLE, position=position)


GAUSSIAN = [BY_NAME[name] for name in ("gaussian", "gaussian-learned", "partly-gaussian")]
OTHERS = [BY_NAME[name] for name in ("binary", "spin", "categorical")]
on_gaussian_pairs = pytest.mark.parametrize(
    ("visible", "hidden"),
    [(v, h) for v in GAUSSIAN for h in (*OTHERS, *GAUSSIAN)]
    + [(v, h) for v in OTHERS for h in GAUSSIAN],
    ids=str,
)
far = pytest.mark.parametrize("way", [*FAR, "rescaled by 2^-10", "rescaled by 2^10"])


@in_both_types
@far
@on_gaussian_pairs
def test_annealing_stays(visible: UnitType, hidden: UnitType, way: str, dtype: torch.dtype) -> None:
    old = model(visible, hidden, dtype)
    same = rewritten(old, way)
    v = some_rows(old.visible, N_ROWS, 2, dtype)
    constant = same.energy - same.log_volume_of_both
    found = []
    for rbm, rows, k, volume in (
        (old, v, 0.0, 0.0),
        (same.rbm, same.visible.enter(v), constant, same.log_volume),
    ):
        path = likelihood.AnnealingPath.adaptive(rbm, rows, 30)
        ais = likelihood.annealed_importance_sampling(path, 20).result()
        rev = likelihood.reverse_annealed_importance_sampling(path, rows).result()
        raised = likelihood.raise_log_likelihood(path, rows, 2).result()
        pop = likelihood.Population.begin(rbm, rows, 20, 20)
        nearby = copy.deepcopy(rbm)
        with torch.no_grad():
            nearby.weights.mul_(0.9)
            nearby.visible.bias.mul_(1)
        found.append(
            {
                "ais": ais.value - k,
                "ais error": ais.std_error,
                "reverse": rev.value - k,
                "raise": raised.log_likelihood - volume,
                "raise errors": raised.std_errors,
                "population": pop.log_z.value - k,
                "population error": pop.log_z.std_error,
            }
        )
    for name in found[0]:
        try:
            agree(found[1][name], found[0][name])
        except AssertionError as e:
            raise AssertionError(f"{name}: {found[0][name]} {found[1][name]}")
