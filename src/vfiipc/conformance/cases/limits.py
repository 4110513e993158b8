"""Chapter 5: invalid sizes, and sizes at the limit."""

from __future__ import annotations

from functools import partial
from typing import Final

from ...codec import SIZE, Message
from ..setting import Setting
from ..steps import Await, CaseScript, SendBytes
from .case import BULK, Case, CaseNotApplicable, sendable
from .messages import exchange

__all__ = ["CASES"]


def _bad_size(size: int, setting: Setting) -> CaseScript:
    stream = setting.judged(size) + setting.encoded(setting.first)
    return CaseScript((SendBytes(stream),), (setting.first,))


def _below_limit(distance: int, setting: Setting) -> CaseScript:
    size = sendable(setting.limit) - distance
    if size < 0:
        raise CaseNotApplicable("there is no size below the limit")
    return exchange(setting, Message(setting.first.msg_id, setting.stray * size))


def _too_large(setting: Setting, hidden: bytes = b"") -> bytes:
    """A message above the limit, whose data contains no prefix except those in ``hidden``."""
    size = sendable(setting.limit + 1)
    around = setting.stray * 8
    data = around + hidden + setting.stray * max(size - len(around) - len(hidden), 8)
    return setting.header(len(data)) + data


def _above_limit(setting: Setting) -> CaseScript:
    size = sendable(setting.limit + 1)
    return CaseScript((SendBytes(setting.header(size) + setting.stray * size),), ())


def _header_alone(setting: Setting) -> CaseScript:
    """A must come back although the data that the header announces is never sent."""
    header = setting.header(setting.limit + 1)
    steps = (SendBytes(header), SendBytes(setting.encoded(setting.first)), Await())
    return CaseScript(steps, (setting.first,))


def _hidden(setting: Setting) -> CaseScript:
    hidden = setting.second
    return CaseScript((SendBytes(_too_large(setting, setting.encoded(hidden))),), (hidden,))


def _among_fitting(setting: Setting) -> CaseScript:
    first, second = setting.first, setting.second
    stream = setting.encoded(first) + _too_large(setting) + setting.encoded(second)
    return CaseScript((SendBytes(stream),), (first, second))


_BAD_SIZES: Final = (
    ("0", 0),
    ("1", 1),
    ("2", 2),
    ("3", 3),
    ("2**31 - 1", 2**31 - 1),
    ("2**31", 2**31),
    ("2**32 - 1", SIZE.highest),
)

CASES: Final = (
    *(
        Case(
            f"5.1.{number}", "FRM-R5", f"P and S = {text}, A", "A",
            partial(_bad_size, size), stops=True,
        )
        for number, (text, size) in enumerate(_BAD_SIZES, 1)
    ),
    Case(
        "5.2", "5", "n = L - 1", "the same message", partial(_below_limit, 1),
        alone=True, seconds=BULK,
    ),
    Case(
        "5.3", "5", "n = L", "the same message", partial(_below_limit, 0),
        alone=True, seconds=BULK,
    ),
    Case("5.4", "5", "n = L + 1", "Z", _above_limit, stops=True, alone=True, seconds=BULK),
    Case(
        "5.5", "FRM-R5", "a header for n = L + 1 without its data, A", "A, without a wait for data",
        _header_alone, stops=True,
    ),
    Case(
        "5.6", "8.2", "n = L + 1, with a message hidden in the data", "the hidden message, Z",
        _hidden, stops=True, alone=True, seconds=BULK,
    ),
    Case(
        "5.7", "5", "A, a message with n = L + 1, B", "A, B",
        _among_fitting, stops=True, alone=True, seconds=BULK,
    ),
)  # fmt: skip
