"""Verdicts and results of cases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = ["Grade", "LeftOut", "MovedBytes", "Result", "Verdict"]


class Verdict(str, Enum):
    """The verdict on a peer in one case. Reports show the value."""

    OK = "OK"
    NON_STRICT = "NON-STRICT"  #: a SHOULD was not followed, or the outcome is allowed but unusual
    INFORMATIONAL = "INFORMATIONAL"  #: nothing is required; the report describes the behaviour
    UNIMPLEMENTED = "UNIMPLEMENTED"  #: the peer or its kind of connection lacks a feature
    FAILED = "FAILED"  #: a MUST, or the contract with the peer, was broken
    INCONCLUSIVE = "INCONCLUSIVE"  #: the control exchange failed, so there is no result

    def __str__(self) -> str:
        return self.value

    @property
    def is_failure(self) -> bool:
        """Whether this verdict makes the run fail."""
        return self in (Verdict.FAILED, Verdict.INCONCLUSIVE)


class Grade(NamedTuple):
    """A verdict, and a description of what was observed."""

    verdict: Verdict
    observed: str


class MovedBytes(NamedTuple):
    """Bytes that were sent or received at once, and the time in seconds since the case began."""

    at: float
    data: bytes


@dataclass(frozen=True)
class Result:
    """The result of one case.

    Attributes:
        id: the ID of the case.
        title: what was sent.
        rule: the rule or section of ``spec/framing.md`` that the case tests.
        verdict: the verdict.
        ending: how the last connection of the case ended: ``clean``, ``reset``, ``timeout`` (the
            peer did not answer or close in time), or ``open`` (until the kit closed it).
        seconds: the duration in seconds.
        expected: what should have come back.
        observed: what came back.
        sent: the first bytes that were sent, on all connections of the case.
        received: the first bytes that came back.
        sent_bytes: the number of all bytes sent.
        received_bytes: the number of all bytes received.
    """

    id: str
    title: str
    rule: str
    verdict: Verdict
    ending: str
    seconds: float
    expected: str
    observed: str
    sent: tuple[MovedBytes, ...] = ()
    received: tuple[MovedBytes, ...] = ()
    sent_bytes: int = 0
    received_bytes: int = 0


class LeftOut(NamedTuple):
    """A case that does not apply to this peer, with the reason."""

    id: str
    title: str
    reason: str
