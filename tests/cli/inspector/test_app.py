"""The inspector on a screen of 80 columns and 24 lines, driven by keys."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("textual")

from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, Input, Static, TextArea

from tests.cli.program import TIMEOUT
from vfiipc.cli.filters import EVERYTHING, Filter, parse_filter
from vfiipc.cli.inspector.app import Inspector
from vfiipc.cli.inspector.editor import Editor
from vfiipc.cli.inspector.entries import Entry
from vfiipc.cli.inspector.entry_queue import Feed
from vfiipc.cli.inspector.holding import Holding
from vfiipc.cli.inspector.pane import LineView
from vfiipc.cli.inspector.store import Store
from vfiipc.cli.inspector.table import Table
from vfiipc.cli.view import Way
from vfiipc.codec import Message
from vfiipc.recording import Cut, Decoded, Discarded

CLIENT = Way(1, "192.0.2.1:4000", "192.0.2.2:5000")
SECRET = b'{"card": "4111", "amount": 1999}'
PREFIX = 0x004E4659


class Recording:
    """A source that brings what it is told to, and notes what is sent."""

    name = "a test"

    def __init__(self, feed: Feed, entries: list[Entry], *, is_live: bool = False) -> None:
        self._feed = feed
        self._entries = entries
        self.is_live = is_live
        self.sent: list[tuple[Way, Message]] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        for entry in self._entries:
            self._feed.put(entry)

    def stop(self) -> None:
        self.stopped.set()

    def send(self, way: Way, message: Message) -> bool:
        self.sent.append((way, message))
        return way.connection == 1


def entry(msg_id: int, data: bytes, way: Way = CLIENT, time: float = 1.0) -> Entry:
    return Entry(way, time, Decoded(0, Message(msg_id, data)), prefix=PREFIX)


ENTRIES = [
    (1, SECRET, CLIENT),
    (1, b"ready", CLIENT.reversed()),
    (2, b"\x1b[2J\x00", CLIENT),
    (3, b"[red]not markup[/red]", CLIENT),
]


class Screen:
    """The inspector under test."""

    def __init__(self, app: Inspector, pilot: Pilot[None], source: Recording) -> None:
        self.app = app
        self.pilot = pilot
        self.source = source

    @property
    def table(self) -> Table:
        return self.app.query_one(Table)

    def rows(self) -> list[str]:
        return [self.table.render_line(y).text for y in range(self.table.size.height)]

    def state(self) -> str:
        return str(self.app.query_one("#state", Static).render())

    def fields(self) -> str:
        return str(self.app.query_one("#fields", Static).render())

    def text(self) -> str:
        """All that is on the screen."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in lines)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def answer(self, text: str) -> None:
        """Types a line at the bottom."""
        self.app.query_one("#prompt", Input).value = text
        await self.press("enter")

    async def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + TIMEOUT
        while not holds():
            assert time.monotonic() < end, self.text()
            await self.pilot.pause(0.02)


def inspecting(
    drive: Callable[[Screen], Awaitable[None]],
    entries: list[Entry] | None = None,
    *,
    is_live: bool = False,
    hidden: bool = False,
    chosen: Filter = EVERYTHING,
    holding: Holding | None = None,
    keep: int = 1000,
    store: Store | None = None,
) -> Recording:
    if entries is None:
        entries = [entry(*each) for each in ENTRIES]
    feed = Feed()
    store = Store(keep) if store is None else store
    holding = holding or Holding()
    source = Recording(feed, entries, is_live=is_live)
    app = Inspector(source, feed, store, holding, hidden=hidden, chosen=chosen)

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            screen = Screen(app, pilot, source)
            await screen.until(
                lambda: app._store.dropped + len(store) >= len(entries) and not store.unfiltered
            )
            await drive(screen)
        assert source.stopped.is_set()

    asyncio.run(run())
    return source


def test_messages_as_rows() -> None:
    async def drive(screen: Screen) -> None:
        first, answer, hexadecimal, markup, *_ = screen.rows()
        assert '1      32            {"card": "4111", "amou' in first
        assert "#1 <         1       5    0.0 ms  ready" in answer
        assert "1b 5b 32 4a 00" in hexadecimal
        assert "[red]not markup[/red]" in markup
        assert "4 messages; following" in screen.state()
        await screen.until(lambda: "? Help  / Filter  h Hold  l Let go  e Edit" in screen.text())
        assert "w Save  q Quit" in screen.text()  # all of it fits

    inspecting(drive)


