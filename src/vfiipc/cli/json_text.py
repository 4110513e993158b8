"""Reformats JSON without changing its tokens: indented, or on one line.

Numbers, duplicate keys, their order and escapes stay as they are; only the white space between
tokens changes. The grammar is RFC 8259, of any depth, without recursion. One pass reads no further
than ``stop`` and needs memory in proportion to its result.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

__all__ = ["NotJSON", "laid_out", "on_one_line", "opens_container"]

_PIECE: Final = 1 << 16
#: Deeper levels stay on one line: indenting them would make the result grow quadratically.
_DEEPEST: Final = 16

_Decoder: Final = codecs.getincrementaldecoder("utf-8")
_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_CONTAINER: Final = re.compile(rb"[ \t\n\r]*[\[{]")
#: A whole token, except for strings with escapes.
_TOKEN: Final = re.compile(
    rb"[ \t\n\r]*"
    rb'([\[\]{},:]|"[^"\\\x00-\x1f]*"|true|false|null|'
    rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
)
#: The inside of a string, in bounded runs: an unbounded repetition needs memory per escape.
_INSIDE: Final = re.compile(rb'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){1,100}')
# The beginnings of an escape, a number and a word, for text that is cut off.
_ESCAPE_BEGUN: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?")
_NUMBER_BEGUN: Final = re.compile(
    rb"-?(?:(?:0|[1-9][0-9]*)(?:\.(?:[0-9]+(?:[eE][+-]?[0-9]*)?)?|[eE][+-]?[0-9]*)?)?"
)
_WORD_BEGUN: Final = re.compile(rb"t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?")

#: The kind of a token by its first byte; punctuation and quotes stand for themselves.
_KINDS: Final = {
    **{byte: bytes([byte]) for byte in b'{}[],:"'},
    **dict.fromkeys(b"-0123456789tfn", b"0"),
}
# The white space before a token, as indexes into a tuple of ``_gaps``.
_NOTHING, _SPACED, _LINE, _NEXT_LINE, _LAST_LINE = range(5)


class _Place(dict[bytes, tuple["_Place | None", int, int]]):
    """A state of the parser: maps each kind of token that is allowed to what follows from it.

    The value holds the next state (None to return to the state after the enclosing container, which
    the token closes), the white space before the token, and for an opening bracket the number of
    the state after the container it opens, otherwise -1.
    """


_END, _MORE_ELEMENTS, _MORE_MEMBERS = _Place(), _Place(), _Place()
_BEHIND: Final = (_END, _MORE_ELEMENTS, _MORE_MEMBERS)


def _values(behind: int, gap: int) -> _Place:
    """The state in which a value is expected."""
    scalar = (_BEHIND[behind], gap, -1)
    opening = {b"[": (_FIRST_ELEMENT, gap, behind), b"{": (_FIRST_MEMBER, gap, behind)}
    return _Place({b"0": scalar, b'"': scalar, **opening})


_FIRST_ELEMENT, _FIRST_MEMBER, _COLON = _Place(), _Place(), _Place()
_FIRST_ELEMENT.update({**_values(1, _LINE), b"]": (None, _NOTHING, -1)})
_FIRST_MEMBER.update({b'"': (_COLON, _LINE, -1), b"}": (None, _NOTHING, -1)})
_COLON.update({b":": (_values(2, _SPACED), _NOTHING, -1)})
_MORE_ELEMENTS.update({b",": (_values(1, _NEXT_LINE), _NOTHING, -1), b"]": (None, _LAST_LINE, -1)})
_MORE_MEMBERS.update(
    {
        b",": (_Place({b'"': (_COLON, _NEXT_LINE, -1)}), _NOTHING, -1),
        b"}": (None, _LAST_LINE, -1),
    }
)
_START: Final = _values(0, _NOTHING)


def _gaps(deepest: int) -> list[tuple[bytes, ...]]:
    """The white space before a token by depth; the last entry also applies to deeper tokens."""
    lines = [b"\n" + b"  " * depth for depth in range(deepest + 1)]
    spread = [(b"", b" ", line, line, lines[at - 1]) for at, line in enumerate(lines)]
    return [*spread, (b"", b" ", b"", b" ", b"")]


_LAID_OUT: Final = _gaps(_DEEPEST)
_ON_ONE_LINE: Final = _gaps(0)


class NotJSON(ValueError):
    """The text is not JSON, nor the beginning of JSON."""


def opens_container(data: bytes, stop: int) -> bool:
    """Whether the first token of ``data[:stop]`` opens an object or an array."""
    return _CONTAINER.match(data, 0, stop) is not None


def laid_out(data: bytes, stop: int) -> bytearray:
    """The tokens in ``data[:stop]``, with each member and element on its own line.

    If ``stop`` is not the end of ``data``, the text may be cut off anywhere.

    Raises:
        NotJSON: it is not JSON, nor the beginning of JSON.
    """
    return _spaced(data, stop, _LAID_OUT)


def on_one_line(data: bytes) -> bytearray:
    """All tokens in ``data`` on one line.

    Raises:
        NotJSON: that is not JSON.
    """
    return _spaced(data, len(data), _ON_ONE_LINE)


def _spaced(data: bytes, stop: int, gaps: list[tuple[bytes, ...]]) -> bytearray:
    _check_characters(data, stop)
    whole = stop == len(data)
    deepest = len(gaps) - 1
    text = bytearray()
    opened = bytearray()  # for each open container, the number of the state after it
    place = _START
    at = 0
    while True:
        found = _TOKEN.match(data, at, stop) if whole else None
        start, at = found.span(1) if found is not None else _token(data, at, stop)
        if start == stop:
            break
        kind = _KINDS[data[start]]
        if kind not in place:
            raise NotJSON(f"unexpected token at byte {start}")
        following, gap, behind = place[kind]
        text += gaps[min(len(opened), deepest)][gap]
        text += data[start:at]
        if behind >= 0:
            opened.append(behind)
        place = following if following is not None else _BEHIND[opened.pop()]
    if whole and place is not _END:
        raise NotJSON("unexpected end")
    return text


def _token(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """The span of the next token, which may contain escapes or be cut off; empty at the end."""
    space = _SPACE.match(data, at, stop)
    start = space.end() if space is not None else at
    if start == stop:
        return stop, stop
    if stop < len(data):
        for begun in (_NUMBER_BEGUN, _WORD_BEGUN):
            part = begun.match(data, start, stop)
            if part is not None and part.end() == stop:
                return start, stop
    found = _TOKEN.match(data, start, stop)
    if found is not None:
        return found.span(1)
    if data[start] != ord('"'):
        raise NotJSON(f"invalid token at byte {start}")
    return start, _end_of_string(data, start + 1, stop)


def _end_of_string(data: bytes, at: int, stop: int) -> int:
    while inside := _INSIDE.match(data, at, stop):
        at = inside.end()
    if at < stop and data[at] == ord('"'):
        return at + 1
    begun = _ESCAPE_BEGUN.match(data, at, stop)
    if begun is not None:
        at = begun.end()
    if at < stop or stop == len(data):
        raise NotJSON(f"invalid string at byte {at}")
    return stop


def _check_characters(data: bytes, stop: int) -> None:
    decoder = _Decoder()
    try:
        for start in range(0, stop, _PIECE):
            last = stop == len(data) <= start + _PIECE
            decoder.decode(data[start : min(start + _PIECE, stop)], last)
    except UnicodeDecodeError as error:
        raise NotJSON("not UTF-8") from error
