"""Converts hex dumps to bytes.

Supported are lines with offsets, as written by ``xxd``, ``hexdump -C``, ``od -A x -t x1`` and
Wireshark, and plain hexadecimal digits. The offsets give the number of bytes in each line, so that
a column of characters after the digits is never mistaken for digits.
"""

from __future__ import annotations

import itertools
import re
from binascii import unhexlify
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["HexDumpError", "looks_like_hex_dump", "parse_hex_dump"]

# "00000010: 02ff", "00000010  02 ff", "0010 02 ff", and "00000010" at the end of a dump.
_OFFSET_LINE = re.compile(
    r"\s*(?:0x)?([0-9a-f]{4,16})(?::\s+(?=[0-9a-f]{2})|\s+(?=[0-9a-f]{2}(?:\s|$))|:?\s*$)", re.I
)
_PAIR = re.compile(r"\s*([0-9a-f]{2})", re.I)
_WORDS = re.compile(r"\s*[0-9a-f]{7}(?:\s+[0-9a-f]{4}){2,8}\s*$", re.I)
_MARKS = (b"0x", b"0X", rb"\x", rb"\X")  # before digits
_BETWEEN = b" \t\r\n\v\f,:;-"
# Eight bytes, a wider gap in the middle, and up to eight more bytes.
_HALVES = re.compile(r"((?:\w\w ){7}\w\w)\s{2,3}((?:\w\w ){0,7}\w\w)(?:\s{2}|$)")
_REPEATED = "*"
_MAX_LINE = 1 << 20  # bytes in a line, so that a damaged offset cannot exhaust the memory


class HexDumpError(Exception):
    """The text is not a hex dump; the message names the line and the reason."""


class _Line(NamedTuple):
    number: int
    offset: int
    text: str
    start: int  # index of the first digit


def looks_like_hex_dump(head: str) -> bool:
    """Whether a text whose first lines are ``head`` looks like a hex dump."""
    lines = [line for line in head.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return False
    if _has_offset(lines[0]) or _WORDS.match(lines[0]):
        return True
    return re.fullmatch(rb"[0-9a-fA-F]+", _digits(lines[0])) is not None


def parse_hex_dump(lines: Iterable[str]) -> Iterator[bytes]:
    """Yields the bytes, line by line.

    Args:
        lines: the text. Empty lines, and lines that begin with ``#``, are skipped.

    Raises:
        HexDumpError: a line is invalid; the bytes before it were yielded.
    """
    numbered = (
        (number, line.rstrip("\r\n"))
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    )
    first = next(numbered, None)
    if first is None:
        return
    rest = itertools.chain([first], numbered)
    if _WORDS.match(first[1]):
        raise HexDumpError(
            f"line {first[0]}: 16-bit words, whose byte order is unknown; "
            "create the dump with xxd or hexdump -C"
        )
    yield from (_with_offsets(rest) if _has_offset(first[1]) else _digits_alone(rest))


def _digits_alone(lines: Iterable[tuple[int, str]]) -> Iterator[bytes]:
    for number, line in lines:
        try:
            yield unhexlify(_digits(line))
        except ValueError:
            raise HexDumpError(f"line {number}: not pairs of hexadecimal digits") from None


def _digits(line: str) -> bytes:
    """The line without separators and ``0x`` marks; other characters remain."""
    digits = line.encode("ascii", "replace")
    for mark in _MARKS:
        digits = digits.replace(mark, b"")
    return digits.translate(None, _BETWEEN)


def _with_offsets(lines: Iterable[tuple[int, str]]) -> Iterator[bytes]:
    before: _Line | None = None
    repeated = False
    column: int | None = None  # index of the column of characters after the digits
    for number, text in lines:
        if text.strip() == _REPEATED:
            repeated = True
            continue
        line = _offset_line(number, text)
        if line is None:
            raise HexDumpError(f"line {number}: no offset, unlike the lines before")
        if before is not None:
            size = line.offset - before.offset
            if not 0 <= size <= _MAX_LINE or (size == 0 and not repeated):
                raise HexDumpError(f"line {number}: unexpected offset {line.offset:#x}")
            if repeated:
                data = _last(before, column)
                yield (data * (size // max(len(data), 1) + 1))[:size]
            else:
                data, column = _pairs(before, size, column)
                yield data
            if len(data) < size and not repeated:
                raise HexDumpError(
                    f"line {before.number}: {len(data)} bytes; by the next offset, it has {size}"
                )
        before, repeated = line, False
    if before is not None and before.start < len(before.text):
        yield _last(before, column)


def _last(line: _Line, column: int | None) -> bytes:
    """The bytes of the last line, whose length no following offset gives."""
    if column is not None and column < len(line.text):
        text = line.text[line.start : column]
    else:
        text = line.text[line.start :].split("|", 1)[0].strip()
        halves = _HALVES.match(text)
        text = " ".join(halves.groups()) if halves else re.split(r"\s{2,}", text, maxsplit=1)[0]
    data, _ = _pairs(line._replace(text=text, start=0), _MAX_LINE + 1)
    if len(data) > _MAX_LINE:
        raise HexDumpError(f"line {line.number}: more than {_MAX_LINE:,} bytes after one offset")
    return data


def _has_offset(text: str) -> bool:
    line = _offset_line(0, text)
    return line is not None and line.start < len(text)


def _offset_line(number: int, text: str) -> _Line | None:
    match = _OFFSET_LINE.match(text)
    return _Line(number, int(match[1], 16), text, match.end()) if match else None


def _pairs(line: _Line, most: int, column: int | None = None) -> tuple[bytes, int]:
    """Up to ``most`` bytes, and the index in the line after them, which is usually ``column``."""
    if column is not None:
        try:
            data = bytes.fromhex(line.text[line.start : column])
        except ValueError:
            data = b""
        if len(data) == most:
            return data, column
    found: list[str] = []
    at = line.start
    while len(found) < most and (match := _PAIR.match(line.text, at)):
        found.append(match[1])
        at = match.end()
    return bytes.fromhex("".join(found)), at
