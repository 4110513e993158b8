from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.program import (
    accept,
    address_of,
    echo,
    listening,
    receive,
    run,
    send,
    started,
    unused_address,
)
from vfiipc.__main__ import main
from vfiipc.cli.arguments import DEFAULT_PREFIX
from vfiipc.testing import ScriptedPeer


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with echo() as (_, address):
        yield address


def _as_tcp(address: str) -> str:
    return f"tcp://{address}"


def test_text_comes_back_as_text(server: str) -> None:
    status, out, err = run("send", _as_tcp(server), "Grüße", "--id", "-7")
    assert (status, out.decode()) == (0, "Grüße\n")
    assert err == "answer: message ID -7, bytes of data: 7\n"


@pytest.mark.parametrize(
    "order",
    [
        "ADDRESS --id 7 TEXT --timeout 30",
        "--id 7 ADDRESS --timeout 30 TEXT",
        "ADDRESS TEXT --id 7",
        "--id 7 -- ADDRESS TEXT",
        "ADDRESS --id 7 -- TEXT",
        "ADDRESS --id=7 TEXT --raw",
    ],
)
def test_options_stand_anywhere(order: str, server: str, capfd: pytest.CaptureFixture[str]) -> None:
    text = "-hello" if "-- " in order else "hello"
    words = [{"ADDRESS": server, "TEXT": text}.get(word, word) for word in order.split()]
    assert main(["send", *words]) == 0
    out, err = capfd.readouterr()
    assert (out.rstrip("\n"), err.split(",")[0]) == (text, "answer: message ID 7")


def test_standard_input_is_sent_when_nothing_else_is_named(server: str) -> None:
    assert run("send", server, data=b"two\nlines\n")[:2] == (0, b"two\nlines\n")
    assert run("send", server, data=b"one\r\ntwo\r\n")[:2] == (0, b"one\r\ntwo\r\n")
    assert run("send", server, "--file", "-", data=b"")[:2] == (0, b"\n")


def test_binary_comes_back_as_a_dump(server: str) -> None:
    status, out, _ = run("send", server, "--hex", "02 00 ff 41")
    assert (status, out) == (0, b"00000000  02 00 ff 41" + b" " * 36 + b"  ...A\n")


def test_raw_bytes_can_be_piped(server: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "request.bin").write_bytes(data)
    assert run("send", server, "--file", str(tmp_path / "request.bin"), "--raw")[:2] == (0, data)
    assert run("send", server, "as it is", "--raw")[:2] == (0, b"as it is")


def test_in_process(server: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["send", server, "hello"]) == 0
    assert main(["send", server, "--hex", "00"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"hello\n00000000  00")
    assert err.count(b"answer: message ID 0") == 2


def test_the_prefix_of_your_choice() -> None:
    with echo("--prefix", "ADKI") as (_, address):
        assert run("send", address, "hi", "--prefix", "0x41444B49")[:2] == (0, b"hi\n")


def test_no_answer_is_waited_for() -> None:
    data = os.urandom(4 << 20)
    with ScriptedPeer(prefix=DEFAULT_PREFIX, size_limit=len(data)) as peer:
        peer.expect(data, msg_id=0)
        assert run("send", peer.address, "--no-answer", data=data) == (0, b"", "")


# --- what can go wrong ----------------------------------------------------------------------------


def test_refused() -> None:
    address = unused_address()
    status, out, err = run("send", address, "hello")
    assert (status, out) == (1, b"")
    assert err == f"vfiipc send: connection refused: nothing listens at {address}\n"


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "h:1", "--file", "no/such/file"]) == 1
    assert main(["send", "h:1", "--file", str(tmp_path)]) == 1
    missing, folder = capsys.readouterr().err.splitlines()
    assert missing == "vfiipc send: cannot read no/such/file: no such file or directory"
    assert folder == f"vfiipc send: cannot read {tmp_path}: is a directory"


