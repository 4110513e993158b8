"""A ``NatsBus`` and a real NATS server that is killed, frozen, and replaced by something else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.notify.nats_servers import SECONDS, NatsServer, RawNats, nats_server
from vfiipc.notify import NatsBus
from vfiipc.notify.bus import BusError, BusListener, Publish

LARGE = bytes(1 << 20)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


class Heard:
    """What a bus has told."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.lost, self.again = asyncio.Event(), asyncio.Event()

    def listener(self) -> BusListener:
        return BusListener(
            lambda arrived: self.came.append(arrived.subject),
            self.again.set,
            lambda _: self.lost.set(),
        )


async def soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), SECONDS)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def nothing_is_left(before: int) -> None:
    """Waits until there are only so many descriptors, and no other task."""
    for _ in range(int(SECONDS / 0.02)):
        if descriptors() <= before and asyncio.all_tasks() == {asyncio.current_task()}:
            return
        await asyncio.sleep(0.02)
    more = asyncio.all_tasks() - {asyncio.current_task()}
    pytest.fail(f"{descriptors()} descriptors instead of {before}; tasks {more}")


def test_closing_with_much_to_say_ends(nats: NatsServer) -> None:
    """``nats-py`` keeps a cancellation to itself while it sends."""

    async def main() -> None:
        before = descriptors()
        bus = NatsBus(nats.url)
        await bus.connect(Heard().listener())
        for number in range(20_000):
            bus.subscribe(f"x.{number}")
        await asyncio.sleep(0.05)
        await asyncio.wait_for(bus.aclose(), SECONDS)
        await nothing_is_left(before)

    asyncio.run(main())


def test_what_is_wanted_without_a_connection_comes_once(nats: NatsServer) -> None:
    async def main() -> None:
        heard = Heard()
        bus = NatsBus(nats.url)
        await bus.connect(heard.listener())
        bus.subscribe("nfy.1.first")
        nats.kill()
        await soon(heard.lost)
        bus.subscribe("nfy.1.second")
        bus.subscribe("nfy.1.never")
        bus.unsubscribe("nfy.1.never")
        assert not bus.publish(Publish("nfy.1.x", b""))
        nats.start()
        await soon(heard.again)
        with RawNats(nats.address) as raw:
            # Behind both. What is published while a connection ends is lost: once may be too few.
            while not raw.sync():
                bus.publish(Publish("nfy.1.subscribed", b"x"))
                await asyncio.sleep(0.05)
            for subject in ("first", "second", "never", "first"):
                raw.publish(f"nfy.1.{subject}", b"x")
            raw.sync()
        while heard.came.count("nfy.1.first") < 2:
            await asyncio.sleep(0.01)
        await bus.aclose()
        assert sorted(heard.came) == ["nfy.1.first", "nfy.1.first", "nfy.1.second"]

    asyncio.run(main())


@pytest.mark.long
def test_a_listener_that_fails_does_not_make_a_bus_deaf(nats: NatsServer) -> None:
    async def main() -> None:
        failed: list[str] = []
        came = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failed.append(str(context["exception"]))
        )

        def fail(*_: object) -> None:
            raise RuntimeError("the disk is full")

        bus = NatsBus(nats.url)
        await bus.connect(BusListener(lambda _: came.set(), fail, fail))
        bus.subscribe("nfy.1.x")
        nats.kill()
        nats.start()
        while not came.is_set():
            with suppress(ConnectionError), RawNats(nats.address) as raw:
                raw.publish("nfy.1.x", b"")
                raw.sync()
            await asyncio.sleep(0.05)
        await bus.aclose()
        assert failed == ["the disk is full"] * 2

    asyncio.run(main())


