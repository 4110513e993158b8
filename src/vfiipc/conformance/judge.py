"""Judges a case by comparing the bytes that came back with the expected bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..codec import (
    HEADER_SIZE,
    MAX_DATA_SIZE,
    MSG_ID,
    MSG_ID_SIZE,
    PREFIX,
    PREFIX_AND_SIZE,
    SIZE,
    Message,
)
from .evidence import ConnectionEvidence, Evidence, Stop
from .receiver import receive
from .setting import Setting
from .verdicts import Grade, Verdict

__all__ = ["Judge", "control_failure", "exactly", "first_failure", "listed", "named"]

Judge = Callable[[Evidence], Grade]

_SHOWN: Final = 4  # maximum number of messages in a list


def exactly(evidence: Evidence) -> Grade:
    """OK if the expected bytes came back and the peer ended the connection after a fault."""
    wrong = first_failure(evidence)
    if wrong is not None:
        return wrong
    open_after_fault = [each for each in evidence.seen if each.fault and each.ending == "timeout"]
    if open_after_fault:
        return Grade(
            Verdict.NON_STRICT, "nothing came back after the fault, but the connection stayed open"
        )
    return Grade(Verdict.OK, "as expected")


def first_failure(evidence: Evidence) -> Grade | None:
    """The grade for the first connection that failed; None if all are as expected."""
    # After the first failure, the kit does not wait for the other connections.
    stopped = [seen for seen in evidence.seen if seen.stop not in (Stop.DONE, Stop.CUT)]
    for seen in stopped or evidence.seen:
        if not seen.control_answered:
            return _without_control(seen, evidence)
        fault = _difference(seen, evidence)
        if fault:
            where = f"connection {seen.number + 1}: " if len(evidence.seen) > 1 else ""
            return Grade(Verdict.FAILED, where + fault)
    return None


def _without_control(seen: ConnectionEvidence, evidence: Evidence) -> Grade:
    why = control_failure(seen, evidence)
    if seen.optional and not seen.received:
        return Grade(
            Verdict.UNIMPLEMENTED, f"connection {seen.number + 1}, while others are open: {why}"
        )
    if seen.proves:
        return Grade(Verdict.FAILED, f"the next connection does not work: {why}")
    return Grade(Verdict.INCONCLUSIVE, why)


def control_failure(seen: ConnectionEvidence, evidence: Evidence) -> str:
    """Why the control exchange failed on a connection."""
    mark = evidence.setting.mark
    if seen.stop is Stop.UNREACHED:
        return seen.reason
    if not seen.received:
        if seen.stop is Stop.LOST:
            return "the peer ended the connection instead of answering the control message"
        return "no answer to the control message"
    front = seen.received[: len(mark)]
    if not mark.startswith(front):
        return (
            f"the answer to the control message begins with {front.hex()}, not with the prefix "
            f"{mark.hex()}"
        )
    return "the control message did not come back: " + _difference(seen, evidence)


def _difference(seen: ConnectionEvidence, evidence: Evidence) -> str:
    """The first difference between the received and the expected bytes; empty if there is none."""
    setting = evidence.setting
    if seen.received == seen.echo:
        return ""
    if seen.stop is Stop.WRONG and seen.echo.startswith(seen.received):
        place = _place(len(_messages(seen.received, setting)[0]) - 1, seen, setting)
        return f"{place} came back before its last byte was sent (FRM-R6)"
    came, rest = _messages(seen.received, setting)
    for index, (message, due) in enumerate(zip(came, seen.due)):
        if message != due:
            place = f"{_place(index, seen, setting)} is {named(message, setting)}"
            return place + _instead(message, index, seen.due, setting)
    if len(came) > len(seen.due):  # all expected messages have come back
        extra = came[len(seen.due)]
        why = "a second time" if extra in seen.due else "which must not be delivered"
        return f"after all expected messages came {named(extra, setting)}, {why}"
    return _invalid(came, rest, seen, setting) or _missing(came, rest, seen, setting)


def _invalid(came: list[Message], rest: bytes, seen: ConnectionEvidence, setting: Setting) -> str:
    """Describes invalid bytes after the last message; empty if there are none."""
    if not setting.mark.startswith(rest[: len(setting.mark)]):
        where = f"after {named(came[-1], setting)}" if came else "at the beginning"
        return f"{where} came bytes without the prefix: {_header(rest)} (FRM-S1, FRM-S6)"
    if len(rest) >= PREFIX_AND_SIZE:
        (size,) = SIZE.packer.unpack_from(rest, SIZE.offset)
        if not MSG_ID_SIZE <= size <= MSG_ID_SIZE + MAX_DATA_SIZE:
            place = _place(len(came), seen, setting)
            return f"{place} has the invalid size {size} (FRM-S2)"
    return ""


def _messages(stream: bytes, setting: Setting) -> tuple[list[Message], bytes]:
    """The messages before the first fault in ``stream``, and the remaining bytes."""
    received = receive(stream, setting.prefix, MAX_DATA_SIZE, strict=True)
    return received.messages, stream[received.held :]


def _place(index: int, seen: ConnectionEvidence, setting: Setting) -> str:
    """The number of a message, not counting the control message."""
    if seen.due[:1] != (setting.control,):
        index += 1
    return f"message {index}" if index else "the first message"


def _instead(came: Message, index: int, due: Sequence[Message], setting: Setting) -> str:
    """How a message differs from the expected one."""
    wanted = due[index]
    if came in due[index + 1 :]:
        return f"; {named(wanted, setting)} is missing"
    if came in due[:index]:
        return f" again, instead of {named(wanted, setting)}"
    if came.data == wanted.data:
        return f": the ID should be {_shown_id(wanted)}"
    if came.msg_id == wanted.msg_id and len(came.data) == len(wanted.data):
        at = next(k for k, pair in enumerate(zip(came.data, wanted.data)) if len(set(pair)) > 1)
        return f" with wrong data from byte {at} on"
    return f", instead of {named(wanted, setting)}"


def _missing(came: list[Message], rest: bytes, seen: ConnectionEvidence, setting: Setting) -> str:
    """Describes where the answers stop; empty if the kit itself cut the connection."""
    if seen.stop is Stop.CUT and seen.echo.startswith(seen.received):
        return ""
    if len(came) == len(seen.due):
        return f"after all expected messages came the beginning of another one: {_header(rest)}"
    wanted = named(seen.due[len(came)], setting)
    if seen.stop is Stop.WRONG:
        place = _place(len(came), seen, setting)
        return f"{place} begins with {_header(rest)}, instead of {wanted}"
    if seen.stop in (Stop.LOST, Stop.LEFT):
        how = "reset the connection" if seen.ending == "reset" else "closed"
        end = f"then the peer {how}"
    elif seen.stop is Stop.BLOCKED:
        end = "then the peer stopped reading"
    else:
        end = "then nothing else"
    whole = came[seen.due[:1] == (setting.control,) :]
    part = f" and {len(rest)} bytes of the next message" if rest else ""
    return f"{listed(whole, setting)}{part} came, {end}; {wanted} is missing"


def _header(stream: bytes) -> str:
    return stream[:HEADER_SIZE].hex(" ", -PREFIX.packer.size)


def named(message: Message, setting: Setting) -> str:
    """The name of a message in reports, or a description of it."""
    name = setting.names.get(message)
    if name is not None:
        return name
    return f"a message with the ID {_shown_id(message)} and {len(message.data):,} bytes of data"


def _shown_id(message: Message) -> str:
    return MSG_ID.packer.pack(message.msg_id).hex()


def listed(messages: Sequence[Message], setting: Setting) -> str:
    """A list of messages in reports."""
    shown = [named(message, setting) for message in messages[:_SHOWN]]
    more = len(messages) - len(shown)
    if more > 0:
        shown.append(f"{more:,} more")
    return ", ".join(shown) or "nothing"
