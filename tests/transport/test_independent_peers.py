"""Peers that share no code with the package: socat, systemd, a program in C."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.processes import line_with, running
from tests.helpers.requirements import program, skip_or_fail
from vfiipc import IPC, TCP, Message, Pipe

PREFIX = 0x01020304
LIMIT = 1 << 20
LONG = 20_000  # milliseconds: long enough for any machine, short enough to tell what went wrong
SIZES = [0, 1, 3, 4, 11, 12, 13, 255, 1460, 4096, 65_523, 65_536, 200_001]
PEER = str(Path(__file__).with_name("peer_on_descriptor_0.py"))
SOURCE = Path(__file__).with_name("peer.c")

#: What socat listens on, and how it is reached.
LISTENING = {
    "ipv4": ("TCP4-LISTEN:0,bind=127.0.0.1", "127.0.0.1"),
    "ipv6": ("TCP6-LISTEN:0,bind=[::1]", "::1"),
}


def socat_echo() -> list[str]:
    """The command that a listening address and ``PIPE`` make an echo of.

    socat writes as soon as the pipe has room for PIPE_BUF (4,096) bytes. A larger piece may block
    then, and nobody reads from the pipe but the same socat: it stalls, with plain sockets too.
    """
    return [program("socat"), "-d", "-d", "-b", "4096"]


def payload(size: int) -> bytes:
    return bytes(i * 31 % 251 for i in range(size))


def exchange(ipc: IPC) -> None:
    """Every message comes back as it was, while more of them are on their way."""
    messages = [Message(number - 3, payload(size)) for number, size in enumerate(SIZES)]
    written: list[bool] = []
    writer = threading.Thread(
        target=lambda: written.append(ipc.write_msgs(PREFIX, messages, timeout_msec=LONG))
    )
    writer.start()
    received = [ipc.read_msg(PREFIX, LIMIT, LONG) for _ in messages]
    writer.join()
    assert written == [True]
    assert received == messages
    assert (ipc.eof(), ipc.error(), ipc.discarded) == (False, False, 0)


def socat_port(process: subprocess.Popen[bytes]) -> int:
    """The port that socat chose, as it tells under ``-d -d``."""
    assert process.stderr is not None
    line = line_with(process.stderr, b"listening on")
    found = re.search(rb":(\d+)\s*$", line)
    assert found, line
    return int(found[1])


def no_ipv6() -> bool:
    with TCP() as ipc:
        return not ipc.listen(0, "::1")


@pytest.fixture(params=list(LISTENING))
def listening(request: pytest.FixtureRequest) -> tuple[str, str]:
    if request.param == "ipv6" and no_ipv6():
        pytest.skip("this machine has no IPv6")
    return LISTENING[request.param]


class TestSocat:
    def test_sends_raw_bytes_and_messages_back(self, listening: tuple[str, str]) -> None:
        address, host = listening
        with (
            running([*socat_echo(), address, "PIPE"]) as process,
            TCP() as ipc,
        ):
            port = socat_port(process)
            assert ipc.connect(host, port, LONG), ipc.last_error
            assert ipc.remote_addr() == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            assert ipc.write(b"plain bytes")
            assert ipc.peek(5, LONG).n > 0
            assert ipc.read(11, LONG, LONG) == b"plain bytes"
            exchange(ipc)

    def test_end_of_stream_comes_after_what_socat_sent(self, listening: tuple[str, str]) -> None:
        host = listening[1]
        kind, target = ("TCP6", "[::1]") if ":" in host else ("TCP4", host)
        with TCP() as server:
            assert server.listen(0, host), server.last_error
            port = server.local_addr().rpartition(":")[2]
            with running([program("socat"), "-", f"{kind}:{target}:{port}"]) as process:
                accepted = server.accept(LONG)
                assert accepted is not None, server.last_error
                with accepted:
                    assert accepted.write(b"to socat\n")
                    assert process.stdout is not None
                    assert process.stdout.readline() == b"to socat\n"
                    output, _ = process.communicate(b"from socat", timeout=20)
                    assert accepted.read(100, LONG, LONG) == b"from socat"
                    assert (accepted.eof(), accepted.error()) == (True, False)
                assert output == b""

    def test_cannot_hold_a_call_with_a_flood(self) -> None:  # IPC-T5
        most = 64 * 65536  # taken after the deadline: IPC-T5
        with TCP() as server:
            assert server.listen(0, "127.0.0.1"), server.last_error
            target = f"TCP4:{server.local_addr()}"
            with running([program("socat"), "-u", "-b", "1048576", "OPEN:/dev/zero", target]):
                accepted = server.accept(LONG)
                assert accepted is not None, server.last_error
                with accepted:
                    taken: list[int] = []
                    while sum(taken) < 3 * most:
                        assert accepted.poll_in(LONG)
                        before = accepted.discarded
                        assert accepted.read_msg(PREFIX, LIMIT, 0) is None
                        taken.append(accepted.discarded - before)
                        assert accepted.poll_in(LONG)
                        taken.append(len(accepted.read(1 << 30, 0)))
                    assert max(taken) <= most
                    assert accepted.read_msg(PREFIX, LIMIT, 30) is None
                    assert (accepted.eof(), accepted.error()) == (False, False)

    def test_gives_its_socket_to_setFD(self, listening: tuple[str, str]) -> None:
        address, host = listening
        child = f"EXEC:{sys.executable} -W error {PEER},nofork"
        with running([program("socat"), "-d", "-d", address, child]) as process:
            port = socat_port(process)
            with TCP() as ipc:
                assert ipc.connect(host, port, LONG), ipc.last_error
                exchange(ipc)
            # It is the child by now, which leaves at the end of the stream.
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()


class TestSocatOverUnixSockets:
    @pytest.mark.parametrize("kind", ["UNIX-LISTEN", "ABSTRACT-LISTEN"])
    def test_sends_raw_bytes_and_messages_back(self, path: Path, kind: str) -> None:
        name = f"\0{path}" if kind.startswith("ABSTRACT") else str(path)
        command = [*socat_echo(), f"{kind}:{path}", "PIPE"]
        with running(command) as process, Pipe() as ipc:
            assert process.stderr is not None
            line_with(process.stderr, b"listening on")
            assert ipc.connect(name, LONG), ipc.last_error
            assert ipc.remote_addr() == f"{process.pid} {os.getuid()} {os.getgid()}"
            assert ipc.write(b"plain bytes")
            assert ipc.read(11, LONG, LONG) == b"plain bytes"
            exchange(ipc)

    @pytest.mark.parametrize("kind", ["UNIX-CONNECT", "ABSTRACT-CONNECT"])
    def test_end_of_stream_comes_after_what_socat_sent(self, path: Path, kind: str) -> None:
        name = f"\0{path}" if kind.startswith("ABSTRACT") else str(path)
        with Pipe() as server:
            assert server.listen(name), server.last_error
            with running([program("socat"), "-", f"{kind}:{path}"]) as process:
                accepted = server.accept(LONG)
                assert accepted is not None, server.last_error
                with accepted:
                    assert accepted.remote_addr() == f"{process.pid} {os.getuid()} {os.getgid()}"
                    assert accepted.write(b"to socat\n")
                    assert process.stdout is not None
                    assert process.stdout.readline() == b"to socat\n"
                    output, _ = process.communicate(b"from socat", timeout=20)
                    assert accepted.read(100, LONG, LONG) == b"from socat"
                    assert (accepted.eof(), accepted.error()) == (True, False)
                assert output == b""


class TestSystemd:
    def test_gives_its_socket_to_setFD(self) -> None:
        with socket_activation() as port:
            for _ in range(2):
                with TCP() as ipc:
                    assert ipc.connect("127.0.0.1", port, LONG), ipc.last_error
                    exchange(ipc)


@contextmanager
def socket_activation() -> Iterator[int]:
    """The port on which systemd waits with the peer; it takes no port 0, so one is tried."""
    activate = [program("systemd-socket-activate"), "--accept", "--inetd", "-l"]
    child = [sys.executable, "-W", "error", PEER]
    seen = b""
    for _ in range(5):
        with TCP() as ipc:
            assert ipc.listen(0, "127.0.0.1")
            address = ipc.local_addr()
        with running([*activate, address, *child]) as process:
            assert process.stderr is not None
            seen = process.stderr.readline()
            if seen.startswith(b"Listening on"):
                yield int(address.rpartition(":")[2])
                return
    raise AssertionError(f"systemd-socket-activate does not listen: {seen!r}")


class Own(NamedTuple):
    """A message that peer.c makes by itself: see ``put_own_messages`` there."""

    number: int

    @property
    def message(self) -> Message:
        size = self.number * self.number * 7 % 5000
        return Message(self.number, bytes((self.number + k) % 256 for k in range(size)))


@pytest.fixture(scope="module")
def c_peer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program in C, built."""
    compiler = program("cc")
    built = str(tmp_path_factory.mktemp("peer") / "peer")
    options = ["-std=gnu99", "-O1", "-Wall", "-Wextra", "-Werror"]
    made = subprocess.run(
        [compiler, *options, "-o", built, str(SOURCE)], capture_output=True, text=True, check=False
    )
    if "cannot find" in made.stderr or "No such file" in made.stderr:
        skip_or_fail(f"cc is there, but not all it needs: {made.stderr.strip()}")
    assert made.returncode == 0, made.stderr
    return built


