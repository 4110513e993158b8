"""Pipe against ``multiprocessing.connection``: Unix sockets, the other end a process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

from vfiipc.transport import Pipe

from .far_end import FarEnd
from .harness import Result, interleave, ratio
from .streams import PREFIX
from .transport import FULL, TINY, Scale

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "run"]

TITLE = "Pipe: speed"
PACKAGES: list[str] = []
INTRODUCTION = """\
Unix sockets; the other end is a separate process. All variants alternate within one run. The
results are medians of the rounds' ratios of elapsed time. A run lasts until the other end has
confirmed that it received the last message. No call has a time-out. Both variants of a comparison
have the same kind of receiver: either that of their own library, or one that only counts bytes."""

NOTE = (
    "The sender is the limit: where the receiver only counts bytes, a `write_msg` takes longer"
    " than a `send_bytes`, which has no header, no turns among several writers and no protection"
    " against a close from another thread. The gain is at the receiver: `recv_bytes` makes two"
    " system calls per message, and `read_msg` one for many messages. `write_msgs` saves system"
    " calls of the sender."
)

_SIZE = 64
_HEADER = {"ours": 12, "theirs": 4}
#: Sends so many messages.
_Send = Callable[[int], None]


def _ours(stack: ExitStack, path: str, role: str) -> tuple[FarEnd, _Send]:
    with Pipe() as server:
        if not server.listen(path):
            raise OSError(server.last_error)
        far_end = stack.enter_context(FarEnd(role, address=path))
        accepted = server.accept(10_000)
    if accepted is None:
        raise OSError(f"nobody came: {server.last_error}")
    pipe = stack.enter_context(accepted)

    def send(count: int) -> None:
        data = bytes(_SIZE)
        for number in range(count):
            if not pipe.write_msg(PREFIX, number, data):
                raise OSError(f"not written: {pipe.last_error}")

    return far_end, send


def _theirs(stack: ExitStack, path: str, role: str) -> tuple[FarEnd, _Send]:
    with Listener(path, "AF_UNIX") as listener:
        far_end = stack.enter_context(FarEnd(role, address=path))
        connection: Any = stack.enter_context(listener.accept())

    def send(count: int) -> None:
        data = bytes(_SIZE)
        for _ in range(count):
            connection.send_bytes(data)

    return far_end, send


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured."""
    cases = {
        "`write_msg` to `read_msg`": ("pipe read_msg", "`send_bytes` to `recv_bytes`", 1.5),
        "`write_msg`, receiver only counts bytes": ("pipe flood", "`send_bytes`, the same", 1.5),
    }
    their_roles = {"pipe read_msg": "pipe multiprocessing", "pipe flood": "pipe flood"}
    ways: dict[str, Callable[[], None]] = {}

    def add(name: str, kind: str, far_end: FarEnd, send: _Send) -> None:
        def way() -> None:
            far_end.expect(scale.small, _SIZE + _HEADER[kind])
            send(scale.small)
            far_end.wait()

        ways[name] = way

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, (ours, (role, theirs, _)) in enumerate(cases.items()):
            add(ours, "ours", *_ours(stack, str(folder / f"ours{number}"), role))
            path = str(folder / f"theirs{number}")
            add(theirs, "theirs", *_theirs(stack, path, their_roles[role]))
        times = interleave(ways, scale.rounds, time.perf_counter)
    for ours, (_, theirs, aim) in cases.items():
        yield Result(
            "One way, 64 B, one send each",
            ours,
            f"multiprocessing.connection: {theirs}",
            *ratio(times, ours, theirs),
            aim=aim,
            rate=f"{scale.small / min(times[ours]) / 1e6:.2f} million/s",
            note=NOTE,
        )
