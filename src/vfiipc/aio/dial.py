"""Connects sockets under any event loop: TCP, trying every address of a host, and Unix sockets.

The loops' own ``create_connection`` is not used: each loop tries addresses in its own way, and when
cancelled, it can leave half-open connections behind.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from ..transport import system
from ..transport.addresses import is_literal
from ..transport.happy_eyeballs import Race
from ..transport.tcp_sockets import begin_next, is_winner, look_up
from ..transport.unix_sockets import address_of, attempts, new_socket
from .threads import run_in_thread

__all__ = ["dial", "reach"]

#: Seconds between two checks of a socket, where the loop cannot watch it.
_LOOK: Final = 0.01


async def dial(host: str, port: int) -> socket.socket:
    """A connected, non-blocking TCP socket. Cancelled at any point, it leaves none (CON-A8).

    Raises:
        OSError: why no address could be reached: that of the last failure.
    """
    if is_literal(host):
        found = look_up(host, port)
    else:
        found = await run_in_thread(lambda: look_up(host, port), lambda _: None)
    attempts = _Attempts(Race(found))
    try:
        return await attempts.run()
    finally:
        attempts.close()


class _Attempts:
    """The attempts in progress.

    Args:
        race: decides which address is tried when.
    """

    def __init__(self, race: Race) -> None:
        self._loop = asyncio.get_running_loop()
        self._race = race
        self._running: dict[asyncio.Future[None], socket.socket] = {}

    async def run(self) -> socket.socket:
        """The first socket that connects; raises ``OSError`` if none does."""
        while True:
            self._begin_those_due()
            self._race.check()
            pause = self._race.pause(self._loop.time())
            ready, _ = await asyncio.wait(
                self._running, timeout=pause, return_when=asyncio.FIRST_COMPLETED
            )
            winner = self._look_at(ready)
            if winner is not None:
                return winner

    def _begin_those_due(self) -> None:
        while (sock := begin_next(self._race, self._loop.time())) is not None:
            try:
                self._running[self._writable(sock)] = sock
            except BaseException:
                sock.close()
                raise

    def _writable(self, sock: socket.socket) -> asyncio.Future[None]:
        """A future that is done when the attempt has succeeded or failed."""
        ready: asyncio.Future[None] = self._loop.create_future()
        try:
            self._loop.add_writer(sock, _settle, ready)
        except NotImplementedError:  # Windows' own loop
            return asyncio.ensure_future(_until_writable(sock))
        return ready

    def _look_at(self, ready: set[asyncio.Future[None]]) -> socket.socket | None:
        for future in ready:
            sock = self._running.pop(future)
            self._forget(future, sock)
            if is_winner(self._race, sock):
                return sock
        return None

    def _forget(self, future: asyncio.Future[None], sock: socket.socket) -> None:
        future.cancel()
        if not isinstance(future, asyncio.Task):
            self._loop.remove_writer(sock)

    def close(self) -> None:
        """Ends the attempts that have not won."""
        for future, sock in self._running.items():
            self._forget(future, sock)
            sock.close()


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _until_writable(sock: socket.socket) -> None:
    while not system.wait([(sock.fileno(), system.WRITE)], 0):
        await asyncio.sleep(_LOOK)


async def reach(path: str) -> socket.socket:
    """A connected, non-blocking Unix socket. Cancelled at any point, it leaves none.

    Raises:
        OSError: why there is none.
    """
    address = address_of(path)
    with new_socket(path) as sock:
        sock.setblocking(False)
        # Loops mistake a full queue for a connection in progress, and then for an established one.
        for pause in attempts(sock, address):
            await asyncio.sleep(pause)
        return sock
