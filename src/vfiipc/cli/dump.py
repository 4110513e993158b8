"""``vfiipc dump``: decodes recorded bytes message by message."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing

from ..recording import (
    Chunk,
    Cut,
    Decoded,
    Discarded,
    Item,
    RecordedConnection,
    guess_prefixes,
)
from . import arguments
from .decoded_recording import Explained, Seen
from .failures import INSTALL_CLI, Failure, describe
from .filters import add_filters, chosen_filter
from .prefix_finder import Framing, nothing_found, tell_guesses
from .progress import progress
from .sources import FORMATS, Damaged, Source
from .streams import flush_output, note
from .view import Printer, add_view

__all__ = ["add_to", "find_prefix", "open_source"]

_SAMPLE = 16 << 20  # bytes in which a prefix is looked for

_MORE = f"""\
FILE can be the raw bytes of one direction, a hex dump as text (from xxd,
hexdump -C, od -A x -t x1, or plain digits), or a capture (pcap, pcapng) with
any number of TCP connections. Both directions of a capture are reassembled,
with retransmitted and reordered segments. Captures need the extra cli;
{INSTALL_CLI}

Without --prefix the most likely prefix is detected, and printed with a degree
of confidence. FILE can be a pipe, and can be compressed with gzip; text can be
UTF-8 or UTF-16. With --follow, dump waits for more data at the end of FILE.

examples:
  vfiipc dump terminal.pcapng
  vfiipc dump terminal.pcapng --id 1,5..9 --from client --match '"amount"'
  vfiipc dump --follow session.pcap
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
        does="decode recorded bytes: captures, raw streams, hex dumps",
        more=_MORE,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        type=arguments.file_name,
        help="the file to read; - for standard input",
    )
    arguments.add_framing(parser, default=None, auto=True)
    parser.add_argument(
        "--format", choices=FORMATS, default="auto", help="the format of FILE (auto detects it)"
    )
    parser.add_argument(
        "--follow", action="store_true", help="wait for more data as FILE grows, until Ctrl-C"
    )
    add_view(parser)
    add_filters(parser)


def _run(parsed: argparse.Namespace) -> int:
    with open_source(parsed.file, parsed.format, follow=parsed.follow) as source:
        chosen = chosen_filter(parsed)
        timed = source.form == "capture"
        if chosen.needs_capture and not timed:
            lacking = "--connection, --from, --since and --until need a capture"
            raise Failure(f"{parsed.file} holds one stream without times; {lacking}")
        chunks = source.chunks()
        prefix = parsed.prefix
        if prefix is None and not parsed.follow:
            prefix, chunks = find_prefix(parsed.file, chunks, parsed.limit)
        printer = Printer(parsed, prefix, prompt=source.size is None, chosen=chosen)
        framing = Framing(prefix, parsed.limit, printer.set_prefix)
        explained = Explained(framing, timed=timed)
        view = _View(printer, explained, timed=timed)
        try:
            with closing(progress(chunks, source, parsed.file)) as shown:
                view.show(explained.items(shown))
        except Damaged as error:
            raise Failure(f"{parsed.file}: {error}") from error
        except KeyboardInterrupt:
            view.show(explained.finish())
            raise
        finally:
            view.summary(source.skipped)
    return 0


def open_source(path: str, form: str, *, follow: bool = False) -> Source:
    """An input.

    Raises:
        Failure: it cannot be read.
    """
    if path == "-" and sys.stdin is None:
        raise Failure("standard input is closed; name a file")
    try:
        return Source(path, form, follow=follow)
    except OSError as error:
        raise Failure(f"cannot read {path}: {describe(error)}") from error
    except Damaged as error:
        raise Failure(f"{path}: {error}") from error


class _View:
    """Prints items and counts them."""

    def __init__(self, printer: Printer, explained: Explained, *, timed: bool) -> None:
        self._printer = printer
        self._explained = explained
        self._timed = timed
        self._counts: Counter[str] = Counter()
        self._hidden = 0  # messages that the filter rejected

    def show(self, items: Iterable[Seen]) -> None:
        for way, item, time in items:
            # Counted first: Ctrl-C may come as soon as it is printed.
            self._count(item)
            shown = self._printer.item(way, item, time)
            self._hidden += isinstance(item, Decoded) and not shown

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
        """Prints the counts to standard error."""
        flush_output()
        messages = self._counts.pop("messages", 0)
        said = [f"messages: {messages:,}"]
        if self._hidden:
            said.append(f"shown: {messages - self._hidden:,}")
        connections = self._explained.connections
        if self._timed:
            said.append(f"connections: {len(connections):,}")
        said += [f"{what}: {count:,}" for what, count in self._counts.items()]
        again = sum(connection.retransmitted for connection in connections)
        early = sum(connection.reordered for connection in connections)
        if again:
            said.append(f"bytes retransmitted: {again:,}")
        if early:
            said.append(f"packets out of order: {early:,}")
        note("; ".join(said))
        for reason, count in skipped.items():
            note(f"packets skipped: {count:,} ({reason})")


# --- the prefix -----------------------------------------------------------------------------------


def find_prefix(path: str, chunks: Iterator[Chunk], limit: int) -> tuple[int, Iterator[Chunk]]:
    """Detects the most likely prefix and prints it; returns it with an iterator over all chunks.

    Raises:
        Failure: no prefix was found.
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
    except Damaged as error:  # raised once everything before it has been shown
        failed = error
    streams = _streams(held)
    guesses = guess_prefixes(streams, limit)
    if not guesses:
        raise Failure(nothing_found(path, streams, str(failed or "")))
    tell_guesses(guesses)
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
