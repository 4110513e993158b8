from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import (
    PROGRAM,
    Running,
    accept,
    connect,
    echo,
    listening,
    receive,
    send,
    started,
    unused_address,
    within,
)
from vfiipc.__main__ import main
from vfiipc.codec import encode


@contextmanager
def _between(
    *arguments: str, program: list[str] = PROGRAM
) -> Iterator[tuple[Running, socket.socket, socket.socket]]:
    """The program, the client that is connected to it, and the server that it has connected to."""
    with (
        listening() as (listener, target),
        started("proxy", "0", target, *arguments, program=program) as running,
    ):
        address = running.line().split()[-1]
        with connect(address) as client, accept(listener) as server:
            yield running, client, server


def _all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def test_bytes_pass_unchanged_and_messages_are_printed() -> None:
    with _between("--once") as (running, client, server):
        client.sendall(b"garbage")
        assert server.recv(100) == b"garbage"
        send(client, 7, b"hello")
        assert receive(server) == [(7, b"hello")]
        send(server, 7, b"answer")
        assert receive(client) == [(7, b"answer")]
        client.close()
        assert _all(server) == b""
        server.close()
        status, out, err = running.end()
    assert (status, err) == (0, "")
    shown = out.decode()
    assert "at 0  discarded 7 bytes" in shown
    # Either direction may be printed first, and the first message is shown with the prefix.
    assert shown.count("  prefix 0xc0deface") == 1
    shown = shown.replace("  prefix 0xc0deface", "")
    assert "#1 >  at 7  size 9  msg_id 7  data: 5 bytes\n    hello\n" in shown
    assert "#1 <  at 0  size 10  msg_id 7  data: 6 bytes\n    answer\n" in shown


def test_a_part_of_a_message_passes_at_once() -> None:
    frame = encode(0xC0DEFACE, 1, b"hello")
    with _between() as (_, client, server):
        for at in range(len(frame)):
            client.sendall(frame[at : at + 1])
            assert server.recv(100) == frame[at : at + 1]


def test_the_end_of_one_direction_is_passed_on() -> None:
    with _between() as (_, client, server):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert _all(server) == b"question"
        server.sendall(b"answer")
        server.close()
        assert _all(client) == b"answer"


def test_much_both_ways_at_once() -> None:
    data = os.urandom(1 << 20) * 4
    with _between("--no-payload") as (_, client, server):
        senders = [threading.Thread(target=end.sendall, args=(data,)) for end in (client, server)]
        for sender in senders:
            sender.start()
        with ThreadPoolExecutor() as pool:
            received = list(pool.map(lambda end: _exactly(end, len(data)), (client, server)))
        for sender in senders:
            sender.join()
        assert received == [data, data]


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count and (data := connection.recv(65536)):
        received += data
    return bytes(received)