def test_details_in_every_form() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("home")
        assert "prefix 0x004e4659  size 36  msg_id 1  data: 32 bytes" in screen.fields()
        assert screen.app.query_one(ContentSwitcher).current == "tree"
        assert 'card: "4111"' in screen.text()
        assert "amount: 1999" in screen.text()
        await screen.press("v", "v")  # JSON, text
        assert screen.app.query_one(LineView).render_line(0).text.startswith('{"card": "4111"')
        await screen.press("v")
        assert "4  size      00 00 00 24" in screen.text()
        assert "00000010  20 22 61 6d 6f 75 6e 74" in screen.text()
        await screen.press("z")
        assert not screen.table.display
        await screen.press("escape")
        assert screen.table.has_focus

    inspecting(drive)


def test_what_is_not_a_message_is_explained() -> None:
    entries = [
        Entry(CLIENT, 1.0, Discarded(7, 12, b"\x1b1234567")),
        Entry(CLIENT, 1.0, Cut(19, 3, 9, None)),
        Entry(CLIENT, 1.0, None, "closed \x1b[2J"),
    ]

    async def drive(screen: Screen) -> None:
        await screen.press("home")
        assert "discarded 12 bytes: no prefix" in screen.fields()
        assert "at 7\ndiscarded" in screen.fields()
        assert "the first bytes: 1b 31 32 33" in screen.fields()
        await screen.press("down")
        assert "cut off within the header: 3 of 12 bytes" in screen.fields()
        assert "\\x1b[2J" in screen.text()
        assert "\x1b" not in screen.text()

    inspecting(drive, entries)


def test_the_filter_line() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("slash")
        await screen.answer("--id 2..3")
        await screen.until(lambda: len(screen.app._store.shown) == 2)
        await screen.until(lambda: "2 shown: --id 2..3" in screen.state())
        await screen.press("slash")
        await screen.answer("(")
        assert "'(' is not a regular expression" in screen.state()
        assert screen.app.query_one("#prompt", Input).has_focus  # to be put right
        await screen.press("escape")
        assert screen.table.has_focus
        assert len(screen.app._store.shown) == 2

    inspecting(drive)


def test_an_error_goes_when_the_line_was_put_right() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("s")
        await screen.answer("(")
        assert "'(' is not a regular expression" in screen.state()
        await screen.answer("ready")
        assert screen.table.has_focus
        await screen.until(lambda: "paused" in screen.state())

    inspecting(drive)


def test_a_filter_from_the_command_line() -> None:
    async def drive(screen: Screen) -> None:
        await screen.until(lambda: "1 shown: --from server --match rea" in screen.state())

    inspecting(drive, chosen=parse_filter("--from server rea"))


def test_keys_that_come_at_once_go_to_the_prompt() -> None:
    async def drive(screen: Screen) -> None:
        for key in ("h", "enter"):  # without a pause between them
            screen.app.simulate_key(key)
        await screen.until(lambda: "holding everything" in screen.state())
        await screen.until(lambda: screen.table.has_focus)
        await screen.press("h")
        assert "holding is off" in screen.state()

    inspecting(drive, is_live=True)


