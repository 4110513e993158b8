"""What a case is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..judge import Judge, exactly
from ..setting import LARGEST, Setting
from ..steps import CaseScript

__all__ = ["BULK", "USUAL", "Case", "CaseNotApplicable", "within_limit"]

#: Time limits in seconds, in addition to the pauses of a case; multiplied by the scale.
USUAL: Final = 5.0
BULK: Final = 30.0


class CaseNotApplicable(Exception):
    """The case is not meaningful for a peer with this prefix and limit."""


@dataclass(frozen=True)
class Case:
    """One case of the catalogue. IDs are fixed, and are never reused.

    Attributes:
        id: the chapter, and the number within it.
        rule: the rule or section of ``spec/framing.md`` that the case tests; ``-`` for none.
        title: what is sent.
        outcome: what must come back.
        write: returns the script for a setting, or raises ``CaseNotApplicable``.
        stops: whether the stream has a fault at which a strict receiver stops.
        prefix: the prefix that the case needs; None for that of the run.
        limit: the limit that the case needs; None for that of the run.
        strict_only: whether the case applies only to strict receivers.
        needs_half_close: whether it needs connections that can be closed in one direction.
        needs_reset: whether it needs connections that can be reset.
        needs_memory: whether it measures the memory of the peer. It then gets a new process,
            because a process does not return all freed memory.
        measures: whether it measures times.
        several: whether it needs a peer that serves several connections at once.
        alone: whether no other case may run at the same time.
        patient: whether it mostly waits, so that it can run concurrently with other cases.
        seconds: the time limit in seconds, not counting its own pauses.
        judge: computes the verdict from the evidence.
    """

    id: str
    rule: str
    title: str
    outcome: str
    write: Callable[[Setting], CaseScript]
    stops: bool = False
    prefix: int | None = None
    limit: int | None = None
    strict_only: bool = False
    needs_half_close: bool = False
    needs_reset: bool = False
    needs_memory: bool = False
    measures: bool = False
    several: bool = False
    alone: bool = False
    patient: bool = False
    seconds: float = USUAL
    judge: Judge = exactly

    @property
    def chapter(self) -> int:
        return int(self.id.partition(".")[0])


def within_limit(size: int, setting: Setting) -> int:
    """Returns ``size`` if the peer accepts a message with that much data.

    Raises:
        CaseNotApplicable: the limit of the peer is lower.
    """
    if size > setting.limit:
        raise CaseNotApplicable(f"the limit is below {size:,} bytes")
    return size


def sendable(size: int) -> int:
    """Returns ``size`` if the kit sends messages with that much data, valid or not.

    Raises:
        CaseNotApplicable: it is more than the kit sends.
    """
    if size > LARGEST + 1:
        raise CaseNotApplicable(f"the kit sends no message above {LARGEST >> 20} MiB")
    return size
