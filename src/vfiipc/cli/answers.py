"""What ``listen`` answers: always the same, or by rules from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..codec import Message, encode_header
from .failures import Failure, Malformed, describe
from .filters import compile_pattern

__all__ = ["Rule", "answer_to", "read_rules"]

_HALF_A_PAIR = "holds half of a surrogate pair, which no text in UTF-8 has"
_KEYS = {"id", "matches", "answer", "answer_hex", "answer_id"}


class _Number(float):
    """A number with the text that stands for it in the file, for that is what gets sent."""

    text: str

    @classmethod
    def parse(cls, text: str) -> _Number:
        number = cls(text)
        number.text = text
        return number


class Rule(NamedTuple):
    """Which messages get which answer. What is None does not count."""

    data: bytes
    msg_id: int | None = None  #: of the message
    pattern: re.Pattern[bytes] | None = None  #: found in its data
    answer_id: int | None = None  #: of the answer; that of the message if None


def answer_to(rules: Sequence[Rule], message: Message) -> Message | None:
    """The answer of the first rule that fits, if one does."""
    for rule in rules:
        if rule.msg_id is not None and rule.msg_id != message.msg_id:
            continue
        if rule.pattern is None or rule.pattern.search(message.data):
            msg_id = message.msg_id if rule.answer_id is None else rule.answer_id
            return Message(msg_id, rule.data)
    return None


def read_rules(path: str) -> list[Rule]:
    """The rules in a file: a JSON array of objects.

    Raises:
        Failure: it cannot be read.
        Malformed: it is not what it should be; says where.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise Failure(f"cannot read {path}: {describe(error)}") from error
    try:
        entries = json.loads(text, parse_float=_Number.parse, parse_constant=_refuse)
    except ValueError as error:
        raise Malformed(f"{path} is not JSON: {error}") from error
    except RecursionError:
        raise Malformed(f"{path} is nested too deeply") from None
    if not isinstance(entries, list):
        raise Malformed(f"{path}: must be an array of rules, as `vfiipc listen --help` shows it")
    return [_rule(f"{path}, rule {number}", entry) for number, entry in enumerate(entries, 1)]


def _rule(place: str, entry: Any) -> Rule:
    if not isinstance(entry, dict):
        raise Malformed(f"{place}: must be an object")
    unknown = sorted(entry.keys() - _KEYS)
    if unknown:
        raise Malformed(f"{place}: {unknown[0]!r} is unknown; use {', '.join(sorted(_KEYS))}")
    if ("answer" in entry) == ("answer_hex" in entry):
        raise Malformed(f"{place}: needs either answer or answer_hex")
    return Rule(
        _data(place, entry),
        _msg_id(place, entry, "id"),
        _pattern(place, entry),
        _msg_id(place, entry, "answer_id"),
    )


def _data(place: str, entry: dict[str, Any]) -> bytes:
    if "answer_hex" in entry:
        try:
            return bytes.fromhex(entry["answer_hex"])
        except (TypeError, ValueError):
            raise Malformed(f"{place}: answer_hex must be pairs of hexadecimal digits") from None
    answer = entry["answer"]
    try:
        return (answer if isinstance(answer, str) else _written(answer)).encode()
    except UnicodeEncodeError:
        raise Malformed(f"{place}: answer {_HALF_A_PAIR}") from None
    except RecursionError:
        raise Malformed(f"{place}: answer is nested too deeply") from None


def _written(value: Any) -> str:
    """A value as JSON, with its numbers as they are in the file."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_written(value[key])}' for key in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return value.text if isinstance(value, _Number) else json.dumps(value)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _msg_id(place: str, entry: dict[str, Any], key: str) -> int | None:
    value = entry.get(key)
    if isinstance(value, (_Number, bool)):
        raise Malformed(f"{place}: {key} must be a whole number")
    try:
        if value is not None:
            encode_header(0, value, 0)
    except (TypeError, ValueError) as error:
        raise Malformed(f"{place}: {key}: {error}") from None
    return value


def _pattern(place: str, entry: dict[str, Any]) -> re.Pattern[bytes] | None:
    if "matches" not in entry:
        return None
    matches = entry["matches"]
    if not isinstance(matches, str):
        raise Malformed(f"{place}: matches must be a string")
    try:
        return compile_pattern(matches)
    except ValueError as error:
        raise Malformed(f"{place}: matches {error}") from None
