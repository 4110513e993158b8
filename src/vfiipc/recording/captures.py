"""Captures in the pcap and pcapng formats, read with libpcap through ``cypcap``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .packets import LINK_TYPES, Skipped, dissect
from .reassembly import Chunk, Reassembly

__all__ = ["Capture", "CaptureError", "MissingReader", "is_capture"]

# pcap with microseconds and with nanoseconds, each in two byte orders; pcapng.
_MAGIC = tuple(map(bytes.fromhex, ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "0a0d0d0a")))


class CaptureError(Exception):
    """The file is damaged, or is of a kind that cannot be read; the text says which."""


class MissingReader(CaptureError):
    """The library that reads captures is not installed, or does not work here."""


def is_capture(head: bytes) -> bool:
    """Whether a file that begins with ``head``, four bytes or more, is pcap or pcapng."""
    return head.startswith(_MAGIC)


class Capture:
    """The TCP streams in a capture file.

    Args:
        path: the file.

    Raises:
        MissingReader: ``cypcap`` is needed.
        CaptureError: it is no capture, or of a link type that is not understood.

    Use it as a context manager. ``skipped`` tells why frames were of no use, and how many.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._reader = _library()
        self.skipped: Counter[str] = Counter()
        self.packets = 0  #: frames read so far
        self.read = 0  #: bytes of them, which is close to the place in the file
        try:
            self._file = self._reader.open_offline(os.fspath(path))
        except self._reader.Error as error:
            raise CaptureError(f"not readable as a capture: {_reason(error)}") from error
        self._link_type = int(self._file.datalink())
        if self._link_type not in LINK_TYPES:
            self.close()
            raise CaptureError(f"captured on a link of type {self._link_type}, not understood")

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def chunks(self) -> Iterator[Chunk]:
        """The bytes of all streams, in the order in which they could be read.

        Raises:
            CaptureError: the file is damaged here; all chunks before were given.
        """
        reassembly = Reassembly()
        try:
            for time, frame in self._frames():
                try:
                    segment = dissect(self._link_type, frame)
                except Skipped as reason:
                    self.skipped[str(reason)] += 1
                    continue
                yield from reassembly.feed(time, segment)
        except self._reader.Error as error:
            yield from reassembly.finish()
            raise CaptureError(
                f"damaged after {self.packets:,} packets: {_reason(error)}"
            ) from error
        yield from reassembly.finish()

    def _frames(self) -> Iterator[tuple[float, bytes]]:
        for header, frame in self._file:
            self.packets += 1
            self.read += len(frame) + 16
            yield float(header.ts), frame


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
