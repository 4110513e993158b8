"""Three servers and one NATS, each a process of its own, of which some die."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.program import Running, run, started
from tests.notify.nats_servers import SECONDS, NatsServer, RawNats, nats_program, nats_server
from tests.notify.raw import RawClient
from vfiipc.notify.envelopes import (
    HEAD,
    broadcast_subject,
    node_subject,
    registrations_subject,
)
from vfiipc.notify.messages import MAX_PAYLOAD

pytestmark = pytest.mark.long  # each worker of pytest starts three servers

LONGEST = 10.0 if os.environ.get("SOAK") else 4.0
NAMES = ("a", "b", "c")
ODD = ["*", ">", "a b", "a.b.>", "x.*", "\r\nPUB x 1", "\N{SNOWMAN}" * 85]


class Servers:
    """``vfiipc notifysvc`` with the names a, b, c, which can be killed and started again."""

    def __init__(self, folder: Path, nats: NatsServer) -> None:
        self.nats = nats
        self.folder = folder
        self.running: dict[str, Running] = {}
        self.tcp: dict[str, str] = {}
        self._stacks: dict[str, ExitStack] = {}

    def start(self, name: str) -> None:
        self._stacks[name] = stack = ExitStack()
        running = stack.enter_context(
            started(
                *("notifysvc", "--bus", self.nats.url, "--node", name),
                *("--listen", "127.0.0.1:0", "--pipe", str(self.folder / name)),
                env={"NFY_LOGMASK": "63"},
            )
        )
        self.running[name] = running
        self.tcp[name] = running.line().removeprefix("listening at ")
        assert running.line().startswith("listening at pipe:")

    def kill(self, name: str) -> None:
        self._stacks.pop(name).close()

    def close(self) -> list[str]:
        """What they have logged."""
        logs = []
        for name in list(self._stacks):
            self.running[name].send_signal(signal.SIGTERM)
            logs.append(self.running[name].end().err)
            self.kill(name)
        return logs

    def client(self, name: str) -> RawClient:
        """A local client."""
        return RawClient.connect(str(self.folder / name))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("nats")
    # NATS's own limit is the least that servers accept.
    with nats_server(folder, f"max_payload: {MAX_PAYLOAD + HEAD}\n") as nats:
        made = Servers(folder, nats)
        try:
            for name in NAMES:
                made.start(name)
            yield made
        finally:
            logs = made.close()
    assert not any("Traceback" in log for log in logs), logs


@contextmanager
def clients(servers: Servers, *names: str) -> Iterator[list[RawClient]]:
    with ExitStack() as stack:
        yield [stack.enter_context(servers.client(name)) for name in names]


def errors(came: list[dict[str, Any]]) -> list[str]:
    return [each["notification"] for each in came if each["type"] == "unicast_error"]


def deliver(
    sender: RawClient, receiver: RawClient, to: str, notification: str, parameter: Any = None
) -> None:
    """Sends a unicast until it arrives: the servers need not know each other's clients yet."""
    end = time.monotonic() + SECONDS
    while True:
        sender.notify("sender", to, notification, parameter)
        while not (receiver.has_data() or sender.has_data()):
            assert time.monotonic() < end, f"{notification!r} has got lost"
            time.sleep(0.002)
        if receiver.has_data():
            came = receiver.receive()
            assert (came["notification"], came["parameter"]) == (notification, parameter)
            return
        assert sender.receive()["type"] == "unicast_error"
        assert time.monotonic() < end, f"nobody has registered for {notification!r}"
        time.sleep(0.02)


def send_until_refused(client: RawClient, to: str, notification: str) -> float:
    """Sends unicasts until one is an error; how long that took."""
    begin = time.monotonic()
    while True:
        client.notify("sender", to, notification, None)
        answer = client.receive()
        if answer["type"] == "unicast_error":
            return time.monotonic() - begin


def test_a_unicast_goes_to_the_highest_priority_and_back_to_the_next(servers: Servers) -> None:
    # NFY-G11, NFY-G12
    with (
        clients(servers, *NAMES) as receivers,
        clients(servers, *NAMES) as senders,
        RawNats(servers.nats.address) as nats,
    ):
        one, two, three = receivers
        one.register("printer", "status", 1)
        two.register("printer", "status", 5)
        three.register("printer", "status", 3)
        wait_until_known(senders, receivers)
        nats.sync()
        for number, sender in enumerate(senders):
            sender.notify("sender", "1", "status", number)
            assert two.receive()["parameter"] == number
        # Two of them came over the bus: each one request, and one reply.
        kinds = nats.kinds("status", unicast=2, taken=2)
        assert (kinds["unicast"], kinds["taken"], kinds["broadcast"]) == (2, 2, 0)
        senders[0].notify("sender", "printer", "status", {"amount": 1.5})
        for receiver in (two, three, one):
            came = receiver.receive()
            assert (came["type"], came["parameter"]) == ("notify", {"amount": 1.5})
            receiver.send(**came)  # back to its server
        assert senders[0].receive()["type"] == "unicast_error"
        kinds = nats.kinds("status", unicast=2, taken=2, returned=2)
        assert (kinds["unicast"], kinds["taken"], kinds["returned"]) == (2, 2, 2)


