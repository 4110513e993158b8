"""Sources of connections: the kit connects, or listens, or starts the peer and connects."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from ..transport.addresses import Address
from ..transport.system import closed_on_failure
from .link import PeerLink
from .plan import Abilities
from .process import Process
from .setting import Setting
from .waiting import within

__all__ = ["Dialled", "Executed", "ListeningPeer", "Peer", "Shortage", "Unreached"]

Maker = Callable[[], PeerLink]

_LOOPBACK: Final = "127.0.0.1"
_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_RETRY_DELAY: Final = 0.02  # seconds between attempts to connect to a program that is starting
_START_TIMEOUT: Final = 15.0  # seconds for a peer to start listening, times the scale
_FIRST_TIMEOUT: Final = 60.0  # seconds for a peer to connect for the first time, times the scale


class Unreached(Exception):
    """No connection to the peer could be made."""


class Shortage(Exception):
    """This machine has no descriptor or memory left, which says nothing about the peer."""


class Peer(Protocol):
    """A peer under test, as a source of connections.

    Attributes:
        abilities: what the peer and its kind of connection support.
        retries: how often to replace a connection that ends before a byte has arrived.
    """

    abilities: Abilities
    retries: int

    async def connect(self, make: Maker, seconds: float) -> PeerLink:
        """Makes or accepts the next connection.

        Args:
            make: creates the protocol.
            seconds: the time-out, above 0.

        Raises:
            Unreached: no connection was made in time.
            Shortage: the kit cannot open one.
        """
        ...

    def variant(self, setting: Setting, *, fresh: bool) -> AbstractAsyncContextManager[Peer]:
        """The same peer with another prefix and limit, in a separate process if necessary.

        Args:
            setting: prefix and limit.
            fresh: whether to start a new process even if the setting is the same.
        """
        ...

    def memory_bytes(self) -> int | None:
        """The memory that the peer has reserved, in bytes; ``None`` if unknown."""
        ...

    def crashes(self) -> list[str]:
        """A description of each process that exited by itself with a status other than 0."""
        ...

    async def close(self) -> None:
        """Closes what belongs to the peer: a listening socket, a process."""


class _Steady:
    """The common base of peers that the kit did not start."""

    @asynccontextmanager
    async def variant(self, setting: Setting, *, fresh: bool) -> AsyncIterator[Peer]:
        yield self  # type: ignore[misc]

    def memory_bytes(self) -> int | None:
        return None

    def crashes(self) -> list[str]:
        return []

    async def close(self) -> None:
        pass


class Dialled(_Steady):
    """A peer that listens; the kit connects to it.

    Args:
        address: where it listens.
        context: the TLS context; required for ``tls://`` addresses.
    """

    retries = 0

    def __init__(self, address: Address, context: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._context = context
        self.abilities = Abilities(
            half_close=address.scheme != "tls", reset=address.scheme != "pipe"
        )

    async def connect(self, make: Maker, seconds: float) -> PeerLink:
        try:
            return await within(_dial(self._address, self._context, make), seconds)
        except (OSError, asyncio.TimeoutError) as error:
            _check_shortage(error)
            raise Unreached(_reason(error, seconds)) from error


class ListeningPeer(_Steady):
    """A peer that connects to the kit repeatedly.

    Args:
        listener: a listening socket; closed with this object.
        context: the TLS context; None for no TLS.
        scale: a factor for deadlines, above 0.
    """

    retries = 3

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext | None = None, scale: float = 1.0
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._context = context
        self._turn = asyncio.Lock()
        self._first = _FIRST_TIMEOUT * scale
        unix = listener.family == getattr(socket, "AF_UNIX", None)
        self.abilities = Abilities(half_close=context is None, reset=not unix)

    async def connect(self, make: Maker, seconds: float) -> PeerLink:
        seconds = max(seconds, self._first)
        try:
            link = await within(self._accept(make), seconds)
        except (OSError, asyncio.TimeoutError) as error:
            _check_shortage(error)
            if isinstance(error, asyncio.TimeoutError):
                raise Unreached(f"the peer did not connect within {seconds:g} s") from None
            raise Unreached(_reason(error, seconds)) from error
        self._first = 0.0
        return link

    async def _accept(self, make: Maker) -> PeerLink:
        loop = asyncio.get_running_loop()
        async with self._turn:
            sock, _ = await loop.sock_accept(self._listener)
        try:
            _, link = await loop.connect_accepted_socket(make, sock, ssl=self._context)
        except BaseException:
            sock.close()
            raise
        return link

    async def close(self) -> None:
        self._listener.close()


class Executed:
    """A peer that the kit starts, and restarts after it has exited.

    Args:
        command: the program and its arguments, in which ``{port}``, ``{prefix}`` and ``{limit}``
            are replaced.
        setting: supplies the prefix and limit.
        scale: a factor for deadlines, above 0.
        address: where it listens, if fixed; by default a free port of the loopback interface.
        context: the TLS context; required for ``tls://`` addresses.
    """

    retries = 2

    def __init__(
        self,
        command: Sequence[str],
        setting: Setting,
        scale: float = 1.0,
        address: Address | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._crashes: list[str] = []
        self._command = command
        self._setting = setting
        self._scale = scale
        self._fixed = address
        self._context = context
        self._address = address
        self._process: Process | None = None
        self._reservation: socket.socket | None = None
        self._turn = asyncio.Lock()
        scheme = "tcp" if address is None else address.scheme
        self.abilities = Abilities(
            half_close=scheme != "tls",
            reset=scheme != "pipe",
            # Two peers cannot listen on one fixed address.
            prefix=address is None and self._takes("{prefix}"),
            limit=address is None and self._takes("{limit}"),
            memory=Process.can_measure_memory(),
        )

    def _takes(self, placeholder: str) -> bool:
        return any(placeholder in word for word in self._command)

    async def connect(self, make: Maker, seconds: float) -> PeerLink:
        async with self._turn:
            started = self._process is None or self._process.ended
            if started:
                await self._start()
            process, address = self._process, self._address
        assert process is not None
        assert address is not None
        seconds = max(seconds, _START_TIMEOUT * self._scale)
        try:
            return await within(self._dial(process, address, make), seconds)
        except (OSError, asyncio.TimeoutError) as error:
            raise Unreached(f"the peer did not listen at {address} within {seconds:g} s") from error

    async def _start(self) -> None:
        if self._process is not None:
            self._crashes = self.crashes()
            await self._process.close()
            self._process = None
        try:
            self._address = self._fixed or Address("tcp", _LOOPBACK, self._reserved_port())
            values = {
                "{port}": str(self._address.port),
                "{prefix}": f"0x{self._setting.mark.hex()}",
                "{limit}": str(self._setting.limit),
            }
            self._process = await Process.start([_replaced(word, values) for word in self._command])
        except OSError as error:
            _check_shortage(error)
            raise Unreached(f"cannot start {self._command[0]}: {_reason(error, 0)}") from error

    def _reserved_port(self) -> int:
        self._release_port()
        self._reservation = reserve_port()
        return int(self._reservation.getsockname()[1])

    def _release_port(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    async def _dial(self, process: Process, address: Address, make: Maker) -> PeerLink:
        """Connects as soon as the program listens."""
        while True:
            try:
                return await _dial(address, self._context, make)
            except OSError as error:
                _check_shortage(error)
                if process.ended:
                    raise Unreached(f"the peer does not listen: {process.exit_report()}") from None
            await asyncio.sleep(_RETRY_DELAY)

    @asynccontextmanager
    async def variant(self, setting: Setting, *, fresh: bool) -> AsyncIterator[Peer]:
        own = self._setting
        same = (setting.prefix, setting.limit) == (own.prefix, own.limit)
        if same and not (fresh and self._fixed is None):
            yield self
            return
        peer = Executed(self._command, setting, self._scale, None, self._context)
        try:
            yield peer
        finally:
            await peer.close()

    def memory_bytes(self) -> int | None:
        return None if self._process is None else self._process.memory_bytes()

    def crashes(self) -> list[str]:
        if self._process is None or not self._process.crashed:
            return list(self._crashes)
        return [*self._crashes, self._process.exit_report()]

    async def close(self) -> None:
        self._release_port()
        if self._process is not None:
            await self._process.close()
            self._process = None


async def _dial(address: Address, context: ssl.SSLContext | None, make: Maker) -> PeerLink:
    loop = asyncio.get_running_loop()
    if address.scheme == "pipe":
        _, link = await loop.create_unix_connection(make, address.path)
        return link
    transport, link = await loop.create_connection(
        make, address.host, address.port, ssl=context if address.scheme == "tls" else None
    )
    if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
        # If nothing listens, the system may connect the socket to itself, which would be an echo.
        transport.abort()
        raise ConnectionRefusedError("the socket was connected to itself")
    return link


def _check_shortage(error: BaseException) -> None:
    """Raises ``Shortage`` for an error that is not the peer's."""
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        raise Shortage(_reason(error, 0)) from error


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


def reserve_port(find: Callable[[], int] = _free_port) -> socket.socket:
    """Finds a TCP port that is free, and that no other kit on this machine has reserved.

    The program that will listen there needs time to start. Until then, another kit could be given
    the same port, and would examine the wrong program. Two kits cannot hold the same UDP port.

    Returns:
        A UDP socket with the number of the port; closing it ends the reservation.

    Raises:
        OSError: ``find`` finds no port, or no descriptor is available.
    """
    while True:
        port = find()  # its failure ends the search, even if it has the same number
        try:
            with closed_on_failure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as held:
                held.bind((_LOOPBACK, port))
                return held
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def _replaced(word: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _reason(error: BaseException, seconds: float) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return f"no connection within {seconds:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error) or type(error).__name__
