"""Collects the output of the protocol between servers: envelopes, log lines, actions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from .actions import Action
from .bus import BusMessage, Publish
from .envelopes import encode_envelope, reply_subject

__all__ = ["LogLine", "NameTaken", "Outbox", "Output"]


class LogLine(NamedTuple):
    """A line for the log. ``about`` is inserted into the text."""

    text: str
    about: str
    is_warning: bool


class NameTaken(NamedTuple):
    """Another server has this name, so this one must stop."""

    name: str


Output: TypeAlias = "BusMessage | LogLine | NameTaken | Action"


class Outbox:
    """Collects output in order.

    Args:
        name: the name of this server.
        sessions: returns a new session ID.
    """

    def __init__(self, name: str, sessions: Callable[[], str]) -> None:
        self.name = name
        self._new_session = sessions
        self.session = sessions()
        #: The current session, and all earlier ones.
        self.sessions = {self.session}
        self._inbox = self.session
        self._numbers = itertools.count(1)
        self._out: list[Output] = []

    @property
    def replies(self) -> str:
        """The subject of all replies."""
        return reply_subject(self._inbox)

    def begin_session(self) -> None:
        """Begins a new session."""
        self.session = self._new_session()
        self.sessions.add(self.session)

    def add(self, output: Output) -> None:
        """Appends an output."""
        self._out.append(output)

    def take(self) -> list[Output]:
        """Removes and returns all output."""
        out, self._out = self._out, []
        return out

    def say(self, text: str, about: str, *, warn: bool = False) -> None:
        """Appends a log line."""
        self._out.append(LogLine(text, about, warn))

    def publish(
        self,
        subject: str,
        kind: str,
        body: bytes = b"",
        head: dict[str, object] | None = None,
    ) -> None:
        """Appends an envelope."""
        self._send(next(self._numbers), subject, kind, body, head, "")

    def request(
        self, subject: str, kind: str, body: bytes = b"", head: dict[str, object] | None = None
    ) -> str:
        """Appends an envelope that asks for a reply; returns the subject of the reply."""
        number = next(self._numbers)
        reply = reply_subject(self._inbox, number)
        self._send(number, subject, kind, body, head, reply)
        return reply

    def _send(
        self,
        number: int,
        subject: str,
        kind: str,
        body: bytes,
        head: dict[str, object] | None,
        reply: str,
    ) -> None:
        data = encode_envelope(kind, self.name, self.session, number, body, head or {})
        self._out.append(Publish(subject, data, reply))
