"""What both kinds of connections promise: ``spec/connections.md``."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.transport.certificates import Certificates
from tests.transport.suite.base import until
from vfiipc import IPC, ConnectionClosed, Message
from vfiipc.codec import SyncLostError, encode

from .conftest import Medium
from .drivers import LIMIT, PREFIX, SECONDS, Driver, Hands, raw

# How a peer that closed shows, by what it had not read, and by the transport.
GONE = (ConnectionError, FileNotFoundError)

Pair = Callable[..., tuple[Hands, IPC]]
Served = Callable[..., AbstractContextManager[Any]]


def test_requests_and_messages_through_a_server(
    driver: Driver, medium: Medium, served: Served
) -> None:  # CON-R1, CON-S1
    with served() as server, driver.connect(server.address, *medium.client()) as conn:
        assert conn.request(b"first") == Message(1, b"first")
        assert conn.request(b"") == Message(2, b"")
        conn.send(b"x" * LIMIT, -5)
        assert conn.recv() == Message(-5, b"x" * LIMIT)


def test_thirty_threads_share_a_connection(driver: Driver, medium: Medium, served: Served) -> None:
    # CON-R1
    with (
        served() as server,
        driver.connect(server.address, *medium.client()) as conn,
        ThreadPoolExecutor(30) as pool,
    ):

        def ask(thread: int) -> list[bytes]:
            return [conn.request(b"%d %d" % (thread, count)).data for count in range(20)]

        for thread, answers in enumerate(pool.map(ask, range(30))):
            assert answers == [b"%d %d" % (thread, count) for count in range(20)]


def test_answers_out_of_order_and_never(pair: Pair) -> None:  # CON-R3
    conn, peer = pair()
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(conn.request, b"%d" % n, SECONDS if n % 3 else 0.2) for n in range(30)]
        got = [peer.read_msg(PREFIX, LIMIT, 30_000) for _ in range(30)]
        late = []
        for message in reversed(got):
            assert message is not None
            if int(message.data) % 3:
                raw(peer, message.msg_id, message.data)
            else:
                late.append(message)
        for number, future in enumerate(asked):
            if number % 3:
                assert future.result(SECONDS).data == b"%d" % number
            else:
                with pytest.raises(TimeoutError, match=r"no answer came within 0\.2 s"):
                    future.result(SECONDS)
    for message in late:
        raw(peer, message.msg_id, b"too late")
    raw(peer, 0, b"after them")
    assert conn.recv() == Message(0, b"after them")
    assert conn.connection.late_answers == 10


def test_a_time_out_loses_nothing(pair: Pair) -> None:  # CON-C3
    conn, peer = pair()
    whole = encode(PREFIX, 3, b"in two parts")
    assert peer.write(whole[:15])
    with pytest.raises(TimeoutError, match=r"no message came within 0\.05 s"):
        conn.recv(0.05)
    assert peer.write(whole[15:])
    assert conn.recv() == Message(3, b"in two parts")


def test_a_message_that_is_there_needs_no_time(pair: Pair) -> None:
    conn, peer = pair()
    raw(peer, 1, b"one")
    raw(peer, 2, b"two")
    assert conn.recv().data == b"one"
    assert conn.recv(0).data == b"two"
    with pytest.raises(TimeoutError):
        conn.recv(0)


def test_a_clean_end(driver: Driver, pair: Pair) -> None:  # CON-C4, CON-C6
    conn, peer = pair()
    raw(peer, 1, b"last words")
    peer.close()
    assert driver.messages(conn) == [Message(1, b"last words")]
    with pytest.raises(ConnectionClosed) as caught:
        conn.recv()
    assert caught.value.rest == b""


def test_a_cut_is_told_with_the_rest(driver: Driver, pair: Pair) -> None:  # CON-C4, CON-C6
    conn, peer = pair()
    cut = encode(PREFIX, 9, b"card data")[:-4]
    assert peer.write(encode(PREFIX, 1, b"whole") + cut)
    peer.close()
    assert conn.recv() == Message(1, b"whole")
    with pytest.raises(ConnectionClosed) as caught:
        driver.messages(conn)
    assert caught.value.rest == cut
    assert "card" not in str(caught.value)


def test_the_end_fails_those_who_wait(pair: Pair) -> None:  # CON-C4
    conn, peer = pair()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(conn.request, b"?") for _ in range(2)]
        waiting.append(pool.submit(conn.recv))
        for _ in range(2):
            assert peer.read_msg(PREFIX, LIMIT, 30_000) is not None
        peer.close()
        for future in waiting:
            with pytest.raises(ConnectionClosed):
                future.result(SECONDS)


def test_closing_wakes_those_who_wait(pair: Pair) -> None:  # CON-C7
    conn, peer = pair()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(conn.request, b"?") for _ in range(2)]
        waiting.append(pool.submit(conn.recv))
        for _ in range(2):
            assert peer.read_msg(PREFIX, LIMIT, 30_000) is not None
        conn.close()
        for future in waiting:
            with pytest.raises(ConnectionClosed, match="closed on this side"):
                future.result(SECONDS)
    for call in (lambda: conn.send(b"x"), conn.recv, lambda: conn.request(b"x")):
        with pytest.raises(ConnectionClosed, match="closed on this side"):
            call()


def test_strict_raises_after_the_messages_before(pair: Pair) -> None:  # CON-C5
    conn, peer = pair(strict=True)
    assert peer.write(encode(PREFIX, 1, b"good") + b"garbage!" * 3)
    assert conn.recv() == Message(1, b"good")
    with pytest.raises(SyncLostError):
        conn.recv()


def test_garbage_is_skipped_and_counted(pair: Pair) -> None:
    conn, peer = pair()
    assert peer.write(b"garbage" + encode(PREFIX, 1, b"good"))
    assert conn.recv() == Message(1, b"good")
    assert conn.connection.discarded == 7


@pytest.mark.parametrize("bounds", [{"max_unclaimed": 3}, {"max_unclaimed_size": 3}])
def test_a_full_inbox_fails_requests_and_loses_nothing(pair: Pair, bounds: dict[str, int]) -> None:
    # CON-U1, CON-U2, CON-U3
    conn, peer = pair(**bounds)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(conn.request, b"?")
        assert peer.read_msg(PREFIX, LIMIT, 30_000) is not None
        for number in range(5):
            raw(peer, -number, b"u")
        with pytest.raises(BufferError):
            asked.result(SECONDS)
    with pytest.raises(BufferError):
        conn.request(b"again")
    assert [conn.recv().msg_id for _ in range(5)] == [0, -1, -2, -3, -4]


def test_ids_come_from_the_range(pair: Pair) -> None:  # CON-R2
    conn, peer = pair(request_ids=range(10, 12))
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(conn.request, b"?") for _ in range(2)]
        got = [peer.read_msg(PREFIX, LIMIT, 30_000) for _ in range(2)]
        assert sorted(message.msg_id for message in got if message) == [10, 11]
        with pytest.raises(BufferError, match="all 2 request IDs"):
            conn.request(b"?")
        for msg_id in (11, 10):
            raw(peer, msg_id, b"!")
        assert sorted(future.result(SECONDS).msg_id for future in asked) == [10, 11]


def test_mistakes_raise_at_once_and_harm_nothing(pair: Pair) -> None:
    conn, peer = pair()
    wrong: list[tuple[Callable[[], object], type[Exception]]] = [
        (lambda: conn.send("text"), TypeError),  # type: ignore[arg-type]
        (lambda: conn.send(b"", 1 << 40), ValueError),
        (lambda: conn.request("text"), TypeError),  # type: ignore[arg-type]
        (lambda: conn.recv(-1), ValueError),
        (lambda: conn.recv("1"), TypeError),  # type: ignore[arg-type]
        (lambda: conn.request(b"", -1), ValueError),
    ]
    for call, error in wrong:
        with pytest.raises(error):
            call()
    conn.send(b"fine", 4)
    assert peer.read_msg(PREFIX, LIMIT, 30_000) == Message(4, b"fine")


def test_a_handler_that_raises_harms_nobody(
    driver: Driver, medium: Medium, served: Served, caplog: pytest.LogCaptureFixture
) -> None:  # CON-S2
    with served() as server, driver.connect(server.address, *medium.client()) as other:
        with (
            caplog.at_level(logging.ERROR, "vfiipc"),
            driver.connect(server.address, *medium.client()) as conn,
        ):
            conn.send(b"raise")
            with pytest.raises(GONE):
                conn.recv()
        assert other.request(b"still here").data == b"still here"
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_further_connections_wait(driver: Driver, medium: Medium, served: Served) -> None:  # CON-S3
    with served(max_connections=1) as server, ExitStack() as stack:
        first = stack.enter_context(driver.connect(server.address, *medium.client()))
        assert first.request(b"1").data == b"1"
        with (
            pytest.raises(TimeoutError),  # of the handshake of TLS, or of the request
            driver.connect(server.address, *medium.client(), timeout=0.5) as second,
        ):
            second.request(b"2", 0.2)
        first.close()
        third = stack.enter_context(driver.connect(server.address, *medium.client()))
        assert third.request(b"3").data == b"3"


def test_idle_connections_are_closed(driver: Driver, medium: Medium, served: Served) -> None:
    # CON-S5
    with (
        served(idle_timeout=0.3) as server,
        driver.connect(server.address, *medium.client()) as conn,
    ):
        assert conn.request(b"busy").data == b"busy"
        began = time.monotonic()
        with pytest.raises(GONE):
            conn.recv()
        assert time.monotonic() - began > 0.1


def test_a_closed_server_closes_its_connections(
    driver: Driver, medium: Medium, served: Served
) -> None:  # CON-S6
    with served() as server:
        conn = driver.connect(server.address, *medium.client())
        hands = conn.__enter__()
        assert hands.request(b"x").data == b"x"
    try:
        with pytest.raises(GONE):
            hands.recv()
        with pytest.raises(GONE), driver.connect(server.address, *medium.client()):
            pass
    finally:
        conn.__exit__(None, None, None)


def test_nobody_there(driver: Driver, medium: Medium) -> None:
    listener, address = medium.listener()
    listener.close()
    with pytest.raises(GONE), driver.connect(address, *medium.client()):
        pass


def test_many_connections_leave_nothing(driver: Driver, medium: Medium, served: Served) -> None:
    # CON-A8
    with served() as server:
        for _ in range(3):
            with driver.connect(server.address, *medium.client()) as conn:
                conn.request(b"x")
        threads = threading.active_count()
        for _ in range(50):
            with driver.connect(server.address, *medium.client()) as conn:
                conn.request(b"x")
        until(lambda: server.connections == 0)
        until(lambda: threading.active_count() <= threads + 1)


def test_a_handshake_ends_within_the_idle_time(
    driver: Driver, certificates: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # CON-S7
    medium = Medium("tls", tmp_path, certificates)
    with (
        caplog.at_level(logging.INFO, "vfiipc"),
        driver.serve(
            medium.address, *medium.server(), idle_timeout=0.5, max_connections=3
        ) as server,
        ExitStack() as stack,
    ):
        port = int(server.address.rpartition(":")[2])
        for _ in range(3):  # they take all places, and say nothing
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        until(lambda: server.connections == 3)
        # The handshakes of these have to wait until those of the others are over.
        with driver.connect(server.address, *medium.client(), timeout=SECONDS) as conn:
            assert conn.request(b"x").data == b"x"
    assert len([text for text in caplog.messages if "failed before it was served" in text]) == 3


def test_a_handler_that_ends_the_program_ends_itself_alone(
    driver: Driver, medium: Medium, served: Served, caplog: pytest.LogCaptureFixture
) -> None:  # CON-S2
    with served() as server, driver.connect(server.address, *medium.client()) as other:
        with (
            caplog.at_level(logging.ERROR, "vfiipc"),
            driver.connect(server.address, *medium.client()) as conn,
        ):
            conn.send(b"exit")
            with pytest.raises(GONE):
                conn.recv()
        assert other.request(b"still here").data == b"still here"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is SystemExit


@pytest.mark.parametrize("host", ["till..example", "a" * 64 + ".example"])
def test_a_name_that_cannot_be_encoded(driver: Driver, host: str) -> None:  # CON-A7
    with (
        pytest.raises(OSError, match=r"not connected to .*invalid host name"),
        driver.connect(f"{host}:5000", None, None),
    ):
        pass
    with (
        pytest.raises(OSError, match=r"cannot listen on .*invalid host name"),
        driver.serve(f"{host}:0", None, None),
    ):
        pass


@pytest.mark.parametrize("forever", [10**400, float("inf"), 1e300])
def test_a_very_long_time_is_a_wait_without_end(
    driver: Driver, medium: Medium, served: Served, forever: float
) -> None:
    with (
        served(idle_timeout=forever, grace=forever) as server,
        driver.connect(server.address, *medium.client(), timeout=forever) as conn,
    ):
        assert conn.request(b"x", forever).data == b"x"
        conn.send(b"y", 7, forever)
        assert conn.recv(forever) == Message(7, b"y")
        conn.close()  # or the server waits for its handler


def _listening(folder: Path, scheme: str) -> socket.socket:
    """A socket that a test, or socket activation, has made."""
    if scheme != "pipe":
        return socket.create_server(("127.0.0.1", 0))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "given"))
    listener.listen()
    return listener


def test_a_socket_that_exists_already(driver: Driver, medium: Medium, tmp_path: Path) -> None:
    # CON-A6
    listener = _listening(tmp_path, medium.scheme)
    with driver.serve(None, *medium.server(), sock=listener) as server:
        assert server.address.startswith(f"{medium.scheme}://")
        for _ in range(2):
            with driver.connect(server.address, *medium.client()) as conn:
                assert conn.request(b"x").data == b"x"
    assert listener.fileno() == -1
    if medium.scheme == "pipe":
        assert (tmp_path / "given").exists()  # it belongs to whoever made it


def test_a_socket_that_is_bound_and_does_not_listen_yet(driver: Driver) -> None:  # CON-A6
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    with (
        driver.serve(None, None, None, sock=bound) as server,
        driver.connect(server.address, None, None) as conn,
    ):
        assert conn.request(b"x").data == b"x"


def test_a_descriptor_that_exists_already(driver: Driver, medium: Medium, tmp_path: Path) -> None:
    # CON-A6
    descriptor = _listening(tmp_path, medium.scheme).detach()
    with (
        driver.serve(f"fd://{descriptor}", *medium.server()) as server,
        driver.connect(server.address, *medium.client()) as conn,
    ):
        assert conn.request(b"x").data == b"x"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_descriptor_that_cannot_be_served_stays_as_it_was(driver: Driver, tmp_path: Path) -> None:
    # CON-A6
    near, far = socket.socketpair()
    with near, far, (tmp_path / "file").open("w") as file:
        for descriptor, reason in [
            (near.fileno(), "connected"),
            (file.fileno(), "not a socket|non-socket"),
            (999_999, "[Bb]ad file descriptor"),
        ]:
            text = f"cannot listen on fd://{descriptor}: .*({reason})"
            with pytest.raises(OSError, match=text), driver.serve(f"fd://{descriptor}", None, None):
                pass
        near.send(b"x")
        assert far.recv(1) == b"x"
        os.fstat(file.fileno())


def test_sockets_that_cannot_be_served(driver: Driver, medium: Medium) -> None:  # CON-A6
    near, far = socket.socketpair()
    closed = socket.socket()
    closed.close()
    tls, context = medium.server()
    with (
        near,
        far,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as unix,
        socket.create_server(("127.0.0.1", 0)) as good,
    ):
        wrong: list[tuple[Any, Any, type[Exception]]] = [
            (None, None, TypeError),
            (None, 3, TypeError),
            ("127.0.0.1:0", good, ValueError),
            (None, near, ValueError),
            (None, datagrams, ValueError),
            (None, closed, ValueError),
        ]
        if medium.scheme == "tls":
            wrong.append((None, unix, ValueError))
        for address, sock, error in wrong:
            with pytest.raises(error), driver.serve(address, tls, context, sock=sock):
                pass
        assert good.fileno() >= 0
        assert near.fileno() >= 0
