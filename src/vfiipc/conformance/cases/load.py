"""Chapter 9: load by connections, messages, garbage and memory claims."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final

from ...codec import Message
from ..evidence import Evidence, Stop
from ..judge import exactly, first_failure
from ..setting import Setting
from ..steps import Await, CaseScript, Mark, Open, Pause, SampleMemory, SendBytes, Step, StopReading
from ..verdicts import Grade, Verdict
from .case import BULK, Case, CaseNotApplicable
from .messages import exchange, pattern

__all__ = ["CASES"]

_TOGETHER: Final = 8
_CLAIMING: Final = 16
_MIB: Final = 1 << 20
_GARBAGE: Final = (4 * _MIB, 16 * _MIB)
_RATIO: Final = 8.0
_APART: Final = 64  # bytes between the beginnings of two invalid headers
#: Seconds; shorter times are too noisy to show how the work grows.
_MEASURABLE: Final = 0.1
#: The peer's memory may grow by less than this many messages of maximum size.
_CLAIMED: Final = 8


def _together(setting: Setting) -> CaseScript:
    """Each connection holds half a message while the others are used."""
    others = range(1, _TOGETHER)
    texts = [f"connection {number}".encode()[: setting.limit] for number in range(_TOGETHER)]
    streams = [setting.encoded(setting.numbered(number, text)) for number, text in enumerate(texts)]
    half = len(streams[0]) // 2
    opens: list[Step] = [Open(number, optional=True) for number in others]
    halves = [SendBytes(stream[:half], number) for number, stream in enumerate(streams)]
    rests = [SendBytes(stream[half:], number) for number, stream in enumerate(streams)]
    waits = [Await(number) for number in range(_TOGETHER)]
    # During the pause, the peer reads the halves: a receiver shared by connections mixes them up.
    return CaseScript((*opens, *halves, Pause(0.2), *reversed(rests), *waits))


def _many(setting: Setting) -> CaseScript:
    texts = (f"{number:0100}".encode()[max(0, 100 - setting.limit) :] for number in range(10_000))
    return exchange(setting, *(setting.numbered(number, text) for number, text in enumerate(texts)))


def _large(setting: Setting) -> CaseScript:
    data = pattern(min(_MIB, setting.limit))
    return exchange(setting, *(setting.numbered(number, data) for number in range(16)))


def _largest(setting: Setting) -> CaseScript:
    return exchange(setting, Message(setting.first.msg_id, pattern(setting.most)))


def _unread(setting: Setting) -> CaseScript:
    """About 4 MiB: more than the buffers between the two programs hold."""
    size = min(setting.limit, 1 << 16)
    count = min(4 * _MIB // (size + 64), 5_000)
    messages = tuple(setting.numbered(number, pattern(size)) for number in range(count))
    steps = (StopReading(), SendBytes(setting.encoded(*messages)), Pause(2.0), Await())
    return CaseScript(steps, messages)


def _bad_headers(setting: Setting, size: int) -> bytes:
    header = setting.judged(0)
    block = header + setting.stray * (_APART - len(header))
    return block * (size // _APART)


def _growing(make: Callable[[Setting, int], bytes], setting: Setting) -> CaseScript:
    first = setting.encoded(setting.first)
    steps: list[Step] = [Mark()]
    for size in _GARBAGE:
        steps += [SendBytes(make(setting, size) + first), Await(), Mark()]
    return CaseScript(tuple(steps), (setting.first,) * len(_GARBAGE))


def _claiming(setting: Setting) -> CaseScript:
    """Measures the memory when all connections are in use, and again after a claim on each."""
    if setting.limit < _MIB:
        raise CaseNotApplicable("the effect of limits below 1 MiB on memory is not measurable")
    connections = range(_CLAIMING)
    opens = [Open(number) for number in connections[1:]]
    claims = [SendBytes(setting.header(setting.limit), number) for number in connections]
    return CaseScript(
        (*opens, SampleMemory(), *claims, Pause(0.5), SampleMemory()), (), final=False
    )


def may_decline(evidence: Evidence) -> Grade:
    """A peer that ends one connection to serve another can serve only one at a time."""
    grade = exactly(evidence)
    declined = any(
        seen.stop in (Stop.LOST, Stop.LEFT) and seen.control_answered for seen in evidence.seen
    )
    wrong = any(not seen.echo.startswith(seen.received) for seen in evidence.seen)
    if grade.verdict is Verdict.FAILED and declined and not wrong:
        return Grade(Verdict.UNIMPLEMENTED, grade.observed)
    return grade


def may_be_slow(evidence: Evidence) -> Grade:
    """The work SHOULD be linear in the size of the garbage (FRM-C7)."""
    (seen,) = evidence.seen
    if seen.fault:
        return exactly(evidence)
    wrong = first_failure(evidence)
    late = seen.stop in (Stop.WAITED, Stop.BLOCKED) and seen.echo.startswith(seen.received)
    if wrong is not None and seen.control_answered and late:
        size = _GARBAGE[min(len(evidence.marks), len(_GARBAGE)) - 1] // _MIB
        return Grade(Verdict.NON_STRICT, f"no answer after {size} MiB of garbage: {wrong.observed}")
    if wrong is not None or len(evidence.marks) <= len(_GARBAGE):
        return wrong or exactly(evidence)
    less, more = (stop - start for start, stop in pairwise(evidence.marks))
    ratio = more / max(less, _MEASURABLE)
    seen_times = f"4 MiB took {less:.2f} s, 16 MiB {more:.2f} s"
    if ratio < _RATIO:
        return Grade(Verdict.OK, seen_times)
    return Grade(Verdict.NON_STRICT, f"{seen_times}: the work is not linear")


def may_claim_little(evidence: Evidence) -> Grade:
    """Memory may be reserved only for bytes that have arrived (4.3)."""
    wrong = first_failure(evidence)
    if wrong is not None:
        return wrong
    before, after = evidence.memory_samples
    if before is None or after is None:
        return Grade(Verdict.UNIMPLEMENTED, "the memory of the peer is not measurable here")
    grown = after - before
    allowed = _CLAIMED * evidence.setting.limit
    text = (
        f"after {_CLAIMING} headers for {evidence.setting.limit / _MIB:g} MiB each, the virtual "
        f"size of the peer had grown by {grown / _MIB:.1f} MiB"
    )
    return Grade(Verdict.OK if grown < allowed else Verdict.FAILED, text)


CASES: Final = (
    Case(
        "9.1", "-", "a different message on each of 8 concurrent connections",
        "on each connection, its own message",
        _together, several=True, alone=True, judge=may_decline,
    ),
    Case(
        "9.2", "-", "10,000 messages of 100 bytes", "all, in order",
        _many, alone=True, seconds=BULK,
    ),
    Case("9.3", "-", "16 messages of 1 MiB", "all, in order", _large, alone=True, seconds=BULK),
    Case(
        "9.4", "-", "a message of L bytes, at most 16 MiB", "the same message",
        _largest, alone=True, seconds=BULK,
    ),
    Case(
        "9.5", "-", "messages of 4 MiB in total; the kit does not read for 2 s", "all, in order",
        _unread, patient=True, seconds=BULK,
    ),
    Case(
        "9.6", "FRM-C7", "4 MiB of garbage, A, 16 MiB of garbage, A",
        "A twice; the second takes less than 8 times as long",
        partial(_growing, Setting.garbage), stops=True, alone=True, seconds=BULK,
        measures=True, judge=may_be_slow,
    ),
    Case(
        "9.7", "FRM-C7", "4 MiB of prefixes with S = 0, A, 16 MiB of these, A",
        "A twice; the second takes less than 8 times as long",
        partial(_growing, _bad_headers), stops=True, alone=True, seconds=BULK,
        measures=True, judge=may_be_slow,
    ),
    Case(
        "9.8", "4.3", "a header for n = L, without its data, on each of 16 connections",
        "nothing; the virtual size of the peer grows by less than 8 L",
        _claiming, needs_memory=True, several=True, alone=True, judge=may_claim_little,
    ),
)  # fmt: skip
