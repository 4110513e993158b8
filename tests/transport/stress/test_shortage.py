"""No descriptors and no threads left: calls fail, connections stay, and all goes on afterwards."""

from __future__ import annotations

import atexit
import errno
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

import vfiipc
from vfiipc import IPC, TCP

from .base import (
    LIMIT,
    PATIENCE,
    PATIENCE_MSEC,
    PREFIX,
    TRANSPORTS,
    Listening,
    Loop,
    Tally,
    pair_of,
    run,
    until,
)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """None is left for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def all_in_use() -> Iterator[None]:
    """Others wait, so that none of what the library keeps for the next wait is left."""
    pairs = [pair_of("setfd") for _ in range(4)]
    loops = [Loop(partial(first.read_msg, PREFIX, LIMIT)) for first, _ in pairs]
    for _, second in pairs:
        assert second.write_msg(PREFIX, 1, b"")
    assert until(lambda: all(loop.count for loop in loops))
    until(lambda: False, 0.05)
    try:
        yield
    finally:
        for first, second in pairs:
            first.close()
            second.close()


def attempt(tally: Tally, name: str, call: Callable[[], object]) -> object:
    """What the call gives; that it raises, or waits too long, is a problem."""
    began = time.monotonic()
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever it is
        tally.check(False, f"{name} raises {error!r}")
        return None
    finally:
        tally.check(time.monotonic() - began < PATIENCE, f"{name} takes too long")


# --- members of a connection


def members(transport: str) -> None:
    """Members that have to wait."""
    tally = Tally(1)
    tally.going()
    first, second = pair_of(transport)
    nothing: list[tuple[str, object, Callable[[], object]]] = [
        ("read_msg", None, lambda: first.read_msg(PREFIX, LIMIT, 50)),
        ("read_msgs", [], lambda: first.read_msgs(PREFIX, LIMIT, 50)),
        ("read", b"", lambda: first.read(1, 50)),
        ("peek", -2, lambda: first.peek(1, 50).n),
        ("poll_in", False, lambda: first.poll_in(50)),
    ]
    with all_in_use():
        with no_descriptors():
            for name, expected, call in nothing:
                found = attempt(tally, name, call)
                tally.check(found == expected, f"{name} gives {found!r}")
                tally.check(not first.error(), f"{name} breaks it: {first.last_error!r}")
            later = threading.Timer(0.1, second.write_msg, (PREFIX, 1, b"late"))
            later.start()
            message = attempt(
                tally, "read_msg", lambda: first.read_msg(PREFIX, LIMIT, PATIENCE_MSEC)
            )
            tally.check(message == (1, b"late"), f"read_msg gives {message!r}")
            later.join()
            _fill(tally, second)
        tally.check(first.read_msg(PREFIX, LIMIT, PATIENCE_MSEC), "nothing can be read")
        while first.read_msg(PREFIX, LIMIT, 50):
            pass
        tally.check(second.write_msg(PREFIX, 2, b"", PATIENCE_MSEC), "nothing can be written")
        tally.check(first.read_msg(PREFIX, LIMIT, PATIENCE_MSEC) == (2, b""), "nothing comes")
    tally.report()


def _fill(tally: Tally, ipc: IPC) -> None:
    """Writes until there is no room, and once more."""
    # A message that fits into every capacity without a rest, so that none is begun in vain.
    data = bytes(4)
    while not ipc.error() and attempt(
        tally, "write_msg", lambda: ipc.write_msg(PREFIX, 3, data, 0)
    ):
        pass
    if ipc.error():  # the last one was begun
        return
    found = attempt(tally, "write_msg", lambda: ipc.write_msg(PREFIX, 3, data, 50))
    tally.check(found is False, f"write_msg gives {found!r}")
    tally.check(not ipc.error(), f"write_msg breaks it: {ipc.last_error!r}")


def waiting_to_read(transport: str) -> None:
    """As ``members``, for transports where a message may be cut in the middle by a full buffer."""
    tally = Tally(1)
    tally.going()
    first, second = pair_of(transport)
    with all_in_use(), no_descriptors():
        for timeout in (0, 50):
            attempt(tally, "read_msg", lambda: first.read_msg(PREFIX, LIMIT, timeout))  # noqa: B023
            attempt(tally, "poll_in", lambda: first.poll_in(timeout))  # noqa: B023
            attempt(tally, "peek", lambda: first.peek(1, timeout))  # noqa: B023
            attempt(tally, "write_msg", lambda: second.write_msg(PREFIX, 1, b"", timeout))  # noqa: B023
    for ipc in (first, second):
        tally.check(not ipc.error(), f"it is broken: {ipc.last_error!r}")
    tally.check(first.read_msg(PREFIX, LIMIT, PATIENCE_MSEC), "nothing can be read")
    tally.report()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_members(transport: str) -> None:  # IPC-H8
    whole = transport in ("setfd", "loopback", "pipe")
    run(members if whole else waiting_to_read, arguments=[transport])


def registering(transport: str) -> None:
    """``set_callback``: when it cannot be, False; and when it can be again, it is."""
    tally = Tally(1)
    tally.going()
    first, second = pair_of(transport)
    told = threading.Event()
    with no_descriptors():
        good = attempt(tally, "set_callback", lambda: first.set_callback(lambda d, i: told.set()))
        tally.check(good in (True, False), f"set_callback gives {good!r}")
        tally.check(good or isinstance(first.last_error, OSError), "last_error does not tell")
        tally.check(not first.error(), f"it is broken: {first.last_error!r}")
    if not good:
        tally.check(first.set_callback(lambda d, i: told.set()), "it does not work again")
    tally.check(second.write_msg(PREFIX, 1, b""), "nothing can be written")
    tally.check(told.wait(PATIENCE), "nobody is called")
    tally.report()


@pytest.mark.parametrize("transport", ["tcp", "loopback", "tls-ssl"])
def test_set_callback(transport: str) -> None:  # IPC-H8
    run(registering, arguments=[transport])


# --- what opens connections


def opening(transport: str) -> None:
    """``connect``, ``listen`` and ``accept`` tell, and work again."""
    tally = Tally(1)
    tally.going()
    listener, spare = Listening(transport), Listening(transport)
    spare.server.close()
    client, other = listener.client(), listener.client()
    with listener as (server, _):
        with all_in_use(), no_descriptors():
            _fails(tally, "connect", client, lambda: listener.join(client, 500))
            _fails(tally, "listen", spare.server, lambda: _listen(spare))
        tally.check(_listen(spare), f"listen: {spare.server.last_error!r}")
        if transport.startswith("tls"):  # nobody makes the handshake here
            other = tcp = TCP()
            assert tcp.connect(server.local_addr(), 0, PATIENCE_MSEC)
        else:
            assert listener.join(other)
        with all_in_use(), no_descriptors():
            _fails(tally, "accept", server, lambda: server.accept(50))
        accepted = server.accept(PATIENCE_MSEC)
        if tally.check(accepted, f"accept: {server.last_error!r}"):
            assert accepted is not None
            accepted.close()
        other.close()
    spare.server.close()
    tally.report()


def _listen(listener: Listening) -> bool:
    server = listener.server
    if isinstance(server, vfiipc.Pipe):
        return server.listen(f"{listener.folder}/again")
    assert isinstance(server, vfiipc.TCP | vfiipc.TLS)
    return server.listen(0, "127.0.0.1")


def _fails(tally: Tally, name: str, ipc: IPC, call: Callable[[], object]) -> None:
    tally.check(not attempt(tally, name, call), f"{name} is not refused")
    cause = ipc.last_error
    number = getattr(cause, "errno", None)
    tally.check(number == errno.EMFILE, f"{name}: {cause!r}")
    tally.check(not ipc.error(), f"{name} breaks it: {cause!r}")


@pytest.mark.parametrize("transport", ["tcp", "pipe", "tls-ssl"])
def test_openers(transport: str) -> None:  # IPC-H8
    run(opening, arguments=[transport])


def resolving() -> None:
    """A name, with neither a descriptor nor a thread for whoever resolves it."""
    tally = Tally(1)
    tally.going()
    with Listening("tcp") as (server, _):
        port = int(server.local_addr().rpartition(":")[2])
        with TCP() as client, all_in_use():
            with no_descriptors():
                good = attempt(tally, "connect", lambda: client.connect("localhost", port, 500))
                tally.check(not good, "connect is not refused")
                tally.check(isinstance(client.last_error, OSError), "last_error does not tell")
            tally.check(client.connect("localhost", port, PATIENCE_MSEC), "it does not work again")
    tally.report()


# --- threads


@contextmanager
def no_threads() -> Iterator[None]:
    """None can be started: there is no address space for its stack."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * 4096
    former = threading.stack_size(1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), hard))
    try:
        with pytest.raises(RuntimeError, match="thread"):
            threading.Thread(target=print).start()
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        threading.stack_size(former)


