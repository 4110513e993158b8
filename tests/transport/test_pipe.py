"""What is particular to Pipe: paths, their files, and who is at the other end."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers.children import NOBODY, give_up_rights, in_child, status
from vfiipc import Pipe
from vfiipc.codec import encode
from vfiipc.transport import unix_sockets

from .pipes import connected, descriptors, forks, full, left_behind, reason, serves
from .suite.base import LIMIT, LONG, PATIENCE, PREFIX, Aside
from .suite.closing import untouched


@pytest.fixture
def server(path: Path) -> Iterator[Pipe]:
    with Pipe() as listening:
        assert listening.listen(path), listening.last_error
        yield listening


BAD_NAMES = {
    "empty": "",
    "too long": "/" + 107 * "x",
    "too long in bytes": "/" + 54 * "\u00e9",
    "a NUL inside": "/tmp/a\0b",
    "abstract and too long": "\0" + 108 * "x",
    "abstract and empty": "\0",
    "no bytes for it": "/tmp/\ud800",
}


class TestNames:
    @pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
    @pytest.mark.parametrize("member", ["connect", "listen"])
    def test_bad_ones_are_told(self, member: str, name: str) -> None:  # IPC-U2
        with Pipe() as pipe:
            assert getattr(pipe, member)(name) is False
            assert isinstance(pipe.last_error, (OSError, ValueError))
            assert not pipe.error()
            assert not pipe.is_server()

    def test_a_long_one_is_told_with_what_is_allowed(self) -> None:  # IPC-U2
        with Pipe() as pipe:
            assert pipe.connect("/" + 120 * "x") is False
            number, text = reason(pipe)
            assert number == errno.ENAMETOOLONG
            assert "121 bytes" in text
            assert "107" in text
            assert pipe.listen("\0" + 120 * "x") is False
            assert "108" in reason(pipe)[1]

    @pytest.mark.parametrize("abstract", [False, True])
    def test_the_longest_works(self, path: Path, abstract: bool) -> None:  # IPC-U2
        start = f"{chr(0) if abstract else ''}{path}"
        name = start + "x" * (107 + abstract - len(start))
        with Pipe() as server:
            assert server.listen(name), server.last_error
            assert serves(server, name)

    @pytest.mark.parametrize("bad", [b"/tmp/x", 1, None, Path])
    def test_what_is_no_path_raises(self, bad: object) -> None:  # IPC-G2
        with Pipe() as pipe:
            with pytest.raises(TypeError, match="path must be"):
                pipe.connect(bad)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="path must be"):
                pipe.listen(bad)  # type: ignore[arg-type]

    def test_abstract_ones_have_no_file(self, path: Path) -> None:  # IPC-U1
        name = f"\0{path}"
        with Pipe() as server, Pipe() as other:
            assert server.listen(name), server.last_error
            assert not path.exists()
            assert serves(server, name)
            assert other.listen(name) is False
            assert reason(other)[0] == errno.EADDRINUSE
            server.close()
            assert other.connect(name) is False
            assert reason(other)[0] == errno.ECONNREFUSED
            assert other.listen(name)

    def test_abstract_ones_have_no_mode(self, path: Path) -> None:
        with Pipe() as pipe:
            assert pipe.listen(f"\0{path}", 0o600) is False
            assert reason(pipe)[0] == errno.EINVAL
            assert "no file" in reason(pipe)[1]

    def test_abstract_ones_are_refused_elsewhere(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # IPC-U1
        monkeypatch.setattr(unix_sockets, "sys", SimpleNamespace(platform="darwin"))
        with Pipe() as pipe:
            for member in (pipe.listen, pipe.connect):
                assert member(f"\0{path}") is False
                assert "Linux only" in reason(pipe)[1]

    def test_a_platform_without_unix_sockets(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # IPC-U3
        monkeypatch.delattr(socket, "AF_UNIX")
        with Pipe() as pipe:
            for member in (pipe.listen, pipe.connect):
                assert member(path) is False
                number, text = reason(pipe)
                assert number == errno.EAFNOSUPPORT
                assert "no Unix sockets" in text


class TestConnecting:
    def test_nothing_there(self, path: Path) -> None:
        with Pipe() as pipe:
            assert pipe.connect(path) is False
            assert isinstance(pipe.last_error, FileNotFoundError)
            assert str(path) in reason(pipe)[1]

    def test_nobody_listens(self, path: Path) -> None:
        left_behind(path)
        with Pipe() as pipe:
            assert pipe.connect(path) is False
            assert isinstance(pipe.last_error, ConnectionRefusedError)
            assert path.exists()

    def test_a_file_that_is_no_socket(self, path: Path) -> None:
        path.write_text("text", encoding="ascii")
        with Pipe() as pipe:
            assert pipe.connect(path) is False
            assert isinstance(pipe.last_error, OSError)
        assert path.read_text(encoding="ascii") == "text"

    def test_a_queue_that_stays_full(self, path: Path) -> None:
        with Pipe() as server, Pipe() as pipe:
            assert server.listen(path, backlog=0)
            with full(server, path):
                begin = time.monotonic()
                assert pipe.connect(path, 100) is False
                assert 0.09 < time.monotonic() - begin < PATIENCE / 2
                assert isinstance(pipe.last_error, TimeoutError)
                assert "queue" in reason(pipe)[1]

    @pytest.mark.parametrize("timeout", [-1, LONG])
    def test_a_queue_that_gets_room(self, path: Path, timeout: int) -> None:
        with Pipe() as server, Pipe() as pipe:
            assert server.listen(path, backlog=0)
            with full(server, path):
                connecting = Aside(pipe.connect, path, timeout).until_blocked()
                first = server.accept(LONG)
                assert first is not None
                first.close()
                assert connecting.result() is True
                assert pipe.write_msg(PREFIX, 5, b"here at last")
                while (accepted := server.accept(LONG)) is not None:
                    with accepted:
                        if accepted.poll_in(0) and not accepted.eof():
                            assert accepted.read_msg(PREFIX, LIMIT, 0) == (5, b"here at last")
                            break
                assert accepted is not None

    def test_close_wakes(self, path: Path) -> None:
        with Pipe() as server, Pipe() as pipe:
            assert server.listen(path, backlog=0)
            with full(server, path):
                connecting = Aside(pipe.connect, path).until_blocked()
                pipe.close()
                assert connecting.result() is False
                assert untouched(pipe)
                assert pipe.getFD() == -1

    def test_a_server_that_ends_ends_the_waiting(self, path: Path) -> None:
        with Pipe() as server, Pipe() as pipe:
            assert server.listen(path, backlog=0)
            with full(server, path):
                connecting = Aside(pipe.connect, path).until_blocked()
                server.close()
                assert connecting.result() is False
                assert reason(pipe)[0] in (errno.ENOENT, errno.ECONNREFUSED)

    @forks
    def test_without_permission(self, path: Path) -> None:  # IPC-U4
        def work() -> bool:
            give_up_rights()
            with Pipe() as pipe:
                refused = not pipe.connect(path, LONG)
                return refused and isinstance(pipe.last_error, PermissionError)

        with Pipe() as server:
            assert server.listen(path, 0o000 if os.geteuid() else 0o600)
            assert status(in_child(work)) == 0
            assert server.accept(0) is None

    def test_what_was_there_is_closed_first(self, server: Pipe, path: Path) -> None:
        client, accepted = connected(server, path)
        with client, accepted:
            assert client.connect(path.with_name("nothing")) is False
            assert client.getFD() == -1
            assert accepted.read(1, LONG) == b""
            assert accepted.eof()
            assert client.connect(path, LONG)
            assert client.last_error is None

    def test_listening_becomes_connecting(self, server: Pipe, path: Path) -> None:
        with Pipe() as other:
            assert other.listen(path.with_name("other"))
            assert other.connect(path, LONG)
            assert not other.is_server()
            assert not path.with_name("other").exists()


class TestPeers:
    def test_both_ends_know_each_other(self, server: Pipe, path: Path) -> None:
        client, accepted = connected(server, path)
        with client, accepted:
            here = f"{os.getpid()} {os.getuid()} {os.getgid()}"
            assert (client.remote_addr(), client.local_addr()) == (here, "")
            assert (accepted.remote_addr(), accepted.local_addr()) == (here, "")
            assert here in repr(client)
            client.close()
            assert accepted.remote_addr() == here
            assert (client.remote_addr(), repr(client)) == ("", "<Pipe not open>")

    def test_listening_has_no_address(self, server: Pipe, path: Path) -> None:
        assert (server.remote_addr(), server.local_addr()) == ("", "")
        assert str(path) in repr(server)
        assert server.is_server()
        assert server.getFD() >= 0

    @forks
    def test_another_process_and_user(self, path: Path) -> None:
        def work() -> bool:
            give_up_rights()
            with Pipe() as pipe:
                if not pipe.connect(path, LONG):
                    return False
                own = f"{os.getpid()} {os.getuid()} {os.getgid()}"
                return (
                    pipe.write_msg(PREFIX, 1, own.encode())
                    and pipe.remote_addr().split()[0] == str(os.getppid())
                    and pipe.read_msg(PREFIX, LIMIT, LONG) == (2, b"")
                )

        with Pipe() as server:
            assert server.listen(path, 0o666)
            child = in_child(work)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                message = accepted.read_msg(PREFIX, LIMIT, LONG)
                assert message is not None
                assert accepted.remote_addr() == message.data.decode()
                assert accepted.remote_addr().startswith(f"{child} ")
                if os.geteuid() == 0:
                    assert accepted.remote_addr() == f"{child} {NOBODY} {NOBODY}"
                assert accepted.write_msg(PREFIX, 2, b"")
                assert status(child) == 0

    @forks
    def test_gone_in_mid_message(self, server: Pipe, path: Path) -> None:
        def work() -> bool:
            pipe = Pipe()
            connected = pipe.connect(path, LONG)
            return connected and pipe.write(encode(PREFIX, 3, b"whole" * 100)[:-1])

        child = in_child(work)
        accepted = server.accept(LONG)
        assert accepted is not None
        with accepted:
            assert accepted.read_msg(PREFIX, LIMIT, LONG) is None
            assert (accepted.eof(), accepted.error()) == (True, False)
            assert len(accepted.read(LIMIT)) == 12 + 500 - 1
            assert status(child) == 0
            assert accepted.write_msg(PREFIX, 1, b"nobody there") is False
            assert isinstance(accepted.last_error, BrokenPipeError)

    def test_unread_data_of_who_closes_is_an_error_at_the_other_end(
        self, server: Pipe, path: Path
    ) -> None:
        client, accepted = connected(server, path)
        with client, accepted:
            assert client.write(b"never read")
            assert client.peek(1, 0).n == -2
            accepted.close()
            assert client.read(1, LONG) == b""
            assert client.error()
            assert isinstance(client.last_error, ConnectionResetError)


class TestTheRest:
    def test_flags(self) -> None:
        assert (Pipe.PC_None, Pipe.PC_EnableCredentials) == (0, 1)
        Pipe(Pipe.PC_None).close()
        Pipe(config=0).close()
        with pytest.warns(DeprecationWarning, match="no effect"):
            Pipe(Pipe.PC_EnableCredentials).close()
        for bad in (-1, 2, 3):
            with pytest.raises(ValueError, match="PC_None"):
                Pipe(bad)
        with pytest.raises(TypeError):
            Pipe("1")  # type: ignore[arg-type]

    def test_what_belongs_to_tcp_is_no_member(self) -> None:
        assert not hasattr(Pipe, "setKeepalive")
        assert not hasattr(Pipe, "setFD")

    def test_accept_in_time_and_not_listening(self, server: Pipe, path: Path) -> None:
        begin = time.monotonic()
        assert server.accept(60) is None
        assert time.monotonic() - begin > 0.05
        assert server.last_error is None
        with Pipe() as pipe:
            assert pipe.accept(0) is None
            assert reason(pipe)[0] == errno.EINVAL

    def test_accepted_ones_are_as_strict(self, server: Pipe, path: Path) -> None:
        server.strict = True
        client, accepted = connected(server, path)
        with client, accepted:
            assert accepted.strict
            assert not client.strict

    def test_the_callback_tells_of_connections(self, server: Pipe, path: Path) -> None:
        calls: list[object] = []
        told = threading.Event()

        def come(data: object, ipc: object) -> None:
            calls.append((data, ipc))
            told.set()

        assert server.set_callback(come, "data")
        for number in (1, 2, 3):
            client, accepted = Pipe(), None
            with client:
                assert client.connect(path, LONG)
                assert told.wait(PATIENCE)
                told.clear()
                assert len(calls) == number
                accepted = server.accept(0)
                assert accepted is not None
                accepted.close()
        assert calls == [("data", server)] * 3
        assert server.set_callback(None)

    def test_two_threads_at_each_end(self, server: Pipe, path: Path) -> None:
        client, accepted = connected(server, path)
        data = bytes(range(256)) * 8192
        with client, accepted:
            writing = [Aside(end.write_msgs, PREFIX, [(1, data)] * 4) for end in (client, accepted)]
            for end in (client, accepted):
                for _ in range(4):
                    assert end.read_msg(PREFIX, len(data), LONG) == (1, data)
            assert [call.result() for call in writing] == [True, True]

    def test_several_accept_at_once(self, server: Pipe, path: Path) -> None:
        accepting = [Aside(server.accept, LONG) for _ in range(4)]
        clients = [Pipe() for _ in accepting]
        for number, client in enumerate(clients):
            assert client.connect(path, LONG)
            assert client.write_msg(PREFIX, number, b"")
        numbers = []
        for call in accepting:
            with call.result() as accepted:
                numbers.append(accepted.read_msg(PREFIX, LIMIT, LONG).msg_id)
        assert sorted(numbers) == [0, 1, 2, 3]
        for client in clients:
            client.close()

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    @pytest.mark.long
    def test_ten_thousand_connections_leave_nothing(self, path: Path) -> None:
        def use() -> None:
            client, accepted = connected(listening, path)
            assert client.write_msg(PREFIX, 1, b"x")
            assert accepted.read_msg(PREFIX, LIMIT, LONG) == (1, b"x")
            client.close()
            accepted.close()

        with Pipe() as listening:
            assert listening.listen(path)
            for _ in range(5):
                use()
            before = descriptors(), threading.active_count()
            for _ in range(10_000):
                use()
            # A signal or two may be kept for the next wait.
            assert descriptors() <= before[0] + 2
            assert threading.active_count() <= before[1]
            assert list(path.parent.iterdir()) == [path]
        assert not list(path.parent.iterdir())
