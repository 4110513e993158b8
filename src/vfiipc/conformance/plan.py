"""Prepares a case: what is sent, what must come back, and when."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

from ..codec import Message
from .cases import Case, CaseNotApplicable
from .judge import listed
from .receiver import Reception, receive
from .setting import Setting
from .steps import Await, CaseScript, Open, SendBytes, Step

__all__ = ["Abilities", "CannotRun", "ConnectionPlan", "Plan", "prepare"]


class Abilities(NamedTuple):
    """What a peer and its connections support.

    Attributes:
        half_close: one direction can be closed.
        reset: connections can be reset.
        several: the peer serves several connections at once.
        prefix: the kit can choose the prefix.
        limit: the kit can choose the limit.
        memory: the kit can measure the memory of the peer.
    """

    half_close: bool = True
    reset: bool = True
    several: bool = True
    prefix: bool = False
    limit: bool = False
    memory: bool = False


class CannotRun(Exception):
    """A case cannot run with this peer.

    Attributes:
        lacking: whether the peer or its kind of connection lacks a feature; otherwise the case
            does not apply to this peer.
    """

    def __init__(self, reason: str, *, lacking: bool = False) -> None:
        super().__init__(reason)
        self.lacking = lacking


@dataclass(frozen=True)
class ConnectionPlan:
    """What must come back on one connection.

    Attributes:
        due: the messages, in order.
        echo: the same as bytes.
        ends: for each, the offset after its last byte in the stream that is sent.
        sizes: for each, the offset after its last byte in ``echo``.
        fault: where a strict receiver stops, if it does.
    """

    due: tuple[Message, ...]
    echo: bytes
    ends: tuple[int, ...]
    sizes: tuple[int, ...]
    fault: int | None

    def due_at(self, sent: int) -> int:
        """The number of bytes that must come back after ``sent`` bytes have been sent."""
        count = bisect_right(self.ends, sent)
        return self.sizes[count - 1] if count else 0


@dataclass(frozen=True)
class Plan:
    """A case for one peer: the steps, and a track for each connection."""

    case: Case
    setting: Setting
    steps: tuple[Step, ...]
    tracks: dict[int, ConnectionPlan]

    @property
    def expected(self) -> str:
        """A description of what must come back, without the control messages."""
        texts = []
        for number, track in self.tracks.items():
            messages = list(track.due)
            if messages[:1] == [self.setting.control]:
                del messages[0]
            text = listed(messages, self.setting)
            end = ", then the end of the stream" if track.fault is not None else ""
            texts.append(f"connection {number + 1}: {text}{end}")
        if len(texts) == 1:
            return texts[0].partition(": ")[2]
        return self.case.outcome


def prepare(case: Case, setting: Setting, abilities: Abilities) -> Plan:
    """Plans a case.

    Raises:
        CannotRun: it cannot be run with this peer.
    """
    _check_abilities(case, setting, abilities)
    setting = replace(
        setting,
        prefix=setting.prefix if case.prefix is None else case.prefix,
        limit=setting.limit if case.limit is None else case.limit,
    )
    try:
        script = case.write(setting)
    except CaseNotApplicable as reason:
        raise CannotRun(str(reason)) from None
    steps = script.steps
    if script.final:
        steps = (*steps, SendBytes(setting.encoded(setting.last)), Await())
    streams = _streams(steps, setting)
    received = {
        number: receive(stream, setting.prefix, setting.limit, strict=setting.strict)
        for number, stream in streams.items()
    }
    _check_point(case, script, setting, streams[0], received[0])
    tracks = {number: _track(each, setting) for number, each in received.items()}
    if not script.together:
        steps = tuple(_with_waits(steps, tracks, setting))
    return Plan(case, setting, steps, tracks)


def _check_abilities(case: Case, setting: Setting, abilities: Abilities) -> None:
    if case.strict_only and not setting.strict:
        raise CannotRun("it applies only to strict receivers")
    if case.prefix is not None and not abilities.prefix:
        raise CannotRun("it needs --exec with {prefix}")
    if case.limit is not None and not abilities.limit:
        raise CannotRun("it needs --exec with {limit}")
    if case.needs_memory and not abilities.memory:
        raise CannotRun(
            "it needs --exec, on a system where the memory of a process can be measured"
        )
    if case.needs_half_close and not abilities.half_close:
        raise CannotRun("this kind of connection has no half-close", lacking=True)
    if case.needs_reset and not abilities.reset:
        raise CannotRun("this kind of connection has no reset", lacking=True)
    if case.several and not abilities.several:
        raise CannotRun("the peer serves one connection at a time", lacking=True)


def _streams(steps: tuple[Step, ...], setting: Setting) -> dict[int, bytes]:
    control = setting.encoded(setting.control)
    parts: dict[int, list[bytes]] = defaultdict(list)
    parts[0].append(control)
    for step in steps:
        if isinstance(step, Open):
            parts[step.on].append(control if step.control else b"")
        elif isinstance(step, SendBytes):
            parts[step.on].append(step.data)
    return {number: b"".join(pieces) for number, pieces in parts.items()}


def _check_point(
    case: Case, script: CaseScript, setting: Setting, stream: bytes, received: Reception
) -> None:
    other = CannotRun("these bytes have a different meaning with this prefix and limit")
    if setting.strict and (received.fault is not None) != case.stops:
        raise other
    if script.point is not None:
        last = (setting.last,) if script.final else ()
        if setting.strict and case.stops:
            received = receive(stream, setting.prefix, setting.limit)
        if tuple(received.messages) != (setting.control, *script.point, *last):
            raise other


def _track(received: Reception, setting: Setting) -> ConnectionPlan:
    due = tuple(received.messages)
    encoded = [setting.encoded(message) for message in due]
    return ConnectionPlan(
        due=due,
        echo=b"".join(encoded),
        ends=tuple(delivery.end for delivery in received.deliveries),
        sizes=tuple(accumulate(map(len, encoded))),
        fault=received.fault,
    )


def _with_waits(
    steps: tuple[Step, ...], tracks: dict[int, ConnectionPlan], setting: Setting
) -> Iterator[Step]:
    """The steps, with a wait for all expected answers before each fault.

    A strict peer may close a connection with unread bytes, and then lose what it has sent.
    """
    sent = dict.fromkeys(tracks, 0)
    control = len(setting.encoded(setting.control))
    sent[0] = control
    for step in steps:
        if isinstance(step, Open) and step.control:
            sent[step.on] = control
        if not isinstance(step, SendBytes):
            yield step
            continue
        fault = tracks[step.on].fault
        start, sent[step.on] = sent[step.on], sent[step.on] + len(step.data)
        if fault is None or not start <= fault < sent[step.on]:
            yield step
            continue
        if fault > start:
            yield SendBytes(step.data[: fault - start], step.on)
        yield Await(step.on)
        yield SendBytes(step.data[fault - start :], step.on)
