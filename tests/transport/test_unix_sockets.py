"""The files of listening pipes: who gets a path, with which mode, and who removes it."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.children import give_up_rights, in_child, status
from tests.helpers.intrusion import interrupt, intruding
from vfiipc import Pipe
from vfiipc.transport.lifetime import Lifetime
from vfiipc.transport.unix_sockets import bound_socket

from .pipes import connected, descriptors, forks, full, left_behind, reason, serves
from .suite.base import LIMIT, LONG, PATIENCE, PREFIX, Aside
from .suite.closing import untouched

MODULE = "unix_sockets.py"
KINDS = {
    "stream": socket.SOCK_STREAM,
    "datagram": socket.SOCK_DGRAM,
    "seqpacket": socket.SOCK_SEQPACKET,
}


@pytest.fixture
def server(path: Path) -> Iterator[Pipe]:
    with Pipe() as listening:
        assert listening.listen(path), listening.last_error
        yield listening


class TestTakingAPath:
    def test_one_that_was_left_behind(self, path: Path) -> None:  # IPC-U5
        for kind in KINDS.values():
            left_behind(path, kind)
            with Pipe() as server:
                assert server.listen(path), server.last_error
                assert serves(server, path)
            assert not path.exists()

    def test_one_with_a_server(self, server: Pipe, path: Path) -> None:  # IPC-U5
        with Pipe() as other:
            assert other.listen(path) is False
            number, text = reason(other)
            assert number == errno.EADDRINUSE
            assert str(path) in text
            assert not other.is_server()
        assert serves(server, path)

    def test_one_whose_server_has_a_full_queue(self, path: Path) -> None:  # IPC-U5
        with Pipe() as server, Pipe() as other:
            assert server.listen(path, backlog=0)
            with full(server, path):
                assert other.listen(path) is False
                assert reason(other)[0] == errno.EADDRINUSE

    @pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
    @pytest.mark.parametrize("backlog", [None, 0, 5])
    def test_one_with_a_socket_of_any_kind(
        self, path: Path, kind: int, backlog: int | None
    ) -> None:  # IPC-U5
        with socket.socket(socket.AF_UNIX, kind) as sock, Pipe() as other:
            sock.bind(str(path))
            if backlog is not None and kind != socket.SOCK_DGRAM:
                sock.listen(backlog)
            assert other.listen(path) is False
            assert reason(other)[0] == errno.EADDRINUSE
            assert path.exists()

    @pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
    def test_its_server_does_not_notice(self, path: Path, kind: int) -> None:  # IPC-U5
        with socket.socket(socket.AF_UNIX, kind) as sock, Pipe() as other:
            sock.bind(str(path))
            sock.setblocking(False)
            if kind != socket.SOCK_DGRAM:
                sock.listen(5)
            for _ in range(10):
                assert other.listen(path) is False
            with pytest.raises(BlockingIOError):
                sock.recv(1) if kind == socket.SOCK_DGRAM else sock.accept()

    def test_a_datagram_socket_that_has_a_peer(self, path: Path) -> None:
        # The system refuses to connect to one, for another reason than that it is gone.
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer,
            Pipe() as other,
        ):
            sock.bind(str(path))
            peer.bind(str(path.with_name("peer")))
            sock.connect(str(path.with_name("peer")))
            assert other.listen(path) is False
            assert path.exists()

    def test_no_callback_comes_for_who_asks(self, server: Pipe, path: Path) -> None:
        calls: list[object] = []
        assert server.set_callback(lambda _data, ipc: calls.append(ipc))
        with Pipe() as other:
            for _ in range(10):
                assert other.listen(path) is False
        assert server.accept(50) is None
        assert not calls

    def test_other_files_stay(self, path: Path) -> None:  # IPC-U5
        def file() -> None:
            path.write_text("precious", encoding="ascii")

        def link_to_socket() -> None:
            left_behind(path.with_name("target"))
            path.symlink_to("target")

        kinds: list[Callable[[], object]] = [
            file,
            path.mkdir,
            lambda: os.mkfifo(path),
            lambda: path.symlink_to("nowhere"),
            link_to_socket,
        ]
        with Pipe() as pipe:
            for make in kinds:
                make()
                before = path.lstat()
                assert pipe.listen(path) is False
                assert reason(pipe)[0] == errno.EADDRINUSE
                assert path.lstat().st_ino == before.st_ino
                pipe.close()
                assert path.lstat().st_ino == before.st_ino
                path.rmdir() if path.is_dir() else path.unlink()
        assert stat.S_ISSOCK(path.with_name("target").stat().st_mode)

    def test_no_such_directory(self, path: Path) -> None:
        with Pipe() as pipe:
            assert pipe.listen(path / "below") is False
            assert isinstance(pipe.last_error, FileNotFoundError)
            assert str(path) in reason(pipe)[1]

    @forks
    def test_without_permission_to_ask(self, path: Path) -> None:  # IPC-U5
        def work() -> bool:
            give_up_rights()
            with Pipe() as pipe:
                refused = not pipe.listen(path)
                return refused and isinstance(pipe.last_error, PermissionError)

        left_behind(path)
        path.chmod(0)
        assert status(in_child(work)) == 0
        assert path.exists()

    @forks
    def test_a_directory_that_may_not_be_read(self, path: Path) -> None:
        def work() -> bool:
            give_up_rights()
            with Pipe() as server:
                return server.listen(path) and serves(server, path)

        path.parent.chmod(0o333)
        assert status(in_child(work)) == 0
        path.parent.chmod(0o755)
        assert not path.exists()

    def test_listening_again_at_the_same_path(self, server: Pipe, path: Path) -> None:
        before = path.stat().st_mtime_ns
        assert server.listen(path), server.last_error
        assert path.stat().st_mtime_ns != before
        assert serves(server, path)

    @pytest.mark.parametrize("abstract", [False, True])
    def test_of_many_at_once_one_gets_it(self, path: Path, abstract: bool) -> None:  # IPC-U6
        name = f"\0{path}" if abstract else str(path)
        for number in range(20):
            if not abstract and number % 2:
                left_behind(path)
            pipes = [Pipe() for _ in range(6)]
            start = threading.Barrier(len(pipes))

            def listen(pipe: Pipe, start: threading.Barrier = start) -> bool:
                start.wait(PATIENCE)
                return pipe.listen(name)

            results = [call.result() for call in [Aside(listen, pipe) for pipe in pipes]]
            assert results.count(True) == 1
            assert serves(pipes[results.index(True)], name)
            for pipe in pipes:
                if not pipe.is_server():
                    assert reason(pipe)[0] == errno.EADDRINUSE
                pipe.close()
            assert not path.exists()

    @forks
    def test_of_many_processes_one_gets_it(self, path: Path) -> None:  # IPC-U6
        left_behind(path)
        go, start = os.pipe()
        tried, tell = os.pipe()
        done, end = os.pipe()

        def work() -> bool:
            os.close(start)
            os.close(end)
            os.read(go, 1)
            with Pipe() as pipe:
                listens = pipe.listen(path)
                os.write(tell, b"x")
                os.read(done, 1)
                return listens

        children = [in_child(work) for _ in range(8)]
        os.close(start)
        assert sum(len(os.read(tried, 1)) for _ in children) == 8
        os.close(end)
        assert sorted(map(status, children)) == [0] + [2] * 7
        for descriptor in (go, tried, tell, done):
            os.close(descriptor)
        assert not path.exists()

    def test_waits_for_who_takes_one_in_the_same_directory(self, path: Path) -> None:  # IPC-U6
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            with Pipe() as pipe:
                listening = Aside(pipe.listen, path).until_blocked()
                assert not path.exists()
                fcntl.flock(directory, fcntl.LOCK_UN)
                assert listening.result() is True
        finally:
            os.close(directory)

    def test_close_ends_the_waiting(self, path: Path) -> None:  # IPC-U6
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            with Pipe() as pipe:
                listening = Aside(pipe.listen, path).until_blocked()
                pipe.close()
                assert listening.result() is False
                assert untouched(pipe)
                assert not pipe.is_server()
                assert not path.exists()
        finally:
            os.close(directory)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_an_exception_leaves_no_lock_and_no_descriptor(self, path: Path) -> None:
        def struck(step: int) -> bool:
            left_behind(path)
            with Pipe() as pipe:
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as happened:
                    assert pipe.listen(path)
                pipe.close()
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(directory, fcntl.LOCK_UN)
                assert pipe.listen(path), pipe.last_error
            assert not path.exists()
            return bool(happened)

        directory = os.open(path.parent, os.O_RDONLY)
        try:
            assert struck(0)
            before = descriptors()
            steps = next(step for step in itertools.count() if not struck(step))
            assert steps > 20
            # One that strikes between the end of the lock and that of its descriptor loses it.
            assert descriptors() <= before + 1
        finally:
            os.close(directory)

    def test_does_not_wait_for_ever(self, path: Path) -> None:  # IPC-U6
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            with Pipe() as pipe:
                assert pipe.listen(path), pipe.last_error
        finally:
            os.close(directory)

    def test_failures_leave_nothing(self, server: Pipe, path: Path) -> None:
        def fail() -> None:
            with Pipe() as pipe:
                assert not pipe.listen(path)
                assert not pipe.listen(path / "below")
                assert not pipe.listen("")
                assert not pipe.connect(path.with_name("nothing"))
                assert not pipe.connect("")

        fail()
        before = descriptors()
        for _ in range(50):
            fail()
        assert descriptors() <= before
        assert list(path.parent.iterdir()) == [path]


class TestModes:
    @pytest.fixture(params=[0o000, 0o022, 0o077])
    def umask(self, request: pytest.FixtureRequest) -> Iterator[int]:
        former = os.umask(request.param)
        yield request.param
        os.umask(former)

    @pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777, 0o000])
    def test_is_what_was_asked_for(self, path: Path, umask: int, mode: int) -> None:  # IPC-U4
        with Pipe() as server:
            assert server.listen(path, mode), server.last_error
            assert stat.S_IMODE(path.stat().st_mode) == mode

    def test_none_is_what_the_umask_leaves(self, path: Path, umask: int) -> None:
        with Pipe() as server:
            assert server.listen(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~umask

    @pytest.mark.parametrize("mode", [-1, 0o1000, 0o100600])
    def test_others_raise(self, path: Path, mode: int) -> None:
        with Pipe() as pipe, pytest.raises(ValueError, match="0o777"):
            pipe.listen(path, mode)
        with Pipe() as pipe, pytest.raises(TypeError):
            pipe.listen(path, "600")  # type: ignore[arg-type]
        assert not path.exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere sockets have no mode")
    def test_the_file_begins_with_it(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # IPC-U4
        former, chmod, modes = os.umask(0), os.chmod, []

        def watched(*arguments: Any, **keywords: Any) -> None:
            modes.append(stat.S_IMODE(path.stat().st_mode))
            chmod(*arguments, **keywords)

        monkeypatch.setattr(os, "chmod", watched)
        try:
            with Pipe() as server:
                assert server.listen(path, 0o640), server.last_error
        finally:
            os.umask(former)
        assert modes == [0o640]

    @forks
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
    def test_there_is_no_moment_without_it(self, path: Path) -> None:  # IPC-U4
        former = os.umask(0)
        ready, told = os.pipe()

        def work() -> bool:
            give_up_rights()
            refusals = 0
            os.set_blocking(ready, False)
            while True:
                with socket.socket(socket.AF_UNIX) as sock:
                    number = sock.connect_ex(str(path))
                if number == 0:
                    return False
                refusals += number == errno.EACCES
                try:
                    os.read(ready, 1)
                    return refusals > 0
                except BlockingIOError:
                    pass

        try:
            child = in_child(work)
            for _ in range(300):
                with Pipe() as server:
                    assert server.listen(path, 0o600), server.last_error
                    assert server.accept(0) is None
            os.write(told, b"x")
            assert status(child) == 0
        finally:
            os.umask(former)
            os.close(ready)
            os.close(told)

    @pytest.mark.parametrize("backlog", [-1, -(2**40)])
    def test_a_negative_backlog_raises(self, path: Path, backlog: int) -> None:
        with Pipe() as pipe, pytest.raises(ValueError, match="backlog"):
            pipe.listen(path, backlog=backlog)

    def test_a_huge_backlog_is_what_the_system_takes(self, path: Path) -> None:
        with Pipe() as server:
            assert server.listen(path, backlog=2**40), server.last_error
            assert serves(server, path)


class TestRemoving:
    def test_close_removes_the_file(self, server: Pipe, path: Path) -> None:  # IPC-U7
        assert path.exists()
        server.close()
        assert not path.exists()
        server.close()

    def test_also_while_accept_waits(self, server: Pipe, path: Path) -> None:
        accepting = Aside(server.accept).until_blocked()
        server.close()
        assert accepting.result() is None
        assert not path.exists()

    def test_an_accepted_one_removes_nothing(self, server: Pipe, path: Path) -> None:
        client, accepted = connected(server, path)
        client.close()
        accepted.close()
        assert serves(server, path)

    def test_one_that_was_removed_is_not_missed(self, server: Pipe, path: Path) -> None:  # IPC-U7
        client, accepted = connected(server, path)
        with client, accepted, Pipe() as other:
            path.unlink()
            assert client.write_msg(PREFIX, 1, b"goes on")
            assert accepted.read_msg(PREFIX, LIMIT, LONG) == (1, b"goes on")
            assert other.connect(path) is False
            assert isinstance(other.last_error, FileNotFoundError)
            assert server.is_server()
            server.close()
            assert server.last_error is None
            assert server.listen(path)
            assert serves(server, path)

    def test_one_of_another_server_stays(self, server: Pipe, path: Path) -> None:  # IPC-U7
        path.unlink()
        with Pipe() as other:
            assert other.listen(path), other.last_error
            server.close()
            assert serves(other, path)

    def test_it_is_removed_once(self, path: Path) -> None:
        lifetime = Lifetime()
        sock, file = bound_socket(str(path), None, 5, lifetime)
        assert file is not None
        file.remove()
        sock.close()
        assert not path.exists()
        # The new file may get the number of the old one.
        for _ in range(5):
            left_behind(path)
            file.remove()
            assert path.exists()
            path.unlink()

    def test_close_may_be_struck_anywhere(self, path: Path) -> None:
        def struck(step: int) -> bool:
            with Pipe() as server:
                assert server.listen(path), server.last_error
                with suppress(KeyboardInterrupt), intruding(MODULE, step, interrupt) as happened:
                    server.close()
                server.close()
                assert not path.exists()
                assert not server.is_server()
            return bool(happened)

        assert next(step for step in itertools.count() if not struck(step)) > 3

    def test_another_file_stays(self, server: Pipe, path: Path) -> None:  # IPC-U7
        path.unlink()
        path.write_text("precious", encoding="ascii")
        server.close()
        assert path.read_text(encoding="ascii") == "precious"

    def test_one_that_was_moved_stays(self, server: Pipe, path: Path) -> None:  # IPC-U7
        moved = path.rename(path.with_name("moved"))
        assert serves(server, moved)
        server.close()
        assert moved.exists()

    def test_after_a_change_of_directory(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        with Pipe() as server:
            assert server.listen(path.name), server.last_error
            monkeypatch.chdir("/")
            assert serves(server, path)
        assert not path.exists()

    @forks
    def test_a_child_that_closes_removes_nothing(self, server: Pipe, path: Path) -> None:  # IPC-U8
        def work() -> bool:
            server.close()
            return path.exists()

        assert status(in_child(work)) == 0
        assert serves(server, path)

    def test_collected_ones_do(self, path: Path) -> None:
        server = Pipe()
        assert server.listen(path)
        with pytest.warns(ResourceWarning, match="socket"):
            del server
        assert not path.exists()
