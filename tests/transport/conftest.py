"""Fixtures for the transports."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vfiipc import TCP

from .certificates import Certificates


@pytest.fixture
def server() -> Iterator[TCP]:
    """An object that listens on this machine."""
    with TCP() as listening:
        assert listening.listen(0, "127.0.0.1"), listening.last_error
        yield listening


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates, made once."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def path() -> Iterator[Path]:
    """A path that is free, in a directory that everybody may look into."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "socket"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """What a loopback listens under; nobody else does."""
    return str(request.node.name)
