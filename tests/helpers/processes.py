"""Other programs that tests talk to, ended whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .source import ROOT


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program with pipes to its standard streams; killed at the end if it still runs."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def line_with(stream: Iterator[bytes], text: bytes) -> bytes:
    """The first line with ``text`` in it; fails with what came instead."""
    seen = []
    for line in stream:
        if text in line:
            return line
        seen.append(line)
    raise AssertionError(f"{text!r} is in none of {seen}")
