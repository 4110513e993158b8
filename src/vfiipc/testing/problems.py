"""The failure messages of a scripted peer: expected, received, and the nearest miss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..codec import Message
from .matching import shown
from .script import Expectation, Script

__all__ = ["PeerFailure", "Received", "explain_unexpected", "named", "report"]

_MOST = 12  # expectations or messages that are listed


class PeerFailure(AssertionError):
    """The program under test did not do what the script of a peer expected."""


class Received(NamedTuple):
    """A message from the program under test."""

    connection: int  #: the number of the connection, from 1 on
    message: Message


def explain_unexpected(script: Script, received: Received) -> str:
    """Explains why no expectation matches a message, with the nearest miss."""
    connection, message = received
    candidates = script.open(connection)
    lines = ["a message came that was not expected"]
    if not candidates:
        lines.append("  expected: no further message")
    elif len(candidates) == 1:
        lines.append(f"  expected: {named(script, candidates[0])}")
    else:
        lines.append(f"  expected: one of {len(candidates)}, see the script")
    lines.append(f"  came:     {shown(message)} (connection {connection})")
    lines += [f"  {line}" for line in _nearest_miss(script, candidates, received)]
    return "\n".join(lines)


def _nearest_miss(
    script: Script, candidates: Sequence[Expectation], received: Received
) -> list[str]:
    connection, message = received
    for other in script.expectations:
        if other not in candidates and not other.differences(message):
            return [f"nearest:  {named(script, other)}", f"  which {_closed(other, connection)}"]
    if not candidates:
        return []
    differences = [candidate.differences(message) for candidate in candidates]
    nearest = min(range(len(candidates)), key=lambda at: len(differences[at]))
    title = [f"nearest:  {named(script, candidates[nearest])}"] if len(candidates) > 1 else []
    return title + [f"  {line}" for line in differences[nearest]]


def _closed(expectation: Expectation, connection: int) -> str:
    """Explains why a message does not count for an expectation whose criteria it meets."""
    if expectation.connection not in (None, connection):
        return f"waits for connection {expectation.connection}, but this is {connection}"
    if expectation.met >= expectation.most:
        return f"was met {_times(expectation.met)} already; times(...) allows more"
    if expectation.is_passed:
        return "comes before one that was met already; any_order() allows that"
    return "comes later in the script; any_order() allows it at any time"


def report(
    place: str, script: Script, problems: Sequence[str], received: Sequence[Received]
) -> str:
    """All problems, the first in detail."""
    unmet = script.unmet()
    lines = [f"{place}: {problems[0]}"] if problems else []
    if len(problems) > 1:
        lines.append(f"  and {len(problems) - 1} more problems")
    if unmet and not problems:
        lines += _explain_unmet(place, script, unmet, received)
    if script.expectations:
        lines.append("  script:")
    shown_ones = script.expectations[-_MOST:] if not unmet else _around(script, unmet[0])
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
        lines.append("  came:     no message")
    else:
        connection, message = received[-1]
        more = f", the last of {len(received)}" if len(received) > 1 else ""
        lines.append(f"  came:     {shown(message)} (connection {connection}{more})")
    return lines


def _around(script: Script, expectation: Expectation) -> Sequence[Expectation]:
    at = script.expectations.index(expectation)
    start = max(0, min(at - _MOST // 2, len(script.expectations) - _MOST))
    return script.expectations[start : start + _MOST]


def named(script: Script, expectation: Expectation) -> str:
    """An expectation with its number in the script and its place in the test."""
    number = script.expectations.index(expectation) + 1
    return f"#{number} {expectation} ({expectation.where})"


def _progress(expectation: Expectation) -> str:
    return f"met {_times(expectation.met)}" if expectation.met else "not met"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
