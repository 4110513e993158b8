"""Connects ``Node`` to the bus and to the clock."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from ..transport.logs import shown
from .actions import Action
from .bus import Arrival, Bus, BusError, BusListener, Publish, Subscribe, Unsubscribe
from .envelopes import HEAD, REGISTRATIONS_BODY
from .loggers import server_logger
from .node import Node
from .outbox import LogLine, NameTaken, Output

__all__ = ["BusLink"]

#: Seconds between calls of ``Node.tick``.
_TICK: Final = 0.25
#: Maximum number of messages to handle before other tasks run.
_BATCH: Final = 256
#: Maximum number and total size of queued messages; NATS has no back-pressure.
_MAX_ARRIVED: Final = 65536
_MAX_ARRIVED_SIZE: Final = 64 << 20


class BusLink:
    """The connection of a server to the others.

    Args:
        node: this server.
        bus: the bus.
        max_payload: maximum size of a notification, in bytes.
        carry_out: called with the actions for the clients of this server.
    """

    def __init__(
        self,
        node: Node,
        bus: Bus,
        max_payload: int,
        carry_out: Callable[[Iterable[Action]], None],
    ) -> None:
        self._node = node
        self._bus = bus
        self._max_payload = max_payload
        self._carry_out = carry_out
        self._arrived: deque[Arrival] = deque()
        self._arrived_size = 0
        self._is_late = False
        self._wanted = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changing: asyncio.Handle | None = None
        self._joined: asyncio.Future[None] | None = None
        #: Set if another server has the name of this one.
        self.name_taken = asyncio.Event()
        #: Whether the caller should let other tasks write.
        self.should_yield = False

    async def start(self) -> None:
        """Joins the other servers.

        Raises:
            BusError: the bus cannot be reached or is unsuitable, or the name is taken.
        """
        loop = asyncio.get_running_loop()
        await self._bus.connect(BusListener(self._received, self._connected, self._lost))
        try:
            self._check_size()
            self._joined = loop.create_future()
            self._reading = loop.create_task(self._read())
            self._do(self._node.join(loop.time()))
            self._tick()
            await self._joined
        except BaseException:
            await self.aclose()
            raise

    def _check_size(self) -> None:
        needed, allowed = HEAD + max(self._max_payload, REGISTRATIONS_BODY), self._bus.max_payload
        if allowed < needed:
            raise BusError(
                f"the bus at {self._bus.address} allows messages of {allowed} bytes, but {needed}"
                " are needed: raise its max_payload"
            )

    async def aclose(self) -> None:
        """Leaves the other servers."""
        self._do(self._node.leave(asyncio.get_running_loop().time()))
        for pending in (self._timer, self._changing, self._reading):
            if pending is not None:
                pending.cancel()
        if self._reading is not None:
            await asyncio.wait([self._reading])
        await self._bus.aclose()

    # --- from this server

    def sift(self, actions: Iterable[Action]) -> list[Action]:
        """Carries out the actions that concern other servers, and returns the others."""
        return self._sift(self._node.carry(asyncio.get_running_loop().time(), actions))

    def changed(self) -> None:
        """Schedules telling the other servers that registrations or observers have changed."""
        if self._changing is None:
            self._changing = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._changing = None
        self._carry_out(self.sift(()))

    @property
    def is_crowded(self) -> bool:
        """Whether the caller should let the bus send."""
        return self._bus.is_crowded

    # --- from the bus

    def _received(self, incoming: Arrival) -> None:
        if len(self._arrived) < _MAX_ARRIVED and self._arrived_size < _MAX_ARRIVED_SIZE:
            self._arrived.append(incoming)
            self._arrived_size += len(incoming.data)
            self._wanted.set()
        elif not self._is_late:
            self._is_late = True
            text = (
                "the bus at %s delivers more messages than this server can process; dropping some"
            )
            server_logger.warning(text, self._bus.address)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._arrived:
                count = min(_BATCH, len(self._arrived))
                batch = [self._arrived.popleft() for _ in range(count)]
                self._arrived_size -= sum(len(each.data) for each in batch)
                try:
                    self._do(self._node.receive(loop.time(), batch))
                except Exception:  # noqa: BLE001 - this server must continue to receive
                    server_logger.exception("messages from the bus could not be processed")
                await asyncio.sleep(0)
            self._is_late = False

    def _connected(self) -> None:
        server_logger.warning("reconnected to the bus at %s", self._bus.address)
        self._do(self._node.connected(asyncio.get_running_loop().time()))

    def _lost(self, reason: str) -> None:
        text = "lost the bus at %s: %s; until it is back, notifications stay on this server"
        server_logger.warning(text, self._bus.address, reason)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TICK, self._tick)
        self._do(self._node.tick(loop.time()))

    # --- output

    def _do(self, outputs: Iterable[Output]) -> None:
        actions = self._sift(outputs)
        if actions:
            self._carry_out(actions)
        if self._joined is not None and self._node.is_joined and not self._joined.done():
            self._joined.set_result(None)

    def _sift(self, outputs: Iterable[Output]) -> list[Action]:
        actions: list[Action] = []
        for output in outputs:
            if isinstance(output, Publish):
                if not self._bus.publish(output):
                    now = asyncio.get_running_loop().time()
                    actions += self._sift(self._node.unsent(now, output))
            elif isinstance(output, Subscribe):
                self._bus.subscribe(output.subject)
            elif isinstance(output, Unsubscribe):
                self._bus.unsubscribe(output.subject)
            elif isinstance(output, LogLine):
                level = logging.WARNING if output.is_warning else logging.INFO
                server_logger.log(level, output.text, shown(output.about))
            elif isinstance(output, NameTaken):
                self._give_way(output.name)
            else:
                actions.append(output)
        return actions

    def _give_way(self, name: str) -> None:
        error = f"another server on the bus at {self._bus.address} has the name {shown(name)}"
        if self._joined is not None and not self._joined.done():
            self._joined.set_exception(BusError(f"{error}; choose another name"))
            return
        server_logger.error("%s, and started earlier; this server leaves the bus", error)
        self.name_taken.set()
