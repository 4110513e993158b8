"""``vfiipc notifysvc`` and ``vfiipc notify`` as users run them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.cli.program import run, started, unused_address
from tests.notify.raw import RawClient
from tests.notify.servers import Server, server
from vfiipc.__main__ import main

TIME = r"\d\d:\d\d:\d\d\.\d{6}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("server")) as started_:
        yield started_


def test_watching_shows_what_is_sent(running: Server) -> None:
    watch = ("notify", "watch", "a\x1b", "b", "--app-id", "w", "--server", running.tcp)
    with (
        started(*watch, "--count", "2") as plain,
        started(*watch, "--count", "1", "--json") as for_programs,
        started(*watch, "--count", "1", "--no-payload") as without,
    ):
        for each in (plain, for_programs, without):
            assert each.process.stderr is not None
            assert each.process.stderr.readline().decode().startswith("registered with ")
        send = ("notify", "send", "*", "--server", running.tcp)
        text = '{"amount":1.10, "t":\n"\\u001b\x7f"}'
        assert run(*send, "a\x1b", text, "--flags", "3") == (0, b"", "")
        assert run(*send, "b", "1") == (0, b"", "")
        first, second = plain.end().out.decode().splitlines()
        assert re.fullmatch(
            TIME + r"  vfiipc > \*  a\\x1b  flags 3  \{\"amount\": 1.10, \"t\": \"\\u001b\\x7f\"\}",
            first,
        )
        assert re.fullmatch(TIME + r"  vfiipc > \*  b  1", second)
        line = for_programs.end().out.decode()
        assert '"parameter": {"amount": 1.10, ' in line
        found = json.loads(line)
        assert (found["from"], found["to"], found["notification"]) == ("vfiipc", "*", "a\x1b")
        assert re.fullmatch(TIME + r"  vfiipc > \*  a\\x1b  flags 3\n", without.end().out.decode())


def test_observing(running: Server) -> None:
    pipe = f"pipe://{running.pipe}"
    with started("notify", "observe", "--server", pipe, "--count", "1") as observer:
        assert observer.process.stderr is not None
        assert b"observing" in observer.process.stderr.readline()
        assert run("notify", "send", "*", "seen", '"secret"', "--server", running.tcp).status == 0
        out = observer.end().out.decode()
    assert re.fullmatch(TIME + "  vfiipc > -  seen\n", out)
    status, _, err = run("notify", "observe", "--server", running.tcp)
    assert (status, err) == (
        1,
        "vfiipc notify: only local clients may observe; use --server pipe:///PATH\n",
    )


def test_sending_says_what_came_of_it(running: Server) -> None:
    send = ("notify", "send", "--server", running.tcp, "--timeout", "20")
    status, out, err = run(*send, "nobody\n", "x", "1")
    assert (status, out) == (1, b"")
    assert err.startswith(r"vfiipc notify: nobody got 'x': no application 'nobody\n' has")
    assert err.count("\n") == 1
    assert run(*send, "1", "x", "1", "--reply", "y").status == 1
    with RawClient.connect(running.tcp) as terminal:
        terminal.register("terminal", "REQ")
        terminal.sync()
        with started(*send, "terminal", "REQ", '{"cmd":1}', "--reply", "RESP") as asking:
            assert terminal.receive()["parameter"] == {"cmd": 1}
            terminal.notify("terminal", "vfiipc", "RESP", {"time": "now"})
            assert asking.end() == (0, b'{"time": "now"}\n', "")
        status, _, err = run(*send[:-1], "0.2", "terminal", "REQ", "1", "--reply", "RESP")
        assert (status, err) == (
            1,
            "vfiipc notify: time-out: no reply 'RESP' within 0.2 s\n",
        )
    status, _, err = run("notify", "send", "a", "b", "1", "--server", unused_address())
    assert status == 1
    assert err.startswith("vfiipc notify: connection refused: nothing listens at 127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("send", "a", "b", "{"), "is not JSON"),
        (("send", "a", "b", "1e999 2"), "is not JSON"),
        (("send", "", "b", "1"), "has 0 bytes, but must have 1..255"),
        (("send", "a", "b", "1", "--flags", "-1"), "flags is -1, but must be in 0..4294967295"),
        (("send", "a", "b", "1", "--flags", "x"), "invalid number: 'x'"),
        (("watch", "a", "--priority", "x"), "invalid number: 'x'"),
        (("send", "a", "b", "1", "--app-id", "*"), "means any or all"),
        (("watch",), "required: ID"),
        (("watch", "x" * 256), "has 256 bytes"),
        (("observe", "--server", "x:y"), "is not a port"),
        ((), "required: COMMAND"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notify", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_watcher_notices_the_end_of_the_server(tmp_path: Path) -> None:
    with (
        server(tmp_path) as own,
        started("notify", "watch", "x", "--server", own.tcp) as watching,
    ):
        assert watching.process.stderr is not None
        watching.process.stderr.readline()
        own.running.send_signal(9)
        status, out, err = watching.end()
    assert (status, out) == (1, b"")
    assert err == f"vfiipc notify: {own.tcp} has closed the connection\n"


@pytest.mark.parametrize(("number", "status"), [(2, 130), (15, 143)])
def test_signals_end_the_server_and_its_pipe_goes(number: int, status: int, tmp_path: Path) -> None:
    with server(tmp_path) as own:
        own.running.send_signal(number)
        assert own.running.end() == (status, b"", "")
        assert not Path(own.pipe).exists()


@pytest.mark.long
def test_over_tls(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    options = ("--listen", "tls://127.0.0.1:0", "--cert", str(tmp_path / "own.pem"))
    trusting = ("--ca", str(tmp_path / "ca.pem"))
    with started("notifysvc", *options, *trusting, "--client-auth") as service:
        where = service.line().removeprefix("listening at ")
        assert where.startswith("tls://127.0.0.1:")
        send = ("notify", "send", "*", "x", "1", "--server", where, "--timeout", "20")
        assert run(*send, *trusting, *options[2:]).status == 0
        assert run(*send, *trusting).status == 1  # without a certificate
        assert run(*send).status == 1  # not believed
    status, _, err = run("notifysvc", "--listen", "tls://127.0.0.1:0")
    assert (status, "needs a certificate: --cert, and --key" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--node", "x"), 2, "--node needs --bus URL"),
        (("--bus-key", "x"), 2, "--bus-key needs --bus URL"),
        (("--bus", "nats://x", "--bus-key", "x"), 2, "--bus-key needs --bus-cert"),
        (("--bus", "nats://x", "--bus-nkey", ""), 2, "--bus-nkey: the file name is empty"),
        (("--bus", "nats://127.0.0.1:1", "--bus-nkey", __file__), 1, "invalid seed"),
        (
            ("--bus", "nats://127.0.0.1:1", "--bus-cert", __file__),
            1,
            "contains no certificate in PEM format",
        ),
        (
            ("--bus", "nats://127.0.0.1:1", "--bus-ca", __file__),
            1,
            "contains no certificate in PEM format",
        ),
        (
            ("--bus", "localhost"),
            2,
            "invalid NATS address: it has no scheme; use an address such as",
        ),
        (
            ("--bus", "nats://u:secret@h:x"),
            2,
            "invalid NATS address: the port of 'h' must be in 1..65535",
        ),
        (
            ("--bus", "nats://u:secret@h:99999"),
            2,
            "invalid NATS address: the port of 'h' must be in 1..65535",
        ),
        (("--bus", "nats://u:secret@"), 2, "invalid NATS address: it has no host"),
        (("--bus", "nats://u:secret"), 2, "the port of 'u' must be in 1..65535"),
        (("--bus", "http://u:secret@h"), 2, "invalid NATS address: the scheme is 'http'"),
        (("--bus", "nats://u:secret@[h"), 2, "invalid NATS address: the brackets do not match"),
        (("--bus", "nats://127.0.0.1:1"), 1, "the bus at nats://127.0.0.1:1: Connection refused\n"),
        (("--bus", "nats://x", "--node", ""), 2, "must have 1..255"),
        (("--bus", "nats://x", "--bus-creds", "/none"), 1, "cannot use /none: there is no such"),
        (("--bus", "nats://x", "--bus-ca", "/none"), 1, "cannot use /none: "),
        (("--bus", "nats://user:secret@127.0.0.1:1"), 1, "no connection to the bus at nats://127"),
    ],
)
def test_wrong_options_of_a_bus(
    arguments: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notifysvc", "--listen", "127.0.0.1:0", *arguments]) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert "secret" not in err


def test_nats_is_imported_for_a_bus_only() -> None:
    code = "import sys, vfiipc, vfiipc.notify; print([n for n in sys.modules if n == 'nats'])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout == "[]\n"
