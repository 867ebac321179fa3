"""What is built from RBMs: deep networks, and classifiers."""

from harmonium.deep import classification_rbm
from harmonium.deep.bound import VariationalBound, variational_bound
from harmonium.deep.dbn import DBN, Dream
from harmonium.deep.features import (
    check_labels,
    drawn_features,
    features,
    mean_features,
)
from harmonium.deep.files import load_dbn, load_pretraining, save_dbn, save_pretraining
from harmonium.deep.pretraining import LayerOptions, PretrainingState
from harmonium.deep.up_down import UpDownState

__all__ = [
    "DBN",
    "Dream",
    "LayerOptions",
    "PretrainingState",
    "UpDownState",
    "VariationalBound",
    "check_labels",
    "classification_rbm",
    "drawn_features",
    "features",
    "load_dbn",
    "load_pretraining",
    "mean_features",
    "save_dbn",
    "save_pretraining",
    "variational_bound",
]
