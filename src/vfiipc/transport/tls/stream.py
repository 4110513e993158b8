"""A byte stream that encrypts: a TLS engine over a socket.

Reader, writer and callbacks share the engine, so one lock guards it. It is held for one step at a
time, never while somebody waits. It can be taken again by a signal handler that interrupts a step,
so each step leaves what it shares in order: bytes move from one place to the next within one
expression of C calls, and no signal handler runs between those.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from .. import system
from ..byte_stream import ByteStream
from ..deadline import Deadline
from ..lifetime import Lifetime
from ..sockets import SocketStream
from ..system import READ, WRITE
from .engine import RECORD, Engine
from .errors import failed, interrupted

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["TLSStream"]

# Ciphertext of one receive, and plaintext that is encrypted at once: 1.1 times the speed of half.
_CHUNK: Final = 262144
# Receives before a close, which would otherwise break the connection because of unread bytes.
_LAST_RECEIVES: Final = 16
# Bytes of unsent answers to records without data, at which a connection ends: some 2,000 answers.
_MOST_ANSWERS: Final = 65536
# Seconds between two looks of those who wait for a step of the handshake that another call makes.
_LOOK: Final = 0.25


class _Phase(Enum):
    HANDSHAKE = "the handshake is not complete"
    OPEN = "data can flow"
    FAILED = "the handshake has failed, or the session is of no use any more"


class TLSStream(ByteStream):
    """TLS over a connected socket, which it owns.

    The handshake is made by whoever reads, writes or looks first. One call of ``receive`` or
    ``send`` processes a bounded amount of ciphertext, whatever the peer sends.

    Args:
        sock: the socket.
        engine: this side of the session.
        lifetime: of the connection.
        remote: the peer's address as the user shall see it.
        handshake: until when the handshake has to be complete.
    """

    def __init__(
        self,
        sock: socket.socket,
        engine: Engine,
        lifetime: Lifetime,
        *,
        remote: str,
        handshake: Deadline,
    ) -> None:
        super().__init__(lifetime)
        self._bytes = SocketStream(sock, lifetime, remote=remote)
        self.socket = sock  # for its options
        self.local, self.remote = self._bytes.local, self._bytes.remote
        self._fileno = sock.fileno()
        self._receive_flags, self._send_flags = system.flags()
        self._engine = engine
        self._deadline = handshake
        self._lock = threading.RLock()
        self._phase = _Phase.HANDSHAKE
        self._cause: OSError | None = None  # of FAILED
        self._plain: list[bytes] = []  # decrypted; b"" at the end of the stream
        self._read_failure: OSError | None = None  # what comes after them
        self._unsent = bytearray()  # ciphertext
        self._write_failure: OSError | None = None
        self._answers = 0  # bytes among _unsent that answer the peer's own records
        self._withheld_byte = (
            False  # the last byte of a piece that was encrypted, but not sent to its end
        )
        self._again = {READ: False, WRITE: False}  # whether the next wait is not to wait
        self._inherited = False  # by a fork, and not used since
        _streams.add(self)

    def fileno(self) -> int:
        return self._fileno

    # --- reading

    def receive(self, limit: int) -> bytes | None:
        plain = self._plain
        if not plain:
            with self._lock:
                self._pull()
            if not plain:
                return None
        first = plain[0]
        if not first:
            return first
        # From the removal to the return there is no call, at which a signal handler could run.
        if len(first) > limit:
            plain[0] = first[limit:]
            return first[:limit]
        del plain[0]
        return first

    def peek(self, limit: int) -> bytes | None:
        plain = self._plain
        before = len(plain)
        with self._lock:
            self._pull_until(limit)
        if len(plain) > before:
            self._announce()
        return b"".join(plain)[:limit] if plain else None

    def _pull_until(self, limit: int) -> None:
        plain = self._plain
        missing = limit - sum(map(len, plain))
        try:
            while True:
                if missing <= 0 or (plain and not plain[-1]) or not self._pull():
                    break
                missing -= len(plain[-1])
        except OSError:
            # What came before it is shown first.
            if not plain:
                raise

    def _pull(self) -> bool:
        """Appends plaintext, or the end, to ``_plain``; whether it found any.

        Ciphertext is received once at most: a peer can send records without data for ever.

        Raises:
            OSError: the connection is broken.
        """
        # A peer that sends many records without data gets less time for the next ones (IPC-S11).
        limit = RECORD if self._again[READ] else _CHUNK
        self._again[READ] = False
        if self._phase is not _Phase.OPEN and not self._step_handshake():
            return False
        if self._read_failure is not None:
            raise self._read_failure
        plain, engine = self._plain, self._engine
        try:
            if engine.read(plain):
                return True
            self._answer()
            if not self._fill(limit):
                return False
            if engine.read(plain):
                return True
            self._again[READ] = True  # there may be more
            self._answer()
        except OSError as cause:
            self._read_failure = cause
            self._flush_quietly()  # an alert
            raise
        return False

    def _fill(self, limit: int) -> bool:
        """Brings ciphertext from the socket into the engine; False when there is none."""
        self._inherited = False
        try:
            self._engine.fill(self.socket.recv, limit, self._receive_flags)
        except (BlockingIOError, InterruptedError):
            return False
        return True

    def _answer(self) -> None:
        """Sends what the engine answers to records without data (IPC-S11).

        Raises:
            OSError: the peer asks for a renegotiation, or does not read the answers.
        """
        unsent = self._unsent
        before = len(unsent)
        self._engine.drain(unsent)
        self._answers += len(unsent) - before
        if len(unsent) > before and self._engine.is_tls12:
            # Nothing else is answered there, and to refuse alone would invite the next request.
            raise self._fail(failed("RENEGOTIATION", "the peer has asked to renegotiate"))
        if unsent:
            self._flush_quietly()
        if self._answers > _MOST_ANSWERS:
            text = "the peer asks for changes of keys and does not read the answers"
            raise self._fail(failed("UNREAD_ANSWERS", text))

    # --- the handshake

    def make_handshake(self, deadline: Deadline) -> None:
        """Waits until the handshake is complete.

        Raises:
            OSError: it has failed, or its time or ``deadline`` has passed (``TimeoutError``).
            InterruptedError: the lifetime has ended.
        """
        while not self.do_handshake():
            if deadline.passed():
                raise TimeoutError("the time was up before the handshake was complete")
            self.wait(READ, deadline.remaining())
            if self.lifetime.ended:
                raise InterruptedError

    def do_handshake(self) -> bool:
        """Makes a step of the handshake, without waiting; True when it is complete.

        Raises:
            OSError: it has failed, or its time has passed (``TimeoutError``).
        """
        with self._lock:
            self._again[READ] = False
            return self._step_handshake()

    def _step_handshake(self) -> bool:
        if self._phase is _Phase.OPEN:
            return True
        if self._cause is not None:
            raise self._cause
        engine = self._engine
        try:
            done = engine.handshake()
            self._flush()
            if not done:
                if not self._fill(RECORD):
                    if self._deadline.passed():  # IPC-S7
                        raise TimeoutError("the time was up before the handshake was complete")
                    return False
                done = engine.handshake()
                self._flush()
        except OSError as cause:
            self._fail(cause)
            self._flush_quietly()  # an alert
            self._tell_others()
            raise
        if done:
            self._phase = _Phase.OPEN
        self._tell_others()
        return done

    def _fail(self, cause: OSError) -> OSError:
        """Ends the session in both directions; returns ``cause``, unless there was one before."""
        if self._cause is None:
            self._cause = cause
        self._phase = _Phase.FAILED
        return self._cause

    def _tell_others(self) -> None:
        """Has both reader and writer look again: the descriptor does not tell of such a step."""
        self._again[READ] = self._again[WRITE] = True
        self.lifetime.nudge()

    def _announce(self) -> None:
        on_ready = self.on_ready
        if on_ready is not None:
            on_ready()

    # --- writing

    def send(self, buffers: Sequence[Buffer]) -> int:
        opening = self._phase is _Phase.HANDSHAKE
        try:
            with self._lock:
                self._again[WRITE] = self._inherited = False
                return self._encrypt(buffers) if self._step_handshake() and self._flush() else 0
        finally:
            if opening and self._phase is not _Phase.HANDSHAKE:
                self._announce()

    def _encrypt(self, buffers: Sequence[Buffer]) -> int:
        if self._withheld_byte:
            self._withheld_byte = False
            return 1
        # What is encrypted has to go out, so nothing is while the socket is full (IPC-S10).
        if not system.wait([(self._fileno, WRITE)], 0):
            return 0
        piece = _piece(buffers)
        count = self._engine.write(piece) if len(piece) else 0
        # A caller who gives up now has to know that its message was begun.
        if not self._flush() and count > 1:
            self._withheld_byte = True
            return count - 1
        return count

    def _flush(self) -> bool:
        """Sends ciphertext; True when none is left."""
        if self._write_failure is not None:
            raise self._write_failure
        unsent = self._unsent
        self._engine.drain(unsent)
        if unsent:
            try:
                sent = map(self.socket.send, (unsent,), (self._send_flags,))
                any(map(unsent.__delitem__, map(slice, (0,), sent)))
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as cause:
                self._write_failure = cause
                self._write_failure = self._explained(cause)
                raise self._write_failure from None
            if unsent:
                return False
        self._answers = 0
        return True

    def _explained(self, cause: OSError) -> OSError:
        """The alert of a peer that has gone, if one came; with TLS 1.3 a refusal comes so late."""
        if self._phase is _Phase.OPEN and not self._plain:
            try:
                self._pull()
            except ssl.SSLEOFError:
                pass
            except ssl.SSLError as alert:
                return alert
            except OSError:
                pass
        return cause

    def _flush_quietly(self) -> None:
        try:
            self._flush()
        except OSError:
            pass  # the next send meets it; who reads goes on

    # --- both

    def wait(self, event: int, timeout: float | None) -> None:
        unless = self._reader_may_go_on if event == READ else self._writer_may_go_on
        if self._phase is _Phase.HANDSHAKE:
            # It may need either direction, whoever waits for it.
            event = READ | WRITE if self._unsent else READ
            left = self._deadline.within(_LOOK)
            timeout = left if timeout is None else min(timeout, left)
        self.lifetime.wait([(self._fileno, event)], timeout, unless)

    def _reader_may_go_on(self) -> bool:
        return self._again[READ] or bool(self._plain)

    def _writer_may_go_on(self) -> bool:
        return self._again[WRITE]

    def close(self) -> None:
        # No lock: a call that was interrupted for good may have been inside.
        if self._phase is _Phase.OPEN and not self._inherited:
            try:
                self._engine.close_notify()  # IPC-S9
                self._flush()
                for _ in range(_LAST_RECEIVES):
                    if not self.socket.recv(_CHUNK, self._receive_flags):
                        break
            except OSError:
                pass
        self._bytes.close()

    def note_fork(self) -> None:
        """In a forked child: the parent's threads are gone, with what they held (IPC-S13)."""
        if not self._lock.acquire(blocking=False):
            self._fail(interrupted())
        self._lock = threading.RLock()
        self._inherited = True

    # --- for callbacks

    def has_pending(self) -> bool:
        if self._plain:
            return True
        # The frame is kept in no variable: it would be a cycle.
        if not self.lifetime.enter(sys._getframe()):
            return False
        try:
            try:
                with self._lock:
                    self._pull()
                found = bool(self._plain)
            except OSError:
                found = True
            if found:
                self._tell_others()  # the descriptor is silent now
            return found
        finally:
            self.lifetime.leave(sys._getframe())

    def is_spurious(self) -> bool:  # IPC-S8
        return not self.has_pending()

    def recheck_at(self) -> float | None:
        left = self._deadline.remaining() if self._phase is _Phase.HANDSHAKE else None
        return None if left is None else time.monotonic() + left


def _piece(buffers: Sequence[Buffer]) -> bytes | memoryview:
    """What is encrypted next."""
    first = memoryview(buffers[0])
    if len(buffers) > 1 and len(first) < RECORD:
        # A header and what follows it fit into one record.
        return b"".join([first, memoryview(buffers[1])[: RECORD - len(first)]])
    return first[:_CHUNK]


_streams: WeakSet[TLSStream] = WeakSet()


@system.after_fork
def _note_fork() -> None:
    for stream in list(_streams):
        stream.note_fork()
