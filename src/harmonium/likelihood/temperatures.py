"""Where an annealing needs its temperatures, as a pilot run sees it.

References
----------
.. [1] G. E. Crooks (2007), "Measuring thermodynamic length", Phys. Rev. Lett. 99.
.. [2] D. A. Sivak and G. E. Crooks (2012), "Thermodynamic metrics and optimal paths", Phys. Rev.
   Lett. 108.
.. [3] R. B. Grosse, C. J. Maddison and R. R. Salakhutdinov (2013), "Annealing between
   distributions by averaging moments", NIPS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Of the path's steps: so many are added up to see how long chains remember.
_WINDOW = 0.2

# So much of the temperatures is spread evenly, whatever the pilot saw: no gap gets too wide.
_EVEN_SHARE = 0.1


def placed(t: Array, log_weights: Array, n: int) -> Array:
    """Inverse temperatures at a constant speed, as chains along these saw it.

    How much a step spoils an estimate is the variance of its increment of the log weights, times
    how many steps its chains remember [2]_: of a chain that moves slowly, errors of many
    steps add up. That number is the variance of the increments' sum over a window, over the sum of
    their variances. Where it is 1 everywhere, the speed is that in thermodynamic length [1]_ [3]_.

    Parameters
    ----------
    t
        Inverse temperatures of the pilot, shape (steps + 1,).
    log_weights
        Of its chains at each of them, shape (steps + 1, chains).
    n
        How many to place.

    Returns
    -------
    Array
        Shape (n,), from 0 to 1; evenly spaced where nothing changes along the path.
    """
    n_steps = len(t) - 1
    variances = np.diff(log_weights, axis=0).var(1, ddof=1)
    window = max(1, round(_WINDOW * n_steps))
    # around each step, and as wide at both ends
    first = np.clip(np.arange(n_steps) - window // 2, 0, n_steps - window)
    of_sums = (log_weights[first + window] - log_weights[first]).var(1, ddof=1)
    sums = np.concatenate([[0.0], variances.cumsum()])
    of_steps = sums[first + window] - sums[first]
    remembered = np.divide(of_sums, of_steps, out=np.ones(n_steps), where=of_steps > 0)
    length = np.sqrt(variances * np.maximum(remembered, 1))
    total = length.sum()
    if not (total > 0 and np.isfinite(total)):
        return np.linspace(0, 1, n)
    share = (1 - _EVEN_SHARE) * length / total + _EVEN_SHARE * np.diff(t)
    passed = np.concatenate([[0.0], share.cumsum()])
    found: Array = np.interp(np.linspace(0, passed[-1], n), passed, t)
    found[0], found[-1] = 0.0, 1.0
    return found
