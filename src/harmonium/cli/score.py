"""The command ``harmonium score``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import ScoringOptions


@asking(ScoringOptions, WHERE)
def score(asked: Asked, options: ScoringOptions) -> Lines:
    """Score mutants of a sequence by a model of its family.

    A score is the log-probability of the mutant minus that of the wild type, nats, which is a
    difference of free energies and exact.
    """
    from harmonium.runs.answers import score

    found = score.score(asked, options)
    told = found.as_dict()
    how = ", aligned to the family's profile" * found.wild_type.aligned_here
    yield (
        f"{told['wild_type']}{how}: positions {told['first_position']} to {told['last_position']}, "
        f"of which {told['positions']:,} are sites of the model"
    )
    yield f"{told['covered']:,} of {told['mutants']:,} mutants are covered"
    for why, n in found.outside.items():
        yield f"  {n:,} are not: {why}"
    if found.measured is not None:
        for name, correlation in (
            (f"Spearman with {options.measured}", found.rank_correlation),
            ("of independent sites", found.rank_correlation_of_independent),
        ):
            yield f"{name}  " + ("unknown" if correlation is None else f"{correlation:.3f}")
    yield f"scores    {found.path}"
    yield f"picture   {found.picture}"
    yield f"page      {found.page}"
    return told
