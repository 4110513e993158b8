"""The implementation of the pytest fixtures, imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from inspect import isasyncgenfunction, isgeneratorfunction
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
        self.verify(complete=not _may_go_on(item))
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


def _may_go_on(item: pytest.Item) -> bool:
    """Whether a fixture with a peer has a part that runs after the test.

    It may run the program under test, which can still send something then.
    """
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return False
    with_peer = set(_FIXTURES)
    found: set[pytest.FixtureDef[Any]] = set()
    definitions = [each for several in info.name2fixturedefs.values() for each in several]
    while new := [d for d in definitions if d not in found and with_peer & {*d.argnames}]:
        found.update(new)
        with_peer.update(definition.argname for definition in new)
    return any(_has_an_end(each) for each in found if each.argname not in _FIXTURES)


def _has_an_end(definition: pytest.FixtureDef[Any]) -> bool:
    function = definition.func
    yields = isgeneratorfunction(function) or isasyncgenfunction(function)
    return yields or "request" in definition.argnames  # which takes finalizers
