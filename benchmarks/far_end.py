"""The other end of a connection, in a process of its own.

``python -m benchmarks.far_end ROLE PORT [ADDRESS]`` connects to PORT twice: the first connection
tells it how many messages to receive, and hears when they are there; the second carries them.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Client, Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from vfiipc.codec import Framer
from vfiipc.transport import TCP, TLS, Pipe

from .streams import LARGE_LIMIT, PREFIX

__all__ = ["FarEnd"]

_ROOT = Path(__file__).resolve().parent.parent
_ORDER = struct.Struct(">QQ")  # how many messages, of how many bytes
_DONE = b"."
_SECONDS = 30
#: Receives so many messages of so many bytes.
_Receive = Callable[[int, int], None]


# --- the side that asks ---------------------------------------------------------------------------


class FarEnd:
    """A process with a role; ``socket`` leads to it.

    Args:
        role: a key of ``_ROLES``.
        nodelay: whether both ends send small pieces at once.
        address: where to connect in addition, for roles that need it.
    """

    def __init__(self, role: str, *, nodelay: bool = True, address: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(_SECONDS)
            port = listener.getsockname()[1]
            command = [sys.executable, "-m", "benchmarks.far_end", role, str(port)]
            self._process = subprocess.Popen([*command, str(int(nodelay)), address], cwd=_ROOT)
            self._orders, _ = listener.accept()
            self.socket, _ = listener.accept()
        self._orders.settimeout(_SECONDS)
        self.socket.settimeout(None)
        if nodelay:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tcp: TCP | None = None

    def tcp(self) -> TCP:
        """Our object over ``socket``; closed with the rest."""
        self._tcp = _coupled(self.socket)
        return self._tcp

    def expect(self, count: int, size: int) -> None:
        """Tells it what will be sent."""
        self._orders.sendall(_ORDER.pack(count, size))

    def wait(self) -> None:
        """Until it has received all of that."""
        if self._orders.recv(1) != _DONE:
            raise OSError("the other end has died")

    def __enter__(self) -> FarEnd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._orders.close()
        self.socket.close()
        if self._tcp is not None:
            self._tcp.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _coupled(sock: socket.socket) -> TCP:
    """Our object over a connection that exists."""
    tcp = TCP()
    if not tcp.setFD(sock.detach()):
        raise OSError(f"cannot couple: {tcp.last_error}")
    return tcp


# --- the process ----------------------------------------------------------------------------------


def _echo(sock: socket.socket, _: str) -> _Receive:
    def receive(_: int, __: int) -> None:
        while data := sock.recv(65536):
            sock.sendall(data)

    return receive


def _flood(sock: socket.socket, _: str) -> _Receive:
    def receive(count: int, size: int) -> None:
        left = count * size
        while left:
            left -= len(sock.recv(65536))

    return receive


def _two_receives(sock: socket.socket, _: str) -> _Receive:
    unpack = struct.Struct(">IIi").unpack

    def exactly(size: int) -> bytes:
        data = sock.recv(size)
        while len(data) < size:
            data += sock.recv(size - len(data))
        return data

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            _, size, _ = unpack(exactly(12))
            exactly(size - 4)

    return receive


def _read_msg(sock: socket.socket, _: str) -> _Receive:
    tcp = _coupled(sock)

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            if tcp.read_msg(PREFIX, LARGE_LIMIT, 10_000) is None:
                raise OSError(f"no message: {tcp.last_error}")

    return receive


def _read_msgs(sock: socket.socket, _: str) -> _Receive:
    tcp = _coupled(sock)

    def receive(count: int, _: int) -> None:
        while count:
            messages = tcp.read_msgs(PREFIX, LARGE_LIMIT, 10_000)
            if not messages:
                raise OSError(f"no message: {tcp.last_error}")
            count -= len(messages)

    return receive


def _drain(sock: socket.socket, _: str) -> _Receive:
    framer = Framer(PREFIX, LARGE_LIMIT)

    def receive(count: int, _: int) -> None:
        while count:
            framer.receive_data(sock.recv(65536))
            count -= len(framer.drain())

    return receive


def _multiprocessing(sock: socket.socket, _: str) -> _Receive:
    connection: Any = Connection(sock.detach())

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            connection.recv_bytes()

    return receive


def _zeromq(_: socket.socket, address: str) -> _Receive:
    zmq = import_module("zmq")
    pull = zmq.Context.instance().socket(zmq.PULL)
    pull.connect(address)

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            pull.recv()

    return receive


def _tls_read_msg(_: socket.socket, address: str) -> _Receive:
    target, authority, flags = address.split()
    tls = TLS()
    if not (tls.addCA(authority) and tls.setCheckConfig(int(flags)) and tls.connect(target, 0)):
        raise OSError(f"not connected: {tls.last_error}")

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            if tls.read_msg(PREFIX, LARGE_LIMIT, 10_000) is None:
                raise OSError(f"no message: {tls.last_error}")

    return receive


def _tls_socket(address: str) -> ssl.SSLSocket:
    target, authority, _ = address.split()
    host, _, port = target.partition(":")
    context = ssl.create_default_context(cafile=authority)
    return context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)


def _tls_gather(_: socket.socket, address: str) -> _Receive:
    sock = _tls_socket(address)

    def receive(count: int, size: int) -> None:
        for _ in range(count):
            parts, left = [], size
            while left:
                parts.append(sock.recv(min(left, 65536)))
                left -= len(parts[-1])
            b"".join(parts)

    return receive


def _tls_recv(_: socket.socket, address: str) -> _Receive:
    sock = _tls_socket(address)

    def receive(count: int, size: int) -> None:
        left = count * size
        while left:
            left -= len(sock.recv(65536))

    return receive


def _pipe_read_msg(_: socket.socket, path: str) -> _Receive:
    pipe = Pipe()
    if not pipe.connect(path):
        raise OSError(f"not connected: {pipe.last_error}")

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            if pipe.read_msg(PREFIX, LARGE_LIMIT, 10_000) is None:
                raise OSError(f"no message: {pipe.last_error}")

    return receive


def _pipe_multiprocessing(_: socket.socket, path: str) -> _Receive:
    connection = Client(path, "AF_UNIX")

    def receive(count: int, _: int) -> None:
        for _ in range(count):
            connection.recv_bytes()

    return receive


def _pipe_flood(sock: socket.socket, path: str) -> _Receive:
    pipe = socket.socket(socket.AF_UNIX)
    pipe.connect(path)
    return _flood(pipe, path)


_ROLES: dict[str, Callable[[socket.socket, str], _Receive]] = {
    "echo": _echo,
    "flood": _flood,
    "two receives": _two_receives,
    "read_msg": _read_msg,
    "read_msgs": _read_msgs,
    "drain": _drain,
    "multiprocessing": _multiprocessing,
    "zeromq": _zeromq,
    "tls read_msg": _tls_read_msg,
    "tls gather": _tls_gather,
    "tls recv": _tls_recv,
    "pipe read_msg": _pipe_read_msg,
    "pipe multiprocessing": _pipe_multiprocessing,
    "pipe flood": _pipe_flood,
}


def _main() -> None:
    role, port, nodelay, address = sys.argv[1:]
    orders = socket.create_connection(("127.0.0.1", int(port)))
    sock = socket.create_connection(("127.0.0.1", int(port)))
    if int(nodelay):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    receive = _ROLES[role](sock, address)
    while order := orders.recv(_ORDER.size):
        receive(*_ORDER.unpack(order))
        orders.sendall(_DONE)


if __name__ == "__main__":
    with suppress(ConnectionError):
        _main()
    # Without the good manners of libraries that wait for messages still on their way.
    os._exit(0)
