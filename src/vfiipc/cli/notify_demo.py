"""``vfiipc demo notify``: a server, a simulated terminal, and a till that asks for its time.

As a program of its own, this module is the terminal: ``python -m vfiipc.cli.notify_demo ADDRESS``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Final, NamedTuple

from ..notify.client import Client
from ..notify.connect import connect
from ..notify.notification import Notification, Undeliverable
from .demo_process import demo_process
from .streams import one_line, say, styled
from .tasks import run_task

__all__ = ["run"]

_REQUEST: Final = "EXT_SYS_DEVICE_CONTROL_REQ"
_RESPONSE: Final = "EXT_SYS_DEVICE_CONTROL_RESP"
_BEACON: Final = "EXT_SYS_BEACON_REQ"
_BEACON_ANSWER: Final = "BEACON"
_TIMEOUT: Final = 10.0

#: What a parser would change: digits, an exponent, a key twice, an escape, space.
_AMOUNT: Final = rb'{"cmd":"echo", "amount":1.10, "most":1E400, "a":1,"a":2, "currency":"\u20ac"}'


def run() -> int:
    """Shows the notifications; 0 if all arrived as they should."""
    with ExitStack() as stack:
        server = stack.enter_context(
            demo_process(
                "notification server", ["-m", "vfiipc", "notifysvc", "--listen", "127.0.0.1:0"]
            )
        )
        terminal = stack.enter_context(
            demo_process("terminal", ["-m", "vfiipc.cli.notify_demo", server.said])
        )
        say(styled("Three processes exchange notifications", "strong"))
        say()
        say(f"  notification server  process {server.process.pid}, {server.said}")
        say(f"  terminal             process {terminal.process.pid}")
        say(f"  till                 process {os.getpid()}")
        say()
        good = run_task(lambda: _till(server.said))
    say()
    say("All notifications arrived." if good else styled("NOT ALL NOTIFICATIONS ARRIVED", "bad"))
    return 0 if good else 1


# --- the till


class _NotifyStep(NamedTuple):
    what: str
    do: Callable[[Client], Awaitable[bool]]
    good: str


async def _till(address: str) -> bool:
    good = True
    async with connect(f"tcp://{address}", app_id="till", timeout=_TIMEOUT, drain=0) as till:
        for step in (
            _NotifyStep("A till asks a terminal for its time", _ask_time, "the terminal answered"),
            _NotifyStep("It asks any one application", _ask_any_one, "the terminal answered"),
            _NotifyStep(
                "It asks all applications", _ask_all, "the terminal and the till received it"
            ),
            _NotifyStep("It sends an amount of money", _echo_amount, "came back byte for byte"),
            _NotifyStep(
                "It asks an application that is not there", _ask_nobody, "the server reported that"
            ),
        ):
            say(f"{step.what}:")
            came = await step.do(till)
            say(f"  {styled(step.good, 'good') if came else styled('WENT WRONG', 'bad')}")
            good &= came
    return good


def _shown(sender: str, to: str, notification: str, parameter: bytes) -> None:
    say(f"  {sender:>8} > {to:8}  {notification}  {one_line(parameter.decode())}")


def _came(given: Notification) -> None:
    _shown(given.sender, given.to, given.id, given.parameter_json)


async def _ask(till: Client, to: str, parameter: bytes) -> Notification | None:
    _shown("till", to, _REQUEST, parameter)
    try:
        reply = await till.ask(to, _REQUEST, parameter, reply=_RESPONSE, timeout=_TIMEOUT)
    except (Undeliverable, TimeoutError) as error:
        say(f"  {error}")
        return None
    _came(reply)
    return reply


async def _ask_time(till: Client) -> bool:
    reply = await _ask(till, "terminal", b'{"cmd":"get_time"}')
    return reply is not None and reply.parameter["result"] == "OK"


async def _ask_any_one(till: Client) -> bool:
    reply = await _ask(till, "1", b'{"cmd":"get_time"}')
    return reply is not None and reply.sender == "terminal"


async def _echo_amount(till: Client) -> bool:
    reply = await _ask(till, "terminal", _AMOUNT)
    return reply is not None and reply.parameter_json == _AMOUNT


async def _ask_all(till: Client) -> bool:
    heard = asyncio.Event()

    def hear(given: Notification) -> None:
        _came(given)
        heard.set()

    await till.register(_BEACON, hear)
    try:
        answer = await till.ask("*", _BEACON, {}, reply=_BEACON_ANSWER, timeout=_TIMEOUT)
        _came(answer)
        await asyncio.wait_for(heard.wait(), _TIMEOUT)
    except (TimeoutError, asyncio.TimeoutError) as error:
        say(f"  {error}")
        return False
    await till.unregister(_BEACON)
    return answer.sender == "terminal"


async def _ask_nobody(till: Client) -> bool:
    _shown("till", "printer", _REQUEST, b"{}")
    try:
        await till.ask("printer", _REQUEST, {}, reply=_RESPONSE, timeout=_TIMEOUT)
    except Undeliverable as error:
        say(f"  {error}")
        return True
    except TimeoutError as error:
        say(f"  {error}")
    return False


# --- the terminal


async def _terminal(address: str) -> None:
    async with connect(f"tcp://{address}", app_id="terminal", timeout=_TIMEOUT) as terminal:

        async def control(request: Notification) -> None:
            parameter: object = {"result": "OK", "status": 0, "time": _time()}
            if request.parameter["cmd"] == "echo":
                parameter = request.parameter_json
            await terminal.send(request.sender, _RESPONSE, parameter)

        async def beacon(request: Notification) -> None:
            await terminal.send(request.sender, _BEACON_ANSWER, {"model": "simulated"})

        await terminal.register(_REQUEST, control)
        await terminal.register(_BEACON, beacon)
        await terminal.sync(_TIMEOUT)
        print("registered as terminal", flush=True)
        await asyncio.Event().wait()  # until it is ended


def _time() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    asyncio.run(_terminal(sys.argv[1]))
