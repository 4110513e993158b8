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

# pcap with microseconds and with nanoseconds, each in both byte orders.
_PCAP = tuple(map(bytes.fromhex, ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1")))
_PIECE = 1 << 16
_FILE_HEADER = 24  # bytes
_PACKET_HEADER = 16  # bytes; approximately, because pcapng has larger ones


def is_capture(head: bytes) -> bool:
    """Whether a file that begins with ``head``, at least four bytes, is pcap or pcapng."""
    return head.startswith((*_PCAP, SECTION))


class Capture:
    """The TCP streams in a capture file.

    Args:
        source: the path of a file, or a stream that may grow while it is read.

    Raises:
        OSError: the file cannot be opened.
        MissingReader: reading pcap needs ``cypcap``.
        CaptureError: the file is not a capture, or its link type is not supported.

    Use it as a context manager. ``skipped`` counts the unusable frames by reason.
    """

    def __init__(self, source: str | os.PathLike[str] | io.BufferedReader) -> None:
        self.skipped: Counter[str] = Counter()
        self.packets = 0  #: number of frames read so far
        self.read = 0  #: number of bytes read so far, approximately
        with ExitStack() as opened:
            if isinstance(source, io.BufferedReader):
                file = source
            else:
                file = opened.enter_context(open(source, "rb"))  # noqa: PTH123 - keeps the path as it is
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
        """Yields the bytes of all streams, in the order in which a receiver could read them.

        Raises:
            CaptureError: the file is damaged at this point, or no packet is usable. All chunks
                before the damage were yielded.
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


def _piped_frames(stream: io.BufferedReader, opened: ExitStack) -> Iterator[Frame]:
    """Yields the frames of a pcap file that may grow, which libpcap reads from a pipe.

    Given the file itself, libpcap would take a packet that is still being written for damage.
    """
    if not hasattr(os, "mkfifo"):
        raise CaptureError("a pcap file cannot be followed on this system; pcapng can")
    head = stream.read(_FILE_HEADER)
    if len(head) < _FILE_HEADER:
        raise CaptureError("not a valid capture: truncated in its header")
    folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="vfiipc-"))
    path = os.path.join(folder, "capture")  # noqa: PTH118 - libpcap takes text
    os.mkfifo(path, 0o600)
    # cypcap holds the GIL while it opens the FIFO, so the other end must already be open, and the
    # header written.
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


def _pump(stream: io.BufferedReader, writing: int) -> None:
    try:
        with open(writing, "wb", buffering=0) as pipe:
            while data := stream.read1(_PIECE):
                pipe.write(data)
    except (OSError, ValueError):
        pass  # the reader is gone, or the stream was closed


def _pcap_frames(path: str | os.PathLike[str], opened: ExitStack) -> Iterator[Frame]:
    library = _library()
    try:
        file = opened.enter_context(library.open_offline(os.fspath(path)))
    except library.Error as error:
        raise CaptureError(f"not a valid capture: {_reason(error)}") from error
    link_type = int(file.datalink())
    if link_type not in LINK_TYPES:
        raise CaptureError(f"link type {link_type} is not supported")

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
