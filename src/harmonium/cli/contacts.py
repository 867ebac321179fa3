"""The command ``harmonium contacts``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import ContactOptions


@asking(ContactOptions, WHERE)
def contacts(asked: Asked, options: ContactOptions) -> Lines:
    """Predict contacts of sites from the couplings of a model of aligned sequences.

    Pairs of sites are ranked by the Frobenius norm of their effective couplings, in the zero-sum
    gauge and without gaps, with the average product correction.
    """
    from harmonium.runs.answers import contacts

    found = contacts.predict(asked, options)
    i, j = (found.positions[site] for site in found.contacts.pairs[0])
    yield (
        f"{len(found.contacts.pairs):,} pairs of {len(found.positions):,} sites more than "
        f"{options.separation} apart; the first are {i} and {j}"
    )
    if found.precision is not None:
        known = len(found.precision.pairs)
        yield f"{known:,} of them have a distance; in contact, nearer than {options.cut_off:g} Å:"
        for n, share in found.shares.items():
            yield f"  {share:.3f} of the best {n:,}"
    yield f"pairs     {found.path}"
    yield f"picture   {found.picture}"
    yield f"page      {found.page}"
    return found.as_dict()