@pytest.mark.parametrize("is_killed", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_connection_that_ends_with_much_to_send_is_made_again(
    nats: NatsServer, is_killed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """``nats-py`` tries to send what is left before it says that the connection has ended."""

    async def main() -> None:
        before = descriptors()
        heard = Heard()
        bus = NatsBus(nats.url, ping_interval=1)
        await bus.connect(heard.listener())
        bus.subscribe("nfy.1.x")
        await asyncio.sleep(0.05)
        nats.freeze()
        for _ in range(10):
            assert bus.publish(Publish("nfy.1.y", LARGE))
            await asyncio.sleep(0.01)
        if is_killed:
            nats.kill()
        await soon(heard.lost)
        assert not bus.publish(Publish("nfy.1.y", b""))
        if is_killed:
            nats.start()
        else:
            nats.thaw()
        await soon(heard.again)
        with RawNats(nats.address) as raw:
            while "nfy.1.x" not in heard.came:
                raw.publish("nfy.1.x", b"")
                raw.sync()
                await asyncio.sleep(0.01)
        await bus.aclose()
        await nothing_is_left(before)

    asyncio.run(main())
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.long
def test_a_frozen_server_does_not_keep_a_bus_from_closing(nats: NatsServer) -> None:
    async def main() -> None:
        before = descriptors()
        bus = NatsBus(nats.url)
        await bus.connect(Heard().listener())
        nats.freeze()
        for number in range(10):
            bus.publish(Publish("nfy.1.y", LARGE))
            bus.subscribe(f"nfy.1.{number}")
        await asyncio.sleep(0.05)
        await asyncio.wait_for(bus.aclose(), SECONDS)
        await nothing_is_left(before)

    asyncio.run(main())


def test_a_server_that_does_not_answer_is_an_error(nats: NatsServer) -> None:
    nats.freeze()
    bus = NatsBus(nats.url, connect_timeout=0.2)
    said = f"no connection to the bus at {nats.url}: no answer in time"
    with pytest.raises(BusError, match=f"^{said}$"):
        asyncio.run(bus.connect(BusListener(print, print, print)))


@contextmanager
def impostor(address: str, says: bytes) -> Iterator[None]:
    """Something else at the address of a server, which says this to whoever connects."""
    host, _, port = address.rpartition(":")
    accepted: list[socket.socket] = []

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                accepted.append(listening.accept()[0])
                with suppress(ConnectionError):
                    accepted[-1].sendall(says)

    with closing(socket.create_server((host, int(port)))) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)
            for each in accepted:
                each.close()


@pytest.mark.long
@pytest.mark.parametrize(
    "says",
    [b"INFO {}\r\n", b"INFO []\r\n", b"INFO \xff\r\n", b"INFO\r\n", b"\r\n", b"+OK\r\n", b""],
)
def test_a_bus_comes_back_after_something_else_was_at_its_address(
    nats: NatsServer, says: bytes
) -> None:
    async def main() -> None:
        heard = Heard()
        bus = NatsBus(nats.url)
        await bus.connect(heard.listener())
        nats.kill()
        with impostor(nats.address, says):
            await soon(heard.lost)
            await asyncio.sleep(0.8)  # it tries again after half a second
        nats.start()
        await soon(heard.again)
        await bus.aclose()

    asyncio.run(main())


async def use(bus: NatsBus) -> None:
    await bus.connect(Heard().listener())
    bus.subscribe("nfy.1.x")
    await bus.aclose()


async def abandon(bus: NatsBus, turns: int) -> None:
    """Closes, or gives up, while it connects."""
    connecting = asyncio.ensure_future(bus.connect(Heard().listener()))
    for _ in range(turns):
        await asyncio.sleep(0)
    if turns % 2:
        connecting.cancel()
    await bus.aclose()
    (failed,) = await asyncio.gather(connecting, return_exceptions=True)
    assert failed is None or isinstance(failed, (BusError, asyncio.CancelledError))


@pytest.mark.long
def test_many_connections_leave_nothing_behind(
    nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        threads = threading.active_count()
        before = descriptors()
        for number in range(100):
            await use(NatsBus(nats.url))
            await abandon(NatsBus(nats.url), number % 25)
        await nothing_is_left(before)
        assert threading.active_count() <= threads

    asyncio.run(main())
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.long
def test_closing_while_it_connects_again(nats: NatsServer) -> None:
    async def main() -> None:
        before = descriptors()
        for pause in (0.4, 0.5, 0.51, 0.52, 0.6):
            heard = Heard()
            bus = NatsBus(nats.url)
            await bus.connect(heard.listener())
            nats.kill()
            await soon(heard.lost)
            nats.start()
            nats.freeze()  # the connection comes about, and nothing else
            await asyncio.sleep(pause)
            await asyncio.wait_for(bus.aclose(), SECONDS)
            nats.thaw()
            await nothing_is_left(before)

    asyncio.run(main())
