"""Connecting to a notification server: ``async with connect(...) as client``."""

from __future__ import annotations

import math
import ssl as tls
from collections.abc import Generator
from typing import Any, Final

from .. import aio
from ..exchange import duration_of, timeout_of
from ..transport.addresses import parse
from .client import Client, ClientOptions
from .messages import GROWTH, MAX_PAYLOAD, PORT, PREFIX, check_application

__all__ = ["DEFAULT_ADDRESS", "MAX_HANDLERS", "Connecting", "connect"]

DEFAULT_ADDRESS: Final = f"tcp://127.0.0.1:{PORT}"

#: Handlers that may run at once, and notifications that may wait for an iteration.
MAX_HANDLERS: Final = 256


def connect(
    address: str = DEFAULT_ADDRESS,
    *,
    app_id: str,
    reconnect: bool = True,
    timeout: float | None = None,
    drain: float = 1.0,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    max_payload: int = MAX_PAYLOAD,
    max_handlers: int = MAX_HANDLERS,
) -> Connecting:
    """Connects to a notification server, when the result is awaited or entered.

    Args:
        address: ``tcp://host:port``, ``tls://host:port`` or ``pipe:///path``.
        app_id: the application ID, for which this client registers and from which it sends.
        reconnect: whether to reconnect and register everything again after a loss.
        timeout: seconds for connecting; None leaves it to the system.
        drain: seconds that ``close`` waits for notifications still in transit; 0 or more, finite.
        ssl: the context for ``tls://``; by default ``ssl.create_default_context()``.
        server_hostname: the name that the certificate must match, if not that of the address.
        max_payload: maximum payload that the server accepts, in bytes, 1 or more.
        max_handlers: number of running handlers at which reading stops, 1 or more.

    Raises:
        TypeError, ValueError: an argument is invalid. Raised at once; the others when awaited.
        OSError: no connection; ``TimeoutError`` if not in time. The text names the address.

    Rules: ``spec/notify.md``, section 10.
    """
    check_application(app_id, "app_id")
    for name, value in (("max_payload", max_payload), ("max_handlers", max_handlers)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name} is {value}, but must be 1 or more")
    timeout = timeout_of(timeout)

    def dial(timeout: float | None) -> Any:
        return aio.connect(
            address,
            prefix=PREFIX,
            size_limit=max_payload + GROWTH,
            timeout=timeout,
            ssl=ssl,
            server_hostname=server_hostname,
        )

    dial(timeout)  # checks the other arguments
    drain_time = duration_of(drain, "drain")
    if drain == math.inf:  # unlike a time-out, it is always waited for in full
        raise ValueError("drain is inf, but must be a finite number of seconds, 0 or more")
    options = ClientOptions(app_id, str(parse(address)), drain_time, max_payload, max_handlers)
    return Connecting(Client(options, dial, reconnect), timeout)


class Connecting:
    """A client that is about to connect; await it or enter it with ``async with``, once."""

    def __init__(self, client: Client, timeout: float | None) -> None:
        self._client = client
        self._timeout = timeout

    def __await__(self) -> Generator[Any, None, Client]:
        return self._start().__await__()

    async def __aenter__(self) -> Client:
        return await self._start()

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def _start(self) -> Client:
        await self._client.start(self._timeout)
        return self._client
