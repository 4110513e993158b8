"""What is done in a case, step by step. A step belongs to one of the case's connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..codec import Message

__all__ = [
    "Await",
    "CaseScript",
    "Close",
    "HalfClose",
    "Mark",
    "Open",
    "Pause",
    "Reset",
    "SampleMemory",
    "SendBytes",
    "Step",
    "StopReading",
]


class SendBytes(NamedTuple):
    """Send bytes, in one piece."""

    data: bytes
    on: int = 0


class Await(NamedTuple):
    """Wait for everything that has to come back by now."""

    on: int = 0


class Pause(NamedTuple):
    """Do nothing for a time, during which nothing may come that is not due."""

    seconds: float


class StopReading(NamedTuple):
    """Leave what comes to the system's buffers, until something is awaited."""

    on: int = 0


class HalfClose(NamedTuple):
    """End the stream to the peer, and go on reading."""

    on: int = 0


class Close(NamedTuple):
    """Close the connection, whatever the peer still sends."""

    on: int = 0


class Reset(NamedTuple):
    """Break the connection."""

    on: int = 0


class Open(NamedTuple):
    """Connect once more, and exchange a control message there.

    Attributes:
        on: the number of the new connection.
        control: whether to exchange one.
        proves: whether the case is about this exchange, so that its failure fails the case.
        optional: whether the peer may refuse, because it serves one connection at a time.
    """

    on: int
    control: bool = True
    proves: bool = False
    optional: bool = False


class Mark(NamedTuple):
    """Note the time."""


class SampleMemory(NamedTuple):
    """Note how much memory the peer claims."""


Step = (
    SendBytes | Await | Pause | StopReading | HalfClose | Close | Reset | Open | Mark | SampleMemory
)


@dataclass(frozen=True)
class CaseScript:
    """The steps of a case, after the control exchange on connection 0.

    Attributes:
        steps: what is done.
        point: what a lenient receiver has to deliver on connection 0 for the case to make sense
            with this prefix and limit, control message and final Z aside; ``None`` if the case
            makes sense whatever is delivered.
        final: whether a final Z follows on connection 0, and has to come back.
        together: whether a fault is sent in one piece with what is before it.
    """

    steps: tuple[Step, ...]
    point: tuple[Message, ...] | None = None
    final: bool = True
    together: bool = False
