#!/usr/bin/env bash
# scikit-learn 1.9.1, BernoulliRBM.partial_fit: works only in batches of exactly `batch_size` rows.
#
# Expected: partial_fit takes a mini-batch of any length and returns the estimator.
# Seen:     it returns None. Its negative phase always sums over `batch_size` chains, its positive phase
#           over the rows that came, and both are divided by the number of rows. With twice as many rows
#           the visible biases therefore grow with every call, and nothing warns: after 20 passes over
#           binarised digits the largest one is above 50 (1.2 with ten rows), and the mean
#           pseudo-log-likelihood is below -5000 (about -16 with ten rows).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

X = (load_digits().data[:1700] > 7).astype(float)
seen = {}
for rows in (10, 20):
    rbm = BernoulliRBM(n_components=32, batch_size=10, random_state=0)
    for _ in range(20):
        for start in range(0, len(X), rows):
            returned = rbm.partial_fit(X[start : start + rows])
    seen[rows] = abs(rbm.intercept_visible_).max(), rbm.score_samples(X[:500]).mean()
    print(f"{rows} rows a call: largest visible bias {seen[rows][0]:.1f}, "
          f"pseudo-log-likelihood {seen[rows][1]:.1f}, returned {returned}")
assert returned is None
assert seen[10][0] < 3 and seen[10][1] > -25
assert seen[20][0] > 50 and seen[20][1] < -5000
PYTHON
