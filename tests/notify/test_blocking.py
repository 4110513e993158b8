"""The client for threads."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import unused_address
from tests.notify.servers import Server, server
from vfiipc import ConnectionClosed
from vfiipc.notify import Notification, Undeliverable, blocking
from vfiipc.notify.blocking import Client

SECONDS = 30.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def pair(running: Server) -> Iterator[tuple[Client, Client]]:
    with (
        blocking.connect(f"tcp://{running.tcp}", app_id="till", drain=0) as till,
        blocking.connect(f"pipe://{running.pipe}", app_id="terminal", drain=0) as terminal,
    ):
        yield till, terminal


def test_a_till_asks_a_terminal(pair: tuple[Client, Client]) -> None:
    till, terminal = pair

    def answer(request: Notification) -> None:
        terminal.send(request.sender, "RESP", {"result": "OK"})

    terminal.register("REQ", answer)
    terminal.sync(SECONDS)
    reply = till.ask("terminal", "REQ", {"cmd": "get_time"}, reply="RESP", timeout=SECONDS)
    assert reply.parameter == {"result": "OK"}
    assert till.connected
    assert till.wait_connected(0)
    assert "till" in repr(till)
    assert (till.app_id, terminal.address[:7]) == ("till", "pipe://")


def test_callbacks_run_at_once_in_threads_of_their_own(pair: tuple[Client, Client]) -> None:
    till, terminal = pair
    together = threading.Barrier(4, timeout=SECONDS)
    threads: set[int] = set()

    def callback(_: Notification) -> None:
        threads.add(threading.get_ident())
        together.wait()

    terminal.register("x", callback)
    terminal.sync(SECONDS)
    for _ in range(3):
        till.send("terminal", "x")
    together.wait()
    terminal.unregister("x")
    assert len(threads) == 3


def test_unregistering_waits_and_not_from_inside(pair: tuple[Client, Client]) -> None:  # NFY-C3
    till, terminal = pair
    begun, go_on, refused = threading.Event(), threading.Event(), threading.Event()

    def callback(_: Notification) -> None:
        begun.set()
        with pytest.raises(RuntimeError, match="cannot unregister itself"):
            terminal.unregister("x")
        refused.set()
        go_on.wait(SECONDS)
        order.append("callback")

    order: list[str] = []
    terminal.register("x", callback)
    terminal.sync(SECONDS)
    till.send("terminal", "x")
    assert begun.wait(SECONDS)
    assert refused.wait(SECONDS)
    threading.Timer(0.05, go_on.set).start()
    terminal.unregister("x")
    order.append("unregistered")
    assert order == ["callback", "unregistered"]


def test_an_iteration_and_errors(pair: tuple[Client, Client]) -> None:
    till, terminal = pair
    came = threading.Event()
    undelivered: list[Any] = []

    def lost(given: Notification) -> None:
        undelivered.append(given.parameter)
        came.set()

    till.on_unicast_error(lost)

    till.send("terminal", "x", "nobody")
    assert came.wait(SECONDS)
    with closing(terminal.notifications("x")) as notifications:
        first = threading.Thread(target=lambda: got.append(next(notifications)))
        got: list[Any] = []
        first.start()
        while not list(terminal._client._handlers):
            time.sleep(0.01)
        terminal.sync(SECONDS)
        for number in range(3):
            till.send("terminal", "x", number)
        first.join()
        got += [next(notifications), next(notifications)]
    assert [each.parameter for each in got] == [0, 1, 2]
    till.on_unicast_error(None)
    with pytest.raises(Undeliverable):
        till.ask("terminal", "x", reply="y", timeout=SECONDS)
    terminal.register("x", lambda _: None)
    terminal.sync(SECONDS)
    with pytest.raises(TimeoutError, match="no reply 'y' came"):
        till.ask("terminal", "x", reply="y", timeout=0.05)
    terminal.register("x", None)


def test_observing(pair: tuple[Client, Client]) -> None:
    till, terminal = pair
    seen = threading.Event()
    terminal.observe(lambda given: seen.set() if given.notification == "seen" else None)
    terminal.sync(SECONDS)
    till.send("*", "seen")
    assert seen.wait(SECONDS)
    terminal.observe(None)


def test_closed_from_several_threads_and_used_afterwards(running: Server) -> None:
    client = blocking.connect(f"tcp://{running.tcp}", app_id="a", drain=0)
    iterated: list[object] = []
    iterating = threading.Thread(target=lambda: iterated.extend(client.notifications("x")))
    iterating.start()
    client.sync(SECONDS)
    closing_threads = [threading.Thread(target=client.close) for _ in range(3)]
    for thread in closing_threads:
        thread.start()
    for thread in closing_threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    client.close()
    iterating.join(SECONDS)
    assert not iterating.is_alive()
    with pytest.raises(ConnectionClosed, match="the client was closed"):
        client.send("a", "x")


def test_wrong_arguments_and_no_server() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="app_id"):
        blocking.connect(app_id="")
    with pytest.raises(OSError, match="not connected to"):
        blocking.connect(f"tcp://{unused_address()}", app_id="a", timeout=SECONDS)
    assert threading.active_count() <= before  # threads of earlier tests may end


def test_it_reconnects(tmp_path: Path) -> None:  # NFY-C7
    where = unused_address()
    with server(tmp_path, listen=where) as started:
        client = blocking.connect(f"tcp://{where}", app_id="a", drain=0)
        came = threading.Event()
        client.register("x", lambda _: came.set())
        started.running.send_signal(signal.SIGKILL)
        started.running.process.wait(SECONDS)
        while client.connected:
            time.sleep(0.01)
        assert not client.wait_connected(0)
    with client, server(tmp_path, listen=where):
        assert client.wait_connected(SECONDS)
        client.send("a", "x")
        assert came.wait(SECONDS)


PROGRAM = """
import sys, time
from vfiipc.notify import blocking
client = blocking.connect(sys.argv[1], app_id="a")
client.register("x", lambda _: time.sleep(60))
client.send("a", "x")
client.sync()
print("ready", flush=True)
if len(sys.argv) > 2:
    client.ask("a", "x", reply="never")
