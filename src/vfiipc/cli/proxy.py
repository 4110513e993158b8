"""``vfiipc proxy``: relays the traffic between two programs and prints it."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterable
from contextlib import closing

from .. import IPC
from ..faults import Delivery, Planner, Send, Wait
from ..recording import Item
from . import arguments, links
from .failures import Failure
from .filters import add_filters, chosen_filter
from .prefix_finder import Framing, Reader
from .record import RecordedTrack, Recording
from .relay import DESCRIPTORS, Direction, Pair
from .serving import Serving, add_serving
from .view import Printer, Way, add_view

__all__ = ["add_to"]

_PAUSE = 0.001  # seconds between pieces, so that they also arrive as pieces

_MORE = """\
Connect one program to LISTEN instead of to the other program, and give the
other one as TARGET. All bytes are relayed unchanged and at once, even if they
are not messages. The end of one direction is relayed, too (over TLS it ends
both). Without a host it listens on the loopback interface only. Ctrl-C ends it.

--record writes a capture for Wireshark, `vfiipc dump` and `vfiipc replay` that
only its owner can read. It contains all data, whatever is printed.

examples:
  vfiipc proxy 5001 terminal.example:5000
  vfiipc proxy 5001 127.0.0.1:5000 --record session.pcap --no-payload
  vfiipc proxy 5001 127.0.0.1:5000 --delay 0.5 --pieces 3
  vfiipc proxy 5001 127.0.0.1:5000 --cut-after 100
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands,
        "proxy",
        _run,
        does="relay the traffic between two programs and print their messages",
        more=_MORE,
    )
    parser.add_argument(
        "listen",
        metavar="LISTEN",
        type=links.address,
        help="where to listen: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH, or fd://3 for an "
        "inherited listening socket",
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        type=links.peer_address,
        help="where to connect for each client: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH",
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        type=arguments.file_name,
        help="write a capture to a new file; an existing one is not replaced",
    )
    faults = parser.add_argument_group("faults")
    faults.add_argument(
        "--delay",
        metavar="SECONDS",
        type=arguments.delay,
        default=0.0,
        help="delay everything by this time; 0 or more, for example 0.5 (0)",
    )
    faults.add_argument(
        "--cut-after",
        metavar="BYTES",
        type=arguments.limit,
        help="cut each connection after this many bytes, 0 or more, counting both directions; "
        "suffixes as with --limit",
    )
    faults.add_argument(
        "--pieces",
        metavar="BYTES",
        type=_piece,
        help="relay everything in pieces of this size, 1 or more; suffixes as with --limit",
    )
    arguments.add_framing(parser, auto=True)
    arguments.add_timeout(parser, "a connection to TARGET")
    add_view(parser)
    add_filters(parser)
    add_serving(parser)
    links.add_tls(parser, "listen")


def _piece(text: str) -> int:
    number = arguments.limit(text)
    if not number:
        raise argparse.ArgumentTypeError("invalid size of pieces: 0; use 1 or more")
    return number


def _run(parsed: argparse.Namespace) -> int:
    listener, where = links.listen(parsed.listen, parsed)
    with listener, closing(Recording(parsed.record)) as recording:
        printer = Printer(parsed, parsed.prefix, chosen=chosen_filter(parsed))
        printer.started(where)
        proxy = _Proxy(parsed, printer, recording)
        Serving("vfiipc proxy", listener, proxy.serve, parsed, DESCRIPTORS).serve()
    return 0


class _Proxy:
    """Relays each connection; a handler for ``Serving``."""

    def __init__(self, parsed: argparse.Namespace, printer: Printer, recording: Recording) -> None:
        self._parsed = parsed
        self._printer = printer
        self._recording = recording
        self._framing = Framing(parsed.prefix, parsed.limit, printer.set_prefix)

    def serve(self, client: IPC, number: int) -> None:
        place = links.shown(self._parsed.target)
        peer = client.remote_addr() or "client"
        way = Way(number, peer, place)
        try:
            target = links.dial(self._parsed.target, self._parsed.timeout, self._parsed)
        except Failure as failure:
            self._printer.event(way, "refused", f"closed: {failure}", time.time())
            return
        with target:
            self._printer.event(way, "connected", "connected", time.time())
            track = self._recording.connection(client.remote_addr(), target.remote_addr())
            there = Direction(client, target, way)
            back = Direction(target, client, way.reversed())
            cut = _Cut(self._parsed.cut_after)
            try:
                said = Pair(there, back).run(
                    self._flow(there, track, cut), self._flow(back, track, cut)
                )
            finally:
                track.cut()
            self._printer.event(way, "closed", said, time.time())

    def _flow(self, direction: Direction, track: RecordedTrack, cut: _Cut) -> _Flow:
        pieces = self._parsed.pieces
        faults = Delivery(pieces, delay=self._parsed.delay, pause=_PAUSE if pieces else 0)
        printed = _Printed(self._printer, self._framing.reader(), direction.way)
        return _Flow(direction.target, Planner(faults), cut, track, printed)


class _Cut:
    """Cuts a connection after a number of bytes in both directions. Thread safe."""

    def __init__(self, after: int | None) -> None:
        self._after = after
        self._delivery = Delivery(cut_after=after)
        self._passed = 0
        self._lock = threading.Lock()

    def allowed(self, data: bytes) -> tuple[bytes, str | None]:
        """The part of ``data`` to relay, and the reason to print if the connection is cut there."""
        with self._lock:
            data, last = self._delivery.arriving(self._passed, data)
            self._passed += len(data)
        return data, f"cut after {self._after:,} bytes" if last else None


class _Printed:
    """Prints one direction."""

    def __init__(self, printer: Printer, reader: Reader, way: Way) -> None:
        self._printer = printer
        self._reader = reader
        self.way = way

    def feed(self, data: bytes) -> None:
        self._print(self._reader.feed(data))

    def finish(self) -> None:
        self._print(self._reader.finish())

    def _print(self, items: Iterable[Item]) -> None:
        for item in items:
            self._printer.item(self.way, item, time.time())


class _Flow:
    """Relays one direction: applies the faults, records, sends and prints."""

    def __init__(
        self, target: IPC, planner: Planner, cut: _Cut, track: RecordedTrack, printed: _Printed
    ) -> None:
        self._target = target
        self._planner = planner
        self._cut = cut
        self._track = track
        self._printed = printed

    def pass_on(self, data: bytes) -> str | None:
        data, last = self._cut.allowed(data)
        for action in self._planner.feed(data):
            if isinstance(action, Wait):
                time.sleep(action.seconds)
            elif isinstance(action, Send):
                # Recorded first: otherwise the answer could precede it in the recording.
                self._track.data(self._printed.way.from_client, action.data)
                if not self._target.write(action.data):
                    return last or ""
        self._printed.feed(data)
        return last

    def end(self) -> None:
        self._printed.finish()

    def half_close(self) -> None:
        self._track.end(self._printed.way.from_client)
