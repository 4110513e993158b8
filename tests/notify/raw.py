"""A client written from ``spec/notify.md`` alone: sockets, JSON, and no code of this project."""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

PREFIX = b"\x00NFY"
SECONDS = 30.0


class RawClient:
    """Sends and receives notifications, one at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(SECONDS)
        self._held = b""

    @classmethod
    def connect(cls, address: str) -> RawClient:
        """To ``host:port``, or the path of a Unix socket."""
        if address.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(address)
            return cls(sock)
        host, _, port = address.rpartition(":")
        return cls(socket.create_connection((host, int(port)), SECONDS))

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send_payload(self, payload: bytes, msg_id: int = 0) -> None:
        self.sock.sendall(PREFIX + struct.pack(">Ii", 4 + len(payload), msg_id) + payload)

    def send(self, **members: Any) -> None:
        members = {name.rstrip("_"): value for name, value in members.items()}
        self.send_payload(json.dumps(members).encode())

    def register(self, to: str, notification: str, priority: int = 0) -> None:
        self.send(type="register", to=to, notification=notification, priority=priority)

    def unregister(self, to: str, notification: str) -> None:
        self.send(type="unregister", to=to, notification=notification)

    def notify(self, from_: str, to: str, notification: str, parameter: Any = None) -> None:
        self.send(
            type="notify",
            from_=from_,
            to=to,
            notification=notification,
            flags=0,
            parameter=parameter,
        )

    def receive_payload(self) -> bytes:
        header = self._exactly(12)
        assert header[:4] == PREFIX
        size, _ = struct.unpack(">Ii", header[4:])
        return self._exactly(size - 4)

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.receive_payload())
        return message

    def _exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the server has closed, with {len(self._held)} bytes left")
            self._held += data
        data, self._held = self._held[:count], self._held[count:]
        return data

    def has_data(self) -> bool:
        """Whether something has come."""
        return bool(self._held) or bool(select.select([self.sock], [], [], 0)[0])

    def sync(self) -> list[dict[str, Any]]:
        """Everything that comes before the server has dealt with what was sent."""
        self.notify("raw", "nobody at all", "sync")
        came = []
        while (message := self.receive()).get("to") != "nobody at all":
            came.append(message)
        assert message["type"] == "unicast_error"
        return came

    def everything(self) -> list[dict[str, Any]]:
        """What still comes before the end."""
        came = []
        try:
            while True:
                came.append(self.receive())
        except (EOFError, ConnectionError):
            return came

    def is_closed(self) -> bool:
        """Whether the server has closed; waits for it."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass
        return True