def without_threads() -> None:
    tally = Tally(1)
    tally.going()
    with Listening("tcp") as (server, _), TCP() as client:
        port = int(server.local_addr().rpartition(":")[2])
        first, second = pair_of("loopback")
        with no_threads():
            good = attempt(tally, "connect", lambda: client.connect("localhost", port, 1000))
            tally.check(good or client.last_error, "connect does not tell why not")
            told = threading.Event()
            good = attempt(
                tally, "set_callback", lambda: first.set_callback(lambda d, i: told.set())
            )
            tally.check(good or first.last_error, "set_callback does not tell why not")
            tally.check(not first.error(), f"it is broken: {first.last_error!r}")
        tally.check(client.connect("localhost", port, PATIENCE_MSEC), "it does not work again")
        tally.check(first.set_callback(lambda d, i: told.set()), "it does not work again")
        tally.check(second.write_msg(PREFIX, 1, b""), "nothing can be written")
        tally.check(told.wait(PATIENCE), "nobody is called")
        second.close()
        first.close()
    tally.report()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_names_and_callbacks_without_threads() -> None:  # IPC-H8
    run(resolving, without_threads)


def at_exit() -> None:
    """As the interpreter ends; from Python 3.12 on no thread can be started then."""
    listener = Listening("tcp")
    port = int(listener.server.local_addr().rpartition(":")[2])

    def connect() -> None:
        tally = Tally(1)
        tally.going()
        with TCP() as client:
            good = attempt(tally, "connect", lambda: client.connect("localhost", port, 1000))
            tally.check(good, f"connect: {client.last_error!r}")
        listener.server.close()
        print("\n".join(tally.problems) or "connected")

    atexit.register(connect)


def test_names_at_exit() -> None:
    assert run(at_exit) == "connected\n"


# --- servers


def serving() -> None:
    """A server without descriptors says so once, not once for each attempt."""
    tally = Tally(1)
    tally.going()
    records: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    logging.getLogger("vfiipc").addHandler(Handler(logging.WARNING))
    with vfiipc.serve(lambda conn: list(conn), "127.0.0.1:0", prefix=1, size_limit=9) as server:
        clients = [socket.socket() for _ in range(2)]
        host, _, port = server.address.rpartition("/")[2].rpartition(":")
        with no_descriptors():
            for client in clients:
                client.connect((host, int(port)))
            until(lambda: False, 1.0)
        tally.check(until(lambda: server.connections == 2), "it does not go on")
        for client in clients:
            client.close()
    # What has failed, and what that means for the server.
    tally.check(1 <= len(records) <= 2, f"{len(records)} records: {records[:4]}")
    tally.check(len(records) == len(set(records)), f"told twice: {records[:4]}")
    tally.report()


def test_a_server_says_it_once() -> None:
    run(serving)
