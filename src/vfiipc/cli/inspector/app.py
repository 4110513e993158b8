"""The inspector's screen, and the actions of its keys."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Footer, Input, Static

from ...codec import Message
from ..failures import Failure
from ..filters import EVERYTHING, Filter, compile_pattern, filter_line, parse_filter
from ..payload import is_text
from ..streams import one_line
from ..view import Way, counted
from .editor import LARGEST, Edited, Editor
from .entries import DROPPED, EDITED, HELD, PASSED, Entry
from .entry_queue import Feed
from .help import Help
from .holding import Holding
from .keys import KEYS
from .message_source import MessageSource
from .pane import Pane
from .rows import HEADING
from .saving import save
from .status import status_line
from .store import Store
from .styles import CSS
from .table import Table

__all__ = ["Inspector"]

_TICK = 0.05  # seconds between calls that take entries from the feed
_BUDGET = 0.02  # seconds that one call may take, so that keys stay responsive
_BATCH = 200
_NOTICE_TIME = 4.0  # seconds for which the bottom line shows a notice


class Inspector(App[None]):
    """Shows the messages of a source as they arrive.

    Args:
        source: brings messages, and sends those of the user.
        feed: the queue from the source to the screen.
        store: keeps the messages.
        holding: decides which messages are held.
        hidden: whether to hide all data.
        chosen: the initial filter.
    """

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(
        self,
        source: MessageSource,
        feed: Feed,
        store: Store,
        holding: Holding,
        *,
        hidden: bool = False,
        chosen: Filter = EVERYTHING,
    ) -> None:
        super().__init__()
        self._source = source
        self._feed = feed
        self._store = store
        self._holding = holding
        self._hidden = hidden
        self._filter_text = filter_line(chosen)
        self._hold_text = filter_line(holding.chosen) if holding.chosen is not None else ""
        self._pattern: re.Pattern[bytes] | None = None
        self._prompted: Callable[[str], None] | None = None
        self._notice = ""  # the notice in the bottom line
        self._notice_until = 0.0
        store.set_filter(chosen)
        self._table = Table(store, hidden=hidden, id="table")
        self._pane = Pane(hidden=hidden, id="pane")
        self._prompt = Input(id="prompt", compact=True)
        self._state = Static(id="state", markup=False)

    def compose(self) -> ComposeResult:
        yield Static(f" {self._source.name}", id="title", markup=False)
        yield Static(HEADING, id="heading-row", markup=False)
        yield self._table
        yield self._pane
        yield self._prompt
        yield self._state
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.begin_capture_print(self)  # output of the source becomes a notice
        self._table.focus()
        self.run_worker(self._source.run, thread=True, name="source", exit_on_error=False)
        self.set_interval(_TICK, self._take_entries)
        self._show_status()

    def on_unmount(self) -> None:
        self._feed.close()
        self._source.stop()

    def on_print(self, event: events.Print) -> None:
        said = Text.from_ansi(event.text).plain.strip()
        if said:
            self._show_notice(said)

    def _show_notice(self, said: str, *, wrong: bool = False) -> None:
        """Shows a notice in the bottom line for some seconds."""
        self._notice = said
        self._notice_until = time.monotonic() + _NOTICE_TIME
        self._state.update(one_line(said))
        self._state.set_class(wrong, "wrong")

    # --- incoming messages

    def _take_entries(self) -> None:
        """Moves entries from the feed to the store, within the time budget."""
        now = time.monotonic()
        end = now + _BUDGET
        changed = False
        if self._notice and now > self._notice_until:
            self._notice, changed = "", True
            self._state.remove_class("wrong")
        while time.monotonic() < end:
            entries, looks_new = self._feed.take(_BATCH)
            for entry in entries:
                self._store.add(entry)
            unfiltered = self._store.unfiltered
            self._store.step(_BATCH)
            changed = changed or looks_new or unfiltered > 0
            if not entries and not self._store.unfiltered:
                break
        if changed:
            self._refresh_table()

    def _refresh_table(self) -> None:
        self._table.renew()
        self._show_status()

    def _show_status(self) -> None:
        """Shows the status, unless a notice or a prompt uses the line."""
        if self._notice or self._prompted is not None:
            return
        following = self._table.following
        self._state.update(
            status_line(self._store, self._holding, self._filter_text, following=following)
        )

    def on_table_moved(self) -> None:
        if self._pane.is_attached:  # the last event can arrive after the screen was closed
            self._pane.show(self._table.entry)
            self._show_status()

    # --- navigation

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_follow(self) -> None:
        table = self._table
        if table.following:
            table.following = False
        else:
            table.action_last()
        self._show_status()

    def action_open(self) -> None:
        self._pane.focus_data()

    def action_to_table(self) -> None:
        self.remove_class("whole")
        self._table.focus()

    def action_whole(self) -> None:
        self.toggle_class("whole")
        if self.has_class("whole"):
            self._pane.focus_data()
        else:
            self._table.focus()

    def action_form(self) -> None:
        self._show_notice(f"data as {self._pane.next_form()}")

    def action_mark(self) -> None:
        table = self._table
        if table.entry is not None:
            table.entry.marked = not table.entry.marked
            table.action_move(1)

    # --- prompts

    def _open_prompt(self, question: str, text: str, then: Callable[[str], None]) -> None:
        """Shows a prompt; ``then`` is called with the line that the user enters."""
        prompt = self._prompt
        prompt.placeholder = question
        prompt.value = text
        # At once, so that the next key goes to the prompt.
        prompt.display = True
        self.screen.set_focus(prompt)
        self._prompted = then
        self._notice = ""
        self._state.update(question)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id != "prompt" or self._prompted is None:
            return
        self._notice_until = 0.0  # the notice was about the line before
        try:
            self._prompted(event.value)
        except (ValueError, Failure) as error:
            self._show_notice(str(error), wrong=True)
        else:
            self._close_prompt()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self._prompted is not None:
            event.stop()
            self._close_prompt()

    def _close_prompt(self) -> None:
        self._prompted = None
        self._prompt.display = False
        self.screen.set_focus(self._table)
        self._show_status()

    def action_filter(self) -> None:
        question = "filter, e.g. --id 1,5..9 --from client ping; empty shows all"
        self._open_prompt(question, self._filter_text, self._set_filter)

    def _set_filter(self, line: str) -> None:
        entry = self._table.entry
        self._store.set_filter(parse_filter(line))
        self._filter_text = line.strip()
        table = self._table
        if entry is not None and not table.following:
            table.go_to(self._store.place_of(entry.number))
        self._refresh_table()

    def action_search(self) -> None:
        self._open_prompt("search for a regular expression in the data", "", self._search)

    def _search(self, text: str) -> None:
        try:
            self._pattern = compile_pattern(text)
        except ValueError as error:
            raise ValueError(f"{text!r} {error}") from None
        self.action_search_on(True)

    def action_search_on(self, forward: bool) -> None:
        table = self._table
        if self._pattern is None:
            self._show_notice("search first, with s", wrong=True)
            return
        found = self._store.find(self._pattern, table.place, forward=forward)
        if found is None:
            self._show_notice("not found", wrong=True)
        else:
            table.go_to(found)
            self._show_status()

    # --- copying and saving

    def action_copy(self) -> None:
        message = self._message("copied")
        if message is not None:
            text = message.data.decode() if is_text(message.data) else message.data.hex(" ")
            self.copy_to_clipboard(text)
            self._show_notice(f"copied {counted(len(message.data), 'byte')} of data")

    def action_save(self) -> None:
        marked = len(self._store.marked())
        what = f"the {marked:,} marked" if marked else f"the {len(self._store.shown):,} shown"
        self._open_prompt(f"save {what} as a capture with all data: FILE", "", self._save)

    def _save(self, path: str) -> None:
        if not path.strip():
            raise ValueError("enter the name of a new file")
        count = save(path.strip(), self._store.marked() or list(self._store.shown))
        self._show_notice(f"saved {counted(count, 'message')} to {path.strip()}")

    def _message(self, done: str) -> Message | None:
        """The message under the cursor, if its data may be seen."""
        entry = self._table.entry
        if entry is None or entry.message is None:
            self._show_notice("the cursor is not on a message", wrong=True)
            return None
        if self._hidden:
            self._show_notice(f"payloads are hidden and cannot be {done}", wrong=True)
            return None
        return entry.message

    # --- held messages

    def action_hold(self) -> None:
        if self._holding.chosen is not None:
            self._holding.chosen = None
            self._show_notice("holding is off; l and L release the messages still held")
            self._show_status()
        elif self._may_change():
            question = "hold messages, e.g. --from client --json-match amount=1999; empty: all"
            self._open_prompt(question, self._hold_text, self._set_hold)

    def _set_hold(self, line: str) -> None:
        self._holding.chosen = parse_filter(line)
        self._hold_text = line

    def _may_change(self) -> bool:
        if not self._source.is_live:
            self._show_notice("a file is read-only", wrong=True)
        return self._source.is_live

    def action_let_go(self) -> None:
        self._decide_current(PASSED)

    def action_let_all_go(self) -> None:
        for entry in self._store.held():
            self._decide(entry, PASSED)

    def action_drop(self) -> None:
        self._decide_current(DROPPED)

    def _decide_current(self, state: str) -> None:
        entry = self._table.entry
        if entry is not None and entry.state == HELD:
            self._decide(entry, state)
        else:
            self._show_notice("the cursor is not on a held message", wrong=True)

    def _decide(self, entry: Entry, state: str) -> None:
        if self._holding.decide(entry, entry.message if state == PASSED else None):
            entry.state = state
        self._refresh_entry(entry)

    def _refresh_entry(self, entry: Entry) -> None:
        if entry is self._table.entry:
            self._pane.show(entry)
        self._refresh_table()

    # --- editing and sending

    def action_edit(self) -> None:
        entry = self._table.entry
        if not self._may_change():
            return
        message = self._message("edited")
        if entry is None or message is None:
            return
        from_client = entry.way.from_client
        if len(message.data) > LARGEST:
            self._show_notice(f"more than {LARGEST:,} bytes of data cannot be edited", wrong=True)
        elif entry.state == HELD:
            editor = Editor("Edit and release", message, from_client, turns=False)
            self.push_screen(editor, partial(self._edited, entry))
        else:
            editor = Editor("Send a copy", message, from_client, turns=True)
            self.push_screen(editor, partial(self._copy_edited, entry))

    def _edited(self, entry: Entry, edited: Edited | None) -> None:
        if edited is None or entry.message is None:
            return
        changed = edited.message != entry.message
        if not self._holding.decide(entry, edited.message):
            self._show_notice("its connection has ended", wrong=True)
            return
        entry.state = EDITED if changed else PASSED
        cost = entry.cost
        entry.replace_message(edited.message)
        self._store.replaced(cost, entry)
        self._refresh_entry(entry)

    def _copy_edited(self, entry: Entry, edited: Edited | None) -> None:
        if edited is not None:
            way = entry.way if edited.from_client == entry.way.from_client else entry.way.reversed()
            self._send(way, edited.message)

    def action_resend(self) -> None:
        entry = self._table.entry
        if not self._may_change():
            return
        if entry is None or entry.message is None:
            self._show_notice("the cursor is not on a message", wrong=True)
        else:
            self._send(entry.way, entry.message)

    def _send(self, way: Way, message: Message) -> None:
        def sent() -> None:
            if not self._source.send(way, message):
                ended = f"connection {way.connection} has ended"
                self.call_from_thread(self._show_notice, ended, wrong=True)

        self.run_worker(sent, thread=True, exit_on_error=False)
