"""What ``dump`` and ``replay`` read: raw streams, hex dumps as text, captures; files or a pipe."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import cast

from ..recording import (
    Capture,
    CaptureError,
    Chunk,
    Connection,
    HexDumpError,
    is_capture,
    looks_like_hex_dump,
    parse_hex_dump,
)
from .failures import describe

__all__ = ["FORMATS", "Damaged", "Source"]

FORMATS = ("auto", "raw", "hex", "capture")

_HEAD = 4096  # bytes that tell what a file is
_PIECE = 1 << 20


class Damaged(Exception):
    """The input cannot be read to its end, for the reason that the text gives."""


class Source:
    """An input, opened and recognised.

    Args:
        path: the file, as it was typed; ``-`` is standard input.
        form: one of ``FORMATS``.

    Raises:
        OSError: it cannot be opened or read.
        Damaged: it is a capture that cannot be read at all.

    Use it as a context manager. ``size`` is that of the file, or None; ``done`` is how many bytes
    of it have been read, nearly.
    """

    def __init__(self, path: str, form: str) -> None:
        self.skipped: Counter[str] = Counter()
        self._capture: Capture | None = None
        self._done = 0
        with ExitStack() as opened:
            file = _standard_input() if path == "-" else opened.enter_context(_open(path))
            head = file.peek(_HEAD)[:_HEAD]
            self.form = _form_of(head) if form == "auto" else form
            self.size = None if path == "-" else Path(path).stat().st_size
            self._file = file
            if self.form == "capture":
                name = path if path != "-" else opened.enter_context(_Spooled(file)).name
                self._capture = opened.enter_context(_capture(name))
                self.skipped = self._capture.skipped
            self._opened = opened.pop_all()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def done(self) -> int:
        """Bytes read so far, nearly."""
        return self._capture.read if self._capture is not None else self._done

    def chunks(self) -> Iterator[Chunk]:
        """The bytes of all streams; of one, without times and addresses, where it is no capture.

        Raises:
            Damaged: from here on the input cannot be read.
        """
        try:
            if self._capture is not None:
                yield from self._capture.chunks()
                return
            connection = Connection(0, "", "")
            pieces = self._bytes() if self.form == "raw" else parse_hex_dump(self._lines())
            for data in pieces:
                yield Chunk(connection, True, 0.0, data)
            yield Chunk(connection, True, 0.0, end=True)
        except (CaptureError, HexDumpError) as error:
            raise Damaged(str(error)) from error

    def _piece(self) -> bytes:
        try:
            return self._file.read1(_PIECE)
        except OSError as error:
            raise Damaged(f"cannot be read: {describe(error)}") from error

    def _bytes(self) -> Iterator[bytes]:
        while data := self._piece():
            self._done += len(data)
            yield data

    def _lines(self) -> Iterator[str]:
        rest = ""
        for data in self._bytes():
            *whole, rest = (rest + data.decode("latin-1")).split("\n")
            yield from whole
        yield rest


def _standard_input() -> io.BufferedReader:
    return cast(io.BufferedReader, sys.stdin.buffer if sys.stdin is not None else io.BytesIO())


def _open(path: str) -> io.BufferedReader:
    return open(path, "rb")  # noqa: PTH123 - as it was typed


def _form_of(head: bytes) -> str:
    if is_capture(head):
        return "capture"
    # Raw streams hold zeros, in the sizes of messages, which no text does.
    if all(byte in b"\t\r\n" or 0x20 <= byte < 0x7F for byte in head):
        whole_lines = head.decode("ascii")
        if looks_like_hex_dump(whole_lines):
            return "hex"
    return "raw"


def _capture(name: str) -> Capture:
    try:
        return Capture(name)
    except CaptureError as error:
        raise Damaged(str(error)) from error


class _Spooled:
    """A file with what a pipe carries, for libpcap reads files; only its owner can read it."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as file:  # created with mode 0600
            self.name = file.name
            try:
                file.writelines(stream)
            except BaseException:
                self._remove()
                raise

    def __enter__(self) -> _Spooled:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        try:
            os.remove(self.name)  # noqa: PTH107 - a plain name
        except OSError:
            pass  # gone already
