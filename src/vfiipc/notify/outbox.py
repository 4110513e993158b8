"""What a server sends to others, and everything else that it wants to be done."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from .actions import Action
from .bus import BusMessage, Publish
from .envelopes import encode_envelope, reply_subject

__all__ = ["LogLine", "NameTaken", "Outbox", "Output"]


class LogLine(NamedTuple):
    """Something for the log; ``about`` is put into the text."""

    text: str
    about: str
    is_warning: bool


class NameTaken(NamedTuple):
    """Another server has this name, so that this one cannot go on."""

    name: str


Output: TypeAlias = "BusMessage | LogLine | NameTaken | Action"


class Outbox:
    """Collects what is to be done, in order.

    Args:
        name: the server's.
        sessions: gives a new name for each life of this server.
    """

    def __init__(self, name: str, sessions: Callable[[], str]) -> None:
        self.name = name
        self._new_session = sessions
        self.session = sessions()
        #: The present session, and those before it.
        self.sessions = {self.session}
        self._inbox = self.session
        self._numbers = itertools.count(1)
        self._out: list[Output] = []

    @property
    def replies(self) -> str:
        """The subject of all replies."""
        return reply_subject(self._inbox)

    def begin_session(self) -> None:
        """A new life of this server begins."""
        self.session = self._new_session()
        self.sessions.add(self.session)

    def add(self, output: Output) -> None:
        """Something is to be done."""
        self._out.append(output)

    def take(self) -> list[Output]:
        """All that is to be done."""
        out, self._out = self._out, []
        return out

    def say(self, text: str, about: str, *, warn: bool = False) -> None:
        """Something is to be logged."""
        self._out.append(LogLine(text, about, warn))

    def publish(
        self,
        subject: str,
        kind: str,
        body: bytes = b"",
        head: dict[str, object] | None = None,
    ) -> None:
        """An envelope is to be sent."""
        self._send(next(self._numbers), subject, kind, body, head, "")

    def request(
        self, subject: str, kind: str, body: bytes = b"", head: dict[str, object] | None = None
    ) -> str:
        """An envelope that is replied to is to be sent; the subject of the reply."""
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
