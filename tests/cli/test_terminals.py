"""Terminals and pipes of all kinds: none of them ends serving, or is left without a word."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import (
    ENVIRONMENT,
    PROGRAM,
    TIMEOUT,
    accept,
    connect,
    echo,
    listening,
    receive,
    run,
    send,
    started,
    unused_address,
    within,
)
from vfiipc.codec import encode

PREFIX = 0x004E4659
#: What a terminal may say of itself, and how it gets what it does not have.
ENCODINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "replace": {"PYTHONIOENCODING": "ascii:replace"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
PAYLOAD = 'Ż {"a": 1}'.encode()

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell or terminal")


LONG = {"cp1252", "replace"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in ENCODINGS
    ]
)
def terminal(request: pytest.FixtureRequest) -> dict[str, str]:
    return ENCODINGS[request.param]


def test_listen_goes_on_whatever_the_terminal_cannot_show(terminal: dict[str, str]) -> None:
    with started("listen", "0", "--answer", "OK", "--once", env=terminal) as running:
        with connect(running.line().split()[-1]) as client:
            for _ in range(2):
                send(client, 1, PAYLOAD)
                assert receive(client) == [(1, b"OK")]
        status, out, err = running.end()
    assert (status, err) == (0, "")
    assert out.count(b'    \\u017b {"a": 1}\n') == 2


def test_proxy_goes_on_whatever_the_terminal_cannot_show(terminal: dict[str, str]) -> None:
    with (
        listening() as (listener, target),
        started("proxy", "0", target, "--once", env=terminal) as running,
    ):
        with connect(running.line().split()[-1]) as client, accept(listener) as server:
            for here, there in [(client, server), (server, client)] * 2:
                send(here, 1, PAYLOAD)
                assert receive(there) == [(1, PAYLOAD)]
        status, out, err = running.end()
    assert (status, err) == (0, "")
    assert out.count(b'    \\u017b {"a": 1}\n') == 4


def test_depth_stops_no_direction() -> None:
    deep = b"[" * 1200 + b"]" * 1200
    with (
        listening() as (listener, target),
        started("proxy", "0", target, "--json", "--once") as running,
    ):
        with connect(running.error_line().split()[-1]) as client, accept(listener) as server:
            for here, there in [(client, server), (server, client)] * 2:
                send(here, 1, deep)
                assert receive(there) == [(1, deep)]
        status, out, err = running.end()
    assert (status, err) == (0, "")
    assert out.count(b'"json": ' + deep) == 4


def test_send_shows_what_the_terminal_can(terminal: dict[str, str]) -> None:
    with echo() as (_, address):
        status, out, err = run("send", address, env=terminal, data=PAYLOAD)
    assert (status, out) == (0, b'\\u017b {"a": 1}\n')
    assert err == "answer: message ID 0, bytes of data: 11\n"


@pytest.mark.long
def test_dump_and_bench_show_what_the_terminal_can(terminal: dict[str, str]) -> None:
    status, out, _ = run("dump", "-", env=terminal, data=encode(PREFIX, 1, PAYLOAD))
    assert (status, out.count(b"\\u017b")) == (0, 1)
    with echo() as (_, address):
        status, out, err = run("bench", address, "--count", "3", env=terminal)
    assert (status, err, len(out.splitlines())) == (0, "", 10)


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["demo"],
        ["echo"],
        ["listen", "0"],
        ["listen", "0", "--json"],
        ["proxy", "0", "1"],
        ["send", "1", "x"],
        ["dump", __file__],
        ["replay", __file__, "1"],
        ["bench", "1"],
    ],
    ids=" ".join,
)
def test_a_closed_output_is_noticed(arguments: list[str]) -> None:
    status, out, err = run(*arguments, program=within('exec "$@" >&-'))
    assert (status, out) == (1, b"")
    assert err == (
        f"vfiipc {arguments[0]}: standard output is closed; "
        "redirect it to /dev/null to discard it\n"
    )


@posix
def test_what_is_for_standard_error_goes_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "stream").write_bytes(encode(PREFIX, 1, b"hello") * 3)
    closed = within('exec "$@" 2>&-')
    status, out, _ = run("dump", str(tmp_path / "stream"), program=closed)
    assert (status, len(out.splitlines())) == (0, 6)
    assert run("dump", "no/such/file", program=closed)[:2] == (1, b"")
    record = tmp_path / "session.pcap"
    with started("proxy", "0", "1", "--record", str(record), "--once", program=closed) as running:
        with connect(running.line().split()[-1]) as client:
            assert client.recv(1) == b""
        assert running.end()[0] == 0
    assert record.read_bytes()[24:] == b""  # nothing but the header of a capture


@posix
def test_send_needs_an_input() -> None:
    status, out, err = run("send", unused_address(), program=within('exec "$@" <&-'))
    assert (status, out) == (1, b"")
    said = "standard input is closed; give the data with TEXT, --hex or --file"
    assert err == f"vfiipc send: {said}\n"


@posix
@pytest.mark.parametrize("arguments", [["dump", "-"], ["replay", "-", "1"]], ids=" ".join)
def test_a_closed_input_is_named(arguments: list[str]) -> None:
    status, out, err = run(*arguments, program=within('exec "$@" <&-'))
    assert (status, out) == (1, b"")
    assert err == f"vfiipc {arguments[0]}: standard input is closed; name a file\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", ["listen", "proxy", "echo"])
def test_an_output_that_is_full_ends_it(command: str) -> None:
    target = ["1"] if command == "proxy" else []
    status, _, err = run(command, "0", *target, program=within('exec "$@" >/dev/full'))
    assert (status, err) == (1, "vfiipc: cannot write the output: no space left on device\n")


# --- the progress bar -----------------------------------------------------------------------------


def _on_a_terminal(arguments: list[str], stdout: int | None) -> tuple[int, bytes]:
    """The exit status, and what came to a terminal of 60 columns; also the output, if None."""
    import fcntl
    import struct
    import termios

    keyboard, terminal = os.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("@HHHH", 24, 60, 0, 0))
        environment = {**ENVIRONMENT, "TERM": "xterm", "NO_COLOR": "1"}
        with subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=terminal if stdout is None else stdout,
            stderr=terminal,
            env=environment,
        ) as process:
            os.close(terminal)
            terminal = -1
            shown = b""
            while select.select([keyboard], [], [], TIMEOUT)[0]:
                try:
                    shown += os.read(keyboard, 65536)
                except OSError:  # everybody has closed the terminal
                    break
            return process.wait(TIMEOUT), shown
    finally:
        os.close(keyboard)
        if terminal >= 0:
            os.close(terminal)


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments to dump a long file, with a line that is wider than the terminal."""
    path = tmp_path_factory.mktemp("long") / "stream"
    wide = encode(PREFIX, 1, b"w" * 70 + b"  " + b"x" * 70)
    large = encode(PREFIX, 2, bytes(1 << 20))
    path.write_bytes((wide + large) * 9)
    return ["dump", str(path), "--prefix", "0x004E4659", "--show", "256"]