@pytest.mark.long
def test_search_mark_save_and_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vfiipc.__main__ import main

    saved = tmp_path / "saved.pcap"

    async def drive(screen: Screen) -> None:
        await screen.press("n")
        assert "search first" in screen.state()
        await screen.press("s")
        await screen.answer("^ready")
        assert screen.table.place == 1
        assert not screen.table.following
        await screen.press("n", "c")
        assert screen.app.clipboard == "ready"
        await screen.press("m", "w")  # which also goes down
        assert screen.table.place == 2
        await screen.answer(str(saved))
        assert "saved 1 message to" in screen.state()
        await screen.press("w")
        await screen.answer(str(saved))
        assert "exists; choose a new file, or remove it" in screen.state()
        await screen.press("escape", "down", "c")
        assert screen.app.clipboard == "[red]not markup[/red]"

    inspecting(drive)
    assert saved.stat().st_mode & 0o777 == 0o600
    assert main(["dump", str(saved), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    message = json.loads(line)
    assert (message["text"], message["from"]) == ("ready", "192.0.2.2:5000")
    assert message["time"].startswith("1970-01-01T00:00:01")


def test_following_and_pausing() -> None:
    more = [entry(number, b"") for number in range(50)]

    async def drive(screen: Screen) -> None:
        assert screen.table.place == 49
        await screen.press("up")
        screen.app._feed.put(entry(50, b""))
        await screen.until(lambda: len(screen.app._store.shown) == 51)
        assert screen.table.place == 48
        assert "paused" in screen.state()
        await screen.press("f")
        assert screen.table.place == 50
        screen.app._feed.put(entry(51, b""))
        await screen.until(lambda: screen.table.place == 51)
        await screen.press("f")
        assert "paused" in screen.state()
        # While nothing arrives, and though the cursor is on the last row already.
        await screen.press("end")
        assert "following" in screen.state()
        await screen.press("up")
        assert "paused" in screen.state()
        await screen.press("end")
        assert "following" in screen.state()

    inspecting(drive, more)


def test_the_cursor_stays_on_its_message_while_the_oldest_go() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("up", "up", "up")
        here = screen.table.entry
        assert here is not None
        for number in range(15):
            screen.app._feed.put(entry(number, b"new"))
        await screen.until(lambda: screen.app._store.dropped == 15)
        assert screen.table.entry is here
        for number in range(15):
            screen.app._feed.put(entry(number, b"new"))
        await screen.until(lambda: screen.app._store.dropped == 30)
        assert screen.table.place == screen.app._store.shown.first
        assert "30 no longer kept" in screen.state()

    inspecting(drive, [entry(number, b"") for number in range(20)], keep=20)


def test_hidden_payloads_are_hidden_everywhere() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("home")
        for _ in range(4):
            assert "4111" not in screen.text()
            assert "34 31 31 31" not in screen.text()
            assert "data: 32 bytes" in screen.text()
            await screen.press("v")
        for key in ("c", "e"):
            await screen.press(key)
            assert "payloads are hidden" in screen.state()
        assert not screen.app.clipboard
        assert not isinstance(screen.app.screen, Editor)

    inspecting(drive, hidden=True, is_live=True)


def test_a_file_can_only_be_looked_at() -> None:
    async def drive(screen: Screen) -> None:
        for key in ("e", "r", "h"):
            await screen.press(key)
            assert "a file is read-only" in screen.state()
            screen.app._show_notice("")
        for key in ("l", "d"):
            await screen.press(key)
            assert "not on a held message" in screen.state()

    assert inspecting(drive).sent == []


@pytest.mark.long
def test_resend_and_send_an_edited_copy() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("home", "r")
        await screen.until(lambda: len(screen.source.sent) == 1)
        await screen.press("e", "ctrl+o")
        assert "to the client" in screen.text()
        screen.app.screen.query_one(TextArea).load_text("changed")
        screen.app.screen.query_one("#msg_id", Input).value = "x"
        await screen.press("ctrl+s")
        assert "invalid message ID: 'x'" in screen.text()
        screen.app.screen.query_one("#msg_id", Input).value = "-9"
        await screen.press("ctrl+s")
        await screen.until(lambda: len(screen.source.sent) == 2)
        await screen.press("down", "down", "e")  # what is not text, as hex
        assert screen.app.screen.query_one(TextArea).text == "1b 5b 32 4a 00"
        await screen.press("ctrl+t")
        assert "these bytes are not text" in screen.text()
        screen.app.screen.query_one(TextArea).load_text("6f 6")
        await screen.press("ctrl+s")
        assert "use pairs of digits" in screen.text()
        screen.app.screen.query_one(TextArea).load_text("6f 6b")
        await screen.press("ctrl+t")
        assert screen.app.screen.query_one(TextArea).text == "ok"
        await screen.press("escape")

    sent = inspecting(drive, is_live=True).sent
    assert sent == [(CLIENT, (1, SECRET)), (CLIENT.reversed(), (-9, b"changed"))]


def test_where_the_connection_has_ended() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("r")
        await screen.until(lambda: "connection 2 has ended" in screen.state())

    inspecting(drive, [entry(1, b"", Way(2, "a", "b"))], is_live=True)


def test_help_names_every_key() -> None:
    async def drive(screen: Screen) -> None:
        await screen.press("question_mark")
        assert "filter messages" in screen.text()
        assert "Before a row: * marked" in screen.text()  # all of it, without scrolling
        await screen.press("escape")
        await screen.press("q")

    inspecting(drive)


def test_what_is_printed_meanwhile_is_shown() -> None:
    async def drive(screen: Screen) -> None:
        print("\x1b[2mcannot accept: too many\x1b[0m open files")
        await screen.until(lambda: "cannot accept: too many open files" in screen.state())

    inspecting(drive)


@pytest.mark.long
def test_a_hundred_thousand_messages_stay_fluid() -> None:
    store = Store(100_000)
    for number in range(100_000):
        store.add(entry(number, SECRET))
    store.step(100_000)

    async def drive(screen: Screen) -> None:
        for key in ("home", "end", "pageup", "up"):
            before = time.process_time()
            await screen.press(key)
            taken = time.process_time() - before
            assert taken < 1.0, (key, taken)  # a tenth of it here; DataTable takes seconds
        before = time.process_time()
        for number in range(100):
            screen.app._feed.put(entry(number, b"new"))
        await screen.until(lambda: store.dropped == 100)
        assert time.process_time() - before < 2.0

    inspecting(drive, [], store=store)
