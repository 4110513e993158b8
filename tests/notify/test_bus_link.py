"""Between the bus and ``Node``: more than a server can process, and a failure of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import pytest

from vfiipc.notify.actions import Action, Deliver
from vfiipc.notify.bus import BusError, MemoryBus, MemoryNetwork, Publish
from vfiipc.notify.bus_link import BusLink
from vfiipc.notify.envelopes import (
    HEAD,
    REGISTRATIONS_BODY,
    broadcast_subject,
    encode_envelope,
)
from vfiipc.notify.messages import Notify, Register, encode
from vfiipc.notify.node import Node
from vfiipc.notify.router import Router


class Linked:
    """A server on a bus, which has one client."""

    def __init__(self, bus_takes: int = 1 << 20) -> None:
        self.network = MemoryNetwork()
        router = Router(shared=True)
        node = Node("own", router, sessions=lambda: "1")
        self.link = BusLink(node, MemoryBus(self.network, bus_takes), 1000, self.carry_out)
        router.register(router.join(local=True), Register("app", "x"))
        self.got: list[Deliver] = []
        self.fails = False
        self._sent = 0

    def carry_out(self, actions: Iterable[Action]) -> None:
        if self.fails:
            raise RuntimeError("the disk is full")
        self.got += [action for action in actions if isinstance(action, Deliver)]

    def broadcast(self, count: int, parameter: bytes) -> None:
        """Has broadcasts of another server arrive before the link can process any of them."""
        body = encode(Notify("sender", "*", "x", parameter))
        for _ in range(count):
            self._sent += 1
            data = encode_envelope("broadcast", "other", "2", self._sent, body, {})
            self.network.send(MemoryBus(self.network), Publish(broadcast_subject("x"), data))
        self.network.deliver_all()

    async def got_more_than(self, count: int) -> int:
        async def more() -> None:
            while len(self.got) <= count:
                await asyncio.sleep(0.001)

        await asyncio.wait_for(more(), 30)
        await asyncio.sleep(0.01)
        return len(self.got)


def test_a_bus_has_to_take_registrations_even_if_notifications_are_small() -> None:
    async def main() -> None:
        least = HEAD + REGISTRATIONS_BODY
        with pytest.raises(
            BusError, match=f"allows messages of {least - 1} bytes, but {least} are"
        ):
            await Linked(least - 1).link.start()
        link = Linked(least).link
        await link.start()
        await link.aclose()

    asyncio.run(main())


@pytest.mark.long
def test_what_is_too_much_is_dropped_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vfiipc")

    async def main() -> None:
        linked = Linked()
        await linked.link.start()
        large = b"9" * 60_000
        linked.broadcast(1300, large)
        got = await linked.got_more_than(1000)
        linked.broadcast(3, b"1")
        assert await linked.got_more_than(got + 2) == got + 3
        linked.broadcast(1300, large)
        await linked.got_more_than(got + 3 + 1000)
        await linked.link.aclose()
        assert len(linked.got) < 2400

    asyncio.run(main())
    told = [each.message for each in caplog.records if "delivers more messages" in each.message]
    assert len(told) == 2


def test_a_failure_does_not_make_a_server_deaf(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        linked = Linked()
        await linked.link.start()
        linked.fails = True
        linked.broadcast(1, b"1")
        while not caplog.records:
            await asyncio.sleep(0.001)
        linked.fails = False
        linked.broadcast(1, b"2")
        assert await linked.got_more_than(0) == 1
        await linked.link.aclose()

    asyncio.run(main())
    assert [each.message for each in caplog.records] == [
        "messages from the bus could not be processed"
    ]
