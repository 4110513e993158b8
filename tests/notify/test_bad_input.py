"""What hostile and careless clients send, to the real server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.notify.raw import RawClient
from tests.notify.servers import Server, server
from vfiipc import notify
from vfiipc.__main__ import main

SECRET = "4111111111111111"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("server")) as started:
        yield started


MALFORMED = {
    "not JSON": f'{{"type":"notify","card":"{SECRET}"'.encode(),
    "not UTF-8": b'{"type":"notify","to":"\xff"}',
    "not an object": f'["{SECRET}"]'.encode(),
    "no type": f'{{"card":"{SECRET}"}}'.encode(),
    "nested 60,000 levels deep": b'{"type":"notify","x":' + b"[" * 60_000,
    "nested 200 levels deep": b'{"type":"x","x":' + b"[" * 200 + b"]" * 200 + b"}",
    "a member that is missing": b'{"type":"notify","from":"a","to":"b","parameter":0}',
    "a member of a wrong type": b'{"type":"register","to":1,"notification":"x"}',
    "an empty ID": b'{"type":"register","to":"","notification":"x"}',
    "an ID of 256 bytes": b'{"type":"register","to":"a","notification":"%b"}' % (b"x" * 256),
    "an empty payload": b"",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_payload_is_ignored(kind: str, running: Server) -> None:  # NFY-M4
    with RawClient.connect(running.tcp) as client:
        for _ in range(3):
            client.send_payload(MALFORMED[kind])
        client.register("me", "x")
        client.notify("s", "me", "x", "still here")
        (came,) = client.sync()
        assert came["parameter"] == "still here"


def test_malformed_payloads_are_logged_once_per_connection(tmp_path: Path) -> None:  # NFY-L2
    with server(tmp_path, mask="255") as started:
        for _ in range(2):
            with RawClient.connect(started.tcp) as client:
                for payload in MALFORMED.values():
                    client.send_payload(payload)
                client.send(type="x" + SECRET, to=SECRET)
                client.notify("a", "nobody", "x", SECRET)
                client.sync()
        log = started.stderr_to_the_end()
    assert log.count("malformed") == 2
    assert "client 1 127.0.0.1:" in log
    assert "sent 42 bytes that are malformed: not JSON; ignored, and so are further faults" in log
    assert SECRET not in log


def test_messages_above_the_limit_are_ignored_and_logged_once(tmp_path: Path) -> None:  # NFY-M9
    def sized(size: int) -> bytes:
        head = b'{"type":"notify","from":"s","to":"me","notification":"x","parameter":"'
        return head + b"x" * (size - len(head) - 2) + b'"}'

    with server(tmp_path) as started:
        with RawClient.connect(started.tcp) as client:
            client.register("me", "x")
            for size in (65537, 65600, 65601, 1 << 20):
                client.send_payload(sized(size))
                assert client.sync() == []
            client.send_payload(sized(65536))
            payload = client.receive_payload()
            assert 65536 < len(payload) <= 65600
            client.unregister("me", "x")
            client.send_payload(payload)  # comes back, although it is above the limit
            (error,) = client.sync()
            assert error["type"] == "unicast_error"
        log = started.stderr_to_the_end()
    assert log.count("\n") == 1
    assert "sent 65537 bytes, 65536 are allowed" in log


def test_bytes_that_are_no_messages(running: Server) -> None:
    with RawClient.connect(running.tcp) as client:
        client.sock.sendall(os.urandom(100_000).replace(b"\0", b"x"))
        assert client.sync() == []


def test_a_register_flood(running: Server) -> None:  # NFY-R4
    with (
        RawClient.connect(running.tcp) as one,
        RawClient.connect(running.tcp) as other,
        RawClient.connect(running.pipe) as local,
    ):
        for number in range(200):
            one.register("one", f"flood {number}")
            other.register("other", f"flood {number}")
            local.register("local", f"flood {number}")
            other.register("other", f"flood {number}")  # replaces
        assert local.sync() == one.sync() == []
        assert other.sync() == []  # dropped silently
        for number in range(200):
            local.notify("s", "one", f"flood {number}")
            local.notify("s", "other", f"flood {number}")
            local.notify("s", "local", f"flood {number}")
        results = [message["type"] for message in local.sync()]
        assert results.count("notify") == 200  # its own
        assert results.count("unicast_error") == 400 - 256
        assert len(one.sync()) + len(other.sync()) == 256


def test_a_client_that_never_reads(tmp_path: Path) -> None:  # NFY-Q1, NFY-Q2, NFY-Q3
    count = 1500

    def read(client: RawClient, numbers: list[int]) -> None:
        while (came := client.receive())["type"] == "notify":
            numbers.append(int(came["parameter"].split()[0]))

    with server(tmp_path) as started:
        with (
            RawClient.connect(started.pipe) as lazy,
            RawClient.connect(started.pipe) as diligent,
            RawClient.connect(started.pipe) as sender,
        ):
            lazy.register("a", "x", 9)
            diligent.register("b", "x")
            lazy.sync()
            diligent.sync()
            inherited: list[int] = []
            reading = threading.Thread(target=read, args=(diligent, inherited))
            reading.start()
            for number in range(count):  # 24 MB: more than the system and the queue hold
                sender.notify("s", "1", "x", f"{number} {'x' * 16000}")
                if number % 100 == 99:
                    assert sender.sync() == []
            diligent.unregister("b", "x")
            diligent.notify("s", "nobody at all", "end")
            reading.join()
            # From some number on, everything went to the other one, in order, once.
            assert inherited[-1] == count - 1
            assert inherited == list(range(inherited[0], count))
            assert 0 < inherited[0] < count
            # Meanwhile the rest works, and the lazy one is gone.
            assert len(lazy.everything()) <= inherited[0]
        log = started.stderr_to_the_end()
    assert "does not read: disconnected, " in log


def test_a_client_that_dies_with_notifications_queued() -> None:  # NFY-Q3
    async def main() -> None:
        async with notify.serve("tcp://127.0.0.1:0", max_queue=100_000) as service:
            (address,) = service.addresses
            loop = asyncio.get_running_loop()
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            sock = socket.create_connection((host, int(port)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            dying = RawClient(sock)
            dying.register("a", "x", 9)
            await loop.run_in_executor(None, dying.sync)
            async with (
                notify.connect(address, app_id="b", drain=0) as heir,
                notify.connect(address, app_id="s", drain=0) as sender,
            ):
                got: list[int] = []
                await heir.register("x", lambda given: got.append(given.parameter[0]))
                await heir.sync(30)
                for number in range(800):
                    await sender.send("1", "x", [number, "x" * 8000])
                await sender.sync(30)
                assert got == []
                dying.sock.close()
                while not got or got[-1] != 799:
                    await asyncio.sleep(0.01)
                assert got == list(range(got[0], 800))

    asyncio.run(asyncio.wait_for(main(), 60))


# The allow list


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The status and the complaint of a server that does not start."""
    status = main(["notifysvc", *arguments])
    out, err = capsys.readouterr()
    assert out == ""
    return status, err


