"""``vfiipc proxy``: sits between two programs and shows what they say to each other."""

from __future__ import annotations

import argparse
import os
import socket
import threading
import time
from typing import NamedTuple

from .. import IPC, TLS
from ..recording import Annotator, Recorder, Track
from . import arguments, links
from .failures import Failure, describe
from .serving import Serving
from .view import Printer, Way, add_view

__all__ = ["add_to"]

_PIECE = 65536
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
        help="where to listen: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH",
    )
    parser.add_argument(
        "target", metavar="TARGET", type=links.peer_address, help="where to connect for each"
    )
    parser.add_argument("--record", metavar="FILE", help="write a capture, a new file")
    faults = parser.add_argument_group("faults")
    faults.add_argument(
        "--delay",
        metavar="SECONDS",
        type=arguments.timeout,
        default=0,
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
    arguments.add_framing(parser)
    arguments.add_timeout(parser, "a connection to TARGET")
    add_view(parser)
    parser.add_argument("--once", action="store_true", help="serve one connection, then end")
    links.add_tls(parser)


def _piece(text: str) -> int:
    number = arguments.limit(text)
    if not number:
        raise argparse.ArgumentTypeError("pieces must have 1 byte or more")
    return number


def _run(parsed: argparse.Namespace) -> int:
    listener, where = links.listen(parsed.listen, parsed)
    with listener:
        recorder = _recorder(parsed.record)
        try:
            printer = Printer(parsed, parsed.prefix)
            printer.started(where)
            proxy = _Proxy(parsed, printer, recorder)
            Serving("vfiipc proxy", listener, proxy.serve).serve(once=parsed.once)
        finally:
            if recorder is not None:
                recorder.close()
    return 0


def _recorder(path: str | None) -> Recorder | None:
    if path is None:
        return None
    try:
        return Recorder(path)
    except FileExistsError as error:
        raise Failure(f"{path} is there already, and is not overwritten") from error
    except OSError as error:
        raise Failure(f"cannot record to {path}: {describe(error)}") from error


class _Proxy:
    """What is done with each connection."""

    def __init__(
        self, parsed: argparse.Namespace, printer: Printer, recorder: Recorder | None
    ) -> None:
        self._parsed = parsed
        self._printer = printer
        self._recorder = recorder

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
            track = self._recorder.connection(*ends) if self._recorder else None
            said = _Pair(self._parsed, self._printer, track, client, target).run(way)
            self._printer.event(way, "closed", said, time.time())


class _Direction(NamedTuple):
    from_client: bool
    source: IPC
    target: IPC
    way: Way


class _Pair:
    """Two connections, and what passes between them."""

    def __init__(
        self,
        parsed: argparse.Namespace,
        printer: Printer,
        track: Track | None,
        client: IPC,
        target: IPC,
    ) -> None:
        self._parsed = parsed
        self._printer = printer
        self._track = track
        self._client = client
        self._target = target
        self._lock = threading.Lock()
        self._left: int | None = parsed.cut_after
        self._said = ""
        self._failed: OSError | None = None

    def run(self, way: Way) -> str:
        """Passes everything on until both directions have ended; what ended it."""
        back = Way(way.connection, way.receiver, way.sender)
        there = _Direction(True, self._client, self._target, way)
        answers = _Direction(False, self._target, self._client, back)
        other = threading.Thread(target=self._pass_on, args=(answers,), daemon=True)
        other.start()
        self._pass_on(there)
        other.join()
        if self._failed is not None:
            raise self._failed
        if self._track is not None:
            self._track.cut()
        return self._said or "closed"

    def _pass_on(self, direction: _Direction) -> None:
        annotator = Annotator(self._parsed.prefix, self._parsed.limit)
        try:
            while data := direction.source.read(_PIECE, -1, 0):
                data, last = self._allowed(data)
                if not self._send(direction, data, annotator) or last:
                    self._end(f"cut after {self._parsed.cut_after:,} bytes" if last else "")
                    break
            else:
                self._half_close(direction)
            for item in annotator.finish():
                self._printer.item(direction.way, item, time.time())
        except OSError as error:  # the output, or the recording
            self._failed = error
            self._end(describe(error))

    def _send(self, direction: _Direction, data: bytes, annotator: Annotator) -> bool:
        if self._parsed.delay:
            time.sleep(self._parsed.delay / 1000)
        if self._track is not None:  # first, or the answer might come before it in the recording
            self._track.data(direction.from_client, data)
        size = self._parsed.pieces or len(data)
        for start in range(0, len(data), size):
            if start:
                time.sleep(_PAUSE)
            if not direction.target.write(data[start : start + size]):
                return False
        for item in annotator.feed(data):
            self._printer.item(direction.way, item, time.time())
        return True

    def _allowed(self, data: bytes) -> tuple[bytes, bool]:
        """What of ``data`` may pass, and whether that is the last."""
        with self._lock:
            if self._left is None:
                return data, False
            data = data[: self._left]
            self._left -= len(data)
            return data, not self._left

    def _half_close(self, direction: _Direction) -> None:
        source = direction.source
        over_tls = isinstance(direction.target, TLS)  # which cannot end one way alone
        if source.eof() and not source.error() and not over_tls:
            if self._track is not None:
                self._track.end(direction.from_client)
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
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            copy.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it has gone already
