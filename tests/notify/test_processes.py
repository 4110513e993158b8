"""Server and clients in processes of their own, which die and come back."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import unused_address
from tests.notify.raw import RawClient
from tests.notify.servers import server
from vfiipc import ConnectionClosed, notify
from vfiipc.notify import Notification, Undeliverable

pytestmark = pytest.mark.long

SECONDS = 40.0

TERMINAL = """
import asyncio, sys
from vfiipc import notify

async def main(address):
    async with notify.connect(address, app_id="terminal") as client:
        async def answer(request):
            await client.send(request.sender, "RESP", {"result": "OK", "asked": request.parameter})
        await client.register("REQ", answer)
        await client.sync(30)
        print("ready", flush=True)
        while True:
            await client.connected.wait()
            await asyncio.sleep(0.01)

asyncio.run(main(sys.argv[1]))
"""


@contextmanager
def terminal(address: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", TERMINAL, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


async def ask_until_answered(client: notify.Client) -> Notification:
    """A till's patience with a terminal, or a server, that is being started again."""
    return await asyncio.wait_for(_ask_again_and_again(client), SECONDS)


async def _ask_again_and_again(client: notify.Client) -> Notification:
    while True:
        try:
            return await client.ask("terminal", "REQ", 1, reply="RESP", timeout=SECONDS)
        except (Undeliverable, ConnectionClosed):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["tcp", "pipe"])
def test_the_terminal_is_killed_and_started_again(kind: str, tmp_path: Path) -> None:
    async def main(address: str) -> None:
        async with notify.connect(address, app_id="till", drain=0) as till:
            with terminal(address) as first:
                assert (await ask_until_answered(till)).parameter["result"] == "OK"
                first.send_signal(signal.SIGKILL)
                first.wait(SECONDS)
                while True:  # until the server knows
                    try:
                        await till.ask("terminal", "REQ", reply="RESP", timeout=0.05)
                    except Undeliverable:
                        break
                    except TimeoutError:
                        continue
            with terminal(address):
                assert (await ask_until_answered(till)).parameter["result"] == "OK"

    with server(tmp_path) as started:
        asyncio.run(main(f"tcp://{started.tcp}" if kind == "tcp" else f"pipe://{started.pipe}"))


@pytest.mark.parametrize(("kind", "how"), [("tcp", signal.SIGKILL), ("pipe", signal.SIGTERM)])
def test_the_server_is_ended_and_started_again(
    kind: str, how: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # NFY-C7
    caplog.set_level(logging.INFO, "vfiipc.notify")
    where = unused_address()
    address = f"tcp://{where}" if kind == "tcp" else f"pipe://{tmp_path}/notify.pipe"

    async def main() -> None:
        async with notify.connect(address, app_id="till", drain=0) as till:
            came: list[Any] = []
            await till.register("x", lambda given: came.append(given.parameter))
            await ask_until_answered(till)
            running.send_signal(how)
            running.process.wait(SECONDS)
            while till.connected.is_set():
                await asyncio.sleep(0.01)
            with pytest.raises(ConnectionClosed, match="is lost: "):
                await till.send("terminal", "x")  # nothing is queued
            await till.register("y", lambda given: came.append(given.parameter))
            await till.unregister("x")
            with server(tmp_path, listen=where):
                await asyncio.wait_for(till.connected.wait(), SECONDS)
                reply = await ask_until_answered(till)  # both have registered again
                assert reply.parameter == {"result": "OK", "asked": 1}
                await till.send("till", "y", "registered meanwhile")
                with pytest.raises(Undeliverable):
                    await till.ask("till", "x", reply="z", timeout=SECONDS)
                assert came == ["registered meanwhile"]

    with server(tmp_path, listen=where) as started:
        running = started.running
        with terminal(address):
            asyncio.run(main())
    lines = [each.getMessage() for each in caplog.records if each.name.endswith("client")]
    assert sum("is lost: " in line for line in lines) == 1
    assert sum("again" in line for line in lines) == 1


def test_without_reconnecting_the_end_is_final(tmp_path: Path) -> None:
    async def main() -> None:
        address = f"tcp://{started.tcp}"
        async with notify.connect(address, app_id="till", reconnect=False, drain=0) as till:
            await till.register("REQ", print)  # which never answers
            await till.sync(SECONDS)

            async def iterate() -> None:
                async for _ in till.notifications("x"):
                    pass

            waiting = [
                asyncio.ensure_future(iterate()),
                asyncio.ensure_future(till.ask("till", "REQ", reply="RESP", timeout=SECONDS)),
            ]
            await asyncio.sleep(0)
            await till.sync(SECONDS)
            started.running.send_signal(signal.SIGKILL)
            await asyncio.wait_for(till.wait_closed(), SECONDS)
            for each in waiting:
                with pytest.raises(ConnectionClosed, match="is lost: "):
                    await each
            with pytest.raises(ConnectionClosed, match="is lost: "):
                await till.register("y", print)
            await till.unregister("REQ")

    with server(tmp_path) as started:
        asyncio.run(main())


def test_a_client_that_is_killed_leaves_nothing(tmp_path: Path) -> None:  # NFY-R3
    with server(tmp_path, mask="127") as started:
        with RawClient.connect(started.pipe) as watcher:
            for _ in range(3):
                with terminal(f"tcp://{started.tcp}") as process:
                    process.send_signal(signal.SIGKILL)
                    process.wait(SECONDS)
            while True:
                watcher.notify("w", "terminal", "REQ", 0)
                (error,) = [watcher.receive()]
                if error["type"] == "unicast_error":
                    break
        log = started.stderr_to_the_end()
    assert log.count(" connected, remote") == log.count(" disconnected") - 1 == 3


def test_connecting_to_nothing_raises(tmp_path: Path) -> None:
    async def main() -> None:
        for address in (f"tcp://{unused_address()}", f"pipe://{tmp_path}/none"):
            with pytest.raises(OSError, match="not connected to"):
                await notify.connect(address, app_id="till", timeout=SECONDS)

    asyncio.run(main())


def test_closing_while_reconnecting(tmp_path: Path) -> None:
    async def main() -> None:
        till = await notify.connect(f"tcp://{started.tcp}", app_id="till")
        await till.register("x", print)
        started.running.send_signal(signal.SIGKILL)
        started.running.process.wait(SECONDS)
        while till.connected.is_set():
            await asyncio.sleep(0.01)
        await asyncio.wait_for(till.close(), SECONDS)
        await till.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with server(tmp_path) as started:
        asyncio.run(main())
