"""Payloads as text for people and as JSON for programs: used by every command that shows data.

Nothing here raises, whatever the data. Text is produced in pieces, so that showing a payload needs
little more memory than the payload itself. Characters that could control the terminal are escaped.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from .hexdump import dump
from .json_text import NotJSON, laid_out, on_one_line, opens_container

__all__ = ["FORMS", "is_text", "json_members", "shown"]

#: The forms in which data can be shown; ``auto`` chooses one of the next three.
FORMS: Final = ("auto", "text", "json", "hex", "none")

_PIECE: Final = 1 << 13
_LINES: Final = 128  # of a hex dump in one piece
_Decoder: Final = codecs.getincrementaldecoder("utf-8")
_NOT_ASCII: Final = re.compile(r"[^ -~]")


def is_text(data: bytes, stop: int | None = None) -> bool:
    """Whether ``data[:stop]`` can be shown as it is: UTF-8 without control characters."""
    try:
        pieces = _decoded(data, len(data) if stop is None else stop, "strict")
        return all(_is_printable(piece) for piece in pieces)
    except UnicodeDecodeError:
        return False


def shown(data: bytes, how: str, most: int) -> Iterator[str]:
    """Yields pieces of text that show data: lines, without a line break at the end.

    Args:
        data: the payload.
        how: one of ``FORMS``. ``auto`` and ``json`` fall back to a hex dump; ``text`` escapes what
            is not text.
        most: maximum number of bytes to show; if there are more, a last line says so.
    """
    if how == "none" or not data:
        return
    stop = _stop(data, most)
    layout = _layout(data, stop) if how in ("auto", "json") else None
    if layout is not None:
        yield from _characters(layout, len(layout), _as_in_json)
    elif how == "text" or (how == "auto" and is_text(data, stop)):
        yield from _characters(data, stop, _as_in_text)
    else:
        stop = min(most, len(data))
        yield from _dumped(data, stop)
    if stop < len(data):
        left = len(data) - stop
        yield f"{chr(10) if stop else ''}... and {left:,} byte{'s' * (left > 1)} more (--show)"


def json_members(data: bytes, most: int) -> Iterator[str]:
    """Yields the members of a JSON object that hold a payload, in ASCII pieces.

    ``data``, in hex, is always present. ``text`` is present if the payload is text, and ``json``,
    as it was written, if the payload is JSON by RFC 8259 and has at most ``most`` bytes.
    """
    yield '"data": "'
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE].hex()
    yield '"'
    if is_text(data):
        yield ', "text": "'
        for piece in _decoded(data, len(data), "strict"):
            yield json.dumps(piece)[1:-1]
        yield '"'
    if len(data) > most:
        return
    try:
        line = on_one_line(data)
    except NotJSON:
        return
    yield ', "json": '
    for piece in _decoded(line, len(line), "strict"):
        plain = piece.isascii() and piece.isprintable()
        yield piece if plain else _NOT_ASCII.sub(lambda found: _as_in_json(found[0]), piece)


def _layout(data: bytes, stop: int) -> bytearray | None:
    """``data[:stop]``, indented, if it is an object or array or begins one; otherwise None."""
    if not opens_container(data, stop):
        return None
    try:
        return laid_out(data, stop)
    except NotJSON:
        return None


def _stop(data: bytes, most: int) -> int:
    """The end of the part to show, chosen so that no character or line break is split."""
    if most >= len(data):
        return len(data)
    stop = most
    while stop > max(0, most - 3) and data[stop] & 0xC0 == 0x80:
        stop -= 1
    if data[stop - 1 : stop + 1] == b"\r\n":
        stop -= 1
    return stop


def _decoded(data: bytes | bytearray, stop: int, errors: str) -> Iterator[str]:
    """``data[:stop]`` as characters, in pieces that do not end within a line break."""
    if stop <= _PIECE:  # the common case, much faster
        yield data[:stop].decode("utf-8", errors)
        return
    decoder = _Decoder(errors)
    held = ""
    for start in range(0, stop, _PIECE):
        last = start + _PIECE >= stop
        text = held + decoder.decode(data[start : min(start + _PIECE, stop)], last)
        held = "\r" if text.endswith("\r") and not last else ""
        yield text[: len(text) - len(held)]


def _is_printable(text: str) -> bool:
    if text.isprintable():
        return True
    return text.replace("\r\n", "").replace("\n", "").replace("\t", "").isprintable()


def _characters(data: bytes | bytearray, stop: int, escape: Callable[[str], str]) -> Iterator[str]:
    for text in _decoded(data, stop, "backslashreplace"):
        yield text if _is_printable(text) else _escaped(text, escape)


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    lines = text.split("\r\n")
    return "\r\n".join(
        "".join(char if char.isprintable() or char in "\n\t" else escape(char) for char in line)
        for line in lines
    )


def _as_in_text(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _as_in_json(char: str) -> str:
    return json.dumps(char)[1:-1]


def _dumped(data: bytes, stop: int) -> Iterator[str]:
    lines: list[str] = []
    between = ""
    for line in dump(data, stop):
        lines.append(line)
        if len(lines) == _LINES:
            yield between + "\n".join(lines)
            lines.clear()
            between = "\n"
    if lines:
        yield between + "\n".join(lines)
