"""Captures: pcap, read with libpcap through ``cypcap``, and pcapng."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from .errors import CaptureError, MissingReader
from .packets import LINK_TYPES, Skipped, dissect
from .pcapng import SECTION, Frame, read_frames
from .reassembly import Chunk, Reassembly

__all__ = ["Capture", "is_capture"]

# pcap with microseconds and with nanoseconds, each in two byte orders.
_PCAP = tuple(map(bytes.fromhex, ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1")))
_PIECE = 1 << 16
_FILE_HEADER = 24  # bytes in front of all packets
_PACKET_HEADER = 16  # bytes in front of each packet in a file, nearly


def is_capture(head: bytes) -> bool:
    """Whether a file that begins with ``head``, four bytes or more, is pcap or pcapng."""
    return head.startswith((*_PCAP, SECTION))


class Capture:
    """The TCP streams in a capture file.

    Args:
        source: the path of a file, or a stream that may grow while it is read.

    Raises:
        OSError: it cannot be opened.
        MissingReader: pcap needs ``cypcap``.
        CaptureError: it is not a capture, or its link type is not understood.

    Use it as a context manager. ``skipped`` tells why frames were of no use, and how many.
    """

    def __init__(self, source: str | os.PathLike[str] | io.BufferedReader[Any]) -> None:
        self.skipped: Counter[str] = Counter()
        self.packets = 0  #: frames read so far
        self.read = 0  #: bytes of them, approximately the position in the file
        with ExitStack() as opened:
            if isinstance(source, io.BufferedReader):
                file = source
            else:
                file = opened.enter_context(open(source, "rb"))  # noqa: PTH123 - as it was given
            if file.peek(len(SECTION)).startswith(SECTION):
                self._frames = read_frames(file)
            elif isinstance(source, io.BufferedReader):
                self._frames = _piped_frames(file, opened)
            else:
                self._frames = _pcap_frames(source, opened)
            self._opened = opened.pop_all()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._opened.close()

    def chunks(self) -> Iterator[Chunk]:
        """The bytes of all streams, in the order in which they could be read.

        Raises:
            CaptureError: the file is damaged here, or no packet is of use; all chunks before were
                given.
        """
        reassembly = Reassembly()
        try:
            for time, link_type, frame in self._frames:
                self.packets += 1
                self.read += len(frame) + _PACKET_HEADER
                try:
                    segment = dissect(link_type, frame)
                except Skipped as reason:
                    self.skipped[str(reason)] += 1
                    continue
                yield from reassembly.feed(time, segment)
        except CaptureError as error:
            yield from reassembly.finish()
            raise CaptureError(f"damaged after {self.packets:,} packets: {error}") from error
        yield from reassembly.finish()
        if self.packets and self.packets == self.skipped.total():
            reasons = "; ".join(f"{reason}: {count:,}" for reason, count in self.skipped.items())
            raise CaptureError(f"no TCP in {self.packets:,} packets ({reasons})")


def _piped_frames(stream: io.BufferedReader[Any], opened: ExitStack) -> Iterator[Frame]:
    """The frames of a pcap file that may grow, passed to libpcap through a pipe.

    It could not be given the file: what has not been written yet would be damage.
    """
    if not hasattr(os, "mkfifo"):
        raise CaptureError("a pcap file cannot be followed on this system; pcapng can")
    head = stream.read(_FILE_HEADER)
    if len(head) < _FILE_HEADER:
        raise CaptureError("not readable as a capture: truncated within its header")
    folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="vfiipc-"))
    path = os.path.join(folder, "capture")  # noqa: PTH118 - libpcap takes text
    os.mkfifo(path, 0o600)
    # cypcap opens with the lock of the interpreter held: both ends and the header must be there.
    both = os.open(path, os.O_RDWR)
    try:
        writing = os.open(path, os.O_WRONLY)
        pump = threading.Thread(target=_pump, args=(stream, writing), daemon=True)
        try:
            os.write(writing, head)
            frames = _pcap_frames(path, opened)
            pump.start()
        except BaseException:
            os.close(writing)
            raise
        return frames
    finally:
        os.close(both)


def _pump(stream: io.BufferedReader[Any], writing: int) -> None:
    try:
        with open(writing, "wb", buffering=0) as pipe:
            while data := stream.read1(_PIECE):
                pipe.write(data)
    except (OSError, ValueError):
        pass  # the reader has gone, or the stream was closed


def _pcap_frames(path: str | os.PathLike[str], opened: ExitStack) -> Iterator[Frame]:
    library = _library()
    try:
        file = opened.enter_context(library.open_offline(os.fspath(path)))
    except library.Error as error:
        raise CaptureError(f"not readable as a capture: {_reason(error)}") from error
    link_type = int(file.datalink())
    if link_type not in LINK_TYPES:
        raise CaptureError(f"captured on a link of type {link_type}, which is not supported")

    def frames() -> Iterator[Frame]:
        try:
            for header, frame in file:
                yield header.ts, link_type, frame
        except library.Error as error:
            raise CaptureError(_reason(error)) from error

    return frames()


def _library() -> Any:
    try:
        import cypcap
    except ImportError as error:
        raise MissingReader(
            f"reading captures needs cypcap ({error}); in a clone of vfiipc: pip install '.[cli]'"
        ) from error
    return cypcap


def _reason(error: Exception) -> str:
    return str(error.args[-1]) if error.args else str(error)
