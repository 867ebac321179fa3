"""docs/images/disagreement.png: estimates of log Z on models whose modes come apart.

python docs/figures/likelihood.py

Models of two modes, all units off or all on, of equal probability, and rows of the first mode. The
stronger the weights, the less probable everything between the modes. Drawn is how far each estimate
of the log-likelihood is from the exact value, and where `likelihood.estimate` gives no lower bound.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from harmonium import RBM, Binary, likelihood, plots
from harmonium.likelihood import AnnealingPath
from harmonium.plots.style import dress, name, new_figure

OUT = Path(__file__).parents[1] / "images" / "disagreement.png"
N_VISIBLE, N_HIDDEN, CHAINS, TEMPERATURES = 40, 16, 200, 2000
COUPLINGS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7)


def two_modes(coupling: float) -> RBM:
    """Biases are such that both modes have the same energy."""
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN))
    with torch.no_grad():
        rbm.weights.fill_(coupling)
        # turning all units over, on for off, changes nothing
        rbm.visible.bias.fill_(-coupling * N_HIDDEN / 2)
        rbm.hidden.bias.fill_(-coupling * N_VISIBLE / 2)
        rbm.visible.bias -= 0.5 / N_VISIBLE
    return rbm


def rows_of_first_mode(rbm: RBM) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    p = torch.sigmoid(rbm.visible.bias.detach())
    return (torch.rand(400, N_VISIBLE, generator=generator) < p).float()


def main() -> None:
    curves: dict[str, list[float]] = {"annealing (upper bound)": [], "RAISE": [], "together": []}
    refused = []
    for coupling in COUPLINGS:
        rbm = two_modes(coupling)
        v = rows_of_first_mode(rbm)
        exact = likelihood.exact_log_likelihood(rbm, v).mean().item()
        path = AnnealingPath.adaptive(rbm, v, TEMPERATURES)
        annealed = likelihood.annealed_importance_sampling(path, CHAINS).result()
        upper = likelihood.log_likelihood(rbm, v, annealed).mean().item()
        raised = likelihood.raise_log_likelihood(path, v).result().log_likelihood.mean().item()
        found = likelihood.estimate(rbm, v, v, n_chains=CHAINS, n_temperatures=TEMPERATURES)
        found = found.result()
        if not found.trusted:
            refused.append(coupling)
        curves["annealing (upper bound)"].append(upper - exact)
        curves["RAISE"].append(raised - exact)
        curves["together"].append(found.upper - exact if found.trusted else math.nan)
        print(coupling, f"{exact:.3f}", f"{upper - exact:+.3f}", f"{raised - exact:+.3f}", found)
    figure = new_figure((7.2, 3.9))
    ax = dress(figure.add_subplot())
    for label, values in curves.items():
        ax.plot(COUPLINGS, values, marker="o", label=label)
    if refused:
        ax.axvspan(min(refused) - 0.025, max(COUPLINGS) + 0.02, alpha=0.15, lw=0)
        ax.text(max(COUPLINGS), 0.05, "no lower bound", ha="right")
    ax.axhline(0, lw=0.8)
    ax.legend()
    name(
        ax,
        "Two modes that come apart",
        f"{CHAINS} chains, {TEMPERATURES:,} temperatures; rows of the first mode",
        "strength of the weights",
        "minus the exact value, nats a row",
    )
    plots.save(ax, OUT)


if __name__ == "__main__":
    main()
