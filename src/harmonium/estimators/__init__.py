"""Estimators for scikit-learn: the library's models behind `fit`, `transform` and `predict`.

They hold the same models as the rest of harmonium, as ``model_``. Only this package imports
scikit-learn's base classes and uses NumPy arrays for input and output.
"""

from harmonium.estimators.autoencoder_transformer import AutoencoderTransformer
from harmonium.estimators.bernoulli_rbm import BernoulliRBM
from harmonium.estimators.dbn_classifier import DBNClassifier
from harmonium.estimators.dbn_regressor import DBNRegressor
from harmonium.estimators.dbn_transformer import DBNTransformer
from harmonium.estimators.gaussian_rbm import GaussianRBM
from harmonium.estimators.rbm_classifier import RBMClassifier
from harmonium.estimators.rbm_imputer import RBMImputer

__all__ = [
    "AutoencoderTransformer",
    "BernoulliRBM",
    "DBNClassifier",
    "DBNRegressor",
    "DBNTransformer",
    "GaussianRBM",
    "RBMClassifier",
    "RBMImputer",
]