def wait_until_known(senders: list[RawClient], receivers: list[RawClient]) -> None:
    """Until each server knows what the receivers have registered."""
    for number, receiver in enumerate(receivers):
        receiver.register(f"probe {number}", "probe")
        for sender in senders:
            deliver(sender, receiver, f"probe {number}", "probe")


def test_a_broadcast_arrives_once_and_observers_see_all(servers: Servers) -> None:
    # NFY-G14, NFY-G15
    with (
        clients(servers, *NAMES) as receivers,
        clients(servers, *NAMES) as senders,
        clients(servers, *NAMES) as observers,
        RawNats(servers.nats.address) as nats,
    ):
        for receiver, name in zip(receivers, NAMES):
            receiver.register(f"first {name}", "all")
            receiver.register(f"second {name}", "all")
        for observer in observers:
            observer.send(type="observe")
            observer.sync()
        wait_until_known(senders, receivers)
        nats.sync()
        for number in range(5):
            senders[0].notify("sender", "*", "all", number)
        for receiver in receivers:
            assert [receiver.receive()["parameter"] for _ in range(5)] == list(range(5))
            assert receiver.sync() == []
        each = [f"{order} {name}" for name in NAMES for order in ("first", "second")]
        for observer in observers:
            assert Counter(seen(observer, 5 * 6)) == Counter(each * 5)
        kinds = nats.kinds("all", broadcast=5, observation=5 * 6)
        # No loops: each broadcast crosses the bus once, and so does each observation.
        assert kinds["broadcast"] == 5
        assert kinds["observation"] == 5 * 6


def seen(observer: RawClient, count: int) -> list[str]:
    """Whom the next notifications with the ID ``all`` reached."""
    reached: list[str] = []
    while len(reached) < count:
        message = observer.receive()
        if message["notification"] == "all":
            reached.append(message["to"])
    return reached


def test_odd_ids_and_the_largest_payloads(servers: Servers) -> None:  # NFY-G2
    with clients(servers, "a", "b") as (one, two):
        for each in ODD:
            two.register(f"app {each[:80]}", each)
        two.register("app", "large")
        deliver(one, two, "app", "large", "x" * (MAX_PAYLOAD - 200))
        for each in ODD:
            one.notify("sender", f"app {each[:80]}", each, 1)
            one.notify("sender", "*", each, 2)
            assert [two.receive()["parameter"] for _ in range(2)] == [1, 2]
        assert errors(one.sync()) == []


HOSTILE = [
    b"",
    b"\n",
    b"{}\n",
    b"[]\n{}",
    b"\xff\xfe\n",
    b'{"type":1}\n',
    b"{" * 5000,
    b"x" * 60000,
]
KINDS = ("beat", "change", "snapshot", "ask", "leave", "unicast", "returned", "broadcast")
CHANGES: tuple[dict[str, object], ...] = (
    {},
    {"version": -1},
    {"node": ""},
    {"node": "n" * 300},
    {"session": "*"},
)
BODIES = (b"", b"[[]]", b'[[1,"a","b"', b'{"type":"notify"}', b"[[1,2,3,4,5]]")
BEAT = {"type": "beat", "node": "evil", "session": "0", "number": 1, "registrations": 1}


def hostile_envelopes() -> Iterator[bytes]:
    yield from HOSTILE
    for kind, body, change in itertools.product(KINDS, BODIES, CHANGES):
        yield json.dumps({**BEAT, "type": kind, **change}).encode() + b"\n" + body


def test_hostile_envelopes_do_no_harm(servers: Servers) -> None:  # NFY-G3, NFY-G8
    with clients(servers, "a", "b") as (one, two), RawNats(servers.nats.address) as nats:
        two.register("victim", "safe")
        deliver(one, two, "victim", "safe")
        subjects = [
            *(registrations_subject(name) for name in ("a", "b", "evil")),
            registrations_subject("evil", "a"),
            node_subject("a"),
            broadcast_subject("safe"),
            "nfy.1.seen",
        ]
        for subject in subjects:
            for data in hostile_envelopes():
                nats.publish(subject, data)
        # It says that b has gone, on a subject of its own, and on that of b, in its own name.
        leave = {**BEAT, "type": "leave"}
        for node, subject in (("b", "evil"), ("evil", "b")):
            data = json.dumps({**leave, "node": node}).encode() + b"\n"
            nats.publish(registrations_subject(subject), data)
        nats.sync()
        for number in range(3):
            one.notify("sender", "victim", "safe", number)
            assert two.receive()["parameter"] == number
        assert errors(one.sync()) == []


def test_a_name_that_is_taken_is_refused(servers: Servers) -> None:  # NFY-G4
    status, out, err = run(
        "notifysvc", "--listen", "127.0.0.1:0", "--bus", servers.nats.url, "--node", "b"
    )
    assert (status, out) == (1, b"")
    assert err == (
        f"vfiipc notifysvc: another server on the bus at {servers.nats.url} has the name b; choose"
        " another name\n"
    )


