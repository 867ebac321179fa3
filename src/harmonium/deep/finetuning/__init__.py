"""Fine-tuning of a network: one loop for classifiers, regressors and autoencoders.

It has the structure of `harmonium.training`: a complete state, one update, a generator of updates
and a generator of rows. The caller's loop decides about saving, plotting and stopping.
"""

from harmonium.deep.finetuning.judging import Watch, evaluate, judge
from harmonium.deep.finetuning.loop import run, updates
from harmonium.deep.finetuning.state import FinetuningState, parameter_groups, update
from harmonium.training import Best, Patience, Row, settle

__all__ = [
    "Best",
    "FinetuningState",
    "Patience",
    "Row",
    "Watch",
    "evaluate",
    "judge",
    "parameter_groups",
    "run",
    "settle",
    "update",
    "updates",
]