BAR = b"\xe2\x94\x81" * 10  # ━


@posix
def test_no_bar_beside_a_pipe(long_file: list[str]) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as pager:
        assert pager.stdin is not None
        status, shown = _on_a_terminal(long_file, pager.stdin.fileno())
        pager.stdin.close()
    assert (status, shown) == (0, b"messages: 18\r\n")


@posix
def test_a_bar_beside_a_file(long_file: list[str], tmp_path: Path) -> None:
    pytest.importorskip("rich")
    with (tmp_path / "out").open("wb") as out:
        status, shown = _on_a_terminal(long_file, out.fileno())
    assert (status, BAR in shown) == (0, True)
    assert (tmp_path / "out").read_bytes().count(b"w" * 70 + b"  " + b"x" * 70 + b"\n") == 9


@posix
def test_lines_above_a_bar_stay_as_they_are(long_file: list[str]) -> None:
    pytest.importorskip("rich")
    status, shown = _on_a_terminal(long_file, None)
    assert (status, BAR in shown) == (0, True)
    assert shown.count(b"    " + b"w" * 70 + b"  " + b"x" * 70 + b"\r\n") == 9
    assert shown.count(b"... and 1,048,320 bytes more (--show)\r\n") == 9
    assert shown.endswith(b"messages: 18\r\n") or b"messages: 18\r\n" in shown


def test_a_process_without_an_output(monkeypatch: pytest.MonkeyPatch) -> None:
    from vfiipc.__main__ import main

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["demo"]) == 1
