"""Blocking connections with gevent, which a process takes up once and for all.

It prints a line for each thing that works.
"""

# ruff: noqa: E402 - gevent replaces the sockets before anybody else takes hold of them
from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys
import time
from pathlib import Path
from typing import Any

import gevent

import vfiipc
from tests.transport.certificates import Certificates
from vfiipc import TLS, Connection

from .drivers import FRAMING, SECONDS


def _echo(conn: Connection) -> None:
    for message in conn:
        conn.send(message.data, message.msg_id)


def _use(address: str, **tls: Any) -> None:
    with vfiipc.connect(address, timeout=SECONDS, **tls, **FRAMING) as conn:
        others = gevent.spawn(_count)
        began = time.monotonic()
        try:
            conn.recv(0.3)
        except TimeoutError:
            assert time.monotonic() - began < SECONDS
        counted: int = others.get()
        assert counted == 10  # other greenlets ran meanwhile
        asking = [gevent.spawn(conn.request, b"%d" % number, SECONDS) for number in range(20)]
        gevent.joinall(asking)
        assert [each.get().data for each in asking] == [b"%d" % number for number in range(20)]
        large = bytes(1 << 20)
        sending = gevent.spawn(conn.send, large, 7, SECONDS)
        assert conn.recv(SECONDS) == (7, large)
        sending.get()


def _count() -> int:
    turns = 0
    while turns < 10:
        gevent.sleep(0.01)
        turns += 1
    return turns


def _main(folder: str) -> None:
    certificates = Certificates(Path(folder))
    server_side, client_side = TLS(), TLS()
    assert server_side.setKeyCert(*certificates.good)
    assert client_side.addCA(certificates.ca)
    for address, ours, theirs in [
        ("tcp://127.0.0.1:0", {}, {}),
        ("tls://127.0.0.1:0", {"tls": server_side}, {"tls": client_side}),
        (f"pipe://{folder}/socket", {}, {}),
    ]:
        keywords: dict[str, Any] = FRAMING | {"grace": 0.1} | ours
        with vfiipc.serve(_echo, address, **keywords) as server:
            _use(server.address, **theirs)
        print(address.partition(":")[0], flush=True)
    with vfiipc.serve(_echo, "localhost:0", **FRAMING) as server:
        _use(server.address)
    print("by name", flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
