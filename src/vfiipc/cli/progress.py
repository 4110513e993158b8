"""A progress bar for long files, where somebody looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from ..recording import Chunk
from .sources import Source
from .streams import note

__all__ = ["progress"]

_LONG = 8 << 20  # bytes from which on a file is long


def progress(chunks: Iterable[Chunk], source: Source, name: str) -> Iterator[Chunk]:
    """The chunks, while a bar on a terminal shows how far the source has been read."""
    if source.size is None or source.size < _LONG or not _somebody_looks_on():
        yield from chunks
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        note("a progress bar needs rich; install it with: pip install 'vfiipc[cli]'")
        yield from chunks
        return
    # On a terminal the lines of output go above the bar.
    redirect: dict[str, Any] = {"redirect_stdout": sys.stdout.isatty(), "redirect_stderr": True}
    with Progress(console=Console(stderr=True), transient=True, **redirect) as bar:
        task = bar.add_task(name.rpartition("/")[2], total=source.size)
        for chunk in chunks:
            yield chunk
            bar.update(task, completed=min(source.done, source.size))


def _somebody_looks_on() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
