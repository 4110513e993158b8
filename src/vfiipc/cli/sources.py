"""The inputs of ``dump`` and ``replay``: raw streams, hex dumps, captures; files or pipes."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import shutil
import stat
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

from ..codec import Buffer
from ..recording import (
    Capture,
    CaptureError,
    Chunk,
    HexDumpError,
    RecordedConnection,
    is_capture,
    looks_like_hex_dump,
    parse_hex_dump,
)
from .failures import describe

__all__ = ["FORMATS", "Damaged", "Source"]

FORMATS = ("auto", "raw", "hex", "capture")

_HEAD = 4096  # bytes that are examined at most to detect the format
_MAGIC = 4  # bytes that identify a capture, compression and the encoding of text
_PIECE = 1 << 20
_LOOK = 0.1  # seconds between checks whether a followed file has grown
_GZIP = b"\x1f\x8b\x08"
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Damaged(Exception):
    """The input cannot be read to its end; the text says why."""


class Source:
    """An open input whose format is known. It is read once, so it can be a pipe.

    Args:
        path: the file, as given by the user; ``-`` for standard input.
        form: one of ``FORMATS``. gzip is decompressed, except with ``raw``.
        follow: whether to wait for more data at the end of a file, without a limit.

    Raises:
        OSError: it cannot be opened or read.
        Damaged: it is compressed or a capture, and nothing of it can be read.

    Use it as a context manager. ``size`` is the size of the file in bytes, or None if unknown;
    ``done`` is the approximate number of bytes read.
    """

    def __init__(self, path: str, form: str, *, follow: bool = False) -> None:
        self.skipped: Counter[str] = Counter()
        self._capture: Capture | None = None
        with ExitStack() as opened:
            self._base = _standard_input() if path == "-" else opened.enter_context(_open(path))
            self.size = None if path == "-" or follow else _size(self._base)
            try:
                base = self._base
                if follow and _size(base) is not None:
                    base = io.BufferedReader(_Growing(base))
                ahead, packed = _unpacked(base, form)
                self.form = _form_of(ahead.look(_tells_form)) if form == "auto" else form
                if self.form == "hex":
                    self._encoding = _encoding(ahead.look(_has_magic))
                self._file: io.BufferedReader = io.BufferedReader(ahead, _PIECE)
                if self.form == "capture":
                    if packed or self.size is None:
                        self.size = None
                        if not follow:
                            path = opened.enter_context(_spooled(self._file))
                    capture = Capture(self._file if follow else path)
                    self._capture = opened.enter_context(capture)
                    self.skipped = self._capture.skipped
            except CaptureError as error:
                raise Damaged(str(error)) from error
            except (EOFError, zlib.error) as error:
                raise Damaged(_unreadable(error)) from error
            self._opened = opened.pop_all()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def done(self) -> int:
        """The approximate number of bytes read, if there is a ``size``."""
        return self._capture.read if self._capture is not None else self._base.tell()

    def chunks(self) -> Iterator[Chunk]:
        """Yields the bytes of all streams; anything but a capture is one stream without times.

        Raises:
            Damaged: the rest of the input cannot be read.
        """
        try:
            if self._capture is not None:
                yield from self._capture.chunks()
                return
            connection = RecordedConnection(0, "", "")
            for data in self._bytes() if self.form == "raw" else self._parsed():
                yield Chunk(connection, True, 0.0, data)
            yield Chunk(connection, True, 0.0, end=True)
        except (CaptureError, HexDumpError) as error:
            raise Damaged(str(error)) from error
        except (OSError, EOFError, zlib.error) as error:
            raise Damaged(_unreadable(error)) from error

    def _bytes(self) -> Iterator[bytes]:
        while data := self._file.read1(_PIECE):
            yield data

    def _parsed(self) -> Iterator[bytes]:
        # Invalid text is replaced by a character that does not occur in hex dumps.
        return parse_hex_dump(io.TextIOWrapper(self._file, self._encoding, errors="replace"))


def _standard_input() -> io.BufferedReader:
    return cast(io.BufferedReader, sys.stdin.buffer if sys.stdin is not None else io.BytesIO())


def _open(path: str) -> io.BufferedReader:
    return open(path, "rb")  # noqa: PTH123 - the path as given


def _size(file: io.BufferedReader) -> int | None:
    """The size of a regular file; None for everything else."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _spooled(stream: io.BufferedIOBase) -> Iterator[str]:
    """A copy of the stream in a file, because libpcap reads files; only its owner can read it."""
    with tempfile.TemporaryDirectory(prefix="vfiipc-") as directory:
        path = Path(directory, "capture")
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, _PIECE)
        yield str(path)


def _unreadable(error: BaseException) -> str:
    return f"cannot be read: {describe(error)}"


# --- what it is -----------------------------------------------------------------------------------


class _Growing(io.RawIOBase):
    """A file that is followed: at its end, reading waits for more.

    Raises:
        OSError: it has become shorter, so that what follows cannot be told.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        while not (data := self._file.read1(len(view))):
            if (_size(self._file) or 0) < self._file.tell():
                raise OSError("the file has become shorter")
            time.sleep(_LOOK)
        view[: len(data)] = data
        return len(data)


class _Ahead(io.RawIOBase):
    """A stream whose beginning can be examined before it is read."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._head = b""

    def look(self, is_enough: Callable[[bytes], bool]) -> bytes:
        """The beginning, only as much as needed, so as not to wait for a slow writer."""
        while len(self._head) < _HEAD and not is_enough(self._head):
            if not (data := self._stream.read1(_HEAD)):
                break
            self._head += data
        return self._head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._head or self._stream.read1(len(view))
        taken, self._head = data[: len(view)], data[len(view) :]
        view[: len(taken)] = taken
        return len(taken)


def _unpacked(file: io.BufferedReader, form: str) -> tuple[_Ahead, bool]:
    """The decompressed stream, and whether it was compressed."""
    ahead = _Ahead(file)
    if form == "raw" or not ahead.look(_has_magic).startswith(_GZIP):
        return ahead, False
    return _Ahead(gzip.GzipFile(fileobj=io.BufferedReader(ahead))), True


def _has_magic(head: bytes) -> bool:
    return len(head) >= _MAGIC


def _tells_form(head: bytes) -> bool:
    """Whether the format can be detected; for text, from the first line with digits."""
    if not _has_magic(head):
        return False
    if is_capture(head) or (text := _text(head)) is None:
        return True
    return any(line.strip() and not line.startswith("#") for line in text.split("\n")[:-1])


def _form_of(head: bytes) -> str:
    if is_capture(head):
        return "capture"
    text = _text(head)
    return "hex" if text is not None and looks_like_hex_dump(text) else "raw"


def _encoding(head: bytes) -> str:
    return next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), "utf-8")


def _text(head: bytes) -> str | None:
    """The beginning as text; None if it has control characters, as raw streams do in sizes."""
    text = codecs.getincrementaldecoder(_encoding(head))("replace").decode(head)
    return text if all(char.isprintable() or char in "\t\r\n" for char in text) else None
