"""JSON as it was written: laid out over lines, or put on one line, and not changed otherwise.

Numbers, duplicate keys, their order and escapes stay as they are; only the space between tokens is
new. The grammar is that of RFC 8259, of any depth, without recursion. One pass reads no further
than it is told to, and takes as much memory as its result.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

__all__ = ["NotJSON", "laid_out", "on_one_line", "opens_container"]

_PIECE: Final = 1 << 16
#: What is nested deeper stays on one line, so that the result is proportional to the text.
_DEEPEST: Final = 16

_Decoder: Final = codecs.getincrementaldecoder("utf-8")
_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_CONTAINER: Final = re.compile(rb"[ \t\n\r]*[\[{]")
#: A whole token, but no string that has escapes.
_TOKEN: Final = re.compile(
    rb"[ \t\n\r]*"
    rb'([\[\]{},:]|"[^"\\\x00-\x1f]*"|true|false|null|'
    rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
)
#: The inside of a string, in runs: an unbounded repetition would take memory for every escape.
_INSIDE: Final = re.compile(rb'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){1,100}')
# What may become an escape, a number or a word, where the text is cut off.
_ESCAPE_BEGUN: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?")
_NUMBER_BEGUN: Final = re.compile(
    rb"-?(?:(?:0|[1-9][0-9]*)(?:\.(?:[0-9]+(?:[eE][+-]?[0-9]*)?)?|[eE][+-]?[0-9]*)?)?"
)
_WORD_BEGUN: Final = re.compile(rb"t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?")

#: What a token is, by its first byte: itself where it is punctuation or a string.
_KINDS: Final = {
    **{byte: bytes([byte]) for byte in b'{}[],:"'},
    **dict.fromkeys(b"-0123456789tfn", b"0"),
}
# What comes before a token, in the places of a list in ``_gaps``.
_NOTHING, _SPACED, _LINE, _NEXT_LINE, _LAST_LINE = range(5)


class _Place(dict[bytes, tuple["_Place | None", int, int]]):
    """Where in a text the next token is: which kinds may come there.

    Each has the place behind it (None: that behind the container, which it ends), what comes before
    it in the layout, and for a bracket that opens a container, the number of the place behind that.
    """


_END, _MORE_ELEMENTS, _MORE_MEMBERS = _Place(), _Place(), _Place()
_BEHIND: Final = (_END, _MORE_ELEMENTS, _MORE_MEMBERS)


def _values(behind: int, gap: int) -> _Place:
    """A place for a value."""
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
    """What comes before a token, by how deep it is; the last of them from there on."""
    lines = [b"\n" + b"  " * depth for depth in range(deepest + 1)]
    spread = [(b"", b" ", line, line, lines[at - 1]) for at, line in enumerate(lines)]
    return [*spread, (b"", b" ", b"", b" ", b"")]


_LAID_OUT: Final = _gaps(_DEEPEST)
_ON_ONE_LINE: Final = _gaps(0)


class NotJSON(ValueError):
    """It is not JSON, or does not begin as JSON does."""


def opens_container(data: bytes, stop: int) -> bool:
    """Whether the first token of ``data[:stop]`` opens an object or an array."""
    return _CONTAINER.match(data, 0, stop) is not None


def laid_out(data: bytes, stop: int) -> bytearray:
    """The tokens in ``data[:stop]``, each member and element on a line of its own.

    Where ``stop`` is not the end of ``data``, the text may break off anywhere.

    Raises:
        NotJSON: that is not JSON, or not the beginning of JSON.
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
    opened = bytearray()  # for each container around, the number of the place behind it
    place = _START
    at = 0
    while True:
        found = _TOKEN.match(data, at, stop) if whole else None
        start, at = found.span(1) if found is not None else _token(data, at, stop)
        if start == stop:
            break
        kind = _KINDS[data[start]]
        if kind not in place:
            raise NotJSON(f"out of place at {start}")
        following, gap, behind = place[kind]
        text += gaps[min(len(opened), deepest)][gap]
        text += data[start:at]
        if behind >= 0:
            opened.append(behind)
        place = following if following is not None else _BEHIND[opened.pop()]
    if whole and place is not _END:
        raise NotJSON("it breaks off")
    return text


def _token(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Any token, also one with escapes, or that is cut off at ``stop``; nothing at the end."""
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
        raise NotJSON(f"not a token at {start}")
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
        raise NotJSON(f"a string that ends wrongly at {at}")
    return stop


def _check_characters(data: bytes, stop: int) -> None:
    decoder = _Decoder()
    try:
        for start in range(0, stop, _PIECE):
            last = stop == len(data) <= start + _PIECE
            decoder.decode(data[start : min(start + _PIECE, stop)], last)
    except UnicodeDecodeError as error:
        raise NotJSON("not UTF-8") from error
