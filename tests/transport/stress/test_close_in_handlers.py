"""``close()`` from a signal handler, whatever it interrupts: the thread never waits for itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

import vfiipc
from vfiipc import IPC
from vfiipc.exchange import ConnectionClosed

from .base import (
    LIMIT,
    PATIENCE,
    PATIENCE_MSEC,
    PREFIX,
    TRANSPORTS,
    Listening,
    Striker,
    Tally,
    chance,
    numbered,
    pair_of,
    run,
    until,
)

SECONDS = 0.3
FRAMING: Any = {"prefix": PREFIX, "size_limit": LIMIT}
FLOOD = bytes(1 << 20)

MEMBERS: dict[str, Callable[[IPC, int], object]] = {
    "read_msg": lambda ipc, timeout: ipc.read_msg(PREFIX, LIMIT, timeout),
    "read_msgs": lambda ipc, timeout: ipc.read_msgs(PREFIX, LIMIT, timeout),
    "read": lambda ipc, timeout: ipc.read(20, timeout),
    "readinto": lambda ipc, timeout: ipc.readinto(bytearray(20), timeout),
    "peek": lambda ipc, timeout: ipc.peek(20, timeout),
    "poll_in": lambda ipc, timeout: ipc.poll_in(timeout),
    "write": lambda ipc, timeout: ipc.write(FLOOD, timeout),
    "write_msg": lambda ipc, timeout: ipc.write_msg(PREFIX, 1, b"", timeout),
    "write_msgs": lambda ipc, timeout: ipc.write_msgs(PREFIX, numbered(range(9)), timeout),
    "close": lambda ipc, timeout: ipc.close(),
}
CALLBACKS: dict[str, Callable[[IPC, int], object]] = {
    "set_callback": lambda ipc, timeout: ipc.set_callback(lambda data, ipc: None),
    "set_callback(None)": lambda ipc, timeout: ipc.set_callback(None),
}


def members(transport: str) -> None:
    """``IPC.close()`` inside each member; that one returns, and the object has nothing any more."""
    _close_inside(transport, MEMBERS)


def callbacks(transport: str) -> None:
    """The same inside ``set_callback``."""
    _close_inside(transport, CALLBACKS)


def _close_inside(transport: str, called: dict[str, Callable[[IPC, int], object]]) -> None:
    tally, moment = Tally(SECONDS), chance("close", transport, *called)
    for name in itertools.cycle(called):
        if not tally.going():
            break
        first, second = pair_of(transport)
        striker = Striker(first.close)
        timeout = moment.choice([-1, 0, 1])
        if moment.choice([True, False]):
            assert second.write_msgs(PREFIX, numbered(range(100)), PATIENCE_MSEC)
        print(f"round {tally.rounds}: {name}, {timeout} ms", flush=True)
        striker.strike(lambda: called[name](first, timeout), moment.uniform(1e-5, 5e-4))  # noqa: B023
        tally.check(not first.local_addr() and first.getFD() == -1, f"{name}: it is open still")
        first.close()
        tally.check(second.peek(1, PATIENCE_MSEC).n != -2, f"{name}: the peer is not told")
        second.close()
    tally.report()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_members(transport: str) -> None:  # IPC-H7
    run(members, callbacks, arguments=[transport])


def openers(transport: str) -> None:
    """The same inside ``accept``, ``listen`` and ``connect``."""
    tally, moment = Tally(SECONDS), chance("close openers", transport)
    while tally.going():
        listener = Listening(transport)
        with listener as (server, _):
            print(f"round {tally.rounds}: accept", flush=True)
            striker = Striker(server.close)
            striker.strike(lambda: server.accept(-1), moment.uniform(1e-5, 5e-4))
            tally.check(not server.is_server(), "accept: it is open still")
        listener = Listening(transport)
        with listener:
            print(f"round {tally.rounds}: connect", flush=True)
            client = listener.client()
            striker.action = client.close
            striker.strike(lambda: listener.join(client, 20), moment.uniform(1e-5, 1e-3))  # noqa: B023
            client.close()
    tally.report()


@pytest.mark.parametrize("transport", ["tcp", "loopback", "pipe", "tls-ssl", "tls-openssl"])
def test_openers(transport: str) -> None:  # IPC-H7
    run(openers, arguments=[transport])


CALLS: dict[str, Callable[[vfiipc.Connection], object]] = {
    "recv": lambda conn: conn.recv(),
    "request": lambda conn: conn.request(b"x"),
    "send": lambda conn: conn.send(b"x"),
    "iteration": lambda conn: next(conn),
}


def connections() -> None:
    """``Connection.close()`` inside each of its calls, which raise ``ConnectionClosed``."""
    tally, moment = Tally(4 * SECONDS), chance("close connections")
    with vfiipc.serve(_echo, "127.0.0.1:0", **FRAMING) as server:
        for name in itertools.cycle([*CALLS, "request", "request"]):
            if not tally.going():
                break
            conn = vfiipc.connect(server.address, **FRAMING)
            striker = Striker(conn.close)
            print(f"round {tally.rounds}: {name}", flush=True)
            try:
                striker.strike(lambda: CALLS[name](conn), moment.uniform(1e-5, 1e-3))  # noqa: B023
            except (ConnectionClosed, StopIteration):
                pass
            tally.check(not striker.armed, f"{name}: it ended too early")
            tally.check(conn.closed, f"{name}: it is open still")
    tally.report()


def _echo(conn: vfiipc.Connection) -> None:
    try:
        for msg_id, data in conn:
            conn.send(data, msg_id)
    except OSError:
        pass  # the client has closed


def servers() -> None:
    """``Server.close()`` inside ``wait_closed`` and ``close``, with a client and without."""
    tally, moment = Tally(SECONDS), chance("close servers")
    while tally.going():
        server = vfiipc.serve(_echo, "127.0.0.1:0", grace=0.01, **FRAMING)
        conn = vfiipc.connect(server.address, **FRAMING) if moment.choice([True, False]) else None
        timeout = moment.choice([None, 0.0, 0.0001])
        name = moment.choice(["wait_closed", "wait_closed", "close"])
        print(f"round {tally.rounds}: {name}, {timeout}", flush=True)
        striker = Striker(server.close)
        wait: Callable[[], object] = lambda: server.wait_closed(timeout)  # noqa: B023, E731
        striker.strike(server.close if name == "close" else wait, moment.uniform(1e-5, 5e-4))
        tally.check(server.wait_closed(PATIENCE), "it is open still")
        server.close()
        if conn is not None:
            conn.close()
    tally.check(until(lambda: threading.active_count() <= 2), "threads are left")
    tally.report()


@pytest.mark.parametrize("scenario", [connections, servers])
def test_connections_and_servers(scenario: Callable[[], None]) -> None:
    run(scenario)
