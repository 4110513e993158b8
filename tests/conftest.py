"""What holds for every test."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

# Helpers that assert get the same readable failures as tests.
pytest.register_assert_rewrite(
    "tests.docs.pages", "tests.helpers", "tests.transport.conformance", "tests.transport.suite"
)

# Machines are slow at times, which is no failure. Under CI=true each run tries the same examples.
settings.register_profile("vfiipc", settings(), deadline=None, print_blob=True)
settings.register_profile("quick", settings.get_profile("vfiipc"), max_examples=25)
settings.load_profile("vfiipc")


def pytest_collection_finish() -> None:
    # Thousands of collected tests are objects, too. A collection that walks them takes half a
    # second, and some tests collect hundreds of times.
    gc.freeze()
