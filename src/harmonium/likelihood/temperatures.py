"""Placement of annealing temperatures, based on a pilot run.

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

# Share of the path's steps in the window that measures the memory of chains.
_WINDOW = 0.2

# Share of the temperatures that is spread evenly, so that no gap gets too wide.
_EVEN_SHARE = 0.1


def placed(t: Array, log_weights: Array, n: int) -> Array:
    """Place inverse temperatures at constant speed, as measured by pilot chains.

    The error that a step contributes is the variance of its increment of the log weights, times the
    number of steps that its chains remember [2]_: errors of many steps add up for a chain that
    moves slowly. That number is the variance of the increments' sum over a window, divided by the
    sum of their variances. If it is 1 everywhere, the speed is constant in thermodynamic length
    [1]_ [3]_.

    Parameters
    ----------
    t
        Inverse temperatures of the pilot, shape (steps + 1,).
    log_weights
        Log weights of the pilot's chains at each of them, shape (steps + 1, chains).
    n
        Number of temperatures to place.

    Returns
    -------
    Array
        Shape (n,), from 0 to 1; evenly spaced if nothing changes along the path.
    """
    n_steps = len(t) - 1
    variances = np.diff(log_weights, axis=0).var(1, ddof=1)
    window = max(1, round(_WINDOW * n_steps))
    # centred on each step, and equally wide at both ends
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
