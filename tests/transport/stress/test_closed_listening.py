"""``close()`` while ``listen()`` is under way: the object does not listen afterwards."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.transport.certificates import Certificates
from tests.transport.suite.base import LONG, PATIENCE, Aside
from vfiipc import IPC, TCP, TLS, Loopback, Pipe


class SlowResolver:
    """``getaddrinfo`` that answers when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()
        self._resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._slowly)

    def _slowly(self, *arguments: Any) -> Any:
        self.asked.set()
        assert self.answer.wait(PATIENCE)
        return self._resolve(*arguments)


@pytest.mark.parametrize("kind", [TCP, TLS])
def test_a_slow_name(
    kind: type[TCP | TLS],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # IPC-Z1
    with kind() as ipc:
        if isinstance(ipc, TLS):
            assert ipc.setKeyCert(*certificates.good)
        resolver = SlowResolver(monkeypatch)
        listening = Aside(ipc.listen, 0, "localhost")
        try:
            assert resolver.asked.wait(PATIENCE)
            Aside(ipc.close).result()
        finally:
            resolver.answer.set()
        assert listening.result() is False
        _does_not_listen(ipc)
        assert ipc.listen(0, "127.0.0.1"), ipc.last_error
        assert ipc.is_server()


def test_a_new_listen_wins_over_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:  # IPC-Z3
    with TCP() as ipc:
        resolver = SlowResolver(monkeypatch)
        slow = Aside(ipc.listen, 0, "localhost")
        try:
            assert resolver.asked.wait(PATIENCE)
            assert ipc.listen(0), ipc.last_error
            reached = ipc.local_addr()
        finally:
            resolver.answer.set()
        assert slow.result() is False
        assert ipc.is_server()
        assert ipc.local_addr() == reached
        with TCP() as client:
            assert client.connect("127.0.0.1", int(reached.rpartition(":")[2]), LONG)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Somebody takes a path in this directory, and takes his time."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_pipe_that_waits_for_its_directory(path: Path) -> None:  # IPC-U6
    with Pipe() as ipc:
        with locked(path.parent):
            listening = Aside(ipc.listen, path)
            time.sleep(0.1)  # it waits for a second
            assert listening.thread.is_alive()
            ipc.close()
        assert listening.result() is False
        _does_not_listen(ipc)
        assert not path.exists()
        assert ipc.listen(path), ipc.last_error
        assert path.is_socket()


def test_at_any_moment() -> None:
    """Whoever is first: after both have returned, ``close`` came before ``listen``, or after it."""
    kinds: list[Callable[[], tuple[IPC, Callable[[], bool]]]] = [_tcp, _loopback]
    for number in range(300):
        ipc, listen = kinds[number % 2]()
        listening = Aside(listen)
        time.sleep(number % 30 * 1e-5)
        ipc.close()
        if listening.result() is False:
            _does_not_listen(ipc)
        ipc.close()
        _does_not_listen(ipc)


def _tcp() -> tuple[IPC, Callable[[], bool]]:
    tcp = TCP()
    return tcp, lambda: tcp.listen(0, "127.0.0.1")


def _loopback() -> tuple[IPC, Callable[[], bool]]:
    loopback = Loopback()
    return loopback, lambda: loopback.listen("at any moment")


def _does_not_listen(ipc: IPC) -> None:
    assert not ipc.is_server()
    assert ipc.local_addr() == ""
    assert ipc.getFD() == -1
    assert ipc.accept(0) is None
    assert not ipc.error()
