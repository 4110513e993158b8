"""The queue of unclaimed messages: those that answer no request."""

from __future__ import annotations

from collections import deque
from operator import index
from typing import Protocol

from ..codec import Message

__all__ = ["HasMessage", "Inbox"]


class HasMessage(Protocol):
    """Something that waits for a message and stores it."""

    message: Message | None


class Inbox:
    """A queue with two limits; the owner stops reading while it is full, so that nothing is lost.

    The message that reaches a limit is kept, so the queue exceeds ``max_size`` by at most one
    message (CON-U1). Not thread safe.

    Args:
        max_count: messages, 1 or more.
        max_size: bytes of data in all of them, 1 or more.

    Raises:
        TypeError, ValueError: a limit is not an integer, or less than 1.
    """

    __slots__ = ("_messages", "max_count", "max_size", "size")

    def __init__(self, max_count: int, max_size: int) -> None:
        self.max_count = _bound("max_unclaimed", max_count)
        self.max_size = _bound("max_unclaimed_size", max_size)
        #: Bytes of data in the queue.
        self.size = 0
        self._messages: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether reading should stop until a message is taken."""
        return len(self._messages) >= self.max_count or self.size >= self.max_size

    # A signal handler can raise at any call. So sizes are computed first, and no call lies between
    # the change of the queue and the change of its size.

    def put(self, message: Message) -> None:
        size = self.size + len(message.data)
        self._messages += (message,)
        self.size = size

    def put_first_of(self, arrived: list[Message]) -> None:
        """Moves the first of ``arrived`` here, in one step."""
        message = arrived[0]
        size = self.size + len(message.data)
        self._messages += (message,)
        self.size = size
        del arrived[0]

    def move_to(self, waiting: HasMessage) -> None:
        """Moves the oldest message to ``waiting`` in one step; ``IndexError`` if there is none."""
        message = self._messages[0]
        size = self.size - len(message.data)
        waiting.message = message
        del self._messages[0]
        self.size = size

    def put_many(self, messages: list[Message], start: int = 0) -> int:
        """Adds messages from ``start`` on until full; returns the index of the first left over.

        Faster than ``put`` for many messages at once.
        """
        some = messages[start : start + self.max_count - len(self._messages)]
        size = sum([len(message.data) for message in some])
        if self.size + size < self.max_size:
            self._messages.extend(some)
            self.size += size
            return start + len(some)
        while start < len(messages) and not self.full:
            self.put(messages[start])
            start += 1
        return start

    def take(self) -> Message:
        """Removes and returns the oldest message; ``IndexError`` if there is none."""
        message = self._messages[0]
        size = self.size - len(message.data)
        del self._messages[0]
        self.size = size
        return message

    def put_back(self, message: Message) -> None:
        """Puts a message back at the front, for a call that was stopped before it returned it."""
        self.size += len(message.data)
        self._messages.appendleft(message)


def _bound(name: str, value: int) -> int:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
    if number < 1:
        raise ValueError(f"{name} is {number}, but must be 1 or more")
    return number
