from __future__ import annotations

import socket
import struct
import sys
import threading

import pytest

from tests.cli.program import address_of, connect, echo, receive, send
from vfiipc.__main__ import main


def test_every_message_comes_back() -> None:
    with echo() as (_, address), connect(address) as connection:
        sent = [(7, b"text"), (-1, b""), (0, bytes(100_000))]
        for msg_id, data in sent:
            send(connection, msg_id, data)
        assert receive(connection, 3) == sent


def test_connections_are_served_side_by_side() -> None:
    with echo() as (_, address), connect(address) as first, connect(address) as second:
        for connection in (second, first, second):
            send(connection, 1, b"hello")
            assert receive(connection) == [(1, b"hello")]


def test_it_listens_on_the_loopback_unless_told_otherwise() -> None:
    with echo() as (_, address):
        assert address.startswith("127.0.0.1:")
    with echo("0.0.0.0:0") as (_, address), connect(address.replace("0.0.0.0", "127.0.0.2")):
        pass


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with echo("[::1]:0") as (_, address), connect(address) as connection:
        assert address.startswith("[::1]:")
        send(connection, 1, b"six")
        assert receive(connection) == [(1, b"six")]


def test_it_says_who_came_and_what_was_done() -> None:
    with echo("--limit", "10", "--once") as (running, address):
        with connect(address) as connection:
            own = address_of(connection)
            assert running.line() == f"{own} connected"
            send(connection, 1, b"eleven bytes"[:11])
            send(connection, 2, b"ten bytes!")
            assert receive(connection) == [(2, b"ten bytes!")]
        assert running.line() == f"{own} closed; messages answered: 1; bytes discarded: 23"
        assert running.end() == (0, b"", "")


def test_it_names_its_prefix_if_no_message_has_it() -> None:
    with echo("--prefix", "0x004E4659", "--once") as (running, address):
        with connect(address) as connection:
            own = address_of(connection)
            running.line()
            send(connection, 1, b"status")
        shown = f"{own} closed; messages answered: 0; bytes discarded: 18"
        hint = "no message has the prefix 0x004e4659: try --prefix"
        assert running.line() == f"{shown}; {hint}"


def test_strict_ends_a_connection_at_the_first_byte_out_of_place() -> None:
    with echo("--strict") as (_, address), connect(address) as connection:
        send(connection, 1, b"before")
        assert receive(connection) == [(1, b"before")]
        connection.sendall(b"x")
        assert connection.recv(1) == b""
    with echo() as (_, address), connect(address) as connection:
        connection.sendall(b"x")
        send(connection, 1, b"behind")
        assert receive(connection) == [(1, b"behind")]


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = address_of(taken)
        with pytest.MonkeyPatch.context() as patch:
            said: list[str] = []
            patch.setattr("vfiipc.__main__.complain", lambda *text: said.append(": ".join(text)))
            assert main(["echo", address]) == 1
    assert said == [f"vfiipc echo: cannot listen on {address}: address already in use"]


def test_ctrl_c_while_it_waits_and_while_it_serves() -> None:
    with echo() as (running, _):
        running.interrupt()
        assert running.end() == (130, b"", "")
    with echo() as (running, address), connect(address) as connection:
        send(connection, 1, b"hello")
        assert receive(connection) == [(1, b"hello")]
        running.interrupt()
        status, _, err = running.end()
        assert (status, err) == (130, "")


def test_output_that_nobody_reads() -> None:
    with echo() as (running, address):
        running.close_output()
        with connect(address) as connection:
            assert connection.recv(1) == b""
        status, _, err = running.end()
        assert (status, err) == (141, "")


def test_in_process(capsys: pytest.CaptureFixture[str]) -> None:
    heard = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []

        def hear(text: str) -> None:
            said.append(text)
            heard.set()

        patch.setattr("vfiipc.cli.echo.say", hear)
        server = threading.Thread(target=main, args=(["echo", "--once"],))
        server.start()
        assert heard.wait(30)
        with connect(said[0].split()[-1]) as connection:
            send(connection, 1, b"hello")
            assert receive(connection) == [(1, b"hello")]
        server.join()
    assert said[-1].endswith("closed; messages answered: 1; bytes discarded: 0")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit set from outside")
def test_it_goes_on_after_too_many_open_files() -> None:
    resource = pytest.importorskip("resource")
    with echo() as (running, address):
        pid = running.process.pid
        former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, former[1]))
        with connect(address) as connection:
            assert running.error_line() == "vfiipc echo: cannot accept: too many open files\n"
            resource.prlimit(pid, resource.RLIMIT_NOFILE, former)
            send(connection, 1, b"hello")
            assert receive(connection) == [(1, b"hello")]


def test_a_connection_that_breaks() -> None:
    with echo() as (running, address):
        connection = connect(address)
        assert running.line().endswith("connected")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
        connection.close()
        assert "broke: connection reset by peer; messages answered: 0;" in running.line()
