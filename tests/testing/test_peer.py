"""The scripted peer over real connections: what it sends, how it misbehaves, what it notices."""

from __future__ import annotations

import gc
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

import vfiipc
from tests.transport.suite.base import until
from vfiipc import TLS, Connection, ConnectionClosed, Delivery, Message
from vfiipc.codec import encode
from vfiipc.testing import PeerFailure, Reaction, ScriptedPeer

SOON = 10


@contextmanager
def connected(peer: ScriptedPeer, size_limit: int | None = None) -> Iterator[Connection]:
    tls = None
    if peer.ca_file:
        tls = TLS()
        assert tls.addCA(peer.ca_file)
    limit = peer.size_limit if size_limit is None else size_limit
    with vfiipc.connect(peer.address, prefix=peer.prefix, size_limit=limit, tls=tls) as connection:
        yield connection


@contextmanager
def raw(peer: ScriptedPeer) -> Iterator[socket.socket]:
    host, _, port = peer.address.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SOON) as sock:
        yield sock


def until_end(sock: socket.socket) -> bytes:
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


TRANSPORTS: dict[str, dict[str, Any]] = {
    "tcp": {},
    "tls": {"tls": True},
    "pipe": {"pipe": True},
}


@pytest.mark.parametrize("options", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_it_answers_in_order(options: dict[str, Any]) -> None:
    with ScriptedPeer(prefix=7, size_limit=100, **options) as peer:
        peer.on_connect().answer(b"ready", msg_id=1)
        peer.expect(json={"command": "status"}).answer(json={"state": "ready"})
        peer.expect(msg_id=2).answer(b"one").answer(b"two", msg_id=-3)
        peer.expect(b"none")
        peer.expect(b"upper").answer(lambda message: message.data.upper())
        with connected(peer) as till:
            assert till.recv(SOON) == (1, b"ready")
            assert till.request(b'{"command":"status"}', SOON).data == b'{"state": "ready"}'
            till.send(b"x", 2)
            assert [till.recv(SOON), till.recv(SOON)] == [(2, b"one"), (-3, b"two")]
            till.send(b"none", 3)
            till.send(b"upper", 4)
            assert till.recv(SOON) == (4, b"UPPER")
        assert [message.msg_id for message in peer.messages][1:] == [2, 3, 4]
        assert {received.connection for received in peer.received} == {1}


def test_computed_answers() -> None:
    with ScriptedPeer() as peer:
        peer.expect(b"several").answer(lambda _: [b"one", Message(9, b"two")])
        peer.expect(b"none").answer(lambda _: None)
        peer.expect(b"other").answer(lambda _: b"three", msg_id=8)
        with connected(peer) as till:
            for data in b"several", b"none", b"other":
                till.send(data, 1)
            got = [till.recv(SOON) for _ in range(3)]
            assert got == [(1, b"one"), (9, b"two"), (8, b"three")]


ANSWER = encode(5, 1, bytes(range(50)))
FAULTS: dict[str, tuple[Callable[[Reaction], Reaction], bytes]] = {
    "cut": (lambda r: r.cut(at=7), ANSWER[:7]),
    "cut behind": (lambda r: r.cut(), ANSWER),
    "cut at once": (lambda r: r.cut(at=0), b""),
    "pieces": (lambda r: r.pieces([1, 2]).cut(), ANSWER),
    "slow": (lambda r: r.slow(2000).cut(), ANSWER),
    "damage": (lambda r: r.damage({0: 0x80}).cut(), b"\x80" + ANSWER[1:]),
    "damage and cut": (lambda r: r.damage({0: 1, 9: 1}).cut(at=2), b"\x01" + ANSWER[1:2]),
    "oversize": (lambda r: r.oversize().cut(), encode(5, 1, bytes(range(50)) + bytes(51))),
    "wrong prefix": (lambda r: r.wrong_prefix().cut(), encode(0xFFFFFFFA, 1, bytes(range(50)))),
    "that prefix": (lambda r: r.wrong_prefix(9).cut(), encode(9, 1, bytes(range(50)))),
    "delayed": (lambda r: r.delay(0.01).close(), ANSWER),
    "silence": (lambda r: r.silence().answer(b"more").close(), ANSWER),
    "garbage behind": (lambda r: r.garbage(b"noise").close(), ANSWER + b"noise"),
}


@pytest.mark.parametrize(("spoil", "arrives"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(spoil: Callable[[Reaction], Reaction], arrives: bytes) -> None:
    with ScriptedPeer(prefix=5, size_limit=100) as peer:
        spoil(peer.expect().garbage(b"junk").answer(bytes(range(50))))
        with raw(peer) as sock:
            sock.sendall(encode(5, 1, b""))
            assert until_end(sock) == b"junk" + arrives


def test_pieces_arrive_as_pieces() -> None:
    with ScriptedPeer() as peer:
        peer.expect().answer(b"123").pieces(8, pause=0.3)
        with raw(peer) as sock:
            sock.sendall(encode(peer.prefix, 1, b""))
            assert len(sock.recv(100)) == 8
            began = time.monotonic()
            assert len(sock.recv(100)) == 7
            assert time.monotonic() - began > 0.1


@pytest.mark.parametrize("at", [None, 0, 3])
@pytest.mark.parametrize("options", [{}, {"tls": True}], ids=["tcp", "tls"])
def test_a_reset(at: int | None, options: dict[str, Any]) -> None:
    def read_all(till: Connection) -> None:
        for message in till:
            got.append(message.data)

    got: list[bytes] = []
    with ScriptedPeer(**options) as peer:
        peer.expect().answer(b"answer").reset(at)
        with connected(peer) as till:
            till.send(b"x")
            with pytest.raises(ConnectionResetError):
                read_all(till)
    if not options:  # TLS may learn of the reset before it has decrypted the answer
        assert got == ([b"answer"] if at is None else [])


def test_a_unix_socket_cannot_be_reset() -> None:
    with ScriptedPeer(pipe=True) as peer:
        peer.expect().reset()
        with connected(peer) as till, pytest.raises(ConnectionClosed):
            till.request(b"x", SOON)
        with pytest.raises(PeerFailure, match="a Unix socket cannot be reset"):
            peer.verify()


def test_silence_leaves_the_connection_open_and_reading() -> None:
    with ScriptedPeer() as peer:
        peer.expect(b"1").silence()
        peer.expect(b"2").answer(b"never")
        with connected(peer) as till:
            till.send(b"1")
            till.send(b"2")
            with pytest.raises(TimeoutError):
                till.recv(0.05)


def test_half_a_connection_still_gets_its_answer() -> None:
    with ScriptedPeer() as peer:
        peer.expect().delay(0.05).answer(b"late")
        with raw(peer) as sock:
            sock.sendall(encode(peer.prefix, 1, b""))
            sock.shutdown(socket.SHUT_WR)
            assert until_end(sock) == encode(peer.prefix, 1, b"late")


def test_messages_at_any_time() -> None:
    with ScriptedPeer() as peer, connected(peer) as first:
        peer.send(b"hello", 3)
        assert first.recv(SOON) == (3, b"hello")
        with connected(peer) as second:
            peer.send(json=[1], connection=1)
            peer.send(b"abc", delivery=Delivery(damage={14: 1}), connection=2)
            assert first.recv(SOON) == (0, b"[1]")
            assert second.recv(SOON) == (0, b"abb")
            peer.send_bytes(encode(peer.prefix, 1, b"raw")[:5])
            peer.disconnect()
            with pytest.raises(ConnectionClosed, match="after 5 bytes"):
                second.recv(SOON)
        peer.disconnect("reset", connection=1)
        with pytest.raises(OSError, match="reset"):
            first.recv(SOON)


def test_sending_waits_for_a_connection() -> None:
    with ScriptedPeer() as peer:
        sender = threading.Thread(target=peer.send, args=(b"hello",))
        sender.start()
        with connected(peer) as till:
            assert till.recv(SOON).data == b"hello"
        sender.join(SOON)


def test_scripting_while_the_program_runs() -> None:
    with ScriptedPeer() as peer, connected(peer) as till:
        with peer.scripting():
            till.send(b"x")
            peer.expect(b"x").answer(b"1").answer(b"2")
        assert [till.recv(SOON).data, till.recv(SOON).data] == [b"1", b"2"]


def test_connections_have_scripts_of_their_own() -> None:
    with ScriptedPeer() as peer:
        peer.expect(connection=2).answer(b"second")
        peer.expect(connection=1).answer(b"first")
        with connected(peer) as first, connected(peer) as second:
            assert first.request(b"x", SOON).data == b"first"
            assert second.request(b"x", SOON).data == b"second"


class TestVerifying:
    def failure(self, peer: ScriptedPeer) -> list[str]:
        with pytest.raises(PeerFailure) as raised:
            peer.verify()
        return str(raised.value).splitlines()

    def test_what_was_sent_counts_at_once(self) -> None:
        for number in range(20):
            with ScriptedPeer() as peer, raw(peer) as sock:
                peer.expect()
                sock.sendall(encode(peer.prefix, number, bytes(50_000)))
                sock.close()
                peer.verify()

    def test_what_comes_later_is_waited_for(self) -> None:
        with ScriptedPeer() as peer, connected(peer) as till:
            peer.expect()
            timer = threading.Timer(0.1, till.send, [b"x"])
            timer.start()
            peer.verify(SOON)
            timer.join()

    def test_unmet(self) -> None:
        with ScriptedPeer() as peer:
            peer.expect(b"a")
            peer.expect(b"b").times(2)
            with connected(peer) as till:
                till.send(b"a", 4)
                lines = self.failure(peer)
        assert lines[0] == f"{peer.address}: 1 of 2 expectations was not met"
        assert lines[1].startswith("  expected: #2 expect(data=b'b').times(2) (test_peer.py:")
        assert lines[2] == "  received: msg_id 4, 1 byte: b'a' (connection 1)"
        assert "#1 expect(data=b'a')" in lines[4]
        assert lines[4].endswith("met once")
        assert lines[5].endswith("not met")
        peer.verify(complete=False)

    def test_unexpected(self) -> None:
        with ScriptedPeer() as peer:
            with connected(peer) as till:
                till.send(b"secret", 4)
                with pytest.raises(ConnectionClosed):
                    till.recv(SOON)
            assert self.failure(peer)[:3] == [
                f"{peer.address}: received an unexpected message",
                "  expected: no more messages",
                "  received: msg_id 4, 6 bytes: b'secret' (connection 1)",
            ]

    def test_what_is_not_a_message(self) -> None:
        with ScriptedPeer() as peer:
            peer.expect(b"x")
            with raw(peer) as sock:
                sock.sendall(encode(peer.prefix, 1, b"x") + b"junk")
                assert until_end(sock) == b""
            assert "the program sent bytes that are not a message: " in self.failure(peer)[0]

    def test_half_a_message(self) -> None:
        with ScriptedPeer() as peer:
            with raw(peer) as sock:
                sock.sendall(encode(peer.prefix, 1, b"x")[:9])
            assert self.failure(peer)[0].endswith(
                "connection 1 ended inside a message, after 9 bytes"
            )

    @pytest.mark.parametrize(
        ("script", "told"),
        [
            (
                lambda peer: peer.expect().answer(lambda _: 1 / 0),
                r"the answer of #1 expect\(\) \(\S+:\d+\) raised ZeroDivisionError: division",
            ),
            (
                lambda peer: peer.expect(lambda _: 1 / 0),
                r"expect\(data=.*<lambda>\) \(\S+:\d+\) raised ZeroDivisionError: division",
            ),
            # What pytest.fail() raises is not an Exception either.
            (lambda peer: peer.expect(lambda _: pytest.fail("no")), r"\) raised Failed: no"),
            (lambda peer: peer.expect(lambda _: sys.exit(3)), r"\) raised SystemExit: 3"),
            (
                lambda peer: peer.expect().answer(lambda _: pytest.fail("no")),
                r"the answer of #1 .* raised Failed: no",
            ),
            (
                lambda peer: peer.on_connect().answer(lambda _: sys.exit(3)),
                r"the answer of on_connect\(\) raised SystemExit: 3",
            ),
            (lambda peer: peer.expect().answer(lambda _: "text"), "must be bytes-like, not str"),
            (
                lambda peer: peer.expect().answer(b"").cut(at=13),
                "at=13 is beyond the end of the answer",
            ),
            (
                lambda peer: peer.expect().answer(b"").damage({12: 1}),
                "offset 12 is not in the answer, which has 12 bytes, header included",
            ),
            (
                lambda peer: peer.expect().answer(b"").wrong_prefix(peer.prefix),
                "wrong_prefix is the peer's own prefix, 0x",
            ),
        ],
    )
    def test_faults_of_the_script(
        self, script: Callable[[ScriptedPeer], object], told: str
    ) -> None:
        with ScriptedPeer() as peer:
            script(peer)
            ended = (ConnectionClosed, ConnectionResetError)
            with connected(peer) as till, pytest.raises(ended):
                till.request(b"x", SOON)
            assert re.search(told, self.failure(peer)[0])

    def test_leaving_the_block_verifies(self) -> None:
        with pytest.raises(PeerFailure, match="1 of 1 expectations was not met"):  # noqa: SIM117
            with ScriptedPeer() as peer:
                peer.expect()

    def test_what_was_not_expected_is_the_cause_of_what_it_brings_about(self) -> None:
        with pytest.raises(RuntimeError) as raised:  # noqa: PT012, SIM117
            with ScriptedPeer() as peer, connected(peer) as till:
                try:
                    till.request(b"x", SOON)
                except ConnectionClosed as error:
                    raise RuntimeError("till is broken") from error
        assert isinstance(raised.value.__cause__, ConnectionClosed)
        assert isinstance(raised.value.__cause__.__cause__, PeerFailure)

    def test_what_has_not_come_is_a_note(self) -> None:
        def fail(peer: ScriptedPeer) -> NoReturn:
            with peer:
                peer.expect(b"x")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as raised:
            fail(ScriptedPeer())
        (note,) = vars(raised.value)["__notes__"]
        assert "1 of 1 expectations was not met" in note

    def test_many_problems_are_counted(self) -> None:
        with ScriptedPeer() as peer:
            for _ in range(3):
                with connected(peer) as till, pytest.raises(ConnectionClosed):
                    till.request(b"x", SOON)
            assert "  and 2 more problems" in self.failure(peer)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prefix": -1}, "prefix is -1"),
        ({"size_limit": -1}, "size_limit is -1"),
        ({"tls": True, "pipe": True}, "tls and pipe cannot be combined"),
        ({"tls": 5}, "tls must be a bool or an SSLContext, not int"),
        ({"pipe": 5}, "pipe must be a bool or a path, not int"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        ScriptedPeer(**wrong)


@pytest.mark.parametrize("timeout", ["1", -1, float("nan"), float("inf")])
def test_a_time_out_is_a_number_of_seconds(timeout: Any) -> None:
    with ScriptedPeer() as peer, pytest.raises((TypeError, ValueError), match="timeout"):
        peer.verify(timeout)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda reaction: reaction.cut(at=1), "must come after answer"),
        (lambda reaction: reaction.answer(b"").delay(1).oversize(), "must come after answer"),
        (lambda reaction: reaction.answer(b"").cut(at=-1), "at is -1"),
        (lambda reaction: reaction.answer(b"").cut(at="1"), "at must be an int, not str"),
        (lambda reaction: reaction.answer(b"").pieces(0), "pieces is 0"),
        (lambda reaction: reaction.answer(b"").pieces([]), "pieces needs at least one size"),
        (lambda reaction: reaction.answer(b"").pieces([2, 0]), "a size of pieces is 0"),
        (lambda reaction: reaction.answer(b"").pieces("ab"), "a size of pieces must be an int"),
        (lambda reaction: reaction.answer(b"").pieces(None), "pieces must be an int"),
        (lambda reaction: reaction.answer(b"").slow(0), "bytes_per_second is 0"),
        (lambda reaction: reaction.answer(b"").slow("1"), "bytes_per_second must be a number"),
        (lambda reaction: reaction.answer(b"").damage([1]), "damage must be a mapping"),
        (lambda reaction: reaction.answer(b"", msg_id=2**31), "msg_id is 2147483648"),
        (lambda reaction: reaction.answer(b"").wrong_prefix(-1), "prefix is -1"),
        (lambda reaction: reaction.delay(-1), "delay is -1"),
        (lambda reaction: reaction.delay("1"), "delay must be a number of seconds, not str"),
        (lambda reaction: reaction.garbage("text"), "data must be bytes-like, not str"),
        (lambda reaction: reaction.answer("text"), "data must be bytes-like, not str"),
        (lambda reaction: reaction.answer(json=float("nan")), "JSON compliant"),
        (lambda reaction: reaction.answer(b"x", json=1), "data or json, not both"),
        (lambda reaction: reaction.answer(lambda _: b"", json=1), "data or json, not both"),
    ],
)
def test_reactions_that_cannot_be(wrong: Callable[[Reaction], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        wrong(Reaction())


@pytest.mark.parametrize(
    "end",
    [
        lambda reaction: reaction.close(),
        lambda reaction: reaction.cut(),
        lambda reaction: reaction.reset(),
        lambda reaction: reaction.answer(b"").cut(at=3),
        lambda reaction: reaction.answer(b"").reset(at=3),
    ],
)
def test_nothing_is_scripted_behind_the_end(end: Callable[[Reaction], Reaction]) -> None:
    with pytest.raises(ValueError, match="the step before ends the connection"):
        end(Reaction()).answer(b"more")


def test_a_path_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        with ScriptedPeer(pipe=path) as peer:
            assert peer.address == f"pipe://{path}"
            assert path.exists()
        assert not path.exists()
    path.touch()
    with pytest.raises(OSError, match="in use"):
        ScriptedPeer(pipe=path).__enter__()
    assert path.exists()


def test_it_is_started_once() -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        ScriptedPeer().send(b"")
    with ScriptedPeer() as peer, pytest.raises(RuntimeError, match="entered only once"):
        peer.__enter__()


def test_a_closed_one_refuses() -> None:
    with ScriptedPeer() as peer, connected(peer) as till:
        peer.close()
        peer.close()
        with pytest.raises((OSError, ConnectionClosed)):
            till.recv(SOON)
        with pytest.raises(OSError, match="refused"), raw(peer):
            pass


def test_connections_that_have_just_come_are_closed_too() -> None:
    for _ in range(20):
        with ScriptedPeer() as peer, raw(peer):
            peer.close()
    gc.collect()  # which warns of a socket that was not closed


def test_closing_interrupts_what_is_under_way() -> None:
    began = time.monotonic()
    with ScriptedPeer() as peer, ScriptedPeer(tls=True) as encrypted, connected(peer) as till:
        peer.expect().delay(1000).answer(b"x")
        till.send(b"x")
        host, _, port = encrypted.address.removeprefix("tls://").rpartition(":")
        with socket.create_connection((host, int(port))):  # and makes no handshake
            time.sleep(0.05)
    assert time.monotonic() - began < SOON


def test_a_function_that_does_not_return_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfiipc.testing.peer_loop._SOON", 0.1)

    def wait(message: Message) -> None:
        called.set()
        release.wait(SOON)

    called, release = threading.Event(), threading.Event()
    before = threading.active_count()
    peer = ScriptedPeer()
    peer.expect().answer(wait)
    peer.__enter__()
    with connected(peer) as till:
        till.send(b"x")
        assert called.wait(SOON)
        with pytest.raises(RuntimeError, match="has not returned"):
            peer.close()
        release.set()
    until(lambda: threading.active_count() <= before)


DESCRIPTORS = Path("/proc/self/fd")


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")
@pytest.mark.long
def test_nothing_is_left_behind_by_a_thousand() -> None:
    def use(**options: Any) -> None:
        with ScriptedPeer(**options) as peer:
            peer.expect().answer(b"x").cut()
            with raw(peer) if not options else connected(peer) as link:
                if isinstance(link, socket.socket):
                    link.sendall(encode(peer.prefix, 1, b""))
                    assert until_end(link)
                else:
                    link.request(b"", SOON)

    for options in TRANSPORTS.values():
        use(**options)
    gc.collect()
    before = (threading.active_count(), len([*DESCRIPTORS.iterdir()]))
    for options, count in zip(TRANSPORTS.values(), (900, 20, 80)):
        for _ in range(count):
            use(**options)
    gc.collect()
    # Fewer, where what another test has left behind has ended meanwhile.
    assert threading.active_count() <= before[0]
    assert len([*DESCRIPTORS.iterdir()]) <= before[1]


@pytest.mark.parametrize("number", [0, -1])
def test_connections_are_numbered_from_one_on(number: int) -> None:
    with ScriptedPeer(prefix=7, size_limit=100) as peer:
        for use in (peer.expect, peer.send, peer.disconnect):
            with pytest.raises(ValueError, match=f"connection is {number}, but must be 1 or more"):
                use(connection=number)
        with pytest.raises(TypeError, match="connection must be an int, not str"):
            peer.expect(connection="1")  # type: ignore[arg-type]


def test_a_predicate_that_raises_while_a_failure_is_explained() -> None:
    def wants_six_bytes(data: bytes) -> bool:
        return data[5] == 1

    def play() -> None:
        with ScriptedPeer(prefix=7, size_limit=100) as peer:
            peer.expect(b"first")
            peer.expect(wants_six_bytes)
            with connected(peer) as connection:
                connection.send(b"x")
                with pytest.raises(ConnectionClosed):
                    connection.recv(timeout=SOON)

    with pytest.raises(
        PeerFailure, match=r"wants_six_bytes\) \(test_peer.py:\d+\) raised IndexError"
    ):
        play()
