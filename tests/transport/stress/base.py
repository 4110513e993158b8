"""What the stress tests share: children, pairs of every transport, and signals that strike.

A scenario is a function that runs in a process of its own, so that a deadlock ends as a failure
with the stacks of all threads. It looks for what must not be and keeps it in a ``Tally``, so that
a failure says how often that happened. ``STRESS_SEED`` chooses other random moments; ``SOAK=1``
makes each scenario twenty times as long.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.helpers.source import ROOT
from vfiipc import IPC, TCP, TLS, Loopback, Message, Pipe, loopback_pair
from vfiipc.transport.tls.errors import interrupted

if TYPE_CHECKING:
    from tests.transport.certificates import Certificates

__all__ = [
    "LIMIT",
    "PATIENCE",
    "PATIENCE_MSEC",
    "PREFIX",
    "TRANSPORTS",
    "Interrupted",
    "Listening",
    "Loop",
    "Striker",
    "Tally",
    "certificates",
    "chance",
    "interrupt",
    "number_of",
    "numbered",
    "pair_of",
    "read",
    "run",
    "until",
]

PREFIX = 0x53545245
LIMIT = 1 << 16
#: Within this time a call that nothing jams has returned, however busy the machine is.
PATIENCE = 3.0
PATIENCE_MSEC = int(PATIENCE * 1000)

#: Every kind of connection: with each of the engines at the first end, for TLS.
TRANSPORTS = ["tcp", "setfd", "loopback", "pipe", "tls-ssl", "tls-openssl"]

_SOAK = os.environ.get("SOAK") == "1"
_SEED = os.environ.get("STRESS_SEED", "1")
# Seconds after which a child is stuck.
_STUCK = 400 if _SOAK else 25
# Problems after which a scenario ends: three of them together still take less than that.
_PROBLEMS = 2
# Seconds between two signals, of which the second is needed seldom.
_AGAIN = 0.005

_CHILD = f"from {__name__} import child; child()"


# --- children


def run(*scenarios: Callable[..., object], arguments: Sequence[str] = ()) -> str:
    """Runs scenarios in a process of their own; fails with what they say, all together.

    Args:
        scenarios: functions of one test module.
        arguments: what each of them gets.

    Returns:
        What they printed.
    """
    names = scenarios[0].__module__, ",".join(one.__name__ for one in scenarios)
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _CHILD, *names, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as process,
    ):
        try:
            status: int | str = process.wait(_STUCK + 10)
        except subprocess.TimeoutExpired:
            status = "is stuck"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has left behind, too
        told = [_end_of(stream) for stream in (out, err)]
    said = f"{names[1]} of {arguments} {status}, STRESS_SEED={_SEED}:\n{told[0][-200:]}\n{told[1]}"
    assert status == 0, said
    return told[0]


def _end_of(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()[-6000:]


def child() -> None:
    """What the process runs."""
    module, names, *arguments = sys.argv[1:]
    faulthandler.dump_traceback_later(_STUCK, exit=True)
    # An exception that strikes a finalizer is swallowed there, and told here.
    sys.unraisablehook = lambda unraisable: None
    told = []
    for name in names.split(","):
        try:
            getattr(importlib.import_module(module), name)(*arguments)
        except SystemExit as problems:
            told.append(f"{name}: {problems}")
    faulthandler.cancel_dump_traceback_later()
    sys.exit("\n".join(told) or None)


def chance(*words: object) -> random.Random:
    """Random numbers that are the same in each run with the same seed."""
    return random.Random(" ".join(map(str, (_SEED, *words))))


class Tally:
    """Counts rounds, for a time, and what went wrong in them.

    Args:
        seconds: how long ``going`` stays true from its first call on.
        least: rounds that have to be made even if that takes longer, as on a busy machine.
    """

    def __init__(self, seconds: float, least: int = 20) -> None:
        self._least = least
        self._seconds = seconds * (20 if _SOAK else 1)
        self._end: float | None = None
        self._latest = 0.0
        self.rounds = 0
        self.problems: list[str] = []

    def going(self) -> bool:
        """Counts a round; False when the time is up, or enough went wrong."""
        now = time.monotonic()
        if self._end is None:
            self._end, self._latest = now + self._seconds, now + 5 * self._seconds
        end = self._end if self.rounds >= self._least else self._latest
        going = self.rounds == 0 or (now < end and len(self.problems) < _PROBLEMS)
        self.rounds += going
        return going

    def check(self, good: object, problem: str) -> bool:
        """Keeps the problem, unless it is good."""
        if not good:
            if not self.problems:
                faulthandler.dump_traceback()  # of the first one: who waits, and where
            self.problems.append(f"round {self.rounds}: {problem}")
            # Waiting for what has not come took this long.
            self._end, self._latest = (self._end or 0.0) + PATIENCE, self._latest + PATIENCE
        return bool(good)

    def report(self) -> None:
        """Ends the process where something went wrong, or nothing was tried."""
        if self.problems or not self.rounds:
            lines = "\n".join(self.problems)
            sys.exit(f"{len(self.problems)} problems in {self.rounds} rounds:\n{lines}")


# --- pairs


def is_torn(ipc: IPC) -> bool:
    """Whether a session of pyOpenSSL was struck inside a step, and says so (IPC-S12, IPC-S13)."""
    return str(ipc.last_error) == str(interrupted())


_certificates = tempfile.TemporaryDirectory(prefix="vfiipc-stress-")


@cache
def certificates() -> Certificates:
    """Certificates for this process."""
    from tests.transport.certificates import Certificates  # half a second, which others save

    return Certificates(Path(_certificates.name))


def pair_of(transport: str) -> tuple[IPC, IPC]:
    """Two new objects that are connected with each other; the first one is of the kind named."""
    if transport == "loopback":
        return loopback_pair()
    if transport == "setfd":
        ends = TCP(), TCP()
        for ipc, sock in zip(ends, socket.socketpair()):
            assert ipc.setFD(sock), ipc.last_error
        return ends
    if transport.startswith("tls"):
        from tests.transport.certificates import tls_pair

        flags = TLS.IGNORE_EXPIRED if transport == "tls-openssl" else TLS.IGNORE_NONE
        return tls_pair(certificates(), lambda ipc: ipc.setCheckConfig(flags))
    with Listening(transport) as (server, connect):
        client = connect(PATIENCE_MSEC)
        accepted = server.accept(PATIENCE_MSEC)
        assert client is not None
        assert accepted is not None, server.last_error
        return client, accepted


Connect = Callable[[int], "IPC | None"]


class Listening:
    """An object that listens, and what makes a client of it: None where that was not possible."""

    def __init__(self, transport: str) -> None:
        self._transport = transport
        self._folder = tempfile.TemporaryDirectory()
        self.folder = self._folder.name
        self.server = self._listening()

    def _listening(self) -> TCP | TLS | Pipe | Loopback:
        if self._transport == "loopback":
            loopback = Loopback()
            assert loopback.listen("stress")
            return loopback
        if self._transport == "pipe":
            pipe = Pipe()
            assert pipe.listen(self._path), pipe.last_error
            return pipe
        server = TLS() if self._transport.startswith("tls") else TCP()
        if isinstance(server, TLS):
            assert server.setKeyCert(*certificates().good)
        assert server.listen(0, "127.0.0.1"), server.last_error
        return server

    @property
    def _path(self) -> str:
        return f"{self._folder.name}/socket"

    def client(self) -> IPC:
        """An object that is ready for ``connect``."""
        made: dict[str, type[IPC]] = {"loopback": Loopback, "pipe": Pipe, "tcp": TCP}
        if not self._transport.startswith("tls"):
            return made[self._transport]()
        client = TLS()
        assert client.addCA(certificates().ca)
        if self._transport == "tls-openssl":
            assert client.setCheckConfig(TLS.IGNORE_EXPIRED), client.last_error
        return client

    def join(self, client: IPC, timeout_msec: int = PATIENCE_MSEC) -> bool:
        """Has the client connect."""
        if isinstance(client, Loopback):
            return client.connect("stress")
        if isinstance(client, Pipe):
            return client.connect(self._path, timeout_msec)
        assert isinstance(client, TCP | TLS)
        return client.connect(self.server.local_addr(), 0, timeout_msec)

    def connect(self, timeout_msec: int = PATIENCE_MSEC) -> IPC | None:
        client = self.client()
        if self.join(client, timeout_msec):
            return client
        client.close()
        return None

    def __enter__(self) -> tuple[TCP | TLS | Pipe | Loopback, Connect]:
        return self.server, self.connect

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self._folder.cleanup()


def numbered(numbers: range) -> list[tuple[int, bytes]]:
    """Messages whose IDs and data tell their number; all of one size."""
    return [(number, b"%08d" % number) for number in numbers]


def number_of(data: bytes | bytearray) -> int:
    """The number that ends a message of ``numbered``, or the bytes of one; -1 for other bytes."""
    end = bytes(data[-8:])
    return int(end) if end.isdigit() else -1


def read(ipc: IPC) -> Message | None:
    """The next message, with patience."""
    return ipc.read_msg(PREFIX, LIMIT, PATIENCE_MSEC)


class Loop:
    """A thread that repeats a call, and counts those that gave something.

    Args:
        call: what to repeat, until ``stop`` is called.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._stopped = False
        self.count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            if self._call():
                self.count += 1
            else:
                time.sleep(0.0002)

    def goes_on(self) -> bool:
        """Whether some more calls give something."""
        enough = self.count + 3
        return until(lambda: self.count >= enough)

    def stop(self) -> bool:
        """Ends it; whether it has ended."""
        self._stopped = True
        self._thread.join(PATIENCE)
        return not self._thread.is_alive()


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.0002)
    return True


# --- signals


class Interrupted(Exception):
    """Raised by the signal handler."""


class Striker:
    """A signal that strikes this thread once, when its time has come.

    Args:
        action: what the signal handler does.
    """

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action
        self.armed = False
        signal.signal(signal.SIGALRM, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self.armed:
            self.armed = False
            self.action()

    def strike(self, work: Callable[[], object], seconds: float) -> bool:
        """Repeats the work until the signal strikes; whether ``Interrupted`` came out of it."""
        try:
            self.armed = True
            # Again and again: Python does not see one that comes just before a call of the system.
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            self._repeat(work)
        except Interrupted:
            return True
        return False

    def _repeat(self, work: Callable[[], object]) -> None:
        # Not inside the `try`: Python 3.13.0 does not count the end of this loop to it.
        while self.armed:
            work()


def interrupt() -> None:
    """An action that raises."""
    raise Interrupted
