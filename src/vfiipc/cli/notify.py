"""``vfiipc notify``: a client of the notification service."""

from __future__ import annotations

import argparse
import asyncio
import json
from argparse import ArgumentTypeError
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from ..exchange import ConnectionClosed
from ..notify.client import Client
from ..notify.connect import DEFAULT_ADDRESS, connect
from ..notify.messages import (
    Observation,
    check_application,
    check_flags,
    check_id,
    check_parameter,
    check_priority,
)
from ..notify.notification import Notification, Undeliverable
from . import arguments, links
from .failures import Failure, no_connection, seconds
from .json_text import on_one_line
from .streams import note, one_line, say
from .tasks import run_task
from .tls_contexts import client_context

__all__ = ["add_to"]

T = TypeVar("T")

_APP_ID: Final = "vfiipc"
_WAITING: Final = 1024  # notifications that may wait to be printed

_MORE = """\
Talks to a notification server: the one of a terminal, or `vfiipc notifysvc`.

examples:
  vfiipc notify send terminal EXT_SYS_DEVICE_CONTROL_REQ '{"cmd":"get_time"}' \\
      --reply EXT_SYS_DEVICE_CONTROL_RESP --server 192.0.2.7:5899
  vfiipc notify send '*' beacon '{}'
  vfiipc notify watch beacon status --app-id till
  vfiipc notify observe --server pipe:///tmp/notify
"""
_MORE_SEND = """\
TO is an application ID, 1 for any one application, or '*' for all. The command
ends when the server has dealt with the notification. Exit status 1 if nobody got
it, or no reply came. With --reply, the parameter of the reply is the output.
"""
_MORE_WATCH = """\
Prints each notification on a line: the time, from whom to whom, its ID, its
parameter. It registers as --app-id, so that unicasts can come here, too; with
--priority -1 only if nobody else is there.
"""
_MORE_OBSERVE = """\
Prints from whom to whom each notification goes, and its ID; a dash stands for
nobody. Servers tell that to local clients alone, at pipe:///PATH.
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command, and those below it."""
    parser = arguments.add_command(
        commands, "notify", _run, does="send, watch and observe notifications", more=_MORE
    )
    below = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    send = arguments.add_command(below, "send", _run, does="send a notification", more=_MORE_SEND)
    send.add_argument("to", metavar="TO", type=_id, help="who is to get it")
    send.add_argument("notification", metavar="ID", type=_id, help="the notification ID")
    send.add_argument("parameter", metavar="JSON", type=_json, help="the parameter, sent as it is")
    send.add_argument("--flags", metavar="NUMBER", type=_flags, default=0, help="reserved (0)")
    send.add_argument("--reply", metavar="ID", type=_id, help="wait for a reply with this ID")
    _add_client(send)
    arguments.add_timeout(send, "the connection, and then for the reply")
    send.set_defaults(work=_send)
    watch = arguments.add_command(
        below, "watch", _run, does="register, and print notifications", more=_MORE_WATCH
    )
    watch.add_argument("ids", metavar="ID", nargs="+", type=_id, help="the notification IDs")
    watch.add_argument(
        "--priority", metavar="NUMBER", type=_priority, default=0, help="that of unicasts (0)"
    )
    _add_output(watch)
    watch.set_defaults(work=_watch)
    observe = arguments.add_command(
        below, "observe", _run, does="print who sends what to whom", more=_MORE_OBSERVE
    )
    _add_output(observe)
    observe.set_defaults(work=_observe)


def _add_output(parser: arguments.Parser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.add_argument(
        "--no-payload", action="store_true", help="no parameters, which can be card data"
    )
    parser.add_argument("--count", metavar="NUMBER", type=arguments.count, help="end after so many")
    _add_client(parser)
    arguments.add_timeout(parser, "the connection")


def _add_client(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--server",
        metavar="ADDRESS",
        type=links.peer_address,
        default=links.peer_address(DEFAULT_ADDRESS),
        help="where the server is: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH "
        f"({DEFAULT_ADDRESS.removeprefix('tcp://')})",
    )
    parser.add_argument(
        "--app-id",
        metavar="ID",
        type=_application,
        default=_APP_ID,
        help=f"the application that sends or registers ({_APP_ID})",
    )
    links.add_tls(parser)


# --- arguments


def _checked(check: Callable[[Any], Any], value: object) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _id(text: str) -> str:
    return str(_checked(lambda value: check_id(value, "it"), text))


def _application(text: str) -> str:
    return str(_checked(lambda value: check_application(value, "it"), text))


def _flags(text: str) -> int:
    return int(_checked(lambda value: check_flags(int(value)), text))


def _priority(text: str) -> int:
    return int(_checked(lambda value: check_priority(int(value)), text))


def _json(text: str) -> bytes:
    try:
        return check_parameter(text.encode())
    except ValueError:
        raise ArgumentTypeError(
            "the parameter is not JSON; text goes into quotes of its own, as in '\"text\"'"
        ) from None


# --- commands


def _run(parsed: argparse.Namespace) -> int:
    return run_task(_connected(parsed))


async def _connected(parsed: argparse.Namespace) -> int:
    server = parsed.server
    work: Callable[[argparse.Namespace, Client], Awaitable[int]] = parsed.work
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
        raise Failure("only local clients may observe: --server pipe:///PATH")
    seen: asyncio.Queue[Observation] = asyncio.Queue(_WAITING)
    await client.observe(seen.put)
    note(f"observing {links.shown(parsed.server)}")
    return await _print(parsed, client, seen, _observation_line)


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
            raise Failure(f"{links.shown(parsed.server)} has ended the connection")
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
    return f'{head[:-1]}, "parameter": {_shown(given.parameter_json)}}}'


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
