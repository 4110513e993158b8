"""What the tests of Pipe share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from vfiipc import Pipe

from .suite.base import LIMIT, LONG, PREFIX

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def connected(server: Pipe, path: Path | str) -> tuple[Pipe, Pipe]:
    client = Pipe()
    assert client.connect(path, LONG), client.last_error
    accepted = server.accept(LONG)
    assert accepted is not None, server.last_error
    return client, accepted


def serves(server: Pipe, path: Path | str) -> bool:
    """Whether connections to the path come out at this object."""
    with Pipe() as client:
        if not client.connect(path, LONG):
            return False
        assert client.write_msg(PREFIX, 1, b"who is it?")
        while (accepted := server.accept(0)) is not None:
            with accepted:
                if accepted.read_msg(PREFIX, LIMIT, LONG) == (1, b"who is it?"):
                    return True
    return False


def left_behind(path: Path, kind: int = socket.SOCK_STREAM) -> None:
    """The file of a server that has ended without removing it."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(str(path))


@contextmanager
def full(server: Pipe, path: Path) -> Iterator[None]:
    """Connections wait to be accepted, and no more fit into the queue."""
    with ExitStack() as stack:
        waiting = 0
        while True:
            client = stack.enter_context(Pipe())
            if not client.connect(path, 0):
                break
            waiting += 1
            assert waiting < 100
        yield


def reason(pipe: Pipe) -> tuple[int | None, str]:
    cause = pipe.last_error
    assert isinstance(cause, OSError)
    assert not pipe.error()
    return cause.errno, str(cause)


def descriptors() -> int:
    """How many are open in this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
