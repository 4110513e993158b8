"""The members of a JSON object, each with its original text.

The standard library's parser decides what is JSON, and where each value ends. No value is
converted here: numbers, escapes, duplicate keys and the space inside a value stay as they are.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

__all__ = ["DEEPEST", "MalformedPayload", "Members", "members_of"]

#: Maximum nesting of arrays and objects, including the payload's own object.
DEEPEST: Final = 128


class MalformedPayload(ValueError):
    """A payload that is not what it should be. The text shows nothing of it."""


def _values(pairs: list[tuple[str, object]]) -> list[object]:
    return [value for _, value in pairs]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Objects become lists, so that duplicate keys count for the depth. Numbers are not converted.
_value_at: Final = json.JSONDecoder(
    object_pairs_hook=_values, parse_float=str, parse_int=str, parse_constant=_refuse
).raw_decode

_SPACE: Final = " \t\n\r"
_OPENING: Final = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*(\}[ \t\n\r]*)?")
_COLON: Final = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
# The text after a member: a comma before the next one, or the end.
_NEXT: Final = r"[ \t\n\r]*(?:,[ \t\n\r]*(?=\")|(\})[ \t\n\r]*)"
_BEHIND: Final = re.compile(_NEXT)
#: A key without escapes and, for most members, a plain string or an integer, and the text after it.
_PLAIN: Final = re.compile(
    r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*'
    r'(?:("[^"\\\x00-\x1f]*"|-?(?:0|[1-9][0-9]*)(?![.eE0-9]))' + _NEXT + ")?"
)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")


class Members:
    """The members of one object; of several with the same name, the last one counts."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str, at: dict[str, tuple[int, int]]) -> None:
        self._text = text
        self._at = at

    def __len__(self) -> int:
        return len(self._at)

    def string(self, name: str) -> str:
        """The string value of a member.

        Raises:
            MalformedPayload: the member is missing, or not a string.
        """
        start, stop = self._extent(name)
        if self._text[start] != '"':
            raise MalformedPayload(f"the member {name!r} is not a string")
        plain = self._text[start + 1 : stop - 1]
        return plain if "\\" not in plain else str(json.loads(self._text[start:stop]))

    def integer(self, name: str, allowed: range, default: int) -> int:
        """The integer value of a member; ``default`` if it is missing.

        Raises:
            MalformedPayload: the value is not an integer, or is out of range.
        """
        if name not in self._at:
            return default
        start, stop = self._at[name]
        number = _INTEGER.fullmatch(self._text, start, stop)
        if number is None or int(number[0]) not in allowed:
            raise MalformedPayload(
                f"the member {name!r} is not an integer in {allowed[0]}..{allowed[-1]}"
            )
        return int(number[0])

    def raw(self, name: str) -> bytes:
        """The JSON text of the value of a member, unchanged.

        Raises:
            MalformedPayload: the member is missing.
        """
        start, stop = self._extent(name)
        return self._text[start:stop].encode()

    def _extent(self, name: str) -> tuple[int, int]:
        found = self._at.get(name)
        if found is None:
            raise MalformedPayload(f"the member {name!r} is missing")
        return found


def members_of(payload: bytes) -> Members:
    """The members of the object that the payload is.

    Raises:
        MalformedPayload: it is not a JSON object, or nested deeper than ``DEEPEST``.
    """
    try:
        text = payload.decode()
        return Members(text, _extents(text))
    except MalformedPayload:
        raise
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # not chained: its text and attributes contain the payload
        raise MalformedPayload("not JSON") from None


def _extents(text: str) -> dict[str, tuple[int, int]]:
    opening = _OPENING.match(text)
    if opening is None:
        raise _not_an_object(text)
    found: dict[str, tuple[int, int]] = {}
    at = opening.end()
    ended = opening[1] is not None
    may_be_deep = text.count("{") + text.count("[") > DEEPEST
    while not ended:
        behind = _PLAIN.match(text, at)
        if behind is not None and behind[2] is not None:
            found[behind[1]] = behind.span(2)
            ended = behind[3] is not None
        else:
            key, start = _key(text, at) if behind is None else (behind[1], behind.end())
            value, at = _value_at(text, start)
            if may_be_deep:
                _check_depth(value)
            found[key] = (start, at)
            behind = _BEHIND.match(text, at)
            if behind is None:
                raise ValueError
            ended = behind[1] is not None
        at = behind.end()
    if at != len(text):
        raise ValueError
    return found


def _key(text: str, at: int) -> tuple[str, int]:
    """A key with escapes, and where its value begins."""
    if text[at : at + 1] != '"':
        raise ValueError
    key, at = _value_at(text, at)
    colon = _COLON.match(text, at)
    if colon is None:
        raise ValueError
    return key, colon.end()


def _check_depth(value: object) -> None:
    level = [value] if isinstance(value, list) else []
    for _ in range(1, DEEPEST):
        if not level:
            return
        level = [inner for outer in level for inner in outer if isinstance(inner, list)]
    if level:
        raise _too_deep()


def _too_deep() -> MalformedPayload:
    return MalformedPayload(f"nested deeper than {DEEPEST} levels")


def _not_an_object(text: str) -> MalformedPayload:
    _, stop = _value_at(text, len(text) - len(text.lstrip(_SPACE)))
    return MalformedPayload("not JSON" if text[stop:].strip(_SPACE) else "not an object")