class TestPeerInC:
    @pytest.mark.parametrize(("count", "piece"), [(40, 7), (300, 4000), (300, 1 << 20)])
    def test_messages_cross_each_other(self, c_peer: str, count: int, piece: int) -> None:
        sizes = [size for size in SIZES if size <= 5000 * piece]
        sent = [Message(number + 1, payload(size)) for number, size in enumerate(sizes)]
        with TCP() as server:
            assert server.listen(0, "127.0.0.1"), server.last_error
            port = server.local_addr().rpartition(":")[2]
            with running([c_peer, port, str(count), str(piece)]) as process:
                ipc = server.accept(LONG)
                assert ipc is not None, server.last_error
                with ipc:
                    ipc.strict = True
                    written: list[bool] = []
                    writer = threading.Thread(
                        target=lambda: written.extend(
                            ipc.write_msg(PREFIX, *message, timeout_msec=LONG) for message in sent
                        )
                    )
                    writer.start()
                    total = count + len(sent)
                    received = [ipc.read_msg(PREFIX, LIMIT, LONG) for _ in range(total)]
                    writer.join()
                    assert written == [True] * len(sent)
                    assert None not in received, ipc.last_error
                    messages = [message for message in received if message is not None]
                    own = [message for message in messages if message.msg_id >= 0]
                    echoed = [Message(-i, data) for i, data in messages if i < 0]
                    assert own == [Own(number).message for number in range(count)]
                    assert echoed == sent
                _, complaint = process.communicate(timeout=20)
                assert (process.returncode, complaint) == (0, b"")

    def test_is_strict_itself(self, c_peer: str) -> None:
        with TCP() as server:
            assert server.listen(0, "127.0.0.1"), server.last_error
            port = server.local_addr().rpartition(":")[2]
            with running([c_peer, port, "0", "4096"]) as process:
                ipc = server.accept(LONG)
                assert ipc is not None, server.last_error
                with ipc:
                    assert ipc.write_msg(PREFIX + 1, 1, b"not what it expects")
                    _, complaint = process.communicate(timeout=20)
                    assert process.returncode == 2
                    assert complaint.startswith(b"bad header")
                    assert ipc.read_msg(PREFIX, LIMIT, LONG) is None
                    assert ipc.eof() or ipc.error()
