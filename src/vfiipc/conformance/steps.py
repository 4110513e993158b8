"""The steps of a case. Most steps apply to one of its connections, ``on``."""

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
    """Wait for everything that must have come back by now."""

    on: int = 0


class Pause(NamedTuple):
    """Wait for a time, during which nothing unexpected may come back."""

    seconds: float


class StopReading(NamedTuple):
    """Stop reading until the next ``Await``, so that the buffers of the system fill up."""

    on: int = 0


class HalfClose(NamedTuple):
    """End the stream to the peer, and continue reading."""

    on: int = 0


class Close(NamedTuple):
    """Close the connection, even if the peer is still sending."""

    on: int = 0


class Reset(NamedTuple):
    """Reset the connection."""

    on: int = 0


class Open(NamedTuple):
    """Open another connection, and exchange a control message on it.

    Attributes:
        on: the number of the new connection.
        control: whether to exchange a control message.
        proves: whether the case tests this exchange, so that its failure fails the case.
        optional: whether the peer may refuse, because it serves one connection at a time.
    """

    on: int
    control: bool = True
    proves: bool = False
    optional: bool = False


class Mark(NamedTuple):
    """Record the time."""


class SampleMemory(NamedTuple):
    """Record the virtual size of the peer."""


Step = (
    SendBytes | Await | Pause | StopReading | HalfClose | Close | Reset | Open | Mark | SampleMemory
)


@dataclass(frozen=True)
class CaseScript:
    """The steps of a case, after the control exchange on connection 0.

    Attributes:
        steps: the steps.
        point: what a lenient receiver must deliver on connection 0, apart from the control message
            and the final Z. If it delivers anything else with this prefix and limit, the case is
            left out. ``None``: the case always applies.
        final: whether a final Z is sent on connection 0 and must come back.
        together: whether a fault is sent in one write with the bytes before it.
    """

    steps: tuple[Step, ...]
    point: tuple[Message, ...] | None = None
    final: bool = True
    together: bool = False
