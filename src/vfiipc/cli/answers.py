"""The answers of ``listen``: always the same one, or chosen by rules from a file."""

from __future__ import annotations

import json
import re
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from ..codec import Message, encode_header
from ..faults import Action
from ..testing.script import Answer, Reaction, actions
from . import arguments
from .failures import Failure, Malformed, describe
from .filters import SURROGATE, compile_pattern

__all__ = ["Answers", "Rule", "read_rules"]

_LONGEST: Final = 40  # characters of a value in an error
_RULE_KEYS: Final = {"id", "matches", "times", "steps"}
_ANSWERS: Final = {"answer", "answer_hex"}
#: Keys that modify the answer of a step; the other keys of a step are actions by themselves.
_CHANGES: Final = {
    *("answer_id", "pieces", "pause", "slow", "damage", "oversize", "wrong_prefix"),
}
_OTHER_STEPS: Final = {"delay", "garbage_hex", "cut", "reset", "close", "silence"}
_STEP_KEYS: Final = _ANSWERS | _CHANGES | _OTHER_STEPS


class _Number(float):
    """A number that keeps its spelling in the file, so that the answer is sent as written."""

    text: str

    @classmethod
    def parse(cls, text: str) -> _Number:
        number = cls(text)
        number.text = text
        return number


@dataclass
class Rule:
    """The reaction to messages that meet all conditions; those that are None are ignored."""

    reaction: Reaction
    msg_id: int | None = None  #: of the message
    pattern: re.Pattern[bytes] | None = None  #: found in its data
    times: int | None = None  #: how many messages it answers

    def fits(self, message: Message) -> bool:
        if self.times == 0 or self.msg_id not in (None, message.msg_id):
            return False
        return self.pattern is None or self.pattern.search(message.data) is not None


class Answers:
    """Rules with their remaining uses. Thread safe."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._lock = threading.Lock()

    def actions(self, message: Message, prefix: int, size_limit: int) -> Iterator[Action]:
        """The actions of the first rule that matches; none if no rule matches.

        Raises:
            ValueError: a fault of the rule cannot be applied to this answer.
        """
        rule = self._take(message)
        if rule is not None:
            yield from actions(rule.reaction.steps, message, prefix, size_limit)

    def _take(self, message: Message) -> Rule | None:
        with self._lock:
            rule = next((rule for rule in self._rules if rule.fits(message)), None)
            if rule is not None and rule.times is not None:
                rule.times -= 1
            return rule


def read_rules(path: str) -> list[Rule]:
    """The rules in a file: a JSON array of objects.

    Raises:
        Failure: the file cannot be read.
        Malformed: the content is invalid; the text names the place.
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
        raise Malformed(f"{path}: must be an array of rules; see `vfiipc listen --help`")
    return [_rule(f"{path}, rule {number}", entry) for number, entry in enumerate(entries, 1)]


def _rule(place: str, entry: Any) -> Rule:
    _check_keys(place, entry, _RULE_KEYS | _STEP_KEYS)
    reaction = Reaction()
    own = {key: entry[key] for key in entry.keys() & _STEP_KEYS}
    if "steps" in entry:
        if own:
            raise Malformed(f"{place}: {min(own)} and steps exclude each other")
        if not isinstance(entry["steps"], list) or not entry["steps"]:
            raise Malformed(f"{place}: steps must be an array of objects")
        for number, step in enumerate(entry["steps"], 1):
            _add_step(f"{place}, step {number}", step, reaction)
    else:
        _add_step(place, own, reaction)
    try:
        list(actions(reaction.steps, Message(0, b""), 0, 0))
    except ValueError as error:
        raise Malformed(f"{place}: {error}") from None
    return Rule(reaction, _msg_id(place, entry, "id"), _pattern(place, entry), _times(place, entry))


