"""Chapter 10: where a strict receiver stops, and what it delivers before that (FRM-F5).

The fault is sent together with the message before it. Nothing else is sent until that message has
come back, because a peer that closes a connection with unread bytes may lose what it has sent.
"""

from __future__ import annotations

from typing import Final

from ...codec import PREFIX_AND_SIZE
from ..setting import Setting
from ..steps import Await, CaseScript, SendBytes
from .case import Case

__all__ = ["CASES"]


def _before(setting: Setting) -> CaseScript:
    steps = (SendBytes(setting.stray), Await(), SendBytes(setting.encoded(setting.first)))
    return CaseScript(steps, together=True)


def _between(setting: Setting) -> CaseScript:
    return _after_first(setting.stray, setting)


def _after_first(fault: bytes, setting: Setting) -> CaseScript:
    first, second = setting.encoded(setting.first), setting.encoded(setting.second)
    return CaseScript((SendBytes(first + fault), Await(), SendBytes(second)), together=True)


def _bad_size(setting: Setting) -> CaseScript:
    return _after_first(setting.judged(3), setting)


def _above_limit(setting: Setting) -> CaseScript:
    return _after_first(setting.header(setting.limit + 1)[:PREFIX_AND_SIZE], setting)


CASES: Final = (
    Case(
        "10.1", "FRM-F1", "a stray byte, A", "the end of the stream",
        _before, stops=True, strict_only=True,
    ),
    Case(
        "10.2", "FRM-F1", "A and a stray byte in one write, B", "A, the end of the stream",
        _between, stops=True, strict_only=True,
    ),
    Case(
        "10.3", "FRM-F2", "A, P and S = 3 in one write, B", "A, the end of the stream",
        _bad_size, stops=True, strict_only=True,
    ),
    Case(
        "10.4", "FRM-F2", "A, P and S for n = L + 1 in one write, B", "A, the end of the stream",
        _above_limit, stops=True, strict_only=True,
    ),
)  # fmt: skip
