"""A progress bar for large files, on a terminal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from ..recording import Chunk
from .failures import INSTALL_CLI
from .sources import Source
from .streams import note, print_through

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["progress"]

_LONG: Final = 8 << 20  # bytes from which on a file is long


def progress(chunks: Iterable[Chunk], source: Source, name: str) -> Generator[Chunk, None, None]:
    """Yields the chunks, and shows on a terminal how much of the source has been read.

    Close the generator when something else fails, so that the bar disappears before the error
    message is printed.
    """
    if source.size is None or source.size < _LONG or not _somebody_looks_on():
        yield from chunks
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        note(f"a progress bar needs rich; {INSTALL_CLI}")
        yield from chunks
        return
    console = Console(stderr=True)
    with ExitStack() as ends:
        bar = ends.enter_context(
            Progress(console=console, transient=True, redirect_stdout=False, redirect_stderr=True)
        )
        if _on_one_terminal():
            ends.enter_context(print_through(_Above(console).write))
        task = bar.add_task(name.rpartition("/")[2], total=source.size)
        for chunk in chunks:
            yield chunk
            bar.update(task, completed=min(source.done, source.size))


class _Above:
    """Writes whole lines above the bar, unchanged: neither wrapped nor cut."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rest = ""

    def write(self, text: str) -> None:
        lines, end, self._rest = (self._rest + text).rpartition("\n")
        if end:
            self._console.out(lines, highlight=False)


def _somebody_looks_on() -> bool:
    """Whether standard error is a terminal that no pager or other program shares."""
    if sys.stderr is None or not sys.stderr.isatty() or sys.stdout is None:
        return False
    try:
        return sys.stdout.isatty() or stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except OSError:  # standard output was replaced by an object without a descriptor
        return False


def _on_one_terminal() -> bool:
    """Whether output and the bar go to the same terminal."""
    if not sys.stdout.isatty():
        return False
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
