"""The observations of a case: everything that a verdict depends on, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..codec import Message
from .setting import Setting

__all__ = ["ConnectionEvidence", "Evidence", "Stop"]


class Stop(Enum):
    """Why reading from a connection stopped."""

    DONE = "everything came that had to come"
    CUT = "the kit cut the connection, as the case says"
    WAITED = "something was waited for in vain"
    BLOCKED = "the peer stopped reading"
    LOST = "the peer ended the connection"
    LEFT = "the peer ended the connection during a pause"
    WRONG = "something came that had to come later, or never"
    UNREACHED = "there was no connection"


@dataclass(frozen=True)
class ConnectionEvidence:
    """The observations on one connection.

    Attributes:
        number: the number of the connection, from 0.
        due: the messages that had to come back in the whole case, including the control message.
        echo: the same as bytes.
        received: the bytes that came back.
        stop: why reading stopped.
        ending: how the connection ended; see ``Result.ending``.
        fault: whether a strict receiver loses synchronisation here, and has to stop.
        control_answered: whether the control message came back.
        proves: whether the case is about the control exchange, so that its failure fails the case.
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
