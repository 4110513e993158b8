"""Chapter 8: the end of the stream, and connections that are closed or reset."""

from __future__ import annotations

from functools import partial
from typing import Final

from ...codec import HEADER_SIZE, Message
from ..evidence import Evidence, Stop
from ..judge import exactly
from ..setting import Setting
from ..steps import CaseScript, Close, HalfClose, Open, Pause, Reset, SendBytes, Step, StopReading
from ..verdicts import Grade, Verdict
from .case import Case, within_limit
from .messages import pattern

__all__ = ["CASES"]

#: Time for the peer to notice what has happened, even if it is slow, and for its process to end.
_MOMENT: Final = Pause(0.3)


def _ended(more: int, setting: Setting) -> CaseScript:
    """Sends A and the first ``more`` bytes of B, then ends the stream."""
    stream = setting.encoded(setting.first) + setting.encoded(setting.second)[:more]
    return CaseScript((SendBytes(stream), HalfClose()), (setting.first,), final=False)


def _cut_off(setting: Setting) -> CaseScript:
    hidden = setting.encoded(setting.second)
    size = within_limit(len(hidden) + 16, setting)
    stream = setting.encoded(setting.first) + setting.header(size, 1) + hidden
    return CaseScript((SendBytes(stream), HalfClose()), (setting.first,), final=False)


def _large(setting: Setting) -> bytes:
    return setting.encoded(Message(setting.first.msg_id, pattern(min(setting.limit, 1 << 20))))


def _connect_and_close(_: Setting) -> CaseScript:
    steps: tuple[Step, ...] = (
        Close(),
        Open(1, control=False),
        Close(1),
        _MOMENT,
        Open(2, proves=True),
    )
    return CaseScript(steps, (), final=False)


def _reset_in_header(setting: Setting) -> CaseScript:
    part = setting.encoded(setting.first)[: HEADER_SIZE - 2]
    return CaseScript(
        (SendBytes(part), _MOMENT, Reset(), _MOMENT, Open(1, proves=True)), (), final=False
    )


def _with_unread_echo(end: Step, setting: Setting) -> CaseScript:
    steps = (StopReading(), SendBytes(_large(setting)), _MOMENT, end, _MOMENT, Open(1, proves=True))
    return CaseScript(steps, final=False)


def may_lose(evidence: Evidence) -> Grade:
    """An answer that is lost at the end of the stream is unusual; an extra answer is a failure."""
    (seen,) = evidence.seen
    grade = exactly(evidence)
    lost = (
        seen.stop in (Stop.LOST, Stop.WAITED)
        and seen.control_answered
        and seen.echo.startswith(seen.received)
    )
    if grade.verdict is Verdict.FAILED and lost:
        return Grade(
            Verdict.NON_STRICT, "the answer to the message before the end of the stream was lost"
        )
    return grade


CASES: Final = (
    Case(
        "8.1", "FRM-E1", "A, the end of the stream", "A, the end of the stream",
        partial(_ended, 0), needs_half_close=True, judge=may_lose,
    ),
    Case(
        "8.2", "FRM-E1", "A, the end of the stream inside P", "A",
        partial(_ended, 2), needs_half_close=True, judge=may_lose,
    ),
    Case(
        "8.3", "FRM-E1", "A, the end of the stream inside a header", "A",
        partial(_ended, HEADER_SIZE - 2), needs_half_close=True, judge=may_lose,
    ),
    Case(
        "8.4", "FRM-E2", "A, the end of the stream inside data that contains a message", "only A",
        _cut_off, needs_half_close=True, judge=may_lose,
    ),
    Case(
        "8.5", "-", "a connection that is closed at once", "the next connection works",
        _connect_and_close, alone=True,
    ),
    Case(
        "8.6", "-", "a connection that is reset inside a header", "the next connection works",
        _reset_in_header, needs_reset=True, alone=True,
    ),
    Case(
        "8.7", "-", "a connection that is reset during the echo", "the next connection works",
        partial(_with_unread_echo, Reset()), needs_reset=True, alone=True,
    ),
    Case(
        "8.8", "-", "a connection that is closed with the echo unread", "the next connection works",
        partial(_with_unread_echo, Close()), alone=True,
    ),
)  # fmt: skip
