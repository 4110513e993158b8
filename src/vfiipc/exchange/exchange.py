"""The received messages of one connection, the calls that wait for them, and its end.

A pure object without locks, clock or I/O. Methods return whom to wake, and with what; a blocking
connection then wakes threads, an asyncio connection completes futures. Not thread safe.

An exception raised by a signal handler can end any of these methods at any call. So no call lies
between the steps that move a message: it is always in exactly one place, and whoever calls next
continues from there.

Rules: ``spec/connections.md``, sections 2 to 4.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic

from ..codec import Message, check_integer
from .errors import same_error
from .requests import REQUEST_IDS, Requests, Waiting

__all__ = ["MAX_UNCLAIMED", "MAX_UNCLAIMED_SIZE", "Exchange"]

MAX_UNCLAIMED: Final = 1024
MAX_UNCLAIMED_SIZE: Final = 16 << 20


class Exchange(Generic[Waiting]):
    """Matches the messages of one connection with the calls that wait for them.

    An answer goes to its request; any other message to the receiver that has waited longest, or, if
    there is none, to the inbox. While the inbox is full, nothing is delivered, and the owner stops
    reading (CON-U2).

    Args:
        request_ids: see ``Requests``.
        max_count: messages in the inbox, 1 or more.
        max_size: bytes of data in them, 1 or more. The message that reaches a limit is kept, so the
            inbox exceeds it by at most one message (CON-U1).

    Raises:
        TypeError, ValueError: an argument is of the wrong type, or out of range.
    """

    __slots__ = (
        "_max_count",
        "_max_size",
        "_size",
        "arrived",
        "end",
        "inbox",
        "receivers",
        "requests",
        "returned",
    )

    def __init__(
        self,
        request_ids: range = REQUEST_IDS,
        max_count: int = MAX_UNCLAIMED,
        max_size: int = MAX_UNCLAIMED_SIZE,
    ) -> None:
        self.requests: Requests[Waiting] = Requests(request_ids)
        #: Messages to be delivered: the owner adds those that it has read, ``deliver`` takes them.
        self.arrived: list[Message] = []
        #: Calls that wait for a message that answers no request, the oldest first.
        self.receivers: list[Waiting] = []
        #: Why nothing more can arrive; what has arrived is delivered first (CON-C4).
        self.end: BaseException | None = None
        self._max_count = check_integer("max_unclaimed", max_count, 1)
        self._max_size = check_integer("max_unclaimed_size", max_size, 1)
        #: Messages that answer no request. Most connections never need it.
        self.inbox: deque[Message] | None = None
        #: How many messages at its front were put back.
        self.returned = 0
        self._size = 0  # bytes of data in it

    def __len__(self) -> int:
        """The number of messages in the inbox."""
        return len(self.inbox) if self.inbox is not None else 0

    @property
    def full(self) -> bool:
        """Whether reading should stop until a message is taken."""
        return len(self) >= self._max_count or self._size >= self._max_size

    @property
    def half_empty(self) -> bool:
        """Whether there is room again for more than a few messages."""
        return len(self) <= self._max_count // 2 and self._size <= self._max_size // 2

    def deliver(
        self, granted: list[tuple[Waiting, Message]] | None = None
    ) -> list[tuple[Waiting, Message]]:
        """Delivers the messages in ``arrived``, until the inbox is full.

        Args:
            granted: the list to return. An owner that can be interrupted keeps it, and completes
                what is in it before anything else.

        Returns:
            Waiters to wake, each with its message. They no longer wait in the exchange.
        """
        granted = [] if granted is None else granted
        arrived, receivers, requests = self.arrived, self.receivers, self.requests
        while arrived:
            if self.inbox and self.full:
                break
            if (requests.pending or requests.given_up_blocks) and self._deliver_answer(granted):
                continue
            if not receivers:
                self._fill_inbox()
                continue
            # CON-C3: a receiver waits only while the inbox is empty.
            waiter, message = receivers[0], arrived[0]
            if not waiter.done():
                granted += ((waiter, message),)
                del arrived[0]
            del receivers[0]
        return granted

    def _deliver_answer(self, granted: list[tuple[Waiting, Message]]) -> bool:
        """Takes the first message if it answers a request, in time or late.

        A late answer is dropped and counted, because its ID still matches the request that was
        given up (CON-R3). Only a message that matches no request goes to receivers (CON-R4).
        """
        message, requests = self.arrived[0], self.requests
        msg_id = message.msg_id
        waiter = requests.pending.get(msg_id)
        if waiter is not None:
            late = waiter.done()  # its call has given up, but not left yet
            if late:
                requests.late_answers += 1
            else:
                granted += ((waiter, message),)
            del requests.pending[msg_id]
            del self.arrived[0]
            return True
        if requests.was_given_up(msg_id):
            requests.late_answers += 1
            del self.arrived[0]
            requests.forget(msg_id)
            return True
        return False

    def _fill_inbox(self) -> None:
        """Moves the first message to the inbox; all that fit, if none of them can be an answer."""
        if self.inbox is None:
            self.inbox = deque()
        arrived, inbox, requests = self.arrived, self.inbox, self.requests
        expecting = requests.pending or requests.given_up_blocks
        room = 1 if expecting else self._max_count - len(inbox)
        count, size = 0, self._size
        for message in arrived[:room]:
            count += 1
            size += len(message.data)
            if size >= self._max_size:
                break
        inbox += arrived[:count]
        self._size = size
        del arrived[:count]

    def take(self) -> Message | None:
        """The oldest message in the inbox; None if there is none yet.

        Raises:
            ConnectionClosed, OSError, SyncLostError: there is none, and none can come (CON-C4).
        """
        inbox = self.inbox
        if not inbox:
            if self.end is not None:
                raise same_error(self.end)
            return None
        message = inbox[0]
        size = self._size - len(message.data)
        del inbox[0]
        self._size = size
        self.returned -= self.returned > 0
        return message

    def put_back(
        self, message: Message, granted: list[tuple[Waiting, Message]] | None = None
    ) -> list[tuple[Waiting, Message]]:
        """Returns a message that was granted to a receiver whose call cannot return it (CON-C3).

        It goes to the next receiver, or to the front of the inbox, behind those put back before.

        Returns:
            As ``deliver``: the receiver to wake, with the message.
        """
        granted = [] if granted is None else granted
        receivers = self.receivers
        while receivers:
            waiter = receivers[0]
            if not waiter.done():
                granted += ((waiter, message),)
                del receivers[0]
                return granted
            del receivers[0]
        self._insert(message)
        return granted

    def _insert(self, message: Message) -> None:
        inbox = deque(self.inbox or ())
        inbox.insert(self.returned, message)
        size = self._size + len(message.data)
        self.inbox = inbox
        self._size = size
        self.returned += 1

    def oldest(self, message: Message) -> Message:
        """The message that a woken receiver returns: an older one, if one has been put back since.

        Receivers that were granted messages at the same time wake one by one. When the first of
        them puts its message back, the others pass theirs on, so that the order stays (CON-C3).
        """
        older = self.take() if self.returned else None
        if older is None:
            return message
        self._insert(message)
        return older

    def open_request(self, waiter: Waiting) -> int:
        """Gives a request a free ID (CON-R1, CON-R2).

        Raises:
            BufferError: every ID is in use.
            ConnectionClosed, OSError, SyncLostError: no answer can come.
        """
        if self.end is not None:
            raise same_error(self.end)
        return self.requests.open(waiter)

    def give_up(self, msg_id: int, waiter: Waiting) -> None:
        """Gives up a request that was, or may have been, sent, unless it was answered (CON-R3)."""
        if self.requests.pending.get(msg_id) is waiter:  # the ID may be another request's by now
            self.requests.give_up(msg_id)

    def withdraw(self, msg_id: int, waiter: Waiting) -> None:
        """Forgets a request of which nothing was sent, so that no answer is expected."""
        if self.requests.pending.get(msg_id) is waiter:
            self.requests.withdraw(msg_id)

    def finish(self, reason: BaseException) -> list[Waiting]:
        """Ends it. May be called again; the first reason is kept.

        Returns:
            Waiters to wake with the error ``end``; they stay until they leave. Requests whose
            answers may still be in ``arrived`` are not among them.
        """
        if self.end is None:
            self.end = reason
        return self.receivers + ([] if self.arrived else self.requests.waiting())

    def drop(self) -> None:
        """Discards what has arrived but was not taken, when this side closes (CON-C7)."""
        del self.arrived[:]
        self.inbox = None
        self._size = self.returned = 0

    def refusal(self) -> BufferError:
        """The error of requests while a full inbox stops reading (CON-U3)."""
        held = f"{len(self)} messages with {self._size} bytes wait to be received"
        return BufferError(f"no answer can be read: {held}; call recv() or raise the limits")
