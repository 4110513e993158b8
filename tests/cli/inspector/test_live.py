"""The inspector between two programs: real sockets, with and without the screen."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from tests.cli.program import (
    ENVIRONMENT,
    PROGRAM,
    TIMEOUT,
    accept,
    connect,
    listening,
    receive,
    run,
    unused_address,
)
from tests.helpers.terminal import at_a_terminal
from vfiipc.__main__ import _parser, main
from vfiipc.cli.filters import EVERYTHING, parse_filter
from vfiipc.cli.inspector.command import LiveSource
from vfiipc.cli.inspector.entries import DROPPED, HELD, PASSED, SENT, Entry
from vfiipc.cli.inspector.entry_queue import Feed
from vfiipc.cli.inspector.holding import Holding
from vfiipc.cli.inspector.store import Store
from vfiipc.cli.view import Way
from vfiipc.codec import Message, encode

PREFIX = 0x004E4659
PAYMENT = b'{"type": "payment", "amount": 1999}'


class Between(NamedTuple):
    """The source, and the two programs that it is between."""

    source: LiveSource
    feed: Feed
    holding: Holding
    client: socket.socket
    server: socket.socket
    seen: list[Entry]

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + TIMEOUT
        while not holds():
            assert time.monotonic() < end
            self.seen.extend(self.feed.take(100)[0])
            time.sleep(0.005)

    def next_entry(self) -> Entry:
        self.until(lambda: self.seen)
        return self.seen.pop(0)


@contextmanager
def between(*options: str, holding: Holding | None = None) -> Iterator[Between]:
    feed, holding = Feed(), holding or Holding()
    with listening() as (listener, target), ExitStack() as opened:
        parsed = _parser().parse_args(["inspect", "0", target, *options])
        source = LiveSource(parsed, feed, holding, opened)
        runner = threading.Thread(target=source.run)
        runner.start()
        try:
            with connect(source.name.split(" > ")[0]) as client, accept(listener) as server:
                found = Between(source, feed, holding, client, server, [])
                assert "connected" in found.next_entry().said
                yield found
        finally:
            feed.close()
            source.stop()
            runner.join(TIMEOUT)
        assert not runner.is_alive()


def test_what_passes_is_seen_and_its_prefix_found() -> None:
    with between() as here:
        here.client.sendall(b"!" + encode(PREFIX, 1, b"one") + encode(PREFIX, 2, b"two"))
        assert receive(here.server, 2, PREFIX) == [(1, b"one"), (2, b"two")]
        here.server.sendall(encode(PREFIX, 1, b"answer"))
        assert receive(here.client, 1, PREFIX) == [(1, b"answer")]
        garbage, one, _, answer = [here.next_entry() for _ in range(4)]
        assert garbage.message is None
        assert one.frame == encode(PREFIX, 1, b"one")
        assert (one.way.from_client, answer.way.from_client) == (True, False)
        here.client.close()
        assert here.server.recv(1) == b""
        here.server.close()
        assert here.next_entry().said == "closed"


def test_a_held_message_goes_changed_and_what_follows_waits() -> None:
    with between(holding=Holding(parse_filter("amount"))) as here:
        here.client.sendall(encode(PREFIX, 1, PAYMENT) + encode(PREFIX, 2, b"next"))
        held = here.next_entry()
        assert (held.state, here.holding.count) == (HELD, 1)
        here.server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            here.server.recv(1)
        here.server.settimeout(TIMEOUT)
        here.server.sendall(encode(PREFIX, 9, b"the other way goes on"))
        assert receive(here.client, 1, PREFIX) == [(9, b"the other way goes on")]
        assert here.holding.decide(held, Message(7, b"changed"))
        assert receive(here.server, 2, PREFIX) == [(7, b"changed"), (2, b"next")]
        assert not here.holding.decide(held, Message(7, b"too late"))


def test_a_dropped_message_does_not_go() -> None:
    with between(holding=Holding(EVERYTHING)) as here:
        here.client.sendall(encode(PREFIX, 1, b"one") + encode(PREFIX, 2, b"two"))
        first = here.next_entry()
        here.holding.decide(first, None)
        second = here.next_entry()
        here.holding.decide(second, second.message)
        assert receive(here.server, 1, PREFIX) == [(2, b"two")]
        assert first.state == DROPPED


def test_a_held_message_is_given_up_when_the_connection_breaks() -> None:
    with between(holding=Holding(parse_filter("--from client"))) as here:
        here.client.sendall(encode(PREFIX, 1, b"one"))
        held = here.next_entry()
        here.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        here.server.close()  # a reset
        here.until(lambda: held.state == DROPPED)
        assert not here.holding.decide(held, held.message)
        assert here.next_entry().said.startswith("broke: ")


def test_a_message_of_the_users_goes_between_two_others() -> None:
    with between("--prefix", "0x004E4659") as here:
        frame = encode(PREFIX, 1, b"one")
        here.client.sendall(frame[:14])
        assert here.server.recv(100) == frame[:14]  # half of it has passed
        way = Way(1)
        assert here.source.send(way, Message(5, b"mine"))
        here.client.sendall(frame[14:])
        rest = frame[14:] + encode(PREFIX, 5, b"mine")
        received = b""
        while len(received) < len(rest):
            received += here.server.recv(100)
        assert received == rest
        assert [here.next_entry().state for _ in range(2)] == [PASSED, SENT]
        assert here.source.send(way.reversed(), Message(6, b"to the client"))
        assert receive(here.client, 1, PREFIX) == [(6, b"to the client")]
        here.client.close()
        here.server.close()
        here.until(lambda: any(entry.said == "closed" for entry in here.seen))
        assert not here.source.send(way, Message(7, b"too late"))


def test_a_target_that_is_not_there() -> None:
    feed = Feed()
    with ExitStack() as opened:
        parsed = _parser().parse_args(["inspect", "0", unused_address()])
        source = LiveSource(parsed, feed, Holding(), opened)
        runner = threading.Thread(target=source.run)
        runner.start()
        with connect(source.name.split(" > ")[0]) as client:
            assert client.recv(1) == b""
        source.stop()
        runner.join(TIMEOUT)
    (entry,) = feed.take(10)[0]
    assert entry.said.startswith("closed: connection refused")


def test_hold_a_payment_change_its_amount_let_it_go() -> None:
    pytest.importorskip("textual")
    from textual.widgets import Input, TextArea

    from vfiipc.cli.inspector.app import Inspector

    async def drive(here: Between) -> None:
        store = Store(100)
        app = Inspector(here.source, here.feed, store, here.holding)
        here.source.run = lambda: None  # type: ignore[method-assign]  # it runs already
        async with app.run_test(size=(80, 24)) as pilot:

            async def until(holds: Callable[[], object]) -> None:
                end = time.monotonic() + TIMEOUT
                while not holds():
                    assert time.monotonic() < end
                    await pilot.pause(0.02)

            await pilot.press("h")
            app.query_one("#prompt", Input).value = "--json-match type=payment"
            await pilot.press("enter")
            here.client.sendall(encode(PREFIX, 1, b'{"type": "status"}'))
            here.client.sendall(encode(PREFIX, 2, PAYMENT))
            await until(lambda: here.holding.count == 1 and len(store.held()) == 1)
            await pilot.press("e")
            app.screen.query_one(TextArea).load_text(PAYMENT.decode().replace("1999", "1"))
            await pilot.press("ctrl+s")
            assert receive(here.server, 2, PREFIX)[1] == (2, b'{"type": "payment", "amount": 1}')
            here.client.sendall(encode(PREFIX, 3, PAYMENT) + encode(PREFIX, 4, PAYMENT))
            await until(lambda: len(store.held()) == 1)
            await pilot.press("d")
            await until(lambda: any(each.message and each.message[0] == 4 for each in store.held()))
            await pilot.press("L", "h")
            assert receive(here.server, 1, PREFIX) == [(4, PAYMENT)]
            assert here.holding.chosen is None
            states = [entry.state for entry in store.shown if entry.message]
            assert states == ["", "edited", "dropped", ""]

    with between() as here:
        asyncio.run(drive(here))


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal")
def test_the_program_starts_and_quits() -> None:
    pytest.importorskip("textual")
    command = [*PROGRAM, "inspect", "examples/session.pcap", "--id", "2"]
    env = {**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with at_a_terminal(command, env, TIMEOUT) as terminal:
        terminal.wait_for(b"beep")
        terminal.wait_for(b"--id 2")
        terminal.type(b"q")
        terminal.wait_for(b"\x1b[?1049l")  # the screen as it was
        assert terminal.end() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["1", "2", "3"], 2, "vfiipc inspect: unrecognized arguments: 3"),
        (["x", "--hold", "--id x"], 2, "argument --hold: --id: 'x' is not a list of numbers"),
        (["x"], 1, "the inspector needs a terminal; `vfiipc proxy` and `dump` do not"),
    ],
)
def test_what_cannot_be_inspected(arguments: list[str], status: int, says: str) -> None:
    ended = run("inspect", *arguments)
    assert (ended.status, ended.out) == (status, b"")
    assert says in ended.err


def test_without_textual(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.delitem(sys.modules, "vfiipc.cli.inspector.app", raising=False)
    assert main(["inspect", "examples/session.pcap"]) == 1
    assert "the inspector needs Textual" in capsys.readouterr().err
