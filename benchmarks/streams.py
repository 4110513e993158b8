"""Byte streams to measure with: regular ones, and the worst that anyone could think of."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from vfiipc.codec import encode

__all__ = [
    "ADVERSARIAL",
    "LARGE_LIMIT",
    "LIMIT",
    "MARK",
    "PREFIX",
    "cut",
    "false_headers",
    "garbage",
]

PREFIX = 0xFEEDC0DE
MARK = struct.pack(">I", PREFIX)
LIMIT = 2**20
LARGE_LIMIT = 2**28  # above every stream here


def cut(stream: bytes, size: int = 65536) -> list[bytes]:
    """The stream in chunks of ``size`` bytes, the last one shorter."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def garbage(size: int) -> bytes:
    """Random bytes without a prefix in them, the same ones every time."""
    return random.Random(5).randbytes(size).replace(MARK, b"....")


def false_headers(size: int) -> bytes:
    """Prefix after prefix, each with a size above any limit."""
    return _repeat(MARK + b"\xff\xff\xff\xff", size)


def _repeat(piece: bytes, size: int) -> bytes:
    return (piece * (size // len(piece) + 1))[:size]


def _promise(size: int) -> bytes:
    return MARK + struct.pack(">I", size)


def _one_large(size: int) -> bytes:
    return encode(PREFIX, 1, bytes(size))


#: By name: what makes a stream of some ``size`` bytes. They are for a limit of ``LARGE_LIMIT``.
ADVERSARIAL: dict[str, Callable[[int], bytes]] = {
    "false headers, too large": false_headers,
    "false headers, too small": lambda size: _repeat(MARK + b"\0\0\0\3", size),
    "false headers, just above the limit": lambda size: _repeat(_promise(LARGE_LIMIT + 5), size),
    "prefixes only": lambda size: _repeat(MARK, size),
    "prefixes cut short": lambda size: _repeat(MARK[:3], size),
    "first bytes of prefixes": lambda size: _repeat(MARK[:1], size),
    "random garbage": garbage,
    "empty messages": lambda size: _repeat(encode(PREFIX, 0, b""), size),
    "a stray byte before each message": lambda size: _repeat(
        b"x" + encode(PREFIX, 0, bytes(64)), size
    ),
    "messages of 4 KiB": lambda size: _repeat(encode(PREFIX, 0, bytes(4096)), size),
    "one large message": _one_large,
    "a claim never fulfilled": lambda size: _promise(LARGE_LIMIT + 4) + bytes(size),
    "false headers in large messages": lambda size: _repeat(
        encode(PREFIX, 0, false_headers(5000)), size
    ),
}
