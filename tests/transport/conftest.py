"""Fixtures for the transports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vfiipc import TCP

pytest.register_assert_rewrite("tests.transport.suite")


@pytest.fixture
def server() -> Iterator[TCP]:
    """An object that listens on this machine."""
    with TCP() as listening:
        assert listening.listen(0, "127.0.0.1"), listening.last_error
        yield listening
