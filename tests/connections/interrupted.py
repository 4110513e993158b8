"""A process that gets Ctrl-C: ``python -m tests.connections.interrupted CALL ADDRESS``.

It prints what became of the call, then what came after it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import vfiipc
from tests.transport.suite.base import Aside

from .drivers import FRAMING, SECONDS

# More than a connection holds on its way.
_TOO_MUCH = b"x" * (1 << 25)


def _recv(conn: vfiipc.Connection) -> None:
    conn.send(b"ready")
    conn.recv()


def _sleep(conn: vfiipc.Connection) -> None:
    """As ``_recv``, while another thread reads for it."""
    Aside(conn.request, b"of another thread").until_blocked()
    _recv(conn)


def _request(conn: vfiipc.Connection) -> None:
    conn.request(b"ready")


def _send(conn: vfiipc.Connection) -> None:
    other = Aside(conn.recv).until_blocked()
    try:
        conn.send(_TOO_MUCH)
    finally:
        _tell(other)


def _turn(conn: vfiipc.Connection) -> None:
    """As ``_send``, before any of it was sent: another thread is at it."""
    other = Aside(conn.send, _TOO_MUCH).until_blocked()
    try:
        conn.send(b"after it")
    finally:
        _tell(other)


def _tell(other: Aside) -> None:
    """Says what another thread got."""
    try:
        other.result()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        print(type(error).__name__, flush=True)


_CALLS: dict[str, Callable[[vfiipc.Connection], None]] = {
    "recv": _recv,
    "sleep": _sleep,
    "request": _request,
    "send": _send,
    "turn": _turn,
}


def _main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    call, address = sys.argv[1:]
    with vfiipc.connect(address, timeout=SECONDS, **FRAMING) as conn:
        try:
            _CALLS[call](conn)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        if conn.closed:
            print("closed")
            return
        for _ in range(2):
            print(conn.recv(SECONDS).data.decode(), flush=True)
        print(conn.request(b"again", SECONDS).data.decode(), conn.late_answers)


if __name__ == "__main__":
    _main()
