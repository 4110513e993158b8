"""Chapter 10: where a strict receiver stops."""

from __future__ import annotations

from typing import Final

from ..setting import Setting
from ..steps import Script, Send
from .case import Case

__all__ = ["CASES"]


def _before(setting: Setting) -> Script:
    return Script((Send(setting.stray + setting.encoded(setting.first)),))


def _between(setting: Setting) -> Script:
    return _after_first(setting.stray, setting)


def _after_first(fault: bytes, setting: Setting) -> Script:
    first, second = setting.encoded(setting.first), setting.encoded(setting.second)
    return Script((Send(first + fault + second),))


def _bad_size(setting: Setting) -> Script:
    return _after_first(setting.judged(3), setting)


def _above_limit(setting: Setting) -> Script:
    return _after_first(setting.header(setting.limit + 1), setting)


CASES: Final = (
    Case("10.1", "FRM-F1", "a stray byte, A", "the end", _before, stops=True, strict_only=True),
    Case(
        "10.2", "FRM-F1", "A, a stray byte, B", "A, the end", _between, stops=True, strict_only=True
    ),
    Case(
        "10.3", "FRM-F2", "A, P and S = 3, B", "A, the end", _bad_size, stops=True, strict_only=True
    ),
    Case(
        "10.4", "FRM-F2", "A, a header for n = L + 1, B", "A, the end",
        _above_limit, stops=True, strict_only=True,
    ),
)  # fmt: skip
