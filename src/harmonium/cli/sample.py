"""The commands ``harmonium sample`` and ``harmonium dbn sample``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import NetworkSamplingOptions, SamplingOptions
from harmonium.runs.rows import ReadingOptions

if TYPE_CHECKING:
    from harmonium.runs.answers.sample import Samples


@asking(WHERE, SamplingOptions, ReadingOptions)
def sample(asked: Asked, options: SamplingOptions, reading: ReadingOptions) -> Lines:
    """Sample a trained model: arrays, and a picture with one row per chain, time running right."""
    from harmonium.runs.answers import sample

    found = sample.sample(asked, options, reading)
    described = f"arrays `samples` and `means`, shape {found.samples.shape}"
    yield from _told(found, described)
    return found.as_dict()


@asking(NetworkSamplingOptions, WHERE, SamplingOptions, ReadingOptions)
def of_network(
    asked: Asked,
    of_network: NetworkSamplingOptions,
    options: SamplingOptions,
    reading: ReadingOptions,
) -> Lines:
    """Sample a network: arrays, and a picture with one row per chain, time running right.

    Chains run in the top RBM, and each sample is one draw from there down to the visible units.
    With --clamp, all layers are sampled instead, and complete the columns that are not held.
    """
    from harmonium.runs.answers import sample

    found = sample.sample_network(asked, options, of_network, reading)
    classes = "" if found.classes is None else " and `classes`"
    described = f"arrays `samples` and `means`{classes}; samples have shape {found.samples.shape}"
    yield from _told(found, described)
    return found.as_dict()


def _told(found: Samples, described: str) -> Iterator[str]:
    if found.path.suffix != ".npz":
        n_chains, n_samples = found.samples.shape[:2]
        yield f"samples   {found.path} ({n_samples:,} of each of {n_chains:,} chains)"
        yield f"picture   {found.picture} (mean activations)"
        yield from _statistics(found)
        return
    yield f"samples   {found.path} ({described}: chains, samples, columns)"
    if found.truth is not None:
        yield "          `truth` holds the rows that were completed, `held` what was given"
    if found.columns is not None:
        yield "          `columns` holds the names of the columns"
    yield f"picture   {found.picture} (mean activations)"
    yield from _statistics(found)


def _statistics(found: Samples) -> Iterator[str]:
    if found.differences is not None:
        least, median = found.differences.min(), found.as_dict()["median_differences"]
        yield (
            f"nearest   training sequences differ at {median:g} sites (median of samples), at "
            f"{least:,} or more"
        )
    if found.ladder:
        yield _ladder(found.ladder)
    if found.acceptance:
        yield (
            "accepted  {acceptance:.1%} of the proposals of all hidden units at once (at least "
            "{least_acceptance:.1%} in each chain), and {acceptance_of_few:.1%} of those of a few "
            "units (at least {least_acceptance_of_few:.1%})"
        ).format(**found.acceptance)


def _ladder(ladder: Mapping[str, float]) -> str:
    """Statistics of the swaps between temperatures, or models."""
    kind = "models" if "models" in ladder else "temperatures"
    said = f"ladder    {ladder[kind]:.0f} {kind}"
    if "swap_acceptance" in ladder:
        said += (
            f"; {ladder['swap_acceptance']:.0%} of the swaps were accepted (at least "
            f"{ladder['least_swap_acceptance']:.0%} of each pair), and in 100 sweeps "
            f"{ladder['round_trips']:.2g} fresh replicas arrived at each chain"
        )
    return said
