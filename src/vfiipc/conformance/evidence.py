"""The observations in a case: everything that a verdict depends on. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..codec import Message
from .setting import Setting

__all__ = ["ConnectionEvidence", "Evidence", "Stop"]


class Stop(Enum):
    """Why reading from a connection stopped."""

    DONE = "everything expected came back"
    CUT = "the kit closed or reset the connection, as the case requires"
    WAITED = "something expected did not come back in time"
    BLOCKED = "the peer stopped reading"
    LOST = "the peer ended the connection"
    LEFT = "the peer ended the connection during a pause"
    WRONG = "something came back too early, or was not expected"
    UNREACHED = "there was no connection"


@dataclass(frozen=True)
class ConnectionEvidence:
    """The observations on one connection.

    Attributes:
        number: the number of the connection, from 0.
        due: the messages expected in the whole case, including the control message.
        echo: the same as bytes.
        received: the bytes that came back.
        stop: why reading stopped.
        ending: how the connection ended; see ``Result.ending``.
        fault: whether the stream has a fault at which a strict receiver must stop.
        control_answered: whether the control message came back.
        proves: whether the case tests the control exchange, so that its failure fails the case.
        optional: whether the peer may decline this connection.
        reason: why there was no connection.
    """

    number: int
    due: tuple[Message, ...]
    echo: bytes
    received: bytes
    stop: Stop
    ending: str
    fault: bool = False
    control_answered: bool = True
    proves: bool = False
    optional: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """The observations in one case.

    Attributes:
        setting: the prefix, limit and mode of the peer.
        seen: the connections, in the order in which they were opened.
        marks: the times that were noted, in seconds.
        memory_samples: the memory that the peer had reserved, in bytes; ``None`` if unknown.
    """

    setting: Setting
    seen: tuple[ConnectionEvidence, ...]
    marks: tuple[float, ...] = ()
    memory_samples: tuple[int | None, ...] = ()
