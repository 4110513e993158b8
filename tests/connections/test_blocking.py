"""Faults that only connections in threads know: interrupts, hand-overs, sends that stop inside."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import vfiipc
from tests.helpers.requirements import skip_or_fail
from tests.transport.certificates import Certificates
from tests.transport.suite.base import Aside, until
from vfiipc import IPC, TCP, TLS, Connection, ConnectionClosed, Delivery, Message, loopback_pair
from vfiipc.codec import encode

from .drivers import FRAMING, LIMIT, PREFIX, SECONDS, raw

LONG = int(SECONDS * 1000)
#: More than a connection holds on its way, so that a peer that does not read stops the sender.
TOO_MUCH = b"x" * (1 << 25)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a module of this folder, and has it ended."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.connections.{module}", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


Interrupted = Callable[[str], "tuple[TCP, subprocess.Popen[str]]"]


@pytest.fixture
def near_and_far() -> Iterator[tuple[Connection, IPC]]:
    """A connection over TCP, and a plain object at its other end."""
    with TCP() as listener:
        assert listener.listen(0, "127.0.0.1"), listener.last_error
        with vfiipc.connect(f"tcp://{listener.local_addr()}", **FRAMING) as conn:
            peer = listener.accept(LONG)
            assert peer is not None, listener.last_error
            with peer:
                yield conn, peer


class TestSending:
    def test_a_time_out_inside_a_message_closes(self, near_and_far: tuple[Connection, IPC]) -> None:
        # CON-C2
        conn, _ = near_and_far
        with pytest.raises(TimeoutError, match="timed out after"):
            conn.send(TOO_MUCH, timeout=0.1)
        assert conn.closed
        with pytest.raises(ConnectionClosed, match="sent in part"):
            conn.send(b"more")

    def test_a_time_out_before_a_message_does_not(self) -> None:  # CON-C1
        near, far = loopback_pair(capacity=64)
        with far, Connection(near, **FRAMING) as conn:
            conn.send(bytes(52))
            with pytest.raises(TimeoutError, match=r"not sent within 0\.05 s"):
                conn.send(b"more", timeout=0.05)
            with pytest.raises(TimeoutError, match=r"not sent within 0\.05 s"):
                conn.request(b"more", timeout=0.05)
            assert far.read_msg(PREFIX, LIMIT, LONG) == Message(0, bytes(52))
            conn.send(b"after", 5, SECONDS)
            assert far.read_msg(PREFIX, LIMIT, LONG) == Message(5, b"after")

    def test_others_learn_of_a_message_sent_in_part(
        self, near_and_far: tuple[Connection, IPC]
    ) -> None:
        conn, _ = near_and_far
        receiving = Aside(conn.recv).until_blocked()
        sending = Aside(conn.send, TOO_MUCH, 0, 1.0).until_blocked()
        behind = Aside(conn.send, b"more")
        with pytest.raises(TimeoutError):
            sending.result()
        for other in (receiving, behind):
            with pytest.raises(ConnectionClosed):
                other.result()

    def test_close_wakes_a_sender(self, near_and_far: tuple[Connection, IPC]) -> None:
        conn, _ = near_and_far
        sending = Aside(conn.send, TOO_MUCH).until_blocked()
        conn.close()
        with pytest.raises(ConnectionClosed, match="closed on this side"):
            sending.result()


class TestHandingOver:
    def test_a_reader_whose_time_is_up(self, near_and_far: tuple[Connection, IPC]) -> None:
        # CON-R5
        conn, peer = near_and_far
        first = Aside(conn.recv, 1.0).until_blocked()
        others = [Aside(conn.recv, SECONDS).until_blocked() for _ in range(2)]
        asking = Aside(conn.request, b"?", SECONDS).until_blocked()
        with pytest.raises(TimeoutError):
            first.result()
        raw(peer, 0, b"one")
        raw(peer, 1, b"answer")
        raw(peer, 0, b"two")
        assert [other.result().data for other in others] == [b"one", b"two"]
        assert asking.result() == Message(1, b"answer")

    def test_a_reader_that_has_its_answer(self, near_and_far: tuple[Connection, IPC]) -> None:
        # CON-R5
        conn, peer = near_and_far
        asking = [Aside(conn.request, b"%d" % n, SECONDS).until_blocked() for n in range(3)]
        for msg_id, ask in enumerate(asking, 1):
            raw(peer, msg_id, b"answer")
            assert ask.result() == Message(msg_id, b"answer")

    def test_one_that_sleeps_leaves_by_itself(self, near_and_far: tuple[Connection, IPC]) -> None:
        conn, peer = near_and_far
        reading = Aside(conn.recv, SECONDS).until_blocked()
        with pytest.raises(TimeoutError, match="no answer came"):
            conn.request(b"?", 0.05)
        raw(peer, 1, b"late")
        raw(peer, 0, b"mine")
        assert reading.result() == Message(0, b"mine")
        assert conn.late_answers == 1


@pytest.fixture
def interrupted() -> Iterator[Interrupted]:
    """Starts ``interrupted.py``; gives the other end of its connection, and the process."""
    with ExitStack() as stack:

        def started(call: str) -> tuple[TCP, subprocess.Popen[str]]:
            listener = stack.enter_context(TCP())
            assert listener.listen(0, "127.0.0.1"), listener.last_error
            address = f"tcp://{listener.local_addr()}"
            process = stack.enter_context(_process("interrupted", call, address))
            peer = listener.accept(LONG)
            assert peer is not None, listener.last_error
            return stack.enter_context(peer), process

        yield started


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals between processes")
class TestInterrupts:
    """Ctrl-C. The pauses make it likely that it strikes while the call waits; all holds anyhow."""

    @pytest.mark.parametrize("call", ["recv", "sleep", "request"])
    def test_nothing_is_lost(self, interrupted: Interrupted, call: str) -> None:  # CON-C3
        peer, process = interrupted(call)
        while True:
            ready = peer.read_msg(PREFIX, LIMIT, LONG)
            assert ready is not None, peer.last_error
            if ready.data == b"ready":
                break
        half = encode(PREFIX, 0, b"in two parts")
        assert peer.write(half[:15])
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "interrupted\n"
        assert peer.write(half[15:])
        if ready.msg_id:
            raw(peer, ready.msg_id, b"too late")
        raw(peer, 0, b"after it")
        again = peer.read_msg(PREFIX, LIMIT, LONG)
        assert again is not None
        assert again.data == b"again"
        raw(peer, again.msg_id, b"answered")
        late = int(call == "request")
        assert process.stdout.read().split("\n") == [
            "in two parts",
            "after it",
            f"answered {late}",
            "",
        ]
        assert process.wait(SECONDS) == 0

    @pytest.mark.parametrize("call", ["send", "turn"])
    def test_a_send_that_is_interrupted_closes(self, interrupted: Interrupted, call: str) -> None:
        # CON-C2
        peer, process = interrupted(call)
        assert peer.poll_in(LONG)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS)
        assert out.split() == ["ConnectionClosed", "interrupted", "closed"]


class TestLoopback:
    def test_a_clean_end(self) -> None:
        near, far = loopback_pair()
        with Connection(near, **FRAMING) as conn:
            raw(far, 1, b"last")
            far.close()
            assert list(conn) == [Message(1, b"last")]
        assert conn.closed

    def test_a_cut(self) -> None:
        near, far = loopback_pair(second_to_first=Delivery(pieces=1, cut_after=20))
        with far, Connection(near, **FRAMING) as conn:
            raw(far, 1, b"last words")
            with pytest.raises(ConnectionClosed) as caught:
                conn.recv(SECONDS)
            assert caught.value.rest == encode(PREFIX, 1, b"last words")[:20]

    def test_connections_at_both_ends(self) -> None:
        near, far = (Connection(ipc, **FRAMING) for ipc in loopback_pair())
        with near, far:
            asking = Aside(near.request, b"?", SECONDS)
            asked = far.recv(SECONDS)
            far.send(b"!", asked.msg_id)
            assert asking.result() == Message(1, b"!")
            waiting = Aside(far.recv).until_blocked()
            near.close()
            with pytest.raises(ConnectionClosed):
                waiting.result()


def _serve(handler: Any, **keywords: Any) -> vfiipc.Server:
    return vfiipc.serve(handler, "127.0.0.1:0", **(FRAMING | {"grace": 0.1} | keywords))


def _echo(conn: Connection) -> None:
    for message in conn:
        conn.send(message.data, message.msg_id)


class TestServing:
    def test_a_handler_that_hangs_is_left_behind(self, caplog: pytest.LogCaptureFixture) -> None:
        # CON-S6
        go, ended = threading.Event(), threading.Event()

        def hang(conn: Connection) -> None:
            conn.recv()
            go.wait(SECONDS)
            ended.set()

        server = _serve(hang)
        try:
            with vfiipc.connect(server.address, **FRAMING) as conn:
                conn.send(b"go")
                until(lambda: server.connections)
                with caplog.at_level(logging.ERROR, "vfiipc"):
                    server.close()
                with pytest.raises((ConnectionClosed, ConnectionError)):
                    conn.recv(SECONDS)
        finally:
            go.set()
            server.close()
        assert [record.getMessage() for record in caplog.records] == [
            "1 handlers are still running although their connections were closed"
        ]
        assert ended.wait(SECONDS)

    def test_a_handler_may_close_the_server(self) -> None:
        servers: list[vfiipc.Server] = []
        took: list[float] = []

        def end(conn: Connection) -> None:
            message = conn.recv()
            began = time.monotonic()
            servers[0].close()
            took.append(time.monotonic() - began)
            conn.send(b"closed", message.msg_id)

        with _serve(end, grace=SECONDS) as server:
            servers.append(server)
            with vfiipc.connect(server.address, **FRAMING) as conn:
                assert conn.request(b"end", SECONDS).data == b"closed"
        assert took[0] < SECONDS
        assert server.wait_closed(0)

    def test_handlers_get_their_grace(self) -> None:  # CON-S6
        received: list[bytes] = []

        def take(conn: Connection) -> None:
            received.extend(conn.recv().data for _ in range(2))

        server = _serve(take, grace=SECONDS)
        with vfiipc.connect(server.address, **FRAMING) as conn:
            conn.send(b"before")
            until(lambda: received or server.connections)
            closing = Aside(server.close).until_blocked()
            conn.send(b"meanwhile")
            closing.result()
        assert received == [b"before", b"meanwhile"]

    def test_half_a_message_is_a_sign_of_life(self) -> None:  # CON-S5
        whole = encode(PREFIX, 7, b"byte by byte")
        with _serve(_echo, idle_timeout=1.5) as server, TCP() as peer:
            assert peer.connect(server.address.removeprefix("tcp://"), 0, LONG)
            for byte in whole:
                assert peer.write(bytes([byte]), LONG)
                time.sleep(0.1)  # all of it takes longer than the time for idleness
            assert peer.read_msg(PREFIX, LIMIT, LONG) == Message(7, b"byte by byte")

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on descriptors")
    def test_running_out_of_descriptors_is_survived(self) -> None:  # CON-S4
        with _process("short_of_descriptors") as process, ExitStack() as stack:
            assert process.stdout is not None
            address = process.stdout.readline().strip()

            def connect() -> Connection:
                return stack.enter_context(vfiipc.connect(address, timeout=SECONDS, **FRAMING))

            served = [connect() for _ in range(6)]
            for conn in served:
                assert conn.request(b"before", SECONDS).data == b"before"
            assert served[0].request(b"run out", SECONDS).data == b"run out"
            waiting = [connect() for _ in range(3)]
            assert "cannot accept connections, will retry" in process.stdout.readline()
            with ThreadPoolExecutor(6) as pool:

                def ask(conn: Connection) -> None:
                    for number in range(10):
                        assert conn.request(b"%d" % number, SECONDS).data == b"%d" % number

                list(pool.map(ask, served))
            with pytest.raises(TimeoutError):
                waiting[0].request(b"?", 0.3)
            assert served[0].request(b"go on", SECONDS).data == b"go on"
            for conn in waiting:
                assert conn.request(b"served", SECONDS).data == b"served"
            process.kill()
            assert process.stdout.read() == ""

    @pytest.mark.skipif(sys.platform != "linux", reason="needs threads that cannot be")
    def test_running_out_of_threads_is_survived(self, caplog: pytest.LogCaptureFixture) -> None:
        # CON-S4
        with _serve(_echo) as server:
            former = threading.stack_size(1 << 46)  # more than there is memory to address
            try:
                for _ in range(3):
                    with (
                        pytest.raises(ConnectionError),
                        vfiipc.connect(server.address, timeout=SECONDS, **FRAMING) as conn,
                    ):
                        conn.recv(SECONDS)
            finally:
                threading.stack_size(former)
            with vfiipc.connect(server.address, timeout=SECONDS, **FRAMING) as conn:
                assert conn.request(b"served", SECONDS).data == b"served"
        told = [
            record.getMessage()
            for record in caplog.records
            if "cannot accept connections" in record.msg
        ]
        assert len(told) == 1
        assert not told[0].endswith("None")

    @pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
    @pytest.mark.long
    def test_a_thousand_connections_leave_nothing(self) -> None:
        def descriptors() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        with _serve(_echo) as server:

            def use() -> None:
                with vfiipc.connect(server.address, timeout=SECONDS, **FRAMING) as conn:
                    assert conn.request(b"x", SECONDS).data == b"x"

            use()
            until(lambda: not server.connections)
            before = descriptors(), threading.active_count()
            for _ in range(1000):
                use()
            until(lambda: not server.connections and threading.active_count() <= before[1])
            # A signal or two may be kept for the next wait.
            assert descriptors() <= before[0] + 4


def test_a_refused_certificate_is_told_as_what_it_is(certificates: Certificates) -> None:
    key, cert = certificates.good
    tls = TLS()
    assert tls.setKeyCert(key, cert)
    with (
        vfiipc.serve(print, "tls://127.0.0.1:0", tls=tls, grace=0.0, **FRAMING) as server,
        pytest.raises(ssl.SSLCertVerificationError, match="not connected to tls://"),
    ):
        vfiipc.connect(server.address, tls=TLS(), timeout=SECONDS, **FRAMING)


def test_an_unknown_name_is_told_as_what_it_is() -> None:
    with pytest.raises(socket.gaierror, match=r"not connected to tcp://no\.such\.invalid:1"):
        vfiipc.connect("no.such.invalid:1", timeout=SECONDS, **FRAMING)


def test_no_handler_has_to_do_with_a_handshake_that_fails(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:  # CON-S7
    key, cert = certificates.good
    tls, client = TLS(), TLS()
    assert tls.setKeyCert(key, cert)
    assert client.addCA(certificates.ca)
    served: list[Connection] = []
    keywords = FRAMING | {"tls": tls, "grace": SECONDS}
    with (
        caplog.at_level(logging.INFO, "vfiipc"),
        vfiipc.serve(served.append, "tls://127.0.0.1:0", **keywords) as server,
    ):
        host, _, port = server.address.removeprefix("tls://").rpartition(":")
        with socket.create_connection((host, int(port))) as scanner:
            scanner.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while scanner.recv(100):
                pass
        with (
            vfiipc.connect(server.address, tls=client, timeout=SECONDS, **FRAMING) as conn,
            pytest.raises(ConnectionError),
        ):
            conn.recv(SECONDS)
    assert len(served) == 1
    told = [record for record in caplog.records if "failed before it was served" in record.message]
    assert [record.levelno for record in told] == [logging.INFO]


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
def test_greenlets_work_as_threads_do(tmp_path: Path) -> None:
    if find_spec("gevent") is None:
        skip_or_fail("gevent is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.connections.gevent_program", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout.splitlines(), done.returncode) == (["tcp", "tls", "pipe", "by name"], 0), (
        done.stderr
    )
