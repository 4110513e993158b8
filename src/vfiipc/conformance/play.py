"""Runs the steps of a case with a peer, and records the observations."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .cases.case import USUAL
from .evidence import ConnectionEvidence, Evidence, Stop
from .link import Log, PeerLink
from .peers import Peer, Unreached
from .plan import ConnectionPlan, Plan
from .steps import (
    Await,
    Close,
    HalfClose,
    Mark,
    Open,
    Pause,
    Reset,
    SampleMemory,
    SendBytes,
    Step,
    StopReading,
)
from .waiting import wait

__all__ = ["Played", "play"]

# Time-outs in seconds, times the scale.
_CONNECT_TIMEOUT: Final = 5.0
_OPTIONAL_TIMEOUT: Final = 2.0  # for a connection that the peer may decline
_STRICT_TIMEOUT: Final = 2.0  # for a strict peer to close after a fault
_CLOSE_TIMEOUT: Final = 0.25  # for any peer to close after the end of the stream
# Other times in seconds.
_SURPLUS: Final = 0.05  # wait for surplus bytes if there is no half-close
_LOOK: Final = 0.05  # between checks of the connections during a pause
#: Maximum number of unexpected bytes to keep, so that the report can show them.
_BEYOND: Final = 65536


class Played(NamedTuple):
    """The observations, the log, the duration in seconds, and how the process crashed if it did."""

    evidence: Evidence
    log: Log
    seconds: float
    crash: str = ""


async def play(plan: Plan, peer: Peer, scale: float) -> Played:
    """Runs a case. Takes at most its pauses, its time limit and the waits for connections."""
    player = _Player(plan, peer, scale)
    try:
        await player.play()
    finally:
        player.close()
    seconds = time.monotonic() - player.log.start
    return Played(player.evidence(), player.log, seconds)


class _Stopped(Exception):
    """Skips the rest of the script after a failure."""


@dataclass
class _Connection:
    """A connection, with the expectations and the observations so far."""

    number: int
    track: ConnectionPlan
    opened: Open
    link: PeerLink | None = None
    good: int = 0  #: number of received bytes that are known to be as expected
    control_answered: bool = False
    paused: bool = False
    half_closed: bool = False
    stop: Stop = Stop.DONE
    overdue: bool = False  #: whether the peer did not end it in time
    reason: str = ""

    def matches(self) -> bool:
        """Whether everything received so far is as expected."""
        assert self.link is not None
        received, echo = self.link.received, self.track.echo
        if len(received) > len(echo):
            return False
        if received[self.good :] != echo[self.good : len(received)]:
            return False
        self.good = len(received)
        return True

    def due(self) -> int:
        assert self.link is not None
        return self.track.due_at(self.link.sent)

    def is_past_fault(self) -> bool:
        fault = self.track.fault
        return fault is not None and self.link is not None and self.link.sent > fault

    def seen(self) -> ConnectionEvidence:
        link = self.link
        ending = "open" if link is None else link.ending
        if self.stop is Stop.CUT:
            ending = "open"
        elif self.overdue or self.stop in (Stop.WAITED, Stop.BLOCKED):
            ending = "timeout"
        return ConnectionEvidence(
            number=self.number,
            due=self.track.due,
            echo=self.track.echo,
            received=b"" if link is None else bytes(link.received),
            stop=self.stop,
            ending=ending,
            fault=self.track.fault is not None,
            control_answered=self.control_answered,
            proves=self.opened.proves,
            optional=self.opened.optional,
            reason=self.reason,
        )


class _Player:
    def __init__(self, plan: Plan, peer: Peer, scale: float) -> None:
        self.log = Log()
        self._plan = plan
        self._peer = peer
        self._scale = scale
        self._connections: dict[int, _Connection] = {}
        self._left = plan.case.seconds * scale  # seconds that the case may still wait
        self._marks: list[float] = []
        self._memory_samples: list[int | None] = []

    def evidence(self) -> Evidence:
        return Evidence(
            setting=self._plan.setting,
            seen=tuple(connection.seen() for connection in self._connections.values()),
            marks=tuple(self._marks),
            memory_samples=tuple(self._memory_samples),
        )

    def close(self) -> None:
        for connection in self._connections.values():
            if connection.link is not None:
                connection.link.abort()

    async def play(self) -> None:
        try:
            await self._open(Open(0))
            for step in self._plan.steps:
                await self._do(step)
            for connection in self._connections.values():
                await self._finish(connection)
        except _Stopped:
            pass

    # --- steps

    async def _do(self, step: Step) -> None:
        if isinstance(step, Open):
            await self._open(step)
        elif isinstance(step, Pause):
            await self._pause(step.seconds)
        elif isinstance(step, Mark):
            self._marks.append(time.monotonic() - self.log.start)
        elif isinstance(step, SampleMemory):
            self._memory_samples.append(self._peer.memory_bytes())
        else:
            connection = self._connections[step.on]
            assert connection.link is not None
            if isinstance(step, SendBytes):
                await self._send(connection, step.data)
            elif isinstance(step, Await):
                await self._await(connection)
            else:
                _act(connection, connection.link, step)

    async def _open(self, opened: Open) -> None:
        connection = _Connection(opened.on, self._plan.tracks[opened.on], opened)
        self._connections[opened.on] = connection
        for _ in range(self._peer.retries + 1):
            await self._connect(connection)
            try:
                if opened.control:
                    await self._control(connection)
                connection.control_answered = True
                break
            except _Stopped:
                link = connection.link
                if connection.stop is not Stop.LOST or link is None or link.received:
                    raise
        else:
            raise _Stopped
        for other in self._connections.values():
            if other is not connection:
                self._look_at(other)

    async def _connect(self, connection: _Connection) -> None:
        patience = _OPTIONAL_TIMEOUT if connection.opened.optional else _CONNECT_TIMEOUT
        most = len(connection.track.echo) + _BEYOND
        if connection.link is not None:
            connection.link.abort()
        connection.stop = Stop.DONE
        try:
            connection.link = await self._peer.connect(
                lambda: PeerLink(self.log, most), patience * self._scale
            )
        except Unreached as unreached:
            connection.stop = Stop.UNREACHED
            connection.reason = str(unreached)
            raise _Stopped from None

    async def _control(self, connection: _Connection) -> None:
        control = self._plan.setting.encoded(self._plan.setting.control)
        assert connection.link is not None
        connection.link.send(control)
        patience = _OPTIONAL_TIMEOUT if connection.opened.optional else USUAL
        await self._until_due(connection, len(control), patience * self._scale)

    async def _send(self, connection: _Connection, data: bytes) -> None:
        assert connection.link is not None
        connection.link.send(data)
        await asyncio.sleep(0)
        if not connection.paused:
            await self._drain(connection)

    async def _drain(self, connection: _Connection) -> None:
        assert connection.link is not None
        if not await self._within(connection.link.drained, self._left):
            self._stop(connection, Stop.BLOCKED)
        if connection.link.flooded:
            self._stop(connection, Stop.WRONG)

    async def _await(self, connection: _Connection) -> None:
        assert connection.link is not None
        if connection.paused:
            connection.paused = False
            connection.link.resume()
        await self._until_due(connection)

    async def _until_due(
        self, connection: _Connection, least: int | None = None, seconds: float = math.inf
    ) -> None:
        """Waits until everything expected by now has arrived, or at least ``least`` bytes.

        Waits ``seconds`` in all, even if bytes arrive one by one, or what is left of the case.
        """
        unused = self._left - seconds  # the part of what is left that it must not use
        # If nothing arrives, it gives up earlier, except in cases that measure times.
        stall = (self._plan.case.seconds if self._plan.case.measures else USUAL) * self._scale
        link = connection.link
        assert link is not None
        due = connection.due() if least is None else least
        late = False
        while connection.good < due:
            # A wrong byte after the control message is a failure of the case, found later.
            if not connection.matches() and (least is None or not self._begins(connection, least)):
                self._stop(connection, Stop.WRONG)
            if len(link.received) >= due:
                return
            if link.ended:
                self._stop(connection, Stop.LOST)
            if late:
                self._stop(connection, Stop.WAITED)
            # Bytes can arrive together with the end of the wait: they are looked at once more.
            late = not await self._within(link.changed, min(stall, self._left - unused))

    def _begins(self, connection: _Connection, size: int) -> bool:
        assert connection.link is not None
        received = connection.link.received[:size]
        return connection.track.echo.startswith(bytes(received))

    async def _pause(self, seconds: float) -> None:
        # Each part counts for its nominal length: if the machine was too busy for the kit, it may
        # have been too busy for the peer.
        while seconds > 0:
            await asyncio.sleep(min(seconds, _LOOK))
            seconds -= _LOOK
            for connection in self._connections.values():
                self._look_at(connection)

    def _look_at(self, connection: _Connection) -> None:
        link = connection.link
        if link is None or connection.stop is Stop.CUT or connection.paused:
            return
        if not connection.matches() or connection.good > connection.due():
            self._stop(connection, Stop.WRONG)
        if link.ended and connection.good < len(connection.track.echo):
            self._stop(connection, Stop.LEFT)

    # --- end

    async def _finish(self, connection: _Connection) -> None:
        """Waits for the expected bytes, then for the end; anything else is a failure."""
        link = connection.link
        if link is None or connection.stop is Stop.CUT:
            return
        await self._await(connection)
        if connection.is_past_fault():
            patience = _STRICT_TIMEOUT * self._scale
        elif connection.half_closed:
            patience = self._left
        elif link.can_half_close:
            link.half_close()
            patience = _CLOSE_TIMEOUT * self._scale
        else:
            patience = _SURPLUS
        while connection.matches():
            if link.ended:
                return
            if not await self._within(link.changed, patience):
                connection.overdue = connection.is_past_fault() or connection.half_closed
                return
        self._stop(connection, Stop.WRONG)

    async def _within(
        self, condition: Callable[[], Coroutine[Any, Any, None]], seconds: float
    ) -> bool:
        """Waits ``seconds``, or what is left of the case, at most; returns whether it succeeded."""
        waiting = asyncio.ensure_future(condition())
        try:
            self._left -= await wait(waiting, min(seconds, self._left))
            return waiting.done()
        finally:
            waiting.cancel()

    def _stop(self, connection: _Connection, stop: Stop) -> None:
        connection.stop = stop
        raise _Stopped


def _act(connection: _Connection, link: PeerLink, step: Step) -> None:
    """Carries out a step that does not wait."""
    if isinstance(step, StopReading):
        connection.paused = True
        link.pause()
    elif isinstance(step, HalfClose):
        connection.half_closed = True
        link.half_close()
    elif isinstance(step, (Close, Reset)):
        connection.stop = Stop.CUT
        link.abort() if isinstance(step, Close) else link.reset()
