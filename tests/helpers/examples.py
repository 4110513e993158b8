"""How many examples Hypothesis tries where a test does not leave that to the profile."""

from __future__ import annotations

from hypothesis import settings

#: What a test that says nothing gets in a full run.
_USUAL = 100


def examples(count: int) -> int:
    """``count`` in a full run, and in a quick one the share that all tests get."""
    return max(1, count * settings().max_examples // _USUAL)
