"""The table of messages, which makes only the visible rows."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .entries import Entry
from .rows import row
from .store import Store

__all__ = ["Table", "style"]

_CONNECTIONS = ("cyan", "yellow", "magenta", "blue", "green", "bright_cyan", "bright_yellow")
_STYLES = {
    "": Style(),
    "strong": Style(bold=True),
    "faint": Style(dim=True),
    "bad": Style(color="red"),
    "held": Style(color="bright_yellow", bold=True),
}
_CURSOR = Style(reverse=True)
_CURSOR_AWAY = Style(underline=True)


@lru_cache(maxsize=256)
def style(name: str) -> Style:
    """The style of a piece of a row."""
    if name.startswith("#"):
        return Style(color=_CONNECTIONS[int(name[1:]) % len(_CONNECTIONS)])
    return _STYLES[name]


class Table(ScrollView, can_focus=True):
    """The messages that the store shows, and the cursor on one of them.

    ``place`` is that of the cursor, as the store counts; the row above the first where there is
    nothing. While ``following``, it stays on the latest.
    """

    DEFAULT_CSS = "Table { overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(keys, action, description, show=False)
        for keys, action, description in (
            ("up,k", "move(-1)", "Up"),
            ("down,j", "move(1)", "Down"),
            ("pageup", "page(-1)", "Page up"),
            ("pagedown", "page(1)", "Page down"),
            ("home,g", "first", "First"),
            ("end,G", "last", "Last"),
        )
    ]

    class Moved(Message):
        """Posted when the cursor is on another entry, or begins or stops following."""

    def __init__(self, store: Store, *, hidden: bool, id: str) -> None:  # noqa: A002 - Textual's
        super().__init__(id=id)
        self._store = store
        self._hidden = hidden
        self._first = 0  # the place of the first row at the last look
        self._told: Entry | None = None
        self.place = 0
        self.following = True

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor."""
        shown = self._store.shown
        return shown.at(self.place) if shown.first <= self.place < shown.stop else None

    def renew(self) -> None:
        """Updates the table from the store."""
        shown = self._store.shown
        gone = max(0, shown.first - self._first)
        self._first = shown.first
        top = self.scroll_offset.y - gone
        self.virtual_size = Size(self.size.width, len(shown))
        if self.following:
            self.place = shown.stop - 1
        self.place = max(shown.first, min(self.place, shown.stop - 1))
        self._scroll_from(top)

    def go_to(self, place: int, *, following: bool = False) -> None:
        """Moves the cursor."""
        if following != self.following:
            self.following = following
            self._told = None
        shown = self._store.shown
        self.place = max(shown.first, min(place, shown.stop - 1))
        self._scroll_from(self.scroll_offset.y)

    def _scroll_from(self, top: int) -> None:
        """Scrolls as little as possible from ``top`` to make the cursor visible."""
        line = self.place - self._store.shown.first
        height = max(1, self.size.height)
        top = min(max(top, line - height + 1, 0), max(0, line))
        self.scroll_to(y=top, animate=False, force=True)
        self.refresh()
        if self.entry is not self._told:
            self._told = self.entry
            self.post_message(self.Moved())

    def action_move(self, rows: int) -> None:
        self.go_to(self.place + rows, following=self.following and rows > 0)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.go_to(self._store.shown.first)

    def action_last(self) -> None:
        self.go_to(self._store.shown.stop - 1, following=True)

    def on_click(self, event: events.Click) -> None:
        self.go_to(self._store.shown.first + self.scroll_offset.y + event.y)

    def on_resize(self) -> None:
        self.renew()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        shown = self._store.shown
        place = shown.first + self.scroll_offset.y + y
        if not shown.first <= place < shown.stop:
            return Strip.blank(width, self.rich_style)
        pieces = row(shown.at(place), hidden=self._hidden)
        strip = Strip([Segment(text, style(name)) for text, name in pieces])
        strip = strip.crop_extend(0, width, None).apply_style(self.rich_style)
        if place == self.place:
            strip = strip.apply_style(_CURSOR if self.has_focus else _CURSOR_AWAY)
        return strip
