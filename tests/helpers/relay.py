"""Somebody between two ends of a TCP connection, who passes on what each sends, and may meddle."""

from __future__ import annotations

import socket
import threading

HOST = "127.0.0.1"


class Relay:
    """Takes one connection, connects to ``target``, and passes on all bytes both ways.

    Args:
        target: the port of the server.

    ``to_client`` and ``to_server`` are its own sockets, for tests that send something of their own,
    or cut the connection. Use it as a context manager.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((HOST, 0))
        self._connected = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where clients connect."""
        return int(self._listener.getsockname()[1])

    @property
    def to_client(self) -> socket.socket:
        assert self._connected.wait(20)
        return self._client

    @property
    def to_server(self) -> socket.socket:
        assert self._connected.wait(20)
        return self._server

    def _run(self) -> None:
        try:
            self._client = self._listener.accept()[0]
        except OSError:  # nobody has come
            return
        self._server = socket.create_connection((HOST, self._target))
        back = threading.Thread(target=_pass_on, args=(self._server, self._client), daemon=True)
        self._threads.append(back)
        back.start()
        self._connected.set()
        _pass_on(self._client, self._server)

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._listener)
        if self._connected.is_set():
            _end(self._client)
            _end(self._server)
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone


def _end(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended already
    sock.close()
