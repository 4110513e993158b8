"""A server that runs out of descriptors and gets some again, as its client asks.

It prints its address, and then what it logs.
"""

from __future__ import annotations

import logging
import resource
import sys

import vfiipc

from .drivers import FRAMING


def _limit(descriptors: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))


def _handle(conn: vfiipc.Connection) -> None:
    for message in conn:
        if message.data == b"run out":
            _limit(3)  # fewer than there are: not one more
        elif message.data == b"go on":
            _limit(256)
        conn.send(message.data, message.msg_id)


def _main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.ERROR, format="%(message)s")
    with vfiipc.serve(_handle, "127.0.0.1:0", **FRAMING) as server:
        print(server.address, flush=True)
        server.wait_closed()


if __name__ == "__main__":
    _main()