def test_a_wrong_line_refuses_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # NFY-A9
    config = tmp_path / "notify.cfg"
    config.write_text("# rules\nin * * EXT_SYS_*\npermit all\n")
    status, err = refused(capsys, str(config), "--listen", "127.0.0.1:0")
    assert status == 2
    assert err == (
        f"vfiipc notifysvc: {config}, line 3: 'permit' is not a keyword; a line is"
        " `in|out FROM TO NOTIFICATION-ID` or `interface NAME-OR-ADDRESS`"
        " (NOTIFY_ERR_CONFIG_SYNTAX, -5)\n"
    )
    config.write_bytes(b"in * * *\nin * * \xff\n")
    status, err = refused(capsys, str(config), "--listen", "127.0.0.1:0")
    assert status == 2
    assert f"{config}, line 2: not UTF-8 (NOTIFY_ERR_CONFIG_SYNTAX, -5)" in err


def test_a_file_may_begin_with_a_byte_order_mark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "notify.cfg"
    config.write_bytes(b"\xef\xbb\xbfin * * *\nwrong\n")  # a fault, so that it does not start
    status, err = refused(capsys, str(config), "--listen", "127.0.0.1:0")
    assert status == 2
    assert f"{config}, line 2: 'wrong' is not a keyword" in err


