"""The asyncio client and the server, in one loop."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.aio.loops import Run, contexts
from vfiipc import ConnectionClosed, notify
from vfiipc.notify import Client, Notification, Undeliverable

SECONDS = 30.0


@asynccontextmanager
async def clients(*names: str, address: str = "tcp://127.0.0.1:0") -> AsyncIterator[list[Client]]:
    """Clients of one server, which leave at once."""
    async with notify.serve(address) as service:
        made = [
            await notify.connect(service.addresses[0], app_id=name, drain=0, timeout=SECONDS)
            for name in names
        ]
        try:
            yield made
        finally:
            for client in made:
                await client.close()


async def settled(*all_clients: Client) -> None:
    """What was sent has arrived: the server has sent it, and answers come behind it."""
    for _ in range(2):
        for client in all_clients:
            await client.sync(SECONDS)


def test_a_till_asks_a_terminal(loop: Run[Any]) -> None:
    async def main() -> None:
        async with clients("till", "terminal") as (till, terminal):

            async def answer(request: Notification) -> None:
                assert request.parameter == {"cmd": "get_time"}
                assert (request.id, request.to, request.flags) == ("REQ", "terminal", 3)
                await terminal.send(request.sender, "RESP", {"result": "OK", "status": 0})

            await terminal.register("REQ", answer)
            await terminal.sync(SECONDS)
            ask = till.ask("terminal", "REQ", {"cmd": "get_time"}, reply="RESP", flags=3, timeout=9)
            reply = await ask
            assert reply.parameter == {"result": "OK", "status": 0}
            assert (reply.sender, reply.to, reply.id) == ("terminal", "till", "RESP")

    loop(main())


@pytest.mark.parametrize("kind", ["pipe", "tls"])
def test_over_other_addresses(kind: str, tmp_path: Any) -> None:
    async def main() -> None:
        server, trusting = contexts()
        encrypted = kind == "tls"
        where = "tls://127.0.0.1:0" if encrypted else f"pipe://{tmp_path}/notify"
        async with notify.serve(where, ssl=server if encrypted else None) as service:
            (address,) = service.addresses
            options: Any = {"drain": 0, "ssl": trusting if encrypted else None}
            async with (
                notify.connect(address, app_id="a", **options) as one,
                notify.connect(address, app_id="b", **options) as other,
            ):
                got: list[Notification] = []
                await one.register("x", got.append)
                await one.sync(SECONDS)
                await other.send("*", "x", [1.5])
                await settled(other, one)
                assert [each.parameter for each in got] == [[1.5]]

    asyncio.run(main())


def test_broadcasts_and_unicasts_reach_whom_they_should(loop: Run[Any]) -> None:
    async def main() -> None:
        async with clients("a", "b", "sender") as (first, second, sender):
            got: list[tuple[str, str, str]] = []

            def take(name: str) -> Any:
                return lambda given: got.append((name, given.to, given.id))

            await first.register("x", take("low"))
            await first.register("x", take("other"), to="other", priority=1)
            await second.register("x", take("high"), priority=2)
            await settled(first, second)
            for to in ("*", "1", "a", "other"):
                await sender.send(to, "x")
                await settled(sender, first, second)
            assert sorted(got[:3]) == [("high", "*", "x"), ("low", "*", "x"), ("other", "*", "x")]
            assert got[3:] == [("high", "1", "x"), ("low", "a", "x"), ("other", "other", "x")]
            # NFY-C4: of its own registrations, too, the first one gets it.
            await second.unregister("x")
            await second.sync(SECONDS)
            await sender.send("1", "x")
            await settled(sender, first)
            assert got[-1] == ("other", "1", "x")

    loop(main())


def test_parameters_as_values_and_as_text() -> None:  # NFY-C9, NFY-M7
    text = rb'{"amount": 1.10, "a":1, "a":2.0, "z":1E400, "t":"\u0041\/"}'

    async def main() -> None:
        async with clients("a", "b") as (one, other):
            got: list[Notification] = []
            await one.register("x", got.append)
            await one.sync(SECONDS)
            for parameter in (text, b" 5.0 ", {"é": [None, True]}, None, "text", 1.5):
                await other.send("a", "x", parameter)
            await settled(other, one)
            texts = [each.parameter_json for each in got]
            assert texts == [text, b"5.0", '{"é":[null,true]}'.encode(), b"null", b'"text"', b"1.5"]
            assert got[2].parameter == {"é": [None, True]}
            exact = json.loads(got[0].parameter_json, parse_float=Decimal)
            assert str(exact["amount"]) == "1.10"
            wrong: Any
            for wrong in (b"{", b"", b"1,2", float("nan"), "\ud800", {1, 2}, b"NaN"):
                with pytest.raises((TypeError, ValueError)):
                    await other.send("a", "x", wrong)
            deep: list[Any] = []
            for _ in range(100_000):
                deep = [deep]
            with pytest.raises(ValueError, match="nested too deeply"):
                await other.send("a", "x", deep)
            with pytest.raises(ValueError, match=r"has 65\d\d\d bytes, but the server takes 65536"):
                await other.send("a", "x", "x" * 65500)

    asyncio.run(main())


def test_wrong_arguments_raise_at_once() -> None:
    for drain in (float("inf"), float("nan"), -1):
        with pytest.raises(ValueError, match="drain is"):
            notify.connect(app_id="a", drain=drain)

    async def main() -> None:
        async with clients("a") as (client,):
            with pytest.raises(ValueError, match=r"must have 1\.\.255"):
                await client.send("", "x")
            with pytest.raises(ValueError, match=r"must have 1\.\.255"):
                await client.send("a", "x" * 256)
            with pytest.raises(TypeError, match="to must be a str, not int"):
                await client.send(1, "x")  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="means any or all"):
                await client.register("x", print, to="*")
            with pytest.raises(ValueError, match="means any or all"):
                await client.send("a", "x", sender="1")
            with pytest.raises(TypeError, match="handler must be callable"):
                await client.register("x", 5)  # type: ignore[arg-type]
            with pytest.raises(
                ValueError, match=r"priority is 2147483648, but must be in -2147483648\.\."
            ):
                await client.register("x", print, priority=2**31)
            with pytest.raises(ValueError, match=r"flags is -1, but must be in 0\.\.4294967295"):
                await client.send("a", "x", flags=-1)
            with pytest.raises(TypeError, match="timeout must be"):
                await client.ask("a", "x", reply="y", timeout="1")  # type: ignore[arg-type]
            assert list(client._handlers) == []
        with pytest.raises(ConnectionClosed, match="the client was closed"):
            await client.send("a", "x")
        with pytest.raises(ConnectionClosed, match="the client was closed"):
            await client.register("x", print)

    for wrong, error in ((("1",), ValueError), ((5,), TypeError), (("",), ValueError)):
        with pytest.raises(error, match="app_id"):
            notify.connect(app_id=wrong[0])  # type: ignore[arg-type]
    options: Any
    for options in ({"drain": -1}, {"max_handlers": 0}, {"max_payload": 0}, {"address": "x"}):
        with pytest.raises(ValueError, match=r"must be|no port"):
            notify.connect(app_id="a", **options)
    asyncio.run(main())


def test_nobody_gets_it(loop: Run[Any]) -> None:  # NFY-C5, NFY-C6, NFY-N5
    async def main() -> None:
        async with clients("till") as (till,):
            undelivered: list[Notification] = []
            till.on_unicast_error(undelivered.append)
            await till.send("printer", "x", {"a": 1.5})
            await till.send("*", "x")
            with pytest.raises(Undeliverable, match="nobody got 'x': no application 'printer'"):
                await till.ask("printer", "x", {"b": 1}, reply="y", timeout=SECONDS)
            with pytest.raises(Undeliverable, match="no application has registered"):
                await till.ask("1", "x", reply="y", timeout=SECONDS)
            await till.sync(SECONDS)
            assert [each.parameter for each in undelivered] == [{"a": 1.5}]
            assert "Undelivered" in repr(undelivered[0])
            till.on_unicast_error(None)
            await till.send("printer", "x")
            await till.sync(SECONDS)
            assert len(undelivered) == 1
            assert till._asks._waiting == []
            assert list(till._handlers) == []

    loop(main())


def test_no_reply_in_time() -> None:
    async def main() -> None:
        async with clients("till", "terminal") as (till, terminal):
            got: list[Notification] = []
            await terminal.register("REQ", got.append)
            await terminal.sync(SECONDS)
            with pytest.raises(TimeoutError, match=r"no reply 'RESP' came within 0\.05 s"):
                await till.ask("terminal", "REQ", reply="RESP", timeout=0.05)
            # The late reply finds nobody, and comes back to its sender.
            late: list[Notification] = []
            terminal.on_unicast_error(late.append)
            await settled(till)
            await terminal.send("till", "RESP", "late")
            await settled(terminal)
            assert [each.parameter for each in late] == ["late"]

    asyncio.run(main())


def test_many_asks_at_once_get_each_a_reply(loop: Run[Any]) -> None:
    async def main() -> None:
        async with clients("till", "terminal") as (till, terminal):

            async def answer(request: Notification) -> None:
                await terminal.send(request.sender, "RESP", request.parameter)

            await terminal.register("REQ", answer)
            own: list[Notification] = []
            await till.register("RESP", own.append)
            await settled(terminal, till)
            asks = (till.ask("1", "REQ", n, reply="RESP", timeout=SECONDS) for n in range(50))
            replies = await asyncio.gather(*asks)
            assert sorted(each.parameter for each in replies) == list(range(50))
            assert own == []  # each went to who waited for it
            await terminal.send("till", "RESP", "unasked")
            await settled(terminal, till)
            assert [each.parameter for each in own] == ["unasked"]

    loop(main())


def test_an_iteration(loop: Run[Any]) -> None:
    async def main() -> None:
        async with clients("a", "b") as (one, other):
            undelivered: list[Any] = []
            other.on_unicast_error(lambda given: undelivered.append(given.parameter))
            got = []

            async def send() -> None:
                while not list(one._handlers):
                    await asyncio.sleep(0)
                await one.sync(SECONDS)
                for number in range(6):
                    await other.send("a", "x", number)
                await other.send("*", "x", "all")

            sending = asyncio.ensure_future(send())
            async with aclosing(one.notifications("x")) as notifications:
                async for given in notifications:
                    got.append(given.parameter)
                    if len(got) == 3:
                        await sending
                        await settled(other, one)
                        break
            assert got == [0, 1, 2]
            await settled(one, other)
            assert undelivered == [3, 4, 5]  # sent back, because nobody took them
            assert list(one._handlers) == []

    loop(main())


def test_an_iteration_that_takes_nothing_holds_back_the_sender_only_for_a_while() -> None:
    async def main() -> None:
        async with notify.serve("tcp://127.0.0.1:0") as service:
            (address,) = service.addresses
            async with (
                notify.connect(address, app_id="a", max_handlers=4, drain=0) as slow,
                notify.connect(address, app_id="b", drain=0) as other,
            ):
                async with aclosing(slow.notifications("x")) as notifications:
                    first = asyncio.ensure_future(anext(notifications))
                    await asyncio.sleep(0)
                    await slow.sync(SECONDS)
                    for number in range(50):
                        await other.send("a", "x", number)
                    await other.sync(SECONDS)
                    got = [(await first).parameter]
                    async for given in notifications:
                        got.append(given.parameter)
                        if len(got) == 50:
                            break
                assert got == list(range(50))

    asyncio.run(main())


def test_closing_ends_an_iteration() -> None:
    async def main() -> None:
        async with clients("a", "b") as (one, other):

            async def iterate() -> list[Any]:
                return [given.parameter async for given in one.notifications("x")]

            iterating = asyncio.ensure_future(iterate())
            await asyncio.sleep(0)
            await one.sync(SECONDS)
            await other.send("a", "x", 1)
            await settled(other, one)
            await one.close()
            assert await iterating == [1]

    asyncio.run(main())


def test_unregistering_waits_for_the_handler(loop: Run[Any]) -> None:  # NFY-C3
    async def main() -> None:
        async with clients("a", "b") as (one, other):
            events: list[str] = []
            begun = asyncio.Event()
            go_on = asyncio.Event()

            async def slow(_: Notification) -> None:
                begun.set()
                await go_on.wait()
                events.append("handler")

            await one.register("x", slow)
            await one.sync(SECONDS)
            await other.send("a", "x")
            await asyncio.wait_for(begun.wait(), SECONDS)
            asyncio.get_running_loop().call_later(0.05, go_on.set)
            await one.unregister("x")
            events.append("unregistered")
            assert events == ["handler", "unregistered"]
            await one.unregister("x")  # what is not registered needs nothing

    loop(main())


def test_a_handler_cannot_unregister_itself(loop: Run[Any]) -> None:  # NFY-C3
    async def main() -> None:
        async with clients("a", "b") as (one, other):
            results: list[str] = []
            later: list[asyncio.Task[None]] = []
            done = asyncio.Event()

            async def handler(_: Notification) -> None:
                for attempt in (
                    one.unregister("x"),
                    one.register("x", None),
                    asyncio.wait_for(one.unregister("x"), SECONDS),
                    asyncio.ensure_future(one.unregister("x", to="a")),
                ):
                    with pytest.raises(RuntimeError, match="cannot unregister itself"):
                        await attempt
                    results.append("refused")
                await one.unregister("y")  # another one it may
                later.append(asyncio.ensure_future(after_the_end()))
                done.set()

            async def after_the_end() -> None:
                await asyncio.sleep(0.01)
                await one.unregister("x")

            await one.register("x", handler)
            await one.register("y", print)
            await one.sync(SECONDS)
            await other.send("a", "x")
            await asyncio.wait_for(done.wait(), SECONDS)
            assert results == ["refused"] * 4
            await later[0]
            assert list(one._handlers) == []

    loop(main())


def test_what_a_handler_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:  # NFY-C2
    async def main() -> None:
        async with clients("a", "b") as (one, other):
            got: list[Notification] = []

            def sync(_: Notification) -> None:
                raise ValueError("sync")

            async def coroutine(_: Notification) -> None:
                raise ValueError("coroutine")

            await one.register("x\n", sync)
            await one.register("y", coroutine)
            await one.register("z", got.append)
            await one.sync(SECONDS)
            for name in ("x\n", "y", "z"):
                await other.send("a", name, "secret")
            await settled(other, one)
            assert len(got) == 1

    asyncio.run(main())
    failures = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.getMessage() for each in failures] == [
        r"the handler of x\n failed",
        "the handler of y failed",
    ]
    assert {each.name for each in failures} == {"vfiipc.notify.client"}


def test_only_so_many_handlers_run_at_once() -> None:  # NFY-C2
    async def main() -> None:
        async with notify.serve("tcp://127.0.0.1:0") as service:
            (address,) = service.addresses
            async with (
                notify.connect(address, app_id="a", max_handlers=3, drain=0) as one,
                notify.connect(address, app_id="b", drain=0) as other,
            ):
                running = most = finished = 0
                done = asyncio.Event()

                async def handler(_: Notification) -> None:
                    nonlocal running, most, finished
                    running += 1
                    most = max(most, running)
                    await asyncio.sleep(0.005)
                    running -= 1
                    finished += 1
                    if finished == 20:
                        done.set()

                await one.register("x", handler)
                await one.sync(SECONDS)
                for _ in range(20):
                    await other.send("a", "x")
                await asyncio.wait_for(done.wait(), SECONDS)
                assert most == 3

    asyncio.run(main())


def test_a_local_client_observes_and_a_remote_one_does_not(tmp_path: Any) -> None:  # NFY-O1
    async def main() -> None:
        async with notify.serve(f"pipe://{tmp_path}/n", "tcp://127.0.0.1:0") as service:
            pipe, tcp = service.addresses
            assert pipe == f"pipe://{tmp_path}/n"
            async with (
                notify.connect(pipe, app_id="l", drain=0) as local,
                notify.connect(tcp, app_id="r", drain=0) as remote,
            ):
                assert service.clients == 2
                seen: list[notify.Observation] = []
                never: list[notify.Observation] = []
                await local.observe(seen.append)
                await remote.observe(never.append)
                await local.register("x", lambda _: None)
                await settled(local, remote)
                seen.clear()
                await remote.send("l", "x", "secret", flags=2)
                await remote.send("nobody", "x", sender="other")
                await settled(remote, local)
                observed = [each for each in seen if each.notification == "x"]
                assert observed == [
                    notify.Observation("r", "l", "x", 2),
                    notify.Observation("other", "", "x", 0),
                ]
                assert never == []
                await local.observe(None)
                await local.sync(SECONDS)
                seen.clear()
                await remote.send("l", "x")
                await settled(remote, local)
                assert seen == []

    asyncio.run(main())


def test_acting_for_others(loop: Run[Any]) -> None:  # NFY-R5
    async def main() -> None:
        async with clients("controller", "till") as (controller, till):

            async def answer(request: Notification) -> None:
                await controller.send(request.sender, "RESP", request.to, sender=request.to)

            for receiver in ("one", "two"):
                await controller.register("REQ", answer, to=receiver)
            await controller.sync(SECONDS)
            for receiver in ("one", "two"):
                reply = await till.ask(receiver, "REQ", reply="RESP", timeout=SECONDS)
                assert (reply.sender, reply.parameter) == (receiver, receiver)
            await controller.unregister("REQ", to="one")
            await controller.sync(SECONDS)
            with pytest.raises(Undeliverable):
                await till.ask("one", "REQ", reply="RESP", timeout=SECONDS)
            await till.ask("two", "REQ", reply="RESP", timeout=SECONDS)
            assert list(till._handlers) == []

    loop(main())


def test_leaving_sends_back_what_still_arrives() -> None:  # NFY-B1, NFY-B6, NFY-C8
    async def main() -> None:
        async with notify.serve("tcp://127.0.0.1:0") as service:
            (address,) = service.addresses
            async with (
                notify.connect(address, app_id="b", drain=0) as sender,
                notify.connect(address, app_id="x", drain=0) as heir,
            ):
                undelivered: list[Any] = []
                inherited: list[Any] = []
                taken: list[Any] = []
                sender.on_unicast_error(lambda given: undelivered.append(given.parameter))
                await heir.register("x", lambda given: inherited.append(given.parameter), to="a")
                leaving = await notify.connect(address, app_id="a", drain=0.2)
                closing: asyncio.Future[None] | None = None
                await leaving.register("x", lambda given: taken.append(given.parameter), priority=1)
                await settled(heir, leaving)
                for number in range(200):
                    await sender.send("a", "x", number)
                    if number == 100:
                        closing = asyncio.ensure_future(leaving.close())
                        await asyncio.sleep(0)
                assert closing is not None
                await closing
                await settled(sender, heir)
                assert undelivered == []
                assert sorted(taken + inherited) == list(range(200))
                assert inherited != []

    asyncio.run(main())


def test_a_client_shows_itself_without_control_characters() -> None:  # NFY-L3
    async def main() -> None:
        async with clients("\x1b[2J") as (client,):
            assert "\x1b" not in repr(client)
            got: list[Notification] = []
            await client.register("\x1b]0;", got.append)
            await client.sync(SECONDS)
            await client.send("1", "\x1b]0;", "4111111111111111")
            await settled(client)
            assert "\x1b" not in repr(got[0])
            assert "4111" not in repr(got[0])
            assert "18 bytes" in repr(got[0])

    asyncio.run(main())


def test_dead_peers_are_looked_for_on_both_sides(loop: Run[Any]) -> None:  # NFY-S2
    if sys.platform != "linux":
        pytest.skip("the options are those of Linux")

    async def main() -> None:
        async with (
            notify.serve("tcp://127.0.0.1:0") as service,
            notify.connect(service.addresses[0], app_id="a", drain=0) as client,
        ):
            await client.sync(SECONDS)
            (guest,) = service._guests.values()
            for connection in (client._link._connection, guest.connection):
                assert connection is not None
                descriptor = os.dup(connection.get_extra_info("socket").fileno())
                with socket.socket(fileno=descriptor) as sock:
                    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                    tcp = socket.IPPROTO_TCP
                    assert sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 30_000

    loop(main())


def test_a_server_refuses_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="needs an address"):
        notify.serve()
    with pytest.raises(ValueError, match="ssl= is for tls://"):
        notify.serve("tcp://127.0.0.1:0", ssl=contexts()[0])
    with pytest.raises(ValueError, match="tls:// needs ssl="):
        notify.serve("tls://127.0.0.1:0")
    with pytest.raises(ValueError, match="max_queue is 0"):
        notify.serve("tcp://127.0.0.1:0", max_queue=0)
    with pytest.raises(TypeError, match="max_payload must be an int"):
        notify.serve("tcp://127.0.0.1:0", max_payload="1")  # type: ignore[arg-type]

    async def main() -> None:
        async with notify.serve("tcp://127.0.0.1:0") as service:
            with pytest.raises(OSError, match="Address already in use"):
                await notify.serve("tcp://127.0.0.1:0", service.addresses[0])
            assert service.addresses[0].startswith("tcp://127.0.0.1:")

    asyncio.run(main())


def test_a_handler_that_raises_a_cancellation_harms_nothing_else() -> None:  # NFY-C2
    async def main() -> None:
        async with clients("a") as (one,):

            def fails(_: Notification) -> None:
                raise asyncio.CancelledError

            await one.register("x", fails)
            await one.send("a", "x")
            await settled(one)

    asyncio.run(asyncio.wait_for(main(), SECONDS))


def test_handlers_must_be_callable() -> None:
    async def main() -> None:
        async with clients("a") as (one,):
            wrong: Any = 3
            with pytest.raises(TypeError, match="not int"):
                one.on_unicast_error(wrong)
            with pytest.raises(TypeError, match="not int"):
                await one.observe(wrong)

    asyncio.run(main())


def test_a_value_that_servers_would_ignore_is_refused() -> None:  # NFY-M4, NFY-C9
    async def main() -> None:
        async with clients("a") as (one,):
            deep: Any = 1
            for _ in range(127):
                deep = [deep]
            got: list[bytes] = []
            await one.register("x", lambda given: got.append(given.parameter_json))
            await one.send("a", "x", deep)
            await settled(one)
            assert got == [b"[" * 127 + b"1" + b"]" * 127]
            with pytest.raises(ValueError, match="nested deeper"):
                await one.send("a", "x", [deep])
            with pytest.raises(ValueError, match="not JSON"):
                await one.send("a", "x", b'1,"parameter":2')

    asyncio.run(main())


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"max_remote": "x"}, TypeError),
        ({"max_remote": -1}, ValueError),
        ({"allow": "in * * x"}, TypeError),
    ],
)
def test_a_server_refuses_wrong_limits(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        notify.serve("tcp://127.0.0.1:0", **wrong)


def test_pauses_grow_where_connections_end_at_once() -> None:  # NFY-C7
    async def main() -> None:
        count = 0

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with notify.connect(address, app_id="a", drain=0):
            await asyncio.sleep(2.0)
        server.close()
        assert 2 <= count <= 7

    asyncio.run(main())