def test_a_server_that_is_killed_expires_and_comes_back(servers: Servers) -> None:  # NFY-G5
    with clients(servers, "a", "c") as (one, three):
        three.register("lives", "y")
        deliver(one, three, "lives", "y")
        with servers.client("b") as two:
            two.register("dies", "x", 9)
            deliver(one, two, "dies", "x")
            servers.running["b"].send_signal(signal.SIGKILL)
            begin = time.monotonic()
            # What was under way when it died has no reply for two seconds.
            assert send_until_refused(one, "dies", "x") < 3.5
        while time.monotonic() - begin < 3.2:  # nobody else is disturbed
            one.notify("sender", "lives", "y", 1)
            assert three.receive()["parameter"] == 1
            time.sleep(0.05)
        three.register("lives", "x", 0)
        deliver(one, three, "1", "x", "to who is left")
    servers.kill("b")
    servers.start("b")
    with clients(servers, "a", "b") as (one, two):
        two.register("dies", "x", 9)
        deliver(one, two, "dies", "x")


def test_a_server_that_was_stopped_does_no_harm(servers: Servers) -> None:  # NFY-G6
    with clients(servers, "a", "b", "c") as (one, two, three):
        three.register("sleeper", "x")
        one.register("leaves", "y")
        deliver(one, three, "sleeper", "x", "before")
        deliver(three, one, "leaves", "y", "before")
        servers.running["c"].send_signal(signal.SIGSTOP)
        try:
            begin = time.monotonic()
            one.notify("sender", "sleeper", "x", "meanwhile")
            # The command waits, too, while nobody knows what becomes of it (NFY-G18).
            send = ("notify", "send", "sleeper", "x", '"meanwhile"', "--server", servers.tcp["a"])
            status, _, err = run(*send)
            assert (status, err[:30]) == (1, "vfiipc notify: nobody got 'x':")
            assert one.receive()["type"] == "unicast_error"
            one.unregister("leaves", "y")
            time.sleep(max(0.0, LONGEST - (time.monotonic() - begin)))
            one.notify("sender", "sleeper", "x", "expired")
            assert one.receive()["type"] == "unicast_error"
        finally:
            servers.running["c"].send_signal(signal.SIGCONT)
        three.notify("sender", "leaves", "y", "stale")
        assert three.receive()["type"] == "unicast_error"
        deliver(two, three, "sleeper", "x", "after")  # and nothing of what was given up


def test_nats_is_killed_and_comes_back(servers: Servers) -> None:  # NFY-G16
    with clients(servers, "a", "a", "b") as (one, local, two):
        local.register("local", "x")
        two.register("remote", "x")
        deliver(one, two, "remote", "x", 0)
        servers.nats.kill()
        try:
            for number in range(20):
                one.notify("sender", "local", "x", number)
                one.notify("sender", "*", "x", number)
                assert [local.receive()["parameter"] for _ in range(2)] == [number, number]
            send_until_refused(one, "remote", "x")  # nothing waits for the bus
        finally:
            servers.nats.start()
        deliver(one, two, "remote", "x", "again")


def test_credentials_and_tls(tmp_path: Path) -> None:
    nats_program()
    nkeys = importlib.import_module("nkeys")  # nobody has written down its types
    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    (tmp_path / "nkey").write_bytes(seed)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    own = tmp_path / "own.pem"
    config = (
        f'tls {{ cert_file: "{own}", key_file: "{own}" }}\n'
        "authorization { users = [ { user: till, password: secret },"
        f" {{ nkey: {public} }} ] }}\n"
    )
    options = ("notifysvc", "--listen", "127.0.0.1:0", "--bus-ca", str(tmp_path / "ca.pem"))
    with nats_server(tmp_path, config) as nats:
        _, _, err = run(*options, "--bus", f"tls://till:wrong@{nats.address}")
        # asyncio may have warned before, of what nats-py does
        refused = f"vfiipc notifysvc: no connection to the bus at tls://{nats.address}: "
        assert err.splitlines()[-1].startswith(refused)
        assert "wrong" not in err
        status, _, err = run("notifysvc", "--bus", f"tls://till:secret@{nats.address}")
        assert status == 1
        assert "certificate verify failed" in err
        with (
            started(*options, "--bus", f"tls://till:secret@{nats.address}", "--node", "x") as one,
            started(
                *options,
                *("--bus", nats.url, "--node", "y", "--bus-nkey", str(tmp_path / "nkey")),
            ) as two,
        ):
            where = [each.line().removeprefix("listening at ") for each in (one, two)]
            with RawClient.connect(where[0]) as sender, RawClient.connect(where[1]) as receiver:
                receiver.register("app", "x")
                deliver(sender, receiver, "app", "x", 1.5)


def test_a_bus_that_takes_too_little_is_refused(tmp_path: Path) -> None:
    with nats_server(tmp_path, f"max_payload: {MAX_PAYLOAD + HEAD - 1}\n") as nats:
        status, _, err = run("notifysvc", "--listen", "127.0.0.1:0", "--bus", nats.url)
    assert status == 1
    assert f"allows messages of {MAX_PAYLOAD + HEAD - 1} bytes, but {MAX_PAYLOAD + HEAD}" in err
