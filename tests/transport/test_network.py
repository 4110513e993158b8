"""Links that break, are narrow or slow, between two network namespaces; keepalives as seen outside.

Nothing here mocks the network: the kernel's own TCP runs over a cable that the tests cut.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from os import dup
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.namespaces import Host, two_hosts
from tests.helpers.processes import running
from tests.helpers.requirements import program, skip_or_fail
from vfiipc import TCP

PEER = str(Path(__file__).with_name("network_peer.py"))
PORT = 5000

if sys.platform != "linux":
    pytest.skip("keepalives are set, and namespaces made, on Linux only", allow_module_level=True)


class Peer:
    """A peer that runs in a namespace and tells what it sees, one JSON object a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise AssertionError(self.process.stderr.read().decode())
        heard: dict[str, Any] = json.loads(line)
        return heard

    def prompt(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


@contextmanager
def peer(host: Host, *arguments: str) -> Iterator[Peer]:
    with running(host.command(sys.executable, "-W", "error", PEER, *arguments)) as process:
        yield Peer(process)


@contextmanager
def network(*clients: tuple[str, ...]) -> Iterator[tuple[Host, Host, Peer, list[Peer]]]:
    """Two hosts; a server on the second one, and connected clients on the first one."""
    with ExitStack() as stack:
        one, other = stack.enter_context(two_hosts())
        server = stack.enter_context(peer(other, "serve"))
        assert server.hear()["listening"]
        commands = [(task, other.address, *rest) for task, *rest in clients]
        peers = [stack.enter_context(peer(one, *command)) for command in commands]
        yield one, other, server, peers


@pytest.fixture(scope="module")
def heard() -> Iterator[dict[str, Any]]:
    """What became of three connections when the cable between them was cut."""
    with network(("wait", "1"), ("talk", "1"), ("wait", "0")) as (_, other, server, peers):
        for each in peers:
            assert each.hear()["connected"] == f"{other.address}:{PORT}"
        other.plug("down")
        cut = time.monotonic()
        idle, talking, plain = peers
        heard: dict[str, Any] = {"cut": cut, "idle": idle.hear(), "talking": talking.hear()}
        heard["plain waits"] = plain.process.poll() is None
        other.plug("up")
        server.prompt()
        heard["plain"] = plain.hear()
        yield heard


class TestCutLink:
    @pytest.mark.parametrize("name", ["idle", "talking"])
    def test_keepalive_ends_a_connection(self, heard: dict[str, Any], name: str) -> None:
        seconds = heard[name]["at"] - heard["cut"]
        # Three probes, one second apart; the last answer may be up to a second old at the cut.
        assert 1.5 < seconds < 12
        assert heard[name]["data"] is None
        assert (heard[name]["error"], heard[name]["eof"]) == (True, False)
        assert heard[name]["oserror"]
        assert heard[name]["errno"]
        assert heard[name]["latched"]
        assert heard[name]["writes"] is False

    def test_without_keepalive_the_reader_waits_until_the_link_is_back(
        self, heard: dict[str, Any]
    ) -> None:
        assert heard["plain waits"]
        assert heard["plain"]["data"] == "the link is back"
        assert heard["plain"]["error"] is False


def test_segments_of_a_few_dozen_bytes() -> None:
    with network() as (one, other, _, _):
        for host in (one, other):
            narrow = ("mtu", "100", "gso_max_segs", "1")
            host.run("ip", "link", "set", host.device, *narrow)
        with peer(one, "exchange", other.address) as client:
            assert client.hear()["connected"].startswith(one.address)
            heard = client.hear()
            assert heard["same"], heard
            assert (heard["error"], heard["eof"]) == (False, False)
            shown = one.run("ss", "-tni", "dport", "=", f":{PORT}")
            size = re.search(r"\bmss:(\d+)", shown)
            assert size, shown
            assert int(size[1]) <= 60


def slow_down(*hosts: Host) -> None:
    """Lets each end send 50 kB/s."""
    for host in hosts:
        rate = ("tbf", "rate", "400kbit", "burst", "3000", "latency", "200ms")
        try:
            host.run("tc", "qdisc", "add", "dev", host.device, "root", *rate)
        except subprocess.CalledProcessError as error:
            skip_or_fail(f"tc tbf does not work here: {error.stderr.strip()}")


def test_keepalive_ends_a_write_that_waits_for_room() -> None:
    with network() as (one, other, _, _):
        slow_down(one)
        with peer(one, "push", other.address) as client:
            assert client.hear()["connected"]
            time.sleep(0.5)
            other.plug("down")
            cut = time.monotonic()
            heard = client.hear()
            assert 1.0 < heard["at"] - cut < 15
            assert (heard["error"], heard["eof"], heard["oserror"]) == (True, False, True)
            assert heard["errno"]


def test_slow_link_cuts_messages_off_without_losing_any() -> None:
    with network() as (one, other, _, _):
        slow_down(one, other)
        with peer(one, "exchange", other.address) as client:
            client.hear()
            heard = client.hear()
            assert heard["same"], heard
            assert (heard["error"], heard["eof"]) == (False, False)
            # 13 kB less the burst at 50 kB/s, and reading calls that wait for 2 ms each.
            assert heard["seconds"] > 0.1
            assert heard["timeouts"] > 5


OPTIONS: list[tuple[int, int]] = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
]


