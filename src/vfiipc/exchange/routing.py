"""Routes arrived messages: to a request, to the inbox, or nowhere."""

from __future__ import annotations

from typing import Any, Final, Generic, cast

from ..codec import Message
from .inbox import Inbox
from .requests import REQUEST_IDS, Requests, Waiting

__all__ = ["MAX_UNCLAIMED", "MAX_UNCLAIMED_SIZE", "Routing"]

MAX_UNCLAIMED: Final = 1024
MAX_UNCLAIMED_SIZE: Final = 16 << 20


class Routing(Generic[Waiting]):
    """The requests and the unclaimed messages of one connection. Not thread safe.

    Args:
        request_ids: see ``Requests``.
        max_unclaimed, max_unclaimed_size: see ``Inbox``.
    """

    def __init__(
        self,
        request_ids: range = REQUEST_IDS,
        max_unclaimed: int = MAX_UNCLAIMED,
        max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
    ) -> None:
        self.requests: Requests[Waiting] = Requests(request_ids)
        self.inbox = Inbox(max_unclaimed, max_unclaimed_size)

    def route(self, message: Message) -> Waiting | None:
        """Whose answer it is (CON-R4); otherwise it goes to the inbox, or is dropped when late."""
        requests = self.requests
        waiting = requests.match(message.msg_id)
        if waiting is None and not requests.is_late(message.msg_id):
            self.inbox.put(message)
        return waiting

    def route_first(self, arrived: list[Message]) -> Waiting | None:
        """Moves the first of ``arrived`` to where ``route`` would have it, in one step.

        There is no call between removing the message and storing it, so an exception raised by a
        signal handler neither loses nor duplicates it. The waiter gets it as its attribute
        ``message``.
        """
        message, requests = arrived[0], self.requests
        msg_id = message.msg_id
        waiting: Any = requests.pending.get(msg_id)
        if waiting is not None:
            waiting.message = message
            del requests.pending[msg_id]
            del arrived[0]
            return cast("Waiting", waiting)
        if requests.was_given_up(msg_id):
            requests.late_answers += 1
            del arrived[0]
            requests.forget(msg_id)
        else:
            self.inbox.put_first_of(arrived)
        return None

    def refusal(self) -> BufferError:
        """What requests raise while unclaimed messages stop the reading (CON-U3)."""
        inbox = self.inbox
        held = f"{len(inbox)} messages with {inbox.size} bytes wait to be received"
        return BufferError(f"no answer can be read: {held}; call recv() or raise the limits")
