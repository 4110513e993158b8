"""``vfiipc dump``: explains recorded bytes, message by message."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing

from ..recording import (
    Annotator,
    Chunk,
    Cut,
    Decoded,
    Discarded,
    Guess,
    Item,
    RecordedConnection,
    guess_prefixes,
)
from . import arguments
from .failures import INSTALL_CLI, Failure, describe
from .progress import progress
from .sources import FORMATS, Damaged, Source
from .streams import flush_output, note
from .view import NOWHERE, Printer, Way, add_view

__all__ = ["add_to", "find_prefix", "open_source"]

_SAMPLE = 16 << 20  # bytes in which a prefix is looked for

_MORE = f"""\
FILE may be the bytes of one direction as they are, a hex dump as text (of xxd,
hexdump -C, od -A x -t x1, or digits alone), or a capture (pcap, pcapng) with any
number of TCP connections. Of a capture both directions are put together again,
whatever came twice or in another order. Captures need an extra,
{INSTALL_CLI}

Without --prefix the likely one is looked for, and named with how sure that is.
FILE may be a pipe and packed with gzip; text may be in UTF-8 or UTF-16.

examples:
  vfiipc dump terminal.pcapng
  vfiipc dump --prefix 0x004E4659 --no-payload stream.bin
  vfiipc dump --json terminal.pcap | jq -r 'select(.kind == "message") | .text'
  echo '4e464921 00000009 00000007 68656c6c6f' | vfiipc dump -
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands,
        "dump",
        _run,
        does="explain recorded bytes: captures, raw streams, hex dumps",
        more=_MORE,
    )
    parser.add_argument("file", metavar="FILE", help="what to read; - is standard input")
    arguments.add_framing(parser, default=None)
    parser.add_argument(
        "--format", choices=FORMATS, default="auto", help="what FILE is (auto looks at it)"
    )
    add_view(parser)


def _run(parsed: argparse.Namespace) -> int:
    with open_source(parsed.file, parsed.format) as source:
        chunks = source.chunks()
        prefix = parsed.prefix
        if prefix is None:
            prefix, chunks = find_prefix(chunks, parsed.limit)
        printer = Printer(parsed, prefix, prompt=source.size is None)
        view = _View(printer, prefix, parsed.limit, timed=source.form == "capture")
        try:
            with closing(progress(chunks, source, parsed.file)) as shown:
                for chunk in shown:
                    view.show(chunk)
        except Damaged as error:
            view.finish()
            view.summary(source.skipped)
            raise Failure(f"{parsed.file}: {error}") from error
        view.finish()
        view.summary(source.skipped)
    return 0


def open_source(path: str, form: str) -> Source:
    """An input.

    Raises:
        Failure: it cannot be read.
    """
    if path == "-" and sys.stdin is None:
        raise Failure("standard input is closed; name a file")
    try:
        return Source(path, form)
    except OSError as error:
        raise Failure(f"cannot read {path}: {describe(error)}") from error
    except Damaged as error:
        raise Failure(f"{path}: {error}") from error


