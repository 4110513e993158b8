"""Standard output and standard error: what is said where, and in which colours."""

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

#: The exit status of a program whose reader has gone, as shells give it (128 + SIGPIPE).
CLOSED_OUTPUT: Final = 141

_STYLES: Final = {"strong": "1", "faint": "2", "good": "32", "bad": "31"}
_CONNECTIONS: Final = ("36", "33", "35", "34", "32", "96", "93", "95")
_PIECE: Final = 1 << 16  # characters that are written at once

#: What writes text in place of standard output; see ``print_through``.
_writers: list[Callable[[str], object]] = []


class OutputFailed(Exception):
    """Standard output cannot be written; ``error`` tells why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


def prepare_streams() -> None:
    """Makes every character writable, and keeps files and sockets off the standard descriptors.

    What the encoding of a terminal does not have is written as an escape.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file would get this number, and what is meant for it
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """``text`` in colour where it goes to a terminal that wants some, as it is elsewhere.

    Args:
        text: what to show.
        style: ``strong``, ``faint``, ``good`` or ``bad``.
        stream: where it will go; standard output where none is given.
    """
    return paint(text, style) if has_colours(stream or sys.stdout) else text


def paint(text: str, style: str) -> str:
    """``text`` in colour, wherever it goes."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def paint_connection(text: str, number: int) -> str:
    """``text`` in the colour of a connection: neighbours have different ones."""
    return f"\x1b[{_CONNECTIONS[number % len(_CONNECTIONS)]}m{text}\x1b[0m"


def has_colours(stream: TextIO | None) -> bool:
    """Whether colours are wanted: on a terminal that has them, or where the user says so.

    ``NO_COLOR`` and ``FORCE_COLOR`` are environment variables of that meaning for many programs:
    either counts if it is not empty, ``NO_COLOR`` first.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def one_line(text: str) -> str:
    """Text from outside on one line, with escapes for all that could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def say(text: str = "") -> None:
    """A line, or several, for whoever reads the output, at once.

    Raises:
        OutputFailed: it cannot be written.
    """
    say_pieces((text,))


def say_pieces(pieces: Iterable[str], *, end: str = "\n", prompt: bool = True) -> None:
    """The same for a long text in pieces, of which few are held at a time.

    Args:
        pieces: the text.
        end: what is written behind it.
        prompt: whether somebody may wait for it; otherwise it goes out with what follows.
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
    """Has ``writer`` show all text that is for standard output, meanwhile."""
    _writers.append(writer)
    try:
        yield
    finally:
        _writers.remove(writer)


def note(text: str) -> None:
    """A line beside the output, so that pipes carry the output alone."""
    _to_error_stream(styled(one_line(text), "faint", sys.stderr))


def complain(program: str, text: str) -> None:
    """What went wrong, in one line."""
    _to_error_stream(f"{styled(program, 'bad', sys.stderr)}: {one_line(text)}")


def _to_error_stream(line: str) -> None:
    if sys.stderr is None:  # where print() would take standard output
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody is left to tell


def write_bytes(data: bytes) -> None:
    """Bytes to standard output, unchanged; errors as for ``say``."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputFailed(error) from error


def flush_output() -> None:
    """Has everything out that was said so far; errors as for ``say``."""
    _write("", flush=True)


def finish_output() -> OSError | None:
    """Flushes standard output; why that failed, if it did, and no later noise about it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes once more when it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