"""


def test_a_program_ends_without_closing(running: Server) -> None:
    command = [sys.executable, "-c", PROGRAM, f"tcp://{running.tcp}"]
    done = subprocess.run(command, timeout=SECONDS, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"ready\n")


def test_ctrl_c_ends_a_call_that_waits(running: Server) -> None:
    command = [sys.executable, "-c", PROGRAM, f"tcp://{running.tcp}", "ask"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in err


def test_a_signal_that_another_thread_gets_ends_a_call_that_waits(running: Server) -> None:
    program = """
import signal, sys, threading
from vfiipc.notify import blocking
client = blocking.connect(sys.argv[1], app_id="a")
client.register("x", lambda _: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
client.ask("a", "x", reply="never")
"""
    command = [sys.executable, "-c", program, f"tcp://{running.tcp}"]
    done = subprocess.run(command, timeout=SECONDS, capture_output=True)
    assert done.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in done.stderr


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), StopIteration(), asyncio.CancelledError()]
)
def test_what_a_callback_raises_harms_nothing_else(  # NFY-C2
    error: BaseException, pair: tuple[Client, Client], caplog: pytest.LogCaptureFixture
) -> None:
    till, terminal = pair

    def fails(_: Notification) -> None:
        raise error

    terminal.register("x", fails)
    terminal.sync(SECONDS)
    till.send("terminal", "x")
    till.sync(SECONDS)
    terminal.sync(SECONDS)
    terminal.unregister("x")  # when it has ended
    terminal.sync(SECONDS)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "the handler of x failed"
    ]


FORKS = """
import os, sys
from vfiipc import ConnectionClosed
from vfiipc.notify import blocking
with blocking.connect(sys.argv[1], app_id="parent", drain=0) as client:
    child = os.fork()
    if not child:
        try:
            client.send("*", "x")
        except ConnectionClosed as error:
            print(error, flush=True)
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.sync(30)
"""


def test_a_forked_child_is_told_that_it_has_no_client(running: Server) -> None:
    command = [sys.executable, "-c", FORKS, f"tcp://{running.tcp}"]
    done = subprocess.run(command, timeout=SECONDS, capture_output=True, text=True)
    expected = "the client belongs to the parent process; a child has to connect by itself\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
