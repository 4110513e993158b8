"""What ``listen`` answers: always the same, or by rules from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..codec import Message, encode_header
from .failures import Failure, describe

__all__ = ["Rule", "answer_to", "read_rules"]

_KEYS = {"id", "matches", "answer", "answer_hex", "answer_id"}


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
        Failure: it cannot be read, or is not what it should be; says where.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"cannot read {path}: {describe(error)}") from error
    except ValueError as error:
        raise Failure(f"{path} is no JSON: {error}") from error
    if not isinstance(entries, list):
        raise Failure(f"{path}: must be an array of rules, as `vfiipc listen --help` shows it")
    return [_rule(f"{path}, rule {number}", entry) for number, entry in enumerate(entries, 1)]


def _rule(place: str, entry: Any) -> Rule:
    if not isinstance(entry, dict):
        raise Failure(f"{place}: must be an object")
    unknown = sorted(entry.keys() - _KEYS)
    if unknown:
        raise Failure(f"{place}: {unknown[0]!r} is unknown; use {', '.join(sorted(_KEYS))}")
    if ("answer" in entry) == ("answer_hex" in entry):
        raise Failure(f"{place}: needs either answer or answer_hex")
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
            raise Failure(f"{place}: answer_hex must be pairs of hexadecimal digits") from None
    answer = entry["answer"]
    return (answer if isinstance(answer, str) else json.dumps(answer)).encode()


def _msg_id(place: str, entry: dict[str, Any], key: str) -> int | None:
    value = entry.get(key)
    try:
        if value is not None:
            encode_header(0, value, 0)
    except (TypeError, ValueError) as error:
        raise Failure(f"{place}: {key}: {error}") from None
    return value


def _pattern(place: str, entry: dict[str, Any]) -> re.Pattern[bytes] | None:
    if "matches" not in entry:
        return None
    try:
        return re.compile(entry["matches"].encode(), re.DOTALL)
    except (AttributeError, re.error) as error:
        raise Failure(f"{place}: matches is no regular expression: {error}") from None
