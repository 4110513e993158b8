"""``ScriptedPeer``: a server for tests that answers and misbehaves according to a script."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..codec import Buffer, Framer, Message, check_integer
from ..faults import Action, Delivery, End, Ending, Send, check_seconds
from .matching import ANYTHING, criteria
from .peer_loop import PeerLoop
from .problems import PeerFailure, Received
from .runner import ScriptRunner
from .script import Answer, Expectation, Reaction, actions, answer_data

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["DEFAULT_PREFIX", "DEFAULT_SIZE_LIMIT", "ScriptedPeer"]

DEFAULT_PREFIX: Final = 0xC0DEFACE
DEFAULT_SIZE_LIMIT: Final = 65536

_HERE = str(Path(__file__).parent)
_HOST: Final = "127.0.0.1"
_SOON: Final = 5.0  # seconds; a generous time-out for immediate actions


class ScriptedPeer:
    """Replaces a terminal in tests: a real server that answers and misbehaves as scripted.

    Use it as a context manager. On exit, it verifies that it received all expected messages and no
    others. The fixture ``ipc_peer`` provides one. Thread safe.

    Args:
        prefix: the synchronisation mark of both directions, 0..2**32-1.
        size_limit: maximum data size of a message from the program, in bytes, 0..2**31-5.
        tls: whether to use TLS. True creates a certificate (needs ``trustme``) whose authority is
            in ``ca_file``; or pass the ``SSLContext`` of a server.
        pipe: whether to listen on a Unix socket. True chooses a path; or pass an unused path.

    Raises:
        TypeError, ValueError: an argument is invalid.
        OSError: it cannot listen there.
    """

    def __init__(
        self,
        *,
        prefix: int = DEFAULT_PREFIX,
        size_limit: int = DEFAULT_SIZE_LIMIT,
        tls: bool | ssl.SSLContext = False,
        pipe: bool | str | Path = False,
    ) -> None:
        Framer(prefix, size_limit)  # raises if they are invalid
        if not isinstance(tls, (bool, ssl.SSLContext)):
            raise TypeError(f"tls must be a bool or an SSLContext, not {type(tls).__name__}")
        if not isinstance(pipe, (bool, str, Path)):
            raise TypeError(f"pipe must be a bool or a path, not {type(pipe).__name__}")
        if tls and pipe:
            raise ValueError("tls and pipe cannot be combined")
        #: The framing parameters of the peer.
        self.prefix: int = prefix
        self.size_limit: int = size_limit
        #: The address for the program under test to connect to: ``tcp://``, ``tls://`` or ``pipe://``.
        self.address: str = ""
        #: With ``tls=True``: the PEM file with the authority that the program must trust.
        self.ca_file: str = ""
        self._tls, self._pipe = tls, pipe
        self._runner = ScriptRunner(prefix, size_limit)
        self._reported: str | None = None
        self._closing = ExitStack()
        self._loop: PeerLoop | None = None

    # --- start and end

    def __enter__(self) -> ScriptedPeer:
        if self._loop is not None:
            raise RuntimeError("a ScriptedPeer can be entered only once")
        with ExitStack() as stack:
            context = self._tls_context(stack)
            listener = self._listen(stack)
            self._loop = PeerLoop(self._runner, listener, context)
            stack.callback(self._loop.stop)
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                text = self.news()
                if text is not None:
                    raise PeerFailure(text)
            elif isinstance(error, Exception):
                self.explain(error)
        finally:
            self.close()

    def close(self) -> None:
        """Closes all connections without verifying. May be called repeatedly."""
        self._closing.close()

    def _tls_context(self, stack: ExitStack) -> ssl.SSLContext | None:
        if not self._tls or isinstance(self._tls, ssl.SSLContext):
            return self._tls or None
        try:
            import trustme
        except ModuleNotFoundError as error:
            hint = "tls=True needs trustme; in a clone of vfiipc: pip install '.[testing]'"
            raise ModuleNotFoundError(hint, name=error.name) from error
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(_HOST, "localhost").configure_cert(context)
        self.ca_file = str(Path(_temporary(stack)) / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        return context

    def _listen(self, stack: ExitStack) -> socket.socket:
        if not self._pipe:
            listener = socket.create_server((_HOST, 0))
            scheme = "tls" if self._tls else "tcp"
            self.address = f"{scheme}://{_HOST}:{listener.getsockname()[1]}"
            return listener
        path = str(Path(_temporary(stack)) / "peer") if self._pipe is True else str(self._pipe)
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(path)
        except OSError:
            listener.close()
            raise
        stack.callback(Path(path).unlink, missing_ok=True)
        self.address = f"pipe://{path}"
        return listener

    # --- the script

    def expect(
        self,
        data: Buffer | re.Pattern[bytes] | Callable[[bytes], object] | None = None,
        *,
        msg_id: int | None = None,
        json: Any = ANYTHING,
        json_subset: Any = ANYTHING,
        connection: int | None = None,
    ) -> Expectation:
        """Expects a message after those expected before; without arguments, any message.

        Args:
            data: the data; or a compiled pattern that must match all of it; or a function that is
                called with it and returns whether it is accepted.
            msg_id: the ID.
            json: the JSON value of the data; or a function, as for ``data``.
            json_subset: like ``json``, but objects may have additional members.
            connection: the number of the connection, from 1. Expectations for one connection must
                be met in order. Those without a number must also be met in order, but on any
                connection.

        Returns:
            The expectation. Its methods script the reaction: ``.answer(b"...")``.

        Raises:
            TypeError, ValueError: an argument is invalid.
        """
        found = criteria(data, msg_id, json, json_subset)
        _check_number(connection)
        expectation = Expectation(found, connection, _caller())
        with self._runner.changed:
            self._runner.script.expectations.append(expectation)
        return expectation

    def on_connect(self) -> Reaction:
        """The reaction to each connection: ``peer.on_connect().answer(b"ready", msg_id=1)``."""
        return self._runner.greeting

    def scripting(self) -> AbstractContextManager[Any]:
        """Holds back incoming messages in a ``with`` block, to script while the program runs."""
        return self._runner.changed

    # --- immediate actions

    def send(
        self,
        data: Buffer = b"",
        msg_id: int = 0,
        *,
        json: Any = ANYTHING,
        connection: int | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        """Sends an unsolicited message; waits until there is a connection.

        Args:
            data: bytes-like.
            msg_id: ``-2**31..2**31-1``.
            json: a value to send as JSON, instead of ``data``.
            connection: the number of the connection; by default, the latest.
            delivery: the faults to apply.

        Raises:
            TypeError, ValueError: an argument is invalid.
            TimeoutError: there is no such connection, or it has ended.
        """
        answer = Answer(answer_data(data, json), msg_id, delivery=delivery or Delivery())
        self._perform(list(actions([answer], None, self.prefix, self.size_limit)), connection)

    def send_bytes(self, data: Buffer, *, connection: int | None = None) -> None:
        """Sends bytes that need not be a message; ``connection``, and errors, as for ``send``."""
        self._perform([Send(answer_data(data, ANYTHING))], connection)

    def disconnect(self, ending: Ending = "close", *, connection: int | None = None) -> None:
        """Ends a connection.

        Args:
            ending: ``"close"``; ``"reset"``, not on a Unix socket; or ``"silence"``, which keeps it
                open but sends nothing more.
            connection: the number of the connection; by default, the latest.

        Raises:
            TypeError, ValueError: an argument is invalid.
            TimeoutError: there is no such connection, or it has ended.
        """
        self._perform([End(Delivery(ending=ending).ending)], connection)

    def _perform(self, what: Iterable[Action], number: int | None) -> None:
        _check_number(number)
        loop = self._loop
        if loop is None:
            raise RuntimeError("the peer has not been started: use `with ScriptedPeer() as peer`")
        runner = self._runner
        with runner.changed:
            if not runner.changed.wait_for(lambda: runner.connection(number), _SOON):
                which = "open connection" if number is None else f"open connection {number}"
                raise TimeoutError(f"{self.address} has no {which} within {_SOON:g} s")
            connection = runner.connection(number)
        assert connection is not None
        loop.perform(connection, what)

    # --- received messages

    @property
    def received(self) -> list[Received]:
        """The received messages in order, each with the number of its connection."""
        with self._runner.changed:
            return list(self._runner.came)

    @property
    def messages(self) -> list[Message]:
        """The received messages, in order."""
        return [message for _, message in self.received]

    def verify(self, timeout: float = 0.0, *, complete: bool = True) -> None:
        """Checks that all expected messages have arrived, and no others.

        Messages that were sent before the call count, even if the peer has not read them yet.

        Args:
            timeout: how long to wait for messages that have not been sent yet, in seconds.
            complete: whether all expected messages must have arrived. If False, only unexpected
                messages and other problems are reported.

        Raises:
            PeerFailure: the check failed. The message says what was expected and what arrived.
        """
        __tracebackhide__ = True
        text = self._failure(check_seconds("timeout", timeout), complete)
        if text is not None:
            self._reported = text
            raise PeerFailure(text)

    def news(self, *, complete: bool = True) -> str | None:
        """The failure that ``verify`` would raise, unless it was reported before; None if none."""
        text = self._failure(0, complete)
        return None if text == self._reported else text

    def explain(self, error: BaseException) -> None:
        """Adds the failure of the peer, if any, to an error of the test.

        An unexpected message becomes the cause of the error, because the program got no answer.
        Missing messages become a note, because the error may have prevented them.
        """
        text = self.news()
        if text is None:
            return
        self._reported = text
        if self._runner.problems:
            _root(error).__cause__ = PeerFailure(text)
        else:  # Python 3.10 has no `add_note`
            vars(error).setdefault("__notes__", []).append(text)

    def _failure(self, timeout: float, complete: bool) -> str | None:
        if self._loop is None:
            return None
        self._loop.settle()
        if complete:
            self._runner.wait(timeout)
            self._loop.settle()
        return self._runner.failure(self.address, complete)


def _root(error: BaseException) -> BaseException:
    """The first error in the chain of causes and contexts."""
    while True:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return error
        error = cause


def _temporary(stack: ExitStack) -> str:
    return stack.enter_context(tempfile.TemporaryDirectory(prefix="vfiipc-"))


def _check_number(connection: int | None) -> None:
    if connection is not None:
        check_integer("connection", connection, 1)


def _caller() -> str:
    """File and line of the caller outside this package."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
