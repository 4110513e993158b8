"""Signal handlers that raise while TLS is at work, and forks, at the level of ``TLSStream``."""

from __future__ import annotations

import itertools
import math
import os
import random
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType

import pytest

from vfiipc import TLS
from vfiipc.transport.deadline import Deadline
from vfiipc.transport.lifetime import Lifetime
from vfiipc.transport.system import READ, WRITE
from vfiipc.transport.tls.config import Config
from vfiipc.transport.tls.errors import Check
from vfiipc.transport.tls.ipc import engine_maker
from vfiipc.transport.tls.stream import TLSStream

from .certificates import HOST, Certificates
from .suite.base import LONG, Aside, until

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer"),
    pytest.mark.timeout(60, method="thread"),  # the other method needs the same signal
    # An exception that strikes inside a finalizer is reported, and goes no further.
    pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"),
]

ENGINES = pytest.mark.parametrize(
    "flags", [TLS.IGNORE_NONE, TLS.IGNORE_EXPIRED], ids=["ssl", "pyOpenSSL"]
)
SIZE = 2_000_000
#: Strikes that a test must have seen.
ENOUGH = 10
ROUNDS = 2_000 if os.environ.get("SOAK") else 300


@pytest.fixture
def streams(certificates: Certificates, flags: Check) -> Iterator[tuple[TLSStream, TLSStream]]:
    """A client with the engine that ``flags`` need, and a server; the handshake is complete."""
    key, cert = certificates.good
    server = Config(key_cert=(str(key), str(cert)))
    client = Config(authorities=((str(certificates.ca), None),), ignored=flags)
    made = [engine_maker(client, server=False)(HOST), engine_maker(server, server=True)(None)]
    pair = [
        TLSStream(sock, engine, Lifetime(), remote="", handshake=Deadline(LONG))
        for sock, engine in zip(socket.socketpair(), made, strict=True)
    ]
    shaking = Aside(pair[1].make_handshake, Deadline(LONG))
    pair[0].make_handshake(Deadline(LONG))
    shaking.result()
    yield pair[0], pair[1]
    for stream in pair:
        stream.close()


class _Struck(Exception):
    pass


#: The calls that may be struck.
_targets: set[CodeType] = set()


def _strike(_: int, frame: FrameType | None) -> None:
    while frame is not None and frame.f_code not in _targets:
        frame = frame.f_back
    if frame is not None:
        raise _Struck
    # Too early: this thread has yet to enter the call, however long it had to wait for its turn.
    signal.setitimer(signal.ITIMER_REAL, 1e-4)


def _disarm(before: signal.Handlers | Callable[..., object] | int | None) -> None:
    # First, so that a handler that still runs cannot arm the timer anew.
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def under_fire(work: Callable[[], object], seed: int, most: float = ROUNDS) -> int:
    """Calls ``work`` until it returns True; a signal handler raises now and then. How often?

    That may be never: the work may end before the first signal.
    """
    chance, struck = random.Random(seed), 0
    assert isinstance(work, FunctionType)
    _targets.add(work.__code__)
    before = signal.signal(signal.SIGALRM, _strike)
    try:
        while True:
            try:
                if struck < most:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(2e-5, 4e-4))
                if work():
                    return struck
            except _Struck:
                struck += 1
    finally:
        _disarm(before)


