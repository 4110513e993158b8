"""A byte stream that encrypts: a TLS engine over a socket.

Reader, writer and callbacks share the engine, so one lock guards it. A call holds it for one step,
never while it waits. A signal handler that interrupts a step can take it again, so each step keeps
shared state consistent: bytes move within one expression of C calls, and no signal handler runs
between those.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Final
from weakref import WeakSet

from ...codec import Buffer
from .. import system
from ..byte_stream import ByteStream
from ..deadline import Deadline
from ..lifetime import Lifetime
from ..sockets import SocketStream
from ..system import READ, WRITE
from .engine import RECORD, Engine
from .errors import failed, interrupted

__all__ = ["TLSStream"]

# Ciphertext of one receive, and plaintext that is encrypted at once; less is slower.
_CHUNK: Final = 262144
# Receives before a close: with unread bytes, the system would break the connection.
_LAST_RECEIVES: Final = 16
# Unsent answers to records without data, in bytes, at which a connection ends: some 2,000 answers.
_MOST_ANSWERS: Final = 65536
# Seconds after which a call that waits for the handshake checks whether another call has made it.
_CHECK_EVERY: Final = 0.25


_TOO_LATE: Final = "timed out before the handshake was complete"


class _Phase(Enum):
    HANDSHAKE = "the handshake is not complete"
    OPEN = "data can flow"
    FAILED = "the handshake has failed, or the session cannot be used any more"


class TLSStream(SocketStream):
    """TLS over a connected socket, which it owns.

    The first call that reads, writes or looks makes the handshake. One call of ``receive`` or
    ``send`` processes a bounded amount of ciphertext, whatever the peer sends.

    Args:
        sock: the socket.
        engine: this side of the session.
        lifetime: of the connection.
        remote: the peer's address, as shown to users.
        handshake: the deadline of the handshake.
    """

    descriptor_tells = False
    waiting = ByteStream.waiting

    def __init__(
        self,
        sock: socket.socket,
        engine: Engine,
        lifetime: Lifetime,
        *,
        remote: str,
        handshake: Deadline,
    ) -> None:
        super().__init__(sock, lifetime, remote=remote)
        self._engine = engine
        self._deadline = handshake
        self._lock = threading.RLock()
        self._phase = _Phase.HANDSHAKE
        self._cause: OSError | None = None  # of FAILED
        self._plain: list[bytes] = []  # decrypted; b"" at the end of the stream
        self._read_failure: OSError | None = None  # what follows them
        self._unsent = bytearray()  # ciphertext
        self._write_failure: OSError | None = None
        self._answers = 0  # bytes among _unsent that answer the peer's own records
        self._withheld_byte = False  # see `_encrypt`
        self._again = {READ: False, WRITE: False}  # whether the next wait must return at once
        self._inherited = False  # by a fork, and not used since
        _streams.add(self)

    # --- reading

    def receiving(self, limits: Iterable[int]) -> Iterator[bytes | None]:
        return map(self.receive, limits)

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
        # No call between the removal and the return: a signal handler could run there.
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
            self.tell_ready()
        return b"".join(plain)[:limit] if plain else None

    def _pull_until(self, limit: int) -> None:
        plain = self._plain
        missing = limit - sum(map(len, plain))
        try:
            while missing > 0 and (not plain or plain[-1]) and self._pull():
                missing -= len(plain[-1])
        except OSError:
            if not plain:  # what came before it is shown first
                raise

    def _pull(self) -> bool:
        """Appends plaintext, or the end, to ``_plain``; returns whether there was any.

        It receives once at most: a peer can send records without data forever.

        Raises:
            OSError: the connection is broken.
        """
        # After records without data, less is received at once (IPC-S11).
        limit = RECORD if self._again[READ] else _CHUNK
        self._again[READ] = False
        if self._phase is not _Phase.OPEN and not self._do_handshake():
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
        """Moves ciphertext from the socket into the engine; False if there is none."""
        self._inherited = False
        try:
            self._engine.fill(self.socket.recv, limit, self._receive_flags)
        except (BlockingIOError, InterruptedError):
            return False
        return True

    def _answer(self) -> None:
        """Sends the engine's answers to records without data (IPC-S11).

        Raises:
            OSError: the peer has asked to renegotiate, or does not read the answers.
        """
        unsent = self._unsent
        before = len(unsent)
        self._engine.drain(unsent)
        self._answers += len(unsent) - before
        if len(unsent) > before and self._engine.is_tls12:
            # TLS 1.2 answers nothing else, and a mere refusal would invite the next request.
            raise self._fail(failed("RENEGOTIATION", "the peer has asked to renegotiate"))
        if unsent:
            self._flush_quietly()
        if self._answers > _MOST_ANSWERS:
            text = "the peer keeps asking for new keys, and does not read the answers"
            raise self._fail(failed("UNREAD_ANSWERS", text))

    # --- the handshake

    def make_handshake(self, deadline: Deadline) -> None:
        """Waits until the handshake is complete.

        Raises:
            OSError: it has failed, or its time or ``deadline`` has passed (``TimeoutError``).
            InterruptedError: the lifetime has ended.
        """
        while True:
            with self._lock:
                self._again[READ] = False
                if self._do_handshake():
                    return
            if deadline.passed():
                raise TimeoutError(_TOO_LATE)
            self.wait(READ, deadline.remaining())
            if self.lifetime.ended:
                raise InterruptedError

    def _do_handshake(self) -> bool:
        """Makes one step of the handshake, without waiting; True when it is complete."""
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
                        raise TimeoutError(_TOO_LATE)
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
        """Ends the session in both directions; returns the first cause of this."""
        if self._cause is None:
            self._cause = cause
        self._phase = _Phase.FAILED
        return self._cause

    def _tell_others(self) -> None:
        """Makes reader and writer check again: the descriptor does not show such a step."""
        self._again[READ] = self._again[WRITE] = True
        self.lifetime.nudge()

    # --- writing

    def send(self, buffers: Sequence[Buffer]) -> int:
        opening = self._phase is _Phase.HANDSHAKE
        try:
            with self._lock:
                self._again[WRITE] = self._inherited = False
                return self._encrypt(buffers) if self._do_handshake() and self._flush() else 0
        finally:
            if opening and self._phase is not _Phase.HANDSHAKE:
                self.tell_ready()

    def _encrypt(self, buffers: Sequence[Buffer]) -> int:
        if self._withheld_byte:
            self._withheld_byte = False
            return 1
        # What is encrypted must be sent, so nothing is while the socket is full (IPC-S10).
        if not system.wait([(self._fileno, WRITE)], 0):
            return 0
        piece = _piece(buffers)
        count = self._engine.write(piece) if len(piece) else 0
        # If not all is sent, the last byte counts with the next call, so that a caller that gives
        # up now knows that its message is incomplete.
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
        """The alert of a peer that has gone, if one came: TLS 1.3 refuses certificates so late."""
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
            pass  # the next send raises it; reading goes on

    # --- both

    def wait(self, event: int, timeout: float | None) -> None:
        def unless() -> bool:
            return self._again[waiter] or (waiter == READ and bool(self._plain))

        waiter = event
        if self._phase is _Phase.HANDSHAKE:
            # It may need either direction, whichever call waits.
            event = READ | WRITE if self._unsent else READ
            left = self._deadline.within(_CHECK_EVERY)
            timeout = left if timeout is None else min(timeout, left)
        self.lifetime.wait([(self._fileno, event)], timeout, unless)

    def close(self) -> None:
        # Without the lock: a call that an exception has ended may have been inside.
        if self._phase is _Phase.OPEN and not self._inherited:
            try:
                self._engine.close_notify()  # IPC-S9
                self._flush()
                for _ in range(_LAST_RECEIVES):
                    if not self.socket.recv(_CHUNK, self._receive_flags):
                        break
            except OSError:
                pass
        super().close()

    def note_fork(self) -> None:
        """In a forked child: the parent's threads are gone, with the lock they held (IPC-S13)."""
        if not self._lock.acquire(blocking=False):
            self._fail(interrupted())
        self._lock = threading.RLock()
        self._inherited = True

    # --- for callbacks

    def has_pending(self) -> bool:
        if self._plain:
            return True
        # No variable holds the frame: that would be a cycle.
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
                self._tell_others()  # the descriptor does not show it any more
            return found
        finally:
            self.lifetime.leave(sys._getframe())

    def is_spurious(self) -> bool:  # IPC-S8
        return not self.has_pending()

    def recheck_at(self) -> float | None:
        left = self._deadline.remaining() if self._phase is _Phase.HANDSHAKE else None
        return None if left is None else time.monotonic() + left


def _piece(buffers: Sequence[Buffer]) -> bytes | memoryview:
    """The bytes to encrypt next."""
    first = memoryview(buffers[0])
    if len(buffers) > 1 and len(first) < RECORD:
        # A header shares a record with what follows it.
        return b"".join([first, memoryview(buffers[1])[: RECORD - len(first)]])
    return first[:_CHUNK]


_streams: WeakSet[TLSStream] = WeakSet()


@system.after_fork
def _note_fork() -> None:
    for stream in list(_streams):
        stream.note_fork()
