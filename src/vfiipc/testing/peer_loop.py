"""The connections of a scripted peer, served by an event loop in a thread.

asyncio handles TCP, TLS and Unix sockets alike, flushes written data before it closes a connection,
and needs only one thread for any number of connections.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import ssl
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Any, Final, Protocol

from ..faults import Action, End, Ending, Send, Wait
from ..transport.system import RESET_ON_CLOSE

__all__ = ["Handler", "PeerConnection", "PeerLoop"]

_SOON: Final = 5.0  # seconds; a generous time-out for immediate actions
_ROUNDS: Final = 5  # loop iterations until all effects of an event are done
_FLUSH_INTERVAL: Final = 0.001  # seconds between checks whether all data was written


class Handler(Protocol):
    """Reacts to events. All methods are called in the thread of the loop."""

    def connected(self, connection: PeerConnection) -> None:
        """Called when a program has connected."""

    def received(self, connection: PeerConnection, data: bytes) -> None:
        """Called when bytes have arrived."""

    def ended(self, connection: PeerConnection) -> None:
        """Called when the program has ended its stream."""

    def failed(self, error: BaseException) -> None:
        """Called for an error that is not reported anywhere else."""


class PeerConnection(asyncio.Protocol):
    """One connection. It performs actions one after another."""

    transport: asyncio.Transport

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._jobs: asyncio.Queue[tuple[Iterable[Action], Future[None] | None]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._is_silent = False
        self._at_eof = False

    @property
    def is_open(self) -> bool:
        """Whether the peer can still send."""
        return self._worker is not None and not self.transport.is_closing()

    def fileno(self) -> int:
        """The descriptor to watch for incoming data; -1 if none can arrive."""
        if not self.is_open or self._at_eof:
            return -1
        return self._socket.fileno()

    def perform(self, actions: Iterable[Action], done: Future[None] | None = None) -> None:
        """Queues actions; ``done`` is notified when they have been performed."""
        if self._worker is not None and self._worker.done():
            _tell(done)
        else:
            self._jobs.put_nowait((actions, done))

    def abort(self) -> None:
        """Closes at once."""
        if self._worker is not None:
            self.transport.abort()

    # --- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # Kept, because Python 3.10 drops both when the transport closes.
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        self._worker = asyncio.get_running_loop().create_task(self._work())
        self._handler.connected(self)

    def data_received(self, data: bytes) -> None:
        self._handler.received(self, data)

    def eof_received(self) -> bool:
        self._at_eof = True
        self._handler.ended(self)
        self.perform([End("close")])
        # Answers may still be queued. TLS cannot close only one direction.
        return not self._is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._at_eof:
            self._handler.ended(self)
        self._at_eof = True
        if self._worker is not None:
            self._worker.cancel()

    async def _work(self) -> None:
        try:
            while True:
                actions, done = await self._jobs.get()
                try:
                    await self._do_all(actions)
                finally:
                    _tell(done)
        except Exception as error:  # noqa: BLE001  (a function of the test may raise anything)
            self._handler.failed(error)
            self.transport.close()
        finally:
            while not self._jobs.empty():
                _tell(self._jobs.get_nowait()[1])

    async def _do_all(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if not self.is_open:
                return
            if isinstance(action, Wait):
                await asyncio.sleep(action.seconds)
            elif isinstance(action, Send):
                if not self._is_silent:
                    self.transport.write(action.data)
            else:
                await self._end(action.ending)

    async def _end(self, ending: Ending) -> None:
        if ending == "silence":
            self._is_silent = True
        elif ending == "close":
            self.transport.close()
        else:
            if self._socket.family not in (socket.AF_INET, socket.AF_INET6):
                raise ValueError("a Unix socket cannot be reset; use cut()")
            while self.transport.get_write_buffer_size():
                await asyncio.sleep(_FLUSH_INTERVAL)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()


def _tell(done: Future[None] | None) -> None:
    if done is not None:
        done.set_result(None)


async def _rounds() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


class PeerLoop:
    """Serves a listening socket, which it owns, in a thread. Thread safe.

    Raises:
        OSError, RuntimeError: no descriptor or thread is available.
    """

    def __init__(
        self, handler: Handler, listener: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        self._handler = handler
        self._listener = listener
        self._tls = tls
        self._connections: list[PeerConnection] = []
        self._started: Future[None] = Future()
        self._stopping = asyncio.Event()
        # This loop can watch descriptors, whatever the event loop policy is.
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_exception_handler(self._on_exception)
        self._thread = threading.Thread(target=self._run, name="ScriptedPeer", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            listener.close()
            self._loop.close()
            raise
        self._started.result()

    def stop(self) -> None:
        """Closes everything.

        Raises:
            RuntimeError: a function of the script has not returned in time.
        """
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_SOON)
        if self._thread.is_alive():
            raise RuntimeError(f"a function of the script has not returned within {_SOON:g} s")

    def perform(self, connection: PeerConnection, actions: Iterable[Action]) -> None:
        """Performs actions on a connection, and waits until they are done."""
        done: Future[None] = Future()
        self._loop.call_soon_threadsafe(connection.perform, actions, done)
        done.result()

    def settle(self) -> None:
        """Waits until all data that has been sent to the peer has been handled.

        Returns after a few seconds even if more data keeps arriving.
        """
        if not self._thread.is_alive() or self._thread is threading.current_thread():
            return
        waiting = asyncio.run_coroutine_threadsafe(self._settle(), self._loop)
        try:
            waiting.result(_SOON)
        except NotInTime:
            waiting.cancel()

    async def _settle(self) -> None:
        quiet = 0
        while quiet < _ROUNDS:
            quiet = 0 if self._is_readable() else quiet + 1
            await asyncio.sleep(0)

    def _is_readable(self) -> bool:
        with selectors.DefaultSelector() as selector:
            for descriptor in self._listener.fileno(), *(c.fileno() for c in self._connections):
                if descriptor >= 0:
                    selector.register(descriptor, selectors.EVENT_READ)
            return bool(selector.select(0))

    # --- in the thread

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
        finally:
            self._listener.close()
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._connect, sock=self._listener, ssl=self._tls)
        try:
            self._started.set_result(None)
            await self._stopping.wait()
        finally:
            # asyncio leaks a connection that it is accepting when the server closes.
            self._loop.remove_reader(self._listener.fileno())
            await _rounds()
            server.close()
            for connection in self._connections:
                connection.abort()
            # Also ends TLS handshakes that will never complete.
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _rounds()  # lets the transports close

    def _connect(self) -> PeerConnection:
        connection = PeerConnection(self._handler)
        self._connections.append(connection)
        return connection

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context["message"])
        if not isinstance(error, OSError):  # a failed handshake, which the program reports itself
            self._handler.failed(error)
