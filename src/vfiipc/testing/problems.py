"""The failure messages of a scripted peer: expected, received, and the closest expectation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..codec import Message
from .matching import shown
from .script import Expectation, Script

__all__ = ["PeerFailure", "Received", "explain_unexpected", "named", "report"]

_MAX_LISTED = 12  # expectations


class PeerFailure(AssertionError):
    """The program under test did not do what the script of a peer expected."""


class Received(NamedTuple):
    """A message from the program under test."""

    connection: int  #: the number of the connection, from 1
    message: Message


def explain_unexpected(script: Script, received: Received) -> str:
    """Explains why no expectation matches a message, and names the closest one."""
    connection, message = received
    candidates = script.open(connection)
    lines = ["received an unexpected message"]
    if not candidates:
        lines.append("  expected: no more messages")
    elif len(candidates) == 1:
        lines.append(f"  expected: {named(script, candidates[0])}")
    else:
        lines.append(f"  expected: one of {len(candidates)} messages, see the script")
    lines.append(f"  received: {shown(message)} (connection {connection})")
    lines += [f"  {line}" for line in _closest(script, candidates, received)]
    return "\n".join(lines)


def _closest(script: Script, candidates: Sequence[Expectation], received: Received) -> list[str]:
    connection, message = received
    for other in script.expectations:
        if other not in candidates and not other.differences(message):
            return [f"closest:  {named(script, other)}", f"  which {_closed(other, connection)}"]
    if not candidates:
        return []
    differences = [candidate.differences(message) for candidate in candidates]
    nearest = min(range(len(candidates)), key=lambda at: len(differences[at]))
    title = [f"closest:  {named(script, candidates[nearest])}"] if len(candidates) > 1 else []
    return title + [f"  {line}" for line in differences[nearest]]


def _closed(expectation: Expectation, connection: int) -> str:
    """Explains why an expectation is not open for a message that meets its criteria."""
    if expectation.connection not in (None, connection):
        return f"is for connection {expectation.connection}, but this is {connection}"
    if expectation.met >= expectation.most:
        return f"was already met {_times(expectation.met)}; times(...) allows more"
    if expectation.is_passed:
        return "comes before an expectation that was already met; any_order() allows that"
    return "comes later in the script; any_order() allows it at any time"


def report(
    place: str, script: Script, problems: Sequence[str], received: Sequence[Received]
) -> str:
    """Describes all problems, the first in detail."""
    unmet = script.unmet()
    lines = [f"{place}: {problems[0]}"] if problems else []
    if len(problems) > 1:
        lines.append(f"  and {len(problems) - 1} more problems")
    if unmet and not problems:
        lines += _explain_unmet(place, script, unmet, received)
    if script.expectations:
        lines.append("  script:")
    shown_ones = script.expectations[-_MAX_LISTED:] if not unmet else _around(script, unmet[0])
    for expectation in shown_ones:
        mark = " " if expectation.is_met else ">"
        lines.append(f"  {mark} {named(script, expectation)}: {_progress(expectation)}")
    hidden = len(script.expectations) - len(shown_ones)
    if hidden:
        lines.append(f"    and {hidden} more")
    return "\n".join(lines)


def _explain_unmet(
    place: str, script: Script, unmet: Sequence[Expectation], received: Sequence[Received]
) -> list[str]:
    count = len(script.expectations)
    were = "was" if len(unmet) == 1 else "were"
    lines = [f"{place}: {len(unmet)} of {count} expectations {were} not met"]
    lines.append(f"  expected: {named(script, unmet[0])}")
    if not received:
        lines.append("  received: no message")
    else:
        connection, message = received[-1]
        more = f", the last of {len(received)}" if len(received) > 1 else ""
        lines.append(f"  received: {shown(message)} (connection {connection}{more})")
    return lines


def _around(script: Script, expectation: Expectation) -> Sequence[Expectation]:
    at = script.expectations.index(expectation)
    start = max(0, min(at - _MAX_LISTED // 2, len(script.expectations) - _MAX_LISTED))
    return script.expectations[start : start + _MAX_LISTED]


def named(script: Script, expectation: Expectation) -> str:
    """An expectation with its number in the script and its place in the test."""
    number = script.expectations.index(expectation) + 1
    return f"#{number} {expectation} ({expectation.where})"


def _progress(expectation: Expectation) -> str:
    return f"met {_times(expectation.met)}" if expectation.met else "not met"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
