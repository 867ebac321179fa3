"""The training loop: contrastive divergence, persistent or not, one update at a time.

`TrainingState` is the complete state of a run. `update` makes one update and `updates` makes all of
them. `run` yields rows of numbers, which `Watch` makes from the results of a `Look`.
"""

from harmonium.optimization import linear_to_zero
from harmonium.training.learner import Contrastive, Learner, Progress, Row, settle
from harmonium.training.loop import run, updates, watched
from harmonium.training.missing import Completions, Missing
from harmonium.training.state import TrainingState, final_phase
from harmonium.training.stopping import Best, EarlyStopping, Patience
from harmonium.training.updating import Ahead, update
from harmonium.training.watching import Look, Watch, default_every, default_monitor

__all__ = [
    "Ahead",
    "Best",
    "Completions",
    "Contrastive",
    "EarlyStopping",
    "Learner",
    "Look",
    "Missing",
    "Patience",
    "Progress",
    "Row",
    "TrainingState",
    "Watch",
    "default_every",
    "default_monitor",
    "final_phase",
    "linear_to_zero",
    "run",
    "settle",
    "update",
    "updates",
    "watched",
]
