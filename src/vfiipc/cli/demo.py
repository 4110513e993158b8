"""``vfiipc demo``: an echo server and a client in two processes exchange messages."""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from .. import TCP
from ..codec import HEADER, Message, encode
from . import arguments, links
from .demo_process import DemoProcess, demo_process
from .failures import Failure, no_answer, no_connection
from .hexdump import dump_message
from .streams import say, styled

__all__ = ["add_to"]

_PREFIX = arguments.DEFAULT_PREFIX
_LIMIT = 1 << 20
_TIMEOUT_MSEC = 10_000

_SMALL_COUNT = 1000
_SMALL_SIZE = 64
_LARGE_COUNT = 32

_MORE = """\
Starts an echo server in a separate process and exchanges messages with it over
TCP on the loopback interface. `vfiipc demo notify` starts a notification
server, a simulated terminal and a till instead. Exit status 1 if a message came
back changed, or not at all.
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "demo", _run, does="watch processes talk ADK IPC over TCP", more=_MORE
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("echo", "notify"),
        default="echo",
        help="what to show: messages or notifications (%(default)s)",
    )


def _run(parsed: argparse.Namespace) -> int:
    if parsed.what == "echo":
        return _run_echo()
    from .notify_demo import run  # imports asyncio, which is slow

    return run()


def _run_echo() -> int:
    with _server() as server, TCP() as client:
        address = links.peer_address(server.said)
        if not client.connect(address.host, address.port, _TIMEOUT_MSEC):
            raise no_connection(server.said, client.last_error, _TIMEOUT_MSEC)
        say(styled("Two processes talk ADK IPC over TCP", "strong"))
        say()
        say(f"  echo server  process {server.process.pid}, {client.remote_addr()}")
        say(f"  client       process {os.getpid()}, {client.local_addr()}")
        say()
        _show_message()
        unchanged = _exchange_all(_Client(client))
        client.close()
        _show_the_rest(server)
    return 0 if unchanged else 1


# --- the server's process -------------------------------------------------------------------------


def _server() -> AbstractContextManager[DemoProcess]:
    options = ["--prefix", arguments.show_prefix(_PREFIX), "--limit", str(_LIMIT), "--once"]
    return demo_process("echo server", ["-m", "vfiipc", "echo", "127.0.0.1:0", *options])


def _show_the_rest(server: DemoProcess) -> None:
    """Prints the remaining output of the server, once the connection is closed."""
    assert server.process.stdout is not None
    say()
    for line in server.process.stdout:
        say(styled(f"  echo server: {line.rstrip()}", "faint"))


# --- one message, byte by byte --------------------------------------------------------------------


def _show_message() -> None:
    frame = encode(_PREFIX, 1, b"Hello, terminal!")
    say(f"A message on the wire, {len(frame)} bytes:")
    say()
    for line in dump_message(frame):
        say(f"  {line}")
    say()


# --- the exchange ---------------------------------------------------------------------------------


class _Client:
    """The client's end of the connection; raises ``Failure`` if it cannot send or receive."""

    def __init__(self, tcp: TCP) -> None:
        self._tcp = tcp

    def write(self, data: bytes) -> None:
        if not self._tcp.write(data, _TIMEOUT_MSEC):
            raise self._failure()

    def receive(self) -> Message:
        message = self._tcp.read_msg(_PREFIX, _LIMIT, _TIMEOUT_MSEC)
        if message is None:
            raise self._failure()
        return message

    def exchange(self, message: Message) -> bool:
        """Whether one message comes back unchanged."""
        return self.exchange_many([message])

    def exchange_many(self, messages: Sequence[Message]) -> bool:
        """Whether all come back in order; a thread sends them, because answers arrive meanwhile."""
        sender = threading.Thread(target=self._tcp.write_msgs, args=(_PREFIX, messages))
        sender.start()
        try:
            return [self.receive() for _ in messages] == list(messages)
        except BaseException:
            self._tcp.close()  # unblocks the sender
            raise
        finally:
            sender.join()

    def _failure(self) -> Failure:
        return no_answer(self._tcp, "the echo server", _TIMEOUT_MSEC)


class _Step(NamedTuple):
    sent: str
    comes_back: Callable[[_Client], bool]
    good: str = "came back unchanged"


def _exchange_all(client: _Client) -> bool:
    small = [Message(index, _bytes(_SMALL_SIZE, index)) for index in range(_SMALL_COUNT)]
    large = [Message(index, _bytes(_LIMIT, index)) for index in range(_LARGE_COUNT)]
    steps = [
        _Step("text", lambda client: client.exchange(Message(1, b"Hello, terminal!"))),
        _Step("an empty payload", lambda client: client.exchange(Message(2, b""))),
        _Step("1 MiB of binary", lambda client: client.exchange(Message(3, _bytes(_LIMIT, 3)))),
        _Step("a message behind garbage", _behind_garbage, "came back; the garbage was dropped"),
        _Step("one byte above the limit", _above_limit, "was dropped; the next one came back"),
    ]
    say("Messages sent, and the results:")
    say()
    unchanged = True
    for step in steps:
        unchanged &= _report(step.sent, step.comes_back(client), step.good)
    speeds = []
    for sent, messages in ((f"{len(small):,} small messages", small), ("32 of 1 MiB", large)):
        started = time.perf_counter()
        same = client.exchange_many(messages)
        speeds.append(len(messages) / (time.perf_counter() - started))
        unchanged &= _report(sent, same, "came back unchanged, in order")
    say()
    say(
        f"Throughput of the echo server: {speeds[0]:,.0f} messages of {_SMALL_SIZE} bytes"
        f" or {speeds[1] * _LIMIT / 1e6:,.0f} MB per second"
    )
    return unchanged


def _report(sent: str, is_good: bool, good: str) -> bool:
    result = styled(good, "good") if is_good else styled("CAME BACK CHANGED", "bad")
    say(f"  {sent:26}{result}")
    return is_good


def _behind_garbage(client: _Client) -> bool:
    # The garbage contains a prefix that no valid size follows: not a header.
    mark = HEADER.prefix.build(_PREFIX)
    client.write(b"not a message, " * 30 + mark + b"nor this, " * 30)
    return client.exchange(Message(4, b"behind garbage"))


def _above_limit(client: _Client) -> bool:
    too_large = Message(5, _bytes(_LIMIT + 1, 5))
    following = Message(6, b"behind the one that was too large")
    client.write(encode(_PREFIX, *too_large))
    return client.exchange(following)


def _bytes(count: int, seed: int) -> bytes:
    """Bytes that look random and are the same in every run."""
    return random.Random(seed).randbytes(count)
