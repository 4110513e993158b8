"""Chapters 1 to 3: messages, empty messages, and message IDs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from ...codec import MSG_ID, Message
from ..evidence import Evidence, Stop
from ..judge import exactly
from ..setting import Setting
from ..steps import CaseScript, SendBytes
from ..verdicts import Grade, Verdict
from .case import Case, within_limit

__all__ = ["CASES"]

_MANY: Final = 1000


def pattern(size: int) -> bytes:
    """Data that contains every byte value, if it is long enough."""
    values = bytes(range(256))
    return (values * (size // len(values) + 1))[:size]


def exchange(setting: Setting, *messages: Message) -> CaseScript:
    """Sends messages in one write; all must come back."""
    return CaseScript((SendBytes(setting.encoded(*messages)),), point=messages)


def _first(setting: Setting) -> CaseScript:
    return exchange(setting, setting.first)


def _sized(size: int, setting: Setting) -> CaseScript:
    return exchange(setting, Message(setting.first.msg_id, pattern(within_limit(size, setting))))


def _largest(setting: Setting) -> CaseScript:
    return _sized(min(setting.limit, 1 << 20), setting)


def _data(choose: Callable[[Setting], bytes], setting: Setting) -> CaseScript:
    data = choose(setting)
    within_limit(len(data), setting)
    return exchange(setting, Message(setting.first.msg_id, data))


def _many(setting: Setting) -> CaseScript:
    texts = (f"message {number}".encode()[: setting.limit] for number in range(_MANY))
    return exchange(setting, *(setting.numbered(number, text) for number, text in enumerate(texts)))


def _empty(count: int, setting: Setting) -> CaseScript:
    return exchange(setting, *(setting.numbered(number, b"") for number in range(count)))


def _empty_between(setting: Setting) -> CaseScript:
    return exchange(
        setting, setting.first, setting.numbered(1, b""), setting.second, setting.numbered(2, b"")
    )


def _limit_zero(setting: Setting) -> CaseScript:
    empty = setting.numbered(1, b"")
    return CaseScript(
        (SendBytes(setting.encoded(empty, setting.numbered(2, setting.stray))),), point=(empty,)
    )


def _with_id(msg_id: int, setting: Setting) -> CaseScript:
    return exchange(setting, setting.first._replace(msg_id=msg_id))


def _prefix_as_id(setting: Setting) -> CaseScript:
    return _with_id(setting.prefix_as_id, setting)


def _repeated_id(setting: Setting) -> CaseScript:
    texts = (b"one", b"two", b"three")
    return exchange(setting, *(setting.numbered(7, text[: setting.limit]) for text in texts))


def exactly_with_control(evidence: Evidence) -> Grade:
    """This case is about the exchange itself, so a wrong answer to the control message fails it."""
    grade = exactly(evidence)
    (seen,) = evidence.seen
    answered = seen.received[: len(evidence.setting.mark)] == evidence.setting.mark
    if grade.verdict is Verdict.INCONCLUSIVE and seen.stop is Stop.WRONG and answered:
        return grade._replace(verdict=Verdict.FAILED)
    return grade


_SIZES: Final = (1, 251, 252, 65531, 65532)

_CONTENTS: Final[tuple[tuple[str, Callable[[Setting], bytes]], ...]] = (
    ("all 256 values as data", lambda setting: pattern(256)),
    ("the prefix as data", lambda setting: setting.mark),
    ("a header as data", lambda setting: setting.header(1)),
    ("a whole message as data", lambda setting: setting.encoded(setting.second)),
)

_IDS: Final = ((1, 0), (2, 1), (3, -1), (4, MSG_ID.lowest), (5, MSG_ID.highest))

CASES: Final = (
    Case("1.1", "2.2", "A", "A", _first, judge=exactly_with_control),
    *(
        Case(
            f"1.2.{number}", "2.4", f"n = {size:,}", "the same message", partial(_sized, size)
        )
        for number, size in enumerate(_SIZES, 1)
    ),
    Case("1.2.6", "2.4", "n = min(L, 1 MiB)", "the same message", _largest),
    *(
        Case(f"1.3.{number}", "2.6", title, "the same message", partial(_data, choose))
        for number, (title, choose) in enumerate(_CONTENTS, 1)
    ),
    Case("1.4", "FRM-S4", "1,000 messages in one write", "all, in order", _many),
    Case("2.1", "2.6", "an empty message", "the same message", partial(_empty, 1)),
    Case("2.2", "2.6", "three empty messages", "all three", partial(_empty, 3)),
    Case("2.3", "2.6", "empty messages among others", "all, in order", _empty_between),
    Case(
        "2.4", "5", "L = 0: an empty message, then one with n = 1", "the empty message",
        _limit_zero, stops=True, limit=0,
    ),
    *(
        Case(f"3.{number}", "2.5", f"ID {value}", "the same message", partial(_with_id, value))
        for number, value in _IDS
    ),
    Case("3.6", "2.5", "the prefix as ID", "the same message", _prefix_as_id),
    Case("3.7", "2.5", "ID 4", "the same message", partial(_with_id, 4)),
    Case("3.8", "2.5", "three messages with the same ID", "all three, in order", _repeated_id),
)  # fmt: skip
