"""Chapter 7: pauses within and between messages."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Final

from ...codec import HEADER_SIZE, SIZE
from ..evidence import Evidence, Stop
from ..judge import exactly, first_failure
from ..setting import Setting
from ..steps import Await, CaseScript, Mark, Pause, SendBytes, Step
from ..verdicts import Grade, Verdict
from .case import BULK, Case, CaseNotApplicable
from .pieces import in_pieces

__all__ = ["CASES"]

_SHORT: Final = 0.5  # seconds
_ROUND_TRIPS: Final = 100
_PERCENTS: Final = (50, 90, 99, 100)


def _inside(at: int, setting: Setting) -> CaseScript:
    return CaseScript(in_pieces(setting.encoded(setting.first), [at], _SHORT), (setting.first,))


def _inside_data(setting: Setting) -> CaseScript:
    if len(setting.first.data) < 2:
        raise CaseNotApplicable("the limit is too low for a pause inside the data")
    return _inside(HEADER_SIZE + 1, setting)


def _between(seconds: float, setting: Setting) -> CaseScript:
    first, second = setting.first, setting.second
    steps = (
        SendBytes(setting.encoded(first)),
        Await(),
        Pause(seconds),
        SendBytes(setting.encoded(second)),
    )
    return CaseScript(steps, (first, second))


def _idle(seconds: float, setting: Setting) -> CaseScript:
    return CaseScript((Pause(seconds), SendBytes(setting.encoded(setting.first))), (setting.first,))


def _last_byte(setting: Setting) -> CaseScript:
    return _inside(len(setting.encoded(setting.first)) - 1, setting)


def _round_trips(setting: Setting) -> CaseScript:
    message = setting.encoded(setting.first)
    trip: tuple[Step, ...] = (SendBytes(message), Await(), Mark())
    return CaseScript((Mark(), *trip * _ROUND_TRIPS), (setting.first,) * _ROUND_TRIPS)


def may_close(evidence: Evidence) -> Grade:
    """A peer may close an idle connection, but must not lose a message."""
    (seen,) = evidence.seen
    grade = exactly(evidence)
    closed = seen.stop is Stop.LEFT and seen.echo.startswith(seen.received)
    if grade.verdict is Verdict.FAILED and closed:
        return Grade(Verdict.INFORMATIONAL, "the peer closed the connection during the pause")
    return grade


def percentiles(evidence: Evidence) -> Grade:
    """Reports the round-trip times."""
    wrong = first_failure(evidence)
    if wrong is not None:
        return wrong
    marks = evidence.marks
    times = sorted(stop - start for start, stop in pairwise(marks))
    shown = (
        f"{percent} % within {times[(len(times) * percent + 99) // 100 - 1] * 1000:.2f} ms"
        for percent in _PERCENTS
    )
    return Grade(Verdict.INFORMATIONAL, "round-trip times: " + ", ".join(shown))


CASES: Final = (
    Case(
        "7.1", "FRM-R3", "A, with a pause of 0.5 s inside P", "A",
        partial(_inside, 2), patient=True,
    ),
    Case(
        "7.2", "FRM-R4", "A, with a pause of 0.5 s inside S", "A",
        partial(_inside, SIZE.offset + 2), patient=True,
    ),
    Case(
        "7.3", "FRM-R6", "A, with a pause of 0.5 s inside the data", "A",
        _inside_data, patient=True,
    ),
    Case(
        "7.4", "-", "A, a pause of 3 s, B", "A, B; or the peer closes during the pause",
        partial(_between, 3.0), patient=True, judge=may_close,
    ),
    Case(
        "7.5", "FRM-R6", "A without its last byte, a pause of 0.5 s, the last byte",
        "nothing before the last byte, then A", _last_byte, patient=True,
    ),
    Case(
        "7.6", "-", "A 100 times, each after the answer to the previous one",
        "all; the report shows the round-trip times",
        _round_trips, alone=True, seconds=BULK, judge=percentiles,
    ),
    Case(
        "7.7", "-", "a pause of 10 s, A", "A; or the peer closes during the pause",
        partial(_idle, 10.0), patient=True, judge=may_close,
    ),
)  # fmt: skip
