"""Deep models on a stack of RBMs.

A network (`Classifier`, `Regressor`, `Autoencoder`) shares its layers with a stack, and
`finetuning` trains it.
"""

from harmonium.deep import finetuning
from harmonium.deep.finetuning import FinetuningState, Patience
from harmonium.deep.layers import Dropout, check_stack, init_randomly_
from harmonium.deep.network import Classifier, Network, Regressor

__all__ = [
    "Classifier",
    "Dropout",
    "FinetuningState",
    "Network",
    "Patience",
    "Regressor",
    "check_stack",
    "finetuning",
    "init_randomly_",
]
