"""What the commands that listen have in common: limits, faults, and how they end."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cli.program import (
    PROGRAM,
    TIMEOUT,
    Running,
    connect,
    echo,
    receive,
    send,
    started,
    within,
)
from vfiipc import IPC, TCP
from vfiipc.cli.serving import Serving
from vfiipc.cli.streams import OutputFailed

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with echo() as (_, address):
        yield address


@contextmanager
def _serving(
    command: str, target: str, *arguments: str, program: list[str] = PROGRAM, where: str = "0"
) -> Iterator[tuple[Running, str]]:
    """One of the commands, all of which answer ``hello`` with ``hello``."""
    more = {"echo": [], "listen": ["--answer", "hello"], "proxy": [target]}[command]
    with started(command, where, *more, *arguments, program=program) as running:
        yield running, running.line().split()[-1]


def _is_served(client: socket.socket) -> bool:
    """Whether it is answered; otherwise it was refused."""
    try:
        send(client, 1, b"hello")
        return receive(client) == [(1, b"hello")]
    except OSError:
        return False


every_command = pytest.mark.parametrize("command", ["echo", "listen", "proxy"])


@posix
@every_command
def test_many_connections_and_few_descriptors(command: str, target: str) -> None:
    few = within('ulimit -n 40; exec "$@"')
    with _serving(command, target, program=few) as (running, address):
        with ExitStack() as opened:
            clients = [opened.enter_context(connect(address)) for _ in range(60)]
            served = [client for client in clients if _is_served(client)]
            assert 3 <= len(served) < 60
            # Those that were refused took nothing from those that are served.
            assert all(_is_served(client) for client in served)
        assert "refusing connections: no descriptors for more than " in running.error_line()
        end = time.monotonic() + TIMEOUT
        while True:  # until the threads of the former ones have ended
            with connect(address) as client:
                if _is_served(client):
                    break
            assert time.monotonic() < end
        assert running.process.poll() is None


@every_command
def test_further_connections_wait(command: str, target: str) -> None:
    with (
        _serving(command, target, "--max-connections", "2") as (_, address),
        connect(address) as first,
        connect(address) as second,
        connect(address) as third,
    ):
        assert _is_served(second)
        assert _is_served(first)
        send(third, 1, b"hello")
        third.settimeout(0.3)
        with pytest.raises(TimeoutError):
            third.recv(1)
        third.settimeout(TIMEOUT)
        first.close()
        assert receive(third) == [(1, b"hello")]
        assert _is_served(second)


@posix
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("SIGTERM", 143),
        pytest.param("SIGHUP", 129, marks=pytest.mark.long),
        pytest.param("SIGINT", 130, marks=pytest.mark.long),
    ],
)
@every_command
def test_the_file_of_a_socket_goes(
    command: str, name: str, status: int, target: str, tmp_path: Path
) -> None:
    place = f"pipe://{tmp_path}/terminal"
    with (
        _serving(command, target, where=place) as (running, address),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(TIMEOUT)
        client.connect(address.removeprefix("pipe://"))
        assert _is_served(client)
        running.send_signal(getattr(signal, name))
        ended, _, err = running.end()
    assert (ended, err) == (status, "")
    assert not (tmp_path / "terminal").exists()


@posix
def test_nohup_is_respected(target: str) -> None:
    deaf = within("""trap "" HUP; exec "$@" """)
    with _serving("echo", target, program=deaf) as (running, address):
        running.send_signal(signal.SIGHUP)
        with connect(address) as client:
            assert _is_served(client)
        running.send_signal(signal.SIGTERM)
        assert running.end()[::2] == (143, "")


@pytest.mark.skipif(sys.platform != "linux", reason="names outside the file system")
@every_command
def test_names_of_peers_cannot_steer_the_terminal(
    command: str, target: str, tmp_path: Path
) -> None:
    name = f"\0{os.getpid()}\n\x1b[2Jforged"
    with _serving(command, target, "--once", where=f"pipe://{tmp_path}/it") as (running, address):
        with socket.socket(socket.AF_UNIX) as client:
            client.bind(name)
            client.settimeout(TIMEOUT)
            client.connect(address.removeprefix("pipe://"))
            assert _is_served(client)
        status, out, err = running.end()
    assert (status, err) == (0, "")
    assert b"\x1b" not in out
    assert not [line for line in out.splitlines() if line.startswith(b"forged")]


# --- whose fault it is ----------------------------------------------------------------------------


def _serve_in_process(handle: Callable[[IPC, int], None], use: Callable[[str], None]) -> None:
    """Serves while ``use`` connects, which has to end it."""
    with TCP() as listener:
        assert listener.listen(0, "127.0.0.1")
        options = argparse.Namespace(once=False, max_connections=10)
        serving = Serving("test", listener, handle, options)
        user = threading.Thread(target=use, args=(listener.local_addr(),))
        user.start()
        with pytest.raises(OutputFailed, match="the end"):
            serving.serve()
        user.join(TIMEOUT)
        assert not user.is_alive()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(24, "Too many open files"), "test: connection 1 given up: too many open files"),
        (MemoryError(), "test: connection 1 given up: MemoryError"),
        (ValueError("a fault"), "ValueError: a fault"),
    ],
)
def test_a_fault_ends_one_connection(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    received: list[bytes] = []

    def handle(connection: IPC, number: int) -> None:
        if number == 1:
            raise error
        if number == 3:
            raise OutputFailed(BrokenPipeError("the end"))
        connection.write(b"served")

    def use(address: str) -> None:
        for _ in range(3):
            with connect(address) as client:
                received.append(client.recv(10))

    _serve_in_process(handle, use)
    assert received == [b"", b"served", b""]
    assert said in capsys.readouterr().err.splitlines()


def test_an_output_that_fails_ends_everything() -> None:
    received: list[bytes] = []

    def handle(connection: IPC, number: int) -> None:
        if number == 2:
            raise OutputFailed(BrokenPipeError("the end"))
        connection.read(1)

    def use(address: str) -> None:
        with connect(address) as first, connect(address) as second:
            received.extend([second.recv(1), first.recv(1)])

    _serve_in_process(handle, use)
    assert received == [b"", b""]
