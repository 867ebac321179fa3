"""Feed-forward networks whose layers are those of a stack of RBMs: a classifier, a regressor.

A layer passes on the mean of its units, whatever their type. The last layer's units say what the
outputs are: categorical ones make a softmax classifier, Gaussian ones a linear regressor. An empty
stack leaves the last layer alone, which is multinomial logistic regression, or linear regression.
"""

from __future__ import annotations

from harmonium.deep.network.base import Network
from harmonium.deep.network.classifier import Classifier
from harmonium.deep.network.regressor import Regressor

__all__ = ["Classifier", "Network", "Regressor"]
