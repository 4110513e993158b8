"""What an IPC object holds, and how that changes: connecting, listening, accepting, closing.

It holds one ``MessageStream``, a new one for each attempt to open it, and the listener beside it.
The stream's lifetime begins with the attempt, so ``close`` ends whatever is in progress by ending
that lifetime. An object that is not open has a stream, too: its flags and ``last_error`` have to be
somewhere (IPC-X3, IPC-X6), and the stream is where they are.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from typing import ClassVar, NoReturn, TypeVar

from . import system
from .byte_stream import ByteStream, Listening
from .callbacks import CallbackRegistration
from .deadline import Deadline
from .lifetime import Lifetime
from .logs import ConnectionLog, connection_log
from .message_stream import MessageStream

__all__ = ["Holder"]

Peer = TypeVar("Peer", bound="Holder")
Opened = TypeVar("Opened")


class Holder:
    """The part of ``IPC`` that all transports open and close in the same way. Thread safe."""

    #: The logger of this class's connections.
    _logger: ClassVar[str] = "vfiipc"

    def __init__(self) -> None:
        #: Whether ``read_msg`` treats lost synchronisation as an error instead of searching on.
        self.strict = False
        self._messages = MessageStream()
        self._listener: Listening | None = None
        self._registration: CallbackRegistration | None = None

    def __reduce__(self) -> NoReturn:
        # `copy` and `pickle` call this: a copy would close the connection of its original.
        kind = type(self).__name__
        raise TypeError(f"{kind} objects cannot be copied or pickled: each owns its connection")

    def __del__(self) -> None:
        # It may run at any moment in any thread, so it takes no lock; nor does ending a lifetime.
        messages = getattr(self, "_messages", None)
        if messages is not None and self._in_use():
            try:
                warning = f"{self!r} was not closed"
                warnings.warn(warning, ResourceWarning, source=self, stacklevel=2)
            finally:
                messages.lifetime.end()

    def _in_use(self) -> bool:
        return self._messages.stream is not None or self._listener is not None

    def _renew(self, fresh: MessageStream | None = None) -> MessageStream:
        """Ends what the object holds, and gives it a new stream, not open by default."""
        fresh = fresh or MessageStream()
        fresh.log_to(self._new_log(open_=False))
        # The old stream ends first: if an exception strikes before the exchange, the object is
        # ended, and the next `close` continues from there.
        self._end(self._messages, self._registration)
        with system.exchanging:
            old, listener, registration = self._messages, self._listener, self._registration
            # The old stream takes flags, buffer and callback with it (IPC-X5, IPC-Z6, IPC-C6).
            self._messages, self._listener, self._registration = fresh, None, None
        self._end(old, registration)
        if old.log is not None:
            if old.stream is not None:
                old.log.event(f"closed, {old.framer.discarded} bytes discarded")
            elif listener is not None:
                old.log.event(f"no longer listens on {listener.local}")
        return fresh

    def _end(self, messages: MessageStream, registration: CallbackRegistration | None) -> None:
        if registration is not None:
            registration.cancel()  # before the descriptor can be closed (IPC-C5)
        messages.lifetime.end()

    def _open(self, messages: MessageStream, stream: ByteStream, how: str = "connected") -> bool:
        """Attaches a stream to the result of ``_renew``; ``how`` is for the log.

        False if the object was closed since; the stream is then closed.
        """
        if not messages.open(stream):
            return False
        messages.log_to(self._new_log(open_=True))
        if messages.log is not None:
            messages.log.event(f"{how}: {stream.local or '?'} to {stream.remote or '?'}")
        return True

    def _listen_on(self, messages: MessageStream, listener: Listening) -> bool:
        """The same for a listener."""
        with system.exchanging:
            if self._messages is messages:
                self._listener = listener
        if not messages.lifetime.own(listener.close):
            return False
        if messages.log is not None:
            messages.log.event(f"listens on {listener.local}")
        return True

    def _new_log(self, *, open_: bool) -> ConnectionLog | None:
        return connection_log(self._logger, type(self).__name__, open_=open_)

    def _refuse(self, cause: Exception) -> bool:
        """Records why something was refused."""
        self._messages.note(cause)
        return False

    def _connect_by(self, reach: Callable[[Lifetime], ByteStream]) -> bool:
        """Closes what the object held and opens what ``reach`` returns; whether it succeeded.

        ``reach`` raises ``OSError`` or ``ValueError`` if it cannot connect, and
        ``InterruptedError`` if the lifetime that it is given has ended.
        """
        return self._begin(reach, self._open)

    def _listen_by(self, bind: Callable[[Lifetime], Listening]) -> bool:
        """The same for a listener."""
        return self._begin(bind, self._listen_on)

    def _begin(
        self, make: Callable[[Lifetime], Opened], use: Callable[[MessageStream, Opened], bool]
    ) -> bool:
        messages = self._renew()
        try:
            opened = make(messages.lifetime)
        except InterruptedError:
            return False
        except (OSError, ValueError) as cause:  # IPC-G3
            messages.note(cause)
            return False
        return use(messages, opened)

    def _accept_by(
        self,
        timeout_msec: float,
        make_peer: Callable[[], Peer],
        take: Callable[..., ByteStream],
    ) -> Peer | None:
        """As ``IPC.accept``. ``make_peer`` creates the object for a connection.

        ``take`` creates the stream from what the listener accepts and the connection's lifetime. It
        owns what was accepted, even if it raises ``OSError``.
        """
        deadline = Deadline(timeout_msec)
        messages, listener = self._messages, self._listener
        try:
            if listener is None:
                raise OSError(
                    errno.EINVAL, "accept needs an object that listens; call listen first"
                )
            accepted = listener.accept(deadline)
            if accepted is None:
                return None
            peer = make_peer()
            stream = take(*accepted, peer._messages.lifetime)
        except OSError as cause:
            messages.note(cause)
            return None
        peer.strict = self.strict
        peer._open(peer._messages, stream, "accepted")
        return peer

    def _register(self, messages: MessageStream, registration: CallbackRegistration | None) -> bool:
        """Exchanges the registration; if the object was closed since, cancels it: False."""
        with system.exchanging:
            current = self._messages is messages
            if current:
                registration, self._registration = self._registration, registration
        if registration is not None:
            registration.cancel()
        return current
