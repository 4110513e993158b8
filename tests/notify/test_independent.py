"""The real server and a client that knows the specification alone, and the other way round."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notify.raw import RawClient
from tests.notify.servers import Server, server
from vfiipc import notify
from vfiipc.notify import Notification, Undeliverable

REGISTER = bytes.fromhex(
    "004e46590000004500000000"
    "7b226e6f74696669636174696f6e223a2274657374222c227072696f72697479"
    "223a312c22746f223a2278797a222c2274797065223a227265676973746572227d"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(params=["tcp", "pipe"])
def address(request: pytest.FixtureRequest, running: Server) -> str:
    return running.tcp if request.param == "tcp" else running.pipe


def test_the_published_message_registers(address: str) -> None:  # NFY-M1
    with RawClient.connect(address) as one, RawClient.connect(address) as other:
        one.sock.sendall(REGISTER)
        assert one.sync() == []
        other.notify("till", "xyz", "test", {"a": 1})
        came = one.receive()
        assert came.pop("reference") > 0  # NFY-B2
        assert came == {
            "type": "notify",
            "from": "till",
            "to": "xyz",
            "notification": "test",
            "flags": 0,
            "parameter": {"a": 1},
        }
        one.unregister("xyz", "test")
        one.sync()
        other.notify("till", "xyz", "test", {"a": 1})
        (error,) = other.sync()
        assert (error["type"], error["parameter"]) == ("unicast_error", {"a": 1})


def test_money_passes_byte_for_byte(address: str) -> None:  # NFY-M7
    text = rb'{ "amount":1.10,"z":1E400, "a":-0,"a":0.10 ,"t":"\u0041\/\ud800" , "n":[ ] }'
    payload = b'{"type":"notify","from":"a","to":"*","notification":"money","parameter":%b}' % text
    with RawClient.connect(address) as one, RawClient.connect(address) as other:
        one.register("b", "money")
        one.sync()
        other.send_payload(payload, msg_id=-5)  # message IDs do not matter
        assert text in one.receive_payload()


def test_order_and_one_copy(address: str) -> None:  # NFY-N1, NFY-N8
    with RawClient.connect(address) as one, RawClient.connect(address) as other:
        one.register("a", "many")
        one.register("b", "many")
        one.sync()
        for number in range(500):
            other.notify("s", "*" if number % 2 else "1", "many", number)
        assert [one.receive()["parameter"] for _ in range(500)] == list(range(500))
        assert one.sync() == []


def test_what_comes_back_goes_to_the_next(address: str) -> None:  # NFY-B1, NFY-B3
    with (
        RawClient.connect(address) as first,
        RawClient.connect(address) as second,
        RawClient.connect(address) as sender,
    ):
        first.register("a", "back", 2)
        second.register("b", "back", 1)
        first.sync()
        second.sync()
        sender.notify("s", "1", "back", 1.5)
        payload = first.receive_payload()
        first.unregister("a", "back")
        first.send_payload(payload)
        assert second.receive_payload() == payload
        second.unregister("b", "back")
        second.send_payload(payload)
        (error,) = [sender.receive()]
        assert (error["type"], error["parameter"]) == ("unicast_error", 1.5)
        first.send_payload(payload)  # a second time
        assert first.sync() == second.sync() == sender.sync() == []


def test_it_can_grow(address: str) -> None:  # NFY-M2
    with RawClient.connect(address) as client:
        client.send(type="subscribe", to="a")
        client.send(type="register", to="a", notification="grow", colour="red")
        client.send(type="notify", from_="s", to="a", notification="grow", parameter=0, ttl=5)
        (came,) = client.sync()
        assert "ttl" not in came


def test_a_terminals_server_that_is_not_ours() -> None:
    """Our client against a server written from the specification: it rewrites JSON its own way."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()

    def serve() -> None:
        sock, _ = listener.accept()
        with RawClient(sock) as peer:
            registered: set[str] = set()
            while True:
                try:
                    message = peer.receive()
                except EOFError:
                    return
                if message["type"] == "register":
                    registered.add(message["notification"])
                elif message["type"] == "notify" and message["notification"] in registered:
                    peer.send(**{**message, "reference": "r1", "new": [1]})
                    peer.send(type="news", of="the day")
                    peer.send_payload(b"not JSON")
                elif message["type"] == "notify":
                    parameter = dict(reversed(message["parameter"].items()))
                    peer.send(**{**message, "type": "unicast_error", "parameter": parameter})

    thread = threading.Thread(target=serve)
    thread.start()

    async def main() -> None:
        async with notify.connect(f"tcp://{host}:{port}", app_id="till", drain=0) as client:
            got: list[Any] = []
            came = asyncio.Event()

            def take(given: Notification) -> None:
                got.append(given.parameter)
                came.set()

            await client.register("x", take)
            await client.send("till", "x", {"a": 1.5})
            await asyncio.wait_for(came.wait(), 30)
            assert got == [{"a": 1.5}]
            with pytest.raises(Undeliverable):
                await client.ask("y", "y", {"a": 1.50, "b": 2}, reply="z", timeout=30)

    asyncio.run(main())
    thread.join()
    listener.close()


def test_a_client_sends_back_what_it_has_not_registered_for() -> None:  # NFY-B1
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    odd = b'{"type":"notify" ,"to":"till","from":"s","notification":"x","parameter":1.10,'
    odd += b'"reference":{}}'
    result: list[bytes] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with RawClient(sock) as peer:
            peer.send(type="notify", from_="s", to="*", notification="x", parameter=0)
            peer.send_payload(odd)
            result.append(peer.receive_payload())
            peer.is_closed()

    thread = threading.Thread(target=serve)
    thread.start()

    async def main() -> None:
        async with notify.connect(f"tcp://{host}:{port}", app_id="till", drain=0):
            while not result:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    thread.join()
    listener.close()
    assert result == [odd]  # unchanged, and not the broadcast


def test_nothing_of_this_project_is_in_the_raw_client() -> None:
    text = Path(__file__).with_name("raw.py").read_text(encoding="utf-8")
    assert "vfiipc" not in text
    assert struct.calcsize(">Ii") == 8
    assert json.loads(REGISTER[12:])["to"] == "xyz"
