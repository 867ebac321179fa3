#!/usr/bin/env bash
# scikit-learn 1.9.1, BernoulliRBM on a table behind a MinMaxScaler: its features say little.
#
# Expected: values in [0, 1] are what BernoulliRBM asks for, so that a classifier behind it sees
#           features from which the classes can be told.
# Seen:     the features of the 178 wines hardly differ between rows (standard deviation below 0.02), and
#           logistic regression behind them is right on 0.62 of the rows; without the RBM it is right
#           on 0.98. No warning comes.
#           The scaled columns vary about five times less than binary states of the same means, so
#           the weights are drawn towards zero, and ten passes are too few to grow from 0.01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

X, y = load_wine(return_X_y=True)
scaled = MinMaxScaler().fit_transform(X)
features = BernoulliRBM(random_state=0).fit_transform(scaled)
spread = features.std(0).max()
with_rbm = make_pipeline(MinMaxScaler(), BernoulliRBM(random_state=0), LogisticRegression())
without = make_pipeline(MinMaxScaler(), LogisticRegression())
a, b = (cross_val_score(model, X, y, cv=5).mean() for model in (with_rbm, without))
p = scaled.mean(0)
print(f"largest standard deviation of a feature {spread:.4f}; accuracy {a:.2f} with the RBM, "
      f"{b:.2f} without; largest class {np.bincount(y).max() / len(y):.2f}; "
      f"variance of the columns / p(1-p) {scaled.var(0).sum() / (p * (1 - p)).sum():.2f}")
assert spread < 0.02 and a < 0.7 and b > 0.95
PYTHON
