"""The path from independent units to a model: its base, its temperatures, and where they belong."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.gauge import Gauge
from harmonium.rbm import RBM, check_rbm
from harmonium.units import Units

# Least rejection rate assumed for a pair, so that temperatures stay apart.
_LEAST_REJECTION = 1e-3


@dataclass
class TemperaturePath:
    """The straight line, in all natural parameters, from independent units to a model.

    At inverse temperature beta the energy is (1 - beta) times that of the independent units plus
    beta times that of the model.

    Attributes
    ----------
    betas : Tensor, shape (n_levels,)
        Inverse temperatures, rising from 0 to 1; float64, on the CPU.
    visible, hidden : Units
        The independent units.
    """

    betas: Tensor
    visible: Units
    hidden: Units

    def __len__(self) -> int:
        return len(self.betas)

    def check(self, rbm: RBM) -> None:
        """Refuse a path that does not end at this model.

        Raises
        ------
        ValueError
            Says which layer differs, or what is wrong with the temperatures.
        """
        for layer, own, of_model in (
            ("visible", self.visible, rbm.visible),
            ("hidden", self.hidden, rbm.hidden),
        ):
            if own.kinds != of_model.kinds:
                raise ValueError(
                    f"the base's {layer} units are {own!r}, but the model's are {of_model!r}; "
                    "pass independent units of the same type and number"
                )
        check_betas(self.betas)


def check_betas(betas: Tensor) -> None:
    """Refuse inverse temperatures that do not rise from 0 to 1.

    Raises
    ------
    ValueError
        Quotes the temperatures.
    """
    if (
        betas.dim() != 1
        or len(betas) < 2
        or betas[0] != 0
        or betas[-1] != 1
        or not (betas.diff() > 0).all()
    ):
        came = [round(beta, 6) for beta in betas.flatten().tolist()]
        more = f" and {len(came) - 10} more" if len(came) > 10 else ""
        raise ValueError(
            f"the inverse temperatures are {came[:10]}{more}; pass 2 or more that rise from 0 to "
            "1, such as torch.linspace(0, 1, 10)"
        )


@torch.no_grad()
def independent_units(rbm: RBM, mean: Tensor | None = None, var: Tensor | None = None) -> RBM:
    """A model of the same shape with zero weights, where a path to ``rbm`` starts.

    Hidden biases are zero (precisions are kept, if there are any). Visible units get the given
    moments, such as those of the data (`Data.moments`); paths that start there are the shortest
    (Salakhutdinov and Murray, 2008). Without moments, visible units keep the model's own
    parameters, as in `start_random`; after `RBM.init_from_data_` these are the data's.

    Parameters
    ----------
    rbm
        The model.
    mean, var
        Mean and variance of each visible column, shape (visible.n_columns,) each; pass both or
        neither.

    Raises
    ------
    ValueError
        If only one of the moments is given, or they are impossible for these units.
    """
    check_rbm("rbm", rbm)
    if (mean is None) != (var is None):
        raise ValueError("one of mean and var is missing; pass both, or neither")
    gauge = Gauge.of(rbm)
    base = copy.deepcopy(gauge.rbm).requires_grad_(False)
    base.weights.zero_()
    base.hidden.bias.zero_()
    base = gauge.move_back(base).to(rbm.weights)
    if mean is not None and var is not None:
        base.visible.check_width(mean, "visible")
        base.visible.check(mean, "the mean")
        base.visible.init_from_moments_(mean.to(base.weights), var.to(base.weights))
    return base


def place_temperatures(
    betas: Tensor, acceptance: Tensor, wanted: float, least: int, most: int
) -> Tensor:
    """Re-space inverse temperatures so that all pairs accept as wanted, given past acceptance.

    The sum of rejection rates along the path depends little on how the path is divided into pairs
    (Syed et al., 2022, section 4.2). The new temperatures divide this sum into equal parts; their
    number is such that each part is one minus the wanted acceptance.

    Parameters
    ----------
    betas
        The old inverse temperatures, shape (n,), float64.
    acceptance
        Acceptance of each pair, shape (n - 1,); NaN (never tried) counts as the mean of the others.
    wanted
        Target acceptance, between 0 and 1.
    least, most
        Limits of the number of new temperatures.

    Returns
    -------
    Tensor
        The new inverse temperatures, from 0 to 1.
    """
    check_betas(betas)
    rejection = 1 - acceptance.double().cpu()
    mean = rejection.nanmean().nan_to_num(0.0)
    rejection = torch.where(rejection.isnan(), mean, rejection).clamp_min(_LEAST_REJECTION)
    total = rejection.sum().item()
    # slightly less, so that an exact fit needs no further pair
    n_pairs = min(max(math.ceil(total / (1 - wanted) - 1e-9), least - 1), most - 1)
    ends = torch.cat((rejection.new_zeros(1), rejection.cumsum(0)))
    cuts = torch.linspace(0, total, n_pairs + 1, dtype=torch.float64)[1:-1]
    right = torch.searchsorted(ends, cuts).clamp(1, len(rejection))
    share = (cuts - ends[right - 1]) / rejection[right - 1]
    inner = betas[right - 1] + share * (betas[right] - betas[right - 1])
    return torch.cat((betas[:1], inner, betas[-1:]))
