"""Requests that wait for a notification in reply, and unicast errors that belong to them."""

from __future__ import annotations

import asyncio
import json

from ..exchange import same_error
from .messages import ALL, ANY, Notify, UnicastError
from .notification import Notification, Undeliverable

__all__ = ["Ask", "Asks"]


class Ask:
    """One request.

    Attributes:
        sent: the notification that was sent.
        reply: the notification ID of the reply; empty if none is expected.
        outcome: the reply, or why there is none.
    """

    __slots__ = ("outcome", "reply", "sent")

    def __init__(self, sent: Notify, reply: str) -> None:
        self.sent = sent
        self.reply = reply
        self.outcome: asyncio.Future[Notification] = asyncio.get_running_loop().create_future()

    async def result(self, timeout: float | None) -> Notification:
        """Waits for the reply.

        Args:
            timeout: seconds to wait; None sets no limit.

        Raises:
            TimeoutError: no reply arrived in time.
            Undeliverable, ConnectionClosed, OSError: no reply can arrive.
        """
        if timeout is not None:
            await asyncio.wait([self.outcome], timeout=timeout)
            if not self.outcome.done():
                raise TimeoutError(f"no reply {self.reply!r} came within {timeout:g} s")
        return await self.outcome

    def is_answered_by(self, notify: Notify) -> bool:
        """Whether this is the reply: from the application asked, to the one that asked (NFY-C5)."""
        return (
            notify.notification == self.reply
            and self.sent.to in (ANY, ALL, notify.sender)
            and notify.to in (ANY, ALL, self.sent.sender)
        )

    def is_failed_by(self, error: UnicastError) -> bool:
        """Whether the error is about what was sent."""
        sent = self.sent
        return (
            (sent.sender, sent.to, sent.notification)
            == (error.sender, error.to, error.notification)
        ) and _same_value(sent.parameter, error.parameter)


def _same_value(sent: bytes, returned: bytes) -> bool:
    """Whether two JSON texts have the same value; a server may write it in another form."""
    try:
        return sent == returned or bool(json.loads(sent) == json.loads(returned))
    except ValueError:  # a number with too many digits
        return False


class Asks:
    """The requests of one client, in the order in which they were sent."""

    def __init__(self) -> None:
        self._waiting: list[Ask] = []

    def add(self, ask: Ask) -> None:
        self._waiting.append(ask)

    def remove(self, ask: Ask) -> None:
        self._waiting.remove(ask)

    def need(self, reply: str, receiver: str) -> bool:
        """Whether a request waits for this reply to this application."""
        return any(ask.reply == reply and ask.sent.sender == receiver for ask in self._waiting)

    def answer(self, notify: Notify) -> bool:
        """Gives a notification to the first request that it answers; whether there is one."""
        for ask in self._waiting:
            if not ask.outcome.done() and ask.is_answered_by(notify):
                ask.outcome.set_result(Notification(notify))
                return True
        return False

    def fail(self, error: UnicastError) -> bool:
        """Fails the request that the error is about; whether there is one."""
        for ask in self._waiting:
            if not ask.outcome.done() and ask.is_failed_by(error):
                ask.outcome.set_exception(Undeliverable(Notification(error)))
                return True
        return False

    def fail_all(self, reason: BaseException) -> None:
        """Fails every request: the connection is lost."""
        for ask in self._waiting:
            if not ask.outcome.done():
                ask.outcome.set_exception(same_error(reason))
