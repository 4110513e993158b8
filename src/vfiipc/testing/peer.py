"""``ScriptedPeer``: a server for tests that answers, and misbehaves, according to a script."""

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

from ..codec import Framer, Message, check_integer
from ..faults import Action, Delivery, End, Ending, Send, check_seconds
from .matching import ANYTHING, criteria
from .peer_loop import PeerLoop
from .problems import PeerFailure, Received
from .runner import ScriptRunner
from .script import Answer, Expectation, Reaction, actions, answer_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer, Self

__all__ = ["DEFAULT_PREFIX", "DEFAULT_SIZE_LIMIT", "ScriptedPeer"]

DEFAULT_PREFIX: Final = 0xC0DEFACE
DEFAULT_SIZE_LIMIT: Final = 65536

_HERE = str(Path(__file__).parent)
_HOST: Final = "127.0.0.1"
_SOON: Final = 5.0  # seconds for what should take no time


class ScriptedPeer:
    """Stands in for a terminal: a real server that answers and misbehaves as scripted.

    It works between ``__enter__`` and ``__exit__``, which verifies that everything expected has
    come and nothing else. The fixture ``ipc_peer`` is one. Thread safe.

    Args:
        prefix: the synchronisation mark of both directions, 0..2**32-1.
        size_limit: maximum data size of a message from the program, in bytes, 0..2**31-5.
        tls: speak TLS; True makes a certificate (needs ``trustme``) whose authority is in
            ``ca_file``; or a server's ``SSLContext``.
        pipe: listen on a Unix socket: True chooses a path; or the path, which must be free.

    Raises:
        TypeError, ValueError: an argument is wrong.
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
        Framer(prefix, size_limit)  # raises where they are wrong
        if not isinstance(tls, (bool, ssl.SSLContext)):
            raise TypeError(f"tls must be a bool or an SSLContext, not {type(tls).__name__}")
        if not isinstance(pipe, (bool, str, Path)):
            raise TypeError(f"pipe must be a bool or a path, not {type(pipe).__name__}")
        if tls and pipe:
            raise ValueError("tls and pipe cannot be combined")
        #: What the peer speaks.
        self.prefix: int = prefix
        self.size_limit: int = size_limit
        #: Where the program under test connects to: ``tcp://``, ``tls://`` or ``pipe://``.
        self.address: str = ""
        #: With ``tls=True``: the PEM file with the authority that the program has to believe.
        self.ca_file: str = ""
        self._tls, self._pipe = tls, pipe
        self._runner = ScriptRunner(prefix, size_limit)
        self._reported: str | None = None
        self._closing = ExitStack()
        self._loop: PeerLoop | None = None

    # --- start and end

    def __enter__(self) -> Self:
        if self._loop is not None:
            raise RuntimeError("a ScriptedPeer can be entered once")
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
        """Closes all connections, without verifying; may be called again."""
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
        """Expects a message, behind those expected before; without arguments, any message.

        Args:
            data: the data; a compiled pattern that matches all of it; or a function that is called
                with it and tells whether it fits.
            msg_id: the ID.
            json: the value that the data holds as JSON; or a function, as for ``data``.
            json_subset: the same, but objects may have further members.
            connection: the number of the connection, from 1 on. Expectations of one connection are
                met in their order; so are those without a number, on whichever connection.

        Returns:
            The expectation, of which the reaction is scripted: ``.answer(b"...")``.

        Raises:
            TypeError, ValueError: an argument is wrong.
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
        """Holds back arriving messages in a ``with`` block, to script while the program runs."""
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
        """Sends a message that answers nothing, once there is a connection.

        Args:
            data: bytes-like.
            msg_id: -2**31..2**31-1.
            json: instead of data: a value that is sent as JSON.
            connection: the number of the connection; by default, the latest.
            delivery: the faults to apply.

        Raises:
            TypeError, ValueError: an argument is wrong.
            TimeoutError: there is no such connection, or it has ended.
        """
        answer = Answer(answer_data(data, json), msg_id, delivery=delivery or Delivery())
        self._perform(list(actions([answer], None, self.prefix, self.size_limit)), connection)

    def send_bytes(self, data: Buffer, *, connection: int | None = None) -> None:
        """Sends bytes as they are, once there is a connection; as for ``send``."""
        self._perform([Send(answer_data(data, ANYTHING))], connection)

    def disconnect(self, ending: Ending = "close", *, connection: int | None = None) -> None:
        """Ends a connection; by default, the latest."""
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
        """Checks that everything expected has come, and nothing else.

        What has been sent to the peer by now counts, even if the peer has not looked at it yet.

        Args:
            timeout: seconds to wait for what has not been sent yet.
            complete: whether everything expected must have come; without, only what came is judged.

        Raises:
            PeerFailure: it is not so; the text says what was expected and what came.
        """
        __tracebackhide__ = True
        text = self._failure(check_seconds("timeout", timeout), complete)
        if text is not None:
            self._reported = text
            raise PeerFailure(text)

    def news(self, *, complete: bool = True) -> str | None:
        """The failure that ``verify`` would raise; None if there is none, or it was reported."""
        text = self._failure(0, complete)
        return None if text == self._reported else text

    def explain(self, error: BaseException) -> None:
        """Adds to an error of the test what went wrong here.

        A message that was not expected becomes the cause of the error, for the program got no
        answer. What has merely not come becomes a note: the error may have prevented it.
        """
        text = self.news()
        if text is None:
            return
        self._reported = text
        if self._runner.problems:
            _root(error).__cause__ = PeerFailure(text)
        else:  # `add_note` is younger than Python 3.10
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
    """The first error of those that are shown with this one."""
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
    """File and line of the call from outside this package."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