def send_all(stream: TLSStream, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        count = stream.send([rest[:20_000]])
        rest = rest[count:]
        if not count:
            stream.wait(WRITE, 1)


def receive_until_end(stream: TLSStream) -> bytes:
    parts: list[bytes | None] = []
    while not parts or parts[-1] != b"":
        parts.append(stream.receive(65536))
        if parts[-1] is None:
            stream.wait(READ, 1)
    return b"".join(filter(None, parts))


@pytest.mark.parametrize("flags", [Check.IGNORE_NONE], ids=["ssl"])
def test_a_reader_loses_nothing(streams: tuple[TLSStream, TLSStream]) -> None:  # IPC-S12
    reader, writer = streams
    data = random.Random(1).randbytes(SIZE)
    received: list[bytes | None] = []

    def read() -> bool:
        # In one expression of C calls, so that the test itself loses nothing.
        while sum(map(len, filter(None, received))) < SIZE:
            received.extend(map(reader.receive, (30_000,)))
            if received[-1] is None:
                reader.wait(READ, 0.1)
        return True

    struck = 0
    while struck <= ENOUGH:
        received.clear()
        sending = Aside(send_all, writer, data)
        struck += under_fire(read, struck)
        sending.result()
        assert b"".join(filter(None, received)) == data


@ENGINES
def test_a_writer_sends_no_garbage(streams: tuple[TLSStream, TLSStream], flags: Check) -> None:
    # IPC-S12
    writer, reader = streams
    reading = Aside(receive_until_end, reader)
    left: Iterator[int] = itertools.count()

    def write() -> bool:
        for _ in left:
            send_all(writer, bytes(5000))
        return True

    if flags:
        # pyOpenSSL cannot always tell how far it got, and then it says so.
        with pytest.raises(ssl.SSLError, match="interrupted TLS"):
            under_fire(write, 3, math.inf)
        writer.close()
        with pytest.raises(ssl.SSLEOFError):
            reading.result()
    else:
        struck = 0
        while struck <= ENOUGH:
            left = iter(range(400))
            struck += under_fire(write, struck)
        writer.close()
        assert set(reading.result()) == {0}
    writer.close()


@ENGINES
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_closes_leaves_the_session_to_its_parent(
    streams: tuple[TLSStream, TLSStream],
) -> None:  # IPC-S13
    first, second = streams
    send_all(second, b"before")
    child = os.fork()
    if not child:
        first.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    send_all(second, b"after")
    received = bytearray()

    def complete() -> bool:
        received.extend(first.receive(100) or b"")
        return len(received) == 11

    until(complete)
    assert received == b"beforeafter"
    send_all(first, b"answer")
    until(lambda: second.peek(6) == b"answer")


@ENGINES
def test_a_child_gets_a_lock_of_its_own(streams: tuple[TLSStream, TLSStream]) -> None:  # IPC-S13
    first, second = streams
    assert second.send([b"x"]) == 1
    until(lambda: first.peek(1) == b"x")
    first.note_fork()
    assert first.receive(1) == b"x"


@pytest.mark.parametrize("flags", [Check.IGNORE_NONE], ids=["ssl"])
def test_a_handler_may_write_while_its_thread_reads(
    streams: tuple[TLSStream, TLSStream],
) -> None:
    reader, writer = streams
    echoed = Aside(receive_until_end, writer)
    sent: list[int] = []

    def answer(*_: object) -> None:
        sent.append(reader.send([b"y"]))
        signal.setitimer(signal.ITIMER_REAL, 5e-4)

    before = signal.signal(signal.SIGALRM, answer)
    signal.setitimer(signal.ITIMER_REAL, 5e-4)
    try:
        for number in itertools.count():
            assert reader.receive(1) is None
            if number > 20_000 and sum(sent) > 5:
                break
    finally:
        _disarm(before)
    reader.close()
    assert echoed.result() == b"y" * sum(sent)


def test_modules_do_not_import_each_other() -> None:
    from tests.helpers.source import all_sources, imports

    package = "vfiipc.transport.tls"
    sources = [source for source in all_sources() if source.is_in(package)]
    names = frozenset(source.name for source in sources)
    needs = {
        source.name: {target for _, target in imports(source, names) if target in names}
        for source in sources
    }
    assert needs[f"{package}.ipc"] >= {f"{package}.config", f"{package}.openssl_engine"}
    while needs:
        free = [name for name, targets in needs.items() if not targets & needs.keys()]
        assert free, f"a circle of imports among {sorted(needs)}"
        for name in free:
            del needs[name]
