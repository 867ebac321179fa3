"""Feed-forward networks that share the layers of a stack of RBMs: a classifier, a regressor.

A layer outputs the mean of its units, whatever their type. The units of the last layer determine
the outputs: categorical units give a softmax classifier, Gaussian units a linear regressor. With an
empty stack, only the last layer remains: multinomial logistic regression, or linear regression.
"""

from __future__ import annotations

from harmonium.deep.network.base import Network
from harmonium.deep.network.classifier import Classifier
from harmonium.deep.network.regressor import Regressor

__all__ = ["Classifier", "Network", "Regressor"]
