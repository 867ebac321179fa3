"""What is built from RBMs: deep networks, and classifiers."""

from harmonium.deep import classification_rbm

__all__ = ["classification_rbm"]
