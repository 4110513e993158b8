from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import (
    ENVIRONMENT,
    PROGRAM,
    TIMEOUT,
    accept,
    echo,
    listening,
    receive,
    run,
    send,
    started,
    unused_address,
    within,
)
from tests.helpers.terminal import at_a_terminal
from vfiipc.cli.talk_input import COMMANDS, HELP, Typed, read_line
from vfiipc.codec import encode

# --- what a line means ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("", ("", None)),
        ("hello", ("send", b"hello")),
        ("Ż ", ("send", "Ż ".encode())),
        ("//hex 00", ("send", b"/hex 00")),
        ("/hex 02 00 ff", ("send", b"\x02\x00\xff")),
        ("/hex", ("send", b"")),
        ('/json {"a":  1.00}', ("send", b'{"a":  1.00}')),
        ("/raw 00", ("raw", b"\0")),
        ("/id -7", ("id", -7)),
        ("/prefix 0x004E4659", ("prefix", 0x004E4659)),
        ("/reconnect", ("reconnect", None)),
        ("/quit", ("quit", None)),
        ("/help ", ("help", None)),
        ("\udcff", ("send", b"\xff")),
    ],
)
def test_a_line_is_understood(line: str, means: tuple[str, object]) -> None:
    assert read_line(line) == means


def test_a_file_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"\0\n")
    assert read_line(f"/file {tmp_path}/a file") == Typed("send", b"\0\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/foo", "/foo is unknown; /help lists the commands, // sends a slash"),
        ("/hex 0", "not hexadecimal"),
        ("/json {", "not JSON: "),
        ("/file no/such", "cannot read no/such: no such file"),
        ("/file \0", "cannot read"),
        ("/id x", "invalid message ID: 'x'"),
        *(
            (f"/{name}{space}", f"/{name} needs an argument: /{name} ")
            for name in ("json", "file", "raw", "id", "prefix")
            for space in ("", " ")
        ),
        ("/prefix auto", "this command cannot detect the prefix"),
        ("/quit now", "/quit takes no argument"),
        ("\ud800", "contains an unpaired surrogate"),
    ],
)
def test_a_line_is_refused(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_line(line)


def test_help_names_every_command() -> None:
    assert all(f"/{name}" in HELP for name in COMMANDS)


# --- without a terminal ---------------------------------------------------------------------------


def test_a_script_holds_a_conversation() -> None:
    with listening() as (listener, address):
        reading, writing = os.pipe()
        with started("talk", address, "--id", "3", stdin=reading) as running:
            os.close(reading)
            with accept(listener) as server:
                os.write(writing, b"hello\n")
                assert receive(server) == [(3, b"hello")]
                send(server, 3, b'{"a": 1.00}')
                answer = json.loads(running.line())
                os.write(writing, b"/id 7\r\n/hex 02 ff\n")
                assert receive(server) == [(7, b"\x02\xff")]
                os.close(writing)  # the end of the input
                send(server, 8, b"late")
                late = json.loads(running.line())
            status, out, err = running.end()
    assert (status, err) == (0, "")
    assert (answer["kind"], answer["msg_id"], answer["text"]) == ("message", 3, '{"a": 1.00}')
    assert (late["msg_id"], late["data"]) == (8, "6c617465")
    assert json.loads(out)["kind"] == "closed"


def test_it_waits_at_the_end_of_the_input_and_no_longer() -> None:
    with echo() as (_, address):
        before = time.monotonic()
        status, out, _ = run("talk", address, "--wait", "0.5", data=b"one\n\n\xff\xfe\ntwo")
        assert time.monotonic() - before < TIMEOUT / 2
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, [line["data"] for line in lines]) == (0, ["6f6e65", "fffe", "74776f"])


def test_quit_and_help_in_a_script() -> None:
    with echo() as (_, address):
        status, out, err = run("talk", address, "--wait", "0.3", data=b"/help\none\n/quit\ntwo\n")
    assert (status, out.count(b"message")) == (0, 1)
    assert "A line is a message" in err


