"""Draws docs/assets/inspector.svg, the picture of the inspector.

``python tools/inspector_picture.py`` updates the file; ``tests/docs/test_pictures.py`` checks it.
The entries and their times are fixed, so that the result is the same on each run.
"""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import datetime
from pathlib import Path

from vfiipc.cli.filters import parse_filter
from vfiipc.cli.inspector.app import Inspector
from vfiipc.cli.inspector.entries import HELD, Entry
from vfiipc.cli.inspector.entry_queue import Feed
from vfiipc.cli.inspector.holding import Holding
from vfiipc.cli.inspector.store import Store
from vfiipc.cli.view import Way
from vfiipc.codec import Message
from vfiipc.recording import Decoded, Discarded

PICTURE = Path(__file__).parent.parent / "docs" / "assets" / "inspector.svg"
_START = datetime(2026, 3, 1, 8, 10).timestamp()
_TILL = Way(1, "192.0.2.10:49200", "192.0.2.20:5000")
_OTHER = Way(2, "192.0.2.11:49188", "192.0.2.20:5000")
_FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def _entries() -> list[Entry]:
    terminal = _TILL.reversed()
    said = [
        (0.000, _TILL, 1, b'{"type": "status"}'),
        (0.004, terminal, 1, b'{"state": "ready", "printer": "ok"}'),
        (1.250, _OTHER, 9, b"\x02\x00\xff\x10"),
        (1.262, _OTHER.reversed(), 9, b"\x06"),
        (2.100, _TILL, 2, b'{"type": "payment", "amount": 1999, "currency": "EUR"}'),
    ]
    entries = [
        Entry(way, _START + at, Decoded(0, Message(msg_id, data)), prefix=0x004E4659)
        for at, way, msg_id, data in said
    ]
    entries[-1].state = HELD
    entries.insert(4, Entry(terminal, _START + 1.9, Discarded(47, 2, b"\r\n")))
    return entries


class _FixedEntries:
    """A source of messages that delivers none: the entries are in the store already."""

    name = "127.0.0.1:5001 > 192.0.2.20:5000"
    is_live = True

    def run(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def send(self, way: Way, message: Message) -> bool:
        return False


async def _screenshot() -> str:
    feed, store = Feed(), Store(100)
    holding = Holding(parse_filter("--json-match type=payment"))
    for entry in _entries():
        store.add(entry)
        if entry.state == HELD:
            holding.announce(entry)
    app = Inspector(_FixedEntries(), feed, store, holding)
    async with app.run_test(size=(80, 24)) as pilot:
        while store.unfiltered or not app.query_one("#table").has_focus:
            await pilot.pause(0.05)
        picture = ""
        while "Quit" not in picture:  # the footer is drawn last
            await pilot.pause(0.05)
            picture = app.export_screenshot(title="vfiipc inspect 5001 192.0.2.20:5000")
        return picture


def without_network(svg: str) -> str:
    """Replaces the web fonts that Textual refers to by fonts of the reader's system."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: (?:Fira Code, )?[\w, ]*monospace", f"font-family: {_FONTS}", svg)
    return re.sub(r"font-family: arial", "font-family: sans-serif", svg)


def picture() -> str:
    """The picture as SVG."""
    return without_network(asyncio.run(_screenshot())) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"{PICTURE}\n")
