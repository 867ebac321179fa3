"""Deep models stacked from RBMs.

A `DBN` is a generative model, trained layer by layer. A stack can also become a feed-forward
network: a `Classifier` or a `Regressor` shares its layers, an `Autoencoder` copies them;
`finetuning` trains all three.
"""

from harmonium.deep import classification_rbm, finetuning
from harmonium.deep.autoencoder import Autoencoder
from harmonium.deep.bound import VariationalBound, variational_bound
from harmonium.deep.completion import (
    Completion,
    HiddenSampler,
    MetropolisWithinGibbs,
    PseudoGibbs,
    complete,
)
from harmonium.deep.dbn import DBN, Dream
from harmonium.deep.features import (
    check_labels,
    drawn_features,
    features,
    mean_features,
)
from harmonium.deep.files import (
    dumps_finetuning,
    load_dbn,
    load_finetuning,
    load_network,
    load_pretraining,
    save_dbn,
    save_finetuning,
    save_network,
    save_pretraining,
)
from harmonium.deep.finetuning import FinetuningState, Patience
from harmonium.deep.layers import Dropout, init_randomly_, without_labels
from harmonium.deep.network import Classifier, Network, Regressor
from harmonium.deep.pretraining import LayerOptions, PretrainingState
from harmonium.deep.stacks import check_stack
from harmonium.deep.up_down import UpDownState

__all__ = [
    "DBN",
    "Autoencoder",
    "Classifier",
    "Completion",
    "Dream",
    "Dropout",
    "FinetuningState",
    "HiddenSampler",
    "LayerOptions",
    "MetropolisWithinGibbs",
    "Network",
    "Patience",
    "PretrainingState",
    "PseudoGibbs",
    "Regressor",
    "UpDownState",
    "VariationalBound",
    "check_labels",
    "check_stack",
    "classification_rbm",
    "complete",
    "drawn_features",
    "dumps_finetuning",
    "features",
    "finetuning",
    "init_randomly_",
    "load_dbn",
    "load_finetuning",
    "load_network",
    "load_pretraining",
    "mean_features",
    "save_dbn",
    "save_finetuning",
    "save_network",
    "save_pretraining",
    "variational_bound",
    "without_labels",
]
