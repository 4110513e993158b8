"""The implementation of the pytest fixtures, imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from .peer import ScriptedPeer

__all__ = ["peers_of"]

_FIXTURES = {"ipc_peer", "ipc_peer_factory"}


@contextmanager
def peers_of(request: pytest.FixtureRequest) -> Iterator[Callable[..., ScriptedPeer]]:
    """Starts peers for a test, verifies them after it, and closes them."""
    defaults = {
        name: _number(request.config, option)
        for name, option in (("prefix", "vfiipc_prefix"), ("size_limit", "vfiipc_limit"))
        if request.config.getini(option)
    }
    with ExitStack() as stack:
        watch = _Verification(request.node)

        def start(**options: Any) -> ScriptedPeer:
            peer = ScriptedPeer(**{**defaults, **options})
            stack.callback(peer.close)
            watch.peers.append(peer.__enter__())
            return peer

        request.config.pluginmanager.register(watch)
        try:
            yield start
        finally:
            request.config.pluginmanager.unregister(watch)
        watch.verify(complete=True)


class _Verification:
    """Makes the test itself fail, not its teardown, if a peer reports a problem.

    Registered as a plugin only while the test runs, so that other tests have no overhead.
    """

    def __init__(self, item: pytest.Item) -> None:
        self.peers: list[ScriptedPeer] = []
        self._item = item
        self._passed = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        if item is not self._item:
            return (yield)
        try:
            result = yield
        except (Exception, pytest.fail.Exception) as error:
            for peer in self.peers:
                peer.explain(error)
            raise
        self._passed = True
        # If another fixture runs the program, more messages may arrive during its teardown.
        self.verify(complete=not _is_used_by_other_fixtures(item))
        return result

    def verify(self, complete: bool) -> None:
        """Fails a test that has passed so far, if a peer reports a problem."""
        for peer in self.peers if self._passed else ():
            text = peer.news(complete=complete)
            if text is not None:
                self._passed = False
                pytest.fail(text, pytrace=False)


def _number(config: pytest.Config, option: str) -> int:
    text = str(config.getini(option))
    try:
        return int(text, 0)
    except ValueError:
        wanted = "a number such as 65536 or 0x004E4659"
        raise pytest.UsageError(f"{option} must be {wanted}, not {text!r}") from None


def _is_used_by_other_fixtures(item: pytest.Item) -> bool:
    fixtures = getattr(item, "_fixtureinfo", None)
    return fixtures is not None and any(
        name not in _FIXTURES and _FIXTURES & {*definition.argnames}
        for name, definitions in fixtures.name2fixturedefs.items()
        for definition in definitions
    )
