"""What the tests of data share: Hypothesis without deadlines, since tests assert no times."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("harmonium", deadline=None)
settings.load_profile("harmonium")