class _View:
    """Every direction of every connection, each explained by itself."""

    def __init__(self, printer: Printer, prefix: int, limit: int, *, timed: bool) -> None:
        self._printer = printer
        self._prefix = prefix
        self._limit = limit
        self._timed = timed
        self._time: float | None = None
        self._open: dict[tuple[RecordedConnection, bool], tuple[Way, Annotator]] = {}
        self._connections: set[RecordedConnection] = set()
        self._counts: Counter[str] = Counter()

    def show(self, chunk: Chunk) -> None:
        key = (chunk.connection, chunk.from_client)
        direction = self._open.get(key)
        if direction is None:
            direction = self._open[key] = self._begin(*key)
        way, annotator = direction
        time = chunk.time if self._timed else None
        if chunk.data:
            self._items(way, annotator.feed(chunk.data), time)
        if chunk.gap:
            self._items(way, annotator.gap(chunk.gap), time)
        if chunk.end:
            self._items(way, annotator.finish(), time)
            del self._open[key]
        self._time = time

    def finish(self) -> None:
        """What was begun and did not end."""
        for way, annotator in self._open.values():
            self._items(way, annotator.finish(), self._time)
        self._open.clear()

    def _begin(self, connection: RecordedConnection, from_client: bool) -> tuple[Way, Annotator]:
        self._connections.add(connection)
        way = NOWHERE
        if connection.number:
            ends = (connection.sender(from_client), connection.sender(not from_client))
            way = Way(connection.number, *ends)
        return way, Annotator(self._prefix, self._limit)

    def _items(self, way: Way, items: Iterable[Item], time: float | None) -> None:
        for item in items:
            self._count(item)
            self._printer.item(way, item, time)

    def _count(self, item: Item) -> None:
        if isinstance(item, Decoded):
            self._counts["messages"] += 1
        elif isinstance(item, Discarded):
            self._counts["bytes discarded"] += item.count
        elif isinstance(item, Cut):
            self._counts["cut off"] += 1
        else:
            self._counts["gaps"] += 1

    def summary(self, skipped: Counter[str]) -> None:
        """How much there was of everything, beside the output."""
        flush_output()
        said = [f"messages: {self._counts.pop('messages', 0):,}"]
        if self._timed:
            said.append(f"connections: {len(self._connections):,}")
        said += [f"{what}: {count:,}" for what, count in self._counts.items()]
        again = sum(connection.retransmitted for connection in self._connections)
        early = sum(connection.reordered for connection in self._connections)
        if again:
            said.append(f"bytes sent again: {again:,}")
        if early:
            said.append(f"packets too early: {early:,}")
        note("; ".join(said))
        for reason, count in skipped.items():
            note(f"packets passed over: {count:,} ({reason})")


# --- the prefix -----------------------------------------------------------------------------------


def find_prefix(chunks: Iterator[Chunk], limit: int) -> tuple[int, Iterator[Chunk]]:
    """The likely prefix, which is also told, and the same chunks again.

    Raises:
        Failure: none was found.
    """
    held: list[Chunk] = []
    failed: Damaged | None = None
    size = 0
    try:
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk.data)
            if size >= _SAMPLE:
                break
    except Damaged as error:  # told of once everything before has been shown
        failed = error
    guesses = guess_prefixes(_streams(held), limit)
    if not guesses:
        raise Failure(_nothing_found(held, size, failed))
    _tell(guesses)
    return guesses[0].prefix, _again(held, failed, chunks)


def _again(held: list[Chunk], failed: Damaged | None, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    yield from held
    if failed is not None:
        raise failed
    yield from chunks


def _streams(chunks: Iterable[Chunk]) -> list[bytes]:
    streams: dict[tuple[RecordedConnection, bool], list[list[bytes]]] = {}
    for chunk in chunks:
        parts = streams.setdefault((chunk.connection, chunk.from_client), [[]])
        if chunk.gap:
            parts.append([])
        parts[-1].append(chunk.data)
    return [b"".join(part) for parts in streams.values() for part in parts]


def _tell(guesses: list[Guess]) -> None:
    best, *rest = guesses
    # What lies within the messages of the best is of no interest, even if it looks like messages.
    others = [g for g in rest if g.confidence != "possible" and g.share + best.share < 1.01]
    note(
        f"prefix {arguments.show_prefix(best.prefix)}: {best.confidence}, "
        f"messages: {best.messages:,}, {best.share:.0%} of the bytes"
    )
    if others:
        shown = ", ".join(arguments.show_prefix(guess.prefix) for guess in others[:3])
        note(f"also found: {shown}; --prefix chooses")


def _nothing_found(held: list[Chunk], size: int, failed: Damaged | None) -> str:
    if failed is not None and not size:
        return str(failed)
    if not size:
        return "there are no bytes to look at"
    said = f"no prefix found in {size:,} bytes"
    if failed is not None:
        said += f", which end early ({failed})"
    said += "; give it with --prefix, and --limit if it is not 16M"
    if any(chunk.data[:2] == b"\x16\x03" for chunk in held):
        said += ". It looks like TLS, whose content cannot be seen"
    return said
