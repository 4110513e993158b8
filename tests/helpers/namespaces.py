"""Two network namespaces with a cable between them, which can be cut, narrow or slow."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from .requirements import can_make_namespaces, program, skip_or_fail

_numbers = count()


class Host(NamedTuple):
    """One namespace, its end of the cable, and its address."""

    name: str
    device: str
    address: str

    def command(self, *words: str) -> list[str]:
        """``words`` as a command that runs in this namespace."""
        return [program("ip"), "netns", "exec", self.name, *words]

    def run(self, *words: str) -> str:
        """Runs a program here; its output."""
        return _run(*self.command(program(words[0]), *words[1:]))

    def plug(self, state: str) -> None:
        """``"down"`` cuts the cable, ``"up"`` mends it."""
        self.run("ip", "link", "set", self.device, state)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that see each other and nothing else; removed at the end."""
    if not can_make_namespaces():
        skip_or_fail("network namespaces need CAP_NET_ADMIN and CAP_SYS_ADMIN")
    ip, number = program("ip"), next(_numbers)
    hosts = [
        Host(f"vfiipc-{os.getpid()}-{number}-{side}", f"v{os.getpid()}{side}{number}", address)
        for side, address in [("a", "10.11.12.1"), ("b", "10.11.12.2")]
    ]
    try:
        try:
            for host in hosts:
                _run(ip, "netns", "add", host.name)
            one, other = hosts
            end = ("type", "veth", "peer", "name", other.device, "netns", other.name)
            _run(ip, "-n", one.name, "link", "add", one.device, *end)
        except subprocess.CalledProcessError as error:
            skip_or_fail(f"this machine makes no network namespaces: {error.stderr.strip()}")
        for host in hosts:
            host.run("ip", "address", "add", f"{host.address}/24", "dev", host.device)
            host.plug("up")
        yield one, other
    finally:
        for host in hosts:
            subprocess.run([ip, "netns", "delete", host.name], capture_output=True, check=False)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=20).stdout
