"""Applies a script to the messages that a peer receives, and records the messages."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Final

from ..codec import Framer, Message, SyncLostError
from ..faults import Action, End
from .peer_loop import PeerConnection
from .problems import Received, explain_unexpected, named, report
from .script import Expectation, FunctionFailed, Reaction, Script, actions

__all__ = ["ScriptRunner"]

_MAX_PROBLEMS: Final = 100  # problems to keep; the program may never stop sending


class ScriptRunner:
    """The ``Handler`` of a loop. ``changed`` guards all attributes, and is notified of changes."""

    def __init__(self, prefix: int, size_limit: int) -> None:
        self.prefix: int = prefix
        self.size_limit: int = size_limit
        self.changed: threading.Condition = threading.Condition()
        self.script: Script = Script()
        self.greeting: Reaction = Reaction()
        self.connections: list[PeerConnection] = []
        self.came: list[Received] = []
        self.problems: list[str] = []
        self._framers: dict[PeerConnection, Framer] = {}  # of connections that are still read

    def connection(self, number: int | None) -> PeerConnection | None:
        """The connection with this number, or the latest; None if there is none or it has ended."""
        wanted = self.connections[-1:] if number is None else self.connections[number - 1 : number]
        return wanted[0] if wanted and wanted[0].is_open else None

    def wait(self, timeout: float) -> None:
        """Waits until all expected messages have arrived, or there is a problem."""
        with self.changed:
            self.changed.wait_for(lambda: self.problems or not self.script.unmet(), timeout)

    def failure(self, place: str, complete: bool) -> str | None:
        """Describes the problems; with ``complete``, also expectations that were not met."""
        with self.changed:
            if not self.problems and not (complete and self.script.unmet()):
                return None
            return report(place, self.script, self.problems, self.came)

    # --- called by the loop

    def connected(self, connection: PeerConnection) -> None:
        with self.changed:
            self._framers[connection] = Framer(self.prefix, self.size_limit, strict=True)
            self.connections.append(connection)
            connection.perform(self._actions(self.greeting, None))
            self.changed.notify_all()

    def received(self, connection: PeerConnection, data: bytes) -> None:
        with self.changed:
            try:
                for message in self._messages(connection, data):
                    self._take(connection, message)
            except SyncLostError as error:
                self._refuse(connection, f"the program sent bytes that are not a message: {error}")
            self.changed.notify_all()

    def ended(self, connection: PeerConnection) -> None:
        with self.changed:
            framer = self._framers.pop(connection, None)
            number = self.connections.index(connection) + 1
            if framer is not None and framer.pending and connection.is_open:
                pending = framer.pending
                self._note(f"connection {number} ended inside a message, after {pending:,} bytes")
            self.changed.notify_all()

    def failed(self, error: BaseException) -> None:
        with self.changed:
            is_told = isinstance(error, FunctionFailed)
            self._note(str(error) if is_told else f"{type(error).__name__}: {error}")
            self.changed.notify_all()

    def _messages(self, connection: PeerConnection, data: bytes) -> Iterator[Message]:
        """Yields the complete messages, until one of them was refused."""
        framer = self._framers.get(connection)
        if framer is not None:
            framer.receive_data(data)
        while connection in self._framers and (message := self._framers[connection].next_message()):
            yield message

    def _take(self, connection: PeerConnection, message: Message) -> None:
        number = self.connections.index(connection) + 1
        received = Received(number, message)
        self.came.append(received)
        try:
            expectation = self.script.take(message, number)
            problem = "" if expectation is not None else explain_unexpected(self.script, received)
        except FunctionFailed as error:
            self._refuse(connection, str(error))
            return
        if expectation is None:
            self._refuse(connection, problem)
        else:
            connection.perform(self._actions(expectation, message))

    def _actions(self, reaction: Reaction, message: Message | None) -> Iterable[Action]:
        try:
            yield from actions(reaction.steps, message, self.prefix, self.size_limit)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001  (from a function of the test)
            self.failed(FunctionFailed(self._answer_of(reaction), error))
            yield End("close")

    def _answer_of(self, reaction: Reaction) -> str:
        with self.changed:
            if isinstance(reaction, Expectation):
                return f"the answer of {named(self.script, reaction)}"
            return "the answer of on_connect()"

    def _refuse(self, connection: PeerConnection, problem: str) -> None:
        """Records a problem and closes, so that the program does not wait for an answer."""
        self._note(problem)
        self._framers.pop(connection, None)
        connection.perform([End("close")])

    def _note(self, problem: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)