def test_a_recording_is_private_and_can_be_dumped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "session.pcap"
    with _between("--once", "--record", str(path)) as (running, client, server):
        send(client, 7, b"hello")
        receive(server)
        send(server, 8, b"answer")
        receive(client)
        client.close()
        server.close()
        assert running.end()[0] == 0
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert main(["dump", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out.count("hello") == out.count("answer") == 1
    assert "messages: 2; connections: 1" in err


def test_no_answer_is_recorded_before_its_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "session.pcap")
    with (
        echo("127.0.0.1:0") as (_, target),
        started("proxy", "0", target, "--once", "--no-payload", "--record", path) as running,
    ):
        address = running.line().split()[-1]
        assert main(["bench", address, "--count", "100"]) == 0
        running.end()
    capsys.readouterr()
    assert main(["dump", path, "--json"]) == 0
    asked = set()
    answered = 0
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        if line["to"] == target:
            asked.add(line["position"])
        else:
            assert line["position"] in asked
            answered += 1
    assert answered == len(asked) == 200


def test_a_recording_is_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("precious")
    assert main(["proxy", "0", "127.0.0.1:1", "--record", str(tmp_path / "file")]) == 1
    assert "exists; choose a new file, or remove it" in capsys.readouterr().err
    assert main(["proxy", "0", "127.0.0.1:1", "--record", "/no/such/folder/x"]) == 1
    assert "cannot record to /no/such/folder/x" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of the shell")
@pytest.mark.parametrize("ends", ["once", "Ctrl-C", "SIGTERM"])
def test_traffic_goes_on_when_the_recording_cannot(ends: str, tmp_path: Path) -> None:
    full = tmp_path / "full.pcap"
    options = ["--record", str(full), "--no-payload", *(["--once"] if ends == "once" else [])]
    # Blocks of 512 bytes. Coverage, which could not write its own file either, is told nothing.
    small = within('ulimit -f 32; unset COVERAGE_PROCESS_CONFIG COVERAGE_PROCESS_START; exec "$@"')
    data = os.urandom(4096)
    with _between(*options, program=small) as (running, client, server):
        for here, there in [(client, server), (server, client)] * 10:
            send(here, 1, data)
            assert receive(there) == [(1, data)]
        client.close()
        assert _all(server) == b""
        server.close()
        if ends == "Ctrl-C":
            running.interrupt()
        elif ends == "SIGTERM":
            running.send_signal(signal.SIGTERM)
        status, out, err = running.end()
    assert status == 1
    at_once, at_the_end = err.splitlines()
    assert at_once.startswith(f"vfiipc proxy: recording to {full} failed: file too large; ")
    assert at_the_end == f"vfiipc proxy: the recording {full} is incomplete"
    assert out.count(b"data: 4,096 bytes") == 20


def test_a_port_alone_is_a_target() -> None:
    with listening() as (listener, target):
        port = target.rpartition(":")[2]
        with (
            started("proxy", "0", port) as running,
            connect(running.line().split()[-1]) as client,
            accept(listener) as server,
        ):
            client.sendall(b"hello")
            assert server.recv(100) == b"hello"


def test_an_end_is_passed_on_without_a_descriptor_to_spare() -> None:
    resource = pytest.importorskip("resource")
    with _between() as (running, client, server):
        send(client, 1, b"hello")
        receive(server)
        running.line()  # connected: everything is open
        if sys.platform == "linux":
            pid = running.process.pid
            former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, former[1]))
        client.shutdown(socket.SHUT_WR)
        assert _all(server) == b""


def test_it_cuts_after_so_many_bytes(tmp_path: Path) -> None:
    record = ["--record", str(tmp_path / "session.pcap")]
    with _between("--cut-after", "10", "--once", *record) as (running, client, server):
        client.sendall(b"123456")
        assert server.recv(100) == b"123456"
        server.sendall(b"abcdefgh")
        assert _all(client) == b"abcd"
        assert _all(server) == b""
        assert b"cut after 10 bytes" in running.end()[1]


#: Where Linux's ``struct tcp_info`` counts the segments with data that have arrived.
DATA_SEGS_IN = 152


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_INFO")
def test_it_passes_pieces_on() -> None:
    with _between("--pieces", "3") as (_, client, server):
        client.sendall(b"1234567890")
        client.shutdown(socket.SHUT_WR)
        assert _all(server) == b"1234567890"
        # A busy receiver gets several pieces from one call, but each had a segment of its own.
        told = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGS_IN + 4)
        assert struct.unpack_from("I", told, DATA_SEGS_IN)[0] >= 2


def test_it_delays() -> None:
    with _between("--delay", "0.3") as (_, client, server):
        start = time.monotonic()
        client.sendall(b"1")
        assert server.recv(100) == b"1"
        assert time.monotonic() - start >= 0.3


def test_a_target_that_is_not_there() -> None:
    target = unused_address()
    with started("proxy", "0", target, "--once") as running:
        with connect(running.line().split()[-1]) as client:
            assert _all(client) == b""
        status, out, _ = running.end()
    assert status == 0
    assert f"closed: connection refused: nothing listens at {target}" in out.decode()


def test_ctrl_c_ends_it_with_connections_open() -> None:
    with _between() as (running, client, server):
        send(client, 1, b"hello")
        receive(server)
        running.interrupt()
        assert running.end()[::2] == (130, "")
        assert _all(server) == b""


def test_an_output_that_nobody_reads() -> None:
    with _between() as (running, client, _):
        running.close_output()
        send(client, 1, b"hello")
        assert running.end()[0] == 141
