from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.program import run
from vfiipc.__main__ import _COMMANDS as COMMANDS
from vfiipc.__main__ import main
from vfiipc.cli import arguments, links
from vfiipc.codec import MAX_DATA_SIZE, Framer, encode
from vfiipc.transport.addresses import Address


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (links.address, "127.0.0.1:5000", Address("tcp", "127.0.0.1", 5000)),
        (links.address, "tcp://localhost:0", Address("tcp", "localhost", 0)),
        (links.address, "TCP://[::1]:65535", Address("tcp", "::1", 65535)),
        (links.address, "[fe80::1%eth0]:7", Address("tcp", "fe80::1%eth0", 7)),
        (links.address, "5000", Address("tcp", "127.0.0.1", 5000)),
        (links.address, ":5000", Address("tcp", "127.0.0.1", 5000)),
        (links.address, "tls://:5000", Address("tls", "127.0.0.1", 5000)),
        (links.address, "pipe:///run/x", Address("pipe", path="/run/x")),
        (links.peer_address, "localhost:1", Address("tcp", "localhost", 1)),
        (links.peer_address, "5000", Address("tcp", "127.0.0.1", 5000)),
        (arguments.prefix, "0x004E4659", 0x004E4659),
        (arguments.prefix, "5129817", 5129817),
        (arguments.prefix, "1234", 1234),
        (arguments.prefix, "0x12", 0x12),
        (arguments.prefix, "4294967295", 2**32 - 1),
        (arguments.msg_id, "-2147483648", -(2**31)),
        (arguments.msg_id, "0x7f", 0x7F),
        (arguments.msg_id, "-0x1", -1),
        (arguments.limit, "0", 0),
        (arguments.limit, "64K", 65536),
        (arguments.limit, "16m", 16 << 20),
        (arguments.limit, str(MAX_DATA_SIZE), MAX_DATA_SIZE),
        (arguments.timeout, "2.5", 2500),
        (arguments.timeout, "0.0001", 1),
        (arguments.delay, "0", 0.0),
        (arguments.delay, "0.25", 0.25),
        (arguments.count, "0010", 10),
        (arguments.hex_bytes, "00 4e:46 59", bytes.fromhex("004e4659")),
        (arguments.hex_bytes, "", b""),
    ],
)
def test_is_understood(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


def test_characters_are_the_bytes_of_the_prefix_in_their_order() -> None:
    number = arguments.prefix("ADKI")
    assert encode(number, 0, b"").startswith(b"ADKI")
    framer = Framer(arguments.prefix(arguments.show_prefix(number)), 0)
    framer.receive_data(b"ADKI" + encode(number, 3, b"")[4:])
    assert framer.drain() == [(3, b"")]


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (links.address, "localhost", "no port in '"),
        (links.address, "127.0.0.1:80x", "'80x' is not a port"),
        (links.peer_address, ":5000", "no host in"),
        (links.peer_address, "0", "the port must be in 1..65535"),
        (links.address, "[::1]", "use tcp://HOST:PORT"),
        (links.address, "host:5000/path", "use tcp://HOST:PORT"),
        (links.address, "host:" + "9" * 5000, "the port must be in"),
        (links.address, "::1:5000", "an IPv6 address must be in brackets"),
        (links.address, "host:65536", "the port must be in 0..65535"),
        (links.address, "udp://host:1", "invalid address"),
        (links.peer_address, "host:0", "the port must be in 1..65535"),
        (arguments.prefix, "ADK", "invalid prefix: 'ADK'; use a number such as 0xc0deface"),
        (arguments.prefix, "0x1C0DEFACE", "prefix is 7530805966, but must be in 0..4294967295"),
        (arguments.prefix, "0xZZ", "invalid prefix: '0xZZ'"),
        (arguments.prefix, "auto", "dump, listen, proxy, inspect and replay can"),
        (arguments.msg_id, "1_0", "invalid message ID: '1_0'"),
        (arguments.prefix, "-1", "prefix is -1, but must be in 0..4294967295"),
        (arguments.prefix, "9" * 5000, "invalid prefix"),
        (arguments.msg_id, "seven", "invalid message ID: 'seven'"),
        (arguments.msg_id, "2147483648", "but must be in -2147483648..2147483647"),
        (arguments.limit, "-1", "invalid number of bytes: '-1'; use 0..2147483643, for example"),
        (arguments.limit, "2g", "invalid number of bytes: '2g'; use 0..2147483643"),
        (arguments.timeout, "0", "use seconds above 0"),
        (arguments.timeout, "nan", "use seconds above 0"),
        (arguments.timeout, "inf", "use seconds above 0"),
        (arguments.delay, "-1", "invalid delay: '-1'; use seconds from 0"),
        (arguments.delay, "nan", "invalid delay: 'nan'"),
        (arguments.count, "0", "invalid count: '0'; use 1..10000000"),
        (arguments.count, "0000000001" + "5" * 20, "invalid count"),
        (arguments.count, "٣", "invalid count"),
        (links.peer_address, "٣", "no port in '"),
        (arguments.timeout, "soon", "invalid time-out: 'soon'"),
        (arguments.hex_bytes, "0", "use pairs of digits"),
    ],
)
def test_is_refused(parse: Callable[[str], Any], text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        parse(text)
    assert says in str(refused.value)


def test_addresses_are_shown_as_they_are_typed() -> None:
    for text in ("127.0.0.1:5000", "[::1]:0", "localhost:7", "pipe:///run/x", "tls://a:1"):
        assert links.shown(links.address(text)) == text


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "vfiipc: the following arguments are required: COMMAND"),
        (["dance"], "vfiipc: argument COMMAND: invalid choice: 'dance'"),
        (["--nosuch"], "vfiipc: unrecognized arguments: --nosuch"),
        (["notify", "--nosuch"], "vfiipc notify: unrecognized arguments: --nosuch"),
        (["send", "--nosuch=4"], "vfiipc send: unrecognized arguments: --nosuch=4"),
        (["send", "--id", "-4"], "vfiipc send: the following arguments are required: ADDRESS"),
        (["echo", "nowhere"], "vfiipc echo: argument ADDRESS: no port in 'nowhere'"),
        (["echo", "--lim=5"], "vfiipc echo: unrecognized arguments: --lim=5"),
        (["echo", "--prefix", "x"], "vfiipc echo: argument --prefix: invalid prefix: 'x'"),
        (["send"], "vfiipc send: the following arguments are required: ADDRESS"),
        (["send", "h:1", "a", "--hex", "00"], "not allowed with argument"),
        (["send", "h:1", "--id"], "vfiipc send: argument --id: expected one argument"),
        (["send", "h:1", "--ip", "7", "a"], "vfiipc send: unrecognized arguments: --ip a"),
        (["notify", "watch", "x", "--ip"], "vfiipc notify watch: unrecognized arguments: --ip"),
        (["send", "h:1", "--id", "2147483648"], "msg_id is 2147483648, but must be in"),
        (["proxy", "0", "1", "--delay", "-1"], "invalid delay: '-1'; use seconds from 0"),
        (["echo", "--max-connections", "0"], "invalid count: '0'"),
        (["echo", "127.0.0.1:80x"], "'80x' is not a port"),
        (["send", "h:1", "x", "--raw", "--no-answer"], "not allowed with argument"),
        (["demo", "fast"], "vfiipc demo: argument what: invalid choice: 'fast'"),
        (["demo", "echo", "fast"], "vfiipc demo: unrecognized arguments: fast"),
        (["inspect", "1", "2", "3"], "vfiipc inspect: unrecognized arguments: 3"),
        (["inspect", "5701"], "TARGET is missing, and there is no file '5701'"),
        (["inspect", "5701", "x"], "vfiipc inspect: argument TARGET: no port in 'x'"),
        (["inspect", "x", "5701"], "vfiipc inspect: argument LISTEN: no port in 'x'"),
        (["inspect", "x", "--hold", ""], "--hold needs LISTEN and TARGET"),
        (["inspect", "1", "2", "--follow"], "--follow and --format need FILE"),
        (["inspect", "-"], "reads keys from standard input"),
        (["replay", "x", "1", "--connection", "x"], "invalid count: 'x'"),
        (["replay", "x", "1", "--connection", "0"], "invalid count: '0'"),
        (["spec", "--force"], "vfiipc spec: --force needs --to"),
        (["spec", "--to", ""], "argument --to: the file name is empty"),
        (["dump", ""], "argument FILE: the file name is empty"),
        (["send", "h:1", "--file", ""], "argument --file: the file name is empty"),
        (["listen", "--answers", ""], "argument --answers: the file name is empty"),
        (["proxy", "0", "1", "--record", ""], "argument --record: the file name is empty"),
        (["examine", "1", "--html", ""], "argument --html: the file name is empty"),
        (["notifysvc", ""], "argument CONFIG: the file name is empty"),
        (["send", "h:1", "--ca", "x"], "vfiipc send: --ca needs a tls:// address"),
        (["proxy", "0", "1", "--cert", "x"], "vfiipc proxy: --cert needs a tls:// address"),
        (["inspect", "0", "1", "--cert", "x"], "vfiipc inspect: --cert needs a tls:// address"),
        (["dump", "x", "--cert", "x"], "vfiipc dump: unrecognized arguments: --cert x"),
        (["send", "tls://h:1", "--key", "x"], "vfiipc send: --key needs --cert"),
        (["send", "tls://h:1", "--client-auth"], "unrecognized arguments: --client-auth"),
        (["echo", "tls://:1", "--client-auth"], "--client-auth needs --ca"),
        (["proxy", "1", "tls://h:1", "--client-auth"], "needs a tls:// address to listen on"),
        (["notifysvc", "--ca", "x"], "vfiipc notifysvc: --ca needs a tls:// address"),
        (["notify", "observe", "--no-payload"], "unrecognized arguments: --no-payload"),
    ],
)
def test_wrong_arguments_get_one_line(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert err.count("\n") == 1
    assert out == ""


def test_the_program_exits_with_that_status() -> None:
    status, out, err = run("send", "127.0.0.1:0", "hello")
    assert (status, out) == (2, b"")
    assert err == (
        "vfiipc send: argument ADDRESS: '127.0.0.1:0': the port must be in 1..65535 "
        "(see vfiipc send --help)\n"
    )


@pytest.mark.parametrize("command", [[], ["echo"], ["send"], ["demo"]])
def test_help_tells_how(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: {' '.join(['vfiipc', *command])}")
    assert "example" in out or command == ["demo"]
    assert err == ""


@pytest.mark.parametrize(
    "command",
    [
        [],
        *([name] for name in COMMANDS),
        *(["notify", name] for name in ("send", "watch", "observe")),
    ],
    ids=" ".join,
)
def test_help_fits_a_terminal(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command, "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vfiipc ")
