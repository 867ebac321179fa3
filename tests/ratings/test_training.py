"""Training on ratings: what is learned, resuming bit for bit, early stopping, rows of numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harmonium import ratings, training
from harmonium.datasets import Minibatches
from harmonium.ratings import RatedRows, RatingRBM, Ratings, RatingState, Recommender, growing
from harmonium.training import Patience

N_USERS, N_ITEMS = 120, 40


def planted(seed: int = 0, share: float = 0.4) -> Ratings:
    """Two groups of users, who like opposite halves of the items, with some noise."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((N_USERS, N_ITEMS)) < share)
    likes = (user % 2 == 0) == (item < N_ITEMS // 2)
    rating = np.clip(np.where(likes, 4, 2) + rng.integers(-1, 2, len(user)), 1, 5)
    return Ratings.of(user, item, rating)


def begun(
    known: Ratings, orientation: ratings.Orientation = "item", epochs: int = 30, **options: Any
) -> tuple[RatingState, Minibatches]:
    rows = RatedRows(known, orientation)
    batches = Minibatches(rows, 20)
    rbm = RatingRBM(known.scale, rows.n_columns, 8).init_from_data_(rows.rated, 0)
    schedule = partial(training.linear_to_zero, n_updates=epochs * len(batches))
    chosen: dict[str, Any] = {"learning_rate": 0.05, "schedule": schedule, **options}
    return RatingState.create(rbm, **chosen), batches


@pytest.mark.parametrize("orientation", ["item", "user"])
def test_tastes_are_learned(orientation: ratings.Orientation) -> None:
    known, test = planted().split(0.1, seed=1)
    assert test is not None
    state, batches = begun(known, orientation, l2=0.002)
    rows = list(ratings.run(state, batches, 30, every=len(batches), held_out=test))
    scores = Recommender(state.model, known, orientation).score(test)
    # who knows the groups has an error of 0.8, the standard deviation of the noise
    assert scores.rmse < 0.95 < float(test.values.std())
    assert rows[-1]["rating_log_probability"] > rows[0]["rating_log_probability"]
    made = Recommender(state.model, known, orientation).recommend(0, 5)
    assert all(int(item) < N_ITEMS // 2 for item in made.items)
    rated = set(known.item[known.user == 0].tolist())
    assert not rated & {int(item) for item in made.items}


def bits(state: RatingState) -> bytes:
    return ratings.dumps(state)


def test_a_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    known, test = planted().split(0.1, seed=1)
    options: dict[str, Any] = {"phases": growing(1, 3, 24), "patience": Patience(after_best=100)}

    def train(state: RatingState, epochs: int) -> RatingState:
        for _ in ratings.run(state, batches, epochs, every=3, held_out=test):
            pass
        return state

    whole, batches = begun(known, epochs=12, **options)
    train(whole, 12)
    part, _ = begun(known, epochs=12, **options)
    for row in ratings.run(part, batches, 12, every=3, held_out=test):
        if row["update"] == 9:
            break
    (tmp_path / "half").write_bytes(bits(part))
    again = ratings.load(tmp_path / "half")
    assert again.sweeps == 2 and again.phases == part.phases
    assert bits(again) == bits(part)
    train(again, 12)
    assert bits(again) == bits(whole)


def test_sweeps_grow_in_equal_steps() -> None:
    assert growing(1, 3, 30) == {0: 1, 10: 2, 20: 3}
    assert growing(2, 2, 30) == {0: 2}
    state, batches = begun(planted(), phases=growing(1, 3, 6))
    seen = [state.sweeps]
    for done in training.updates(state, batches, 3):
        seen.append(state.sweeps)
        if done == 6:
            break
    assert seen == [1, 1, 2, 2, 3, 3, 3]


def test_patience_ends_a_training_and_the_best_model_is_kept() -> None:
    known, test = planted(share=0.15).split(0.2, seed=1)
    state, batches = begun(
        known, epochs=400, patience=Patience(after_best=10), l2=0.0, schedule=None
    )
    rows = list(ratings.run(state, batches, 400, every=1, held_out=test))
    best = min(rows, key=lambda row: row["held_out_rmse"])
    assert state.is_over and state.update < 400 * len(batches)
    assert state.best is not None and state.best.update == best["update"] < state.update
    assert state.model is state.best.network


def test_pairs_known_beside_the_ratings_are_seen() -> None:
    known, others = planted().split(0.3, seed=2)
    rows = RatedRows(known, "user", others)
    assert int(rows.pairs.lengths.sum()) == len(known) + len(others or ())
    again = RatedRows(known, "user", known)
    assert torch.equal(again.pairs.columns, again.rated.columns)


def test_a_state_refuses_what_it_cannot_learn_from() -> None:
    known = planted()
    state, batches = begun(known)
    other = RatingRBM(known.scale, 3, 2)
    with pytest.raises(ValueError, match="the model has 3 columns"):
        next(training.updates(RatingState.create(other), batches, 1))
    same = RatingRBM(known.scale, N_USERS, 2)
    with pytest.raises(ValueError, match="all 2 hidden units are alike"):
        next(training.updates(RatingState.create(same), batches, 1))
    with pytest.raises(TypeError, match="RatingRBM"):
        RatingState.create("rbm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="l2 is -1"):
        RatingState.create(same, l2=-1.0)
    state.rbm.weights[:, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="update 1 is not finite"):
        next(training.updates(state, batches, 1))


def test_moments_are_those_of_every_column() -> None:
    known = Ratings.of(["a", "b", "a"], [1, 1, 2], [1, 3, 2])
    mean, var = RatedRows(known, "user").moments()
    assert mean.tolist() == [2, 2] and var.tolist() == [1, 0]
