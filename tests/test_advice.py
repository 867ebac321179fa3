"""Advice: what each is triggered by, in runs made to fail in that way, and none in a good run.

Every test says how far its numbers are from the threshold, as they were when it was written.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache, partial

import pytest
import torch
from torch import Tensor

from harmonium import (
    RBM,
    Binary,
    CenteredGradient,
    Data,
    Gaussian,
    Minibatches,
    PlainGradient,
    Purpose,
    Spin,
    Stream,
    TrainingState,
    datasets,
    training,
)
from harmonium.diagnostics import (
    Advice,
    Diagnosis,
    Distance,
    Findings,
    FreeEnergyGap,
    HiddenUnits,
    Mixing,
    MomentDistance,
    Observable,
    Severity,
    advise,
    diagnose,
)
from harmonium.diagnostics import advice as thresholds
from harmonium.gradient import Gradient

_N_HIDDEN = 64


@cache
def digits() -> tuple[Data, Data]:
    """Training and held-out rows of the bundled digits, in black and white."""
    train, held_out, _ = datasets.load("digits").binarize().split()
    return train, held_out


def states(data: Data, n: int | None = None) -> Tensor:
    return data.rows(torch.arange(len(data))[:n], Stream(0, Purpose.ENCODE))


def patterns(n_rows: int = 400) -> Data:
    """Rows of 40 columns that are one of four random patterns, 3 % of the columns changed."""
    generator = torch.Generator().manual_seed(0)
    four = (torch.rand(4, 40, generator=generator) < 0.5).float()
    rows = four[torch.arange(n_rows) % 4]
    rows = torch.where(torch.rand(rows.shape, generator=generator) < 0.03, 1 - rows, rows)
    return datasets.from_array(rows.numpy(), name="patterns")


def trained_and_diagnosed(
    data: Data,
    held_out: Data | None = None,
    *,
    n_hidden: int = _N_HIDDEN,
    epochs: int = 100,
    learning_rate: float = 0.1,
    falls: bool = True,
    n_chains: int = 100,
    weight_std: float = 0.01,
    hidden_bias: float = 0.0,
    gradient: type[Gradient] = CenteredGradient,
    n_sweeps: int = 4000,
) -> Diagnosis:
    batches = Minibatches(data, min(100, len(data)))
    rbm = RBM(Binary(data.n_columns), Binary(n_hidden))
    rbm.init_from_data_(data, seed=0, weight_std=weight_std)
    with torch.no_grad():
        rbm.hidden.bias.fill_(hidden_bias)
    n_updates = epochs * len(batches)
    state = TrainingState.create(
        rbm,
        n_chains=n_chains,
        learning_rate=learning_rate,
        schedule=partial(training.linear_to_zero, n_updates=n_updates) if falls else None,
        gradient=gradient(),
    )
    (row,) = training.run(state, batches, epochs, every=n_updates)
    return diagnose(
        rbm,
        states(data),
        None if held_out is None else states(held_out),
        n_sweeps=n_sweeps,
        n_training_chains=n_chains,
        batch_size=batches.batch_size,
        update_ratio=row["update_ratio"],
    )


def the(diagnosis: Diagnosis, words: str) -> Advice:
    """The one piece of advice whose finding has these words."""
    (found,) = [advice for advice in diagnosis.advice if words in advice.finding]
    return found


def test_a_healthy_run_gets_no_advice() -> None:
    """300 epochs at the defaults of the library, with a rate that falls."""
    diagnosis = trained_and_diagnosed(*digits(), epochs=300)
    assert diagnosis.advice == []
    found = diagnosis.findings
    assert found.not_measured == {}
    assert found.mixing and found.moments and found.moments.covariances
    assert found.hidden and found.overfitting and found.update_ratio is not None
    # 27 sweeps, with 434 the threshold, and R-hat 1.01, with 1.1
    slowest = found.mixing.observables[found.mixing.slowest]
    assert slowest.is_resolved and slowest.autocorrelation_time < thresholds.SLOW_SWEEPS / 5
    assert found.mixing.observables[found.mixing.most_apart].r_hat < 1.04
    # 0.00 with 0.2, 0.07 with 0.75
    assert found.moments.means.excess < thresholds.MEANS_APART / 3
    assert found.moments.covariances.excess < thresholds.COVARIANCES_APART / 3
    assert (found.hidden.n_dead, found.hidden.n_saturated, found.hidden.n_duplicates) == (0, 0, 0)
    # 0.53 with 0.75; 1e-6 with 0.01
    assert found.overfitting.told_apart < 0.6
    assert found.update_ratio < thresholds.LARGEST_UPDATE_RATIO / 100


def test_a_learning_rate_a_hundred_times_too_large() -> None:
    """Chains stick: at least 1,900 sweeps, with 434 slow; covariances are off by 3.6, with 0.75."""
    diagnosis = trained_and_diagnosed(*digits(), learning_rate=10, falls=False)
    stuck = the(diagnosis, "autocorrelation time is at least")
    assert stuck.severity is Severity.SERIOUS
    assert "`learning_rate`" in stuck.remedy and "`sampler='tempering'`" in stuck.remedy
    unlike = the(diagnosis, "the chains are unlike the data")
    assert "covariances by" in unlike.finding and "`learning_rate`" in unlike.remedy
    the(diagnosis, "an update still changed the weights by")  # 4 %, with 1 % the threshold


def test_a_learning_rate_that_throws_hidden_units_out() -> None:
    """On grey pictures 88 % of them are dead or saturated; the threshold is 10 %."""
    grey, held_out, _ = datasets.load("digits").split()
    diagnosis = trained_and_diagnosed(grey, held_out, learning_rate=10, falls=False)
    idle = the(diagnosis, "of the hidden units never change")
    hidden = diagnosis.findings.hidden
    assert hidden is not None and hidden.idle_share > 0.5
    assert (
        f"of 64, {hidden.n_dead} off and {hidden.n_saturated} on whatever the row" in idle.finding
    )
    assert "lower `learning_rate`" in idle.remedy


@pytest.mark.parametrize(("bias", "state"), [(-10.0, "off"), (10.0, "on")])
def test_hidden_units_that_are_dead_or_saturated(bias: float, state: str) -> None:
    """All of them; the threshold is a tenth."""
    diagnosis = trained_and_diagnosed(*digits(), hidden_bias=bias, epochs=20, n_sweeps=400)
    idle = the(diagnosis, "of the hidden units never change")
    assert f"of 64, 64 {state} whatever the row" in idle.finding


def test_hidden_units_that_started_alike() -> None:
    """Weights that are all but 0 at first stay equal: 63 of 64 are copies, the threshold is 6."""
    diagnosis = trained_and_diagnosed(
        *digits(), weight_std=1e-12, gradient=PlainGradient, epochs=20, n_sweeps=400
    )
    alike = the(diagnosis, "63 of 64 hidden units are copies of others")
    assert "`weight_std=0.01`, the default" in alike.remedy


def test_two_rows_of_data() -> None:
    """A thirty-second row a hidden unit; the threshold is one."""
    data = datasets.from_array(states(digits()[0], 2).numpy(), name="two rows")
    diagnosis = trained_and_diagnosed(data, epochs=300)
    few = the(diagnosis, "there are 2 training rows for 64 hidden units")
    assert few.remedy == "Get more rows"
    # and two modes far apart, between which no chain moves: at least 1,900 sweeps, with 434
    the(diagnosis, "autocorrelation time is at least")


def test_one_persistent_chain() -> None:
    diagnosis = trained_and_diagnosed(*digits(), n_chains=1, n_sweeps=400)
    few = the(diagnosis, "the model was trained with one persistent chain for mini-batches of 100")
    assert "more `chains`: 100" in few.remedy


def test_data_of_which_gibbs_sampling_sees_one_mode_a_chain() -> None:
    """Four patterns far apart: at least 1,900 sweeps, as far as they were watched; 434 is slow."""
    diagnosis = trained_and_diagnosed(patterns(), n_hidden=16, epochs=300)
    stuck = the(diagnosis, "autocorrelation time is at least")
    mixing = diagnosis.findings.mixing
    assert mixing is not None
    assert mixing.observables[mixing.slowest].autocorrelation_time > 3 * thresholds.SLOW_SWEEPS
    assert mixing.observables[mixing.most_apart].r_hat > 1.5
    assert "show where they started (R-hat after 1,998 sweeps: " in stuck.reason
    assert "more `sweeps`" in stuck.remedy and "`sampler='tempering'`" in stuck.remedy


def test_chains_that_have_not_met_though_nobody_watched_for_long() -> None:
    """After 200 sweeps nothing is known of 434; but R-hat is 2.7, with 1.1 the threshold."""
    diagnosis = trained_and_diagnosed(patterns(), n_hidden=16, epochs=300, n_sweeps=400)
    apart = the(diagnosis, "the chains disagree about")
    assert diagnosis.findings.mixing is not None
    assert max(of.r_hat for of in diagnosis.findings.mixing.observables.values()) > 1.5
    assert "after 400 sweeps chains still show" in apart.reason
    assert "Run longer (`n_sweeps=4000`)" in apart.remedy


def test_rows_that_are_learned_by_heart() -> None:
    """A pair can be told apart 91 times of 100, with 75 the threshold; 10 standard errors."""
    data = datasets.from_array(states(digits()[0], 64).numpy(), name="64 rows")
    diagnosis = trained_and_diagnosed(data, digits()[1], n_hidden=32, epochs=3000)
    gap = diagnosis.findings.overfitting
    assert gap is not None and gap.told_apart > 0.87
    known = the(diagnosis, "the model knows its training rows")
    assert "nats more probable than held-out rows" in known.finding
    assert "`l2=0.001`" in known.remedy


def test_an_update_that_still_moves_the_weights() -> None:
    """By 13 %, with 1 % the threshold."""
    diagnosis = trained_and_diagnosed(
        *digits(), epochs=2, learning_rate=1, falls=False, n_sweeps=400
    )
    assert "`schedule='linear'`" in the(diagnosis, "an update still changed the weights").remedy


def test_a_model_that_has_not_learned_yet() -> None:
    """All covariances are missing, 1.00; the threshold is 0.75."""
    diagnosis = trained_and_diagnosed(*digits(), epochs=1, learning_rate=1e-6, n_sweeps=400)
    (unlike,) = diagnosis.advice
    assert "covariances by 10" in unlike.finding
    assert unlike.remedy.startswith("Train longer")


def test_chains_without_bounds() -> None:
    """Two Gaussian layers whose joint precision is not positive have no distribution."""
    rbm = RBM(Gaussian(4), Gaussian(3))
    with torch.no_grad():
        rbm.weights.fill_(2.0)
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    diagnosis = diagnose(rbm, rows, n_sweeps=400, n_chains=10)
    assert diagnosis.findings.has_diverged
    assert diagnosis.findings.mixing is None and diagnosis.findings.moments is None
    assert "left all bounds" in diagnosis.findings.not_measured["moments"]
    (lost,) = diagnosis.advice
    assert lost.finding == "the chains leave all bounds"


# The thresholds themselves, on numbers alone


def observable(time: float = 10.0, is_resolved: bool = True, r_hat: float = 1.0) -> Observable:
    return Observable(time, 0.1 * time, is_resolved, 1e4, r_hat)


def mixing(of: Observable) -> Mixing:
    return Mixing(100, 5000, 4995, 5, {"energy": observable(), "direction 3": of})


WELL = Findings(
    n_hidden=64,
    n_rows=1000,
    n_training_chains=100,
    batch_size=100,
    update_ratio=1e-3,
    mixing=mixing(observable()),
    moments=MomentDistance(Distance(0.01, 0.01, 0.3), Distance(0.01, 0.01, 0.02)),
    hidden=HiddenUnits(n=64, n_dead=0, n_saturated=0, n_duplicates=0),
    overfitting=FreeEnergyGap(-0.5, 0.2, 0.55, 0.02),
    has_diverged=False,
    not_measured={},
)


def test_good_numbers_get_no_advice_nor_do_missing_ones() -> None:
    assert advise(WELL) == []
    nothing = dict.fromkeys(("mixing", "moments", "hidden", "overfitting"))
    more = dict.fromkeys(("n_training_chains", "batch_size", "update_ratio"))
    assert advise(dataclasses.replace(WELL, **nothing, **more)) == []


@pytest.mark.parametrize(
    ("field", "good", "bad", "finding"),
    [
        (
            "mixing",
            mixing(observable(430)),
            mixing(observable(440)),
            "the chains' autocorrelation time is 440 sweeps (seen in direction 3 of the weights)",
        ),
        (
            "mixing",
            mixing(observable(434, False)),
            mixing(observable(4210, False)),
            "the chains' autocorrelation time is at least 4,200 sweeps (seen in direction 3",
        ),
        (
            "mixing",
            mixing(observable(r_hat=1.09)),
            mixing(observable(r_hat=1.11)),
            "the chains disagree about direction 3 of the weights: R-hat is 1.11",
        ),
        (
            "mixing",
            mixing(observable(r_hat=1.09)),
            mixing(observable(r_hat=math.inf)),
            "R-hat is infinite",
        ),
        (
            "moments",
            MomentDistance(Distance(0.19, 0.0, 1.0), Distance(0.74, 0.0, 1.0)),
            MomentDistance(Distance(0.21, 0.0, 1.0), Distance(0.76, 0.0, 1.0)),
            "means differ by 0.21 standard deviations and covariances by 76 % of their size",
        ),
        (
            "moments",
            MomentDistance(Distance(1.0, 1.0, 1.0), None),
            MomentDistance(Distance(1.0, 0.9, 1.0), None),
            "the chains are unlike the data: means differ by 0.44 standard deviations, sampling",
        ),
        (
            "hidden",
            HiddenUnits(n=100, n_dead=5, n_saturated=5, n_duplicates=0),
            HiddenUnits(n=100, n_dead=5, n_saturated=6, n_duplicates=0),
            "11 % of the hidden units never change: of 100, 5 off and 6 on whatever the row",
        ),
        (
            "hidden",
            HiddenUnits(n=100, n_dead=0, n_saturated=0, n_duplicates=10),
            HiddenUnits(n=100, n_dead=0, n_saturated=0, n_duplicates=11),
            "11 of 100 hidden units are copies of others",
        ),
        (
            "overfitting",
            FreeEnergyGap(-9.0, 0.2, 0.74, 0.02),
            FreeEnergyGap(-9.0, 0.2, 0.76, 0.02),
            "they are 9.0 ± 0.2 nats more probable than held-out rows, and 76 % of pairs",
        ),
        (
            "overfitting",  # a few rows could be anything
            FreeEnergyGap(-9.0, 2.0, 0.9, 0.2),
            FreeEnergyGap(-9.0, 2.0, 0.9, 0.09),
            "they are 9.0 ± 2.0 nats more probable than held-out rows, and 90 % of pairs",
        ),
        ("n_rows", 64, 63, "there are 63 training rows for 64 hidden units"),
        ("n_rows", 64, 1, "there are 1 training row for 64 hidden units"),
        ("n_training_chains", 10, 9, "9 persistent chains for mini-batches of 100 rows"),
        ("batch_size", 1000, 1001, "100 persistent chains for mini-batches of 1,001 rows"),
        ("update_ratio", 0.01, 0.011, "an update still changed the weights by 1.1 % of their size"),
        ("has_diverged", False, True, "the chains leave all bounds"),
    ],
)
def test_thresholds(field: str, good: object, bad: object, finding: str) -> None:
    assert advise(dataclasses.replace(WELL, **{field: good})) == []
    (found,) = advise(dataclasses.replace(WELL, **{field: bad}))
    assert finding in found.finding.replace("is 1 training row", "are 1 training row")
    assert found.reason and found.remedy and str(found).endswith(".")


def test_slow_is_what_the_warm_up_of_sampling_does_not_forget() -> None:
    from harmonium import defaults

    decay = thresholds.SLOW_SWEEPS / 2  # the integrated time of exp(-t / T) is 2 T
    assert math.exp(-defaults.SAMPLE_WARMUP / decay) == pytest.approx(0.01)


def test_serious_things_come_first() -> None:
    bad = dataclasses.replace(WELL, update_ratio=0.5, n_training_chains=1, n_rows=3)
    assert [advice.severity for advice in advise(bad)] == [
        *(Severity.SERIOUS, Severity.SERIOUS, Severity.WORTH_A_LOOK)
    ]


# What cannot be measured is said, and what is no model is refused


def test_what_is_missing_is_named() -> None:
    rbm = RBM(Spin(3), Gaussian(2))
    rows = torch.tensor([[1.0, -1.0, 1.0]])
    found = diagnose(rbm, rows, n_sweeps=100, n_chains=1).findings
    assert found.mixing is not None
    assert found.not_measured == {
        "moments": "the data are a single independent row or chain, so that the noise of their "
        "moments is not known; pass 2 or more",
        "hidden": "there is one training row, over which no activity varies",
        "overfitting": "there are no held-out rows",
        "update_ratio": "no row of numbers about the training has one",
    }
    two = diagnose(rbm, rows.repeat(2, 1), rows, n_sweeps=100, n_chains=1).findings
    assert two.not_measured["hidden"] == "the hidden units have no bounded activity"
    assert "the chains are a single independent row or chain" in two.not_measured["moments"]
    assert "overfitting" not in two.not_measured


def test_states_that_never_change_are_no_chains_to_judge() -> None:
    rbm = RBM(Binary(3), Binary(2))
    with torch.no_grad():
        rbm.visible.bias.fill_(1e4)
    found = diagnose(rbm, torch.ones(5, 3), n_sweeps=100, n_chains=4).findings
    assert "nothing changes in 4 chains and 50 records" in found.not_measured["mixing"]


def test_constant_columns_and_grey_values_are_no_trouble() -> None:
    rows = torch.rand(50, 4, generator=torch.Generator().manual_seed(0))
    rows[:, 0], rows[:, 1] = 0, 1
    rbm = RBM(Binary(4), Binary(3)).init_from_data_(rows, seed=0)
    found = diagnose(rbm, rows, rows, n_sweeps=200, n_chains=10).findings
    assert found.not_measured.keys() == {"update_ratio"}
    assert found.overfitting is not None
    assert (found.overfitting.gap, found.overfitting.told_apart) == (0, 0.5)


def test_what_is_no_model_or_no_data_is_refused() -> None:
    rbm = RBM(Binary(4), Binary(3))
    rows = torch.ones(5, 4)
    with pytest.raises(ValueError, match="visible has 3 columns, but this RBM has 4"):
        diagnose(rbm, rows[:, :3])
    with pytest.raises(ValueError, match=r"train has shape \(0, 4\); pass 1 or more rows"):
        diagnose(rbm, rows[:0])
    with pytest.raises(ValueError, match=r"held_out has shape \(0, 4\)"):
        diagnose(rbm, rows, rows[:0])
    with pytest.raises(ValueError, match="n_chains is 0; pass 1 or more"):
        diagnose(rbm, rows, n_chains=0)
    with torch.no_grad():
        rbm.weights[1, 2] = math.nan
    with pytest.raises(ValueError, match="1 of 12 values of weights are NaN or infinite, so there"):
        diagnose(rbm, rows)


def test_a_model_is_diagnosed_where_it_is(device: torch.device) -> None:
    rbm = RBM(Binary(6), Binary(4)).init_from_data_(torch.eye(6), seed=0, weight_std=1).to(device)
    rows = torch.eye(6).repeat(10, 1).to(device)
    found = diagnose(rbm, rows, rows[:30], n_sweeps=200, n_chains=10).findings
    assert found.not_measured.keys() == {"update_ratio"}


def test_the_same_seed_gives_the_same_diagnosis() -> None:
    rbm = RBM(Binary(4), Binary(3)).init_from_data_(torch.eye(4), seed=0, weight_std=1)
    first, again, other = (
        diagnose(rbm, torch.eye(4), n_sweeps=100, n_chains=4, seed=seed).findings
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
