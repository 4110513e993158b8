"""Standard output and standard error: what is said where, and in which colours."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["CLOSED_OUTPUT", "complain", "finish_output", "note", "say", "styled", "write_bytes"]

#: The exit status of a program whose reader has gone, as shells give it (128 + SIGPIPE).
CLOSED_OUTPUT = 141

_STYLES = {"strong": "1", "faint": "2", "good": "32", "bad": "31"}


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """``text`` in colour where it goes to a terminal that wants some, as it is elsewhere.

    Args:
        text: what to show.
        style: ``strong``, ``faint``, ``good`` or ``bad``.
        stream: where it will go; standard output where none is given.
    """
    if not _has_colours(stream or sys.stdout):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def _has_colours(stream: TextIO | None) -> bool:
    unwanted = "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") == "dumb"
    return stream is not None and stream.isatty() and not unwanted


def say(text: str = "") -> None:
    """A line for whoever reads the output, at once.

    Raises:
        OSError: it cannot be written; BrokenPipeError, when nobody reads it any more.
    """
    print(text, flush=True)


def note(text: str) -> None:
    """A line beside the output, so that pipes carry the output alone."""
    _to_error_stream(styled(text, "faint", sys.stderr))


def complain(program: str, text: str) -> None:
    """What went wrong, in one line."""
    _to_error_stream(f"{styled(program, 'bad', sys.stderr)}: {text}")


def _to_error_stream(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody is left to tell


def write_bytes(data: bytes) -> None:
    """Bytes to standard output, unchanged; errors as for ``say``."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


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