def test_unknown_host() -> None:
    status, _, err = run("send", "no-such-host.invalid:1", "hello", "--timeout", "20")
    assert status == 1
    assert err.startswith("vfiipc send: no")
    assert "no-such-host.invalid:1" in err
    assert err.count("\n") == 1


def test_time_out_of_the_answer() -> None:
    with listening() as (_, address):
        status, _, err = run("send", address, "hello", "--timeout", "0.3")
    assert status == 1
    assert err == (
        f"vfiipc send: time-out: no answer from {address} within 0.3 s; "
        "a peer that expects another prefix than 0xc0deface would not answer (--prefix)\n"
    )


@pytest.mark.parametrize("command", ["send", "bench"])
def test_a_prefix_is_suggested_where_the_answer_is_not_recognised(command: str) -> None:
    arguments = ["hello"] if command == "send" else ["--count", "1"]
    with ScriptedPeer(prefix=DEFAULT_PREFIX, size_limit=1 << 20) as peer:
        peer.expect().answer(b"hello", msg_id=7).wrong_prefix(0x004E4659).pieces(12)
        with started(command, peer.address, *arguments, "--timeout", "20") as running:
            suggestion = running.error_line()
            peer.disconnect()
            status, _, err = running.end()
    assert suggestion.endswith("may use prefix 0x004e4659: try --prefix 0x004e4659\n")
    assert status == 1
    assert "it sent 17 bytes that are not a message with this prefix and limit" in err


def test_time_out_of_the_connection(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = address_of(listener)
        waiting = [socket.socket() for _ in range(4)]  # the queue is full, so nobody gets in
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(listener.getsockname())
            assert main(["send", address, "hello", "--timeout", "0.3"]) == 1
        finally:
            for each in waiting:
                each.close()
    said = f"vfiipc send: time-out: no connection to {address} within 0.3 s\n"
    assert capsys.readouterr().err == said


def _closes(connection: socket.socket) -> None:
    receive(connection)


def _resets(connection: socket.socket) -> None:
    receive(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))


def _talks_another_language(connection: socket.socket) -> None:
    receive(connection)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _answers_behind_garbage(connection: socket.socket) -> None:
    receive(connection)
    connection.sendall(b"garbage")
    send(connection, 9, b"answer")


@pytest.mark.parametrize(
    ("serve", "status", "says"),
    [
        (_closes, 1, "closed by the peer: {} closed the connection without an answer"),
        (_resets, 1, "connection to {} broken: connection reset by peer"),
        (_talks_another_language, 1, "that are not a message with this prefix and limit"),
        (_answers_behind_garbage, 0, "bytes discarded before the answer: 7"),
    ],
)
def test_peers_of_all_kinds(
    serve: Callable[[socket.socket], None],
    status: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listening() as (listener, address):

        def serve_one() -> None:
            with accept(listener) as connection:
                serve(connection)

        server = threading.Thread(target=serve_one)
        server.start()
        assert main(["send", address, "hello"]) == status
        server.join()
    assert says.format(address) in capsys.readouterr().err


def test_ctrl_c_while_it_waits_for_the_answer() -> None:
    with (
        listening() as (listener, address),
        started("send", address, "hello") as running,
        accept(listener) as connection,
    ):
        assert receive(connection) == [(0, b"hello")]
        running.interrupt()
        assert running.end() == (130, b"", "")


def test_output_that_nobody_reads() -> None:
    with (
        listening() as (listener, address),
        started("send", address, "hello") as running,
        accept(listener) as connection,
    ):
        receive(connection)
        running.close_output()
        send(connection, 0, b"answer")
        status, _, err = running.end()
    assert status == 141
    assert err == "answer: message ID 0, bytes of data: 6\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal")
def test_ctrl_c_while_it_waits_for_what_is_typed() -> None:
    keyboard, terminal = os.openpty()
    try:
        with started("send", "127.0.0.1:1", stdin=terminal) as running:
            assert "type the message" in running.error_line()
            running.interrupt()
            assert running.end() == (130, b"", "")
    finally:
        os.close(keyboard)
        os.close(terminal)
