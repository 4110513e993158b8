"""Connecting: ``conn = await connect(...)`` or ``async with connect(...) as conn``."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Generator
from functools import partial
from typing import Any

from ..exchange import (
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_SIZE,
    REQUEST_IDS,
    Settings,
    explained,
    timeout_of,
)
from ..transport.addresses import Address, parse
from .connection import Connection
from .dial import dial, reach
from .handover import HANDSHAKE_TIMEOUT, hand_over
from .protocol import MessageProtocol
from .send_buffer import MAX_UNSENT
from .settings import CLOSE_TIMEOUT, AsyncSettings, check_context
from .timeouts import within

__all__ = ["PendingConnection", "connect"]


def connect(
    address: str,
    *,
    prefix: int,
    size_limit: int,
    timeout: float | None = None,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    strict: bool = False,
    request_ids: range = REQUEST_IDS,
    max_unclaimed: int = MAX_UNCLAIMED,
    max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
    max_unsent: int = MAX_UNSENT,
    close_timeout: float = CLOSE_TIMEOUT,
) -> PendingConnection:
    """Connects, when the result is awaited or entered with ``async with``.

    Args:
        address: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, or ``host:port``.
        prefix: the synchronisation mark of both ends, 0..2**32-1.
        size_limit: maximum data size of a received message, in bytes, 0..2**31-5.
        timeout: seconds for connecting, including the TLS handshake; None leaves connecting to the
            system, and allows 10 s for the handshake.
        ssl: the context for ``tls://``; by default ``ssl.create_default_context()``.
        server_hostname: the name that the certificate must match, if not the host of the address.
        strict: end the connection at the first byte that does not belong to a message.
        request_ids: the message IDs that ``request`` uses, an ascending range.
        max_unclaimed: messages that may wait to be received before reading stops, 1 or more.
        max_unclaimed_size: bytes of data in them before reading stops, 1 or more.
        max_unsent: bytes that may be buffered before ``send`` waits.
        close_timeout: seconds that closing may take before unsent data is dropped.

    Raises:
        TypeError, ValueError: an argument is invalid. Raised at once; the others when awaited.
        TimeoutError: no connection in time.
        ssl.SSLError, OSError: no connection; the text names the address.

    Rules: ``spec/connections.md``.
    """
    target = parse(address)
    shared = Settings(prefix, size_limit, strict, request_ids, max_unclaimed, max_unclaimed_size)
    settings = AsyncSettings(shared, max_unsent, close_timeout)
    check_context(ssl)
    if ssl is None and target.scheme == "tls":
        ssl = tls.create_default_context()
    elif ssl is not None and target.scheme != "tls":
        raise ValueError(f"ssl= is for tls://HOST:PORT, but the address is {address!r}")
    name = _checked_name(target, ssl, server_hostname)
    return PendingConnection(target, settings, timeout_of(timeout), ssl, name)


class PendingConnection:
    """What ``connect`` returns: await it, or enter it with ``async with``, once, to connect."""

    def __init__(
        self,
        target: Address,
        settings: AsyncSettings,
        timeout: float | None,
        context: tls.SSLContext | None,
        server_hostname: str,
    ) -> None:
        self._target = target
        self._settings = settings
        self._timeout = timeout
        self._context = context
        self._server_hostname = server_hostname
        self._connection: Connection | None = None

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._connect().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        assert self._connection is not None
        await self._connection.__aexit__()

    async def _connect(self) -> Connection:
        what = f"not connected to {self._target}"
        made = await within(self._timeout, self._create(what), what, MessageProtocol.drop)
        return Connection(made)

    async def _create(self, what: str) -> MessageProtocol:
        loop = asyncio.get_running_loop()
        target = self._target
        try:
            if target.scheme == "pipe":
                sock = await reach(target.path)
                make = partial(loop.create_unix_connection, sock=sock)
            else:
                sock = await dial(target.host, target.port)
                name = self._server_hostname if self._context is not None else None
                make = partial(loop.create_connection, sock=sock, server_hostname=name)
            protocol = self._settings.protocol()
            # ``timeout`` covers everything, including the handshake (CON-T2).
            limit = HANDSHAKE_TIMEOUT if self._timeout is None else self._timeout
            make = partial(make, lambda: protocol)
            await hand_over(sock, protocol, make, self._context, limit)
        except OSError as cause:
            raise explained(cause, what) from cause
        return protocol


def _checked_name(target: Address, context: tls.SSLContext | None, name: str | None) -> str:
    """The name that the server's certificate must match: the one given, or the host."""
    if name is None:
        return target.host.partition("%")[0].rstrip(".")
    if not isinstance(name, str):
        raise TypeError(f"server_hostname must be a str, not {type(name).__name__}")
    if context is None:
        raise ValueError(f"server_hostname= is for tls://HOST:PORT, but the address is {target}")
    try:
        acceptable = bool(name.encode("idna")) and "\0" not in name
    except UnicodeError:
        acceptable = False
    if not acceptable:
        raise ValueError(f"server_hostname is {name!r}, but must be a host name")
    return name
