"""Signals that strike what opens connections, and the connections of ``connect`` and ``serve``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import vfiipc
from vfiipc import IPC, TLS

from .base import (
    LIMIT,
    PATIENCE,
    PATIENCE_MSEC,
    PREFIX,
    Listening,
    Loop,
    Striker,
    Tally,
    chance,
    interrupt,
    run,
)

#: Seconds of each scenario.
SECONDS = 0.3
MUCH = 30
FRAMING: Any = {"prefix": PREFIX, "size_limit": LIMIT}


# --- accept and connect


def accepting(transport: str) -> None:
    """``accept`` is interrupted, with nobody there or three; the next one accepts."""
    tally, moment, striker = Tally(SECONDS), chance("accept", transport), Striker(interrupt)
    listener = Listening(transport)
    with listener as (server, _):
        while tally.going():
            timeout = moment.choice([0, 0, 1])

            def work(timeout: int = timeout) -> None:
                taken = server.accept(timeout)
                if taken is not None:
                    taken.close()

            clients = [_begin(listener) for _ in range(moment.choice([0, 3]))]
            striker.strike(work, moment.uniform(1e-5, 2e-3 if timeout else 3e-4))
            while (left := server.accept(0)) is not None:
                left.close()
            clients.append(_begin(listener))
            taken = server.accept(PATIENCE_MSEC)
            if tally.check(taken, f"nothing is accepted, {server.last_error!r}"):
                assert taken is not None
                taken.close()
            for client in clients:
                client.close()
    tally.report()


def _begin(listener: Listening) -> IPC:
    """A client that has connected, without the handshake of TLS."""
    client = listener.client()
    if isinstance(client, TLS):
        client = vfiipc.TCP()
        assert client.connect(listener.server.local_addr(), 0, PATIENCE_MSEC), client.last_error
    else:
        assert listener.join(client), client.last_error
    return client


def connecting(transport: str) -> None:
    """``connect`` is interrupted; the next one connects."""
    tally, moment, striker = Tally(SECONDS), chance("connect", transport), Striker(interrupt)
    listener = Listening(transport)
    with listener as (server, _):

        def serve() -> None:
            taken = server.accept(5)
            if taken is not None:
                with taken:
                    taken.read(1, 500)

        serving = Loop(serve)
        client = listener.client()
        while tally.going():
            striker.strike(lambda: listener.join(client), moment.uniform(1e-5, 2e-3))  # noqa: B023
            good = listener.join(client)
            tally.check(good, f"nothing connects, {client.last_error!r}")
            client.close()
            tally.check(not client.local_addr(), "close() does not close")
            if not good:
                client = listener.client()
        client.close()
        tally.check(serving.stop(), "accept() does not return")
    tally.report()


@pytest.mark.parametrize("transport", ["tcp", "loopback", "pipe", "tls-ssl", "tls-openssl"])
def test_openers(transport: str) -> None:
    run(accepting, connecting, arguments=[transport])


# --- connections

CALLS: dict[str, Callable[[vfiipc.Connection], object]] = {
    "recv": lambda conn: conn.recv(0),
    "iteration": lambda conn: next(conn),
    "request": lambda conn: conn.request(b"much", PATIENCE),
    "send": lambda conn: conn.send(b"quiet", timeout=PATIENCE),
}


class Talk:
    """A connection, and the numbers of the messages that came on it and answer nothing."""

    def __init__(self, address: str) -> None:
        self.conn = vfiipc.connect(address, **FRAMING)
        self.numbers: list[int] = []
        self.lost = 0

    def call(self, name: str) -> bool:
        """One call; False when there was nothing to give out."""
        try:
            message = CALLS[name](self.conn)
        except TimeoutError:
            return False
        if name in ("recv", "iteration"):
            assert isinstance(message, vfiipc.Message)
            self.numbers.append(int(message.data))
        return True

    def still_works(self, tally: Tally, name: str) -> None:
        try:
            final = self.conn.request(b"much", PATIENCE)
        except TimeoutError:
            tally.check(False, f"{name}: nothing comes back any more")
            self.conn.close()
            return
        while self.call("recv"):
            pass
        lost = int(final.data) - len(self.numbers) - self.lost
        self.lost += lost
        tally.check(lost <= (name in ("recv", "iteration")), f"{name}: {lost} are lost")
        in_order = self.numbers == sorted(set(self.numbers))
        tally.check(in_order, f"{name}: not in order, or twice")


def connection() -> None:
    """A call of a connection is interrupted; the next one works, or the connection is closed.

    It is closed where the call may have sent a part of a message. What answers no request is lost
    by those calls alone that were about to return it, which is one message.
    """
    tally, moment, striker = Tally(3 * SECONDS), chance("connection"), Striker(interrupt)
    with vfiipc.serve(_answer, "127.0.0.1:0", **FRAMING) as server:
        talk = Talk(server.address)
        for name in itertools.cycle([*CALLS, "request", "request"]):
            if not tally.going():
                break
            if talk.conn.closed:
                talk = Talk(server.address)
            if name in ("recv", "iteration"):
                talk.conn.request(b"much", PATIENCE)
            enough = len(talk.numbers) + MUCH

            def work(name: str = name, talk: Talk = talk, enough: int = enough) -> None:
                talk.call(name)
                striker.armed = striker.armed and len(talk.numbers) < enough

            striker.strike(work, moment.uniform(1e-5, 1e-3))
            if not talk.conn.closed:
                talk.still_works(tally, name)
            else:
                tally.check(name in ("request", "send"), f"{name}: it was closed")
        talk.conn.close()
    tally.report()


def _answer(conn: vfiipc.Connection) -> None:
    """Answers with the count of what was sent besides; that is more, where much is asked for."""
    count = 0
    with suppress(OSError):  # the client has closed
        for msg_id, data in conn:
            if data == b"much":
                for _ in range(MUCH):
                    conn.send(b"%d" % count)
                    count += 1
                conn.send(b"%d" % count, msg_id)


def test_connections() -> None:
    run(connection)