@pytest.mark.parametrize("path", ["", "/"])
def test_a_path_that_cannot_be_a_pipe_refuses_to_start(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, err = refused(capsys, "--listen", "127.0.0.1:0", "--pipe", path)
    assert status == 2
    assert err.startswith("vfiipc notifysvc: argument --pipe: ")
    assert err.count("\n") == 1


def test_an_unreadable_file_refuses_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # NFY-A9
    for path in (tmp_path, tmp_path / "missing"):
        status, err = refused(capsys, str(path), "--listen", "127.0.0.1:0")
        assert status == 1
        assert err.startswith(f"vfiipc notifysvc: cannot read {path}: ")
        assert err.endswith("(NOTIFY_ERR_CONFIG_FILE, -4)\n")


def test_what_the_list_does_not_grant_is_refused(tmp_path: Path) -> None:  # NFY-A4, NFY-A6
    config = tmp_path / "notify.cfg"
    config.write_text("in till * status\nout * * status\n")
    with server(tmp_path, str(config)) as started:
        with RawClient.connect(started.tcp) as remote, RawClient.connect(started.pipe) as local:
            remote.register("till", "status")
            remote.register("till", "secret")
            local.register("printer", "status")
            local.register("printer", "secret")
            local.sync()
            remote.notify("till", "printer", "status", "good")
            remote.notify("forged\x1b[2J", "printer", "status", SECRET)
            remote.notify("till", "printer", "secret\n", SECRET)
            remote.notify("till", "*", "secret", SECRET)
            errors = [remote.receive() for _ in range(2)]
            assert [(each["type"], each["from"]) for each in errors] == [
                ("unicast_error", "forged\x1b[2J"),
                ("unicast_error", "till"),
            ]
            assert [each["parameter"] for each in local.sync()] == ["good"]
            local.notify("printer", "till", "secret", SECRET)
            local.notify("printer", "till", "status", "out")
            (error,) = local.sync()
            assert error["notification"] == "secret"
            assert remote.receive()["parameter"] == "out"
        log = started.stderr_to_the_end()
    refused = [line.split(" NFY ")[1] for line in log.splitlines()]
    assert [line.partition(", sent by")[0] for line in refused] == [
        r"not allowed in: status from forged\x1b[2J to printer",
        r"not allowed in: secret\n from till to printer",
        "not allowed in: secret from till to *",
        "not allowed out: secret from printer to till",
    ]
    assert SECRET not in log


def test_the_operating_systems_port_is_refused_once(tmp_path: Path) -> None:  # NFY-S3
    with server(tmp_path) as started:
        status, _, err = run("notifysvc", "--listen", started.tcp)
        assert status == 1
        assert "Address already in use" in err
        status, _, err = run("notifysvc", "--listen", "127.0.0.1:0", "--pipe", started.pipe)
        assert status == 1
        assert err.startswith("vfiipc notifysvc: ")


def test_interfaces(tmp_path: Path) -> None:  # NFY-A2, NFY-A8
    from vfiipc.notify.config import listening_addresses

    parse = notify.parse_allow_list
    assert listening_addresses(None) == ["tcp://127.0.0.1:5899"]
    assert listening_addresses(parse("in * * *")) == ["tcp://:5899"]
    named = listening_addresses(parse("interface 192.0.2.7\ninterface [2001:db8::1]"), 7)
    assert named == ["tcp://127.0.0.1:7", "tcp://192.0.2.7:7", "tcp://[2001:db8::1]:7"]
    assert "tcp://127.0.0.1:7" in listening_addresses(parse("interface lo"), 7)
    with pytest.raises(OSError, match=r"no interface is called 'eth\\x1b'; there are .*lo"):
        listening_addresses(parse("interface eth\x1b"))


def test_importing_the_package_does_not_import_the_service() -> None:
    import sys

    program = "import sys, vfiipc; print([n for n in sys.modules if 'notify' in n])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []
