"""The criteria of an expectation, and how a message differs from them.

Long values are elided around the difference, so that failures stay readable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from ..codec import Buffer, Message, encode_header

__all__ = ["ANYTHING", "Criterion", "criteria", "elided", "shown"]

#: The default for criteria that are not given. None would be ambiguous: it is a JSON value.
ANYTHING: Final[Any] = object()

_WIDTH = 72  # maximum number of characters shown for a value
_AROUND = 12  # number of bytes shown on each side of a difference
_MAX_PATHS = 4  # maximum number of differences shown between two JSON values


class Criterion(NamedTuple):
    """One criterion for a message."""

    text: str  #: as in the call to ``expect``
    #: Describes how a message differs, in lines; empty if it does not.
    differences: Callable[[Message], list[str]]


def criteria(
    data: Buffer | re.Pattern[bytes] | Callable[[bytes], object] | None,
    msg_id: int | None,
    json: Any,
    json_subset: Any,
) -> list[Criterion]:
    """Returns the criteria for the arguments of ``expect``.

    Raises:
        TypeError, ValueError: an argument is invalid.
    """
    found = []
    if msg_id is not None:
        encode_header(0, msg_id, 0)  # raises if the ID is invalid
        found.append(_id_is(msg_id))
    if data is not None:
        found.append(_data_is(data))
    if json is not ANYTHING:
        found.append(_json_is("json", json, subset=False))
    if json_subset is not ANYTHING:
        found.append(_json_is("json_subset", json_subset, subset=True))
    return found


def elided(text: str, width: int = _WIDTH) -> str:
    """The text, with its middle elided if it is long."""
    if len(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def shown(message: Message) -> str:
    """Describes a message: ID, size, and the beginning of its data, as JSON if it is JSON."""
    size = len(message.data)
    value = _decoded(message.data)
    text = repr(message.data) if value is ANYTHING else f"JSON {value!r}"
    return f"msg_id {message.msg_id}, {size:,} byte{'s' * (size != 1)}: {elided(text)}"


def _decoded(data: bytes) -> Any:
    """The JSON object or array that the data holds; ``ANYTHING`` if it does not hold one."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return ANYTHING
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return ANYTHING


def _id_is(msg_id: int) -> Criterion:
    def differences(message: Message) -> list[str]:
        if message.msg_id == msg_id:
            return []
        return [f"msg_id: expected {msg_id}, got {message.msg_id}"]

    return Criterion(f"msg_id={msg_id}", differences)


def _data_is(data: Buffer | re.Pattern[bytes] | Callable[[bytes], object]) -> Criterion:
    if isinstance(data, re.Pattern):
        if not isinstance(data.pattern, bytes):
            raise TypeError("data must be a bytes pattern: re.compile(b'...')")
        return Criterion(f"data={elided(repr(data))}", lambda came: _unmatched(data, came.data))
    if callable(data):
        return Criterion(f"data={_name(data)}", lambda came: _refused("data", data, came.data))
    try:
        wanted = bytes(memoryview(data))
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"data must be bytes, a pattern or a function, not {kind}") from None
    return Criterion(f"data={elided(repr(wanted))}", lambda came: _unequal(wanted, came.data))


def _unmatched(pattern: re.Pattern[bytes], came: bytes) -> list[str]:
    if pattern.fullmatch(came):
        return []
    wanted = elided(repr(pattern.pattern))
    return [f"data: {elided(repr(came))} does not fully match {wanted}"]


def _refused(what: str, predicate: Callable[[Any], object], value: Any) -> list[str]:
    result = predicate(value)
    if result:
        return []
    return [f"{what}: {_name(predicate)} returned {result!r} for {elided(repr(value))}"]


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


def _unequal(expected: bytes, came: bytes) -> list[str]:
    if expected == came:
        return []
    pairs = enumerate(zip(expected, came))
    at = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(came)))
    if at == len(came) or at == len(expected):
        sizes = f"expected {len(expected):,} bytes, got {len(came):,}"
        more = "is missing" if at == len(came) else "is extra"
        rest = max(expected, came, key=len)[at : at + 2 * _AROUND]
        return [f"data: {sizes}; from byte {at:,} on, {elided(repr(rest))} {more}"]
    around = slice(max(0, at - _AROUND), at + _AROUND)
    return [f"data: at byte {at:,}, expected {expected[around]!r}, got {came[around]!r}"]


def _json_is(keyword: str, expected: Any, *, subset: bool) -> Criterion:
    is_predicate = callable(expected)

    def differences(message: Message) -> list[str]:
        try:
            came = json.loads(message.data)
        except (ValueError, RecursionError) as error:
            return [f"json: the data is not JSON ({error}): {elided(repr(message.data))}"]
        if is_predicate:
            return _refused("json", expected, came)
        found = list(_unlike("$", expected, came, subset))
        more = len(found) - _MAX_PATHS
        return found[:_MAX_PATHS] + ([f"and {more} more differences"] if more > 0 else [])

    text = _name(expected) if is_predicate else elided(repr(expected))
    return Criterion(f"{keyword}={text}", differences)


def _unlike(path: str, expected: Any, came: Any, subset: bool) -> Iterator[str]:
    """The differences between two JSON values, each with its path."""
    if isinstance(expected, dict) and isinstance(came, dict):
        for key in expected:
            if key in came:
                yield from _unlike(f"{path}.{key}", expected[key], came[key], subset)
            else:
                yield f"{path}.{key}: expected {elided(repr(expected[key]))}, but is missing"
        if not subset:
            for key in came.keys() - expected.keys():
                yield f"{path}.{key}: not expected, got {elided(repr(came[key]))}"
    elif isinstance(expected, (list, tuple)) and isinstance(came, list):
        for number, (one, other) in enumerate(zip(expected, came)):
            yield from _unlike(f"{path}[{number}]", one, other, subset)
        if len(expected) != len(came):
            yield f"{path}: expected {len(expected)} items, got {len(came)}"
    elif not _same(expected, came):
        yield f"{path}: expected {elided(repr(expected))}, got {elided(repr(came))}"


def _same(expected: Any, came: Any) -> bool:
    # In JSON, unlike in Python, true does not equal 1.
    return bool(expected == came) and isinstance(expected, bool) == isinstance(came, bool)
