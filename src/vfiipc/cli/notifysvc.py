"""``vfiipc notifysvc``: the server of the notification service."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from pathlib import Path

from ..transport.addresses import Address
from . import arguments, links

__all__ = ["add_to"]

_MORE = """\
Routes notifications between applications, like the notifysvc of a terminal.
Clients on TCP are remote, and the rules in CONFIG apply to them. Clients of
--pipe are local; rules do not apply, and they can observe. Without CONFIG, it
listens at 127.0.0.1:5899 and allows everything. The first lines of output are
the addresses it listens at.

Each line of CONFIG is a rule for what remote clients may send (in) or receive
(out), or an interface to listen on. Without interface lines it listens on all:
  in  * * EXT_SYS_*
  out printer till status
  interface eth0

Refused notifications are logged to standard error, without parameters. Set
NFY_LOGMASK=127 in the environment to log more, and 0 to log nothing.

With --bus, several servers act as one: a notification reaches its receiver on
any of them. Each server needs a unique name. The rules in CONFIG treat other
servers as remote clients.

examples:
  vfiipc notifysvc
  vfiipc notifysvc --listen 127.0.0.1:0 --pipe /tmp/notify
  vfiipc notifysvc notify.cfg
  vfiipc notifysvc --bus nats://bus.example:4222 --node gateway-1
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "notifysvc", _run, does="route notifications between applications", more=_MORE
    )
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="the allow list")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=links.address,
        action="append",
        default=[],
        help="where to listen for remote clients, instead of the interfaces in CONFIG: HOST:PORT, "
        "PORT, tls://HOST:PORT; can be repeated",
    )
    parser.add_argument(
        "--pipe", metavar="PATH", type=_pipe, help="where to listen for local clients"
    )
    links.add_tls(parser)
    _add_bus(parser)


def _add_bus(parser: arguments.Parser) -> None:
    bus = parser.add_argument_group("several servers that act as one, over NATS")
    bus.add_argument(
        "--bus",
        metavar="URL",
        action="append",
        default=[],
        help="a NATS server, nats://HOST:PORT or tls://HOST:PORT; can be repeated",
    )
    bus.add_argument("--node", metavar="NAME", help="a unique name for this server (the host name)")
    bus.add_argument("--bus-creds", metavar="FILE", help="credentials: a JWT and its seed")
    bus.add_argument("--bus-nkey", metavar="FILE", help="credentials: an NKey seed")
    bus.add_argument("--bus-ca", metavar="FILE", help="certificate authorities to trust")
    bus.add_argument("--bus-cert", metavar="FILE", help="own certificate")
    bus.add_argument(
        "--bus-key", metavar="FILE", help="private key of --bus-cert, unless that file contains it"
    )


def _pipe(path: str) -> Address:
    if not path:
        raise ArgumentTypeError("the path is empty; use for example /tmp/notify")
    return links.address(f"pipe://{Path(path).absolute()}")


def _run(parsed: argparse.Namespace) -> int:
    from .notify_server import run  # imports asyncio, which is slow

    return run(parsed)
