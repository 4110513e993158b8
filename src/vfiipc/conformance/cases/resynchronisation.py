"""Chapter 4: bytes that do not belong to a message."""

from __future__ import annotations

from functools import partial
from typing import Final

from ...codec import MSG_ID_SIZE, Message
from ..setting import Setting
from ..steps import CaseScript, SendBytes
from .case import Case

__all__ = ["CASES"]


def _before(setting: Setting) -> CaseScript:
    return CaseScript(
        (SendBytes(setting.stray + setting.encoded(setting.first)),), (setting.first,)
    )


def _between(setting: Setting) -> CaseScript:
    first, second = setting.first, setting.second
    stream = setting.encoded(first) + setting.stray * 2 + setting.encoded(second)
    return CaseScript((SendBytes(stream),), (first, second))


def _after(setting: Setting) -> CaseScript:
    return CaseScript(
        (SendBytes(setting.encoded(setting.first) + setting.stray),), (setting.first,)
    )


def _much(setting: Setting) -> CaseScript:
    return CaseScript((SendBytes(setting.garbage(1 << 16)),), ())


def _beginning(length: int, setting: Setting) -> CaseScript:
    stream = setting.mark[:length] + setting.encoded(setting.first)
    return CaseScript((SendBytes(stream),), (setting.first,))


def _false_header(setting: Setting) -> CaseScript:
    stream = setting.judged(MSG_ID_SIZE) + setting.encoded(setting.first)
    return CaseScript((SendBytes(stream),), (Message(setting.prefix_as_id, b""),))


def _byte_by_byte(setting: Setting) -> CaseScript:
    stream = setting.garbage(40) + setting.encoded(setting.first)
    return CaseScript(tuple(SendBytes(bytes([value])) for value in stream), (setting.first,))


def _among_own_bytes(setting: Setting) -> CaseScript:
    messages = (setting.first, setting.second, setting.first)
    strays = (setting.mark[:length] for length in (1, 2, 3))
    parts = (stray + setting.encoded(message) for stray, message in zip(strays, messages))
    return CaseScript((SendBytes(b"".join(parts)),), messages)


_PREFIXES: Final = (0xABABABAB, 0x00000000, 0x00000001, 0xAAABAAAB, 0xABCDABCD)

CASES: Final = (
    Case("4.1", "FRM-R2", "a stray byte, A", "A", _before, stops=True),
    Case("4.2", "FRM-R2", "A, two stray bytes, B", "A, B", _between, stops=True),
    Case("4.3", "FRM-R2", "A, a stray byte", "A", _after, stops=True),
    Case("4.4", "FRM-R2", "64 KiB of garbage", "Z", _much, stops=True),
    *(
        Case(
            f"4.5.{length}", "FRM-R3", f"the first {text} of P, A", "A",
            partial(_beginning, length), stops=True,
        )
        for length, text in enumerate(("byte", "2 bytes", "3 bytes"), 1)
    ),
    Case("4.6", "FRM-R5", "P, A", "A", partial(_beginning, 4), stops=True),
    Case(
        "4.7", "FRM-R5", "P and S = 4, A", "an empty message with the ID P, Z",
        _false_header, stops=True,
    ),
    Case("4.8", "FRM-R3", "garbage and A, byte by byte", "A", _byte_by_byte, stops=True),
    *(
        Case(
            f"4.9.{number}", "8.5",
            f"prefix {prefix:08x}: A, B, A, each after the first bytes of P",
            "A, B, A", _among_own_bytes, stops=True, prefix=prefix,
        )
        for number, prefix in enumerate(_PREFIXES, 1)
    ),
)  # fmt: skip
