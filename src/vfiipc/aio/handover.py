"""Turns a connected socket into a connection: the loop's transport, and the TLS handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

from .protocol import MessageProtocol
from .timeouts import until_done, within

__all__ = ["HANDSHAKE_TIMEOUT", "hand_over"]

#: Seconds for the TLS handshake, unless another limit is set: the default of ``TLS`` (CON-T2).
HANDSHAKE_TIMEOUT: Final = 10.0
# Added to the loop's own limit, so that it never expires first.
_MORE: Final = 60.0
# Loop iterations to wait until an ended transport has closed its socket; it needs two or three.
_TURNS: Final = 20


async def hand_over(
    sock: socket.socket,
    protocol: MessageProtocol,
    make: Callable[..., Coroutine[Any, Any, object]],
    context: ssl.SSLContext | None,
    handshake_timeout: float,
) -> None:
    """Waits until the loop has created a transport for a connected socket, with TLS if requested.

    If that fails or is cancelled, the socket is closed when this returns.

    Args:
        sock: the socket, which this owns.
        protocol: the protocol of the transport.
        make: the loop's method that creates the transport.
        context: for TLS; None for none.
        handshake_timeout: seconds for the TLS handshake.

    Raises:
        TimeoutError: the handshake was not complete in time.
        OSError: the handshake has failed.
    """
    if context is None:
        await _made(sock, protocol, make)
        return
    make = partial(make, ssl=context, ssl_handshake_timeout=handshake_timeout + _MORE)
    what = "the handshake was not complete"
    try:
        coroutine = _made(sock, protocol, make)
        await within(handshake_timeout, coroutine, what, lambda _: protocol.drop())
    finally:
        if protocol.transport is None:
            sock.close()  # the task may have been cancelled before it began


async def _made(
    sock: socket.socket,
    protocol: MessageProtocol,
    make: Callable[[], Coroutine[Any, Any, object]],
) -> None:
    # The task is not cancelled: a loop can then leak the socket that it has just taken over. The
    # task ends by itself once the socket is shut down.
    task = asyncio.ensure_future(make())
    try:
        await asyncio.wait([task])
        task.result()
    except BaseException:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RD)
        cancelled = await until_done(task)
        protocol.abort()
        cancelled |= await until_done(asyncio.ensure_future(_closed(sock)))
        sock.close()
        if cancelled:
            raise asyncio.CancelledError from None
        raise


async def _closed(sock: socket.socket) -> None:
    for _ in range(_TURNS):
        if sock.fileno() < 0:
            return
        await asyncio.sleep(0)
