"""``vfiipc proxy``: sits between two programs and shows what they say to each other."""

from __future__ import annotations

import argparse
import errno
import socket
import threading
import time
from contextlib import closing
from typing import NamedTuple

from .. import IPC, TLS
from ..faults import Delivery, Planner, Send, Wait
from . import arguments, links
from .failures import Failure, describe
from .filters import add_filters, chosen_filter
from .finding import Framing, Reader
from .record import RecordedTrack, Recording
from .serving import Serving, add_serving
from .view import Printer, Way, add_view

__all__ = ["add_to"]

_PIECE = 65536
_DESCRIPTORS = 6  # for each connection: two sockets, and what waiting for both takes
_PATIENCE = 2.0  # seconds for a thread to end whose connections were closed
_PAUSE = 0.001  # seconds between pieces, so that they also arrive as pieces

_MORE = """\
Point one program at LISTEN instead of at the other, and name the other as
TARGET. Bytes pass unchanged and at once, also those that are no messages; an end
in one direction is passed on as that (over TLS it ends both). Without a host it
listens on the loopback alone. Ctrl-C ends it.

--record makes a capture for Wireshark, `vfiipc dump` and `vfiipc replay`, which
only its owner can read. Recordings hold all data, whatever is printed.

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
        does="sit between two programs and print their messages",
        more=_MORE,
    )
    parser.add_argument(
        "listen",
        metavar="LISTEN",
        type=links.address,
        help="where to listen: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH, or fd://3 for a "
        "socket that listens already",
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        type=links.peer_address,
        help="where to connect for each: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH",
    )
    parser.add_argument("--record", metavar="FILE", help="write a capture, a new file")
    faults = parser.add_argument_group("faults")
    faults.add_argument(
        "--delay",
        metavar="SECONDS",
        type=arguments.delay,
        default=0.0,
        help="hold back everything that arrives for so long",
    )
    faults.add_argument(
        "--cut-after",
        metavar="BYTES",
        type=arguments.limit,
        help="cut each connection once so many bytes have passed, both directions counted",
    )
    faults.add_argument(
        "--pieces", metavar="BYTES", type=_piece, help="pass everything on in pieces of so many"
    )
    arguments.add_framing(parser, auto=True)
    arguments.add_timeout(parser, "a connection to TARGET")
    add_view(parser)
    add_filters(parser)
    add_serving(parser)
    links.add_tls(parser)


def _piece(text: str) -> int:
    number = arguments.limit(text)
    if not number:
        raise argparse.ArgumentTypeError("pieces must have 1 byte or more")
    return number


def _run(parsed: argparse.Namespace) -> int:
    listener, where = links.listen(parsed.listen, parsed)
    with listener, closing(Recording(parsed.record)) as recording:
        printer = Printer(parsed, parsed.prefix, chosen=chosen_filter(parsed))
        printer.started(where)
        proxy = _Proxy(parsed, printer, recording)
        Serving("vfiipc proxy", listener, proxy.serve, parsed, _DESCRIPTORS).serve()
    return 0


class _Proxy:
    """What is done with each connection."""

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
            ends = (client.remote_addr(), target.remote_addr())
            track = self._recording.connection(*ends)
            pair = _Pair(self._parsed, self._printer, self._framing, track, client, target)
            said = pair.run(way)
            self._printer.event(way, "closed", said, time.time())


class _Direction(NamedTuple):
    from_client: bool
    source: IPC
    target: IPC
    way: Way
    planner: Planner


class _Pair:
    """Two connections, and what passes between them."""

    def __init__(
        self,
        parsed: argparse.Namespace,
        printer: Printer,
        framing: Framing,
        track: RecordedTrack,
        client: IPC,
        target: IPC,
    ) -> None:
        self._parsed = parsed
        self._printer = printer
        self._framing = framing
        self._track = track
        self._client = client
        self._target = target
        self._lock = threading.Lock()
        self._cut = Delivery(cut_after=parsed.cut_after)
        self._passed = 0  # bytes, in both directions
        self._said = ""
        self._failed: Exception | None = None

    def run(self, way: Way) -> str:
        """Passes everything on until both directions have ended; what ended it."""
        pieces = self._parsed.pieces
        faults = Delivery(pieces, delay=self._parsed.delay, pause=_PAUSE if pieces else 0)
        there = _Direction(True, self._client, self._target, way, Planner(faults))
        answers = _Direction(False, self._target, self._client, way.reversed(), Planner(faults))
        other = threading.Thread(target=self._pass_on, args=(answers,), daemon=True)
        try:
            other.start()
        except RuntimeError as error:  # no threads left
            raise OSError(errno.EAGAIN, str(error)) from error
        try:
            self._pass_on(there)
            other.join()
        finally:  # after Ctrl-C, too
            self._end("")
            other.join(_PATIENCE)
        self._track.cut()
        if self._failed is not None:
            raise self._failed
        return self._said or "closed"

    def _pass_on(self, direction: _Direction) -> None:
        try:
            self._pass_all_on(direction)
        except OSError as error:  # the process has no descriptors left, for example
            self._end(f"given up: {describe(error)}")
        except Exception as error:  # noqa: BLE001  (`run` raises it)
            self._failed = error
            self._end("")

    def _pass_all_on(self, direction: _Direction) -> None:
        reader = self._framing.reader()
        while data := direction.source.read(_PIECE, -1, 0):
            data, last = self._allowed(data)
            if not self._send(direction, data, reader) or last:
                self._end(f"cut after {self._parsed.cut_after:,} bytes" if last else "")
                break
        else:
            self._half_close(direction)
        for item in reader.finish():
            self._printer.item(direction.way, item, time.time())

    def _send(self, direction: _Direction, data: bytes, reader: Reader) -> bool:
        for action in direction.planner.feed(data):
            if isinstance(action, Wait):
                time.sleep(action.seconds)
            elif isinstance(action, Send):
                # Recorded first, or the answer might come before it in the recording.
                self._track.data(direction.from_client, action.data)
                if not direction.target.write(action.data):
                    return False
        for item in reader.feed(data):
            self._printer.item(direction.way, item, time.time())
        return True

    def _allowed(self, data: bytes) -> tuple[bytes, bool]:
        """What of ``data`` may pass, and whether that is the last."""
        with self._lock:
            data, last = self._cut.arriving(self._passed, data)
            self._passed += len(data)
            return data, last

    def _half_close(self, direction: _Direction) -> None:
        source = direction.source
        over_tls = isinstance(direction.target, TLS)  # which cannot end one way alone
        if source.eof() and not source.error() and not over_tls:
            self._track.end(direction.from_client)
            with self._lock:  # nobody may close it now: its descriptor could be another's then
                _shut_down(direction.target)
        else:
            self._end(f"broke: {describe(source.last_error)}" if source.error() else "")

    def _end(self, said: str) -> None:
        """Closes both connections; the first who does tells why."""
        with self._lock:
            self._said = self._said or said
            self._client.close()
            self._target.close()


def _shut_down(link: IPC) -> None:
    """Tells the peer that no more will come, while it may go on sending."""
    descriptor = link.getFD()
    if descriptor < 0:
        return
    try:
        sock = socket.socket(fileno=descriptor)  # the same descriptor: a copy may not be had
    except OSError:
        return  # it has gone already
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    finally:
        sock.detach()
