"""``vfiipc notify``: a client of the notification service."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any, Final

from . import arguments, links

__all__ = ["add_to"]

_SERVER: Final = "127.0.0.1:5899"
_APP_ID: Final = "vfiipc"

_MORE = """\
A client for a notification server: that of a terminal, or `vfiipc notifysvc`.

examples:
  vfiipc notify send terminal EXT_SYS_DEVICE_CONTROL_REQ '{"cmd":"get_time"}' \\
      --reply EXT_SYS_DEVICE_CONTROL_RESP --server 192.0.2.7:5899
  vfiipc notify send '*' beacon '{}'
  vfiipc notify watch beacon status --app-id till
  vfiipc notify observe --server pipe:///tmp/notify
"""
_MORE_SEND = """\
Ends when the server has processed the notification; if the receiver is at
another server, when that server has processed it, too. With --reply, waits for
the reply and prints its parameter. Exit status 1 if the notification was not
delivered, or no reply arrived.
"""
_MORE_WATCH = """\
Prints one line for each notification: time, sender, receiver, ID and parameter.
It registers as --app-id and therefore also receives unicasts; with --priority
-1, only those for which no other application is registered.
"""
_MORE_OBSERVE = """\
Prints sender, receiver and ID of each notification; a dash means that nobody
received it. Servers allow this for local clients only, at pipe:///PATH.
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command, and those below it."""
    parser = arguments.add_command(
        commands, "notify", _run, does="send, watch and observe notifications", more=_MORE
    )
    below = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    send = arguments.add_command(below, "send", _run, does="send a notification", more=_MORE_SEND)
    send.add_argument(
        "to",
        metavar="TO",
        type=_id,
        help="the receiver: an application ID, 1 for any one application, or '*' for all",
    )
    send.add_argument("notification", metavar="ID", type=_id, help="the notification ID")
    send.add_argument(
        "parameter", metavar="JSON", type=_json, help="the parameter: JSON, sent unchanged"
    )
    send.add_argument(
        "--flags", metavar="NUMBER", type=_flags, default=0, help="reserved; 0..4294967295 (0)"
    )
    send.add_argument("--reply", metavar="ID", type=_id, help="wait for a reply with this ID")
    _add_client(send, "the application ID of the sender")
    arguments.add_timeout(send, "the connection, and then for the reply")
    watch = arguments.add_command(
        below, "watch", _run, does="register, and print notifications", more=_MORE_WATCH
    )
    watch.add_argument("ids", metavar="ID", nargs="+", type=_id, help="the notification IDs")
    watch.add_argument(
        "--priority",
        metavar="NUMBER",
        type=_priority,
        default=0,
        help="the priority for unicasts, which go to the highest one; -2147483648..2147483647 (0)",
    )
    watch.add_argument(
        "--no-payload",
        action="store_true",
        help="print no parameters, because they can be card data",
    )
    _add_output(watch, "the application ID to register as")
    observe = arguments.add_command(
        below,
        "observe",
        _run,
        does="print the sender, receiver and ID of all notifications",
        more=_MORE_OBSERVE,
    )
    _add_output(observe, "the application ID of the client")


def _add_output(parser: arguments.Parser, role: str) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    parser.add_argument(
        "--count",
        metavar="NUMBER",
        type=arguments.count,
        help="end after this many notifications, 1 or more; by default, print until Ctrl-C",
    )
    _add_client(parser, role)
    arguments.add_timeout(parser, "the connection")


def _add_client(parser: arguments.Parser, role: str) -> None:
    parser.add_argument(
        "--server",
        metavar="ADDRESS",
        type=links.peer_address,
        default=links.peer_address(_SERVER),
        help=f"where the server is: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH ({_SERVER})",
    )
    parser.add_argument(
        "--app-id",
        metavar="ID",
        type=_application,
        default=_APP_ID,
        help=f"{role} ({_APP_ID})",
    )
    links.add_tls(parser)


def _run(parsed: argparse.Namespace) -> int:
    from .notify_client import run

    return run(parsed)


# --- arguments


def _checked(check: Callable[[Any], Any], value: object) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _messages() -> Any:
    """Imported when an argument is read: the whole of the service takes its time."""
    from ..notify import messages

    return messages


def _id(text: str) -> str:
    return str(_checked(lambda value: _messages().check_id(value, "it"), text))


def _application(text: str) -> str:
    return str(_checked(lambda value: _messages().check_application(value, "it"), text))


def _flags(text: str) -> int:
    return int(_checked(_messages().check_flags, arguments.number(text)))


def _priority(text: str) -> int:
    return int(_checked(_messages().check_priority, arguments.number(text)))


def _json(text: str) -> bytes:
    try:
        return bytes(_messages().check_parameter(text.encode()))
    except ValueError:
        raise ArgumentTypeError(
            "the parameter is not JSON; text needs quotes of its own, as in '\"text\"'"
        ) from None
