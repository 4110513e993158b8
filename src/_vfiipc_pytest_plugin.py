"""The pytest plugin of ``vfiipc``: the fixtures ``ipc_peer`` and ``ipc_peer_factory``.

pytest imports this module in every run, before coverage can start. So it stands outside the
package and imports nothing of it until a fixture is used: otherwise each run would pay for the
import, and the lines that run at import would never count as covered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vfiipc.testing import ScriptedPeer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("vfiipc_prefix", "prefix of ipc_peer, such as 0x004E4659", default="")
    parser.addini("vfiipc_limit", "size limit of ipc_peer, in bytes of data", default="")


@pytest.fixture
def ipc_peer_factory(request: pytest.FixtureRequest) -> Iterator[Callable[..., ScriptedPeer]]:
    """Starts scripted peers: ``ipc_peer_factory(tls=True)``; takes what ``ScriptedPeer`` takes.

    Prefix and size limit are by default those of the options ``vfiipc_prefix`` and
    ``vfiipc_limit``. All peers are verified at the end of the test.
    """
    from vfiipc.testing.fixtures import peers_of

    with peers_of(request) as start:
        yield start


@pytest.fixture
def ipc_peer(ipc_peer_factory: Callable[..., ScriptedPeer]) -> ScriptedPeer:
    """A scripted peer on the loopback, verified at the end of the test."""
    return ipc_peer_factory()