def options(ipc: TCP) -> list[int]:
    with socket.socket(fileno=dup(ipc.getFD())) as shared:
        return [shared.getsockopt(*option) for option in OPTIONS]


def timer(ipc: TCP) -> str:
    """What ss says about the timer of this connection."""
    here, there = ipc.local_addr(), ipc.remote_addr()
    command = [program("ss"), "-Htnoi", "src", here, "dst", there]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@pytest.fixture
def pair() -> Iterator[Callable[[int, int], tuple[TCP, TCP]]]:
    """Makes a connection: the client's end, and the accepted one with the listener's keepalive."""
    with ExitStack() as stack:

        def connect(cnt: int, interval: int) -> tuple[TCP, TCP]:
            server = stack.enter_context(TCP())
            assert server.listen(0, "127.0.0.1")
            assert server.setKeepalive(cnt, interval), server.last_error
            client = stack.enter_context(TCP())
            assert client.connect(server.local_addr(), 0, 10_000)
            accepted = server.accept(10_000)
            assert accepted is not None
            stack.enter_context(accepted)
            return client, accepted

        yield connect


class TestKeepaliveOptions:
    def test_getsockopt_shows_them(self, pair: Callable[[int, int], tuple[TCP, TCP]]) -> None:
        client, accepted = pair(5, 40)
        assert options(accepted) == [1, 5, 40, 40, 200_000]
        assert options(client)[0] == 0
        assert client.setKeepalive(7, 30)
        assert options(client) == [1, 7, 30, 30, 210_000]
        assert options(accepted) == [1, 5, 40, 40, 200_000]

    def test_they_can_be_taken_back(self, pair: Callable[[int, int], tuple[TCP, TCP]]) -> None:
        _, accepted = pair(5, 40)
        assert accepted.setKeepalive(0, 0)
        shown = options(accepted)
        assert (shown[0], shown[-1]) == (0, 0)

    def test_refused_ones_leave_the_former(
        self, pair: Callable[[int, int], tuple[TCP, TCP]]
    ) -> None:
        _, accepted = pair(5, 40)
        for cnt, interval in [(128, 1), (1, 32_768), (1, 0), (-1, 1)]:
            assert not accepted.setKeepalive(cnt, interval)
            assert isinstance(accepted.last_error, OSError)
        assert options(accepted) == [1, 5, 40, 40, 200_000]
        assert not accepted.error()

    def test_ss_shows_the_running_timer(self, pair: Callable[[int, int], tuple[TCP, TCP]]) -> None:
        client, accepted = pair(5, 40)
        assert re.search(r"timer:\(keepalive,\d+sec,0\)", timer(accepted)), timer(accepted)
        assert "keepalive" not in timer(client)
        assert client.setKeepalive(7, 30)
        assert re.search(r"timer:\(keepalive,\d+sec,0\)", timer(client)), timer(client)
