"""Writing to standard output and standard error, with colours on terminals."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

__all__ = [
    "CLOSED_OUTPUT",
    "OutputFailed",
    "complain",
    "finish_output",
    "flush_output",
    "has_colours",
    "note",
    "one_line",
    "paint",
    "paint_connection",
    "prepare_streams",
    "print_through",
    "say",
    "say_pieces",
    "styled",
    "write_bytes",
]

#: The exit status if the reader of the output has gone: the shell convention (128 + SIGPIPE).
CLOSED_OUTPUT: Final = 141

_STYLES: Final = {"strong": "1", "faint": "2", "good": "32", "bad": "31"}
_CONNECTIONS: Final = ("36", "33", "35", "34", "32", "96", "93", "95")
_PIECE: Final = 1 << 16  # characters that are written at once

#: Functions that write text instead of standard output; the last one counts.
_writers: list[Callable[[str], object]] = []


class OutputFailed(Exception):
    """Standard output cannot be written; ``error`` is the reason."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


def prepare_streams() -> None:
    """Makes every character printable, and opens standard descriptors that are closed.

    Characters that the encoding of the terminal does not have are printed as escapes.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file would get this number, and the output
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """``text`` in colour if its stream wants colours; otherwise unchanged.

    Args:
        text: what to show.
        style: ``strong``, ``faint``, ``good`` or ``bad``.
        stream: the stream that it is for; standard output by default.
    """
    return paint(text, style) if has_colours(stream or sys.stdout) else text


def paint(text: str, style: str) -> str:
    """``text`` in colour, whatever the stream."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def paint_connection(text: str, number: int) -> str:
    """``text`` in the colour of a connection: neighbours have different ones."""
    return f"\x1b[{_CONNECTIONS[number % len(_CONNECTIONS)]}m{text}\x1b[0m"


def has_colours(stream: TextIO | None) -> bool:
    """Whether to use colours: on a terminal that supports them, or if the user asks for them.

    The environment variables ``NO_COLOR`` and ``FORCE_COLOR`` have their usual meaning: each
    applies if it is not empty, ``NO_COLOR`` first.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def one_line(text: str) -> str:
    """Untrusted text on one line: characters that could control a terminal are escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def say(text: str = "") -> None:
    """Prints a line, or several, to standard output and flushes it.

    Raises:
        OutputFailed: it cannot be written.
    """
    say_pieces((text,))


def say_pieces(pieces: Iterable[str], *, end: str = "\n", prompt: bool = True) -> None:
    """Prints a long text in pieces, without holding all of it.

    Args:
        pieces: the text.
        end: printed after the text.
        prompt: whether to flush at once.
    """
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            _write("".join(held))
            held.clear()
            size = 0
    held.append(end)
    _write("".join(held), flush=prompt)


def _write(text: str, *, flush: bool = False) -> None:
    if _writers:
        _writers[-1](text)
        return
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        raise OutputFailed(error) from error


@contextmanager
def print_through(writer: Callable[[str], object]) -> Iterator[None]:
    """Within the ``with`` block, passes text for standard output to ``writer`` instead."""
    _writers.append(writer)
    try:
        yield
    finally:
        _writers.remove(writer)


def note(text: str) -> None:
    """Prints a remark to standard error, so that standard output holds only results."""
    _to_error_stream(styled(one_line(text), "faint", sys.stderr))


def complain(program: str, text: str) -> None:
    """Prints an error message of one line to standard error."""
    _to_error_stream(f"{styled(program, 'bad', sys.stderr)}: {one_line(text)}")


def _to_error_stream(line: str) -> None:
    if sys.stderr is None:  # print() would use standard output instead
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        pass  # there is nowhere to report it


def write_bytes(data: bytes) -> None:
    """Writes bytes to standard output, unchanged; raises as ``say``."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputFailed(error) from error


def flush_output() -> None:
    """Flushes standard output; raises as ``say``."""
    _write("", flush=True)


def finish_output() -> OSError | None:
    """Flushes standard output at the end; returns the error if that fails."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes again at exit, and would print another error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
