"""Runs the real program, and the peers that it talks to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from vfiipc.cli.arguments import DEFAULT_PREFIX
from vfiipc.codec import Framer, Message, encode

TIMEOUT = 50
PROGRAM = [sys.executable, "-m", "vfiipc"]
#: As for users: with buffered output.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


class Ended(NamedTuple):
    status: int
    out: bytes
    err: str


def within(shell: str) -> list[str]:
    """``vfiipc`` as a shell starts it, after or with what it is told: limits, redirections.

    Args:
        shell: commands, in which ``"$@"`` is the program with its arguments.
    """
    return ["/bin/sh", "-c", shell, "sh", *PROGRAM]


def run(
    *arguments: str,
    data: bytes = b"",
    env: dict[str, str] | None = None,
    program: list[str] = PROGRAM,
) -> Ended:
    """Runs ``vfiipc`` to its end."""
    done = subprocess.run(
        [*program, *arguments],
        input=data,
        capture_output=True,
        timeout=TIMEOUT,
        env={**ENVIRONMENT, **(env or {})},
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


class Running(NamedTuple):
    """A program under way."""

    process: subprocess.Popen[bytes]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def error_line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode()

    def close_output(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """Ctrl-C, which goes to all processes of the terminal's job."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> Ended:
        """What it still says; waits for its end."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        out = b"" if self.process.stdout.closed else self.process.stdout.read()
        err = self.process.stderr.read().decode()
        return Ended(self.process.wait(TIMEOUT), out, err)


def hear_signals() -> None:
    """What a shell in the background has its commands ignore, these tests send."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def started(
    *arguments: str,
    stdin: int = subprocess.DEVNULL,
    env: dict[str, str] | None = None,
    program: list[str] = PROGRAM,
) -> Iterator[Running]:
    with subprocess.Popen(
        [*program, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=hear_signals if os.name == "posix" else None,
        env={**ENVIRONMENT, **(env or {})},
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@contextmanager
def echo(*arguments: str) -> Iterator[tuple[Running, str]]:
    """An echo server, and the address at which it listens."""
    with started("echo", *arguments) as running:
        first = running.line()
        assert first.startswith("listening at "), first
        yield running, first.split()[-1]


def address_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"{host}:{port}"


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A plain socket that waits for the program, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        yield listener, address_of(listener)


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(TIMEOUT)
    return connection


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), TIMEOUT)


def receive(
    connection: socket.socket, count: int = 1, prefix: int = DEFAULT_PREFIX
) -> list[Message]:
    """The next messages; fewer where the connection ends before."""
    framer = Framer(prefix, 1 << 24)
    messages: list[Message] = []
    while len(messages) < count and (data := connection.recv(65536)):
        framer.receive_data(data)
        messages += framer.drain()
    return messages


def send(connection: socket.socket, msg_id: int, data: bytes) -> None:
    connection.sendall(encode(DEFAULT_PREFIX, msg_id, data))


def unused_address() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return address_of(listener)