def _check_keys(place: str, entry: Any, allowed: set[str]) -> None:
    if not isinstance(entry, dict):
        raise Malformed(f"{place}: must be an object")
    unknown = sorted(entry.keys() - allowed)
    if unknown:
        raise Malformed(
            f"{place}: {unknown[0]!r} is unknown; allowed: {', '.join(sorted(allowed))}"
        )


def _add_step(place: str, step: Any, reaction: Reaction) -> None:
    """Adds the actions of one object: a delay, garbage, an answer with its faults, the end."""
    _check_keys(place, step, _STEP_KEYS)
    has_answer = len(step.keys() & _ANSWERS)
    needs_answer = step.keys() & _CHANGES
    if has_answer > 1 or (needs_answer and not has_answer) or not step:
        raise Malformed(f"{place}: needs either answer or answer_hex")
    for key, value in sorted(step.items(), key=lambda item: _ORDER.index(item[0])):
        try:
            if key in _ANSWERS:
                reaction.answer(_data(place, step), msg_id=_msg_id(place, step, "answer_id"))
            elif key in _KEYS:
                _KEYS[key](reaction, value)
        except (ArgumentTypeError, TypeError, ValueError, OverflowError) as error:
            raise Malformed(f"{place}: {key}: {error}") from None


def _shown(value: Any) -> str:
    """The beginning of a value in the file; never used for the data of an answer."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    text = _written(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"must be a number, not {_shown(value)}")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {_shown(value)}")
    return value


def _place(value: Any) -> int | None:
    return None if value is True else _whole(value)


def _flag(value: Any) -> None:
    if value is not True:
        raise ValueError(f"can only be true, not {_shown(value)}")


def _pieces(reaction: Reaction, value: Any) -> None:
    reaction.pieces([_whole(size) for size in value] if isinstance(value, list) else _whole(value))


def _pause(reaction: Reaction, value: Any) -> None:
    answer = reaction.steps[-1]
    sizes = answer.delivery.pieces if isinstance(answer, Answer) else None
    if sizes is None:
        raise ValueError("needs pieces")
    reaction.pieces(sizes, pause=_number(value))


def _damage(reaction: Reaction, value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"4": 255}')
    reaction.damage({int(offset): _whole(bits) for offset, bits in value.items()})


def _wrong_prefix(reaction: Reaction, value: Any) -> None:
    reaction.wrong_prefix(None if value is True else arguments.prefix(str(value)))


def _oversize(reaction: Reaction, value: Any) -> None:
    _flag(value)
    reaction.oversize()


def _close(reaction: Reaction, value: Any) -> None:
    _flag(value)
    reaction.close()


def _silence(reaction: Reaction, value: Any) -> None:
    _flag(value)
    reaction.silence()


_KEYS: Final[dict[str, Callable[[Reaction, Any], object]]] = {
    "delay": lambda reaction, value: reaction.delay(_number(value)),
    "garbage_hex": lambda reaction, value: reaction.garbage(bytes.fromhex(value)),
    "pieces": _pieces,
    "pause": _pause,
    "slow": lambda reaction, value: reaction.slow(_number(value)),
    "damage": _damage,
    "oversize": _oversize,
    "wrong_prefix": _wrong_prefix,
    "cut": lambda reaction, value: reaction.cut(_place(value)),
    "reset": lambda reaction, value: reaction.reset(_place(value)),
    "close": _close,
    "silence": _silence,
}
#: The order in which the keys of one step are applied, whatever their order in the file.
_ORDER: Final = ("delay", "garbage_hex", "answer", "answer_hex", "answer_id", *list(_KEYS)[2:])


def _times(place: str, entry: dict[str, Any]) -> int | None:
    times = entry.get("times")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise Malformed(f"{place}: times must be a whole number above 0, not {_shown(times)}")
    return times


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
        raise Malformed(f"{place}: answer {SURROGATE}") from None
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
        raise Malformed(f"{place}: {key} must be a whole number, not {_shown(value)}")
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
