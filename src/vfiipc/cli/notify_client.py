"""The work of ``vfiipc notify``; imported on demand, because importing asyncio is slow."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar

from ..exchange import ConnectionClosed
from ..notify import Client, Notification, Observation, Undeliverable, connect
from . import links
from .failures import Failure, no_connection, seconds
from .json_text import on_one_line
from .streams import note, one_line, say
from .tasks import run_task
from .tls_contexts import client_context

__all__ = ["run"]

T = TypeVar("T")

_WAITING: Final = 1024  # notifications that may wait to be printed


def run(parsed: argparse.Namespace) -> int:
    """Runs the command that was parsed."""
    return run_task(lambda: _connected(parsed))


async def _connected(parsed: argparse.Namespace) -> int:
    server = parsed.server
    work = _WORK[parsed.subcommand]
    connecting = connect(
        str(server),
        app_id=parsed.app_id,
        reconnect=False,
        timeout=parsed.timeout / 1000,
        ssl=client_context(parsed) if server.scheme == "tls" else None,
    )
    try:
        client = await connecting
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise no_connection(links.shown(server), cause, parsed.timeout) from None
    try:
        return await work(parsed, client)
    except ConnectionClosed as error:
        raise Failure(str(error)) from None
    finally:
        await client.close()


async def _send(parsed: argparse.Namespace, client: Client) -> int:
    what = (parsed.to, parsed.notification, parsed.parameter)
    limit = parsed.timeout / 1000
    undelivered: list[Notification] = []
    client.on_unicast_error(undelivered.append)
    try:
        if parsed.reply is None:
            await client.send(*what, flags=parsed.flags)
            await client.sync(limit)
            if undelivered:
                raise Undeliverable(undelivered[0])
            return 0
        reply = await client.ask(*what, reply=parsed.reply, flags=parsed.flags, timeout=limit)
    except Undeliverable as error:
        raise Failure(str(error)) from None
    except TimeoutError:
        awaited = f"reply {parsed.reply!r}" if parsed.reply is not None else "answer"
        raise Failure(f"time-out: no {awaited} within {seconds(parsed.timeout)}") from None
    except ValueError as error:  # too large
        raise Failure(str(error)) from None
    say(_shown(reply.parameter_json))
    return 0


async def _watch(parsed: argparse.Namespace, client: Client) -> int:
    arrived: asyncio.Queue[Notification] = asyncio.Queue(_WAITING)
    for each in parsed.ids:
        await client.register(each, arrived.put, priority=parsed.priority)
    await client.sync()
    note(f"registered with {links.shown(parsed.server)} as {parsed.app_id}")
    return await _print(parsed, client, arrived, _notification_line)


async def _observe(parsed: argparse.Namespace, client: Client) -> int:
    if parsed.server.scheme != "pipe":
        raise Failure("only local clients may observe; use --server pipe:///PATH")
    seen: asyncio.Queue[Observation] = asyncio.Queue(_WAITING)
    await client.observe(seen.put)
    note(f"observing {links.shown(parsed.server)}")
    return await _print(parsed, client, seen, _observation_line)


_WORK: Final[dict[str, Callable[[argparse.Namespace, Client], Awaitable[int]]]] = {
    "send": _send,
    "watch": _watch,
    "observe": _observe,
}


# --- output


async def _print(
    parsed: argparse.Namespace,
    client: Client,
    arrived: asyncio.Queue[T],
    line: Callable[[argparse.Namespace, T], str],
) -> int:
    """Prints what arrives, until there were enough, or the server has gone."""

    async def show() -> None:
        left = parsed.count
        while left is None or left > 0:
            say(line(parsed, await arrived.get()))
            left = None if left is None else left - 1

    showing = asyncio.ensure_future(show())
    gone = asyncio.ensure_future(client.wait_closed())
    try:
        await asyncio.wait({showing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not showing.done():
            raise Failure(f"{links.shown(parsed.server)} has closed the connection")
        showing.result()
    finally:
        showing.cancel()
        gone.cancel()
    return 0


def _notification_line(parsed: argparse.Namespace, given: Notification) -> str:
    if not parsed.json:
        parameter = "" if parsed.no_payload else _shown(given.parameter_json)
        flags = f"flags {given.flags}  " if given.flags else ""
        return f"{_way(given.sender, given.to, given.id)}  {flags}{parameter}".rstrip()
    fields = {"from": given.sender, "to": given.to, "notification": given.id, "flags": given.flags}
    head = json.dumps({"time": _now().isoformat(), **fields})
    if parsed.no_payload:
        return head
    # Only strings can contain characters that control a terminal.
    text = on_one_line(given.parameter_json).decode()
    safe = "".join(char if char.isprintable() else _escaped(char) for char in text)
    return f'{head[:-1]}, "parameter": {safe}}}'


def _observation_line(parsed: argparse.Namespace, seen: Observation) -> str:
    if parsed.json:
        fields = {"from": seen.sender, "to": seen.to, "notification": seen.notification}
        return json.dumps({"time": _now().isoformat(), **fields, "flags": seen.flags})
    return _way(seen.sender, seen.to or "-", seen.notification)


def _way(sender: str, to: str, notification: str) -> str:
    time = _now().strftime("%H:%M:%S.%f")
    return f"{time}  {one_line(sender)} > {one_line(to)}  {one_line(notification)}"


def _now() -> datetime:
    return datetime.now().astimezone()


def _shown(parameter: bytes) -> str:
    """A parameter on one line, its text otherwise unchanged."""
    return one_line(on_one_line(parameter).decode())


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if char.isascii() else json.dumps(char)[1:-1]
