"""A byte stream that encrypts: a TLS engine over a socket.

One short lock guards the engine, for readers and writers share it; it is never held while somebody
waits for the peer. Whoever makes a step of the handshake, or brings in what another waits for, says
so, for the descriptor stays silent about bytes that are here already.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from . import system
from .deadline import Deadline
from .lifetime import Lifetime
from .sockets import SocketStream
from .stream import ByteStream
from .system import READ, WRITE
from .tls_engine import Engine

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["TLSStream"]

# Ciphertext of one receive, and plaintext that is encrypted at once: 1.1 times the speed of half.
_CHUNK: Final = 262144
_PIECE: Final = 262144
# Up to this size a header is joined with what follows it: both fit into one record.
_RECORD: Final = 16384
# Receives before a close, which would otherwise break the connection because of unread bytes.
_LAST_RECEIVES: Final = 16


class TLSStream(ByteStream):
    """TLS over a connected socket, which is owned, and closed with the lifetime.

    The handshake is made by whoever reads, writes or looks first.

    Args:
        sock: the socket.
        engine: this side of the session.
        remote: the peer's address as the user shall see it.
        handshake: until when the handshake has to be complete.
    """

    def __init__(
        self, sock: socket.socket, engine: Engine, *, remote: str, handshake: Deadline
    ) -> None:
        self._bytes = SocketStream(sock, remote=remote)
        self.local, self.remote = self._bytes.local, self._bytes.remote
        self.lifetime = Lifetime(self._release)
        #: Told that there may be plaintext although the descriptor is silent.
        self.on_plaintext: Callable[[], None] | None = None
        self._receive_flags, _ = system.flags()
        self._engine = engine
        #: Until when the handshake has to be complete.
        self.handshake = handshake
        self._lock = threading.Lock()
        self._complete = False  # the handshake
        self._failure: OSError | None = None  # what every further receive meets
        self._broken: OSError | None = None  # what every further send meets
        self._unsent: memoryview = memoryview(b"")
        self._owed = False  # the last byte of a piece that was encrypted, but not sent to its end
        self._plain = b""  # what was looked at
        self._ended = False  # of the ciphertext
        self._moved = False  # bytes came from the socket
        self._news_for_reader = self._news_for_writer = False

    @property
    def socket(self) -> socket.socket:
        """The socket, for its options."""
        return self._bytes.socket

    def fileno(self) -> int:
        return self._bytes.fileno()

    # --- reading

    def receive(self, limit: int) -> bytes | None:
        with self._lock:
            self._news_for_reader = False
            if not self._shake():
                return None
            plain = self._plain
            if plain:
                self._plain = plain[limit:]
                return plain[:limit]
            return self._decrypt(limit)

    def peek(self, limit: int) -> bytes | None:
        with self._lock:
            self._news_for_reader = self._moved = False
            data = self._look(limit)
            moved = self._moved
        if moved and self.on_plaintext is not None:
            self.on_plaintext()
        return data

    def anything(self) -> bool:
        """Whether a reader would find something; for those who are not the reader. Never waits."""
        if not self.lifetime.enter():
            return False
        try:
            with self._lock:
                try:
                    found = self._look(1) is not None
                except OSError:
                    found = True
                self._news_for_reader = self._news_for_writer = True
            self.lifetime.nudge()
            return found
        finally:
            self.lifetime.leave()

    def handshake_ends_at(self) -> float | None:
        """When the handshake is over, one way or the other; None when it is complete, or open."""
        left = None if self._complete else self.handshake.remaining()
        return None if left is None else time.monotonic() + left

    def _look(self, limit: int) -> bytes | None:
        if not self._plain and not self._shake():
            return None
        parts, missing = [self._plain], limit - len(self._plain)
        try:
            while missing > 0:
                data = self._decrypt(missing)
                if not data:
                    return b"".join(parts) or data
                parts.append(data)
                missing -= len(data)
        except OSError:
            # What came before it is shown first; whoever reads on meets it.
            if not any(parts):
                raise
        finally:
            self._plain = b"".join(parts)
        return self._plain[:limit]

    def _decrypt(self, limit: int) -> bytes | None:
        """Plaintext from the engine, and ciphertext into it where that is missing."""
        if self._failure is not None:
            raise self._failure
        try:
            while (data := self._engine.read(limit)) is None and self._fill():
                pass
        except OSError as cause:
            self._failure = cause
            self._flush_quietly()
            raise
        if data is None or self._unsent:
            self._flush_quietly()  # an answer to a change of keys
        return data

    def _fill(self) -> bool:
        """Brings ciphertext from the socket into the engine; False when there is none."""
        if self._ended:
            return False
        # Always the same memory: new one costs more than the copying.
        space = _space()
        try:
            count = self.socket.recv_into(space, 0, self._receive_flags)
        except (BlockingIOError, InterruptedError):
            return False
        self._moved = True
        self._ended = not count
        self._engine.feed(space[:count])
        return True

    # --- the handshake

    def shake(self) -> bool:
        """One step of the handshake; True when it is complete. Never waits.

        Raises:
            OSError: it has failed.
        """
        with self._lock:
            return self._shake()

    def _shake(self) -> bool:
        if self._complete:
            return True
        if self._failure is not None:
            raise self._failure
        try:
            while not self._engine.handshake():
                self._flush()
                if not self._fill():
                    self._check_time()
                    return False
                self._tell_others()
            self._flush()
        except OSError as cause:
            self._failure = self._broken = cause
            self._flush_quietly()
            self._tell_others()
            raise
        self._complete = True
        self._tell_others()
        return True

    def _check_time(self) -> None:
        if self.handshake.passed():
            raise TimeoutError("the time was up before the handshake was complete")

    def _tell_others(self) -> None:
        # Reader and writer both wait for the handshake, and one of them has made a step.
        self._news_for_reader = self._news_for_writer = True
        if not self.lifetime.ended():
            self.lifetime.nudge()

    def interests(self, event: int = READ) -> int:
        """What to wait for at the descriptor: a handshake may need either direction."""
        if self._complete:
            return event
        return READ | WRITE if self._unsent else READ

    # --- writing

    def send(self, buffers: Sequence[Buffer]) -> int:
        shaking = not self._complete
        try:
            with self._lock:
                self._news_for_writer = False
                if self._broken is not None:
                    raise self._broken
                return self._send(buffers) if self._shake() and self._flush() else 0
        finally:
            if shaking and self.on_plaintext is not None:
                self.on_plaintext()

    def _send(self, buffers: Sequence[Buffer]) -> int:
        if self._owed:
            self._owed = False
            return 1
        # What is encrypted has to go out, so nothing is as long as the socket is full.
        if not system.wait([(self._bytes.fileno(), WRITE)], 0):
            return 0
        piece = _piece(buffers)
        count = self._engine.write(piece) if len(piece) else 0
        # A caller who gives up now has to know that its message was begun.
        if not self._flush() and count > 1:
            self._owed = True
            return count - 1
        return count

    def _flush(self) -> bool:
        """Sends ciphertext; True when none is left."""
        while True:
            if not self._unsent:
                self._unsent = memoryview(self._engine.outgoing())
                if not self._unsent:
                    return True
            try:
                count = self._bytes.send([self._unsent])
            except OSError as cause:
                self._broken = self._explained(cause)
                raise self._broken from None
            if not count:
                return False
            self._unsent = self._unsent[count:]

    def _explained(self, cause: OSError) -> OSError:
        """The alert of a peer that has gone, if one came; with TLS 1.3 a refusal comes so late."""
        if not self._complete or self._plain or self._failure is not None:
            return cause
        try:
            self._plain = self._decrypt_once() or b""
        except ssl.SSLEOFError as failure:
            self._failure = failure
        except OSError as failure:
            self._failure = failure
            if isinstance(failure, ssl.SSLError):
                return failure
        return cause

    def _decrypt_once(self) -> bytes | None:
        data = self._engine.read(_RECORD)
        if data is None and self._fill():
            data = self._engine.read(_RECORD)
        return data

    def _flush_quietly(self) -> None:
        try:
            self._flush()
        except OSError:
            pass  # the next send meets it; who reads goes on

    # --- both

    def wait(self, event: int, timeout: float | None) -> None:
        if not self._complete:
            left = self.handshake.remaining()
            waits = [seconds for seconds in (timeout, left) if seconds is not None]
            timeout = min(waits, default=None)
        unless = self._reader_has_news if event == READ else self._writer_has_news
        self.lifetime.wait([(self.fileno(), self.interests(event))], timeout, unless)

    def _reader_has_news(self) -> bool:
        return self._news_for_reader

    def _writer_has_news(self) -> bool:
        return self._news_for_writer

    def _release(self) -> None:
        """Says goodbye as far as that goes without waiting."""
        with self._lock:
            try:
                if self._shake():
                    self._engine.close_notify()
                self._flush()
                for _ in range(_LAST_RECEIVES):
                    if not self._bytes.receive(_CHUNK):
                        break
            except OSError:
                pass
        self._bytes.lifetime.end()


_local = threading.local()


def _space() -> memoryview:
    """Where this thread receives ciphertext."""
    try:
        space: memoryview = _local.space
    except AttributeError:
        space = _local.space = memoryview(bytearray(_CHUNK))
    return space


def _piece(buffers: Sequence[Buffer]) -> bytes | memoryview:
    """What is encrypted next."""
    first = memoryview(buffers[0])
    if len(buffers) > 1 and len(first) < _RECORD:
        return b"".join([first, memoryview(buffers[1])[: _RECORD - len(first)]])
    return first[:_PIECE]