def test_prefix_raw_and_reconnect_in_a_script() -> None:
    frame = encode(0x004E4659, 5, b"other").hex(" ")
    lines = f"/prefix 0x004E4659\n/raw {frame}\n"
    with (
        listening() as (listener, address),
        started("talk", address, "--wait", "0", stdin=subprocess.PIPE) as running,
    ):
        stdin = running.process.stdin
        assert stdin is not None
        with accept(listener) as server:
            send(server, 1, b"usual")
            assert json.loads(running.line())["prefix"] == "0xc0deface"
            stdin.write(lines.encode())
            stdin.flush()
            assert receive(server, prefix=0x004E4659) == [(5, b"other")]
            server.sendall(encode(0x004E4659, 6, b"same"))
            answer = json.loads(running.line())
            stdin.write(b"/reconnect\nagain\n")
            stdin.flush()
            with accept(listener) as other:
                assert receive(other, prefix=0x004E4659) == [(0, b"again")]
                stdin.close()
                assert running.process.wait(TIMEOUT) == 0
    assert (answer["prefix"], answer["position"]) == ("0x004e4659", 17)


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"one\n/foo\n", 2, "vfiipc talk: line 2: /foo is unknown; "),
        (b"/json [\n", 2, "vfiipc talk: line 1: not JSON: unexpected end"),
    ],
)
def test_a_wrong_line_ends_a_script(data: bytes, status: int, says: str) -> None:
    with echo() as (_, address):
        ended = run("talk", address, "--wait", "0.3", data=data)
    assert ended.status == status
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_what_cannot_be_sent_ends_a_script() -> None:
    with (
        listening() as (listener, address),
        started("talk", address, stdin=subprocess.PIPE) as running,
    ):
        accept(listener).close()
        assert json.loads(running.line())["kind"] == "closed"
        assert running.process.stdin is not None
        running.process.stdin.write(b"hello\n")
        running.process.stdin.flush()
        status, _, err = running.end()
    assert status == 1
    assert err == f"vfiipc talk: cannot send to {address}: the connection was closed by the peer\n"


def test_where_nothing_listens() -> None:
    address = unused_address()
    status, out, err = run("talk", address)
    assert (status, out) == (1, b"")
    assert err == f"vfiipc talk: connection refused: nothing listens at {address}\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_closed_input_is_named_by_talk() -> None:
    status, _, err = run("talk", unused_address(), program=within('exec "$@" <&-'))
    assert (status, err) == (
        1,
        "vfiipc talk: standard input is closed; the lines to send are read from it\n",
    )


def test_payloads_can_be_hidden_from_answers() -> None:
    with echo() as (_, address):
        out = run("talk", address, "--wait", "0.3", "--no-payload", data=b"secret\n").out
    assert b"msg_id" in out
    assert b"secret" not in out
    assert b"736563" not in out


def test_an_output_that_nobody_reads_ends_talk() -> None:
    with echo() as (_, address), started("talk", address, stdin=subprocess.PIPE) as running:
        running.close_output()
        stdin = running.process.stdin
        assert stdin is not None
        try:
            while running.process.poll() is None:
                stdin.write(b"hello\n")
                stdin.flush()
                time.sleep(0.05)
        except BrokenPipeError:
            pass
        assert running.process.wait(TIMEOUT) == 141


# --- at a terminal --------------------------------------------------------------------------------


posix = pytest.mark.skipif(os.name != "posix", reason="needs a terminal")


@posix
@pytest.mark.parametrize("edited", [True, False])
def test_a_conversation_at_a_terminal(edited: bool) -> None:
    pytest.importorskip("prompt_toolkit")
    blocked = "import sys; sys.modules['prompt_toolkit'] = None; import vfiipc.__main__ as m; "
    program = PROGRAM if edited else [sys.executable, "-c", f"{blocked} sys.exit(m.main())"]
    env = {**ENVIRONMENT, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    with (
        listening() as (listener, address),
        at_a_terminal([*program, "talk", address], env, TIMEOUT) as terminal,
        accept(listener) as server,
    ):
        wait_for = terminal.wait_for
        wait_for(b"id 0>" if edited else b"editing and recalling lines needs prompt_toolkit")
        terminal.type(b"hello\r")
        assert receive(server) == [(0, b"hello")]
        send(server, 5, b"answer \x1b[2J")
        wait_for(b"msg_id 5")
        wait_for(rb"1b 5b 32 4a")
        if edited:
            terminal.type(b"/id 7\r")
            wait_for(b"id 7>")
            terminal.type(b"\x1b[A\x1b[A\r")  # the first line once more
            assert receive(server) == [(7, b"hello")]
            terminal.type(b"/foo\r")
            wait_for(b"/foo is unknown")
            server.close()
            wait_for(b"closed by the peer")
            terminal.type(b"again\r")
            wait_for(b"/reconnect connects again")
            terminal.type(b"/reconnect\r")
            accept(listener).close()
            wait_for(b"connected to ")
        else:
            terminal.type(b"/foo\r")
            wait_for(b"/foo is unknown")
            terminal.type(b"again\r")
            assert receive(server) == [(0, b"again")]
        terminal.type(b"/quit\r" if edited else b"\x04")
        assert terminal.end() == 0
