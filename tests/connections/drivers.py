"""Both kinds of connections behind one face, so that the same cases hold them to the same rules."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext
from typing import Any, TypeVar

import vfiipc
from vfiipc import IPC, TLS, Message, aio

T = TypeVar("T")

PREFIX = 0x004E4659
LIMIT = 1 << 20
SECONDS = 30.0
FRAMING: dict[str, Any] = {"prefix": PREFIX, "size_limit": LIMIT}


class Hands:
    """A connection, driven by a thread."""

    def __init__(self, connection: Any, driver: Driver) -> None:
        self.connection = connection
        self._run = driver.run

    def send(self, data: bytes, msg_id: int = 0, timeout: float | None = SECONDS) -> None:
        self._run(self.connection.send(data, msg_id, timeout))

    def recv(self, timeout: float | None = SECONDS) -> Message:
        message: Message = self._run(self.connection.recv(timeout))
        return message

    def request(self, data: bytes, timeout: float | None = SECONDS) -> Message:
        message: Message = self._run(self.connection.request(data, timeout))
        return message

    def close(self) -> None:
        self._run(self.connection.close())


class Driver(ABC):
    """Runs one kind of connections."""

    @abstractmethod
    def run(self, doing: Any) -> Any:
        """The result of a call, wherever it has to run."""

    @contextmanager
    def connect(
        self, address: str, tls: TLS | None, ssl: SSLContext | None, **keywords: Any
    ) -> Iterator[Hands]:
        keywords = {"timeout": SECONDS} | FRAMING | keywords
        hands = Hands(self._connected(address, tls, ssl, keywords), self)
        try:
            yield hands
        finally:
            hands.close()

    @abstractmethod
    def _connected(
        self, address: str, tls: TLS | None, ssl: SSLContext | None, keywords: dict[str, Any]
    ) -> Any: ...

    @abstractmethod
    def serve(
        self, address: str | None, tls: TLS | None, ssl: SSLContext | None, **keywords: Any
    ) -> Any: ...

    @abstractmethod
    def messages(self, hands: Hands) -> list[Message]:
        """All that iteration gives."""

    def end(self) -> None:  # noqa: B027 - only one of the two has something to end
        """Nothing runs any more."""


class Blocking(Driver):
    def run(self, doing: Any) -> Any:
        return doing

    def _connected(
        self, address: str, tls: TLS | None, ssl: SSLContext | None, keywords: dict[str, Any]
    ) -> Any:
        return vfiipc.connect(address, tls=tls, **keywords)

    @contextmanager
    def serve(
        self, address: str | None, tls: TLS | None, ssl: SSLContext | None, **keywords: Any
    ) -> Iterator[vfiipc.Server]:
        with vfiipc.serve(_echo, address, tls=tls, **(FRAMING | {"grace": 0.0} | keywords)) as it:
            yield it

    def messages(self, hands: Hands) -> list[Message]:
        return list(hands.connection)


class Asyncio(Driver):
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, doing: Any) -> Any:
        if not asyncio.iscoroutine(doing):
            return doing
        return self.await_(doing)

    def await_(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(2 * SECONDS)

    def _connected(
        self, address: str, tls: TLS | None, ssl: SSLContext | None, keywords: dict[str, Any]
    ) -> Any:
        async def connected() -> Any:
            return await aio.connect(address, ssl=ssl, **keywords)

        connection = self.await_(connected())
        return _OnItsLoop(connection, self._loop)

    @contextmanager
    def serve(
        self, address: str | None, tls: TLS | None, ssl: SSLContext | None, **keywords: Any
    ) -> Iterator[aio.Server]:
        serving = aio.serve(_echo_async, address, ssl=ssl, **(FRAMING | {"grace": 0.0} | keywords))
        server = self.await_(serving.__aenter__())
        try:
            yield server
        finally:
            self.await_(serving.__aexit__(None, None, None))

    def messages(self, hands: Hands) -> list[Message]:
        async def gathered() -> list[Message]:
            return [message async for message in hands.connection.connection]

        return self.await_(gathered())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class _OnItsLoop:
    """An asyncio connection whose ``close`` is called where it belongs."""

    def __init__(self, connection: aio.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self.connection = connection
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    async def close(self) -> None:
        self.connection.close()
        await self.connection.wait_closed()


def _echo(connection: vfiipc.Connection) -> None:
    for message in connection:
        if message.data == b"raise":
            raise RuntimeError("asked to raise")
        if message.data == b"exit":
            raise SystemExit(3)
        with suppress(OSError):
            connection.send(message.data, message.msg_id)


async def _echo_async(connection: aio.Connection) -> None:
    async for message in connection:
        if message.data == b"raise":
            raise RuntimeError("asked to raise")
        if message.data == b"exit":
            raise SystemExit(3)
        with suppress(OSError):
            await connection.send(message.data, message.msg_id)


def raw(ipc: IPC, msg_id: int, data: bytes) -> None:
    """Has the other end send a message."""
    assert ipc.write_msg(PREFIX, msg_id, data, int(SECONDS * 1000)), ipc.last_error
