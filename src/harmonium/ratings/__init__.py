"""Recommendation from ratings: restricted Boltzmann machines for collaborative filtering.

`read` makes `Ratings` of a long table. `RatingRBM` is the model (Salakhutdinov, Mnih and Hinton,
2007), trained by a `RatingState` under the library's one loop, on the `RatedRows` of users or of
items. A `Recommender` predicts, recommends and is scored. Nothing of users times items is ever
stored: memory and work grow with the ratings.
"""

from harmonium.ratings.data import Orientation, Ratings
from harmonium.ratings.files import (
    dumps,
    load,
    load_model,
    load_ratings,
    save_model,
    save_ratings,
)
from harmonium.ratings.loop import run
from harmonium.ratings.model import LevelWeights, RatingRBM
from harmonium.ratings.reading import read
from harmonium.ratings.recommender import Recommendations, Recommender, Scores
from harmonium.ratings.rows import RatedRows
from harmonium.ratings.scores import mae, ndcg, rmse
from harmonium.ratings.state import RatingState, growing, update
from harmonium.ratings.watching import Watch

__all__ = [
    "LevelWeights",
    "Orientation",
    "RatedRows",
    "RatingRBM",
    "RatingState",
    "Ratings",
    "Recommendations",
    "Recommender",
    "Scores",
    "Watch",
    "dumps",
    "growing",
    "load",
    "load_model",
    "load_ratings",
    "mae",
    "ndcg",
    "read",
    "rmse",
    "run",
    "save_model",
    "save_ratings",
    "update",
]
